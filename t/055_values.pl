# What people type and paste: refused, warned of, clipped; in options, arguments
# and specs alike, whatever the database's encoding.
use strict;
use warnings;

use AepTest;
use Calls qw(call_in run value fails create);
use Encode qw(encode);
use PostgreSQL::Test::Utils;
use Test::More;

my $fake = AepTest::start_fake();
my $node = AepTest::start_node('main');
my ($session, $dbname);

sub literal { return AepTest::literal($_[0]); }

# The validator, as it says: refused or warned of, with this detail.
sub option
{
	my ($kind, $name, $value, $detail) = @_;
	my $catalog =
	  $name =~ /^(?:api_key|access_token|client_secret|scopes|username|password)$/
	  ? 'USER MAPPING FOR CURRENT_USER SERVER aep'
	  : 'SERVER aep';
	my $err = run("BEGIN; ALTER $catalog OPTIONS (SET $name " . literal($value) . '); ROLLBACK')->{err};

	if ($kind eq 'refused')
	{
		like($err, qr/^ERROR:  22023: invalid value for option "$name"\nDETAIL:  \Q$detail\E\n/m, "$dbname: $name refused");
	}
	elsif ($kind eq 'warned')
	{
		like($err, qr/^WARNING:  01000: the value of option "$name" is probably wrong\nDETAIL:  \Q$detail\E\n/m, "$dbname: $name warned of");
		unlike($err, qr/ERROR/, "$dbname: $name taken");
	}
	else { is($err, '', "$dbname: $name is fine"); }
	unlike($err, qr/p8e|acme/, "$dbname: the value is not shown");
	return;
}

my $invisible = 'It holds a no-break space, or a character that shows nothing.';
my $beyond = 'It holds characters beyond ASCII.';
my $control = 'It holds a line end, a tab or another control character.';
my $edge = 'It begins or ends with a blank.';

# What each encoding can hold of what gets pasted.
my %blanks = (
	utf8 => [ "\x{a0}", "\x{200b}", "\x{feff}", "\x{2009}", "\x{3000}", "\x{2028}", "\x{ad}" ],
	latin1 => ["\x{a0}"],
	euc_jp => ["\x{3000}"]);
my %letters = (utf8 => "\x{e9}", latin1 => "\x{e9}", euc_jp => "\x{65e5}");

foreach my $encoding (qw(UTF8 LATIN1 EUC_JP))
{
	$dbname = AepTest::create_database($node, $encoding);
	AepTest::create_server($node, $fake, dbname => $dbname, client_secret => 'p8e', username => 'acme',
		password => 'xxxx', scopes => 'openid', sandbox => 'prod', token_url => $fake->url('ims'));
	$session = AepTest::open_session($node, $dbname);
	AepTest::run_sql($session, "SET client_encoding = 'UTF8'");
	call_in($session, $fake);

	foreach my $blank (@{ $blanks{$dbname} })
	{
		option('refused', 'client_secret', $_, $invisible) foreach ("p8e$blank", "${blank}p8e", "p8${blank}e");
		option('warned', $_, "acme$blank", $invisible) foreach (qw(username password));
		option('refused', $_, "p8e$blank", $beyond) foreach (qw(api_key access_token org_id sandbox scopes base_url token_url));
		option('warned', 'ca_file', $fake->ca_file . $blank, $invisible);
		option('refused', 'advertised_host', "db1$blank.example.com", 'It must consist of ASCII characters.');
		fails("role name with U+" . sprintf('%04X', ord $blank), '22023',
			"CALL aep.create_ingest_role(role_name => " . literal("reader$blank") . ", schemas => '{public}')", 0);
	}
	option('fine', $_, "acme$letters{$dbname}") foreach (qw(username password));
	option('warned', 'client_secret', "p8e$letters{$dbname}", $beyond);
	option('warned', 'username', "acme\n", $control);
	option('refused', 'client_secret', "p8e\n", $control);
	option('refused', 'ca_file', $fake->ca_file . "\n", $control);
	option('refused', 'ca_file', $fake->ca_file . ' ', $edge);
	AepTest::close_session($session) if $encoding ne 'UTF8';
}
$dbname = 'utf8';
$session = AepTest::open_session($node, $dbname);
AepTest::run_sql($session, "SET client_encoding = 'UTF8'");
call_in($session, $fake);

# Joiners, without which some languages cannot be written.
option('fine', 'username', "\x{645}\x{6cc}\x{200c}\x{62e}\x{648}");

# A role that is made here is not made with a name that is probably wrong.
foreach my $name (" reader", "reader\n", "reader ", '"reader"', '')
{
	like(fails('a role name', '22023', 'CALL aep.create_ingest_role(role_name => ' . literal($name) . ", schemas => '{public}')", 0),
		qr/invalid value for argument "role_name"/, 'the argument is named');
}
is(value("SELECT count(*) FROM pg_roles WHERE rolname ~ 'reader'"), 0, 'none was made');

# Arguments and specs: the same rules, the same words.
my $suspect = "username => E'acme\\n', password => 'xxxx '";
my $warnings = qr/^WARNING:  01000: the value of argument "username" is probably wrong\nDETAIL:  \Q$control\E\nHINT:  .*\nLOCATION:  .*\nWARNING:  01000: the value of argument "password" is probably wrong\nDETAIL:  \Q$edge\E\nHINT:  .*\nLOCATION:  .*\n$/;
like(run("SELECT id FROM aep.create_base_connection($suspect)")->{err}, $warnings, 'arguments: warned of');
like(run("SELECT id FROM aep.create_base_connections(ARRAY[aep.base_connection_spec($suspect), aep.base_connection_spec($suspect), aep.base_connection_spec(username => 'acme', password => 'p')])")->{err},
	$warnings, 'specs: once for those in a row');
