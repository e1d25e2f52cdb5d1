# A call that hangs can be ended at once, and holds up nobody else.
use strict;
use warnings;

use AepTest;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $fake = AepTest::start_fake();
my $node = AepTest::start_node('main');
AepTest::create_server($node, $fake);

# A psql session that runs one statement and then "SELECT 'alive'" in the background.
sub start_session
{
	my ($dbname, $sql, %options) = @_;
	my %session = (in => '', out => '', err => '');

	$session{harness} = IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $node->connstr($dbname) ],
		'<', \$session{in}, '>', \$session{out}, '2>', \$session{err},
		IPC::Run::timeout(60));
	$session{in} = "\\set VERBOSITY verbose\nSELECT 'pid ' || pg_backend_pid();\n$sql;\n"
	  . "SELECT 'alive';\n";
	$session{harness}->pump until $session{out} =~ /pid (\d+)\n/;
	($session{pid}) = $session{out} =~ /pid (\d+)\n/;
	AepTest::wait_for_activity($node, $session{pid}) unless $options{ends_by_itself};
	return \%session;
}

# Waits until the session has come through, or died; returns the time it took.
sub end_time
{
	my ($session) = @_;
	my $start = time;

	$session->{harness}->pump
	  while $session->{harness}->pumpable
	  && $session->{out} !~ /alive/
	  && $session->{err} !~ /current transaction is aborted/
	  && $session->{err} !~ /server closed the connection|connection to server was lost/;
	return time - $start;
}

sub finish
{
	my ($session) = @_;

	$session->{in} .= "\\q\n";
	$session->{harness}->finish;
	return;
}

sub socket_closed
{
	my ($pid) = @_;

	for (1 .. 50)
	{
		return 1 if AepTest::sockets_of($pid) == 0;
		sleep 0.1;
	}
	return 0;
}

my %hanging = (
	'before the answer' => 'fault:stall=before_headers',
	'in the headers' => 'fault:stall=mid_headers',
	'in the body' => 'fault:stall=mid_body',
	'in a slow drip' => 'fault:drip=0.2',
	'while sending' => 'fault:read_slow=1');

foreach my $phase (sort keys %hanging)
{
	my $size = $phase eq 'while sending' ? 20_000_000 : 1;
	my $call = "SELECT id FROM aep.create_base_connection(username => 'u', password => repeat('p', $size), "
	  . "name => '$hanging{$phase}')";

	my $session = start_session('postgres', $call);
	$node->safe_psql('postgres', "SELECT pg_cancel_backend($session->{pid})");
	my $took = end_time($session);
	like($session->{err}, qr/ERROR:  57014: canceling statement due to user request/,
		"cancel $phase");
	cmp_ok($took, '<', 20, "cancel $phase: promptly");
	ok(socket_closed($session->{pid}), "cancel $phase: the socket is closed");
	finish($session);
}

my $hang = "SELECT id FROM aep.create_base_connection(username => 'u', password => 'p', name => 'fault:stall=before_headers')";

my $session = start_session('postgres', "SET statement_timeout = '1s'; $hang", ends_by_itself => 1);
end_time($session);
like($session->{err}, qr/ERROR:  57014: canceling statement due to statement timeout/,
	'statement_timeout');
finish($session);

# The session goes on working, in and out of a transaction block.
$session = start_session('postgres',
	"BEGIN; SAVEPOINT s; $hang; ROLLBACK TO s; SELECT 'next ' || count(id) FROM aep.create_base_connection(username => 'u', password => 'p'); COMMIT"
);
$node->safe_psql('postgres', "SELECT pg_cancel_backend($session->{pid})");
end_time($session);
like($session->{out}, qr/next 1/, 'the next call in that session works');
finish($session);

# A cancel in a transaction block closes the socket before ROLLBACK comes, also
# when PL/pgSQL called us as a simple expression.
$session = start_session('postgres',
	"BEGIN; DO \$\$ DECLARE r record; BEGIN r := aep.create_base_connection(username => 'u', password => 'p', name => 'fault:stall=before_headers'); END \$\$"
);
$node->safe_psql('postgres', "SELECT pg_cancel_backend($session->{pid})");
end_time($session);
ok(socket_closed($session->{pid}), 'the socket is closed in a failed transaction block');
finish($session);

$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION hang() RETURNS text LANGUAGE plpgsql AS $$
DECLARE r record;
BEGIN
    r := aep.create_base_connection(username => 'u', password => 'p', name => 'fault:stall=before_headers');
    RETURN r.id;
END $$;
SQL
$session = start_session('postgres', "BEGIN; SELECT hang()");
$node->safe_psql('postgres', "SELECT pg_cancel_backend($session->{pid})");
end_time($session);
ok(socket_closed($session->{pid}), 'the same in a function');
finish($session);

# pg_terminate_backend
$session = start_session('postgres', $hang);
$node->safe_psql('postgres', "SELECT pg_terminate_backend($session->{pid})");
my $took = end_time($session);
like($session->{err}, qr/FATAL:  57P01:/, 'terminate');
cmp_ok($took, '<', 20, 'terminate: promptly');
$session->{harness}->finish;

# A hanging call does not hold up DROP DATABASE of another database, nor others.
$node->safe_psql('postgres', 'CREATE DATABASE other');
$session = start_session('postgres', $hang);
my $start = time;
$node->safe_psql('postgres', 'DROP DATABASE other');
cmp_ok(time - $start, '<', 20, 'DROP DATABASE is not held up');
is($node->safe_psql('postgres', "SELECT count(id) FROM aep.create_base_connection(username => 'u', password => 'p')"),
	1, 'nor are other sessions');

# Shutdown does not wait for it either.
$start = time;
$node->stop('fast');
cmp_ok(time - $start, '<', 20, 'a fast shutdown is not held up');
$session->{harness}->finish;

done_testing();
