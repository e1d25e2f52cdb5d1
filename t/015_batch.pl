# Many base connections at once: order, failures of single items, pace, cancel, memory.
use strict;
use warnings;

use AepTest;
use Calls qw(call_in run value fails log_keeps_secret);
use JSON::PP;
use List::Util qw(max min uniq);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $uuid = qr/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/;
my $fake = AepTest::start_fake('--record-secrets', '--client-secret', 'sesame-secret');
my $node = AepTest::start_node('main', 'log_statement = none');
my %login = (username => 'mapped', password => 'sesame mapped', advertised_port => 5432);
AepTest::create_server($node, $fake, %login, concurrency => 4);
AepTest::create_server($node, $fake, %login, server => 'plain', base_url => $fake->url('http'), concurrency => 8);
AepTest::create_server($node, $fake, %login, server => 'one', concurrency => 1);
AepTest::create_server($node, $fake, %login, server => 'two', concurrency => 2);
AepTest::create_server($node, $fake, %login, server => 'usual');
AepTest::create_server($node, $fake, %login, server => 'short', request_timeout => '700ms');
AepTest::create_server($node, $fake, server => 'no_login');
AepTest::create_server($node, $fake, %login, server => 'refused', base_url => $fake->url('refused'), max_attempts => 1);
AepTest::create_server($node, $fake, %login, server => 'ims', access_token => undef, token_url => $fake->url('ims'),
	client_secret => 'fault:accept=5,times=1 sesame', concurrency => 4);
AepTest::create_server($node, $fake, %login, server => 'no_second_token', access_token => undef, token_url => $fake->url('ims'),
	client_secret => 'fault:after=1,times=1,status=400 sesame', concurrency => 1);
AepTest::create_server($node, $fake, %login, server => 'no_token', access_token => undef, token_url => $fake->url('ims'),
	client_secret => 'fault:status=400 sesame');

my $session = AepTest::open_session($node);

call_in($session, $fake);

# A batch of these specs, each the arguments of the constructor.
sub batch_sql
{
	my ($server, @specs) = @_;
	my $array = join(', ', map { "aep.base_connection_spec($_)" } @specs);

	return "aep.create_base_connections(ARRAY[$array]::aep.base_connection_spec[], '$server')";
}

sub names
{
	return map { 'name => ' . AepTest::literal($_) } @_;
}

