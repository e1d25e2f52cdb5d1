# aep.rotate_credentials() fails: whatever is lost or refused, the login that the
# platform uses works, and the same call again ends well.
use strict;
use warnings;

use AepTest;
use Calls qw(query kinds);
use IngestRole;
use Relay;
use Rotation;
use Test::More;
use Told;

my ($node, $fake, undef, $second) = Rotation::start();
my $relay = Relay->new($fake);
$relay->pass_on;
AepTest::create_server(
	$node, $fake,
	server       => 'relayed',
	max_attempts => 2,
	base_url     => $relay->url($fake->url));
AepTest::create_server($node, $fake, server => 'refused', max_attempts => 1);

# Failures: what the call says, what is left, and how it goes on

# Two lines each: role, fault, server, error; then state, the login that the
# platform uses, the one after the same call again, the requests of both calls.
my @failures = split /\n(?! )/, <<'FAILURES' =~ s/^#.*\n//mgr;
refused; on=PATCH,status=400,times=1; aep; 22023
    active a: Ab; a; b; GET POST TEST DELETE PATCH; GET POST TEST DELETE PATCH TEST
forbidden; on=PATCH,status=403,times=1; aep; 42501
    active a: Ab; a; b; GET POST TEST DELETE PATCH; GET POST TEST DELETE PATCH TEST
stale; on=PATCH,status=412,times=1; aep; 40001
    active a: Ab; a; b; GET POST TEST DELETE PATCH; GET POST TEST DELETE PATCH TEST
busy; on=PATCH,status=503,times=2; aep; 58000
    unknown a: AB; a; c; GET POST TEST DELETE PATCH PATCH; GET POST TEST DELETE PATCH TEST
throttled; on=PATCH,status=429,times=2; aep; 53400
    active a: Ab; a; b; GET POST TEST DELETE PATCH PATCH; GET POST TEST DELETE PATCH TEST
# the answer was lost: whether it was carried out does not matter, since it yet may be
lost_done; on=PATCH,close=mid_headers,processed=1,times=1; once; 08007
    unknown a: AB; b; c; GET POST TEST DELETE PATCH; GET POST TEST DELETE PATCH TEST
lost_undone; on=PATCH,close=mid_headers,processed=0,times=1; once; 08007
    unknown a: AB; a; c; GET POST TEST DELETE PATCH; GET POST TEST DELETE PATCH TEST
# one attempt was carried out, and the next one met its etag
lost_twice; on=PATCH,close=mid_headers,processed=1,times=1; aep; 08007
    unknown a: AB; b; c; GET POST TEST DELETE PATCH PATCH; GET POST TEST DELETE PATCH TEST
garbled; on=PATCH,notjson=1,times=1; aep; 08P01
    unknown a: AB; b; c; GET POST TEST DELETE PATCH; GET POST TEST DELETE PATCH TEST
reset; on=PATCH,reset=mid_body,times=1; once; 08007
    unknown a: AB; b; c; GET POST TEST DELETE PATCH; GET POST TEST DELETE PATCH TEST
# likewise, though the service said that it failed
overloaded; on=PATCH,status=503,processed=1,times=1; aep; 08007
    unknown a: AB; b; c; GET POST TEST DELETE PATCH PATCH; GET POST TEST DELETE PATCH TEST
# service or gateway say that it failed, but it was carried out, or not
gateway_done; on=PATCH,status=504,processed=1,times=1; once; 58000|08007
    unknown a: AB; b; c; GET POST TEST DELETE PATCH; GET POST TEST DELETE PATCH TEST
gateway_502; on=PATCH,status=502,processed=1,times=1; once; 58000|08007
    unknown a: AB; b; c; GET POST TEST DELETE PATCH; GET POST TEST DELETE PATCH TEST
gateway_undone; on=PATCH,status=504,times=1; once; 58000|08007
    unknown a: AB; a; c; GET POST TEST DELETE PATCH; GET POST TEST DELETE PATCH TEST
broken_done; on=PATCH,status=500,processed=1,times=1; aep; 58000|08007
    unknown a: AB; b; c; GET POST TEST DELETE PATCH; GET POST TEST DELETE PATCH TEST
# the test
untested; on=TEST,result=false,times=1; aep; 08000
    rotating a -> b, told: AB; b; b; GET POST TEST DELETE PATCH TEST; GET TEST
