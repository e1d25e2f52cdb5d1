# Every released version can be updated, and is then what a fresh install is.
use strict;
use warnings;

use AepTest;
use File::Basename qw(basename dirname);
use File::Copy qw(copy);
use File::Path qw(make_path);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# An installation of our own, which gets versions that only this test knows.
# PostgreSQL finds its files relative to its programs, so these are copied, and
# all else is linked.
sub config
{
	my ($what) = @_;
	my ($value) = run_command([ 'pg_config', "--$what" ]);

	return $value;
}
my ($bindir, $sharedir, $pkglibdir) = map { config($_) } qw(bindir sharedir pkglibdir);
my $common = $bindir;
$common = dirname($common) until index("$sharedir/", "$common/") == 0 && index("$pkglibdir/", "$common/") == 0;
my $private = PostgreSQL::Test::Utils::tempdir();

sub place_of
{
	my ($path) = @_;

	return $private . substr($path, length $common);
}

sub link_all
{
	my ($folder) = @_;

	make_path(place_of($folder));
	foreach my $path (glob "$folder/*")
	{
		my $place = place_of($path);
		symlink($path, $place) || die "$place: $!" unless -e $place;
	}
	return;
}
make_path(place_of($bindir));
foreach my $name (qw(postgres initdb pg_ctl pg_config))
{
	my $place = place_of("$bindir/$name");

	copy("$bindir/$name", $place) or die "$place: $!";
	chmod 0755, $place;
}
link_all($bindir);
link_all("$sharedir/extension");
link_all($sharedir);
make_path(dirname(place_of($pkglibdir)));
symlink($pkglibdir, place_of($pkglibdir)) or die "$pkglibdir: $!";

my $extension = place_of("$sharedir/extension");
my $control = slurp_file("$extension/aep.control");
my ($current) = $control =~ /^default_version = '(.*)'/m;
my $node = PostgreSQL::Test::Cluster->new('main', install_path => dirname(place_of($bindir)));
$node->init;
$node->append_conf('postgresql.conf', 'log_statement = none');
$node->start;
my $fake = AepTest::start_fake();

my @released = split /\n/, $node->safe_psql('postgres',
	q{SELECT version FROM pg_available_extension_versions WHERE name = 'aep' ORDER BY version});
is($released[0], '1.0', 'the first release can be installed');

# The statements that make the current version.
my ($path) = split /\n/, $node->safe_psql('postgres', <<"SQL");
SELECT path FROM pg_extension_update_paths('aep') WHERE source = '1.0' AND target = '$current'
UNION ALL SELECT '1.0'
SQL
my @steps = split /--/, $path;
my $whole = join "\n", map { slurp_file("$extension/aep--$_.sql") } $steps[0],
  map { "$steps[$_ - 1]--$steps[$_]" } 1 .. $#steps;

# "next" is the current version and what an update to it does; "careless" has
# an update that forgets what a fresh install has.
my $added = <<'SQL';
CREATE FUNCTION aep.added(server name DEFAULT 'aep', OUT host text, OUT port integer, OUT database text, OUT host_source text)
    LANGUAGE C STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'aep_endpoint';
SQL
my $rest = <<'SQL';
COMMENT ON FUNCTION aep.added(name) IS 'Added by an update';
REVOKE ALL ON FUNCTION aep.added(name) FROM PUBLIC;
ALTER TABLE aep.ingest_role ADD COLUMN note text;
COMMENT ON FUNCTION aep.version() IS 'Changed by an update';
SQL
append_to_file("$extension/aep--$_.sql", "$whole\n$added$rest") foreach (qw(next careless));
append_to_file("$extension/aep--$current--next.sql", $added . $rest);
append_to_file("$extension/aep--$current--careless.sql", $added =~ s/STABLE/VOLATILE/r);

sub catalogs_after
{
	my @statements = @_;

	return [ split /\n/, $node->safe_psql('postgres', join(";\n", 'BEGIN', @statements, AepTest::catalogs(), 'ROLLBACK')) ];
}

