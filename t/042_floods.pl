# Answers that go on and on, or unpack to no end: what comes in is bounded as well
# as what comes out, and every step can be cancelled.
use strict;
use warnings;

use AepTest;
use IO::Socket::INET;
use POSIX ();
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

$SIG{PIPE} = 'IGNORE';

my $fake = AepTest::start_fake();
my $node = AepTest::start_node('main');
my @common = (username => 'acme', password => 'the-password', max_attempts => 1);
AepTest::create_server($node, $fake, @common);
# one that takes little, and one that takes so much that only a cancel ends it
foreach my $kind ('https', 'http', 'http2')
{
	AepTest::create_server($node, $fake, @common,
		server => "small_$kind",
		base_url => $fake->url($kind),
		max_response_size => '100kB');
	AepTest::create_server($node, $fake, @common,
		server => "large_$kind",
		base_url => $fake->url($kind),
		max_response_size => '256MB',
		request_timeout => '300s');
}
my $session = AepTest::open_session($node);
my $pid = AepTest::run_sql($session, 'SELECT pg_backend_pid()');

sub percent
{
	my ($text) = @_;

	$text =~ s/([^A-Za-z0-9])/sprintf('%%%02X', ord $1)/ge;
	return $text;
}

sub create
{
	my ($name, $server) = @_;

	return 'SELECT id FROM aep.create_base_connection(name => '
	  . AepTest::literal($name)
	  . ", server => '"
	  . ($server // 'aep') . "')";
}

# Two of them, over HTTP/2 where there is.  A fault is one for both; the fake for
# HTTP/2 wants an id in a name.
my $id = '11111111-2222-4333-8444-555555555555';

sub create_two
{
	my ($what, $server) = @_;

	return "SELECT string_agg(DISTINCT coalesce(sqlstate, 'none'), ' ') FROM aep.create_base_connections("
	  . "ARRAY[aep.base_connection_spec(name => '$what 1 $id'), aep.base_connection_spec(name => '$what 2 $id')], '$server')";
}

# Fails that way, and leaves the session as it was.
sub fails
{
	my ($what, $sql, $sqlstate, $detail) = @_;

	AepTest::run_sql($session, $sql);
	like($session->{err}, qr/^ERROR:  $sqlstate:/m, "$what: $sqlstate");
	like($session->{err}, qr/^DETAIL:  $detail$/m, "$what: says why") if $detail;
	is(AepTest::run_sql($session, 'SELECT pg_backend_pid()'), $pid, "$what: the session lives");
	return;
}

# A cancel ends it: the timeout is long enough for the answer to have begun.
sub is_cancelled
{
	my ($what, $sql) = @_;

	AepTest::run_sql($session, q{SET statement_timeout = '300ms'});
	my $start = time;
	fails("$what, cancelled", $sql, 57014);
	cmp_ok(time - $start, '<', 5, "$what, cancelled: at once, not when the limit is passed");
	AepTest::run_sql($session, 'RESET statement_timeout');
	return;
}

sub works
{
	my ($what) = @_;

	like(AepTest::run_sql($session, create('works')), qr/^[0-9a-f-]{36}$/, "$what: the next call works")
	  or diag $session->{err};
	return;
}

# Layers of packing: some kB that keep zlib busy for minutes, without any output.
my $twice = 'is packed more than once';
# newer versions of libcurl look at this one first
my $way = 'is packed (?:for its way, which was not asked for|in a way that cannot be unpacked)';
my $other = 'is packed in a way that was not asked for';
foreach my $case (
	[ 3, "Content-Encoding: gzip, gzip, gzip", $twice ],
	[ 2, "Content-Encoding: gzip\nContent-Encoding: gzip", $twice ],
	[ 2, "content-encoding: GZIP ,\tx-gzip", $twice ],
	[ 2, "Content-Encoding: identity, gzip, gzip", $twice ],
	[ 2, "Transfer-Encoding: gzip, gzip", $way ],
	[ 2, "Content-Encoding: gzip\nTransfer-Encoding: gzip", $way ],
	[ 1, "Transfer-Encoding: deflate", $way ],
	(map { [ 1, "Content-Encoding: $_", $other ] } 'deflate', 'br', 'zstd', 'compress', 'rot13'))
{
	my ($layers, $heads, $why) = @$case;
	my $what = $heads =~ s/\n/, /r;
	my $fault = "layers=$layers,chunked=1,heads=" . percent($heads);

	fails($what, create("fault:$fault"), '08007', "The answer with HTTP status 201 $why\\.");
	my $made = AepTest::run_sql($session, create("fault:on=GET,$fault"));
	fails("$what, to a reading call", "SELECT aep.connection('$made')", '08P01',
		"The answer with HTTP status 200 $why\\.");
}
my $packed = create('fault:gzip=50000,heads=' . percent('X-Nothing: gzip, gzip'));
like(AepTest::run_sql($session, $packed), qr/^[0-9a-f-]{36}$/, 'one layer is unpacked');
works('packing');

# Floods of HTTP/1.1.  Heads have a limit of their own; the rest counts as the
# answer does, all that stands around it too.
my $long = 'has more headers than libcurl takes, or longer ones';
my $heads = "(?:has more than 1024 lines of headers, or 256 kB|$long)";
foreach my $case (
	[ 'early', '08007', "The answer with HTTP status 103 $heads" ],
	[ 'headers', '08007', "The answer with HTTP status 201 $heads" ],
	[ 'header', '08007', "The answer with HTTP status 201 $long" ],
	[ 'trailers', '08007', "The answer with HTTP status 201 $heads" ],
	[ 'body', '54000', 'An answer with HTTP status 201 began, and passed the limit' ],
	[ 'blocks', '54000', 'An answer with HTTP status 201 began, and passed the limit' ],
	[ 'extension', '54000', 'An answer with HTTP status 201 began, and passed the limit' ])
{
	my ($kind, $sqlstate, $detail) = @$case;
	my $peak = AepTest::peak_of($pid,
		sub { fails("endless $kind", create("fault:flood=$kind", 'small_https'), $sqlstate, "$detail\\.") });

	cmp_ok($peak, '<', 16_384, "endless $kind: $peak kB");
	next if $sqlstate eq '08007';
	is_cancelled("endless $kind", create("fault:flood=$kind", "large_$_")) foreach ('https', 'http');
}
works('floods');

# Of HTTP/2: frames that are no answer, and that libcurl may take in for ever
# within one call.
like(AepTest::run_sql($session, create_two('two', 'small_http2')), qr/^none$/, 'HTTP/2 works');
foreach my $kind ('unknown', 'data', 'ping', 'settings', 'continuation')
{
	my $sqlstate = AepTest::run_sql($session, create_two($kind, 'small_http2'));

	like($sqlstate, qr/^(?:54000|08007)$/, "endless $kind frames: refused");
	# 08007: nghttp2 gives up, since it has limits of its own
	is_cancelled("endless $kind frames", create_two($kind, 'large_http2'))
	  if $sqlstate eq '54000' && $kind =~ /unknown|data/;
	like(AepTest::run_sql($session, create_two('two', 'small_http2')),
		qr/^none$/, "endless $kind frames: the next call works");
}

# A header that is too long is no lack of memory.
foreach my $size (110_000, 250_000)
{
	fails("a header of $size bytes",
		create("fault:bigheader=$size"), '08007', "The answer with HTTP status 201 $long\\.");
	my $made = AepTest::run_sql($session, create("fault:on=GET,bigheader=$size"));
	fails("a header of $size bytes to a reading call",
		"SELECT aep.connection('$made')", '08P01', "The answer with HTTP status 200 $long\\.");
}
like(AepTest::run_sql($session, create('fault:bigheader=90000')), qr/^[0-9a-f-]{36}$/, 'one of 90 kB is taken');
fails('a header of ours that is too long',
	"SELECT aep.request('GET', '/flowservice/flows', headers => jsonb_build_object('x-long', repeat('x', 600000)))",
	54000, 'They have \d+ bytes, and 524288 can be sent\.');

# A link that is no URL leads on all the same.
my $name = 'fault:on=LIST,paging=blank';
AepTest::run_sql($session,
	"SELECT count(id) FROM aep.create_base_connections(ARRAY(SELECT aep.base_connection_spec(name => '$name') FROM generate_series(1, 250)))");
is(AepTest::run_sql($session, "SELECT count(*), count(DISTINCT id) FROM aep.connections(name => '$name')"),
	'250|250', 'a continuation token with a blank') or diag $session->{err};

# A proxy that asks for a login, and explains that at length.
my $proxy = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1') // die "no listener: $!";
AepTest::create_server($node, $fake, @common,
	server => 'proxied',
	proxy => 'http://127.0.0.1:' . $proxy->sockport);
my $talker = fork() // die "fork: $!";
if ($talker == 0)
{
	while (my $client = $proxy->accept)
	{
		sysread($client, my $connect, 65536);
		syswrite($client, "HTTP/1.1 407 No\r\nContent-Length: 1000000000000\r\n\r\n");
		1 while syswrite($client, 'because ' x 8192);
	}
	POSIX::_exit(0);
}
fails('a proxy that wants a login', create('proxied', 'proxied'), '08001',
	"The proxy's answer asks for a login, with HTTP status 407\\.");
kill 'KILL', $talker;
waitpid($talker, 0);
works('a proxy');

AepTest::close_session($session);
done_testing();
