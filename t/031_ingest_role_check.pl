# aep.check_ingest_role(): the login, its privileges and limits, and the server; each
# remedy mends what was found.
use strict;
use warnings;

use AepTest;
use Calls qw(call_in query);
use Findings;
use IngestRole;
use IPC::Run;
use Test::More;

my $nowhere = '00000000-0000-4000-8000-000000000000';
my ($node, undef, $session) = Findings::start();
my $id = create("'reader', schemas => '{shop}', tables => '{office.shown,shop.orders}', "
	  . "connection_limit => 2, ssl_mode => 'Allow'");
my $password = last_password();

sub open_login
{
	my ($user, $password) = @_;
	local $ENV{PGPASSWORD} = $password;
	local $ENV{PGUSER}     = $user;
	local $ENV{PGHOST}     = '127.0.0.1';
	my %other = (in => "SELECT 'in';\n", out => '', err => '');

	$other{harness} = IPC::Run::start([ 'psql', '-XAtqw', '-p', $node->port, '-d', 'postgres' ],
		'<', \$other{in}, '>', \$other{out}, '2>', \$other{err}, IPC::Run::timeout(60));
	$other{harness}->pump until $other{out} =~ /in/ || $other{err} =~ /\S/;
	return \%other;
}

# Waits until there are so many sessions: one that was closed may take its time.
sub wait_for_sessions
{
	my ($number) = @_;
	my $sql = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'";

	AepTest::wait_until(sub { query($sql) == $number }) or die "not $number sessions";
	return;
}

# connection limits
my @open = map { open_login('reader_a', $password) } (1, 2);
is(query('SELECT sessions FROM aep.ingest_role_status()'), 2, 'status counts the sessions');
like(
	login('reader_a', $password)->{err},
	qr/too many connections for role/,
	'the connection limit holds');
finds_and_mends(
	$id,
	qr/^login reader_a uses all 2 connections of its limit$/,
	qr/^ALTER ROLE reader_a CONNECTION LIMIT 12$/,
	'the limit of the login');
wait_for_sessions(3);
query('ALTER DATABASE postgres CONNECTION LIMIT 3');
finds_and_mends(
	$id,
	qr/^database postgres uses all 3 connections of its limit$/,
	qr/^ALTER DATABASE postgres CONNECTION LIMIT 13$/,
	'the limit of the database');
$_->{in} .= "\\q\n" foreach (@open);
$_->{harness}->finish foreach (@open);

# the login
query('ALTER ROLE reader_a NOLOGIN');
like(login('reader_a', $password)->{err}, qr/not permitted to log in/, 'not any more');
finds_and_mends(
	$id,
	qr/^login reader_a may not log in$/,
	qr/^ALTER ROLE reader_a LOGIN$/, 'NOLOGIN');
query("ALTER ROLE reader_a VALID UNTIL '2020-01-01'");
finds_and_mends(
	$id,
	qr/^login reader_a expired at 2020-01-01/,
	qr/^ALTER ROLE reader_a VALID UNTIL 'infinity'$/,
	'VALID UNTIL');
query(
	$node->pg_version < 16
	? 'ALTER ROLE reader_a NOINHERIT'
	: 'GRANT reader TO reader_a WITH INHERIT FALSE');
my $inherit =
  $node->pg_version < 16
  ? 'GRANT reader TO reader_a; ALTER ROLE reader_a INHERIT'
  : 'GRANT reader TO reader_a WITH INHERIT TRUE';
my @found = findings($id);
is_deeply(\@found, [ [ 'login reader_a does not inherit from role reader', $inherit ] ],
	'NOINHERIT: the finding, and not each table');
unlike(run($inherit)->{err}, qr/ERROR/, 'NOINHERIT: the remedy');
finds_nothing($id, 'NOINHERIT');
query('REVOKE reader FROM reader_a; ALTER ROLE reader_a NOINHERIT');
@found = findings($id);
is_deeply(\@found, [ [ 'login reader_a does not inherit from role reader', $inherit ] ],
	'no member: the finding');
