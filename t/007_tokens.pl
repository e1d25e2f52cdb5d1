# Access tokens from IMS: fetched once, kept, renewed, dropped; and every way to fail.
use strict;
use warnings;

use AepTest;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

# Every secret holds the word "sesame", so that one search finds what leaked.
my $odd_secret = 'sesame a&b=c+d%41 "e";#/?\\\'';
my $fake = AepTest::start_fake(
	'--record-secrets',
	'--client-secret', 'sesame-one',
	'--client-secret', 'sesame-two',
	'--client-secret', $odd_secret);
my $node = AepTest::start_node(
	'main',
	'log_min_messages = debug1',
	'log_statement = none',
	'log_error_verbosity = verbose');
my %defaults = (
	token_url => $fake->url('ims'),
	access_token => undef,
	max_attempts => 2,
	max_response_size => '100kB',
	username => 'acme',
	password => 'sesame password');
AepTest::create_server($node, $fake, %defaults, client_secret => 'sesame-one');

my $mapping = 'USER MAPPING FOR CURRENT_USER SERVER aep';
my $call = 'SELECT count(id) FROM aep.create_base_connection()';
my $info = 'SELECT fetched_at IS NULL, expires_at IS NULL FROM aep.access_token_info()';
my $session = AepTest::open_session($node);
my $seen = '';

