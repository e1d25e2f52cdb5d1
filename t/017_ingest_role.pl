# What aep.create_ingest_role() makes, whatever the names are, and what it refuses.
use strict;
use warnings;

use Calls qw(query);
use Findings;
use IngestRole;
use Test::More;
use Told;

my ($node, $fake) = Findings::start();

# What works

my $id = create(
	"'reader', schemas => '{shop}', tables => '{office.shown,shop.orders}', connection_limit => 2, "
	  . "name => 'Reader', description => 'reads', ssl_mode => 'Allow'");
my ($request) = $fake->requests_named('Reader');
my $params    = $request->{body}{auth}{params};
my $password  = delete $params->{password};
like($password, qr/^[A-Za-z0-9_-]{32}$/, 'a password of 32 characters');
delete $params->{authorizedDate};
is_deeply(
	$params,
	{   server   => 'db1.example.com',
		port     => $node->port,
		database => 'postgres',
		username => 'reader_a',
		sslMode  => 'Allow' },
	'the platform is told the login and the rest');
is($request->{body}{description}, 'reads', 'and what aep.create_base_connection would tell');
is($request->{created},           $id,     'the id is returned');
is($fake->requests,               1,       'one request');

my $second = create("'reader2', schemas => '{shop}'");
isnt((Told::passwords($fake))[0], last_password(), 'each login has a password of its own');

# Every privilege that two roles have on what is not the system's.
my $privileges = <<'SQL';
WITH role (name) AS (VALUES ('reader'), ('reader_a')),
relations AS (SELECT c.oid, relkind, format('%I.%I', nspname, relname) AS name FROM pg_class c
    JOIN pg_namespace n ON n.oid = relnamespace
    WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' AND relname !~ '^pg_stat_statements'),
held (role, object, privilege) AS (
SELECT role.name, r.name, p FROM role, relations r,
    unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) AS p
    WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND has_table_privilege(role.name, r.oid, p)
UNION ALL SELECT role.name, r.name, p FROM role, relations r,
    unnest('{SELECT,INSERT,UPDATE,REFERENCES}'::text[]) AS p
    WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND has_any_column_privilege(role.name, r.oid, p)
    AND NOT has_table_privilege(role.name, r.oid, p)
UNION ALL SELECT role.name, r.name, p FROM role, relations r, unnest('{USAGE,SELECT,UPDATE}'::text[]) AS p
    WHERE relkind = 'S' AND has_sequence_privilege(role.name, r.oid, p)
UNION ALL SELECT role.name, nspname, p FROM role, pg_namespace n, unnest('{CREATE,USAGE}'::text[]) AS p
    WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' AND has_schema_privilege(role.name, n.oid, p)
UNION ALL SELECT role.name, datname, p FROM role, pg_database d, unnest('{CREATE,CONNECT,TEMPORARY}'::text[]) AS p
    WHERE datname !~ '^template' AND has_database_privilege(role.name, d.oid, p)
UNION ALL SELECT role.name, proname, 'EXECUTE' FROM role, pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
    WHERE nspname = 'aep' AND has_function_privilege(role.name, p.oid, 'EXECUTE')
UNION ALL SELECT role.name, srvname, 'USAGE' FROM role, pg_foreign_server s
    WHERE has_server_privilege(role.name, s.oid, 'USAGE')
UNION ALL SELECT role.name, r.rolname, p FROM role, pg_roles r, unnest('{MEMBER,USAGE}'::text[]) AS p
    WHERE r.rolname <> role.name AND pg_has_role(role.name, r.oid, p))
SELECT role || ': ' || string_agg(privilege || ' ' || object, ', ' ORDER BY object, privilege)
FROM held GROUP BY role ORDER BY role
SQL
my @held = split /\n/, query($privileges);
is( $held[0],
	'reader: USAGE office, SELECT office.shown, CONNECT postgres, USAGE shop, SELECT shop.orders, '
	  . 'SELECT shop.parts, SELECT shop.recent, SELECT shop.summary',
	'the role has what was named, and nothing else');
