# What is kept of earlier calls: connections, if nothing has come in on them, and
# for half a minute; nothing that a file or a name says longer than that.
use strict;
use warnings;

use AepTest;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Copy qw(copy);
use List::Util qw(uniq);
use PostgreSQL::Test::Utils;
use Test::More;

my $uuid = qr/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/;
my $unasked = '99999999-9999-4999-8999-999999999999';
my $dir = PostgreSQL::Test::Utils::tempdir();

# A clock and a resolver that the test moves.
my $source = abs_path(dirname(__FILE__) . '/../test/moved_world.c');
my @compile =
  (split(' ', $ENV{CC} // 'cc'), '-shared', '-fPIC', '-o', "$dir/moved_world.so", $source, '-ldl');
system(@compile) == 0 or BAIL_OUT("cannot compile $source");
my ($ahead, $address) = (0, '127.0.0.1');

sub move_world
{
	my ($seconds) = @_;

	$ahead += $seconds;
	PostgreSQL::Test::Utils::append_to_file("$dir/world.new", "$ahead $address\n");
	rename("$dir/world.new", "$dir/world") or die "rename: $!";
	return;
}
move_world(0);

my $fake = AepTest::start_fake();
my $node = AepTest::start_node('main');
{
	local $ENV{LD_PRELOAD} = "$dir/moved_world.so";
	local $ENV{MOVED_WORLD} = "$dir/world";
	$node->restart;
}
my @common = (username => 'acme', password => 'the-password', max_attempts => 1);
my $ca_file = "$dir/ca.pem";
copy($fake->ca_file, $ca_file) or die "copy: $!";
AepTest::create_server($node, $fake, @common);
AepTest::create_server($node, $fake, @common, server => 'plain', base_url => $fake->url('http'));
AepTest::create_server($node, $fake, @common, server => 'http2', base_url => $fake->url('http2'),
	# libcurl 7.88 may leave a stream waiting on a connection that has ended
	request_timeout => '3s');
AepTest::create_server($node, $fake, @common, server => 'own_ca', ca_file => $ca_file);
AepTest::create_server($node, $fake, @common,
	server => 'moving',
	base_url => $fake->url =~ s/127\.0\.0\.1/moved.test/r);
my $session = AepTest::open_session($node);

sub create
{
	my ($name, $server) = @_;

	return AepTest::run_sql($session,
			'SELECT id FROM aep.create_base_connection(name => '
		  . AepTest::literal($name)
		  . ", server => '"
		  . ($server // 'aep') . "')");
}

# The connection that the latest request came on.
sub connection
{
	my ($request) = reverse $fake->requests;

	return $request->{connection};
}

# The id that the fake gave to what has this name.
sub created
{
	my ($name) = @_;
	my ($request) = $fake->requests_named($name);

	return $request->{created};
}

# An answer that nobody asked for, behind one that was: in the same record of
# TLS, in the record of the body, in the next one, or a little later.  It is
# taken for nothing, and the connection is not used again.
foreach my $server ('aep', 'plain')
{
	foreach my $how ('joined', 'split', 'next', 'later')
	{
		foreach my $chunked ('', ',chunked=1')
		{
			my $what = "$server, $how$chunked";
			my $first = "fault:unasked=$how$chunked $what";
			my $id = create($first, $server);
			like($id, qr/^$uuid$/, "$what: an id") or diag $session->{err};
			is($id, created($first), "$what: its own");
			my $connection = connection();
			# it may be on its way
			AepTest::run_sql($session, 'SELECT pg_sleep(0.1)');
			$id = create("after $what", $server);
			is($id, created("after $what"), "$what: so has the next") or diag $session->{err};
			# what stands behind a last chunk libcurl may throw away
			isnt(connection(), $connection, "$what: on another connection") unless $chunked;
		}
	}
}

# The same for whatever is sent next: what changes, what asks, the next attempt.
my $made = create('to be changed');
foreach my $sql (
	"SELECT count(*) FROM aep.update_connection('$made', description => 'd')",
	"SELECT count(*) FROM aep.connection('$made')",
	"SELECT aep.connection_count(name => 'to be changed')")
{
	create('fault:unasked=split before ' . $sql);
	is(AepTest::run_sql($session, $sql), 1, $sql) or diag $session->{err};
}

# A connection that is silent is used again, over TLS too.
foreach my $server ('aep', 'plain')
{
	create("$server, silent $_", $server) foreach (1 .. 3);
	is(scalar(uniq map { $_->{connection} } map { $fake->requests_named("$server, silent $_") } (1 .. 3)),
		1, "$server: a silent connection is used again");
}

# Over HTTP/2 an answer names its request: one that comes before its time ends
# the connection.
my @ids = map { "$_$_$_$_$_$_$_$_-2222-4333-8444-555555555555" } (1 .. 8);

sub create_two
{
	my ($what, $first, $second) = @_;

	return AepTest::run_sql($session,
		"SELECT string_agg(coalesce(id::text, sqlstate), ' ' ORDER BY ordinal) FROM aep.create_base_connections("
		  . "ARRAY[aep.base_connection_spec(name => '$what $first'), aep.base_connection_spec(name => 'another $second')], 'http2')");
}

sub create_one
{
	my ($what, $id) = @_;

	return AepTest::run_sql($session,
		"SELECT coalesce(id::text, sqlstate) FROM aep.create_base_connections("
		  . "ARRAY[aep.base_connection_spec(name => '$what $id')], 'http2')");
}
is(create_two('one', @ids[ 0, 1 ]), "@ids[0, 1]", 'HTTP/2: two');
unlike(create_two('unasked', @ids[ 2, 3 ]), qr/$unasked/, 'HTTP/2: an answer that nobody asked for');
is(create_two('one', @ids[ 4, 5 ]), "@ids[4, 5]", 'HTTP/2: the next two have their own');

# What comes in on an idle one of HTTP/2 may be its end: it is not used again, nor
# left for the next request to meet.
my $pid = AepTest::run_sql($session, 'SELECT pg_backend_pid()');
foreach my $how ('restless', 'leaving')
{
	is(create_two('one', @ids[ 0, 1 ]), "@ids[0, 1]", "$how: two before");
	my $sockets = AepTest::sockets_of($pid);
	is(create_one($how, $ids[2]), $ids[2], "$how: one that upsets the connection");
	AepTest::run_sql($session, 'SELECT pg_sleep(0.1)');
	is(create_two('one', @ids[ 3, 4 ]), "@ids[3, 4]", "$how: two after it");
	is(create_two('one', @ids[ 5, 6 ]), "@ids[5, 6]", "$how: and two more");
	# newer versions of libcurl take their time to close one
	ok(AepTest::wait_until(sub { create_two('one', @ids[ 5, 6 ]) && AepTest::sockets_of($pid) == $sockets }),
		"$how: over one connection");
}

# A session that calls all the time sees what has changed within a minute.  First
# the authorities: the file is another one now.
like(create('trusted', 'own_ca'), qr/^$uuid$/, 'the CA is trusted') or diag $session->{err};
my $before = connection();
move_world(20);
like(create('trusted', 'own_ca'), qr/^$uuid$/, 'still trusted');
is(connection(), $before, 'over the same connection');
copy($fake->dir . '/certificates/other_ca.pem', $ca_file) or die "copy: $!";
foreach (1, 2)
{
	move_world(20);
	create('trusted no more', 'own_ca');
}
move_world(20);
is(create('trusted no more', 'own_ca'), '', 'a CA that is no longer in the file');
like($session->{err}, qr/^ERROR:  08001: .*\nDETAIL:  .*certificate/m, 'is not trusted a minute later');
copy($fake->ca_file, $ca_file) or die "copy: $!";
move_world(60);
like(create('trusted again', 'own_ca'), qr/^$uuid$/, 'nor is it distrusted for ever')
  or diag $session->{err};

# Then the addresses: nobody listens at the new one.
like(create('here', 'moving'), qr/^$uuid$/, 'the name leads to the fake') or diag $session->{err};
$before = connection();
$address = '127.0.0.9';
move_world(20);
like(create('here', 'moving'), qr/^$uuid$/, 'for a moment it is still');
is(connection(), $before, 'where it was');
foreach (1, 2)
{
	move_world(20);
	create('here no more', 'moving');
}
is(create('here no more', 'moving'), '', 'a name that leads elsewhere');
like($session->{err}, qr/^ERROR:  08001: .*\nDETAIL:  .*moved\.test/m, 'is followed a minute later');
$address = '127.0.0.1';
move_world(60);
like(create('here again', 'moving'), qr/^$uuid$/, 'and back') or diag $session->{err};

AepTest::close_session($session);
done_testing();
