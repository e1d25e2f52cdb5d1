# The table of errors, rule by rule: each has a hint, or a written reason why not,
# and each is met by the exchange that it is for, with its SQLSTATE and its hint.
use strict;
use warnings;

use AepTest;
use Calls qw(call_in run create value);
use File::Basename qw(dirname);
use PostgreSQL::Test::Utils;
use Test::More;

my $source = slurp_file(dirname(__FILE__) . '/../src/platform/error_rule.c');

# The rows of the table, as C reads them.
my (%macro, @rules);
$source =~ s/\\\n/ /g;
$macro{$1} = $2 while $source =~ /^#define (\w+)[ \t]+(.*)$/mg;

sub expanded
{
	my ($text) = @_;

	$text =~ s/\b([A-Z_]+)\b(?=(?:[^"]*"[^"]*")*[^"]*$)/defined $macro{$1} ? expanded($macro{$1}) : $1/ge;
	return $text;
}

# A string constant's text; undef for NULL.
sub text_of
{
	my ($c) = @_;

	$c = expanded($c);
	return if $c =~ /^\s*NULL\s*$/;
	return join('', map { s/\\(.)/$1/gr } $c =~ /"((?:[^"\\]|\\.)*)"/g);
}

my ($table) = $source =~ /^static const AepErrorRule rules\[\] = \{\n(.*?)^\};$/ms or die 'no table';
$table =~ s{/\*.*?\*/}{}gs;
my $string = qr/"(?:[^"\\]|\\.)*"/;
my $arguments = qr/(?:[^(),"]|$string|\((?:[^()"]|$string)*\))+/;
while ($table =~ s/\bRULE\(((?:$arguments,){6}$arguments)\),?//s)
{
	my @field = map { s/^\s+|\s+$//gr } $1 =~ /($arguments)(?:,|$)/g;
	my %rule;

	@rule{qw(outcome which codes scope sqlstate problem advice)} = @field;
	push @rules, \%rule;
}
like($table, qr/^\s*$/, 'the table has nothing but rules');
cmp_ok(scalar(@rules), '>', 50, 'and all of them');
foreach my $rule (@rules)
{
	$rule->{name} = join(' ', map { s/\s+/ /gr } @{$rule}{qw(outcome which codes scope)});
	ok($rule->{advice} =~ /^(HINT|NO_HINT)\((.*)\)$/s, "$rule->{name}: ends with a hint, or a reason");
	($rule->{has_hint}, $rule->{hint}) = ($1 eq 'HINT', text_of($2));
	cmp_ok(length($rule->{hint}), '>', 15, "$rule->{name}: which says something");
	like($rule->{hint}, qr/^[A-Z].*\.$/, "$rule->{name}: a sentence") if $rule->{has_hint};
}
is(scalar(grep { !$_->{has_hint} } @rules), 1, 'nothing but a lack of memory is without a hint');

# An exchange for each.
my %sqlstate = (
	BAD_CREDENTIAL => '28000', NOT_ALLOWED => '42501', BAD_VALUE => '22023', NOT_CONNECTED => '08001',
	OUTCOME_UNKNOWN => '08007', WRONG_STATE => '55000', UNDEFINED_OBJECT => '42704', CONNECTION_EXCEPTION => '08000',
	CONFIGURATION_LIMIT_EXCEEDED => '53400', SYSTEM_ERROR => '58000', DEPENDENT_OBJECTS_STILL_EXIST => '2BP01',
	FEATURE_NOT_SUPPORTED => '0A000', DUPLICATE_OBJECT => '42710', T_R_SERIALIZATION_FAILURE => '40001',
	PROGRAM_LIMIT_EXCEEDED => '54000', CONNECTION_FAILURE => '08006');
my $fake = AepTest::start_fake();
my $node = AepTest::start_node('main');
my %base = (username => 'u', password => 'sesame', token_url => $fake->url('ims'), max_attempts => 1);
my %fetching = (access_token => undef, client_secret => 'demo-client-secret');
AepTest::create_server($node, $fake, %base, %fetching, server => 'fetched', max_response_size => '100kB');
AepTest::create_server($node, $fake, %base, server => 'own');
AepTest::create_server($node, $fake, %base, server => '"both"', client_secret => 'demo-client-secret');
AepTest::create_server($node, $fake, %base, %fetching, server => 'twice', max_attempts => 2);
my $session = AepTest::open_session($node);
call_in($session, $fake);
my $count = 0;

# A call on a connection that has the fault; several of them are met one after the other.
sub call_with
{
	my ($kind, $fault, $server) = @_;
	my $name = "fault:" . join(';', map { "on=$kind,$_" } split /;/, $fault) . ' ' . $count++;
	my %call = (GET => "aep.connection('%s', '$server')", TEST => "aep.test_connection('%s', '$server')",
		EXPLORE => "aep.explore('%s', '$server')",
		PATCH => "aep.update_connection('%s', name => 'changed', server => '$server')");

	return "SELECT * FROM aep.create_base_connection(name => '$name', server => '$server')" if $kind eq 'POST';
	return 'SELECT * FROM ' . sprintf($call{$kind}, create($name, ", server => 'fetched'"));
}

# With other options for this time; a token server of its own for each.
sub with_options
{
	my ($options, $call) = @_;

	return "BEGIN; ALTER SERVER fetched OPTIONS ($options); $call; ROLLBACK";
}
sub token_call
{
	my ($fault) = @_;

	$fault .= ',shape=ims' if $fault =~ s/,shape=\w+// || $fault =~ /code=/;
	return "BEGIN; ALTER USER MAPPING FOR CURRENT_USER SERVER fetched OPTIONS (SET client_secret 'fault:$fault " . $count++ . "'); "
	  . "SELECT * FROM aep.connections(server => 'fetched'); ROLLBACK";
}
sub literal { return AepTest::literal($_[0]); }

sub meets
{
	my ($rule, $what, $sql) = @_;
	my $err = run($sql)->{err};

	run('ROLLBACK') if $sql =~ /^BEGIN/;
	my ($state, $hint) = $err =~ /^ERROR:  (\w{5}): .*\n(?:DETAIL:  .*\n)?(?:HINT:  (.*)\n)?/m;
	is($state // $err, $sqlstate{ $rule->{sqlstate} } // $rule->{sqlstate}, "$rule->{name}$what: SQLSTATE");
	is($hint, $rule->{hint}, "$rule->{name}$what: hint");
	like($err, qr/^ERROR:  \w{5}: .*: \Q@{[ text_of($rule->{problem}) ]}\E$/m, "$rule->{name}$what: message");
	return $err;
}

# Kind of call and server that a scope means.
my %scope = (
	EVERY_REQUEST => [ 'GET', 'fetched' ], DATABASE_REQUEST => [ 'TEST', 'fetched' ], ANY_CHANGE => [ 'PATCH', 'fetched' ],
	WITH_OWN_TOKEN => [ 'GET', 'own' ], WITH_BOTH_TOKENS => [ 'GET', 'both' ], FAILED_CHANGE => [ 'POST', 'fetched' ],
	SENT_CHANGE => [ 'POST', 'fetched' ], REFUSED_LATER => [ 'PATCH', 'twice' ]);
my %status = (0 => 418, 3 => 307, 5 => 503);

sub complete
{
	my ($rule, $code) = @_;
	my $status = $status{ $rule->{which} } // $rule->{which};
	my $fault;

	return 'redirect=' . 'http%3A%2F%2Fportal.example.com%2Flogin' if $status == 307;
	$status = $rule->{scope} eq 'FAILED_CHANGE' ? 502 : 412 if $rule->{scope} =~ /^(?:FAILED_CHANGE|REFUSED_LATER)$/;
	$status = $code =~ /^40\d{4}$/ ? 403 : 400 if $code && $rule->{which} eq '0';
	$fault = "status=$status";
	$fault .= $code ? ",code=$code" . ($code =~ /^\d/ ? ',shape=gateway' : '') : ',shape=message';
	return $rule->{scope} eq 'REFUSED_LATER' ? "reset=before,times=1;$fault" : $fault;
}

foreach my $rule (grep { $_->{outcome} eq 'COMPLETE' } @rules)
{
	my @codes = $rule->{codes} eq 'NULL' ? ('') : split / /, text_of($rule->{codes});

	$codes[0] = 'CONNECTOR-1001' if $codes[0] eq 'CONNECTOR';
	foreach my $code (@codes)
	{
		my $fault = complete($rule, $code);
		my $call = $rule->{scope} eq 'TOKEN_REQUEST' ? token_call($fault) : call_with($scope{ $rule->{scope} }[0], $fault, $scope{ $rule->{scope} }[1]);

		my $err = meets($rule, $code && " ($code)", $call);
		like($err, qr/^DETAIL:  .*HTTP status 307, and leads to "http:\/\/portal\.example\.com\/login"\.$/m,
			"$rule->{name}: where it leads")
		  if $rule->{which} eq '3';
	}
}
my $ca = $fake->ca_file;
my %obstacle = (
	AEP_HTTP_BAD_CA_FILE => sub { "SET ca_file '/nonexistent/ca.pem'" },
	AEP_HTTP_NO_PROXY => sub { 'ADD proxy ' . literal($fake->url('refused') =~ s/^https/http/r) },
	AEP_HTTP_NO_NAME => sub { "SET $_[0] 'https://nowhere.invalid/ims'" },
	AEP_HTTP_BAD_CERTIFICATE => sub { "SET $_[0] " . literal($fake->url('unknown_ca') . '/ims') },
	0 => sub { "SET $_[0] " . literal($fake->url('refused') . '/ims') });
foreach my $rule (grep { $_->{outcome} eq 'NOT_CONNECTED' && $_->{scope} ne 'REFUSED_LATER' } @rules)
{
	my $option = $rule->{scope} eq 'TOKEN_REQUEST' ? 'token_url' : 'base_url';
	my $call = q{SELECT * FROM aep.connections(server => 'fetched')};

	# a session has a token from before: only a server that changes asks for one
	run($call) if $option eq 'base_url';
	meets($rule, '', with_options($obstacle{ $rule->{which} }->($option), $call));
}
my %broken = (BROKEN => 'reset=before', TOO_LARGE => 'huge=200000');
foreach my $rule (grep { $broken{ $_->{outcome} } } @rules)
{
	meets($rule, '', call_with($scope{ $rule->{scope} }[0], $broken{ $rule->{outcome} }, $scope{ $rule->{scope} }[1]));
}
is(scalar(grep { $_->{outcome} eq 'OUT_OF_MEMORY' || ($_->{outcome} eq 'NOT_CONNECTED' && $_->{scope} eq 'REFUSED_LATER') } @rules),
	2, 'all but two were met: the tests of retries have one, and nothing has the other');

# FLOW-1439 is "no such object" with either status, also where that is what was asked for.
foreach my $status (400, 404)
{
	like(run(call_with('GET', "status=$status,code=FLOW-1439", 'fetched'))->{err}, qr/^ERROR:  42704:/m, "FLOW-1439-$status");
	my $id = create("fault:on=DELETE,reset=before,processed=0,times=1;on=DELETE,status=$status,code=FLOW-1439 $status", ", server => 'fetched'");
	is(run("SELECT aep.delete_connection('$id', 'twice')")->{err}, '', "FLOW-1439-$status to a second deletion: done");
}
my $id = create('fault:on=DELETE,reset=before,processed=0,times=1;on=DELETE,status=404,code=FLOW-2100', ", server => 'fetched'");
like(run("SELECT aep.delete_connection('$id', 'twice')")->{err}, qr/^ERROR:  08007:/m, 'but not that there is no such sandbox');

# What is not understood
like(run(call_with('GET', 'html=1', 'fetched'))->{err}, qr/^ERROR:  08P01:.*\nDETAIL:.*\nHINT:  .*base_url/m, 'a page');
like(run(token_call('html=1'))->{err}, qr/^ERROR:  08P01:.*\nDETAIL:.*\nHINT:  .*token_url/m, 'a page in place of a token');

AepTest::close_session($session);
done_testing();
