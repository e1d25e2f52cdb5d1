# aep.rotate_credentials() is interrupted, or called in several sessions at once.
use strict;
use warnings;

use AepTest;
use Calls qw(query kinds);
use IngestRole;
use Rotation;
use Test::More;

my ($node, undef, undef, $second) = Rotation::start();

# Interrupted, and what others see meanwhile

# What is known of a PATCH while its answer is awaited.
sub check_sent
{
	my ($of, $pid, $sent, $what) = @_;
	my $params = $sent->{body}[0]{value};

	is(query("SELECT etag FROM aep.ingest_role WHERE role_name = '$of->{role}'"),
		$of->{etag}, "$what: the etag is recorded");
	ok( can_log_in($params->{username}, $params->{password}),
		"$what: the next login works before the platform knows");
	my $activity = query("SELECT * FROM pg_stat_activity WHERE pid = $pid");
	like($activity, qr/CALL aep\.rotate_credentials/, "$what: pg_stat_activity shows the call");
	unlike($activity, qr/\Q$params->{password}\E/, "$what: without the password");
	return;
}

my %interrupt = (
	'cancelled'  => [ 'pg_cancel_backend',    qr/^ERROR:  57014: / ],
	'terminated' => [ 'pg_terminate_backend', undef ]);

# the fault, the kind that it stalls, the state, the platform's login, the next, the requests then
my @stalls = (
	[ 'on=GET,stall=before_headers,times=1', 'GET', 'active a: A', 'a', 'b', 'GET POST TEST DELETE PATCH TEST' ],
	[   'on=PATCH,stall=before_headers,processed=0,times=1',
		'PATCH', 'rotating a -> b: AB',
		'a',     'c', 'GET POST TEST DELETE PATCH TEST' ],
	[   'on=PATCH,stall=before_headers,processed=1,times=1',
		'PATCH', 'rotating a -> b: AB',
		'b',     'c', 'GET POST TEST DELETE PATCH TEST' ],
	[   'on=TEST,stall=before_headers,times=1', 'TEST',
		'rotating a -> b, told: AB',            'b',
		'b',                                    'GET TEST' ]);
foreach my $how (sort keys %interrupt)
{
	my $number = 0;

	foreach my $stall (@stalls)
	{
		my ($fault, $kind, $state, $used, $afterwards, $kinds) = @$stall;
		my $of   = managed($how . $number++, $fault);
		my $what = "$how: $fault";
		my ($function, $error) = @{ $interrupt{$how} };

		my $other = AepTest::open_session($node);
		my $pid   = AepTest::run_sql($other, 'SELECT pg_backend_pid()');
		# the first test is of the connection that tries the login
		my $sent = begin_until($other, rotation($of), $kind, $kind eq 'TEST' ? 2 : 1);
		ok($sent, "$what: it waits");
		if ($how eq 'cancelled')
		{
			# while it waits: all is committed that the next step needs
			is(state($of), $state, "$what: the state meanwhile");
			told_works($of, $used, "$what: meanwhile");
			like(
				run(rotation($of), $second)->{err},
				qr/^ERROR:  55P03: another session is working on ingest role "$of->{role}"/,
				"$what: not twice at once");
			check_sent($of, $pid, $sent, $what) if $kind eq 'PATCH';
		}
		query("SELECT $function($pid)");
		if ($error)
		{
			AepTest::end_sql($other);
			like($other->{err}, $error, "$what: the error");
		}
		else
		{
			$other->{harness}->finish;
			$node->poll_query_until('postgres',
				"SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid");
		}
		is(state($of), $state, "$what: the state");
		told_works($of, $used, $what);

		# the session that was cancelled lives on, and holds nothing
		again($of, $afterwards, $kinds, $what);
		AepTest::close_session($other) if $error;
	}
}

# While one is being rotated, another one can be, and nobody else's lock is in the way.
my $held = managed('held', 'on=TEST,stall=before_headers,times=1');
my $free = managed('free');
my $other = AepTest::open_session($node);
ok(begin_until($other, rotation($held), 'TEST', 2), 'one is held');
my $refusal = run(rotation($held));
like($refusal->{err}, qr/^ERROR:  55P03: /, 'the second call is refused');
is(kinds($refusal),             '',                          'the second call: nothing is sent');
is(state($held),                'rotating a -> b, told: AB', 'the second call: nothing is changed');
is(run(rotation($free))->{err}, '', 'another connection is rotated meanwhile');
told_works($free, 'b', 'another connection');
query(
	"SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query ~ '$held->{id}' AND pid <> pg_backend_pid()"
);
AepTest::end_sql($other);
again($held, 'b', 'GET TEST', 'the one that was held');
is(query("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), 0, 'no lock is left');

# What is known must be what is true once the lock is there: a call that began
# before another one ended does not go by what it saw then.
my $late = managed('late', 'on=PATCH,after=1,times=1,processed=0,stall=before_headers');
AepTest::close_session($other);
$other = AepTest::open_session($node);
my $pid = AepTest::run_sql($other, 'SELECT pg_backend_pid()');
AepTest::run_sql($second,
	'BEGIN; LOCK TABLE pg_catalog.pg_foreign_server IN ACCESS EXCLUSIVE MODE');
AepTest::begin_sql($other, rotation($late));
wait_for_lock($pid, 'a late call');
is(run(rotation($late))->{err}, '', 'a late call: another one comes first');
ok(begin_until($second, 'COMMIT', 'PATCH'), 'a late call: then it goes on');
AepTest::end_sql($second);
told_works($late, 'b', 'a late call');
query("SELECT pg_cancel_backend($pid)");
AepTest::end_sql($other);
told_works($late, 'b', 'a late call, cancelled');
again($late, 'c', 'GET POST TEST DELETE PATCH TEST', 'a late call');
AepTest::close_session($other);

# Nor with a snapshot that is meant to stay.
foreach my $isolation ('repeatable read', 'serializable')
{
	my $of = managed($isolation =~ s/ /_/r);

	$other = AepTest::open_session($node);
	$pid   = AepTest::run_sql($other,
		"SET default_transaction_isolation = '$isolation'; SELECT pg_backend_pid()");
	AepTest::run_sql($second,
		'BEGIN; LOCK TABLE pg_catalog.pg_foreign_server IN ACCESS EXCLUSIVE MODE');
	AepTest::begin_sql($other, rotation($of));
	wait_for_lock($pid, $isolation);
	is(run(rotation($of))->{err}, '', "$isolation: another call comes first");
	AepTest::run_sql($second, 'COMMIT');
	like(AepTest::end_sql($other), qr/^$of->{role}_a\|/, "$isolation: then it goes on")
	  or diag($other->{err});
	is(state($of), 'active a: Ab', "$isolation: the state");
	told_works($of, 'a', $isolation);
	AepTest::close_session($other);
}

no_password_is_left(15);

done_testing();
