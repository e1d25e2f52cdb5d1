# Reports in which PostgreSQL itself quotes a running statement: none shows a
# secret that a function of ours was given, or an option.
use strict;
use warnings;

use AepTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $fake = AepTest::start_fake();
my $node = AepTest::start_node(
	'main',
	'log_lock_waits = on',
	'deadlock_timeout = 10ms',
	'log_temp_files = 0',
	'work_mem = 64kB',
	'log_statement = none',
	'log_min_messages = debug1',
	'restart_after_crash = on');
AepTest::create_server($node, $fake, username => 'acme', password => 'mapped', max_attempts => 1);
my ($one, $two, $watcher) = map { AepTest::open_session($node) } 1 .. 3;
AepTest::create_server($node, $fake, server => 'patient', request_timeout => '1h');
AepTest::create_server($node, $fake, server => 'hasty', request_timeout => '2s');
my %pid = map { $_ => AepTest::run_sql($_, 'SELECT pg_backend_pid()') } ($one, $two);
my $hidden = '<hidden by aep: a statement with a secret>';
my $from = 0;

sub ensure
{
	my ($name, $server, $password) = @_;

	return "SELECT action FROM aep.ensure_base_connection(name => '$name', username => 'u', "
	  . "password => '$password', server => '$server')";
}

# What the log got since the last time; it holds no secret.
sub log_since
{
	my ($what) = @_;
	my $log = slurp_file($node->logfile, $from);

	$from = -s $node->logfile;
	unlike($log, qr/secret-\w/, "$what: no secret in the log");
	return $log;
}

sub query_of
{
	my ($session) = @_;

	return AepTest::run_sql($watcher, "SELECT query FROM pg_stat_activity WHERE pid = $pid{$session}");
}

# Waits until the session sleeps in a call of ours.
sub wait_for
{
	my ($session) = @_;

	AepTest::wait_until(sub {
		AepTest::run_sql($watcher, "SELECT wait_event_type FROM pg_stat_activity WHERE pid = $pid{$session}") eq 'Extension' })
	  or die 'it never waited';
	return;
}

# Two transactions that ensure two names in opposite order.
sub meet
{
	my ($server) = @_;

	AepTest::run_sql($_, ensure($_ == $one ? 'one' : 'two', $server, 'secret-0')) foreach ($one, $two);
	AepTest::run_sql($one, 'BEGIN; ' . ensure('one', $server, 'secret-1'));
	AepTest::run_sql($two, 'BEGIN; ' . ensure('two', $server, 'secret-2'));
	AepTest::begin_sql($one, ensure('two', $server, 'secret-3'));
	wait_for($one);
	is(query_of($one), $hidden, "$server: pg_stat_activity shows no statement with a secret");
	AepTest::begin_sql($two, ensure('one', $server, 'secret-4'));
	wait_for($two) if $server eq 'patient';
	return;
}

sub end_meeting
{
	my ($server) = @_;

	AepTest::run_sql($_, 'ROLLBACK') foreach ($one, $two);
	my $log = log_since("$server: two who wait for each other");
	unlike($log, qr/deadlock detected|still waiting/, "$server: they are in no report");
	return $log;
}

# request_timeout is the end of it
meet('hasty');
AepTest::end_sql($_) foreach ($one, $two);
my $gave_up = qr/^ERROR:  55P03: another transaction is working on the base connection "(?:one|two)"\nHINT:  .*same order/m;
ok($one->{err} =~ $gave_up || $two->{err} =~ $gave_up, 'one of them gives up');
unlike("$one->{err}$two->{err}", qr/40P01/, 'not as in a deadlock');
like(end_meeting('hasty'), qr/ERROR:  another transaction is working/, 'the error is in the log');

# A cancel, lock_timeout, the end of the other are, too.
meet('patient');
AepTest::run_sql($watcher, "SELECT pg_cancel_backend($pid{$two})");
AepTest::end_sql($two);
like($two->{err}, qr/^ERROR:  57014:/m, 'cancelled');
AepTest::run_sql($two, 'ROLLBACK');
is(AepTest::end_sql($one), 'unchanged', 'the lock is free then');
AepTest::run_sql($two, "SET lock_timeout = '50ms'; " . ensure('one', 'patient', 'secret-5'));
like($two->{err}, qr/^ERROR:  55P03: another transaction/m, 'lock_timeout ends the wait');
AepTest::run_sql($two, 'RESET lock_timeout');
AepTest::begin_sql($two, ensure('one', 'patient', 'secret-6'));
wait_for($two);
AepTest::run_sql($one, 'COMMIT');
is(AepTest::end_sql($two), 'unchanged', 'who waits gets on when the other has ended');
end_meeting('patient');

