# What reading an answer takes is a small multiple of max_response_size, whatever
# the answer and the database's encoding; what would take too long is not read.
use strict;
use warnings;

use AepTest;
use Calls qw(call_in run value fails);
use PostgreSQL::Test::Utils;
use Test::More;

my $MB = 1024;
my $SIZE = 8;    # max_response_size, in MB
my $fake = AepTest::start_fake();
my $node = AepTest::start_node('main', 'work_mem = 64kB');
my %login = (username => 'acme', password => 'xxxx', base_url => $fake->url('http'));

# A name that makes the service answer with as much as fits: the text so often.
sub full
{
	my ($begin, $text, $end, $count) = @_;
	my %fault = (
		on => 'GET|PREVIEW', processed => 0, body => $begin, repeat => $text, end => $end,
		count => $count // int(($SIZE * $MB * 1024 - length($begin . $end)) / length($text)));

	return 'fault:' . join ',',
	  map { my $value = $fault{$_}; $value =~ s/([^A-Za-z0-9|])/sprintf '%%%02X', ord $1/ge; "$_=$value" }
	  sort keys %fault;
}

# of values as many as there may be: 8 * 8 MB / 128 and so on
my %answers = (
	'numbers' => full('[', '1,', '1]', 524_000),
	'strings' => full('[', '"01234567890",', '1]', 524_000),
	'lists' => full('[', '[1],', '1]', 174_000),
	'objects' => full('[', '{"a": 1},', '1]', 65_000),
	'members' => full('[', '{' . join(', ', map { "\"k$_\": 1" } 1 .. 99) . '},', '1]', 1_700),
	'one string' => full('{"a": "', 'x' x 1024, '"}'),
	'escapes' => full('{"a": "', '\u00e9' x 100, '"}'),
	'letters' => full('{"a": "', "\xc3\xa9" x 100, '"}'),
	'letters that are nowhere' => full('{"a": "', "\xf0\x9f\x90\x98" x 100, '"}'),
	'text' => full('no JSON: ', "\xc3\xa9" x 100, '.'),
	'bytes' => full('no JSON: ', "\xe9\0" x 100, '.'));

foreach my $encoding ('UTF8', 'EUC_JP')
{
	my $dbname = AepTest::create_database($node, $encoding);
	AepTest::create_server($node, $fake, %login, dbname => $dbname, max_response_size => "${SIZE}MB");
	foreach my $what (sort keys %answers)
	{
		# one that has no memory of earlier answers to use again
		my $session = AepTest::open_session($node, $dbname);
		call_in($session, $fake);
		my $pid = value('SELECT pg_backend_pid()');
		my $id = value('SELECT id FROM aep.create_base_connection(name => ' . AepTest::literal($answers{$what}) . ')');
		my $type;
		my $sql = "SELECT jsonb_typeof(body) FROM aep.request('GET', '/flowservice/connections/$id')";
		my $peak = AepTest::peak_of($pid, sub { $type = value($sql) });

		like($type, $what =~ /text|bytes/ ? qr/^string$/ : qr/^(?:array|object)$/, "$encoding, $what: $type");
		cmp_ok($peak, '<', 10 * $SIZE * $MB, "$encoding, $what: $peak kB");
		AepTest::close_session($session);
	}
}

# In lists, whatever stands beside the one that is read.
foreach my $case (
	[ 'rows', full('{"schema": {"columns": []}, "data": [', '{"a": 1},', '1]}', 65_000), 65_001 ],
	[ 'columns beside rows', full('{"data": [1], "schema": {"columns": [', '{"a": 1},', '1]}}', 65_000), 1 ],
	[ 'another list', full('{"data": [1], "schema": {"columns": []}, "a": {"b": [', '1,', '1]}}', 520_000), 1 ])
{
	my ($what, $name, $rows) = @$case;
	my $session = AepTest::open_session($node, 'utf8');
	call_in($session, $fake);
	my $pid = value('SELECT pg_backend_pid()');
	my $id = value('SELECT id FROM aep.create_base_connection(name => ' . AepTest::literal($name) . ')');
	my $count;
	my $peak = AepTest::peak_of($pid, sub { $count = value("SELECT count(*) FROM aep.preview_table('$id', 'a.b')") });

	is($count, $rows, "$what: taken");
	cmp_ok($peak, '<', 3 * $SIZE * $MB, "$what: $peak kB");
	AepTest::close_session($session);
}

# What PostgreSQL could not be kept from going on with is not given to it: the
# longest text, and the largest object, whatever the limit; of one more it is
# text that aep.request shows.
AepTest::create_server($node, $fake, %login, dbname => 'utf8', server => 'large', max_response_size => '256MB');
my $session = AepTest::open_session($node, 'utf8');
call_in($session, $fake);
foreach my $case (
	[ 'a text', '["', 'x', '"]', 64 * 1024 * 1024, 'array' ],
	[ 'an object', '{"a": 1', ', "b": 1', '}', 499_999, 'object' ])
{
	my ($what, $begin, $text, $end, $most, $type) = @$case;

	foreach my $more (0, 1)
	{
		my $id = value('SELECT id FROM aep.create_base_connection(name => '
			  . AepTest::literal(full($begin, $text, $end, $most + $more)) . ')');
		is(value("SELECT jsonb_typeof(body) FROM aep.request('GET', '/flowservice/connections/$id', server => 'large')"),
			$more ? 'string' : $type, "$what: the largest, and $more");
		like(fails("$what, and one more", '08P01', "SELECT * FROM aep.connection('$id', 'large')"),
			qr/^DETAIL:  .* holds a text of more than 64 MB or an object of more than 500,000 members\.$/m, 'says so')
		  if $more;
	}
}
AepTest::close_session($session);

done_testing();
