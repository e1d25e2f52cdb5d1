# Base connections are changed, deleted, and brought about by scripts that can run again.
use strict;
use warnings;

use AepTest;
use Calls qw(call_in run value kinds create keeps_secret);
use JSON::PP;
use List::Util qw(uniq);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $nowhere = '00000000-0000-4000-8000-000000000000';
my $postgresql = '74a1c565-4e59-48d7-9d67-7c03b8a13137';
my $etag = qr/"[0-9a-f-]+"/;

my $fake = AepTest::start_fake('--record-secrets');
my $node = AepTest::start_node('main', 'log_statement = none');
my $dbname = AepTest::create_database($node, 'UTF8');
my %login = (dbname => $dbname, username => 'mapped', password => 'sesame mapped', advertised_port => 5432);
AepTest::create_server($node, $fake, %login);
AepTest::create_server($node, $fake, %login, server => 'dev', sandbox => 'dev');
AepTest::create_server($node, $fake, %login, server => 'once', max_attempts => 1);
AepTest::create_server($node, $fake, %login, server => 'twice', max_attempts => 2);
AepTest::create_server($node, $fake, %login, server => 'short', request_timeout => '500ms');
AepTest::create_server($node, $fake, %login, server => 'no_login', username => undef, password => undef);

sub open_session
{
	my $session = AepTest::open_session($node, $dbname);

	AepTest::run_sql($session, "SET client_encoding = 'UTF8'");
	return $session;
}
my $session = open_session();
call_in($session, $fake);

sub reopen_session
{
	AepTest::close_session($session);
	$session = open_session();
	call_in($session, $fake);
	return;
}

# the requests are given by their kinds
sub fails
{
	my ($what, $sqlstate, $sql, $kinds) = @_;
	my $result = run($sql);

	like($result->{err}, qr/^ERROR:  $sqlstate:/m, "$what: $sqlstate");
	is(kinds($result), $kinds, "$what: requests") if defined $kinds;
	return $result->{err};
}

sub stored
{
	my ($id, $member) = @_;

	return value("SELECT $member FROM aep.connection('$id')");
}

# --- update ---

my $id = create('first');

sub update
{
	my ($arguments, $of) = @_;

	$of //= $id;
	return "SELECT * FROM aep.update_connection('$of', $arguments)";
}

# Runs an update; the one PATCH it makes must have this body.
sub patches
{
	my ($what, $sql, $kinds, @patch) = @_;
	my $result = run($sql);
	my ($patch) = grep { $_->{kind} eq 'PATCH' } @{ $result->{requests} };

	like($result->{out}, qr/^[0-9a-f-]{36}\|$etag$/, "$what: id and etag") or diag $result->{err};
	is(kinds($result), $kinds, "$what: requests");
	is_deeply($patch->{body}, \@patch, "$what: the body");
	return $result;
}

sub operation
{
	my ($op, $path, @value) = @_;

	return { op => $op, path => $path, @value ? (value => $value[0]) : () };
}

my $before = stored($id, 'etag');
my $result = patches('a name', update("name => 'second'"), 'GET PATCH', operation('replace', '/name', 'second'));
is($result->{requests}[1]{headers}{'if-match'}, $before, 'the etag that was read, with its quotes');
is($result->{requests}[1]{path}, "/data/foundation/flowservice/connections/$id", 'no slash at the end');
is($result->{requests}[1]{headers}{'content-type'}, 'application/json', 'as JSON');
my $now = stored($id, "id || '|' || etag");
is($result->{out}, $now, 'what comes back is id and new etag');
isnt($now, "$id|$before", 'which is another one');

patches('a description', update("description => 'gr\x{fc}n \"1\"'"),
	'GET PATCH', operation('add', '/description', "gr\x{fc}n \"1\""));
