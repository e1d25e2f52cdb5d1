# Which failures are tried again, when, how often; and that a POST never is after it may have acted.
use strict;
use warnings;

use AepTest;
use IO::Select;
use IO::Socket::INET;
use List::Util qw(sum uniq);
use PostgreSQL::Test::Utils;
use Socket qw(getaddrinfo EAI_NONAME);
use Test::More;
use Time::HiRes qw(time);

my $fake = AepTest::start_fake('--client-secret', 'sesame-secret');
my $node = AepTest::start_node(
	'main',
	'log_min_messages = debug1',
	'log_statement = none',
	'max_files_per_process = 100');
my %options = (
	base_url => $fake->url,
	max_attempts => 4,
	request_timeout => '60s',
	connect_timeout => '10s');
AepTest::create_server($node, $fake, %options, username => 'acme', password => 'sesame-password');
AepTest::create_server($node, $fake,
	max_attempts => 3,
	server => 'ims',
	token_url => $fake->url('ims'),
	access_token => undef,
	client_secret => 'sesame-secret',
	username => 'acme',
	password => 'sesame-password');

my $session = AepTest::open_session($node);
my $seen = '';

# The options of the server "aep" as they were at first, but for some changes.
sub set_options
{
	my (%changes) = @_;
	my %to_set = (%options, %changes);

	$node->safe_psql('postgres',
		'ALTER SERVER aep OPTIONS ('
		  . join(', ', map { "SET $_ '$to_set{$_}'" } sort keys %to_set) . ')');
	return;
}

