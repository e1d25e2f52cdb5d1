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
my @released = sort map { basename($_) =~ /^aep--((?:(?!--).)*)\.sql$/ ? $1 : () } glob "$extension/aep--*.sql";
ok(scalar(grep { $_ eq '1.0' } @released), 'the first release is installed');

# "next" is the current version and what an update to it does; "careless" has
# an update that forgets what a fresh install has.
my $whole = slurp_file("$extension/aep--$released[-1].sql");
my $added = <<'SQL';
CREATE FUNCTION aep.added(OUT extension text, OUT postgresql text, OUT libcurl text, OUT tls text, OUT cjson text)
    LANGUAGE C STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'aep_version';
SQL
my $rest = <<'SQL';
COMMENT ON FUNCTION aep.added() IS 'Added by an update';
REVOKE ALL ON FUNCTION aep.added() FROM PUBLIC;
ALTER TABLE aep.ingest_role ADD COLUMN note text;
COMMENT ON FUNCTION aep.version() IS 'Changed by an update';
SQL
append_to_file("$extension/aep--next.sql", "$whole\n$added$rest");
append_to_file("$extension/aep--$released[-1]--next.sql", $added . $rest);
append_to_file("$extension/aep--careless.sql", "$whole\n$added$rest");
append_to_file("$extension/aep--$released[-1]--careless.sql", $added =~ s/STABLE/VOLATILE/r);

my $node = PostgreSQL::Test::Cluster->new('main', install_path => dirname(place_of($bindir)));
$node->init;
$node->append_conf('postgresql.conf', 'log_statement = none');
$node->start;
my $fake = AepTest::start_fake();

# All that the catalogs say of the extension's objects, a line for each.
my $catalogs = <<'SQL';
WITH members AS (
    SELECT classid, objid, objsubid FROM pg_depend
    WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
      AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'aep')),
functions AS (SELECT p.* FROM pg_proc p JOIN members ON classid = 'pg_proc'::regclass AND objid = p.oid),
types AS (SELECT t.* FROM pg_type t JOIN members ON classid = 'pg_type'::regclass AND objid = t.oid),
relations AS (SELECT c.* FROM pg_class c JOIN members ON classid = 'pg_class'::regclass AND objid = c.oid),
lines(line) AS (
    SELECT format('%s: extension %s %s %s', extversion, extnamespace::regnamespace, extrelocatable,
        ARRAY(SELECT unnest(extconfig)::regclass || ' ' || unnest(extcondition))) FROM pg_extension WHERE extname = 'aep'
    UNION ALL
    SELECT format('%s: member; comment %L; initial privileges %s', pg_describe_object(classid, objid, objsubid),
        obj_description(objid, classid::regclass::name),
        (SELECT ARRAY(SELECT acl::text FROM unnest(initprivs) AS acl ORDER BY 1) FROM pg_init_privs i
         WHERE i.objoid = objid AND i.classoid = members.classid AND i.objsubid = 0))
    FROM members
    UNION ALL
    SELECT format('%s: returns %s, arguments (%s), kind %s, %s, %s', oid::regprocedure, pg_get_function_result(oid),
        pg_get_function_arguments(oid), prokind, prosrc, probin)
        || format(', volatile %s, parallel %s, strict %s, definer %s, leakproof %s, set %s, support %s, cost %s, rows %s',
        provolatile, proparallel, proisstrict, prosecdef, proleakproof, ARRAY(SELECT unnest(proconfig)), prosupport,
        procost, prorows)
    FROM functions
    UNION ALL
    SELECT format('%s: privileges %s, owner %s', name, ARRAY(SELECT acl::text FROM unnest(acl) AS acl ORDER BY 1),
        owner::regrole)
    FROM (SELECT oid::regprocedure::text, proacl, proowner FROM functions
        UNION ALL SELECT oid::regtype::text, typacl, typowner FROM types
        UNION ALL SELECT oid::regclass::text, relacl, relowner FROM relations
        UNION ALL SELECT nspname, nspacl, nspowner FROM pg_namespace WHERE nspname = 'aep'
        UNION ALL SELECT fdwname, fdwacl, fdwowner FROM pg_foreign_data_wrapper WHERE fdwname = 'aep')
        AS owned(name, acl, owner)
    UNION ALL
    SELECT format('%s: type %s, labels %s', oid::regtype, typtype,
        ARRAY(SELECT enumlabel FROM pg_enum WHERE enumtypid = types.oid ORDER BY enumsortorder)) FROM types
    UNION ALL
    SELECT format('%s.%s: column %s, %s, not null %s, default %s', attrelid::regclass, attname, attnum,
        format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid))
    FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE attnum > 0 AND NOT attisdropped
      AND (attrelid IN (SELECT oid FROM relations) OR attrelid IN (SELECT typrelid FROM types WHERE typrelid <> 0))
    UNION ALL
    SELECT format('%s: %s', conrelid::regclass, pg_get_constraintdef(c.oid)) FROM pg_constraint c
    WHERE conrelid IN (SELECT oid FROM relations)
    UNION ALL
    SELECT format('%s: %s', fdwname, fdwvalidator::regproc || ' ' || fdwhandler::regproc)
    FROM pg_foreign_data_wrapper WHERE fdwname = 'aep')
