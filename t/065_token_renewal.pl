# While an access token is renewed, everything else goes on: answers are read, ids
# are known, and what waits for the token waits no longer than it may.
use strict;
use warnings;

use AepTest;
use Calls qw(call_in run value);
use JSON::PP;
use PostgreSQL::Test::Utils;
use Rollback qw(warnings_shown);
use Test::More;

my $fake = AepTest::start_fake();
my $node = AepTest::start_node('main', 'log_statement = none');
my %ims = (username => 'u', password => 'p', access_token => undef, token_url => $fake->url('ims'));
my $session = AepTest::open_session($node);

call_in($session, $fake);

# A server whose first token is as good as any other, and whose second has this fault.
sub create_server
{
	my ($name, $fault, %options) = @_;

	AepTest::create_server($node, $fake, %ims, server => $name, client_secret => "fault:after=1,$fault sesame $name", %options);
	return;
}

sub batch_sql
{
	my ($server, @names) = @_;
	my $specs = join(', ', map { 'aep.base_connection_spec(name => ' . AepTest::literal($_) . ')' } @names);

	return "SELECT jsonb_agg(b) FROM aep.create_base_connections(ARRAY[$specs], '$server') AS b";
}

sub outcomes
{
	my ($result) = @_;

	return join(' ', map { $_->{id} ? 'id' : $_->{sqlstate} } @{ decode_json($result->{out}) });
}

sub tokens
{
	my ($result) = @_;

	return scalar(grep { $_->{kind} eq 'TOKEN' } @{ $result->{requests} });
}

# A batch that is cancelled meanwhile: what was answered is told by its id, what
# was refused is not told of, and only what is not known is called unknown.
create_server('stalls', 'stall=before_headers', concurrency => 8);
my $pid = value('SELECT pg_backend_pid()');
my $before = $fake->requests;
AepTest::begin_sql($session,
	batch_sql('stalls', 'fault:status=401 token', 'fault:status=401,delay=0.5 too', 'fault:status=400,delay=0.5 refused', 'fault:status=500,delay=0.5 failed',
		'fault:stall=before_headers hangs', 'fault:delay=1.5 made', 'fault:delay=1.5 made too'));
