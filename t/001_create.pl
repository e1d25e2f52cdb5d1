# The main job: base connections over verified HTTPS, from wherever SQL runs.
use strict;
use warnings;

use AepTest;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $fake = AepTest::start_fake('--record-secrets');
my $node = AepTest::start_node('main');
AepTest::create_server($node, $fake, username => 'mapped', password => 'mapped secret');

my $uuid = qr/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/;
my $spec = { id => '74a1c565-4e59-48d7-9d67-7c03b8a13137', version => '1.0' };

# The two bodies.
my $row = $node->safe_psql('postgres', <<'SQL');
SELECT * FROM aep.create_base_connection(
    name => 'PostgreSQL base connection',
    description => 'PostgreSQL base connection via basic authentication',
    host => 'localhost', port => 3306, database => 'postgresql-acme',
    username => 'acme', password => 'xxxx', ssl_mode => 'Allow')
SQL
like($row, qr/^$uuid\|"[0-9a-f-]+"$/, 'a row of id and quoted etag');

my ($request) = $fake->requests;
is($request->{method}, 'POST', 'method');
is($request->{path}, '/data/foundation/flowservice/connections', 'path');
like($request->{tls}, qr/^TLSv1\.[23]$/, 'over TLS');
is_deeply(
	$request->{body},
	{   name => 'PostgreSQL base connection',
		description => 'PostgreSQL base connection via basic authentication',
		auth => {
			specName => 'Basic Authentication',
			params => {
				server => 'localhost',
				port => '3306',
				database => 'postgresql-acme',
				username => 'acme',
				password => 'xxxx',
				sslMode => 'Allow' } },
		connectionSpec => $spec },
	'the body for basic authentication');
like(encode_json([ $request->{body}{auth}{params}{port} ]), qr/"3306"/, 'port is a string');
my $headers = $request->{headers};
is($headers->{authorization}, 'Bearer demo-access-token', 'Authorization');
is($headers->{'x-api-key'}, 'demo-api-key', 'x-api-key');
is($headers->{'x-gw-ims-org-id'}, $AepTest::ORG, 'x-gw-ims-org-id');
is($headers->{'x-sandbox-name'}, 'prod', 'x-sandbox-name');
is($headers->{'content-type'}, 'application/json', 'Content-Type');
ok(!exists $headers->{expect}, 'no Expect');

$node->safe_psql('postgres', <<'SQL');
SELECT * FROM aep.create_base_connection(
    name => 'PostgreSQL base connection',
    description => 'PostgreSQL base connection via connection string',
    auth_type => 'connection_string',
    host => 'localhost', port => 3306, database => 'postgresql-acme',
    username => 'acme', password => 'xxxx')
SQL
is_deeply(
	($fake->requests)[-1]{body},
	{   name => 'PostgreSQL base connection',
		description => 'PostgreSQL base connection via connection string',
		auth => {
			specName => 'Connection String Based Authentication',
			params => {
				connectionString =>
				  'Server=localhost;Database=postgresql-acme;Port=3306;UID=acme;Password=xxxx' } },
		connectionSpec => $spec },
	'the body for a connection string');

# What the preview shows is what is sent, but for the password.
$node->safe_psql('postgres', "SELECT * FROM aep.create_base_connection()");
my $sent = ($fake->requests)[-1]{body};
is($sent->{auth}{params}{password}, 'mapped secret', 'the mapping has the login');
$sent->{auth}{params}{password} = '********';
is_deeply(
	$sent,
	decode_json($node->safe_psql('postgres', 'SELECT aep.base_connection_request()')),
	'aep.base_connection_request() shows what is sent');

# Every way of calling makes one object.
sub creates_one
{
	my ($what, $sql) = @_;
	my $before = $fake->requests;
	my $output = $node->safe_psql('postgres', $sql);

	is(scalar($fake->requests), $before + 1, "$what: one request");
	return $output;
}

creates_one('DO block', <<'SQL');
DO $$
DECLARE new_id uuid;
BEGIN
    SELECT id INTO STRICT new_id FROM aep.create_base_connection(name => 'from DO');
    ASSERT new_id IS NOT NULL;
END $$
SQL
like(
	creates_one('PL/pgSQL function', <<'SQL'),
CREATE FUNCTION register(connection_name text) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE result uuid;
BEGIN
    SELECT id INTO result FROM aep.create_base_connection(name => connection_name);
    RETURN result;
END $$;
SELECT register('from a function');
SQL
	qr/^$uuid$/,
	'a function returns the id');
like(
	creates_one('procedure', <<'SQL'),
CREATE TABLE registered (id uuid, etag text);
CREATE PROCEDURE register_all() LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO registered SELECT * FROM aep.create_base_connection(name => 'from CALL');
    COMMIT;
END $$;
CALL register_all();
SELECT id FROM registered;
SQL
	qr/^$uuid$/,
	'a procedure stores the row');
creates_one('record expression', "DO \$\$ DECLARE r record; BEGIN r := aep.create_base_connection(); ASSERT r.id IS NOT NULL; END \$\$");
creates_one('prepared statement',
	"PREPARE p AS SELECT id FROM aep.create_base_connection(name => \$1); EXECUTE p('prepared')");
creates_one('LATERAL',
	"SELECT c.id FROM (VALUES ('a name')) AS t(n), aep.create_base_connection(name => t.n) AS c");
creates_one('SECURITY DEFINER wrapper', <<'SQL');
CREATE ROLE caller;
CREATE FUNCTION wrapped(OUT id uuid) LANGUAGE sql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS 'SELECT id FROM aep.create_base_connection()';
SET ROLE caller;
SELECT wrapped();
SQL

