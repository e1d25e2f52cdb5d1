# aep.request(): any call of the platform's gateway, and only of that.
use strict;
use warnings;

use AepTest;
use Calls qw(call_in run fails keeps_secret);
use Encode qw(decode encode);
use IO::Socket::INET;
use JSON::PP;
use POSIX ();
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $uuid = qr/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/;
my $connections = '/flowservice/connections';

my $fake = AepTest::start_fake('--record-secrets', '--client-secret', 'sesame-secret');
my $node = AepTest::start_node('main', 'log_statement = none');
my $dbname = AepTest::create_database($node, 'UTF8');
my %login = (dbname => $dbname, username => 'mapped', password => 'mapped');
AepTest::create_server($node, $fake, %login);
AepTest::create_server($node, $fake, %login, server => 'dev', sandbox => 'dev');
AepTest::create_server($node, $fake, %login, server => 'once', max_attempts => 1);
AepTest::create_server($node, $fake, %login, server => 'small', max_response_size => '64kB');
AepTest::create_server($node, $fake, %login, server => 'short', request_timeout => '500ms');
AepTest::create_server($node, $fake, %login, server => 'refused', base_url => $fake->url('refused'), max_attempts => 1);
AepTest::create_server($node, $fake, %login, server => 'wrong_token', access_token => 'wrong');
AepTest::create_server($node, $fake, %login, server => 'ims', access_token => undef, token_url => $fake->url('ims'),
	client_secret => 'fault:accept=0,times=1 sesame');
AepTest::create_server($node, $fake, %login, server => 'raw', max_attempts => 1);

my $session = AepTest::open_session($node, $dbname);
AepTest::run_sql($session, "SET client_encoding = 'UTF8'");

call_in($session, $fake);

sub request_sql
{
	my ($method, $path, $more) = @_;

	$more = $more ? ", $more" : '';
	return 'SELECT to_jsonb(r) FROM aep.request(' . AepTest::literal($method) . ', ' . AepTest::literal($path) . "$more) AS r";
}

