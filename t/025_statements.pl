# Statements of every kind send once what they send, or nothing; where the
# library may be loaded; installing and dropping.
use strict;
use warnings;

use AepTest;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $uuid = qr/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/;
my $fake = AepTest::start_fake();
my $node = AepTest::start_node('main', 'log_statement = none');
my %login = (username => 'acme', password => 'sesame');
AepTest::create_server($node, $fake, %login);
AepTest::create_server($node, $fake, %login, server => 'plain', base_url => $fake->url('http'));
my $session = AepTest::open_session($node);
my $pid = AepTest::run_sql($session, 'SELECT pg_backend_pid()');

# Runs SQL; the requests must be these, and the output must match.
sub sends
{
	my ($what, $sql, $kinds, $output) = @_;
	my $result = AepTest::watch_sql($session, $fake, $sql);

	unlike($result->{err}, qr/ERROR/, "$what: no error");
	is(join(' ', map { $_->{kind} } @{ $result->{requests} }), $kinds, "$what: requests");
	like($result->{out}, $output, "$what: output") if defined $output;
	return $result;
}

sub fails
{
	my ($what, $sql, $kinds, $error) = @_;
	my $result = AepTest::watch_sql($session, $fake, $sql);

	like($result->{err}, $error, "$what: error");
	is(join(' ', map { $_->{kind} } @{ $result->{requests} }), $kinds, "$what: requests");
	return $result;
}

sub names
{
	my ($result) = @_;

	return [ map { $_->{name} } @{ $result->{requests} } ];
}

sub create
{
	my ($name, $server) = @_;

	return "aep.create_base_connection(name => $name" . ($server ? ", server => '$server')" : ')');
}

# Nothing runs that is only planned, described or defined.
my $once = 'SELECT id FROM ' . create(q{'once'});
AepTest::run_sql($session, 'CREATE TABLE t AS SELECT i FROM generate_series(1, 5000) AS i; ANALYZE t');
sends('EXPLAIN', "EXPLAIN (VERBOSE) $once", '');
sends('EXPLAIN of a select list', 'EXPLAIN SELECT (' . create(q{'once'}) . ').id', '');
sends('EXPLAIN of an INSERT', 'EXPLAIN INSERT INTO t SELECT length(id::text) FROM ' . create(q{'once'}), '');
sends('EXPLAIN ANALYZE', "EXPLAIN ANALYZE $once", 'POST');
sends('EXPLAIN ANALYZE, rolled back', "BEGIN; EXPLAIN ANALYZE $once; COMMIT", 'POST');
sends('\gdesc', "$once \\gdesc\n", '', qr/^id\|uuid$/m);
sends('WITH NO DATA', 'CREATE MATERIALIZED VIEW shown AS SELECT name FROM aep.connections() WITH NO DATA', '');
sends('REFRESH', 'REFRESH MATERIALIZED VIEW shown', 'LIST');
sends('a view', 'CREATE VIEW named AS SELECT id, name FROM aep.connections()', '');
sends('a view is read', 'SELECT count(*) > 0 FROM named WHERE name = $$once$$', 'LIST', qr/^t$/);
sends('SQL functions', <<'SQL', '');
CREATE FUNCTION make(name text) RETURNS uuid LANGUAGE sql AS
    'SELECT id FROM aep.create_base_connection(name => make.name)';
CREATE FUNCTION ids() RETURNS SETOF uuid LANGUAGE sql STABLE AS 'SELECT id FROM aep.connections()'
SQL
sends('a SQL function', 'SELECT make(name => $$made$$)', 'POST', qr/^$uuid$/);
sends('one that is inlined', 'SELECT count(*) > 0 FROM ids()', 'LIST', qr/^t$/);
sends('both', 'SELECT count(*) FROM ids(), LATERAL (SELECT make(ids::text) OFFSET 0) AS m LIMIT 1',
	join(' ', 'LIST', ('POST') x scalar($fake->connections)));

