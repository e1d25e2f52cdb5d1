# aep.ensure_base_connection() changes what it is given, keeps the rest, and takes nobody else's connection over.
use strict;
use warnings;

use AepTest;
use Calls qw(call_in run value query fails kinds create);
use File::Basename qw(dirname);
use JSON::PP;
use Test::More;

my $uuid = qr/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/;
my $fake = AepTest::start_fake('--record-secrets');
my $node = AepTest::start_node('main');
$node->safe_psql('postgres', "CREATE DATABASE $_") foreach (qw(crm sales));
$node->safe_psql('crm', 'CREATE EXTENSION aep');
my %login = (dbname => 'crm', username => 'mapped', password => 'sesame mapped', advertised_port => 5432);
AepTest::create_server($node, $fake, %login);
AepTest::create_server($node, $fake, %login, server => 'second', advertised_host => 'db2.example.com');

my $session = AepTest::open_session($node, 'crm');
AepTest::run_sql($session, "SET client_encoding = 'UTF8'");
call_in($session, $fake);

sub ensure
{
	my ($arguments) = @_;

	return "SELECT id, action FROM aep.ensure_base_connection($arguments)";
}

# Runs an ensure; it must do this, with a change of these parameters if any.
sub does
{
	my ($what, $arguments, $action, %params) = @_;
	my $result = run(ensure($arguments));
	my ($patch) = grep { $_->{kind} eq 'PATCH' } @{ $result->{requests} };

	like($result->{out}, qr/^$uuid\|$action$/, "$what: $action") or diag $result->{err};
	is_deeply(
		$patch->{body},
		%params ? [ { op => 'replace', path => '/auth/params', value => \%params } ] : undef,
		"$what: the change");
	return ($result->{out} =~ /^($uuid)/)[0];
}

# --- what is not given stays ---

my %near = (
	server => 'db1.example.com',
	port => '5432',
	database => 'crm',
	username => 'u',
	password => 'p1',
	sslMode => 'Verify Full');
my $near = "username => 'u', password => 'p1', ssl_mode => 'Verify Full', description => 'ours'";
my $id = does('a new one', "name => 'near', $near", 'created');
does('the same again', "name => 'near', $near", 'unchanged');
does('nothing but the name', "name => 'near'", 'unchanged');
does('nothing to adopt', "name => 'near', adopt => true", 'unchanged');
does('another username', "name => 'near', username => 'mapped'", 'updated', %near, username => 'mapped', password => 'sesame mapped');
does('and back', "name => 'near', username => 'u', password => 'p2'", 'updated', %near, password => 'p2');
does('another SSL mode', "name => 'near', ssl_mode => 'Require', password => 'p3'", 'updated', %near, password => 'p3', sslMode => 'Require');
does('which stays', "name => 'near'", 'unchanged');
does('a password that nobody asked to be sent', "name => 'near', password => 'p4'", 'unchanged');
does('a password', "name => 'near', password => 'p4', replace_credentials => true", 'updated', %near, password => 'p4', sslMode => 'Require');
does('the mapping\'s login', "name => 'near', replace_credentials => true", 'updated',
	%near, username => 'mapped', password => 'sesame mapped', sslMode => 'Require');
like(fails('no password for it', '22004', ensure("name => 'near', username => 'u'")), qr/^HINT:  Give password too\.$/m, 'no password: the hint');
is(value("SELECT description FROM aep.connection('$id')"), 'ours', 'the description stays, too');

# The type stays as well; no other one is asked for.
my $string = 'Server=db1.example.com;Database=crm;Port=5432;UID=u;Password=';
my $default = 'PostgreSQL crm at db1.example.com:5432';
$id = does('a connection string', "auth_type => 'connection_string', username => 'u', password => 'p1'", 'created');
is(value("SELECT name || ' ' || auth_spec FROM aep.connection('$id')"), "$default Connection String Based Authentication", 'of the default name');
does('a connection string again', '', 'unchanged');
does('by that name', "name => '$default'", 'unchanged');
like(fails('a string is sent as a whole', '22004', ensure('replace_credentials => true')), qr/^HINT:  Give ssl_mode too\.$/m, 'a string: the hint');
does('a string', "username => 'u', password => 'p2', replace_credentials => true, ssl_mode => 'Require'",
	'updated', connectionString => "${string}p2;EncryptionMethod=1;ValidateServerCertificate=0");
my $result = run(ensure("auth_type => 'basic', username => 'u', password => 'p3', ssl_mode => 'Require'"));
is_deeply($result->{requests}[1]{body}[0]{value}, { specName => 'Basic Authentication', params => { %near, password => 'p3', sslMode => 'Require' } },
	'another type is another type');
