# A call ends at once whatever it is doing, and whatever ends it.
use strict;
use warnings;

use AepTest;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

# A resolver that takes as long as a test wants.
my $source = abs_path(dirname(__FILE__) . '/../test/slow_resolver.c');
my $resolver = PostgreSQL::Test::Utils::tempdir() . '/slow_resolver.so';
my @compile = (split(' ', $ENV{CC} // 'cc'), '-shared', '-fPIC', '-o', $resolver, $source, '-ldl');
system(@compile) == 0 or BAIL_OUT("cannot compile $source");

my $fake = AepTest::start_fake();
my $node = AepTest::start_node('main', "client_connection_check_interval = '100ms'");
run_node('restart');

sub run_node
{
	my ($method) = @_;
	local $ENV{LD_PRELOAD} = $resolver;
	# glibc returns large blocks at once, so that what stays in use can be seen
	local $ENV{MALLOC_MMAP_THRESHOLD_} = 128 * 1024;

	$node->$method;
	return;
}

AepTest::create_server($node, $fake);
AepTest::create_server($node, $fake, server => 'lookup', base_url => 'https://20.slow.test');
AepTest::create_server($node, $fake, server => 'short_lookup', base_url => 'https://1.slow.test');
AepTest::create_server($node, $fake, server => 'again', base_url => 'https://x.again.test');
foreach my $server (qw(full_backlog tls_stall))
{
	AepTest::create_server($node, $fake, server => $server, base_url => $fake->url($server),
		connect_timeout => '60s');
}
AepTest::create_server(
	$node, $fake,
	server => 'token',
	token_url => $fake->url('ims'),
	access_token => undef,
	client_secret => 'fault:stall=before_headers');

# The TCP connections that a process holds.
my ($SYN_SENT, $ESTABLISHED) = (2, 1);

sub connections_of
{
	my ($pid) = @_;
	my %held =
	  map { (readlink($_) // '') =~ /^socket:\[(\d+)\]$/ ? ($1 => 1) : () } glob "/proc/$pid/fd/*";
	my @found;

	foreach my $line (split /\n/, slurp_file("/proc/$pid/net/tcp"))
	{
		my (undef, undef, $remote, $state, $queues, @more) = split ' ', $line;
		next unless $held{ $more[4] // '' };
		push @found,
		  { state => hex($state),
			port => hex((split /:/, $remote)[1]),
			queued => hex((split /:/, $queues)[0]) };
	}
	return @found;
}

sub threads_of
{
	my ($pid) = @_;

	return scalar(() = glob "/proc/$pid/task/*");
}

sub port_of
{
	my ($url) = @_;

	return $url =~ /:(\d+)/ ? $1 : undef;
}

# The phases of a call.  It is in one when "state" is that of its connection,
# so many bytes are "queued" there, the request is "recorded", or "reached"
# says so.  A cancel closes the connection, unless it "keeps" an idle one.
my @phases = (
	{   name => 'name look-up',
		server => 'lookup',
		reached => sub { threads_of($_[0]) > 1 },
		keeps => 1,
		# without CURLOPT_QUICK_EXIT it ends with the look-up, after 20 s
		limit => 4 },
	{ name => 'connect', server => 'full_backlog', state => $SYN_SENT },
	{ name => 'TLS handshake', server => 'tls_stall', state => $ESTABLISHED },
	{ name => 'token fetch', server => 'token', recorded => 1 },
	{ name => 'sending', fault => 'read_slow=1', size => 20_000_000, queued => 100_000 },
	{ name => 'waiting for the answer', fault => 'stall=before_headers', recorded => 1 },
	{ name => 'in the headers', fault => 'stall=mid_headers', recorded => 1 },
	{ name => 'in the body', fault => 'stall=mid_body', recorded => 1 },
	{ name => 'slow drip', fault => 'drip=0.2', recorded => 1 },
	{   name => 'pause before a retry',
		fault => 'status=429,retry_after=40',
		recorded => 1,
		keeps => 1 });

foreach my $phase (@phases)
{
	$phase->{port} = port_of($fake->url($phase->{state} ? $phase->{server} : 'https'));
	$phase->{server} //= 'aep';
	$phase->{limit} //= 10;
}
my %phase = map { $_->{name} => $_ } @phases;

sub open_session
{
	my $session = AepTest::open_session($node);

	$session->{pid} = AepTest::run_sql($session, 'SELECT pg_backend_pid()');
	return $session;
}

my $observer = AepTest::open_session($node);

sub wait_event
{
	my ($session) = @_;

	return AepTest::run_sql($observer,
		"SELECT wait_event_type FROM pg_stat_activity WHERE pid = $session->{pid}");
}

my $calls = 0;

sub start_call
{
	my ($session, $phase) = @_;
	my $name = ($phase->{fault} ? "fault:$phase->{fault}" : 'call') . ' ' . ++$calls;
	my $size = $phase->{size} // 1;

	AepTest::begin_sql($session,
			"SELECT id FROM aep.create_base_connection(username => 'u', password => repeat('p', $size), "
		  . "name => '$name', server => '$phase->{server}')");
	return;
}

sub is_in
{
	my ($session, $phase, $requests) = @_;
	my $pid = $session->{pid};

	return $phase->{reached}->($pid) if $phase->{reached};
	return $fake->requests > $requests if $phase->{recorded};
	return grep {
		$_->{port} == $phase->{port}
		  && $_->{state} == ($phase->{state} // $ESTABLISHED)
		  && $_->{queued} >= ($phase->{queued} // 0)
	} connections_of($pid);
}

# Makes a session call; returns when it hangs in the phase.
sub enter
{
	my ($session, $phase) = @_;
	my $requests = $fake->requests;

	start_call($session, $phase);
	AepTest::wait_until(sub { is_in($session, $phase, $requests) })
	  or die "never got to: $phase->{name}";
	AepTest::wait_until(sub { wait_event($session) eq 'Extension' })
	  or die "never waited: $phase->{name}";
	return;
}

# Tests that a condition holds soon; notes after how many milliseconds.
sub soon
{
	my ($what, $phase, $condition, $start) = @_;
	$start //= time;
	my $done = AepTest::wait_until($condition, $phase->{limit});

	note sprintf('%s, %s: %.0f ms', $what, $phase->{name}, 1000 * (time - $start));
	ok($done, "$what, $phase->{name}: ends within $phase->{limit} s");
	return;
}

# All that pg_cancel_backend() does.
sub cancel
{
	my ($session) = @_;

	kill 'INT', $session->{pid};
	return;
}

# Has psql got the end of what it asked?
sub has_ended
{
	my ($session) = @_;

	$session->{harness}->pump_nb;
	return $session->{err} =~ /^the end$/m;
}

sub works
{
	my ($session) = @_;

	return AepTest::run_sql($session, "SELECT count(id) FROM aep.create_base_connection(username => 'u', password => 'p')") eq
	  '1';
}

# The resolver in place is ours.
like(
	AepTest::failing($node, "SELECT id FROM aep.create_base_connection(username => 'u', password => 'p', server => 'again')"),
	qr/ERROR:  08001: .*\nDETAIL: .*resolve host: x\.again\.test/,
	'a name server that does not answer');

# Query cancel in every phase, in one session.
my $session = open_session();
foreach my $phase (@phases)
{
	my $what = "cancel, $phase->{name}";

	enter($session, $phase);
	is(wait_event($session), 'Extension', "$what: pg_stat_activity shows the wait");
	cancel($session);
	soon('cancel', $phase, sub { has_ended($session) });
	AepTest::end_sql($session);
	like($session->{err}, qr/ERROR:  57014: canceling statement due to user request/,
		"$what: the error");
	is(scalar(grep { $_->{port} == $phase->{port} } connections_of($session->{pid})),
		0, "$what: the connection is closed")
	  unless $phase->{keeps};
	ok(works($session), "$what: the next call works");
}
AepTest::close_session($session);

# Many cancelled calls leave nothing behind.  A name look-up goes on in a thread
# of its own until the resolver answers: here that takes 1 s.
$session = open_session();
my $short_lookup = { %{ $phase{'name look-up'} }, server => 'short_lookup' };
my @small = grep { $_ != $phase{'name look-up'} && $_ != $phase{'sending'} } @phases;

sub cancel_many
{
	foreach my $phase (@_)
	{
		enter($session, $phase);
		cancel($session);
		AepTest::end_sql($session);
	}
	works($session) or die 'the session does not work';
	AepTest::wait_until(sub { threads_of($session->{pid}) == 1 })
	  or die 'the threads of name look-ups did not end';
	return;
}

sub holdings
{
	my $pid = $session->{pid};

	return {
		descriptors => AepTest::descriptors_of($pid),
		sockets => scalar(connections_of($pid)),
		contexts => AepTest::run_sql($session,
			q{SELECT count(*) FROM pg_backend_memory_contexts WHERE name ~ '^aep '}) };
}

cancel_many(@small, $phase{'sending'}, $short_lookup, @small);
my $before = holdings();
my $memory = AepTest::kilobytes_of($session->{pid}, 'RssAnon');
my @many = (@small, $short_lookup, @small, $short_lookup, $phase{'sending'}, @small[ 0 .. 1 ]);
cancel_many(@many);
is_deeply(holdings(), $before, @many . ' cancelled calls leave nothing open');
my $growth = AepTest::kilobytes_of($session->{pid}, 'RssAnon') - $memory;
note "memory grew by $growth kB";
cmp_ok($growth, '<', 1024, 'nor memory in use');
AepTest::close_session($session);

# statement_timeout
$session = open_session();
foreach my $phase (@phase{ 'name look-up', 'TLS handshake', 'in the body' })
{
	AepTest::run_sql($session, q{SET statement_timeout = '300ms'});
	start_call($session, $phase);
	soon('statement_timeout of 300 ms', $phase, sub { has_ended($session) });
	AepTest::end_sql($session);
	like($session->{err}, qr/ERROR:  57014: canceling statement due to statement timeout/,
		"statement_timeout, $phase->{name}: the error");
	AepTest::run_sql($session, 'RESET statement_timeout');
	ok(works($session), "statement_timeout, $phase->{name}: the next call works");
}
AepTest::close_session($session);

# pg_terminate_backend()
foreach my $phase (@phase{ 'name look-up', 'waiting for the answer', 'pause before a retry' })
{
	$session = open_session();
	enter($session, $phase);
	kill 'TERM', $session->{pid};
	soon('terminate', $phase, sub { !AepTest::is_running($session->{pid}) });
	$session->{harness}->finish;
	like($session->{err}, qr/FATAL:  57P01: terminating connection due to administrator command/,
		"terminate, $phase->{name}: the error");
}

# The client is gone, which PostgreSQL looks for every 100 ms.
my @left = @phase{ 'name look-up', 'connect', 'sending' };
foreach my $phase (@left)
{
	$session = open_session();
	enter($session, $phase);
	$session->{harness}->kill_kill(grace => 0);
	soon('client gone', $phase, sub { !AepTest::is_running($session->{pid}) });
}
is(scalar(() = slurp_file($node->logfile) =~ /FATAL:  connection to client lost/g),
	scalar(@left), 'client gone: the log says so');

# What ends the whole cluster finds a session in each phase.
sub end_cluster
{
	my ($what, $end) = @_;
	my @sessions;

	foreach my $phase (@phases)
	{
		my $session = open_session();

		$session->{phase} = $phase;
		enter($session, $phase);
		push @sessions, $session;
	}
	AepTest::close_session($observer);
	my $start = time;
	$end->();
	foreach my $session (@sessions)
	{
		soon($what, $session->{phase}, sub { !AepTest::is_running($session->{pid}) }, $start);
		$session->{harness}->finish;
	}
	return;
}

end_cluster(
	'fast shutdown',
	sub {
		# returns at once
		command_ok([ 'pg_ctl', '-D', $node->data_dir, '-m', 'fast', '-W', 'stop' ], 'pg_ctl stop');
	});
$node->stop('fast', fail_ok => 1);    # waits, unless it is done

run_node('start');
$observer = AepTest::open_session($node);
end_cluster('postmaster killed', sub { $node->kill9 });

done_testing();
