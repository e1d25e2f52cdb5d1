
=head1 NAME

Rollback - what a rollback leaves behind, and what is said of it

=head1 SYNOPSIS

  use Rollback;

  my ($node, $fake) = Rollback::start();
  warns('rollback', "BEGIN; @{[create('a')]} ROLLBACK", sub { lost($rollback, @_) });

=cut

package Rollback;

use strict;
use warnings;

use AepTest;
use Encode qw(decode encode);
use Exporter qw(import);
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw($rollback $to_savepoint create_server create objects warnings_shown warns lost
  unknown times_logged logged_as_unknown);

# what the warnings call them
our $rollback = 'this rollback';
our $to_savepoint = 'this rollback to a savepoint';

my ($node, $fake);

# psql's report of warnings, errors and so on, the last one
my $report;

=pod

=head1 FUNCTIONS

=over

=item start(lines of postgresql.conf...)

A cluster, and a fake that the server "aep" leads to.

=cut

sub start
{
	$fake = AepTest::start_fake();
	$node = AepTest::start_node('main', 'log_statement = none', @_);
	create_server('aep');
	return ($node, $fake);
}

=item create_server(name, option => value...)

Another server, named after what is special about it.

=cut

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

=item create(name, server)

The statement that creates an object.

=cut

sub create
{
	my ($name, $server) = @_;

	return 'SELECT id FROM aep.create_base_connection(name => '
	  . AepTest::literal($name)
	  . ', server => '
	  . AepTest::literal($server // 'aep') . ');';
}

=item objects(n)

The objects that the fake got a request for after the first n requests.

=cut

sub objects
{
	my ($before) = @_;

	return map { { id => $_->{created}, name => $_->{name}, server => 'aep' } }
	  grep { $_->{kind} eq 'POST' } $fake->requests($before);
}

=item warnings_shown(text)

The warnings in psql's report; default: the last one that warns() got.

=cut

sub warnings_shown
{
	my ($text) = @_;

	return grep { $_->{severity} eq 'WARNING' } _reports($text // $report);
}

sub _reports
{
	my ($shown) = @_;
	my @reports;

	foreach my $text (split /^(?:psql:\S+ )?(?=[A-Z]+:  \w{5}: )/m, $shown)
	{
		my ($severity, $message) = $text =~ /^([A-Z]+):  \w{5}: (.*)/ or next;
		my ($detail) = $text =~ /^DETAIL:  (.*)/m;
		my ($hint) = $text =~ /^HINT:  (.*)/m;

		push @reports,
		  { severity => $severity, message => $message, detail => $detail, hint => $hint };
	}
	return @reports;
}

=item warns(what, sql, expected, option => value...)

Runs SQL.  Its warnings must be what the function returns, given the objects;
errors must match "error", or not be there.  Returns psql's report.

=cut

sub warns
{
	my ($what, $sql, $expected, %options) = @_;
	my $before = $fake->requests;

	$node->psql(
		$options{dbname} // 'postgres',
		encode('UTF-8', "\\set VERBOSITY verbose\n\\set SHOW_CONTEXT always\n$sql"),
		stderr => \$report,
		on_error_stop => 0);
	$report = decode('UTF-8', $report);
	if ($options{error}) { like($report, $options{error}, "$what: the error"); }
	else { unlike($report, qr/ERROR/, "$what: no error"); }
	is_deeply([ warnings_shown() ], [ $expected->(objects($before)) ], "$what: the warnings")
	  or diag $report;
	return $report;
}

=item lost(by, objects...)

The warning about these objects; one without id has an unknown outcome.

=cut

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

=item unknown(name)

An object with an unknown outcome.

=cut

sub unknown
{
	my ($name) = @_;

	return { name => $name };
}

=item times_logged(regexp)

How often a regular expression fits the server log.

=cut

sub times_logged
{
	my ($regexp) = @_;

	return scalar(() = slurp_file($node->logfile) =~ /$regexp/g);
}

=item logged_as_unknown(name)

Tests that an object whose outcome is unknown is in the log under its name,
once.

=cut

sub logged_as_unknown
{
	my ($name) = @_;

	is(times_logged(qr/LOG:  outcome unknown: create base connection "\Q$name\E" on server "aep"/),
		1, "$name: in the log");
	return;
}

=pod

=back

=cut

1;