does('which stays', '', 'unchanged');

# An SSL mode that is asked for, and is not there where all else is, is not there.
my $bare = 'fault:on=LIST,hide=sslMode bare';
create($bare, ", username => 'u', password => 'p'");
does('an SSL mode that is not there', "name => '$bare'", 'unchanged');
like(fails('an SSL mode that is asked for', '22004', ensure("name => '$bare', ssl_mode => 'Verify Full'")),
	qr/^HINT:  Give password too\./m, 'is missed');
like(fails('and is not put back', '22004', ensure("name => '$bare', replace_credentials => true")),
	qr/^HINT:  Give ssl_mode too\.$/m, 'nor guessed');

# --- another address is another database's ---

my %far = (%near, server => 'db2.example.com');
my $theirs = create('crm', ", server => 'second'");
my $adopt = 'Give another name, or none: the default name holds the address. If this connection shall be this database\'s from now on, give adopt => true.';

# It is refused, with the two addresses; nothing is changed.
sub is_anothers
{
	my ($what, $arguments, $theirs, $shown, $wanted) = @_;
	my $error = fails($what, '42710', ensure($arguments), 1);
	my $named = $arguments =~ /name => '(.*?)'/ ? $1 : '';

	like($error, qr/^ERROR:  42710: base connection "\Q$named\E" in Experience Platform is another database's$/m, "$what: the message");
	like($error, qr/^DETAIL:  $theirs leads to database \Q$shown\E; wanted is database \Q$wanted\E\.$/m, "$what: the detail");
	like($error, qr/^HINT:  \Q$adopt\E$/m, "$what: the hint");
	return;
}
my $here = '"crm" at db1.example.com, port 5432';
is_anothers('another server\'s', "name => 'crm'", $theirs, '"crm" at db2.example.com, port 5432', $here);
is_anothers('another server\'s, all given', "name => 'crm', $near, replace_credentials => true", $theirs, '"crm" at db2.example.com, port 5432', $here);
is(value("SELECT description IS NULL FROM aep.connection('$theirs')"), 't', 'another server\'s: stays as it was');
value("SELECT id FROM aep.update_connection('$theirs', state => 'disabled')");
is_anothers('another server\'s, disabled', "name => 'crm'", $theirs, '"crm" at db2.example.com, port 5432', $here);
is(value("SELECT state FROM aep.connection('$theirs')"), 'disabled', 'another server\'s: is not enabled');
value("SELECT id FROM aep.update_connection('$theirs', state => 'enabled')");
my %other = (host => "'db3.example.com'", port => 1, database => "'sales'");
my %shown = (host => '"crm" at db3.example.com, port 5432', port => '"crm" at db1.example.com, port 1', database => '"sales" at db1.example.com, port 5432');
foreach my $part (sort keys %other)
{
	my $other = create("of $part", ", $part => $other{$part}, username => 'u', password => 'p'") // '';

	is_anothers("another $part", "name => 'of $part'", $other, $shown{$part}, $here);
	does("another $part that is given", "name => 'of $part', $part => $other{$part}", 'unchanged');
	is_anothers("another $part is wanted", "name => 'near', $part => $other{$part}, password => 'p'", $uuid, $here, $shown{$part});
}
does('a host in other letters', "name => 'near', host => 'DB1.Example.com'", 'unchanged');

# Told to, it moves here, and keeps the rest.
does('adopted', "name => 'crm', adopt => true", 'updated', %near, username => 'mapped', password => 'sesame mapped', sslMode => 'Prefer');
does('and again', "name => 'crm', adopt => true", 'unchanged');
does('and without', "name => 'crm'", 'unchanged');
is_anothers('the others see that', "name => 'crm', server => 'second'", $theirs, $here, '"crm" at db2.example.com, port 5432');
my $lent = create('lent', ", host => 'db9.example.com', username => 'u', password => 'p'");
like(fails('adopted, with a login of which there is no password', '22004', ensure("name => 'lent', adopt => true")),
	qr/^HINT:  Give password too\. replace_credentials => true stands for/m, 'says what to give');
does('adopted with its login', "name => 'lent', password => 'p5', adopt => true", 'updated', %near, password => 'p5', sslMode => 'Prefer');

# --- an address that is hidden may be another database's ---

my $hidden = create('hidden', ", auth_type => 'connection_string'");
my $error = fails('a hidden address', '42710', ensure("name => 'hidden'"), 1);
like($error, qr/base connection "hidden" in Experience Platform may be another database's\nDETAIL:  Experience Platform does not show to which address $hidden leads\.\nHINT:  \Q$adopt\E$/m, 'says so');
does('a hidden address that is said to be ours', "name => 'hidden', adopt => true", 'unchanged');
does('is this database\'s when it is sent', "name => 'hidden', adopt => true, replace_credentials => true, ssl_mode => 'Prefer'", 'updated',
	connectionString => 'Server=db1.example.com;Database=crm;Port=5432;UID=mapped;Password=sesame mapped;EncryptionMethod=6;ValidateServerCertificate=0');
foreach my $part (qw(server port database))
{
	my $name = "fault:on=LIST,hide=$part";

	create($name, ", username => 'u', password => 'p'");
	like(fails("a hidden $part", '42710', ensure("name => '$name'"), 1), qr/may be another database's/, 'may be anything');
}
like(fails('a hidden port of another host', '42710', ensure("name => 'fault:on=LIST,hide=port', host => 'h.example.com'"), 1),
	qr/another database's\nDETAIL:  $uuid leads to database "crm" at db1\.example\.com, port \?;/, 'is another address');

# --- a managed connection is ours, and its login is changed by rotation only ---

query("CREATE TABLE orders (id integer); CALL aep.create_ingest_role('aep_ingest', '{public}', name => 'managed', auth_type => 'connection_string')");
my $managed = value('SELECT connection_id FROM aep.ingest_role_status()');
is(does('a managed one whose address is hidden', "name => 'managed'", 'unchanged'), $managed, 'is ours');
is(run(ensure("name => 'managed', description => 'd'"))->{out}, "$managed|updated", 'its description');
foreach my $arguments ('replace_credentials => true', "auth_type => 'basic'")
{
	like(fails("managed: $arguments", '55000', ensure("name => 'managed', $arguments"), 1), qr/aep\.rotate_credentials\('$managed'\)/, 'says what to call');
}
query("CALL aep.create_ingest_role('aep_basic', '{public}', name => 'managed basic')");
foreach my $arguments ("username => 'u', password => 'p'", "ssl_mode => 'Require'", "host => 'h.example.com'", "port => 1, adopt => true")
{
	fails("managed: $arguments", '55000', ensure("name => 'managed basic', $arguments"), 1);
}
query("CALL aep.create_ingest_role('aep_named', '{public}', host => 'far.example.com')");
is(value("SELECT connection_name FROM aep.ingest_role_status() WHERE role_name = 'aep_named'"),
	'PostgreSQL crm at far.example.com:5432', 'the default name of a managed one holds its address');
does('managed, as it is', "name => 'managed basic'", 'unchanged');
AepTest::close_session($session);

# --- the script of the cookbook, on two clusters that both have a database of that name ---

my $setup = dirname(__FILE__) . '/../doc/cookbook/setup.sql';
my $other = AepTest::start_node('other');
$other->safe_psql('postgres', 'CREATE DATABASE shop');
$node->safe_psql('postgres', 'CREATE DATABASE shop');
my %settings = (
	ORG_ID => $AepTest::ORG,
	API_KEY => 'demo-api-key',
	CLIENT_SECRET => 'demo-client-secret',
	DB_PASSWORD => 'sesame',
	BASE_URL => $fake->url,
	TOKEN_URL => $fake->url('ims'),
	CA_FILE => $fake->ca_file);
$ENV{"AEP_$_"} = $settings{$_} foreach (keys %settings);

sub set_up
{
	my ($on, $host, @more) = @_;
	my ($out, $err);

	local $ENV{AEP_ADVERTISED_HOST} = $host;
	IPC::Run::run([ 'psql', '-X', '-At', @more, '-f', $setup, $on->connstr('shop') ], '>', \$out, '2>', \$err);
	return $out =~ /^($uuid)\|(\w+)$/m ? "$1 $2" : $err;
}
my $first = set_up($node, 'east.example.com');
my $second = set_up($other, 'west.example.com');
like($first, qr/^$uuid created$/, 'the first cluster');
like($second, qr/^$uuid created$/, 'the second cluster');
isnt($first, $second, 'each its own');
is(set_up($node, 'east.example.com'), $first =~ s/created/unchanged/r, 'run again, the first');
is(set_up($other, 'west.example.com'), $second =~ s/created/unchanged/r, 'run again, the second');
$ENV{AEP_CONNECTION_NAME} = 'Shop';
$first = set_up($node, 'east.example.com');
like($first, qr/^$uuid created$/, 'by a name: the first');
like(set_up($other, 'west.example.com'), qr/ERROR:  base connection "Shop" in Experience Platform is another database's/, 'by the same name: the second');
is(set_up($node, 'east.example.com'), $first =~ s/created/unchanged/r, 'by a name: the first, again');

done_testing();