my $mixed = run("SELECT ordinal, sqlstate, message FROM aep.create_base_connections(ARRAY["
	  . join(', ', map { "aep.base_connection_spec(name => 'spec', $_)" }
		"host => '127.1'", "host => repeat('a.', 500000)", "host => 'db1.example.com'", "host => E'db1.ex\\u00e4mple.com'", "host => 'db.internal'", "host => 'db.internal'", "host => '10.0.0.1'", "port => 0", "database => ''")
	  . '])');
is($mixed->{out}, <<"OUT" =~ s/\n\z//r, 'a spec that is refused ends only itself');
1|22023|invalid value for argument "host" (It looks like an IPv4 address, and is not one of four decimal numbers. Write the address as in 203.0.113.7.)
2|22023|invalid value for argument "host" (It must not have more than 253 characters.)
3||
4|22023|invalid value for argument "host" (It must consist of ASCII characters. Look for what was copied along with it. An international name has an ASCII form, which begins with "xn--".)
5||
6||
7||
8|22023|invalid value for argument "port" (It must be a whole number from 1 to 65535.)
9|22023|invalid value for argument "database" (It must not be empty.)
OUT
is(join(' ', $mixed->{err} =~ /^WARNING:  01000: .*"(.*)"$/mg), 'db.internal 10.0.0.1', 'and hosts are warned of');
cmp_ok(length($mixed->{err}), '<', 1000, 'no long value is shown');

# Filters: a state that there is none of would find nothing, and say nothing.
foreach my $state ('enbled', 'enabled ', '', 'active')
{
	foreach my $function ('connections', 'connection_count')
	{
		like(fails("$function: state \"$state\"", '22023', "SELECT * FROM aep.$function(state => '$state')", 0),
			qr/"state"/, 'the argument is named');
	}
}
like(fails('a state', '22023', "SELECT * FROM aep.connections(state => 'enbled')", 0),
	qr/HINT:  Use enabled, disabled, initializing or draft/, 'the hint lists them');
my $listed = run("SELECT count(*) FROM aep.connections(state => 'Disabled')");
is($listed->{err}, '', 'in any letter case');
ok((grep { $_ eq 'state=="disabled"' } @{ $listed->{requests}[0]{query}{property} }), 'the service gets its own word');

# The path of a request, and etags as JSON shows them.
foreach my $path ('/data/foundation/flowservice/connections', '/data/foundation', '/Data/Foundation/catalog')
{
	like(fails("path $path", '22023', "SELECT * FROM aep.request('GET', '$path')", 0), qr/must not repeat/, 'said why');
}
like(run("SELECT status FROM aep.request('GET', '/data/foundations')")->{out}, qr/^404$/, 'another path');
my $id = create('tagged');
my $etag = value("SELECT etag FROM aep.connection('$id')");
my $escaped = $etag =~ s/"/\\"/gr;
foreach my $wrong ($escaped, qq("$escaped"))
{
	like(fails('an escaped etag', '22023', "SELECT * FROM aep.update_connection('$id', name => 'n', etag => '$wrong')", 0),
		qr/HINT:  Give it without the backslashes/, 'said how');
	like(fails('the same in a header', '22023', "SELECT * FROM aep.request('PATCH', '/flowservice/connections/$id', "
		  . "body => '[]', headers => jsonb_build_object('If-Match', '$wrong'))", 0),
		qr/HINT:  Give it without the backslashes/, 'said how');
}
is(value("SELECT id FROM aep.update_connection('$id', name => 'n', etag => '$etag')"), $id, 'the etag itself');

# A file that is not there: a warning when it is set, since a dump may be restored
# elsewhere, and an error that names the option when it is used.
my $missing = run("ALTER SERVER aep OPTIONS (SET ca_file '/nonexistent/ca.pem')");
like($missing->{err}, qr/^WARNING:  01000: the value of option "ca_file" is probably wrong\nDETAIL:  .*No such file/, 'a file that is not there');
like(fails('at use', '08001', 'SELECT * FROM aep.connections()', 0), qr/HINT:  .*ca_file/, 'the option is named');
run('ALTER SERVER aep OPTIONS (SET ca_file ' . literal($fake->ca_file) . ')');

# What is quoted is clipped: names and paths of any length.
my $long = "repeat('x', 5000)";
value("SELECT count(id) FROM aep.create_base_connection(name => $long)") foreach (1, 2);
my $twins = fails('a long name', '42710', "SELECT * FROM aep.ensure_base_connection(name => $long)");
cmp_ok(length($twins), '<', 1000, 'is clipped');
like($twins, qr/named "x{100,200}\.\.\."$/m, 'and begins as it begins');
run("ALTER SERVER aep OPTIONS (SET base_url 'https://localhost:1')");
my $path = fails('a long path', '08001', "SELECT * FROM aep.request('GET', '/' || $long)");
cmp_ok(length($path), '<', 1000, 'is clipped too');

AepTest::close_session($session);
done_testing();
