
=head1 NAME

AepTest - what the TAP tests of aep share

=head1 SYNOPSIS

  use AepTest;

  my $fake = AepTest::start_fake();
  my $node = AepTest::start_node('main');
  AepTest::create_server($node, $fake, username => 'acme', password => 'xxxx');

=cut

package AepTest;

use strict;
use warnings;

use File::Basename qw(dirname);
use FlowService;
use IO::Socket::INET;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

# By default a signal ends Perl without its END blocks, which stop the servers.
$SIG{INT} = $SIG{TERM} = sub { die "cut off by a signal\n" };

our $ORG = '5C1328435BF324E90A49402A@AdobeOrg';

my $fakes = 0;

=pod

=head1 FUNCTIONS

=over

=item start_fake(args...)

A fake Flow Service in a folder of its own; the arguments are its options.

=cut

sub start_fake
{
	my $dir = PostgreSQL::Test::Utils::tempdir() . '/fake' . $fakes++;

	return FlowService->new(dir => $dir, args => [@_]);
}

=item start_node(name, lines of postgresql.conf...)

A running cluster, with the extension in the database postgres, and a login "u"
that nothing is wrong with.

=cut

sub start_node
{
	my ($name, @conf) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init;
	$node->append_conf('postgresql.conf', "$_\n") foreach (@conf);
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION aep; CREATE ROLE u LOGIN');
	return $node;
}

=item start_login_node(name, lines of postgresql.conf...)

The same as start_node, but one that also listens on 127.0.0.1, where a login
needs its password.

=cut

sub start_login_node
{
	my ($name, @conf) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init;
	$node->append_conf('postgresql.conf', "$_\n")
	  foreach ("listen_addresses = '127.0.0.1'", @conf);
	unlink($node->data_dir . '/pg_hba.conf');
	$node->append_conf('pg_hba.conf',
		"local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n");
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION aep; CREATE ROLE u LOGIN');
	return $node;
}

=item login(node, user, password, sql, dbname)

Logs in over TCP as Experience Platform would, runs SQL, and leaves again;
returns { out, err }.  One psql serves them all, as long as it gets in; between
them it is a superuser in the database postgres.

=cut

my %visitors;

