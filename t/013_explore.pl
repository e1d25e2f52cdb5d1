# What Experience Platform sees through a base connection.
use strict;
use warnings;

use AepTest;
use Calls qw(call_in run value json fails create);
use Encode qw(encode);
use IO::Socket::INET;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $nowhere = '00000000-0000-4000-8000-000000000000';
my $true = JSON::PP::true;
my $false = JSON::PP::false;

# The columns that the fake shows: name => what it says of the type.  Newer
# answers have "xdm", older ones "meta".
sub columns
{
	my (@columns) = @_;
	my @result;

	while (my ($name, $says) = splice @columns, 0, 2)
	{
		push @result, { name => $name, %$says };
	}
	return { format => 'flat', schema => { columns => \@result } };
}

sub xdm
{
	my ($type, $xdm_type, $format) = @_;

	return {
		type => $type,
		xdm => { type => $xdm_type, $format ? (format => $format) : () },
		$format ? ('meta:xdmType' => $format) : () };
}

sub older
{
	my ($type, $original) = @_;

	return { type => $type, meta => { originalType => $original } };
}

my $odd = "sales.Odd \"name\" & more=50%+2.2024 gr\x{fc}n";
my $right = columns(
	a_bool => xdm('boolean', 'boolean'),
	an_int2 => xdm('integer', 'integer'),
	an_int4 => xdm('integer', 'integer'),
	an_int8 => xdm('integer', 'integer'),
	an_oid => older('Integer', 'Int32'),
	a_real => xdm('double', 'number'),
	a_double => older('double', 'Double'),
	a_numeric => xdm('double', 'number'),
	a_domain => xdm('integer', 'integer'),
	a_time_domain => xdm('string', 'string', 'date-time'),
	dropped => xdm('integer', 'integer'),
	a_date => xdm('string', 'string', 'date'),
	a_wide_date => xdm('string', 'string', 'date-time'),
	a_plain_date => { type => 'date' },
	a_timestamp => xdm('string', 'string', 'date-time'),
	a_timestamptz => { type => 'string', 'meta:xdmType' => 'date-time' },
	a_text => xdm('string', 'string'),
	a_varchar => older('String', 'String'),
	a_uuid => xdm('string', 'string'),
	a_jsonb => xdm('string', 'string'),
	an_array => xdm('string', 'string'),
	an_enum => xdm('string', 'string'),
	only_there => xdm('string', 'string', 'date-time'),
	differs => xdm('string', 'string'),
	untold => {},
	CASE_MATTERS => xdm('integer', 'integer'),
	'Mixed "Case"' => xdm('string', 'string'),
	"gr\x{fc}n" => xdm('string', 'string'));
my $wrong = columns(
	a_bool => xdm('string', 'string'),
	an_int2 => xdm('double', 'number'),
	an_int4 => xdm('string', 'string'),
	an_int8 => xdm('string', 'string', 'date-time'),
	an_oid => older('Double', 'Double'),
	a_real => xdm('integer', 'integer'),
	a_double => older('Integer', 'Int32'),
	a_numeric => xdm('boolean', 'boolean'),
	a_domain => xdm('string', 'string'),
	a_time_domain => xdm('string', 'string'),
	a_date => xdm('string', 'string'),
	a_timestamp => older('String', 'String'),
	a_timestamptz => xdm('integer', 'integer'),
	a_text => xdm('string', 'string', 'date-time'),
	a_varchar => xdm('integer', 'integer'),
	a_uuid => { type => 'date' },
	# what XDM says counts
	a_jsonb => { type => 'string', xdm => { type => 'object' } });
my $orders = columns(
	id => { %{ xdm('integer', 'integer') }, xdm => { type => 'integer', maximum => 9223372036854775807 } },
	customer => older('String', 'NVARCHAR'),
	placed_at => xdm('string', 'string', 'date-time'),
	later => { type => 'string', 'meta:xdmType' => 'date' },
	bare => { meta => { originalType => 'Guid' } });
$orders->{data} = [
	{ id => 9223372036854775807, customer => "\x{c6}r\x{f8} & S\x{f6}hne" },
	{ id => 2, customer => undef },
	{ id => 1, customer => '' } ];

my $file = PostgreSQL::Test::Utils::tempdir() . '/explore.json';
append_to_file(
	$file,
	encode_json(
		{   tables => [
				{ type => 'table', name => 'public.orders', path => 'public.orders', canPreview => $true, canFetchSchema => $true },
				{ type => 'view', name => $odd, path => $odd, canPreview => $false, canFetchSchema => $false },
				{ type => 'table', name => 'Account', path => 'acc.1' },
				{ type => 'table', name => '.b', path => '.b' },
				{ path => 'nameless' } ],
			columns => {
				'public.orders' => $orders,
				$odd => columns(Id => older('string', 'String')),
				'public.everything' => $right,
				wrong => $wrong,
				'public.nothing' => columns(),
				'Odd.Schema.Tab "le' => columns(a => xdm('integer', 'integer')),
				'none.here' => { format => 'flat' } } }));

