# Behind pgbouncer, pooling transactions: many clients share two backends.
use strict;
use warnings;

use AepTest;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($program) = grep { -x } map { "$_/pgbouncer" } split(/:/, $ENV{PATH}), '/usr/sbin', '/usr/local/sbin';
if (!$program)
{
	die 'pgbouncer is not installed' if $ENV{AEP_REQUIRE_PGBOUNCER};
	plan skip_all => 'pgbouncer is not installed';
}

# Three roles with a client secret each, one with a token.
my @roles = map { "role_$_" } 1 .. 4;
my $fake = AepTest::start_fake(
	'--record-secrets',
	(map { ('--client-secret', "secret of $_") } @roles[ 0 .. 2 ]),
	'--access-token', "token-of-$roles[3]",
	'--access-token', 'demo-access-token');
my $node = AepTest::start_node('main', 'log_statement = none');
AepTest::create_server($node, $fake, token_url => $fake->url('ims'));
$node->safe_psql('postgres', <<'SQL');
CREATE ROLE app LOGIN NOINHERIT;
CREATE TABLE readable AS SELECT 1 AS id;
GRANT USAGE ON SCHEMA aep TO PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA aep TO PUBLIC;
GRANT USAGE ON FOREIGN SERVER aep TO PUBLIC;
SQL
foreach my $role (@roles)
{
	my $credential = $role eq $roles[3] ? "access_token 'token-of-$role'" : "client_secret 'secret of $role'";

	$node->safe_psql('postgres', <<"SQL");
CREATE ROLE $role;
GRANT $role TO app;
CREATE USER MAPPING FOR $role SERVER aep
    OPTIONS (api_key 'demo-api-key', $credential, username '$role', password 'password of $role');
SQL
}

# The pooler, on a Unix socket.
my $dir = PostgreSQL::Test::Utils::tempdir_short();
my $port = PostgreSQL::Test::Cluster::get_free_port();
my $pooled = "host=$dir port=$port dbname=postgres user=app";
my @superuser = split /\n/, $node->safe_psql('postgres', 'SELECT current_user');
append_to_file("$dir/users.txt", join('', map { qq{"$_" ""\n} } 'app', @superuser));
append_to_file("$dir/pgbouncer.ini", <<"INI");
[databases]
postgres = host=@{[$node->host]} port=@{[$node->port]} dbname=postgres
[pgbouncer]
listen_addr =
listen_port = $port
unix_socket_dir = $dir
auth_type = trust
auth_file = $dir/users.txt
pool_mode = transaction
default_pool_size = 2
max_client_conn = 100
server_reset_query = DISCARD ALL
server_reset_query_always = 1
INI
my $pooler = IPC::Run::start([ $program, "$dir/pgbouncer.ini" ],
	'<', \undef, '>&', "$PostgreSQL::Test::Utils::log_path/022_pgbouncer.log");

END
{
	local $?;
	$pooler->kill_kill if $pooler;
}
AepTest::wait_until(sub { -S "$dir/.s.PGSQL.$port" }) or die 'pgbouncer did not start';

sub client
{
	return AepTest::open_session($node, 'postgres', $pooled);
}

# Runs a script by many clients of the pooler at once.
sub pgbench
{
	my ($what, $script, @options) = @_;
	my $file = "$dir/script.sql";
	my $before = $fake->requests;

	unlink $file;
	append_to_file($file, $script);
	$node->command_ok([ 'pgbench', '-n', '-f', $file, '-j', 2, @options, $pooled ], $what);
	return $fake->requests($before);
}

sub token_of
{
	my ($request) = @_;

	return $request->{headers}{authorization} =~ s/^Bearer //r;
}

