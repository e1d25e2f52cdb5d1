# A day of calls in a while: nothing leaks, and every object that was made is
# accounted for in the server log, by its id, or by its name as outcome unknown.
#
#   make tapcheck PROVE_TESTS=test/soak.pl
#
# SOAK_CALLS says how many calls (default: 200000), SOAK_BACKENDS by how many
# backends at once (4), SOAK_SEED repeats a run.
use strict;
use warnings;

use AepTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $calls_wanted = $ENV{SOAK_CALLS} // 200_000;
my $backends = $ENV{SOAK_BACKENDS} // 4;
my $seed = srand($ENV{SOAK_SEED} // time);
my $chunk_size = 200;
# what a backend may grow after a tenth of its calls, in kB
my $growth_allowed = 2048;
$PostgreSQL::Test::Utils::timeout_default = 24 * 3600;

my $fake = AepTest::start_fake();
my $node = AepTest::start_node(
	'main',
	'log_statement = none',
	'log_min_error_statement = panic',
	'autovacuum = off');
my %login = (
	username => 'acme',
	password => 'sesame',
	max_response_size => '100kB',
	max_attempts => 3,
	concurrency => 3);
AepTest::create_server($node, $fake, %login);
AepTest::create_server($node, $fake, %login, server => 'plain', base_url => $fake->url('http'));
AepTest::create_server($node, $fake, %login, server => 'refused', base_url => $fake->url('refused'),
	max_attempts => 1);
# a token lives 3 s, and is good for 100 calls
AepTest::create_server($node, $fake, %login,
	server => 'fetching',
	token_url => $fake->url('ims'),
	access_token => undef,
	client_secret => 'fault:life=3,accept=100');
$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION make(name text, server name) RETURNS uuid LANGUAGE sql AS
    'SELECT id FROM aep.create_base_connection(name => make.name, server => make.server)';
CREATE PROCEDURE make_and_fail(name text, server name) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM make(name, server);
    RAISE EXCEPTION 'undone';
EXCEPTION WHEN raise_exception THEN
    NULL;
END $$;
SQL

# The statements.  Every name is used once, so that it tells what it was for.
my $names = 0;

sub name
{
	my ($fault) = @_;

	$names++;
	return AepTest::literal($fault ? "fault:$fault soak $names" : "soak $names");
}

sub server
{
	my $chance = rand;

	return $chance < 0.45 ? "'aep'" : $chance < 0.9 ? "'plain'" : "'fetching'";
}

sub create
{
	my ($fault) = @_;

	return 'SELECT make(' . name($fault) . ', ' . server() . ');';
}

sub within
{
	my ($milliseconds, $sql) = @_;

	return "SET statement_timeout = $milliseconds; $sql RESET statement_timeout;";
}

sub batch
{
	my @specs = map { "aep.base_connection_spec(name => $_)" } @_;

	return 'SELECT count(*) FROM aep.create_base_connections(ARRAY[' . join(', ', @specs) . '], ' . server() . ');';
}

sub request
{
	my $name = name();

	return <<"SQL";
SELECT status FROM aep.request('POST', '/flowservice/connections', server => 'plain',
    body => jsonb_set(aep.base_connection_request(name => $name), '{auth,params,password}', '"x"'));
SQL
}

sub keep
{
	my $server = server();

	return 'SELECT make(' . name() . ", $server) AS id \\gset\n", $server;
}

# [weight, calls, statement]
my @mix = (
	[ 400, 1, sub { create() } ],
	[ 60, 2, sub { 'BEGIN; ' . create() . 'SAVEPOINT a; ' . create() . 'ROLLBACK TO a; COMMIT;' } ],
	[ 30, 3, sub { 'BEGIN; ' . create() . 'SAVEPOINT a; ' . create() . 'RELEASE a; ' . create() . 'ROLLBACK;' } ],
	[ 20, 2, sub { 'BEGIN; ' . create() . 'SAVEPOINT a; ' . create('status=400') . 'ROLLBACK TO a; COMMIT;' } ],
	[ 60, 1, sub { 'CALL make_and_fail(' . name() . ', ' . server() . ');' } ],
	[ 20, 1, sub { 'SELECT 1 / length(left(make(' . name() . ', ' . server() . ')::text, 0));' } ],
	[ 40, 2, sub { my ($sql, $server) = keep(); "$sql SELECT name FROM aep.connection(:'id', $server);" } ],
	[ 30, 2, sub { my ($sql, $server) = keep(); "$sql SELECT aep.delete_connection(:'id', $server);" } ],
	[ 20, 3, sub {
			my ($sql, $server) = keep();
			"$sql SELECT etag FROM aep.update_connection(:'id', description => 'x', server => $server);";
		} ],
	[ 10, 2, sub { my ($sql, $server) = keep(); "$sql SELECT count(*) FROM aep.explore(:'id', $server);" } ],
	[ 20, 5, sub { batch(map { name() } 1 .. 5) } ],
	[ 10, 5, sub { batch(name(), name('status=400'), name('close=before'), name('noid=1'), name()) } ],
	[ 5, 5, sub { within(10, batch(map { name() } 1 .. 5)) } ],
	[ 10, 1, \&request ],
	[ 5, 1, sub { 'SELECT make(' . name() . q{, 'refused');} } ],
	# answers that are refusals, or none
	[ 30, 1, sub { create('status=400') } ],
	[ 4, 1, sub { create('status=429,times=1') } ],
	[ 10, 1, sub { create('status=503') } ],
	[ 10, 1, sub { create('status=504,processed=1') } ],
	[ 15, 1, sub { create('close=before') } ],
	[ 15, 1, sub { create('close=mid_body') } ],
	[ 5, 1, sub { create('reset=mid_headers') } ],
	[ 10, 1, sub { create('die_kept=1') } ],
	[ 15, 1, sub { create('noid=1') } ],
	[ 15, 1, sub { create('huge=200000') } ],
	[ 5, 1, sub { create('close_after=0.01') } ],
	# cancels, at a known moment and at any
	[ 8, 1, sub { within(30, create('stall=before_headers')) } ],
	[ 8, 1, sub { within(30, create('stall=mid_body')) } ],
	[ 3, 1, sub { within(30, create('status=429,retry_after=1')) } ],
	[ 20, 1, sub { within(1 + int(rand(4)), create()) } ],
	[ 5, 3, sub {
			my @creates = map { create() } 1 .. 3;
			within(5, "BEGIN; $creates[0] SAVEPOINT a; $creates[1] ROLLBACK TO a; $creates[2] COMMIT;");
		} ]);