# Nothing runs that is never reached.
sends('never reached', $_, '')
  foreach (
	"SELECT CASE WHEN i < 0 THEN ($once) END FROM t WHERE i < 3",
	"SELECT coalesce('x', ($once)::text)",
	"SELECT i > 0 OR EXISTS ($once) FROM t WHERE i < 3",
	"$once WHERE false",
	"$once LIMIT 0",
	"SELECT t.i FROM t, " . create('t.i::text') . ' WHERE t.i < 0',
	"WITH never AS ($once) SELECT 1");
sends('a CTE that is read twice', "WITH c AS MATERIALIZED ($once) SELECT count(*) FROM c AS a, c AS b", 'POST');
sends('a subselect without correlation', "SELECT count(($once)) FROM t WHERE i < 4", 'POST', qr/^3$/);
sends('a lateral join', 'SELECT count(id) FROM t, ' . create('i::text') . ' WHERE i < 4', 'POST POST POST');
sends('COPY', "COPY ($once) TO STDOUT", 'POST', qr/^$uuid$/);
sends('a transaction that may not write', "BEGIN READ ONLY; $once; COMMIT", 'POST', qr/^$uuid$/);

# What the README says of composite results in a select list.
sends('(f()).*', 'SELECT (' . create(q{'star'}) . ').*', 'POST POST');
sends('f() in a subselect', 'SELECT (c).* FROM (SELECT ' . create(q{'star'}) . ' AS c OFFSET 0) AS s', 'POST');

# Prepared statements.
sends('PREPARE', 'PREPARE p(text) AS SELECT id FROM ' . create('$1'), '');
sends('EXPLAIN EXECUTE', 'EXPLAIN EXECUTE p($$never$$)', '');
foreach my $mode (qw(force_generic_plan force_custom_plan))
{
	my $result = sends($mode,
		"SET plan_cache_mode = $mode; EXECUTE p('$mode 1'); EXECUTE p('$mode 2')", 'POST POST');
	is_deeply(names($result), [ "$mode 1", "$mode 2" ], "$mode: the parameters of each time");
}
AepTest::run_sql($session, 'RESET plan_cache_mode');

# Cursors: a row that is fetched again is not sent again.
my $rows = 'SELECT i FROM t, ' . create(q{'row ' || i}) . ' WHERE i <= 4';
sends('DECLARE', "BEGIN; DECLARE c SCROLL CURSOR FOR $rows", '');
sends('FETCH 2', 'FETCH 2 FROM c', 'POST POST', qr/^1\n2$/);
sends('FETCH BACKWARD', 'FETCH BACKWARD 1 FROM c', '', qr/^1$/);
sends('FETCH RELATIVE', 'FETCH RELATIVE 2 FROM c', 'POST', qr/^3$/);
sends('MOVE', 'MOVE ALL FROM c', 'POST');
sends('FETCH BACKWARD ALL', 'FETCH BACKWARD ALL FROM c', '', qr/^4\n3\n2\n1$/);
sends('CLOSE', 'CLOSE c; COMMIT', '');
foreach my $scroll ('SCROLL', 'NO SCROLL', '')
{
	my $result = sends("$scroll WITH HOLD",
		"BEGIN; DECLARE c $scroll CURSOR WITH HOLD FOR $rows; FETCH 2 FROM c; COMMIT",
		'POST POST POST POST', qr/^1\n2$/);
	is_deeply(names($result), [ map { "row $_" } 1 .. 4 ], "$scroll WITH HOLD: each row once");
	sends('after the commit', 'FETCH ALL FROM c; CLOSE c', '', qr/^3\n4$/);
}
sends('a single row',
	"BEGIN; DECLARE c SCROLL CURSOR FOR $once; FETCH c; FETCH PRIOR FROM c; FETCH NEXT FROM c; COMMIT",
	'POST', qr/^($uuid)\n\1$/);
