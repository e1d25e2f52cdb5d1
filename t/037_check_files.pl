# The checks of ingest roles as files: each runs in psql as it is, and finds there
# what aep.check_ingest_role() finds; and what of SQL files becomes C.
use strict;
use warnings;

use AepTest;
use File::Basename qw(basename dirname);
use PostgreSQL::Test::Utils;
use Test::More;

my $sources = dirname(__FILE__) . '/..';
my @files   = sort glob("$sources/src/ingest/checks/*.sql");
my $fake    = AepTest::start_fake('--record-secrets');

# Everything is wrong that can be: nobody outside can connect, only superusers get in.
my $node = AepTest::start_login_node(
	'main',
	'max_connections = 13',
	'superuser_reserved_connections = 12',
	'max_wal_senders = 0');
AepTest::create_server($node, $fake);
$node->safe_psql('postgres', <<'SQL');
REVOKE ALL ON DATABASE postgres FROM PUBLIC;
CREATE SCHEMA "Sch;""ema";
CREATE TABLE "Sch;""ema"."Ta'b.le" (id int);
CREATE TABLE "Sch;""ema"."back\slash" (id int);
CREATE SCHEMA shop;
CREATE TABLE shop.orders (id int);
CREATE TABLE shop.gone (id int);
CREATE SCHEMA fleeting;
SQL
my $session = AepTest::open_session($node);

sub query
{
	my ($sql) = @_;
	my $out = AepTest::run_sql($session, $sql);

	die "$sql: $session->{err}" if $session->{err} =~ /ERROR/;
	return $out;
}

# Runs a file in psql; returns what it prints.
sub run_file
{
	my ($file, %variables) = @_;
	my ($out, $err) = run_command(
		[   'psql', '-XAtq',
			'-d',   $node->connstr('postgres'),
			(map { ('-v', "$_=$variables{$_}") } sort keys %variables),
			'-f', $file ]);

	is($err, '', basename($file) . ' runs in psql');
	return $out;
}

# The variables of the files for the connection, as aep.check_ingest_role() has them.
sub variables
{
	my ($id) = @_;
	my %variables = map { $_ => query("SELECT $_ FROM aep.ingest_role WHERE connection_id = '$id'") }
	  qw(active_login role_name granted_schemas granted_tables ssl_mode server_name
	  bound_system bound_database bound_database_name bound_host bound_port);

	@variables{qw(login role schemas tables server)} =
	  delete @variables{qw(active_login role_name granted_schemas granted_tables server_name)};
	$variables{problem} = query("SELECT port FROM aep.ingest_role WHERE connection_id = '$id'")
	  ? ''
	  : 'Its port is not a number from 1 to 65535.';
	@variables{qw(host_now port_now)} =
	  query("SELECT 1 FROM pg_foreign_server WHERE srvname = '$variables{server}'")
	  ? split(/\|/, query("SELECT host, port FROM aep.endpoint('$variables{server}')"))
	  : ('', 0);
	$variables{relations} = run_file("$sources/src/ingest/relations.sql", %variables);
	$variables{lines} = run_file("$sources/src/ingest/hba_lines.sql", %variables);
	return %variables;
}

# The same is found by all files, one after the other, and by the function: at
# least one thing by each of those expected, nothing by others.
sub finds
{
	my ($id, $expected, $what) = @_;
	my %variables = variables($id);
	my @found     = map { [ basename($_), run_file($_, %variables) ] } @files;

	is( join("\n", grep { $_ ne '' } map { $_->[1] } @found),
		query("SELECT finding, remedy FROM aep.check_ingest_role('$id')"),
		"$what: psql and the function find the same");
	is_deeply([ map { $_->[0] } grep { $_->[1] ne '' } @found ],
		$expected, "$what: by which files") or diag(explain(\@found));
	return;
}

# The same of one file: that is all that the function finds.
sub only_finds
{
	my ($id, $file, $what) = @_;
	my $found = run_file("$sources/src/ingest/checks/$file.sql", variables($id));

	isnt($found, '', "$what: $file.sql");
	is($found, query("SELECT finding, remedy FROM aep.check_ingest_role('$id')"),
		"$what: psql and the function find the same");
	return;
}

my $created = query(
	q{CALL aep.create_ingest_role('Odd "Role''s', schemas => '{"Sch;\"ema",fleeting}', }
	  . q{tables => '{shop.orders,shop.gone}', ssl_mode => 'Require')});
