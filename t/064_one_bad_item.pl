# One bad item never ends a batch: text that cannot be sent, or not be shown, values
# out of range, and specs of a type that was changed.
use strict;
use warnings;

use AepTest;
use Encode qw(encode);
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $fake = AepTest::start_fake('--record-secrets');
my $node = AepTest::start_node('main', 'log_statement = none');
my %login = (username => 'u', password => 'p', advertised_port => 5432);

sub create_database
{
	my ($encoding) = @_;
	my $dbname = AepTest::create_database($node, $encoding);

	AepTest::create_server($node, $fake, %login, dbname => $dbname);
	return $dbname;
}

# Runs SQL in a session of its own; { out, err, bodies of creations }.
sub sql
{
	my ($dbname, $sql) = @_;
	my $before = $fake->requests;
	my %result;

	$node->psql($dbname, "\\set VERBOSITY verbose\n$sql", stdout => \$result{out}, stderr => \$result{err}, on_error_stop => 0);
	$result{bodies} = [ map { $_->{body} } grep { $_->{kind} eq 'POST' } $fake->requests($before) ];
	return \%result;
}

# A batch of specs, each the arguments of the constructor; its rows are encoded so that
# any client can be sent them.
sub batch
{
	my ($dbname, $settings, @specs) = @_;
	my $array = join(', ', map { "aep.base_connection_spec($_)" } @specs);
	my $result = sql($dbname, "$settings; SELECT ordinal, coalesce(id::text, sqlstate), message FROM aep.create_base_connections(ARRAY[$array])");

	$result->{outcomes} = join(' ', map { s/^\d+\|([^|]*)\|.*/$1/rs =~ s/^\S{36}$/id/r } split /\n/, $result->{out});
	$result->{messages} = { $result->{out} =~ /^(\d+)\|[^|]*\|(.*)$/mg };
	unlike($result->{err}, qr/ERROR/, "$dbname: the batch is no error");
	return $result;
}