sub install
{
	my ($version) = @_;

	return "CREATE EXTENSION aep VERSION '$version'";
}

sub update
{
	my ($version) = @_;

	return "ALTER EXTENSION aep UPDATE TO '$version'";
}
my %fresh = map { $_ => catalogs_after(install($_)) } $current, 'next', 'careless';
cmp_ok(scalar(@{ $fresh{$current} }), '>', 80, 'the catalogs have much to say');
foreach my $version (@released)
{
	foreach my $target ($current, 'next')
	{
		next if $version eq $target;
		is_deeply(catalogs_after(install($version), update($target)),
			$fresh{$target}, "$version updated to $target is a fresh $target");
	}
}

# The comparison sees what it should.
my %is_there = map { $_ => 1 } @{ catalogs_after(install($current), update('careless')) };
my $missed = join "\n", grep { !$is_there{$_} } @{ $fresh{careless} };
like($missed, $_, "an update that forgets shows: $_")
  foreach (
	qr/aep\.added\(name\).*volatile s/,
	qr/aep\.added\(name\): privileges \{(\w+)=X\/\g1\},/,
	qr/function aep\.added\(.*comment 'Added by an update'/,
	qr/function aep\.version\(.*comment 'Changed by an update'/,
	qr/aep\.ingest_role\.note: column/);

# Rights that others get on every new table do not hold for the table of the
# extension; in 1.0 they did.
sub grantees_after
{
	my @statements = @_;

	return $node->safe_psql('postgres', join(";\n", 'BEGIN',
			'CREATE ROLE "An app"',
			'ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO "An app" WITH GRANT OPTION',
			'ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC',
			@statements, <<'SQL'));
SELECT count(DISTINCT acl.grantee)
FROM pg_class c, aclexplode(c.relacl) acl
WHERE c.oid = 'aep.ingest_role'::regclass AND acl.grantee <> c.relowner;
ROLLBACK
SQL
}
is(grantees_after(install('1.0')), 2, 'default privileges reach the table of 1.0');
is(grantees_after(install('1.0'), update($current)), 0, 'an update takes them back');
is(grantees_after(install($current)), 0, 'so does a fresh install');

# An update of what is in use: all stays, and running sessions do not notice.
$node->safe_psql('postgres', install($current));
AepTest::create_server($node, $fake, username => 'acme', password => 'sesame');
$node->safe_psql('postgres', <<'SQL');
CREATE ROLE caller LOGIN;
GRANT USAGE ON SCHEMA aep TO caller;
GRANT EXECUTE ON FUNCTION aep.version() TO caller;
CREATE TABLE t AS SELECT 1 AS id;
CREATE VIEW v AS SELECT id, name FROM aep.connections();
CREATE FUNCTION f() RETURNS uuid LANGUAGE sql AS 'SELECT id FROM aep.create_base_connection()';
CALL aep.create_ingest_role('ingest', tables => '{t}', name => 'managed');
SQL
my $session = AepTest::open_session($node);
my $state = 'SELECT role_name, active_login, step FROM aep.ingest_role_status(); SELECT count(*) > 0 FROM v';
AepTest::run_sql($session, 'PREPARE p AS SELECT count(id) FROM aep.create_base_connection()');
is(AepTest::run_sql($session, 'EXECUTE p; SELECT count(f())'), "1\n1", 'before the update');
my $before = AepTest::run_sql($session, $state);
is($before, "ingest|ingest_a|active\nt", 'the state of a login, and a view');
$node->safe_psql('postgres', update('next'));
is(AepTest::run_sql($session, 'EXECUTE p; SELECT count(f())'), "1\n1", 'after the update, in the same session');
is(AepTest::run_sql($session, $state), $before, 'state and views are as before');
is( $node->safe_psql('postgres', 'SELECT library FROM aep.version()', extra_params => [ '-U', 'caller' ]),
	$current, 'privileges too');
my $id = AepTest::run_sql($session, 'SELECT connection_id FROM aep.ingest_role_status()');
like(AepTest::run_sql($session, "CALL aep.rotate_credentials('$id')"), qr/^ingest_b\|"/,
	'a column that an old library does not know is no harm')
  or diag $session->{err};

# The library has every function that any script ever asked for.
my %symbols;
foreach my $script (glob "$extension/aep--*.sql")
{
	$symbols{$_} = 1 foreach (slurp_file($script) =~ /^\s+AS 'MODULE_PATHNAME', '(\w+)'/mg);
}
my @used = split /\n/, $node->safe_psql('postgres', <<'SQL');
SELECT DISTINCT prosrc FROM pg_proc WHERE pronamespace = 'aep'::regnamespace ORDER BY 1
SQL
is_deeply([ grep { !$symbols{$_} } @used ], [], 'the scripts\' symbols are known');
foreach my $symbol (sort keys %symbols)
{
	AepTest::run_sql($session,
		"CREATE OR REPLACE FUNCTION pg_temp.f() RETURNS void LANGUAGE C AS '\$libdir/aep', '$symbol'");
	is($session->{err}, '', "the library has $symbol");
}
AepTest::close_session($session);

# Library and SQL of different versions: what to do about it leads out.
my $versions = q{SELECT extension, library, coalesce(remedy, 'none') FROM aep.version()};
my $reconnect = 'reconnect; if shared_preload_libraries names aep, restart the server';
is($node->safe_psql('postgres', $versions), "next|$current|$reconnect",
	'the files are of the version of the SQL: an old library is in memory');
unlink(glob "$extension/aep--{$current--next,next}.sql");
is($node->safe_psql('postgres', $versions),
	"next|$current|install the files of version next, then reconnect",
	'the files are not of the version of the SQL');
append_to_file("$extension/aep--former.sql", $whole);
append_to_file("$extension/aep--former--$current.sql", "SELECT 1;\n");
$node->safe_psql('postgres', 'CREATE DATABASE former');
$node->safe_psql('former', install('former'));
is($node->safe_psql('former', $versions), "former|$current|ALTER EXTENSION aep UPDATE", 'the SQL is old');
$node->safe_psql('former', 'ALTER EXTENSION aep UPDATE');
is($node->safe_psql('former', $versions), "$current|$current|none", 'and is not any more');

# What has changed since an older version does not take its arguments for others.
my %current = map { $_ => 1 } @used;
my @obsolete = grep { !$current{$_} } sort keys %symbols;
isnt(scalar(@obsolete), 0, 'there are such');
$node->safe_psql('postgres', 'CREATE DATABASE older');
$node->safe_psql('older', install('1.1'));
my $older = AepTest::open_session($node, 'older');
foreach my $symbol (@obsolete)
{
	my $call = AepTest::run_sql($older, <<"SQL");
SELECT format(CASE prokind WHEN 'p' THEN 'CALL %s(%s)' ELSE 'SELECT * FROM %s(%s)' END, oid::regproc,
  array_to_string(array_fill('NULL'::text, ARRAY[pronargs - pronargdefaults]), ', '))
FROM pg_proc WHERE pronamespace = 'aep'::regnamespace AND prosrc = '$symbol'
SQL
	AepTest::run_sql($older, $call);
	like($older->{err},
		qr/^ERROR:  55000: .*\n.*\nHINT:  Use ALTER EXTENSION aep UPDATE\.$/m, "$symbol: $call");
}
AepTest::run_sql($older, 'ALTER EXTENSION aep UPDATE; SELECT aep.base_connection_spec()');
is($older->{err}, '', 'the hint leads out');
AepTest::close_session($older);

# Nothing of this was seen by others.
is_deeply([ glob "$sharedir/extension/aep--*{next,careless}*" ], [], 'the installation is as it was');

done_testing();
