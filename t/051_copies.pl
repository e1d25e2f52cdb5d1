# A copy of a database does nothing to the connections of its original, unless it
# is told to take over: made from a template, from a dump, from a base backup with
# the very settings of the original; a database or server that was renamed or moved.
use strict;
use warnings;

use AepTest;
use Calls qw(call_in query kinds);
use IngestRole;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Rotation;
use Test::More;
use Told;

my ($node, $fake) =
  Rotation::start_logging_in('wal_level = logical', 'max_wal_senders = 5');
my $whole = 'GET POST TEST DELETE PATCH TEST';
my $result;

# Not an option of all servers: these are told the port of the original, also in a copy.
AepTest::create_server($node, $fake, server => 'fixed', advertised_port => $node->port);

# Runs a call in another database or cluster that is refused; nothing is sent.
sub refused
{
	my ($where, $dbname, $call, $error, $what) = @_;
	my $session = AepTest::open_session($where, $dbname);
	$result = run($call, $session);

	like($result->{err}, $error, "$what: the error");
	is(kinds($result), '', "$what: nothing is sent");
	AepTest::close_session($session);
	return;
}

sub elsewhere
{
	my ($role) = @_;

	return
	  qr/^ERROR:  55000: ingest role "$role" is not bound to this database\nDETAIL:  It belongs to database \d+ of cluster \d+, and this is database \d+ of cluster \d+: a copy, a restore, or the result of pg_upgrade\.\nHINT:  If this database takes the place of the other one, use CALL aep\.adopt_ingest_role\('$role'\); if it stands beside it, use CALL aep\.forget_ingest_role\('$role'\)\. doc\/copies\.md says more\.$/m;
}
sub bindings
{
	my ($where, $dbname) = @_;

	return $where->safe_psql($dbname,
		"SELECT string_agg(role_name || ' ' || binding, ', ' ORDER BY role_name) FROM aep.ingest_role_status()");
}

# One role that is being introduced to the platform when it is copied, one that is not.
my $calm = managed('calm');
my $busy = managed('busy', 'on=TEST,result=false,times=1');
my $fixed = managed('fixed', '', 'fixed');
query("GRANT USAGE ON FOREIGN SERVER aep TO dba");
like(run(rotation($busy))->{err}, qr/^ERROR:  08000: /, 'a rotation that stopped');
is(state($busy), 'rotating a -> b, told: AB', 'a rotation that stopped: the state');
is(bindings($node, 'postgres'), 'busy here, calm here, fixed here', 'at home');

# A template

close_sessions();
$node->safe_psql('elsewhere', 'CREATE DATABASE "copy" TEMPLATE postgres');
open_sessions();
is(bindings($node, 'copy'), 'busy elsewhere, calm elsewhere, fixed elsewhere', 'template: the bindings');
foreach my $call ("rotate_credentials('$calm->{id}')", "rotate_credentials('$busy->{id}')", "drop_ingest_role('calm')")
{
	my $role = $call =~ /$busy->{id}/ ? 'busy' : 'calm';

	refused($node, 'copy', "CALL aep.$call", elsewhere($role), "template: $call");
}
is( $node->safe_psql('copy', "SELECT finding ~ '^ingest role calm belongs to database', remedy FROM aep.check_ingest_role('$calm->{id}') LIMIT 1"),
	"t|CALL aep.adopt_ingest_role('calm') to take over, or CALL aep.forget_ingest_role('calm')",
	'template: the check');
refused($node, 'copy', "CALL aep.create_ingest_role('calm', '{shop}')",
	qr/^ERROR:  42710: ingest role "calm" is known already\n.*\n.*CALL aep\.forget_ingest_role\('calm'\) does it here only/m,
	'template: a row is not overwritten');
refused($node, 'copy', "CALL aep.forget_ingest_role('calm')",
	qr/^NOTICE:  00000: ingest role "calm" is forgotten\nDETAIL:  The role, its logins and its connection $calm->{id} stay/m,
	'template: forgotten');
is(bindings($node, 'copy'), 'busy elsewhere, fixed elsewhere', 'template: forgotten there');
is(bindings($node, 'postgres'), 'busy here, calm here, fixed here', 'and not here');
told_works($calm, 'a', 'template: forgotten');
again($calm, 'b', $whole, 'the original goes on');

