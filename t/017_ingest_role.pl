# aep.create_ingest_role(), what it leaves when it fails, status and check.
use strict;
use warnings;

use AepTest;
use IO::Select;
use IO::Socket::INET;
use POSIX ();
use PostgreSQL::Test::Utils;
use Test::More;

my $nowhere = '00000000-0000-4000-8000-000000000000';
my $fake    = AepTest::start_fake('--record-secrets');

# Everything that watches statements shall watch, as far as it is installed.
my %watching = (
	pg_stat_statements =>
	  [ "pg_stat_statements.track = 'all'", 'pg_stat_statements.track_utility = on' ],
	pgaudit      => [ "pgaudit.log = 'all'", 'pgaudit.log_parameter = on' ],
	auto_explain =>
	  [ 'auto_explain.log_min_duration = 0', 'auto_explain.log_nested_statements = on' ]);

sub library_installed
{
	my ($library)   = @_;
	my ($directory) = run_command([ 'pg_config', '--pkglibdir' ]);

	return -e "$directory/$library.so";
}
my %watches  = map  { $_ => library_installed($_) } keys %watching;
my @watchers = grep { $watches{$_} } sort keys %watches;

my $node = AepTest::start_login_node(
	'main',

	# nobody has the second address: there is something to listen on from outside
	"listen_addresses = '127.0.0.1,192.0.2.1'",
	"shared_preload_libraries = '" . join(',', @watchers) . "'",
	(map { @{ $watching{$_} } } @watchers),
	'log_statement = all',
	'log_min_messages = debug1',
	'log_min_duration_statement = 0',
	'log_error_verbosity = verbose',
	'log_parameter_max_length = -1',
	'track_activity_query_size = 10000');
my $log_of_setup = -s $node->logfile;

AepTest::create_server($node, $fake);
AepTest::create_server($node, $fake, server => 'small', max_response_size => '1kB');
AepTest::create_server(
	$node, $fake,
	server        => 'unauthorized',
	access_token  => undef,
	client_secret => 'wrong-client-secret',
	token_url     => $fake->url('ims'));
AepTest::create_server(
	$node, $fake,
	server        => 'no_second_token',
	access_token  => undef,
	client_secret => 'fault:after=1,status=400',
	token_url     => $fake->url('ims'));

