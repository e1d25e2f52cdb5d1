# aep.rotate_credentials(): another login takes over; what is refused before that, and
# to whom.
use strict;
use warnings;

use AepTest;
use Calls qw(query kinds);
use IngestRole;
use Rotation;
use Test::More;
use Told;

my $nowhere = '00000000-0000-4000-8000-000000000000';
my ($node, $fake, $session, $second) = Rotation::start();
$node->safe_psql('postgres', <<'SQL');
GRANT USAGE ON SCHEMA shop TO dba WITH GRANT OPTION;
GRANT SELECT ON ALL TABLES IN SCHEMA shop TO dba WITH GRANT OPTION;
SQL

# What works

my $happy = managed('happy', '', 'aep', ", connection_limit => 7, ssl_mode => 'Require'");
my $first = Told::login($fake, $happy->{id});
is(state($happy), 'active a: A', 'one login at first');
my $rotated_at = query("SELECT rotated_at FROM aep.ingest_role_status() WHERE role_name = 'happy'");
my $result     = run(rotation($happy));
is($result->{err}, '',               'rotation: no error');
is(kinds($result), 'GET POST TEST DELETE PATCH TEST', 'rotation: read, proved, changed, tested');
my (undef, $post, undef, undef, $patch) = @{ $result->{requests} };
is($patch->{headers}{'if-match'},
	$happy->{etag}, 'rotation: the version that was read is the one to change');
my $next     = Told::login($fake, $happy->{id});
my %expected = (%$first, username => 'happy_b', password => $next->{password});
delete $expected{authorizedDate};
is_deeply(
	$patch->{body},
	[ { op => 'replace', path => '/auth/params', value => \%expected } ],
	'rotation: the complete set of parameters');
is($expected{sslMode}, 'Require', 'rotation: the SSL mode among them');
my $tried = $post->{body};
delete $tried->{auth}{params}{authorizedDate};
is_deeply($tried->{auth}{params}, \%expected, 'rotation: the same were tried before');
like($tried->{name}, qr/^happy \(login test [0-9a-f]{16}\)$/, 'rotation: under another name');
is_deeply(
	[ map { $_->{path} =~ s{.*/connections/}{}r } grep { $_->{kind} =~ /TEST|DELETE/ } @{ $result->{requests} } ],
	[ "$post->{created}/test", $post->{created}, "$happy->{id}/test" ],
	'rotation: what was tested, and deleted');
like($next->{password}, qr/^[A-Za-z0-9_-]{32}$/, 'rotation: a password of 32 characters');
isnt($next->{password}, $first->{password}, 'rotation: another one');
my $etag = query("SELECT etag FROM aep.connection('$happy->{id}')");
is($result->{out}, "happy_b|$etag", 'rotation: login and etag are returned');
is(state($happy),  'active b: aB',  'rotation: the former login has neither LOGIN nor password');
ok(!can_log_in('happy_a', $first->{password}), 'rotation: it cannot log in');
told_works($happy, 'b', 'rotation');
my $status =
  "SELECT connection_id, active_login, idle_login, step, rotated_at > '$rotated_at', sessions, binding "
  . "FROM aep.ingest_role_status() WHERE role_name = 'happy'";
# the session that looked whether the login works may take a moment to end
AepTest::wait_until(sub { query($status) =~ /\|0\|here$/ });
is(query($status), "$happy->{id}|happy_b|happy_a|active|t|0|here", 'rotation: the status');
is( query(
		"SELECT rolinherit, rolconnlimit, rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls, "
		  . "(SELECT string_agg(roleid::regrole || ' ' || admin_option, ',') FROM pg_auth_members WHERE member = r.oid) "
		  . "FROM pg_roles r WHERE rolname = 'happy_b'"),
	't|7|f|f|f|f|f|happy false',
	'rotation: the new login is like the old one');
