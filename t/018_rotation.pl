# aep.rotate_credentials(): whatever fails, the login that the platform uses works.
use strict;
use warnings;

use AepTest;
use IO::Select;
use IO::Socket::INET;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $nowhere = '00000000-0000-4000-8000-000000000000';
my $fake    = AepTest::start_fake('--record-secrets');

# Nothing is flushed to disk but what insists on it.
my $node = AepTest::start_login_node(
	'main',
	'synchronous_commit = off',
	'wal_writer_delay = 10s',
	'log_statement = all',
	'log_min_messages = debug1',
	'log_error_verbosity = verbose');

# Passes bytes on to the fake until it is killed.
my $relay_port = PostgreSQL::Test::Cluster::get_free_port();
my $relay;

sub start_relay
{
	my $listener = IO::Socket::INET->new(
		LocalAddr => '127.0.0.1',
		LocalPort => $relay_port,
		Listen    => 16,
		ReuseAddr => 1) or die "cannot listen: $!";
	my ($port) = $fake->url =~ /:(\d+)/;

	$relay = fork() // die "fork: $!";
	if ($relay == 0)
	{
		# the pipes to the sessions are not for it
		POSIX::close($_) foreach (grep { $_ != fileno($listener) } (3 .. 1000));
		my $select = IO::Select->new($listener);
		my %other;
		while (my @ready = $select->can_read(600))
		{
			foreach my $socket (@ready)
			{
				if ($socket == $listener)
				{
					my $client  = $listener->accept or next;
					my $service = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port)
					  or next;
					@other{ $client, $service } = ($service, $client);
					$select->add($client, $service);
				}
				elsif (sysread($socket, my $bytes, 65536))
				{
					syswrite($other{$socket}, $bytes);
				}
				else
				{
					$select->remove($socket, $other{$socket});
					$_->close foreach ($other{$socket}, $socket);
				}
			}
		}
		POSIX::_exit(0);
	}
	return;
}

sub kill_relay
{
	kill 'KILL', $relay;
	waitpid($relay, 0);
	$relay = undef;
	return;
}

END
{
	local $?;
	kill_relay() if $relay;
}

AepTest::create_server($node, $fake, max_attempts => 2);
AepTest::create_server($node, $fake, server => 'once', max_attempts => 1);
start_relay();
AepTest::create_server(
	$node, $fake,
	server       => 'relayed',
	max_attempts => 2,
	base_url     => "https://localhost:$relay_port");
AepTest::create_server($node, $fake, server => 'refused', max_attempts => 1);
$node->safe_psql('postgres', <<'SQL');
CREATE SCHEMA shop;
CREATE TABLE shop.orders AS SELECT 1 AS id;
REVOKE CONNECT ON DATABASE postgres FROM PUBLIC;
CREATE ROLE dba LOGIN CREATEROLE;
CREATE ROLE plain LOGIN;
GRANT CONNECT ON DATABASE postgres TO dba WITH GRANT OPTION;
GRANT USAGE ON SCHEMA aep TO dba, plain;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA aep TO dba, plain;
GRANT USAGE ON FOREIGN SERVER aep TO dba, plain;
GRANT USAGE ON SCHEMA shop TO dba WITH GRANT OPTION;
GRANT SELECT ON ALL TABLES IN SCHEMA shop TO dba WITH GRANT OPTION;
CREATE USER MAPPING FOR PUBLIC SERVER aep OPTIONS (api_key 'demo-api-key', access_token 'demo-access-token');
SQL

# Two sessions that take turns: what one holds would be in the other's way.
my ($session, $second);
my $seen = '';

sub open_sessions
{
	($session, $second) = map { AepTest::open_session($node) } (1, 2);
	return;
}
open_sessions();

