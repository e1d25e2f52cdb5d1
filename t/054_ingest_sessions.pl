# Many sessions make, rotate and drop ingest roles at once; triggers meddle with what a
# procedure works on; and where PL/pgSQL can call them.
use strict;
use warnings;

use AepTest;
use Calls qw(query kinds);
use IngestRole;
use PostgreSQL::Test::Utils;
use Test::More;
use Told;

# the server's C library overwrites what is freed
$ENV{MALLOC_PERTURB_} = 165;

my $sessions = 22;
my ($node, $fake, $session) = IngestRole::start(conf => ['max_connections = 60']);
my $result;

# All at once: PostgreSQL lets two that grant on one object at a time fail

my @sessions = map { AepTest::open_session($node) } (1 .. $sessions);
my @pids = map { AepTest::run_sql($_, 'SELECT pg_backend_pid()') } @sessions;

# Runs a call in each session; all wait at a gate until all of them are there.
sub at_once
{
	my ($what, @calls) = @_;
	my $gate = AepTest::open_session($node);

	AepTest::run_sql($gate, 'BEGIN; LOCK TABLE aep.ingest_role IN ACCESS EXCLUSIVE MODE');
	AepTest::begin_sql($sessions[$_], $calls[$_]) foreach (0 .. $#sessions);
	ok( AepTest::wait_until(
			sub {
				$node->safe_psql('postgres',
					"SELECT count(*) = $sessions FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND pid IN ("
					  . join(',', @pids) . ')') eq 't';
			}),
		"$what: all wait");
	AepTest::run_sql($gate, 'COMMIT');
	AepTest::end_sql($_) foreach (@sessions);
	is(join('', map { remember($_->{err}); $_->{err} } @sessions), '', "$what: no error");
	AepTest::close_session($gate);
	return;
}
my $before = traces();
at_once('created', map { "CALL aep.create_ingest_role('many_$_', '{shop}', '{office.shown}', default_privileges => true)" } (1 .. $sessions));
is(query("SELECT count(*) FROM aep.ingest_role_status() WHERE step = 'active' AND role_name ~ '^many_'"),
	$sessions, 'created: all are active');
my %id = map { split /\|/ } split /\n/, query("SELECT role_name, connection_id FROM aep.ingest_role_status()");
is_deeply(
	[ grep { query("SELECT count(*) FROM aep.check_ingest_role('$id{$_}') WHERE finding ~ 'may not'") ne '0' } sort keys %id ],
	[], 'created: all may read');
at_once('rotated', map { "CALL aep.rotate_credentials('$id{\"many_$_\"}')" } (1 .. $sessions));
is(query("SELECT count(*) FROM aep.ingest_role_status() WHERE step = 'active' AND active_login ~ '^many_.*_b\$'"),
	$sessions, 'rotated: all are active');
at_once('dropped', map { "CALL aep.drop_ingest_role('many_$_')" } (1 .. $sessions));
is(traces(), $before, 'dropped: nothing is left');
AepTest::close_session($_) foreach (@sessions);

# One name, twice at once
my ($first, $second) = map { AepTest::open_session($node) } (1, 2);
my $name = 'fault:stall=before_headers,processed=0,times=1 twin';
AepTest::begin_sql($first, "CALL aep.create_ingest_role('twin', '{shop}', name => '$name')");
ok(AepTest::wait_until(sub { scalar $fake->requests_named($name) }), 'one name: the first is on its way');
like(run("CALL aep.create_ingest_role('twin', '{shop}')", $second)->{err},
	qr/^ERROR:  55P03: another session is working on ingest role "twin"\n/, 'one name: the second');
query("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query ~ 'create_ingest_role.*twin' AND pid <> pg_backend_pid()");
AepTest::end_sql($first);
query("CALL aep.drop_ingest_role('twin')");
is(traces(), $before, 'one name: nothing is left');
AepTest::close_session($_) foreach ($first, $second);

# Event triggers that meddle at each GRANT

query(<<'SQL');
CREATE TABLE meddling (what text);
CREATE SCHEMA fleeting;
CREATE FUNCTION meddle() RETURNS event_trigger LANGUAGE plpgsql AS $$
DECLARE sql text;
BEGIN
    FOR sql IN SELECT what FROM meddling LOOP
        EXECUTE sql;
    END LOOP;
    -- what was read before is in no cache any more, and its memory is taken by others
    FOR i IN 1 .. 5 LOOP
        ALTER SERVER aep OPTIONS (SET advertised_host 'eee.example.com');
        ALTER USER MAPPING FOR CURRENT_USER SERVER aep OPTIONS (SET api_key 'another-key');
        PERFORM host FROM aep.endpoint();
        PERFORM repeat('x', 1000) FROM generate_series(1, 100);
        ALTER SERVER aep OPTIONS (SET advertised_host 'db1.example.com');
        ALTER USER MAPPING FOR CURRENT_USER SERVER aep OPTIONS (SET api_key 'demo-api-key');
    END LOOP;
END $$;
CREATE EVENT TRIGGER meddle ON ddl_command_end WHEN TAG IN ('GRANT', 'REVOKE', 'ALTER DEFAULT PRIVILEGES', 'DROP OWNED')
    EXECUTE FUNCTION meddle();
SQL
my %meddling = (
	'nothing else' => [ 'SELECT 1', undef ],
	'a rename' => [ 'ALTER TABLE IF EXISTS fleeting.goods RENAME TO things', undef ],
	'another schema' => [ 'ALTER TABLE IF EXISTS fleeting.goods SET SCHEMA office', undef ],
	'no table' => [ 'DROP TABLE IF EXISTS fleeting.goods', qr/^ERROR:  42P01: /m ],
	'no schema' => [ 'DROP SCHEMA IF EXISTS fleeting CASCADE', qr/^ERROR:  (?:42P01|3F000): /m ],
	'no role' => [ 'DROP OWNED BY meddled; DROP ROLE meddled', qr/^ERROR:  /m ],
	'no row' => [ 'DELETE FROM aep.ingest_role', undef ],
	'no server' => [ 'ALTER SERVER aep RENAME TO other', qr/^ERROR:  / ]);
foreach my $what (sort keys %meddling)
{
	my ($sql, $error) = @{ $meddling{$what} };

	# its own GRANTs come before
	query("TRUNCATE meddling; CREATE SCHEMA IF NOT EXISTS fleeting; CREATE TABLE fleeting.goods AS SELECT 1 AS id");
	$before = traces();
	query('INSERT INTO meddling VALUES (' . AepTest::literal($sql) . ')');
	$result = run(
		"DO \$\$ DECLARE i uuid; e text; r name := 'meddled'; d text := repeat('d', 100); BEGIN "
		  . "CALL aep.create_ingest_role(r, '{shop}', '{fleeting.goods,office.shown}', description => d, id => i, etag => e); END \$\$");
	query('TRUNCATE meddling');
	if ($error)
	{
		like($result->{err}, $error, "$what: the error");
		is(kinds($result), '', "$what: nothing is sent");
	}
	else
	{
		unlike($result->{err}, qr/^ERROR/m, "$what: no error");
		is(kinds($result), 'POST', "$what: one request");
		is($result->{requests}[0]{body}{auth}{params}{server}, 'db1.example.com', "$what: its address");
		is($result->{requests}[0]{body}{description}, 'd' x 100, "$what: its description");
		is($result->{requests}[0]{headers}{'x-api-key'}, 'demo-api-key', "$what: its key");
		my $id = query("SELECT connection_id FROM aep.ingest_role WHERE role_name = 'meddled'");
		is(run("DO \$\$ DECLARE l text; e text; BEGIN CALL aep.rotate_credentials('$id', active_login => l, etag => e); END \$\$")->{err},
			'', "$what: it rotates");
		is(run("CALL aep.drop_ingest_role('meddled')")->{err}, '', "$what: it is dropped");
	}
	query('DROP TABLE IF EXISTS fleeting.goods, fleeting.things, office.goods');
	is(query("SELECT count(*) FROM pg_roles WHERE rolname ~ '^meddled'"), 0, "$what: no role is left");
}
query('DROP EVENT TRIGGER meddle');

# In PL/pgSQL

my $id = create("'called', '{shop}'");
my $call = "CALL aep.rotate_credentials('$id', active_login => l, etag => e)";
my $body = "LANGUAGE plpgsql AS \$\$ DECLARE l text; e text; BEGIN $call; END \$\$";
query("CREATE PROCEDURE plain_one() $body");
query("CREATE PROCEDURE definer() SECURITY DEFINER $body");
query("CREATE PROCEDURE setting() SET search_path = pg_catalog $body");
is(run('CALL plain_one()')->{err}, '', 'in a procedure that is called by itself');
my $hint =
  qr/^ERROR:  25001: aep\.rotate_credentials cannot be called inside a transaction block\nDETAIL:  .*\nHINT:  Call it as a statement of its own, with autocommit on\. .*a block with EXCEPTION, or a procedure with SECURITY DEFINER or SET; what it returns needs variables there: CALL aep\.rotate_credentials\(id, active_login => l, etag => e\)\.$/m;
foreach my $sql ('CALL definer()', 'CALL setting()', "BEGIN; CALL plain_one(); ROLLBACK",
	"DO \$\$ DECLARE l text; e text; BEGIN $call; EXCEPTION WHEN no_data_found THEN NULL; END \$\$")
{
	$result = run($sql);
	like($result->{err}, $hint, "not: $sql");
	is(kinds($result), '', "not: $sql: nothing is sent");
}
like(run("DO \$\$ BEGIN CALL aep.rotate_credentials('$id'); END \$\$")->{err},
	qr/ERROR:  42601: procedure parameter "active_login" is an output parameter but corresponding argument is not writable/,
	'without variables: as the manual says');

# what timeouts say
run("SELECT aep.delete_connection('$id')");
query("CALL aep.drop_ingest_role('called')");
my $slow = create("'slow', '{shop}', name => 'fault:on=GET,stall=before_headers,times=1 slow'");
like(run("SET statement_timeout = 300; CALL aep.rotate_credentials('$slow'); RESET statement_timeout")->{err},
	qr/ERROR:  57014: canceling statement due to statement timeout\nHINT:  The same CALL goes on where this one stopped\./,
	'a timeout: the hint');
query('RESET statement_timeout');
is(run("CALL aep.rotate_credentials('$slow')")->{err}, '', 'a timeout: it goes on');

no_password_is_left(20);

done_testing();