$result = run(rotation($happy), $second);
is($result->{err},                              '',             'back: no error');
is($result->{requests}[4]{headers}{'if-match'}, $etag,          'back: with the etag of now');
is(state($happy),                               'active a: Ab', 'back: the first login again');
told_works($happy, 'a', 'back');
ok(!can_log_in('happy_a', $first->{password}), 'back: not with its old password');
ok(!can_log_in('happy_b', $next->{password}),  'back: nor the other one');

my $string =
  managed('string', '', 'aep', ", auth_type => 'connection_string', ssl_mode => 'Allow'");
my ($before) = $fake->requests_named('string');
$result = run(rotation($string));
is($result->{err}, '', 'connection string: no error');
my $told = Told::login($fake, $string->{id});
is( $result->{requests}[4]{body}[0]{value}{connectionString},
	$before->{body}{auth}{params}{connectionString} =~ s/UID=string_a/UID=string_b/ir =~
	  s/(Password=)[^;]*/$1$told->{password}/ir,
	'connection string: complete, with another login');
told_works($string, 'b', 'connection string');

my $untagged = managed('untagged', 'on=PATCH,noetag=1');
$result = run(rotation($untagged));
is(kinds($result), 'GET POST TEST DELETE PATCH GET TEST', 'an answer without etag: it is read');
is( $result->{out},
	'untagged_b|' . query("SELECT etag FROM aep.connection('$untagged->{id}')"),
	'an answer without etag: the result');

# Refused before anything happens

my $calm = managed('calm');
my $call = rotation($calm);
query(
	"CREATE FUNCTION rotates() RETURNS void LANGUAGE plpgsql AS \$\$ DECLARE l text; e text; BEGIN "
	  . "CALL aep.rotate_credentials('$calm->{id}', active_login => l, etag => e); END \$\$");
my %refused = (
	'a transaction block' => [
		"BEGIN; $call; ROLLBACK",
		qr/^ERROR:  25001: aep\.rotate_credentials cannot be called inside a transaction block/ ],
	'a function'                       => [ 'SELECT rotates()',   qr/^ERROR:  25001: / ],
	'statements sent together'         => [ "SELECT 1 \\; $call", qr/^ERROR:  25001: / ],
	'a connection that is not managed' => [
		"CALL aep.rotate_credentials('$nowhere')",
		qr/^ERROR:  42704: the credentials of connection $nowhere are not managed here\nHINT:  aep\.create_ingest_role\(\)/
	],
	'NULL' => [
		'CALL aep.rotate_credentials(NULL)',
		qr/^ERROR:  22004: argument "connection_id" must not be null/ ],
	'another server' => [
		"CALL aep.rotate_credentials('$calm->{id}', 'once')",
		qr/^ERROR:  22023: invalid value for argument "server"\nDETAIL:  The connection was made through server "aep"/
	],
	'no server' => [
		"CALL aep.rotate_credentials('$calm->{id}', 'nowhere')",
		qr/^ERROR:  42704: server "nowhere" does not exist/ ]);
foreach my $what (sort keys %refused)
{
	$result = run($refused{$what}[0]);
	like($result->{err}, $refused{$what}[1], "$what: the error");
	is(kinds($result), '',            "$what: nothing is sent");
	is(state($calm),   'active a: A', "$what: nothing is changed");
}

# Somebody else's role is not taken for a login, be it a member or not: the next
# letter is.
query("CREATE ROLE calm_b; CREATE ROLE calm_c NOLOGIN IN ROLE calm");
again($calm, 'd', 'GET POST TEST DELETE PATCH TEST', "somebody else's role");
is(query("SELECT rolcanlogin, rolpassword IS NULL FROM pg_authid WHERE rolname IN ('calm_b', 'calm_c') ORDER BY rolname"),
	"f|t\nf|t", "somebody else's role: untouched");
again($calm, 'a', 'GET POST TEST DELETE PATCH TEST', "somebody else's role: and back");
is(query("SELECT idle_login FROM aep.ingest_role_status() WHERE role_name = 'calm'"),
	'calm_d', "somebody else's role: it is no login of ours");