my $fake = AepTest::start_fake('--explore', $file);
my $node = AepTest::start_node('main');
my $dbname = AepTest::create_database($node, 'UTF8');
my %login = (dbname => $dbname, username => 'acme', password => 'xxxx');
AepTest::create_server($node, $fake, %login);
AepTest::create_server($node, $fake, %login, server => 'once', max_attempts => 1);
AepTest::create_server($node, $fake, %login, server => 'refused', max_attempts => 1, base_url => $fake->url('refused'));
AepTest::create_server($node, $fake, %login, server => 'ims', access_token => undef, token_url => $fake->url('ims'), client_secret => 'demo-client-secret');
my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0, Listen => 5, Timeout => 60) or die "socket: $!";
AepTest::create_server($node, $fake, %login, server => 'raw', max_attempts => 1, base_url => 'http://127.0.0.1:' . $listener->sockport);

my $session = AepTest::open_session($node, $dbname);
AepTest::run_sql($session, "SET client_encoding = 'UTF8'");

call_in($session, $fake);

# The rows of a function, each an array of its columns.
sub rows
{
	my ($columns, $from) = @_;

	return json("SELECT coalesce(jsonb_agg(jsonb_build_array($columns)), '[]') FROM $from");
}

sub last_query
{
	return ($fake->requests)[-1]{query};
}
my $id = create('plain');

