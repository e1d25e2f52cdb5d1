# aep.drop_ingest_role(): connection, logins, grants and row go, from every step, in as
# many calls as it takes; what somebody else has to do with is left alone.
use strict;
use warnings;

use AepTest;
use Calls qw(query kinds);
use IngestRole;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Rotation;
use Test::More;
use Told;

my ($node, $fake, $session, $second) = Rotation::start();
my $whole = 'GET POST TEST DELETE PATCH TEST';
my $result;
query(<<'SQL');
GRANT USAGE ON SCHEMA shop TO dba WITH GRANT OPTION;
GRANT SELECT ON ALL TABLES IN SCHEMA shop TO dba WITH GRANT OPTION;
SQL

sub drop_call
{
	my ($of) = @_;

	return "CALL aep.drop_ingest_role('$of->{role}')";
}

# Tests that the call ends well, with these requests and messages, and leaves what was
# there before the role was made.
sub drops
{
	my ($of, $before, $kinds, $what, $messages, $where) = @_;

	$result = run(drop_call($of), $where);
	like($result->{err}, $messages // qr/^$/, "$what: what is said");
	is(kinds($result), $kinds, "$what: the requests");
	is(traces(), $before, "$what: nothing is left");
	is(scalar(grep { $_->{id} eq ($of->{id} // '') } $fake->connections), 0, "$what: nor over there");
	return;
}

# In every step

my $before = traces();
drops(managed('active', '', 'aep', ', default_privileges => true'), $before, 'DELETE', 'active');

my %steps = (
	rotated => [ '', 'active b: aB', 'DELETE' ],
	proving_kept => [ '', 'proving a -> b: AB', 'DELETE DELETE', 'on=DELETE,status=403,times=1' ],
	proving_made => [ '', 'proving a -> b: AB', 'DELETE LIST DELETE', 'on=POST,notjson=1' ],
	told => [ 'on=TEST,result=false,times=1', 'rotating a -> b, told: AB', 'DELETE' ],
	unknown => [ 'on=PATCH,notjson=1,times=1', 'unknown a: AB', 'DELETE' ]);
foreach my $role (sort keys %steps)
{
	my ($fault, $state, $kinds, $probe) = @{ $steps{$role} };
	$before = traces();
	my $of = managed($role, $fault);

	fail_trial($of, $probe) if $probe;
	run(rotation($of));
	is(state($of), $state, "$role: the state");
	drops($of, $before, $kinds, $role);
}
is(scalar(grep { $_->{name} =~ /\(login test / } $fake->connections), 0, 'no trial is left');

# Whose trial may have been made, and was not
$before = traces();
my $doubtful = managed('doubtful', '', 'once');
fail_trial($doubtful, 'on=POST,close=mid_headers,processed=0');
run(rotation($doubtful));
drops($doubtful, $before, 'DELETE LIST', 'a trial in doubt',
	qr/^WARNING:  01000: base connection "fault:.*doubtful \(login test \w+\)" is not in Experience Platform\n/);

# Whose creation has an unknown outcome

sub lost
{
	my ($role, $fault, $more) = @_;

	run("CALL aep.create_ingest_role('$role', '{shop}', name => 'fault:$fault $role', server => 'once'" . ($more // '') . ')');
	is(query("SELECT step, connection_id IS NULL FROM aep.ingest_role WHERE role_name = '$role'"),
		'unknown|t', "$role: the state");
	return { role => $role };
}
$before = traces();
drops(lost('lost_made', 'close=mid_headers,processed=1'), $before, 'LIST DELETE', 'it was made');
is(scalar(grep { $_->{name} =~ / lost_made$/ } $fake->connections), 0, 'it was made, and is deleted');
drops(lost('lost_unmade', 'close=mid_headers,processed=0'), $before, 'LIST', 'it was not made',
	qr/^WARNING:  01000: base connection "fault:.* lost_unmade" is not in Experience Platform\nDETAIL:  .*\nHINT:  If it turns up later, delete it/);

# another one has its name; what cannot be told apart is left alone
my $lost = lost('lost_other', 'close=mid_headers,processed=0');
my $other = managed('namesake', 'close=mid_headers,processed=0,times=0')->{id};
query("CALL aep.forget_ingest_role('namesake'); DROP OWNED BY namesake, namesake_a; DROP ROLE namesake, namesake_a");
query("UPDATE aep.ingest_role SET connection_name = 'fault:close=mid_headers,processed=0,times=0 namesake' WHERE role_name = 'lost_other'");
drops($lost, $before, 'LIST', 'one of the same name',
	qr/^WARNING:  01000: base connection ".*" stays in Experience Platform\nDETAIL:  It does not show login "lost_other_a" at db1\.example\.com, port \d+.*\nHINT:  If it is not, use SELECT aep\.delete_connection\('$other', 'once'\)\./);
is(scalar(grep { $_->{id} eq $other } $fake->connections), 1, 'one of the same name: it is there');
drops(lost('lost_string', 'close=mid_headers,processed=1', ", auth_type => 'connection_string'"), $before, 'LIST',
	'a connection string shows no login', qr/^WARNING:  01000: base connection ".*" stays in Experience Platform\n/);

# What is gone already

$before = traces();
my $gone = managed('gone');
$result = run("SELECT aep.delete_connection('$gone->{id}')");
like($result->{err},
	qr/^WARNING:  01000: the roles of connection $gone->{id} stay\nDETAIL:  Ingest role "gone" and its logins were made for it\.\nHINT:  CALL aep\.drop_ingest_role\('gone'\) takes them away\.\n/,
	'aep.delete_connection says what stays');
drops($gone, $before, 'DELETE', 'a connection that is gone',
	qr/^NOTICE:  00000: base connection $gone->{id} is not in sandbox "prod" of Experience Platform\n/);
my $roleless = managed('roleless');
run(rotation($roleless));
query('DROP ROLE roleless_a; DROP OWNED BY roleless; DROP ROLE roleless');
drops($roleless, $before, 'DELETE', 'the role and a login are gone');
is(run("SELECT aep.delete_connection('$other')")->{err}, '', 'aep.delete_connection of another one says nothing');
like(run(drop_call($gone))->{err}, qr/^ERROR:  42704: role "gone" is not an ingest role of this database\n/, 'twice');

# A sandbox that is not found is not a connection that is not found.
AepTest::create_server($node, $fake, server => 'lost_sandbox');
my $boxed = managed('boxed', 'on=DELETE,status=404,code=FLOW-2103,times=1', 'lost_sandbox');
$result = run(drop_call($boxed));
like($result->{err}, qr/^ERROR:  42704: could not delete base connection/, 'no sandbox: the error');
told_works($boxed, 'a', 'no sandbox');
drops($boxed, $before, 'DELETE', 'the sandbox is back');

# Refused by the platform: nothing is changed here

my $used = managed('used');

sub post
{
	my ($collection, $body) = @_;

	return query("SELECT body->>'id' FROM aep.request('POST', '/flowservice/$collection', body => "
		  . AepTest::literal(encode_json($body)) . ')');
}
my $source = post('sourceConnections', { name => 's', baseConnectionId => $used->{id},
	connectionSpec => { id => '74a1c565-4e59-48d7-9d67-7c03b8a13137', version => '1.0' } });
my $target = post('targetConnections', { name => 't', connectionSpec => { id => 'c604ff05-7f1a-43c0-8e18-33bf874cb11c' } });
my $flow = post('flows', { name => 'Hourly', sourceConnectionIds => [$source], targetConnectionIds => [$target] });
$before = traces();
$result = run(drop_call($used));
like($result->{err}, qr/^ERROR:  2BP01: could not delete base connection.*flows still use it\nDETAIL:  .*"Hourly" \($flow\)/, 'flows use it: the error');
is(traces(), $before, 'flows use it: nothing is changed');
told_works($used, 'a', 'flows use it');
query("SELECT status FROM aep.request('DELETE', '/flowservice/flows/$flow')");
$result = run(drop_call($used));
is($result->{err}, '', 'the flow is deleted: the hint leads out');
$before = traces();
foreach my $fault ('status=403', 'status=503,processed=0', 'close=mid_headers,processed=1')
{
	my $what = "DELETE, $fault";
	my $of = managed('faulty', "on=DELETE,$fault,times=1", 'once');
	$result = run(drop_call($of));
	like($result->{err}, qr/^ERROR:  (?:42501|58000|08007): /, "$what: the error") unless $fault =~ /^close/;
	drops($of, $before, 'DELETE', $what) if traces() ne $before;
	is(traces(), $before, "$what: in the end");
}

# What the role has got beside what was granted: grants of others, a policy, a member
$before = traces();
my $grown = managed('grown');
run(rotation($grown));
query(<<'SQL');
CREATE ROLE analyst IN ROLE grown;
GRANT SELECT ON vault.gold TO grown_b;
GRANT USAGE ON SCHEMA vault TO grown;
ALTER TABLE office.hidden ENABLE ROW LEVEL SECURITY;
CREATE POLICY grown ON office.hidden FOR SELECT TO grown USING (true);
SET ROLE dba; GRANT SELECT ON own.things TO grown; RESET ROLE;
SQL
$result = run(drop_call($grown));
is($result->{err}, '', 'a role that has got more');
query('DROP ROLE analyst; ALTER TABLE office.hidden DISABLE ROW LEVEL SECURITY');
is(traces(), $before, 'a role that has got more: nothing is left');
is(query("SELECT count(*) FROM pg_policy"), 0, 'nor its policy');

# What is not for it to take away: refused before anything is sent
my $owner = managed('owner');
query('CREATE TABLE office.theirs AS SELECT 1 AS kept; ALTER TABLE office.theirs OWNER TO owner_a');
$before = traces();
$result = run(drop_call($owner));
like(
	$result->{err},
	qr/^ERROR:  2BP01: role "owner_a" owns objects in database "postgres"\nDETAIL:  .*\nHINT:  Use REASSIGN OWNED BY owner_a TO \.\.\. there, then the same CALL\./,
	'a login that owns something: the error');
is(kinds($result), '', 'a login that owns something: nothing is sent');
is(traces(), $before, 'a login that owns something: nothing is changed');
query('REASSIGN OWNED BY owner_a TO dba');
$node->safe_psql('elsewhere', 'CREATE TABLE t (); GRANT SELECT ON t TO owner');
$result = run(drop_call($owner));
like(
	$result->{err},
	qr/^ERROR:  2BP01: role "owner" has privileges in database "elsewhere"\nDETAIL:  .*\nHINT:  Use DROP OWNED BY owner there, then the same CALL\./,
	'privileges in another database: the error');
$node->safe_psql('elsewhere', 'DROP OWNED BY owner');
is(run(drop_call($owner))->{err}, '', 'the hints lead out');
is(query('SELECT kept FROM office.theirs'), 1, 'and what it owned is there');
query('DROP TABLE office.theirs');

# Roles of the names of logins that others have made stay.
my $named = managed('named');
query('CREATE ROLE named_c LOGIN; CREATE ROLE named_d LOGIN IN ROLE named');
is(run(drop_call($named))->{err}, '', "others' roles");
is(query("SELECT string_agg(rolname, ' ' ORDER BY 1) FROM pg_roles WHERE rolname ~ '^named'"),
	'named_c named_d', "others' roles stay");
query('DROP ROLE named_c, named_d');

# By a caller who is no superuser
$before = traces();
AepTest::run_sql($second, 'SET SESSION AUTHORIZATION dba');
my $by_dba = managed('by_dba', '', 'aep', ', default_privileges => true', $second);
run(rotation($by_dba), $second);
query('GRANT SELECT ON office.shown TO by_dba');
$result = run(drop_call($by_dba), $second);
like($result->{err}, qr/^ERROR:  2BP01: role "by_dba" cannot be dropped because some objects depend on it\nDETAIL:  privileges for table office\.shown\n/m,
	"with CREATEROLE: what is not the caller's to take back");
is(kinds($result), '', "with CREATEROLE: what is not the caller's to take back: nothing is sent");
told_works($by_dba, 'b', "with CREATEROLE: what is not the caller's to take back");
query('REVOKE SELECT ON office.shown FROM by_dba');
drops($by_dba, $before, 'DELETE', 'with CREATEROLE', undef, $second);
AepTest::run_sql($second, 'RESET SESSION AUTHORIZATION');

# Where it cannot commit, and while another session works on it
my $calm = managed('calm');
query("CREATE FUNCTION drops() RETURNS void LANGUAGE plpgsql AS \$\$ BEGIN CALL aep.drop_ingest_role('calm'); END \$\$");
foreach my $sql ("BEGIN; @{[drop_call($calm)]}; ROLLBACK", 'SELECT drops()')
{
	$result = run($sql);
	like($result->{err}, qr/^ERROR:  25001: aep\.drop_ingest_role cannot be called inside a transaction block/, "not: $sql");
	is(kinds($result), '', "not: $sql: nothing is sent");
}
my $held = managed('held', 'on=DELETE,stall=before_headers,processed=0,times=1');
my $waiting = AepTest::open_session($node);
ok(begin_until($waiting, drop_call($held), 'DELETE'), 'one is being dropped');
foreach my $call (drop_call($held), rotation($held), "CALL aep.adopt_ingest_role('held')", "CALL aep.forget_ingest_role('held')")
{
	$result = run($call);
	like($result->{err}, qr/^ERROR:  55P03: another session is working on ingest role "held"\n/, "meanwhile: $call");
	is(kinds($result), '', "meanwhile: $call: nothing is sent");
}
query("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query ~ 'drop_ingest_role' AND pid <> pg_backend_pid()");
AepTest::end_sql($waiting);
like($waiting->{err}, qr/^ERROR:  57014: .*\nHINT:  The same CALL goes on where this one stopped\.\n/m, 'cancelled: the hint');
told_works($held, 'a', 'cancelled');
$before = query("SELECT 1") && traces() =~ s/^.*\bheld.*\n//mgr;
is(run(drop_call($held))->{err}, '', 'cancelled: the same CALL goes on');
is(query("SELECT count(*) FROM pg_roles WHERE rolname ~ '^held'"), 0, 'cancelled: no role is left');
is(query("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), 0, 'no lock is left');
AepTest::close_session($waiting);

# The server crashes after the platform has deleted it.
my $crashing = managed('crashing', 'on=DELETE,stall=before_headers,processed=1,times=1');
my $lost_session = AepTest::open_session($node);
ok(begin_until($lost_session, drop_call($crashing), 'DELETE'), 'crash: it got so far');
$node->stop('immediate');
foreach my $dead ($session, $second, $lost_session)
{
	$dead->{in} .= "SELECT 1;\n";
	eval { $dead->{harness}->finish };
}
$node->start;
open_sessions();
is(query("SELECT step FROM aep.ingest_role_status() WHERE role_name = 'crashing'"), 'active', 'crash: the state');
$result = run(drop_call($crashing));
like($result->{err}, qr/^NOTICE:  00000: base connection $crashing->{id} is not in sandbox/, 'crash: the same CALL goes on');
is(query("SELECT count(*) FROM pg_roles WHERE rolname ~ '^crashing'"), 0, 'crash: no role is left');

no_password_is_left(20);

done_testing();