is( $held[1],
	'reader_a: USAGE office, SELECT office.shown, CONNECT postgres, MEMBER reader, USAGE reader, USAGE shop, '
	  . 'SELECT shop.orders, SELECT shop.parts, SELECT shop.recent, SELECT shop.summary',
	'the login has the same through it');
is(query("SELECT count(*) FROM pg_default_acl"), 0, 'no default privileges');
is( query(
		"SELECT rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, "
		  . "rolbypassrls, rolconnlimit, rolvaliduntil FROM pg_roles WHERE rolname ~ '^reader(_a)?\$' ORDER BY 1"
	),
	"reader|f|t|f|f|f|f|f|-1|\nreader_a|f|t|f|f|t|f|f|2|",
	'the attributes of both');
is( query(
			"SELECT roleid::regrole, member::regrole, admin_option FROM pg_auth_members "
		  . "WHERE 'reader_a'::regrole IN (roleid, member)"),
	'reader|reader_a|f',
	'the login is a plain member');
like(
	query("SELECT rolpassword FROM pg_authid WHERE rolname = 'reader_a'"),
	qr/^SCRAM-SHA-256\$4096:[A-Za-z0-9+\/=]+\$[A-Za-z0-9+\/=]{44}:[A-Za-z0-9+\/=]{44}$/,
	'PostgreSQL has a SCRAM verifier');
is(query("SELECT rolpassword IS NULL FROM pg_authid WHERE rolname = 'reader'"),
	't', 'and the role no password');

# The login does what Experience Platform does.
is( login(
		'reader_a', $password,
		'SELECT id FROM shop.orders UNION SELECT id FROM office.shown ORDER BY 1')->{out},
	"1\n2",
	'the login reads');
foreach my $refused (
	'SELECT * FROM office.hidden',
	'SELECT * FROM vault.gold',
	'INSERT INTO shop.orders VALUES (7)',
	'DELETE FROM shop.orders',
	'CREATE TABLE shop.mine ()',
	'CREATE TEMP TABLE mine ()',
	'SELECT * FROM aep.ingest_role',
	'SELECT * FROM pg_authid',
	"SELECT nextval('shop.numbers')",
	'CREATE TABLE public.mine ()')
{
	like(login('reader_a', $password, $refused)->{err}, qr/permission denied/, "not: $refused");
}
like(
	login('reader_a', "x$password")->{err},
	qr/password authentication failed/,
	'not with another password');
like(
	login('reader', $password)->{err},
	qr/password authentication failed|not permitted to log in/,
	'the role itself cannot log in');

# What is told of it.
my $status_sql = "SELECT * FROM aep.ingest_role_status() WHERE role_name = 'reader'";
like(query($status_sql), qr/^$id\|Reader\|aep\|reader\|reader_a\|\|active\|\d{4}-[^|]*\|0\|here$/,
	'status');
is( query(
		"SELECT now() - rotated_at < '1 minute' AND rotated_at <= now() FROM aep.ingest_role_status() WHERE role_name = 'reader'"
	),
	't',
	'rotated_at is when it was made');

# Names that need quotes, and the other kind of authentication

my $odd = create(
	q{'Odd "Role''s', schemas => '{"Sch;\"ema"}', tables => ARRAY['"Sch;""ema"."Ta''b.le"'::regclass], }
	  . q{auth_type => 'connection_string', name => 'Odd', default_privileges => true});