# Is it alive?  What the platform says is a row ...
sub test_sql
{
	my ($fault, $server) = @_;

	return 'SELECT * FROM aep.test_connection(\'' . create("fault:on=TEST,$fault") . "', '" . ($server // 'once') . "')";
}
is(value("SELECT * FROM aep.test_connection('$id')"), 't|', 'it is alive');
is(($fake->requests)[-1]{kind}, 'TEST', 'so says the platform');
is(value(test_sql('result=false')), 'f|', 'it is not');
is(value(test_sql('status=400,code=CONNECTOR-1308,message=no%20route%20to%20%22db1%22')),
	'f|CONNECTOR-1308-400: no route to "db1"', 'it is not, and the connector says why');
is(value(test_sql("status=$_,code=CONNECTOR-1001,message=wrong%20password")),
	"f|CONNECTOR-1001-$_: wrong password", "the same with HTTP status $_")
  foreach (401, 403, 404, 408, 412);
is(value("SELECT * FROM aep.test_connection('$id', 'ims')"), 't|', 'with a token of IMS');
my $rejected = run(test_sql('status=401,code=CONNECTOR-1001,message=wrong%20password', 'ims'));
is($rejected->{out}, 'f|CONNECTOR-1001-401: wrong password', 'the login of the connection is wrong');
is(join(' ', map { $_->{kind} } @{ $rejected->{requests} }), 'TEST', 'not the token, which is kept');
my $said = value(test_sql('status=400,code=CONNECTOR-1308,echo=1'));
like($said, qr/^f\|CONNECTOR-1308-400: .*\*{8}/, 'what it says is shown');
unlike($said, qr/demo-access-token|demo-api-key/, 'without secrets');

# ... and that it said nothing is an error.
fails('an unknown connection', '42704', "SELECT * FROM aep.test_connection('$nowhere')", 1);
fails('no id', '22004', 'SELECT * FROM aep.test_connection(NULL)', 0);
fails('a probe that takes too long', '58000', test_sql('result=error'));
my %errors = (
	'status=404' => '42704', 'status=400' => '22023', 'status=403' => '42501', 'status=401' => '28000',
	'status=404,shape=html' => '42704', 'status=400,message=CONNECTOR-1308' => '22023',
	'status=503' => '58000', 'status=504,code=CONNECTOR-1012' => '58000', 'status=500,code=CONNECTOR-1005' => '58000',
	'reset=before' => '08006', 'notjson=1' => '08P01', 'empty=1' => '08P01', 'status=204' => '08P01');
fails("test, $_", $errors{$_}, test_sql($_)) foreach (sort keys %errors);
fails('no connection', '08001', "SELECT * FROM aep.test_connection('$id', 'refused')", 0);
foreach my $fault (qw(status=503 status=504 reset=before))
{
	my $sql = test_sql("$fault,times=1", 'aep');
	my $result = run($sql);

	is($result->{out}, 't|', "test, $fault once: asked again");
	is(scalar(@{ $result->{requests} }), 2, "test, $fault once: two requests");
}

# Tables
is_deeply(
	rows('path, schema_name, table_name, type, can_preview, can_fetch_schema', "aep.explore('$id')"),
	[   [ 'public.orders', 'public', 'orders', 'table', $true, $true ],
		[ $odd, 'sales', $odd =~ s/^sales\.//r, 'view', $false, $false ],
		[ 'acc.1', undef, 'Account', 'table', undef, undef ],
		[ '.b', '', 'b', 'table', undef, undef ],
		[ 'nameless', undef, undef, undef, undef, undef ] ],
	'the tables');
is_deeply(last_query(), { objectType => ['root'] }, 'are asked for');
is(value("SELECT pg_typeof(path), pg_typeof(can_preview) FROM aep.explore('$id') LIMIT 1"), 'text|boolean', 'typed');
is(value("SELECT (aep.explore('$id')).table_name LIMIT 1"), 'orders', 'in a select list');

# Columns, in both spellings
is_deeply(
	rows('column_name, type, original_type, xdm_type, xdm_format', "aep.explore_table('$id', 'public.orders')"),
	[   [ 'id', 'integer', undef, 'integer', undef ],
		[ 'customer', 'String', 'NVARCHAR', undef, undef ],
		[ 'placed_at', 'string', undef, 'string', 'date-time' ],
		[ 'later', 'string', undef, undef, 'date' ],
		[ 'bare', 'Guid', 'Guid', undef, undef ] ],
	'the columns');
is_deeply(last_query(), { objectType => ['table'], object => ['public.orders'] }, 'are asked for');
is( value("SELECT entity->'xdm'->'maximum' FROM aep.explore_table('$id', 'public.orders') WHERE column_name = 'id'"),
	'9223372036854775807', 'with all that is said of them');
is_deeply(
	rows('column_name, type, original_type',
		'aep.explore_table(\'' . $id . '\', ' . AepTest::literal($odd) . ')'),
	[ [ 'Id', 'string', 'String' ] ],
	'a path as explore gave it');
is(last_query()->{object}[0], $odd, 'was sent as it is');
is(value("SELECT count(*) FROM aep.explore('$id') AS t, aep.explore_table('$id', t.path) WHERE t.can_preview"), 5,
	'one from the other');
is_deeply(rows('column_name', "aep.explore_table('$id', 'public.nothing')"), [], 'no columns');
like(fails('an unknown table', '22023', "SELECT * FROM aep.explore_table('$id', 'public.none')", 2),
	qr/CONNECTOR-1330-400.*public\.none/, 'which it names, and the list does not have either');
fails('an empty path', '22023', "SELECT * FROM aep.explore_table('$id', '')");
fails('a different case', '22023', "SELECT * FROM aep.explore_table('$id', 'Public.orders')", 2);

# Rows
is_deeply(
	rows('p', "aep.preview_table('$id', 'public.orders') AS p"),
	[ map { [$_] } @{ $orders->{data} } ],
	'the rows, in their order');
is_deeply(last_query(), { objectType => ['table'], object => ['public.orders'], preview => ['true'] }, 'are asked for');
is(value("SELECT p->'id' FROM aep.preview_table('$id', 'public.orders') AS p LIMIT 1"), '9223372036854775807',
	'numbers keep every digit');
is(value("SELECT pg_typeof(aep.preview_table('$id', 'public.orders')) LIMIT 1"), 'jsonb', 'in a select list');
is_deeply(rows('p', "aep.preview_table('$id', 'public.nothing') AS p"), [], 'no rows');

# All of them say what is missing, or wrong.
my %calls = (
	explore => "SELECT * FROM aep.explore(%s)",
	explore_table => "SELECT * FROM aep.explore_table(%s, 'public.orders')",
	preview_table => "SELECT * FROM aep.preview_table(%s, 'public.orders')",
	compare_table => "SELECT * FROM aep.compare_table(%s, 'pg_class', 'public.orders')");
foreach my $call (sort keys %calls)
{
	my $with = sub { return sprintf $calls{$call}, $_[0] };

	fails("$call: no id", '22004', $with->('NULL'), 0);
	fails("$call: unknown id", '42704', $with->("'$nowhere'"), 1);
	my %faults = (
		'status=403' => '42501', 'notjson=1' => '08P01', 'empty=1' => '08P01', 'status=504,times=4' => '58000',
		'status=400,code=CONNECTOR-1308,message=no%20route' => '22023',
		map { ("status=$_,code=CONNECTOR-1001,message=no%20route" => '08000') } (401, 403, 412));
	foreach my $fault (sort keys %faults)
	{
		my $faulty = create("fault:on=EXPLORE|PREVIEW,$fault $call");

		like(fails("$call: $fault", $faults{$fault}, $with->("'$faulty'") =~ s/\)$/, server => 'once')/r),
			qr/$fault|08P01|HTTP status (?:403|504|4\d\d, code CONNECTOR-\d+-4\d\d.*"no route")/, 'and says why');
	}
	my $result = run($with->("'" . create("fault:on=EXPLORE|PREVIEW,status=503,times=1 $call") . "'"));
	is($result->{err}, '', "$call: asked again after 503");
	is(scalar(@{ $result->{requests} }), 2, "$call: two requests");
}
fails('no path', '22004', "SELECT * FROM aep.explore_table('$id', NULL)", 0);
fails('no path', '22004', "SELECT * FROM aep.preview_table('$id', NULL)", 0);
fails('no relation', '22004', "SELECT * FROM aep.compare_table('$id', NULL)", 0);
fails('no schema in the answer', '08P01', "SELECT * FROM $_", 1)
  foreach ("aep.explore_table('$id', 'none.here')", "aep.compare_table('$id', 'pg_class', 'none.here')");