is(stored($id, 'description'), "gr\x{fc}n \"1\"", 'is there');
is(stored($id, 'name'), 'second', 'the name is as it was');
patches('no description', update("description => ''"), 'GET PATCH', operation('remove', '/description', ''));
$result = run(update("description => ''"));
is($result->{out}, stored($id, "id || '|' || etag"), 'no description that is not there: id and etag');
is(kinds($result), 'GET', 'nothing is sent');
fails('with an old etag', '40001', update("description => '', etag => '$before'"), 'GET PATCH');
patches('a state', update("state => 'disabled'"), 'GET PATCH', operation('replace', '/state', 'disabled'));
is(stored($id, 'state'), 'disabled', 'is disabled');
patches(
	'all but the login', update("'first', 'x', 'enabled'"), 'GET PATCH', operation('add', '/description', 'x'),
	operation('replace', '/name', 'first'), operation('replace', '/state', 'enabled'));
like(fails('nothing', '22004', update('NULL'), ''), qr/nothing to change/, 'nothing to change');
fails('nothing', '22004', update('replace_credentials => false'), '');
fails('an empty name', '22023', update("name => ''"), '');
fails('an unknown state', '22023', update("state => 'draft'"), '');

# The etag is given: it is sent as it is, and nothing is read.
$before = stored($id, 'etag');
$result = patches('given etag', update("name => 'third', etag => '$before'"), 'PATCH', operation('replace', '/name', 'third'));
is($result->{requests}[0]{headers}{'if-match'}, $before, 'is sent as it is');
like(fails('a stale etag', '40001', update("name => 'x', etag => '$before'"), 'PATCH'),
	qr/changed by somebody else meanwhile.*Supplied version=.*HINT:  Read its current etag and try again/s, 'says so');
fails("an etag that is none", '22023', update("name => 'x', etag => $_"), '') foreach (q{''}, q{'no quotes'}, q{E'"a\nb"'}, q{repeat('x', 300)});
is(stored($id, 'name'), 'third', 'none of them changed anything');
fails('another wins meanwhile', '40001',
	update("name => 'x', etag => (SELECT '$before' FROM aep.update_connection('$id', description => 'meanwhile'))"), 'GET PATCH PATCH');
fails('unknown id', '42704', update("name => 'x'", $nowhere), 'GET');
fails('unknown id, etag', '42704', update("name => 'x', etag => '\"x\"'", $nowhere), 'PATCH');
fails('no id', '22004', "SELECT * FROM aep.update_connection(NULL, 'x')", '');
fails('no server', '42704', update("name => 'x', server => 'none'"), '');

# The login is replaced as a whole; t/045_change_keeps.pl has the rules.
sub params
{
	return operation(
		'replace',
		'/auth/params',
		{   server => 'db1.example.com',
			port => '5432',
			database => 'utf8',
			username => 'mapped',
			password => 'sesame mapped',
			sslMode => 'Prefer',
			@_ });
}
patches('with a name', update("name => 'fourth', password => 'p'"),
	'GET PATCH', operation('replace', '/name', 'fourth'), params(password => 'p'));
$before = stored($id, 'etag');
$result = patches('with an etag', update("password => 'q', etag => '$before'"), 'GET PATCH', params(password => 'q'));
is($result->{requests}[1]{headers}{'if-match'}, $before, 'the given one counts');
fails('with a stale etag', '40001', update("password => 'q', etag => '$before'"), 'GET PATCH');
fails('a bad ssl_mode', '22023', update("ssl_mode => 'none'"), '');
fails('a bad port', '22023', update('port => 0'), '');
patches('no login needed', update("name => 'fifth', server => 'no_login'"), 'GET PATCH', operation('replace', '/name', 'fifth'));