# Whatever argument it is that cannot be sent, it is that item's.
sub refuses
{
	my ($dbname, $text, $detail) = @_;
	my @names = qw(name description username password database);
	my $result = batch($dbname, '', "name => 'first'", (map { "$_ => $text" . ($_ eq 'username' ? ", password => 'p'" : '') } @names), "name => 'last'");

	is($result->{outcomes}, join(' ', 'id', ('22021') x @names, 'id'), "$dbname: text that cannot be sent is its item's");
	like(
		$result->{messages}{ $_ + 2 },
		qr/^invalid value for argument "$names[$_]" \($detail\)$/,
		"$dbname: $names[$_] is named") foreach (0 .. $#names);
	is(join(' ', map { $_->{name} } @{ $result->{bodies} }), 'first last', "$dbname: the others are sent");

	my $error = AepTest::failing($node, "SELECT id FROM aep.create_base_connection(password => $text)", dbname => $dbname);
	like($error, qr/^psql:.*ERROR:  22021: invalid value for argument "password"\nDETAIL:  $detail$/m, "$dbname: a single call says the same");
	unlike($error, qr/0x/, "$dbname: and shows no byte");
	return;
}
my $converts = 'It holds a character of the database\'s encoding, %s, that PostgreSQL cannot convert to UTF-8\.';
# row 9 of JIS X 0208 has no characters
refuses(create_database('EUC_JP'), q{E'\251\241'}, sprintf($converts, 'EUC_JP'));
refuses(create_database('SQL_ASCII'), q{E'gr\374n'}, 'It is not valid UTF-8\. The database\'s encoding is SQL_ASCII, so .*');
SKIP:
{
	skip 'this PostgreSQL has no MULE_INTERNAL', 1
	  if $node->safe_psql('postgres', "SELECT pg_char_to_encoding('MULE_INTERNAL')") < 0;
	refuses(create_database('MULE_INTERNAL'), q{E'\201\374'}, sprintf($converts, 'MULE_INTERNAL'));

	# what the service says comes back as far as the encoding has it
	my $result = batch('mule_internal', '', "name => 'fault:status=400,message=gr%C3%BCn'");
	is($result->{outcomes}, '22023', 'mule_internal: an error of the service');
	like($result->{messages}{1}, qr/"gr\?\?n"/, 'mule_internal: in ASCII');
}

# A name that is shared among databases is in the encoding of who gave it.
my $utf8 = create_database('UTF8');
create_database('LATIN1');
my $shared = "gr\xfcn";
$node->safe_psql('latin1', "SET client_encoding = 'LATIN1';\nCREATE DATABASE \"$shared\" TEMPLATE utf8");
my $result = batch($shared, '', "name => 'default'", "name => 'given', database => 'green'");
is($result->{outcomes}, '22021 id', 'a name of another encoding');
is($result->{messages}{1}, 'invalid value for argument "database" (It is not valid UTF-8.)', 'a name of another encoding: it is named');

# A warning that the client's encoding cannot hold reaches it all the same.
my $nobody = q{U&'\30c7\30fc\30bf'};    # no role of that name: a warning
foreach my $client (qw(LATIN1 SQL_ASCII UTF8))
{
	my $warned = batch($utf8, "SET client_encoding = '$client'", "name => 'a'", "name => 'b', username => $nobody, password => 'p'", "name => 'c'");

	is($warned->{outcomes}, 'id id id', "a client of $client: no item is lost to a warning");
	like($warned->{err}, qr/WARNING:  01000: Experience Platform cannot log in as "(?:\?+|\xe3\x83\x87.*)"$/m, "a client of $client: the warning");
	like($warned->{err}, qr/log in as "\?{9}"$/m, 'with question marks') if $client eq 'LATIN1';
}

# Nor does an error hide behind one of its text.
$result = sql($utf8, "SET client_encoding = 'LATIN1'; SELECT id FROM aep.create_base_connection(name => 'fault:status=400,message=%E4%BD%A0')");
like($result->{err}, qr/ERROR:  22023: could not create .*\nDETAIL:  .*: "\?\?\?"\.$/m, 'an error that the client cannot hold');
$result = batch($utf8, "SET client_encoding = 'LATIN1'", "name => 'a'", "name => 'fault:status=400,message=%E4%BD%A0'", "name => 'c'");
is($result->{outcomes}, 'id 22023 id', 'a message that the client cannot hold');
like($result->{messages}{2}, qr/: "\?\?\?"\. /, 'a message that the client cannot hold: question marks');

# Values out of range, and their hints
$result = batch(
	$utf8, '', "name => 'a'", "name => 'b', port => -2147483648", "name => 'c', port => 2147483647", "name => 'd', ssl_mode => 'none'",
	'database => repeat($$x$$, 65 * 1024 * 1024)', "name => 'z'", q{name => 'y', password => repeat(U&'\FDFA', 20 * 1024 * 1024)});
is($result->{outcomes}, join(' ', 'id', ('22023') x 4, 'id', 'id'), 'values out of range');
like($result->{messages}{4}, qr/^invalid value for argument "ssl_mode" \(It is not an SSL mode of Experience Platform\. Use one of .*, Verify Full\.\)$/, 'the hint is told as well');
$result = batch($utf8, '', "name => 'a', password => repeat(U&'\\0001', 2 * 1024 * 1024)", "name => 'b'");
is($result->{outcomes}, 'id id', 'what grows sixfold in JSON is sent');
my ($sent) = grep { $_->{name} eq 'a' } @{ $result->{bodies} };
is(length $sent->{auth}{params}{password}, 2 * 1024 * 1024, 'whole');

# The type of a spec, changed in every way
my $made = "SELECT count(id) FROM aep.create_base_connections(ARRAY[aep.base_connection_spec(name => 'x', port => 7)], 'aep')";
my $type = 'aep.base_connection_spec';

sub alter
{
	my ($change) = @_;

	return sql('postgres', "ALTER TYPE $type $change CASCADE");
}

# Both functions with the type as it is, in a new session.
sub goes_on
{
	my ($what) = @_;
	my $now = sql('postgres', $made);

	is("$now->{out}$now->{err}", '1', "$what: goes on") or return;
	is($now->{bodies}[0]{auth}{params}{port}, '7', "$what: with the right values");
	return;
}

sub is_refused
{
	my ($what, $attribute, $of_type) = @_;

	foreach my $sql ($made, "SELECT aep.base_connection_spec(name => 'x')", "SELECT * FROM aep.create_base_connections(ARRAY[NULL]::$type\[])")
	{
		my $now = sql('postgres', $sql);

		like(
			$now->{err},
			qr/ERROR:  42804: type aep\.base_connection_spec is not as the extension aep made it\nDETAIL:  It has no attribute "$attribute" of type $of_type\.\nHINT:  Give it that attribute again with ALTER TYPE\.$/m,
			"$what: 42804");
		is(scalar(@{ $now->{bodies} }), 0, "$what: nothing is sent");
	}
	return;
}
AepTest::create_server($node, $fake, %login);
goes_on('as it was made');
alter('ADD ATTRIBUTE more text');
goes_on('an attribute more');
alter("ADD ATTRIBUTE number$_ bigint") foreach (1 .. 20);
goes_on('many more');
is(sql('postgres', "SELECT aep.base_connection_spec('n')")->{out}, '(n,,,,basic,,,,' . ',' x 21 . ')', 'many more: the constructor leaves them empty');
is( sql('postgres', "SELECT name FROM aep.create_base_connections(ARRAY[ROW('r', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'x', "
		  . join(', ', 1 .. 20) . ")]::$type\[])")->{out}, 'r', 'many more: filled');
alter('DROP ATTRIBUTE number7');
alter('DROP ATTRIBUTE more');
goes_on('some dropped again');
alter('DROP ATTRIBUTE host');
is_refused('one of ours dropped', 'host', 'text');
alter('ADD ATTRIBUTE host text');
goes_on('one of ours added again, at the end');
alter('ALTER ATTRIBUTE port TYPE text');
is_refused('another type', 'port', 'integer');
alter('ALTER ATTRIBUTE port TYPE integer');
goes_on('the right type again');
alter('ALTER ATTRIBUTE auth_type TYPE text');
is_refused('text for an enum', 'auth_type', 'aep\.auth_type');
alter('ALTER ATTRIBUTE auth_type TYPE aep.auth_type');
alter('RENAME ATTRIBUTE name TO title');
is_refused('another name', 'name', 'text');
alter('RENAME ATTRIBUTE title TO name');
goes_on('the right name again');

# A plan holds specs as constants; the type changes before it is executed.
sub between
{
	my ($what, $spec, $changes, $expected) = @_;
	my $plan = "PREPARE p AS SELECT count(id), min(sqlstate), min(message) FROM aep.create_base_connections(ARRAY[$spec], 'aep')";
	my $now = sql('postgres', "SET plan_cache_mode = force_generic_plan; $plan; EXECUTE p; " . join('', map { "ALTER TYPE $type $_ CASCADE; " } @$changes) . 'EXECUTE p; SELECT 1');

	like($now->{out}, qr/\A.*\n(?:$expected\n)?1\z/, "$what: what is made") or diag $now->{err};
	return $now;
}
my $constant = "aep.base_connection_spec(name => 'x', host => 'h.example.com', port => 7)";
foreach my $change ('ADD ATTRIBUTE later text', 'DROP ATTRIBUTE later')
{
	my $now = between("$change in between", $constant, [$change], '1\|\|');
	is($now->{bodies}[1]{auth}{params}{server}, 'h.example.com', "$change in between: the right values");
}
like(between('another type in between', $constant, ['ALTER ATTRIBUTE port TYPE text'], '')->{err}, qr/ERROR:  42804:/, 'another type in between: refused');
my ($row) = sql('postgres', "SELECT $constant")->{err} =~ /42804/;
ok($row, 'the constructor does not make what is not as it was');

# made with the port as text, and read with the port as a number: also with long
# texts where the other has numbers, and the other way round
my $attributes = sql('postgres', "SELECT string_agg(CASE attname WHEN 'name' THEN '''x''' WHEN 'port' THEN '''' || repeat('9', 200) || '''' "
	  . "WHEN 'host' THEN '''h.example.com''' ELSE 'NULL' END, ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = '$type'::regclass AND attnum > 0 AND NOT attisdropped")->{out};
foreach my $text ('9' x 200, '', 'y', 'zz', 'abc' x 50_000)
{
	my $now = between(
		'a constant of another version of the type',
		"ROW(" . ($attributes =~ s/'9+'/AepTest::literal($text)/er) . ")::$type",
		['ALTER ATTRIBUTE port TYPE integer'], '0\|42804\|the spec is of another version of type aep\.base_connection_spec \(The type was changed after the statement was planned\. Prepare the statement again\.\)');
	unlike($now->{err}, qr/terminat|closed the connection/, 'a constant of another version: no crash');
	alter('ALTER ATTRIBUTE port TYPE text');
}
alter('ALTER ATTRIBUTE port TYPE integer');
goes_on('in the end');

# Domains over the type, and what stands in a table
$node->safe_psql('postgres', "CREATE DOMAIN spec AS $type; CREATE DOMAIN specs AS $type\[]; CREATE TABLE kept (spec $type); "
	  . "INSERT INTO kept SELECT aep.base_connection_spec(name => 'kept', host => 'k.example.com')");
foreach my $array ("ARRAY[${constant}::spec]", "ARRAY[$constant]::specs", "ARRAY[ARRAY[$constant, NULL], ARRAY[NULL, $constant]]")
{
	my $now = sql('postgres', "SELECT string_agg(coalesce(name, sqlstate), ' ' ORDER BY ordinal) FROM aep.create_base_connections($array)");
	is("$now->{out}$now->{err}", $array =~ /NULL/ ? 'x 22004 22004 x' : 'x', "array: $array");
}
alter('ADD ATTRIBUTE latest text');
alter('DROP ATTRIBUTE latest');
alter('ADD ATTRIBUTE last text');
$result = sql('postgres', 'SELECT count(id) FROM aep.create_base_connections(ARRAY(SELECT spec FROM kept))');
is($result->{out} . $result->{bodies}[0]{auth}{params}{server}, '1k.example.com', 'a row that is older than the type');

done_testing();
