# A login of half of one and half of another is refused, and one that cannot work is warned of.
use strict;
use warnings;

use AepTest;
use Calls qw(call_in run value query fails);
use Encode qw(encode);
use Test::More;

my $fake = AepTest::start_fake();
my $node = AepTest::start_node('main');
my $dbname = AepTest::create_database($node, 'UTF8');
my %login = (dbname => $dbname, username => 'mapped', password => 'sesame mapped', advertised_port => 5432);
AepTest::create_server($node, $fake, %login);
AepTest::create_server($node, $fake, %login, server => 'no_username', username => undef);
AepTest::create_server($node, $fake, %login, server => 'no_password', password => undef);
AepTest::create_server($node, $fake, %login, server => 'no_login', username => undef, password => undef);

my $session = AepTest::open_session($node, $dbname);
AepTest::run_sql($session, "SET client_encoding = 'UTF8'");
call_in($session, $fake);

# What creates, or shows what would be created, with these arguments.
my %made_by = (
	create => sub { return "SELECT count(*) FROM aep.create_base_connection($_[0])" },
	request => sub { return "SELECT count(*) FROM aep.base_connection_request($_[0])" },
	ensure => sub { return "SELECT count(*) FROM aep.ensure_base_connection($_[0])" },
	batch => sub {
		my ($arguments, $server) = $_[0] =~ /^(.*?)(?:, server => ('\w+'))?$/s;

		return "SELECT count(id) FROM aep.create_base_connections(ARRAY[aep.base_connection_spec($arguments)]"
		  . ($server ? ", $server)" : ')');
	});
my $unique = 0;

sub made
{
	my ($how, $arguments) = @_;

	return run($made_by{$how}->("name => 'connection " . $unique++ . "', $arguments"));
}

# --- a username and its password ---

# Username and password that are given, the server, and the login that results, or the argument that is missing.
my @pairs = (
	[ '', 'aep', 'mapped|sesame mapped' ],
	[ "username => 'mapped'", 'aep', 'mapped|sesame mapped' ],
	[ "password => 'p'", 'aep', 'mapped|p' ],
	[ "username => 'u', password => 'p'", 'aep', 'u|p' ],
	[ "username => 'u'", 'aep', undef, 'password' ],
	[ "username => 'Mapped'", 'aep', undef, 'password' ],
	[ "username => 'u'", 'no_username', undef, 'password' ],
	[ "password => 'p'", 'no_username', undef, 'username' ],
	[ '', 'no_username', undef, 'username' ],
	[ "password => 'p'", 'no_password', 'mapped|p' ],
	[ "username => 'mapped'", 'no_password', undef, 'password' ],
	[ "username => 'u'", 'no_login', undef, 'password' ],
	[ "username => 'u', password => 'p'", 'no_login', 'u|p' ]);
my $recorder = AepTest::start_fake('--record-secrets');
query("ALTER SERVER $_ OPTIONS (SET base_url '" . $recorder->url . "', SET ca_file '" . $recorder->ca_file . "')")
  foreach (qw(aep no_username no_password no_login));
