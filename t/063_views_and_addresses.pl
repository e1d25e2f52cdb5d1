# Where a connection leads has columns of its own, and a view is asked for as a view.
use strict;
use warnings;

use AepTest;
use Calls qw(call_in run value json fails create);
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

sub described
{
	my ($name) = @_;

	return { format => 'flat', schema => { columns => [ { name => $name, type => 'string' } ] }, data => [ { $name => 'x' } ] };
}

# There is a table and a view, one that is of a kind that nobody has heard of, and
# one that the list does not tell the type of.
my $file = PostgreSQL::Test::Utils::tempdir() . '/explore.json';
append_to_file($file, encode_json({
	tables => [
		{ type => 'table', path => 'public.orders', name => 'public.orders' },
		{ type => 'View', path => 'public.recent', name => 'public.recent' },
		{ type => 'stream', path => 'public.events', name => 'public.events' },
		{ path => 'public.untold', name => 'public.untold' } ],
	columns => { map { ("public.$_" => described($_)) } qw(orders recent events untold) } }));

my $fake = AepTest::start_fake('--explore', $file);
my $node = AepTest::start_node('main');
AepTest::create_server($node, $fake, username => 'acme', password => 'xxxx', max_attempts => 1);
my $session = AepTest::open_session($node);
call_in($session, $fake);
my $id = create('plain');
value('CREATE TABLE orders (orders text); CREATE VIEW recent AS SELECT 1 AS recent, 2 AS other');

# What was asked for, in order.
sub asked
{
	my ($result) = @_;

	return join ' ', map { $_->{query}{objectType}[0] } @{ $result->{requests} };
}
foreach my $case (
	[ 'a table', 'orders', '', 'table' ],
	[ 'a view', 'recent', '', 'table root View' ],
	[ 'another kind', 'events', '', 'table root stream' ],
	[ 'a type that is not told', 'untold', '', 'table' ],
	[ 'a view, by its type', 'recent', ", 'View'", 'View' ],
	[ 'a table, by its type', 'orders', ', object_type => \'table\'', 'table' ])
{
	my ($what, $table, $type, $asked) = @$case;

	my $result = run("SELECT column_name FROM aep.explore_table('$id', 'public.$table'$type)");
	is($result->{out}, $table, "$what: its columns") or diag $result->{err};
	is(asked($result), $asked, "$what: asked for as $asked");
	is($result->{requests}[-1]{query}{object}[0], "public.$table", "$what: by its path");

	$result = run("SELECT p FROM aep.preview_table('$id', 'public.$table'$type) AS p");
	is($result->{out}, qq({"$table": "x"}), "$what: its rows") or diag $result->{err};
	is(asked($result), $asked, "$what: asked for alike");
	is($result->{requests}[-1]{query}{preview}[0], 'true', "$what: with a preview");
}
my $result = run("SELECT column_name, finding FROM aep.compare_table('$id', 'recent')");
is($result->{out}, "recent|type differs\nother|missing in the platform", 'a view is compared');
is(asked($result), 'table root View', 'as a view');
$result = run("SELECT finding FROM aep.compare_table('$id', 'orders', 'public.recent', 'View')");
is($result->{out}, "missing in the platform\nmissing in the database", 'another one');
is(asked($result), 'View', 'by its type');
$result = run("SELECT t.path, c.column_name FROM aep.explore('$id') AS t, aep.explore_table('$id', t.path, t.type) AS c");
is($result->{out}, join("\n", map { "public.$_|$_" } qw(orders recent events untold)), 'all that there are');
is(asked($result), 'root table View stream table', 'as explore calls them');

# There is no such table: that is what is told, not what the list had to say.
my $error = fails('a path that is nowhere', '22023', "SELECT * FROM aep.explore_table('$id', 'public.none')", 2);
like($error, qr/No columns were found for the table public\.none/, 'and says which');
$error = fails('a type that it has not', '22023', "SELECT * FROM aep.explore_table('$id', 'public.orders', 'View')", 1);
like($error, qr/No columns were found for the view public\.orders/, 'is not put right');
foreach my $case ([ 'status=400,after=0', 2 ], [ 'status=400,times=1;on=EXPLORE,after=1,status=500', 2 ],
	[ 'status=400,times=1;on=EXPLORE,after=1,notjson=1', 2 ], [ 'status=404', 1 ], [ 'status=500', 1 ], [ 'processed=0,body=[', 1 ])
{
	my ($fault, $requests) = @$case;
	my $faulty = create("fault:on=EXPLORE,$fault");
	my %sqlstates = (400 => '22023', 404 => '42704', 500 => '58000');
	my $first = $fault =~ /^status=(\d+)/ ? $sqlstates{$1} : '08P01';

	fails("$fault: the first error counts", $first, "SELECT * FROM aep.explore_table('$faulty', 'public.recent')", $requests);
}

# The address
my %shown = map { $_ => value("SELECT host, port, database, username, ssl_mode FROM aep.$_") } (
	"connection('$id')", "connections(name => 'plain')");
is($shown{$_}, 'db1.example.com|' . $node->port . '|postgres|acme|Prefer', "$_: the address") foreach (sort keys %shown);
my $columns = value("SELECT string_agg(key, ' ' ORDER BY ordinality) FROM (SELECT row_to_json(c) AS r FROM aep.connection('$id') AS c) AS r, json_object_keys(r) WITH ORDINALITY AS k(key, ordinality)");
is($columns, 'id name description state auth_spec connection_spec_id host port database username ssl_mode created_at updated_at created_by etag entity',
	'the columns');
is(value("SELECT bool_and(c = l) FROM aep.connections() AS l, aep.connection(l.id) AS c"), 't', 'the same in both');
my $string = create('hidden', ", auth_type => 'connection_string'");
is(value("SELECT num_nulls(host, port, database, username, ssl_mode) FROM aep.connection('$string')"), 5, 'a connection string is not shown');

# what the service shows may be anything
sub address
{
	my ($params) = @_;
	my $body = encode_json({ items => [ { id => $id, auth => { params => $params } } ] });
	my $faulty = create('fault:on=GET,processed=0,body=' . ($body =~ s/([^A-Za-z0-9])/sprintf '%%%02X', ord $1/ger));

	return value("SELECT host, port, database, username, ssl_mode FROM aep.connection('$faulty')");
}
foreach my $case (
	[ 'nothing', {}, '||||' ],
	[ 'a number as the port', { port => 5432 }, '|5432|||' ],
	[ 'the largest', { port => '99999' }, '|99999|||' ],
	[ 'a port that is none', { port => '5432x', server => 'h' }, 'h||||' ],
	[ 'a negative one', { port => -1 }, '||||' ],
	[ 'none', { port => '' }, '||||' ],
	[ 'a long one', { port => '1' x 30 }, '||||' ],
	[ 'an object', { port => {}, server => ['h'] }, '||||' ],
	[ 'no object', [1], '||||' ])
{
	my ($what, $params, $expected) = @$case;

	is(address($params), $expected, "$what: as far as it goes");
}
AepTest::close_session($session);

done_testing();