connector; on=TEST,status=400,code=CONNECTOR-1101,message=login%20refused,times=1; aep; 08000
    rotating a -> b, told: AB; b; b; GET POST TEST DELETE PATCH TEST; GET TEST
not_asked; on=TEST,result=error,times=1; once; 58000
    rotating a -> b, told: AB; b; b; GET POST TEST DELETE PATCH TEST; GET TEST
test_lost; on=TEST,close=mid_headers,times=1; once; 08006
    rotating a -> b, told: AB; b; b; GET POST TEST DELETE PATCH TEST; GET TEST
# the first GET
unread; on=GET,status=404,times=1; aep; 42704
    active a: A; a; b; GET; GET POST TEST DELETE PATCH TEST
no_etag; on=GET,noetag=1,times=1; aep; 08P01
    active a: A; a; b; GET; GET POST TEST DELETE PATCH TEST
FAILURES
my ($result, %failed);
foreach my $failure (@failures)
{
	my ($role, $fault, $server, $error, $state, $used, $afterwards, $kinds, $kinds_again) =
	  split /(?:;|\n) */, $failure;
	my $of = managed($role, $fault, $server);

	$result = $failed{$role} = run(rotation($of));
	like($result->{err}, qr/^ERROR:  (?:$error): /, "$role: the error");
	like(kinds($result), qr/^$kinds$/,              "$role: the requests");
	is(state($of), $state, "$role: the state");
	told_works($of, $used, $role);
	like($state, qr/\U$used/, "$role: it is told right here");
	my ($step) = $state =~ /^(\w+)/;
	is(query("SELECT step FROM aep.ingest_role_status() WHERE role_name = '$role'"),
		$step, "$role: the status");
	again($of, $afterwards, $kinds_again, $role);
}
like(
	$failed{lost_done}{err},
	qr/HINT:  Both logins keep working\. The same CALL goes on\./,
	'an unknown outcome: the hint');
like(
	$failed{untested}{err},
	qr/could not connect as "untested_b"\nHINT:  .*aep\.check_ingest_role\(\)/,
	'a failed test: what to do');
like(
	$failed{connector}{err},
	qr/could not connect as "connector_b"\nDETAIL:  .*CONNECTOR-1101-400: login refused/,
	'a failed test: the reason');

# Two losses in a row: still nothing that may be in use is touched.
my $unlucky = managed('unlucky', 'on=PATCH,close=mid_headers,processed=1,times=2', 'once');
run(rotation($unlucky)) foreach (1, 2);
is(state($unlucky), 'unknown a: ABC', 'two losses: all logins stay');
told_works($unlucky, 'c', 'two losses');
again($unlucky, 'd', 'GET POST TEST DELETE PATCH TEST', 'two losses');

# A loss, then a refusal
my $refused_later = managed('refused_later', 'on=PATCH,after=1,status=400,times=1', 'once');
query(
	"UPDATE aep.ingest_role SET step = 'unknown', kept_logins = ' refused_later_b ' WHERE role_name = 'refused_later'; "
	  . "CREATE ROLE refused_later_b LOGIN PASSWORD 'x' IN ROLE refused_later");
run("SELECT aep.update_connection('$refused_later->{id}', description => 'one PATCH', etag => '$refused_later->{etag}')"
);
run(rotation($refused_later));
is(state($refused_later), 'unknown a: ABc', 'a refusal in doubt: it is still in doubt');
told_works($refused_later, 'a', 'a refusal in doubt');
again($refused_later, 'c', 'GET POST TEST DELETE PATCH TEST', 'a refusal in doubt');

# An attempt that was lost, then one with a token that is refused: that tells
# nothing of the first, and the third meets its etag.
AepTest::create_server(
	$node, $fake,
	server        => 'expiring',
	max_attempts  => 2,
	access_token  => undef,
	client_secret => 'fault:accept=6',
	token_url     => $fake->url('ims'));
my $expiring =
  managed('expiring', 'on=PATCH,close=mid_headers,processed=1,times=1', 'expiring');
$result = run(rotation($expiring));
is(kinds($result), 'GET POST TEST DELETE PATCH PATCH TOKEN PATCH', 'lost, then no token: the requests');
like($result->{err}, qr/^ERROR:  08007: .*HTTP status 412/s, 'lost, then no token: the error');
is(state($expiring), 'unknown a: AB', 'lost, then no token: the state');
told_works($expiring, 'b', 'lost, then no token');
again($expiring, 'c', 'TOKEN GET POST TEST DELETE PATCH TEST', 'lost, then no token');