my $odd_login = Told::login($fake, $odd);
is($odd_login->{username}, q{Odd "Role's_a}, 'odd names: the login');
like($odd_login->{password}, qr/^[A-Za-z0-9_-]{32}$/, 'in a connection string: the password');
is( login($odd_login->{username}, $odd_login->{password}, q{SELECT * FROM "Sch;""ema"."Ta'b.le"})
	  ->{out},
	5,
	"odd names: the login reads");
finds_nothing($odd, 'odd names');
query(q{REVOKE SELECT ON "Sch;""ema"."Ta'b.le" FROM "Odd ""Role's"});
finds_and_mends($odd, qr/ may not read "Sch;""ema"\."Ta'b\.le"$/, qr/^GRANT SELECT/, 'odd names');
is( query(
		q{SELECT defaclrole::regrole, defaclnamespace::regnamespace, defaclobjtype, defaclacl FROM pg_default_acl}
	),
	q{postgres|"Sch;""ema"|r|{"\"Odd \"\"Role's\"=r/postgres"}},
	'default privileges: SELECT on tables');
query('CREATE TABLE "Sch;""ema".later AS SELECT 9 AS id');
is( login($odd_login->{username}, $odd_login->{password}, q{SELECT id FROM "Sch;""ema".later})
	  ->{out},
	9,
	'default privileges: a table that comes later is read');
query(
	q{ALTER DEFAULT PRIVILEGES IN SCHEMA "Sch;""ema" REVOKE SELECT ON TABLES FROM "Odd ""Role's"});

# With other quotes than now
query('SET quote_all_identifiers = on');
my $quoted = create("'quoted', tables => '{office.shown}'");
query('RESET quote_all_identifiers');
is( query("SELECT granted_tables FROM aep.ingest_role WHERE role_name = 'quoted'"),
	'{"\\"office\\".\\"shown\\""}',
	'quotes that were needless');
finds_nothing($quoted, 'needless quotes');
query('REVOKE SELECT ON office.shown FROM quoted');
finds_and_mends(
	$quoted,
	qr/^login quoted_a may not read office\.shown$/,
	qr/^GRANT SELECT ON TABLE office\.shown TO quoted$/,
	'needless quotes, SELECT');
query('ALTER TABLE office.shown RENAME TO renamed');
is_deeply(
	[ map { $_->[0] } findings($quoted) ],
	['table "office"."shown" does not exist'],
	'needless quotes, a table that is gone');
query('ALTER TABLE office.renamed RENAME TO shown');

# What shows before any role is made

query('CREATE ROLE taken; CREATE ROLE mine_a; CREATE SCHEMA empty; CREATE SEQUENCE empty.numbers');
my %refused = (
	'an existing role'     => [ "'taken', '{shop}'", qr/ERROR:  42710: role "taken" already exists/ ],
	'a missing table'      => [ "'early', tables => '{shop.nothing}'", qr/ERROR:  42P01: / ],
	'a table that is gone' => [
		"'early', tables => '{999999}'",
		qr/ERROR:  22023: invalid value for argument "tables"\nDETAIL:  It holds a table that does not exist/
	],
	'a missing schema' => [
		"'early', schemas => '{shop,nowhere}'", qr/ERROR:  3F000: schema "nowhere" does not exist/
	],
	'no table' => [
		"'early'",
		qr/ERROR:  22023: invalid value for argument "tables"\nDETAIL:  .* there is no table\.\nHINT:  .*default_privileges => true/ ],
	'empty arrays' => [ "'early', '{}', '{}'", qr/ERROR:  22023: .*"tables"\nDETAIL:  .* there is no table/ ],
	'a schema without a table' => [
		"'early', '{empty}'",
		qr/ERROR:  22023: invalid value for argument "schemas"\nDETAIL:  .* there is no table/ ],
	'no table, and none to come' => [
		"'early', default_privileges => true",
		qr/ERROR:  22023: invalid value for argument "tables"\nDETAIL:  .* there is no table/ ],
	'a missing server' => [ "'early', server => 'nowhere'", qr/ERROR:  42704: / ],
	'a long name'     => [ "'" . 'x' x 62 . "', '{shop}'", qr/ERROR:  42622: role name "x{62}" is too long/ ],
	'a reserved name' => [ "'pg_reader', '{shop}'", qr/ERROR:  42939: / ],
	'no name'         => [ 'NULL', qr/ERROR:  22004: argument "role_name" must not be null/ ],
	'an empty name'   => [ "''",   qr/ERROR:  22023: invalid value for argument "role_name"/ ],
	'no server'       => [ "'early', server => NULL", qr/ERROR:  22004: argument "server"/ ],
	'no authentication' =>
	  [ "'early', '{shop}', auth_type => NULL", qr/ERROR:  22004: argument "auth_type"/ ],
	'a bad SSL mode' => [
		"'early', '{shop}', ssl_mode => 'Sometimes'",
		qr/ERROR:  22023: invalid value for argument "ssl_mode"/ ],
	'a name that no connection string can hold' => [
		"'ear;ly', '{shop}', auth_type => 'connection_string'",
		qr/ERROR:  22023: invalid value for argument "username"/ ],
	'a bad limit' => [
		"'early', '{shop}', connection_limit => -2",
		qr/ERROR:  22023: invalid value for argument "connection_limit"/ ],
	'a schema NULL' => [
		"'early', schemas => '{shop,NULL}'",
		qr/ERROR:  22023: invalid value for argument "schemas"\nDETAIL:  Its elements must not be null/
	],
	'a table NULL' => [
		"'early', tables => '{shop.orders,NULL}'",
		qr/ERROR:  22023: invalid value for argument "tables"\nDETAIL:  Its elements must not be null/
	]);
leaves_nothing($_, "CALL aep.create_ingest_role($refused{$_}[0])", $refused{$_}[1])
  foreach (sort keys %refused);
my $longest = 'y' x 61;
create("'$longest', '{shop}'");
is(login("${longest}_a", last_password())->{out}, 1, 'the longest name');

create("'patient', '{empty}', default_privileges => true");
query('CREATE TABLE empty.later AS SELECT 10 AS id');
is(login('patient_a', last_password(), 'SELECT id FROM empty.later')->{out},
	10, 'a schema whose tables are yet to come');

# A role of somebody else's that has a login's name: the next letter is free
create("'mine', '{shop}'");
is(login('mine_b', last_password(), 'SELECT id FROM shop.orders')->{out},
	1, "somebody else's role: the next login is used");
is(query("SELECT rolcanlogin, rolpassword IS NULL FROM pg_authid WHERE rolname = 'mine_a'"),
	'f|t', "somebody else's role: untouched");
query('CREATE ROLE many_' . $_) foreach ('a' .. 'z');
leaves_nothing(
	'no login is free',
	"CALL aep.create_ingest_role('many', '{shop}')",
	qr/ERROR:  22023: invalid value for argument "role_name"\nDETAIL:  Roles of the names of all its logins exist/);

# Where it cannot commit

my $call = "CALL aep.create_ingest_role('early', '{shop}')";
my $in_block =
  qr/ERROR:  25001: aep\.create_ingest_role cannot be called inside a transaction block/;
my $body =
  "DECLARE i uuid; e text; BEGIN CALL aep.create_ingest_role('early', '{shop}', id => i, etag => e)";
query("CREATE FUNCTION calls() RETURNS void LANGUAGE plpgsql AS \$\$ $body; END \$\$");
leaves_nothing('a transaction block', "BEGIN; $call; ROLLBACK", $in_block);
leaves_nothing('a function',          'SELECT calls()',         $in_block);
leaves_nothing('a block with EXCEPTION',
	"DO \$\$ BEGIN $body; EXCEPTION WHEN no_data_found THEN NULL; END; END \$\$", $in_block);
leaves_nothing('statements that are sent together', "SELECT 1 \\; $call", $in_block);
run("DO \$\$ $body; END \$\$" =~ s/early/from_do/r);
is(login('from_do_a', last_password(), 'SELECT id FROM shop.orders')->{out}, 1, 'a DO block');

no_password_is_left(5);

done_testing();
