# aep.check_server(): all that is missing or wrong, at once, with remedies that are;
# it never fails for what it is there to find.
use strict;
use warnings;

use AepTest;
use IO::Socket::INET;
use PostgreSQL::Test::Utils;
use POSIX qw(strftime);
use Test::More;

my $fake = AepTest::start_fake();
my $node = AepTest::start_node('main', 'log_statement = none');
my $session = AepTest::open_session($node);
my $superuser = AepTest::run_sql($session, 'SELECT current_user');

# The findings, as "severity: finding" => remedy; nothing else is said, and nothing fails.
sub findings
{
	my ($server, $session_of) = @_;
	my $where = $session_of // $session;
	my $out = AepTest::run_sql($where, "SELECT severity || ': ' || finding, remedy FROM aep.check_server('$server')");

	is($where->{err}, '', "$server: nothing fails");
	return { map { my ($finding, $remedy) = split /\|/; $finding => $remedy // '' } split /\n/, $out };
}

sub finds
{
	my ($what, $server, %expected) = @_;
	my $found = findings($server);

	is_deeply($found, \%expected, $what) or diag(explain($found));
	return;
}

# One finding that matches, and perhaps a remedy that does.
sub finds_one
{
	my ($what, $server, $finding, $remedy) = @_;
	my $found = findings($server);

	is(scalar(keys %$found), 1, "$what: one finding") or diag(explain($found));
	like((keys %$found)[0] // '', $finding, "$what: the finding");
	like((values %$found)[0] // '', $remedy, "$what: the remedy");
	return;
}

# No server, or one of others
finds('no server', 'aep',
	'error: server aep does not exist' =>
	  q{CREATE SERVER aep FOREIGN DATA WRAPPER aep OPTIONS (org_id '...@AdobeOrg', sandbox 'prod', advertised_host '...')});
AepTest::run_sql($session, 'CREATE FOREIGN DATA WRAPPER other; CREATE SERVER "Not Ours" FOREIGN DATA WRAPPER other');
finds('a server of another wrapper', 'Not Ours',
	'error: server "Not Ours" belongs to the foreign-data wrapper other' => 'Name another server in the argument "server".');

# Everything is missing that can be: one look tells it all, and the remedies, run as they
# are but for the values, lead out.
my %values = (
	org_id => $AepTest::ORG, advertised_host => 'db1.example.com', api_key => 'demo-api-key', client_secret => 'demo-client-secret',
	password => 'sesame', base_url => $fake->url, token_url => $fake->url('ims'), ca_file => $fake->ca_file);
AepTest::run_sql($session, <<SQL);
CREATE ROLE "Caller" LOGIN;
GRANT USAGE ON SCHEMA aep TO "Caller";
GRANT EXECUTE ON FUNCTION aep.check_server(name) TO "Caller";
SET client_min_messages = error;
CREATE SERVER "Shop" FOREIGN DATA WRAPPER aep
    OPTIONS (base_url '@{[ $fake->url ]}', token_url '@{[ $fake->url('ims') ]}', ca_file '/nonexistent.pem',
             sandbox 'Prod', advertised_host 'db.internal');
CREATE USER MAPPING FOR "Caller" SERVER "Shop" OPTIONS (username 'acme');
RESET client_min_messages
SQL
my $caller = AepTest::open_session($node, undef, $node->connstr('postgres') . ' user=Caller');
my $found = findings('Shop', $caller);
my @expected = (
	qr/^error: option "org_id" of the server is not set$/,
	qr/^error: role "Caller" may not use server "Shop"$/,
	qr/^error: option "api_key" of the user mapping is not set$/,
	qr/^error: the user mapping has neither "client_secret" nor "access_token"$/,
	qr/^warning: Experience Platform cannot reach this database at "db\.internal": /,
	qr/^warning: option "ca_file" of the server is probably wrong: .*No such file/,
	qr/^warning: option "sandbox" of the server is probably wrong: /,
	qr/^warning: role "Caller" may not execute \d+ of the \d+ routines of the extension: .*create_base_connection/,
	qr/^warning: the user mapping has one of "username" and "password", without "password"$/);
is(scalar(keys %$found), scalar(@expected), 'as many findings as there are mistakes') or diag(explain($found));
foreach my $expected (@expected)
{
	is(scalar(grep { /$expected/ } keys %$found), 1, "found: $expected");
}
is(scalar($fake->requests), 0, 'nothing is sent by who may not');
foreach my $remedy (values %$found)
{
	my $statement = $remedy =~ s/(?<= )(\w+) '(?:\.\.\.|\.\.\.\@AdobeOrg)'/my $value = $values{$1} \/\/ 'prod'; "$1 '$value'"/ger;

	like($remedy, qr/^(?:ALTER|GRANT|CREATE) /, "a statement: $remedy");
	AepTest::run_sql($session, $statement);
	unlike($session->{err}, qr/ERROR/, "which works: $statement");
}
is_deeply(findings('Shop', $caller), {}, 'and after them there is nothing');
is(join(' ', map { $_->{kind} } $fake->requests), 'TOKEN LIST', 'two requests');
is_deeply(findings('Shop', $caller), {}, 'nor the next time');
is(join(' ', map { $_->{kind} } $fake->requests), 'TOKEN LIST LIST', 'one request, with the token of before');
like(join(' ', @{ ($fake->requests)[-1]{query}{limit} }), qr/^1$/, 'a cheap one');

# Grants: single functions are named one by one
AepTest::run_sql($session, 'REVOKE EXECUTE ON FUNCTION aep.endpoint(name), aep.version() FROM "Caller"');
is_deeply([ values %{ findings('Shop', $caller) } ], ['GRANT EXECUTE ON ROUTINE aep.endpoint(name), aep.version() TO "Caller"'],
	'few functions');

# A member of a role that has the mapping
AepTest::run_sql($session, 'CREATE ROLE member LOGIN IN ROLE "Caller"');
my $member = AepTest::open_session($node, undef, $node->connstr('postgres') . ' user=member');
$found = findings('Shop', $member);
is($found->{'warning: role "Caller", of which member is a member, has a user mapping for server "Shop"'}, 'SET ROLE "Caller"', 'a mapping of a role');
like($found->{'error: role member has no user mapping for server "Shop"'}, qr/^CREATE USER MAPPING FOR member SERVER "Shop" OPTIONS \(api_key/, 'none of its own');
AepTest::close_session($_) foreach ($caller, $member);

# Options that are stored and refused: of another version, or written past the validator.
my %base = (username => 'acme', password => 'sesame', max_attempts => 1, connect_timeout => '2s');
AepTest::create_server($node, $fake, %base);
finds('all is well', 'aep');
sub catalog
{
	my ($set, $table, $where) = @_;

	AepTest::run_sql($session, "UPDATE $table SET $set WHERE $where");
	return;
}
my $of_server = q{srvname = 'aep'};
my $of_mapping = q{umserver = (SELECT oid FROM pg_foreign_server WHERE srvname = 'aep')};
AepTest::run_sql($session, "CREATE TABLE kept AS SELECT srvoptions, umoptions FROM pg_foreign_server, pg_user_mapping WHERE $of_server AND $of_mapping");
catalog(q{srvoptions = array_replace(array_replace(srvoptions, 'max_attempts=1', 'max_attempts=many'), 'advertised_host=db1.example.com', 'advertised_host=127.1') || '{old=x}'::text[]}, 'pg_foreign_server', $of_server);
catalog(q{umoptions = array_replace(umoptions, 'access_token=demo-access-token', E'access_token=Bearer x\n')}, 'pg_user_mapping', $of_mapping);
my $requests = $fake->requests;
my $all = q{ALTER SERVER aep OPTIONS (SET advertised_host '...', SET max_attempts '...', DROP old)};
finds('options that are refused: only all of them together can be changed', 'aep',
	'error: option "max_attempts" of the server is wrong: It must be a whole number from 1 to 10.' => $all,
	'error: option "advertised_host" of the server is wrong: It looks like an IPv4 address, and is not one of four decimal numbers. Write the address as in 203.0.113.7.' => $all,
	'error: option "old" of the server is wrong: There is no such option.' => $all,
	'error: option "access_token" of the user mapping is wrong: It holds a line end, a tab or another control character. Look for what was copied along with it.' => qq{ALTER USER MAPPING FOR $superuser SERVER aep OPTIONS (SET access_token '...')});
is(scalar($fake->requests), $requests, 'nothing is sent by them');
AepTest::run_sql($session, $all =~ s/max_attempts '...'/max_attempts '1'/r =~ s/'\.\.\.'/'db1.example.com'/r);
is($session->{err}, '', 'that statement works');
catalog('umoptions = kept.umoptions FROM kept', 'pg_user_mapping', $of_mapping);
finds('as before', 'aep');

# Each with another mistake that only a request can show.
sub other
{
	my ($name, %options) = @_;

	AepTest::create_server($node, $fake, %base, server => $name, %options);
	return;
}
my $mapping_of = "USER MAPPING FOR $superuser SERVER";
other('expired', access_token => 'stale');
finds_one('an expired token', 'expired', qr/^error: .*the access token was refused \(.*401013/, qr/^ALTER $mapping_of expired OPTIONS \(SET access_token '\.\.\.'\)$/);
other('two', access_token => 'stale', client_secret => 'demo-client-secret', token_url => $fake->url('ims'));
$found = findings('two');
is_deeply([ sort values %$found ], [ ("ALTER $mapping_of two OPTIONS (DROP access_token)") x 2 ], 'one beside a client secret') or diag(explain($found));
my %fetch = (access_token => undef, client_secret => 'demo-client-secret', token_url => $fake->url('ims'));
other('refused', %fetch, client_secret => 'wrong');
finds_one('a wrong client secret', 'refused', qr/^error: .*the credential was refused \(.*invalid_client: "invalid client_secret parameter"/, qr/client_secret/);
other('no_ims', %fetch, token_url => 'https://nowhere.invalid/ims/token/v3');
finds_one('no token host', 'no_ims', qr/^error: could not fetch an access token .*libcurl says: /, qr/token_url/);
other('nothing_there', %fetch, client_secret => 'wrong', base_url => $fake->url('refused'));
$found = findings('nothing_there');
is(join(' ', map { /(token|connections)/ } sort keys %$found), 'token connections', 'neither token nor gateway: both are told') or diag(explain($found));
other('org', org_id => ('0' x 24) . '@AdobeOrg');
finds_one('another organisation', 'org', qr/^error: .*403025/, qr/org_id/);
other('key', api_key => 'wrong');
finds_one('a wrong key', 'key', qr/^error: .*403003/, qr/api_key/);
other('sandbox', sandbox => 'nowhere');
finds_one('a wrong sandbox', 'sandbox', qr/^error: .*the sandbox does not exist .*FLOW-2100/, qr/the server option sandbox/);
other('forbidden', sandbox => 'forbidden');
finds_one('no permission', 'forbidden', qr/^error: .*FLOW-2118/, qr/Manage Sources/);
other('unknown_ca', base_url => $fake->url('unknown_ca'));
finds_one('a certificate', 'unknown_ca', qr/^error: .*certificate/, qr/ca_file/);
other('refusing', base_url => $fake->url('refused'));
finds_one('nobody there', 'refusing', qr/^error: .*could not connect/, qr/base_url/);
other('private', advertised_host => '10.0.0.1');
finds_one('a private address', 'private', qr/^warning: .*"10\.0\.0\.1": That is a private address/, qr/^ALTER SERVER private OPTIONS \(SET advertised_host '\.\.\.'\)$/);
AepTest::run_sql($session, "ALTER SERVER private OPTIONS (SET base_url '" . $fake->url('http') . "', SET advertised_host '127.0.0.1')");
finds('a loopback address of a platform here', 'private');
AepTest::run_sql($session, 'DROP ' . "$mapping_of private");
finds('no mapping, and a gateway that is there', 'private',
	"error: role $superuser has no user mapping for server private" =>
	  "CREATE $mapping_of private OPTIONS (api_key '...', client_secret '...')");

# What is not Experience Platform, and a clock that is wrong.
my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0, Listen => 5, Timeout => 60) or die "socket: $!";
other('other', base_url => 'http://127.0.0.1:' . $listener->sockport);
sub answered
{
	my ($answer) = @_;

	AepTest::begin_sql($session, "SELECT severity || ': ' || finding, remedy FROM aep.check_server('other')");
	my $client = $listener->accept or die 'nobody connected';
	while (my $line = <$client>) { last if $line =~ /^\r\n/; }
	print $client "HTTP/1.1 $answer";
	close $client;
	my $out = AepTest::end_sql($session);
	is($session->{err}, '', 'nothing fails');
	return $out;
}
sub http_answer
{
	my ($body, $seconds) = @_;

	return "200 OK\r\nDate: " . strftime('%a, %d %b %Y %H:%M:%S GMT', gmtime(time + $seconds)) . "\r\nConnection: close\r\nContent-Length: "
	  . length($body) . "\r\n\r\n$body";
}
my $list = '{"items":[]}';
is(answered(http_answer($list, 0)), '', 'a list');
is(answered(http_answer($list, -200)), '', 'a clock that is almost right');
like(answered(http_answer($list, -1000)), qr/^warning: the clock of the database server is (?:999|100\d) s ahead of that of Experience Platform\|Set the clock/, 'one that is ahead');
like(answered(http_answer($list, 1000)), qr/^warning: the clock of the database server is (?:99\d|1000) s behind that of/, 'one that is behind');
like(answered(http_answer('<html>log in</html>', 0)), qr/^error: could not understand .*<html>log in.*\|.*base_url/, 'a login page');
like(answered(http_answer('{"hello":1}', 0)), qr/^error: .*has no "items"/, 'another service');
like(answered("302 Found\r\nLocation: http://portal.example.com/\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"),
	qr/^error: .*HTTP status 302, and leads to "http:\/\/portal\.example\.com\/".*\|.*base_url/, 'a redirect');

# Nothing secret is in a finding or the log.
unlike(slurp_file($node->logfile), qr/sesame|demo-client-secret|Bearer x/, 'no secret in the log');
AepTest::run_sql($session, 'SELECT * FROM aep.check_server(NULL)');
like($session->{err}, qr/^ERROR:  22004:/m, 'a server is needed');
AepTest::close_session($session);
done_testing();
