# aep.rotate_credentials() has Experience Platform try the new login before it is
# told of it: whatever goes wrong there, nothing happens to the login in use, the
# connection for the trial is deleted, and the same call again ends well.
use strict;
use warnings;

use AepTest;
use Calls qw(query kinds);
use IngestRole;
use PostgreSQL::Test::Utils;
use Rotation;
use Test::More;
use Told;

my ($node, $fake, undef, $second) = Rotation::start_logging_in();
my $whole = 'GET POST TEST DELETE PATCH TEST';
my $result;

# The connections for a trial that are there.
sub trials
{
	return grep { $_->{name} =~ / \(login test / } $fake->connections;
}

# A trial that fails by a fault

# Two lines each: role, fault, server, error; then state, the requests of both
# calls, and a warning of the second.
my @failures = split /\n(?! )/, <<'FAILURES' =~ s/^#.*\n//mgr;
# the platform does not get in
no; on=TEST,result=false; aep; 08000
    active a: Ab; GET POST TEST DELETE; GET POST TEST DELETE PATCH TEST
connector; on=TEST,status=400,code=CONNECTOR-1101; aep; 08000
    active a: Ab; GET POST TEST DELETE; GET POST TEST DELETE PATCH TEST
# or cannot say
late; on=TEST,result=error; once; 58000
    active a: Ab; GET POST TEST DELETE; GET POST TEST DELETE PATCH TEST
lost; on=TEST,close=mid_headers; once; 08006
    active a: Ab; GET POST TEST DELETE; GET POST TEST DELETE PATCH TEST
garbled; on=TEST,notjson=1; aep; 08P01
    active a: Ab; GET POST TEST DELETE; GET POST TEST DELETE PATCH TEST
vague; on=TEST,body=%7b%7d; aep; 08P01
    active a: Ab; GET POST TEST DELETE; GET POST TEST DELETE PATCH TEST
# it does not get the connection for the trial
refused; on=POST,status=400; aep; 22023
    active a: Ab; GET POST; GET POST TEST DELETE PATCH TEST
forbidden; on=POST,status=403; aep; 42501
    active a: Ab; GET POST; GET POST TEST DELETE PATCH TEST
# or perhaps it does
made; on=POST,close=mid_headers,processed=1; once; 08007
    proving a -> b: AB; GET POST; LIST DELETE GET POST TEST DELETE PATCH TEST
unmade; on=POST,close=mid_headers,processed=0; once; 08007
    proving a -> b: AB; GET POST; LIST GET POST TEST DELETE PATCH TEST; warned
unread; on=POST,notjson=1; aep; 08P01
    proving a -> b: AB; GET POST; LIST DELETE GET POST TEST DELETE PATCH TEST
# it does not delete it
kept; on=DELETE,status=403,times=1; aep; 42501
    proving a -> b: AB; GET POST TEST DELETE; DELETE GET POST TEST DELETE PATCH TEST
doubtful; on=DELETE,status=504,processed=1,times=1; once; 08007
    proving a -> b: AB; GET POST TEST DELETE; DELETE GET POST TEST DELETE PATCH TEST
no_sandbox; on=DELETE,status=404,code=FLOW-2103,times=1; aep; 42704
    proving a -> b: AB; GET POST TEST DELETE; DELETE GET POST TEST DELETE PATCH TEST
both; on=TEST,result=false;on=DELETE,status=403,times=1; aep; 08000
    active a: Ab; GET POST TEST DELETE; DELETE GET POST TEST DELETE PATCH TEST
FAILURES
my %failed;
foreach my $failure (@failures)
{
	my ($role, $fault, $server, $error, $state, $kinds, $kinds_again, $warned) =
	  $failure =~ /^(\w+); (\S+); (\w+); (\w+)\n +([^;]+); ([^;]+); ([^;]+)(?:; (\w+))?$/
	  or die $failure;
	my $of = managed($role, '', $server);
	my $warning =
	  qr/^WARNING:  01000: base connection "fault:\Q$fault\E $role \(login test \w+\)" is not in Experience Platform\nDETAIL:.*\nHINT:  If it turns up later, delete it/;

	fail_trial($of, $fault);
	$result = $failed{$role} = run(rotation($of));
	like($result->{err}, qr/^ERROR:  $error: /m, "$role: the error");
	is(kinds($result), $kinds, "$role: the requests");
	is(state($of),     $state, "$role: the state");
	told_works($of, 'a', $role);
	is(query("SELECT etag FROM aep.connection('$of->{id}', '$server')"),
		$of->{etag}, "$role: the connection is untouched");
	is(query("SELECT step FROM aep.ingest_role_status() WHERE role_name = '$role'"),
		$state =~ s/ .*//r, "$role: the status");
	fail_trial($of);
	again($of, 'b', $kinds_again, $role, $warned ? $warning : undef);
	is(scalar(trials()), 0, "$role: nothing is left");
}
like(
	$failed{no}{err},
	qr/could not connect as "no_b" to database "postgres" at db1\.example\.com, port @{[$node->port]}\nHINT:  That was a test: the connection is as before.*aep\.check_ingest_role\(\).*doc\/copies\.md.*The same CALL goes on\./,
	'a trial that fails: the error');
like($failed{connector}{err}, qr/^DETAIL:  It says: "CONNECTOR-1101-400: /m, 'a trial that fails: the reason');
like(
	$failed{made}{err},
	qr/^HINT:  Only a connection to try the new login is in doubt; .*The same CALL looks for it, and goes on\./m,
	'a trial with unknown outcome: the hint');
unlike($failed{made}{err}, qr/WARNING/, 'a trial with unknown outcome: no warning beside it');

# One that is gone when it is to be deleted is no error.
my $gone = managed('gone');
fail_trial($gone, 'on=DELETE,status=404,code=FLOW-1439,processed=1');
again($gone, 'b', $whole, 'a trial that somebody else has deleted');

# Interrupted in the trial

foreach my $stall (
	[ 'POST',   'processed=1', "LIST DELETE $whole", undef ],
	[ 'POST',   'processed=0', "LIST $whole",        qr/^WARNING:  01000: base connection / ],
	[ 'TEST',   'processed=1', "DELETE $whole",      undef ],
	[ 'DELETE', 'processed=1', "DELETE $whole",      undef ],
	[ 'DELETE', 'processed=0', "DELETE $whole",      undef ])
{
	my ($kind, $processed, $kinds, $warning) = @$stall;
	my $what  = "cancelled at the $kind, $processed";
	my $of    = managed(lc("$kind$processed") =~ s/\W/_/r);
	my $other = AepTest::open_session($node);
	my $pid   = AepTest::run_sql($other, 'SELECT pg_backend_pid()');

	fail_trial($of, "on=$kind,stall=before_headers,times=1,$processed");
	ok(begin_until($other, rotation($of), $kind), "$what: it waits");
	is(state($of), 'proving a -> b: AB', "$what: the state meanwhile");
	query("SELECT pg_cancel_backend($pid)");
	AepTest::end_sql($other);
	like(
		$other->{err},
		qr/ERROR:  57014: .*\nHINT:  The same CALL goes on where this one stopped\.\n/,
		"$what: the error");
	is(state($of), 'proving a -> b: AB', "$what: the state");
	told_works($of, 'a', $what);
	fail_trial($of);
	again($of, 'b', $kinds, $what, $warning);
	is(scalar(trials()), 0, "$what: nothing is left");
	AepTest::close_session($other);
}

# It does not get in for real

sub does_not_get_in
{
	my ($of, $letter, $what) = @_;

	$result = run(rotation($of));
	like($result->{err}, qr/^ERROR:  08000: Experience Platform could not connect as "$of->{role}_$letter" to /,
		"$what: the error");
	is(kinds($result), 'GET POST TEST DELETE', "$what: the connection was not changed");
	like(state($of), qr/^active /, "$what: the state");
	return;
}
my $hba = $node->data_dir . '/pg_hba.conf';
my $lines = slurp_file($hba);

sub set_hba
{
	my ($text) = @_;
	my $loaded = query('SELECT pg_conf_load_time()');

	unlink($hba);
	$node->append_conf('pg_hba.conf', $text);
	query('SELECT pg_reload_conf()');
	$node->poll_query_until('postgres', "SELECT pg_conf_load_time() > '$loaded'") or die 'not reloaded';
	return;
}
my $real = managed('real');
again($real, 'b', $whole, 'it gets in');
set_hba("local all all trust\nhost all real_b 127.0.0.1/32 scram-sha-256\n");
does_not_get_in($real, 'a', 'pg_hba.conf lets in only the login in use');
told_works($real, 'b', 'pg_hba.conf lets in only the login in use');
set_hba($lines);
again($real, 'a', $whole, 'pg_hba.conf lets it in');
query("UPDATE aep.ingest_role SET connection_limit = 0 WHERE role_name = 'real'");
does_not_get_in($real, 'b', 'no connection for the login');
query("UPDATE aep.ingest_role SET connection_limit = 1 WHERE role_name = 'real'");
query("ALTER ROLE real_b VALID UNTIL '2020-01-01'");
again($real, 'b', $whole, 'a login that had expired');
my $port = PostgreSQL::Test::Cluster::get_free_port();
query("CALL aep.adopt_ingest_role('real', port => $port)");
does_not_get_in($real, 'a', 'a wrong address');
is(Told::login($fake, $real->{id})->{port}, $node->port, 'a wrong address: it is not told');
told_works($real, 'b', 'a wrong address');
query("CALL aep.adopt_ingest_role('real', port => @{[$node->port]})");
again($real, 'a', $whole, 'the right address');
my $string = managed('string', '', 'aep', ", auth_type => 'connection_string'");
again($string, 'b', $whole, 'with a connection string');

no_password_is_left(30);

done_testing();
