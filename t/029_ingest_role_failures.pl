# aep.create_ingest_role() fails: what may be in use stays, and nothing else.
use strict;
use warnings;

use AepTest;
use Calls qw(query kinds);
use IngestRole;
use PostgreSQL::Test::Utils;
use Relay;
use Test::More;

my ($node, $fake, $session) = IngestRole::start();
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

# These lead to a relay, where a call waits until it is let through.
my $relay = Relay->new($fake);
$relay->hold;
my %gated =
  (base_url => $relay->url($fake->url), connect_timeout => '300s', request_timeout => '300s');
AepTest::create_server($node, $fake, %gated, server => 'gated');
AepTest::create_server(
	$node, $fake, %gated,
	server        => 'gated_token',
	access_token  => undef,
	client_secret => 'demo-client-secret',
	token_url     => $relay->url($fake->url('ims')));
AepTest::create_server($node, $fake, server => 'incomplete', api_key => undef);
AepTest::create_server(
	$node, $fake,
	server       => 'refused',
	base_url     => $fake->url('refused'),
	max_attempts => 1);

# Refused for sure: all is taken back

leaves_nothing(
	'HTTP 400',
	"CALL aep.create_ingest_role('refused', '{shop}', '{office.hidden}', default_privileges => true, name => 'fault:status=400')",
	qr/ERROR:  22023: could not create base connection/,
	1);
leaves_nothing(
	'HTTP 403',
	"CALL aep.create_ingest_role('refused', '{shop}', name => 'fault:status=403')",
	qr/ERROR:  42501: /, 1);
leaves_nothing(
	'HTTP 500',
	"CALL aep.create_ingest_role('refused', '{shop}', name => 'fault:status=500')",
	qr/ERROR:  58000: /, 1);
leaves_nothing(
	'not connected',
	"CALL aep.create_ingest_role('refused', '{shop}', server => 'refused')",
	qr/ERROR:  08001: /);
leaves_nothing(
	'no second token',
	"CALL aep.create_ingest_role('refused', '{shop}', name => 'fault:status=401', server => 'no_second_token')",
	qr/ERROR:  28000: could not fetch an access token/,
	3);
my $again = create("'refused', '{shop}', name => 'Refused'");
is(login('refused_a', last_password(), 'SELECT id FROM shop.orders')->{out},
	1, 'the same again, and it works');

# The same, but what was granted on changes before the answer

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
	$relay->pass_on;
	AepTest::end_sql($other);
	AepTest::close_session($other);
	$relay->cut_off;
	$relay->hold;
	query('DROP SCHEMA IF EXISTS fleeting CASCADE');
	remember($other->{err});
	return { err => $other->{err}, requests => [ $fake->requests($requests) ] };
}

my %meanwhile = (
	'a table that is dropped' => [ "tables => '{fleeting.goods}'", 'DROP TABLE fleeting.goods' ],
	'one of two tables that is dropped' =>
	  [ "tables => '{fleeting.goods,fleeting.more}'", 'DROP TABLE fleeting.goods' ],
	'a table that is moved' =>
	  [ "tables => '{fleeting.goods}'", 'ALTER TABLE fleeting.goods SET SCHEMA office' ],
	'a table whose schema is dropped' =>
	  [ "tables => '{office.shown,fleeting.goods}'", 'DROP SCHEMA fleeting CASCADE' ],
	'a role that gets more' =>
	  [ "tables => '{fleeting.goods}'", 'GRANT USAGE ON SCHEMA office TO a_role_that_gets_more' ],
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
	'CREATE TABLE office.theirs (); ALTER TABLE office.theirs OWNER TO changing',
	'a role that gets a table');
like(
	$kept->{err},
	qr/ERROR:  22023: could not create base connection.*^HINT:  The roles "changing" and "changing_a" could not be dropped again: role "changing" owns objects in database "postgres"\. Mend that, then use CALL aep\.drop_ingest_role\('changing'\)\.$/ms,
	'a role that gets a table: the error');
is(query("SELECT step, active_login FROM aep.ingest_role WHERE role_name = 'changing'"),
	'unknown|changing_a', 'a role that gets a table: the state stays');
is(login('changing_a', last_password(), 'SELECT 1')->{out},
	1, 'a role that gets a table: so do the roles');
query("DROP TABLE office.theirs; UPDATE aep.ingest_role SET server_name = 'aep' WHERE role_name = 'changing'");
is(run("CALL aep.drop_ingest_role('changing')")->{err} =~ s/^WARNING.*//sr, '', 'a role that gets a table: the hint leads out');
my $traces = traces();
my $early  = run_meanwhile(
	"CALL aep.create_ingest_role('changing', '{shop}', '{fleeting.goods}', server => 'gated_token')",
	'DROP TABLE fleeting.goods',
	'a table that is dropped early');
like(
	$early->{err},
	qr/ERROR:  42P01: a table of argument "tables" was dropped meanwhile/,
	'a table that is dropped early: the error');
is(kinds($early), 'TOKEN', 'a table that is dropped early: the requests');
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
		qr/HINT:  The roles stay, since Experience Platform may use them: .*CALL aep\.drop_ingest_role\('$role'\) looks for the connection/,
		"$what: the hint");
	is( query(
			"SELECT connection_id IS NULL, active_login, step, rotated_at IS NULL FROM aep.ingest_role_status() WHERE role_name = '$role'"
		),
		"t|${role}_a|unknown|t",
		"$what: the state");
	is(login("${role}_a", last_password(), 'SELECT id FROM shop.orders')->{out},
		1, "$what: the login works");
	leaves_nothing("$what: again", "CALL aep.create_ingest_role('$role', '{shop}')",
		qr/ERROR:  42710: ingest role "$role" is known already\n.*\nHINT:  CALL aep\.drop_ingest_role\('$role'\)/);
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
	my $password = last_password();

	# what others see of a session that has the password at this moment
	my $activity = query("SELECT * FROM pg_stat_activity WHERE pid = $pid");
	like($activity, qr/CALL aep\.create_ingest_role/, "$function: pg_stat_activity shows the call");
	unlike($activity, qr/\Q$password\E/, "$function: without the password");
	is(login("${role}_a", $password)->{out},
		1, "$function: the login works while the platform is told");

	query("SELECT $function($pid)");
	if ($function eq 'pg_cancel_backend')
	{
		AepTest::end_sql($other);
		like($other->{err}, qr/ERROR:  57014: .*\nHINT:  If aep\.ingest_role_status\(\) shows the role with the step "unknown", CALL aep\.drop_ingest_role/,
			"$function: the error");
		remember($other->{err});
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
	is(login("${role}_a", $password)->{out}, 1, "$function: the login stays");
}

# What shows before any role is made

leaves_nothing(
	'a wrong credential',
	"CALL aep.create_ingest_role('early', '{shop}', server => 'unauthorized')",
	qr/ERROR:  28000: could not fetch an access token/, 1);
leaves_nothing(
	'an incomplete server',
	"CALL aep.create_ingest_role('early', '{shop}', server => 'incomplete')",
	qr/ERROR:  HV00J: /);
unlike(slurp_file($node->logfile), qr/CREATE ROLE early/, 'no role was made for a moment')
  if IngestRole::watches('pgaudit');

no_password_is_left(15);

done_testing();
