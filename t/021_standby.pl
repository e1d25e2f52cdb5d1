# A hot standby, its promotion, and dump and restore.
use strict;
use warnings;

use AepTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $uuid = qr/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/;
my $fake = AepTest::start_fake();
my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', <<'CONF');
max_connections = 20
autovacuum = off
max_standby_streaming_delay = 0
wal_receiver_status_interval = 1
CONF
$primary->start;
$primary->safe_psql('postgres', 'CREATE EXTENSION aep');

my %login = (username => 'acme', password => 'sesame');
AepTest::create_server($primary, $fake, %login);
AepTest::create_server($primary, $fake, %login,
	server => 'fetching',
	token_url => $fake->url('ims'),
	access_token => undef,
	client_secret => 'demo-client-secret',
	advertised_host => undef,
	advertised_port => 6432);
my $managed = $primary->safe_psql('postgres', <<'SQL');
CREATE SCHEMA shop;
CREATE TABLE shop.orders AS SELECT 1 AS id;
CREATE TABLE made (id uuid);
CREATE ROLE caller LOGIN;
CREATE ROLE stranger LOGIN;
GRANT USAGE ON SCHEMA aep TO caller;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA aep TO caller;
GRANT USAGE ON FOREIGN SERVER aep TO caller WITH GRANT OPTION;
CREATE USER MAPPING FOR caller SERVER aep
    OPTIONS (api_key 'demo-api-key', access_token 'demo-access-token', username 'caller',
             password E'it''s a \\ "secret"');
CREATE USER MAPPING FOR PUBLIC SERVER fetching
    OPTIONS (api_key 'demo-api-key', client_secret 'demo-client-secret');
CALL aep.create_ingest_role('ingest', tables => '{shop.orders}', name => 'managed');
SQL
$managed =~ s/\|.*//s;
like($managed, qr/^$uuid$/, 'the primary has a managed login');

$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
my $session = AepTest::open_session($standby);
my $other = AepTest::open_session($standby);
my $log_start = -s $standby->logfile;

# Runs SQL on the standby; it must succeed.  Returns output and requests.
sub run
{
	my ($sql) = @_;
	my $result = AepTest::watch_sql($session, $fake, $sql);

	unlike($result->{err}, qr/ERROR/, "on a standby: $sql");
	return ($result->{out}, join(' ', map { $_->{kind} } @{ $result->{requests} }));
}

sub gives
{
	my ($sql, $output, $kinds) = @_;
	my ($out, $sent) = run($sql);

	like($out, $output, 'output');
	is($sent, $kinds, 'requests');
	return $out;
}