# Runs a batch; the result has its rows, decoded.
sub batch
{
	my $result = run('SELECT jsonb_agg(b) FROM ' . batch_sql(@_) . ' AS b');

	unlike($result->{err}, qr/ERROR|WARNING/, 'the batch is no error') or diag $result->{err};
	$result->{rows} = $result->{out} =~ /^\[/ ? decode_json($result->{out}) : [];
	return $result;
}

# Each row as "id" or its SQLSTATE.
sub outcomes
{
	my ($result) = @_;

	return join(' ', map { $_->{id} && !$_->{sqlstate} && !$_->{message} ? 'id' : $_->{id} ? 'both' : $_->{sqlstate} } @{ $result->{rows} });
}

# The rows, and the bodies: those of single calls.
my @specs = (
	"name => 'one', description => 'd', host => 'h.example.com', port => 1, database => 'x', username => 'u', password => 'p', ssl_mode => 'verify-ca'",
	"name => 'two', auth_type => 'connection_string'",
	'');
my $result = batch('aep', @specs);
is(join(' ', map { $_->{ordinal} } @{ $result->{rows} }), '1 2 3', 'the rows have numbers');
is(join('|', map { $_->{name} } @{ $result->{rows} }), 'one|two|PostgreSQL postgres at db1.example.com:5432', 'names');
is(outcomes($result), 'id id id', 'and ids');
my %stored = map { $_->{id} => $_->{name} } $fake->connections;
is($stored{ $_->{id} }, $_->{name}, "the id belongs to $_->{name}") foreach (@{ $result->{rows} });
is_deeply(
	[ map { $_->{etag} } @{ $result->{rows} } ],
	[ map { value("SELECT etag FROM aep.connection('$_->{id}')") } @{ $result->{rows} } ],
	'with their etags');
foreach my $i (0 .. 2)
{
	my ($body) = map { $_->{body} } grep { $_->{name} eq $result->{rows}[$i]{name} } @{ $result->{requests} };

	value("SELECT id FROM aep.create_base_connection($specs[$i])");
	is_deeply(($fake->requests)[-1]{body}, $body, 'the body is that of a single call: ' . ($i + 1));
}
ok( $node->log_contains("LOG:  created base connection \"$_->{name}\" with id $_->{id} on server"),
	"the id of $_->{name} is logged") foreach (@{ $result->{rows} });
is(value('SELECT pg_typeof(ordinal), pg_typeof(name), pg_typeof(id), pg_typeof(etag), pg_typeof(sqlstate), pg_typeof(message) FROM '
		  . batch_sql('aep', '')), 'integer|text|uuid|text|text|text', 'the types');

# Nothing, and what is no batch
is(value('SELECT count(*) FROM ' . batch_sql('aep')), 0, 'no specs, no rows');
fails('NULL', '22004', 'SELECT * FROM aep.create_base_connections(NULL)', 0);
fails('no server', '42704', 'SELECT * FROM ' . batch_sql('none', ''), 0);
fails('NULL server', '22004', 'SELECT * FROM aep.create_base_connections(ARRAY[]::aep.base_connection_spec[], NULL)', 0);

# One failure never costs another item its id; bad specs are not sent.
$result = batch(
	'aep', names('a', 'fault:status=400 b', 'c'), "name => 'd', ssl_mode => 'none'", "name => 'e', port => 0",
	"name => 'f', auth_type => 'connection_string', password => 'a;b'", names('fault:status=403 g', 'fault:status=409 h', 'fault:status=500 i'),
	names('fault:noid=1 j', 'fault:reset=before k', 'fault:status=504 l', ''), "name => 'n', host => ''", names('o'));
is(outcomes($result), 'id 22023 id 22023 22023 22023 42501 42710 58000 08P01 08007 08007 22023 22023 id', 'each its own outcome');
is(join('', map { substr($_->{name}, -1) } @{ $result->{rows} }), 'abcdefghijklno', 'in their order');
is(scalar(@{ $result->{requests} }), 10, 'bad specs are not sent');
is(scalar(grep { $_->{status} == 201 && $_->{name} =~ /^[aco]$/ } @{ $result->{requests} }), 3, 'each good one once');
my %messages = (
	2 => qr/could not create base connection on server "aep": the request was refused as invalid \(The service answered with HTTP status 400.*"a fault/,
	4 => qr/invalid value for argument "ssl_mode"/,
	5 => qr/invalid value for argument "port"/,
	6 => qr/invalid value for argument "password" \(In a connection string/,
	7 => qr/permission denied by Experience Platform/,
	10 => qr/could not understand the answer.*has no "id"/,
	11 => qr/the outcome is unknown/,
	13 => qr/invalid value for argument "name"/);
like($result->{rows}[ $_ - 1 ]{message}, $messages{$_}, "the message of number $_") foreach (sort keys %messages);
is(join(' ', map { $_->{id} // $_->{etag} // () } @{ $result->{rows} }[ 1, 3 .. 13 ]), '', 'no id, and no etag, without success');

# NULL for a spec, or in it; several dimensions
$result = run('SELECT jsonb_agg(b) FROM aep.create_base_connections(ARRAY[NULL, '
	  . "ROW('all NULL', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)]::aep.base_connection_spec[]) AS b");
$result->{rows} = decode_json($result->{out});
is(outcomes($result), '22004 id', 'NULL is no spec; NULL in a spec is the default');
is($result->{requests}[0]{body}{auth}{specName}, 'Basic Authentication', 'also for the type');
$result = run("SELECT string_agg(ordinal || name, ' ') FROM aep.create_base_connections(ARRAY[ARRAY[aep.base_connection_spec(name => 'x')], "
	  . "ARRAY[aep.base_connection_spec(name => 'y')]])");
is($result->{out}, '1x 2y', 'two dimensions');
is(outcomes(batch('no_login', names('x'), "username => 'u', password => 'p', name => 'y'")), '22004 id', 'no login in the mapping');
is(outcomes(batch('refused', names('x', 'y'))), '08001 08001', 'no connection');

# The constructor
is(value("SELECT aep.base_connection_spec('n', 'd', 'u', 'p', 'connection_string', 's', 'h', 1, 'b')"), '(n,d,u,p,connection_string,s,h,1,b)', 'a spec');
is(value('SELECT aep.base_connection_spec()'), '(,,,,basic,,,,)', 'its defaults');

# From a query, in one call
$node->safe_psql('postgres', 'CREATE DATABASE "other db"');
$result = run(<<'SQL');
SELECT string_agg(name, '|') FROM aep.create_base_connections(ARRAY(
    SELECT aep.base_connection_spec(name => 'all: ' || datname, database => datname)
    FROM pg_database WHERE datallowconn ORDER BY datname))
SQL
is($result->{out}, 'all: other db|all: postgres|all: template1', 'every database of a cluster');
is_deeply(
	[ sort map { $_->{body}{auth}{params}{database} } @{ $result->{requests} } ],
	[ 'other db', 'postgres', 'template1' ],
	'each by its name');

# The order is that of the specs, whatever ends first.
$result = batch('aep', names('fault:delay=1.2 slow', map { "quick $_" } 1 .. 12));
is(join('|', map { $_->{name} } @{ $result->{rows} }), join('|', 'fault:delay=1.2 slow', map { "quick $_" } 1 .. 12), 'a slow first one');
is(outcomes($result), join(' ', ('id') x 13), 'holds up nobody');
cmp_ok($result->{requests}[-1]{time} - $result->{requests}[0]{time}, '<', 1.1, 'the others went on meanwhile');

# As many in flight as the server option says: on so many connections, which are used again.
sub pace
{
	my ($server, $concurrency, $count) = @_;
	my $delay = 0.15;
	my $result = batch($server, names(map { "fault:delay=$delay $server $_" } 1 .. $count));
	my @requests = @{ $result->{requests} };
	my $most = max(map { my $one = $_; scalar(grep { $_->{time} <= $one->{time} && $_->{time} > $one->{time} - $delay } @requests) } @requests);

	is(outcomes($result), join(' ', ('id') x $count), "concurrency $concurrency: all are made");
	my $connections = uniq map { $_->{connection} } @requests;
	foreach my $pair ([ $most, 'at once' ], [ $connections, 'connections' ])
	{
		cmp_ok($pair->[0], '<=', $concurrency, "concurrency $concurrency: so many $pair->[1]");
		cmp_ok($pair->[0], '>', $concurrency / 2, "concurrency $concurrency: not many less");
	}
	return $result;
}
pace('one', 1, 4);
pace('two', 2, 6);
pace('aep', 4, 12);
pace('usual', 16, 40);
my @connections = uniq map { $_->{connection} } @{ pace('plain', 8, 16)->{requests} };
$result = batch('plain', names(map { "kept $_" } 1 .. 16));
is(scalar(grep { my $used = $_->{connection}; !grep { $_ == $used } @connections } @{ $result->{requests} }), 0, 'a second batch uses the same');

# 429 slows the whole batch.
$result = batch('two', names('fault:status=429,times=1,retry_after=1 first', map { "later $_" } 1 .. 9));
is(outcomes($result), join(' ', ('id') x 10), '429: all are made');
is(scalar(@{ $result->{requests} }), 11, '429: with one request more');
my ($refused) = grep { $_->{status} == 429 } @{ $result->{requests} };
my @after = map { $_->{time} - $refused->{time} } grep { $_->{time} > $refused->{time} } @{ $result->{requests} };
is(scalar(grep { $_ > 0.3 && $_ < 0.95 } @after), 0, '429: nobody sends anything meanwhile');
cmp_ok(scalar(grep { $_ >= 0.95 } @after), '>=', 7, '429: most wait');
$result = batch('aep', names(map { "fault:status=429,times=2 many $_" } 1 .. 8));
is(outcomes($result), join(' ', ('id') x 8), '429 for all: all are made in the end');
is(scalar(@{ $result->{requests} }), 24, '429 for all: three requests each');
is(scalar(grep { $_->{created} } @{ $result->{requests} }), 8, '429 for all: each is made once');

# What an earlier call was told does not hold up another server, nor nothing.
run("SET statement_timeout = '300ms'; SELECT id FROM aep.create_base_connection(name => 'fault:status=429,retry_after=20'); RESET statement_timeout");
$result = run("SET statement_timeout = '10s'; SELECT count(id) FROM " . batch_sql('plain', names('x', 'y')));
is($result->{out}, 2, 'another server is not throttled');
cmp_ok($result->{took}, '<', 5, 'nor waited for');
is(run('SELECT count(*) FROM ' . batch_sql('aep') . '; RESET statement_timeout')->{out}, 0, 'nothing to do is done at once');
AepTest::close_session($session);
$session = AepTest::open_session($node);
call_in($session);

# A token that is refused on the way is fetched again, once.
$result = batch('ims', names(map { "token $_" } 1 .. 20));
is(outcomes($result), join(' ', ('id') x 20), '401 on the way: all are made');
is(scalar(grep { $_->{kind} eq 'TOKEN' } @{ $result->{requests} }), 2, '401 on the way: one more token');
is(scalar(grep { $_->{created} } @{ $result->{requests} }), 20, '401 on the way: each is made once');
my $unauthorized = grep { $_->{status} == 401 } @{ $result->{requests} };
cmp_ok($unauthorized, '>=', 1, "401 on the way: $unauthorized times");
cmp_ok($unauthorized, '<=', 4, '401 on the way: not more than were in flight');
fails('no token', '28000', 'SELECT * FROM ' . batch_sql('no_token', names('x', 'y')));
$result = batch('no_second_token', names('ta', 'fault:status=401 tb', 'tc'));
is(outcomes($result), 'id 28000 28000', 'no second token: costs no other item its id');
is(scalar(grep { $_->{kind} eq 'TOKEN' } @{ $result->{requests} }), 2, 'no second token: nobody asks again');

# Nor does anybody sleep whom nothing wakes up: in a session of its own, where no
# timer of PostgreSQL's is set that would.
sub no_second_token
{
	my ($what, $concurrency, $service, $no, @names) = @_;
	my $server = 'once_' . $what =~ s/\W/_/gr;

	AepTest::create_server($node, $service, %login, server => $server, access_token => undef, token_url => $service->url('ims'),
		client_secret => "fault:after=1,$no sesame $what", concurrency => $concurrency);
	my $own = AepTest::open_session($node, undef, $node->connstr('postgres') . " options='-c statement_timeout=30s'");
	call_in($own, $service);
	my $result = batch($server, names(@names));
	AepTest::close_session($own);
	call_in($session, $fake);
	my %made = map { $_->{name} => 1 } grep { $_->{created} } @{ $result->{requests} };
	is(outcomes($result), join(' ', map { $made{$_} ? 'id' : '28000' } @names), "$what: an id for what was made, 28000 for the others");
	is(scalar(grep { $_->{kind} eq 'TOKEN' } @{ $result->{requests} }), 2, "$what: one more token is asked for");
	return $result;
}
my @later = map { "later $_" } 1 .. 38;
$result = no_second_token('an early 401', 2, $fake, 'status=400', 'early', 'fault:status=401 early', @later);
like(outcomes($result), qr/^id 28000 /, 'an early 401: what was on its way is made');
cmp_ok(scalar(grep { $_->{id} } @{ $result->{rows} }), '<', 39, 'an early 401: what was not is not');
$result = no_second_token('401 at once', 1, $fake, 'status=400', 'fault:status=401 at once', @later);
is(outcomes($result), join(' ', ('28000') x 39), '401 at once: all are refused');
no_second_token('401 at the end', 2, $fake, 'status=400', 'last but one', 'fault:status=401 last');
my $brief = AepTest::start_fake('--token-life', 2);
$result = no_second_token('an expired token', 2, $brief, 'status=400', 'fault:delay=2.2 a', 'fault:delay=2.2 b', @later);
like(outcomes($result), qr/(?: 28000){38}$/, 'an expired token: all later ones are refused');
like($result->{rows}[39]{message}, qr/^could not fetch an access token on server "once_an_expired_token": the credential was refused/, 'and told why');

no_second_token('a slow refusal', 2, $fake, 'status=400,delay=2', 'fault:delay=0.5 ends meanwhile', 'fault:status=401 asks');
no_second_token('many at once', 16, $fake, 'status=400', map { "fault:status=401,delay=0.5 many $_" } 1 .. 16);

# One answer that is lost
$result = batch('short', names('p', 'fault:stall=before_headers q', 'r', 'fault:close=mid_body s', 't'));
is(outcomes($result), 'id 08007 id 08007 id', 'a lost answer is one item\'s');
ok($node->log_contains('LOG:  outcome unknown: create base connection "fault:stall=before_headers q" on server "short"'), 'and is logged');

# A kept connection that dies under a POST
$result = batch('one', names('u', 'fault:die_kept=1 v', 'w'));
is(outcomes($result), 'id 08007 id', 'a kept connection that dies');
is(scalar(@{ $result->{requests} }), 3, 'no POST is sent twice');

# Rollback
sub warning_of
{
	my ($err, $count, $by) = @_;

	like($err, qr/^WARNING:  01000: $count objects? in Experience Platform (?:is|are) not undone by $by$/m, "a warning of $count");
	return $err =~ /^DETAIL:  (.*? \(base connection .*|base connection .*)$/m ? $1 : '';
}
$result = run('BEGIN; SELECT id FROM ' . batch_sql('aep', names('r1', 'fault:status=400 r2', 'r3', "r4'")) . '; ROLLBACK');
my @ids = grep { $_ } split /\n/, $result->{out};
my $detail = warning_of($result->{err}, 3, 'this rollback');
like($detail, qr/$_ \(base connection "r/, "names $_") foreach (@ids);
unlike($detail, qr/r2/, 'and not what was not made');
like($result->{err}, qr/^HINT:  [\w ]+: (?:SELECT aep\.delete_connection\('$uuid', 'aep'\);? ?){3}$/m, 'tells how to delete them');
$result = run("SELECT 1 / (count(id) - 25) FROM aep.create_base_connections(ARRAY(SELECT aep.base_connection_spec(name => 'many ' || i) FROM generate_series(1, 25) AS i))");
$detail = warning_of($result->{err}, 25, 'this rollback');
is(scalar(() = $detail =~ /$uuid/g), 20, 'names 20 of many');
like($detail, qr/, and 5 more: see the server log\.$/, 'and says so');
my @many = grep { $_->{name} =~ /^many \d+$/ && $_->{created} } @{ $result->{requests} };
my $log = slurp_file($node->logfile);
is(scalar(grep { $log =~ /created base connection "$_->{name}" with id $_->{created}/ } @many), 25, 'the log has all of them');

# Cancel: what was made, and what is not known
my $pid = value('SELECT pg_backend_pid()');
my $before = $fake->requests;
AepTest::begin_sql($session, 'SELECT * FROM ' . batch_sql('aep', names('c1', 'fault:stall=before_headers c2', 'c3', 'c4', 'fault:stall=mid_body c5',
			'c6', 'fault:stall=before_headers c7', 'fault:stall=before_headers c8', 'c9', 'c10')));
ok(AepTest::wait_until(sub { $fake->requests == $before + 8 }), 'a batch that hangs');
my @begun = map { $_->{time} } $fake->requests($before);
cmp_ok($begun[-1] - $begun[0], '<', 5, 'after every place was taken at once');
sleep 0.2;
my $start = time;
$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
AepTest::end_sql($session);
cmp_ok(time - $start, '<', 5, 'is cancelled at once');
like($session->{err}, qr/^ERROR:  57014:/m, 'is cancelled');
$detail = warning_of($session->{err}, 8, 'this rollback');
my %made = map { $_->{name} => $_->{created} } grep { $_->{name} && $_->{name} =~ /c\d+$/ } $fake->requests;
like($detail, qr/$made{$_} \(base connection "$_"\)/, "names $_") foreach (qw(c1 c3 c4 c6));
like($detail, qr/base connection "fault:stall=\w+ $_" \(outcome unknown\)/, "$_ is not known") foreach (qw(c2 c5 c7 c8));
unlike($detail, qr/"c(?:9|10)"/, 'nothing of what was not sent');
is(scalar(grep { exists $made{$_} } qw(c9 c10)), 0, 'which was not');
ok($node->log_contains("outcome unknown: create base connection \"fault:stall=mid_body c5\" on server \"aep\""), 'so says the log');
is(outcomes(batch('aep', names('x', 'y'))), 'id id', 'the session works on');

# No secret
$result = batch('aep', map { "name => 'fault:status=400,echo=1 $_', password => 'sesame open $_'" } 1 .. 2);
like($result->{rows}[$_]{message}, qr/\*{8}/, 'a secret that the service repeats is masked') foreach (0, 1);
unlike($result->{out}, qr/sesame|demo-access-token|demo-api-key/, 'and not shown');
my $secret = "ARRAY[aep.base_connection_spec(name => 'x', password => 'sesame open')]";
fails('no server', '42704', "SELECT * FROM aep.create_base_connections($secret, 'none')", 0);
fails('in PL/pgSQL', '42704', "DO \$\$ BEGIN PERFORM FROM aep.create_base_connections($secret, 'none'); END \$\$", 0);
fails('no token', '28000', "SELECT * FROM aep.create_base_connections($secret, 'no_token')");
log_keeps_secret($node, 'sesame');
AepTest::close_session($session);

# 10,000 in bounded memory
my $COUNT = 10_000;
my $more = AepTest::start_fake();
AepTest::create_server($node, $more, %login, server => 'large', base_url => $more->url('http'), concurrency => 32);
$session = AepTest::open_session($node);
call_in($session);
my $specs = "SELECT aep.base_connection_spec(name => CASE i WHEN 1 THEN 'fault:delay=1' ELSE 'large' END || ' ' || i) "
  . 'FROM generate_series(1, %d) AS i';
my $count = "SELECT count(*), count(id), count(DISTINCT id), max(ordinal) FROM aep.create_base_connections(ARRAY($specs), 'large')";
value(sprintf $count, 200);
# the specs themselves, as any array
value(sprintf "SELECT cardinality(ARRAY($specs))", $COUNT);
$pid = value('SELECT pg_backend_pid()');
$before = AepTest::kilobytes_of($pid, 'VmHWM');
$start = time;
is(value(sprintf $count, $COUNT), join('|', ($COUNT) x 4), '10,000 are made');
note sprintf('10,000 in %.1f s', time - $start);
my $grown = AepTest::kilobytes_of($pid, 'VmHWM') - $before;
cmp_ok($grown, '<', 10 * 1024, "memory grew by $grown kB");
my $record = slurp_file($more->dir . '/requests.jsonl');
my @used = uniq $record =~ /"connection": (\d+)/g;
cmp_ok(scalar(@used), '<=', 3 * 32, scalar(@used) . ' connections for all of them');
my $first = (map { /"time": ([\d.]+)/ } grep { /"name": "fault:delay=1 1"/ } split /\n/, $record)[-1];
my $ahead = grep { $_ >= $first && $_ < $first + 1 } $record =~ /"time": ([\d.]+)/g;
cmp_ok($ahead, '<=', 1024 + 32, "$ahead were begun while the first was slow");
AepTest::close_session($session);

done_testing();
