# What a change of a connection does not name stays as the service shows it;
# what the service hides must be given with it, and the error says what.
use strict;
use warnings;

use AepTest;
use Calls qw(call_in run value query fails kinds create);
use JSON::PP;
use Test::More;

my $uuid = qr/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/;
my $fake = AepTest::start_fake('--record-secrets');
my $node = AepTest::start_node('main');
my $dbname = AepTest::create_database($node, 'UTF8');
my %login = (dbname => $dbname, username => 'mapped', password => 'sesame mapped', advertised_port => 5432);
AepTest::create_server($node, $fake, %login);
AepTest::create_server($node, $fake, %login, server => 'no_login', username => undef, password => undef);

my $session = AepTest::open_session($node, $dbname);
AepTest::run_sql($session, "SET client_encoding = 'UTF8'");
call_in($session, $fake);

# A connection that has nothing of this database's defaults.
my %far = (
	server => 'far.example.com',
	port => '6543',
	database => 'sales',
	username => 'reader',
	password => 'p1',
	sslMode => 'Verify Full');

sub create_far
{
	return create($_[0], ", host => 'far.example.com', port => 6543, database => 'sales', username => 'reader', "
		  . "password => 'p1', ssl_mode => 'Verify Full'");
}

sub update
{
	my ($id, $arguments) = @_;

	return "SELECT id FROM aep.update_connection('$id', $arguments)";
}

# Runs an update; these parameters must be sent, whole.
sub sends
{
	my ($what, $id, $arguments, %params) = @_;
	my $result = run(update($id, $arguments));

	is($result->{out}, $id, "$what: succeeds") or diag $result->{err};
	is(kinds($result), 'GET PATCH', "$what: a reading and a change");
	is_deeply(
		$result->{requests}[1]{body},
		[ { op => 'replace', path => '/auth/params', value => \%params } ],
		"$what: what is sent");
	return $result;
}

# Runs an update that lacks arguments; they are named twice, once in the hint.
sub lacks
{
	my ($what, $id, $arguments, $missing, $more) = @_;
	my $error = fails($what, '22004', update($id, $arguments));

	$more //= '';
	like($error, qr/^ERROR:  22004: more arguments are needed to change login or address of base connection $uuid$/m, "$what: the message");
	like($error, qr/^DETAIL:  Experience Platform replaces all of it at once, and does not show \Q$missing\E\.$/m, "$what: the detail");
	like($error, qr/^HINT:  Give \Q$missing\E too\.\Q$more\E$/m, "$what: the hint");
	return;
}
my $or_mapping = ' replace_credentials => true stands for the username and password of the user mapping.';

# --- a password alone is for the login that is there, where it is ---

my $id = create_far('far');
sends('a new password', $id, "password => 'p2'", %far, password => 'p2');
is(run(update($id, "password => 'p2'"))->{err}, '', 'the login is not ours: nothing is warned of');

# --- what is named changes, and nothing else ---

my %argument = (
	"username => 'other'" => [ username => 'other' ],
	"ssl_mode => 'Allow'" => [ sslMode => 'Allow' ],
	"host => 'near.example.com'" => [ server => 'near.example.com' ],
	'port => 7654' => [ port => '7654' ],
	"database => 'crm'" => [ database => 'crm' ]);
foreach my $argument (sort keys %argument)
{
	my $of = create_far("change of $argument");

	lacks("$argument alone", $of, $argument, 'password', $argument =~ /username/ ? '' : $or_mapping);
	is(value("SELECT entity #>> '{auth,params,sslMode}' FROM aep.connection('$of')"), 'Verify Full', "$argument alone: nothing is changed");
	sends("$argument, password", $of, "$argument, password => 'p2'", %far, @{ $argument{$argument} }, password => 'p2');
}

# --- the mapping's login, only where it is meant ---

sends('replace_credentials', $id, 'replace_credentials => true', %far, username => 'mapped', password => 'sesame mapped');
sends('the mapping\'s username is shown', $id, "host => 'db2.example.com'",
	%far, server => 'db2.example.com', username => 'mapped', password => 'sesame mapped');
sends('the mapping\'s username is given', create_far('given'), "username => 'mapped'", %far, username => 'mapped', password => 'sesame mapped');
$id = create_far('not the mapping\'s');
sends('replace_credentials and a password', $id, "replace_credentials => true, password => 'p3'", %far, password => 'p3');
lacks('replace_credentials and a username', $id, "replace_credentials => true, username => 'u'", 'password');
my $error = fails('replace_credentials without any', '22004', update($id, "replace_credentials => true, server => 'no_login'"));
like($error, qr/argument "username" must not be null.*HINT:  Give the argument, or set the option of that name in the user mapping/s, 'says so');
lacks('no mapping\'s login', $id, "port => 1, server => 'no_login'", 'password');

