# What a rollback leaves behind in Experience Platform is named, once.
use strict;
use warnings;

use Rollback;
use Test::More;

my ($node, $fake) = Rollback::start('max_prepared_transactions = 1');
create_server(q{"it's"});
create_server($_, base_url => $fake->url($_)) foreach (qw(refused unknown_ca));

# Commit and rollback.
warns('commit', "BEGIN; @{[create('a')]} COMMIT; BEGIN; ROLLBACK;", sub { });
my $shown = warns(
	'rollback',
	"BEGIN; @{[create('a'), create('b')]} ROLLBACK; BEGIN; ROLLBACK;",
	sub { lost($rollback, @_) });
like($shown, qr/WARNING:  01000:/, 'it has the SQLSTATE of a warning');
warns(
	'an error after the call',
	'SELECT 1 / (length(id::text) - 36) FROM aep.create_base_connection(name => $$a$$)',
	sub { lost($rollback, @_) },
	error => qr/ERROR:  22012:/);
$node->safe_psql('postgres', 'CREATE TABLE t (i integer UNIQUE DEFERRABLE INITIALLY DEFERRED)');
warns(
	'a deferred constraint',
	"BEGIN; INSERT INTO t VALUES (1); @{[create('a')]} INSERT INTO t VALUES (1); COMMIT;",
	sub { lost($rollback, @_) },
	error => qr/ERROR:  23505:/);

# Savepoints.
warns(
	'nested savepoints',
	"BEGIN; @{[create('0')]} SAVEPOINT a; @{[create('1')]} SAVEPOINT b; @{[create('2')]} "
	  . "RELEASE b; ROLLBACK TO a; ROLLBACK TO a; ROLLBACK;",
	sub { (lost($to_savepoint, @_[ 1, 2 ]), lost($rollback, $_[0])) });
warns(
	'only the inner one is rolled back',
	"BEGIN; SAVEPOINT a; @{[create('0')]} SAVEPOINT b; @{[create('1')]} ROLLBACK TO b; "
	  . "@{[create('2')]} RELEASE b; RELEASE a; COMMIT;",
	sub { lost($to_savepoint, $_[1]) });
warns('the next savepoint is rolled back',
	"BEGIN; SAVEPOINT a; @{[create('0')]} RELEASE a; SAVEPOINT b; ROLLBACK TO b; COMMIT;", sub { });
warns(
	'all are released, and all is rolled back',
	"BEGIN; SAVEPOINT a; SAVEPOINT b; SAVEPOINT c; @{[create('0')]} RELEASE c; @{[create('1')]} "
	  . "RELEASE a; @{[create('2')]} ROLLBACK;",
	sub { lost($rollback, @_) });
warns(
	'a savepoint is open',
	"BEGIN; @{[create('0')]} SAVEPOINT a; @{[create('1')]} ROLLBACK;",
	sub { (lost($to_savepoint, $_[1]), lost($rollback, $_[0])) });
warns(
	'an error below two savepoints',
	"BEGIN; @{[create('0')]} SAVEPOINT a; @{[create('1')]} SAVEPOINT b; @{[create('2')]} "
	  . 'SELECT 1/0; ROLLBACK TO a; COMMIT;',
	sub { (lost($to_savepoint, $_[2]), lost($to_savepoint, $_[1])) },
	error => qr/ERROR:  22012:/);

# PL/pgSQL
$node->safe_psql('postgres', <<'SQL');
CREATE FUNCTION make(name text) RETURNS void LANGUAGE sql AS
    'SELECT id FROM aep.create_base_connection(name => make.name)';