# A setup script, run the way a DBA runs it.
my $script = PostgreSQL::Test::Utils::tempdir() . '/setup.sql';
append_to_file($script,
	"BEGIN;\nSELECT id FROM aep.create_base_connection(name => 'from a script');\nCOMMIT;\n");
my $before = $fake->requests;
$node->command_ok(
	[ 'psql', '-X', '-v', 'ON_ERROR_STOP=1', '-f', $script, $node->connstr('postgres') ],
	'a setup script');
is(scalar($fake->requests), $before + 1, 'a setup script: one request');

# EXPLAIN sends nothing.
$before = $fake->requests;
$node->safe_psql('postgres', 'EXPLAIN SELECT * FROM aep.create_base_connection()');
is(scalar($fake->requests), $before, 'EXPLAIN sends nothing');

# A pooled session: calls share a connection, and DISCARD ALL breaks nothing.
$before = $fake->requests;
$node->safe_psql('postgres', <<'SQL');
SELECT id FROM aep.create_base_connection(name => 'pooled');
DISCARD ALL;
SELECT id FROM aep.create_base_connection(name => 'pooled');
SET ROLE caller;
RESET ROLE;
DISCARD ALL;
SELECT id FROM aep.create_base_connection(name => 'pooled');
SQL
my @pooled = $fake->requests_named('pooled');
is(scalar(@pooled), 3, 'three requests');
is(scalar(keys %{ { map { $_->{connection} => 1 } @pooled } }), 1, 'on one connection');

# A connection that the server closed while it was idle is replaced.
$node->safe_psql('postgres', <<'SQL');
SELECT id FROM aep.create_base_connection(name => 'fault:close_after=0.1 closing');
SELECT pg_sleep(0.5);
SELECT id FROM aep.create_base_connection(name => 'after closing');
SQL
is(scalar($fake->requests_named('after closing')), 1, 'a closed idle connection is replaced');

# A kept connection that dies with the request on it: libcurl must not send it again.
my ($stdout, $stderr);
$node->psql('postgres', <<'SQL', stdout => \$stdout, stderr => \$stderr);
SELECT id FROM aep.create_base_connection(name => 'before dying');
\set VERBOSITY verbose
SELECT id FROM aep.create_base_connection(name => 'fault:die_kept=1 dying');
SQL
is(scalar($fake->requests_named('fault:die_kept=1 dying')), 1, 'a POST is sent once');
like($stderr, qr/ERROR:  08007:/, 'and its outcome is unknown');

# The id may stand in the header Location alone, as the address of what was made.
my $located = '11111111-2222-4333-8444-55555555abcd';
my $path = '/data/foundation/flowservice/connections/';

sub located
{
	my ($fault, $location, $sql) = @_;
	my $name = "fault:$fault,location=" . $location =~ s/([^\w.-])/sprintf '%%%02X', ord $1/ger;

	$node->psql(
		'postgres',
		"\\set VERBOSITY verbose\n"
		  . sprintf($sql // '%s', "SELECT id FROM aep.create_base_connection(name => '$name')"),
		stdout => \$stdout,
		stderr => \$stderr);
	return $stdout;
}
foreach my $fault ('empty=1', 'noid=1', 'body=%7B%7D')
{
	foreach my $location (
		"$path$located", "https://other.example.com$path$located", "$path$located/",
		$path . uc($located), "$path$located?x=y#z")
	{
		is(located($fault, $location), $located, "$fault, $location");
	}
	foreach my $location ('', $path, "${path}not-a-uuid", "/elsewhere/$located", "$located",
		"$path$located/test", "${path}x$located", substr("$path$located", 0, -1))
	{
		is(located($fault, $location), '', "$fault, $location: no id");
		like($stderr, qr/ERROR:  08P01:/, "$fault, $location: 08P01");
	}
}
like(located('processed=1', "$path$located"), qr/^(?!$located)$uuid$/, 'an id in the body comes first');
foreach my $fault ('badid=1', 'notjson=1')
{
	is(located($fault, "$path$located", 'BEGIN; %s; ROLLBACK'), '', "$fault: no id is returned");
	like($stderr, qr/ERROR:  08P01:/, "$fault: 08P01");
	like($stderr, qr/WARNING:.*\n.*DETAIL:  $located \(base connection/, "$fault: but a rollback names the one in Location");
}
like(
	$node->safe_psql('postgres',
		"SELECT status, body IS NULL FROM aep.request('POST', '/flowservice/connections', body => jsonb_set("
		  . "aep.base_connection_request(), '{name}', to_jsonb('fault:empty=1,location="
		  . ($path =~ s/([^\w.-])/sprintf '%%%02X', ord $1/ger) . "$located'::text)))"),
	qr/^201\|t$/,
	'aep.request(), too');
ok( $node->log_contains("LOG:  created object \"/flowservice/connections\" with id $located"),
	'notes the id of Location');

# The new id is in the log before it is returned.
my ($id) = split /\|/, $row;
ok( $node->log_contains(
		"LOG:  created base connection \"PostgreSQL base connection\" with id $id on server \"aep\""),
	'the id is logged');

# Over plain HTTP only on loopback, where the scheme may be http.
$node->safe_psql('postgres',
	"ALTER SERVER aep OPTIONS (SET base_url '" . $fake->url('http') . "/')");
creates_one('http on loopback', "SELECT id FROM aep.create_base_connection()");
is(($fake->requests)[-1]{path}, '/data/foundation/flowservice/connections', 'no double slash');

done_testing();
