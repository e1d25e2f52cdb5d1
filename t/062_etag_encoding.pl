# Text of the service is text of the database, the etag too: what is stored can be
# read back, and is sent back as it came.
use strict;
use warnings;

use AepTest;
use Calls qw(call_in run value fails);
use Encode qw(decode encode);
use PostgreSQL::Test::Utils;
use Test::More;

my $id = '11111111-2222-4333-8444-555555555555';
my $fake = AepTest::start_fake();
my $node = AepTest::start_login_node('main');

# A name that makes the service answer with these bytes.
sub name_for
{
	my ($kind, $body) = @_;

	return "fault:on=$kind,processed=0,body="
	  . (encode('UTF-8', $body) =~ s/([^A-Za-z0-9])/sprintf '%%%02X', ord $1/ger);
}

sub made { return AepTest::literal(name_for('POST', qq({"id": "$id", "etag": "\\"$_[0]\\""}))) }

# each in an encoding that has it, and in one that has it not
my $japanese = "\x{65e5}\x{672c}";
my $accented = "\x{e9}t\x{e9}";
foreach my $case (
	[ 'UTF8', $japanese, 1 ],
	[ 'EUC_JP', $japanese, 1 ],
	[ 'LATIN1', $accented, 1 ],
	[ 'LATIN1', $japanese, 0 ],
	[ 'SQL_ASCII', $japanese, 1 ])
{
	my ($encoding, $text, $has) = @$case;
	my $dbname = lc $encoding;
	my $what = encode('UTF-8', "$encoding, $text");

	if ($node->safe_psql('postgres', "SELECT count(*) FROM pg_database WHERE datname = '$dbname'") == 0)
	{
		AepTest::create_database($node, $encoding);
		AepTest::create_server($node, $fake, dbname => $dbname, username => 'acme', password => 'xxxx');
		$node->safe_psql($dbname, 'CREATE TABLE kept (call text, etag text); CREATE TABLE orders ()');
	}
	my $session = AepTest::open_session($node, $dbname);
	call_in($session, $fake);
	# with SQL_ASCII nothing is converted, and the bytes are UTF-8
	value("SET client_encoding = 'UTF8'") unless $encoding eq 'SQL_ASCII';

	value('DELETE FROM kept');
	value("INSERT INTO kept SELECT 'create', etag FROM aep.create_base_connection(name => " . made($text) . ')');
	value("INSERT INTO kept SELECT 'batch', etag FROM aep.create_base_connections(ARRAY[aep.base_connection_spec(name => "
		  . made($text) . ')])');
	value("INSERT INTO kept SELECT 'ensure', etag FROM aep.ensure_base_connection(name => " . made($text) . ')');
	my $changed = value('SELECT id FROM aep.create_base_connection(name => '
		  . AepTest::literal(name_for('PATCH', qq({"id": "$id", "etag": "\\"$text\\""}))) . ')');
	value("INSERT INTO kept SELECT 'change', etag FROM aep.update_connection('$changed', description => 'd')");
	value('INSERT INTO kept SELECT \'request\', etag FROM aep.request(\'POST\', \'/flowservice/connections\', '
		  . 'body => jsonb_build_object(\'name\', ' . made($text) . '))') if $has;
	my $calls = 'batch|change|create|ensure' . ($has ? '|request' : '');
	is(value("SELECT string_agg(call, '|' ORDER BY call) FROM kept"), $calls, "$what: etags are kept");
	is(value('SELECT DISTINCT etag FROM kept'), $has ? qq("$text") : '', "$what: and read back");
	is(value('SELECT count(*) FROM kept WHERE etag IS NULL'), 0, "$what: all of them") if $has;

	if ($has)
	{
		# it goes out as it came
		my $result = run("SELECT etag FROM aep.update_connection('$changed', name => 'new', etag => '\"$text\"')");
		is($result->{out}, qq("$text"), "$what: a change that gives it") or diag $result->{err};
		is(decode('UTF-8', encode('latin-1', $result->{requests}[-1]{headers}{'if-match'})),
			qq("$text"), "$what: is sent with it in UTF-8");
	}

	# so does the row of a role
	run("CALL aep.create_ingest_role('ingest', tables => '{orders}', name => " . made($text) . ')');
	is(value('SELECT etag FROM aep.ingest_role'), $has ? qq("$text") : '', "$what: an ingest role has it");
	value('DROP OWNED BY ingest; DROP ROLE ingest, ingest_a; DELETE FROM aep.ingest_role');
	AepTest::close_session($session);
}

done_testing();
