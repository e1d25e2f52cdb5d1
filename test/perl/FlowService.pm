
=head1 NAME

FlowService - runs the fake Flow Service (test/flow_service.py) for a test

=head1 SYNOPSIS

  use FlowService;

  my $fake = FlowService->new(dir => $dir, args => ['--record-secrets']);
  my $url = $fake->url;
  my @requests = $fake->requests;

=head1 DESCRIPTION

The server ends with the object, with the test, or with the process that made
it, whichever ends first.  PYTHON names another interpreter than python3.

=cut

package FlowService;

use strict;
use warnings;

use Cwd qw(abs_path);
use Fcntl qw(:flock);
use File::Basename qw(dirname);
# Loaded for its END block, which removes the folders of tests: END blocks run
# in reverse order, so ours comes first.
use File::Temp ();
use JSON::PP;
use Scalar::Util qw(weaken);

my $program = abs_path(dirname(__FILE__) . '/../flow_service.py');
my @all;

END
{
	local $?;
	$_->stop foreach (grep { defined $_ && $_->{owner} == $$ } @all);
}

=pod

=head1 METHODS

=over

=item FlowService->new(dir => folder, args => [options of flow_service.py])

=cut

sub new
{
	my ($class, %given) = @_;
	my $self = bless { dir => $given{dir}, owner => $$ }, $class;

	$self->_run('start', '--parent-pid', $$, @{ $given{args} // [] });
	$self->{ready} = decode_json(_slurp("$self->{dir}/ready.json"));
	push @all, $self;
	weaken($all[-1]);
	return $self;
}

=item $fake->url(kind)

One of the addresses in ready.json; default: https.

=cut

sub url
{
	my ($self, $kind) = @_;

	$kind //= 'https';
	return $self->{ready}{$kind} // die "the fake has no address \"$kind\"";
}

=item $fake->ca_file, $fake->dir

=cut

sub ca_file
{
	my ($self) = @_;

	return $self->{ready}{ca_file};
}

sub dir
{
	my ($self) = @_;

	return $self->{dir};
}

=item $fake->requests(n)

What requests.jsonl holds after the first n lines (default: all of it), decoded;
in scalar context their number.

=cut

sub requests
{
	my ($self, $skipped) = @_;

	# Only what came since the last time is read, and a line that is not
	# complete yet is left for the next time.
	open(my $file, '<:raw', "$self->{dir}/requests.jsonl") or die "requests.jsonl: $!";
	seek($file, $self->{position} // 0, 0);
	while (my $line = <$file>)
	{
		last unless $line =~ /\n\z/;
		push @{ $self->{lines} }, $line;
		$self->{position} = tell($file);
	}
	close $file;
	my @lines = @{ $self->{lines} // [] };
	splice(@lines, 0, $skipped // 0);

	# decoded each time: a test may change what it gets
	return wantarray ? map { decode_json($_) } @lines : scalar(@lines);
}

=item $fake->requests_named(name), $fake->requests_of_kind(kind)

Those with exactly this name, or of this kind (POST, GET, LIST, TOKEN...).

=cut

sub requests_named
{
	my ($self, $name) = @_;
	my @found = grep { defined $_->{name} && $_->{name} eq $name } $self->requests;

	return @found;
}

sub requests_of_kind
{
	my ($self, $kind) = @_;
	my @found = grep { $_->{kind} eq $kind } $self->requests;

	return @found;
}

=item $fake->connections

The connections that exist now: a list of { id, name, sandbox }.

=cut

sub connections
{
	my ($self) = @_;

	return @{ decode_json($self->_run('connections', '--json')) };
}

=item $fake->stop

=back

=cut

sub stop
{
	my ($self) = @_;

	return if !$self->{ready} || $self->{stopped}++;
	kill 'TERM', $self->{ready}{pid};

	# The server holds a lock on this file to its last breath.
	open(my $lock, '<', "$self->{dir}/lock") or return;
	flock($lock, LOCK_EX);
	close $lock;
	return;
}

sub DESTROY
{
	my ($self) = @_;

	# a forked child has a copy of the object, but not the server
	return if $$ != $self->{owner};
	local ($?, $!);
	$self->stop;
	return;
}

# Runs a command of flow_service.py; returns what it prints.
sub _run
{
	my ($self, $command, @args) = @_;
	my @command =
	  ($ENV{PYTHON} // 'python3', $program, $command, '--dir', $self->{dir}, @args);

	open(my $pipe, '-|:raw', @command) or die "cannot run @command: $!";
	my $output = do { local $/; <$pipe> };
	close $pipe or die "@command failed";
	return $output;
}

sub _slurp
{
	my ($path) = @_;

	open(my $file, '<:raw', $path) or die "$path: $!";
	my $text = do { local $/; <$file> };
	close $file;
	return $text;
}

1;