# These lead to a gate before the fake.
my $gate     = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 16) or die "gate: $!";
my $gate_url = 'https://localhost:' . $gate->sockport;
my %gated    = (base_url => $gate_url, connect_timeout => '300s', request_timeout => '300s');
AepTest::create_server($node, $fake, %gated, server => 'gated');
AepTest::create_server(
	$node, $fake, %gated,
	server        => 'gated_token',
	access_token  => undef,
	client_secret => 'demo-client-secret',
	token_url     => $fake->url('ims') =~ s{^https://[^/]+}{$gate_url}r);
AepTest::create_server($node, $fake, server => 'incomplete', api_key => undef);
AepTest::create_server(
	$node, $fake,
	server       => 'refused',
	base_url     => $fake->url('refused'),
	max_attempts => 1);

$node->safe_psql('postgres', 'CREATE EXTENSION pg_stat_statements')
  if $watches{pg_stat_statements};
$node->safe_psql('postgres', <<'SQL');
REVOKE ALL ON DATABASE postgres FROM PUBLIC;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
CREATE DATABASE elsewhere;
REVOKE ALL ON DATABASE elsewhere FROM PUBLIC;
CREATE SCHEMA shop;
CREATE TABLE shop.orders AS SELECT 1 AS id;
CREATE TABLE shop.parts (id int) PARTITION BY LIST (id);
CREATE VIEW shop.recent AS SELECT * FROM shop.orders;
CREATE MATERIALIZED VIEW shop.summary AS SELECT * FROM shop.orders;
CREATE SEQUENCE shop.numbers;
CREATE SCHEMA office;
CREATE TABLE office.shown AS SELECT 2 AS id;
CREATE TABLE office.hidden AS SELECT 3 AS id;
CREATE SCHEMA vault;
CREATE TABLE vault.gold AS SELECT 4 AS id;
CREATE SCHEMA "Sch;""ema";
CREATE TABLE "Sch;""ema"."Ta'b.le" AS SELECT 5 AS id;

-- one who makes roles, owns something, and is no superuser
CREATE ROLE dba LOGIN CREATEROLE;
CREATE SCHEMA own AUTHORIZATION dba;
CREATE TABLE own.things AS SELECT 6 AS id;
ALTER TABLE own.things OWNER TO dba;
CREATE ROLE plain LOGIN;
GRANT CONNECT ON DATABASE postgres TO dba, plain WITH GRANT OPTION;
GRANT USAGE ON SCHEMA aep TO dba, plain;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA aep TO dba, plain;
GRANT USAGE ON FOREIGN SERVER aep TO dba, plain;
CREATE USER MAPPING FOR dba SERVER aep OPTIONS (api_key 'demo-api-key', access_token 'demo-access-token');
CREATE USER MAPPING FOR plain SERVER aep OPTIONS (api_key 'demo-api-key', access_token 'demo-access-token');
SQL

my $session = AepTest::open_session($node);
my $seen    = '';
my @passwords;

sub run
{
	my ($sql, $where) = @_;
	$where //= $session;
	my $result = AepTest::watch_sql($where, $fake, $sql);

	$seen .= "$result->{out}\n$result->{err}\n";
	foreach my $request (@{ $result->{requests} })
	{
		push @passwords, $request->{body}{auth}{params}{password} // ()
		  if $request->{kind} eq 'POST';
	}
	return $result;
}

sub query
{
	my ($sql) = @_;
	my $out = AepTest::run_sql($session, $sql);

	die "$sql: $session->{err}" if $session->{err} =~ /ERROR/;
	return $out;
}

# Creates an ingest role; returns the id.
sub create
{
	my ($arguments, $where) = @_;
	my $result = run("CALL aep.create_ingest_role($arguments)", $where);

	my ($id) = $result->{out} =~ /^([0-9a-f-]{36})\|/
	  or die "no id from $arguments: $result->{err}";
	return $id;
}

sub login
{
	my ($user, $password, $sql) = @_;
	my $result = AepTest::login($node, $user, $password, $sql);

	$seen .= "$result->{out}\n$result->{err}\n";
	return $result;
}

# All that a call could leave behind.
sub traces
{
	return query(<<'SQL');
SELECT 'role ' || rolname FROM pg_roles WHERE rolname !~ '^pg_'
UNION ALL SELECT 'state ' || role_name || ' ' || active_login || ' ' || step FROM aep.ingest_role
UNION ALL SELECT 'default ' || defaclacl::text FROM pg_default_acl
UNION ALL SELECT relname || ' ' || coalesce(relacl, acldefault('r', relowner))::text
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    WHERE nspname IN ('shop', 'office', 'vault', 'own') AND relkind <> 'S'
UNION ALL SELECT nspname || ' ' || coalesce(nspacl, acldefault('n', nspowner))::text
    FROM pg_namespace WHERE nspname IN ('shop', 'office', 'vault', 'own')
UNION ALL SELECT datname || ' ' || coalesce(datacl, acldefault('d', datdba))::text FROM pg_database
ORDER BY 1
SQL
}

# A call that fails, says so, and leaves nothing.
sub leaves_nothing
{
	my ($what, $sql, $error, $requests, $where) = @_;
	my $before = traces();
	my $result = run($sql, $where);

	like($result->{err}, $error, "$what: the error");
	is(traces(),                         $before,        "$what: nothing is left");
	is(scalar(@{ $result->{requests} }), $requests // 0, "$what: the requests");
	return $result;
}

# What works

my $id = create(
	"'reader', schemas => '{shop}', tables => '{office.shown,shop.orders}', connection_limit => 2, "
	  . "name => 'Reader', description => 'reads', ssl_mode => 'Allow'");
my ($request) = $fake->requests_named('Reader');
my $params    = $request->{body}{auth}{params};
my $password  = delete $params->{password};
like($password, qr/^[A-Za-z0-9_-]{32}$/, 'a password of 32 characters');
delete $params->{authorizedDate};
is_deeply(
	$params,
	{   server   => 'db1.example.com',
		port     => $node->port,
		database => 'postgres',
		username => 'reader_a',
		sslMode  => 'Allow' },
	'the platform is told the login and the rest');
is($request->{body}{description}, 'reads', 'and what aep.create_base_connection would tell');
is($request->{created},           $id,     'the id is returned');
is($fake->requests,               1,       'one request');

my $second = create("'reader2', schemas => '{shop}'");
isnt($passwords[0], $passwords[1], 'each login has a password of its own');

# Every privilege that two roles have on what is not the system's.
my $privileges = <<'SQL';
WITH role (name) AS (VALUES ('reader'), ('reader_a')),
relations AS (SELECT c.oid, relkind, format('%I.%I', nspname, relname) AS name FROM pg_class c
    JOIN pg_namespace n ON n.oid = relnamespace
    WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' AND relname !~ '^pg_stat_statements'),
held (role, object, privilege) AS (
SELECT role.name, r.name, p FROM role, relations r,
    unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) AS p
    WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND has_table_privilege(role.name, r.oid, p)
UNION ALL SELECT role.name, r.name, p FROM role, relations r,
    unnest('{SELECT,INSERT,UPDATE,REFERENCES}'::text[]) AS p
    WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND has_any_column_privilege(role.name, r.oid, p)
    AND NOT has_table_privilege(role.name, r.oid, p)
UNION ALL SELECT role.name, r.name, p FROM role, relations r, unnest('{USAGE,SELECT,UPDATE}'::text[]) AS p
    WHERE relkind = 'S' AND has_sequence_privilege(role.name, r.oid, p)
UNION ALL SELECT role.name, nspname, p FROM role, pg_namespace n, unnest('{CREATE,USAGE}'::text[]) AS p
    WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' AND has_schema_privilege(role.name, n.oid, p)
UNION ALL SELECT role.name, datname, p FROM role, pg_database d, unnest('{CREATE,CONNECT,TEMPORARY}'::text[]) AS p
    WHERE datname !~ '^template' AND has_database_privilege(role.name, d.oid, p)
UNION ALL SELECT role.name, proname, 'EXECUTE' FROM role, pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
    WHERE nspname = 'aep' AND has_function_privilege(role.name, p.oid, 'EXECUTE')
UNION ALL SELECT role.name, srvname, 'USAGE' FROM role, pg_foreign_server s
    WHERE has_server_privilege(role.name, s.oid, 'USAGE')
UNION ALL SELECT role.name, r.rolname, p FROM role, pg_roles r, unnest('{MEMBER,USAGE}'::text[]) AS p
    WHERE r.rolname <> role.name AND pg_has_role(role.name, r.oid, p))
SELECT role || ': ' || string_agg(privilege || ' ' || object, ', ' ORDER BY object, privilege)
FROM held GROUP BY role ORDER BY role
SQL
my @held = split /\n/, query($privileges);
is( $held[0],
	'reader: USAGE office, SELECT office.shown, CONNECT postgres, USAGE shop, SELECT shop.orders, '
	  . 'SELECT shop.parts, SELECT shop.recent, SELECT shop.summary',
	'the role has what was named, and nothing else');
is( $held[1],
	'reader_a: USAGE office, SELECT office.shown, CONNECT postgres, MEMBER reader, USAGE reader, USAGE shop, '
	  . 'SELECT shop.orders, SELECT shop.parts, SELECT shop.recent, SELECT shop.summary',
	'the login has the same through it');
is(query("SELECT count(*) FROM pg_default_acl"), 0, 'no default privileges');
is( query(
		"SELECT rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, "
		  . "rolbypassrls, rolconnlimit, rolvaliduntil FROM pg_roles WHERE rolname ~ '^reader(_a)?\$' ORDER BY 1"
	),
	"reader|f|t|f|f|f|f|f|-1|\nreader_a|f|t|f|f|t|f|f|2|",
	'the attributes of both');
is( query(
			"SELECT roleid::regrole, member::regrole, admin_option FROM pg_auth_members "
		  . "WHERE 'reader_a'::regrole IN (roleid, member)"),
	'reader|reader_a|f',
	'the login is a plain member');
like(
	query("SELECT rolpassword FROM pg_authid WHERE rolname = 'reader_a'"),
	qr/^SCRAM-SHA-256\$4096:[A-Za-z0-9+\/=]+\$[A-Za-z0-9+\/=]{44}:[A-Za-z0-9+\/=]{44}$/,
	'PostgreSQL has a SCRAM verifier');
is(query("SELECT rolpassword IS NULL FROM pg_authid WHERE rolname = 'reader'"),
	't', 'and the role no password');

# The login does what Experience Platform does.
is( login(
		'reader_a', $password,
		'SELECT id FROM shop.orders UNION SELECT id FROM office.shown ORDER BY 1')->{out},
	"1\n2",
	'the login reads');
foreach my $refused (
	'SELECT * FROM office.hidden',
	'SELECT * FROM vault.gold',
	'INSERT INTO shop.orders VALUES (7)',
	'DELETE FROM shop.orders',
	'CREATE TABLE shop.mine ()',
	'CREATE TEMP TABLE mine ()',
	'SELECT * FROM aep.ingest_role',
	'SELECT * FROM pg_authid',
	"SELECT nextval('shop.numbers')",
	'CREATE TABLE public.mine ()')
{
	like(login('reader_a', $password, $refused)->{err}, qr/permission denied/, "not: $refused");
}
like(
	login('reader_a', "x$password")->{err},
	qr/password authentication failed/,
	'not with another password');
like(
	login('reader', $password)->{err},
	qr/password authentication failed|not permitted to log in/,
	'the role itself cannot log in');

# What is told of it.
my $status_sql = "SELECT * FROM aep.ingest_role_status() WHERE role_name = 'reader'";
like(query($status_sql), qr/^$id\|Reader\|aep\|reader\|reader_a\|\|active\|\d{4}-[^|]*\|0$/,
	'status');
is( query(
		"SELECT now() - rotated_at < '1 minute' AND rotated_at <= now() FROM aep.ingest_role_status() WHERE role_name = 'reader'"
	),
	't',
	'rotated_at is when it was made');

sub open_login
{
	my ($user, $password) = @_;
	local $ENV{PGPASSWORD} = $password;
	local $ENV{PGUSER}     = $user;
	local $ENV{PGHOST}     = '127.0.0.1';
	my %other = (in => "SELECT 'in';\n", out => '', err => '');

	$other{harness} = IPC::Run::start([ 'psql', '-XAtqw', '-p', $node->port, '-d', 'postgres' ],
		'<', \$other{in}, '>', \$other{out}, '2>', \$other{err}, IPC::Run::timeout(60));
	$other{harness}->pump until $other{out} =~ /in/ || $other{err} =~ /\S/;
	return \%other;
}

# More than one thing can be wrong; what is found is told with what mends it.
sub findings
{
	my ($of, $where) = @_;
	my $result = run("SELECT finding, remedy FROM aep.check_ingest_role('$of')", $where);

	is($result->{err}, '', 'aep.check_ingest_role has no error') if $result->{err} ne '';
	return map { [ split /\|/, $_, 2 ] } split /\n/, $result->{out};
}

# Only this is found.
sub finds
{
	my ($of, $finding, $remedy, $what, $where) = @_;
	my @found = findings($of, $where);

	is(scalar(@found), 1, "$what: one finding") or diag(explain(\@found));
	like($found[0][0] // '', $finding, "$what: the finding");
	like($found[0][1] // '', $remedy,  "$what: the remedy");
	return $found[0][1];
}

sub finds_nothing
{
	my ($of, $what) = @_;

	is_deeply([ findings($of) ], [], "$what: nothing is found any more");
	return;
}

# The same, and the remedy mends it.
sub finds_and_mends
{
	my ($of, $finding, $remedy, $what) = @_;
	my $statement = finds($of, $finding, $remedy, $what);

	is(run($statement)->{err}, '', "$what: the remedy can be executed");
	finds_nothing($of, $what);
	return;
}

# pg_hba.conf has no line for the world outside yet, and listens there
my $line = finds(
	$id,
	qr/^pg_hba\.conf has no line that lets reader_a in from outside with a password$/,
	qr{^\Q@{[$node->data_dir]}\E/pg_hba\.conf: host postgres \+reader 0\.0\.0\.0/0 scram-sha-256$},
	'pg_hba.conf') =~ s/^.*?: //r;

# what does not match
my $hba = slurp_file($node->data_dir . '/pg_hba.conf');

sub set_hba
{
	my (@lines) = @_;

	unlink($node->data_dir . '/pg_hba.conf');
	$node->append_conf('pg_hba.conf', $hba . join('', map { "$_\n" } @lines));
	my $loaded = query("SELECT pg_conf_load_time()");
	query('SELECT pg_reload_conf()');
	$node->poll_query_until('postgres', "SELECT pg_conf_load_time() > '$loaded'")
	  or die 'not reloaded';
	return;
}
set_hba(
	'host elsewhere all 0.0.0.0/0 scram-sha-256',
	'host all dba 0.0.0.0/0 scram-sha-256',
	'host all +dba 0.0.0.0/0 scram-sha-256',
	'host all all samehost scram-sha-256',
	'host all all 127.0.0.0/8 md5',
	'host all all ::1/128 md5',
	'host all all 0.0.0.0/0 reject',
	'host all all 0.0.0.0/0 trust',
	'local all all md5',
	'host replication all 0.0.0.0/0 scram-sha-256');
finds($id, qr/^pg_hba\.conf has no line/, qr/./, 'lines for others');
foreach my $right (
	$line,
	'host all all 0.0.0.0/0 scram-sha-256',
	'host "postgres",elsewhere reader_a 10.0.0.0/8 md5',
	'hostnossl all +reader all password')
{
	set_hba($right);
	finds_nothing($id, $right);
}

# regular expressions, since 16
foreach my $expression (
	'host all /^reader_ 0.0.0.0/0 scram-sha-256',
	'host /^post.*s$ all 0.0.0.0/0 scram-sha-256')
{
	set_hba($expression);
	if ($node->pg_version >= 16)
	{
		finds_nothing($id, $expression);
	}
	else
	{
		finds($id, qr/^pg_hba\.conf has no line/, qr/./, "$expression is a name");
	}
}
set_hba('host all /^writer_ 0.0.0.0/0 md5', 'host /^other all 0.0.0.0/0 md5');
finds($id, qr/^pg_hba\.conf has no line/, qr/./, 'expressions for others');

# The first line that fits decides: those that reject are in the way, unless they
# are about others, about some addresses only, or leave another way in.
my $good     = 'host all all 0.0.0.0/0 scram-sha-256';
my $own_size = () = $hba =~ /\n/g;
my ($first, $next_line) = ($own_size + 1, $own_size + 2);
foreach my $closed (
	[ 'host all all all reject',                     $good ],
	[ 'host all all 0.0.0.0/0 reject',               $good ],
	[ 'host postgres reader_a 0.0.0.0/0 reject',     'host all all all md5' ],
	[ 'host all +reader 10.0.0.0 255.0.0.0 reject',  'host all all 10.1.2.0/24 scram-sha-256' ],
	[ 'hostnossl all all 0.0.0.0/0 reject',          $good ],
	[ 'host all all platform.example.com reject',    'host all all platform.example.com md5' ],
	[ 'host all all ::/0 reject',                    'host all all 2001:db8::/32 md5' ])
{
	set_hba(@$closed);
	finds(
		$id,
		qr/^line $first of pg_hba\.conf rejects reader_a$/,
		qr{/pg_hba\.conf: move line $first below line $next_line$},
		"$closed->[0], then $closed->[1]");
	set_hba(reverse @$closed);
	finds_nothing($id, "$closed->[1], then $closed->[0]");
}
set_hba('host all reader_a all reject', 'host all all 0.0.0.0/0 reject', $good, 'host all all all md5');
is_deeply(
	[ map { $_->[1] =~ s/.*: //r } findings($id) ],
	[   "move line $first below line @{[$own_size + 3]}",
		"move line $next_line below line @{[$own_size + 3]}" ],
	'two lines that reject: each is told');
foreach my $open (
	'host elsewhere all 0.0.0.0/0 reject',
	'host all dba 0.0.0.0/0 reject',
	'host all all 10.0.0.0/8 reject',
	'host all all ::/0 reject',
	'host all all platform.example.com reject',
	'hostgssenc all all 0.0.0.0/0 reject',
	'local all all reject')
{
	set_hba($open, $good);
	finds_nothing($id, "$open is not in the way");
}
set_hba('host all all 10.0.0.0/8 reject', 'host all all 10.1.0.0/16 md5', $good);
finds_nothing($id, 'another line lets it in');

set_hba('host all all 0.0.0.0/0 scram-sha-256', 'host all all nonsense');
my @lines    = split /\n/, slurp_file($node->data_dir . '/pg_hba.conf');
my ($number) = grep { $lines[ $_ - 1 ] =~ /nonsense/ } (1 .. @lines);
finds(
	$id,
	qr/^line $number of pg_hba\.conf is wrong: .+/,
	qr{/pg_hba\.conf: mend line $number$},
	'a wrong line');
set_hba('hostssl all all 0.0.0.0/0 scram-sha-256');
is_deeply(
	[ map { $_->[0] =~ s/\d+/N/r } findings($id) ],
	[   'pg_hba.conf has no line that lets reader_a in from outside with a password',
		'line N of pg_hba.conf is wrong: hostssl record cannot match because SSL is disabled' ],
	'hostssl does not count while ssl is off');
set_hba('host all all 0.0.0.0/0 scram-sha-256');
finds_nothing($id, 'the line was mended');

# connection limits
my @open = map { open_login('reader_a', $password) } (1, 2);
like(query($status_sql), qr/\|2$/, 'status counts the sessions');
like(
	login('reader_a', $password)->{err},
	qr/too many connections for role/,
	'the connection limit holds');
finds_and_mends(
	$id,
	qr/^login reader_a uses all 2 connections of its limit$/,
	qr/^ALTER ROLE reader_a CONNECTION LIMIT 12$/,
	'the limit of the login');
my $count = query("SELECT count(*) FROM pg_stat_activity WHERE datname = 'postgres'");
query("ALTER DATABASE postgres CONNECTION LIMIT $count");
finds_and_mends(
	$id,
	qr/^database postgres uses all $count connections of its limit$/,
	qr/^ALTER DATABASE postgres CONNECTION LIMIT @{[$count + 10]}$/,
	'the limit of the database');
$_->{in} .= "\\q\n" foreach (@open);
$_->{harness}->finish foreach (@open);

# the login
query('ALTER ROLE reader_a NOLOGIN');
like(login('reader_a', $password)->{err}, qr/not permitted to log in/, 'not any more');
finds_and_mends(
	$id,
	qr/^login reader_a may not log in$/,
	qr/^ALTER ROLE reader_a LOGIN$/, 'NOLOGIN');
query("ALTER ROLE reader_a VALID UNTIL '2020-01-01'");
finds_and_mends(
	$id,
	qr/^login reader_a expired at 2020-01-01/,
	qr/^ALTER ROLE reader_a VALID UNTIL 'infinity'$/,
	'VALID UNTIL');
query(
	$node->pg_version < 16
	? 'ALTER ROLE reader_a NOINHERIT'
	: 'GRANT reader TO reader_a WITH INHERIT FALSE');
my $inherit =
  $node->pg_version < 16
  ? 'GRANT reader TO reader_a; ALTER ROLE reader_a INHERIT'
  : 'GRANT reader TO reader_a WITH INHERIT TRUE';
my @found = findings($id);
is_deeply($found[0], [ 'login reader_a does not inherit from role reader', $inherit ],
	'NOINHERIT: the finding');
unlike(run($inherit)->{err}, qr/ERROR/, 'NOINHERIT: the remedy');
finds_nothing($id, 'NOINHERIT');
query('REVOKE reader FROM reader_a; ALTER ROLE reader_a NOINHERIT');
@found = findings($id);
is_deeply($found[0], [ 'login reader_a does not inherit from role reader', $inherit ],
	'no member: the finding');
is(run($inherit)->{err}, '', 'no member: the remedy');
finds_nothing($id, 'no member');
query('ALTER ROLE reader_a INHERIT');
is(login('reader_a', $password, 'SELECT count(*) FROM shop.orders')->{out},
	1, 'the login reads again');

# the privileges
query('REVOKE CONNECT ON DATABASE postgres FROM reader');
finds_and_mends(
	$id,
	qr/^login reader_a may not connect to database postgres$/,
	qr/^GRANT CONNECT ON DATABASE postgres TO reader$/, 'CONNECT');
query('REVOKE USAGE ON SCHEMA office FROM reader');
finds_and_mends(
	$id,
	qr/^login reader_a may not use schema office$/,
	qr/^GRANT USAGE ON SCHEMA office TO reader$/, 'USAGE');
query('REVOKE SELECT ON shop.summary FROM reader');
finds_and_mends(
	$id,
	qr/^login reader_a may not read shop\.summary$/,
	qr/^GRANT SELECT ON TABLE shop\.summary TO reader$/,
	'SELECT through a schema');
query('REVOKE SELECT ON office.shown FROM reader');
finds_and_mends(
	$id,
	qr/^login reader_a may not read office\.shown$/,
	qr/^GRANT SELECT ON TABLE office\.shown TO reader$/,
	'SELECT on a table');
query('CREATE TABLE shop.later AS SELECT 8 AS id');
finds_and_mends(
	$id,
	qr/^login reader_a may not read shop\.later$/,
	qr/^GRANT SELECT ON TABLE shop\.later TO reader$/,
	'a table that came later');

# row level security
query('ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY');
is(login('reader_a', $password, 'SELECT count(*) FROM shop.orders')->{out}, 0, 'no row is seen');
finds_and_mends(
	$id,
	qr/^row level security of shop\.orders hides all rows from reader_a$/,
	qr/^CREATE POLICY reader ON shop\.orders FOR SELECT TO reader USING \(true\)$/,
	'all rows hidden');
is(login('reader_a', $password, 'SELECT count(*) FROM shop.orders')->{out},
	1, 'the rows are seen again');
query(
	'DROP POLICY reader ON shop.orders; CREATE POLICY certain ON shop.orders FOR SELECT USING (id > 1)'
);
finds_and_mends(
	$id,
	qr/^row level security of shop\.orders hides rows from reader_a$/,
	qr/^CREATE POLICY reader ON shop\.orders /,
	'some rows hidden');
query(
	'DROP POLICY reader ON shop.orders; CREATE POLICY others ON shop.orders TO plain USING (true)');
finds($id, qr/hides rows from reader_a$/, qr/^CREATE POLICY /, 'a policy for others does not help');
query('CREATE POLICY no ON shop.orders AS RESTRICTIVE USING (false)');
is(login('reader_a', $password, 'SELECT count(*) FROM shop.orders')->{out},
	0, 'a restrictive policy hides rows');
query('CREATE POLICY reader ON shop.orders FOR SELECT TO reader USING (true)');
finds_and_mends($id, qr/^row level security of shop\.orders hides (all )?rows from reader_a/,
	qr/./, 'a restrictive policy beside one that permits');
is(login('reader_a', $password, 'SELECT count(*) FROM shop.orders')->{out},
	1, 'the rows are seen in spite of it');
query('ALTER TABLE shop.orders DISABLE ROW LEVEL SECURITY');
finds_nothing($id, 'row level security is off');

# what is gone
query('ALTER TABLE office.shown RENAME TO renamed');
finds($id, qr/^table office\.shown does not exist$/, qr/^CREATE it, or /, 'a table that is gone');
query('ALTER TABLE office.renamed RENAME TO shown');
finds_nothing($id, 'the table is back');

# in a query that has parallel workers, and writes
my $parallel = AepTest::open_session($node);
AepTest::run_sql($parallel,
	'SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0'
);
foreach my $call ('aep.ingest_role_status()', "aep.check_ingest_role('$id')")
{
	my ($what) = $call =~ /^([\w.]+)/;
	my $sql =
	  "CREATE TABLE vault.written AS SELECT f.*, (SELECT count(*) FROM vault.gold) FROM $call AS f";

	like(run("EXPLAIN (COSTS OFF) $sql", $parallel)->{out}, qr/Gather/, "$what: a parallel plan");
	is(run("$sql; DROP TABLE vault.written", $parallel)->{err}, '', "$what: no error in it");
}
AepTest::close_session($parallel);

# who may look
like(
	run("SELECT * FROM aep.check_ingest_role('$nowhere')")->{err},
	qr/ERROR:  42704: /,
	'check: not managed');
like(run('SELECT * FROM aep.check_ingest_role(NULL)')->{err}, qr/ERROR:  22004: /, 'check: NULL');
my $outsider = AepTest::open_session($node);
AepTest::run_sql($outsider, 'SET SESSION AUTHORIZATION plain');
like(
	run("SELECT * FROM aep.check_ingest_role('$id')", $outsider)->{err},
	qr/ERROR:  42704: the credentials of connection $id are not managed here\n/,
	'check: as little as the status for one who may not alter the role');
AepTest::close_session($outsider);

# Names that need quotes, and the other kind of authentication

my $odd = create(
	q{'Odd "Role''s', schemas => '{"Sch;\"ema"}', tables => ARRAY['"Sch;""ema"."Ta''b.le"'::regclass], }
	  . q{auth_type => 'connection_string', name => 'Odd', default_privileges => true});
my $odd_login = AepTest::told_login($fake, $odd);
push @passwords, $odd_login->{password};
is($odd_login->{username}, q{Odd "Role's_a}, 'odd names: the login');
like($odd_login->{password}, qr/^[A-Za-z0-9_-]{32}$/, 'in a connection string: the password');
is( login($odd_login->{username}, $odd_login->{password}, q{SELECT * FROM "Sch;""ema"."Ta'b.le"})
	  ->{out},
	5,
	"odd names: the login reads");
finds_nothing($odd, 'odd names');
query(q{REVOKE SELECT ON "Sch;""ema"."Ta'b.le" FROM "Odd ""Role's"});
finds_and_mends($odd, qr/ may not read "Sch;""ema"\."Ta'b\.le"$/, qr/^GRANT SELECT/, 'odd names');
is( query(
		q{SELECT defaclrole::regrole, defaclnamespace::regnamespace, defaclobjtype, defaclacl FROM pg_default_acl}
	),
	q{postgres|"Sch;""ema"|r|{"\"Odd \"\"Role's\"=r/postgres"}},
	'default privileges: SELECT on tables');
query('CREATE TABLE "Sch;""ema".later AS SELECT 9 AS id');
is( login($odd_login->{username}, $odd_login->{password}, q{SELECT id FROM "Sch;""ema".later})
	  ->{out},
	9,
	'default privileges: a table that comes later is read');
query(
	q{ALTER DEFAULT PRIVILEGES IN SCHEMA "Sch;""ema" REVOKE SELECT ON TABLES FROM "Odd ""Role's"});

# With other quotes than now
query('SET quote_all_identifiers = on');
my $quoted = create("'quoted', tables => '{office.shown}'");
query('RESET quote_all_identifiers');
is( query("SELECT granted_tables FROM aep.ingest_role WHERE role_name = 'quoted'"),
	'{"\\"office\\".\\"shown\\""}',
	'quotes that were needless');
finds_nothing($quoted, 'needless quotes');
query('REVOKE SELECT ON office.shown FROM quoted');
finds_and_mends(
	$quoted,
	qr/^login quoted_a may not read office\.shown$/,
	qr/^GRANT SELECT ON TABLE office\.shown TO quoted$/,
	'needless quotes, SELECT');
query('ALTER TABLE office.shown RENAME TO renamed');
is_deeply(
	[ map { $_->[0] } findings($quoted) ],
	['table "office"."shown" does not exist'],
	'needless quotes, a table that is gone');
query('ALTER TABLE office.renamed RENAME TO shown');

# Refused for sure: all is taken back

leaves_nothing(
	'HTTP 400',
	"CALL aep.create_ingest_role('refused', '{shop}', '{office.hidden}', default_privileges => true, name => 'fault:status=400')",
	qr/ERROR:  22023: could not create base connection/,
	1);
leaves_nothing(
	'HTTP 403',
	"CALL aep.create_ingest_role('refused', name => 'fault:status=403')",
	qr/ERROR:  42501: /, 1);
leaves_nothing(
	'HTTP 500',
	"CALL aep.create_ingest_role('refused', name => 'fault:status=500')",
	qr/ERROR:  58000: /, 1);
leaves_nothing(
	'not connected',
	"CALL aep.create_ingest_role('refused', server => 'refused')",
	qr/ERROR:  08001: /);
leaves_nothing(
	'no second token',
	"CALL aep.create_ingest_role('refused', '{shop}', name => 'fault:status=401', server => 'no_second_token')",
	qr/ERROR:  28000: could not fetch an access token/,
	3);
my $again = create("'refused', '{shop}', name => 'Refused'");
is(login('refused_a', $passwords[-1], 'SELECT id FROM shop.orders')->{out},
	1, 'the same again, and it works');

# The same, but what was granted on changes before the answer

# Passes one connection on to the fake, in a process of its own.
my $keeper;

sub open_gate
{
	my ($port) = $fake->url =~ /:(\d+)/;

	$keeper = fork() // die "fork: $!";
	return if $keeper;
	my $client  = $gate->accept;
	my $service = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port);
	my %other   = ($client => $service, $service => $client);
	my $select  = IO::Select->new($client, $service);
	while (my @ready = $select->can_read)
	{
		foreach my $socket (@ready)
		{
			sysread($socket, my $bytes, 65536) or POSIX::_exit(0);
			syswrite($other{$socket}, $bytes);
		}
	}
	POSIX::_exit(0);
}

sub close_gate
{
	kill 'KILL', $keeper;
	waitpid($keeper, 0);
	$keeper = undef;
	return;
}

END
{
	local $?;
	close_gate() if $keeper;
}

sub run_meanwhile
{
	my ($sql, $meanwhile, $what) = @_;
	my $other    = AepTest::open_session($node);
	my $pid      = AepTest::run_sql($other, 'SELECT pg_backend_pid()');
	my $activity = "SELECT wait_event_type FROM pg_stat_activity WHERE pid = $pid";
	my $requests = $fake->requests;

	query(  'CREATE SCHEMA fleeting; CREATE TABLE fleeting.goods AS SELECT 10 AS id; '
		  . 'CREATE TABLE fleeting.more AS SELECT 11 AS id');
	AepTest::begin_sql($other, $sql);
	ok( AepTest::wait_until(sub { AepTest::run_sql($session, $activity) eq 'Extension' }),
		"$what: it waits");
	AepTest::run_sql($session, $meanwhile);
	unlike($session->{err}, qr/ERROR/, "$what: meanwhile");
	open_gate();
	AepTest::end_sql($other);
	AepTest::close_session($other);
	close_gate();
	query('DROP SCHEMA IF EXISTS fleeting CASCADE');
	my @came = $fake->requests($requests);
	push @passwords, map { $_->{body}{auth}{params}{password} // () } @came;
	$seen .= $other->{err};
	return { err => $other->{err}, requests => \@came };
}

my %meanwhile = (
	'a table that is dropped' => [ "tables => '{fleeting.goods}'", 'DROP TABLE fleeting.goods' ],
	'one of two tables that is dropped' =>
	  [ "tables => '{fleeting.goods,fleeting.more}'", 'DROP TABLE fleeting.goods' ],
	'a table that is moved' =>
	  [ "tables => '{fleeting.goods}'", 'ALTER TABLE fleeting.goods SET SCHEMA office' ],
	'a table whose schema is dropped' =>
	  [ "tables => '{office.shown,fleeting.goods}'", 'DROP SCHEMA fleeting CASCADE' ],
	'a schema that is dropped' => [
		"schemas => '{shop,fleeting}', default_privileges => true", 'DROP SCHEMA fleeting CASCADE'
	]);
foreach my $what (sort keys %meanwhile)
{
	my ($arguments, $sql) = @{ $meanwhile{$what} };
	my $role   = $what =~ s/ /_/gr;
	my $before = traces();
	my $result = run_meanwhile(
		"CALL aep.create_ingest_role('$role', $arguments, name => 'fault:status=400', server => 'gated')",
		$sql, $what);

	like($result->{err}, qr/ERROR:  22023: could not create base connection/, "$what: the error");
	unlike($result->{err}, qr/HINT:  The roles/, "$what: no hint");
	query('DROP TABLE IF EXISTS office.goods');
	is(traces(), $before, "$what: nothing is left");
}
my $kept = run_meanwhile(
	"CALL aep.create_ingest_role('changing', tables => '{fleeting.goods}', name => 'fault:status=400', server => 'gated')",
	'GRANT USAGE ON SCHEMA office TO changing',
	'a role that gets more');
like(
	$kept->{err},
	qr/ERROR:  22023: could not create base connection.*^HINT:  The roles "changing" and "changing_a" could not be dropped again: role "changing" cannot be dropped because some objects depend on it\.$/ms,
	'a role that gets more: the error');
is(query("SELECT step, active_login FROM aep.ingest_role WHERE role_name = 'changing'"),
	'unknown|changing_a', 'a role that gets more: the state stays');
is(login('changing_a', $passwords[-1], 'SELECT 1')->{out},
	1, 'a role that gets more: so do the roles');
query(  "DROP OWNED BY changing; DROP ROLE changing, changing_a; "
	  . "DELETE FROM aep.ingest_role WHERE role_name = 'changing'");
my $traces = traces();
my $early  = run_meanwhile(
	"CALL aep.create_ingest_role('changing', '{shop}', '{fleeting.goods}', server => 'gated_token')",
	'DROP TABLE fleeting.goods',
	'a table that is dropped early');
like(
	$early->{err},
	qr/ERROR:  42P01: a table of argument "tables" was dropped meanwhile/,
	'a table that is dropped early: the error');
is(join(' ', map { $_->{kind} } @{ $early->{requests} }),
	'TOKEN', 'a table that is dropped early: the requests');
is(traces(), $traces, 'a table that is dropped early: nothing is left');

# Unknown: all stays, and the state says so

my %unknown = (
	'lost answer' => [ 'close=before',           qr/ERROR:  08007: /, 'aep' ],
	'HTTP 504'    => [ 'status=504,processed=1', qr/ERROR:  08007: /, 'aep' ],
	'no JSON'     => [ 'notjson=1',              qr/ERROR:  08P01: /, 'aep' ],
	'too large'   => [ 'huge=5000',              qr/ERROR:  54000: /, 'small' ]);
foreach my $what (sort keys %unknown)
{
	my ($fault, $error, $server) = @{ $unknown{$what} };
	my $role   = $what =~ s/ /_/gr;
	my $result = run(
		"CALL aep.create_ingest_role('$role', '{shop}', name => 'fault:$fault', server => '$server')"
	);

	like($result->{err}, $error, "$what: the error");
	like(
		$result->{err},
		qr/HINT:  .*The roles stay, since Experience Platform may use them\..*aep\.connections\(name/s,
		"$what: the hint");
	is( query(
			"SELECT connection_id IS NULL, active_login, step, rotated_at IS NULL FROM aep.ingest_role_status() WHERE role_name = '$role'"
		),
		"t|${role}_a|unknown|t",
		"$what: the state");
	is(login("${role}_a", $passwords[-1], 'SELECT id FROM shop.orders')->{out},
		1, "$what: the login works");
	leaves_nothing("$what: again", "CALL aep.create_ingest_role('$role')", qr/ERROR:  42710: /);
}

# Interrupted while the answer is awaited
foreach my $function ('pg_cancel_backend', 'pg_terminate_backend')
{
	my $other = AepTest::open_session($node);
	my $pid   = AepTest::run_sql($other, 'SELECT pg_backend_pid()');
	my $role  = $function =~ s/^pg_//r;

	AepTest::begin_sql($other,
		"CALL aep.create_ingest_role('$role', '{shop}', name => 'fault:stall=before_headers $role')"
	);
	ok( AepTest::wait_until(
			sub { scalar $fake->requests_named("fault:stall=before_headers $role") }),
		"$function: the request came");
	my ($awaited) = $fake->requests_named("fault:stall=before_headers $role");
	push @passwords, $awaited->{body}{auth}{params}{password};

	# what others see of a session that has the password at this moment
	my $activity = query("SELECT * FROM pg_stat_activity WHERE pid = $pid");
	like($activity, qr/CALL aep\.create_ingest_role/, "$function: pg_stat_activity shows the call");
	unlike($activity, qr/\Q$passwords[-1]\E/, "$function: without the password");
	is(login("${role}_a", $passwords[-1])->{out},
		1, "$function: the login works while the platform is told");

	query("SELECT $function($pid)");
	if ($function eq 'pg_cancel_backend')
	{
		AepTest::end_sql($other);
		like($other->{err}, qr/ERROR:  57014: /, "$function: the error");
		$seen .= $other->{err};
		AepTest::close_session($other);
	}
	else
	{
		$other->{harness}->finish;
	}
	$node->poll_query_until('postgres',
		"SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid AND state = 'active'");
	is(query("SELECT step FROM aep.ingest_role_status() WHERE role_name = '$role'"),
		'unknown', "$function: the state");
	is(login("${role}_a", $passwords[-1])->{out}, 1, "$function: the login stays");
}

# What shows before any role is made

query('CREATE ROLE taken; CREATE ROLE mine_a');
leaves_nothing(
	'a wrong credential',
	"CALL aep.create_ingest_role('early', '{shop}', server => 'unauthorized')",
	qr/ERROR:  28000: could not fetch an access token/, 1);
leaves_nothing(
	'an incomplete server',
	"CALL aep.create_ingest_role('early', server => 'incomplete')",
	qr/ERROR:  HV00J: /);
unlike(slurp_file($node->logfile), qr/CREATE ROLE early/, 'no role was made for a moment')
  if $watches{pgaudit};

my %refused = (
	'an existing role'     => [ "'taken'", qr/ERROR:  42710: role "taken" already exists/ ],
	"somebody else's role" => [
		"'mine', '{shop}'",
		qr/ERROR:  42710: role "mine_a" already exists\nDETAIL:  It is not a member of "mine"/ ],
	'a missing table'      => [ "'early', tables => '{shop.nothing}'", qr/ERROR:  42P01: / ],
	'a table that is gone' => [
		"'early', tables => '{999999}'",
		qr/ERROR:  22023: invalid value for argument "tables"\nDETAIL:  It holds a table that does not exist/
	],
	'a missing schema' => [
		"'early', schemas => '{shop,nowhere}'", qr/ERROR:  3F000: schema "nowhere" does not exist/
	],
	'a missing server' => [ "'early', server => 'nowhere'", qr/ERROR:  42704: / ],
	'a long name'     => [ "'" . 'x' x 62 . "'", qr/ERROR:  42622: role name "x{62}" is too long/ ],
	'a reserved name' => [ "'pg_reader'",        qr/ERROR:  42939: / ],
	'no name'         => [ 'NULL', qr/ERROR:  22004: argument "role_name" must not be null/ ],
	'an empty name'   => [ "''",   qr/ERROR:  22023: invalid value for argument "role_name"/ ],
	'no server'       => [ "'early', server => NULL", qr/ERROR:  22004: argument "server"/ ],
	'no authentication' =>
	  [ "'early', auth_type => NULL", qr/ERROR:  22004: argument "auth_type"/ ],
	'a bad SSL mode' => [
		"'early', ssl_mode => 'Sometimes'",
		qr/ERROR:  22023: invalid value for argument "ssl_mode"/ ],
	'a name that no connection string can hold' => [
		"'ear;ly', auth_type => 'connection_string'",
		qr/ERROR:  22023: invalid value for argument "username"/ ],
	'a bad limit' => [
		"'early', connection_limit => -2",
		qr/ERROR:  22023: invalid value for argument "connection_limit"/ ],
	'a schema NULL' => [
		"'early', schemas => '{shop,NULL}'",
		qr/ERROR:  22023: invalid value for argument "schemas"\nDETAIL:  Its elements must not be null/
	],
	'a table NULL' => [
		"'early', tables => '{shop.orders,NULL}'",
		qr/ERROR:  22023: invalid value for argument "tables"\nDETAIL:  Its elements must not be null/
	]);
leaves_nothing($_, "CALL aep.create_ingest_role($refused{$_}[0])", $refused{$_}[1])
  foreach (sort keys %refused);
my $longest = 'y' x 61;
create("'$longest'");
is(login("${longest}_a", $passwords[-1])->{out}, 1, 'the longest name');

# Where it cannot commit

my $call = "CALL aep.create_ingest_role('early', '{shop}')";
my $in_block =
  qr/ERROR:  25001: aep\.create_ingest_role cannot be called inside a transaction block/;
my $body =
  "DECLARE i uuid; e text; BEGIN CALL aep.create_ingest_role('early', '{shop}', id => i, etag => e)";
query("CREATE FUNCTION calls() RETURNS void LANGUAGE plpgsql AS \$\$ $body; END \$\$");
leaves_nothing('a transaction block', "BEGIN; $call; ROLLBACK", $in_block);
leaves_nothing('a function',          'SELECT calls()',         $in_block);
leaves_nothing('a block with EXCEPTION',
	"DO \$\$ BEGIN $body; EXCEPTION WHEN no_data_found THEN NULL; END; END \$\$", $in_block);
leaves_nothing('statements that are sent together', "SELECT 1 \\; $call", $in_block);
run("DO \$\$ $body; END \$\$" =~ s/early/from_do/r);
is(login('from_do_a', $passwords[-1], 'SELECT id FROM shop.orders')->{out}, 1, 'a DO block');

# Callers that are no superusers

my %role_session = map { $_ => AepTest::open_session($node) } ('dba', 'plain');
AepTest::run_sql($role_session{$_}, "SET SESSION AUTHORIZATION $_") foreach (keys %role_session);

my $owned = create("'owned', '{own}', name => 'Owned'", $role_session{dba});
is(login('owned_a', $passwords[-1], 'SELECT id FROM own.things')->{out},
	6, 'CREATEROLE and ownership do');
is(query("SELECT nspacl::text ~ 'owned=U/dba' FROM pg_namespace WHERE nspname = 'own'"),
	't', 'it granted as itself');
is( run("SELECT connection_id, step FROM aep.ingest_role_status() WHERE role_name = 'owned'",
		$role_session{dba})->{out},
	"$owned|active",
	'it sees the status');
my %privilege = (
	'a table that it may not grant' => [
		"'early', tables => '{own.things,shop.orders}'",
		qr/ERROR:  42501: (could not grant|permission denied for) / ],
	'a schema that it may not grant' =>
	  [ "'early', '{own,shop}'", qr/ERROR:  42501: (could not grant|permission denied for) / ]);
leaves_nothing($_, "CALL aep.create_ingest_role($privilege{$_}[0])",
	$privilege{$_}[1], 0, $role_session{dba})
  foreach (sort keys %privilege);

# privileges that it has, but may not hand on: GRANT only warns
query('GRANT USAGE ON SCHEMA shop TO dba; GRANT SELECT ON shop.orders, shop.recent TO dba');
leaves_nothing(
	'USAGE without the right to grant',
	"CALL aep.create_ingest_role('early', tables => '{shop.orders}')",
	qr/ERROR:  42501: could not grant USAGE on schema "shop"\nHINT:  Call it as the owner/,
	0,
	$role_session{dba});
query('GRANT USAGE ON SCHEMA shop TO dba WITH GRANT OPTION');
leaves_nothing(
	'SELECT without the right to grant',
	"CALL aep.create_ingest_role('early', tables => '{shop.orders}')",
	qr/ERROR:  42501: could not grant SELECT on table "orders"/,
	0, $role_session{dba});
query(
	'GRANT SELECT ON ALL TABLES IN SCHEMA shop TO dba WITH GRANT OPTION; REVOKE GRANT OPTION FOR SELECT ON shop.parts FROM dba'
);
leaves_nothing(
	'one table of a schema',
	"CALL aep.create_ingest_role('early', schemas => '{shop}')",
	qr/ERROR:  42501: could not grant SELECT on table "parts"/,
	0, $role_session{dba});
query('REVOKE GRANT OPTION FOR CONNECT ON DATABASE postgres FROM dba CASCADE');
leaves_nothing(
	'CONNECT without the right to grant',
	"CALL aep.create_ingest_role('early', '{own}')",
	qr/ERROR:  42501: could not grant CONNECT on database "postgres"/,
	0, $role_session{dba});
query(
	'GRANT CONNECT ON DATABASE postgres TO dba WITH GRANT OPTION; GRANT CONNECT ON DATABASE postgres TO owned'
);
query('REVOKE ALL ON ALL TABLES IN SCHEMA shop FROM dba; REVOKE ALL ON SCHEMA shop FROM dba');

leaves_nothing(
	'without CREATEROLE',
	"CALL aep.create_ingest_role('early')",
	qr/ERROR:  42501: permission denied to create role/,
	0, $role_session{plain});
leaves_nothing(
	'a superuser as such a role',
	"SET ROLE plain; CALL aep.create_ingest_role('early'); RESET ROLE",
	qr/ERROR:  42501: permission denied to create role/);
is(run('SELECT count(*) FROM aep.ingest_role_status()', $role_session{plain})->{out},
	0, 'without CREATEROLE no status');
foreach my $role ('dba', 'plain')
{
	like(
		run('SELECT * FROM aep.ingest_role', $role_session{$role})->{err},
		qr/ERROR:  42501: permission denied for table ingest_role/,
		"$role cannot read the table");
	like(
		run("UPDATE aep.ingest_role SET active_login = 'postgres'", $role_session{$role})->{err},
		qr/ERROR:  42501: /,
		"$role cannot write it");
}
query('REVOKE EXECUTE ON ALL ROUTINES IN SCHEMA aep FROM plain');
foreach my $sql (
	"CALL aep.create_ingest_role('early')",
	"CALL aep.rotate_credentials('$id')",
	'SELECT * FROM aep.ingest_role_status()',
	"SELECT * FROM aep.check_ingest_role('$id')")
{
	like(
		run($sql, $role_session{plain})->{err},
		qr/ERROR:  42501: permission denied for /,
		"not for everybody: $sql");
}

# a check by one who may not see pg_hba_file_rules
my $grant = (findings($owned, $role_session{dba}))[0];
like(
	$grant->[0],
	qr/^could not be checked: pg_catalog\.pg_hba_file_rules\(\)$/,
	'pg_hba_file_rules: the finding');
like($grant->[1], qr/^GRANT .*pg_hba_file_rules.* TO dba$/, 'pg_hba_file_rules: the remedy');
is(run($grant->[1])->{err}, '', 'pg_hba_file_rules: the remedy can be executed');
is_deeply([ findings($owned, $role_session{dba}) ], [], 'pg_hba_file_rules: then it is checked');
set_hba();
finds(
	$owned,
	qr/^pg_hba\.conf has no line that lets owned_a in/,
	qr/pg_hba\.conf: host postgres \+owned 0\.0\.0\.0\/0 scram-sha-256$/,
	'pg_hba_file_rules: what is found by one who may not know where the file is',
	$role_session{dba});
set_hba('host all all 0.0.0.0/0 scram-sha-256', 'host all all nonsense');
finds(
	$owned,
	qr/^line \d+ of pg_hba\.conf is wrong/,
	qr/pg_hba\.conf: mend line \d+$/,
	'pg_hba_file_rules: nor a wrong line',
	$role_session{dba});
set_hba('host all all 0.0.0.0/0 scram-sha-256');

# a check by one who may not use the schema of what was granted
query(<<'SQL');
GRANT USAGE ON SCHEMA office TO dba WITH GRANT OPTION;
GRANT SELECT ON office.shown TO dba WITH GRANT OPTION;
SQL
my $shut = create("'shut', tables => '{office.shown}'", $role_session{dba});
query(<<'SQL');
REVOKE ALL ON SCHEMA office FROM dba CASCADE;
REVOKE ALL ON office.shown FROM dba CASCADE;
GRANT USAGE ON SCHEMA office TO shut;
SQL
like(
	run("SELECT 'office.shown'::regclass", $role_session{dba})->{err},
	qr/ERROR:  42501: permission denied for schema office/,
	'dba may not use the schema');
finds(
	$shut,
	qr/^login shut_a may not read office\.shown$/,
	qr/^GRANT SELECT ON TABLE office\.shown TO shut$/,
	'a schema that the caller may not use',
	$role_session{dba});

# A search path of the caller's, with things that look like the system's

query('CREATE SCHEMA evil; GRANT ALL ON SCHEMA evil TO PUBLIC');
my @evil = map {
	my ($left, $right) = @$_;
	"CREATE FUNCTION evil.hijack($left, $right) RETURNS pg_catalog.bool LANGUAGE plpgsql AS "
	  . "'BEGIN RAISE WARNING \$\$hijacked\$\$; RETURN false; END'; "
	  . "CREATE OPERATOR evil.= (LEFTARG = $left, RIGHTARG = $right, FUNCTION = evil.hijack)"
} map {
	[ map { "pg_catalog.$_" } @$_ ]
} ( [qw(name name)], [qw(text text)], [qw(name text)], [qw(uuid uuid)],
	[qw(oid oid)],   [ '"char"', '"char"' ]);
foreach my $function (
	'count(VARIADIC "any")',              'has_table_privilege(oid, oid, text)',
	'has_function_privilege(text, text)', 'current_setting(text)',
	'to_regrole(text)',                   'quote_ident(text)')
{
	next if $function =~ /any/;
	push @evil, "CREATE FUNCTION evil.$function RETURNS pg_catalog.text LANGUAGE plpgsql AS "
	  . "'BEGIN RAISE WARNING \$\$hijacked\$\$; RETURN NULL; END'";
}
push @evil, "CREATE VIEW evil.pg_roles AS SELECT 'hijacked' AS rolname",
  'CREATE VIEW evil.pg_class AS SELECT 1 AS oid',
  'CREATE VIEW evil.pg_stat_activity AS SELECT 1 AS usename',
  map { "CREATE DOMAIN evil.$_ AS pg_catalog.int4 CHECK (false)" }
  qw(text name uuid timestamptz integer boolean);
my $made = run(join('; ', @evil));
is($made->{err}, '', 'there is another "="');
foreach my $who ('postgres', 'dba')
{
	my $other = AepTest::open_session($node);

	AepTest::run_sql($other, "SET SESSION AUTHORIZATION $who; SET search_path = evil, pg_catalog");
	like(run("SELECT 'a'::pg_catalog.text = 'a'::pg_catalog.text", $other)->{err},
		qr/hijacked/, "$who: it would be used");
	my $result = run(
		"CALL aep.create_ingest_role('${who}_path', '{own}', '{own.things}', default_privileges => true)",
		$other);
	is($result->{err}, '', "$who: the search path changes nothing for aep.create_ingest_role");
	is(login("${who}_path_a", $passwords[-1], 'SELECT id FROM own.things')->{out},
		6, "$who: the login reads");
	my ($path_id) = $result->{out} =~ /^([^|]+)/;
	$result = run(
		"SELECT count(*) FROM aep.ingest_role_status(); SELECT count(*) FROM aep.check_ingest_role('$path_id')",
		$other);
	like($result->{out}, qr/^[1-9]\d*\n0$/, "$who: nor for status and check");
	is($result->{err}, '', "$who: without a warning");
	leaves_nothing(
		"$who: a refusal",
		"CALL aep.create_ingest_role('early', '{own}', default_privileges => true, name => 'fault:status=400')",
		qr/^ERROR:  22023: /,
		1,
		$other);
	$result = run("CALL aep.rotate_credentials('$path_id')", $other);
	is($result->{err}, '', "$who: nor for aep.rotate_credentials");
	my $told = AepTest::told_login($fake, $path_id);
	push @passwords, $told->{password};
	is($told->{username}, "${who}_path_b", "$who: it rotated");
	is(login($told->{username}, $told->{password}, 'SELECT id FROM own.things')->{out},
		6, "$who: the new login reads");
	AepTest::close_session($other);
}

# What a dump has

my ($dump) = run_command([ 'pg_dump', '-d', $node->connstr('postgres') ]);
like(
	$dump,
	qr/^COPY aep\.ingest_role \(.*^reader\taep\t$id\tReader\t.*?^\\\.$/ms,
	'pg_dump has the state');
is_deeply([ grep { $dump =~ /\Q$_\E/ } @passwords ], [], 'pg_dump has no password');
unlike($dump, qr/SCRAM-SHA-256/, 'nor a verifier');
query('CREATE DATABASE restored');
my $errors = '';
$node->psql('restored', $dump, stderr => \$errors, on_error_stop => 0);
is( $node->safe_psql('restored', 'TABLE aep.ingest_role ORDER BY role_name'),
	query('TABLE aep.ingest_role ORDER BY role_name'),
	'a restored database has the same state') or diag($errors);
query('DROP DATABASE restored');

# No string in the memory of a session that goes on is the password.  As part of
# a body it may be left: libcurl does not wipe its copy of what it sent.

sub hits_in_memory
{
	my ($pid, $text) = @_;
	my $hits = 0;

	open(my $map,    '<',     "/proc/$pid/maps") or die "maps: $!";
	open(my $memory, '<:raw', "/proc/$pid/mem")  or return undef;
	while (my $line = <$map>)
	{
		# all that is private and can be written
		my ($start, $end) = map { hex } $line =~ /^([0-9a-f]+)-([0-9a-f]+) rw.p/ or next;
		my $content = '';
		sysseek($memory, $start, 0);
		while (length($content) < $end - $start)
		{
			sysread($memory, $content, $end - $start - length($content), length($content)) or last;
		}
		$hits++ while $content =~ /(?<!["=])\Q$text\E\0/g;
	}
	return $hits;
}
my $latin1 = AepTest::create_database($node, 'LATIN1');
AepTest::create_server($node, $fake, dbname => $latin1);
foreach my $dbname ('postgres', $latin1)
{
	foreach my $auth_type ('basic', 'connection_string')
	{
		my $other = AepTest::open_session($node, $dbname);
		my $pid   = AepTest::run_sql($other, 'SELECT pg_backend_pid()');
		my ($of) =
		  AepTest::run_sql($other,
			"CALL aep.create_ingest_role('${dbname}_$auth_type', auth_type => '$auth_type')") =~
		  /^([^|]+)/;

		foreach my $what ('the first password', 'the next one')
		{
			AepTest::run_sql($other, "CALL aep.rotate_credentials('$of')")
			  if $what ne 'the first password';
			push @passwords, AepTest::told_login($fake, $of)->{password};
			my $hits = hits_in_memory($pid, $passwords[-1]);
		  SKIP:
			{
				skip 'the memory of another process cannot be read', 1 unless defined $hits;
				is($hits, 0, "$dbname, $auth_type: $what is not left in memory");
			}
		}
		if ($dbname eq 'postgres' && $auth_type eq 'basic')
		{
			AepTest::run_sql($other, "SET application_name = '$of'");
			my $hits = hits_in_memory($pid, $of);
			cmp_ok($hits // 1, '>', 0, 'the memory was searched');
		}
		AepTest::close_session($other);
	}
}

# The server's own settings, which take restarts

$session->{in} .= "\\q\n";
$session->{harness}->finish;
AepTest::close_session($_) foreach (values %role_session);
$node->append_conf('postgresql.conf', "listen_addresses = ' localhost , 127.0.0.1,::1'");
$node->restart;
$session = AepTest::open_session($node);
my $remedy = finds(
	$id,
	qr/^listen_addresses is ' localhost , 127\.0\.0\.1,::1': the server accepts no connection from outside$/,
	qr/^ALTER SYSTEM SET listen_addresses = '\*'; then restart the server$/,
	'listen_addresses');
$remedy =~ s/; then restart the server$//;
is(run($remedy)->{err}, '', 'listen_addresses: the remedy can be executed');
is( query(
		"SELECT name, setting FROM pg_file_settings WHERE name = 'listen_addresses' AND sourcefile ~ 'auto.conf'"
	),
	'listen_addresses|*',
	'listen_addresses: it is set');
query('ALTER SYSTEM RESET listen_addresses');

# too few connections: all that are not reserved are in use
$node->append_conf('postgresql.conf',
	"listen_addresses = '127.0.0.1,192.0.2.1'\nmax_connections = 12\nsuperuser_reserved_connections = 10\nmax_wal_senders = 0"
);
AepTest::close_session($session);
$node->restart;
$session = AepTest::open_session($node);
finds_nothing($id, 'one connection of two');
my $other = AepTest::open_session($node);
AepTest::run_sql($other, 'SELECT 1');
finds(
	$id,
	qr/^the server uses all 12 connections that are not reserved$/,
	qr/^ALTER SYSTEM SET max_connections = /,
	'max_connections');
AepTest::close_session($other);

# one who does not see what kind others' sessions are
$other = AepTest::open_session($node, undef, $node->connstr('postgres') . ' user=dba');
is( run('SELECT count(backend_type) FROM pg_stat_activity WHERE pid <> pg_backend_pid()', $other)
	  ->{out},
	0,
	'max_connections: what is hidden');
finds(
	$owned,
	qr/^the server uses all 12 connections that are not reserved$/,
	qr/^ALTER SYSTEM SET max_connections = /,
	"max_connections: among others' sessions",
	$other);
AepTest::close_session($session);
my $sessions = 'SELECT count(*) FROM pg_stat_activity WHERE datid IS NOT NULL';
ok(AepTest::wait_until(sub { AepTest::run_sql($other, $sessions) == 1 }),
	'max_connections: one connection of two');
is_deeply([ findings($owned, $other) ],
	[], "max_connections: nothing is found any more among others' sessions");
AepTest::close_session($other);
$session = AepTest::open_session($node);

# SSL
my $required = create("'with_ssl', '{shop}', ssl_mode => 'Require'");
finds(
	$required,
	qr/^ssl is off, and the connection asks for SSL mode Require$/,
	qr/^ALTER SYSTEM SET ssl = on; with a certificate, then reload$/, 'ssl');
my $data = $node->data_dir;
run_command(
	[   'openssl',  'req',              '-x509', '-newkey',
		'rsa:2048', '-nodes',           '-subj', '/CN=localhost',
		'-keyout',  "$data/server.key", '-out',  "$data/server.crt",
		'-days',    '2',                '-batch' ]);
query('ALTER SYSTEM SET ssl = on');
set_hba('hostssl all all 0.0.0.0/0 scram-sha-256');
AepTest::close_session($session);
$session = AepTest::open_session($node);
finds_nothing($required, 'ssl is on, and hostssl counts');

# which lines count depends on the SSL mode
my %connection = (
	Require       => $required,
	'Verify Full' => create("'verified', '{shop}', ssl_mode => 'Verify Full'"),
	Disable       => create("'plaintext', '{shop}', ssl_mode => 'Disable'"),
	Allow         => create("'either', '{shop}', ssl_mode => 'Allow'"));
my %lets_in = (
	host      => [ 'Require', 'Verify Full', 'Disable', 'Allow' ],
	hostssl   => [ 'Require', 'Verify Full', 'Allow' ],
	hostnossl => [ 'Disable', 'Allow' ]);
foreach my $type (sort keys %lets_in)
{
	my %lets = map { $_ => 1 } @{ $lets_in{$type} };

	foreach my $mode (sort keys %connection)
	{
		my ($how, $mends) =
		  $mode eq 'Disable' ? (' and without SSL', 'host') : (' and SSL', 'hostssl');

		set_hba("$type all all 0.0.0.0/0 scram-sha-256");
		finds_nothing($connection{$mode}, "$type and $mode") if $lets{$mode};
		finds($connection{$mode}, qr/^pg_hba\.conf has no line .* with a password$how$/,
			qr/pg_hba\.conf: $mends postgres /, "$type and $mode")
		  if !$lets{$mode};

		# the same with a line that rejects
		set_hba("$type all all all reject", 'host all all all md5');
		my $closes = $type eq 'host' || ($lets{$mode} && $mode ne 'Allow');
		finds($connection{$mode}, qr/^line \d+ of pg_hba\.conf rejects /,
			qr/./, "$type that rejects and $mode")
		  if $closes;
		finds_nothing($connection{$mode}, "$type that rejects and $mode") if !$closes;
	}
}
set_hba();
finds(
	$required,
	qr/^pg_hba\.conf has no line/,
	qr/: hostssl postgres \+with_ssl 0\.0\.0\.0\/0 scram-sha-256$/,
	'with ssl on');

# A login that is gone: the other one takes its place
set_hba('host all all 0.0.0.0/0 scram-sha-256');
query('DROP ROLE with_ssl_a');
finds(
	$required,
	qr/^login with_ssl_a does not exist$/,
	qr/^CALL aep\.rotate_credentials\(/,
	'a login that is gone');
is(run("CALL aep.rotate_credentials('$required')")->{err},
	'', 'rotation replaces a login that is gone');
finds_nothing($required, 'the login was replaced');
AepTest::close_session($session);

# Nothing that can be read holds a password

push @passwords, map { $_->{body}[0]{value}{password} // () } $fake->requests_of_kind('PATCH');
cmp_ok(scalar(@passwords), '>', 15, 'there were many passwords');
my $statements =
  !$watches{pg_stat_statements}
  ? undef
  : $node->safe_psql('postgres', 'SELECT query FROM pg_stat_statements');
my $log = slurp_file($node->logfile, $log_of_setup);
like($log, qr/CALL aep\.create_ingest_role/, 'the log has the calls');

SKIP:
{
	skip 'no pg_stat_statements', 1 unless defined $statements;
	like(
		$statements,
		qr/CREATE ROLE reader_a LOGIN/,
		'pg_stat_statements has the statements inside');
}
SKIP:
{
	skip 'no pgaudit', 1 unless $watches{pgaudit};
	like($log, qr/AUDIT: .*CREATE ROLE reader_a LOGIN/, 'so has the audit log');
}
$node->stop('fast');

# The files of the database, its journal included
my %file;
open(my $find, '-|', 'find', $data, '-type', 'f') or die "find: $!";
while (my $path = <$find>)
{
	chomp $path;
	$file{$path} = slurp_file($path);
}
close $find;
my $any = join '|', map { quotemeta } @passwords;
unlike($log,              qr/$any/, 'no password is in the log');
unlike($statements // '', qr/$any/, 'nor in pg_stat_statements');
unlike($seen,             qr/$any/, 'nor was one shown');
is_deeply([ grep { $file{$_} =~ /$any/ } sort keys %file ], [], 'nor is one in a file');
cmp_ok(scalar(grep { /reader_a/ } values %file), '>', 1, 'the files were searched');

done_testing();
