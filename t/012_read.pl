# Base connections are read: filters, pages, columns, counts; memory and encodings.
use strict;
use warnings;

use AepTest;
use Calls qw(call_in run value json fails create);
use Encode qw(encode);
use JSON::PP;
use List::Util qw(max uniq);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $postgresql = '74a1c565-4e59-48d7-9d67-7c03b8a13137';
my $nowhere = '00000000-0000-4000-8000-000000000000';
my $SEEDS = 230;

my $fake = AepTest::start_fake('--seed-connections', $SEEDS);
my $node = AepTest::start_node('main');
my $dbname = AepTest::create_database($node, 'UTF8');
my %login = (dbname => $dbname, username => 'acme', password => 'xxxx');

AepTest::create_server($node, $fake, %login);
AepTest::create_server($node, $fake, %login, server => 'dev', sandbox => 'dev');
AepTest::create_server($node, $fake, %login, server => 'once', max_attempts => 1);
AepTest::create_server($node, $fake, %login, server => 'small', max_response_size => '64kB');

my $session = AepTest::open_session($node, $dbname);
AepTest::run_sql($session, "SET client_encoding = 'UTF8'; SET timezone = 'UTC'");

call_in($session, $fake);

sub list
{
	my ($name, $more) = @_;

	$more //= '';
	return 'aep.connections(name => ' . AepTest::literal($name) . "$more)";
}

# The columns.
my $begin = int(time * 1000);
my $id = create('typed', ", description => 'a connection', ssl_mode => 'Require'");
is( value('SELECT pg_typeof(id), pg_typeof(name), pg_typeof(description), pg_typeof(state), '
		  . 'pg_typeof(auth_spec), pg_typeof(connection_spec_id), pg_typeof(created_at), '
		  . 'pg_typeof(updated_at), pg_typeof(created_by), pg_typeof(etag), pg_typeof(entity) '
		  . "FROM aep.connection('$id')"),
	'uuid|text|text|text|text|uuid|timestamp with time zone|timestamp with time zone|text|text|jsonb',
	'the types of the columns');

sub milliseconds
{
	my ($column) = @_;

	return "round(extract(epoch from $column) * 1000)";
}
my $row = json('SELECT to_jsonb(c) || jsonb_build_object('
	  . "'created_ms', " . milliseconds('created_at') . ", 'updated_ms', " . milliseconds('updated_at')
	  . ") FROM aep.connection('$id') AS c");
my $entity = $row->{entity};
is_deeply(
	[ @{$row}{qw(id name description state auth_spec connection_spec_id created_by)} ],
	[   $id, 'typed', 'a connection', 'enabled', 'Basic Authentication', $postgresql,
		'28AF22BA5DE6B0B40A494036@techacct.adobe.com' ],
	'the values of the columns');
like($row->{etag}, qr/^"[0-9a-f-]+"$/, 'the etag has its quotes');
is($row->{etag}, $entity->{etag}, 'and is the one of the entity');
is($row->{created_ms}, $entity->{createdAt}, 'created_at, to the millisecond');
is($row->{updated_ms}, $entity->{updatedAt}, 'updated_at too');
cmp_ok(abs($row->{created_ms} - $begin), '<', 60_000, 'which is about now');
is($entity->{auth}{params}{sslMode}, 'Require', 'the entity has all that the service shows');
is($entity->{imsOrgId}, $AepTest::ORG, 'not only what has a column');
ok(!exists $entity->{auth}{params}{password}, 'the service hides the password');

value("SELECT id FROM aep.update_connection('$id', state => 'disabled')");
$row = json("SELECT to_jsonb(c) || jsonb_build_object('later', updated_at > created_at) FROM aep.connection('$id') AS c");
is($row->{state}, 'disabled', 'a state that changed');
ok($row->{later}, 'updated_at is not created_at');
isnt($row->{etag}, $entity->{etag}, 'nor is the etag the old one');
is(value('SELECT count(*) FROM ' . list('typed') . " AS l, aep.connection(l.id) AS c WHERE l = c"),
	1, 'a list has the same row');
my $string = create('a string', ", auth_type => 'connection_string'");
is(value("SELECT auth_spec, description IS NULL FROM aep.connection('$string')"),
	'Connection String Based Authentication|t', 'what the service does not show is NULL');

# 64-bit numbers that no double holds
value("SELECT status FROM aep.request('PATCH', '/flowservice/connections/$id', "
	  . "body => '[{\"op\": \"add\", \"path\": \"/labels\", \"value\": [9223372036854775807, 1e-7]}]', "
	  . "headers => (SELECT jsonb_build_object('If-Match', etag) FROM aep.connection('$id')))");
is(value("SELECT entity->'labels' FROM aep.connection('$id')"),
	'[9223372036854775807, 0.0000001]', 'numbers in the entity keep every digit');
