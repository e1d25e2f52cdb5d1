
=head1 NAME

Relay - stands between the database and the fake: holds up what comes, passes it
on, or is gone

=head1 SYNOPSIS

  use Relay;

  my $relay = Relay->new($fake);
  AepTest::create_server($node, $fake, base_url => $relay->url($fake->url));
  $relay->hold;       # who connects waits
  $relay->pass_on;    # and reaches the fake
  $relay->cut_off;    # and is refused

=head1 DESCRIPTION

A relay is cut off with the object, or with the test.

=cut

package Relay;

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use POSIX ();
use PostgreSQL::Test::Cluster;
use Scalar::Util qw(weaken);

my @all;

END
{
	local $?;
	$_->cut_off foreach (grep { defined } @all);
}

=pod

=head1 METHODS

=over

=item Relay->new(fake)

One that is cut off.

=cut

sub new
{
	my ($class, $fake) = @_;
	my ($to) = $fake->url =~ /:(\d+)/;
	my $self = bless { to => $to, port => PostgreSQL::Test::Cluster::get_free_port() }, $class;

	push @all, $self;
	weaken($all[-1]);
	return $self;
}

=item $relay->url(url)

An address of the fake, such that it leads through the relay.

=cut

sub url
{
	my ($self, $url) = @_;

	return $url =~ s{^(https://)[^/]+}{$1localhost:$self->{port}}r;
}

=item $relay->hold

Takes connections, but not a byte of them.

=cut

sub hold
{
	my ($self) = @_;

	$self->{listener} = IO::Socket::INET->new(
		LocalAddr => '127.0.0.1',
		LocalPort => $self->{port},
		Listen => 16,
		ReuseAddr => 1) or die "cannot listen: $!";
	return;
}

=item $relay->pass_on

Passes on what came and what comes, in a process of its own.

=cut

sub pass_on
{
	my ($self) = @_;

	$self->hold unless $self->{listener};
	$self->{pid} = fork() // die "fork: $!";
	if ($self->{pid} == 0)
	{
		# the pipes to the sessions are not for it
		POSIX::close($_) foreach (grep { $_ != fileno($self->{listener}) } (3 .. 1000));
		_serve($self->{listener}, $self->{to});
		POSIX::_exit(0);
	}
	(delete $self->{listener})->close;
	return;
}

sub _serve
{
	my ($listener, $to) = @_;
	my $select = IO::Select->new($listener);
	my %other;

	while (my @ready = $select->can_read(600))
	{
		foreach my $socket (@ready)
		{
			if ($socket == $listener)
			{
				my $client = $listener->accept or next;
				my $service = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $to)
				  or next;
				@other{ $client, $service } = ($service, $client);
				$select->add($client, $service);
			}
			elsif (sysread($socket, my $bytes, 65536))
			{
				syswrite($other{$socket}, $bytes);
			}
			else
			{
				$select->remove($socket, $other{$socket});
				$_->close foreach ($other{$socket}, $socket);
			}
		}
	}
	return;
}

=item $relay->cut_off

Ends what goes through it, and takes no more.

=back

=cut

sub cut_off
{
	my ($self) = @_;

	if (my $listener = delete $self->{listener})
	{
		$listener->close;
	}
	if (my $pid = delete $self->{pid})
	{
		kill 'KILL', $pid;
		waitpid($pid, 0);
	}
	return;
}

sub DESTROY
{
	my ($self) = @_;

	local ($?, $!);
	$self->cut_off;
	return;
}

1;
