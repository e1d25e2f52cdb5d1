
=head1 NAME

Told - the database logins that Experience Platform was told, from the record of
the fake

=head1 SYNOPSIS

  use Told;

  my $fake = AepTest::start_fake('--record-secrets');
  my $login = Told::login($fake, $connection_id);
  AepTest::login($node, $login->{username}, $login->{password});

=cut

package Told;

use strict;
use warnings;

=pod

=head1 FUNCTIONS

=over

=item login(fake, id)

The one that it has for a connection: { username, password }, and all params but
those of a connection string.  That of the last request that was carried out;
undef if there is none.

=cut

sub login
{
	my ($fake, $id) = @_;
	my $told = $fake->{told_logins} //= { seen => 0, params => {} };

	# what was looked at before is not decoded again
	foreach my $request ($fake->requests($told->{seen}))
	{
		$told->{seen}++;
		my @params = _params_in($request) or next;
		my $whose = $request->{created};
		($whose) = $request->{path} =~ m{([^/]+)/?$}
		  if $request->{kind} ne 'POST' && _carried_out($request);
		$told->{params}{$whose} = $params[-1] if $whose;
	}

	my %params = %{ $told->{params}{$id} // return undef };
	return exists $params{connectionString} ? _login_of(\%params) : \%params;
}

=item passwords(fake)

The passwords of all logins that it was ever told, whatever became of the
requests, the last one last.

=cut

sub passwords
{
	my ($fake) = @_;
	my $told = $fake->{told_passwords} //= { seen => 0, passwords => [] };

	foreach my $request ($fake->requests($told->{seen}))
	{
		$told->{seen}++;
		push @{ $told->{passwords} }, map { _login_of($_)->{password} // () } _params_in($request);
	}
	return @{ $told->{passwords} };
}

# The parameters of a connection that a request has.
sub _params_in
{
	my ($request) = @_;

	return () unless ($request->{collection} // '') eq 'connections';
	return $request->{body}{auth}{params} // () if $request->{kind} eq 'POST';
	return () unless $request->{kind} =~ /^(?:PATCH|LATE)$/;
	return map {
		    $_->{path} eq '/auth/params' ? $_->{value}
		  : $_->{path} eq '/auth' ? $_->{value}{params}
		  : ()
	} @{ $request->{body} // [] };
}

# username and password of such parameters
sub _login_of
{
	my ($params) = @_;

	return $params unless exists $params->{connectionString};
	my %part = map { /^(\w+)=(.*)$/s ? (lc $1 => $2) : () } split /;/, $params->{connectionString};
	return { username => $part{uid}, password => $part{password} };
}

# Whether the fake did what the request asked for, whatever it answered.
sub _carried_out
{
	my ($request) = @_;

	# a stale etag is found before any fault
	return 0 if $request->{status} == 412;
	return 0 if $request->{fault} && $request->{name} =~ /\blate=/;
	return $1 if $request->{fault} && $request->{name} =~ /\bprocessed=([01])\b/;
	return $request->{status} < 300;
}

=pod

=back

=cut

1;
