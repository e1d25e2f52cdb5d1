# What a caller must not get to see: secrets of other sources' connections, a body
# that comes back, the login behind the user mapping of PUBLIC.
use strict;
use warnings;

use AepTest;
use Calls qw(call_in run value json fails create);
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $fake = AepTest::start_fake('--secrets-on-get', 'echo', '--record-secrets');
my $node = AepTest::start_node('main', 'log_statement = none');
AepTest::create_server($node, $fake, username => 'mapped', password => 'sesame mapped');
my $session = AepTest::open_session($node);
call_in($session, $fake);

# Entities of any source, as the service may show them.
sub encoded { return join('', map { sprintf('%%%02X', ord) } split //, $_[0]); }

sub entity_of
{
	my ($auth) = @_;
	my %entity = (id => '69f188b6-af07-4587-8061-e94d34637b41', name => 'x', etag => '"1"', auth => $auth);
	my $body = encoded(encode_json({ items => [ \%entity ] }));
	my $name = "fault:on=GET|LIST,body=$body";
	my $id = create($name);
	my $shown = json("SELECT entity FROM aep.connection('$id')");

	is($shown->{name}, 'x', 'the entity is the one');
	return $shown->{auth};
}
my %params = (
	server => 'db1.example.com', port => '5432', database => 'shop', username => 'acme', sslMode => 'Prefer',
	host => 'h', authorizedDate => '2026-11-01',
	password => 'sesame', connectionString => 'Server=x;Password=sesame', secretAccessKey => 'sesame',
	s3SecretKey => 'sesame', securityToken => 'sesame', accessKey => 'sesame', Password => 'sesame', USERNAME => 'sesame',
	number => 4711, nested => { password => 'sesame' }, list => ['sesame'], nothing => undef, yes => JSON::PP::true);
my $auth = entity_of({ specName => 'Any', params => \%params });
is($auth->{specName}, 'Any', 'what stands beside the parameters is shown');
is_deeply([ sort keys %{ $auth->{params} } ], [ sort keys %params ], 'so are the names of all parameters');
my %harmless = map { $_ => 1 } qw(server host port database username sslMode authorizedDate);
is($auth->{params}{$_}, $harmless{$_} ? $params{$_} : '********', "$_ is " . ($harmless{$_} ? 'shown' : 'masked'))
  foreach (sort keys %params);

# What hides behind a harmless name, or is no object at all, is masked whole.
is_deeply(entity_of({ params => { server => { password => 'sesame' }, username => ['sesame'], port => 5432 } })->{params},
	{ server => '********', username => '********', port => 5432 }, 'objects and arrays in place of a text');
is(entity_of({ params => $_ })->{params}, '********', 'parameters that are no object') foreach ('Password=sesame', ['sesame'], 4711);
is_deeply(entity_of({ params => {} })->{params}, {}, 'none');
is_deeply(entity_of({ specName => 'None' }), { specName => 'None' }, 'no parameters');
is(entity_of('sesame?'), 'sesame?', 'what is no authentication is left alone');

# Many of them.
my $many = entity_of({ params => { map { ("key$_" => 'sesame') } 1 .. 5000 } });
is(join(' ', sort { $a cmp $b } values %{ $many->{params} }), join(' ', ('********') x 5000), 'many parameters');

# A body that comes back in a later attempt's error.
my $patch = q{body => '[{"op": "replace", "path": "/auth/params", "value": {"server": "s", "port": "1", "database": "d", "username": "u", "password": "sesame body"}}]'};
foreach my $shape (qw(current html text message))
{
	my $echoed = create("fault:on=PATCH,reset=before,times=1;on=PATCH,status=400,echo=1,shape=$shape");
	my $err = fails("a refusal as $shape that repeats the body", '08007',
		"SELECT * FROM aep.request('PATCH', '/flowservice/connections/$echoed', $patch, headers => "
		  . "(SELECT jsonb_build_object('If-Match', etag) FROM aep.connection('$echoed')))");
	like($err, qr/DETAIL:  The service answered with HTTP status 400.* are not shown\.$/m, 'what it says is not shown');
	unlike($err, qr/sesame/, 'nor is the body');
}
unlike(slurp_file($node->logfile), qr/sesame body/, 'nor is it in the log');

# The mapping of PUBLIC: its login goes nowhere but to this database, and aep.request
# would bring it anywhere.
run(<<'SQL');
CREATE USER MAPPING FOR PUBLIC SERVER aep
    OPTIONS (api_key 'demo-api-key', access_token 'demo-access-token', username 'shared', password 'sesame shared');
CREATE ROLE shared LOGIN;
CREATE ROLE caller;
CREATE ROLE owner;
GRANT USAGE ON SCHEMA aep TO caller, owner;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA aep TO caller, owner;
GRANT USAGE ON FOREIGN SERVER aep TO caller;
SET ROLE caller
SQL
my $made = create('made without seeing the login');
my $elsewhere = q{body => '[{"op": "replace", "path": "/auth/params/server", "value": "evil.example.com"}]'};
foreach my $call (
	"'PATCH', '/flowservice/connections/$made', $elsewhere, headers => '{\"If-Match\": \"*\"}'",
	"'GET', '/flowservice/connections/$made'",
	"'POST', '/flowservice/connections', body => '{}'")
{
	like(fails('aep.request', '42501', "SELECT * FROM aep.request($call)", 0),
		qr/HINT:  Use a user mapping of your own/, 'says what to use');
}
fails('another host', '42501', "SELECT aep.base_connection_request(host => 'evil.example.com')", 0);
is(json("SELECT entity FROM aep.connection('$made')")->{auth}{params}{password}, '********', 'nor is it shown');

# Who may see the mapping may use all of it; so may who brings a mapping of their own.
run('RESET ROLE; ALTER SERVER aep OWNER TO owner; DROP USER MAPPING FOR CURRENT_USER SERVER aep');
is(value("SELECT status FROM aep.request('GET', '/flowservice/connections/$made')"), 200, 'a superuser');
run('SET ROLE owner');
is(value("SELECT status FROM aep.request('GET', '/flowservice/connections/$made')"), 200, 'the owner of the server');
is(value("SELECT aep.base_connection_request(host => 'db2.example.com') #>> '{auth,params,server}'"), 'db2.example.com', 'to another host');
run("SET ROLE caller; CREATE USER MAPPING FOR caller SERVER aep OPTIONS (api_key 'demo-api-key', access_token 'demo-access-token')");
is(value("SELECT status FROM aep.request('GET', '/flowservice/connections/$made')"), 200, 'a mapping of their own');

AepTest::close_session($session);
done_testing();