# Everybody as anybody, in turn: each call has the credentials of its role.
my @requests = pgbench('12 clients', <<'SQL', qw(-c 12 -t 10));
\set r random(1, 4)
BEGIN;
SELECT set_config('role', 'role_' || :r, true);
SELECT id FROM aep.create_base_connection(name => 'as role_' || :r);
COMMIT;
SQL
my @calls = grep { $_->{kind} eq 'POST' } @requests;
my @tokens = grep { $_->{kind} eq 'TOKEN' } @requests;
is(scalar(@calls), 120, 'all transactions called');
is_deeply([ grep { $_->{name} ne "as $_->{body}{auth}{params}{username}" } @calls ],
	[], 'each has the login of its role');
is_deeply(
	[ grep { $_->{body}{auth}{params}{password} ne 'password of ' . $_->{name} =~ s/^as //r } @calls ],
	[], 'and the password');
my (%tokens_of, %roles_of);
foreach my $call (@calls)
{
	my ($role) = $call->{name} =~ /^as (.*)/;
	$tokens_of{$role}{ token_of($call) } = 1;
	$roles_of{ token_of($call) }{$role} = 1;
}
is_deeply([ sort keys %tokens_of ], \@roles, 'every role had its turn');
is_deeply([ keys %{ $tokens_of{ $roles[3] } } ], ["token-of-$roles[3]"], 'the token of a mapping is used');
is_deeply([ grep { keys %$_ != 1 } values %roles_of ], [], 'no token served two roles');
my %fetched;
$fetched{ $_->{body}{client_secret} }++ foreach (@tokens);
is_deeply([ sort keys %fetched ], [ map { "secret of $_" } @roles[ 0 .. 2 ] ], 'each secret got a token');
is_deeply([ grep { $_ > 2 } values %fetched ], [], 'once for each backend at most, despite DISCARD ALL');
my %pids = map { $_ => 1 } slurp_file($node->logfile) =~ /\[(\d+)\] .*LOG:  created base connection "as /g;
is(scalar(keys %pids), 2, 'two backends served all');

# The extended protocol, and prepared statements.
@requests = pgbench('parameters, by the extended protocol', <<'SQL', qw(-M extended -c 4 -t 5));
BEGIN;
SET LOCAL ROLE role_1;
SELECT id FROM aep.create_base_connection(name => 'client ' || :client_id);
COMMIT;
SQL
is(scalar(grep { $_->{name} =~ /^client [0-3]$/ } grep { $_->{kind} eq 'POST' } @requests), 20, 'all were sent');
my ($one, $two, $three) = map { client() } 1 .. 3;
my $prepared = AepTest::watch_sql($one, $fake, <<'SQL');
BEGIN;
SET LOCAL ROLE role_2;
PREPARE p(text) AS SELECT count(id) FROM aep.create_base_connection(name => $1);
EXECUTE p('prepared 1');
EXECUTE p('prepared 2');
COMMIT
SQL
is($prepared->{out}, "1\n1", 'a prepared statement');
is_deeply(
	[ map { "$_->{name} $_->{body}{auth}{params}{username}" } grep { $_->{kind} eq 'POST' } @{ $prepared->{requests} } ],
	[ 'prepared 1 role_2', 'prepared 2 role_2' ],
	'sends for each EXECUTE');
AepTest::run_sql($two, "EXECUTE p('prepared 3')");
like($two->{err}, qr/ERROR:  26000:/, 'the next client of the backend does not have it');

# A warning reaches the client whose objects it names.
sub begin_with
{
	my ($client, $name) = @_;

	is( AepTest::run_sql($client,
			"BEGIN; SET LOCAL ROLE role_3; SELECT count(id) FROM aep.create_base_connection(name => '$name')"),
		1, "$name is created");
	return;
}

sub named
{
	my ($client) = @_;

	return [ $client->{err} =~ /^DETAIL:  \S+ \(base connection "(.*)"\)\.$/mg ];
}
begin_with($one, 'of one');
begin_with($two, 'of two');
AepTest::begin_sql($three,
	"BEGIN; SET LOCAL ROLE role_3; SELECT count(id) FROM aep.create_base_connection(name => 'of three')");
AepTest::run_sql($one, 'ROLLBACK');
is_deeply(named($one), ['of one'], 'a client is warned of its own');
is(AepTest::end_sql($three), 1, 'another gets its backend');
AepTest::run_sql($three, 'COMMIT');
is($three->{err}, '', 'and no warning');
AepTest::run_sql($two, 'ROLLBACK');
is_deeply(named($two), ['of two'], 'the other client is warned of its own too');

# A client that goes away in a transaction leaves its warning in the log.
my $log_start = -s $node->logfile;
my $leaving = client();
begin_with($leaving, 'of one who left');
AepTest::close_session($leaving);
ok( AepTest::wait_until(
		sub {
			slurp_file($node->logfile, $log_start) =~
			  /WARNING:  1 object in Experience Platform is not undone by this rollback\n.*DETAIL:  .*"of one who left"/;
		}),
	'the rollback of one who left is in the log');

# What ends a call of one client does not touch the others.
my $stall = "SELECT id FROM aep.create_base_connection(name => 'fault:stall=before_headers %s')";
AepTest::run_sql($one,
	"BEGIN; SET LOCAL ROLE role_1; SET LOCAL statement_timeout = '300ms'; " . sprintf($stall, 'timeout'));
like($one->{err}, qr/ERROR:  57014: canceling statement due to statement timeout/, 'statement_timeout');
AepTest::run_sql($one, 'ROLLBACK');
unlike($one->{err}, qr/ERROR/, 'the client goes on');
AepTest::run_sql($one, "SET statement_timeout = '1ms'");
foreach my $client ($two, $three)
{
	begin_with($client, 'after the timeout');
	AepTest::run_sql($client, 'COMMIT');
	is($client->{err}, '', 'a setting of another client has no effect');
}
AepTest::begin_sql($two, 'BEGIN; SET LOCAL ROLE role_1; ' . sprintf($stall, 'cancel'));
AepTest::wait_until(sub { $fake->requests_named('fault:stall=before_headers cancel') })
  or die 'nothing was sent';
AepTest::begin_sql($three,
	"BEGIN; SET LOCAL ROLE role_1; SELECT count(id) FROM aep.create_base_connection(name => 'fault:delay=1 beside')");
AepTest::wait_until(sub { $fake->requests_named('fault:delay=1 beside') }) or die 'nothing was sent';
$two->{harness}->signal('INT');
$two->{harness}->finish;
like($two->{err}, qr/ERROR:  57014: canceling statement due to user request/, 'a cancel request');
is(AepTest::end_sql($three), 1, 'a call beside it goes on');
AepTest::run_sql($three, 'COMMIT');
is($three->{err}, '', 'to its end');

# Setup scripts that run at once wait for each other.
@requests = pgbench('6 clients want the same connection', <<'SQL', qw(-c 6 -t 1));
BEGIN;
SET LOCAL ROLE role_1;
SELECT action FROM aep.ensure_base_connection(name => 'wanted by all');
COMMIT;
SQL
is(scalar(grep { $_->{kind} eq 'POST' } @requests), 1, 'and get one');

# Procedures that commit on their way keep their backend.
my $dba = AepTest::open_session($node, 'postgres', $pooled =~ s/user=app/user=$superuser[0]/r);
like(AepTest::run_sql($dba, q{CALL aep.create_ingest_role('ingest', tables => '{readable}', name => 'managed')}),
	qr/^[0-9a-f-]{36}\|"/, 'aep.create_ingest_role()')
  or diag $dba->{err};
my $id = AepTest::run_sql($dba, 'SELECT connection_id FROM aep.ingest_role_status()');
like(AepTest::run_sql($dba, "CALL aep.rotate_credentials('$id')"), qr/^ingest_b\|"/, 'aep.rotate_credentials()')
  or diag $dba->{err};
is( AepTest::run_sql($dba, q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'}),
	0, 'no lock is left in a backend that others get');
AepTest::close_session($_) foreach ($one, $three, $dba);

done_testing();
