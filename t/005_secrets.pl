# No secret of a run is anywhere in the server log or in what the client sees.
use strict;
use warnings;

use AepTest;
use PostgreSQL::Test::Utils;
use Test::More;

my @secrets = (
	'argument-secret-1', 'mapping-secret-2', 'token-secret-3', 'key-secret-4',
	'client-secret-5', 'altered-secret-6');

my $fake = AepTest::start_fake('--access-token', 'token-secret-3', '--api-key', 'key-secret-4',
	'--secrets-on-get', 'echo');
my $node = AepTest::start_node(
	'main',
	'log_min_messages = debug1',
	'log_statement = none',
	'log_min_error_statement = error',
	'log_error_verbosity = verbose');

# Set up outside the log: a successful CREATE USER MAPPING is not logged here.
AepTest::create_server(
	$node, $fake,
	max_attempts => 1,
	access_token => 'token-secret-3',
	api_key => 'key-secret-4',
	client_secret => 'client-secret-5',
	username => 'acme',
	password => 'mapping-secret-2');

my $seen = '';

# All statements run, whatever becomes of one.  Returns what came, errors last.
sub run
{
	my ($sql) = @_;
	my ($stdout, $stderr);

	$node->psql('postgres', "\\set SHOW_CONTEXT always\n\\set VERBOSITY verbose\n$sql",
		stdout => \$stdout, stderr => \$stderr, on_error_stop => 0);
	$seen .= "$stdout\n$stderr\n";
	return "$stdout\n$stderr";
}

my $argument = "username => 'u', password => 'argument-secret-1'";

# what works
unlike(run("SELECT * FROM aep.create_base_connection($argument)"), qr/ERROR/, 'a call that works');
run("SELECT aep.base_connection_request($argument)");
run("SELECT aep.base_connection_request($argument, auth_type => 'connection_string')");
run('SELECT * FROM aep.create_base_connection()');
run('SET client_min_messages = debug5; SELECT * FROM aep.create_base_connection()');

# what fails: refused arguments, the service's refusals, broken exchanges
like(run("SELECT * FROM aep.create_base_connection($argument, port => 0)"), qr/ERROR:  22023/, 'refused');
like(run("SELECT * FROM aep.create_base_connection($argument, server => 'nowhere')"), qr/ERROR:  42704/, 'no server');
foreach my $fault ('status=400,echo=1', 'status=401', 'status=500,echo=1,shape=html', 'reset=before',
	'noid=1', 'notjson=1', 'badid=1')
{
	like(run("SELECT * FROM aep.create_base_connection($argument, name => 'fault:$fault')"),
		qr/ERROR/, "fails: $fault");
	like(run("SELECT * FROM aep.create_base_connection(name => 'fault:$fault')"),
		qr/ERROR/, "fails with the mapping's login: $fault");
}

# a secret of one letter is masked by itself; our words stay readable
like(
	run("SELECT * FROM aep.create_base_connection(username => 'u', password => 'f', name => 'fault:status=400,echo=1')"),
	qr/a fault that was asked for: .*\*{8}/,
	'a secret of one letter');

# from PL/pgSQL, whose context would quote the statement
like(
	run("DO \$\$ BEGIN PERFORM id FROM aep.create_base_connection($argument, name => 'fault:status=500'); END \$\$"),
	qr/ERROR:  58000/,
	'a DO block');
my @errors = run(<<"SQL") =~ /ERROR:  (\w{5}):/g;
CREATE FUNCTION pg_temp.f() RETURNS uuid LANGUAGE plpgsql AS \$\$
DECLARE r uuid;
BEGIN
    SELECT id INTO r FROM aep.create_base_connection($argument, name => 'fault:status=500');
    RETURN r;
END \$\$;
SELECT pg_temp.f();
DO \$\$ BEGIN EXECUTE \$q\$SELECT id FROM aep.create_base_connection($argument, port => 0)\$q\$; END \$\$;
SQL
is("@errors", '58000 22023', 'a function, and EXECUTE');