sub login
{
	my ($node, $user, $password, $sql, $dbname) = @_;
	my $visitor = delete $visitors{$node} // open_session($node);

	# \connect itself could not take every name
	begin_sql($visitor,
			'\setenv PGUSER ' . _quoted($user) . "\n"
		  . '\setenv PGPASSWORD ' . _quoted($password) . "\n"
		  . '\setenv PGDATABASE ' . _quoted($dbname // 'postgres') . "\n"
		  . "\\connect -reuse-previous=off 'host=127.0.0.1 port=" . $node->port . "'\n"
		  . ($sql // 'SELECT 1'));
	# psql ends if it does not get in
	$visitor->{harness}->pump
	  while $visitor->{harness}->pumpable && $visitor->{err} !~ /^the end\n/m;
	if ($visitor->{err} !~ /^the end\n/m)
	{
		$visitor->{harness}->finish;
		return { out => '', err => $visitor->{err} };
	}
	my $result = { out => end_sql($visitor), err => $visitor->{err} };
	run_sql($visitor,
			"\\setenv PGUSER\n\\setenv PGPASSWORD\n\\setenv PGDATABASE\n"
		  . '\connect -reuse-previous=off ' . _quoted($node->connstr('postgres')) . "\n");
	$visitors{$node} = $visitor;
	return $result;
}

# an argument of a backslash command
sub _quoted
{
	my ($text) = @_;

	$text =~ s/\\/\\\\/g;
	$text =~ s/'/''/g;
	return "'$text'";
}

=item create_server(node, fake, option => value...)

The server "aep" and a user mapping for the superuser, leading to the fake.
An option goes where it belongs; undef leaves a default out.  "server" and
"dbname" name another server and database.  The login is made if it is missing.

=cut

my %mapping_options =
  map { $_ => 1 } qw(api_key access_token client_secret scopes username password);

sub create_server
{
	my ($node, $fake, %given) = @_;
	my $server = delete $given{server} // 'aep';
	my $dbname = delete $given{dbname} // 'postgres';
	my %options = (
		org_id => $ORG,
		base_url => $fake->url,
		ca_file => $fake->ca_file,
		advertised_host => 'db1.example.com',
		api_key => 'demo-api-key',
		access_token => 'demo-access-token',
		%given);
	my (@server, @mapping);

	foreach my $name (sort keys %options)
	{
		next unless defined $options{$name};
		my $option = "$name " . literal($options{$name});
		if ($mapping_options{$name}) { push @mapping, $option; }
		else { push @server, $option; }
	}
	my $login = literal($options{username} // 'u');
	$node->safe_psql($dbname,
		"SELECT format('CREATE ROLE %I LOGIN', $login) WHERE to_regrole(quote_ident($login)) IS NULL \\gexec");
	$node->safe_psql($dbname,
			"CREATE SERVER $server FOREIGN DATA WRAPPER aep OPTIONS ("
		  . join(', ', @server) . ");\n"
		  . "CREATE USER MAPPING FOR CURRENT_USER SERVER $server OPTIONS ("
		  . join(', ', @mapping)
		  . ")");
	return;
}

=item create_database(node, encoding)

A database named after its encoding, with the extension; returns its name.

=cut

sub create_database
{
	my ($node, $encoding) = @_;
	my $dbname = lc $encoding;

	$node->safe_psql('postgres',
		"CREATE DATABASE $dbname TEMPLATE template0 ENCODING '$encoding' LC_COLLATE 'C' LC_CTYPE 'C'"
	);
	$node->safe_psql($dbname, 'CREATE EXTENSION aep');
	return $dbname;
}

=item literal(text)

A string as an SQL literal.

=cut

sub literal
{
	my ($text) = @_;

	$text =~ s/'/''/g;
	$text =~ s/\\/\\\\/g;
	return "E'$text'";
}

=item catalogs()

A query for all that the catalogs say of the extension's objects, a line for
each.

=cut

sub catalogs
{
	return slurp_file(dirname(__FILE__) . '/../catalogs.sql');
}

=item failing(node, sql, option => value...)

Runs SQL that fails; returns psql's error text, with SQLSTATE and CONTEXT.

=cut

sub failing
{
	my ($node, $sql, %options) = @_;
	my ($stdout, $stderr);
	my $status = $node->psql(
		$options{dbname} // 'postgres',
		"\\set VERBOSITY verbose\n\\set SHOW_CONTEXT always\n$sql",
		stdout => \$stdout,
		stderr => \$stderr,
		on_error_stop => 1);

	isnt($status, 0, "fails: $sql") unless $options{quiet};
	return $stderr;
}

=item open_session(node, dbname, connstr)

A psql that stays, and goes on after errors; its reports hold the SQLSTATE.
The connection string, if there is one, is used instead of the node's.

=cut

sub open_session
{
	my ($node, $dbname, $connstr) = @_;
	my %session = (in => "\\set VERBOSITY verbose\n", out => '', err => '');

	$session{harness} = IPC::Run::start(
		[ 'psql', '-XAtq', '-d', $connstr // $node->connstr($dbname // 'postgres') ],
		'<', \$session{in}, '>', \$session{out}, '2>', \$session{err},
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	return \%session;
}

=item begin_sql(session, sql), end_sql(session), run_sql(session, sql)

Runs SQL without waiting for it; waits for its end and returns its output,
while $session->{err} has the errors and notices; or both.

=cut

sub begin_sql
{
	my ($session, $sql) = @_;

	$session->{out} = $session->{err} = '';
	$session->{in} .= "$sql;\n\\echo the end\n\\warn the end\n";
	$session->{harness}->pump_nb;
	return;
}

sub end_sql
{
	my ($session) = @_;

	foreach my $stream (\$session->{out}, \$session->{err})
	{
		$session->{harness}->pump until $$stream =~ /^the end\n/m;
		$$stream =~ s/^the end\n//m;
	}
	chomp(my $output = $session->{out});
	return $output;
}

sub run_sql
{
	my ($session, $sql) = @_;

	begin_sql($session, $sql);
	return end_sql($session);
}

=item watch_sql(session, fake, sql)

The same, with what the fake got meanwhile: { out, err, took, requests }.

=cut

sub watch_sql
{
	my ($session, $fake, $sql) = @_;
	my $before = $fake->requests;
	my $start = time;
	my $out = run_sql($session, $sql);

	return {
		out => $out,
		err => $session->{err},
		took => time - $start,
		requests => [ $fake->requests($before) ] };
}

=item close_session(session)

=cut

sub close_session
{
	my ($session) = @_;

	$session->{in} .= "\\q\n";
	$session->{harness}->finish;
	return;
}

=item wait_for_activity(node, pid)

Waits until the backend sleeps in a call of ours.

=cut

sub wait_for_activity
{
	my ($node, $pid) = @_;

	$node->poll_query_until('postgres',
		"SELECT wait_event_type = 'Extension' FROM pg_stat_activity WHERE pid = $pid")
	  or die "backend $pid never waited";
	return;
}

=item sockets_of(pid)

How many TCP sockets a process holds.

=cut

sub sockets_of
{
	my ($pid) = @_;
	my %tcp;
	my $count = 0;

	foreach my $file ("/proc/$pid/net/tcp", "/proc/$pid/net/tcp6")
	{
		open(my $table, '<', $file) or next;
		while (my $line = <$table>)
		{
			my @field = split ' ', $line;
			$tcp{ $field[9] } = 1 if defined $field[9];
		}
		close $table;
	}
	foreach my $fd (glob "/proc/$pid/fd/*")
	{
		my $target = readlink($fd) // '';
		$count++ if $target =~ /^socket:\[(\d+)\]$/ && $tcp{$1};
	}
	return $count;
}

=item descriptors_of(pid), kilobytes_of(pid, field)

How many files a process has open, beside those of the database; a number of kB
in its /proc/PID/status, such as RssAnon or VmHWM.

=cut

sub descriptors_of
{
	my ($pid) = @_;

	return scalar(grep { (readlink($_) // '') !~ m{/pgdata/} } glob "/proc/$pid/fd/*");
}

sub kilobytes_of
{
	my ($pid, $field) = @_;

	return slurp_file("/proc/$pid/status") =~ /^$field:\s+(\d+) kB$/m ? $1 : die "no $field";
}

=item peak_of(pid, call)

How much more memory than before a process had in use at once while the function
ran, in kB.

=cut

sub peak_of
{
	my ($pid, $call) = @_;

	append_to_file("/proc/$pid/clear_refs", '5');    # VmHWM starts anew
	my $before = kilobytes_of($pid, 'VmHWM');
	$call->();
	return kilobytes_of($pid, 'VmHWM') - $before;
}

=item is_running(pid)

Whether a process exists, and is not a zombie.

=cut

sub is_running
{
	my ($pid) = @_;

	open(my $stat, '<', "/proc/$pid/stat") or return 0;
	my $line = <$stat> // '';
	return $line =~ /\) [^ZX] /;
}

=item wait_until(condition, seconds)

Waits until the function returns true, at most so long (default: 30); returns
what it returned last.  Looks again after a few milliseconds.

=cut

sub wait_until
{
	my ($condition, $seconds) = @_;
	my $end = time + ($seconds // 30);
	my $result;

	until ($result = $condition->())
	{
		last if time > $end;
		sleep 0.003;
	}
	return $result;
}

=pod

=back

=cut

1;