# Here and there
value(<<"SQL");
CREATE DOMAIN amount AS integer CHECK (VALUE > 0);
CREATE DOMAIN moment AS timestamptz;
CREATE DOMAIN late_moment AS moment;
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TABLE everything (
    a_bool boolean, an_int2 smallint, an_int4 integer, an_int8 bigint, an_oid oid, a_real real,
    a_double double precision, a_numeric numeric(12,2), a_domain amount, a_time_domain late_moment,
    dropped integer, a_date date, a_wide_date date, a_plain_date date, a_timestamp timestamp(0),
    a_timestamptz timestamptz, a_text text, a_varchar varchar(10), a_uuid uuid, a_jsonb jsonb,
    an_array integer[], an_enum mood, only_here text, differs integer, untold integer, case_matters integer,
    "Mixed ""Case""" text, "gr\x{fc}n" text);
ALTER TABLE everything DROP COLUMN dropped;
CREATE SCHEMA "Odd.Schema";
CREATE TABLE "Odd.Schema"."Tab ""le" (a integer);
CREATE VIEW nothing AS SELECT;
SQL
my $agrees = [ $true, 'agrees' ];
my $differs = [ $false, 'type differs' ];
my $not_there = [ undef, undef, undef, $false, 'missing in the platform' ];
is_deeply(
	rows('column_name, database_type, platform_type, xdm_type, xdm_format, agrees, finding',
		"aep.compare_table('$id', 'everything')"),
	[   [ 'a_bool', 'boolean', 'boolean', 'boolean', undef, @$agrees ],
		[ 'an_int2', 'smallint', 'integer', 'integer', undef, @$agrees ],
		[ 'an_int4', 'integer', 'integer', 'integer', undef, @$agrees ],
		[ 'an_int8', 'bigint', 'integer', 'integer', undef, @$agrees ],
		[ 'an_oid', 'oid', 'Integer', undef, undef, @$agrees ],
		[ 'a_real', 'real', 'double', 'number', undef, @$agrees ],
		[ 'a_double', 'double precision', 'double', undef, undef, @$agrees ],
		[ 'a_numeric', 'numeric(12,2)', 'double', 'number', undef, @$agrees ],
		[ 'a_domain', 'amount', 'integer', 'integer', undef, @$agrees ],
		[ 'a_time_domain', 'late_moment', 'string', 'string', 'date-time', @$agrees ],
		[ 'a_date', 'date', 'string', 'string', 'date', @$agrees ],
		[ 'a_wide_date', 'date', 'string', 'string', 'date-time', @$agrees ],
		[ 'a_plain_date', 'date', 'date', undef, undef, @$agrees ],
		[ 'a_timestamp', 'timestamp(0) without time zone', 'string', 'string', 'date-time', @$agrees ],
		[ 'a_timestamptz', 'timestamp with time zone', 'string', undef, 'date-time', @$agrees ],
		[ 'a_text', 'text', 'string', 'string', undef, @$agrees ],
		[ 'a_varchar', 'character varying(10)', 'String', undef, undef, @$agrees ],
		[ 'a_uuid', 'uuid', 'string', 'string', undef, @$agrees ],
		[ 'a_jsonb', 'jsonb', 'string', 'string', undef, @$agrees ],
		[ 'an_array', 'integer[]', 'string', 'string', undef, @$agrees ],
		[ 'an_enum', 'mood', 'string', 'string', undef, @$agrees ],
		[ 'only_here', 'text', @$not_there ],
		[ 'differs', 'integer', 'string', 'string', undef, @$differs ],
		[ 'untold', 'integer', undef, undef, undef, @$differs ],
		[ 'case_matters', 'integer', @$not_there ],
		[ 'Mixed "Case"', 'text', 'string', 'string', undef, @$agrees ],
		[ "gr\x{fc}n", 'text', 'string', 'string', undef, @$agrees ],
		[ 'dropped', undef, 'integer', 'integer', undef, $false, 'missing in the database' ],
		[ 'only_there', undef, 'string', 'string', 'date-time', $false, 'missing in the database' ],
		[ 'CASE_MATTERS', undef, 'integer', 'integer', undef, $false, 'missing in the database' ] ],
	'a table here and there');
