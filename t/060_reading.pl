# Reading what the service sends: each row in memory of its own, nothing quadratic,
# and it ends when it is told to, wherever it is.
use strict;
use warnings;

use AepTest;
use Calls qw(call_in run value fails);
use IO::Socket::INET;
use List::Util qw(max);
use PostgreSQL::Test::Utils;
use Test::More;

$SIG{PIPE} = 'IGNORE';

my $fake = AepTest::start_fake();
my $node = AepTest::start_node('main', 'work_mem = 64kB', 'log_temp_files = 0');
AepTest::create_server($node, $fake, username => 'acme', password => 'xxxx',
	base_url => $fake->url('http'), request_timeout => '5min');

my ($session, $pid);

sub open_session
{
	$session = AepTest::open_session($node);
	call_in($session, $fake);
	$pid = value('SELECT pg_backend_pid()');
	return;
}
open_session();

# A connection whose answers are as the fault says; its id.
sub connection
{
	my ($name) = @_;

	return value('SELECT id FROM aep.create_base_connection(name => ' . AepTest::literal($name) . ')');
}

# The service answers with these bytes.
sub faulty
{
	my (%fault) = @_;

	$fault{processed} = 0;
	return connection('fault:' . join ',',
		map { my $value = $fault{$_}; $value =~ s/([^A-Za-z0-9|])/sprintf '%%%02X', ord $1/ge; "$_=$value" }
		sort keys %fault);
}

# 1,500 columns, none of which the service has: each is looked for among all of its.
AepTest::run_sql($session, 'CREATE TABLE wide (' . join(', ', map { "column_$_ integer" } 1 .. 1500) . ')');

# A list of empty objects, a page of connections, a preview, the description of a
# table, and its comparison: what is read, how many rows that gives, and kB of text.
my $listed = 'fault:on=LIST,rows=40000 listed';
connection($listed);
my %readings = (
	'empty objects' => [
		"SELECT count(*) FROM aep.explore('"
		  . faulty(on => 'EXPLORE', body => '[', repeat => '{},', count => 600_000, end => '{}]') . "')",
		600_001, 1800 ],
	'tables' => [ "SELECT count(*) FROM aep.explore('" . connection('fault:on=EXPLORE,rows=60000') . "')",
		180_000, 19_000 ],
	'connections' => [ 'SELECT count(*) FROM aep.connections(' . AepTest::literal($listed) . ')', 40_000, 29_000 ],
	'a preview' => [
		"SELECT count(*) FROM aep.preview_table('" . connection('fault:on=PREVIEW,rows=25000') . "', 'public.orders')",
		50_000, 15_000 ],
	'columns' => [
		"SELECT count(*) FROM aep.explore_table('" . connection('fault:on=EXPLORE,rows=30000') . "', 'public.orders')",
		120_000, 11_000 ],
	'a comparison' => [
		"SELECT count(*) FROM aep.compare_table('"
		  . faulty(on => 'EXPLORE', body => '{"schema": {"columns": [',
			repeat => '{"name": "column_of_theirs"},', count => 350_000, end => '{}]}}')
		  . "', 'wide', 'public.orders')",
		351_500, 10_000 ]);

# the text is there as it grew, and once more while a block gives way to a larger one
foreach my $what (sort keys %readings)
{
	my ($sql, $rows, $text) = @{ $readings{$what} };

	AepTest::close_session($session);
	open_session();
	value('SELECT aep.connection_count()');
	my $count;
	my $peak = AepTest::peak_of($pid, sub { $count = value($sql) });
	is($count, $rows, "$what: all of them");
	# a comparison keeps what the platform has
	my $most = 3 * $text + 6 * 1024 + ($what eq 'a comparison' ? 60 * 1024 : 0);
	cmp_ok($peak, '<', $most, "$what: $peak kB for $text kB of text");
}

# How much the rows of the statement take that has just ended, in bytes: PostgreSQL
# tells the size of their temporary file.
sub size_of_rows
{
	my ($offset) = @_;
	my $log = slurp_file($node->logfile, $offset);

	return max(0, $log =~ /LOG:  temporary file: path "[^"]*pgsql_tmp$pid\.\d+", size (\d+)/g);
}