my $list = 'SELECT i, ' . create(q{'row ' || i}) . ' FROM t WHERE i <= 2';
fails('NO SCROLL over a select list',
	"BEGIN; DECLARE c NO SCROLL CURSOR FOR $list; FETCH 2 FROM c; FETCH BACKWARD 1 FROM c; ROLLBACK",
	'POST POST', qr/ERROR:  55000:/);

sends('NO SCROLL WITH HOLD over a select list',
	"BEGIN; DECLARE c NO SCROLL CURSOR WITH HOLD FOR $list; FETCH 1 FROM c; COMMIT; FETCH ALL FROM c; CLOSE c",
	'POST POST');
# PostgreSQL says of volatile functions: a cursor may run them again, unless NO SCROLL
sends('a cursor over a select list',
	"BEGIN; DECLARE c CURSOR WITH HOLD FOR $list; FETCH 1 FROM c; COMMIT; CLOSE c", 'POST POST POST');
AepTest::run_sql($session, <<'SQL');
CREATE PROCEDURE loop() LANGUAGE plpgsql AS $$
DECLARE
    r record;
BEGIN
    FOR r IN SELECT (aep.create_base_connection(name => 'loop ' || i)).id FROM t WHERE i <= 12 LOOP
        COMMIT;
    END LOOP;
END $$
SQL
my $loop = sends('a loop that commits', 'CALL loop()', join(' ', ('POST') x 12));
is_deeply(names($loop), [ map { "loop $_" } 1 .. 12 ], 'each row once');

# Triggers, at the statement and at the commit.
AepTest::run_sql($session, <<'SQL');
CREATE TABLE shops (name text);
CREATE FUNCTION connect_shop() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM id FROM aep.create_base_connection(name => NEW.name);
    RETURN NEW;
END $$;
CREATE TRIGGER now AFTER INSERT ON shops FOR EACH ROW EXECUTE FUNCTION connect_shop()
SQL
my $lost = qr/WARNING:  01000: 1 object .*\nDETAIL:  $uuid \(base connection "d"\)/;
sends('a trigger', q{INSERT INTO shops VALUES ('a'), ('b'), ('c')}, 'POST POST POST');
my $failed = fails('a trigger that fails', q{INSERT INTO shops VALUES ('d'), ('fault:status=400 e'), ('f')},
	'POST POST', qr/ERROR:  22023:/);
like($failed->{err}, $lost, 'what was made is named');
AepTest::run_sql($session, <<'SQL');
DROP TRIGGER now ON shops;
CREATE CONSTRAINT TRIGGER later AFTER INSERT ON shops DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION connect_shop()
SQL
sends('a deferred trigger', q{BEGIN; INSERT INTO shops VALUES ('a'), ('b')}, '');
sends('its commit', 'COMMIT', 'POST POST');
$failed = fails('a commit that fails', q{BEGIN; INSERT INTO shops VALUES ('d'), ('fault:status=400 e'); COMMIT},
	'POST POST', qr/ERROR:  22023:/);
like($failed->{err}, $lost, 'what was made is named');

# Parallel plans: the leader calls, workers scan.
my $parallel = $node->pg_version < 16 ? 'force_parallel_mode' : 'debug_parallel_query';
my $log_start = -s $node->logfile;

sub callers
{
	my %pids = map { $_ => 1 } slurp_file($node->logfile, $log_start) =~ /\[(\d+)\] .*LOG:  created base/g;

	return [ sort keys %pids ];
}
AepTest::run_sql($session, <<'SQL');
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
ALTER TABLE t SET (parallel_workers = 2)
SQL
my $scan = 'SELECT count(*) FROM (SELECT ' . create(q{'parallel ' || i}) . ' FROM t WHERE i % 500 = 0) AS s';
sends('a parallel scan', "EXPLAIN (ANALYZE, COSTS OFF) $scan", join(' ', ('POST') x 10),
	qr/Gather.*Workers Launched: [12].*Parallel Seq Scan/s);
