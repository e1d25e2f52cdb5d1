# Many sessions at once: few tokens, throttling survived, few descriptors.
use strict;
use warnings;

use AepTest;
use IPC::Run;
use List::Util qw(max min sum);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $sessions = 200;
my $refused = 120;
my $life = 2;
# refuses the first of all, then those that come too quickly
my $throttling = AepTest::start_fake('--ims-max-per-second', 120);
my $fake = AepTest::start_fake();
my $node = AepTest::start_node(
	'main',
	'max_connections = ' . ($sessions + 10),
	'log_statement = none',
	'shared_buffers = 16MB');
my %login = (username => 'acme', password => 'sesame', access_token => undef);
AepTest::create_server($node, $throttling, %login,
	token_url => $throttling->url('ims'),
	client_secret => "fault:status=429,times=$refused",
	max_attempts => 10);
AepTest::create_server($node, $fake, %login,
	server => 'short',
	base_url => $fake->url('http'),
	token_url => $fake->url('http') . '/ims/token/v3',
	client_secret => "fault:life=$life",
	concurrency => 2);

# All sessions stop at each of these gates until all are there.
my $gatekeeper = AepTest::open_session($node);
AepTest::run_sql($gatekeeper, 'SELECT pg_advisory_lock(gate) FROM generate_series(1, 4) AS gate');
my $script = "SELECT pg_advisory_lock_shared(1);\n";
$script .= "SELECT 1 / count(id) FROM aep.create_base_connection(name => 'throttled $_');\n"
  foreach (1 .. 3);
$script .= "SELECT pg_advisory_lock_shared(2);\n";
$script .=
  "SELECT 1 / count(id) FROM aep.create_base_connection(name => 'short $_', server => 'short');\n\\sleep 1 s\n"
  foreach (1 .. 2 * $life);
$script .= <<'SQL';
SELECT pg_advisory_lock_shared(3);
SELECT 1 / (count(id) = 5)::int FROM aep.create_base_connections(
    ARRAY(SELECT aep.base_connection_spec(name => 'batch') FROM generate_series(1, 5)), 'short');
SELECT pg_advisory_lock_shared(4);
SQL
my $file = PostgreSQL::Test::Utils::tempdir() . '/script.sql';
append_to_file($file, $script);
my ($out, $err) = ('', '');
my $pgbench = IPC::Run::start(
	[ 'pgbench', '-n', '-f', $file, '-c', $sessions, '-j', 2, '-t', 1, $node->connstr('postgres') ],
	'<', \undef, '>', \$out, '2>', \$err,
	IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));

END
{
	local $?;
	$pgbench->kill_kill if $pgbench;
}

# Waits until all are at a gate; returns the number of descriptors of each.
sub arrive_at
{
	my ($gate) = @_;
	my $end = time + $PostgreSQL::Test::Utils::timeout_default;
	my @pids;

	until (@pids == $sessions)
	{
		die "only " . @pids . " came to gate $gate: $err" if time > $end;
		sleep 0.1;
		@pids = split /\n/, AepTest::run_sql($gatekeeper, <<"SQL");
SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = $gate
SQL
	}
	return map { $_ => AepTest::descriptors_of($_) } @pids;
}

sub open_gate
{
	my ($gate) = @_;

	AepTest::run_sql($gatekeeper, "SELECT pg_advisory_unlock($gate)");
	return;
}

my %before = arrive_at(1);
open_gate(1);
arrive_at(2);
my $start = time;
open_gate(2);
arrive_at(3);
my $took = time - $start;
my @short = $fake->requests;
open_gate(3);
my %after = arrive_at(4);
my @growth = sort { $a <=> $b } map { $after{$_} - $before{$_} } keys %after;
my @sockets = map { AepTest::sockets_of($_) } (sort keys %after)[ 0 .. 9 ];
open_gate(4);
ok($pgbench->finish, "$sessions sessions: all calls succeed") or diag $err;
AepTest::close_session($gatekeeper);

# IMS was asked again and again, but gave each backend one token.
my @requests = $throttling->requests;
my @tokens = grep { $_->{kind} eq 'TOKEN' } @requests;
my %status;
$status{ $_->{status} }++ foreach (@tokens);
is($status{200}, $sessions, 'a token for each backend');
cmp_ok($status{429}, '>=', $refused, 'IMS refused some for a while');
is_deeply([ sort keys %status ], [ 200, 429 ], 'and did nothing else');
is(scalar(grep { $_->{kind} eq 'POST' } @requests), 3 * $sessions, 'no call was lost or repeated');

# By connection, which a backend has one of; what follows a refusal comes later,
# and not at the same time as that of others.
my (%of, @pauses);
push @{ $of{ $_->{connection} } }, $_ foreach (@requests);
cmp_ok(scalar(keys %of), '<=', $sessions, 'a connection for each backend');
foreach my $connection (values %of)
{
	push @pauses, $connection->[1]{time} - $connection->[0]{time}
	  if @$connection > 1 && $connection->[0]{status} == 429;
}
cmp_ok(scalar(@pauses), '>', 20, 'many were refused at first');
cmp_ok(min(@pauses), '>', 0.12, 'they pause');
cmp_ok(min(@pauses), '<', max(@pauses) - 0.05, 'some for less than others');
my $mean = sum(@pauses) / @pauses;
my $deviation = sqrt(sum(map { ($_ - $mean)**2 } @pauses) / @pauses);
cmp_ok($deviation, '>', 0.02, 'not all for the same time');
my @attempts = map { scalar(grep { $_->{kind} eq 'TOKEN' } @$_) } values %of;

# Tokens that live shortly: at most one for each backend and life.
is(scalar(grep { $_->{kind} eq 'POST' } @short), 2 * $life * $sessions, 'no call was lost or repeated');
is_deeply([ grep { $_->{status} >= 300 } @short ], [], 'none was refused');
my $lives = 1 + int($took / (0.9 * $life));
my %fetches;
$fetches{ $_->{connection} }++ foreach (grep { $_->{kind} eq 'TOKEN' } @short);
cmp_ok(sum(values %fetches), '>=', 2 * $sessions, 'every backend fetched more than one token');
cmp_ok(sum(values %fetches), '<=', $lives * $sessions, 'at most one for each life')
  or diag "it took $took s";
cmp_ok(max(values %fetches), '<=', $lives, 'no backend fetched more than others');

# What a backend keeps open: a connection to the one, two to the other, an
# epoll descriptor, and what libcurl wakes itself with.
cmp_ok(max(@growth), '<=', 6, 'few descriptors for each backend');
is_deeply([ grep { $_ > 3 } @sockets ], [], 'no more connections than requests in flight');

diag "attempts for a token: up to ", max(@attempts), "; descriptors: $growth[0] to $growth[-1]";
done_testing();
