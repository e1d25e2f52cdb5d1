
=head1 NAME

Rotation - rotates the logins of ingest roles, and looks at what that leaves

=head1 SYNOPSIS

  use Calls qw(kinds);
  use IngestRole;
  use Rotation;

  my ($node, $fake, $session, $second) = Rotation::start();
  my $role = managed('reader', 'on=PATCH,status=400,times=1');
  like(run(rotation($role))->{err}, qr/^ERROR:  22023: /, 'refused');
  is(state($role), 'active a: Ab', 'the next login was made, and disabled again');
  told_works($role, 'a', 'refused');
  again($role, 'b', 'GET POST TEST DELETE PATCH TEST', 'refused');

=cut

package Rotation;

use strict;
use warnings;

use AepTest;
use Calls qw(call_in query kinds);
use Exporter qw(import);
use IngestRole;
use Test::More;
use Told;

our @EXPORT =
  qw(open_sessions close_sessions managed fail_trial rotation can_log_in told_works state again begin_until wait_for_lock);

my ($node, $fake, $first, $second);

=pod

=head1 FUNCTIONS

=over

=item start(lines of postgresql.conf...), start_logging_in(lines of postgresql.conf...)

The cluster of IngestRole::start(), whose server "aep" tries twice; "once" is one
that does not.  Returns what that returns, and the second of open_sessions().  In
the second, the fake really logs in when it tests a connection: to the port that
the connection has.

=cut

sub start
{
	return _start([], @_);
}

sub start_logging_in
{
	return _start([ '--log-in', '127.0.0.1' ], @_);
}

sub _start
{
	my ($fake_options, @conf) = @_;
	my $session;

	($node, $fake, $session) =
	  IngestRole::start(conf => \@conf, fake => $fake_options, max_attempts => 2);
	AepTest::create_server($node, $fake, server => 'once', max_attempts => 1);
	AepTest::close_session($session);
	return ($node, $fake, open_sessions());
}

=item open_sessions()

Two sessions that take turns: what one holds would be in the other's way.  The
first one is for the SQL of the test.

=cut

sub open_sessions
{
	($first, $second) = map { AepTest::open_session($node) } (1, 2);
	call_in($first);
	return ($first, $second);
}

=item close_sessions()

Closes them both.

=cut

sub close_sessions
{
	AepTest::close_session($_) foreach ($first, $second);
	return;
}

=item managed(role, fault, server, more arguments as SQL, session)

A new ingest role: { role, id, name, server, etag }.  A fault is of its
connection, and not of those that try a login: their name comes from the row.

=cut

sub managed
{
	my ($role, $fault, $server, $more, $where) = @_;
	$server //= 'aep';
	my $name = $fault ? "fault:$fault $role" : $role;
	my $result = run(
		"CALL aep.create_ingest_role('$role', '{shop}', name => '$name', server => '$server'"
		  . ($more // '') . ')',
		$where);
	my ($id, $etag) = $result->{out} =~ /^([0-9a-f-]{36})\|(.*)$/ or die "$role: $result->{err}";
	query("UPDATE aep.ingest_role SET connection_name = role_name WHERE role_name = '$role'") if $fault;

	return { role => $role, id => $id, name => $name, server => $server, etag => $etag };
}

=item fail_trial(role, fault)

From now on each connection that tries one of its logins has that fault; or none.

=cut

sub fail_trial
{
	my ($of, $fault) = @_;
	my $name = $fault ? "fault:$fault $of->{role}" : $of->{role};

	query("UPDATE aep.ingest_role SET connection_name = '$name' WHERE role_name = '$of->{role}'");
	return;
}

=item rotation(role)

The call that rotates its login.

=cut

sub rotation
{
	my ($of) = @_;

	return "CALL aep.rotate_credentials('$of->{id}', '$of->{server}')";
}

=item can_log_in(login, password)

Whether it can, and reads what it shall.

=cut

sub can_log_in
{
	my ($login, $password) = @_;

	return login($login, $password, 'SELECT id FROM shop.orders')->{out} eq '1';
}

=item told_works(role, letter, what)

Tests that the login that the platform was told is the one with this letter, if
that is given, and that it works.

=cut

sub told_works
{
	my ($of, $letter, $what) = @_;
	my $told = Told::login($fake, $of->{id});

	is($told->{username}, "$of->{role}_$letter", "$what: what the platform uses") if $letter;
	ok(can_log_in($told->{username}, $told->{password}), "$what: it can log in")
	  or diag("$told->{username}");
	return;
}

=item state(role)

Its step, and what the logins are: "active a: A" or "unknown a: aB", where those
in capitals may log in and have a password.

=cut

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

=item again(role, letter, kinds, what, warning)

Tests that the same call again, in the other session, ends well: with these kinds
of requests, and with this login as the only one that may log in.  It says nothing,
or gives that warning.

=cut

sub again
{
	my ($of, $letter, $kinds, $what, $warning) = @_;
	my $result = run(rotation($of), $second);

	like($result->{err}, $warning // qr/^$/, "$what: again: no error");
	like($result->{out}, qr/^$of->{role}_$letter\|".*"$/, "$what: again: its result");
	is(kinds($result), $kinds, "$what: again: its requests");
	told_works($of, $letter, "$what: again");
	like(
		state($of),
		qr/^active $letter: [a-z]*\U$letter\E[a-z]*$/,
		"$what: again: nothing else may log in");
	return;
}

=item begin_until(session, sql, kind, number)

Runs SQL without waiting for it, until so many requests of a kind came (default:
one); returns the last of them.

=cut

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

=item wait_for_lock(pid, what)

Tests that the backend comes to wait for a lock.

=cut

sub wait_for_lock
{
	my ($pid, $what) = @_;

	ok( AepTest::wait_until(
			sub { query("SELECT wait_event_type FROM pg_stat_activity WHERE pid = $pid") eq 'Lock' }
		),
		"$what: it waits");
	return;
}

=pod

=back

=cut

1;
