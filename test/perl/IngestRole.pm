
=head1 NAME

IngestRole - a cluster with tables that ingest roles may read, and what is asked
of it

=head1 SYNOPSIS

  use Calls qw(query);
  use IngestRole;

  my ($node, $fake, $session) = IngestRole::start();
  my $id = create("'reader', schemas => '{shop}'");
  is(login('reader_a', last_password(), 'SELECT id FROM shop.orders')->{out}, 1, 'it reads');
  leaves_nothing('no role', 'CALL aep.create_ingest_role(NULL)', qr/ERROR:  22004: /);
  no_password_is_left(0);

=cut

package IngestRole;

use strict;
use warnings;

use AepTest;
use Calls qw(call_in query);
use Exporter qw(import);
use List::Util qw(uniq);
use PostgreSQL::Test::Utils;
use Test::More;
use Told;

our @EXPORT = qw(run create login last_password traces leaves_nothing remember no_password_is_left);

# Everything that watches statements shall watch, as far as it is installed.
my %watching = (
	pg_stat_statements =>
	  [ "pg_stat_statements.track = 'all'", 'pg_stat_statements.track_utility = on' ],
	pgaudit => [ "pgaudit.log = 'all'", 'pgaudit.log_parameter = on' ],
	auto_explain =>
	  [ 'auto_explain.log_min_duration = 0', 'auto_explain.log_nested_statements = on' ]);
my %watches;

my ($node, $fake);
my $shown = '';

=pod

=head1 FUNCTIONS

=over

=item start(conf => [lines of postgresql.conf], fake => [arguments], server option => value...)

A cluster whose server "aep" leads to a fake; returns it, the fake, and the
session for the SQL of the test.  There is

=over

=item *

a schema shop with relations of every kind, a schema office with two tables, a
schema vault, which nobody shall read, and a schema with odd names;

=item *

a role dba, which makes roles, owns the schema own, and is no superuser; and a
role plain, which may only call the extension;

=item *

nothing for PUBLIC, and a database elsewhere.

=back

=cut

sub start
{
	my (%options) = @_;
	my $conf = delete $options{conf} // [];
	my $fake_options = delete $options{fake} // [];
	my ($directory) = run_command([ 'pg_config', '--pkglibdir' ]);

	%watches = map { $_ => -e "$directory/$_.so" } keys %watching;
	my @watchers = grep { $watches{$_} } sort keys %watches;
	$fake = AepTest::start_fake('--record-secrets', @$fake_options);
	$node = AepTest::start_login_node(
		'main',
		"shared_preload_libraries = '" . join(',', @watchers) . "'",
		(map { @{ $watching{$_} } } @watchers),
		'log_statement = all',
		'log_min_messages = debug1',
		'log_min_duration_statement = 0',
		'log_error_verbosity = verbose',
		'log_parameter_max_length = -1',
		'track_activity_query_size = 10000',
		@$conf);
	AepTest::create_server($node, $fake, %options);
	$node->safe_psql('postgres', 'CREATE EXTENSION pg_stat_statements')
	  if $watches{pg_stat_statements};
	$node->safe_psql('postgres', <<'SQL');
REVOKE ALL ON DATABASE postgres FROM PUBLIC;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
CREATE DATABASE elsewhere;
REVOKE ALL ON DATABASE elsewhere FROM PUBLIC;
CREATE SCHEMA shop;
CREATE TABLE shop.orders AS SELECT 1 AS id;
CREATE TABLE shop.parts (id int) PARTITION BY LIST (id);
CREATE VIEW shop.recent AS SELECT * FROM shop.orders;
CREATE MATERIALIZED VIEW shop.summary AS SELECT * FROM shop.orders;
CREATE SEQUENCE shop.numbers;
CREATE SCHEMA office;
CREATE TABLE office.shown AS SELECT 2 AS id;
CREATE TABLE office.hidden AS SELECT 3 AS id;
CREATE SCHEMA vault;
CREATE TABLE vault.gold AS SELECT 4 AS id;
CREATE SCHEMA "Sch;""ema";
CREATE TABLE "Sch;""ema"."Ta'b.le" AS SELECT 5 AS id;

CREATE ROLE dba LOGIN CREATEROLE;
CREATE SCHEMA own AUTHORIZATION dba;
CREATE TABLE own.things AS SELECT 6 AS id;
ALTER TABLE own.things OWNER TO dba;
CREATE ROLE plain LOGIN;
GRANT CONNECT ON DATABASE postgres TO dba, plain WITH GRANT OPTION;
GRANT USAGE ON SCHEMA aep TO dba, plain;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA aep TO dba, plain;
GRANT USAGE ON FOREIGN SERVER aep TO dba, plain;
CREATE USER MAPPING FOR dba SERVER aep OPTIONS (api_key 'demo-api-key', access_token 'demo-access-token');
CREATE USER MAPPING FOR plain SERVER aep OPTIONS (api_key 'demo-api-key', access_token 'demo-access-token');
SQL

	my $session = AepTest::open_session($node);
	call_in($session, $fake);
	return ($node, $fake, $session);
}

