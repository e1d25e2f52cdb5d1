# Services, proxies and environments that mean us no good.
use strict;
use warnings;

use AepTest;
use IO::Select;
use IO::Socket::INET;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

$SIG{PIPE} = 'IGNORE';

# Servers of this process, which say what a test wants.
sub listener
{
	return IO::Socket::INET->new(Listen => 100, LocalAddr => '127.0.0.1', Timeout => 20)
	  // die "no listener: $!";
}

my $raw = listener();
my $proxy = listener();
my $trap = listener();    # nobody may ever come here

sub url
{
	my ($listener) = @_;

	return 'http://127.0.0.1:' . $listener->sockport;
}

my $fake = AepTest::start_fake('--record-secrets');
my $node = AepTest::start_node(
	'main',
	'log_statement = none',
	# a third of these is what all libraries of a backend may open
	'max_files_per_process = 100');
my @login = (username => 'acme', password => 'the-password');
AepTest::create_server($node, $fake, @login, max_attempts => 1);
AepTest::create_server($node, $fake, @login,
	server => 'raw',
	base_url => url($raw),
	max_attempts => 1,
	max_response_size => '8MB',
	request_timeout => '30s');
AepTest::create_server($node, $fake, @login, server => 'plain', base_url => $fake->url('http'),
	proxy => url($trap));
AepTest::create_server($node, $fake, @login, server => 'refused', base_url => $fake->url('refused'),
	max_attempts => 1);
AepTest::create_server($node, $fake, @login, server => 'proxied', proxy => url($proxy),
	max_attempts => 1);
AepTest::create_server(
	$node, $fake, @login,
	server => 'ims',
	token_url => $fake->url('ims'),
	access_token => undef,
	client_secret => 'demo-client-secret');

my ($session, $pid);

sub open_session
{
	$session = AepTest::open_session($node);
	$pid = AepTest::run_sql($session, 'SELECT pg_backend_pid()');
	return;
}
open_session();

