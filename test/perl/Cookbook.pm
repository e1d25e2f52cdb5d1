
=head1 NAME

Cookbook - runs the scripts of doc/cookbook

=head1 SYNOPSIS

  use Cookbook;

  use_cookbook($node, $fake);
  my $run = run_script('setup.sql', 'shop', '-v', 'replace_credentials=true');
  succeeds('setup', $run);

=cut

package Cookbook;

use strict;
use warnings;

use Exporter qw(import);
use File::Basename qw(dirname);
use IPC::Run;
use Test::More;

our @EXPORT = qw(use_cookbook cookbook run_script succeeds stops);

my ($node, $fake);

=pod

=head1 FUNCTIONS

=over

=item use_cookbook(node, fake)

From now on scripts run in this cluster, and what matters is what this fake gets.

=item cookbook()

The folder of the scripts.

=cut

sub use_cookbook
{
	($node, $fake) = @_;
	return;
}

sub cookbook { return dirname(__FILE__) . '/../../doc/cookbook' }

=item run_script(script, dbname, arguments of psql...)

Runs a script as its first comment says, by its name in the cookbook or by its path;
returns { status, out, err, and the kinds of the requests that the service got }.

=cut

sub run_script
{
	my ($script, $dbname, @arguments) = @_;
	my $before = $fake->requests;
	my %run = (out => '', err => '');

	$script = cookbook() . "/$script" unless $script =~ m{^/};
	IPC::Run::run(
		[ 'psql', '-X', '-At', @arguments, '-f', $script, $node->connstr($dbname) ],
		'>', \$run{out}, '2>', \$run{err});
	$run{status} = $? >> 8;
	$run{kinds} = [ map { $_->{kind} } $fake->requests($before) ];
	return \%run;
}

=item succeeds(what, run), stops(what, run, error)

Tests that a run succeeded; or that it stopped with status 3 and this on standard error.

=cut

sub succeeds
{
	my ($what, $run) = @_;

	is($run->{status}, 0, "$what: succeeds") or diag $run->{err};
	return;
}

sub stops
{
	my ($what, $run, $error) = @_;

	is($run->{status}, 3, "$what: stops");
	like($run->{err}, $error, "$what: says why");
	return;
}

=pod

=back

=cut

1;
