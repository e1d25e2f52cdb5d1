# No content of aep.ingest_role crashes, or does harm: a row that makes no sense is
# refused with what to do, and hides no other.
use strict;
use warnings;

use AepTest;
use Calls qw(query kinds);
use IngestRole;
use Rotation;
use Test::More;

# the server's C library overwrites what is freed
$ENV{MALLOC_PERTURB_} = 165;

my ($node, $fake, undef, $second) = Rotation::start();
my $sound = managed('sound');
my $edited = managed('edited');
my $whole = query("SELECT r FROM aep.ingest_role AS r WHERE role_name = 'edited'");
my $result;

# the check of the table is no obstacle for who can edit it
query('ALTER TABLE aep.ingest_role DROP CONSTRAINT ingest_role_step_check');
query("ALTER TABLE aep.ingest_role ALTER COLUMN $_ DROP NOT NULL")
  foreach (
	qw(server_name connection_name auth_type host port database_name connection_limit active_login
	kept_logins step patched moves granted_schemas granted_tables));

sub restore
{
	query("UPDATE aep.ingest_role AS r SET (role_name, server_name, connection_id, connection_name, auth_type, ssl_mode, host, port,
  database_name, connection_limit, active_login, pending_login, kept_logins, step, patched, etag, rotated_at, granted_schemas,
  granted_tables, made_logins, trial_name, trial_id, moves, bound_system, bound_database, bound_host, bound_port,
  bound_database_name) = (SELECT (" . AepTest::literal($whole) . "::aep.ingest_role).*) WHERE role_name = 'edited'");
	return;
}

# What is done to the row, and what is said of it
my %cases = (
	"step = 'rotating'" => 'Its step needs a pending_login\.',
	"step = 'rotating', patched = true" => 'Its step needs a pending_login\.',
	"step = 'proving'" => 'Its step needs a pending_login\.',
	"step = 'rotating', patched = true, pending_login = active_login" => 'Its pending_login is the active one\.',
	"step = 'rotating', pending_login = 'postgres'" => 'Its pending_login is not named after role_name\.',
	"pending_login = 'edited_b'" => 'Its step has no pending_login\.',
	"step = 'done'" => 'Its step is not known\.',
	'step = NULL' => 'Its step is not known\.',
	"active_login = 'postgres'" => 'Its active_login is not named after role_name\.',
	"active_login = ''" => 'Its active_login is empty\.',
	'active_login = NULL' => 'Its active_login is empty\.',
	'server_name = NULL' => 'Its server_name is empty\.',
	'connection_name = NULL' => 'Its connection_name is empty\.',
	'host = NULL' => 'Its host is empty\.',
	"host = 'db1.example.com/x'" => 'Its host is not a host name or address\.',
	"host = E'db1\\n.example.com'" => 'Its host is not a host name or address\.',
	'port = NULL' => 'Its port is not a number from 1 to 65535\.',
	'port = -1' => 'Its port is not a number from 1 to 65535\.',
	'database_name = NULL' => 'Its database_name is empty\.',
	'connection_limit = -7' => 'Its connection_limit is less than -1\.',
	'kept_logins = NULL' => 'One of kept_logins, granted_schemas and granted_tables is null\.',
	'granted_schemas = NULL' => 'One of kept_logins, granted_schemas and granted_tables is null\.',
	'granted_tables = NULL' => 'One of kept_logins, granted_schemas and granted_tables is null\.',
	'auth_type = NULL' => 'Its auth_type is not known\.',
	"auth_type = 'Kerberos'" => 'Its auth_type is not known\.',
	'bound_database_name = NULL' => 'Its bound_host has no bound_database_name\.');
foreach my $edit (sort keys %cases)
{
	my $error =
	  qr/^ERROR:  55000: what aep\.ingest_role says of role "edited" makes no sense\nDETAIL:  $cases{$edit}\nHINT:  A superuser can correct the row with UPDATE; CALL aep\.forget_ingest_role\('edited'\) takes it away/m;

	query("UPDATE aep.ingest_role SET $edit WHERE role_name = 'edited'");
	foreach my $call (rotation({ %$edited, server => 'aep' }), "CALL aep.drop_ingest_role('edited')", "CALL aep.adopt_ingest_role('edited')")
	{
		$result = run($call);
		like($result->{err}, $error, "$edit: $call");
		is(kinds($result), '', "$edit: $call: nothing is sent");
	}
	is(query('SELECT role_name, step FROM aep.ingest_role_status()'),
		"edited|invalid\nsound|active", "$edit: the status has both");
	my ($finding) = split /\n/, query("SELECT finding, remedy FROM aep.check_ingest_role('$edited->{id}')");
	like($finding,
		qr/^what aep\.ingest_role says of role edited makes no sense: $cases{$edit}\|UPDATE aep\.ingest_role, or CALL aep\.forget_ingest_role\('edited'\)$/,
		"$edit: the check");
	restore();
}
again($sound, 'b', 'GET POST TEST DELETE PATCH TEST', 'the other row');

# A row without its connection
query("UPDATE aep.ingest_role SET connection_id = NULL WHERE role_name = 'edited'");
like(run("CALL aep.adopt_ingest_role('edited')")->{err}, qr/^DETAIL:  Its step needs a connection_id\.$/m, 'no connection');
restore();

# What is no nonsense is taken as it is.
foreach my $edit ('etag = NULL', "kept_logins = 'x'", "kept_logins = ' edited_z '", "made_logins = 'nonsense'",
	'made_logins = NULL', "trial_id = '00000000-0000-4000-8000-000000000000'", 'rotated_at = NULL',
	"rotated_at = 'infinity'", "ssl_mode = 'nonsense'", 'patched = NULL', 'moves = NULL', 'bound_port = NULL, bound_host = NULL',
	"step = 'unknown', patched = true", "granted_tables = '{a,b}'", "granted_schemas = '{nowhere}'", 'etag = E\'"a\\nb"\'')
{
	query("UPDATE aep.ingest_role SET $edit WHERE role_name = 'edited'");
	query("SELECT count(*) FROM aep.check_ingest_role('$edited->{id}')");
	$result = run(rotation($edited));
	like($result->{err}, qr/^$/, "$edit: it rotates");
	like(state($edited), qr/^active /, "$edit: the state");
	query("UPDATE aep.ingest_role SET ssl_mode = NULL, connection_name = 'edited' WHERE role_name = 'edited'");
}

# The hint of a row that makes no sense leads out.
query("UPDATE aep.ingest_role SET step = 'rotating' WHERE role_name = 'edited'");
is(run("CALL aep.forget_ingest_role('edited')")->{err} =~ s/^NOTICE.*//sr, '', 'it is forgotten');
is(query('SELECT role_name FROM aep.ingest_role_status()'), 'sound', 'the other one stays');

# The session, and the server, are the same as at the beginning.
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/was terminated by signal/, 'nothing crashed');

no_password_is_left(10);

done_testing();
