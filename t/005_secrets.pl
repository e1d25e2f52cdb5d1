# No secret of a run is anywhere in the server log or in what the client sees.
use strict;
use warnings;

use AepTest;
use PostgreSQL::Test::Utils;
use Test::More;

my @secrets = (
	'argument-secret-1', 'mapping-secret-2', 'token-secret-3', 'key-secret-4',
	'client-secret-5', 'altered-secret-6');

my $fake = AepTest::start_fake('--access-token', 'token-secret-3', '--api-key', 'key-secret-4');
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

sub run
{
	my ($sql) = @_;
	my ($stdout, $stderr);

	$node->psql('postgres', "\\set SHOW_CONTEXT always\n\\set VERBOSITY verbose\n$sql",
		stdout => \$stdout, stderr => \$stderr);
	$seen .= "$stdout\n$stderr\n";
	return $stderr;
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

# from PL/pgSQL, whose context would quote the statement
like(
	run("DO \$\$ BEGIN PERFORM id FROM aep.create_base_connection($argument, name => 'fault:status=500'); END \$\$"),
	qr/ERROR:  58000/,
	'a DO block');
run(<<"SQL");
CREATE FUNCTION pg_temp.f() RETURNS uuid LANGUAGE plpgsql AS \$\$
DECLARE r uuid;
BEGIN
    SELECT id INTO r FROM aep.create_base_connection($argument, name => 'fault:status=500');
    RETURN r;
END \$\$;
SELECT pg_temp.f();
DO 'BEGIN EXECUTE \$q\$SELECT id FROM aep.create_base_connection($argument, port => 0)\$q\$; END';
SQL

# cancelled
run("SET statement_timeout = '3s'; SELECT * FROM aep.create_base_connection($argument, name => 'fault:stall=before_headers')");
like($seen, qr/57014/, 'cancelled');

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
