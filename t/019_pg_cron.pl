# A rotation that pg_cron runs, in both of its ways to run a command.
use strict;
use warnings;

use AepTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Told;

my ($share) = run_command([ 'pg_config', '--sharedir' ]);
if (!-e "$share/extension/pg_cron.control")
{
	die 'pg_cron is not installed' if $ENV{AEP_REQUIRE_PG_CRON};
	plan skip_all => 'pg_cron is not installed';
}

my $fake = AepTest::start_fake('--record-secrets');
my $node = AepTest::start_login_node(
	'main',
	"shared_preload_libraries = 'pg_cron'",
	"cron.database_name = 'postgres'",
	'log_min_messages = debug1');

# It connects like a client, to the host that counts when a job is scheduled; the
# folder of the socket is known only now.
$node->append_conf('postgresql.conf', "cron.host = '" . $node->host . "'");
$node->restart;
AepTest::create_server($node, $fake);
$node->safe_psql('postgres', <<'SQL');
CREATE EXTENSION pg_cron;
CREATE SCHEMA shop;
CREATE TABLE shop.orders AS SELECT 1 AS id;
CREATE ROLE dba LOGIN CREATEROLE;
ALTER SCHEMA shop OWNER TO dba;
ALTER TABLE shop.orders OWNER TO dba;
GRANT USAGE ON SCHEMA aep, cron TO dba;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA aep TO dba;
GRANT CONNECT ON DATABASE postgres TO dba WITH GRANT OPTION;
GRANT USAGE ON FOREIGN SERVER aep TO dba;
CREATE USER MAPPING FOR dba SERVER aep OPTIONS (api_key 'demo-api-key', access_token 'demo-access-token');
SQL

# The statements of the cookbook: every Sunday, at three
my %id;
foreach my $who ('postgres', 'dba')
{
	my $out = $node->safe_psql('postgres',
		"SET SESSION AUTHORIZATION $who; CALL aep.create_ingest_role('by_$who', '{shop}')");
	($id{$who}) = $out =~ /^([0-9a-f-]{36})\|/ or die $out;
	is( $node->safe_psql(
			'postgres',
			"SET SESSION AUTHORIZATION $who; "
			  . "SELECT cron.schedule('rotate by_$who', '0 3 * * 0', \$\$CALL aep.rotate_credentials('$id{$who}')\$\$) > 0"
		),
		't',
		"$who: scheduled");
}
is( $node->safe_psql(
		'postgres', 'SELECT jobname, schedule, username, active FROM cron.job ORDER BY 1'),
	"rotate by_dba|0 3 * * 0|dba|t\nrotate by_postgres|0 3 * * 0|postgres|t",
	'the jobs');

# The same jobs, but when the server starts, which need not be waited for.
$node->safe_psql('postgres', "UPDATE cron.job SET schedule = '\@reboot'");
foreach my $workers ('off', 'on')
{
	my $after       = $workers eq 'off' ? 'b' : 'a';
	my %told_before = map { $_ => Told::login($fake, $id{$_}) } keys %id;

	$node->append_conf('postgresql.conf', "cron.use_background_workers = $workers");
	$node->safe_psql('postgres', 'TRUNCATE cron.job_run_details');
	$node->restart;
	ok( $node->poll_query_until(
			'postgres',
			"SELECT count(*) = 2 FROM cron.job_run_details WHERE status IN ('succeeded', 'failed')"
		),
		"workers $workers: the jobs ran");
	is( $node->safe_psql(
			'postgres', 'SELECT username, status FROM cron.job_run_details ORDER BY 1'),
		"dba|succeeded\npostgres|succeeded",
		"workers $workers: they succeeded"
	) or diag($node->safe_psql('postgres', 'SELECT * FROM cron.job_run_details'));
	foreach my $who ('postgres', 'dba')
	{
		my $told = Told::login($fake, $id{$who});

		is($told->{username}, "by_${who}_$after",
			"workers $workers: the login of $who is another one");
		is( AepTest::login($node, $told->{username}, $told->{password},
				'SELECT id FROM shop.orders')->{out},
			1,
			"workers $workers: it can log in");
		like(
			AepTest::login($node, $told_before{$who}{username}, $told_before{$who}{password})
			  ->{err},
			qr/password authentication failed|not permitted to log in/,
			"workers $workers: the former one cannot");
		is( $node->safe_psql(
				'postgres',
				"SELECT active_login, step FROM aep.ingest_role_status() WHERE role_name = 'by_$who'"
			),
			"by_${who}_$after|active",
			"workers $workers: the status");
	}
}

# A run that fails says why, and the next one goes on.
my $out = $node->safe_psql('postgres',
	"CALL aep.create_ingest_role('failing', '{shop}', name => 'fault:on=TEST,result=false,times=1')"
);
my ($failing) = $out =~ /^([0-9a-f-]{36})\|/ or die $out;
$node->safe_psql('postgres', # the fault is of this connection, not of one that tries the login
	"UPDATE aep.ingest_role SET connection_name = role_name");
$node->safe_psql('postgres',
	"DELETE FROM cron.job; SELECT cron.schedule('failing', '\@reboot', \$\$CALL aep.rotate_credentials('$failing')\$\$)"
);
foreach my $expected (
	[ 'failed',    qr/ERROR: +Experience Platform could not connect as "failing_b"/, 'rotating' ],
	[ 'succeeded', qr/^(CALL|1 row)$/,                                               'active' ])
{
	my ($status, $message, $step) = @$expected;

	$node->safe_psql('postgres', 'TRUNCATE cron.job_run_details');
	$node->restart;
	$node->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM cron.job_run_details WHERE status IN ('succeeded', 'failed')");
	is($node->safe_psql('postgres', 'SELECT status FROM cron.job_run_details'),
		$status, "a test fails once: $status");
	like($node->safe_psql('postgres', 'SELECT return_message FROM cron.job_run_details'),
		$message, "$status: what pg_cron keeps");
	is( $node->safe_psql(
			'postgres', "SELECT step FROM aep.ingest_role_status() WHERE role_name = 'failing'"),
		$step,
		"$status: the step");
}
my $told = Told::login($fake, $failing);
is($told->{username}, 'failing_b', 'the next run went on with the same login');
is( AepTest::login($node, $told->{username}, $told->{password}, 'SELECT id FROM shop.orders')
	  ->{out},
	1,
	'which works');

# pg_cron's records and the log have no password
my @passwords = map { $_->{body}[0]{value}{password} } $fake->requests_of_kind('PATCH');
is(scalar(@passwords), 5, 'there were passwords');
my $any = join '|', map { quotemeta } @passwords;
unlike($node->safe_psql('postgres', 'TABLE cron.job; TABLE cron.job_run_details'),
	qr/$any/, 'no password in the tables of pg_cron');
unlike(slurp_file($node->logfile), qr/$any/, 'nor in the log');

done_testing();
