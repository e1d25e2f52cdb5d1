# The warning of a rollback: in every encoding, however long the names are, and
# however many the objects.
use strict;
use warnings;

use AepTest;
use Encode qw(encode);
use IO::Socket::INET;
use POSIX ();
use PostgreSQL::Test::Utils;
use Rollback;
use Test::More;
use Time::HiRes qw(time);

my ($node, $fake) = Rollback::start();
create_server('plain', base_url => $fake->url('http'));

# Encodings.
sub create_database
{
	my ($encoding) = @_;
	my $dbname = AepTest::create_database($node, $encoding);

	AepTest::create_server($node, $fake, dbname => $dbname, username => 'u', password => 'p');
	return $dbname;
}

my $utf8 = create_database('UTF8');
my $latin1 = create_database('LATIN1');
my $sql_ascii = create_database('SQL_ASCII');
my $name = "gr\x{fc}\x{df}e";
warns(
	'LATIN1 and a client with UTF8',
	"SET client_encoding = 'UTF8'; BEGIN; @{[create($name)]} ROLLBACK;",
	sub { lost($rollback, @_) },
	dbname => $latin1);
is(times_logged(qr/LOG:  created base connection "gr\xfc\xdfe" with id /),
	1, 'in the log it is LATIN1');

# A long name is clipped between two characters.
my $euros = 'a' . "\x{20ac}" x 100;
my $clipped = 'a' . "\x{20ac}" x 39 . '...';    # 118 bytes, not 120
warns(
	'a long name',
	"SET client_encoding = 'UTF8'; BEGIN; @{[create($euros)]} ROLLBACK;",
	sub { lost($rollback, { %{ $_[0] }, name => $clipped }) },
	dbname => $utf8);

# What cannot be shown to the client does no harm in the middle of an abort.
sub harmless
{
	my ($what, $dbname, $client_encoding, $sql) = @_;
	my $before = $fake->requests;
	my ($output, $shown);

	$node->psql(
		$dbname,
		encode('UTF-8',
			"\\set VERBOSITY verbose\nSET client_encoding = '$client_encoding'; $sql; SELECT 'alive'"),
		stdout => \$output,
		stderr => \$shown,
		on_error_stop => 0);
	my ($object) = objects($before);
	like($output, qr/alive$/, "$what: the session goes on");
	unlike($shown, qr/ERROR|while in ABORT state/, "$what: no error");
	like((warnings_shown($shown))[0]{detail}, qr/^$object->{id} \(base connection "/,
		"$what: the id is shown");
	return;
}

my $elephant = q{SELECT id FROM aep.create_base_connection(name => E'\u8c61')};
harmless('rollback, a name not in LATIN1', $utf8, 'LATIN1', "BEGIN; $elephant; ROLLBACK");
harmless('savepoint, a name not in LATIN1', $utf8, 'LATIN1',
	"BEGIN; SAVEPOINT a; $elephant; ROLLBACK TO a; COMMIT");
$elephant =~ s/SELECT/PERFORM/;
harmless('exception block, a name not in LATIN1', $utf8, 'LATIN1',
	"DO \$\$ BEGIN $elephant; PERFORM 1/0; EXCEPTION WHEN division_by_zero THEN NULL; END \$\$");
harmless('a long name in SQL_ASCII', $sql_ascii, 'UTF8', "BEGIN; @{[create($euros)]} ROLLBACK");

# 20 objects are shown in full, however long all names are.
my $quotes = "'" x 63;
create_server(qq{"$quotes"});
warns(
	'20 objects with long names',
	"SET client_encoding = 'UTF8'; BEGIN; @{[map { create('x' x 300, $quotes) } 1..20]} ROLLBACK",
	sub {
		my @shown = map { { %$_, name => 'x' x 120 . '...', server => $quotes x 2 } } @_;
		return lost($rollback, @shown);
	});

# Objects of a service that answers every POST, below paths of any length; their ids.
create_server('elsewhere');
my @children;

sub elsewhere
{
	my ($count) = @_;
	my @ids = map { sprintf '%08x-1111-4222-8333-444444444444', $_ } 1 .. $count;
	my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0, Listen => 50)
	  or die "socket: $!";
	my $pid = fork // die "fork: $!";

	if ($pid == 0)
	{
		foreach my $id (@ids)
		{
			my $client = $listener->accept or POSIX::_exit(1);
			my $request = '';

			sysread($client, $request, 65536, length $request) or last
			  while $request !~ /\r\n\r\n\{\}/;
			syswrite($client,
				"HTTP/1.1 201 Created\r\nContent-Length: 45\r\nConnection: close\r\n\r\n"
				  . qq({"id":"$id"}));
			close $client;
		}
		POSIX::_exit(0);
	}
	push @children, $pid;
	$node->safe_psql('postgres',
		"ALTER SERVER elsewhere OPTIONS (SET base_url 'http://127.0.0.1:" . $listener->sockport . "')");
	return @ids;
}

sub post_elsewhere
{
	my ($path) = @_;

	return "SELECT status FROM aep.request('POST', '$path', body => '{}', server => 'elsewhere');";
}

