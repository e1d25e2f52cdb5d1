# What a call may have created when its outcome is unknown is named, too: to the
# client, or at least in the log.
use strict;
use warnings;

use AepTest;
use Rollback;
use Test::More;
use Time::HiRes qw(sleep);

my ($node, $fake) = Rollback::start("client_connection_check_interval = '100ms'");
create_server('full_backlog', base_url => $fake->url('full_backlog'));
my %ims = (token_url => $fake->url('ims'), access_token => undef);
create_server('no_token', %ims, client_secret => 'fault:stall=before_headers');
create_server('no_second_token', %ims, client_secret => 'fault:after=1,stall=before_headers');

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
	my $shown = $session->{err};
	like($shown, qr/ERROR:  57014:/, "cancel $what: the error");
	is_deeply([ warnings_shown($shown) ], \@expected, "cancel $what: the warnings")
	  or diag $shown;
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
	SELECT id FROM aep.create_base_connection(username => 'u', password => 'secret-1', name => 'a'); ROLLBACK;},
	sub { lost($rollback, @_) });
my $shown = warns(
	'a secret in the context',
	q{SET log_min_error_statement = debug5;
	CREATE FUNCTION make_with(password text) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
	    PERFORM id FROM aep.create_base_connection(username => 'u', password => password, name => 'a');
	    PERFORM 1/0;
	EXCEPTION WHEN division_by_zero THEN
	    NULL;
	END $$;
	DO $$ BEGIN PERFORM make_with('secret-2'); END $$},
	sub { lost($to_savepoint, @_) });
unlike($shown, qr/secret-2/, 'it is not shown');
is(times_logged(qr/secret-\d/), 0, 'nor is either in the log');

done_testing();