query('DROP ROLE calm_b, calm_c');
again($calm, 'b', 'GET POST TEST DELETE PATCH TEST', "somebody else's role is gone");

# As many logins as there are letters
my $full = managed('full');
query(
	"UPDATE aep.ingest_role SET step = 'unknown', kept_logins = "
	  . "(SELECT string_agg(' full_' || chr(n) || ' ', '') FROM generate_series(98, 122) n) "
	  . "WHERE role_name = 'full'; "
	  . join('; ', map { "CREATE ROLE full_$_ LOGIN PASSWORD 'x' IN ROLE full" } ('b' .. 'z')));
like(
	run(rotation($full))->{err},
	qr/^ERROR:  55000: every login of role "full" may be in use/,
	'no login is left');
told_works($full, 'a', 'no login is left');
query('DROP ROLE ' . join ', ', map { "full_$_" } ('c' .. 'y'));
again($full, 'c', 'GET POST TEST DELETE PATCH TEST', 'most were dropped, as the hint says');
is(state($full), 'active c: abCz', 'most were dropped: those that were left are disabled');
run("SELECT aep.delete_connection('$full->{id}')");
like(run(rotation($full))->{err}, qr/^ERROR:  42704: /, 'a connection that was deleted');

# Callers that are no superusers
AepTest::run_sql($second, 'SET SESSION AUTHORIZATION dba');
my $by_dba = managed('by_dba', '', 'aep', '', $second);
again($by_dba, 'b', 'GET POST TEST DELETE PATCH TEST', 'with CREATEROLE');
AepTest::run_sql($second, 'RESET SESSION AUTHORIZATION; SET SESSION AUTHORIZATION plain');

# Refused to one who may not alter the role, as if there were none.
sub not_for_plain
{
	my ($of, $what) = @_;
	my $row    = "SELECT xmin, r FROM aep.ingest_role AS r WHERE role_name = '$of->{role}'";
	my $before = query($row);

	$result = run(rotation($of), $second);
	like(
		$result->{err},
		qr/^ERROR:  42704: the credentials of connection $of->{id} are not managed here\n/,
		"$what: the error");
	is(kinds($result), '',      "$what: nothing is sent");
	is(query($row),    $before, "$what: nothing is changed");
	return;
}
foreach my $step (
	"step = 'unknown', kept_logins = ' by_dba_a '",
	"step = 'rotating', pending_login = 'by_dba_a', kept_logins = ''",
	"step = 'rotating', pending_login = 'by_dba_a', patched = true",
	"step = 'active', pending_login = NULL, patched = false")
{
	query("UPDATE aep.ingest_role SET $step WHERE role_name = 'by_dba'");
	not_for_plain($by_dba, "without CREATEROLE: $step");
}
is(state($by_dba), 'active b: aB', 'without CREATEROLE: the state');
told_works($by_dba, 'b', 'without CREATEROLE');
my $taken = managed('taken', 'on=TEST,stall=before_headers,times=1');
my $other = AepTest::open_session($node);
ok(begin_until($other, rotation($taken), 'TEST', 2), 'without CREATEROLE: another one rotates');
not_for_plain($taken, 'without CREATEROLE, meanwhile');
query(
	"SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query ~ '$taken->{id}' AND pid <> pg_backend_pid()"
);
AepTest::end_sql($other);
AepTest::close_session($other);

# Within PL/pgSQL that is in no transaction block
AepTest::run_sql($second, 'RESET SESSION AUTHORIZATION');
run("DO \$\$ DECLARE l text; e text; BEGIN CALL aep.rotate_credentials('$happy->{id}', active_login => l, etag => e); "
	  . "RAISE NOTICE 'now %', l; END \$\$");
like($session->{err}, qr/now happy_b/, 'a DO block');
told_works($happy, 'b', 'a DO block');

no_password_is_left(5);

done_testing();
