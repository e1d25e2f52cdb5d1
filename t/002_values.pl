# Every value arrives byte for byte, whatever it holds and whatever the
# database's encoding.
use strict;
use warnings;

use AepTest;
use Encode;
use PostgreSQL::Test::Utils;
use Test::More;

my $fake = AepTest::start_fake('--record-secrets');
my $node = AepTest::start_node('main');

sub create_database
{
	my ($encoding) = @_;
	my $dbname = AepTest::create_database($node, $encoding);

	AepTest::create_server($node, $fake, dbname => $dbname);
	return $dbname;
}

# Sends text (characters) as every free text of a connection; psql speaks UTF-8.
sub arrives
{
	my ($dbname, $what, $text) = @_;
	# not 'UTF-8', which replaces noncharacters
	my $literal = encode('utf8', AepTest::literal($text));

	$node->safe_psql($dbname, <<"SQL");
SET client_encoding = 'UTF8';
SELECT id FROM aep.create_base_connection(
    name => $literal, description => $literal, database => $literal,
    username => $literal, password => $literal)
SQL
	my $body = ($fake->requests)[-1]{body};
	my $params = $body->{auth}{params};
	is_deeply(
		[ $body->{name}, $body->{description}, @{$params}{qw(database username password)} ],
		[ ($text) x 5 ],
		"$dbname: $what");
	return;
}

my %texts = (
	'quotes and backslashes' => q{a"b'c\\d\\\\e\\"f},
	'braces and JSON' => '{"a": [1, null]} }{',
	'control characters' => join('', map { chr } 1 .. 31, 127),
	'URL characters' => '%41+&=?#/;:@',
	'Latin' => "gr\x{fc}\x{df}e \x{e9}\x{e8}");

foreach my $dbname (create_database('UTF8'), create_database('LATIN1'))
{
	arrives($dbname, $_, $texts{$_}) foreach (sort keys %texts);
}
arrives('utf8', 'emoji and beyond', "\x{1f418} \x{4f60}\x{597d} \x{10ffff} e\x{301}");
arrives('utf8', 'a noncharacter', "\x{fffe}\x{feff}");
my $dbname = create_database('EUC_JP');
arrives($dbname, $_, $texts{$_}) foreach (grep { $_ ne 'Latin' } sort keys %texts);
arrives($dbname, 'Japanese', "\x{65e5}\x{672c}\x{8a9e} \x{30ab}\x{30bf}\x{30ab}\x{30ca}");

# 1 MB, with everything that has to be escaped.
$node->safe_psql('utf8', <<'SQL');
SELECT id FROM aep.create_base_connection(
    name => 'large', username => 'u', password => repeat(E'0123456789"\\\n\u00e9\u20ac', 65536))
SQL
my $password = (($fake->requests)[-1])->{body}{auth}{params}{password};
is($password, qq{0123456789"\\\n\x{e9}\x{20ac}} x 65536, '1 MB of text');

# A connection string, with what it can hold.
$node->safe_psql('utf8', <<'SQL');
SELECT id FROM aep.create_base_connection(
    auth_type => 'connection_string', host => 'h.example.com', database => E'd\u00e9',
    username => 'u=v', password => E'p"a''s{s}%\\\u20ac', ssl_mode => 'verify-full')
SQL
is( ($fake->requests)[-1]{body}{auth}{params}{connectionString},
	"Server=h.example.com;Database=d\x{e9};Port="
	  . $node->port
	  . qq{;UID=u=v;Password=p"a's{s}%\\\x{20ac};EncryptionMethod=1;ValidateServerCertificate=1},
	'a connection string');

# SQL_ASCII: valid UTF-8 goes as it is, anything else is refused by name.
$dbname = create_database('SQL_ASCII');
$node->safe_psql($dbname,
	"SELECT id FROM aep.create_base_connection(username => 'u', password => E'gr\\303\\274n')");
is(($fake->requests)[-1]{body}{auth}{params}{password}, "gr\x{fc}n", 'sql_ascii: valid UTF-8');
my $before = $fake->requests;
my $error = AepTest::failing($node,
	"SELECT id FROM aep.create_base_connection(username => 'u', password => E'gr\\374n')", dbname => $dbname);
like($error, qr/ERROR:  22021: invalid value for argument "password"/, 'invalid UTF-8: refused');
unlike($error, qr/gr.n|0xfc/, 'the value is not shown');
is(scalar($fake->requests), $before, 'nothing was sent');

# What the service says comes back in the database's encoding.
$error = AepTest::failing($node,
	"SET client_encoding = 'UTF8'; SELECT id FROM aep.create_base_connection(username => 'u', password => 'p', "
	  . "name => 'fault:status=400,message=%C3%BC%20%E4%BD%A0')", dbname => 'latin1');
like($error, qr/\xc3\xbc \?/, 'what the encoding cannot hold becomes a question mark');

done_testing();