# Everything that writes nothing here works.
gives('SELECT pg_is_in_recovery()', qr/^t$/, '');
gives('SELECT extension FROM aep.version()', qr/^\d/, '');
my $port = $standby->port;
gives('SELECT port FROM aep.endpoint()', qr/^$port$/, '');
gives(q{SELECT port FROM aep.endpoint('fetching')}, qr/^6432$/, '');
gives(q{SELECT aep.base_connection_request() #>> '{auth,params,port}'}, qr/^$port$/, '');
my $made = gives(q{SELECT id FROM aep.create_base_connection(name => 'standby')}, qr/^$uuid$/, 'POST');
is(scalar(grep { $_->{id} eq $made } $fake->connections), 1, 'it really exists');
like(slurp_file($standby->logfile, $log_start),
	qr/LOG:  created base connection "standby" with id $made on server "aep"/,
	'the standby\'s log has the id');
gives('SELECT count(*) FROM aep.connections()', qr/^2$/, 'LIST');
gives("SELECT name FROM aep.connection('$made')", qr/^standby$/, 'GET');
gives('SELECT aep.connection_count()', qr/^2$/, 'COUNT');
gives("SELECT result FROM aep.test_connection('$made')", qr/^t$/, 'TEST');
my ($table) = split /\n/, gives("SELECT path FROM aep.explore('$made')", qr/\w/, 'EXPLORE');
gives("SELECT count(*) > 0 FROM aep.explore_table('$made', " . AepTest::literal($table) . ')',
	qr/^t$/, 'EXPLORE');
gives("SELECT count(*) > 0 FROM aep.preview_table('$made', " . AepTest::literal($table) . ')',
	qr/^t$/, 'PREVIEW');
gives("SELECT count(*) > 0 FROM aep.compare_table('$made', 'shop.orders', " . AepTest::literal($table) . ')',
	qr/^t$/, 'EXPLORE');
gives("SELECT etag FROM aep.update_connection('$made', description => 'changed')", qr/^".+"$/, 'GET PATCH');
# which asks the table of ingest roles whose login this is
gives("SELECT etag FROM aep.update_connection('$made', password => 'changed')", qr/^".+"$/, 'GET PATCH');
gives(q{SELECT count(id) FROM aep.create_base_connections(ARRAY[
		aep.base_connection_spec(name => 'batch 1'), aep.base_connection_spec(name => 'batch 2')])},
	qr/^2$/, 'POST POST');
gives(q{SELECT status FROM aep.request('GET', '/flowservice/connections')}, qr/^200$/, 'LIST');
gives(q{SELECT count(id) FROM aep.create_base_connection(name => 'token', server => 'fetching')},
	qr/^1$/, 'TOKEN POST');
gives(q{SELECT fetched_at IS NOT NULL FROM aep.access_token_info('fetching')}, qr/^t$/, '');
gives('SELECT role_name, active_login, step FROM aep.ingest_role_status()',
	qr/^ingest\|ingest_a\|active$/, '');
gives("SELECT count(*) >= 0 FROM aep.check_ingest_role('$managed')", qr/^t$/, '');
gives("SELECT aep.delete_connection('$made')", qr/^$/, 'DELETE');

# Its advisory lock is one of those that a standby can take.
my $ensure = q{SELECT action FROM aep.ensure_base_connection(name => 'ensured')};
gives("BEGIN; $ensure", qr/^created$/, 'LIST POST');
my ($other_pid) = AepTest::run_sql($other, 'SELECT pg_backend_pid()');
AepTest::begin_sql($other, $ensure);
$standby->poll_query_until('postgres',
	"SELECT wait_event_type = 'Extension' FROM pg_stat_activity WHERE pid = $other_pid")
  or die 'the other session did not wait';
AepTest::run_sql($session, 'COMMIT');
is(AepTest::end_sql($other), 'unchanged', 'another session waited for the first');
is(scalar(grep { $_->{name} eq 'ensured' } $fake->connections), 1, 'one was created');

# Rollbacks and savepoints are a standby's as well.
my $rolled_back = AepTest::watch_sql($session, $fake, <<'SQL');
BEGIN;
SELECT count(id) FROM aep.create_base_connection(name => 'kept');
SAVEPOINT a;
SELECT count(id) FROM aep.create_base_connection(name => 'inner');
ROLLBACK TO a;
COMMIT;
BEGIN;
SELECT count(id) FROM aep.create_base_connection(name => 'outer');
ROLLBACK
SQL
is_deeply(
	[ $rolled_back->{err} =~ /^WARNING:.*undone by (.*)\nDETAIL:  $uuid \(base connection "(.*)"\)/mg ],
	[ 'this rollback to a savepoint', 'inner', 'this rollback', 'outer' ],
	'what a rollback leaves behind is named');

# What has to write here says so, and does nothing at all.
sub refused
{
	my ($call) = @_;
	my $fresh = AepTest::open_session($standby); # has no token yet
	my $result = AepTest::watch_sql($fresh, $fake, $call);

	AepTest::close_session($fresh);
	like($result->{err}, qr/^ERROR:  25006: cannot execute .*(?:read-only transaction|recovery)/m,
		"on a standby: $call");
	is(scalar(@{ $result->{requests} }), 0, 'nothing is sent');
	return;
}
refused(q{CALL aep.create_ingest_role('half', tables => '{shop.orders}')});
refused(q{CALL aep.create_ingest_role('half', tables => '{shop.orders}', server => 'fetching')});
refused("CALL aep.rotate_credentials('$managed')");
refused("CALL aep.$_('ingest')") foreach (qw(drop_ingest_role adopt_ingest_role forget_ingest_role));
is(AepTest::run_sql($session, q{SELECT count(*) FROM pg_roles WHERE rolname LIKE 'half%'}),
	0, 'no role is made');
is(AepTest::run_sql($session, q{SELECT step FROM aep.ingest_role_status()}), 'active',
	'the state is as before');
is(AepTest::run_sql($session, q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'}), 0,
	'no lock stays');

# Recovery does not wait for a call.
AepTest::run_sql($session, 'BEGIN; SELECT * FROM shop.orders');
AepTest::begin_sql($session,
	q{SELECT id FROM aep.create_base_connection(name => 'fault:stall=before_headers conflict')});
AepTest::wait_until(sub { $fake->requests_named('fault:stall=before_headers conflict') })
  or die 'nothing was sent';
$primary->safe_psql('postgres', 'TRUNCATE shop.orders; INSERT INTO shop.orders VALUES (1)');
AepTest::end_sql($session);
like($session->{err}, qr/^ERROR:  40001: canceling statement due to conflict with recovery/m,
	'a recovery conflict ends it');
my $after = AepTest::run_sql($session, 'ROLLBACK');
like(slurp_file($standby->logfile, $log_start),
	qr/LOG:  outcome unknown: create base connection "fault:stall=before_headers conflict"/,
	'its outcome is unknown, and the log says so');

# Promotion, during a call and in the same sessions.
AepTest::begin_sql($other,
	q{SELECT count(id) FROM aep.create_base_connection(name => 'fault:delay=2 promoted meanwhile')});
AepTest::wait_until(sub { $fake->requests_named('fault:delay=2 promoted meanwhile') })
  or die 'nothing was sent';
$standby->promote;
is(AepTest::end_sql($other), 1, 'a call survives the promotion');
sub writes
{
	my ($sql, $output) = @_;
	my $out = AepTest::run_sql($session, $sql);

	unlike($session->{err}, qr/ERROR/, "after the promotion: $sql");
	like($out, $output, 'output');
	return $out;
}
$session->{err} = '';
writes('SELECT pg_is_in_recovery()', qr/^f$/);
writes(q{INSERT INTO made SELECT id FROM aep.create_base_connection(name => 'promoted') RETURNING id},
	qr/^$uuid$/);
# its port is another one: that it takes over has to be said
like(AepTest::run_sql($session, "SELECT binding FROM aep.ingest_role_status(); CALL aep.rotate_credentials('$managed')"),
	qr/^moved$/, 'the ingest role is bound to the address of the primary');
like($session->{err}, qr/^ERROR:  55000: .*\nDETAIL:  .* port @{[$primary->port]}, and this one is .* port $port\.\nHINT:  .*CALL aep\.adopt_ingest_role\('ingest'\)/m,
	'a rotation before it is adopted');
writes("CALL aep.adopt_ingest_role('ingest')", qr/^$/);
writes("CALL aep.rotate_credentials('$managed')", qr/^ingest_b\|"/);
is((grep { $_->{kind} eq 'PATCH' } $fake->requests)[-1]{body}[0]{value}{port}, $port,
	'the platform is told of the new address');
writes(q{CALL aep.create_ingest_role('half', tables => '{shop.orders}', server => 'fetching')},
	qr/^$uuid\|"/);
writes('SELECT role_name, active_login, step FROM aep.ingest_role_status() ORDER BY role_name',
	qr/^half\|half_a\|active\ningest\|ingest_b\|active$/);
AepTest::close_session($_) foreach ($session, $other);

# Dump and restore, in both of pg_dump's ways.  What a dump of the copy says is
# what the dump of the original says.
sub dump_of
{
	my ($dbname, @options) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir() . "/$dbname.dump";

	$standby->command_ok([ 'pg_dump', '-f', $file, @options, $standby->connstr($dbname) ],
		"pg_dump $dbname");
	return $file;
}

sub text_of
{
	my ($dbname) = @_;

	# newer versions of pg_dump write a random word
	return slurp_file(dump_of($dbname)) =~ s/^\\(un)?restrict .*\n//mgr;
}
$standby->safe_psql('postgres', <<'SQL');
CREATE VIEW recent AS SELECT id, name FROM aep.connections(max_rows => 5);
GRANT SELECT ON recent TO caller;
CREATE DATABASE plain;
CREATE DATABASE custom;
SQL
my $original = text_of('postgres');
like($original, qr/^COPY aep\.ingest_role .*\n(?:(?:half|ingest)\t.*\n){2}/m, 'the dump has the table\'s rows');
$standby->command_ok(
	[ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', dump_of('postgres'), $standby->connstr('plain') ],
	'a plain dump is restored');
$standby->command_ok(
	[ 'pg_restore', '-e', '-d', $standby->connstr('custom'), dump_of('postgres', '-Fc') ],
	'one in the custom format too');
foreach my $dbname ('plain', 'custom')
{
	my %as = (
		caller => $standby->connstr($dbname) . ' user=caller',
		stranger => $standby->connstr($dbname) . ' user=stranger');

	is(text_of($dbname), $original, "$dbname: nothing is lost or added");
	like(
		$standby->safe_psql($dbname, 'SELECT id FROM aep.create_base_connection()'),
		qr/^$uuid$/,
		"$dbname: a call works");
	my $before = $fake->requests;
	like(
		$standby->safe_psql($dbname, 'SELECT id FROM aep.create_base_connection()',
			connstr => $as{caller}),
		qr/^$uuid$/,
		"$dbname: so does that of a role that was granted it");
	my ($request) = $fake->requests($before);
	is($request->{body}{auth}{params}{username}, 'caller', "$dbname: with its own mapping");
	is($standby->safe_psql($dbname, 'SELECT count(*) FROM recent', connstr => $as{caller}), 5,
		"$dbname: the view works");
	my ($status, $out, $err) =
	  $standby->psql($dbname, 'SELECT * FROM aep.version()', connstr => $as{stranger});
	like($err, qr/permission denied for schema aep/, "$dbname: it is closed to others");
	is( $standby->safe_psql($dbname, 'SELECT role_name, binding FROM aep.ingest_role_status()'),
		"half|elsewhere\ningest|elsewhere",
		"$dbname: the managed logins are known, as those of another database");
}

done_testing();