# who may say so
foreach my $call (qw(adopt_ingest_role forget_ingest_role drop_ingest_role))
{
	my $session = AepTest::open_session($node, 'copy');

	AepTest::run_sql($session, 'SET SESSION AUTHORIZATION plain');
	$result = run("CALL aep.$call('busy')", $session);
	like($result->{err}, qr/^ERROR:  42704: role "busy" is not an ingest role of this database\n/, "$call: not by everybody");
	AepTest::close_session($session);
}
like(query("SELECT count(*) FROM aep.ingest_role"), qr/^3$/, 'the rows are there');
foreach my $case (
	[ "adopt_ingest_role(NULL)", qr/22004: argument "role_name"/ ],
	[ "adopt_ingest_role('nobody')", qr/42704: role "nobody" is not an ingest role/ ],
	[ "adopt_ingest_role('calm', host => 'db1 ')", qr/22023: invalid value for argument "host"/ ],
	[ "adopt_ingest_role('calm', port => 0)", qr/22023: invalid value for argument "port"/ ],
	[ "adopt_ingest_role('calm', database => '')", qr/22023: invalid value for argument "database"/ ],
	[ "adopt_ingest_role('calm', server => 'once')", qr/22023: invalid value for argument "server"/ ],
	[ "adopt_ingest_role('calm', server => 'nowhere')", qr/42704: server "nowhere" does not exist/ ],
	[ "forget_ingest_role(NULL)", qr/22004: argument "role_name"/ ],
	[ "forget_ingest_role('nobody')", qr/42704: role "nobody" is not an ingest role/ ],
	[ "drop_ingest_role(NULL)", qr/22004: argument "role_name"/ ],
	[ "drop_ingest_role('nobody')", qr/42704: role "nobody" is not an ingest role/ ])
{
	my ($call, $error) = @$case;

	refused($node, 'postgres', "CALL aep.$call", qr/^ERROR:  $error/m, $call);
}

# A base backup, with the settings of the original but for the port that it listens
# on; of one server the platform is told the original's all the same.

$node->append_conf('pg_hba.conf',
	"local replication all trust\n");
$node->reload;
$node->backup('copy');
my $copy = PostgreSQL::Test::Cluster->new('copy');
$copy->init_from_backup($node, 'copy');
$copy->append_conf('postgresql.conf', "listen_addresses = '127.0.0.1'");
$copy->start;
is(bindings($copy, 'postgres'), 'busy moved, calm moved, fixed here', 'base backup: the bindings');
refused($copy, 'postgres', "CALL aep.rotate_credentials('$calm->{id}')",
	qr/^ERROR:  55000: ingest role "calm" is not bound to this database\nDETAIL:  It belongs to database "postgres" at db1\.example\.com, port @{[$node->port]}, and this one is database "postgres" at db1\.example\.com, port @{[$copy->port]}\./m,
	'base backup: another port');
my $session = AepTest::open_session($copy);
$result = run("CALL aep.rotate_credentials('$fixed->{id}')", $session);
like($result->{err}, qr/^ERROR:  08000: Experience Platform could not connect as "fixed_b" .*\nHINT:  .*may be a copy: see doc\/copies\.md/m,
	'base backup: the platform gets into the original, where the password is unknown');
is(kinds($result), 'GET POST TEST DELETE', 'base backup: nothing was changed');
told_works($fixed, 'a', 'base backup');
is($copy->safe_psql('postgres', "SELECT step FROM aep.ingest_role_status() WHERE role_name = 'fixed'"),
	'active', 'base backup: the state there');
again($fixed, 'b', $whole, 'base backup: the original goes on');

# The original has a login of that name by now, and the copy has not the password.
$result = run("CALL aep.rotate_credentials('$fixed->{id}')", $session);
like($result->{err}, qr/^ERROR:  08000: /, 'base backup, later');
told_works($fixed, 'b', 'base backup, later');

# It takes over.  What was under way in the original is not gone on with.
$result = run("CALL aep.adopt_ingest_role('busy')", $session);
like(
	$result->{err},
	qr/^NOTICE:  00000: ingest role "busy" is bound to this database\nDETAIL:  Its address is database "postgres" at db1\.example\.com, port @{[$copy->port]}\.\nHINT:  .*CALL aep\.rotate_credentials\('$busy->{id}'\)\.$/m,
	'adopted: what is said');
is(bindings($copy, 'postgres'), 'busy here, calm moved, fixed here', 'adopted');
is($copy->safe_psql('postgres', "SELECT step, kept_logins, pending_login, patched, moves FROM aep.ingest_role WHERE role_name = 'busy'"),
	'unknown| busy_b ||f|t', 'adopted: the state');
$result = run("CALL aep.rotate_credentials('$busy->{id}')", $session);
like($result->{out}, qr/^busy_c\|/, 'adopted: it rotates') or diag $result->{err};
is(kinds($result), $whole, 'adopted: what is sent');
my $told = Told::login($fake, $busy->{id});
is("$told->{username} $told->{port}", 'busy_c ' . $copy->port, 'adopted: the platform is told');
is(AepTest::login($copy, 'busy_c', $told->{password}, 'SELECT id FROM shop.orders')->{out}, 1, 'adopted: it works');
is($copy->safe_psql('postgres', "SELECT moves, bound_port FROM aep.ingest_role WHERE role_name = 'busy'"),
	'f|' . $copy->port, 'adopted: the new address is bound');

