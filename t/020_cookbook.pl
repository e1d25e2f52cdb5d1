# Each script of the cookbook does what it says, when it is run and run again.
use strict;
use warnings;

use AepTest;
use Cookbook;
use File::Basename qw(dirname);
use PostgreSQL::Test::Utils;
use Test::More;

my $fake = AepTest::start_fake('--record-secrets');
my $node = AepTest::start_node('main');
my $uuid = qr/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/;

use_cookbook($node, $fake);

# None is forgotten here.
opendir(my $folder, cookbook()) or die cookbook() . ": $!";
is_deeply(
	[ sort grep { /\.sql$/ } readdir $folder ],
	[   qw(compare_tables.sql health_check.sql ingest_role.sql register_all_databases.sql
		  rotate_with_pg_cron.sql setup.sql)
	],
	'the scripts of the cookbook');

# setup.sql
$node->safe_psql('postgres', 'CREATE DATABASE shop');
my $password = q{it's a "secret"};
my %settings = (
	ORG_ID => $AepTest::ORG,
	ADVERTISED_HOST => 'db1.example.com',
	API_KEY => 'demo-api-key',
	CLIENT_SECRET => 'demo-client-secret',
	DB_PASSWORD => $password,
	BASE_URL => $fake->url,
	TOKEN_URL => $fake->url('ims'),
	CA_FILE => $fake->ca_file);
$ENV{"AEP_$_"} = $settings{$_} foreach (keys %settings);
my $run = run_script('setup.sql', 'shop');
succeeds('setup', $run);
like($run->{out}, qr/^$uuid\|created$/m, 'setup: created');
is_deeply($run->{kinds}, [qw(TOKEN LIST POST)], 'setup: what was sent');
my $params = ($fake->requests)[-1]{body}{auth}{params};
is("$params->{username}|$params->{password}|$params->{sslMode}",
	"aep_reader|$password|Prefer", 'setup: the login');
is( ($fake->requests)[-1]{body}{name},
	'PostgreSQL shop at db1.example.com:' . $node->port,
	'setup: the name holds the address');

# what is not set stays
delete $ENV{"AEP_$_"} foreach (qw(BASE_URL TOKEN_URL CA_FILE));
my ($setup) = $run->{out} =~ /^($uuid)\|created$/m;
$node->safe_psql('shop',
	"SELECT aep.update_connection('$setup', name => 'Shop', ssl_mode => 'Verify Full')");
$ENV{AEP_CONNECTION_NAME} = 'Shop';
$run = run_script('setup.sql', 'shop');
succeeds('setup again', $run);
like($run->{out}, qr/^$uuid\|unchanged$/m, 'setup again: unchanged');
unlike($run->{out}, qr/ALTER SERVER/, 'setup again: no option is set');
is_deeply($run->{kinds}, [qw(TOKEN LIST)], 'setup again: nothing was changed');

$ENV{AEP_ADVERTISED_HOST} = 'db2.example.com';
$run = run_script('setup.sql', 'shop');
is($run->{status}, 3, 'setup with another host: the connection may be another server\'s');
like($run->{err}, qr/ERROR:  base connection "Shop" .* is another database's/, 'setup with another host: says so');
is_deeply($run->{kinds}, [qw(TOKEN LIST)], 'setup with another host: nothing was changed');
$run = run_script('setup.sql', 'shop', '-v', 'adopt=true');
succeeds('setup after a move', $run);
like($run->{out}, qr/^$setup\|updated$/m, 'setup after a move: updated');
is( join('|', map { ref $_->{value} ? @{ $_->{value} }{qw(server sslMode)} : () } @{ ($fake->requests)[-1]{body} }),
	'db2.example.com|Verify Full',
	'setup after a move: the address, and no weaker TLS');

$ENV{AEP_DB_PASSWORD} = 'another secret';
$run = run_script('setup.sql', 'shop', '-v', 'replace_credentials=true');
like($run->{out}, qr/^$uuid\|updated$/m, 'setup with another password: updated');
is_deeply(
	[ map { ref $_->{value} ? $_->{value}{password} : () } @{ ($fake->requests)[-1]{body} } ],
	['another secret'],
	'setup with another password: it was sent');
unlike(
	slurp_file($node->logfile),
	qr/"secret"|another secret|demo-client-secret|demo-api-key/,
	'setup: no secret is in the log');

$ENV{AEP_DB_LOGIN} = 'shop_reader';
$run = run_script('setup.sql', 'shop');
like($run->{out}, qr/^$setup\|updated$/m, 'setup with another login: updated');
delete $ENV{AEP_DB_LOGIN};
$run = run_script('setup.sql', 'shop');
like($run->{out}, qr/^$setup\|unchanged$/m, 'setup without one: it stays');
is($node->safe_psql('shop', "SELECT entity #>> '{auth,params,username}' FROM aep.connection('$setup')"),
	'shop_reader', 'setup without one: also over there');

delete $ENV{AEP_API_KEY};
$run = run_script('setup.sql', 'shop');
stops('setup without a needed setting', $run, qr/not set in the environment: AEP_API_KEY\n/);

# register_all_databases.sql
$node->safe_psql('postgres', $_) foreach ('CREATE DATABASE "Odd ""name"""', 'CREATE DATABASE crm');
$run = run_script('register_all_databases.sql', 'shop');
succeeds('register', $run);
is(scalar(() = $run->{out} =~ /^PostgreSQL .* at db2\.example\.com:\d+\|$uuid\|\|$/mg),
	2, 'register: two databases, since shop was there already');
is_deeply(
	[ sort map { $_->{body}{auth}{params}{database} } grep { $_->{kind} eq 'POST' } $fake->requests ],
	[ 'Odd "name"', 'crm', 'shop' ],
	'register: the databases');
$run = run_script('register_all_databases.sql', 'shop');
succeeds('register again', $run);
is_deeply($run->{kinds}, [qw(TOKEN LIST)], 'register again: nothing is created');

my $failing = PostgreSQL::Test::Utils::tempdir() . '/register.sql';
append_to_file($failing,
	slurp_file(cookbook() . '/register_all_databases.sql') =~ s/'PostgreSQL %s/'fault:status=500 %s/r);
$node->safe_psql('postgres', 'CREATE DATABASE late');
$run = run_script($failing, 'shop');
is($run->{status}, 3, 'register: a failure shows in the exit status');
like($run->{out}, qr/^fault:.*\|\|58000\|/m, 'register: and in a row');

# health_check.sql
$run = run_script('health_check.sql', 'shop', '-q');
succeeds('health check', $run);
is($run->{out} . $run->{err}, '', 'health check: silence');
is(scalar(grep { $_ eq 'TEST' } @{ $run->{kinds} }), 1, "health check: not other databases'");
$node->safe_psql('shop',
	"SELECT id FROM aep.create_base_connection(name => 'fault:on=TEST,$_')")
  foreach ('result=false closed', 'status=500 broken');
$run = run_script('health_check.sql', 'shop', '-q');
is($run->{status}, 3, 'health check: fails');
like($run->{err}, qr/^psql:.*WARNING:  failed: "fault:on=TEST,result=false closed" \($uuid\): no reason given$/m,
	'health check: one that does not work');
like($run->{err}, qr/^psql:.*WARNING:  not tested: "fault:on=TEST,status=500 broken" \($uuid\): could not test/m,
	'health check: one that could not be tested');
like($run->{err}, qr/^psql:.*ERROR:  2 of 3 connections do not work$/m, 'health check: the sum');

# compare_tables.sql
$node->safe_psql('shop', <<'SQL');
CREATE TABLE orders (id bigint, customer text, paid text, placed_at timestamptz, note text);
CREATE TABLE unseen (i integer);
CREATE TABLE customers ("Id" text);
SQL
$run = run_script('compare_tables.sql', 'shop', '-v', 'connection=Shop');
succeeds('compare', $run);
is($run->{out} =~ s/.*?\n(?=Experience)//sr, <<'EXPECTED', 'compare: the differences');
Experience Platform sees, and this database does not have:
sales.Odd "name" & more.2024
This database has, in the same schemas, and Experience Platform does not see:
unseen
Columns that differ:
orders|paid|text|boolean|type differs
orders|note|text||missing in the platform
EXPECTED
$run = run_script('compare_tables.sql', 'shop', '-v', 'connection=nothing');
is($run->{status}, 3, 'compare: no such connection');
$run = run_script('compare_tables.sql', 'shop');
stops('compare without a connection', $run, qr/ERROR:  no connection is named: run it with -v connection=/);

# ingest_role.sql
$run = run_script('ingest_role.sql', 'shop');
succeeds('ingest role', $run);
like($run->{out}, qr/uses the login aep_ingest_a; the state is active$/m, 'ingest role: its login');
like($run->{out}, qr/^listen_addresses is /m, 'ingest role: a finding');
like($run->{out}, qr/^t\|$/m, 'ingest role: the test');
$run = run_script('ingest_role.sql', 'shop');
succeeds('ingest role again', $run);
is_deeply($run->{kinds}, [qw(TOKEN TEST)], 'ingest role again: nothing is made');

# rotate_with_pg_cron.sql, with Debian's package of pg_cron
SKIP:
{
	my $available = "SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_cron'";

	skip 'pg_cron is not installed', 6 if $node->safe_psql('postgres', $available) eq '0';
	$node->append_conf('postgresql.conf',
		"shared_preload_libraries = 'pg_cron'\ncron.host = '" . $node->host . "'\n");
	$node->restart;
	$run = run_script('rotate_with_pg_cron.sql', 'shop', '-v', 'schedule=* * * * *');
	succeeds('rotation', $run);
	like($run->{out}, qr/^rotate aep_ingest in shop\|1$/m, 'rotation: one job');
	succeeds('rotation again',
		run_script('rotate_with_pg_cron.sql', 'shop', '-v', 'schedule=* * * * *'));
	is($node->safe_psql('postgres', 'SELECT count(*) FROM cron.job'), '1', 'rotation: still one');

	# pg_cron counts in minutes
	ok( $node->poll_query_until('postgres', 'SELECT status FROM cron.job_run_details', 'succeeded'),
		'rotation: it ran');
	is( $node->safe_psql('shop', 'SELECT active_login, step FROM aep.ingest_role_status()'),
		'aep_ingest_b|active',
		'rotation: another login is in use');
}

# How to remove an ingest role, as README and doc/troubleshooting.md say

my $root = dirname(__FILE__) . '/..';

# Runs the statements of a document from a first to a last one, with some changed.
sub run_recipe
{
	my ($what, $document, $first, $last, %changed) = @_;
	my ($recipe) = slurp_file("$root/$document") =~ /```sql\n([^`]*\Q$first\E[^`]*?\Q$last\E.*?\n)/
	  or die "$document has no such recipe";
	my $file = PostgreSQL::Test::Utils::tempdir() . '/recipe.sql';

	foreach my $text (sort keys %changed)
	{
		ok($recipe =~ s/\Q$text\E/$changed{$text}/, "$what: it has $text");
	}
	append_to_file($file, $recipe);
	succeeds($what, $run = run_script($file, 'shop', '-v', 'ON_ERROR_STOP=1'));
	unlink $file;
	return;
}

sub left_of
{
	my ($role) = @_;

	return $node->safe_psql('shop',
		"SELECT (SELECT count(*) FROM pg_roles WHERE rolname ~ '^${role}'), "
		  . "(SELECT count(*) FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND refobjid NOT IN (SELECT oid FROM pg_authid)), "
		  . "(SELECT count(*) FROM aep.ingest_role WHERE role_name = '$role')");
}
my $id = $node->safe_psql('shop', 'SELECT connection_id FROM aep.ingest_role_status()');
$node->safe_psql('shop', "CALL aep.rotate_credentials('$id')");
run_recipe('removal', 'README.md', 'CALL aep.drop_ingest_role', "('aep_ingest')");
is_deeply($run->{kinds}, [qw(TOKEN DELETE)], 'removal: what was sent');
is(left_of('aep_ingest'), '0|0|0', 'removal: nothing is left');
is_deeply([ grep { $_->{id} eq $id } $fake->connections ], [], 'removal: nor over there');

# the answer to the creation was lost
my $lost = 'fault:close=mid_headers,processed=1,times=1';
$node->psql('shop',
	"CALL aep.create_ingest_role('aep_ingest', '{public}', name => '$lost', default_privileges => true)"
);
is($node->safe_psql('shop', 'SELECT step, connection_id IS NULL FROM aep.ingest_role_status()'),
	'unknown|t', 'a creation with unknown outcome');
run_recipe('another beginning', 'doc/troubleshooting.md', 'CALL aep.drop_ingest_role',
	'CALL aep.create_ingest_role', "name => 'Invoices', ..." => "'{public}'");
is_deeply($run->{kinds}, [qw(TOKEN LIST DELETE POST)], 'another beginning: what was sent');
is($node->safe_psql('shop', 'SELECT step, active_login FROM aep.ingest_role_status()'),
	'active|aep_ingest_a', 'another beginning: the state');

# the outcome of a rotation is unknown
$node->safe_psql('shop', "CALL aep.drop_ingest_role('aep_ingest')");
$id = $node->safe_psql('shop',
	"CALL aep.create_ingest_role('aep_ingest', '{public}', name => 'fault:on=PATCH,notjson=1')") =~ s/\|.*//r;
$node->psql('shop', "CALL aep.rotate_credentials('$id')");
is($node->safe_psql('shop', 'SELECT step FROM aep.ingest_role_status()'),
	'unknown', 'a rotation with unknown outcome');
run_recipe('removal in doubt', 'README.md', 'CALL aep.drop_ingest_role', "('aep_ingest')");
is(left_of('aep_ingest'), '0|0|0', 'removal in doubt: nothing is left');

done_testing();