is_deeply(last_query(), { objectType => ['table'], object => ['public.everything'] }, 'by its schema and name');
my @seen = map { $_->{name} } @{ $wrong->{schema}{columns} };
is_deeply(
	rows('column_name, finding', "aep.compare_table('$id', 'everything', 'wrong') WHERE platform_type IS NOT NULL"),
	[ map { [ $_, 'type differs' ] } @seen ],
	'every type can differ');
is(value("SELECT count(*) FROM aep.compare_table('$id', 'everything', 'public.nothing') WHERE finding = 'missing in the platform'"),
	27, 'nothing there');
is_deeply(
	rows('column_name, finding', "aep.compare_table('$id', 'nothing', " . AepTest::literal($odd) . ')'),
	[ [ 'Id', 'missing in the database' ] ],
	'nothing here, and a path of its own');
is_deeply(
	rows('column_name, finding', qq{aep.compare_table('$id', '"Odd.Schema"."Tab ""le"')}),
	[ [ 'a', 'agrees' ] ],
	'quoted identifiers');
is(last_query()->{object}[0], 'Odd.Schema.Tab "le', 'are sent as their names');
fails('no such table', '42P01', "SELECT * FROM aep.compare_table('$id', 'none')", 0);
like(fails('no such OID', '42P01', "SELECT * FROM aep.compare_table('$id', 4000000000::oid)", 0),
	qr/relation with OID 4000000000 does not exist/, 'which it names');
fails('no such OID, and a path', '42P01', "SELECT * FROM aep.compare_table('$id', 4000000000::oid, 'public.orders')", 1);

# No lock is held while the service is asked, so the table can go meanwhile.
sub compare_while
{
	my ($what, $sql) = @_;
	my $answer = encode_json($right);
	my $other = AepTest::open_session($node, $dbname);
	my $pid = AepTest::run_sql($other, 'SELECT pg_backend_pid()');

	AepTest::begin_sql($other, "SELECT finding FROM aep.compare_table('$id', 'going', server => 'raw') WHERE column_name = 'a_text'");
	my $client = $listener->accept or die "$what: nobody asks";
	my $request = '';
	sysread($client, $request, 65536, length $request) or last while $request !~ /\r\n\r\n/;
	is(value("SELECT count(*) FROM pg_locks WHERE pid = $pid AND relation = 'going'::regclass"), 0, "$what: no lock");
	value("SET lock_timeout = '30s'; $sql; RESET lock_timeout");
	print {$client} "HTTP/1.1 200 OK\r\nContent-Length: " . length($answer) . "\r\nConnection: close\r\n\r\n$answer";
	close $client;
	my $result = { out => AepTest::end_sql($other), err => $other->{err} };
	AepTest::close_session($other);
	return $result;
}
value('CREATE TABLE going ()');
is(compare_while('changed', 'ALTER TABLE going ADD a_text text')->{out}, 'agrees', 'a table that changed meanwhile: as it is now');
like(compare_while('dropped', 'DROP TABLE going')->{err}, qr/^ERROR:  42P01: relation with OID \d+ does not exist$/m, 'dropped meanwhile');
AepTest::close_session($session);

# An answer of the wrong kind is none.
unlink $file;
append_to_file($file, '{"tables": {"public.orders": {}}, "columns": {}}');
my $other = AepTest::start_fake('--explore', $file);
AepTest::create_server($node, $other, %login, server => 'other');
my $error = AepTest::failing($node,
	"SELECT e FROM aep.create_base_connection(name => 'x', server => 'other') AS c, aep.explore(c.id, 'other') AS e",
	dbname => $dbname);
like($error, qr/ERROR:  08P01: .*\nDETAIL:  The answer with HTTP status 200 is not what exploring gives/, 'an object is no list of tables');

done_testing();