# What the service says of a connection may hold the mapping's password ...
sub create
{
	my ($name, $more) = @_;

	return $node->safe_psql('postgres', "SELECT id FROM aep.create_base_connection(name => '$name'" . ($more // '') . ')');
}
my $says = 'says%20mapping%2Dsecret%2D2';
like(run("SELECT * FROM aep.test_connection('" . create("fault:on=TEST,status=400,code=CONNECTOR-1001,message=$says") . "')"),
	qr/^f\|CONNECTOR-1001-400: says \*{8}$/m, 'the reason of a test');
foreach my $call (qw(connection test_connection explore delete_connection))
{
	my $id = create("fault:on=GET|TEST|EXPLORE|DELETE,status=400,message=$says $call");

	like(run("SELECT * FROM aep.$call('$id')"), qr/ERROR:  22023: .*\nDETAIL:  .*"says \*{8}"/, "$call: an error");
}

# ... and an answer that was read any password, so JSON that is not understood is not shown.
my $shows = create('shows', ", $argument");
like($node->safe_psql('postgres', "SELECT body FROM aep.request('GET', '/flowservice/connections/$shows')"), qr/argument-secret-1/, 'the service shows it');
foreach my $connection ($shows, create('in a string', ", $argument, auth_type => 'connection_string'"))
{
	foreach my $call ("connection('$connection')", "connections() WHERE id = '$connection'")
	{
		like(run("SELECT entity #>> '{auth,params}' FROM aep.$call"), qr/^\{.*"(?:password|connectionString)": "\*{8}"/, 'aep.connection and aep.connections do not');
	}
}
foreach my $fault (qw(badutf8 surrogate nulid notjson))
{
	foreach my $login ('', ", $argument")
	{
		my $name = "fault:on=GET|LIST,$fault=1";
		my $id = create($name, $login);

		foreach my $call ("connection('$id')", "connections(name => '$name')")
		{
			like(run("SELECT * FROM aep.$call"), qr/ERROR:  08P01: .*\nDETAIL:  The answer with HTTP status 200 [^":{]+\.$/m, "$fault: $call");
		}
	}
}
like(run("SELECT * FROM aep.connection('" . create("fault:on=GET,html=1,message=$says") . "')"),
	qr/ERROR:  08P01: .*\nDETAIL:  .*: "<html><body>says \*{8}<\/body><\/html> ?"\.$/m, 'a page is shown');

# cancelled
like(run("SET statement_timeout = '3s'; SELECT * FROM aep.create_base_connection($argument, name => 'fault:stall=before_headers')"),
	qr/ERROR:  57014/, 'cancelled');

# options that the validator refuses
like(run("CREATE USER MAPPING FOR PUBLIC SERVER aep OPTIONS (api_key 'key-secret-4', passwort 'altered-secret-6')"),
	qr/ERROR:  HV00D/, 'an unknown option');
like(run("ALTER USER MAPPING FOR CURRENT_USER SERVER aep OPTIONS (SET access_token E'altered-secret-6\\n')"),
	qr/ERROR:  22023/, 'a refused token');
like(run("ALTER SERVER aep OPTIONS (SET base_url 'https://user:altered-secret-6\@example.com')"),
	qr/ERROR:  22023/, 'a URL with a password');

my $log = slurp_file($node->logfile);
like($log, qr/created base connection/, 'the log is the right one');
foreach my $secret (@secrets)
{
	unlike($log, qr/\Q$secret\E/, "$secret is not in the log");
	unlike($seen, qr/\Q$secret\E/, "$secret was not shown");
}

# The views that show settings and statements of others hold none either.
my $views = $node->safe_psql('postgres',
	"SELECT query FROM pg_stat_activity UNION ALL SELECT setting FROM pg_settings");
unlike($views, qr/secret-\d/, 'no secret in pg_stat_activity and pg_settings');

done_testing();