# Now it is the original that must not go on; it finds the other address.
like(run(rotation($busy))->{err}, qr/^ERROR:  55000: connection $busy->{id} has another address in Experience Platform/m,
	'the original: refused');
$told = Told::login($fake, $busy->{id});
is("$told->{username} $told->{port}", 'busy_c ' . $copy->port, 'the original: nothing is changed');

# A dump, restored beside the original, and one without what 2.0 notes.
my ($dump) = run_command([ 'pg_dump', '-d', $copy->connstr('postgres') ]);
AepTest::close_session($session);
$copy->stop;
$node->safe_psql('postgres', 'CREATE DATABASE restored');
my $errors = '';
$node->psql('restored', $dump, stderr => \$errors, on_error_stop => 0);
is(bindings($node, 'restored'), 'busy elsewhere, calm elsewhere, fixed elsewhere', 'dump: the bindings') or diag $errors;
refused($node, 'restored', "CALL aep.rotate_credentials('$calm->{id}')", elsewhere('calm'), 'dump');
$node->safe_psql('restored', "UPDATE aep.ingest_role SET bound_system = NULL, bound_database = NULL, bound_host = NULL, bound_port = NULL, bound_database_name = NULL, made_logins = NULL");
is(bindings($node, 'restored'), 'busy unconfirmed, calm unconfirmed, fixed unconfirmed', 'old dump: the bindings');
refused($node, 'restored', "CALL aep.rotate_credentials('$calm->{id}')",
	qr/^ERROR:  55000: ingest role "calm" is not bound to this database\nDETAIL:  It comes from a dump of a version before 2\.0/m, 'old dump');
$node->safe_psql('restored', "CALL aep.adopt_ingest_role('calm')");
is($node->safe_psql('restored', "SELECT binding, idle_login, made_logins, host, port FROM aep.ingest_role JOIN aep.ingest_role_status() USING (role_name) WHERE role_name = 'calm'"),
	'here|calm_a| calm_a  calm_b |db1.example.com|' . $node->port, 'old dump: adopted, with its logins and its address');
$node->safe_psql('postgres', 'DROP DATABASE restored');

# A row of 1.1 is bound by the update, in the database that it stands in.
$node->safe_psql('elsewhere', 'CREATE DATABASE older');
$node->safe_psql('older', "CREATE EXTENSION aep VERSION '1.1'");
my $early = managed('early');
run(rotation($early));
query('CREATE ROLE early_q LOGIN IN ROLE early; CREATE ROLE early_quarter LOGIN IN ROLE early');
my $row = query("SELECT role_name, server_name, connection_id, connection_name, auth_type, ssl_mode, host, port, database_name, "
	  . "connection_limit, active_login, kept_logins, step, patched, etag, granted_schemas, granted_tables FROM aep.ingest_role WHERE role_name = 'early'");
query("CALL aep.forget_ingest_role('early')");
AepTest::create_server($node, $fake, dbname => 'older', advertised_port => $node->port);
my @values = map { $_ eq '' ? 'NULL' : AepTest::literal($_) } split /\|/, $row, -1;
$values[11] = "''"; # kept_logins
$node->safe_psql('older',
	"INSERT INTO aep.ingest_role (role_name, server_name, connection_id, connection_name, auth_type, ssl_mode, host, port, database_name, "
	  . "connection_limit, active_login, kept_logins, step, patched, etag, granted_schemas, granted_tables) VALUES (" . join(', ', @values) . ')');
my $older = AepTest::open_session($node, 'older');
like(run('SELECT * FROM aep.ingest_role_status()', $older)->{err}, qr/^ERROR:  55000: .*\n.*\nHINT:  Use ALTER EXTENSION aep UPDATE\./m, 'before the update');
is(run('ALTER EXTENSION aep UPDATE', $older)->{err}, '', 'the update');
is( run("SELECT binding, made_logins, bound_host IS NULL, moves, trial_id IS NULL FROM aep.ingest_role JOIN aep.ingest_role_status() USING (role_name)", $older)->{out},
	'here| early_a  early_b  early_q |t|f|t', 'the update binds its rows');
$result = run("CALL aep.rotate_credentials('$early->{id}')", $older);
like($result->{out}, qr/^early_a\|/, 'and they rotate') or diag $result->{err};
is(run("SELECT bound_host, bound_port, bound_database_name FROM aep.ingest_role", $older)->{out},
	'db1.example.com|' . $node->port . '|older', 'which notes the address');
AepTest::close_session($older);
$node->safe_psql('elsewhere', 'DROP DATABASE older');