sub create
{
	my ($name, $server) = @_;

	return 'SELECT id FROM aep.create_base_connection(name => '
	  . AepTest::literal($name)
	  . ", server => '"
	  . ($server // 'aep') . "')";
}

my $uuid = qr/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/;
my $id = '11111111-2222-4333-8444-555555555555';

# Does the session still do what it should?
sub works
{
	my ($what, $server) = @_;

	like(AepTest::run_sql($session, create('works', $server)), qr/^$uuid$/, "$what: the next call works")
	  or diag $session->{err};
	return;
}

# Reads one request: (head, body).
sub read_request
{
	my ($client) = @_;
	my $text = '';

	while ($text !~ /\r\n\r\n/)
	{
		sysread($client, $text, 65536, length $text) or die 'no request';
	}
	my ($head, $body) = split /\r\n\r\n/, $text, 2;
	my ($length) = $head =~ /^content-length: (\d+)/im;
	while (length $body < ($length // 0))
	{
		sysread($client, $body, 65536, length $body) or die 'no body';
	}
	return ($head, $body);
}

# An answer of the service.
sub answer
{
	my ($status, $body, @headers) = @_;

	return join("\r\n",
		"HTTP/1.1 $status Whatever",
		'Content-Type: application/json',
		'Content-Length: ' . length $body,
		@headers, '', $body);
}

sub created
{
	my ($etag) = @_;

	return answer(201, qq({"id": "$id", "etag": "\\"$etag\\""}));
}

# One call to the raw server, which sends text, or does what the function does.
# Returns the head of the request; output and errors are in the session.
sub exchange
{
	my ($sends, $sql) = @_;

	AepTest::begin_sql($session, $sql // create('raw', 'raw'));
	my $client = $raw->accept // die 'nobody came';
	my ($head) = read_request($client);
	if (ref $sends) { $sends->($client); }
	else { syswrite($client, $sends); }
	shutdown($client, 1);
	AepTest::end_sql($session);
	close $client;
	return $head;
}

# Has anybody connected to a listener?
sub has_visitor
{
	my ($listener) = @_;

	return scalar(IO::Select->new($listener)->can_read(0));
}

# Sends text again and again, at most so many bytes; returns how many it could.
sub send_repeatedly
{
	my ($client, $text, $most) = @_;
	my $sent = 0;
	my $block = $text x (1 + int(65536 / length $text));

	while ($sent < $most)
	{
		my $written = syswrite($client, $block) or last;
		$sent += $written;
	}
	return $sent;
}

works('at the start', $_) foreach (qw(aep plain));

# Size: 100 kB that unpack to 100 MB.
$node->safe_psql('postgres', q{ALTER SERVER aep OPTIONS (ADD max_response_size '100kB')});
AepTest::run_sql($session, create('fault:gzip=50000'));    # from here on zlib is loaded
my $peak = AepTest::peak_of($pid, sub { AepTest::run_sql($session, create('fault:gzip=100000000')) });
like($session->{err}, qr/ERROR:  54000: .* the answer is too large/, 'unpacking: refused');
note "unpacking took $peak kB";
cmp_ok($peak, '<', 4096, 'unpacking: memory is flat');
works('unpacking');

# Endless answers: what counts is how much was taken.
my $head = "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n";
my $header = '54000|08007|53200';    # depends on who notices first
my %endless = (
	'a body of unknown length' => [ "$head\r\n", '{"x": 1}', 54000 ],
	'a chunked body' => [ "${head}Transfer-Encoding: chunked\r\n\r\n", "8\r\n{\"x\": 1}\r\n", 54000 ],
	'a body of known length' => [ "${head}Content-Length: 500000000\r\n\r\n", ' ', 54000 ],
	'headers' => [ $head, "X-More: and more and more\r\n", $header ],
	'a header' => [ "${head}X-More: ", 'and more ', $header ],
	'early hints' => [ '', "HTTP/1.1 103 Early Hints\r\nLink: </more>; rel=preload\r\n\r\n", $header ],
	'a status line' => [ 'HTTP/1.1 201 ', 'Created ', $header ],
	'trailers' =>
	  [ "${head}Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n", "X-More: and more\r\n", $header ]);

foreach my $what (sort keys %endless)
{
	my ($start, $more, $sqlstate) = @{ $endless{$what} };
	my $sent;
	my $took = time;

	$peak = AepTest::peak_of(
		$pid,
		sub {
			exchange(
				sub {
					my ($client) = @_;
					syswrite($client, $start);
					$sent = send_repeatedly($client, $more, 100_000_000);
				});
		});
	note sprintf('endless %s: %d kB sent, %d kB of memory, %.1f s: %s',
		$what, $sent / 1024, $peak, time - $took, $session->{err} =~ /^(ERROR: .*)/m);
	like($session->{err}, qr/ERROR:  (?:$sqlstate):/, "endless $what: refused");
	cmp_ok($sent, '<', 30_000_000, "endless $what: given up on the way");
	# the limit is 8 MB, and a buffer that grows is there twice
	cmp_ok($peak, '<', 40_000, "endless $what: no more memory than the limit allows");
}
works('endless answers');

# Answers that are no use: the SQLSTATE of each, and never a crash.
my $json = qq({"id": "$id", "x": );
my @answers = (
	[ 'nesting', answer(201, $json . '[' x 1_000_000 . ']' x 1_000_000 . '}'), '08P01' ],
	[ 'nesting in an error', answer(400, '{"a":' x 100_000 . '1' . '}' x 100_000), '22023' ],
	[ 'many small values', answer(201, $json . '[' . '1,' x 2_000_000 . '1]}'), '08P01' ],
	[ 'many small values in an error', answer(400, '{"x": [' . '1,' x 2_000_000 . '1]}'), '22023' ],
	[ 'bytes in an error', answer(400, join('', map { chr } 0 .. 255) x 1000), '22023' ],
	[ 'NUL in a header', "${head}X-A: a\0b\r\nContent-Length: 2\r\n\r\n{}", '08P01|08007' ],
	[ 'bytes in a request id', answer(400, '{}', "x-request-id: \xff\x01\x80"), '22023' ],
	[ 'an error that is too large', answer(403, ' ' x 10_000_000), '54000' ],
	[ 'a length beyond all', "${head}Content-Length: " . '9' x 20 . "\r\n\r\n{}", '08007|54000|08P01' ],
	[ 'a negative length', "${head}Content-Length: -1\r\n\r\n{}", '08007|08P01' ],
	[   'a chunk beyond all',
		"${head}Transfer-Encoding: chunked\r\n\r\n" . 'f' x 17 . "\r\n{}", '08007' ],
	[ 'not gzip', answer(201, '{}', 'Content-Encoding: gzip'), '08007' ],
	[ 'an unknown packing', answer(201, '{}', 'Content-Encoding: rot13'), '08007' ],
	[ 'a wait for ever', answer(429, '', 'Retry-After: 99999999999999999999'), '53400' ],
	[ 'a wait backwards', answer(429, '', 'Retry-After: -5'), '53400' ],
	[ 'another protocol', "RTSP/1.0 201 Created\r\nContent-Length: 2\r\n\r\n{}", '08007' ],
	[ 'no status at all', '{"id": "' . $id . '"}', '08007' ],
	[ 'nothing', '', '08007' ],
	[ 'a status beyond all', "HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n", '58000' ],
	[ 'a switch of protocols', "HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\n\r\n", '08007|58000' ],
	[ 'a status without a body', "HTTP/1.1 204 No Content\r\n\r\n", '08P01' ]);

foreach my $case (@answers)
{
	my ($what, $answer, $sqlstate) = @$case;

	$peak = AepTest::peak_of($pid, sub { exchange($answer) });
	like($session->{err}, qr/ERROR:  (?:$sqlstate): /, "$what: the error");
	cmp_ok($peak, '<', 40_000, "$what: memory");
	is(AepTest::run_sql($session, 'SELECT pg_backend_pid()'), $pid, "$what: the session lives");
}
exchange(answer(403, ' ' x 10_000_000));
like($session->{err}, qr/HTTP status 403/, 'the status is told when the body is refused');

# Nobody leads us elsewhere.  GET as well as POST: only that could be followed.
my $requests = $fake->requests;
my $elsewhere = $fake->url('http') . '/data/foundation/flowservice/connections';
foreach my $status (301, 302, 303, 307, 308)
{
	foreach my $sql (create('raw', 'raw'), "SELECT * FROM aep.connection('$id', server => 'raw')")
	{
		exchange(answer($status, '{}', "Location: $elsewhere"), $sql);
		like($session->{err}, qr/ERROR:  58000: .*\nDETAIL: .* HTTP status $status/,
			"redirect with status $status");
	}
}
exchange(answer(302, '{}', 'Location: file:///etc/passwd'));
like($session->{err}, qr/ERROR:  58000: /, 'redirect to a file');
is(scalar($fake->requests), $requests, 'no redirect was followed');

# What comes unasked on an idle connection is not taken for the answer to the
# next request: another answer, or a gateway's word before it hangs up.
my $smuggled = answer(201, '{"id": "99999999-9999-4999-8999-999999999999", "etag": "\"x\""}');

# The next request may come on this connection, or on another; returns which.
sub next_request
{
	my ($client) = @_;
	my ($ready) = IO::Select->new($raw, $client)->can_read(20);

	if ($ready == $raw || !sysread($client, my $request, 65536))
	{
		$client = $raw->accept // die 'nobody came again';
		read_request($client);
	}
	return $client;
}
my %unasked = (
	'another answer at once' => [ $smuggled, '', 0 ],
	'another answer later' => [ '', $smuggled, 0 ],
	'a farewell' => [ '', answer(408, '', 'Connection: close'), 1 ]);

foreach my $what (sort keys %unasked)
{
	my ($at_once, $later, $hangs_up) = @{ $unasked{$what} };

	AepTest::begin_sql($session, create('first', 'raw'));
	my $client = $raw->accept // die 'nobody came';
	read_request($client);
	syswrite($client, created('first') . $at_once);
	is(AepTest::end_sql($session), $id, "$what: the first answer is taken");
	syswrite($client, $later);
	shutdown($client, 1) if $hangs_up;
	sleep 0.1;

	AepTest::begin_sql($session, create('second', 'raw'));
	$client = next_request($client);
	syswrite($client, created('second'));
	is(AepTest::end_sql($session), $id, "$what: so is the second") or diag $session->{err};
	close $client;
	AepTest::close_session($session);
	open_session();
}

# Nor for that to the next attempt.
$node->safe_psql('postgres', q{ALTER SERVER raw OPTIONS (SET max_attempts '2')});
AepTest::begin_sql($session, create('first', 'raw'));
my $throttled = $raw->accept // die 'nobody came';
read_request($throttled);
syswrite($throttled, answer(429, ''));
sleep 0.05;
syswrite($throttled, $smuggled);
$throttled = next_request($throttled);
syswrite($throttled, created('first'));
is(AepTest::end_sql($session), $id, 'unasked during a pause: the answer is taken')
  or diag $session->{err};
close $throttled;
AepTest::close_session($session);
open_session();

# Nothing of an answer comes back with the next attempt.
my $second;
exchange(
	sub {
		my ($client) = @_;
		syswrite($client, answer(429, '', 'Set-Cookie: a=b; Path=/', 'Connection: close'));
		close $client;
		$client = $raw->accept // die 'nobody came again';
		($second) = read_request($client);
		syswrite($client, created('second'));
		close $client;
	});
like($second, qr/^POST /, 'another attempt');
unlike($second, qr/^cookie/im, 'no cookie is sent back');

# The environment of the server: proxies, passwords, certificates.
my $home = PostgreSQL::Test::Utils::tempdir();
append_to_file("$home/.netrc", "default login netrc-user password netrc-password\n");
chmod 0600, "$home/.netrc";
my $other_ca = $fake->dir . '/certificates/other_ca.pem';
AepTest::create_server($node, $fake, @login, server => 'other_ca', ca_file => $other_ca,
	max_attempts => 1);
AepTest::create_server($node, $fake, @login, server => 'system_ca', ca_file => undef,
	max_attempts => 1);

# A system that trusts the fake: the CA is where OpenSSL looks for it by its hash.
my $preload = "$home/system_ca.so";
append_to_file("$home/system_ca.c", <<'C');
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *
moved(const char *path)
{
	const char *base = strrchr(path, '/');

	return base != NULL && strcmp(base + 1, getenv("TEST_CA_HASH")) == 0 ? getenv("TEST_CA") : path;
}
#define MOVED(type, name, first, more, ...) \
	type name(const char *path, first more) \
	{ \
		type (*next)(const char *, first) = (type (*)(const char *, first)) dlsym(RTLD_NEXT, #name); \
		return next(moved(path), more); \
	}
MOVED(FILE *, fopen, const char *, mode)
MOVED(FILE *, fopen64, const char *, mode)
MOVED(int, stat, struct stat *, result)
C
my @cc = split ' ', $ENV{CC} // 'cc';
system(@cc, '-shared', '-fPIC', '-o', $preload, "$home/system_ca.c", '-ldl') == 0
  or BAIL_OUT('cannot compile system_ca.c');
my ($hash) = split /\n/, `openssl x509 -hash -noout -in '@{[$fake->ca_file]}'`;

# Restarts the server with these variables, and opens a session.
sub restart_with
{
	local %ENV = (%ENV, @_);

	AepTest::close_session($session);
	$node->restart;
	open_session();
	return;
}

my @proxies =
  map { ($_ => url($trap)) } qw(http_proxy https_proxy HTTPS_PROXY all_proxy ALL_PROXY);
restart_with(
	@proxies,
	HOME => $home,
	NETRC => "$home/.netrc",
	SSL_CERT_FILE => $fake->ca_file,
	CURL_CA_BUNDLE => $fake->ca_file,
	LD_PRELOAD => $preload,
	TEST_CA => $fake->ca_file,
	TEST_CA_HASH => "$hash.0");
works("hostile variables, $_", $_) foreach (qw(aep plain ims));
ok(!has_visitor($trap), 'proxies come from the option only, and serve no loopback address');
my ($token_request) = $fake->requests_of_kind('TOKEN');
ok(!exists $token_request->{headers}{authorization}, '.netrc: no password of it is sent');
like(($fake->requests)[-1]{headers}{authorization}, qr/^Bearer /, 'nor does one replace the token');
AepTest::run_sql($session, create('a', 'other_ca'));
like($session->{err}, qr/ERROR:  08001: .*\nDETAIL: .*certificate/,
	"ca_file is trusted instead of the system's store");
SKIP:
{
	skip 'libcurl uses no folder of certificates here', 1
	  if AepTest::run_sql($session, create('a', 'system_ca')) !~ /^$uuid$/;
	pass("the system's store is what serves without ca_file");
}

# A proxy sees where to, and nothing else.
restart_with(no_proxy => '*', NO_PROXY => '*');

# Passes bytes on between the session's connection and the fake; returns what
# the session sent.
sub tunnel
{
	my ($client) = @_;
	my ($port) = $fake->url =~ /:(\d+)$/;
	my $service = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port") // die "no service: $!";
	my $select = IO::Select->new($client, $service);
	my $seen = '';

	until ($session->{err} =~ /^the end$/m)
	{
		foreach my $socket ($select->can_read(0.02))
		{
			my $bytes;
			sysread($socket, $bytes, 65536) or return $seen;
			$seen .= $bytes if $socket == $client;
			syswrite($socket == $client ? $service : $client, $bytes);
		}
		$session->{harness}->pump_nb;
	}
	return $seen;
}

AepTest::begin_sql($session, create('through a proxy', 'proxied'));
my $client = $proxy->accept // die 'nobody came to the proxy';
my ($connect) = read_request($client);
syswrite($client, "HTTP/1.1 200 Connection established\r\n\r\n");
my $seen = tunnel($client);
like(AepTest::end_sql($session), qr/^$uuid$/, 'proxy: the call works');
my ($address) = $fake->url =~ m{//(.*)};
like($connect, qr/^CONNECT \Q$address\E HTTP/, 'proxy: it is used, whatever no_proxy says');
unlike("$connect$seen", qr/authorization|bearer|x-api-key|demo-|password|x-gw|flowservice/i,
	'proxy: it sees no secret');
cmp_ok(length $seen, '>', 1000, 'proxy: all goes through it');
close $client;

foreach my $answer (
	answer(407, '', 'Proxy-Authenticate: Basic realm="x"'),
	answer(302, '', 'Location: http://127.0.0.1/'),
	answer(502, ''), 'nonsense', '')
{
	my ($what) = $answer =~ /^(.*)/;
	AepTest::begin_sql($session, create('refused by a proxy', 'proxied'));
	my $client = $proxy->accept // die 'nobody came to the proxy';
	read_request($client);
	syswrite($client, $answer);
	close $client;
	AepTest::end_sql($session);
	like($session->{err}, qr/ERROR:  08001:/, "proxy says \"$what\": nothing was sent");
	unlike($session->{err}, qr/WARNING/, "proxy says \"$what\": so nothing is pending");
}
ok(!has_visitor($proxy), 'proxy: asked once each time');

# Failing calls leave nothing: descriptors, sockets, memory, or what PostgreSQL
# counts of the descriptors of libraries.
sub make_many
{
	my ($count, $name, $server) = @_;

	# a statement for each
	AepTest::run_sql($session,
		'SELECT ' . AepTest::literal(create($name, $server))
		  . " FROM generate_series(1, $count) \\gexec\nSELECT");
	return;
}

foreach my $case ([ 'fault:status=400', 'aep' ], [ 'a', 'refused' ])
{
	my ($name, $server) = @$case;
	my $what = "1000 times $name, $server";
	my $start = time;

	make_many(100, $name, $server);
	works("before $what", 'aep');
	my $descriptors = AepTest::descriptors_of($pid);
	my $memory = AepTest::kilobytes_of($pid, 'RssAnon');
	make_many(1000, $name, $server);
	is(scalar(() = $session->{err} =~ /^ERROR: /mg), 1000, "$what: all fail");
	works($what, 'aep');
	is(AepTest::descriptors_of($pid), $descriptors, "$what: no descriptor stays");
	my $growth = AepTest::kilobytes_of($pid, 'RssAnon') - $memory;
	note sprintf('%s: %.1f s, %d kB', $what, time - $start, $growth);
	cmp_ok($growth, '<', 512, "$what: no memory stays");
}
AepTest::close_session($session);

done_testing();
