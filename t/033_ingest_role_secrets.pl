# No password of an ingest role is in the memory of a session, or in a dump.
use strict;
use warnings;

use AepTest;
use Calls qw(query);
use IngestRole;
use PostgreSQL::Test::Utils;
use Test::More;
use Told;

my ($node, $fake) = IngestRole::start();

my $id = create("'reader', '{shop}', name => 'Reader'");
run("CALL aep.rotate_credentials('$id')");
create("'writer', '{shop}', auth_type => 'connection_string'");
my @passwords = Told::passwords($fake);

# What a dump has

my ($dump) = run_command([ 'pg_dump', '-d', $node->connstr('postgres') ]);
like(
	$dump,
	qr/^COPY aep\.ingest_role \(.*^reader\taep\t$id\tReader\t.*?^\\\.$/ms,
	'pg_dump has the state');
is_deeply([ grep { $dump =~ /\Q$_\E/ } @passwords ], [], 'pg_dump has no password');
unlike($dump, qr/SCRAM-SHA-256/, 'nor a verifier');
query('CREATE DATABASE restored');
my $errors = '';
$node->psql('restored', $dump, stderr => \$errors, on_error_stop => 0);
is( $node->safe_psql('restored', 'TABLE aep.ingest_role ORDER BY role_name'),
	query('TABLE aep.ingest_role ORDER BY role_name'),
	'a restored database has the same state') or diag($errors);
query('DROP DATABASE restored');

# No string in the memory of a session that goes on is the password.  As part of
# a body it may be left: libcurl does not wipe its copy of what it sent.

sub hits_in_memory
{
	my ($pid, $text) = @_;
	my $hits = 0;

	open(my $map,    '<',     "/proc/$pid/maps") or die "maps: $!";
	open(my $memory, '<:raw', "/proc/$pid/mem")  or return undef;
	while (my $line = <$map>)
	{
		# all that is private and can be written
		my ($start, $end) = map { hex } $line =~ /^([0-9a-f]+)-([0-9a-f]+) rw.p/ or next;
		my $content = '';
		sysseek($memory, $start, 0);
		while (length($content) < $end - $start)
		{
			sysread($memory, $content, $end - $start - length($content), length($content)) or last;
		}
		$hits++ while $content =~ /(?<!["=])\Q$text\E\0/g;
	}
	return $hits;
}
my $latin1 = AepTest::create_database($node, 'LATIN1');
AepTest::create_server($node, $fake, dbname => $latin1);
$node->safe_psql($_, 'CREATE TABLE readable (id int)') foreach ('postgres', $latin1);
foreach my $dbname ('postgres', $latin1)
{
	foreach my $auth_type ('basic', 'connection_string')
	{
		my $other = AepTest::open_session($node, $dbname);
		my $pid   = AepTest::run_sql($other, 'SELECT pg_backend_pid()');
		my ($of) =
		  AepTest::run_sql($other,
			"CALL aep.create_ingest_role('${dbname}_$auth_type', tables => '{readable}', auth_type => '$auth_type')") =~
		  /^([^|]+)/;

		foreach my $what ('the first password', 'the next one')
		{
			AepTest::run_sql($other, "CALL aep.rotate_credentials('$of')")
			  if $what ne 'the first password';
			my $hits = hits_in_memory($pid, last_password());
		  SKIP:
			{
				skip 'the memory of another process cannot be read', 1 unless defined $hits;
				is($hits, 0, "$dbname, $auth_type: $what is not left in memory");
			}
		}
		if ($dbname eq 'postgres' && $auth_type eq 'basic')
		{
			AepTest::run_sql($other, "SET application_name = '$of'");
			my $hits = hits_in_memory($pid, $of);
			cmp_ok($hits // 1, '>', 0, 'the memory was searched');
		}
		AepTest::close_session($other);
	}
}


no_password_is_left(5);

done_testing();
