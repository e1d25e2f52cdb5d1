# What a call was given stays what it was, whatever happens to the catalogs
# while it works: in a trigger at its commit, in a nested call.
use strict;
use warnings;

use AepTest;
use PostgreSQL::Test::Utils;
use Test::More;

# the server's C library overwrites what is freed
$ENV{MALLOC_PERTURB_} = 165;

my $fake = AepTest::start_fake();
my $node = AepTest::start_node('main');

AepTest::create_server($node, $fake);

# Runs at each commit of the procedure: nothing that was read before is in the
# cache afterwards, and what is read anew may take its place in memory.
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE note (id int);
CREATE TABLE orders (id int);
CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1 .. 20 LOOP
    EXECUTE format('ALTER SERVER aep OPTIONS (SET advertised_host %L)', repeat('e', i) || '.example.com');
    ALTER USER MAPPING FOR CURRENT_USER SERVER aep OPTIONS (SET api_key 'another-key-of-that-length');
    PERFORM host FROM aep.endpoint();
    PERFORM repeat('x', 1000) FROM generate_series(1, 1000);
    ALTER USER MAPPING FOR CURRENT_USER SERVER aep OPTIONS (SET api_key 'demo-api-key');
    PERFORM host FROM aep.endpoint();
  END LOOP;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER meddle AFTER INSERT ON note DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION meddle();
SQL

my $session = AepTest::open_session($node);
my $result  = AepTest::watch_sql($session, $fake, <<'SQL');
DO $$
DECLARE i uuid; e text;
BEGIN
  INSERT INTO note VALUES (1);
  CALL aep.create_ingest_role('borrower', tables => '{orders}', id => i, etag => e);
  RAISE NOTICE 'made %', i;
END $$
SQL
like($result->{err}, qr/NOTICE: +00000: made [0-9a-f-]{36}$/m, 'the procedure ends well');
like(
	AepTest::run_sql(
		$session, "SELECT srvoptions::text FROM pg_foreign_server WHERE srvname = 'aep'"),
	qr/advertised_host=e{20}\.example/,
	'and meanwhile the server was changed');
is(scalar @{ $result->{requests} }, 1, 'one request');
is($result->{requests}[0]{body}{auth}{params}{server},
	'db1.example.com', 'it has the address from before the commit');
is($result->{requests}[0]{headers}{'x-gw-ims-org-id'},
	'5C1328435BF324E90A49402A@AdobeOrg', 'and the settings');

# The host that was given changes in the middle of a batch.
is( AepTest::run_sql(
		$session, <<'SQL'), 2, 'a setting may change inside the statement that uses it');
CREATE FUNCTION changing(text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  ALTER SERVER aep OPTIONS (SET advertised_host 'db1.example.com');
  PERFORM host FROM aep.endpoint();
  RETURN $1;
END $$;
SELECT count(*) FROM (VALUES ('a'), ('b')) AS v(name),
  LATERAL aep.create_base_connection(name => changing(name), username => 'u', password => 'p') AS c
  WHERE c.id IS NOT NULL
SQL

# Nothing is kept of what is out of date: neither memory nor secrets.
my $contexts = "SELECT count(*) FROM pg_backend_memory_contexts WHERE name = 'aep server'";
AepTest::run_sql($session, 'SELECT host FROM aep.endpoint()');
is(AepTest::run_sql($session, $contexts), 1, 'settings in use are kept');
is( AepTest::run_sql(
		$session,
		"ALTER USER MAPPING FOR CURRENT_USER SERVER aep OPTIONS (ADD scopes 'openid'); $contexts"),
	0,
	'they go with the change of the mapping');

AepTest::run_sql($session, <<'SQL');
CREATE ROLE passing;
GRANT USAGE ON FOREIGN SERVER aep TO passing;
GRANT USAGE ON SCHEMA aep TO passing;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA aep TO passing;
DO $$
BEGIN
  FOR i IN 1 .. 200 LOOP
    CREATE USER MAPPING FOR passing SERVER aep OPTIONS (api_key 'k', client_secret 's');
    SET LOCAL ROLE passing;
    PERFORM host FROM aep.endpoint();
    PERFORM fetched_at FROM aep.access_token_info();
    RESET ROLE;
    DROP USER MAPPING FOR passing SERVER aep;
  END LOOP;
END $$
SQL
is($session->{err},                       '', 'mappings come and go');
is(AepTest::run_sql($session, $contexts), 0,  'and leave nothing');
like(AepTest::run_sql($session, "SELECT host FROM aep.endpoint(); SELECT sum(total_bytes) < 65536 FROM pg_backend_memory_contexts WHERE name LIKE 'aep %'"), qr/t$/, 'nor in the tables of the caches');

AepTest::close_session($session);
done_testing();
