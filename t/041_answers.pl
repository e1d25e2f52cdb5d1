# One gate for answers: what one JSON reader takes the other takes, memory is
# bounded, and what was not understood is not shown if it may hold a password.
use strict;
use warnings;

use AepTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $id = '11111111-2222-4333-8444-555555555555';
my $collection = '/flowservice/connections';
my $fake = AepTest::start_fake();
my $node = AepTest::start_node('main');
my @login = (username => 'acme', password => 'the-password', max_attempts => 1);

# A name that makes the fake answer with these bytes, and more as it is told.
sub name_for
{
	my ($body, %more) = @_;
	my %fault = (processed => 0, body => $body, %more);

	return 'fault:' . join ',',
	  map { my $value = $fault{$_}; $value =~ s/([^A-Za-z0-9|])/sprintf '%%%02X', ord $1/ge; "$_=$value" }
	  sort keys %fault;
}

sub created { return 'SELECT id FROM aep.create_base_connection(name => ' . AepTest::literal(@_) . ')' }

# aep.request() takes any body: what is not JSON it shows as text
sub requested
{
	my ($name, $shown) = @_;

	return "SELECT $shown FROM aep.request('POST', '$collection', body => jsonb_build_object('name', "
	  . AepTest::literal($name) . '))';
}

# cJSON reads the answer to a create, PostgreSQL the one to aep.request().
sub readings
{
	my ($session, $name) = @_;
	my $made = AepTest::run_sql($session, created($name)) eq $id;
	my $why = $session->{err} =~ /^DETAIL:  The answer with HTTP status 201 (.*?)[.:]/m ? $1 : '';
	my $type = AepTest::run_sql($session, requested($name, 'jsonb_typeof(body)'));

	return { cjson => $made || 0, postgresql => $type eq 'object' || 0, why => $why };
}

sub in_object
{
	my ($value) = @_;

	return qq({"id": "$id", "x": $value});
}

my @json = (
	'0', '-0', '-1.5e-3', '1E+5', '10.01e00', '1e10000', '[]', '{}', '[1 , 2]', "[\t1,\r\n2]",
	'null', 'true', '{"a": {"a": [false]}}', '{"a": 1, "a": 2}', '{"": ""}',
	'"\u00e9 \ud83d\ude00 \uFFFF \/ \b\f\n\r\t \\\\ \""', "\"\xc3\xa9 \x7f \xef\xbb\xbf\"",
	'"\\\\u0000"', '9' x 60);
my @other = (
	'01', '-01', '1.', '.5', '-.5', '+1', '1.e5', '1e', '1e+', '1.5.5', '1-2', '--1', '-', '0x10',
	'1 2', 'NaN', '-Infinity', 'nul', 'True', 'truex', '1e10001', '9' x 5001,
	'[1,]', '[,1]', '[1 2]', '[1', '[1]]', '{"a": 1,}', '{a: 1}', '{"a"}', '{1: 2}', '', '//',
	"\x0b1", "\x01", "[1\x0c]", "1\xc2\xa0", "\xef\xbb\xbf1", "\0", "\x1f",
	'"', '"\q"', "\"\t\"", "\"\n\"", "\"\x1f\"", "\"\0\"", "'a'", '\n',
	'"\u0000"', '"\u00zz"', '"\u12"', '"\ud83d"', '"\ude00"', '"\ud83d\ud83d"', '"\ud83d\n"',
	"\"\xff\"", "\"\xc0\x80\"", "\"\xed\xa0\x80\"", "\"\xc3\"");

foreach my $encoding ('UTF8', 'LATIN1', 'SQL_ASCII')
{
	my $dbname = AepTest::create_database($node, $encoding);
	AepTest::create_server($node, $fake, @login, dbname => $dbname);
	my $session = AepTest::open_session($node, $dbname);

	foreach my $case ((map { [ $_, 1 ] } @json), (map { [ $_, 0 ] } @other))
	{
		my ($text, $is_json) = @$case;
		my $read = readings($session, name_for(in_object($text)));
		my $what = $text =~ s/([^ -~])/sprintf '<%02x>', ord $1/ger;

		is("$read->{cjson} $read->{postgresql}", "$is_json $is_json",
			"$encoding: " . ($is_json ? '' : 'not ') . 'JSON for both: ' . substr($what, 0, 50))
		  or diag $read->{why};
	}
	AepTest::close_session($session);
}