# --- another type needs what cannot be seen; a connection string shows nothing ---

my $string = 'Server=far.example.com;Database=sales;Port=6543;UID=reader;Password=';
my $strict = ';EncryptionMethod=1;ValidateServerCertificate=1';
lacks('another type', $id, "auth_type => 'connection_string'", 'password', $or_mapping);
my $result = run(update($id, "auth_type => 'connection_string', password => 'p4'"));
is_deeply(
	$result->{requests}[1]{body},
	[ { op => 'replace', path => '/auth', value => { specName => 'Connection String Based Authentication', params => { connectionString => "${string}p4$strict" } } } ],
	'another type: all that is shown stays, TLS too');
my $rest = 'ssl_mode, host, port, database';
lacks('a string: a password', $id, "password => 'p5'", "username, $rest");
lacks('a string: an SSL mode', $id, "ssl_mode => 'Require'", 'username, password, host, port, database', $or_mapping);
lacks('a string: replace_credentials', $id, 'replace_credentials => true', $rest);
lacks('a string: another type', $id, "auth_type => 'basic'", "username, password, $rest", $or_mapping);
my $all = "username => 'reader', password => 'p5', ssl_mode => 'Require', host => 'far.example.com', port => 6543, database => 'sales'";
$result = run(update($id, $all));
is($result->{requests}[1]{body}[0]{value}{connectionString},
	"${string}p5;EncryptionMethod=1;ValidateServerCertificate=0", 'a string: all of it');
fails('what no string can hold', '22023', update($id, $all =~ s/'p5'/'a;b'/r));
$result = run(update($id, "auth_type => 'basic', $all"));
is($result->{requests}[1]{body}[0]{value}{specName}, 'Basic Authentication', 'back');
sends('the type that it has', $id, "auth_type => 'basic', password => 'p6'", %far, sslMode => 'Require', password => 'p6');

# --- the hint leads out: what it names is enough ---

my %value = (
	username => "'reader'",
	password => "'p'",
	auth_type => "'basic'",
	ssl_mode => "'Require'",
	host => "'h.example.com'",
	port => '1',
	database => "'d'");
foreach my $type (qw(basic connection_string))
{
	foreach my $first (sort keys %value)
	{
		my $of = create("leads out $type $first", ", auth_type => '$type', username => 'u', password => 'p'");
		my $arguments = "$first => $value{$first}";

		if (run(update($of, $arguments))->{err} =~ /^HINT:  Give ([a-z_, ]+) too\./m)
		{
			$arguments .= join '', map { ", $_ => $value{$_}" } split /, /, $1;
		}
		is(run(update($of, $arguments))->{out}, $of, "$type, $first: the hint leads out");
	}
}

# --- what is shown otherwise than by this extension ---

# A connection that is read with these parameters, and their type.
my $shown_id = '00000000-1111-4222-8333-444444444444';
my %shown;