is_deeply(callers(), [$pid], 'the leader makes all calls');
sends('a filter', 'SELECT count(*) FROM t WHERE i % 1000 = 0 AND aep.connection_count(name => $$x$$ || i) = 0',
	join(' ', ('COUNT') x 5), qr/^5$/);
AepTest::run_sql($session, "SET $parallel = on");
sends('a plan that is parallel for nothing', $once, 'POST', qr/^$uuid$/);
sends('what is safe',
	'SELECT (aep.base_connection_spec(name => i::text)).name FROM t WHERE i = 7',
	'', qr/^7$/);
is_deeply(callers(), [$pid], 'the leader makes all calls');
AepTest::run_sql($session, 'RESET ALL');

# Who reads a view uses a mapping of its own, not that of the view's owner.
AepTest::run_sql($session, <<'SQL');
CREATE ROLE reader;
CREATE ROLE owner LOGIN CREATEDB;
GRANT USAGE ON SCHEMA aep TO reader;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA aep TO reader;
GRANT USAGE ON FOREIGN SERVER aep TO reader;
CREATE USER MAPPING FOR reader SERVER aep
    OPTIONS (api_key 'demo-api-key', access_token 'demo-access-token', username 'reader', password 'x');
CREATE VIEW login AS SELECT aep.base_connection_request() #>> '{auth,params,username}' AS name;
GRANT SELECT ON login, named TO reader
SQL
sends('a view of another role', 'SET ROLE reader; SELECT name FROM login; SELECT count(*) > 0 FROM named; RESET ROLE',
	'LIST', qr/^reader\nt$/);

# Two extensions with libcurl in one backend.
my $dir = PostgreSQL::Test::Utils::tempdir();
append_to_file("$dir/other.c", <<'C');
#include "postgres.h"
#include <curl/curl.h>
#include "fmgr.h"
#include "utils/builtins.h"

PG_MODULE_MAGIC;
PG_FUNCTION_INFO_V1(other_fetch);
PG_FUNCTION_INFO_V1(other_end);

static CURL *easy;

static size_t
ignore(char *data, size_t size, size_t nmemb, void *arg)
{
	return size * nmemb;
}

Datum
other_fetch(PG_FUNCTION_ARGS)
{
	long status = 0;
	CURLcode code;

	if (easy == NULL)
	{
		curl_global_init(CURL_GLOBAL_ALL);
		easy = curl_easy_init();
	}
	curl_easy_setopt(easy, CURLOPT_URL, text_to_cstring(PG_GETARG_TEXT_PP(0)));
	curl_easy_setopt(easy, CURLOPT_CAINFO, text_to_cstring(PG_GETARG_TEXT_PP(1)));
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, ignore);
	code = curl_easy_perform(easy);
	if (code != CURLE_OK)
		elog(ERROR, "%s", curl_easy_strerror(code));
	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	PG_RETURN_INT32(status);
}

Datum
other_end(PG_FUNCTION_ARGS)
{
	curl_easy_cleanup(easy);
	easy = NULL;
	curl_global_cleanup();
	PG_RETURN_VOID();
}
C
# of a copied installation, the headers are where they were
my ($headers) = grep { -e "$_/postgres.h" }
  map { ($_, s{^.*(?=/usr/)}{}r) } run_command([ 'pg_config', '--includedir-server' ]);