# Runs SQL; returns what came of it: output, errors, requests, and the pauses
# before another attempt that the log has.
sub run
{
	my ($sql, $where) = @_;
	my $log = -s $node->logfile;
	my $result = AepTest::watch_sql($where // $session, $fake, $sql);
	my @lines = grep { /: trying again in / } split /\n/, slurp_file($node->logfile, $log);

	$seen .= "$result->{out}\n$result->{err}\n";
	return {
		%$result,
		lines => \@lines,
		pauses => [ map { /trying again in (\d+) ms/ } @lines ] };
}

# Creates a connection that meets a fault; each has a name of its own.
my $distinct = 0;

sub create_sql
{
	my ($fault) = @_;

	return "SELECT count(id) FROM aep.create_base_connection(name => 'fault:$fault " . ++$distinct . "')";
}

sub create
{
	my ($fault) = @_;

	return run(create_sql($fault));
}

sub statuses
{
	my ($result) = @_;

	return join(' ', map { $_->{status} } @{ $result->{requests} });
}

# A POST that may have been carried out is sent once, though a second would succeed.
sub sent_once
{
	my ($fault, $sqlstate) = @_;
	my $result = create("$fault,times=1");

	is(scalar(@{ $result->{requests} }), 1, "$fault: sent once");
	is_deeply($result->{pauses}, [], "$fault: no pause");
	like($result->{err}, qr/ERROR:  $sqlstate:/, "$fault: $sqlstate");
	return;
}
sent_once("status=$_,processed=1", '58000') foreach (500, 503);
sent_once("status=$_,processed=1", '08007') foreach (502, 504);
sent_once('status=503,retry_after=1', '58000');
sent_once('status=400', '22023');
sent_once('status=401', '28000');
sent_once('status=409', '42710');
foreach my $kind (qw(https http))
{
	set_options(base_url => $fake->url($kind));
	sent_once($_, '08007')
	  foreach (qw(reset=before reset=mid_body close=before close=mid_headers truncate=10 badchunk=1
		junk_status=1));

	# A kept connection that dies with the request on it.
	create('times=0');
	my $result = create('die_kept=1');
	is(scalar(@{ $result->{requests} }), 1, "$kind: sent once on a kept connection that dies");
	cmp_ok($result->{requests}[0]{connection_request}, '>', 1, "$kind: it was a kept one");
	like($result->{err}, qr/ERROR:  08007:/, "$kind: the outcome is unknown");
}
set_options(request_timeout => '600ms');
sent_once('stall=before_headers', '08007');
set_options();

# 429 is said before any work: again, as often as max_attempts allows.
my @first_pauses;

sub attempts_are
{
	my ($max_attempts, $fault, $statuses) = @_;
	my $what = "$fault, max_attempts $max_attempts";

	set_options(max_attempts => $max_attempts);
	my $result = create($fault);
	is(statuses($result), $statuses, "$what: $statuses");
	is(scalar(@{ $result->{pauses} }), @{ $result->{requests} } - 1, "$what: a pause between two");
	push @first_pauses, $result->{pauses}[0] if @{ $result->{pauses} };
	return $result;
}
like(attempts_are(1, 'status=429,times=1', '429')->{err}, qr/ERROR:  53400:/, 'an error');
like(attempts_are(2, 'status=429,times=2', '429 429')->{err}, qr/ERROR:  53400:/, 'an error');
is(attempts_are(2, 'status=429,times=1', '429 201')->{out}, 1, 'success');
my $result = attempts_are(5, 'status=429,times=3', '429 429 429 201');
is($result->{out}, 1, 'success');
is(scalar(grep { $_->{created} } @{ $result->{requests} }), 1, 'one object is created');
is(scalar(uniq map { "$_->{body_sha256} $_->{headers}{authorization} $_->{connection}" }
		@{ $result->{requests} }), 1, 'by the same request, on the same connection');

# The pauses double, and half of each is chance.
my $pauses = $result->{pauses};
foreach my $i (0 .. 2)
{
	my $longest = 250 * 2**$i;

	cmp_ok($pauses->[$i], '>=', $longest / 2, 'pause ' . ($i + 1) . ": half of $longest ms or more");
	cmp_ok($pauses->[$i], '<=', $longest, 'pause ' . ($i + 1) . ": $longest ms or less");
	my ($one, $next) = @{ $result->{requests} }[ $i, $i + 1 ];
	cmp_ok(($next->{time} - $one->{time}) * 1000, '>=', $pauses->[$i] - 2, 'it was kept');
}
set_options();
push @first_pauses, create('status=429,times=1')->{pauses}[0] for (1 .. 3);
cmp_ok(scalar(uniq @first_pauses), '>', 2, "first pauses differ: @first_pauses");

# So do those of sessions that fail for the first time, together.
my @fresh = map { AepTest::open_session($node) } 1 .. 4;
my $log = -s $node->logfile;
AepTest::begin_sql($_, create_sql('status=429,times=1')) foreach (@fresh);
is(AepTest::end_sql($_), 1, 'a session succeeds') foreach (@fresh);
AepTest::close_session($_) foreach (@fresh);
my @together = slurp_file($node->logfile, $log) =~ /trying again in (\d+) ms/g;
cmp_ok(scalar(uniq @together), '>', 1, "sessions part: @together");

# A large body is sent again from its beginning.
$result = run("SELECT count(id) FROM aep.create_base_connection(name => 'fault:status=429,times=1 large', "
	  . "description => repeat('0123456789', 20000))");
is(statuses($result), '429 201', 'a large body');
is(length($result->{requests}[1]{body}{description}), 200000, 'arrives whole');
is($result->{requests}[0]{body_sha256}, $result->{requests}[1]{body_sha256}, 'twice the same');

# Retry-After
sub waits
{
	my ($retry_after, $min, $max) = @_;
	my $result = create("status=429,times=1,retry_after=$retry_after");
	my ($refused, $accepted) = @{ $result->{requests} };

	is(statuses($result), '429 201', "Retry-After $retry_after: tried again");
	cmp_ok($result->{pauses}[0], '>=', $min, "after $min ms or more");
	cmp_ok($result->{pauses}[0], '<=', $max, "after $max ms or less");
	cmp_ok(($accepted->{time} - $refused->{time}) * 1000, '>=', $result->{pauses}[0] - 2, 'not earlier');
	return;
}
waits('1', 1125, 1250);
waits('date+2', 1125, 2250);    # the date is in whole seconds
waits($_, 125, 250)
  foreach ('soon', '', '-5', 'date-100', 'Sun%2C%2031%20Feb%202099%2025%3A00%3A00%20GMT');

sub too_long
{
	my ($retry_after, $seconds) = @_;
	my $result = create("status=429,retry_after=$retry_after");

	is(statuses($result), '429', "Retry-After $retry_after: an error at once");
	is_deeply($result->{pauses}, [], 'without a pause');
	like($result->{err},
		qr/ERROR:  53400:.*HINT:  .* to wait $seconds s .*longer than request_timeout leaves/s,
		'that names it');
	return;
}
too_long('3600', '3600');
too_long('date+3600', '3(?:600|599)');
too_long('61', '61');
set_options(max_attempts => 1);
like(create('status=429,retry_after=7')->{err},
	qr/ERROR:  53400:.*HINT:  The service asks to wait 7 s before the next request\.\n/s,
	'the last attempt: the hint names the wait');

# All of it is inside request_timeout, whatever max_attempts allows.
set_options(max_attempts => 10, request_timeout => '1s');
$result = create('status=429');
like($result->{err}, qr/ERROR:  53400:/, 'request_timeout ends it');
cmp_ok(scalar(@{ $result->{requests} }), '>=', 2, 'after some attempts');
cmp_ok(scalar(@{ $result->{requests} }), '<=', 4, 'but not all');
cmp_ok(sum(@{ $result->{pauses} }), '<', 1000, 'no pause goes beyond it');
cmp_ok($result->{took}, '<', 20, 'nor does the call');

# No connection: nothing was sent, so a POST too is tried again, if that may help.
sub connects
{
	my ($what, $url, $pauses, %changes) = @_;

	set_options(base_url => $url, max_attempts => 2, %changes);
	my $result = create('times=0');
	is(scalar(@{ $result->{pauses} }), $pauses, "$what: $pauses other attempts");
	like($result->{err}, qr/ERROR:  08001:/, "$what: an error");
	unlike($result->{err}, qr/WARNING/, "$what: nothing was created");
	cmp_ok($result->{took}, '<', 20, "$what: in time");
	return $result;
}
$result = connects('refused', $fake->url('refused'), 2, max_attempts => 3);
like($result->{lines}[0], qr/DEBUG:  POST failed, attempt 1 of 3: trying again in \d+ ms: .*(?:refused|connect)/i,
	'the log says why');
connects('TLS times out', $fake->url('tls_stall'), 1, connect_timeout => '200ms');
connects('connect times out', $fake->url('full_backlog'), 1, connect_timeout => '200ms');
connects('request_timeout is over', $fake->url('full_backlog'), 0, request_timeout => '300ms');
SKIP:
{
	my $start = time;
	my ($says) = getaddrinfo('nowhere.invalid', 443);

	skip 'no name server says that a name does not exist', 4
	  if $says != EAI_NONAME || time - $start > 2;
	# after a time-out on purpose: the look-up gets the descriptor of the connect
	connects('unknown name', 'https://nowhere.invalid', 0);
}
connects($_, $fake->url($_), 0) foreach (qw(unknown_ca wrong_name expired tls11));

# A socket that never got connected is given back: libcurl does not always say
# that it closed it.  A third of max_files_per_process is all that we may hold.
set_options(base_url => $fake->url('full_backlog'), max_attempts => 1, connect_timeout => '1ms');
my $fresh = AepTest::open_session($node);
$result = run(<<'SQL', $fresh);
DO $$
DECLARE
    r record;
BEGIN
    FOR i IN 1 .. 60 LOOP
        BEGIN
            r := aep.create_base_connection();
        EXCEPTION WHEN sqlclient_unable_to_establish_sqlconnection THEN
            NULL;
        END;
    END LOOP;
END $$
SQL
is($result->{err}, '', 'many connects that time out');
set_options();
is(run(create_sql('times=0'), $fresh)->{out}, 1, 'cost nothing');
AepTest::close_session($fresh);

# The service comes back meanwhile.
my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0, Proto => 'tcp')
  or die "socket: $!";
