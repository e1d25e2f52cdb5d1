# What the service says: a code decides by what it is, though a secret in it is
# masked; and text of any size becomes text of the database.
use strict;
use warnings;

use AepTest;
use Calls qw(call_in fails query run value);
use Encode qw(encode);
use PostgreSQL::Test::Utils;
use Test::More;

my $fake = AepTest::start_fake();
my $node = AepTest::start_node('main');

# A password that is part of a code
AepTest::create_server($node, $fake, username => 'acme', password => 'CONNECTOR', max_attempts => 1);
my $session = AepTest::open_session($node);
call_in($session, $fake);

sub refused
{
	my ($sqlstate, $password, $fault, $shown) = @_;
	my $error = fails("$fault with the password $password",
		$sqlstate,
		"SELECT id FROM aep.create_base_connection(username => 'u', password => '$password', name => 'fault:$fault')");

	like($error, qr/, code \Q$shown\E, /, "$fault with the password $password: masked");
	return;
}
refused('2BP01', 'sesame', 'status=400,code=FLOW-1418', 'FLOW-1418-400');
refused('2BP01', '1418', 'status=400,code=FLOW-1418', 'FLOW-********-400');
refused('2BP01', 'FLOW', 'status=400,code=FLOW-1418', '********-1418-400');
refused('42501', '2000', 'status=401,code=FLOW-2000', 'FLOW-********-401');
refused('08000', '401', 'status=401,code=CONNECTOR-1308', '********-1308-********');

my $id = value("SELECT id FROM aep.create_base_connection(name => 'fault:on=TEST,status=400,code=CONNECTOR-1308')");
is( value("SELECT result, message LIKE '********-1308-400: %' FROM aep.test_connection('$id')"),
	'f|t',
	'a test that failed is no error, whatever the password is');
AepTest::close_session($session);

# Text becomes text of the database in pieces of this size.
my $piece = 64 * 1024;

sub open_database
{
	my ($encoding) = @_;
	my $dbname = AepTest::create_database($node, $encoding);

	AepTest::create_server($node, $fake, dbname => $dbname, max_response_size => '256MB');
	$session = AepTest::open_session($node, $dbname);
	call_in($session, $fake);
	query("SET client_encoding = 'UTF8'");
	return;
}

# SQL for an answer of characters that come so often, between others
sub answer
{
	my ($begin, $repeated, $count, $end) = @_;
	my ($head, $body, $tail) =
	  map { encode('UTF-8', $_) =~ s/([^a-z])/sprintf '%%%02X', ord $1/ger } $begin, $repeated, $end;

	return "aep.request('POST', '/flowservice/connections', "
	  . "body => '{\"name\": \"fault:processed=0,body=$head,repeat=$body,count=$count,end=$tail\"}')";
}

sub becomes
{
	my ($what, $answer, $text) = @_;
	my $result = run("SELECT body #>> '{}' = $text, length(body #>> '{}') FROM $answer");

	like($result->{out}, qr/^t\|/, encode('UTF-8', $what)) or diag($result->{err}, $result->{out});
	return;
}

open_database('EUC_JP');
foreach my $before (0 .. 3)
{
	my $begin = 'a' x $before;

	foreach my $character ("\x{e9}", "\x{30ab}", "\x{7aef}")
	{
		my $count = int(2.5 * $piece / length encode('UTF-8', $character));

		becomes(
			"$count times $character behind $before of ASCII",
			answer($begin, $character, $count, 'z'),
			"'$begin' || repeat('$character', $count) || 'z'");
	}
	becomes(
		"what EUC_JP does not have, behind $before of ASCII",
		answer($begin, "\x{1f418}\x{30ab}", $piece, "\x{1f418}"),
		"'$begin' || repeat('?\x{30ab}', $piece) || '?'");
}
AepTest::close_session($session);

# two characters of Unicode that are one here, over the end of a piece
open_database('EUC_JIS_2004');
becomes(
	"pairs behind $_ of ASCII",
	answer('a' x ($piece - $_), "\x{304b}\x{309a}z", 10, ''),
	"repeat('a', $piece - $_) || repeat('\x{304b}\x{309a}z', 10)")
  foreach (0 .. 7);
AepTest::close_session($session);

# as much as an answer can have at most
open_database('LATIN1');
my $half = 2**27;
is( value("SELECT length(body #>> '{}') FROM " . answer('', "\x{e9}", $half, '')),
	$half, '256 MB');
AepTest::close_session($session);

done_testing();