# The hint has whole statements, as many as there is room for.
my $long = '/' . 'x' x 5100;
my %with_long_path = (kind => 'object', name => '/' . 'x' x 119 . '...');
my ($id) = elsewhere(1);
warns(
	'a path of 5,100 characters',
	"BEGIN; @{[post_elsewhere($long)]} ROLLBACK",
	sub {
		my $warning = lost($rollback, { %with_long_path, id => $id });
		$warning->{hint} = 'Look for it in Experience Platform by its name.';
		return $warning;
	});
($id) = elsewhere(1);
warns(
	'a path of 5,100 characters, and a connection',
	"BEGIN; @{[post_elsewhere($long), create('a')]} ROLLBACK",
	sub {
		my ($connection) = grep { $_->{name} eq 'a' } @_;
		my $warning = lost($rollback, { %with_long_path, id => $id }, $connection);
		$warning->{hint} = "To delete: SELECT aep.delete_connection('$connection->{id}', 'aep');";
		return $warning;
	});
my $path = '/' . 'y' x 199;
my @ids_elsewhere = elsewhere(22);
my $hint;
warns(
	'paths of 200 characters',
	"BEGIN; @{[map { post_elsewhere($path) } @ids_elsewhere]} ROLLBACK",
	sub {
		my $warning = lost($rollback,
			map { { id => $_, kind => 'object', name => '/' . 'y' x 119 . '...' } } @ids_elsewhere[ 0 .. 19 ]);
		$hint = (warnings_shown())[0]{hint};
		$warning->{message} =~ s/^20/22/;
		$warning->{detail} =~ s/\.$/, and 2 more: see the server log./;
		$warning->{hint} = $hint;
		return $warning;
	});
my @statements = map { "SELECT status FROM aep.request('DELETE', '$path/$_', server => 'elsewhere');" } @ids_elsewhere;
my $whole = () = $hint =~ /;/g;
cmp_ok($whole, '>=', 10, 'paths of 200 characters: statements in the hint');
is($hint, "To delete: @statements[0 .. $whole - 1]", 'paths of 200 characters: they are whole');
waitpid($_, 0) foreach (@children);

# Each entry has the texts of its server.
my $german = "it's gr\x{fc}n";
my $chinese = "it's \x{8c61}";
create_server(encode('UTF-8', qq{"$_"}), dbname => $utf8) foreach ($german, $chinese);
my %two_servers = (a => 'aep', b => q{it''s} . " gr\x{fc}n", c => 'aep', d => q{it''s} . " gr\x{fc}n");
my $on_two_servers = join ' ', create('a'), create('b', $german), create('c'), create('d', $german);
warns(
	'two servers',
	"SET client_encoding = 'UTF8'; BEGIN; $on_two_servers ROLLBACK",
	sub { lost($rollback, map { { %$_, server => $two_servers{ $_->{name} } } } @_) },
	dbname => $utf8);
is( times_logged(encode('UTF-8', qr/LOG:  created base connection "[bd]" with id \S+ on server "$german"/)),
	2, 'two servers: in the log');
warns(
	'two servers, and the next transaction',
	"SET client_encoding = 'UTF8'; BEGIN; @{[create('a', $german)]} COMMIT; BEGIN; @{[create('b', $german)]} ROLLBACK",
	sub { lost($rollback, { %{ $_[1] }, server => $two_servers{b} }) },
	dbname => $utf8);
warns(
	'two servers, and a client that cannot be shown one',
	"SET client_encoding = 'UTF8'; BEGIN; @{[create('a'), create('b', $chinese)]} "
	  . "SET client_encoding = 'LATIN1'; ROLLBACK",
	sub { lost($rollback, $_[0], { %{ $_[1] }, server => q{it''s ???} }) },
	dbname => $utf8);

# Ten thousand objects.
my $start = time;
my ($output, $shown);
$node->psql('postgres', <<'SQL', stdout => \$output, stderr => \$shown);
\set VERBOSITY verbose
BEGIN;
SELECT c.id FROM generate_series(1, 10000) AS i,
    aep.create_base_connection(name => 'bulk ' || i, server => 'plain') AS c;
SELECT clock_timestamp() AS start \gset
ROLLBACK;
SELECT extract(epoch FROM clock_timestamp() - :'start');
SQL
my @ids = split /\n/, $output;
my $took = pop @ids;
note sprintf('10,000 objects: %.1f s, of which the rollback took %.3f s', time - $start, $took);
my @warnings = warnings_shown($shown);
is(scalar(@warnings), 1, '10,000 objects: one warning');
is( $warnings[0]{message},
	'10000 objects in Experience Platform are not undone by this rollback',
	'10,000 objects: their number');
is( $warnings[0]{detail},
	join(', ', map { qq{$ids[ $_ - 1 ] (base connection "bulk $_")} } 1 .. 20)
	  . ', and 9980 more: see the server log.',
	'10,000 objects: the first 20');
is( $warnings[0]{hint},
	join(' ', 'To delete:', map { "SELECT aep.delete_connection('$_', 'plain');" } @ids[ 0 .. 19 ]),
	'10,000 objects: their deletion');
my @logged =
  slurp_file($node->logfile) =~ /LOG:  created base connection "bulk \d+" with id (\S+) on server/g;
is(scalar(@ids), 10000, '10,000 objects: all are there');
is("@logged", "@ids", '10,000 objects: all ids are in the log');
cmp_ok($took, '<', 5, '10,000 objects: the rollback is fast');

done_testing();