my @flags = map { split ' ' } run_command([ 'pkg-config', '--cflags', '--libs', 'libcurl' ]);
SKIP:
{
	skip 'no headers to compile with', 1 unless $headers;
	$node->command_ok(
		[ 'cc', '-shared', '-fPIC', '-o', "$dir/other.so", "-I$headers", "$dir/other.c", @flags ],
		'another extension is compiled');
	AepTest::run_sql($session, <<"SQL");
CREATE FUNCTION other_fetch(url text, ca_file text) RETURNS integer STRICT LANGUAGE C AS '$dir/other.so';
CREATE FUNCTION other_end() RETURNS void LANGUAGE C AS '$dir/other.so'
SQL
	my $fetch = "SELECT other_fetch('" . $fake->url . "/elsewhere', '" . $fake->ca_file . "')";
	foreach my $order ("$fetch; $once; COMMIT", "$once; $fetch; ROLLBACK")
	{
		my $fresh = AepTest::open_session($node);
		my $result = AepTest::watch_sql($fresh, $fake, join(';', ("BEGIN; $order") x 4));

		unlike($result->{err}, qr/ERROR/, 'both work in turn');
		my %connections;
		$connections{ $_->{path} =~ /elsewhere/ ? 'other' : 'ours' }{ $_->{connection} }++
		  foreach (@{ $result->{requests} });
		is_deeply([ map { values %$_ } values %connections ], [ 4, 4 ], 'each over one connection of its own');
		$result = AepTest::watch_sql($fresh, $fake, "SELECT other_end(); $once; $fetch; $once");
		unlike($result->{err}, qr/ERROR/, 'one gives libcurl up, the other goes on');
		is(scalar(@{ $result->{requests} }), 3, 'with all its requests');
		ok($connections{ours}{ $result->{requests}[0]{connection} }, 'over the same connection');
		AepTest::close_session($fresh);
	}
}

# A reload counts from the next statement on, and disturbs no call.
sub reload
{
	my ($sql) = @_;

	$node->safe_psql('postgres', "$sql; SELECT pg_reload_conf()");
	return;
}
AepTest::begin_sql($session, 'SELECT count(id) FROM ' . create(q{'fault:delay=1 reloaded'}));
AepTest::wait_until(sub { $fake->requests_named('fault:delay=1 reloaded') }) or die 'nothing was sent';
my $port = $node->port;
my $new_port = PostgreSQL::Test::Cluster::get_free_port();
reload(q{ALTER SYSTEM SET statement_timeout = '1s'});
reload("ALTER SYSTEM SET port = $new_port");
is(AepTest::end_sql($session), 1, 'a call goes on during a reload');
AepTest::wait_until(sub { AepTest::run_sql($session, 'SHOW statement_timeout') eq '1s' });
fails('the new timeout', 'SELECT id FROM ' . create(q{'fault:stall=before_headers'}), 'POST', qr/ERROR:  57014:/);
reload('ALTER SYSTEM RESET statement_timeout');
sends('a port that waits for a restart', 'SELECT port FROM aep.endpoint()', '', qr/^$port$/);

# Loaded ahead, the library does nothing in the postmaster: no thread, no file.
sub loaded_in
{
	my ($process) = @_;

	return slurp_file("/proc/$process/maps") =~ m{/libcurl\b.*\.so} ? 1 : 0;
}
my ($postmaster) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;
is(loaded_in($postmaster), 0, 'the postmaster is without libcurl');
my $files = AepTest::descriptors_of($postmaster);
AepTest::close_session($session);
reload(q{ALTER SYSTEM SET session_preload_libraries = 'aep'});
$session = AepTest::open_session($node);
$pid = AepTest::run_sql($session, 'SELECT pg_backend_pid()');
is(loaded_in($pid), 1, 'session_preload_libraries');
is(AepTest::sockets_of($pid), 0, 'nothing is opened by that');
sends('the first call', $once, 'POST', qr/^$uuid$/);
AepTest::close_session($session);
reload('ALTER SYSTEM RESET session_preload_libraries');
reload(q{ALTER SYSTEM SET shared_preload_libraries = 'aep'});
$node->restart;
($postmaster) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;
is(loaded_in($postmaster), 1, 'shared_preload_libraries');
like(slurp_file("/proc/$postmaster/status"), qr/^Threads:\s+1$/m, 'the postmaster has one thread');
cmp_ok(AepTest::descriptors_of($postmaster), '<=', $files, 'and no more files');
my $connstr = $node->connstr('postgres') =~ s/port=\d+/port=$new_port/r;
$session = AepTest::open_session($node, 'postgres', $connstr);
sends('a backend of it', $once, 'POST', qr/^$uuid$/);
sends('over HTTP too', 'SELECT count(id) FROM ' . create(q{'once'}, 'plain'), 'POST', qr/^1$/);
sends('the port after the restart', 'SELECT port FROM aep.endpoint()', '', qr/^$new_port$/);
like(slurp_file("/proc/$postmaster/status"), qr/^Threads:\s+1$/m, 'the postmaster still has one thread');
AepTest::run_sql($session, 'ALTER SYSTEM RESET ALL');
AepTest::close_session($session);