sub shows
{
	my ($what, $params, $type) = @_;
	my $body = encode_json(
		{   items => [
				{   id => $shown_id,
					etag => '"x"',
					name => 'n',
					auth => { specName => $type // 'Basic Authentication', params => $params } } ] });

	$body =~ s/([^A-Za-z0-9])/sprintf '%%%02X', ord $1/ge;
	$shown{$what} = create("fault:on=GET,body=$body");
	return $shown{$what};
}

# An update with its real etag, so that it is taken.
sub with_etag
{
	my ($of, $arguments) = @_;
	my ($name) = map { $_->{name} } grep { $_->{id} eq $of } $fake->connections;
	my $etag = value('SELECT etag FROM aep.connections(name => ' . AepTest::literal($name) . ')');

	return "$arguments, etag => '$etag'";
}
my %of = (%far, password => undef);
delete $of{password};

foreach my $hidden (sort keys %of)
{
	my %rest = %of;
	delete $rest{$hidden};
	my $name = { server => 'host', sslMode => 'ssl_mode' }->{$hidden} // $hidden;
	my ($given) = $hidden eq 'username' ? "password => 'p2'" : "username => 'reader', password => 'p2'";

	lacks("$hidden is hidden", shows("no $hidden", \%rest), $given, $name);
	lacks("$hidden is masked", shows("masked $hidden", { %of, $hidden => '*****' }), $given, $name);
	lacks("$hidden is empty", shows("empty $hidden", { %of, $hidden => '' }), $given, $name);
}
lacks("the port is $_", shows("port $_", { %of, port => $_ }), "password => 'p2'", 'port') foreach ('x', '70000', '-1', '1.5', '5432 ');
my $number = shows('a number', { %of, port => 6543 });
sends('a port that is a number', $number, with_etag($number, "password => 'p2'"), %far, password => 'p2');
my $boolean = shows('AWS', { %of, sslMode => 'false' });
sends('an sslMode of another cloud', $boolean, with_etag($boolean, "password => 'p2'"), %far, sslMode => 'false', password => 'p2');
lacks('which no string has', $boolean, "auth_type => 'connection_string', password => 'p2'", 'ssl_mode');
my $echoed = shows('a password', { %of, password => 'shown', authorizedDate => '2024-01-01' });
lacks('a password that is shown', $echoed, 'port => 1', 'password', $or_mapping);
lacks('a type that is not known', shows('old', \%of, 'Basic Authentication for PostgreSQL'), "password => 'p2'", 'auth_type');
my $unknown = shows('unknown', { %of, 'role"' => 'x' });
$error = fails('a parameter that would be lost', '0A000', update($unknown, "password => 'p2'"));
like($error, qr/base connection $shown_id has a parameter that is not known here.*would lose "role"" in its auth\.params/s, 'says which');
is(kinds(run(update($unknown, "password => 'p2'"))), 'GET', 'and nothing is sent');

# --- text that this database's encoding cannot hold would come back changed ---

my $wide = value("SELECT id FROM aep.create_base_connection(name => 'wide', host => 'h.example.com', database => U&'\\6570', username => 'u', password => 'p')");
my $narrow = AepTest::create_database($node, 'LATIN1');
AepTest::create_server($node, $fake, %login, dbname => $narrow);
my $narrow_session = AepTest::open_session($node, $narrow);
call_in($narrow_session);
lacks('text that comes as "?"', $wide, "password => 'p2'", 'database');
AepTest::close_session($narrow_session);
call_in($session);

# --- who cannot read the mapping of PUBLIC does not send it to an address of their own ---

$node->safe_psql($dbname, <<'SQL');
CREATE ROLE caller LOGIN;
GRANT USAGE ON SCHEMA aep TO caller;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA aep TO caller;
GRANT USAGE ON FOREIGN SERVER aep TO caller;
CREATE USER MAPPING FOR PUBLIC SERVER aep
    OPTIONS (api_key 'demo-api-key', access_token 'demo-access-token', username 'mapped', password 'sesame mapped');
SQL
my $evil = create_far('evil');
my $own = create('own');
query('SET ROLE caller');
$error = fails('replace_credentials at another address', '42501', update($evil, 'replace_credentials => true'));
like($error, qr/DETAIL:  That is host "db1\.example\.com", port 5432\.\nHINT:  Give username and password too/, 'says where it belongs');
fails('the mapping\'s username at another address', '42501', update($evil, "username => 'mapped'"));
fails('to another address', '42501', update($own, "host => 'far.example.com'"));
fails('to another port', '42501', update($own, 'port => 1'));
is(run(update($own, "ssl_mode => 'Require'"))->{out}, $own, 'at its own');
is(run(update($evil, "username => 'mapped', password => 'known'"))->{out}, $evil, 'with a password that is given');
query('RESET ROLE');

# --- a managed connection's login is changed by rotation only ---

query("CREATE TABLE orders (id integer); CALL aep.create_ingest_role('aep_ingest', '{public}', name => 'managed')");
my $managed = value('SELECT connection_id FROM aep.ingest_role_status()');
foreach my $change ("password => 'p'", "username => 'u', password => 'p'", "host => 'h.example.com'", 'port => 1', "database => 'd'",
	"ssl_mode => 'Require'", "auth_type => 'connection_string'", 'replace_credentials => true', "name => 'x', password => 'p'")
{
	my $error = fails("managed: $change", '55000', update($managed, $change), 0);

	like($error, qr/login and address of base connection $managed are managed here.*HINT:  Use CALL aep\.rotate_credentials\('$managed'\)/s, "managed: $change: says so");
}
is(run(update($managed, "name => 'renamed', description => 'd', state => 'disabled'"))->{out}, $managed, 'managed: name, description and state');
like(query("CALL aep.rotate_credentials('$managed')"), qr/^aep_ingest_b\|/, 'managed: and the rotation that the hint names');

AepTest::close_session($session);
done_testing();