my ($id) = $created =~ /^([^|]+)/;

is_deeply([ grep { basename($_) !~ /^\d\d_[a-z_]+\.sql$/ } @files ],
	[], 'each has a number for the order, and a name');

# all that can be wrong with a login that exists
my %variables = variables($id);
is( query("SELECT unnest('$variables{relations}'::regclass[]) ORDER BY 1"),
	qq("Sch;""ema"."Ta'b.le"\n"Sch;""ema"."back\\slash"\nshop.orders\nshop.gone),
	'the tables are resolved');
query(<<'SQL');
ALTER ROLE "Odd ""Role's_a" NOLOGIN NOINHERIT VALID UNTIL '2020-01-01' CONNECTION LIMIT 0;
REVOKE "Odd ""Role's" FROM "Odd ""Role's_a";
REVOKE CONNECT ON DATABASE postgres FROM "Odd ""Role's";
REVOKE USAGE ON SCHEMA shop FROM "Odd ""Role's";
REVOKE SELECT ON shop.orders FROM "Odd ""Role's";
ALTER DATABASE postgres CONNECTION LIMIT 1;
DROP TABLE shop.gone;
DROP SCHEMA fleeting;
ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY;
CREATE POLICY "all" ON shop.orders AS RESTRICTIVE USING (true);
SQL
my $hba = slurp_file($node->data_dir . '/pg_hba.conf');
$node->append_conf('pg_hba.conf', "hostnossl all all 10.0.0.0/8 trust\nhost all all nonsense\n");
finds(
	$id,
	[ grep { !/^0\d_|^10_/ } map { basename($_) } @files ],
	'all but what the row says, and a login that is gone');

# names are as good as numbers, for who has no array at hand
like(
	run_file("$sources/src/ingest/checks/22_table_closed.sql",
		%variables, relations => '{shop.orders}'),
	qr/^login "Odd ""Role's_a" may not read shop\.orders\|GRANT SELECT ON TABLE shop\.orders TO "Odd ""Role's"$/,
	'a table by its name');

# a login that is gone
query(q{DROP ROLE "Odd ""Role's_a"});
finds(
	$id,
	[   '10_login_missing.sql', '23_schema_missing.sql',
		'23_table_missing.sql', '31_hba_wrong.sql',
		'32_listen_addresses.sql', '33_ssl_off.sql',
		'41_database_full.sql', '42_server_full.sql' ],
	'a login that is gone');

# nothing is wrong; without an SSL mode, too
query('ALTER DATABASE postgres CONNECTION LIMIT -1');
query('ALTER TABLE shop.orders DISABLE ROW LEVEL SECURITY');
AepTest::close_session($session);
unlink($node->data_dir . '/pg_hba.conf');
$node->append_conf('pg_hba.conf', "${hba}host all all 10.0.0.0/8 reject\nhost all all all md5\n");
$node->append_conf('postgresql.conf',
	"superuser_reserved_connections = 3\nlisten_addresses = '127.0.0.1,192.0.2.1'");
$node->restart;
$session = AepTest::open_session($node);
($id) = query("CALL aep.create_ingest_role('plain', schemas => '{shop}')") =~ /^([^|]+)/;
finds($id, [], 'nothing');

# but for what the row says, one thing after the other, and back
foreach my $case (
	[ '01_row_invalid',        'port = 0',                               "port = @{[$node->port]}" ],
	[ '02_other_installation', 'bound_system = bound_system - 1',        'bound_system = bound_system + 1' ],
	[ '02_other_installation', 'bound_database = bound_database::text::int + 1', 'bound_database = bound_database::text::int - 1' ],
	[ '02_other_installation', 'bound_system = NULL', 'bound_system = (SELECT system_identifier FROM pg_control_system())' ],
	[ '03_server_missing',     "server_name = 'nowhere'",                "server_name = 'aep'" ],
	[ '04_database_renamed',   "bound_database_name = 'formerly'",       "bound_database_name = 'postgres'" ],
	[ '05_address_changed',    "bound_host = 'db0.example.com'",         "bound_host = 'DB1.example.com'" ],
	[ '05_address_changed',    'bound_port = 1',                         "bound_port = @{[$node->port]}" ])
{
	my ($file, $change, $back) = @$case;

	query("UPDATE aep.ingest_role SET $change WHERE connection_id = '$id'");
	only_finds($id, $file, $change);
	query("UPDATE aep.ingest_role SET $back WHERE connection_id = '$id'");
}
query('ALTER ROLE plain RENAME TO ordinary');
only_finds($id, '06_role_missing', 'a role that was renamed');
query('ALTER ROLE ordinary RENAME TO plain');
finds($id, [], 'nothing again');

