# HTTP statuses, codes of the services and broken exchanges, and every shape an error answer has.
use strict;
use warnings;

use AepTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $fake = AepTest::start_fake();
my $node = AepTest::start_node('main');
AepTest::create_server($node, $fake, max_attempts => 1, max_response_size => '100kB');

# Creates with a fault; the error must match all patterns.
sub fails_with
{
	my ($fault, @patterns) = @_;
	my $error = AepTest::failing($node,
		"SELECT id FROM aep.create_base_connection(username => 'acme', password => 'the \"password\"', name => 'fault:$fault')",
		quiet => 1);

	like($error, $_, "$fault: $_") foreach (@patterns);
	unlike($error, qr/the .{0,6}password|demo-access-token|demo-api-key/, "$fault: no secret");
	return $error;
}

# HTTP statuses and service codes
fails_with('status=400', qr/ERROR:  22023: could not create base connection on server "aep": /,
	qr/HTTP status 400/);
fails_with('status=422', qr/ERROR:  22023:/, qr/HTTP status 422/);
fails_with('status=401', qr/ERROR:  28000:/, qr/HTTP status 401/, qr/HINT:.*access_token/);
fails_with('status=400,code=FLOW-2114', qr/ERROR:  28000:/, qr/FLOW-2114/);
fails_with('status=400,code=FLOW-2115', qr/ERROR:  28000:/, qr/FLOW-2115/);
fails_with('status=403', qr/ERROR:  42501:/, qr/HTTP status 403/, qr/HINT:.*Manage Sources/);
fails_with('status=404', qr/ERROR:  42704:/);
fails_with('status=409', qr/ERROR:  42710:/);
fails_with('status=400,code=FLOW-1418', qr/ERROR:  2BP01:/, qr/FLOW-1418/);
fails_with('status=412', qr/ERROR:  40001:/);
fails_with('status=429', qr/ERROR:  53400:/);
fails_with('status=429,retry_after=17', qr/ERROR:  53400:/, qr/HINT:.*asks to wait 17 s/);
fails_with('status=500', qr/ERROR:  58000:/, qr/HTTP status 500/);
fails_with('status=503', qr/ERROR:  58000:/);
fails_with('status=502', qr/ERROR:  08007:/, qr/the outcome is unknown/, qr/HINT:.*before you try/);
fails_with('status=504', qr/ERROR:  08007:/);
fails_with('status=418', qr/ERROR:  58000:/, qr/HTTP status 418/);
fails_with('redirect=http%3A%2F%2F127.0.0.1%3A1%2F', qr/ERROR:  58000:/, qr/HTTP status 307/);