# Who may not use the server sees the binding as far as it can be seen.
query("UPDATE aep.ingest_role SET bound_port = 1 WHERE role_name = 'calm'");
query('REVOKE USAGE ON FOREIGN SERVER aep FROM dba');
my $dba = AepTest::open_session($node);
AepTest::run_sql($dba, 'SET SESSION AUTHORIZATION dba');
my $binding = "SELECT binding FROM aep.ingest_role_status() WHERE role_name = 'calm'";
is(query($binding), 'moved', 'who may use the server');
query('GRANT calm TO dba WITH ADMIN OPTION'); # since 16 that is what altering it needs
is(run($binding, $dba)->{out}, 'here', 'who may not use it');
AepTest::close_session($dba);
query("CALL aep.adopt_ingest_role('calm')");

# A database is renamed; a server is.

close_sessions();
$node->safe_psql('elsewhere', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'postgres'");
$node->poll_query_until('elsewhere', "SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = 'postgres'");
$node->safe_psql('elsewhere', 'ALTER DATABASE postgres RENAME TO shop');
$session = AepTest::open_session($node, 'shop');
call_in($session);
is(bindings($node, 'shop'), 'busy moved, calm moved, fixed moved', 'renamed: the bindings');
is(run("SELECT finding, remedy FROM aep.check_ingest_role('$calm->{id}') LIMIT 1")->{out},
	"database postgres is named shop now|CALL aep.adopt_ingest_role('calm'); then CALL aep.rotate_credentials(...)",
	'renamed: the check');
refused($node, 'shop', "CALL aep.rotate_credentials('$calm->{id}')", qr/^ERROR:  55000: .*\nDETAIL:  It belongs to database "postgres" at .*, and this one is database "shop" at/m,
	'renamed');
query("CALL aep.adopt_ingest_role('calm')");
is(run(rotation($calm))->{out} =~ s/\|.*//r, 'calm_a', 'renamed: it rotates');
is(Told::login($fake, $calm->{id})->{database}, 'shop', 'renamed: the platform is told');

query('ALTER SERVER aep RENAME TO other');
like(run("CALL aep.rotate_credentials('$calm->{id}')")->{err},
	qr/^ERROR:  42704: server "aep" does not exist\nHINT:  .*name another server in the argument "server"/m, 'a renamed server');
is(run("SELECT binding FROM aep.ingest_role_status() WHERE role_name = 'calm'")->{out}, 'here', 'a renamed server: the status');
is(run("CALL aep.rotate_credentials('$calm->{id}', server => 'other')")->{out} =~ s/\|.*//r, 'calm_b',
	'a renamed server: the hint leads out');
is(run("CALL aep.rotate_credentials('$calm->{id}')")->{out} =~ s/\|.*//r, 'calm_a', 'a renamed server: it is known now');

# An address that was given when the role was made stays; one that was not follows.
query("ALTER SERVER other OPTIONS (SET advertised_host 'db2.example.com')");
my $given = create("'given', '{shop}', server => 'other', host => 'pool.example.com'");
query("ALTER SERVER other OPTIONS (SET advertised_host 'db3.example.com', ADD advertised_port '6432')");
is(run("SELECT finding FROM aep.check_ingest_role('$given') LIMIT 1")->{out},
	"the address was db2.example.com, port @{[$node->port]}, and is db3.example.com, port 6432 now", 'moved: the check');
run("CALL aep.adopt_ingest_role('given')");
is(query("SELECT host, port, bound_host, bound_port, moves FROM aep.ingest_role WHERE role_name = 'given'"),
	'pool.example.com|6432|db3.example.com|6432|t', 'moved: what was given stays, the rest follows');
run("BEGIN; CALL aep.adopt_ingest_role('given', host => '10.0.0.1'); ROLLBACK");
is(query("SELECT host FROM aep.ingest_role WHERE role_name = 'given'"), 'pool.example.com', 'adopting can be rolled back');
like(run("CALL aep.adopt_ingest_role('given', host => '10.0.0.1')")->{err}, qr/^WARNING:  01000: Experience Platform cannot reach this database at "10\.0\.0\.1"/m,
	'adopting warns of an address that nobody reaches');

# Without an advertised host the address does not depend on how a session came in.
query("ALTER SERVER other OPTIONS (DROP advertised_host, DROP advertised_port)");
query("CALL aep.adopt_ingest_role('given')");
foreach my $host ('', ' host=127.0.0.1 user=dba password=dba')
{
	query("ALTER ROLE dba PASSWORD 'dba'; GRANT USAGE ON FOREIGN SERVER other TO dba; GRANT CONNECT ON DATABASE shop TO dba");
	my $in = AepTest::open_session($node, 'shop', $host ? $node->connstr('shop') . $host : undef);

	is(run("SELECT binding FROM aep.ingest_role_status() WHERE role_name = 'given'", $in)->{out},
		'here', "the same address for a session that came in by '$host'") or diag $in->{err};
	AepTest::close_session($in);
}

AepTest::close_session($session);
done_testing();
