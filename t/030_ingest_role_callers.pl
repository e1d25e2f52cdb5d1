# Ingest roles of callers that are no superusers, or have things in their search path
# that look like the system's.
use strict;
use warnings;

use AepTest;
use Calls qw(query);
use Findings;
use IngestRole;
use Test::More;
use Told;

my ($node, $fake) = Findings::start();

# Callers that are no superusers

my %role_session = map { $_ => AepTest::open_session($node) } ('dba', 'plain');
AepTest::run_sql($role_session{$_}, "SET SESSION AUTHORIZATION $_") foreach (keys %role_session);

my $owned = create("'owned', '{own}', name => 'Owned'", $role_session{dba});
is(login('owned_a', last_password(), 'SELECT id FROM own.things')->{out},
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
foreach my $case (
	[   'USAGE without the right to grant',
		'GRANT USAGE ON SCHEMA shop TO dba; GRANT SELECT ON shop.orders, shop.recent TO dba',
		"tables => '{shop.orders}'",
		qr/could not grant USAGE on schema "shop"\nHINT:  Call it as the owner/ ],
	[   'SELECT without the right to grant',
		'GRANT USAGE ON SCHEMA shop TO dba WITH GRANT OPTION',
		"tables => '{shop.orders}'",
		qr/could not grant SELECT on table "orders"/ ],
	[   'one table of a schema',
		'GRANT SELECT ON ALL TABLES IN SCHEMA shop TO dba WITH GRANT OPTION; '
		  . 'REVOKE GRANT OPTION FOR SELECT ON shop.parts FROM dba',
		"schemas => '{shop}'",
		qr/could not grant SELECT on table "parts"/ ],
	[   'CONNECT without the right to grant',
		'REVOKE GRANT OPTION FOR CONNECT ON DATABASE postgres FROM dba CASCADE',
		"schemas => '{own}'",
		qr/could not grant CONNECT on database "postgres"/ ])
{
	my ($what, $sql, $arguments, $error) = @$case;

	query($sql);
	leaves_nothing($what, "CALL aep.create_ingest_role('early', $arguments)",
		qr/ERROR:  42501: $error/, 0, $role_session{dba});
}
query(
	'GRANT CONNECT ON DATABASE postgres TO dba WITH GRANT OPTION; GRANT CONNECT ON DATABASE postgres TO owned'
);
query('REVOKE ALL ON ALL TABLES IN SCHEMA shop FROM dba; REVOKE ALL ON SCHEMA shop FROM dba');

leaves_nothing(
	'without CREATEROLE',
	"CALL aep.create_ingest_role('early', '{shop}')",
	qr/ERROR:  42501: permission denied to create role/,
	0, $role_session{plain});
leaves_nothing(
	'a superuser as such a role',
	"SET ROLE plain; CALL aep.create_ingest_role('early', '{shop}'); RESET ROLE",
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
	"CALL aep.rotate_credentials('$owned')",
	'SELECT * FROM aep.ingest_role_status()',
	"SELECT * FROM aep.check_ingest_role('$owned')")
{
	like(
		run($sql, $role_session{plain})->{err},
		qr/ERROR:  42501: permission denied for /,
		"not for everybody: $sql");
}

# a check by one who may not see pg_hba_file_rules
my ($grant, @more) = findings($owned, $role_session{dba});
like(
	$grant->[0],
	qr/^could not be checked: pg_catalog\.pg_hba_file_rules\(\)$/,
	'pg_hba_file_rules: the finding');
is_deeply(\@more, [], 'pg_hba_file_rules: once, though more than one check needs it');
like($grant->[1], qr/^GRANT .*pg_hba_file_rules.* TO dba$/, 'pg_hba_file_rules: the remedy');
is(run($grant->[1])->{err}, '', 'pg_hba_file_rules: the remedy can be executed');
is_deeply([ findings($owned, $role_session{dba}) ], [], 'pg_hba_file_rules: then it is checked');
set_hba();
finds(
	$owned,
	qr/^pg_hba\.conf has no line that lets owned_a in/,
	qr/pg_hba\.conf: one line for .*: host postgres \+owned <address>\/<bits> scram-sha-256$/,
	'pg_hba_file_rules: what is found by one who may not know where the file is',
	$role_session{dba});
set_hba('host all all 0.0.0.0/0 scram-sha-256', 'host all all nonsense');
finds(
	$owned,
	qr/^line \d+ of pg_hba\.conf is wrong/,
	qr/pg_hba\.conf: mend line \d+, then reload$/,
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
	is(login("${who}_path_a", last_password(), 'SELECT id FROM own.things')->{out},
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
	my $told = Told::login($fake, $path_id);
	is($told->{username}, "${who}_path_b", "$who: it rotated");
	is(login($told->{username}, $told->{password}, 'SELECT id FROM own.things')->{out},
		6, "$who: the new login reads");
	AepTest::close_session($other);
}

no_password_is_left(5);

done_testing();
