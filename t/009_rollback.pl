# What a rollback leaves behind in Experience Platform is named, once.
use strict;
use warnings;

use AepTest;
use Encode qw(decode encode);
use IO::Socket::INET;
use POSIX ();
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $fake = AepTest::start_fake();
my $node = AepTest::start_node(
	'main',
	'log_statement = none',
	'max_prepared_transactions = 1',
	"client_connection_check_interval = '100ms'");

# The servers: aep, and others named after what is special about them.
sub create_server
{
	my ($server, %options) = @_;

	AepTest::create_server(
		$node, $fake,
		server => $server,
		username => 'u',
		password => 'p',
		max_attempts => 2,
		%options);
	return;
}

create_server('aep');
create_server('plain', base_url => $fake->url('http'));
create_server(q{"it's"});
create_server($_, base_url => $fake->url($_)) foreach (qw(refused unknown_ca full_backlog));
my %ims = (token_url => $fake->url('ims'), access_token => undef);
create_server('no_token', %ims, client_secret => 'fault:stall=before_headers');
create_server('no_second_token', %ims, client_secret => 'fault:after=1,stall=before_headers');

# The statement that creates an object.
sub create
{
	my ($name, $server) = @_;

	return 'SELECT id FROM aep.create_base_connection(name => '
	  . AepTest::literal($name)
	  . ', server => '
	  . AepTest::literal($server // 'aep') . ');';
}

# psql's report of warnings, errors and so on
my $stderr;

sub reports
{
	my @reports;

	foreach my $text (split /^(?:psql:\S+ )?(?=[A-Z]+:  \w{5}: )/m, $stderr)
	{
		my ($severity, $message) = $text =~ /^([A-Z]+):  \w{5}: (.*)/ or next;
		my ($detail) = $text =~ /^DETAIL:  (.*)/m;
		my ($hint) = $text =~ /^HINT:  (.*)/m;

		push @reports,
		  { severity => $severity, message => $message, detail => $detail, hint => $hint };
	}
	return @reports;
}

sub warnings_shown
{
	return grep { $_->{severity} eq 'WARNING' } reports();
}

# The objects that the service got a request for after the first n requests.
sub objects
{
	my ($before) = @_;

	return map { { id => $_->{created}, name => $_->{name}, server => 'aep' } }
	  grep { $_->{kind} eq 'POST' } $fake->requests($before);
}

# Runs SQL.  Its warnings must be what the function expects, given the objects;
# errors must match, or not be there.
sub warns
{
	my ($what, $sql, $expected, %options) = @_;
	my $before = $fake->requests;

	$node->psql(
		$options{dbname} // 'postgres',
		encode('UTF-8', "\\set VERBOSITY verbose\n\\set SHOW_CONTEXT always\n$sql"),
		stderr => \$stderr,
		on_error_stop => 0);
	$stderr = decode('UTF-8', $stderr);
	if ($options{error}) { like($stderr, $options{error}, "$what: the error"); }
	else { unlike($stderr, qr/ERROR/, "$what: no error"); }
	is_deeply([ warnings_shown() ], [ $expected->(objects($before)) ], "$what: the warnings")
	  or diag $stderr;
	return;
}

my $rollback = 'this rollback';
my $to_savepoint = 'this rollback to a savepoint';

# The warning about these objects; one without id has an unknown outcome.
sub lost
{
	my ($by, @objects) = @_;
	my @details = map {
		my $text = ($_->{kind} // 'base connection') . qq{ "$_->{name}"};
		defined $_->{id} ? "$_->{id} ($text)" : "$text (outcome unknown)"
	} @objects;
	my @deletions =
	  map { $_->{deletion} // "SELECT aep.delete_connection('$_->{id}', '$_->{server}');" }
	  grep { defined $_->{id} } @objects;
	my $count = @objects;

	return {
		severity => 'WARNING',
		message => $count == 1
		? "1 object in Experience Platform is not undone by $by"
		: "$count objects in Experience Platform are not undone by $by",
		detail => join(', ', @details) . '.',
		hint => @deletions
		? "To delete: @deletions"
		: 'Look for it in Experience Platform by its name.' };
}

sub unknown
{
	my ($name) = @_;

	return { name => $name };
}

# Commit and rollback.
warns('commit', "BEGIN; @{[create('a')]} COMMIT; BEGIN; ROLLBACK;", sub { });
warns(
	'rollback',
	"BEGIN; @{[create('a'), create('b')]} ROLLBACK; BEGIN; ROLLBACK;",
	sub { lost($rollback, @_) });
like($stderr, qr/WARNING:  01000:/, 'it has the SQLSTATE of a warning');
warns(
	'an error after the call',
	'SELECT 1 / (length(id::text) - 36) FROM aep.create_base_connection(name => $$a$$)',
	sub { lost($rollback, @_) },
	error => qr/ERROR:  22012:/);
$node->safe_psql('postgres', 'CREATE TABLE t (i integer UNIQUE DEFERRABLE INITIALLY DEFERRED)');
warns(
	'a deferred constraint',
	"BEGIN; INSERT INTO t VALUES (1); @{[create('a')]} INSERT INTO t VALUES (1); COMMIT;",
	sub { lost($rollback, @_) },
	error => qr/ERROR:  23505:/);

# Savepoints.
warns(
	'nested savepoints',
	"BEGIN; @{[create('0')]} SAVEPOINT a; @{[create('1')]} SAVEPOINT b; @{[create('2')]} "
	  . "RELEASE b; ROLLBACK TO a; ROLLBACK TO a; ROLLBACK;",
	sub { (lost($to_savepoint, @_[ 1, 2 ]), lost($rollback, $_[0])) });
warns(
	'only the inner one is rolled back',
	"BEGIN; SAVEPOINT a; @{[create('0')]} SAVEPOINT b; @{[create('1')]} ROLLBACK TO b; "
	  . "@{[create('2')]} RELEASE b; RELEASE a; COMMIT;",
	sub { lost($to_savepoint, $_[1]) });
warns('the next savepoint is rolled back',
	"BEGIN; SAVEPOINT a; @{[create('0')]} RELEASE a; SAVEPOINT b; ROLLBACK TO b; COMMIT;", sub { });
warns(
	'all are released, and all is rolled back',
	"BEGIN; SAVEPOINT a; SAVEPOINT b; SAVEPOINT c; @{[create('0')]} RELEASE c; @{[create('1')]} "
	  . "RELEASE a; @{[create('2')]} ROLLBACK;",
	sub { lost($rollback, @_) });
warns(
	'a savepoint is open',
	"BEGIN; @{[create('0')]} SAVEPOINT a; @{[create('1')]} ROLLBACK;",
	sub { (lost($to_savepoint, $_[1]), lost($rollback, $_[0])) });
warns(
	'an error below two savepoints',
	"BEGIN; @{[create('0')]} SAVEPOINT a; @{[create('1')]} SAVEPOINT b; @{[create('2')]} "
	  . 'SELECT 1/0; ROLLBACK TO a; COMMIT;',
	sub { (lost($to_savepoint, $_[2]), lost($to_savepoint, $_[1])) },
	error => qr/ERROR:  22012:/);

# PL/pgSQL
$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION make(name text) RETURNS void LANGUAGE sql AS
    'SELECT id FROM aep.create_base_connection(name => make.name)';
CREATE FUNCTION make_and_fail(name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM make(name);
    RAISE EXCEPTION 'failed';
EXCEPTION WHEN raise_exception THEN
    NULL;
END $$;
CREATE PROCEDURE make_and_commit() LANGUAGE plpgsql AS $$
BEGIN
    PERFORM make('0');
    COMMIT;
    PERFORM make('1');
    ROLLBACK;
    PERFORM make('2');
    COMMIT;
    PERFORM make('3');
    RAISE EXCEPTION 'failed';
END $$;
SQL
warns(
	'an exception block',
	q{DO $$ BEGIN PERFORM make('0'); PERFORM make_and_fail('1'); PERFORM make('2'); END $$},
	sub { lost($to_savepoint, $_[1]) });
warns(
	'exception blocks in a loop',
	q{DO $$ BEGIN FOR i IN 1..3 LOOP PERFORM make_and_fail(i::text); END LOOP; END $$},
	sub { map { lost($to_savepoint, $_) } @_ });
warns(
	'an exception block within one that fails',
	q{DO $$ BEGIN BEGIN PERFORM make('0'); EXCEPTION WHEN division_by_zero THEN NULL; END;
	  PERFORM make('1'); PERFORM 1/0; EXCEPTION WHEN division_by_zero THEN NULL; END $$},
	sub { lost($to_savepoint, @_) });
warns(
	'a procedure with COMMIT',
	'CALL make_and_commit()',
	sub { (lost($rollback, $_[1]), lost($rollback, $_[3])) },
	error => qr/ERROR:  P0001:/);

# PREPARE TRANSACTION counts as commit, but says what it means.
my $not_prepared = {
	severity => 'WARNING',
	message =>
	  'objects created in Experience Platform are not part of the prepared transaction',
	detail => undef,
	hint => 'They stay whether it is committed or rolled back.' };
warns(
	'PREPARE TRANSACTION',
	"BEGIN; @{[create('a')]} PREPARE TRANSACTION 'x'; BEGIN; ROLLBACK; ROLLBACK PREPARED 'x';",
	sub { $not_prepared });
warns('PREPARE TRANSACTION without objects',
	"BEGIN; PREPARE TRANSACTION 'x'; ROLLBACK PREPARED 'x';", sub { });
warns(
	'PREPARE TRANSACTION that fails',
	"BEGIN; PREPARE TRANSACTION 'x'; BEGIN; @{[create('a')]} PREPARE TRANSACTION 'x'; "
	  . "ROLLBACK PREPARED 'x';",
	sub { ($not_prepared, lost($rollback, @_)) },
	error => qr/ERROR:  42710:/);

# What was certainly not created is not named.
foreach my $fault (
	qw(status=400 status=401 status=403 status=404 status=409 status=412 status=422 status=429
	redirect=http%3A%2F%2F127.0.0.1%2F))
{
	warns("refused, $fault", create("fault:$fault"), sub { }, error => qr/HTTP status \d\d\d/);
}
foreach my $server (qw(refused unknown_ca))
{
	warns("not connected, $server", create('a', $server), sub { }, error => qr/ERROR:  08001:/);
}
warns(
	'a refused one beside others',
	"BEGIN; @{[create('0')]} SAVEPOINT a; @{[create('fault:status=400')]} ROLLBACK TO a; RELEASE a; "
	  . "@{[create('2')]} ROLLBACK;",
	sub { lost($rollback, @_[ 0, 2 ]) },
	error => qr/ERROR:  22023:/);

# How often a regular expression fits the server log.
sub times_logged
{
	my ($regexp) = @_;

	return scalar(() = slurp_file($node->logfile) =~ /$regexp/g);
}

# An object whose outcome is unknown is in the log under its name, once.
sub logged_as_unknown
{
	my ($name) = @_;

	is(times_logged(qr/LOG:  outcome unknown: create base connection "\Q$name\E" on server "aep"/),
		1, "$name: in the log");
	return;
}

# What may have been created is named; by its id, if the answer tells.
foreach my $fault (qw(close=before reset=mid_body junk_status=1 status=504 noid=1 badid=1
	notjson=1 surrogate=1 huge=70000000 bigheader=300000))
{
	my $name = "fault:$fault unknown";

	warns("unknown, $fault", create($name), sub { lost($rollback, unknown($name)) },
		error => qr/ERROR: /);
	logged_as_unknown($name);
}
warns(
	'known and unknown',
	"BEGIN; @{[create('0'), create('fault:close=before mixed')]} ROLLBACK;",
	sub { (lost($rollback, $_[0], unknown('fault:close=before mixed'))) },
	error => qr/ERROR:  08007:/);

# A session that began the SQL, and waits in a call; the condition tells how far
# that has come.
sub hang
{
	my ($sql, $condition) = @_;
	my $session = AepTest::open_session($node);

	$session->{pid} = AepTest::run_sql($session, 'SELECT pg_backend_pid()');
	AepTest::begin_sql($session, $sql);
	AepTest::wait_until($condition) or die "did not get there: $sql";
	AepTest::wait_for_activity($node, $session->{pid});
	return $session;
}

sub requests_after
{
	my ($count) = @_;
	my $wanted = $fake->requests + $count;

	return sub { $fake->requests >= $wanted };
}

sub cancel
{
	my ($what, $sql, $condition, @expected) = @_;
	my $session = hang($sql, $condition);

	kill 'INT', $session->{pid};    # all that pg_cancel_backend() does
	AepTest::end_sql($session);
	$stderr = $session->{err};
	like($stderr, qr/ERROR:  57014:/, "cancel $what: the error");
	is_deeply([ warnings_shown() ], \@expected, "cancel $what: the warnings") or diag $stderr;
	AepTest::close_session($session);
	return;
}

my $hanging = 'fault:stall=before_headers';
cancel('with the POST in flight', create("$hanging 1"), requests_after(1),
	lost($rollback, unknown("$hanging 1")));
logged_as_unknown("$hanging 1");
cancel(
	'in a savepoint',
	"BEGIN; SAVEPOINT a; @{[create(qq{$hanging 2})]} ROLLBACK TO a; COMMIT",
	requests_after(1),
	lost($to_savepoint, unknown("$hanging 2")));
logged_as_unknown("$hanging 2");
cancel('before connected', create('a', 'full_backlog'), sub { 1 });
cancel('before there is a token', create('a', 'no_token'), requests_after(1));
# the token, the POST that was refused, the second token
cancel('after the token was refused', create('fault:status=401 a', 'no_second_token'),
	requests_after(3));
my $refused = requests_after(1);
cancel('in the pause before a retry', create('fault:status=429,retry_after=30'),
	sub { $refused->() && sleep 0.5 });

# Whoever ends the session, the log tells.
sub ends_in_log
{
	my ($what, $name, $end) = @_;

	$end->(hang(create($name), requests_after(1)));
	ok( AepTest::wait_until(
			sub {
				times_logged(
					qr/WARNING:  1 object in .* is not undone by this rollback\n.* DETAIL:  base connection "$name"/
				);
			}),
		"$what: the warning is in the log");
	logged_as_unknown($name);
	return;
}

ends_in_log(
	'terminate',
	"$hanging 3",
	sub {
		my ($session) = @_;
		kill 'TERM', $session->{pid};
		$session->{harness}->finish;
	});
ends_in_log('client gone', "$hanging 4", sub { $_[0]{harness}->kill_kill(grace => 0) });

$node->safe_psql('postgres', 'BEGIN; ' . create('left open'));
my ($left_open) = (objects(0))[-1]{id};
ok( AepTest::wait_until(
		sub { times_logged(qr/DETAIL:  $left_open \(base connection "left open"\)/) }),
	'a session that ends in a transaction: the warning is in the log');

# client_min_messages hides it from the client only.
warns('client_min_messages', "SET client_min_messages = error; BEGIN; @{[create('hidden')]} ROLLBACK",
	sub { });
is(times_logged(qr/DETAIL:  \S+ \(base connection "hidden"\)/), 1,
	'client_min_messages: the warning is in the log');

# No secret of the statement goes along, whoever asks for statements in the log.
warns(
	'a secret in the statement',
	q{SET log_min_error_statement = debug5; BEGIN;
	SELECT id FROM aep.create_base_connection('u', 'secret-1', name => 'a'); ROLLBACK;},
	sub { lost($rollback, @_) });
warns(
	'a secret in the context',
	q{SET log_min_error_statement = debug5;
	CREATE FUNCTION make_with(password text) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
	    PERFORM id FROM aep.create_base_connection('u', password, name => 'a');
	    PERFORM 1/0;
	EXCEPTION WHEN division_by_zero THEN
	    NULL;
	END $$;
	DO $$ BEGIN PERFORM make_with('secret-2'); END $$},
	sub { lost($to_savepoint, @_) });
unlike($stderr, qr/secret-2/, 'it is not shown');
is(times_logged(qr/secret-\d/), 0, 'nor is either in the log');

# The statement in the hint is right, whatever the name of the server.
warns(
	'a quote in the name of the server',
	"BEGIN; @{[create('a', q{it's}), create('b', q{it's})]} ROLLBACK;",
	sub { lost($rollback, map { { %$_, server => q{it''s} } } @_) });
sub hint_works
{
	my ($what) = @_;
	my $before = $fake->requests;
	my ($deletions) = (warnings_shown())[0]{hint} =~ /^To delete: (.*)/;

	is($node->psql('postgres', $deletions), 0, "$what: the statements in the hint can be run");
	is_deeply([ map { $_->{status} } grep { $_->{kind} eq 'DELETE' } $fake->requests($before) ],
		[ (204) x (() = $deletions =~ /;/g) ], "$what: they delete");
	return;
}
hint_works('base connections');

# What else a call creates: other objects, and many at once.
my $post = <<'SQL';
SELECT status FROM aep.request('POST', '/flowservice/targetConnections',
    body => '{"name": "t", "connectionSpec": {"id": "c604ff05-7f1a-43c0-8e18-33bf874cb11c"}}');
SQL
warns(
	'aep.request()',
	"BEGIN; $post ROLLBACK;",
	sub {
		my ($object) = @_;
		return lost(
			$rollback,
			{   id => $object->{id},
				kind => 'object',
				name => '/flowservice/targetConnections',
				deletion => q{SELECT status FROM aep.request('DELETE', }
				  . qq{'/flowservice/targetConnections/$object->{id}', server => 'aep');}
			});
	});
hint_works('aep.request()');
warns(
	'aep.create_base_connections()',
	q{BEGIN; SELECT sqlstate FROM aep.create_base_connections(ARRAY[
	  aep.base_connection_spec(name => 'a'),
	  aep.base_connection_spec(name => 'fault:status=400'),
	  aep.base_connection_spec(name => 'fault:close=before batch'),
	  aep.base_connection_spec(name => 'b')]); ROLLBACK},
	sub {
		my %made = map { $_->{name} => $_ } @_;
		return lost($rollback, $made{a}, unknown('fault:close=before batch'), $made{b});
	});
logged_as_unknown('fault:close=before batch');

# Encodings.
sub create_database
{
	my ($encoding) = @_;
	my $dbname = AepTest::create_database($node, $encoding);

	AepTest::create_server($node, $fake, dbname => $dbname, username => 'u', password => 'p');
	return $dbname;
}

my $utf8 = create_database('UTF8');
my $latin1 = create_database('LATIN1');
my $sql_ascii = create_database('SQL_ASCII');
my $name = "gr\x{fc}\x{df}e";
warns(
	'LATIN1 and a client with UTF8',
	"SET client_encoding = 'UTF8'; BEGIN; @{[create($name)]} ROLLBACK;",
	sub { lost($rollback, @_) },
	dbname => $latin1);
is(times_logged(qr/LOG:  created base connection "gr\xfc\xdfe" with id /),
	1, 'in the log it is LATIN1');

# A long name is clipped between two characters.
my $euros = 'a' . "\x{20ac}" x 100;
my $clipped = 'a' . "\x{20ac}" x 39 . '...';    # 118 bytes, not 120
warns(
	'a long name',
	"SET client_encoding = 'UTF8'; BEGIN; @{[create($euros)]} ROLLBACK;",
	sub { lost($rollback, { %{ $_[0] }, name => $clipped }) },
	dbname => $utf8);

# What cannot be shown to the client does no harm in the middle of an abort.
sub harmless
{
	my ($what, $dbname, $client_encoding, $sql) = @_;
	my $before = $fake->requests;
	my $output;

	$node->psql(
		$dbname,
		encode('UTF-8',
			"\\set VERBOSITY verbose\nSET client_encoding = '$client_encoding'; $sql; SELECT 'alive'"),
		stdout => \$output,
		stderr => \$stderr,
		on_error_stop => 0);
	my ($object) = objects($before);
	like($output, qr/alive$/, "$what: the session goes on");
	unlike($stderr, qr/ERROR|while in ABORT state/, "$what: no error");
	like((warnings_shown())[0]{detail}, qr/^$object->{id} \(base connection "/,
		"$what: the id is shown");
	return;
}

my $elephant = q{SELECT id FROM aep.create_base_connection(name => E'\u8c61')};
harmless('rollback, a name not in LATIN1', $utf8, 'LATIN1', "BEGIN; $elephant; ROLLBACK");
harmless('savepoint, a name not in LATIN1', $utf8, 'LATIN1',
	"BEGIN; SAVEPOINT a; $elephant; ROLLBACK TO a; COMMIT");
$elephant =~ s/SELECT/PERFORM/;
harmless('exception block, a name not in LATIN1', $utf8, 'LATIN1',
	"DO \$\$ BEGIN $elephant; PERFORM 1/0; EXCEPTION WHEN division_by_zero THEN NULL; END \$\$");
harmless('a long name in SQL_ASCII', $sql_ascii, 'UTF8', "BEGIN; @{[create($euros)]} ROLLBACK");

# 20 objects are shown in full, however long all names are.
my $quotes = "'" x 63;
create_server(qq{"$quotes"});
warns(
	'20 objects with long names',
	"SET client_encoding = 'UTF8'; BEGIN; @{[map { create('x' x 300, $quotes) } 1..20]} ROLLBACK",
	sub {
		my @shown = map { { %$_, name => 'x' x 120 . '...', server => $quotes x 2 } } @_;
		return lost($rollback, @shown);
	});

# Objects of a service that answers every POST, below paths of any length; their ids.
create_server('elsewhere');
my @children;

sub elsewhere
{
	my ($count) = @_;
	my @ids = map { sprintf '%08x-1111-4222-8333-444444444444', $_ } 1 .. $count;
	my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0, Listen => 50)
	  or die "socket: $!";
	my $pid = fork // die "fork: $!";

	if ($pid == 0)
	{
		foreach my $id (@ids)
		{
			my $client = $listener->accept or POSIX::_exit(1);
			my $request = '';

			sysread($client, $request, 65536, length $request) or last
			  while $request !~ /\r\n\r\n\{\}/;
			syswrite($client,
				"HTTP/1.1 201 Created\r\nContent-Length: 45\r\nConnection: close\r\n\r\n"
				  . qq({"id":"$id"}));
			close $client;
		}
		POSIX::_exit(0);
	}
	push @children, $pid;
	$node->safe_psql('postgres',
		"ALTER SERVER elsewhere OPTIONS (SET base_url 'http://127.0.0.1:" . $listener->sockport . "')");
	return @ids;
}

sub post_elsewhere
{
	my ($path) = @_;

	return "SELECT status FROM aep.request('POST', '$path', body => '{}', server => 'elsewhere');";
}

# The hint has whole statements, as many as there is room for.
my $long = '/' . 'x' x 5100;
my %with_long_path = (kind => 'object', name => '/' . 'x' x 119 . '...');
my ($id) = elsewhere(1);
warns(
	'a path of 5,100 characters',
	"BEGIN; @{[post_elsewhere($long)]} ROLLBACK",
	sub {
		my $warning = lost($rollback, { %with_long_path, id => $id });
		$warning->{hint} = 'Look for it in Experience Platform by its name.';
		return $warning;
	});
($id) = elsewhere(1);
warns(
	'a path of 5,100 characters, and a connection',
	"BEGIN; @{[post_elsewhere($long), create('a')]} ROLLBACK",
	sub {
		my ($connection) = grep { $_->{name} eq 'a' } @_;
		my $warning = lost($rollback, { %with_long_path, id => $id }, $connection);
		$warning->{hint} = "To delete: SELECT aep.delete_connection('$connection->{id}', 'aep');";
		return $warning;
	});
my $path = '/' . 'y' x 199;
my @ids_elsewhere = elsewhere(22);
my $hint;
warns(
	'paths of 200 characters',
	"BEGIN; @{[map { post_elsewhere($path) } @ids_elsewhere]} ROLLBACK",
	sub {
		my $warning = lost($rollback,
			map { { id => $_, kind => 'object', name => '/' . 'y' x 119 . '...' } } @ids_elsewhere[ 0 .. 19 ]);
		$hint = (warnings_shown())[0]{hint};
		$warning->{message} =~ s/^20/22/;
		$warning->{detail} =~ s/\.$/, and 2 more: see the server log./;
		$warning->{hint} = $hint;
		return $warning;
	});
my @statements = map { "SELECT status FROM aep.request('DELETE', '$path/$_', server => 'elsewhere');" } @ids_elsewhere;
my $whole = () = $hint =~ /;/g;
cmp_ok($whole, '>=', 10, 'paths of 200 characters: statements in the hint');
is($hint, "To delete: @statements[0 .. $whole - 1]", 'paths of 200 characters: they are whole');
waitpid($_, 0) foreach (@children);

# Each entry has the texts of its server.
my $german = "it's gr\x{fc}n";
my $chinese = "it's \x{8c61}";
create_server(encode('UTF-8', qq{"$_"}), dbname => $utf8) foreach ($german, $chinese);
my %two_servers = (a => 'aep', b => q{it''s} . " gr\x{fc}n", c => 'aep', d => q{it''s} . " gr\x{fc}n");
my $on_two_servers = join ' ', create('a'), create('b', $german), create('c'), create('d', $german);
warns(
	'two servers',
	"SET client_encoding = 'UTF8'; BEGIN; $on_two_servers ROLLBACK",
	sub { lost($rollback, map { { %$_, server => $two_servers{ $_->{name} } } } @_) },
	dbname => $utf8);
is( times_logged(encode('UTF-8', qr/LOG:  created base connection "[bd]" with id \S+ on server "$german"/)),
	2, 'two servers: in the log');
warns(
	'two servers, and the next transaction',
	"SET client_encoding = 'UTF8'; BEGIN; @{[create('a', $german)]} COMMIT; BEGIN; @{[create('b', $german)]} ROLLBACK",
	sub { lost($rollback, { %{ $_[1] }, server => $two_servers{b} }) },
	dbname => $utf8);
warns(
	'two servers, and a client that cannot be shown one',
	"SET client_encoding = 'UTF8'; BEGIN; @{[create('a'), create('b', $chinese)]} "
	  . "SET client_encoding = 'LATIN1'; ROLLBACK",
	sub { lost($rollback, $_[0], { %{ $_[1] }, server => q{it''s ???} }) },
	dbname => $utf8);

# Ten thousand objects.
my $start = time;
my $output;
$node->psql('postgres', <<'SQL', stdout => \$output, stderr => \$stderr);
\set VERBOSITY verbose
BEGIN;
SELECT c.id FROM generate_series(1, 10000) AS i,
    aep.create_base_connection(name => 'bulk ' || i, server => 'plain') AS c;
SELECT clock_timestamp() AS start \gset
ROLLBACK;
SELECT extract(epoch FROM clock_timestamp() - :'start');
SQL
my @ids = split /\n/, $output;
my $took = pop @ids;
note sprintf('10,000 objects: %.1f s, of which the rollback took %.3f s', time - $start, $took);
my @warnings = warnings_shown();
is(scalar(@warnings), 1, '10,000 objects: one warning');
is( $warnings[0]{message},
	'10000 objects in Experience Platform are not undone by this rollback',
	'10,000 objects: their number');
is( $warnings[0]{detail},
	join(', ', map { qq{$ids[ $_ - 1 ] (base connection "bulk $_")} } 1 .. 20)
	  . ', and 9980 more: see the server log.',
	'10,000 objects: the first 20');
is( $warnings[0]{hint},
	join(' ', 'To delete:', map { "SELECT aep.delete_connection('$_', 'plain');" } @ids[ 0 .. 19 ]),
	'10,000 objects: their deletion');
my @logged =
  slurp_file($node->logfile) =~ /LOG:  created base connection "bulk \d+" with id (\S+) on server/g;
is(scalar(@ids), 10000, '10,000 objects: all are there');
is("@logged", "@ids", '10,000 objects: all ids are in the log');
cmp_ok($took, '<', 5, '10,000 objects: the rollback is fast');

done_testing();