is(run($inherit)->{err}, '', 'no member: the remedy');
finds_nothing($id, 'no member');
query('ALTER ROLE reader_a INHERIT');
is(login('reader_a', $password, 'SELECT count(*) FROM shop.orders')->{out},
	1, 'the login reads again');

# the privileges
foreach my $case (
	[   'CONNECT',
		'REVOKE CONNECT ON DATABASE postgres FROM reader',
		'may not connect to database postgres',
		'GRANT CONNECT ON DATABASE postgres TO reader' ],
	[   'USAGE',
		'REVOKE USAGE ON SCHEMA office FROM reader',
		'may not use schema office',
		'GRANT USAGE ON SCHEMA office TO reader' ],
	[   'SELECT through a schema',
		'REVOKE SELECT ON shop.summary FROM reader',
		'may not read shop.summary',
		'GRANT SELECT ON TABLE shop.summary TO reader' ],
	[   'SELECT on a table',
		'REVOKE SELECT ON office.shown FROM reader',
		'may not read office.shown',
		'GRANT SELECT ON TABLE office.shown TO reader' ],
	[   'a table that came later',
		'CREATE TABLE shop.later AS SELECT 8 AS id',
		'may not read shop.later',
		'GRANT SELECT ON TABLE shop.later TO reader' ])
{
	my ($what, $sql, $finding, $remedy) = @$case;

	query($sql);
	finds_and_mends($id, qr/^login reader_a \Q$finding\E$/, qr/^\Q$remedy\E$/, $what);
}

# row level security
query('ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY');
is(login('reader_a', $password, 'SELECT count(*) FROM shop.orders')->{out}, 0, 'no row is seen');
finds_and_mends(
	$id,
	qr/^row level security of shop\.orders hides all rows from reader_a$/,
	qr/^CREATE POLICY reader ON shop\.orders FOR SELECT TO reader USING \(true\)$/,
	'all rows hidden');
is(login('reader_a', $password, 'SELECT count(*) FROM shop.orders')->{out},
	1, 'the rows are seen again');
query(
	'DROP POLICY reader ON shop.orders; CREATE POLICY certain ON shop.orders FOR SELECT USING (id > 1)'
);
finds_and_mends(
	$id,
	qr/^row level security of shop\.orders hides rows from reader_a$/,
	qr/^CREATE POLICY reader ON shop\.orders /,
	'some rows hidden');
query(
	'DROP POLICY reader ON shop.orders; CREATE POLICY others ON shop.orders TO plain USING (true)');
finds($id, qr/hides rows from reader_a$/, qr/^CREATE POLICY /, 'a policy for others does not help');
query('CREATE POLICY no ON shop.orders AS RESTRICTIVE USING (false)');
is(login('reader_a', $password, 'SELECT count(*) FROM shop.orders')->{out},
	0, 'a restrictive policy hides rows');
query('CREATE POLICY reader ON shop.orders FOR SELECT TO reader USING (true)');
finds_and_mends($id, qr/^row level security of shop\.orders hides (all )?rows from reader_a/,
	qr/./, 'a restrictive policy beside one that permits');
is(login('reader_a', $password, 'SELECT count(*) FROM shop.orders')->{out},
	1, 'the rows are seen in spite of it');
query('ALTER TABLE shop.orders DISABLE ROW LEVEL SECURITY');
finds_nothing($id, 'row level security is off');

# what is gone
query('ALTER TABLE office.shown RENAME TO renamed');
finds($id, qr/^table office\.shown does not exist$/, qr/^CREATE it, or /, 'a table that is gone');
query('ALTER TABLE office.renamed RENAME TO shown');
finds_nothing($id, 'the table is back');

# in a query that has parallel workers, and writes
my $parallel = AepTest::open_session($node);
AepTest::run_sql($parallel,
	'SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0'
);
foreach my $call ('aep.ingest_role_status()', "aep.check_ingest_role('$id')")
{
	my ($what) = $call =~ /^([\w.]+)/;
	my $sql =
	  "CREATE TABLE vault.written AS SELECT f.*, (SELECT count(*) FROM vault.gold) FROM $call AS f";

	like(run("EXPLAIN (COSTS OFF) $sql", $parallel)->{out}, qr/Gather/, "$what: a parallel plan");
	is(run("$sql; DROP TABLE vault.written", $parallel)->{err}, '', "$what: no error in it");
}
AepTest::close_session($parallel);