call_in($session, $recorder);
foreach my $how (sort keys %made_by)
{
	foreach my $pair (@pairs)
	{
		my ($given, $server, $login, $missing) = @$pair;
		my $result = made($how, join(', ', grep { $_ } $given, "server => '$server'"));
		my ($params) = map { $_->{body}{auth}{params} } grep { $_->{kind} eq 'POST' } @{ $result->{requests} };
		my $what = "$how, $server: $given";

		if ($login)
		{
			is($result->{out}, 1, "$what: is taken") or diag $result->{err};
			is("$params->{username}|$params->{password}", $login, "$what: the login") if $how ne 'request';
		}
		elsif ($how eq 'batch')
		{
			is($result->{out}, 0, "$what: is refused");
		}
		else
		{
			like($result->{err}, qr/^ERROR:  22004: argument "$missing" must not be null$/m, "$what: is refused");
		}
		is($params, undef, "$what: nothing is sent") if !$login;
	}
}
my $error = fails('another username', '22004', "SELECT * FROM aep.create_base_connection('x', username => 'u')", 0);
like($error, qr/^DETAIL:  The user mapping has a password, but not for this username\.\nHINT:  Give the password too, or leave out the username/m, 'says why, and what to do');
like(value("SELECT sqlstate || ' ' || message FROM aep.create_base_connections(ARRAY[aep.base_connection_spec('x', username => 'u')])"),
	qr/^22004 argument "password" must not be null \(The user mapping has a password, but not for this username\. Give the password too, or/, 'so does a batch');
is(run("SELECT count(*) FROM aep.create_base_connection('Orders')")->{requests}[0]{body}{auth}{params}{username},
	'mapped', 'what is given first is the name, not the username');

# --- a login that cannot work ---

query(<<'SQL');
CREATE ROLE good LOGIN;
CREATE ROLE nologin;
CREATE ROLE expired LOGIN VALID UNTIL '2020-01-01 00:00+00';
CREATE ROLE lasting LOGIN VALID UNTIL 'infinity';
CREATE ROLE boss LOGIN SUPERUSER CONNECTION LIMIT 0;
CREATE ROLE limited LOGIN CONNECTION LIMIT 0;
CREATE ROLE twice VALID UNTIL '2020-01-01' CONNECTION LIMIT 0;
CREATE ROLE "Odd ""name""" NOLOGIN;
CREATE DATABASE closed ALLOW_CONNECTIONS false;
CREATE DATABASE private;
REVOKE CONNECT ON DATABASE private FROM PUBLIC;
SET timezone = 'UTC';
SQL
my $cannot = sub { return "Experience Platform cannot log in as \"$_[0]\"|" };
my $closed = sub { return "Experience Platform cannot connect to database \"$_[0]\"|" };
my $long = 'x' x 63;

# Arguments, and the warnings: message, detail, hint
my @findings = (
	[ '' ],
	[ "username => 'good'" ],
	[ "username => 'lasting'" ],
	[ "username => 'GOOD'", $cannot->('GOOD') . 'This server has no role of that name.|Use CREATE ROLE "GOOD" LOGIN PASSWORD \'...\'.' ],
	[ "username => '${long}yz'", $cannot->($long) . "This server has no role of that name.|Use CREATE ROLE $long LOGIN PASSWORD '...'." ],
	[ "username => 'nologin'", $cannot->('nologin') . 'The role is NOLOGIN.|Use ALTER ROLE nologin LOGIN.' ],
	[ "username => 'Odd \"name\"'", $cannot->('Odd "name"') . 'The role is NOLOGIN.|Use ALTER ROLE "Odd ""name""" LOGIN.' ],
	[ "username => 'expired'", $cannot->('expired') . 'Its password was valid until 2020-01-01 00:00:00+00.|Use ALTER ROLE expired VALID UNTIL \'infinity\'.' ],
	[ "username => 'limited'", $cannot->('limited') . 'Its connection limit is 0.|Use ALTER ROLE limited CONNECTION LIMIT 5.' ],
	[ "username => 'boss'", 'Experience Platform logs in as "boss", a superuser|It can then read and change everything in this server.|Give it a login that can only read what it shall see.' ],
	[   "username => 'twice'",
		$cannot->('twice') . 'The role is NOLOGIN.|Use ALTER ROLE twice LOGIN.',
		$cannot->('twice') . "Its password was valid until 2020-01-01 00:00:00+00.|Use ALTER ROLE twice VALID UNTIL 'infinity'.",
		$cannot->('twice') . 'Its connection limit is 0.|Use ALTER ROLE twice CONNECTION LIMIT 5.' ],
	[ "database => 'none'", $closed->('none') . 'This server has no database of that name.|Correct the argument database, or make it with CREATE DATABASE.' ],
	[ "database => 'closed'", $closed->('closed') . 'The database allows no connections.|Use ALTER DATABASE closed ALLOW_CONNECTIONS true.' ],
	[ "database => 'private'", $closed->('private') . 'Role "good" lacks the privilege CONNECT on it.|Use GRANT CONNECT ON DATABASE private TO good.' ],
	[ "username => 'boss', database => 'private'", 'Experience Platform logs in as "boss", a superuser|It can then read and change everything in this server.|Give it a login that can only read what it shall see.' ],
	# not this server's: nothing is known
	[ "username => 'missing', database => 'none', host => 'far.example.com'" ],
	[ "username => 'missing', database => 'none', port => 1" ],
	# but for a host that is this one's
	[ "username => 'missing', host => 'DB1.Example.com', port => 5432", $cannot->('missing') . "This server has no role of that name.|Use CREATE ROLE missing LOGIN PASSWORD '...'." ]);

sub warnings_of
{
	my ($result) = @_;

	return [ map { s/\nDETAIL:  |\nHINT:  /|/gr } $result->{err} =~ /^WARNING:  01000: ((?:.*\n){3})/mg ];
}

sub warns
{
	my ($what, $result, @expected) = @_;

	is($result->{out}, 1, "$what: succeeds") or diag $result->{err};
	is_deeply([ map { s/\n\z//r } @{ warnings_of($result) } ], \@expected, "$what: the warnings") or diag $result->{err};
	return;
}

sub complete
{
	my ($arguments) = @_;

	$arguments = "username => 'good'" . ($arguments ? ", $arguments" : '') if $arguments !~ /username/;
	return "$arguments, password => 'p'";
}
foreach my $finding (@findings)
{
	my ($arguments, @expected) = @$finding;

	warns("$_: $arguments", made($_, complete($arguments)), @expected) foreach (sort keys %made_by);
}

# In a batch each is said once.
my $specs = join ', ', map { "aep.base_connection_spec(username => '" . ($_ % 2 ? 'nologin' : 'expired') . "', password => 'p')" } 1 .. 10;
my $result = run("SELECT count(id) FROM aep.create_base_connections(ARRAY[$specs])");
is($result->{out}, 10, 'many of a kind are made');
is(scalar(@{ warnings_of($result) }), 2, 'and each finding is said once');
is(scalar(@{ warnings_of(run("SELECT count(id) FROM aep.create_base_connections(ARRAY[$specs])")) }), 2, 'by each batch');

# What is changed, and what stays as it was
my $id = value("SELECT id FROM aep.create_base_connection('changed', username => 'good', password => 'p')");
my $update = "SELECT count(*) FROM aep.update_connection('$id', ";
warns('update to a bad login', run("${update}username => 'expired', password => 'p')"), $findings[7][1]);
warns('update of a bad one', run("${update}password => 'p2')"), $findings[7][1]);
warns('update of its name', run("${update}name => 'renamed')"));
warns('update to another database', run("${update}username => 'good', password => 'p', database => 'none')"), $findings[11][1]);
warns('update to another server', run("${update}host => 'far.example.com', password => 'p')"));
run("SELECT id FROM aep.create_base_connection('kept', username => 'nologin', password => 'p')");
warns('ensure of a bad one', run("SELECT count(*) FROM aep.ensure_base_connection('kept')"), $findings[5][1]);
warns('ensure of another', run("SELECT count(*) FROM aep.ensure_base_connection('kept', username => 'limited', password => 'p')"), $findings[8][1]);

# Nothing is said of a login that aep.create_ingest_role() is about to make.
$result = run("CREATE TABLE orders (id integer); CALL aep.create_ingest_role('aep_ingest', '{public}')");
unlike($result->{err}, qr/WARNING/, 'a login that is being made');

# --- a password that programs may read differently ---

my $differs = qr/WARNING:  01000: programs may disagree about what this password is\nDETAIL:  Preparing it for SCRAM \(SASLprep, RFC 4013\) changes or refuses/;
my %password = (
	"E'sesame a b ~!'" => 0,
	"U&'sesame gr\\00FCn'" => 0,
	"U&'sesame \\+01F600'" => 1,    # not in Unicode 3.2
	"U&'sesame\\00A0blank'" => 1,
	"U&'sesame \\FB01ne'" => 1,
	"U&'sesame u\\0308'" => 1,
	"U&'sesame\\200Bwidth'" => 1,
	"U&'sesame\\00ADhyphen'" => 1,
	"U&'sesame \\0627a'" => 1,
	"E'sesame\\t'" => 1,
	"E'sesame\\x7f'" => 1);
foreach my $password (sort keys %password)
{
	foreach my $how (sort keys %made_by)
	{
		my $result = made($how, "username => 'good', password => $password");

		is($result->{out}, 1, "$how, $password: succeeds");
		is($result->{err} =~ $differs ? 1 : 0, $password{$password}, "$how, $password: is it warned of?") or diag $result->{err};
		unlike($result->{err}, qr/sesame/, "$how, $password: does not stand in the warning");
	}
}
like(run("SELECT count(*) FROM aep.update_connection('$id', username => 'good', password => E'sesame\\t')")->{err}, $differs, 'a change');
query("ALTER USER MAPPING FOR CURRENT_USER SERVER aep OPTIONS (SET password U&'sesame\\00A0blank')");
like(run("SELECT aep.base_connection_request()")->{err}, $differs, 'the mapping\'s');
AepTest::close_session($session);

# In another encoding the password is read as what is sent; text that cannot be sent is refused, not warned of.
my $latin = AepTest::create_database($node, 'LATIN1');
AepTest::create_server($node, $fake, %login, dbname => $latin);
$session = AepTest::open_session($node, $latin);
call_in($session, $fake);
my $request = sub { return run("SET client_encoding = 'LATIN1'; SELECT count(*) FROM aep.base_connection_request(username => 'u', password => E'sesame$_[0]')") };
unlike($request->('\\xfc')->{err}, qr/WARNING/, 'LATIN1: a letter');
like($request->('\\xa0')->{err}, $differs, 'LATIN1: a no-break space');
AepTest::close_session($session);
my $ascii = AepTest::create_database($node, 'SQL_ASCII');
AepTest::create_server($node, $fake, %login, dbname => $ascii);
$session = AepTest::open_session($node, $ascii);
call_in($session, $fake);
like(run("SELECT aep.base_connection_request(username => 'u', password => E'sesame\\xfc')")->{err}, qr/^ERROR:  22021: [^\n]*"password"/, 'SQL_ASCII: what is not UTF-8');
like(run("SELECT aep.base_connection_request(username => 'u', password => E'sesame\\xc2\\xa0')")->{err}, $differs, 'SQL_ASCII: a no-break space');
AepTest::close_session($session);

done_testing();