# Single-user mode.
$node->stop;
my $before = $fake->requests;
my ($out, $err);
IPC::Run::run(
	[ 'postgres', '--single', '-F', '-D', $node->data_dir, 'postgres' ],
	'<', \join("\n", $once, 'SELECT id FROM ' . create(q{'once'}, 'plain'), 'BEGIN', $once, 'ROLLBACK', ''),
	'>', \$out, '2>', \$err);
is(scalar(() = $out =~ /id = "$uuid"/g), 3, 'calls work in single-user mode');
like($err, qr/WARNING:  1 object in Experience Platform is not undone by this rollback/, 'so do warnings');
is(scalar($fake->requests($before)), 3, 'three requests');
$node->start;

# Who may install it, where, and what keeps it from being dropped.
$session = AepTest::open_session($node);
$node->safe_psql('postgres', "CREATE DATABASE $_ OWNER owner") foreach (qw(theirs squatted));
sub installing
{
	my ($dbname, $sql) = @_;

	return AepTest::failing($node, $sql, dbname => $dbname);
}
like(installing('theirs', 'SET ROLE owner; CREATE EXTENSION aep'),
	qr/ERROR:  42501: permission denied to create extension "aep"/, 'only a superuser installs it');
like(installing('theirs', 'CREATE EXTENSION aep SCHEMA public'), qr/ERROR:  0A000:/, 'into no other schema');
$node->safe_psql('squatted', 'CREATE SCHEMA aep AUTHORIZATION owner');
like(installing('squatted', $_), qr/ERROR:  42P06: schema "aep" already exists/, "somebody else's schema: $_")
  foreach ('CREATE EXTENSION aep', 'CREATE EXTENSION IF NOT EXISTS aep CASCADE');
is($node->safe_psql('squatted', q{SELECT count(*) FROM pg_foreign_data_wrapper}), 0, 'nothing is left behind');
is($node->safe_psql('squatted', q{SELECT nspowner::regrole FROM pg_namespace WHERE nspname = 'aep'}),
	'owner', 'the schema is as it was');
fails('SET SCHEMA', 'ALTER EXTENSION aep SET SCHEMA public', '', qr/ERROR:  0A000:/);
my $refused = fails('DROP EXTENSION', 'DROP EXTENSION aep', '', qr/ERROR:  2BP01:/);
like($refused->{err}, $_, "the detail names $_") foreach (qr/server aep depends on/, qr/view named depends on/);
sends('a call before', $once, 'POST');
sends('DROP EXTENSION CASCADE', 'DROP EXTENSION aep CASCADE', '');
is(AepTest::run_sql($session, <<'SQL'), 'f|0|0|', 'nothing is left');
SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'aep'), (SELECT count(*) FROM pg_foreign_server),
    (SELECT count(*) FROM pg_user_mappings), to_regclass('named')
SQL
fails('a call after', $once, '', qr/ERROR:  3F000: schema "aep" does not exist/);
$node->safe_psql('postgres', 'CREATE EXTENSION aep');
fails('a call without a server', $once, '', qr/ERROR:  42704: server "aep" does not exist/);
AepTest::create_server($node, $fake, %login, username => 'another');
my $again = sends('installed again, in the same session', $once, 'POST', qr/^$uuid$/);
is($again->{requests}[0]{body}{auth}{params}{username}, 'another', 'with what was set since');
AepTest::close_session($session);

done_testing();