sub run
{
	my ($sql, $where) = @_;
	my $result = AepTest::watch_sql($where // $session, $fake, $sql);

	$seen .= "$result->{out}\n$result->{err}\n";
	return $result;
}

sub query
{
	my ($sql) = @_;
	my $out = AepTest::run_sql($session, $sql);

	die "$sql: $session->{err}" if $session->{err} =~ /ERROR/;
	return $out;
}

# An ingest role: { role, id, name, server, etag }.  A fault is of its connection.
sub managed
{
	my ($role, $fault, $server, $more, $where) = @_;
	$server //= 'aep';
	my $name   = $fault ? "fault:$fault $role" : $role;
	my $result = run(
		"CALL aep.create_ingest_role('$role', '{shop}', name => '$name', server => '$server'"
		  . ($more // '') . ')',
		$where);
	my ($id, $etag) = $result->{out} =~ /^([0-9a-f-]{36})\|(.*)$/ or die "$role: $result->{err}";

	return { role => $role, id => $id, name => $name, server => $server, etag => $etag };
}

sub rotation
{
	my ($of) = @_;

	return "CALL aep.rotate_credentials('$of->{id}', '$of->{server}')";
}

# The kinds of requests that came.
sub kinds
{
	my ($result) = @_;

	return join ' ', map { $_->{kind} } @{ $result->{requests} };
}

sub can_log_in
{
	my ($login, $password) = @_;

	return AepTest::login($node, $login, $password, 'SELECT id FROM shop.orders')->{out} eq '1';
}

# The login that the platform was told, and that it works.
sub told_works
{
	my ($of, $login, $what) = @_;
	my $told = AepTest::told_login($fake, $of->{id});

	is($told->{username}, "$of->{role}_$login", "$what: what the platform uses") if $login;
	ok(can_log_in($told->{username}, $told->{password}), "$what: it can log in")
	  or diag("$told->{username}");
	return;
}

# step, and what the logins are: "active a" or "unknown aB", where capitals may
# log in and have a password; patched or not.
sub state
{
	my ($of) = @_;

	return query(<<"SQL");
SELECT step || ' ' || right(active_login, 1) || coalesce(' -> ' || right(pending_login, 1), '')
    || CASE WHEN patched THEN ', told' ELSE '' END || ': ' ||
    (SELECT string_agg(CASE WHEN rolcanlogin AND rolpassword LIKE 'SCRAM-SHA-256%' THEN upper(right(rolname, 1))
        WHEN NOT rolcanlogin AND rolpassword IS NULL THEN right(rolname, 1) ELSE '?' END, '' ORDER BY rolname)
     FROM pg_authid WHERE rolname ~ ('^' || role_name || '_.\$'))
FROM aep.ingest_role WHERE connection_id = '$of->{id}'
SQL
}

# The same call again, in the other session, ends well.
sub again
{
	my ($of, $login, $kinds, $what) = @_;
	my $result = run(rotation($of), $second);

	is($result->{err}, '', "$what: again: no error");
	like($result->{out}, qr/^$of->{role}_$login\|".*"$/, "$what: again: its result");
	is(kinds($result), $kinds, "$what: again: its requests");
	told_works($of, $login, "$what: again");
	like(
		state($of),
		qr/^active $login: [a-z]*\U$login\E[a-z]*$/,
		"$what: again: nothing else may log in");
	return;
}

# What works

my $happy = managed('happy', '', 'aep', ", connection_limit => 7, ssl_mode => 'Require'");
my $first = AepTest::told_login($fake, $happy->{id});
is(state($happy), 'active a: A', 'one login at first');
my $rotated_at = query("SELECT rotated_at FROM aep.ingest_role_status() WHERE role_name = 'happy'");
my $result     = run(rotation($happy));
is($result->{err}, '',               'rotation: no error');
is(kinds($result), 'GET PATCH TEST', 'rotation: read, changed, tested');
my ($get, $patch) = @{ $result->{requests} };
is($patch->{headers}{'if-match'},
	$happy->{etag}, 'rotation: the version that was read is the one to change');
my $next     = AepTest::told_login($fake, $happy->{id});
my %expected = (%$first, username => 'happy_b', password => $next->{password});
delete $expected{authorizedDate};
is_deeply(
	$patch->{body},
	[ { op => 'replace', path => '/auth/params', value => \%expected } ],
	'rotation: the complete set of parameters');
is($expected{sslMode}, 'Require', 'rotation: the SSL mode among them');
like($next->{password}, qr/^[A-Za-z0-9_-]{32}$/, 'rotation: a password of 32 characters');
isnt($next->{password}, $first->{password}, 'rotation: another one');
my $etag = query("SELECT etag FROM aep.connection('$happy->{id}')");
is($result->{out}, "happy_b|$etag", 'rotation: login and etag are returned');
is(state($happy),  'active b: aB',  'rotation: the former login has neither LOGIN nor password');
ok(!can_log_in('happy_a', $first->{password}), 'rotation: it cannot log in');
told_works($happy, 'b', 'rotation');
is( query(
		"SELECT connection_id, active_login, idle_login, step, rotated_at > '$rotated_at', sessions FROM aep.ingest_role_status() "
		  . "WHERE role_name = 'happy'"),
	"$happy->{id}|happy_b|happy_a|active|t|0",
	'rotation: the status');
is( query(
		"SELECT rolinherit, rolconnlimit, rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls, "
		  . "(SELECT string_agg(roleid::regrole || ' ' || admin_option, ',') FROM pg_auth_members WHERE member = r.oid) "
		  . "FROM pg_roles r WHERE rolname = 'happy_b'"),
	't|7|f|f|f|f|f|happy false',
	'rotation: the new login is like the old one');
$result = run(rotation($happy), $second);
is($result->{err},                              '',             'back: no error');
is($result->{requests}[1]{headers}{'if-match'}, $etag,          'back: with the etag of now');
is(state($happy),                               'active a: Ab', 'back: the first login again');
told_works($happy, 'a', 'back');
ok(!can_log_in('happy_a', $first->{password}), 'back: not with its old password');
ok(!can_log_in('happy_b', $next->{password}),  'back: nor the other one');

my $string =
  managed('string', '', 'aep', ", auth_type => 'connection_string', ssl_mode => 'Allow'");
my ($before) = $fake->requests_named('string');
$result = run(rotation($string));
is($result->{err}, '', 'connection string: no error');
my $told = AepTest::told_login($fake, $string->{id});
is( $result->{requests}[1]{body}[0]{value}{connectionString},
	$before->{body}{auth}{params}{connectionString} =~ s/UID=string_a/UID=string_b/ir =~
	  s/(Password=)[^;]*/$1$told->{password}/ir,
	'connection string: complete, with another login');
told_works($string, 'b', 'connection string');

my $untagged = managed('untagged', 'on=PATCH,noetag=1');
$result = run(rotation($untagged));
is(kinds($result), 'GET PATCH GET TEST', 'an answer without etag: it is read');
is( $result->{out},
	'untagged_b|' . query("SELECT etag FROM aep.connection('$untagged->{id}')"),
	'an answer without etag: the result');

# Failures: what the call says, what is left, and how it goes on

# Two lines each: role, fault, server, error; then state, the login that the
# platform uses, the one after the same call again, the requests of both calls.
my @failures = split /\n(?! )/, <<'FAILURES' =~ s/^#.*\n//mgr;
refused; on=PATCH,status=400,times=1; aep; 22023
    active a: Ab; a; b; GET PATCH; GET PATCH TEST
forbidden; on=PATCH,status=403,times=1; aep; 42501
    active a: Ab; a; b; GET PATCH; GET PATCH TEST
stale; on=PATCH,status=412,times=1; aep; 40001
    active a: Ab; a; b; GET PATCH; GET PATCH TEST
busy; on=PATCH,status=503,times=2; aep; 58000
    unknown a: AB; a; c; GET PATCH PATCH; GET PATCH TEST
throttled; on=PATCH,status=429,times=2; aep; 53400
    active a: Ab; a; b; GET PATCH PATCH; GET PATCH TEST
# the answer was lost: whether it was carried out does not matter, since it yet may be
lost_done; on=PATCH,close=mid_headers,processed=1,times=1; once; 08007
    unknown a: AB; b; c; GET PATCH; GET PATCH TEST
lost_undone; on=PATCH,close=mid_headers,processed=0,times=1; once; 08007
    unknown a: AB; a; c; GET PATCH; GET PATCH TEST
# one attempt was carried out, and the next one met its etag
lost_twice; on=PATCH,close=mid_headers,processed=1,times=1; aep; 08007
    unknown a: AB; b; c; GET PATCH PATCH; GET PATCH TEST
garbled; on=PATCH,notjson=1,times=1; aep; 08P01
    unknown a: AB; b; c; GET PATCH; GET PATCH TEST
reset; on=PATCH,reset=mid_body,times=1; once; 08007
    unknown a: AB; b; c; GET PATCH; GET PATCH TEST
# likewise, though the service said that it failed
overloaded; on=PATCH,status=503,processed=1,times=1; aep; 08007
    unknown a: AB; b; c; GET PATCH PATCH; GET PATCH TEST
# service or gateway say that it failed, but it was carried out, or not
gateway_done; on=PATCH,status=504,processed=1,times=1; once; 58000|08007
    unknown a: AB; b; c; GET PATCH; GET PATCH TEST
gateway_502; on=PATCH,status=502,processed=1,times=1; once; 58000|08007
    unknown a: AB; b; c; GET PATCH; GET PATCH TEST
gateway_undone; on=PATCH,status=504,times=1; once; 58000|08007
    unknown a: AB; a; c; GET PATCH; GET PATCH TEST
broken_done; on=PATCH,status=500,processed=1,times=1; aep; 58000|08007
    unknown a: AB; b; c; GET PATCH; GET PATCH TEST
# the test
untested; on=TEST,result=false,times=1; aep; 08000
    rotating a -> b, told: AB; b; b; GET PATCH TEST; TEST
connector; on=TEST,status=400,code=CONNECTOR-1101,message=login%20refused,times=1; aep; 08000
    rotating a -> b, told: AB; b; b; GET PATCH TEST; TEST
not_asked; on=TEST,result=error,times=1; once; 58000
    rotating a -> b, told: AB; b; b; GET PATCH TEST; TEST
test_lost; on=TEST,close=mid_headers,times=1; once; 08006
    rotating a -> b, told: AB; b; b; GET PATCH TEST; TEST
# the first GET
unread; on=GET,status=404,times=1; aep; 42704
    active a: A; a; b; GET; GET PATCH TEST
no_etag; on=GET,noetag=1,times=1; aep; 08P01
    active a: A; a; b; GET; GET PATCH TEST
FAILURES
my %failed;
foreach my $failure (@failures)
{
	my ($role, $fault, $server, $error, $state, $used, $afterwards, $kinds, $kinds_again) =
	  split /(?:;|\n) */, $failure;
	my $of = managed($role, $fault, $server);

	$result = $failed{$role} = run(rotation($of));
	like($result->{err}, qr/^ERROR:  (?:$error): /, "$role: the error");
	like(kinds($result), qr/^$kinds$/,              "$role: the requests");
	is(state($of), $state, "$role: the state");
	told_works($of, $used, $role);
	like($state, qr/\U$used/, "$role: it is told right here");
	my ($step) = $state =~ /^(\w+)/;
	is(query("SELECT step FROM aep.ingest_role_status() WHERE role_name = '$role'"),
		$step, "$role: the status");
	again($of, $afterwards, $kinds_again, $role);
}
like(
	$failed{lost_done}{err},
	qr/HINT:  Both logins keep working\. Call aep\.rotate_credentials\(\) again\./,
	'an unknown outcome: the hint');
like(
	$failed{untested}{err},
	qr/could not connect as "untested_b"\nHINT:  .*aep\.check_ingest_role\(\)/,
	'a failed test: what to do');
like(
	$failed{connector}{err},
	qr/could not connect as "connector_b"\nDETAIL:  .*CONNECTOR-1101-400: login refused/,
	'a failed test: the reason');

# Two losses in a row: still nothing that may be in use is touched.
my $unlucky = managed('unlucky', 'on=PATCH,close=mid_headers,processed=1,times=2', 'once');
run(rotation($unlucky)) foreach (1, 2);
is(state($unlucky), 'unknown a: ABC', 'two losses: all logins stay');
told_works($unlucky, 'c', 'two losses');
again($unlucky, 'd', 'GET PATCH TEST', 'two losses');

# A loss, then a refusal
my $refused_later = managed('refused_later', 'on=PATCH,after=1,status=400,times=1', 'once');
query(
	"UPDATE aep.ingest_role SET step = 'unknown', kept_logins = ' refused_later_b ' WHERE role_name = 'refused_later'; "
	  . "CREATE ROLE refused_later_b LOGIN PASSWORD 'x' IN ROLE refused_later");
run("SELECT aep.update_connection('$refused_later->{id}', description => 'one PATCH', etag => '$refused_later->{etag}')"
);
run(rotation($refused_later));
is(state($refused_later), 'unknown a: ABc', 'a refusal in doubt: it is still in doubt');
told_works($refused_later, 'a', 'a refusal in doubt');
again($refused_later, 'c', 'GET PATCH TEST', 'a refusal in doubt');

# An attempt that was lost, then one with a token that is refused: that tells
# nothing of the first, and the third meets its etag.
AepTest::create_server(
	$node, $fake,
	server        => 'expiring',
	max_attempts  => 2,
	access_token  => undef,
	client_secret => 'fault:accept=3',
	token_url     => $fake->url('ims'));
my $expiring =
  managed('expiring', 'on=PATCH,close=mid_headers,processed=1,times=1', 'expiring');
$result = run(rotation($expiring));
is(kinds($result), 'GET PATCH PATCH TOKEN PATCH', 'lost, then no token: the requests');
like($result->{err}, qr/^ERROR:  08007: .*HTTP status 412/s, 'lost, then no token: the error');
is(state($expiring), 'unknown a: AB', 'lost, then no token: the state');
told_works($expiring, 'b', 'lost, then no token');
again($expiring, 'c', 'TOKEN GET PATCH TEST', 'lost, then no token');

# The same, and no other token is to be had
AepTest::create_server(
	$node, $fake,
	server        => 'no_second_token',
	max_attempts  => 2,
	access_token  => undef,
	client_secret => 'fault:after=1,times=1,status=400',
	token_url     => $fake->url('ims'));
my $unauthorized = managed('unauthorized', 'on=PATCH,status=401,times=1', 'no_second_token');
$result = run(rotation($unauthorized));
is(kinds($result), 'GET PATCH TOKEN', 'no second token: the requests');
like(
	$result->{err},
	qr/^ERROR:  28000: could not fetch an access token/,
	'no second token: the error');
is(state($unauthorized), 'active a: Ab', 'no second token: the state');
told_works($unauthorized, 'a', 'no second token');
again($unauthorized, 'b', 'TOKEN GET PATCH TEST', 'no second token');

foreach my $fault ('close=mid_headers', 'status=503')
{
	my $what = "$fault, then no second token";
	my $role = 'cut_off_' . $fault =~ s/=.*//r;

	AepTest::create_server(
		$node, $fake,
		server        => $role,
		max_attempts  => 2,
		access_token  => undef,
		client_secret => 'fault:accept=3 cut off',
		token_url     => $fake->url('ims') =~ s/:\d+/:$relay_port/r);
	my $of     = managed($role, "on=PATCH,$fault,processed=1,times=1", $role);
	my $former = AepTest::told_login($fake, $of->{id});
	kill_relay();
	$result = run(rotation($of));
	start_relay();
	is(kinds($result), 'GET PATCH PATCH', "$what: the requests");
	like(
		$result->{err},
		qr/^ERROR:  08007: .*: the outcome is unknown\nDETAIL:  .*: could not fetch an access token .*\nHINT:  Both logins keep working\./,
		"$what: the error");
	is(state($of), 'unknown a: AB', "$what: the state");
	told_works($of, 'b', $what);
	ok(can_log_in($former->{username}, $former->{password}), "$what: so does the former login");
	again($of, 'c', 'TOKEN GET PATCH TEST', $what);
}

# Another address than the one that is known here is not undone.
my %moved = (
	server   => [ 'host',          'db2.example.com' ],
	port     => [ 'port',          '6543' ],
	database => [ 'database_name', 'elsewhere' ]);
foreach my $param (sort keys %moved)
{
	my ($column, $value) = @{ $moved{$param} };
	my $what = "another $param";
	my $of   = managed("moved_$param");

	query(  "SELECT status FROM aep.request('PATCH', '/flowservice/connections/$of->{id}', "
		  . qq(body => '[{"op": "replace", "path": "/auth/params/$param", "value": "$value"}]', )
		  . "headers => jsonb_build_object('If-Match', \$\$$of->{etag}\$\$))");
	$result = run(rotation($of));
	like(
		$result->{err},
		qr/^ERROR:  55000: connection $of->{id} has another address in Experience Platform\nDETAIL:  .* database "postgres" at db1\.example\.com, port @{[$node->port]}\.\nHINT:  .*aep\.ingest_role\./,
		"$what: the error");
	is(kinds($result), 'GET',         "$what: the requests");
	is(state($of),     'active a: A', "$what: the state");
	told_works($of, 'a', $what);
	query("UPDATE aep.ingest_role SET $column = '$value' WHERE role_name = '$of->{role}'");
	again($of, 'b', 'GET PATCH TEST', $what);
	is(AepTest::told_login($fake, $of->{id})->{$param}, $value, "$what: it stays");
}

# The PATCH is carried out after all, before the Nth request that follows: when
# the next call begins, between its GET and its PATCH, its PATCH and its test, or
# when it is over.
foreach my $how ('close=mid_headers', 'status=504')
{
	foreach my $late (1 .. 4)
	{
		my $what = "$how, late before request $late";
		my $of   = managed("late_${late}_" . ($how =~ /^(\w+)/)[0],
			"on=PATCH,$how,late=$late,times=1", 'once');

		like(run(rotation($of))->{err}, qr/^ERROR:  (?:08007|58000): /, "$what: the error");
		is(state($of), 'unknown a: AB', "$what: the state");
		told_works($of, 'a', "$what: before");
		if ($late == 1)
		{
			query("SELECT id FROM aep.connection('$of->{id}')");
			told_works($of, 'b', "$what: after");
			is(state($of), 'unknown a: AB', "$what: nothing is changed here");
		}
		if ($late == 2)
		{
			$result = run(rotation($of));
			like($result->{err}, qr/^ERROR:  40001: /, "$what: the next call meets it");
			is(kinds($result), 'GET LATE PATCH', "$what: its requests");
			is(state($of),     'unknown a: ABc', "$what: its login is given up");
			told_works($of, 'b', "$what: after");
		}
		again($of, 'c', $late == 3 ? 'GET PATCH LATE TEST' : 'GET PATCH TEST', $what);
		query("SELECT id FROM aep.connection('$of->{id}')") if $late == 4;
		is(scalar(grep { $_->{kind} eq 'LATE' } $fake->requests_named($of->{name})),
			1, "$what: it was carried out");
		told_works($of, 'c', "$what: in the end");
		again($of, 'a', 'GET PATCH TEST', "$what: and on");
	}
}

# The same within one call, which tries again: before its second attempt, or after it
my $retried = managed('retried', 'on=PATCH,close=mid_headers,late=1,times=1');
$result = run(rotation($retried));
is(kinds($result), 'GET PATCH LATE PATCH', 'late before the second attempt: the requests');
like($result->{err}, qr/^ERROR:  08007: /, 'late before the second attempt: the error');
is(state($retried), 'unknown a: AB', 'late before the second attempt: the state');
told_works($retried, 'b', 'late before the second attempt');
again($retried, 'c', 'GET PATCH TEST', 'late before the second attempt');
my $overtaken = managed('overtaken', 'on=PATCH,close=mid_headers,late=2,times=1');
again($overtaken, 'b', 'GET PATCH PATCH LATE TEST', 'late after the second attempt');

# No network: before the GET, and between GET and PATCH
my $unreachable = managed('unreachable', '', 'refused');
query("ALTER SERVER refused OPTIONS (SET base_url '@{[$fake->url('refused')]}')");
like(run(rotation($unreachable))->{err}, qr/^ERROR:  08001: /, 'refused at the GET: the error');
is(state($unreachable), 'active a: A', 'refused at the GET: the state');
told_works($unreachable, 'a', 'refused at the GET');
query("ALTER SERVER refused OPTIONS (SET base_url '@{[$fake->url]}')");
again($unreachable, 'b', 'GET PATCH TEST', 'refused at the GET');

# Runs SQL without waiting for it, until a number of requests of a kind came;
# returns the last of them.
sub begin_until
{
	my ($where, $sql, $kind, $count) = @_;
	my $requests = $fake->requests;
	my @came;

	AepTest::begin_sql($where, $sql);
	AepTest::wait_until(
		sub {
			@came = grep { $_->{kind} eq $kind } $fake->requests($requests);
			@came >= ($count // 1);
		}) or return undef;
	return $came[-1];
}

sub wait_for_lock
{
	my ($pid, $what) = @_;

	ok( AepTest::wait_until(
			sub { query("SELECT wait_event_type FROM pg_stat_activity WHERE pid = $pid") eq 'Lock' }
		),
		"$what: it waits");
	return;
}

my $cut   = managed('cut', '', 'relayed');
my $other = AepTest::open_session($node);
my $pid   = AepTest::run_sql($other, 'SELECT pg_backend_pid()');
AepTest::run_sql($second,
	"BEGIN; SELECT 1 FROM aep.ingest_role WHERE role_name = 'cut' FOR UPDATE");
AepTest::begin_sql($other, rotation($cut));
wait_for_lock($pid, 'refused at the PATCH');
kill_relay();
AepTest::run_sql($second, 'COMMIT');
AepTest::end_sql($other);
like($other->{err}, qr/^ERROR:  08001: /, 'refused at the PATCH: the error');
is(state($cut), 'active a: Ab', 'refused at the PATCH: the state');
told_works($cut, 'a', 'refused at the PATCH');
start_relay();
again($cut, 'b', 'GET PATCH TEST', 'refused at the PATCH');

# Interrupted, and what others see meanwhile

# What is known of a PATCH while its answer is awaited.
sub check_sent
{
	my ($of, $pid, $sent, $what) = @_;
	my $params = $sent->{body}[0]{value};

	is(query("SELECT etag FROM aep.ingest_role WHERE role_name = '$of->{role}'"),
		$of->{etag}, "$what: the etag is recorded");
	ok( can_log_in($params->{username}, $params->{password}),
		"$what: the next login works before the platform knows");
	my $activity = query("SELECT * FROM pg_stat_activity WHERE pid = $pid");
	like($activity, qr/CALL aep\.rotate_credentials/, "$what: pg_stat_activity shows the call");
	unlike($activity, qr/\Q$params->{password}\E/, "$what: without the password");
	return;
}

my %interrupt = (
	'cancelled'  => [ 'pg_cancel_backend',    qr/^ERROR:  57014: / ],
	'terminated' => [ 'pg_terminate_backend', undef ]);

# the fault, the kind that it stalls, the state, the platform's login, the next, the requests then
my @stalls = (
	[ 'on=GET,stall=before_headers,times=1', 'GET', 'active a: A', 'a', 'b', 'GET PATCH TEST' ],
	[   'on=PATCH,stall=before_headers,processed=0,times=1',
		'PATCH', 'rotating a -> b: AB',
		'a',     'c', 'GET PATCH TEST' ],
	[   'on=PATCH,stall=before_headers,processed=1,times=1',
		'PATCH', 'rotating a -> b: AB',
		'b',     'c', 'GET PATCH TEST' ],
	[   'on=TEST,stall=before_headers,times=1', 'TEST',
		'rotating a -> b, told: AB',            'b',
		'b',                                    'TEST' ]);
foreach my $how (sort keys %interrupt)
{
	my $number = 0;

	foreach my $stall (@stalls)
	{
		my ($fault, $kind, $state, $used, $afterwards, $kinds) = @$stall;
		my $of   = managed($how . $number++, $fault);
		my $what = "$how: $fault";
		my ($function, $error) = @{ $interrupt{$how} };

		$other = AepTest::open_session($node);
		$pid   = AepTest::run_sql($other, 'SELECT pg_backend_pid()');
		my $sent = begin_until($other, rotation($of), $kind);
		ok($sent, "$what: it waits");
		if ($how eq 'cancelled')
		{
			# while it waits: all is committed that the next step needs
			is(state($of), $state, "$what: the state meanwhile");
			told_works($of, $used, "$what: meanwhile");
			like(
				run(rotation($of), $second)->{err},
				qr/^ERROR:  55P03: the credentials of connection $of->{id} are being rotated by another session/,
				"$what: not twice at once");
			check_sent($of, $pid, $sent, $what) if $kind eq 'PATCH';
		}
		query("SELECT $function($pid)");
		if ($error)
		{
			AepTest::end_sql($other);
			like($other->{err}, $error, "$what: the error");
		}
		else
		{
			$other->{harness}->finish;
			$node->poll_query_until('postgres',
				"SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid");
		}
		is(state($of), $state, "$what: the state");
		told_works($of, $used, $what);

		# the session that was cancelled lives on, and holds nothing
		again($of, $afterwards, $kinds, $what);
		AepTest::close_session($other) if $error;
	}
}

# While one is being rotated, another one can be, and nobody else's lock is in the way.
my $held = managed('held', 'on=TEST,stall=before_headers,times=1');
my $free = managed('free');
$other = AepTest::open_session($node);
ok(begin_until($other, rotation($held), 'TEST'), 'one is held');
my $refusal = run(rotation($held));
like($refusal->{err}, qr/^ERROR:  55P03: /, 'the second call is refused');
is(kinds($refusal),             '',                          'the second call: nothing is sent');
is(state($held),                'rotating a -> b, told: AB', 'the second call: nothing is changed');
is(run(rotation($free))->{err}, '', 'another connection is rotated meanwhile');
told_works($free, 'b', 'another connection');
query(
	"SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query ~ '$held->{id}' AND pid <> pg_backend_pid()"
);
AepTest::end_sql($other);
again($held, 'b', 'TEST', 'the one that was held');
is(query("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), 0, 'no lock is left');

# What is known must be what is true once the lock is there: a call that began
# before another one ended does not go by what it saw then.
my $late = managed('late', 'on=PATCH,after=1,times=1,processed=0,stall=before_headers');
AepTest::run_sql($other, 'SELECT 1');
$pid = AepTest::run_sql($other, 'SELECT pg_backend_pid()');
AepTest::close_session($other);
$other = AepTest::open_session($node);
$pid   = AepTest::run_sql($other, 'SELECT pg_backend_pid()');
AepTest::run_sql($second,
	'BEGIN; LOCK TABLE pg_catalog.pg_foreign_server IN ACCESS EXCLUSIVE MODE');
AepTest::begin_sql($other, rotation($late));
wait_for_lock($pid, 'a late call');
is(run(rotation($late))->{err}, '', 'a late call: another one comes first');
ok(begin_until($second, 'COMMIT', 'PATCH'), 'a late call: then it goes on');
AepTest::end_sql($second);
told_works($late, 'b', 'a late call');
query("SELECT pg_cancel_backend($pid)");
AepTest::end_sql($other);
told_works($late, 'b', 'a late call, cancelled');
again($late, 'c', 'GET PATCH TEST', 'a late call');
AepTest::close_session($other);

# Nor with a snapshot that is meant to stay.
foreach my $isolation ('repeatable read', 'serializable')
{
	my $of = managed($isolation =~ s/ /_/r);

	$other = AepTest::open_session($node);
	$pid   = AepTest::run_sql($other,
		"SET default_transaction_isolation = '$isolation'; SELECT pg_backend_pid()");
	AepTest::run_sql($second,
		'BEGIN; LOCK TABLE pg_catalog.pg_foreign_server IN ACCESS EXCLUSIVE MODE');
	AepTest::begin_sql($other, rotation($of));
	wait_for_lock($pid, $isolation);
	is(run(rotation($of))->{err}, '', "$isolation: another call comes first");
	AepTest::run_sql($second, 'COMMIT');
	like(AepTest::end_sql($other), qr/^$of->{role}_a\|/, "$isolation: then it goes on")
	  or diag($other->{err});
	is(state($of), 'active a: Ab', "$isolation: the state");
	told_works($of, 'a', $isolation);
	AepTest::close_session($other);
}

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

# Somebody else's role is not taken for a login.
query('CREATE ROLE calm_b');
$result = run($call);
like(
	$result->{err},
	qr/^ERROR:  42710: role "calm_b" already exists\nDETAIL:  It is not a member of "calm"/,
	"somebody else's role: the error");
is(query("SELECT rolcanlogin, rolpassword IS NULL FROM pg_authid WHERE rolname = 'calm_b'"),
	'f|t', "somebody else's role: untouched");
told_works($calm, 'a', "somebody else's role");
query('DROP ROLE calm_b');
again($calm, 'b', 'GET PATCH TEST', "somebody else's role");

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
again($full, 'c', 'GET PATCH TEST', 'most were dropped, as the hint says');
is(state($full), 'active c: abCz', 'most were dropped: those that were left are disabled');
run("SELECT aep.delete_connection('$full->{id}')");
like(run(rotation($full))->{err}, qr/^ERROR:  42704: /, 'a connection that was deleted');

# Callers that are no superusers
AepTest::run_sql($second, 'SET SESSION AUTHORIZATION dba');
my $by_dba = managed('by_dba', '', 'aep', '', $second);
again($by_dba, 'b', 'GET PATCH TEST', 'with CREATEROLE');
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
$other = AepTest::open_session($node);
ok(begin_until($other, rotation($taken), 'TEST'), 'without CREATEROLE: another one rotates');
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

# The server crashes between any two steps

my @crashing;    # { of, session, state, used, next, kinds, what }

# A call that is held by a fault until the crash.
sub stalled
{
	my ($what, $fault, $kind, $count, %after) = @_;
	my $role = 'crash' . @crashing;
	my $of   = managed($role, $fault, $after{server});

	query(
		"UPDATE aep.ingest_role SET step = 'unknown', kept_logins = ' ${role}_b ' WHERE role_name = '$role'; "
		  . "CREATE ROLE ${role}_b LOGIN PASSWORD 'x' IN ROLE $role")
	  if $after{in_doubt};
	my $crashing =
	  { %after, of => $of, what => "crash $what", session => AepTest::open_session($node) };
	$crashing->{pid} = AepTest::run_sql($crashing->{session}, 'SELECT pg_backend_pid()');
	push @crashing, $crashing;
	ok(begin_until($crashing->{session}, rotation($of), $kind, $count),
		"crash $what: it got so far");
	return $crashing;
}

# One that a fault delays, and that then waits for its row to write down more.
my $locker = AepTest::open_session($node);
AepTest::run_sql($locker, 'BEGIN');

sub blocked
{
	my $crashing = stalled(@_);

	AepTest::run_sql($locker,
		"SELECT 1 FROM aep.ingest_role WHERE role_name = '$crashing->{of}{role}' FOR UPDATE");
	is($locker->{err}, '', "$crashing->{what}: its row is locked");
	$crashing->{blocked} = 1;
	return;
}

my $stall = 'times=1,stall=before_headers';
my $delay = 'times=1,delay=2';
my $before_patch =
  { state => 'rotating a -> b: AB', used => 'a', next => 'c', kinds => 'GET PATCH TEST' };
my $after_patch =
  { state => 'rotating a -> b: AB', used => 'b', next => 'c', kinds => 'GET PATCH TEST' };
my $at_test = { state => 'rotating a -> b, told: AB', used => 'b', next => 'b', kinds => 'TEST' };
stalled(
	'at the first GET', "on=GET,$stall", 'GET', 1,
	state => 'active a: A',
	used  => 'a',
	next  => 'b',
	kinds => 'GET PATCH TEST');
blocked(
	'before the first commit', "on=GET,$delay", 'GET', 1,
	state => 'active a: A',
	used  => 'a',
	next  => 'b',
	kinds => 'GET PATCH TEST');
stalled('before the PATCH is carried out',
	"on=PATCH,$stall,processed=0", 'PATCH', 1, %$before_patch);
stalled('before a gateway lets the PATCH through',
	"on=PATCH,$stall,late=1", 'PATCH', 1, %$before_patch, kinds => 'LATE GET PATCH TEST');
stalled('before the PATCH is answered', "on=PATCH,$stall", 'PATCH', 1, %$after_patch);
blocked('before the commit after the PATCH', "on=PATCH,$delay", 'PATCH', 1, %$after_patch);
blocked(
	'before the commit of a loss', "on=PATCH,$delay,close=mid_headers", 'PATCH', 1,
	server => 'once',
	%$after_patch);
blocked(
	'before the commit of no loss', "on=PATCH,$delay,close=mid_headers,processed=0", 'PATCH', 1,
	server => 'once',
	%$before_patch);
blocked('before the commit of a refusal', "on=PATCH,$delay,status=400", 'PATCH', 1, %$before_patch);
stalled('at the test', "on=TEST,$stall", 'TEST', 1, %$at_test);
blocked('before the last commit', "on=TEST,$delay", 'TEST', 1, %$at_test);
stalled(
	'with a third login', "on=PATCH,$stall", 'PATCH', 1,
	in_doubt => 1,
	state    => 'rotating a -> c: ABC',
	used     => 'c',
	next     => 'd',
	kinds    => 'GET PATCH TEST');

# these meet the fault once more after the crash
my $twice = $stall =~ s/times=1/times=2/r;
stalled(
	'at the PATCH, twice',
	"on=PATCH,$twice",
	'PATCH', 1,
	%$after_patch,
	then => {
		kind  => 'PATCH',
		state => 'rotating a -> c: ABC',
		used  => 'c',
		next  => 'd',
		kinds => 'GET PATCH TEST' });
stalled('before the PATCH is carried out, twice',
	"on=PATCH,$twice,processed=0", 'PATCH', 1, %$before_patch,
	then => {
		kind  => 'PATCH',
		state => 'rotating a -> c: ABC',
		used  => 'a',
		next  => 'd',
		kinds => 'GET PATCH TEST' });
stalled('at the test, twice',
	"on=TEST,$twice", 'TEST', 1, %$at_test, then => { kind => 'TEST', %$at_test });
foreach my $crashing (grep { $_->{blocked} } @crashing)
{
	wait_for_lock($crashing->{pid}, $crashing->{what});
}

# the same for aep.create_ingest_role()
my %creating;
foreach my $processed (0, 1)
{
	my $role = "creating$processed";

	$creating{$role} = {
		name    => "fault:processed=$processed,stall=before_headers $role",
		session => AepTest::open_session($node) };
	ok( begin_until(
			$creating{$role}{session},
			"CALL aep.create_ingest_role('$role', '{shop}', name => '$creating{$role}{name}')",
			'POST'),
		"$role: the request came");
}

sub crash
{
	$node->stop('immediate');
	foreach my $lost ($session, $second, @_)
	{
		$lost->{in} .= "SELECT 1;\n";
		eval { $lost->{harness}->finish };
	}
	$node->start;
	open_sessions();
	return;
}
crash($locker, map { $_->{session} } @crashing, values %creating);
foreach my $crashed (@crashing)
{
	my $of = $crashed->{of};

	is(state($of), $crashed->{state}, "$crashed->{what}: the state");
	told_works($of, $crashed->{used}, $crashed->{what});
	again($of, $crashed->{next}, $crashed->{kinds}, $crashed->{what}) unless $crashed->{then};
}
foreach my $role (sort keys %creating)
{
	my ($request) = $fake->requests_named($creating{$role}{name});
	my $params = $request->{body}{auth}{params};

	is( query(
			"SELECT step, active_login, connection_id IS NULL FROM aep.ingest_role WHERE role_name = '$role'"
		),
		"unknown|${role}_a|t",
		"$role, crashed: the state");
	ok(can_log_in($params->{username}, $params->{password}), "$role, crashed: the login works");
}


# The server crashes again where it crashed before.
my @twice = grep { $_->{then} } @crashing;
foreach my $crashing (@twice)
{
	$crashing->{session} = AepTest::open_session($node);
	ok(begin_until($crashing->{session}, rotation($crashing->{of}), $crashing->{then}{kind}),
		"$crashing->{what}: as far again");
}
crash(map { $_->{session} } @twice);
foreach my $crashed (@twice)
{
	my ($of, $then) = ($crashed->{of}, $crashed->{then});

	is(state($of), $then->{state}, "$crashed->{what}: the state after that");
	told_works($of, $then->{used}, "$crashed->{what}, after that");
	again($of, $then->{next}, $then->{kinds}, "$crashed->{what}, after that");
}

# No password is anywhere

my @passwords = map { $_->{body}{auth}{params}{password} // () } $fake->requests_of_kind('POST');
push @passwords,
  map { $_->{body}[0]{path} eq '/auth/params' ? $_->{body}[0]{value}{password} // () : () }
  $fake->requests_of_kind('PATCH');
cmp_ok(scalar(@passwords), '>', 80, 'there were many passwords');
my $any = join '|', map { quotemeta } @passwords;
my $log = slurp_file($node->logfile);
like($log, qr/CALL aep\.rotate_credentials/, 'the log has the calls');
unlike($log,                                   qr/$any/, 'no password is in the log');
unlike($seen,                                  qr/$any/, 'nor was one shown');
unlike(query('SELECT * FROM aep.ingest_role'), qr/$any/, 'nor is one in the table');

done_testing();
