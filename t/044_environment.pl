# The environment in which the server was started says nothing about whom to trust,
# and writes no key of a connection anywhere.
use strict;
use warnings;

use AepTest;
use File::Copy qw(copy);
use PostgreSQL::Test::Utils;
use Test::More;

my $dir = PostgreSQL::Test::Utils::tempdir();
my $fake = AepTest::start_fake();
my $node = AepTest::start_node('main');
my @common = (username => 'acme', password => 'the-password', max_attempts => 1);
AepTest::create_server($node, $fake, @common);
AepTest::create_server($node, $fake, @common, server => 'http2', base_url => $fake->url('http2'));
AepTest::create_server($node, $fake, @common, server => 'system', ca_file => undef);

# Restarts the server with these variables; returns a session that has none of
# the calls before.
sub session_with
{
	local %ENV = (%ENV, @_);

	$node->restart;
	return AepTest::open_session($node);
}

my $id = '11111111-2222-4333-8444-555555555555';

sub calls_work
{
	my ($session, $what) = @_;

	like(AepTest::run_sql($session, 'SELECT id FROM aep.create_base_connection()'),
		qr/^[0-9a-f-]{36}$/, "$what: a call")
	  or diag $session->{err};
	is(AepTest::run_sql($session,
			"SELECT id FROM aep.create_base_connections(ARRAY[aep.base_connection_spec(name => 'x $id')], 'http2')"),
		$id, "$what: a call over HTTP/2")
	  or diag $session->{err};
	return;
}

sub content_of
{
	my ($file) = @_;

	return -e $file ? slurp_file($file) : '';
}

# Keys: the library is ours to start, or another one has started it before.
my $keys = "$dir/keys";
my $session = session_with(SSLKEYLOGFILE => $keys);
calls_work($session, 'SSLKEYLOGFILE');
AepTest::close_session($session);
is(content_of($keys), '', 'SSLKEYLOGFILE: no key is written');

append_to_file("$dir/early.c", <<'C');
#include <curl/curl.h>

__attribute__((constructor)) static void
early(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}
C
my @flags = split ' ', `pkg-config --cflags --libs libcurl`;
my @compile =
  (split(' ', $ENV{CC} // 'cc'), '-shared', '-fPIC', '-o', "$dir/early.so", "$dir/early.c", @flags);
system(@compile) == 0 or BAIL_OUT('cannot compile early.c');
$session = session_with(SSLKEYLOGFILE => $keys, LD_PRELOAD => "$dir/early.so");
ok(-e $keys, 'libcurl started early: it has the file open');
calls_work($session, 'libcurl started early');
AepTest::close_session($session);
is(content_of($keys), '', 'libcurl started early: no key is written');

# Authorities: those of the system, and no others.
my ($hash) = split /\n/, `openssl x509 -hash -noout -in '@{[$fake->ca_file]}'`;
mkdir "$dir/certificates";
copy($fake->ca_file, "$dir/certificates/$hash.0") or die "copy: $!";
$session = session_with(
	SSL_CERT_FILE => $fake->ca_file,
	SSL_CERT_DIR => "$dir/certificates",
	CURL_CA_BUNDLE => $fake->ca_file,
	CURL_SSL_BACKEND => 'none');
calls_work($session, 'authorities');
AepTest::run_sql($session, "SELECT id FROM aep.create_base_connection(server => 'system')");
like($session->{err}, qr/^ERROR:  08001: .*\nDETAIL:  .*certificate/m,
	"authorities: only the system's are trusted without ca_file");
AepTest::close_session($session);

done_testing();