set_options(base_url => 'http://127.0.0.1:' . $listener->sockport, max_attempts => 10);
$log = -s $node->logfile;
AepTest::begin_sql($session, 'SELECT * FROM aep.create_base_connection()');
$node->wait_for_log(qr/POST failed, attempt 2 of 10: trying again/, $log);
$listener->listen(5) or die "listen: $!";
IO::Select->new($listener)->can_read(60) or die 'nobody came';
my $client = $listener->accept;
my $received = '';
my $id = '11111111-2222-3333-4444-555555555555';
while ($received !~ /\r\n\r\n.*\}$/s)
{
	sysread($client, $received, 65536, length $received) or die 'no request';
}
syswrite($client, "HTTP/1.1 201 Created\r\nContent-Length: 45\r\nConnection: close\r\n\r\n{\"id\":\"$id\"}");
is(AepTest::end_sql($session), "$id|", 'a service that comes back is reached');
like($received, qr{^POST /data/foundation/flowservice/connections HTTP/1\.1\r\n}, 'by the whole request');
close $client;
my @others = IO::Select->new($listener)->can_read(0);
is(scalar(@others), 0, 'only once');
close $listener;

# A cancel ends a pause at once, and the request with it.
set_options();
my $waiting = create_sql('status=429,times=1,retry_after=20');
$result = run("SET statement_timeout = '1s'; $waiting; RESET statement_timeout");
like($result->{err}, qr/ERROR:  57014:/, 'a cancel during a pause');
cmp_ok($result->{pauses}[0] // 0, '>=', 20000, 'of 20 s');
cmp_ok($result->{took}, '<', 15, 'ends it promptly');
unlike($result->{err}, qr/WARNING/, 'nothing was created: the service had refused');
is(create('times=0')->{out}, 1, 'the next call works');

$waiting = create_sql('status=429,times=1,retry_after=1');
$result = run("BEGIN; SAVEPOINT s; SET LOCAL statement_timeout = '800ms'; $waiting; ROLLBACK TO s");
like($result->{err}, qr/ERROR:  57014:/, 'a cancel during a pause in a transaction');
is(scalar(@{ $result->{pauses} }), 1, 'it paused');
$result = run(create_sql('delay=1') . '; COMMIT');
is($result->{out}, 1, 'the next call works there too');
is(scalar(@{ $result->{requests} }), 1, 'and the pause is really over');

# A token is fetched again after any failure that may pass: that does no harm.
sub fetches
{
	my ($fault, $statuses, %expected) = @_;
	my $secret = "fault:$fault sesame-secret " . ++$distinct;

	AepTest::run_sql($session,
		"ALTER USER MAPPING FOR CURRENT_USER SERVER ims OPTIONS (SET client_secret '$secret')");
	my $result = run("SELECT count(id) FROM aep.create_base_connection(server => 'ims')");
	my @tokens = grep { $_->{kind} eq 'TOKEN' } @{ $result->{requests} };
	my @calls = grep { $_->{kind} eq 'POST' } @{ $result->{requests} };

	is(join(' ', map { $_->{status} } @tokens), $statuses, "token, $fault: $statuses");
	is(scalar(@{ $result->{pauses} }), @tokens - 1, 'a pause between two');
	if ($expected{error})
	{
		like($result->{err}, $expected{error}, 'an error');
		is(scalar(@calls), 0, 'no call');
	}
	else
	{
		is($result->{out}, 1, 'success');
		is(scalar(@calls), 1, 'one call');
	}
	return $result;
}
fetches("status=$_,times=1", "$_ 200") foreach (429, 502, 503, 504);
fetches("$_,times=1", '200 200') foreach (qw(reset=mid_headers close=mid_headers truncate=10 badchunk=1));
fetches('status=503', '503 503 503', error => qr/ERROR:  58000:/);
AepTest::run_sql($session, "ALTER SERVER ims OPTIONS (SET max_attempts '2')");
fetches('reset=mid_headers', '200 200', error => qr/ERROR:  08006:/);
fetches('status=503,retry_after=3600', '503',
	error => qr/ERROR:  58000:.*HINT:  The service asks to wait 3600 s/s);
fetches("status=$_", $_, error => qr/ERROR:  28000:/) foreach (400, 401, 403);
fetches('status=500', '500', error => qr/ERROR:  58000:/);
fetches('notjson=1', '200', error => qr/ERROR:  08P01:/);

# Each attempt has a line, in the log and for a client that wants it; no secret is in it.
$result = run('SET client_min_messages = debug1; '
	  . create_sql('status=429,times=2')
	  . '; RESET client_min_messages');
my @shown = $result->{err} =~
  /DEBUG:  00000: (HTTP status 429 to POST, attempt \d of 4: trying again in \d+ ms)$/mg;
is(scalar(@shown), 2, 'a line for each other attempt');
is_deeply([ map { /DEBUG:  (.*)/ } @{ $result->{lines} } ], \@shown, 'in the log too');
is(create('status=429,times=1')->{err}, '', 'no line for a client that does not ask');
unlike(slurp_file($node->logfile), qr/sesame|demo-access-token|demo-api-key/, 'no secret in the log');
unlike($seen, qr/sesame|demo-access-token|demo-api-key/, 'none was shown');

AepTest::close_session($session);
done_testing();