# The row of a request, decoded; "sent" has what the fake got.
sub request
{
	my ($method, $path, $more) = @_;
	my $result = run(request_sql($method, $path, $more));

	is($result->{err}, '', encode('UTF-8', "no error: $method $path " . ($more // ''))) or return {};
	return { %{ decode_json(encode('UTF-8', $result->{out})) }, sent => $result->{requests} };
}

sub json_literal
{
	return AepTest::literal(decode('UTF-8', encode_json($_[0])));
}

sub body_of
{
	my ($name) = @_;

	return {
		name => $name,
		auth => {
			specName => 'Basic Authentication',
			params => { server => 's', port => '1', database => 'd', username => 'u', password => 'p' } },
		connectionSpec => { id => '74a1c565-4e59-48d7-9d67-7c03b8a13137', version => '1.0' } };
}

# Creates a connection that meets a fault; returns its path.
sub create
{
	my ($name) = @_;
	my $row = request('POST', $connections, 'body => ' . json_literal(body_of($name)));

	return "$connections/$row->{body}{id}";
}

# The row
my $row = request('POST', $connections, 'body => ' . json_literal(body_of("gr\x{fc}n")));
is($row->{status}, 201, 'the status');
like($row->{body}{id}, qr/^$uuid$/, 'the body');
is($row->{etag}, $row->{body}{etag}, 'the etag, of the body');
is($row->{headers}{location}, "/data/foundation/flowservice/connections/$row->{body}{id}", 'the headers');
is_deeply([ grep { /[A-Z]/ } keys %{ $row->{headers} } ], [], 'have lower-case names');
my ($sent) = @{ $row->{sent} };
is($sent->{path}, "/data/foundation$connections", 'the path is below the gateway\'s');
is_deeply($sent->{body}, body_of("gr\x{fc}n"), 'the body is sent as it is');
is_deeply($sent->{query}, {}, 'without parameters');
is($sent->{headers}{'content-type'}, 'application/json', 'as JSON');
my %own = (
	authorization => 'Bearer demo-access-token',
	'x-api-key' => 'demo-api-key',
	'x-gw-ims-org-id' => $AepTest::ORG,
	'x-sandbox-name' => 'prod',
	accept => 'application/json');
is($sent->{headers}{$_}, $own{$_}, "the header $_") foreach (sort keys %own);
is(run("SELECT pg_typeof(status), pg_typeof(etag), pg_typeof(headers), pg_typeof(body) FROM aep.request('GET', '$connections')")->{out},
	'integer|text|jsonb|jsonb', 'the types');
my $path = "$connections/$row->{body}{id}";
my $etag = $row->{etag};
$row = request('GET', $path);
is($row->{body}{items}[0]{name}, "gr\x{fc}n", 'an entity');
ok(!exists $row->{sent}[0]{headers}{'content-type'}, 'no body, no type');
$row = request('GET', '/catalog/dataSets');
is($row->{sent}[0]{path}, '/data/foundation/catalog/dataSets', 'another service');
like(run("SELECT body FROM aep.request('GET', '/catalog/dataSets')")->{out}, qr/"rows": 9223372036854775807\b/, 'numbers keep every digit');
is(request('GET', $connections, "server => 'dev'")->{sent}[0]{headers}{'x-sandbox-name'}, 'dev', 'another server');

# Methods
$row = request('get', $path);
is($row->{sent}[0]{method}, 'GET', 'a method in lower case');
$row = request('PATCH', $path, q{body => '[{"op": "replace", "path": "/name", "value": "new"}]', headers => } . json_literal({ 'If-Match' => $etag }));
is($row->{status}, 200, 'a PATCH');
is($row->{sent}[0]{headers}{'if-match'}, $etag, 'with If-Match');
isnt($row->{etag}, $etag, 'a new etag');
is(request('PUT', $path, "body => '{}'")->{status}, 405, 'a PUT');
$row = request('DELETE', $path);
is($row->{status}, 204, 'a DELETE');
is($row->{body}, undef, 'no body is NULL');
is($row->{etag}, undef, 'nor is there an etag');
fails("method \"$_\"", '22023', request_sql($_, $path), 0) foreach ('HEAD', 'OPTIONS', 'TRACE', 'CONNECT', '', 'GET ', "GET\n", 'GET /x HTTP/1.1');

# Paths that lead elsewhere, or may
my @bad_paths = (
	'', 'flowservice', 'https://evil.example.com/', '//evil.example.com/', '/a//b', '/flowservice//', '/..', '/../x', '/a/../b', '/a/..',
	'/a/..;/b', '/a?b=c', '/a?', '/a#b', '/a%2e%2e/b', '/a%', '/a b', '/a ', ' /a', "/a\tb", "/a\r\nX-Forged: 1", "/a\nb", '/a\\b', '/\\evil.example.com',
	"/gr\x{fc}n", "/a\x{7f}", "/a'b");
fails("path \"$_\"", '22023', request_sql('GET', $_), 0) foreach (@bad_paths);
foreach my $odd ('/@evil.example.com/', '/:8080/', '/a.b/~c;d=e,f(g)!$*', '/')
{
	$row = request('GET', $odd);
	is($row->{sent}[0]{path}, "/data/foundation$odd", "path \"$odd\" stays below the gateway's");
}
fails('no method', '22004', "SELECT * FROM aep.request(NULL, '/x')", 0);
fails('no path', '22004', "SELECT * FROM aep.request('GET', NULL)", 0);
fails('no such server', '42704', "SELECT * FROM aep.request('GET', '/x', server => 'none')", 0);

# Parameters arrive as they are.
my %query = (
	property => [ 'name=="a&b=c+d%41 #?/"', "x==gr\x{fc}n \x{1f418}, \"", '' ],
	limit => ['5'],
	count => ['true'],
	'a-b_c.d' => ["line\nbreak\ttab"],
	price => ['12345678901234567890.50']);
$row = request('GET', '/catalog/dataSets', 'query => ' . AepTest::literal(
		qq({"property": ["name==\\"a&b=c+d%41 #?/\\"", "x==gr\x{fc}n \x{1f418}, \\"", ""], "limit": 5, "count": true, )
		  . qq("a-b_c.d": "line\\nbreak\\ttab", "price": 12345678901234567890.50})));
is_deeply($row->{sent}[0]{query}, \%query, 'parameters');
is_deeply(request('GET', '/catalog/dataSets', "query => '{}'")->{sent}[0]{query}, {}, 'no parameters');
foreach my $bad ('[]', '"a=b"', '5', '{"a": null}', '{"a": {"b": 1}}', '{"a": [[1]]}', '{"a": [{"b": 1}]}', '{"": 1}', '{"a b": 1}', '{"a&b": 1}', '{"a=b": 1}', "{\"gr\x{fc}n\": 1}")
{
	fails("query $bad", '22023', request_sql('GET', '/catalog/dataSets', 'query => ' . AepTest::literal($bad)), 0);
}

# Further headers
$row = request('GET', '/catalog/dataSets', q{headers => '{"Accept": "application/vnd.adobe.xed+json; version=1", "X-Number": 5, "x-yes": true, "X-Twice": ["1", "2"], "x-active-sandbox-ids": "a,b"}'});
my $got = $row->{sent}[0]{headers};
is($got->{accept}, 'application/vnd.adobe.xed+json; version=1', 'Accept is replaced');
is_deeply([ @{$got}{qw(x-number x-yes x-twice x-active-sandbox-ids)} ], [ '5', 'true', '1, 2', 'a,b' ], 'others are added');
is($got->{$_}, $own{$_}, "the header $_ stays") foreach (grep { $_ ne 'accept' } sort keys %own);
$row = request('PUT', '/catalog/dataSets', q{body => '{}', headers => '{"content-type": "application/json-patch+json"}'});
is($row->{sent}[0]{headers}{'content-type'}, 'application/json-patch+json', 'Content-Type is replaced');
foreach my $reserved (
	'Authorization', 'X-Api-Key', 'x-gw-ims-org-id', 'X-SANDBOX-NAME', 'x-sandbox-id', 'Host', 'Content-Length', 'content-length', 'Transfer-Encoding', 'Connection', 'Expect', 'TE',
	'Upgrade', 'Trailer', 'Proxy-Connection', 'Accept-Encoding')
{
	like(fails("header $reserved", '22023', request_sql('GET', '/x', 'headers => ' . json_literal({ $reserved => 'x' })), 0),
		qr/The header "\L$reserved\E" is set by the extension/, 'says so');
}
foreach my $bad ('[]', '"X: y"', '{"X": null}', '{"X": {"y": "z"}}', '{"": "x"}', '{"X Y": "z"}', '{"X:": "z"}', '{"X\r\nY": "z"}', '{"X": "a\r\nY: z"}',
	'{"X": "a\nb"}', "{\"X\": \"gr\x{fc}n\"}", '{"X": "\u0001"}', '{"If-Match": "a\nb"}', "{\"\x{fc}\": \"x\"}", '{"If-Match": ""}', '{"if-match": "  "}', '{"X": ""}', '{"X": " "}', '{"X": ["a", ""]}', '{"Accept": ""}')
{
	fails("headers $bad", '22023', request_sql('GET', '/x', 'headers => ' . AepTest::literal($bad)), 0);
}

# Any complete answer is a row.
sub with_fault
{
	my ($fault, $more) = @_;

	return request('GET', create("fault:on=GET,$fault"), $more);
}
foreach my $status (400, 403, 404, 409, 412, 422, 429, 500, 502, 503, 504)
{
	$row = with_fault("status=$status,message=no", "server => 'once'");
	is($row->{status}, $status, "status $status is a row");
	is($row->{body}{errorMessage}, 'no', 'with its body');
}
$row = with_fault('status=500,shape=html,message=%3Cno%3E');
is($row->{body}, "<html><head><title>500 Internal Server Error</title></head><body>&lt;no&gt;</body></html>\n", 'a body that is no JSON is a string');
is($row->{headers}{'content-type'}, 'text/html', 'of its type');
is(with_fault('status=403,shape=empty')->{body}, undef, 'an empty body is NULL');
is(with_fault('notjson=1')->{body}, '{"id": this is not JSON', 'nor is broken JSON lost');
is(with_fault('status=429,retry_after=7', "server => 'once'")->{headers}{'retry-after'}, 7, 'Retry-After can be read');
my $before = $fake->requests;
$row = with_fault('redirect=' . $fake->url('http') =~ s{([:/])}{sprintf('%%%02X', ord $1)}ger . '%2Felsewhere');
is($row->{status}, 307, 'a redirect is a row');
is($row->{headers}{location}, $fake->url('http') . '/elsewhere', 'that says where');
is(scalar(grep { $_->{path} =~ /elsewhere/ } $fake->requests($before)), 0, 'and is not followed');
$row = request('GET', $connections, "server => 'wrong_token'");
is($row->{status}, 401, 'a token that is refused is a row');
is($row->{body}{error_code}, '401013', 'that says so');
$row = request('GET', $connections, "server => 'ims'");
is($row->{status}, 200, 'a fetched one is renewed');
is(join(' ', map { $_->{status} } @{ $row->{sent} }), '200 401 200 200', 'once');

# The rules of repeating are those of other calls.
sub repeats
{
	my ($what, $statuses, $method, $kind, $fault, $more) = @_;
	my $of = create("fault:on=$kind,$fault $what");
	my $row = request($method, $of . ($kind eq 'ACTION' ? '/action' : ''), $more);

	is(join(' ', map { $_->{status} } @{ $row->{sent} }), $statuses, "$what, $fault: $statuses");
	return $row;
}
my $patch = q{body => '[{"op": "add", "path": "/description", "value": "d"}]'};
repeats('GET', '503 200', 'GET', 'GET', 'status=503,times=1');
repeats('DELETE', '503 204', 'DELETE', 'DELETE', 'status=503,times=1');
repeats('DELETE', '504 404', 'DELETE', 'DELETE', 'status=504,times=1,processed=1');
repeats('PATCH without If-Match', '503', 'PATCH', 'PATCH', 'status=503,times=1', $patch);
repeats('PATCH without If-Match', '429 400', 'PATCH', 'PATCH', 'status=429,times=1', $patch);
fails('PATCH with If-Match, 503 and 412', '08007',
	request_sql('PATCH', create('fault:on=PATCH,status=503,times=1'), qq{$patch, headers => '{"If-Match": "\\"x\\""}'}), 2);
my $any = q{headers => '{"If-Match": "*"}'};
$row = repeats('PATCH of any version', '503', 'PATCH', 'PATCH', 'status=503,times=1', "$patch, $any");
is($row->{sent}[0]{headers}{'if-match'}, '*', 'says so');
fails('PATCH of any version, no answer', '08007', request_sql('PATCH', create('fault:on=PATCH,reset=before,times=1'), "$patch, $any"), 1);
$row = request('POST', $connections, 'body => ' . json_literal(body_of('fault:status=503,times=1 x')));
is(join(' ', map { $_->{status} } @{ $row->{sent} }), '503', 'POST, 503: not again');
$row = request('POST', $connections, 'body => ' . json_literal(body_of('fault:status=429,times=1 x')));
is(join(' ', map { $_->{status} } @{ $row->{sent} }), '429 201', 'POST, 429: again');

# A POST without a body
$row = repeats('POST', '400', 'POST', 'ACTION', 'times=0', q{query => '{"op": "publish"}'});
is($row->{sent}[0]{headers}{'content-length'}, '0', 'a POST without a body says so');
ok(!exists $row->{sent}[0]{headers}{'content-type'}, 'and has no type');
my $action = create('fault:on=ACTION,die_kept=1') . '/action';
fails('a kept connection that dies', '08007', request_sql('POST', $action, q{query => '{"op": "publish"}'}), 1);

# Only a missing answer raises.
$path = create('fault:on=GET|PATCH|DELETE,reset=before');
fails('GET, no answer', '08006', request_sql('GET', $path, "server => 'once'"));
fails('PATCH, no answer', '08007', request_sql('PATCH', $path, "$patch, server => 'once'"), 1);
fails('DELETE, no answer', '08007', request_sql('DELETE', $path, "server => 'once'"));
fails('GET, half an answer', '08006', request_sql('GET', create('fault:on=GET,truncate=5'), "server => 'once'"), 1);
fails('GET, a slow answer', '08006', request_sql('GET', create('fault:on=GET,stall=mid_body'), "server => 'short'"), 1);
fails('GET, a large answer', '54000', request_sql('GET', create('fault:on=GET,huge=100000'), "server => 'small'"), 1);
fails('not connected', '08001', request_sql('GET', $path, "server => 'refused'"), 0);

# What a POST may have created is not forgotten.
sub warning_of
{
	my ($what, $sql, $error) = @_;
	my $result = run("BEGIN; $sql; ROLLBACK");

	if ($error) { like($result->{err}, qr/^ERROR:  $error:/m, "$what: $error"); }
	else { unlike($result->{err}, qr/ERROR/, "$what: no error"); }
	@{$result}{qw(detail hint)} = ($1, $2) if $result->{err} =~ /^WARNING:.*\nDETAIL:  (.*)\nHINT:  (.*)$/m;
	return $result;
}

sub post_sql
{
	my ($name, $server, $path) = @_;

	return request_sql('POST', $path // $connections, 'body => ' . json_literal(body_of($name)) . ', server => \'' . ($server // 'aep') . "'");
}
my $lost = warning_of('a connection', post_sql('lost'));
my ($id) = $lost->{out} =~ /"id": "($uuid)"/;
is($lost->{detail}, "$id (object \"$connections\").", 'a rollback names the id');
is($lost->{hint} =~ s/^[\w ]+: //r, "SELECT aep.delete_connection('$id', 'aep');", 'and how to delete it');
ok($node->log_contains("LOG:  created object \"$connections\" with id $id on server \"aep\""), 'so does the log');
$lost = warning_of('a target', request_sql('POST', '/flowservice/targetConnections',
		q{body => '{"name": "t", "connectionSpec": {"id": "c604ff05-7f1a-43c0-8e18-33bf874cb11c"}}'}));
($id) = $lost->{out} =~ /"id": "($uuid)"/;
is($lost->{hint} =~ s/^[\w ]+: //r, "SELECT status FROM aep.request('DELETE', '/flowservice/targetConnections/$id', server => 'aep');",
	'how to delete something else');
my ($deletion) = $lost->{hint} =~ /: (.*);$/;
is(run($deletion)->{out}, 204, 'which works');
$lost = warning_of('a slash at the end', post_sql('lost', 'aep', "$connections/"));
($deletion) = $lost->{hint} =~ /: (.*);$/;
is(run($deletion)->{err}, '', 'what it proposes works too');
like(warning_of('no answer', post_sql('fault:reset=before x', 'once'), '08007')->{detail}, qr/outcome unknown/, 'an outcome that is unknown');
like(warning_of('504', post_sql('fault:status=504 x', 'once'))->{detail}, qr/outcome unknown/, 'a gateway that gave up');
like(warning_of('no id', post_sql('fault:noid=1 x'))->{detail}, qr/id unknown/, 'an answer without id');
foreach my $fault ('status=400', 'status=429', 'status=500')
{
	is(warning_of($fault, post_sql("fault:$fault y", 'once'))->{detail}, undef, "$fault: nothing was created");
}
is(warning_of($_, request_sql(@$_[ 0, 1 ], $_->[2]))->{detail}, undef, "$_->[0] $_->[1] creates nothing")
  foreach (
	[ 'GET', $connections ], [ 'POST', "$connections/search", "body => '{}'" ],
	[ 'POST', create('a') . '/action', q{query => '{"op": "publish"}'} ],
	[ 'PATCH', create('b'), $patch ], [ 'DELETE', create('c') ]);

# Answers that the fake does not give
my @children;

sub answering
{
	my ($answer) = @_;
	my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0, Proto => 'tcp', Listen => 5) or die "socket: $!";
	my $pid = fork // die "fork: $!";

	if ($pid == 0)
	{
		my $client = $listener->accept or POSIX::_exit(1);
		my $received = '';

		sysread($client, $received, 65536, length $received) or last while $received !~ /\r\n\r\n/;
		my $length = $received =~ /^content-length: (\d+)/im ? $1 : 0;
		sysread($client, $received, 65536, length $received) or last while length($received =~ s/^.*?\r\n\r\n//sr) < $length;
		while (length $answer)
		{
			my $written = syswrite($client, $answer) or last;
			substr($answer, 0, $written) = '';
		}
		close $client;
		POSIX::_exit(0);
	}
	push @children, $pid;
	AepTest::run_sql($session, "ALTER SERVER raw OPTIONS (SET base_url 'http://127.0.0.1:" . $listener->sockport . "')");
	return;
}

# The row of an answer, with the type of its body.
sub raw
{
	my ($what, $body, @headers) = @_;

	answering(join("\r\n", 'HTTP/1.1 200 OK', 'Content-Length: ' . length $body, @headers, 'Connection: close', '', $body));
	my $result = run("SELECT jsonb_build_object('status', status, 'etag', etag, 'headers', headers, 'type', jsonb_typeof(body), 'body', body::text) "
		  . "FROM aep.request('GET', '/x', server => 'raw')");
	is($result->{err}, '', "$what: no error") or return {};
	return decode_json(encode('UTF-8', $result->{out}));
}
$row = raw('headers', '{}', 'ETag: "v1"', 'X-Request-ID: abc', 'x-twice: 1', 'X-TWICE: 2', "X-Latin: gr\xfcn", "X-UTF-8: gr\xc3\xbcn", 'X-Empty:', 'X-Blank:   padded  ');
is($row->{etag}, '"v1"', 'the etag of the header');
is($row->{headers}{'x-request-id'}, 'abc', 'names are lower-case');
is($row->{headers}{'x-utf-8'}, "gr\x{fc}n", 'a value in UTF-8');
like($row->{headers}{'x-latin'}, qr/^gr.+n$/, 'one that is not can be seen');
is($row->{headers}{'x-blank'}, 'padded', 'blanks are not part of it');
like($row->{headers}{'x-empty'}, qr/^\s*$/, 'an empty value');
like($row->{headers}{'x-twice'}, qr/2/, 'a name that is there twice');
my %bodies = (
	'a scalar' => [ 'number', '9223372036854775807', '9223372036854775807' ],
	'a text' => [ 'string', '"x"', '"x"' ],
	'null' => [ 'null', 'null', 'null' ],
	'blanks' => [ 'string', " \n", '" \n"' ],
	'bytes that are no UTF-8' => [ 'string', "gr\xfcn", qr/^"gr.*n"$/ ],
	'a NUL byte' => [ 'string', "a\0b", qr/^"a.*b"$/ ],
	'a NUL escape' => [ 'string', '{"a": "\u0000"}', qr/\\\\u0000/ ],
	'half a surrogate' => [ 'string', '["\ud800"]', qr/\\\\ud800/ ],
	'a number beyond numeric' => [ 'string', '[1e200000]', qr/1e200000/ ],
	'a duplicate member' => [ 'object', '{"a": 1, "a": 2}', '{"a": 2}' ],
	'more after the end' => [ 'string', '{} {}', '"{} {}"' ],
	'nested 1,000 deep' => [ 'array', '[' x 1000 . ']' x 1000, qr/^\[{1000}\]{1000}$/ ],
	'nested 100,000 deep' => [ 'string', '[' x 100_000 . ']' x 100_000, q{"} . "[" x 100_000 . "]" x 100_000 . q{"} ]);
foreach my $what (sort keys %bodies)
{
	my ($type, $body, $expected) = @{ $bodies{$what} };

	$row = raw($what, $body);
	is($row->{type}, $type, "$what: $type");
	my $found = $row->{body} // 'none';
	ok(ref $expected ? $found =~ $expected : $found eq $expected, "$what: the body") or diag substr($found, 0, 200);
}

# What PostgreSQL's reader would refuse, or take a lot of memory for, is a text,
# and no error that would show the statement.
my %sizes = (
	'many digits' => [ '[0.' . '1' x 20_000 . ']', 'string', 20_006 ],
	'many digits before the point' => [ '[' . '1' x 20_000 . ']', 'string', 20_004 ],
	'many digits and an exponent' => [ '[0.' . '1' x 5_000 . 'e-9000]', 'string', 5_012 ],
	'many values' => [ '[0' . ',0' x 4_194_302 . ']', 'array', 3 * 4_194_303 ],
	'too many values' => [ '[0' . ',0' x 4_194_303 . ']', 'string', 2 * 4_194_304 + 3 ]);
foreach my $what (sort keys %sizes)
{
	my ($body, $type, $length) = @{ $sizes{$what} };

	answering("HTTP/1.1 200 OK\r\nContent-Length: " . length($body) . "\r\nConnection: close\r\n\r\n$body");
	my $result = run('SELECT jsonb_typeof(body), length(body::text) FROM (' . request_sql('POST', '/x/search', q{body => '{"password": "sesame open"}', server => 'raw'})
		  =~ s/to_jsonb\(r\)/body/r . ') AS answer');
	is($result->{err}, '', "$what: no error");
	is($result->{out}, "$type|$length", "$what: $type");
}

# A POST elsewhere: whatever the warning proposes does not lead astray.
my $made = '11111111-2222-3333-4444-555555555555';
answering("HTTP/1.1 201 Created\r\nContent-Length: 45\r\nConnection: close\r\n\r\n{\"id\":\"$made\"}");
$lost = warning_of('another service', request_sql('POST', '/catalog/things', "body => '{}', server => 'raw'"));
like($lost->{detail}, qr/$made/, 'a rollback names an id of another service');
unlike($lost->{hint}, qr{/flowservice}, 'which is not deleted in Flow Service');
foreach my $case ([ qq({"items":[{"id":"$made","etag":"x"}]}), $made, 'in a list' ], [ '["@/dataSets/5c8c3c555033b814b69f947f"]', 'id unknown', 'not at all' ])
{
	my ($body, $detail, $what) = @$case;

	answering("HTTP/1.1 201 Created\r\nContent-Length: " . length($body) . "\r\nConnection: close\r\n\r\n$body");
	like(warning_of("names it $what", request_sql('POST', '/catalog/things', "body => '{}', server => 'raw'"))->{detail}, qr/\Q$detail/, "an answer that names it $what");
	unlike(slurp_file($node->logfile), qr{outcome unknown: create object "/catalog/things"}, 'is an answer');
}
waitpid($_, 0) foreach (@children);

# Another encoding
my $latin1 = AepTest::create_database($node, 'LATIN1');
AepTest::create_server($node, $fake, %login, dbname => $latin1);
my $latin1_session = AepTest::open_session($node, $latin1);
AepTest::run_sql($latin1_session, "SET client_encoding = 'UTF8'");
AepTest::run_sql($latin1_session, encode('UTF-8', "SELECT FROM aep.request('POST', '$connections', query => '{\"x\": \"\x{e9}\"}', body => " . json_literal(body_of("caf\x{e9}")) . ')'));
is(($fake->requests)[-1]{body}{name}, "caf\x{e9}", 'LATIN1: a body is sent as UTF-8');
is(($fake->requests)[-1]{query}{x}[0], "\x{e9}", 'LATIN1: parameters too');
$path = create("caf\x{e9} \x{20ac}");
is(decode('UTF-8', AepTest::run_sql($latin1_session, "SELECT body->'items'->0->>'name' FROM aep.request('GET', '$path')")), "caf\x{e9} ?",
	'LATIN1: an answer that it cannot hold');
AepTest::close_session($latin1_session);

# No secret of a statement that fails gets into the log.
my $secret = json_literal({ password => 'sesame open' });
my %secret_calls = (
	'not connected' => [ '08001', request_sql('POST', $connections, "body => $secret, server => 'refused'") ],
	'no server' => [ '42704', request_sql('POST', $connections, "body => $secret, server => 'none'") ],
	'a bad path' => [ '22023', request_sql('POST', 'x', "body => $secret") ],
	'a reserved header' => [ '22023', request_sql('POST', $connections, "headers => '{\"Authorization\": \"sesame open\"}'") ]);
keeps_secret($node, 'sesame', %secret_calls);
AepTest::close_session($session);

done_testing();