is(value('SELECT entity->\'labels\' FROM ' . list('typed')),
	'[9223372036854775807, 0.0000001]', 'in a list too');

# Filters are the service's work.
sub filters
{
	my ($arguments, @properties) = @_;
	my $result = run("SELECT id FROM aep.connections($arguments)");
	my ($request) = @{ $result->{requests} };

	is_deeply($request->{query}{property} // [], \@properties, "filters: $arguments");
	is_deeply($request->{query}{orderby}, ['name'], 'the order is asked for');
	return split /\n/, $result->{out};
}
my $is_postgresql = qq{connectionSpec.id=="$postgresql"};
is(scalar(filters('', $is_postgresql)), $SEEDS + 2, 'PostgreSQL connections by default');
is(scalar(filters('connection_spec_id => NULL')), $SEEDS + 2, 'every source');
is(scalar(filters("connection_spec_id => '$nowhere'", qq{connectionSpec.id=="$nowhere"})), 0, 'another source');
is_deeply([ filters("state => 'disabled'", 'state=="disabled"', $is_postgresql) ], [$id], 'a state');
is_deeply([ filters("name => 'typed'", 'name=="typed"', $is_postgresql) ], [$id], 'a name');
is_deeply([ filters("'typed', 'enabled', NULL", 'name=="typed"', 'state=="enabled"') ], [], 'both');
is(value("SELECT count(*) FROM aep.connections(server => 'dev')"), 0, 'the sandbox of another server');

# Names, which are exact whatever they hold.
my @names = (
	q{it's}, 'comma, "quoted", name', 'one, two', '100%41 sure', 'say "hi"', '"', 'back\\slash', 'x==y',
	'a=b&c+d;e#f?/', ' blanks ', "line\nbreak", "gr\x{fc}\x{df}e", "\x{1f418} \x{4f60}", '*', 'typed ', 'TYPED');
run('SET client_min_messages = error'); # some of them look as if pasted
my %created = map { $_ => create($_) } @names;
run('RESET client_min_messages');
foreach my $name (@names)
{
	is_deeply(
		json('SELECT jsonb_agg(jsonb_build_array(id, name)) FROM ' . list($name)),
		[ [ $created{$name}, $name ] ],
		'found by name: ' . encode('UTF-8', $name));
}
my $result = run('SELECT id FROM ' . list('say "hi"', ', max_rows => 1'));
is($result->{out}, $created{'say "hi"'}, 'a name with quotes, max_rows 1');
is($result->{requests}[0]{query}{limit}[0], 100, 'which are looked for in pages of 100');

# All pages, in the order of the service.  From 16 on, count(DISTINCT id) would
# sort the rows for all aggregates beside it.
my $total = $SEEDS + 2 + @names;
$result = run(<<'SQL');
SELECT count(*), (SELECT count(DISTINCT id) FROM unnest(array_agg(c.id)) AS id), jsonb_agg(name)
FROM aep.connections() AS c
SQL
my ($rows, $ids, $listed) = split /\|/, $result->{out}, 3;
my @pages = @{ $result->{requests} };
is($rows, $total, 'all pages');
is($ids, $total, 'and nothing twice');
is(scalar(@pages), 3, 'in pages of 100');
is_deeply([ map { $_->{query}{limit}[0] } @pages ], [ 100, 100, 100 ], 'asked for as such');
my @tokens = map { $_->{query}{continuationToken}[0] // 'none' } @pages;
is($tokens[0], 'none', 'the first without a token');
like($tokens[$_], qr/=%41$/, "a token with = and % arrives as it came: page " . ($_ + 1)) foreach (1, 2);
$listed = decode_json(encode('UTF-8', $listed));
is_deeply($listed, [ sort @$listed ], 'ordered by name');
is(value('SELECT jsonb_agg(id) = (SELECT jsonb_agg(id) FROM aep.connections()) FROM aep.connections()'),
	't', 'each time the same');
is(value("SELECT name FROM aep.connections() WITH ORDINALITY WHERE ordinality = 3"), $listed->[2],
	'an ordinality');

# max_rows ends it early.
foreach my $case ([ 0, 0 ], [ 1, 1, 1 ], [ 99, 1, 99 ], [ 100, 1, 100 ], [ 101, 2, 100 ], [ $total, 3, 100 ], [ 'NULL', 3, 100 ])
{
	my ($max_rows, $requests, $limit) = @$case;

	$result = run("SELECT count(*) FROM aep.connections(max_rows => $max_rows)");
	is($result->{out}, $max_rows eq 'NULL' ? $total : $max_rows, "max_rows $max_rows");
	is(scalar(@{ $result->{requests} }), $requests, "max_rows $max_rows: $requests requests");
	is($result->{requests}[0]{query}{limit}[0], $limit, "max_rows $max_rows: pages of $limit") if $requests;
}
fails('max_rows -1', '22023', 'SELECT * FROM aep.connections(max_rows => -1)', 0);

# The service counts.
$result = run('SELECT aep.connection_count()');
is($result->{out}, $total, 'a count');
is_deeply($result->{requests}[0]{query}, { property => [$is_postgresql], count => ['true'] }, 'by the service');
is(value('SELECT aep.connection_count(' . AepTest::literal($_) . ')'), 1,
	'counted by name: ' . encode('UTF-8', $_))
  foreach (grep { !/"/ } @names);
is(value("SELECT aep.connection_count(state => 'disabled', connection_spec_id => NULL)"), 1, 'a count by state');
is_deeply(($fake->requests)[-1]{query}{property}, ['state=="disabled"'], 'of every source');
is(value("SELECT aep.connection_count(server => 'dev')"), 0, 'of another server');
fails('a count by a name with quotes', '22023', q{SELECT aep.connection_count('say "hi"')}, 0);

# One connection
fails('an unknown id', '42704', "SELECT * FROM aep.connection('$nowhere')", 1);
fails('no id', '22004', 'SELECT * FROM aep.connection(NULL)', 0);
fails('a connection of another sandbox', '42704', "SELECT * FROM aep.connection('$id', 'dev')", 1);
fails('no such server', '42704', "SELECT * FROM $_", 0)
  foreach ("aep.connection('$id', 'none')", "aep.connections(server => 'none')", "aep.connection_count(server => 'none')");

# The next page that is none: an error, and no request without end.
foreach my $paging (qw(repeat loop empty))
{
	my $name = "fault:on=LIST,paging=$paging x";

	create($name);
	my $before = $fake->requests;
	fails("paging=$paging", '08P01', "SET statement_timeout = '15s'; SELECT * FROM " . list($name) . '; RESET statement_timeout');
	cmp_ok(scalar($fake->requests) - $before, '<=', 3, "paging=$paging: a few requests");
}

# A GET is repeated.
my %kinds = (
	LIST => sub { 'SELECT name FROM ' . list($_[0]) },
	COUNT => sub { 'SELECT ' . AepTest::literal($_[0]) . ' FROM aep.connection_count('
		  . AepTest::literal($_[0]) . ') AS c WHERE c = 1' },
	GET => sub { "SELECT name FROM aep.connection('$_[1]')" });
foreach my $kind (sort keys %kinds)
{
	foreach my $fault (qw(status=503 reset=before close=mid_body))
	{
		my $name = "fault:on=$kind,$fault,times=1 again";
		my $result = run($kinds{$kind}->($name, create($name)));

		is($result->{out}, $name, "$kind, $fault once: succeeds");
		is(scalar(@{ $result->{requests} }), 2, "$kind, $fault once: two requests");
	}

	my %errors = (
		'status=503' => '58000', 'reset=before' => '08006', 'status=403' => '42501', 'status=400' => '22023',
		'notjson=1' => '08P01', 'empty=1' => '08P01', 'badutf8=1' => '08P01');
	foreach my $fault (sort keys %errors)
	{
		# a count has no entity that could hold such bytes
		next if $kind eq 'COUNT' && $fault eq 'badutf8=1';
		my $name = "fault:on=$kind,$fault fails";
		my $sql = $kinds{$kind}->($name, create($name));

		$sql =~ s/\)(?= AS c|$)/, server => 'once')/;
		# libcurl repeats a GET by itself when a kept connection dies: that does no harm
		fails("$kind, $fault", $errors{$fault}, $sql, $fault =~ /reset/ ? undef : 1);
	}
	my $name = "fault:on=$kind,huge=100000 large";
	my $sql = $kinds{$kind}->($name, create($name));
	$sql =~ s/\)(?= AS c|$)/, server => 'small')/;
	fails("$kind, too large", '54000', $sql);
}
foreach my $kind (qw(LIST GET))
{
	foreach my $fault (qw(badid nulid surrogate))
	{
		my $name = "fault:on=$kind,$fault=1 wrong";

		fails("$kind, $fault", '08P01', $kinds{$kind}->($name, create($name)), 1);
	}
}

# A second page that fails is asked for again; one that hangs can be cancelled.
sub create_101
{
	my ($name) = @_;

	is(value('SELECT count(id) FROM aep.create_base_connections((SELECT array_agg(aep.base_connection_spec(name => '
				. AepTest::literal($name) . ')) FROM generate_series(1, 101)))'), 101, "101 times $name");
	return;
}
my $name = 'fault:on=LIST,after=1,times=1,reset=before pages';
create_101($name);
$result = run('SELECT count(*), count(DISTINCT id) FROM ' . list($name));
is($result->{out}, '101|101', 'a second page that fails once');
@tokens = map { $_->{query}{continuationToken}[0] // '' } @{ $result->{requests} };
is(scalar(@tokens), 3, 'is asked for twice');
is($tokens[1], $tokens[2], 'and not a page after it');

$name = 'fault:on=LIST,after=1,stall=before_headers pages';
create_101($name);
my $pid = value('SELECT pg_backend_pid()');
my $before = $fake->requests;
AepTest::begin_sql($session, 'SELECT count(*) FROM ' . list($name));
ok(AepTest::wait_until(sub { $fake->requests == $before + 2 }), 'a second page that hangs');
my $start = time;
$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
AepTest::end_sql($session);
like($session->{err}, qr/^ERROR:  57014:/m, 'is cancelled');
cmp_ok(time - $start, '<', 20, 'at once');
is(value("SELECT name FROM aep.connection('$id')"), 'typed', 'the session works on');

# Another encoding: text is sent as UTF-8; what has no place in it is not an error.
my $latin1 = AepTest::create_database($node, 'LATIN1');
AepTest::create_server($node, $fake, %login, dbname => $latin1);
my $euro = create("\x{20ac} and \x{e9}");
# an answer that this fault touches has its characters as \u escapes
my $escaped = create("fault:on=GET,noetag=1 \x{20ac} and \x{e9}");
AepTest::close_session($session);
$session = AepTest::open_session($node, $latin1);
AepTest::run_sql($session, "SET client_encoding = 'UTF8'");
call_in($session);
$result = run('SELECT name, octet_length(name) FROM ' . list("gr\x{fc}\x{df}e"));
is($result->{out}, "gr\x{fc}\x{df}e|5", 'LATIN1: a name that it holds');
is($result->{requests}[0]{query}{property}[0], qq{name=="gr\x{fc}\x{df}e"}, 'was sent as UTF-8');
is(value("SELECT name, entity->>'name' FROM aep.connection('$euro')"), "? and \x{e9}|? and \x{e9}",
	'LATIN1: a character that it has not');
is(value("SELECT name FROM aep.connection('$escaped')"), "fault:on=GET,noetag=1 ? and \x{e9}",
	'the same as an escape');
cmp_ok(value('SELECT count(*) FROM aep.connections()'), '>', $total, 'LATIN1: nor does it spoil a list');
AepTest::close_session($session);
my $sql_ascii = AepTest::create_database($node, 'SQL_ASCII');
AepTest::create_server($node, $fake, %login, dbname => $sql_ascii);
$session = AepTest::open_session($node, $sql_ascii);
call_in($session);
is(value("SELECT name FROM aep.connection('$_')"), $_ eq $euro ? "\x{20ac} and \x{e9}" : "fault:on=GET,noetag=1 \x{20ac} and \x{e9}",
	'SQL_ASCII: UTF-8 as it is') foreach ($euro, $escaped);
AepTest::close_session($session);
$fake->stop;

# 100,000 of them, in 1,000 pages, take no more memory than a few.
$SEEDS = 100_000;
my $work_mem = 1024;
$fake = AepTest::start_fake('--seed-connections', $SEEDS);
$node->safe_psql($dbname, "ALTER SERVER aep OPTIONS (SET base_url '" . $fake->url('http') . "')");
$session = AepTest::open_session($node, $dbname);
call_in($session, $fake);
$pid = value("SET work_mem = '${work_mem}kB'; SELECT pg_backend_pid()");
value('SELECT count(*) FROM aep.connections(max_rows => 300)');
$before = AepTest::kilobytes_of($pid, 'VmHWM');
$start = time;
is(value('SELECT count(*), count(DISTINCT id), min(name), max(name) FROM aep.connections()'),
	"$SEEDS|$SEEDS|Seed 000001|Seed $SEEDS", '100,000 connections');
note sprintf('100,000 connections in %.1f s', time - $start);
is(scalar($fake->requests_of_kind('LIST')), $SEEDS / 100 + 3, 'in pages of 100');
my $grown = AepTest::kilobytes_of($pid, 'VmHWM') - $before;
cmp_ok($grown, '<', 10 * 1024 + $work_mem, "memory grew by $grown kB");

# A list can be cancelled at any page.
$before = $fake->requests;
AepTest::begin_sql($session, 'SELECT count(*) FROM aep.connections()');
ok(AepTest::wait_until(sub { $fake->requests > $before + 50 }), 'a long list');
$start = time;
$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
AepTest::end_sql($session);
like($session->{err}, qr/^ERROR:  57014:/m, 'is cancelled');
cmp_ok(time - $start, '<', 20, 'at once');
cmp_ok(scalar($fake->requests) - $before, '<', 900, 'long before its end');
is(value('SELECT count(*) FROM aep.connections(max_rows => 101)'), 101, 'the session works on');
AepTest::close_session($session);

done_testing();
