# aep.rotate_credentials(): the server crashes between any two steps.
use strict;
use warnings;

use AepTest;
use Calls qw(query);
use IngestRole;
use Rotation;
use Test::More;

# Nothing is flushed to disk but what insists on it.
my ($node, $fake, $session, $second) =
  Rotation::start('synchronous_commit = off', 'wal_writer_delay = 10s');

my @crashing;    # { of, session, state, used, next, kinds, what }

# A call that is held by a fault until the crash.
sub stalled
{
	my ($what, $fault, $kind, $count, %after) = @_;
	my $role = 'crash' . @crashing;
	my $of   = managed($role, $after{trial} ? '' : $fault, $after{server});

	fail_trial($of, $fault) if $after{trial};
	query(
		"UPDATE aep.ingest_role SET step = 'unknown', kept_logins = ' ${role}_b ' WHERE role_name = '$role'; "
		  . "CREATE ROLE ${role}_b LOGIN PASSWORD 'x' IN ROLE $role")
	  if $after{in_doubt};
	my $crashing =
	  { %after, of => $of, what => "crash $what", session => AepTest::open_session($node) };
	$crashing->{pid} = AepTest::run_sql($crashing->{session}, 'SELECT pg_backend_pid()');
	push @crashing, $crashing;
	ok(begin_until($crashing->{session}, rotation($of), $kind, $count),
		"crash $what: it got so far");
	return $crashing;
}

# One that a fault delays, and that then waits for its row to write down more.
my $locker = AepTest::open_session($node);
AepTest::run_sql($locker, 'BEGIN');

sub blocked
{
	my $crashing = stalled(@_);

	AepTest::run_sql($locker,
		"SELECT 1 FROM aep.ingest_role WHERE role_name = '$crashing->{of}{role}' FOR UPDATE");
	is($locker->{err}, '', "$crashing->{what}: its row is locked");
	$crashing->{blocked} = 1;
	return;
}

my $stall = 'times=1,stall=before_headers';
my $delay = 'times=1,delay=2';
my $before_patch =
  { state => 'rotating a -> b: AB', used => 'a', next => 'c', kinds => 'GET POST TEST DELETE PATCH TEST' };
my $after_patch =
  { state => 'rotating a -> b: AB', used => 'b', next => 'c', kinds => 'GET POST TEST DELETE PATCH TEST' };
my $at_test = { state => 'rotating a -> b, told: AB', used => 'b', next => 'b', kinds => 'GET TEST' };
stalled(
	'at the first GET', "on=GET,$stall", 'GET', 1,
	state => 'active a: A',
	used  => 'a',
	next  => 'b',
	kinds => 'GET POST TEST DELETE PATCH TEST');
blocked(
	'before the first commit', "on=GET,$delay", 'GET', 1,
	state => 'active a: A',
	used  => 'a',
	next  => 'b',
	kinds => 'GET POST TEST DELETE PATCH TEST');
stalled('before the PATCH is carried out',
	"on=PATCH,$stall,processed=0", 'PATCH', 1, %$before_patch);
stalled('before a gateway lets the PATCH through',
	"on=PATCH,$stall,late=1", 'PATCH', 1, %$before_patch, kinds => 'LATE GET POST TEST DELETE PATCH TEST');
stalled('before the PATCH is answered', "on=PATCH,$stall", 'PATCH', 1, %$after_patch);
blocked('before the commit after the PATCH', "on=PATCH,$delay", 'PATCH', 1, %$after_patch);
blocked(
	'before the commit of a loss', "on=PATCH,$delay,close=mid_headers", 'PATCH', 1,
	server => 'once',
	%$after_patch);
blocked(
	'before the commit of no loss', "on=PATCH,$delay,close=mid_headers,processed=0", 'PATCH', 1,
	server => 'once',
	%$before_patch);
blocked('before the commit of a refusal', "on=PATCH,$delay,status=400", 'PATCH', 1, %$before_patch);

# the same of the connection that tries the login
my $whole = 'GET POST TEST DELETE PATCH TEST';
my $in_trial = { trial => 1, state => 'proving a -> b: AB', used => 'a', next => 'b' };
stalled('before the trial is made', "on=POST,$stall,processed=0", 'POST', 1, %$in_trial,
	kinds => "LIST $whole",
	warning => qr/^WARNING:  01000: base connection ".*" is not in Experience Platform\n/);
stalled('before the answer to the trial', "on=POST,$stall", 'POST', 1, %$in_trial,
	kinds => "LIST DELETE $whole");
blocked('before the commit of the trial', "on=POST,$delay", 'POST', 1, %$in_trial,
	kinds => "LIST DELETE $whole");
