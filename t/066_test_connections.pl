# aep.test_connections(): many tests at once, each with its own end.
use strict;
use warnings;

use AepTest;
use Calls qw(call_in run value fails kinds create);
use JSON::PP;
use List::Util qw(max);
use PostgreSQL::Test::Utils;
use Test::More;

my $fake = AepTest::start_fake('--record-secrets', '--client-secret', 'sesame-secret');
my $node = AepTest::start_node('main', 'log_statement = none');
my %login = (username => 'mapped', password => 'sesame mapped', advertised_port => 5432);
AepTest::create_server($node, $fake, %login);
AepTest::create_server($node, $fake, %login, server => 'two', concurrency => 2);
AepTest::create_server($node, $fake, %login, server => 'short', request_timeout => '700ms', max_attempts => 1);
AepTest::create_server($node, $fake, %login, server => 'refused', base_url => $fake->url('refused'), max_attempts => 1);
my %ims = (access_token => undef, token_url => $fake->url('ims'));
AepTest::create_server($node, $fake, %login, %ims, server => 'ims', client_secret => 'fault:accept=9,times=1 sesame', concurrency => 4);
AepTest::create_server($node, $fake, %login, %ims, server => 'no_token', client_secret => 'fault:status=400 sesame');
AepTest::create_server($node, $fake, %login, %ims, server => 'no_second_token', client_secret => 'fault:after=1,times=1,status=400 sesame', concurrency => 1);

my $session = AepTest::open_session($node);
my $nowhere = '00000000-0000-4000-8000-000000000000';

call_in($session, $fake);