# While a call runs, and afterwards.
sub shows
{
	my ($what, $sql, $shown) = @_;

	AepTest::begin_sql($one, $sql);
	wait_for($one);
	is(query_of($one), $shown // $hidden, "$what: pg_stat_activity");
	AepTest::run_sql($watcher, "SELECT pg_cancel_backend($pid{$one})");
	AepTest::end_sql($one);
	is(query_of($one), $shown // $hidden, "$what: afterwards, too");
	log_since($what);
	return;
}
my $stalls = "name => 'fault:stall=before_headers'";
my $create = "SELECT id FROM aep.create_base_connection($stalls";
shows('a password', "$create, username => 'u', password => 'secret-7')");
shows('one with quotes', "$create, username => 'u', password => 'it''s secret-7')");
shows('one with escapes', "$create, username => 'u', password => E'\\x73ecret-7')");
shows('in PL/pgSQL', "DO \$\$ BEGIN PERFORM id FROM aep.create_base_connection($stalls, username => 'u', password => 'secret-7'); END \$\$");
shows('a batch', "SELECT * FROM aep.create_base_connections(ARRAY[aep.base_connection_spec($stalls, username => 'u', password => 'secret-7')])");
shows('a body', q{SELECT * FROM aep.request('POST', '/flowservice/connections', body => '}
	  . '{"name": "fault:stall=before_headers", "auth": {"params": {"password": "secret-7"}}}' . q{')});
my $plain = "$create)";
shows('no secret', $plain, "$plain;");
AepTest::run_sql($one, "CREATE FUNCTION wrapped() RETURNS uuid LANGUAGE sql AS \$\$$create, username => 'u', password => 'secret-7')\$\$");
shows('one that stands elsewhere', 'SELECT wrapped()', 'SELECT wrapped();');

# The same statement fails elsewhere, or spills to disk; the next one is shown again.
my $once = "(SELECT id FROM aep.create_base_connection(username => 'u', password => 'secret-8'))";
AepTest::run_sql($one, "SELECT 1 / ($once IS NULL)::int");
like($one->{err}, qr/^ERROR:  22012:/m, 'a statement that fails elsewhere');
AepTest::run_sql($one, "SELECT count(i) FROM (SELECT i, $once FROM generate_series(1, 20000) AS i ORDER BY -i OFFSET 1) AS s");
AepTest::run_sql($one, 'SELECT 2 / 0');
my $log = log_since('elsewhere');
like($log, qr/STATEMENT:  \Q$hidden\E/, 'is not in the log');
like($log, qr/LOG:  temporary file: .*\n.*STATEMENT:  \Q$hidden\E/, 'nor is one that spills');
like($log, qr/STATEMENT:  SELECT 2 \/ 0/, 'the next one is');

# User mappings: PostgreSQL's own wait, for a mapping that another one makes, too.
AepTest::run_sql($watcher, 'CREATE ROLE r1; CREATE ROLE r2');
sub mapping
{
	my ($role, $secret) = @_;

	return "CREATE USER MAPPING FOR $role SERVER aep OPTIONS (api_key 'k', client_secret '$secret')";
}
AepTest::run_sql($one, 'BEGIN; ' . mapping('r1', 'secret-9'));
AepTest::run_sql($two, 'BEGIN; ' . mapping('r2', 'secret-10'));
AepTest::begin_sql($one, mapping('r2', 'secret-11'));
AepTest::wait_until(sub { AepTest::run_sql($watcher, "SELECT wait_event_type FROM pg_stat_activity WHERE pid = $pid{$one}") eq 'Lock' });
AepTest::begin_sql($two, mapping('r1', 'secret-12'));
AepTest::end_sql($_) foreach ($one, $two);
AepTest::run_sql($_, 'ROLLBACK') foreach ($one, $two);
$log = log_since('user mappings');
like($log, qr/deadlock detected/, 'a deadlock that is reported');
like($log, qr/Process \d+: \Q$hidden\E\n\tProcess \d+: \Q$hidden\E/, 'without the statements');
AepTest::run_sql($one, "CREATE USER MAPPING FOR r1 SERVER aep OPTIONS (api_key 'k', client_sekret 'secret-13')");
like($one->{err}, qr/^ERROR:  HV00D:/m, 'a misspelt option');
is(query_of($one), $hidden, 'counts as a secret one');

# A crash: the postmaster quotes what ran.
AepTest::begin_sql($one, "$create, username => 'u', password => 'secret-14')");
wait_for($one);
kill 'KILL', $pid{$one};
like(AepTest::wait_until(sub { my $text = slurp_file($node->logfile, $from); $text =~ /Failed process was running/ ? $text : '' }),
	qr/Failed process was running: \Q$hidden\E/, 'a crash');
$node->poll_query_until('postgres', 'SELECT true');
log_since('a crash');

done_testing();