# Statements are cancelled when they have begun to store rows.  A loop that does
# not look would store all of them first.
foreach my $what (sort keys %readings)
{
	my $sql = $readings{$what}[0];
	my $offset = -s $node->logfile;
	my $cut;

	value($sql);
	my $whole = size_of_rows($offset);
	cmp_ok($whole, '>', 1_000_000, "$what: $whole bytes of rows");
	# a machine that is busy elsewhere may see to it too late
	for (my $attempt = 0; $attempt < 20 && !$cut; $attempt++)
	{
		$offset = -s $node->logfile;
		AepTest::begin_sql($session, $sql);
		AepTest::wait_until(sub { my @files = glob($node->data_dir . "/base/pgsql_tmp/pgsql_tmp$pid.*"); @files > 0 });
		kill 'INT', $pid;
		AepTest::end_sql($session);
		my $stored = size_of_rows($offset);
		$cut = $stored if $session->{err} =~ /^ERROR:  57014:/m && $stored < $whole;
	}
	ok($cut, "$what: cancelled, with " . ($cut // 'all') . ' bytes of them stored');
}

# The same where one value is made of all: memory stays behind what it would be.
# That a cancel came too late is known by the statement's success.
my $numbers = faulty(on => 'GET', body => '[', repeat => '1,', count => 4_000_000, end => '1]');
my $request = "SELECT jsonb_array_length(body) FROM aep.request('GET', '/flowservice/connections/$numbers')";
AepTest::close_session($session);
open_session();
value('SELECT aep.connection_count()');
my $before = AepTest::kilobytes_of($pid, 'VmRSS');
my $whole = AepTest::peak_of($pid, sub { is(value($request), 4_000_001, 'one large value') });
my $cut;
for (my $attempt = 0; $attempt < 20 && !$cut; $attempt++)
{
	AepTest::close_session($session);
	open_session();
	value('SELECT aep.connection_count()');
	my $peak = AepTest::peak_of($pid, sub {
		AepTest::begin_sql($session, $request);
		AepTest::wait_until(sub { AepTest::kilobytes_of($pid, 'VmRSS') > $before + $whole / 8 });
		kill 'INT', $pid;
		AepTest::end_sql($session);
	});
	$cut = $peak if $session->{err} =~ /^ERROR:  57014:/m && $peak < $whole / 2;
}
ok($cut, "one large value, of $whole kB: cancelled with " . ($cut // 'all') . ' kB of it made');

# What stands there twice must not be taken for two, or for one of them.
foreach my $case (
	[ 'a list twice', '{"items": [{}], "items": [{}]}', 'has a member twice that must be there once' ],
	[ 'a list, and then none', '{"items": [{}], "items": 1}', 'has no "items"' ],
	[ 'a list that is not at its place', '[{"items": [{}]}]', 'has no "items"' ],
	[ 'one that is too deep', '{"a": {"items": [{}]}}', 'has no "items"' ],
	[ 'an object', '{"items": {"a": [{}]}}', 'has no "items"' ],
	[ 'a value by itself', '1', 'has no "items"' ],
	[ 'an end that is missing', '{"items": [{}', 'could not be read as JSON' ])
{
	my ($what, $body, $why) = @$case;
	my $name = 'fault:on=LIST,processed=0,body=' . ($body =~ s/([^A-Za-z0-9])/sprintf '%%%02X', ord $1/ger);

	connection($name);
	like(fails($what, '08P01', 'SELECT * FROM aep.connections(name => ' . AepTest::literal($name) . ')', 1),
		qr/^DETAIL:  The answer with HTTP status 200 \Q$why\E/m, "$what: $why");
}

# What is in a list and is no object, and lists within its elements.
my $mixed = faulty(on => 'PREVIEW',
	body => '{"data": [{"a": [{"data": [1]}]}, 1, "b", null, [], [[2]], {}, {"a": {"data": [{}]}}], "schema": {"columns": []}}');
is( value("SELECT coalesce(p::text, 'none') FROM aep.preview_table('$mixed', 'public.orders') AS p"),
	join("\n", '{"a": [{"data": [1]}]}', 'none', 'none', 'none', '[]', '[[2]]', '{}', '{"a": {"data": [{}]}}'),
	'elements of all kinds');

# libcurl walks over all headers for each one that is shown.
my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0, Listen => 5, Timeout => 60)
  or die "socket: $!";
AepTest::create_server($node, $fake, username => 'acme', password => 'xxxx', server => 'raw',
	max_attempts => 1, base_url => 'http://127.0.0.1:' . $listener->sockport);
foreach my $case ([ 1000, '' ], [ 50_000, '08P01' ])
{
	my ($count, $sqlstate) = @$case;

	AepTest::begin_sql($session, "SELECT headers FROM aep.request('GET', '/x', server => 'raw')");
	my $client = $listener->accept or die 'nobody came';
	my $request = '';
	sysread($client, $request, 65536, length $request) or last while $request !~ /\r\n\r\n/;
	print {$client} "HTTP/1.1 200 OK\r\n" . "x:y\r\n" x $count . "Content-Length: 2\r\n\r\n{}";
	close $client;
	AepTest::end_sql($session);
	is($session->{err} =~ /^ERROR:  (\w+):/m ? $1 : '', $sqlstate, "$count headers: " . ($sqlstate || 'taken'));
}

# Arguments are values from outside as well.
fails('many headers', '22023',
	"SELECT * FROM aep.request('GET', '/flowservice/connections', headers => "
	  . "(SELECT jsonb_object_agg('x-' || i, '1') FROM generate_series(1, 101) AS i))", 0);
is(value("SELECT status FROM aep.request('GET', '/flowservice/connections', headers => "
	  . "(SELECT jsonb_object_agg('x-' || i, '1') FROM generate_series(1, 100) AS i))"), 200, 'as many as are taken');
AepTest::close_session($session);

done_testing();