CREATE FUNCTION make_and_fail(name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM make(name);
    RAISE EXCEPTION 'failed';
EXCEPTION WHEN raise_exception THEN
    NULL;
END $$;
CREATE PROCEDURE make_and_commit() LANGUAGE plpgsql AS $$
BEGIN
    PERFORM make('0');
    COMMIT;
    PERFORM make('1');
    ROLLBACK;
    PERFORM make('2');
    COMMIT;
    PERFORM make('3');
    RAISE EXCEPTION 'failed';
END $$;
SQL
warns(
	'an exception block',
	q{DO $$ BEGIN PERFORM make('0'); PERFORM make_and_fail('1'); PERFORM make('2'); END $$},
	sub { lost($to_savepoint, $_[1]) });
warns(
	'exception blocks in a loop',
	q{DO $$ BEGIN FOR i IN 1..3 LOOP PERFORM make_and_fail(i::text); END LOOP; END $$},
	sub { map { lost($to_savepoint, $_) } @_ });
warns(
	'an exception block within one that fails',
	q{DO $$ BEGIN BEGIN PERFORM make('0'); EXCEPTION WHEN division_by_zero THEN NULL; END;
	  PERFORM make('1'); PERFORM 1/0; EXCEPTION WHEN division_by_zero THEN NULL; END $$},
	sub { lost($to_savepoint, @_) });
warns(
	'a procedure with COMMIT',
	'CALL make_and_commit()',
	sub { (lost($rollback, $_[1]), lost($rollback, $_[3])) },
	error => qr/ERROR:  P0001:/);

# PREPARE TRANSACTION counts as commit, but says what it means.
my $not_prepared = {
	severity => 'WARNING',
	message =>
	  'objects created in Experience Platform are not part of the prepared transaction',
	detail => undef,
	hint => 'They stay whether it is committed or rolled back.' };
warns(
	'PREPARE TRANSACTION',
	"BEGIN; @{[create('a')]} PREPARE TRANSACTION 'x'; BEGIN; ROLLBACK; ROLLBACK PREPARED 'x';",
	sub { $not_prepared });
warns('PREPARE TRANSACTION without objects',
	"BEGIN; PREPARE TRANSACTION 'x'; ROLLBACK PREPARED 'x';", sub { });
warns(
	'PREPARE TRANSACTION that fails',
	"BEGIN; PREPARE TRANSACTION 'x'; BEGIN; @{[create('a')]} PREPARE TRANSACTION 'x'; "
	  . "ROLLBACK PREPARED 'x';",
	sub { ($not_prepared, lost($rollback, @_)) },
	error => qr/ERROR:  42710:/);

# What was certainly not created is not named.
foreach my $fault (
	qw(status=400 status=401 status=403 status=404 status=409 status=412 status=422 status=429
	redirect=http%3A%2F%2F127.0.0.1%2F))
{
	warns("refused, $fault", create("fault:$fault"), sub { }, error => qr/HTTP status \d\d\d/);
}
foreach my $server (qw(refused unknown_ca))
{
	warns("not connected, $server", create('a', $server), sub { }, error => qr/ERROR:  08001:/);
}
warns(
	'a refused one beside others',
	"BEGIN; @{[create('0')]} SAVEPOINT a; @{[create('fault:status=400')]} ROLLBACK TO a; RELEASE a; "
	  . "@{[create('2')]} ROLLBACK;",
	sub { lost($rollback, @_[ 0, 2 ]) },
	error => qr/ERROR:  22023:/);

# The statement in the hint is right, whatever the name of the server.
warns(
	'a quote in the name of the server',
	"BEGIN; @{[create('a', q{it's}), create('b', q{it's})]} ROLLBACK;",
	sub { lost($rollback, map { { %$_, server => q{it''s} } } @_) });
sub hint_works
{
	my ($what) = @_;
	my $before = $fake->requests;
	my ($deletions) = (warnings_shown())[0]{hint} =~ /^To delete: (.*)/;

	is($node->psql('postgres', $deletions), 0, "$what: the statements in the hint can be run");
	is_deeply([ map { $_->{status} } grep { $_->{kind} eq 'DELETE' } $fake->requests($before) ],
		[ (204) x (() = $deletions =~ /;/g) ], "$what: they delete");
	return;
}
hint_works('base connections');

# What else a call creates: other objects, and many at once.
my $post = <<'SQL';
SELECT status FROM aep.request('POST', '/flowservice/targetConnections',
    body => '{"name": "t", "connectionSpec": {"id": "c604ff05-7f1a-43c0-8e18-33bf874cb11c"}}');
SQL
warns(
	'aep.request()',
	"BEGIN; $post ROLLBACK;",
	sub {
		my ($object) = @_;
		return lost(
			$rollback,
			{   id => $object->{id},
				kind => 'object',
				name => '/flowservice/targetConnections',
				deletion => q{SELECT status FROM aep.request('DELETE', }
				  . qq{'/flowservice/targetConnections/$object->{id}', server => 'aep');}
			});
	});
hint_works('aep.request()');
warns(
	'aep.create_base_connections()',
	q{BEGIN; SELECT sqlstate FROM aep.create_base_connections(ARRAY[
	  aep.base_connection_spec(name => 'a'),
	  aep.base_connection_spec(name => 'fault:status=400'),
	  aep.base_connection_spec(name => 'fault:close=before batch'),
	  aep.base_connection_spec(name => 'b')]); ROLLBACK},
	sub {
		my %made = map { $_->{name} => $_ } @_;
		return lost($rollback, $made{a}, unknown('fault:close=before batch'), $made{b});
	});
logged_as_unknown('fault:close=before batch');

done_testing();
