
=head1 NAME

Calls - runs a test's SQL in one session, and says what the fake got meanwhile

=head1 SYNOPSIS

  use Calls qw(call_in run value fails);

  call_in(AepTest::open_session($node), $fake);
  my $id = value("SELECT id FROM aep.create_base_connection(name => 'a')");
  fails('no such server', '42704', "SELECT aep.connection('$id', 'none')", 0);

=cut

package Calls;

use strict;
use warnings;

use AepTest;
use Encode qw(decode encode);
use Exporter qw(import);
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT_OK = qw(call_in run query value json fails kinds create keeps_secret log_keeps_secret);

my ($session, $fake);

=pod

=head1 FUNCTIONS

=over

=item call_in(session, fake)

From now on SQL runs in this session of AepTest's, and what matters is what this
fake gets; default: the fake of before.

=cut

sub call_in
{
	my ($in, $of) = @_;

	$session = $in;
	$fake = $of if $of;
	return;
}

=item run(sql, session)

Runs SQL in that session, or else in the one of call_in(): { out, err, took,
requests }.  SQL is given and comes back as characters; psql speaks UTF-8.

=cut

sub run
{
	my ($sql, $where) = @_;
	my $result = AepTest::watch_sql($where // $session, $fake, encode('UTF-8', $sql));

	$result->{out} = decode('UTF-8', $result->{out});
	return $result;
}

=item query(sql), value(sql), json(sql)

What SQL returns.  query() dies if it fails; value() tests that it neither fails
nor says anything; json() decodes what value() returns.

=cut

sub query
{
	my ($sql) = @_;
	my $result = run($sql);

	die "$sql: $result->{err}" if $result->{err} =~ /ERROR/;
	return $result->{out};
}

sub value
{
	my ($sql) = @_;
	my $result = run($sql);

	is($result->{err}, '', encode('UTF-8', "no error: $sql"));
	return $result->{out};
}

sub json
{
	my ($sql) = @_;

	return decode_json(encode('UTF-8', value($sql)));
}

=item fails(what, sqlstate, sql, requests)

Tests that SQL fails that way, after so many requests if that is given; returns
psql's error text.

=cut

sub fails
{
	my ($what, $sqlstate, $sql, $requests) = @_;
	my $result = run($sql);

	like($result->{err}, qr/^ERROR:  $sqlstate:/m, encode('UTF-8', "$what: $sqlstate"));
	is(scalar(@{ $result->{requests} }),
		$requests, encode('UTF-8', "$what: $requests requests"))
	  if defined $requests;
	return $result->{err};
}

=item kinds(result)

The kinds of its requests, such as "GET PATCH".

=cut

sub kinds
{
	my ($result) = @_;

	return join(' ', map { $_->{kind} } @{ $result->{requests} });
}

=item create(name, more arguments as SQL)

Creates a base connection; returns its id.

=cut

sub create
{
	my ($name, $more) = @_;

	$more //= '';
	return value(
		'SELECT id FROM aep.create_base_connection(name => ' . AepTest::literal($name) . "$more)");
}

=item keeps_secret(node, secret, what => [ sqlstate, query ]...)

Tests of queries that hold a secret, and fail, that it is in no message, in no
context, and not in the log.

=cut

sub keeps_secret
{
	my ($node, $secret, %queries) = @_;

	foreach my $what (sort keys %queries)
	{
		my ($sqlstate, $sql) = @{ $queries{$what} };

		unlike(fails($what, $sqlstate, $sql), qr/$secret/, "$what: no secret in the message");
		unlike(
			fails(
				"$what in PL/pgSQL", $sqlstate,
				"DO \$\$ BEGIN PERFORM FROM ($sql) AS s; END \$\$"),
			qr/$secret/,
			"$what: nor in the context");
	}
	log_keeps_secret($node, $secret);
	return;
}

=item log_keeps_secret(node, secret)

Tests that the log has statements that fail, but not that secret.

=cut

sub log_keeps_secret
{
	my ($node, $secret) = @_;

	run("SELECT 'marked' FROM aep.connection(NULL)");
	my $log = slurp_file($node->logfile);
	like($log, qr/STATEMENT:  SELECT 'marked'/, 'the log has other statements that fail');
	unlike($log, qr/$secret/, 'but no secret');
	return;
}

=pod

=back

=cut

1;