# Runs SQL in a session; returns what came of it and the requests that came meanwhile.
sub run
{
	my ($sql, $where) = @_;
	my $result = AepTest::watch_sql($where // $session, $fake, $sql);
	my @requests = grep { ($_->{name} // '') !~ /renewing/ } @{ $result->{requests} };
	my @tokens = grep { $_->{kind} eq 'TOKEN' } @requests;
	my @calls = grep { $_->{kind} eq 'POST' } @requests;

	$seen .= "$result->{out}\n$result->{err}\n";
	return {
		%$result,
		tokens => \@tokens,
		calls => \@calls,
		counts => @tokens . ' token requests, ' . @calls . ' calls' };
}

sub counts_are
{
	my ($result, $tokens, $calls, $what) = @_;

	is($result->{counts}, "$tokens token requests, $calls calls", $what);
	return;
}

# Changes a setting from another session, whose backend has to tell ours.
sub change
{
	my ($sql) = @_;

	$node->safe_psql('postgres', $sql);
	return;
}

# What follows the first blank only makes the name of a fault distinct.
my $distinct = 0;

sub set_fault
{
	my ($fault) = @_;
	my $secret = "fault:$fault sesame " . ++$distinct;

	AepTest::run_sql($session,
		"ALTER $mapping OPTIONS (SET client_secret " . AepTest::literal($secret) . ')');
	return;
}

sub percent
{
	my ($text) = @_;

	$text =~ s/([^A-Za-z0-9])/sprintf('%%%02X', ord $1)/ge;
	return $text;
}

sub token_of
{
	my ($request) = @_;

	return $request->{headers}{authorization} =~ /^Bearer (\S+)$/ ? $1 : undef;
}

# A token that says it lives 10 s, and lives longer: what is used after 9.1 s is
# renewed for its margin, not for its end.  Runs beside all that follows.
AepTest::create_server($node, $fake, %defaults,
	server => 'renewing', client_secret => 'fault:expires_in=10 sesame renewing');
my $renewing = AepTest::open_session($node);
AepTest::begin_sql($renewing, <<'SQL');
SELECT count(id) FROM aep.create_base_connection(server => 'renewing', name => 'renewing 1');
SELECT count(id) FROM aep.create_base_connection(server => 'renewing', name => 'renewing 2');
SELECT expires_at - fetched_at FROM aep.access_token_info('renewing');
SELECT pg_sleep(9.1);
SELECT count(id) FROM aep.create_base_connection(server => 'renewing', name => 'renewing 3');
SELECT fetched_at > now() - interval '5 s' FROM aep.access_token_info('renewing')
SQL

# The request
is(run($info)->{out}, 't|t', 'no token before the first call');
my $first = run("SELECT aep.access_token_info(); $call");
counts_are($first, 1, 1, 'the first call fetches a token');
my ($request) = @{ $first->{tokens} };
is($request->{method}, 'POST', 'method');
is($request->{path}, '/ims/token/v3', 'path');
is_deeply($request->{query}, {}, 'nothing in the URL');
is($request->{headers}{'content-type'}, 'application/x-www-form-urlencoded', 'a form');
is($request->{headers}{accept}, 'application/json', 'Accept');
like($request->{tls}, qr/^TLSv1\.[23]$/, 'over TLS');
is_deeply(
	$request->{body},
	{   grant_type => 'client_credentials',
		client_id => 'demo-api-key',
		client_secret => 'sesame-one',
		scope =>
		  'openid,session,AdobeID,read_organizations,additional_info.projectedProductContext' },
	'the form');
ok(!grep({ exists $request->{headers}{$_} } qw(authorization x-api-key x-gw-ims-org-id)),
	'none of the headers for Flow Service');
my $token = token_of($first->{calls}[0]);
my $shown = run(<<'SQL');
SELECT fetched_at BETWEEN now() - interval '1 min' AND now(), expires_at - fetched_at
FROM aep.access_token_info()
SQL
is($shown->{out}, 't|23:59:59', 'aep.access_token_info()');

# One token serves many calls, in one backend.
my $many = run(<<'SQL');
SELECT count(c.id) FROM generate_series(1, 10) AS g, aep.create_base_connection(name => 'many ' || g) AS c;
DISCARD ALL;
SELECT count(id) FROM aep.create_base_connection()
SQL
counts_are($many, 0, 11, 'a token serves many calls');
is_deeply([ map { token_of($_) } @{ $many->{calls} } ], [ ($token) x 11 ], 'it is the same');
my $other = AepTest::open_session($node);
my $elsewhere = run($call, $other);
counts_are($elsewhere, 1, 1, 'another backend fetches its own');
isnt(token_of($elsewhere->{calls}[0]), $token, 'which is another');
AepTest::close_session($other);

# What changes the credential costs a token, whatever else changes does not.
AepTest::create_server($node, $fake, %defaults, server => 'unrelated', client_secret => 'sesame-one');
foreach my $change (
	'ALTER SERVER unrelated OPTIONS (ADD request_timeout \'50s\')',
	'ALTER USER MAPPING FOR CURRENT_USER SERVER unrelated OPTIONS (SET client_secret \'sesame-two\')',
	'DROP USER MAPPING FOR CURRENT_USER SERVER unrelated',
	'ALTER SERVER aep OPTIONS (ADD request_timeout \'50s\')',
	"ALTER $mapping OPTIONS (SET username 'renamed')",
	'ALTER SERVER aep OPTIONS (ADD sandbox \'dev\')')
{
	change($change);
	my $result = run($call);
	counts_are($result, 0, 1, "no new token: $change");
	is(token_of($result->{calls}[0]), $token, 'the old one is used');
}
my ($latest) = ($fake->requests)[-1];
is($latest->{headers}{'x-sandbox-name'}, 'dev', 'the changes took effect');
is($latest->{body}{auth}{params}{username}, 'renamed', 'those of the mapping too');
change('ALTER SERVER aep OPTIONS (DROP sandbox, DROP request_timeout)');

my %used = ($token => 1);

sub costs_a_token
{
	my ($change) = @_;

	change($change);
	my $result = run($call);
	counts_are($result, 1, 1, "a new token: $change");
	ok(!$used{ token_of($result->{calls}[0]) }++, 'it is used');
	return $result->{tokens}[0];
}
$request = costs_a_token("ALTER $mapping OPTIONS (SET client_secret 'sesame-two')");
is($request->{body}{client_secret}, 'sesame-two', 'the new secret');
$request = costs_a_token("ALTER $mapping OPTIONS (ADD scopes 'openid,AdobeID')");
is($request->{body}{scope}, 'openid,AdobeID', 'the scopes');
$request = costs_a_token('ALTER SERVER aep OPTIONS (SET token_url '
	  . AepTest::literal($fake->url('http') . '/ims/token/v3') . ')');
is($request->{listener}, 'http', 'the new address');
$request = costs_a_token("DROP $mapping; CREATE $mapping OPTIONS "
	  . "(api_key 'demo-api-key', client_secret 'sesame-one', username 'u', password 'sesame p')");
change('ALTER SERVER aep OPTIONS (SET token_url ' . AepTest::literal($fake->url('ims')) . ')');
$request = costs_a_token(
	"ALTER $mapping OPTIONS (SET client_secret " . AepTest::literal($odd_secret) . ")");
is($request->{body}{client_secret}, $odd_secret, 'any character arrives');

# In a transaction that changes the credential, and takes the change back.
my $changing = run("BEGIN; ALTER $mapping OPTIONS (SET client_secret 'sesame-two'); $call; $call; "
	  . "ROLLBACK; $call");
counts_are($changing, 2, 3, 'a change that is rolled back');
is_deeply(
	[ map { $_->{body}{client_secret} } @{ $changing->{tokens} } ],
	[ 'sesame-two', $odd_secret ],
	'the secret of each time');

# A token in the mapping is used as it is.
change("ALTER $mapping OPTIONS (ADD access_token 'demo-access-token')");
my $given = run($call);
counts_are($given, 0, 1, 'access_token in the mapping: nothing is fetched');
is(token_of($given->{calls}[0]), 'demo-access-token', 'it wins over client_secret');
is(run($info)->{out}, 't|t', 'and is none that was fetched');
change("ALTER $mapping OPTIONS (SET access_token 'sesame-stale')");
my $stale = run($call);
counts_are($stale, 0, 1, 'refused: nothing is fetched, nothing repeated');
like($stale->{err}, qr/ERROR:  28000:.*\n.*401013/, 'an error');
change("ALTER $mapping OPTIONS (DROP access_token, DROP client_secret)");
my $neither = run($call);
counts_are($neither, 0, 0, 'neither token nor secret: nothing is sent');
like($neither->{err}, qr/ERROR:  HV00J: .*"client_secret".*"access_token"/, 'an error says so');
change("ALTER $mapping OPTIONS (ADD client_secret 'sesame-one')");

# A token that the service does not take any more is replaced, once.
my %refusals = (
	'accept=1' => 401,
	'accept=1,refuse=flow2114' => 400,
	'accept=1,refuse=flow2115' => 400);
foreach my $refusal (sort keys %refusals)
{
	set_fault("$refusal,times=1");
	counts_are(run($call), 1, 1, "$refusal: a token");
	my $result = run("BEGIN; $call; COMMIT");
	counts_are($result, 1, 2, 'refused: another token, and the call again');
	is($result->{out}, 1, 'with success');
	is_deeply([ map { $_->{status} } @{ $result->{calls} } ], [ $refusals{$refusal}, 201 ], 'once refused');
	isnt(token_of($result->{calls}[0]), token_of($result->{calls}[1]), 'with the new token');
	is($result->{calls}[0]{body_sha256}, $result->{calls}[1]{body_sha256}, 'the same body');
	counts_are(run($call), 0, 1, 'the new one is kept');
}
foreach my $refusal ('accept=0', 'refuse=flow2114', 'refuse=flow2115')
{
	set_fault("$refusal,times=2");
	my $result = run("BEGIN; $call; ROLLBACK");
	counts_are($result, 2, 2, "$refusal: not a third time");
	like($result->{err}, qr/ERROR:  28000: .*the access token was refused\nDETAIL:  .*(?:401013|FLOW-211\d)/,
		'an error');
	unlike($result->{err}, qr/WARNING/, 'nothing was created');
	is(run($info)->{out}, 't|t', 'the second token is dropped too');
	counts_are(run($call), 1, 1, 'the next call begins anew');
}

# Other refusals say nothing of the token.
foreach my $status (400, 403, 404, 429, 500)
{
	my $result = run("SELECT id FROM aep.create_base_connection(name => 'fault:status=$status,times=2')");
	like($result->{err}, qr/ERROR/, "HTTP status $status");
	is(scalar(@{ $result->{tokens} }), 0, 'no other token is fetched');
}
counts_are(run($call), 0, 1, 'the token is kept');

# IMS fails: what the caller sees.  Nothing gets to Flow Service.
sub fetch_fails
{
	my ($what, $tokens, @patterns) = @_;
	my $result = run($call);

	counts_are($result, $tokens, 0, $what);
	like($result->{err}, $_, "$what: $_") foreach (@patterns);
	unlike($result->{err}, qr/sesame|demo-api-key/, "$what: no secret");
	unlike($result->{err}, qr/WARNING|08007/, "$what: nothing was created");
	is(run($info)->{out}, 't|t', "$what: no token");
	return;
}

sub fault_fails
{
	my ($fault, @rest) = @_;

	set_fault($fault);
	fetch_fails($fault, @rest);
	return;
}

my $refused = qr/ERROR:  28000: could not fetch an access token on server "aep": the credential was refused/;

change("ALTER $mapping OPTIONS (SET client_secret 'sesame-wrong')");
fetch_fails('wrong secret', 1, $refused, qr/invalid client_secret parameter/,
	qr/HINT:  Check api_key, client_secret/);
change("ALTER $mapping OPTIONS (SET client_secret 'sesame-one', ADD scopes 'openid,unknown')");
fetch_fails('wrong scope', 1, $refused, qr/HTTP status 400, code invalid_scope.*"invalid scope"/);
change("ALTER $mapping OPTIONS (DROP scopes, SET api_key 'other')");
fetch_fails('wrong client id', 1, $refused, qr/invalid client_id parameter/);
change("ALTER $mapping OPTIONS (SET api_key 'demo-api-key')");
fault_fails('status=400,echo=1', 1, $refused, qr/\*{8}/);
fault_fails('status=400,echo=1,shape=html', 1, $refused, qr/\*{8}/);
fault_fails('status=401,code=invalid_client', 1, $refused, qr/HTTP status 401, code invalid_client/);
fault_fails('status=403', 1, $refused);
fault_fails('status=429', 2, qr/ERROR:  53400: could not fetch an access token/, qr/HTTP status 429/);
fault_fails('status=429,retry_after=3600', 1, qr/ERROR:  53400:/, qr/HINT:  The service asks to wait 3600 s/);
fault_fails('status=500', 1, qr/ERROR:  58000:/, qr/HTTP status 500/);
fault_fails('status=503', 2, qr/ERROR:  58000:/, qr/HTTP status 503/);
fault_fails('redirect=' . percent('http://127.0.0.1:1/'), 1, qr/ERROR:  58000:/, qr/HTTP status 307/);

# broken exchanges are repeated, which does no harm
fault_fails('reset=mid_headers', 2, qr/ERROR:  08006: could not fetch an access token/, qr/libcurl says/);
fault_fails('truncate=5', 2, qr/ERROR:  08006:/, qr/HTTP status 200 began/);
fault_fails('junk_status=1', 2, qr/ERROR:  08006:/);
foreach my $fault (qw(status=429 status=502 status=503 status=504 reset=mid_headers close=mid_body))
{
	set_fault("$fault,times=1");
	counts_are(run($call), 2, 1, "$fault: the second attempt succeeds");
}

# answers that are not understood; in the fault the token's place is free
my $not_understood = qr/ERROR:  08P01: could not understand the answer to "fetch an access token"/;
foreach my $fault (qw(notjson=1 empty=1 deep=5000 badutf8=1))
{
	fault_fails($fault, 1, $not_understood, qr/DETAIL:  The answer with HTTP status 200 /);
}
fault_fails('notoken=1', 1, $not_understood, qr/no usable "access_token"/);
foreach my $value (
	'""', 'null', '12345', '["sesame"]', '"sesame\nX-Forged: 1"', '"sesame\r"', '"sesame\u0001"',
	'"sesame\u007f"', '"sesame\u0000"', '"s\u00e9same"', '" sesame"', '"open sesame"')
{
	fault_fails('notoken=1,expires_in=' . percent(qq{3600,"access_token":$value}),
		1, $not_understood, qr/DETAIL:  The answer with HTTP status 200 [^"]*(?:"access_token")?\.$/m);
}
foreach my $value (qw(NaN 1e))
{
	fault_fails('expires_in=' . percent($value), 1, $not_understood);
}
# what does not say how long it lives serves a moment
foreach my $value (qw(none null "3600" 0 -1 0.5 [3600] true))
{
	set_fault('expires_in=' . percent($value));
	counts_are(run("$call; $call"), 1, 2, "expires_in $value: the token serves");
	is(run('SELECT expires_at - fetched_at FROM aep.access_token_info()')->{out},
		'00:01:00', 'for a minute');
}
fault_fails('huge=200000', 1, qr/ERROR:  54000: could not fetch an access token/);
foreach my $value (qw(1e30 1e999))
{
	set_fault('expires_in=' . $value);
	counts_are(run($call), 1, 1, "expires_in $value is taken for a year");
	is(run('SELECT expires_at - fetched_at FROM aep.access_token_info()')->{out}, '366 days', 'at most');
}
set_fault('expires_in=1');
counts_are(run($call), 1, 1, 'a token of one second is used at once');

# A failure is not kept: the next call of the session fetches.
set_fault('status=400,times=1');
counts_are(run($call), 1, 0, 'a failure');
counts_are(run($call), 1, 1, 'is not kept');

# A 401 that is not about the token: no other one is fetched.
set_fault('times=0');
run($call);
foreach my $code (2000 .. 2002)
{
	my $result = run("SELECT id FROM aep.create_base_connection(name => 'fault:status=401,code=FLOW-$code org')");

	counts_are($result, 0, 1, "FLOW-$code");
	like($result->{err}, qr/ERROR:  42501: .*\nHINT:  Check org_id of the server/s, 'is about the organisation');
}

# The second token cannot be had; the first call was refused, so it made nothing.
set_fault('after=1,status=400,message=' . percent('no more tokens'));
my $no_second = run("SELECT id FROM aep.create_base_connection(name => 'fault:status=401 no second token')");
counts_are($no_second, 2, 1, 'no second token');
like($no_second->{err}, qr/$refused\n.*no more tokens/, 'IMS says why');
unlike($no_second->{err}, qr/WARNING/, 'nothing was created');

# The same after an attempt that may have been carried out: that may be so still.
foreach my $first ('reset=before', 'status=503,processed=1', 'status=504,processed=1')
{
	my %statements = (
		PATCH => "SELECT id FROM aep.update_connection('%s', description => 'd', etag => '%s')",
		DELETE => "SELECT aep.delete_connection('%s')",
		GET => "SELECT id FROM aep.connection('%s')");

	foreach my $kind (qw(PATCH DELETE GET))
	{
		set_fault('times=0');
		my ($id, $etag) = split /\|/, run(
			"SELECT id, etag FROM aep.create_base_connection(name => 'fault:on=$kind,times=1,$first no second token')")->{out};
		set_fault('accept=1,times=1;status=400,message=' . percent('no more tokens'));
		my $result = run(sprintf $statements{$kind}, $id, $etag);
		my @requests = grep { ($_->{name} // '') !~ /renewing/ } @{ $result->{requests} };
		my $what = "$kind, $first, and no second token";

		is(join(' ', map { $_->{kind} } @requests), "TOKEN $kind $kind TOKEN", $what);
		is($requests[2]{status}, 401, "$what: the second attempt is refused");
		if ($kind eq 'GET')
		{
			like($result->{err}, qr/$refused\n.*no more tokens/, "$what: 28000");
			next;
		}
		like($result->{err}, qr/^ERROR:  08007: could not (?:update|delete base) connection on server "aep": the outcome is unknown$/m, "$what: 08007");
		like(
			$result->{err},
			qr/^DETAIL:  An attempt may have been carried out, and no further one was made: could not fetch an access token on server "aep": the credential was refused\.$/m,
			"$what: says why");
		like($result->{err}, qr/^HINT:  The request may have been carried out\./m, "$what: and what to do");
	}
}

# A kept connection dies under the token request: it is sent again, on another.
run($call);
set_fault('die_kept=1');
my $kept = run($call);
counts_are($kept, 2, 1, 'a kept connection that dies costs another request');
isnt($kept->{tokens}[0]{connection}, $kept->{tokens}[1]{connection}, 'on another connection');

# No connection: the address is wrong, or not to be trusted.
change("ALTER $mapping OPTIONS (SET client_secret 'sesame-one')");
foreach my $kind (qw(refused unknown_ca wrong_name expired tls11))
{
	my $url = AepTest::literal($fake->url($kind) . '/ims/token/v3');

	change("ALTER SERVER aep OPTIONS (SET token_url $url)");
	fetch_fails("token_url: $kind", 0,
		qr/ERROR:  08001: could not fetch an access token on server "aep": could not connect/,
		qr/libcurl says/);
}
change('ALTER SERVER aep OPTIONS (SET token_url ' . AepTest::literal($fake->url('ims')) . ')');

# A fetch that hangs can be ended at once.
foreach my $phase (qw(before_headers mid_body))
{
	set_fault("stall=$phase,times=1");
	my $result = run("SET statement_timeout = '1s'; $call; RESET statement_timeout");
	cmp_ok($result->{took}, '<', 10, "stall $phase: ended promptly");
	like($result->{err}, qr/ERROR:  57014:/, 'by a cancel');
	counts_are($result, 1, 0, 'while it fetched');
	unlike($result->{err}, qr/WARNING/, 'nothing was created');
	counts_are(run($call), 1, 1, 'the next call works');
}

# request_timeout covers both: each alone would have the time.
change("ALTER SERVER aep OPTIONS (ADD request_timeout '2s')");
set_fault('delay=1.3,times=1');
my $slow = run("SELECT id FROM aep.create_base_connection(name => 'fault:delay=1.3 slow')");
counts_are($slow, 1, 1, 'a slow token and a slow call');
like($slow->{err}, qr/ERROR:  08007:.*\n.*libcurl says: .*timed out/, 'are too slow together');
change("ALTER SERVER aep OPTIONS (SET request_timeout '1s')");
fault_fails('stall=before_headers', 1, qr/ERROR:  08006: could not fetch an access token/, qr/timed out/);
change('ALTER SERVER aep OPTIONS (DROP request_timeout)');

# One token for each mapping, not for each session, role or server.
$node->safe_psql('postgres', <<'SQL');
CREATE ROLE alice; CREATE ROLE bob; CREATE ROLE carol; CREATE ROLE dave;
GRANT USAGE ON SCHEMA aep TO PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA aep TO PUBLIC;
GRANT USAGE ON FOREIGN SERVER aep TO PUBLIC;
CREATE USER MAPPING FOR alice SERVER aep OPTIONS (api_key 'demo-api-key', client_secret 'sesame-one');
CREATE USER MAPPING FOR bob SERVER aep OPTIONS (api_key 'demo-api-key', client_secret 'sesame-two');
CREATE USER MAPPING FOR PUBLIC SERVER aep OPTIONS (api_key 'demo-api-key', client_secret 'sesame-one');
CREATE FUNCTION as_alice() RETURNS bigint LANGUAGE sql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS $$ SELECT count(id) FROM aep.create_base_connection(username => 'u', password => 'p') $$;
ALTER FUNCTION as_alice() OWNER TO alice;
SQL
$call = "SELECT count(id) FROM aep.create_base_connection(username => 'u', password => 'p')";
my $alice = run("SET ROLE alice; $call");
my $bob = run('SET ROLE bob; SELECT fetched_at IS NULL FROM aep.access_token_info()');
is($bob->{out}, 't', 'a role sees nothing of the token of another');
$bob = run($call);
is($alice->{tokens}[0]{body}{client_secret}, 'sesame-one', 'a role has its secret');
is($bob->{tokens}[0]{body}{client_secret}, 'sesame-two', 'and another has another');
my $turns = run("SELECT as_alice(); SET ROLE alice; $call; SET ROLE bob; $call");
counts_are($turns, 0, 3, 'both keep their tokens');
is_deeply(
	[ map { token_of($_) } @{ $turns->{calls} } ],
	[ map { token_of($_->{calls}[0]) } $alice, $alice, $bob ],
	'each its own, a definer the definer\'s');
counts_are(run("SET ROLE carol; $call; SET ROLE dave; $call; RESET ROLE"),
	1, 2, 'the mapping for PUBLIC has one token');

# Messages for developers show no secret either.
set_fault('status=503,times=1');
like(run("SET client_min_messages = debug5; $call; RESET client_min_messages")->{err},
	qr/DEBUG:  .*HTTP status 503 to POST/, 'a client that sees everything');

# The session from the beginning.
my $renewed = AepTest::end_sql($renewing);
my @tokens = $fake->requests_named('fault:expires_in=10 sesame renewing');
my @calls = map { $fake->requests_named("renewing $_") } 1 .. 3;
is($renewed, "1\n1\n00:00:10\n\n1\nt", 'a token of 10 s');
is(scalar(@tokens), 2, 'is fetched again once');
is(token_of($calls[0]), token_of($calls[1]), 'not before it is needed');
SKIP:
{
	skip 'the machine is too slow to tell', 1 if $calls[2]{time} >= $tokens[0]{time} + 10;
	isnt(token_of($calls[1]), token_of($calls[2]), 'but before it expires');
}
AepTest::close_session($_) foreach ($session, $renewing);

# No secret anywhere: not in a URL, the log, or what a client saw.
my @all = $fake->requests;
my @leaks = grep { encode_json([ @{$_}{qw(path query)} ]) =~ /sesame/ } @all;
is(scalar(@leaks), 0, 'no secret in a URL');
my %tokens = map { token_of($_) => 1 } grep { $_->{kind} eq 'POST' } @all;
cmp_ok(scalar(keys %tokens), '>', 30, 'the tokens are known');
my $log = slurp_file($node->logfile);
like($log, qr/DEBUG:  00000: HTTP status 503 to POST/, 'the log is the right one');
my @secrets = ('sesame', 'demo-api-key', keys %tokens);
is_deeply([ grep { index($log, $_) >= 0 } @secrets ], [], 'no secret in the log');
is_deeply([ grep { index($seen, $_) >= 0 } @secrets ], [], 'none was shown');

done_testing();