# The same, and no other token is to be had
AepTest::create_server(
	$node, $fake,
	server        => 'no_second_token',
	max_attempts  => 2,
	access_token  => undef,
	client_secret => 'fault:after=1,times=1,status=400',
	token_url     => $fake->url('ims'));
my $unauthorized = managed('unauthorized', 'on=PATCH,status=401,times=1', 'no_second_token');
$result = run(rotation($unauthorized));
is(kinds($result), 'GET POST TEST DELETE PATCH TOKEN', 'no second token: the requests');
like(
	$result->{err},
	qr/^ERROR:  28000: could not fetch an access token/,
	'no second token: the error');
is(state($unauthorized), 'active a: Ab', 'no second token: the state');
told_works($unauthorized, 'a', 'no second token');
again($unauthorized, 'b', 'TOKEN GET POST TEST DELETE PATCH TEST', 'no second token');

foreach my $fault ('close=mid_headers', 'status=503')
{
	my $what = "$fault, then no second token";
	my $role = 'cut_off_' . $fault =~ s/=.*//r;

	AepTest::create_server(
		$node, $fake,
		server        => $role,
		max_attempts  => 2,
		access_token  => undef,
		client_secret => 'fault:accept=6 cut off',
		token_url     => $relay->url($fake->url('ims')));
	my $of     = managed($role, "on=PATCH,$fault,processed=1,times=1", $role);
	my $former = Told::login($fake, $of->{id});
	$relay->cut_off;
	$result = run(rotation($of));
	$relay->pass_on;
	is(kinds($result), 'GET POST TEST DELETE PATCH PATCH', "$what: the requests");
	like(
		$result->{err},
		qr/^ERROR:  08007: .*: the outcome is unknown\nDETAIL:  .*: could not fetch an access token .*\nHINT:  Both logins keep working\./,
		"$what: the error");
	is(state($of), 'unknown a: AB', "$what: the state");
	told_works($of, 'b', $what);
	ok(can_log_in($former->{username}, $former->{password}), "$what: so does the former login");
	again($of, 'c', 'TOKEN GET POST TEST DELETE PATCH TEST', $what);
}

# An SSL mode that somebody has set there since is kept, and noted.
my $stricter = managed('stricter');
query(  "SELECT status FROM aep.request('PATCH', '/flowservice/connections/$stricter->{id}', "
	  . q(body => '[{"op": "replace", "path": "/auth/params/sslMode", "value": "Require"}]', )
	  . "headers => jsonb_build_object('If-Match', \$\$$stricter->{etag}\$\$))");
$result = run(rotation($stricter));
like($result->{out}, qr/^stricter_b\|/, 'another SSL mode: rotated') or diag $result->{err};
is(query("SELECT entity #>> '{auth,params,sslMode}' FROM aep.connection('$stricter->{id}')"), 'Require', 'another SSL mode: kept');
is($node->safe_psql('postgres', "SELECT ssl_mode FROM aep.ingest_role WHERE role_name = 'stricter'"), 'Require', 'another SSL mode: noted');

# Another address than the one that is known here is not undone.
my %moved = (
	server   => [ 'host',     'db2.example.com' ],
	port     => [ 'port',     '6543' ],
	database => [ 'database', 'elsewhere' ]);