my $weights = 0;
$weights += $_->[0] foreach (@mix);

# A file of statements with so many calls, and how many there are.
sub write_chunk
{
	my ($file, $size) = @_;
	my $calls = 0;

	open(my $out, '>', $file) or die "$file: $!";
	while ($calls < $size)
	{
		my $chance = rand($weights);
		my ($kind) = grep { ($chance -= $_->[0]) < 0 } @mix;
		print $out $kind->[2]->(), "\n";
		$calls += $kind->[1];
	}
	# whatever was interrupted
	print $out "ROLLBACK;\nRESET statement_timeout;\n";
	close $out;
	return $calls;
}

# The backends.
my %seen; # SQLSTATEs
my @workers = map { { number => $_, session => AepTest::open_session($node), calls => 0 } } 1 .. $backends;

foreach my $worker (@workers)
{
	$worker->{pid} = AepTest::run_sql($worker->{session}, 'SELECT pg_backend_pid()');
	$worker->{file} = PostgreSQL::Test::Utils::tempdir() . "/chunk$worker->{number}.sql";
	AepTest::run_sql($worker->{session}, "\\set VERBOSITY sqlstate\n\\o /dev/null\n\\set id " . '0' x 32 . "\n");
}

sub look
{
	my ($worker) = @_;
	# not only those in /proc/net/tcp: one that was reset is not there
	my $sockets = grep { (readlink($_) // '') =~ /^socket:/ } glob "/proc/$worker->{pid}/fd/*";

	return {
		memory => AepTest::kilobytes_of($worker->{pid}, 'RssAnon'),
		sockets => $sockets,
		others => AepTest::descriptors_of($worker->{pid}) - $sockets };
}

# Takes in what a worker has said; whether its chunk is done.
sub chunk_is_done
{
	my ($worker) = @_;
	my $session = $worker->{session};

	$session->{harness}->pump_nb;
	return 0 unless $session->{out} =~ /^the end\n/m && $session->{err} =~ /^the end\n/m;
	$seen{$_}++ foreach ($session->{err} =~ /(?:ERROR|WARNING|FATAL):  (\w{5})$/mg);
	if (my ($other) = $session->{err} =~ /^((?!.*(?:ERROR|WARNING):  \w{5}$)(?!the end$).+)$/m)
	{
		die "backend $worker->{pid}: $other";
	}
	return 1;
}

my $calls = 0;

# Has all backends work until there were so many calls, and each has made so many.
sub work_until
{
	my ($goal, $goal_of_each) = @_;
	my %busy;

	while (%busy || $calls < $goal || grep { $_->{calls} < $goal_of_each } @workers)
	{
		my $idle = 1;
		foreach my $worker (@workers)
		{
			my $number = $worker->{number};
			next if $busy{$number} && !chunk_is_done($worker);
			delete $busy{$number};
			next if $calls >= $goal && $worker->{calls} >= $goal_of_each;

			my $count = write_chunk($worker->{file}, $chunk_size);
			$calls += $count;
			$worker->{calls} += $count;
			AepTest::begin_sql($worker->{session}, "\\o /dev/null\n\\i $worker->{file}\n\\o\n");
			$busy{$number} = 1;
			$idle = 0;
		}
		progress();
		sleep 0.02 if $idle;
	}
	return;
}

my $start = time;
my $last_progress = $start;

sub progress
{
	return if time - $last_progress < 30;
	$last_progress = time;
	diag sprintf('%d calls, %.0f/s, RssAnon %s kB', $calls, $calls / (time - $start),
		join(' ', map { look($_)->{memory} } @workers));
	return;
}

diag "seed $seed";
work_until($calls_wanted / 10, 2 * $chunk_size);
$_->{before} = look($_) foreach (@workers);
work_until($calls_wanted, 0);
my $took = time - $start;
$_->{after} = look($_) foreach (@workers);
diag sprintf('%d calls by %d backends in %.0f s: %.0f/s', $calls, $backends, $took, $calls / $took);
diag 'sockets: ', join(', ', map { "$_->{before}{sockets}, then $_->{after}{sockets}" } @workers);
diag "seen: ", join(', ', map { "$_ $seen{$_} times" } sort keys %seen);

# Nothing leaks.
foreach my $worker (@workers)
{
	my ($before, $after) = @{$worker}{qw(before after)};
	my $number = $worker->{number};

	ok(AepTest::is_running($worker->{pid}), "backend $number is the same from beginning to end");
	cmp_ok($after->{memory} - $before->{memory}, '<=', $growth_allowed,
		"backend $number: RssAnon $before->{memory} kB, then $after->{memory} kB");
	is($after->{others}, $before->{others}, "backend $number: as many descriptors, but for sockets");
	cmp_ok($after->{sockets}, '<=', 12, "backend $number: few sockets");
	AepTest::close_session($worker->{session});
}

# Everything went wrong that should, and nothing else.
my %expected = (
	'01000' => 'objects that a rollback does not undo',
	'08001' => 'cannot connect',
	'08007' => 'outcome unknown',
	'08P01' => 'answer not understood',
	'22012' => 'an error after a call',
	'22023' => 'a refused request',
	'25P02' => 'what follows an error in a transaction block',
	'54000' => 'answer too large',
	'57014' => 'cancelled',
	'58000' => 'service failure');
# these depend on the moment: of an object whose transaction was cancelled, say
my %possible = map { $_ => 1 } qw(42704 3B001 25P01 53400);
foreach my $state (sort keys %expected)
{
	ok($seen{$state}, "$state: $expected{$state}");
}
is_deeply([ grep { !$expected{$_} && !$possible{$_} } sort keys %seen ], [], 'no other SQLSTATE');

# The log has every object: by id, or by name as outcome unknown.
my (%logged, %unknown);
$node->stop;
open(my $log, '<', $node->logfile) or die "log: $!";
while (my $line = <$log>)
{
	if ($line =~ /LOG:  created \w+(?: connection)? ".*" with id (\S{36}) on server "/) { $logged{$1}++; }
	elsif ($line =~ /LOG:  outcome unknown: create \w+(?: connection)? "(.*)" on server "/) { $unknown{$1}++; }
}
close $log;

# What the service made, ever, and what it has now.
my (%made, %made_of, %posts);
open(my $requests, '<', $fake->dir . '/requests.jsonl') or die "requests: $!";
while (my $line = <$requests>)
{
	my ($name) = $line =~ /"collection": "connections", "name": "([^"]*)", / or next;
	next unless $line =~ /"kind": "POST"/;
	my ($id) = $line =~ /"created": "([^"]*)"/ or next;
	$made{$id} = $name;
	$made_of{$name}++;
}
close $requests;
my @held = $fake->connections;
cmp_ok(scalar(keys %made), '>', $calls / 3, scalar(keys %made) . ' objects were made');
is_deeply([ grep { $made_of{$_} > 1 } keys %made_of ], [], 'none twice');
is_deeply([ grep { !$logged{$_} && !$unknown{ $made{$_} } } keys %made ], [], 'all are accounted for in the log');
is_deeply([ grep { !$made{$_} } keys %logged ], [], 'the log has no other id');
is_deeply([ grep { $logged{$_} > 1 } keys %logged ], [], 'and none twice');
is_deeply([ grep { $unknown{$_} > 1 } keys %unknown ], [], 'an unknown outcome is logged once');
is_deeply([ grep { !$made{ $_->{id} } } @held ], [],
	'the service holds ' . scalar(@held) . ' of them, and no other');
diag sprintf('%d by id, %d by name alone, %d unknown outcomes', scalar(grep { $logged{$_} } keys %made),
	scalar(grep { !$logged{$_} } keys %made), scalar(keys %unknown));

done_testing();
