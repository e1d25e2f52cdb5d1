# aep.endpoint(): every rule, over every kind of connection.
use strict;
use warnings;

use AepTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Sys::Hostname;
use Test::More;

my $node = AepTest::start_node('main');
$node->safe_psql('postgres', 'CREATE SERVER aep FOREIGN DATA WRAPPER aep');
append_to_file($node->data_dir . '/pg_hba.conf', "host all all all trust\n");

my $port = $node->port;
my $hostname = hostname();

# host and host_source as a session sees them that connects to $host
sub endpoint_via
{
	my ($host) = @_;
	my ($stdout, $stderr);
	my $connstr = "host=$host port=$port dbname=postgres";

	$node->psql('postgres', 'SELECT host, port, database, host_source FROM aep.endpoint()',
		connstr => $connstr, stdout => \$stdout, stderr => \$stderr);
	return $stdout;
}

sub listen_on
{
	my ($addresses) = @_;

	$node->append_conf('postgresql.conf', "listen_addresses = '$addresses'\n");
	$node->restart;
	return;
}

my $socket_dir = $node->host;
my $address = (split ' ', `hostname -I 2>/dev/null`)[0];

listen_on('');
is(endpoint_via($socket_dir), "$hostname|$port|postgres|hostname", 'Unix socket, no TCP');

listen_on('127.0.0.1');
is(endpoint_via($socket_dir), "$hostname|$port|postgres|hostname", 'a loopback listen_addresses does not count');
is(endpoint_via('127.0.0.1'), "$hostname|$port|postgres|hostname", 'nor does a loopback session');

listen_on('localhost');
is(endpoint_via($socket_dir), "$hostname|$port|postgres|hostname", 'nor localhost');

listen_on('*');
is(endpoint_via($socket_dir), "$hostname|$port|postgres|hostname", 'all addresses are none in particular');

listen_on('0.0.0.0');
is(endpoint_via($socket_dir), "$hostname|$port|postgres|hostname", '0.0.0.0 likewise');

SKIP:
{
	skip 'no address but loopback', 3 unless $address && $address =~ /^\d+\.\d+\.\d+\.\d+$/;

	is(endpoint_via($address), "$address|$port|postgres|session", 'the address the session came to');

	listen_on($address);
	is(endpoint_via($socket_dir), "$address|$port|postgres|listen_addresses", 'one listen address');

	listen_on("127.0.0.1, $address");
	is(endpoint_via($socket_dir), "$hostname|$port|postgres|hostname", 'several: none in particular');
}

SKIP:
{
	skip 'no IPv6', 2 unless -s '/proc/net/if_inet6';

	listen_on('::1');
	is(endpoint_via('::1'), "$hostname|$port|postgres|hostname", 'IPv6 loopback');
	$node->safe_psql('postgres', "ALTER SERVER aep OPTIONS (ADD advertised_host '2001:db8::7')");
	is(endpoint_via('::1'), "2001:db8::7|$port|postgres|advertised_host", 'IPv6 without brackets');
	$node->safe_psql('postgres', "ALTER SERVER aep OPTIONS (DROP advertised_host)");
}

# The options win, each on its own.
$node->safe_psql('postgres', "ALTER SERVER aep OPTIONS (ADD advertised_port '6432')");
is(endpoint_via($socket_dir), "$hostname|6432|postgres|hostname", 'advertised_port');
$node->safe_psql('postgres', "ALTER SERVER aep OPTIONS (ADD advertised_host 'db1.example.com')");
is(endpoint_via($socket_dir), "db1.example.com|6432|postgres|advertised_host", 'advertised_host');

# A parallel plan leaves the call in the leader, and a worker has no client port.
my $forced = $node->pg_version >= 16 ? 'debug_parallel_query' : 'force_parallel_mode';
is( $node->safe_psql('postgres', <<"SQL"),
SET $forced = on;
SELECT host FROM aep.endpoint();
SQL
	'db1.example.com',
	"under $forced");

done_testing();