my $session = AepTest::open_session($node, 'utf8');
foreach my $case (
	[ 'a mark before', "\xef\xbb\xbf" . in_object('1'), 1, '' ],
	[ 'marks and blanks', " \xef\xbb\xbf\r\n\xef\xbb\xbf " . in_object('1') . " \n", 1, '' ],
	[ 'a mark behind', in_object('1') . "\xef\xbb\xbf", 0, 'could not be read as JSON' ],
	[ 'other blanks before', "\x0b" . in_object('1'), 0, 'could not be read as JSON' ],
	[ 'more behind', in_object('1') . '{}', 0, 'could not be read as JSON' ],
	[ 'only a mark', "\xef\xbb\xbf \n", 0, 'is empty' ])
{
	my ($what, $body, $is_json, $why) = @$case;
	my $read = readings($session, name_for($body));

	is_deeply($read, { cjson => $is_json, postgresql => $is_json, why => $why }, $what);
}
foreach my $case ([ 999, 1 ], [ 1000, 0 ])
{
	my ($depth, $is_json) = @$case;
	my $name = name_for(qq({"id": "$id", "x":) . '[' x $depth, repeat => ']', count => $depth, end => '}');
	my $read = readings($session, $name);

	is("$read->{cjson} $read->{postgresql}", "$is_json $is_json", "$depth levels and one");
}

# Texts that come close to JSON: both say the same, whatever it is.
my @bytes = (
	split(//, "{}[]:,\"\\ 0123456789-+.eEtrufalsn/\n\t\x0b\x01\x7f"),
	"\\u", "\\ud83d", "\\ude00", "\xc3\xa9", "\xef\xbb\xbf", "\xff", '""', '1e5', 'null');
my %count = (0 => 0, 1 => 0);
my @different;
srand 1;
foreach (1 .. 600)
{
	my $text = $json[ rand @json ];

	substr($text, rand(1 + length $text), rand 2) = $bytes[ rand @bytes ] foreach (0 .. rand 2);
	my $read = readings($session, name_for(in_object($text)));
	push @different, $text if $read->{cjson} != $read->{postgresql};
	$count{ $read->{cjson} }++;
}
is_deeply(\@different, [], 'both readers say the same of 600 texts');
cmp_ok($count{$_}, '>', 50, ($_ ? '' : 'not ') . "JSON among them: $count{$_}") foreach (0, 1);

# Memory: the largest tree that the limit allows for, of each kind, for either
# reader.  Of one value more nothing is made.  cJSON has 16 MB, whatever the limit.
AepTest::create_server($node, $fake, @login, dbname => 'utf8', server => 'small',
	max_response_size => '4MB');
my %trees = (cjson => 16 * 1024, postgresql => 8 * 4096);
my $pairs = join ', ', map { "\"key $_\": $_" } 10 .. 42;
foreach my $case (
	[ 'numbers', '1.5', 128 ],
	[ 'strings', '"0123456789"', 128 ],
	[ 'lists', '[]', 384 ],
	[ 'lists of one', '[1]', 384 ],
	[ 'objects', '{}', 768 ],
	[ 'objects of one', '{"a": "b"}', 1024 ],
	[ 'objects of 33', "{$pairs}", 128 + 640 + 33 * 256 + 32 * 128 ],
	[ 'nested lists', '[' x 400 . ']' x 400, 128 + 400 * 256 ],
	[ 'nested objects', '{"a":' x 400 . '1' . '}' x 400, 128 + 400 * 896 ])
{
	my ($what, $value, $size) = @$case;

	foreach my $reader ('cjson', 'postgresql')
	{
		my $tree = $trees{$reader};
		# the object around them, two members, a list, and the last element
		my $most = int(($tree * 1024 - 640 - 2 * 256 - 128 - 256) / $size);
		# one that has no memory of earlier answers to use again
		my $session = AepTest::open_session($node, 'utf8');
		my $pid = AepTest::run_sql($session, 'SELECT pg_backend_pid()');
		readings($session, name_for(in_object('1')));
		foreach my $more (0, 1)
		{
			my $name = name_for(qq({"id": "$id", "x": [),
				repeat => "$value,",
				count => $most + $more,
				end => '1]}');
			my $sql = $reader eq 'cjson' ? created($name) : requested($name, 'jsonb_typeof(body)');
			my $expected =
			  $reader eq 'cjson' ? ($more ? '' : $id) : $more ? 'string' : 'object';
			my $result;
			my $peak = AepTest::peak_of($pid,
				sub { $result = AepTest::run_sql($session, $sql =~ s/\)$/, server => 'small')/r) });
			my $text = $most * (1 + length $value) / 1024;

			is($result, $expected, "$reader: " . ($most + $more) . " $what");
			# the text itself is there a few times: as it came, in strings, in the result
			cmp_ok($peak, '<', ($more ? 0 : $tree) + 6 * $text + 8192,
				sprintf '%s: %d kB, %d of them text', $what, $peak, $text);
			like($session->{err}, qr/holds far more values than expected/, 'says why')
			  if $more && $reader eq 'cjson';
		}
		AepTest::close_session($session);
	}
}

# What was read, but not understood, may hold a password that is not known here.
my $secret = '"password": "not-known-here"';
foreach my $case (
	[ 'cut', "{$secret", 0 ],
	[ 'a mark', "\xef\xbb\xbf{$secret", 0 ],
	[ 'blanks and a mark', "\n \xef\xbb\xbf[{$secret", 0 ],
	[ 'UTF-16', "\xff\xfe" . "{$secret}" =~ s/(.)/$1\0/gr, 0 ],
	[ 'UTF-16 the other way round', "\xfe\xff" . "{$secret}" =~ s/(.)/\0$1/gr, 0 ],
	[ 'a guard against scripts', ")]}',\n{$secret}", 0 ],
	[ "a chunk's size", "1f\r\n{$secret}\r\n0\r\n", 0 ],
	[ 'within a page', "<html>{$secret}</html>", 0 ],
	[ 'a page', '<html>a captive portal</html>', 1 ],
	[ 'a word', 'upstream connect error', 1 ])
{
	my ($what, $body, $is_shown) = @$case;
	my $name = name_for($body, on => 'GET');
	my $made = AepTest::run_sql($session, created($name));

	AepTest::run_sql($session, "SELECT * FROM aep.connection('$made')");
	my ($detail) = $session->{err} =~ /^DETAIL:  (.*)$/m;
	like($session->{err}, qr/^ERROR:  08P01:/m, "$what: not understood");
	unlike($session->{err}, qr/n.?o.?t.?-.?k.?n.?o.?w/, "$what: no password is shown");
	like($detail, $is_shown ? qr/: "\Q$body\E"\.$/ : qr/^The answer with HTTP status 200 [^"]*\.$/,
		"$what: the answer is " . ($is_shown ? 'shown' : 'not shown'));
}
AepTest::close_session($session);

done_testing();