# Tests these connections; the result has its rows, decoded, in the order of the names.
sub tests
{
	my ($arguments, $where) = @_;
	my $result = run("SELECT jsonb_agg(t ORDER BY name, id) FROM aep.test_connections($arguments) AS t");

	is($result->{err}, '', "no error: aep.test_connections($arguments)");
	$result->{rows} = $result->{out} =~ /^\[/ ? decode_json($result->{out}) : [];
	return $result;
}

# The rows as "name: t", "name: f" or "name: SQLSTATE".
sub outcomes
{
	my ($result) = @_;

	return join(', ', map { ($_->{name} // 'NULL') . ': ' . (!defined $_->{result} ? $_->{sqlstate} : $_->{result} ? 't' : 'f') } @{ $result->{rows} });
}

sub ids
{
	return 'ARRAY[' . join(', ', map { defined $_ ? "'$_'" : 'NULL' } @_) . ']::uuid[]';
}

# Without ids: what leads here, and what may.
my @here = map { create("here $_") } 1 .. 3;
my $string = create('hidden', ", auth_type => 'connection_string', host => 'other.example.com'");
create('port', ', port => 1');
run('CREATE DATABASE other');
create('database', ", database => 'other'");
create('host', ", host => 'other.example.com'");
create('upper', ", host => 'DB1.EXAMPLE.COM'");
value("SELECT id FROM aep.update_connection('$here[2]', state => 'disabled')");
my $result = tests('');
is(outcomes($result), 'here 1: t, here 2: t, hidden: t, upper: t', 'this database\'s connections, and those that may be');
is_deeply([ sort map { $_->{kind} } @{ $result->{requests} } ], [ 'LIST', ('TEST') x 4 ], 'a request each');
is($result->{rows}[0]{id}, $here[0], 'with their ids');
is_deeply([ map { $_->{message} // $_->{sqlstate} // () } @{ $result->{rows} } ], [], 'and no message');
is(value('SELECT pg_typeof(id), pg_typeof(name), pg_typeof(result), pg_typeof(message), pg_typeof(sqlstate) FROM aep.test_connections() LIMIT 1'),
	'uuid|text|boolean|text|text', 'the types');
is(tests("server => 'two'")->{rows}[0]{name}, 'here 1', 'on another server');
is(value('BEGIN READ ONLY; SELECT count(*) FROM aep.test_connections(); COMMIT'), 4, 'in a transaction that is read-only');

# With ids: those, whatever they are; the name is read first.
$result = tests('ids => ' . ids($here[2], $string));
is(outcomes($result), 'here 3: t, hidden: t', 'those that were asked for');
is_deeply([ sort map { $_->{kind} } @{ $result->{requests} } ], [qw(GET GET TEST TEST)], 'two requests each');
is(outcomes(tests(ids($here[0], $here[0]))), 'here 1: t, here 1: t', 'one id twice');
is(outcomes(tests("ARRAY[ARRAY['$here[0]'], ARRAY['$here[1]']]::uuid[][]")), 'here 1: t, here 2: t', 'two dimensions');
is(scalar(@{ tests('ARRAY[]::uuid[]')->{rows} }), 0, 'no ids, no rows');

# One that fails never ends the others, whatever is wrong with it.
my %faulty = (
	'fault:on=TEST,result=false closed' => 'f',
	'fault:on=TEST,status=400,code=CONNECTOR-1001,message=no%20way connector' => 'f',
	'fault:on=TEST,result=error gateway' => '58000',
	'fault:on=TEST,status=403 forbidden' => '42501',
	'fault:on=TEST,notjson=1 garbled' => '08P01',
	'fault:on=TEST,body=%7B%7D no result' => '08P01',
	'fault:on=TEST,stall=before_headers hangs' => '08006',
	'fault:on=TEST,reset=before reset' => '08006',
	'fault:on=GET,status=500 unread' => '58000',
	'fault:on=GET,body=%7B%7D no entity' => '08P01');
my %id_of = map { $_ => create($_) } sort keys %faulty;
$result = tests(ids($here[0], values %id_of, $nowhere, undef, $here[1]) . ", 'short'");
my %row_of = map { ($_->{id} // 'NULL') => $_ } @{ $result->{rows} };
is(scalar(@{ $result->{rows} }), 4 + keys %faulty, 'a row for each');
foreach my $name (sort keys %faulty)
{
	my $row = $row_of{ $id_of{$name} };

	is(defined $row->{result} ? ($row->{result} ? 't' : 'f') : $row->{sqlstate}, $faulty{$name}, $name);
	is($row->{name}, $name =~ /on=GET/ ? undef : $name, "$name: its name");
	ok(!defined $row->{sqlstate} || $row->{message}, "$name: its message");
}
ok($row_of{$_}{result}, 'the others are tested') foreach (@here[ 0, 1 ]);
is($row_of{$nowhere}{sqlstate}, '42704', 'no such connection');
is($row_of{NULL}{sqlstate}, '22004', 'NULL');
is($row_of{NULL}{message}, 'argument "ids" must not be null (Each of its elements must be an id.)', 'NULL: the message');
is($row_of{ $id_of{'fault:on=TEST,result=false closed'} }{message}, undef, 'no reason given');
is($row_of{ $id_of{'fault:on=TEST,status=400,code=CONNECTOR-1001,message=no%20way connector'} }{message}, 'CONNECTOR-1001-400: no way', 'the reason given');
like(
	$row_of{ $id_of{'fault:on=TEST,result=error gateway'} }{message},
	qr/^could not test base connection on server "short": .* \(The service answered with HTTP status 504, code FLOW-1104-504/,
	'a test that took too long');
is(outcomes(tests(ids(@here[ 0, 1 ]) . ", 'refused'")), 'NULL: 08001, NULL: 08001', 'no connection to Experience Platform');

# As many in flight as the server option says; rows come as they finish.
sub pace
{
	my ($server, $concurrency, @ids) = @_;
	my $result = tests(ids(@ids) . ", '$server'");
	my @tests = grep { $_->{kind} eq 'TEST' } @{ $result->{requests} };
	my $most = max(map { my $one = $_; scalar(grep { $_->{time} <= $one->{time} && $_->{time} > $one->{time} - 0.3 } @tests) } @tests);

	is(scalar(grep { $_->{result} } @{ $result->{rows} }), scalar(@ids), "concurrency $concurrency: all are tested");
	cmp_ok($most, '<=', $concurrency, "concurrency $concurrency: so many at once");
	cmp_ok($most, '>', $concurrency / 2, "concurrency $concurrency: not many less");
	return;
}
my @slow = map { create("fault:on=TEST,delay=0.3 slow $_") } 1 .. 32;
pace('two', 2, @slow[ 0 .. 5 ]);
pace('aep', 16, @slow);
my $slowest = create('fault:on=TEST,delay=1 slowest');
is(value("SELECT string_agg(name, ', ') FROM aep.test_connections(" . ids($slowest, $here[0]) . ')'),
	'here 1, fault:on=TEST,delay=1 slowest', 'who finishes first stands first');

# 429 slows them down; a token that is refused on the way is renewed, once.
my @throttled = map { create("fault:on=TEST,status=429,times=1 throttled $_") } 1 .. 4;
$result = tests(ids(@throttled, @here[ 0, 1 ]));
is(scalar(grep { $_->{result} } @{ $result->{rows} }), 6, '429: all are tested');
$result = tests(ids(@slow[ 0 .. 7 ]) . ", 'ims'");
is(scalar(grep { $_->{result} } @{ $result->{rows} }), 8, '401 on the way: all are tested');
is(scalar(grep { $_->{kind} eq 'TOKEN' } @{ $result->{requests} }), 2, '401 on the way: one more token');
fails('no token', '28000', 'SELECT * FROM aep.test_connections(' . ids(@here) . ", 'no_token')", 1);
my $unauthorized = create('fault:on=TEST,status=401 unauthorized');
$result = tests(ids($here[0], $unauthorized, $here[1]) . ", 'no_second_token'");
is(outcomes($result), 'fault:on=TEST,status=401 unauthorized: 28000, here 1: t, NULL: 28000', 'no second token: what was tested is told');

# What is wrong with all of it is an error; so is a list that cannot be read.
fails('no server', '42704', "SELECT * FROM aep.test_connections(server => 'none')", 0);
fails('NULL server', '22004', 'SELECT * FROM aep.test_connections(server => NULL)', 0);
fails('no list', '08001', "SELECT * FROM aep.test_connections(server => 'refused')", 0);

# A cancel ends all of it at once.
my $hanging = create('fault:on=TEST,stall=mid_headers hanging');
$result = run("SET statement_timeout = '1s'; SELECT * FROM aep.test_connections(" . ids($hanging, @here) . '); RESET statement_timeout');
like($result->{err}, qr/^ERROR:  57014:/m, 'cancelled');
is(outcomes(tests(ids($here[0]))), 'here 1: t', 'the session works on');

# Text that the client's encoding does not have costs no row.
my $other = create('fault:on=TEST,status=400,message=%E4%BD%A0 other');
my $reason = create('fault:on=TEST,status=400,code=CONNECTOR-1,message=%E4%BD%A0 reason');
$result = run("SET client_encoding = 'LATIN1'; SELECT message FROM aep.test_connections(" . ids($other, $reason, $here[0]) . ') ORDER BY message; RESET client_encoding');
like($result->{out}, qr/^CONNECTOR-1-400: \?\?\?\ncould not test .*: "\?\?\?"\. .*\)$/m, 'question marks');

# No secret
my $echo = create('fault:on=TEST,status=400,echo=1 echo');
$result = tests(ids($echo));
like($result->{rows}[0]{message}, qr/\*{8}/, 'a secret that the service repeats is masked');
unlike($result->{out}, qr/sesame|demo-access-token|demo-api-key/, 'and not shown');

# Many, in little memory
my $pid = value('SELECT pg_backend_pid()');
my $many = "aep.test_connections(ARRAY(SELECT '$here[0]'::uuid FROM generate_series(1, %d)))";
is(value(sprintf "SELECT count(*) FROM $many", 20), 20, 'some');
my $grown = AepTest::peak_of($pid, sub { is(value(sprintf "SELECT count(result) FROM $many", 1500), 1500, 'many') });
cmp_ok($grown, '<', 4 * 1024, "memory grew by $grown kB");
AepTest::close_session($session);

done_testing();