# Lost answers and second tries
sub patch_fault
{
	my ($fault, $kinds, $server) = @_;
	my $of = create('fault:' . $fault =~ s/(^|;)/$1on=PATCH,/gr);
	my $result = run(update("description => 'changed', server => '" . ($server // 'aep') . "'", $of));
	my @patches = grep { $_->{kind} eq 'PATCH' } @{ $result->{requests} };
	my @sent = uniq map { "$_->{headers}{'if-match'} $_->{body_sha256}" } @patches;

	is(kinds($result), $kinds, "PATCH, $fault: $kinds");
	is(scalar(@sent), 1, "PATCH, $fault: each the same");
	$result->{changed} = stored($of, 'description');
	return $result;
}
foreach my $fault ('status=503', 'status=429', 'status=504', 'status=502', 'close=before,processed=0', 'reset=before,processed=0')
{
	my $result = patch_fault("$fault,times=1", 'GET PATCH PATCH');

	like($result->{out}, qr/\|$etag$/, "PATCH, $fault once: succeeds") or diag $result->{err};
	is($result->{changed}, 'changed', "PATCH, $fault once: is changed");
}
foreach my $fault ('close=before', 'close=mid_body', 'reset=before', 'truncate=3', 'status=504,processed=1', 'status=503,processed=1')
{
	my $result = patch_fault("$fault,times=1", 'GET PATCH PATCH');

	like($result->{err}, qr/^ERROR:  08007: .*the outcome is unknown.*HTTP status 412/s, "PATCH, $fault: 08007 after a lost answer, never 40001");
	is($result->{changed}, 'changed', "PATCH, $fault: since it was carried out");
}
like(patch_fault('stall=mid_body,processed=0', 'GET PATCH', 'short')->{err}, qr/^ERROR:  08007:/, 'no answer at all');
like(patch_fault('status=503', 'GET PATCH PATCH', 'twice')->{err}, qr/^ERROR:  58000:/, 'always 503');
foreach my $status (502, 504)
{
	my $result = patch_fault("status=$status,processed=1", 'GET PATCH', 'once');

	like($result->{err}, qr/^ERROR:  08007: .*the outcome is unknown$/m, "PATCH, $status: 08007");
	like($result->{err}, qr/^HINT:  The request may have been carried out\./m, "PATCH, $status: says so");
	is($result->{changed}, 'changed', "PATCH, $status: since it was carried out");
}
like(patch_fault("status=$_", 'GET PATCH', 'once')->{err}, qr/^ERROR:  58000: .*did not carry it out$/m, "PATCH, $_: 58000") foreach (500, 503);
like(patch_fault("$_;status=500", 'GET PATCH PATCH')->{err}, qr/^ERROR:  08007: .*the outcome is unknown$/m, "PATCH, $_, then 500: 08007")
  foreach ('reset=before,times=1', 'status=504,processed=1,times=1');
like(patch_fault('status=412', 'GET PATCH')->{err}, qr/^ERROR:  40001:/, '412 is not tried again');
like(patch_fault('status=409', 'GET PATCH')->{err}, qr/^ERROR:  42710:/, 'nor is 409');
like(patch_fault("$_=1", 'GET PATCH')->{err}, qr/^ERROR:  08P01:.*The request may have been carried out/s, "an answer that is none: $_")
  foreach (qw(noid notjson empty));
like(patch_fault('noetag=1', 'GET PATCH')->{out}, qr/^[0-9a-f-]{36}\|$/, 'an answer without etag');
my $no_etag = create('fault:on=GET,noetag=1');
fails('an entity without etag', '08P01', update("description => 'x'", $no_etag), 'GET');

# --- delete ---

sub delete_sql
{
	my ($id, $server) = @_;

	return "SELECT aep.delete_connection('$id', '" . ($server // 'aep') . "')";
}

sub exists_now
{
	my ($id, $server) = @_;

	$server //= 'aep';
	return run("SELECT (status = 200)::integer FROM aep.request('GET', '/flowservice/connections/$id', server => '$server')")->{out};
}
$result = run(delete_sql($id));
is($result->{err}, '', 'a delete');
is(kinds($result), 'DELETE', 'is one request');
is($result->{requests}[0]{path}, "/data/foundation/flowservice/connections/$id", 'without a slash at the end');
ok(!exists $result->{requests}[0]{headers}{'content-length'}, 'or a body');
is(exists_now($id), 0, 'it is gone');
fails('another delete', '42704', delete_sql($id), 'DELETE');
fails('no id', '22004', 'SELECT aep.delete_connection(NULL)', '');
is(value("SELECT pg_typeof(aep.delete_connection('" . create('x') . "'))"), 'void', 'nothing comes back');

# An answer that was lost, and a second try.  Alone on its connection, and on a kept one.
foreach my $kept (0, 1)
{
	my $what = $kept ? 'kept connection' : 'own connection';

	foreach my $fault ('close=before', 'reset=before', 'status=504,processed=1', 'status=503,processed=1')
	{
		my $of = create("fault:on=DELETE,$fault,times=1 $kept");

		reopen_session() if !$kept;
		my $result = run(delete_sql($of));
		is($result->{err}, '', "DELETE, $fault, $what: gone is gone");
		is(join(' ', map { $_->{status} } @{ $result->{requests} }) =~ s/^204/lost/r,
			($fault =~ /status=(\d+)/ ? $1 : 'lost') . ' 404', "DELETE, $fault, $what: two requests");
		is(exists_now($of), 0, "DELETE, $fault, $what: it is");
	}
}
foreach my $fault ('die_kept=1', 'status=503', 'status=429', 'reset=before,processed=0')
{
	my $of = create("fault:on=DELETE,$fault,times=1");
	my $result = run(delete_sql($of));

	is($result->{err}, '', "DELETE, $fault once: succeeds");
	is(kinds($result), 'DELETE DELETE', "DELETE, $fault once: two requests");
	is(exists_now($of), 0, "DELETE, $fault once: it is gone");
}
fails('no answer at all', '08007', delete_sql(create('fault:on=DELETE,stall=before_headers'), 'short'), 'DELETE');
fails('always 503', '58000', delete_sql(create('fault:on=DELETE,status=503'), 'twice'), 'DELETE DELETE');
fails("DELETE, $_", '08007', delete_sql(create("fault:on=DELETE,status=$_"), 'once'), 'DELETE') foreach (502, 504);
fails("DELETE, $_", '58000', delete_sql(create("fault:on=DELETE,status=$_"), 'once'), 'DELETE') foreach (500, 503);
fails("DELETE, $_, then 500", '08007', delete_sql(create("fault:on=DELETE,$_;on=DELETE,status=500")), 'DELETE DELETE')
  foreach ('reset=before,processed=0,times=1', 'status=504,times=1');
fails('403', '42501', delete_sql(create('fault:on=DELETE,status=403')), 'DELETE');
foreach my $status (200, 202, 204)
{
	is(run(delete_sql(create("fault:on=DELETE,status=$status")))->{err}, '', "DELETE answered with $status");
}

# Flows that still use it are named.
sub post
{
	my ($collection, $body) = @_;

	return value("SELECT body->>'id' FROM aep.request('POST', '/flowservice/$collection', body => "
		  . AepTest::literal(encode_json($body)) . ')');
}
my $used = create('used');
my $source = post('sourceConnections', { name => 's', baseConnectionId => $used, connectionSpec => { id => $postgresql, version => '1.0' } });
my $target = post('targetConnections', { name => 't', connectionSpec => { id => 'c604ff05-7f1a-43c0-8e18-33bf874cb11c' } });
my @flows = map {
	post('flows', { name => "Flow \"$_\"", sourceConnectionIds => [$source], targetConnectionIds => [$target] })
} 1 .. 2;
my $error = fails('still used', '2BP01', delete_sql($used), 'DELETE LIST');
like($error, qr/could not delete base connection on server "aep": flows still use it/, 'the message');
like($error, qr/^DETAIL:  .*FLOW-1418-400.*Used by the flows "Flow "1"" \($flows[0]\), "Flow "2"" \($flows[1]\)\.$/m, 'names the flows');
like($error, qr/^HINT:  Delete the flows that use it first\.$/m, 'and says what to do');
is(exists_now($used), 1, 'it is still there');
push @flows, map {
	post('flows', { name => "More $_", sourceConnectionIds => [$source], targetConnectionIds => [$target] })
} 1 .. 10;
$error = fails('used by many', '2BP01', delete_sql($used));
is(scalar(() = $error =~ /\([0-9a-f-]{36}\)/g), 10, 'names ten of them');
like($error, qr/, and more\.$/m, 'and says that there are more');
value("SELECT status FROM aep.request('DELETE', '/flowservice/flows/$_')") foreach (@flows);
value(delete_sql($used));
is(exists_now($used), 0, 'without flows it goes');
$error = fails('flows that cannot be seen', '2BP01', delete_sql(create('fault:on=DELETE,status=400,code=FLOW-1418')));
unlike($error, qr/Used by/, 'are not named');

# --- ensure ---

# The action of an ensure, and the requests it took.
sub ensure
{
	my ($arguments, $action, $kinds, @patch) = @_;
	my $result = run("SELECT * FROM aep.ensure_base_connection($arguments)");
	my ($patch) = grep { $_->{kind} eq 'PATCH' } @{ $result->{requests} };

	like($result->{out}, qr/^[0-9a-f-]{36}\|$etag\|$action$/, "$action: $arguments") or diag $result->{err};
	is(kinds($result), $kinds, "$kinds: $arguments");
	is_deeply($patch->{body}, \@patch, "the patch: $arguments") if @patch;
	($result->{id}, $result->{etag}) = split /\|/, $result->{out};
	return $result;
}
my $created = ensure("name => 'e'", 'created', 'LIST POST');
is($created->{out}, value("SELECT id, etag, 'created' FROM aep.connections(name => 'e')"), 'what came back is there');
ok($node->log_contains("LOG:  created base connection \"e\" with id $created->{id} on server \"aep\""), 'its id is logged');
my $query = $created->{requests}[0]{query};
is_deeply($query->{property}, [ 'name=="e"', qq{connectionSpec.id=="$postgresql"} ], 'looked for by name and source');
my $again = ensure("name => 'e'", 'unchanged', 'LIST');
is($again->{id}, $created->{id}, 'the same again');
is($again->{etag}, $created->{etag}, 'with its etag');

# Each difference is updated, alone.
my $change = ensure("name => 'e', description => 'd'", 'updated', 'LIST PATCH', operation('add', '/description', 'd'));
is($change->{requests}[1]{headers}{'if-match'}, $again->{etag}, 'the version that was compared');
is($change->{id}, $created->{id}, 'the id stays');
is($change->{etag}, stored($created->{id}, 'etag'), 'the etag is the new one');
ensure("name => 'e', description => 'd'", 'unchanged', 'LIST');
ensure("name => 'e'", 'unchanged', 'LIST');
ensure("name => 'e', description => ''", 'updated', 'LIST PATCH', operation('remove', '/description', ''));
ensure("name => 'e', description => ''", 'unchanged', 'LIST');
value("SELECT id FROM aep.update_connection('$created->{id}', state => 'disabled')");
ensure("name => 'e'", 'updated', 'LIST PATCH', operation('replace', '/state', 'enabled'));
value("SELECT status FROM aep.request('PATCH', '/flowservice/connections/$created->{id}', headers => '{\"If-Match\": \"*\"}',"
	  . q{ body => '[{"op": "replace", "path": "/state", "value": "initializing"}]')});
ensure("name => 'e'", 'unchanged', 'LIST');
ensure("name => 'e', password => 'sesame other'", 'unchanged', 'LIST');
ensure("name => 'e', password => 'sesame other', replace_credentials => true",
	'updated', 'LIST PATCH', params(password => 'sesame other'));
ensure('', 'created', 'LIST POST');
is(($fake->requests)[-1]{body}{name}, 'PostgreSQL utf8 at db1.example.com:5432', 'the default name');
ensure('', 'unchanged', 'LIST');
my $dev = ensure("name => 'e', server => 'dev'", 'created', 'LIST POST');
isnt($dev->{id}, $created->{id}, 'another sandbox has its own');
foreach my $name ('E', 'e ', 'say "hi"', '"', 'a, "b"', "it's 100%25", "gr\x{fc}n")
{
	my $literal = AepTest::literal($name);

	ensure("name => $literal", 'created', 'LIST POST');
	ensure("name => $literal", 'unchanged', 'LIST');
}
ensure("name => 'e', server => 'no_login'", 'unchanged', 'LIST');
fails('no password', '22004', "SELECT * FROM aep.ensure_base_connection(name => 'new', server => 'no_login')", 'LIST');
fails('a bad port', '22023', "SELECT * FROM aep.ensure_base_connection(name => 'e', port => 0)", '');
fails('a list that fails', '42501', "SELECT * FROM aep.ensure_base_connection(name => 'fault:on=LIST,status=403 e')", 'LIST');
fails('a create that fails', '22023', "SELECT * FROM aep.ensure_base_connection(name => 'fault:status=400 e')", 'LIST POST');
fails("a create answered with $_", '08007', "SELECT * FROM aep.ensure_base_connection(name => 'fault:status=$_ e')", 'LIST POST') foreach (502, 504);
fails("a create answered with $_", '58000', "SELECT * FROM aep.ensure_base_connection(name => 'fault:status=$_ e')", 'LIST POST') foreach (500, 503);
fails('a create with unknown outcome', '08007', "SELECT * FROM aep.ensure_base_connection(name => 'fault:close=before e')", 'LIST POST');
ensure("name => 'fault:close=before e'", 'unchanged', 'LIST');
ensure("name => 'fault:on=PATCH,status=503,times=1 e'", 'created', 'LIST POST');
ensure("name => 'fault:on=PATCH,status=503,times=1 e', description => 'd'", 'updated', 'LIST PATCH PATCH');

# Several of that name
my @several = map { create('several') } 1 .. 3;
$error = fails('several', '42710', "SELECT * FROM aep.ensure_base_connection(name => 'several')", 'LIST');
like($error, qr/$several[$_]/, "names number $_") foreach (0 .. 2);

# A rollback undoes nothing, and says so.
$result = run("BEGIN; SELECT action FROM aep.ensure_base_connection(name => 'rolled back'); ROLLBACK");
like($result->{err}, qr/WARNING:  .*1 object in Experience Platform is not undone by this rollback/, 'a rollback');

# What the service shows of secrets makes no difference.
my $many = 20_000;
foreach my $mode (qw(mask echo))
{
	my $other = AepTest::start_fake('--record-secrets', '--secrets-on-get', $mode, '--delete-status', 202,
		'--seed-connections', $mode eq 'mask' ? $many : 0);
	my $server = "shows_$mode";
	my $main = $fake;

	AepTest::create_server($node, $other, %login, server => $server);
	call_in($session, $fake = $other);
	foreach my $type (qw(basic connection_string))
	{
		my $with = "name => '$type', auth_type => '$type', ssl_mode => 'Prefer', adopt => true, server => '$server'";
		my $with_other = "$with, username => 'mapped', password => 'sesame other'";

		ensure($with, 'created', 'LIST POST');
		ensure($with, 'unchanged', 'LIST');
		ensure($with_other, 'unchanged', 'LIST');
		ensure("$with_other, replace_credentials => true", 'updated', 'LIST PATCH',
			$type eq 'basic' ? params(password => 'sesame other')
			: operation('replace', '/auth/params', { connectionString => 'Server=db1.example.com;Database=utf8;Port=5432;'
				  . 'UID=mapped;Password=sesame other;EncryptionMethod=6;ValidateServerCertificate=0' }));
	}
	my $id = ensure("name => 'gone', server => '$server'", 'created', 'LIST POST')->{id};
	$result = run(delete_sql($id, $server));
	is($result->{err} . $result->{requests}[0]{status}, '202', 'a delete that answers 202');
	is(exists_now($id, $server), 0, 'which is enough');
	reads_all($server) if $mode eq 'mask';
	call_in($session, $fake = $main);
}

# A name that the service cannot filter by: all are read, in little memory.
sub reads_all
{
	my ($server) = @_;

	AepTest::run_sql($session, "ALTER SERVER $server OPTIONS (SET base_url '" . $fake->url('http') . "')");
	reopen_session();
	my $pid = value('SELECT pg_backend_pid()');
	value("SELECT count(*) FROM aep.connections(max_rows => 200, server => '$server')");
	my $before = AepTest::kilobytes_of($pid, 'VmHWM');
	my $result = run("SELECT action FROM aep.ensure_base_connection(name => 'a \"quoted\" name', server => '$server')");
	is($result->{out}, 'created', 'looked for among many');
	cmp_ok(scalar(@{ $result->{requests} }), '>', $many / 100, 'page after page');
	my $grown = AepTest::kilobytes_of($pid, 'VmHWM') - $before;
	cmp_ok($grown, '<', 8 * 1024, "memory grew by $grown kB");
	return;
}

# A script that can be run again
my $script = PostgreSQL::Test::Utils::tempdir() . '/setup.sql';
append_to_file($script, <<'SQL');
BEGIN;
SELECT id, action FROM aep.ensure_base_connection(name => 'script 1', description => 'of a script');
SELECT id, action FROM aep.ensure_base_connection(name => 'script 2', auth_type => 'connection_string', adopt => true);
SELECT id, action FROM aep.ensure_base_connection(name => 'script 3', host => 'h', ssl_mode => 'verify-ca');
COMMIT;
SQL
my @ends;
my $requests;
foreach my $round (1, 2)
{
	$requests = $fake->requests;
	$node->command_ok([ 'psql', '-X', '-v', 'ON_ERROR_STOP=1', '-f', $script, $node->connstr($dbname) ], "run $round");
	push @ends, value("SELECT id, etag, entity FROM aep.connections() WHERE name LIKE 'script %'");
}
is($ends[0], $ends[1], 'the same end state');
is(scalar(() = $ends[0] =~ /\n/g), 2, 'of three connections');
is(join(' ', map { $_->{kind} } $fake->requests($requests)), 'LIST LIST LIST LIST', 'the second run only reads');

# Two sessions at once make one.
my @both = map { open_session() } 1 .. 2;
$requests = $fake->requests;
my $at_once = 'fault:on=LIST,delay=0.7 at once';
foreach my $i (0, 1)
{
	AepTest::begin_sql($both[$i], "SELECT id, action FROM aep.ensure_base_connection(name => '$at_once')");
	ok(AepTest::wait_until(sub { $fake->requests > $requests }), 'it looks');
}
my @outcomes = map { [ split /\|/, AepTest::end_sql($_) ] } @both;
is(join(' ', sort map { $_->[1] } @outcomes), 'created unchanged', 'two sessions at once: one creates it');
is($outcomes[0][0], $outcomes[1][0], 'both have it');
is(join(' ', map { $_->{kind} } $fake->requests_named($at_once)), 'LIST POST LIST', 'it is made once');

# The second waits for the end of the first one's transaction, cancellably; only for the same name.
AepTest::run_sql($both[0], "BEGIN; SELECT id FROM aep.ensure_base_connection(name => 'in a transaction')");
AepTest::run_sql($both[1], "SET lock_timeout = '300ms'; SELECT id FROM aep.ensure_base_connection(name => 'in a transaction')");
like($both[1]{err}, qr/^ERROR:  55P03:/m, 'it waits like for any lock');
like(AepTest::run_sql($both[1], "SELECT action FROM aep.ensure_base_connection(name => 'another')"), qr/^created$/, 'not for another name');
like(AepTest::run_sql($both[1], "SELECT action FROM aep.ensure_base_connection(name => 'in a transaction', server => 'dev')"),
	qr/^created$/, 'nor for another server');
AepTest::begin_sql($both[1], "RESET lock_timeout; SELECT action FROM aep.ensure_base_connection(name => 'in a transaction')");
my $waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Extension' AND query ~ 'in a transaction'";
ok(AepTest::wait_until(sub { $node->safe_psql('postgres', $waiting) == 1 }, 10), 'it waits');
AepTest::run_sql($both[0], 'COMMIT');
is(AepTest::end_sql($both[1]), 'unchanged', 'and then finds it');
AepTest::close_session($_) foreach (@both);

# No secret of a statement gets into the log, nor does one that the service repeats.
my $echoed = create('fault:on=PATCH,status=400,echo=1');
my %secret_calls = (
	update => [ '22023', update("password => 'sesame open'", $echoed) ],
	'update of nothing' => [ '42704', update("password => 'sesame open'", $nowhere) ],
	'update with a bad argument' => [ '22023', update("password => 'sesame open', port => 0", $echoed) ],
	ensure => [ '22023', "SELECT * FROM aep.ensure_base_connection(password => 'sesame open', name => 'fault:status=400,echo=1')" ],
	'ensure with a bad argument' => [ '22023', "SELECT * FROM aep.ensure_base_connection(password => 'sesame open', port => 0)" ],
	'ensure without a server' => [ '42704', "SELECT * FROM aep.ensure_base_connection(password => 'sesame open', server => 'none')" ]);
keeps_secret($node, 'sesame', %secret_calls);

# A list whose entities have no usable id
create("fault:on=LIST,$_=1 e") foreach (qw(noid badid));
fails("a connection with $_", '08P01', "SELECT * FROM aep.ensure_base_connection(name => 'fault:on=LIST,$_=1 e')", 'LIST')
  foreach (qw(badid noid));
AepTest::close_session($session);

done_testing();
