# aep.check_ingest_role(): whether pg_hba.conf lets the login in from
# outside, with SSL and without.
use strict;
use warnings;

use AepTest;
use Calls qw(call_in query);
use Findings;
use IngestRole;
use PostgreSQL::Test::Utils;
use Test::More;

my ($node, undef, $session) = Findings::start();

my $id = create("'reader', '{shop}', ssl_mode => 'Allow'");

# pg_hba.conf has no line for the world outside, but the server listens there
my $first = set_hba();
my $none = 'pg_hba.conf has no line that lets reader_a in from outside with a password';
finds_in_hba($id, [$none], 'pg_hba.conf', type => 'host', role => 'reader');

# what is proposed has an address that pg_hba.conf refuses
set_hba('host postgres +reader <address>/<bits> scram-sha-256');
is_deeply(
	[ map { $_->[0] =~ s/:.*//r } findings($id) ],
	[ $none, "line $first of pg_hba.conf is wrong" ],
	'the line must be completed');

# what does not match
set_hba(
	'host elsewhere all 0.0.0.0/0 scram-sha-256',
	'host all dba 0.0.0.0/0 scram-sha-256',
	'host all +dba 0.0.0.0/0 scram-sha-256',
	'host all all samehost scram-sha-256',
	'host all all 127.0.0.0/8 md5',
	'host all all ::1/128 md5',
	'host all all 127.0.0.1/32 trust',
	'local all all md5',
	'host sameuser all 0.0.0.0/0 scram-sha-256',
	'host samerole all 0.0.0.0/0 scram-sha-256',
	'host replication all 0.0.0.0/0 scram-sha-256');
finds_in_hba($id, [$none], 'lines for others', type => 'host', role => 'reader');
foreach my $right (
	'host postgres +reader 20.42.2.0/23 scram-sha-256',
	'host all all 0.0.0.0/0 scram-sha-256',
	'host "postgres",elsewhere reader_a 10.0.0.0/8 md5',
	'hostnossl all +reader all password')
{
	set_hba($right);
	finds_nothing($id, $right);
}

# regular expressions, since 16
foreach my $expression (
	'host all /^reader_ 0.0.0.0/0 scram-sha-256',
	'host /^post.*s$ all 0.0.0.0/0 scram-sha-256')
{
	set_hba($expression);
	if ($node->pg_version >= 16)
	{
		finds_nothing($id, $expression);
	}
	else
	{
		finds($id, qr/^pg_hba\.conf has no line/, qr/./, "$expression is a name");
	}
}
set_hba('host all /^writer_ 0.0.0.0/0 md5', 'host /^other all 0.0.0.0/0 md5');
finds($id, qr/^pg_hba\.conf has no line/, qr/./, 'expressions for others');

# The first line that fits decides: those that reject are in the way, unless they
# are about others, about some addresses only, or leave another way in.
my $good = 'host all all 0.0.0.0/0 scram-sha-256';
my $second = $first + 1;
foreach my $closed (
	[ 'host all all all reject',                     $good ],
	[ 'host all all 0.0.0.0/0 reject',               $good ],
	[ 'host postgres reader_a 0.0.0.0/0 reject',     'host all all all md5' ],
	[ 'host all +reader 10.0.0.0 255.0.0.0 reject',  'host all all 10.1.2.0/24 scram-sha-256' ],
	[ 'hostnossl all all 0.0.0.0/0 reject',          $good ],
	[ 'host all all platform.example.com reject',    'host all all platform.example.com md5' ],
	[ 'host all all ::/0 reject',                    'host all all 2001:db8::/32 md5' ])
{
	set_hba(@$closed);
	finds_in_hba(
		$id,
		["line $first of pg_hba.conf rejects reader_a"],
		"$closed->[0], then $closed->[1]",
		type => 'host', role => 'reader', before => $first);
	set_hba(reverse @$closed);
	finds_nothing($id, "$closed->[1], then $closed->[0]");
}
set_hba('host all reader_a all reject', 'host all all 0.0.0.0/0 reject', $good, 'host all all all md5');
finds_in_hba(
	$id,
	[ "line $first of pg_hba.conf rejects reader_a", "line $second of pg_hba.conf rejects reader_a" ],
	'two lines that reject: each is told',
	type => 'host', role => 'reader', before => $first);
foreach my $open (
	'host elsewhere all 0.0.0.0/0 reject',
	'host all dba 0.0.0.0/0 reject',
	'host all all 10.0.0.0/8 reject',
	'host all all ::/0 reject',
	'host all all platform.example.com reject',
	'hostgssenc all all 0.0.0.0/0 reject',
	'local all all reject')
{
	set_hba($open, $good);
	finds_nothing($id, "$open is not in the way");
}
set_hba('host all all 10.0.0.0/8 reject', 'host all all 10.1.0.0/16 md5', $good);
finds_nothing($id, 'another line lets it in');

set_hba('host all all 0.0.0.0/0 scram-sha-256', 'host all all nonsense');
my @lines    = split /\n/, slurp_file($node->data_dir . '/pg_hba.conf');
my ($number) = grep { $lines[ $_ - 1 ] =~ /nonsense/ } (1 .. @lines);
finds(
	$id,
	qr/^line $number of pg_hba\.conf is wrong: .+/,
	qr{/pg_hba\.conf: mend line $number, then reload$},
	'a wrong line');
set_hba('hostssl all all 0.0.0.0/0 scram-sha-256');
finds(
	$id,
	qr/^line $first of pg_hba\.conf lets reader_a in with SSL only, and ssl is off$/,
	qr/^ALTER SYSTEM SET ssl = on; with a certificate, then reload$/,
	'hostssl does not count while ssl is off');
set_hba('host all all 0.0.0.0/0 scram-sha-256');
finds_nothing($id, 'the line was mended');

# SSL
my $required = create("'with_ssl', '{shop}', ssl_mode => 'Require'");
finds(
	$required,
	qr/^ssl is off, and the connection asks for SSL mode Require$/,
	qr/^ALTER SYSTEM SET ssl = on; with a certificate, then reload$/, 'ssl');
set_hba('hostssl all all 0.0.0.0/0 scram-sha-256');
finds($required, qr/^ssl is off, /, qr/./, 'hostssl counts for who insists, whether ssl is on or off');
set_hba('hostnossl all all 0.0.0.0/0 scram-sha-256');
my ($plaintext) = grep { $_->[0] =~ /pg_hba/ } findings($required);
like($plaintext->[1], qr/, then reload: hostssl postgres \+with_ssl </, 'nobody who insists is told otherwise');
turn_ssl_on();
set_hba('hostssl all all 0.0.0.0/0 scram-sha-256');
AepTest::close_session($session);
$session = AepTest::open_session($node);
call_in($session);
finds_nothing($required, 'ssl is on, and hostssl counts');

# which lines count depends on the SSL mode
my %connection = (
	Require       => $required,
	'Verify Full' => create("'verified', '{shop}', ssl_mode => 'Verify Full'"),
	Disable       => create("'plaintext', '{shop}', ssl_mode => 'Disable'"),
	Allow         => create("'either', '{shop}', ssl_mode => 'Allow'"));
my %lets_in = (
	host      => [ 'Require', 'Verify Full', 'Disable', 'Allow' ],
	hostssl   => [ 'Require', 'Verify Full', 'Allow' ],
	hostnossl => [ 'Disable', 'Allow' ]);
foreach my $type (sort keys %lets_in)
{
	my %lets = map { $_ => 1 } @{ $lets_in{$type} };

	foreach my $mode (sort keys %connection)
	{
		my ($how, $mends) =
		  $mode eq 'Disable' ? (' and without SSL', 'host') : (' and SSL', 'hostssl');

		set_hba("$type all all 0.0.0.0/0 scram-sha-256");
		finds_nothing($connection{$mode}, "$type and $mode") if $lets{$mode};
		finds($connection{$mode}, qr/^pg_hba\.conf has no line .* with a password$how$/,
			qr/, then reload: $mends postgres /, "$type and $mode")
		  if !$lets{$mode};

		# the same with a line that rejects
		set_hba("$type all all all reject", 'host all all all md5');
		my $closes = $type eq 'host' || ($lets{$mode} && $mode ne 'Allow');
		finds($connection{$mode}, qr/^line \d+ of pg_hba\.conf rejects /,
			qr/./, "$type that rejects and $mode")
		  if $closes;
		finds_nothing($connection{$mode}, "$type that rejects and $mode") if !$closes;
	}
}
set_hba();
finds_in_hba(
	$required,
	['pg_hba.conf has no line that lets with_ssl_a in from outside with a password and SSL'],
	'with ssl on',
	type => 'hostssl', role => 'with_ssl');

no_password_is_left(2);

done_testing();