# but for one thing
unlink($node->data_dir . '/pg_hba.conf');
$node->append_conf('pg_hba.conf', "${hba}host all all all reject\nhost all all all md5\n");
finds($id, ['30_hba_closed.sql'], 'pg_hba.conf rejects');
AepTest::close_session($session);
$node->stop('fast');

# What becomes C

sub embed
{
	my ($text) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir() . '/12_hostile.sql';

	open(my $handle, '>:raw', $file) or die "$file: $!";
	print $handle $text;
	close $handle;
	my ($out, $err) = run_command([ 'awk', '-f', "$sources/scripts/embed-sql.awk", $file ]);
	return { out => $out, err => $err =~ s/^\Q$file\E: //r };
}

# The bytes that C has for its string literals.
sub c_text
{
	my ($out) = @_;
	my ($literals) = $out =~ /^\t\.text =\n((?:\t\t".*"\n)*\t\t".*"),\n/m or die $out;
	my %escaped = (n => "\n", r => "\r");

	$literals =~ s/^\t\t"(.*)"$/$1/gm;
	$literals =~ s/\n//g;
	return $literals =~ s/\\(.)/$escaped{$1} \/\/ $1/ger;
}

my $head = "-- A comment\n-- needs: pg_catalog.f()\n--\n-- and more \\ :'a'\n\n";
my $kept = <<'SQL';
-- "it's" a comment \ of :'its' own
SELECT 'it''s :''no'' parameter', 'a:'AS "b:'c'", a::text, x[1:2], x[1 : 2], -- :'d' $1
    '??=', '??/', '"', '-- no comment', '$1', 1-1 AS "--", 'two
lines', '%s', 'ä', '/*', ''::"char",	'tab';
SQL
my $embedded = embed($head . $kept);
is($embedded->{err},         '',    'what looks like parameters, and quotes: no error');
is(c_text($embedded->{out}), $kept, 'what looks like parameters, and quotes: byte for byte');
unlike($embedded->{out}, qr/PARAMETER/, 'no parameter');
like($embedded->{out}, qr/^\t\.name = "hostile",\n\t\.needs = "pg_catalog\.f\(\)",$/m, 'what it needs');
like($embedded->{out}, qr/^\t\.parameter_count = 0,$/m, 'none are counted');

$embedded = embed("-- A comment\r\nSELECT :'b'::text[],\r\n:'a',:'b'::\"x\", ARRAY[:'c_2']\n;");
is( c_text($embedded->{out}),
	"SELECT \$1::text[],\r\n\$2,\$1::\"x\", ARRAY[\$3]\n;\n",
	'parameters are numbered');
like($embedded->{out}, qr/\{PARAMETER\(b\), PARAMETER\(a\), PARAMETER\(c_2\)\}/, 'in this order');
unlike($embedded->{out}, qr/needs/, 'it needs nothing');

foreach my $refused (
	[ 'SELECT :login',        ':l' ],
	[ 'SELECT :"login"',      ':"' ],
	[ "SELECT :{?login}",     ':{' ],
	[ "SELECT :'no name'",    ":'" ],
	[ 'SELECT $1',            '$' ],
	[ 'SELECT $$text$$',      '$' ],
	[ "SELECT '\\d'",         "'\\d'" ],
	[ 'SELECT "\\d"',         '"\\d"' ],
	[ '\echo',                '\\' ],
	[ 'SELECT /* x */ 1',     '/*' ],
	[ "SELECT 'open",         "'" ],
	[ "SELECT :'a', 'open\n", "'" ])
{
	my ($sql, $token) = @$refused;
	is(embed("-- A comment\n$sql;\n")->{err}, "not allowed: $token", "refused: $sql");
}
is(embed("SELECT 1;\n")->{err},
	'no comment at its head says what it is for',
	'refused: without a comment');

done_testing();