# who may look
like(
	run("SELECT * FROM aep.check_ingest_role('$nowhere')")->{err},
	qr/ERROR:  42704: /,
	'check: not managed');
like(run('SELECT * FROM aep.check_ingest_role(NULL)')->{err}, qr/ERROR:  22004: /, 'check: NULL');
my $outsider = AepTest::open_session($node);
AepTest::run_sql($outsider, 'SET SESSION AUTHORIZATION plain');
like(
	run("SELECT * FROM aep.check_ingest_role('$id')", $outsider)->{err},
	qr/ERROR:  42704: the credentials of connection $id are not managed here\n/,
	'check: as little as the status for one who may not alter the role');
AepTest::close_session($outsider);

# A login that is gone: the other one takes its place
query('DROP ROLE reader_a');
finds(
	$id,
	qr/^login reader_a does not exist$/,
	qr/^CALL aep\.rotate_credentials\(/,
	'a login that is gone');
is(run("CALL aep.rotate_credentials('$id')")->{err},
	'', 'rotation replaces a login that is gone');
finds_nothing($id, 'the login was replaced');

# The server's own settings, which take restarts

# one who does not see what kind others' sessions are
sub open_as_dba
{
	return AepTest::open_session($node, undef, $node->connstr('postgres') . ' user=dba');
}
query('GRANT EXECUTE ON FUNCTION pg_catalog.pg_hba_file_rules() TO dba');
my $other = open_as_dba();
my $owned = create("'owned', '{own}'", $other);
AepTest::close_session($other);

sub restart
{
	my ($conf) = @_;

	AepTest::close_session($session);
	$node->append_conf('postgresql.conf', $conf);
	$node->restart;
	$session = AepTest::open_session($node);
	call_in($session);
	return;
}
restart("listen_addresses = ' localhost , 127.0.0.1,::1'");
my $remedy = finds(
	$id,
	qr/^listen_addresses is ' localhost , 127\.0\.0\.1,::1': the server accepts no connection from outside$/,
	qr/^ALTER SYSTEM SET listen_addresses = '\*'; then restart the server$/,
	'listen_addresses');
$remedy =~ s/; then restart the server$//;
is(run($remedy)->{err}, '', 'listen_addresses: the remedy can be executed');
is( query(
		"SELECT name, setting FROM pg_file_settings WHERE name = 'listen_addresses' AND sourcefile ~ 'auto.conf'"
	),
	'listen_addresses|*',
	'listen_addresses: it is set');
query('ALTER SYSTEM RESET listen_addresses');

# too few connections: all that are not reserved are in use
restart(<<'CONF');
listen_addresses = '127.0.0.1,192.0.2.1'
max_connections = 12
superuser_reserved_connections = 10
max_wal_senders = 0
CONF
finds_nothing($id, 'one connection of two');
$other = AepTest::open_session($node);
AepTest::run_sql($other, 'SELECT 1');
finds(
	$id,
	qr/^the server uses all 12 connections that are not reserved$/,
	qr/^ALTER SYSTEM SET max_connections = /,
	'max_connections');
AepTest::close_session($other);
wait_for_sessions(1);
$other = open_as_dba();
is( run('SELECT count(backend_type) FROM pg_stat_activity WHERE pid <> pg_backend_pid()', $other)
	  ->{out},
	0,
	'max_connections: what is hidden');
finds(
	$owned,
	qr/^the server uses all 12 connections that are not reserved$/,
	qr/^ALTER SYSTEM SET max_connections = /,
	"max_connections: among others' sessions",
	$other);
AepTest::close_session($session);
my $sessions = 'SELECT count(*) FROM pg_stat_activity WHERE datid IS NOT NULL';
ok(AepTest::wait_until(sub { AepTest::run_sql($other, $sessions) == 1 }),
	'max_connections: one connection of two');
is_deeply([ findings($owned, $other) ],
	[], "max_connections: nothing is found any more among others' sessions");
AepTest::close_session($other);

no_password_is_left(2);

done_testing();
