
=head1 NAME

Findings - what aep.check_ingest_role() finds, and whether its remedies mend it

=head1 SYNOPSIS

  use Findings;
  use IngestRole;

  my ($node, $fake, $session) = Findings::start();
  my $id = create("'reader', schemas => '{shop}'");
  finds_nothing($id, 'at first');
  set_hba();
  finds($id, qr/^pg_hba\.conf has no line/, qr/scram-sha-256$/, 'pg_hba.conf');

=cut

package Findings;

use strict;
use warnings;

use Calls qw(query);
use Exporter qw(import);
use IngestRole;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(findings finds finds_nothing finds_and_mends finds_in_hba set_hba turn_ssl_on);

my $node;
my $hba;
my @hba_lines;

=pod

=head1 FUNCTIONS

=over

=item start()

The cluster of IngestRole::start(), where nothing is to be found of an ingest
role: every login gets in from outside with its password.

=cut

sub start
{
	# nobody has the second address: there is something to listen on from outside
	my @started = IngestRole::start(conf => ["listen_addresses = '127.0.0.1,192.0.2.1'"]);

	$node = $started[0];
	$hba = slurp_file($node->data_dir . '/pg_hba.conf');
	set_hba('host all all 0.0.0.0/0 scram-sha-256');
	return @started;
}

=item set_hba(lines of pg_hba.conf...)

Lets logins in that way, and those of this machine as before.  Returns the number
of the first of these lines in the file.

=cut

sub set_hba
{
	my (@lines) = @_;

	@hba_lines = @lines;
	unlink($node->data_dir . '/pg_hba.conf');
	$node->append_conf('pg_hba.conf', $hba . join('', map { "$_\n" } @lines));
	my $loaded = query("SELECT pg_conf_load_time()");
	query('SELECT pg_reload_conf()');
	$node->poll_query_until('postgres', "SELECT pg_conf_load_time() > '$loaded'")
	  or die 'not reloaded';
	return 1 + (() = $hba =~ /\n/g);
}

=item turn_ssl_on()

From the next session on the server offers SSL.

=cut

sub turn_ssl_on
{
	my $data = $node->data_dir;

	run_command(
		[   'openssl',  'req',              '-x509', '-newkey',
			'rsa:2048', '-nodes',           '-subj', '/CN=localhost',
			'-keyout',  "$data/server.key", '-out',  "$data/server.crt",
			'-days',    '2',                '-batch' ]);
	query('ALTER SYSTEM SET ssl = on');
	return;
}

=item findings(id, session)

What is found of a connection: a list of [ finding, remedy ].  More than one
thing can be wrong.

=cut

sub findings
{
	my ($of, $where) = @_;
	my $result = run("SELECT finding, remedy FROM aep.check_ingest_role('$of')", $where);

	is($result->{err}, '', 'aep.check_ingest_role has no error') if $result->{err} ne '';
	return map { [ split /\|/, $_, 2 ] } split /\n/, $result->{out};
}

=item finds(id, finding, remedy, what, session)

Tests that only this is found; returns the remedy.

=cut

sub finds
{
	my ($of, $finding, $remedy, $what, $where) = @_;
	my @found = findings($of, $where);

	is(scalar(@found), 1, "$what: one finding") or diag(explain(\@found));
	like($found[0][0] // '', $finding, "$what: the finding");
	like($found[0][1] // '', $remedy, "$what: the remedy");
	return $found[0][1];
}

=item finds_nothing(id, what)

=cut

sub finds_nothing
{
	my ($of, $what) = @_;

	is_deeply([ findings($of) ], [], "$what: nothing is found any more");
	return;
}

=item finds_and_mends(id, finding, remedy, what)

The same as finds(), and the remedy mends it.

=cut

sub finds_and_mends
{
	my ($of, $finding, $remedy, $what) = @_;
	my $statement = finds($of, $finding, $remedy, $what);

	is(run($statement)->{err}, '', "$what: the remedy can be executed");
	finds_nothing($of, $what);
	return;
}

=item finds_in_hba(id, [findings], what, type => host, role => reader, before => number)

Tests that exactly this is found, and that each remedy is a line of this type, for
the logins of the role, at its place before the line of this number, or just
anywhere; which, once it has an address, mends all.  pg_hba.conf is as it was then.

=cut

sub finds_in_hba
{
	my ($of, $expected, $what, %proposed) = @_;
	my @found = findings($of);
	my @lines = @hba_lines;
	my $path = $node->data_dir . '/pg_hba.conf';
	my $page = 'https://experienceleague.adobe.com/en/docs/experience-platform/sources/ip-address-allow-list';
	my $line = "$proposed{type} postgres +$proposed{role} <address>/<bits> scram-sha-256";
	my $place = defined $proposed{before} ? "before line $proposed{before}, " : '';

	is_deeply([ map { $_->[0] } @found ], $expected, "$what: the findings");
	is_deeply(
		[ map { $_->[1] } @found ],
		[ ("$path: ${place}one line for each range of $page, then reload: $line") x @$expected ],
		"$what: the remedy");
	splice(
		@lines,
		defined $proposed{before} ? $proposed{before} - 1 - (() = $hba =~ /\n/g) : scalar(@lines),
		0, $line =~ s{<address>/<bits>}{203.0.113.0/24}r);
	set_hba(@lines);
	finds_nothing($of, "$what: followed");
	splice(@lines, (grep { $lines[$_] =~ /203\.0\.113\.0/ } 0 .. $#lines)[0], 1);
	set_hba(@lines);
	return;
}

=pod

=back

=cut

1;