# shapes of the body
foreach my $shape (qw(gateway gateway_int current older message framework))
{
	fails_with("status=403,shape=$shape,message=the%20reason", qr/ERROR:  42501:/,
		qr/"the reason"/);
}
fails_with('status=400,shape=current,code=FLOW-1413', qr/code FLOW-1413-400, request id \S+: "/);
fails_with('status=403,shape=gateway', qr/code 40\d{4}/);
fails_with('status=403,shape=gateway_int', qr/code 40\d{4}/);
fails_with('status=503,shape=empty', qr/ERROR:  58000:/, qr/HTTP status 503\./);
fails_with('status=503,shape=html', qr/ERROR:  58000:/, qr/<html/i);
fails_with('status=500,shape=text', qr/ERROR:  58000:/);

# a service that repeats our secrets
foreach my $shape (qw(gateway current older message framework html text))
{
	like(fails_with("status=400,echo=1,shape=$shape"), qr/\*{8}/, "echo as $shape: masked");
}

# answers that are not understood, though something was created
foreach my $fault (qw(notjson=1 noid=1 badid=1 nulid=1 surrogate=1 badutf8=1 dupid=1 idcase=1 deep=5000))
{
	fails_with($fault, qr/ERROR:  08P01:/, qr/HTTP status 201/, qr/HINT:.*may have been carried out/);
}
fails_with('noid=1', qr/DETAIL:.*etag/);
is( $node->safe_psql('postgres',
		"SELECT etag IS NULL FROM aep.create_base_connection(username => 'u', password => 'p', name => 'fault:noetag=1')"),
	't',
	'an answer without etag is fine');

# limits of the answer
fails_with('huge=200000', qr/ERROR:  54000:/, qr/HTTP status 201/, qr/max_response_size/);
fails_with('huge=200000,chunked=1', qr/ERROR:  54000:/);
fails_with('gzip=1000000', qr/ERROR:  54000:/);
is( $node->safe_psql('postgres',
		"SELECT count(id) FROM aep.create_base_connection(username => 'u', password => 'p', name => 'fault:gzip=50000')"),
	1,
	'a packed answer within the limit');

# broken exchanges of a POST: nobody knows what became of it
foreach my $fault (
	qw(close=before close=mid_headers close=mid_body reset=before reset=mid_body truncate=10
	badchunk=1 junk_status=1))
{
	fails_with($fault, qr/ERROR:  08007:/, qr/libcurl says: /);
}
$node->safe_psql('postgres', "ALTER SERVER aep OPTIONS (ADD request_timeout '300ms')");
fails_with('stall=before_headers', qr/ERROR:  08007:/, qr/[Tt]imed? ?out/);
fails_with('stall=mid_body', qr/ERROR:  08007:/, qr/HTTP status 201/);
$node->safe_psql('postgres', "ALTER SERVER aep OPTIONS (DROP request_timeout)");

# no connection: nothing was sent
sub no_connection
{
	my ($what, $url, @patterns) = @_;
	my $before = $fake->requests;

	$node->safe_psql('postgres', "ALTER SERVER aep OPTIONS (SET base_url '$url')");
	my $error = AepTest::failing($node, "SELECT id FROM aep.create_base_connection(username => 'u', password => 'secret')");
	like($error, $_, "$what: $_") foreach (qr/ERROR:  08001:/, @patterns);
	is(scalar($fake->requests), $before, "$what: nothing was sent");
	return;
}
no_connection('refused', $fake->url('refused'), qr/refused|Couldn't connect|Failed to connect/i);
no_connection('unknown name', 'https://nowhere.invalid', qr/resolve host/);
no_connection('unknown CA', $fake->url('unknown_ca'), qr/certificate/);
no_connection('wrong name', $fake->url('wrong_name'), qr/certificate|host name/);
no_connection('expired', $fake->url('expired'), qr/certificate has expired/);
no_connection('TLS 1.1', $fake->url('tls11'), qr/libcurl says: /);
$node->safe_psql('postgres', "ALTER SERVER aep OPTIONS (ADD connect_timeout '300ms')");
no_connection('connect never completes', $fake->url('full_backlog'), qr/[Tt]imed? ?out/);
no_connection('TLS never completes', $fake->url('tls_stall'), qr/[Tt]imed? ?out/);

# a trust file that is not there
$node->safe_psql('postgres',
	"ALTER SERVER aep OPTIONS (SET base_url '" . $fake->url . "', SET ca_file '/nonexistent.pem')");
like(AepTest::failing($node, "SELECT id FROM aep.create_base_connection(username => 'u', password => 'p')"),
	qr/ERROR:  08001:/, 'no trust file');

# the proxy variables of the server's environment are not ours
$node->safe_psql('postgres',
	"ALTER SERVER aep OPTIONS (SET ca_file '" . $fake->ca_file . "', DROP connect_timeout)");
{
	local $ENV{https_proxy} = 'http://127.0.0.1:1';
	local $ENV{HTTPS_PROXY} = 'http://127.0.0.1:1';
	local $ENV{ALL_PROXY} = 'http://127.0.0.1:1';
	$node->restart;
}
is( $node->safe_psql('postgres', "SELECT count(id) FROM aep.create_base_connection(username => 'u', password => 'p')"),
	1, 'proxy variables are ignored');

# the service's own checks, seen from SQL
sub refused_option
{
	my ($option, $value, @patterns) = @_;
	my $catalog =
	  $option eq 'access_token' || $option eq 'api_key'
	  ? 'USER MAPPING FOR CURRENT_USER SERVER aep'
	  : 'SERVER aep';
	my $has = $node->safe_psql('postgres', "SELECT srvoptions::text ~ '$option=' FROM pg_foreign_server");
	my $verb = $has eq 't' || $catalog ne 'SERVER aep' ? 'SET' : 'ADD';
	my $error = AepTest::failing($node,
		"BEGIN; ALTER $catalog OPTIONS ($verb $option '$value'); "
		  . "SELECT id FROM aep.create_base_connection(username => 'u', password => 'p');");
	like($error, $_, "$option: $_") foreach (@patterns);
	return;
}
refused_option('access_token', 'stale', qr/ERROR:  28000:/, qr/401013/);
refused_option('api_key', 'wrong', qr/ERROR:  42501:/, qr/403003/);
refused_option('org_id', 'nonsense', qr/ERROR:  42501:/, qr/403027/);
refused_option('sandbox', 'nowhere', qr/ERROR:  42704:/, qr/FLOW-2100-404/);
refused_option('sandbox', 'forbidden', qr/ERROR:  42501:/, qr/FLOW-2118-403/);

done_testing();