=item watches(library)

Whether this library watches the statements, such as pgaudit.

=cut

sub watches
{
	my ($library) = @_;

	return $watches{$library};
}

=item run(sql, session), login(user, password, sql), remember(text)

run() of Calls and login() of AepTest, which remember what was shown for
no_password_is_left(); and the same for what was shown otherwise.

=cut

sub run
{
	my $result = Calls::run(@_);

	remember("$result->{out}\n$result->{err}");
	return $result;
}

sub login
{
	my ($user, $password, $sql) = @_;
	my $result = AepTest::login($node, $user, $password, $sql);

	remember("$result->{out}\n$result->{err}");
	return $result;
}

sub remember
{
	my ($text) = @_;

	$shown .= "$text\n";
	return;
}

=item create(arguments as SQL, session)

Creates an ingest role; returns the id.

=cut

sub create
{
	my ($arguments, $where) = @_;
	my $result = run("CALL aep.create_ingest_role($arguments)", $where);

	my ($id) = $result->{out} =~ /^([0-9a-f-]{36})\|/
	  or die "no id from $arguments: $result->{err}";
	return $id;
}

=item last_password()

The password of a login that the platform was told last.

=cut

sub last_password
{
	return (Told::passwords($fake))[-1];
}

=item traces()

All that a call could leave behind, as a text.

=cut

sub traces
{
	return query(<<'SQL');
SELECT 'role ' || rolname FROM pg_roles WHERE rolname !~ '^pg_'
UNION ALL SELECT 'state ' || role_name || ' ' || active_login || ' ' || step FROM aep.ingest_role
UNION ALL SELECT 'default ' || defaclacl::text FROM pg_default_acl
UNION ALL SELECT relname || ' ' || coalesce(relacl, acldefault('r', relowner))::text
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    WHERE nspname IN ('shop', 'office', 'vault', 'own') AND relkind <> 'S'
UNION ALL SELECT nspname || ' ' || coalesce(nspacl, acldefault('n', nspowner))::text
    FROM pg_namespace WHERE nspname IN ('shop', 'office', 'vault', 'own')
UNION ALL SELECT datname || ' ' || coalesce(datacl, acldefault('d', datdba))::text FROM pg_database
ORDER BY 1
SQL
}

=item leaves_nothing(what, sql, error, requests, session)

Tests that a call fails, says so, leaves nothing, and sends so many requests
(default: none).

=cut

sub leaves_nothing
{
	my ($what, $sql, $error, $requests, $where) = @_;
	my $before = traces();
	my $result = run($sql, $where);

	like($result->{err}, $error, "$what: the error");
	is(traces(), $before, "$what: nothing is left");
	is(scalar(@{ $result->{requests} }), $requests // 0, "$what: the requests");
	return $result;
}

=item no_password_is_left(number)

Ends the test: stops the cluster, and tests that nothing that can be read holds a
password.  There must have been more of them than the number.

=cut

sub no_password_is_left
{
	my ($number) = @_;
	my @passwords = uniq Told::passwords($fake);
	my $any = join '|', map { quotemeta } @passwords;
	my $log = slurp_file($node->logfile);
	my $state = $node->safe_psql('postgres', 'SELECT * FROM aep.ingest_role');
	my $login = $node->safe_psql('postgres', 'SELECT active_login FROM aep.ingest_role LIMIT 1');

	cmp_ok(scalar(@passwords), '>', $number, 'there were many passwords');
	like($log, qr/CALL aep\.create_ingest_role/, 'the log has the calls');
	unlike($log, qr/$any/, 'no password is in the log');
	unlike($shown, qr/$any/, 'nor was one shown');
	unlike($state, qr/$any/, 'nor is one in the table');
  SKIP:
	{
		skip 'no pg_stat_statements', 2 unless $watches{pg_stat_statements};
		my $statements = $node->safe_psql('postgres', 'SELECT query FROM pg_stat_statements');
		like($statements, qr/CREATE ROLE \S+ LOGIN/, 'pg_stat_statements has the statements inside');
		unlike($statements, qr/$any/, 'nor in pg_stat_statements');
	}
  SKIP:
	{
		skip 'no pgaudit', 1 unless $watches{pgaudit};
		like($log, qr/AUDIT: .*CREATE ROLE \S+ LOGIN/, 'so has the audit log');
	}

	# the files of the database, its journal included
	$node->stop('fast');
	my %file;
	open(my $find, '-|', 'find', $node->data_dir, '-type', 'f') or die "find: $!";
	while (my $path = <$find>)
	{
		chomp $path;
		$file{$path} = slurp_file($path);
	}
	close $find;
	is_deeply([ grep { $file{$_} =~ /$any/ } sort keys %file ], [], 'nor is one in a file');
	cmp_ok(scalar(grep { /\Q$login\E/ } values %file), '>', 1, 'the files were searched');
	return;
}

=pod

=back

=cut

1;