foreach my $param (sort keys %moved)
{
	my ($argument, $value) = @{ $moved{$param} };
	my $what = "another $param";
	my $of   = managed("moved_$param");

	query(  "SELECT status FROM aep.request('PATCH', '/flowservice/connections/$of->{id}', "
		  . qq(body => '[{"op": "replace", "path": "/auth/params/$param", "value": "$value"}]', )
		  . "headers => jsonb_build_object('If-Match', \$\$$of->{etag}\$\$))");
	$result = run(rotation($of));
	like(
		$result->{err},
		qr/^ERROR:  55000: connection $of->{id} has another address in Experience Platform\nDETAIL:  .* database "postgres" at db1\.example\.com, port @{[$node->port]}\.\nHINT:  .*CALL aep\.adopt_ingest_role\('$of->{role}', host => /,
		"$what: the error");
	is(kinds($result), 'GET',         "$what: the requests");
	is(state($of),     'active a: A', "$what: the state");
	told_works($of, 'a', $what);
	query("CALL aep.adopt_ingest_role('$of->{role}', $argument => '$value')");
	again($of, 'b', 'GET POST TEST DELETE PATCH TEST', $what);
	is(Told::login($fake, $of->{id})->{$param}, $value, "$what: it stays");
}

# The PATCH is carried out after all, before the Nth request that follows: when
# the next call begins, between its GET and its PATCH, its PATCH and its test, or
# when it is over.
foreach my $how ('close=mid_headers', 'status=504')
{
	foreach my $late (1 .. 4)
	{
		my $what = "$how, late before request $late";
		my $of   = managed("late_${late}_" . ($how =~ /^(\w+)/)[0],
			"on=PATCH,$how,late=$late,times=1", 'once');

		like(run(rotation($of))->{err}, qr/^ERROR:  (?:08007|58000): /, "$what: the error");
		is(state($of), 'unknown a: AB', "$what: the state");
		told_works($of, 'a', "$what: before");
		if ($late == 1)
		{
			query("SELECT id FROM aep.connection('$of->{id}')");
			told_works($of, 'b', "$what: after");
			is(state($of), 'unknown a: AB', "$what: nothing is changed here");
		}
		if ($late == 2)
		{
			$result = run(rotation($of));
			like($result->{err}, qr/^ERROR:  40001: /, "$what: the next call meets it");
			is(kinds($result), 'GET POST TEST DELETE LATE PATCH', "$what: its requests");
			is(state($of),     'unknown a: ABc', "$what: its login is given up");
			told_works($of, 'b', "$what: after");
		}
		again($of, 'c', $late == 3 ? 'GET POST TEST DELETE PATCH LATE TEST' : 'GET POST TEST DELETE PATCH TEST', $what);
		query("SELECT id FROM aep.connection('$of->{id}')") if $late == 4;
		is(scalar(grep { $_->{kind} eq 'LATE' } $fake->requests_named($of->{name})),
			1, "$what: it was carried out");
		told_works($of, 'c', "$what: in the end");
		again($of, 'a', 'GET POST TEST DELETE PATCH TEST', "$what: and on");
	}
}

# The same within one call, which tries again: before its second attempt, or after it
my $retried = managed('retried', 'on=PATCH,close=mid_headers,late=1,times=1');
$result = run(rotation($retried));
is(kinds($result), 'GET POST TEST DELETE PATCH LATE PATCH', 'late before the second attempt: the requests');
like($result->{err}, qr/^ERROR:  08007: /, 'late before the second attempt: the error');
is(state($retried), 'unknown a: AB', 'late before the second attempt: the state');
told_works($retried, 'b', 'late before the second attempt');
again($retried, 'c', 'GET POST TEST DELETE PATCH TEST', 'late before the second attempt');
my $overtaken = managed('overtaken', 'on=PATCH,close=mid_headers,late=2,times=1');
again($overtaken, 'b', 'GET POST TEST DELETE PATCH PATCH LATE TEST', 'late after the second attempt');

# No network: before the GET, and between GET and PATCH
my $unreachable = managed('unreachable', '', 'refused');
query("ALTER SERVER refused OPTIONS (SET base_url '@{[$fake->url('refused')]}')");
like(run(rotation($unreachable))->{err}, qr/^ERROR:  08001: /, 'refused at the GET: the error');
is(state($unreachable), 'active a: A', 'refused at the GET: the state');
told_works($unreachable, 'a', 'refused at the GET');
query("ALTER SERVER refused OPTIONS (SET base_url '@{[$fake->url]}')");
again($unreachable, 'b', 'GET POST TEST DELETE PATCH TEST', 'refused at the GET');

my $cut   = managed('cut', '', 'relayed');
my $other = AepTest::open_session($node);
my $pid   = AepTest::run_sql($other, 'SELECT pg_backend_pid()');
AepTest::run_sql($second,
	"BEGIN; SELECT 1 FROM aep.ingest_role WHERE role_name = 'cut' FOR UPDATE");
AepTest::begin_sql($other, rotation($cut));
wait_for_lock($pid, 'refused at the PATCH');
$relay->cut_off;
AepTest::run_sql($second, 'COMMIT');
AepTest::end_sql($other);
like($other->{err}, qr/^ERROR:  08001: /, 'refused at the PATCH: the error');
is(state($cut), 'active a: Ab', 'refused at the PATCH: the state');
told_works($cut, 'a', 'refused at the PATCH');
$relay->pass_on;
again($cut, 'b', 'GET POST TEST DELETE PATCH TEST', 'refused at the PATCH');

no_password_is_left(100);

done_testing();