stalled('while it is tried', "on=TEST,$stall", 'TEST', 1, %$in_trial, kinds => "DELETE $whole");
stalled('before the trial is deleted',
	"on=DELETE,$stall,processed=0", 'DELETE', 1, %$in_trial, kinds => "DELETE $whole");
stalled('when the trial is deleted', "on=DELETE,$stall", 'DELETE', 1, %$in_trial, kinds => "DELETE $whole");
blocked('before the commit of the proof', "on=DELETE,$delay", 'DELETE', 1, %$in_trial,
	kinds => "DELETE $whole");
blocked('before the commit of no proof',
	"on=TEST,result=false;on=DELETE,$delay", 'DELETE', 1, %$in_trial, kinds => "DELETE $whole");
stalled('at the test', "on=TEST,$stall", 'TEST', 2, %$at_test);
blocked('before the last commit', "on=TEST,$delay", 'TEST', 2, %$at_test);
stalled(
	'with a third login', "on=PATCH,$stall", 'PATCH', 1,
	in_doubt => 1,
	state    => 'rotating a -> c: ABC',
	used     => 'c',
	next     => 'd',
	kinds    => 'GET POST TEST DELETE PATCH TEST');

# these meet the fault once more after the crash
my $twice = $stall =~ s/times=1/times=2/r;
stalled(
	'at the PATCH, twice',
	"on=PATCH,$twice",
	'PATCH', 1,
	%$after_patch,
	then => {
		kind  => 'PATCH',
		state => 'rotating a -> c: ABC',
		used  => 'c',
		next  => 'd',
		kinds => 'GET POST TEST DELETE PATCH TEST' });
stalled('before the PATCH is carried out, twice',
	"on=PATCH,$twice,processed=0", 'PATCH', 1, %$before_patch,
	then => {
		kind  => 'PATCH',
		state => 'rotating a -> c: ABC',
		used  => 'a',
		next  => 'd',
		kinds => 'GET POST TEST DELETE PATCH TEST' });
stalled('at the test, twice',
	"on=TEST,$twice", 'TEST', 2, %$at_test, then => { kind => 'TEST', %$at_test });
foreach my $crashing (grep { $_->{blocked} } @crashing)
{
	wait_for_lock($crashing->{pid}, $crashing->{what});
}

# the same for aep.create_ingest_role()
my %creating;
foreach my $processed (0, 1)
{
	my $role = "creating$processed";

	$creating{$role} = {
		name    => "fault:processed=$processed,stall=before_headers $role",
		session => AepTest::open_session($node) };
	ok( begin_until(
			$creating{$role}{session},
			"CALL aep.create_ingest_role('$role', '{shop}', name => '$creating{$role}{name}')",
			'POST'),
		"$role: the request came");
}

sub crash
{
	$node->stop('immediate');
	foreach my $lost ($session, $second, @_)
	{
		$lost->{in} .= "SELECT 1;\n";
		eval { $lost->{harness}->finish };
	}
	$node->start;
	($session, $second) = open_sessions();
	return;
}
crash($locker, map { $_->{session} } @crashing, values %creating);
foreach my $crashed (@crashing)
{
	my $of = $crashed->{of};

	is(state($of), $crashed->{state}, "$crashed->{what}: the state");
	told_works($of, $crashed->{used}, $crashed->{what});
	fail_trial($of);
	again($of, $crashed->{next}, $crashed->{kinds}, $crashed->{what}, $crashed->{warning})
	  unless $crashed->{then};
}
is(scalar(grep { $_->{name} =~ /\(login test / } $fake->connections),
	0, 'no connection that tries a login is left');
foreach my $role (sort keys %creating)
{
	my ($request) = $fake->requests_named($creating{$role}{name});
	my $params = $request->{body}{auth}{params};

	is( query(
			"SELECT step, active_login, connection_id IS NULL FROM aep.ingest_role WHERE role_name = '$role'"
		),
		"unknown|${role}_a|t",
		"$role, crashed: the state");
	ok(can_log_in($params->{username}, $params->{password}), "$role, crashed: the login works");
}

# The server crashes again where it crashed before.
my @twice = grep { $_->{then} } @crashing;
foreach my $crashing (@twice)
{
	$crashing->{session} = AepTest::open_session($node);
	ok(begin_until($crashing->{session}, rotation($crashing->{of}), $crashing->{then}{kind}),
		"$crashing->{what}: as far again");
}
crash(map { $_->{session} } @twice);
foreach my $crashed (@twice)
{
	my ($of, $then) = ($crashed->{of}, $crashed->{then});

	is(state($of), $then->{state}, "$crashed->{what}: the state after that");
	told_works($of, $then->{used}, "$crashed->{what}, after that");
	again($of, $then->{next}, $then->{kinds}, "$crashed->{what}, after that");
}

no_password_is_left(15);

done_testing();