SELECT line FROM lines ORDER BY line COLLATE "C"
SQL

my $databases = 0;

sub install
{
	my ($version) = @_;
	my $dbname = 'db' . ++$databases;

	$node->safe_psql('postgres', "CREATE DATABASE $dbname");
	$node->safe_psql($dbname, "CREATE EXTENSION aep VERSION '$version'");
	return $dbname;
}

sub catalogs_of
{
	my ($dbname) = @_;

	return [ split /\n/, $node->safe_psql($dbname, $catalogs) ];
}
my %fresh = map { $_ => catalogs_of(install($_)) } $current, 'next', 'careless';
cmp_ok(scalar(@{ $fresh{$current} }), '>', 80, 'the catalogs have much to say');

foreach my $version (@released)
{
	foreach my $target ($current, 'next')
	{
		next if $version eq $target;
		my $dbname = install($version);
		$node->safe_psql($dbname, "ALTER EXTENSION aep UPDATE TO '$target'");
		is_deeply(catalogs_of($dbname), $fresh{$target}, "$version updated to $target is a fresh $target");
	}
}

# The comparison sees what it should.
my $careless = install($released[-1]);
$node->safe_psql($careless, q{ALTER EXTENSION aep UPDATE TO 'careless'});
my %is_there = map { $_ => 1 } @{ catalogs_of($careless) };
my $missed = join "\n", grep { !$is_there{$_} } @{ $fresh{careless} };
like($missed, $_, "an update that forgets shows: $_")
  foreach (
	qr/aep\.added\(\).*volatile s/,
	qr/aep\.added\(\): privileges \{postgres=X\/postgres\}|aep\.added\(\): privileges \{\w+=X\/\w+\},/,
	qr/function aep\.added\(.*comment 'Added by an update'/,
	qr/function aep\.version\(.*comment 'Changed by an update'/,
	qr/aep\.ingest_role\.note: column/);

# An update of what is in use: all stays, and running sessions do not notice.
my $used = install('1.0');
AepTest::create_server($node, $fake, dbname => $used, username => 'acme', password => 'sesame');
$node->safe_psql($used, <<'SQL');
CREATE ROLE caller LOGIN;
GRANT USAGE ON SCHEMA aep TO caller;
GRANT EXECUTE ON FUNCTION aep.version() TO caller;
CREATE TABLE t AS SELECT 1 AS id;
CREATE VIEW v AS SELECT id, name FROM aep.connections();
CREATE FUNCTION f() RETURNS uuid LANGUAGE sql AS 'SELECT id FROM aep.create_base_connection()';
CALL aep.create_ingest_role('ingest', tables => '{t}', name => 'managed');
SQL
my $session = AepTest::open_session($node, $used);
my $state = 'SELECT role_name, active_login, step FROM aep.ingest_role_status(); SELECT count(*) FROM v';
AepTest::run_sql($session, 'PREPARE p AS SELECT count(id) FROM aep.create_base_connection()');
is(AepTest::run_sql($session, 'EXECUTE p; SELECT count(f())'), "1\n1", 'before the update');
my $before = AepTest::run_sql($session, $state);
$node->safe_psql($used, q{ALTER EXTENSION aep UPDATE TO 'next'});
is(AepTest::run_sql($session, 'EXECUTE p; SELECT count(f())'), "1\n1", 'after the update, in the same session');
is(AepTest::run_sql($session, $state), $before =~ s/^2$/4/mr =~ s/^(\d+)$/$1 + 2 * ($1 == 3)/mer,
	'state and views are as before');
is( $node->safe_psql($used, 'SELECT extension FROM aep.version()', extra_params => [ '-U', 'caller' ]),
	$current, 'privileges too');
my $id = AepTest::run_sql($session, 'SELECT connection_id FROM aep.ingest_role_status()');
like(AepTest::run_sql($session, "CALL aep.rotate_credentials('$id')"), qr/^ingest_b\|"/,
	'a column that an old library does not know is no harm')
  or diag $session->{err};
AepTest::close_session($session);

# The library has every function that any script ever asked for: whoever has
# installed the files, but not run ALTER EXTENSION yet, goes on working.
my %symbols;
foreach my $script (glob "$extension/aep--*.sql")
{
	$symbols{$_} = 1 foreach (slurp_file($script) =~ /^\s+AS 'MODULE_PATHNAME', '(\w+)'/mg);
}
my $listed = $node->safe_psql($used, <<'SQL');
SELECT count(DISTINCT prosrc) FROM pg_proc WHERE pronamespace = 'aep'::regnamespace
SQL
is(scalar(keys %symbols), $listed, 'the scripts\' symbols are known');
foreach my $symbol (sort keys %symbols)
{
	my ($status, $out, $err) = $node->psql($used,
		"CREATE FUNCTION pg_temp.f() RETURNS void LANGUAGE C AS '\$libdir/aep', '$symbol'");
	is($err, '', "the library has $symbol");
}

# Nothing of this was seen by others.
is_deeply([ glob "$sharedir/extension/aep--*{next,careless}*" ], [], 'the installation is as it was');

done_testing();
