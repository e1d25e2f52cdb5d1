# The scripts of the cookbook bring about what they describe from any state that they
# may find, or say why not; and they are about this database's connections.
use strict;
use warnings;

use AepTest;
use Cookbook;
use PostgreSQL::Test::Utils;
use Test::More;

my $fake = AepTest::start_fake('--record-secrets');
my $node = AepTest::start_node('main', 'log_statement = none');
my $uuid = qr/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/;

use_cookbook($node, $fake);
$node->safe_psql('postgres', "CREATE DATABASE $_") foreach (qw(shop crm other));

sub query
{
	my ($sql, $dbname) = @_;

	return $node->safe_psql($dbname // 'shop', $sql);
}

# setup.sql

my %settings = (
	ORG_ID => $AepTest::ORG,
	ADVERTISED_HOST => 'db1.example.com',
	API_KEY => 'demo-api-key',
	CLIENT_SECRET => 'demo-client-secret',
	DB_PASSWORD => 'sesame');
delete $ENV{$_} foreach (grep { /^AEP_/ && !/^AEP_REQUIRE/ } keys %ENV);
my $run = run_script('setup.sql', 'shop');
stops('setup without anything', $run,
	qr/: AEP_ORG_ID, AEP_ADVERTISED_HOST, AEP_API_KEY, AEP_CLIENT_SECRET, AEP_DB_PASSWORD\n.*ERROR: /s);
is(query('SELECT count(*) FROM pg_extension'), 1, 'setup without anything: nothing was done');
$ENV{"AEP_$_"} = $settings{$_} foreach (keys %settings);
$ENV{AEP_BASE_URL} = $fake->url;
$ENV{AEP_TOKEN_URL} = $fake->url('ims');
$ENV{AEP_CA_FILE} = $fake->ca_file;

# A former version, a server for another sandbox, a mapping with a ready token, and a
# login that has been put out of service
my $ca_file = $fake->ca_file;
query(<<"SQL");
CREATE EXTENSION aep VERSION '1.1';
CREATE SERVER aep FOREIGN DATA WRAPPER aep
    OPTIONS (sandbox 'dev', advertised_host 'db0.example.com', concurrency '3');
CREATE USER MAPPING FOR CURRENT_USER SERVER aep
    OPTIONS (access_token 'expired', scopes 'openid,AdobeID');
CREATE ROLE aep_reader NOLOGIN VALID UNTIL '2020-01-01' CONNECTION LIMIT 3;
SQL
$run = run_script('setup.sql', 'shop');
succeeds('setup from another state', $run);
like($run->{out}, qr/^$uuid\|created$/m, 'setup from another state: created');
is_deeply($run->{kinds}, [qw(TOKEN LIST POST)], 'setup from another state: with a token of its own');
is(query("SELECT extversion = default_version FROM pg_extension JOIN pg_available_extensions ON name = extname WHERE extname = 'aep'"),
	't', 'the extension is updated');
is(query("SELECT rolcanlogin, rolvaliduntil > now(), rolconnlimit FROM pg_roles WHERE rolname = 'aep_reader'"),
	't|t|3', 'the login works, and keeps its limit');
my $options = 'SELECT string_agg(o::text, $$ $$ ORDER BY o) FROM unnest';
is( query("$options(ARRAY(SELECT unnest(umoptions) FROM pg_user_mappings WHERE srvname = 'aep')) AS o"),
	'api_key=demo-api-key client_secret=demo-client-secret password=sesame scopes=openid,AdobeID username=aep_reader',
	'the mapping has what was described, and what was not described');
like(
	query("$options((SELECT srvoptions FROM pg_foreign_server WHERE srvname = 'aep')) AS o"),
	qr/^advertised_host=db1\.example\.com .*concurrency=3 /,
	'so has the server');

# It stops on the way
$ENV{AEP_DB_SCHEMA} = 'sales';
$ENV{AEP_DB_PASSWORD} = 'other';
stops('setup for a schema that is not there', run_script('setup.sql', 'shop'), qr/ERROR:  schema "sales" does not exist/);
query('CREATE SCHEMA sales; CREATE TABLE sales.invoices (id int)');
$run = run_script('setup.sql', 'shop', '-v', 'replace_credentials=true');
succeeds('setup after a failure', $run);
like($run->{out}, qr/^$uuid\|updated$/m, 'setup after a failure: updated');
is(query("SELECT has_table_privilege('aep_reader', 'sales.invoices', 'SELECT')"), 't', 'and granted');

# Somebody else
query('CREATE ROLE "another DBA" SUPERUSER LOGIN');
foreach my $time ('first', 'second')
{
	local $ENV{PGUSER} = 'another DBA';
	$run = run_script('setup.sql', 'shop');
	succeeds("setup by another superuser, the $time time", $run);
	like($run->{out}, qr/^$uuid\|unchanged$/m, "setup by another superuser, the $time time: unchanged");
}

# What is somebody else's
my $password = "SELECT md5(rolpassword) FROM pg_authid WHERE rolname = ";
query(q{CREATE ROLE boss SUPERUSER LOGIN PASSWORD 'own'});
my $own = query("$password 'boss'");
$ENV{AEP_DB_LOGIN} = 'boss';
stops('setup with a superuser', run_script('setup.sql', 'shop'), qr/the role boss is a superuser: set AEP_DB_LOGIN/);
is(query("$password 'boss'"), $own, 'setup with a superuser: its password stays');
$ENV{AEP_DB_LOGIN} = 'aep_reader';
query('CREATE FOREIGN DATA WRAPPER foreign_one; CREATE SERVER aep FOREIGN DATA WRAPPER foreign_one', 'other');
stops('setup with a server of another wrapper', run_script('setup.sql', 'other'),
	qr/the server "aep" is of another foreign-data wrapper/);

# ingest_role.sql

query('CREATE ROLE aep_ingest');
stops('ingest role with a name in use', run_script('ingest_role.sql', 'shop', '-v', 'schema=sales'),
	qr/role: aep_ingest\n.*ERROR:  the role exists, and is no ingest role of this database\n.*-v role=/s);
query('DROP ROLE aep_ingest');
succeeds('ingest role', run_script('ingest_role.sql', 'shop', '-v', 'schema=sales'));
query('CREATE TABLE sales.later (id int); CREATE SCHEMA hr; CREATE TABLE hr.people (id int)');
my $may_read = q{SELECT has_table_privilege('aep_ingest_a', 'sales.later', 'SELECT'), }
  . q{has_schema_privilege('aep_ingest_a', 'hr', 'USAGE') AND has_table_privilege('aep_ingest_a', 'hr.people', 'SELECT')};
query('REVOKE SELECT ON sales.later FROM aep_ingest');
succeeds('ingest role without a schema', run_script('ingest_role.sql', 'shop'));
is(query($may_read), 'f|f', 'ingest role without a schema: nothing is granted');
is(query(q{SELECT count(*) FROM pg_class, aclexplode(relacl) WHERE relnamespace = 'public'::regnamespace AND grantee = 'aep_ingest'::regrole}),
	0, 'nor on the default one');
succeeds("ingest role with $_", run_script('ingest_role.sql', 'shop', '-v', "schema=$_")) foreach (qw(sales hr));
is(query($may_read), 't|t', 'ingest role with a schema: what has come is granted');
$ENV{AEP_DB_LOGIN} = 'aep_ingest_a';
$own = query("$password 'aep_ingest_a'");
stops('setup with the login of an ingest role', run_script('setup.sql', 'shop'),
	qr/the role aep_ingest_a is an ingest role's: set AEP_DB_LOGIN/);
is(query("$password 'aep_ingest_a'"), $own, 'setup with the login of an ingest role: its password stays');
delete $ENV{AEP_DB_LOGIN};
$node->psql('shop',
	"CALL aep.create_ingest_role('lost', '{sales}', name => 'fault:close=mid_headers,processed=1,times=1')");
stops('ingest role whose connection is not known', run_script('ingest_role.sql', 'shop', '-v', 'role=lost'),
	qr/ERROR:  the answer to the creation of the connection was lost\nHINT:  See 08007/);

# health_check.sql

my $elsewhere = "SELECT id FROM aep.create_base_connection(name => 'fault:on=TEST,result=false";
query("$elsewhere 1', host => 'db2.example.com')");
query("$elsewhere 2', port => 1)");
query("$elsewhere 3', database => 'crm')");
$run = run_script('health_check.sql', 'shop', '-q');
succeeds("health check beside others' connections", $run);
is(scalar(grep { $_ eq 'TEST' } @{ $run->{kinds} }), 3, 'health check: its own are tested, the lost one too');
query("$elsewhere 4', host => 'DB1.Example.com')");
my $by_string = query("$elsewhere 5', auth_type => 'connection_string')");
stops('health check', run_script('health_check.sql', 'shop', '-q'),
	qr/failed: "fault:on=TEST,result=false 4".*failed: "fault:on=TEST,result=false 5".*ERROR:  2 of 5 connections do not work/s);
query("SELECT aep.delete_connection('$by_string')");
query("ALTER SERVER aep OPTIONS (SET advertised_host '10.0.0.5')");
$run = run_script('health_check.sql', 'shop', '-q');
stops('health check without a connection', $run,
	qr/ERROR:  Experience Platform has no enabled connection to database "shop"\n/);
unlike($run->{err}, qr/WARNING/, 'health check: no warning of the address');
query("ALTER SERVER aep OPTIONS (SET advertised_host 'db1.example.com')");

# compare_tables.sql

query("SELECT id FROM aep.create_base_connection(name => 'twin', database => 'crm')");
stops("compare with another database's connection", run_script('compare_tables.sql', 'shop', '-v', 'connection=twin'),
	qr/connection: twin\n.*ERROR:  not exactly one connection of that name leads to this database/);
my $twin = query("SELECT id FROM aep.create_base_connection(name => 'twin')");
$run = run_script('compare_tables.sql', 'shop', '-v', 'connection=twin');
succeeds('compare with one of two', $run);
is((grep { $_->{kind} eq 'EXPLORE' } $fake->requests)[-1]{path} =~ /\Q$twin\E/, 1, 'compare with one of two: its own');
query("SELECT id FROM aep.create_base_connection(name => 'twin')");
stops('compare with two of two', run_script('compare_tables.sql', 'shop', '-v', 'connection=twin'), qr/ERROR:  not exactly one/);

# register_all_databases.sql

my $port = $node->port;
query("SELECT id FROM aep.create_base_connection(name => 'PostgreSQL other at db1.example.com:$port', host => 'db9.example.com')");
$run = run_script('register_all_databases.sql', 'shop');
succeeds('register', $run);
is_deeply(
	[ $run->{out} =~ /^(PostgreSQL \S+ at \S+)\|$uuid\|\|$/mg ],
	["PostgreSQL other at db1.example.com:$port"],
	'register: what only has the name of another');

# rotate_with_pg_cron.sql

stops('rotation without pg_cron', run_script('rotate_with_pg_cron.sql', 'shop'), qr/ERROR:  pg_cron is not running\nHINT: /);
SKIP:
{
	my $available = "SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_cron'";

	skip 'pg_cron is not installed', 4 if query($available) eq '0';
	query('CREATE DATABASE "cron jobs"');
	$node->append_conf('postgresql.conf',
		"shared_preload_libraries = 'pg_cron'\ncron.database_name = 'cron jobs'\ncron.host = '" . $node->host . "'\n");
	$node->restart;
	query("CALL aep.create_ingest_role('$_', '{sales}')") foreach (qw(one two));
	succeeds('rotation', run_script('rotate_with_pg_cron.sql', 'shop'));
	query(<<'SQL', 'cron jobs');
SELECT cron.schedule_in_database('rotate one in crm', '0 0 1 1 *', 'CALL aep.rotate_credentials(NULL)', 'crm');
SELECT cron.schedule_in_database('rotate logs in shop', '0 0 1 1 *', 'SELECT 1', 'shop');
SQL
	query("DELETE FROM aep.ingest_role WHERE role_name = 'two'");
	{
		local $ENV{PGUSER} = 'another DBA';
		succeeds('rotation by another superuser', run_script('rotate_with_pg_cron.sql', 'shop'));
	}
	is( query('SELECT jobname, username FROM cron.job ORDER BY 1', 'cron jobs') =~ s/\|(?!another DBA)\S+$/|first/mgr,
		"rotate aep_ingest in shop|another DBA\nrotate logs in shop|first\nrotate one in crm|first\nrotate one in shop|another DBA",
		'rotation: once, and only what there is; jobs of others stay');
}

done_testing();