foreach my $name ('made', 'made too')
{
	ok(AepTest::wait_until(sub { $node->log_contains("LOG:  created base connection \"fault:delay=1.5 $name\" with id ") }),
		"cancel: \"$name\" is in the log while the token is fetched");
}
is(scalar(grep { $_->{kind} eq 'TOKEN' } $fake->requests($before)), 2, 'cancel: one fetch, for both that were refused');
$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
AepTest::end_sql($session);
like($session->{err}, qr/^ERROR:  57014:/m, 'cancel: the error');
my %made = map { ($_->{name} // '') => $_->{created} } $fake->requests($before);
my @warnings = warnings_shown($session->{err});
is(scalar(@warnings), 1, 'cancel: one warning');
is_deeply(
	[ sort split /, /, $warnings[0]{detail} =~ s/\.$//r ],
	[   sort 'base connection "fault:stall=before_headers hangs" (outcome unknown)',
		map { "$made{$_} (base connection \"$_\")" } 'fault:delay=1.5 made',
		'fault:delay=1.5 made too' ],
	'cancel: ids are told, refusals are not');
AepTest::wait_until(sub { $node->log_contains('outcome unknown: create base connection "fault:stall') });
ok(!$node->log_contains('outcome unknown: create base connection "fault:(?:status|delay)'), 'cancel: so says the log');

# Who has no time left to wait is late alone; who has gets the token.
create_server('slow', 'times=1,delay=4', request_timeout => '6s', concurrency => 2);
my $result = run(batch_sql('slow', 'fault:status=401,delay=4 late', 'fault:delay=4.5 a', 'in time', map { "c $_" } 1 .. 21));
is(outcomes($result), join(' ', '08006', ('id') x 23), 'late: costs no other its id');
is(tokens($result), 2, 'late: one fetch for all');
like(
	decode_json($result->{out})->[0]{message},
	qr/^could not fetch an access token on server "slow": it did not come within request_timeout \(Check the server options token_url/,
	'late: says so');
create_server('slow_alone', 'times=1,delay=3', request_timeout => '3s', concurrency => 1);
$result = run(batch_sql('slow_alone', 'fault:status=401,delay=1.5 late', 'a', 'b'));
is(outcomes($result), '08006 id id', 'late and alone: the next ones');
is(tokens($result), 3, 'late and alone: nobody waits for the token any more, so the next one fetches');

# Late after an attempt that may have been carried out: that may be so still.
create_server('slow_after', 'times=1,delay=3', request_timeout => '3s');
my ($id, $etag) = split /\|/, value("SELECT id, etag FROM aep.create_base_connection(name => 'fault:on=PATCH,times=1,status=503,processed=1;on=PATCH,status=401,times=2,delay=1.5 x', server => 'slow_after')");
$result = run("SELECT id FROM aep.update_connection('$id', description => 'd', etag => '$etag', server => 'slow_after')");
like($result->{err}, qr/^ERROR:  08007: .*the outcome is unknown$/m, 'late after a lost answer: 08007');
like($result->{err}, qr/^DETAIL:  .*: could not fetch an access token .* within request_timeout\.$/m, 'late after a lost answer: why');

# A fetch that ended with a subtransaction is nobody's to wait for.
AepTest::create_server($node, $fake, %ims, server => 'caught', client_secret => 'fault:times=1,stall=before_headers sesame caught');
$result = run(<<'SQL');
SET statement_timeout = '1s';
DO $$
BEGIN
    PERFORM aep.create_base_connection(name => 'first', server => 'caught');
EXCEPTION WHEN query_canceled THEN
    PERFORM aep.create_base_connection(name => 'second', server => 'caught');
    RAISE NOTICE 'made';
END $$;
RESET statement_timeout
SQL
like($result->{err}, qr/^NOTICE:  00000: made$/m, 'a cancelled fetch: the next call has its own');
is(tokens($result), 2, 'a cancelled fetch: another request');
my @names = map { $_->{name} } grep { $_->{kind} eq 'POST' } @{ $result->{requests} };
is("@names", 'second', 'a cancelled fetch: the call that waited was not sent');

is(value("SELECT count(*) FROM pg_backend_memory_contexts WHERE name = 'aep token'"), 0, 'no fetch is left');
AepTest::close_session($session);

# A message of the log serves interrupts: a cancel that comes with the first of many
# answers leaves none of the others unread.  The log is collected by a process that
# stands still meanwhile, so that the message waits.
my $collected = AepTest::start_node('collected', 'log_statement = none', 'logging_collector = on');
AepTest::create_server($collected, $fake, username => 'u', password => 'p');
my $watcher = AepTest::open_session($collected);

# The processes below the postmaster, by their titles.
sub child
{
	my ($title) = @_;
	my $postmaster = AepTest::run_sql($watcher, "SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)");

	foreach my $stat (glob '/proc/[0-9]*/stat')
	{
		my ($pid) = $stat =~ /(\d+)/;
		open(my $file, '<', $stat) or next;
		next unless (<$file> // '') =~ /\) \S $postmaster /;
		open(my $command, '<', "/proc/$pid/cmdline") or next;
		return $pid if (<$command> // '') =~ /$title/;
	}
	die "no process $title";
}

# A backend that works, sleeps, and says of none of PostgreSQL's waits: it writes.
sub waits_to_write
{
	my ($pid) = @_;

	return AepTest::run_sql($watcher, "SELECT state = 'active' AND wait_event IS NULL FROM pg_stat_activity WHERE pid = $pid") eq 't'
	  && AepTest::run_sql($watcher, "SELECT pg_read_file('/proc/$pid/stat') ~ '\\) S '") eq 't';
}

# Connections to the fake on which something has come that nobody has read.
sub unread
{
	my ($port) = $fake->url =~ /:(\d+)(?:\/|$)/;
	my $remote = sprintf ':%04X$', $port;
	my @fields = map { [split] } split /\n/, slurp_file('/proc/net/tcp') . slurp_file('/proc/net/tcp6');

	return scalar(grep { $_->[2] =~ /$remote/ && $_->[4] =~ /:0*[1-9A-F]/ } @fields);
}
my $logger = child('logger');
my $filler = AepTest::open_session($collected);
my $batch = AepTest::open_session($collected);
my %pid_of = map { $_ => AepTest::run_sql($_, 'SELECT pg_backend_pid()') } $filler, $batch;
kill 'STOP', $logger;
AepTest::begin_sql($filler, "DO \$\$ BEGIN RAISE LOG '%', repeat('x', 1000000); END \$\$");
ok(AepTest::wait_until(sub { waits_to_write($pid_of{$filler}) }), 'many answers: no line goes into the log');
$before = $fake->requests;
AepTest::begin_sql($batch, batch_sql('aep', map { "fault:delay=3 at once $_" } 1 .. 8));
ok(AepTest::wait_until(sub { $fake->requests == $before + 8 }), 'many answers: all are asked for');
AepTest::wait_until(sub { unread() == 0 });    # what TLS sends by itself
kill 'STOP', $pid_of{$batch};
ok(AepTest::wait_until(sub { unread() == 8 }), 'many answers: they have come');
kill 'CONT', $pid_of{$batch};
ok(AepTest::wait_until(sub { waits_to_write($pid_of{$batch}) }), 'many answers: the first is to be logged');
kill 'INT', $pid_of{$batch};
kill 'CONT', $logger;
AepTest::end_sql($_) foreach ($batch, $filler);
like($batch->{err}, qr/^ERROR:  57014:/m, 'many answers: cancelled');
my ($warned) = warnings_shown($batch->{err});
is_deeply(
	[ sort split /, /, $warned->{detail} =~ s/\.$//r ],
	[ sort map { "$_->{created} (base connection \"$_->{name}\")" } $fake->requests($before) ],
	'many answers: all ids are known');
AepTest::close_session($_) foreach ($batch, $filler, $watcher);

done_testing();
