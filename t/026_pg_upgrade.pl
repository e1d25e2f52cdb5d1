# pg_upgrade takes everything along: from the PostgreSQL whose folder is in
# "oldinstall", or from the same version.
use strict;
use warnings;

use AepTest;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $fake = AepTest::start_fake();
my $old = PostgreSQL::Test::Cluster->new('old',
	$ENV{oldinstall} ? (install_path => $ENV{oldinstall}) : ());
my $new = PostgreSQL::Test::Cluster->new('new');

# PostgreSQL 18 has checksums unless told otherwise
$_->init(extra => ['--data-checksums']) foreach ($old, $new);

$old->start;
note 'from ', $old->safe_psql('postgres', 'SHOW server_version');
$old->safe_psql('postgres', 'CREATE DATABASE unused');
$old->safe_psql($_, 'CREATE EXTENSION aep') foreach (qw(postgres unused));
AepTest::create_server($old, $fake, username => 'acme', password => q{it's "sesame" \\ 100 %});
AepTest::create_server($old, $fake, server => 'other', max_attempts => 2, sandbox => 'dev',
	username => 'acme', password => 'sesame');
$old->safe_psql('postgres', <<'SQL');
CREATE ROLE dba LOGIN CREATEROLE;
CREATE ROLE caller LOGIN;
CREATE ROLE nobody LOGIN;
GRANT CONNECT ON DATABASE postgres TO dba WITH GRANT OPTION;
GRANT USAGE ON SCHEMA aep TO dba, caller;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA aep TO dba;
GRANT EXECUTE ON FUNCTION aep.version() TO caller;
GRANT USAGE ON FOREIGN SERVER aep TO dba;
GRANT USAGE ON FOREIGN SERVER other TO caller WITH GRANT OPTION;
GRANT USAGE ON FOREIGN DATA WRAPPER aep TO caller;
GRANT SELECT ON aep.ingest_role TO caller;
CREATE USER MAPPING FOR PUBLIC SERVER aep OPTIONS (api_key 'demo-api-key', access_token 'demo-access-token');
CREATE USER MAPPING FOR caller SERVER other OPTIONS (username 'caller');
CREATE SCHEMA shop AUTHORIZATION dba;
CREATE TABLE shop.orders AS SELECT 1 AS id;
ALTER TABLE shop.orders OWNER TO dba;
CREATE VIEW named AS SELECT id, name, state FROM aep.connections();
GRANT SELECT ON named TO caller;
CALL aep.create_ingest_role('ingest', schemas => '{shop}', ssl_mode => 'Require', connection_limit => 7);
SET SESSION AUTHORIZATION dba;
CALL aep.create_ingest_role('theirs', tables => '{shop.orders}');
SQL

# What somebody who uses the extension would miss.
my %queries = (
	version => q{SELECT extversion, extnamespace::regnamespace, extconfig::regclass[], v.extension
		FROM pg_extension, aep.version() AS v WHERE extname = 'aep'},
	servers => q{SELECT srvname, srvowner::regrole, srvacl, ARRAY(SELECT unnest(srvoptions) ORDER BY 1)
		FROM pg_foreign_server ORDER BY 1},
	mappings => q{SELECT srvname, usename, ARRAY(SELECT unnest(umoptions) ORDER BY 1)
		FROM pg_user_mappings ORDER BY 1, 2},
	wrapper => q{SELECT fdwname, fdwacl, fdwvalidator::regproc FROM pg_foreign_data_wrapper},
	privileges => q{SELECT rolname, kind, object FROM pg_roles, LATERAL (
			SELECT 'EXECUTE', oid::regprocedure::text FROM pg_proc
			WHERE pronamespace = 'aep'::regnamespace AND has_function_privilege(rolname, oid, 'EXECUTE')
			UNION ALL SELECT 'USAGE', 'aep' WHERE has_schema_privilege(rolname, 'aep', 'USAGE')
			UNION ALL SELECT 'USAGE', srvname FROM pg_foreign_server WHERE has_server_privilege(rolname, oid, 'USAGE')
			UNION ALL SELECT privilege, relation FROM unnest('{SELECT,INSERT,UPDATE,DELETE}'::text[]) AS privilege,
				unnest('{aep.ingest_role,named,shop.orders}'::text[]) AS relation
			WHERE has_table_privilege(rolname, relation, privilege)) AS held(kind, object)
		WHERE rolname IN ('dba', 'caller', 'nobody', 'ingest', 'ingest_a', 'theirs', 'theirs_a') ORDER BY 1, 2, 3},
	table => 'SELECT * FROM aep.ingest_role ORDER BY role_name',
	# but for the binding
	status => q{SELECT connection_id, connection_name, server, role_name, active_login, idle_login, step, rotated_at, sessions
		FROM aep.ingest_role_status() ORDER BY role_name},
	logins => q{SELECT rolname, rolcanlogin, rolinherit, rolconnlimit, rolpassword FROM pg_authid
		WHERE rolname ~ '^(ingest|theirs)' ORDER BY 1},
	members => q{SELECT roleid::regrole, member::regrole FROM pg_auth_members WHERE roleid >= 16384 ORDER BY 1, 2});

sub everything
{
	my ($node) = @_;

	return { map { $_ => $node->safe_psql('postgres', $queries{$_}) } keys %queries };
}

sub bindir
{
	my ($node) = @_;
	my ($bindir) = run_command([ $node->installed_command('pg_config'), '--bindir' ]);

	return $bindir;
}
my $before = everything($old);
like($before->{$_->[0]}, $_->[1], "before: $_->[0]")
  foreach (
	[ table => qr/^ingest\|.*\ntheirs\|/ ],
	[ servers => qr/^aep\|.*\nother\|/ ],
	[ mappings => qr/username=caller/ ],
	[ logins => qr/^ingest_a\|t\|.*SCRAM-SHA-256/m ]);
$old->stop;

my ($out, $err) = ('', '');
my $dir = PostgreSQL::Test::Utils::tempdir();
my $upgraded = IPC::Run::run(
	[
		$new->installed_command('pg_upgrade'), '--no-sync',
		'-b', bindir($old), '-d', $old->data_dir, '-p', $old->port,
		'-B', bindir($new), '-D', $new->data_dir, '-P', $new->port,
		'-s', $new->host
	],
	'>', \$out, '2>', \$err, init => sub { chdir $dir });
ok($upgraded, 'pg_upgrade') or diag "$out\n$err";

$new->start;
note 'to ', $new->safe_psql('postgres', 'SHOW server_version');
my $after = everything($new);
is($after->{$_}, $before->{$_}, "after: $_") foreach (sort keys %queries);

# The extension itself is what a fresh one would be.  Only that the schema's first
# privileges are those that every schema has is not kept, where it says nothing.
sub lines_of
{
	my ($dbname) = @_;

	return [ map { s/^(schema aep: .*initial privileges ).*/$1/r } split /\n/,
		$new->safe_psql($dbname, AepTest::catalogs()) ];
}
$new->safe_psql('postgres', 'CREATE DATABASE fresh');
$new->safe_psql('fresh', 'CREATE EXTENSION aep');
is_deeply(lines_of('unused'), lines_of('fresh'), 'the catalogs are those of a fresh installation');

# Calls work, and rotations go on from where they were.
my $session = AepTest::open_session($new);
is(AepTest::run_sql($session, 'SELECT count(id) FROM aep.create_base_connection()'), 1, 'a call');
is(AepTest::run_sql($session, 'SELECT count(*) FROM named'), 3, 'a view');

sub rotate
{
	my ($role) = @_;
	my $id = $new->safe_psql('postgres',
		"SELECT connection_id FROM aep.ingest_role_status() WHERE role_name = '$role'");

	return AepTest::run_sql($session, "CALL aep.rotate_credentials('$id')");
}

# The new cluster has another identifier: that it takes over is said once.
my $bindings = 'SELECT role_name, binding FROM aep.ingest_role_status() ORDER BY role_name';
is($new->safe_psql('postgres', $bindings), "ingest|elsewhere\ntheirs|elsewhere", 'another cluster');
is(rotate('ingest'), '', 'a rotation before that');
like(
	$session->{err},
	qr/^ERROR:  55000: ingest role "ingest" is not bound to this database\nDETAIL:  .* pg_upgrade\.\nHINT:  .*CALL aep\.adopt_ingest_role\('ingest'\);/m,
	'a rotation before that: the error');
AepTest::run_sql($session, "CALL aep.adopt_ingest_role('$_')") foreach (qw(ingest theirs));
is($new->safe_psql('postgres', $bindings), "ingest|here\ntheirs|here", 'it takes over');
like(rotate('ingest'), qr/^ingest_b\|"/, 'a rotation') or diag $session->{err};

# Until 15, CREATEROLE was enough to alter any role.
AepTest::run_sql($session, 'SET SESSION AUTHORIZATION dba');
if ($old->pg_version < 16 && $new->pg_version >= 16)
{
	is(rotate('theirs'), '', 'a role whose creator is unknown');
	like($session->{err}, qr/ERROR:  42704: /, 'a role whose creator is unknown: error');
	AepTest::run_sql($session, <<'SQL');
RESET SESSION AUTHORIZATION;
GRANT theirs, theirs_a TO dba WITH ADMIN OPTION;
SET SESSION AUTHORIZATION dba
SQL
}
like(rotate('theirs'), qr/^theirs_b\|"/, 'a rotation by CREATEROLE') or diag $session->{err};
AepTest::close_session($session);

done_testing();
