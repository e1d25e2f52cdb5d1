# aep.check_ingest_role(): lines of pg_hba.conf that shut the login out before they ask
# for its password, or trust it; whom they are about; and each finding once.
use strict;
use warnings;

use AepTest;
use Calls qw(call_in query);
use Findings;
use IngestRole;
use Test::More;

my ($node, undef, $session) = Findings::start();

turn_ssl_on();
query('SELECT pg_reload_conf()');
AepTest::close_session($session);
$session = AepTest::open_session($node);
call_in($session);
my $id = create("'reader', '{shop}', ssl_mode => 'Require'");
my $either = create("'either', '{shop}', ssl_mode => 'Prefer'");
my $first = set_hba();
my $second = $first + 1;
my $good = 'hostssl all all 0.0.0.0/0 scram-sha-256';
my $none = 'pg_hba.conf has no line that lets reader_a in from outside with a password and SSL';
my @line = (type => 'hostssl', role => 'reader');

# Whether this server's build has what a line asks for.
sub can_be
{
	my ($line) = @_;

	set_hba($line);
	return query('SELECT count(*) FROM pg_hba_file_rules() WHERE error IS NOT NULL') eq '0';
}

# Methods that shut the login out, alone and before a line that would let it in
my $only = 'lets reader_a in by %s only, not with a password';
my $other = 'asks %s for the password of reader_a, which only PostgreSQL knows';
foreach my $case (
	[ 'ident',                                               $only,  'ident' ],
	[ 'gss',                                                 $only,  'gss' ],
	[ 'sspi',                                                $only,  'sspi' ],
	[ 'cert',                                                $only,  'cert' ],
	[ 'ldap ldapserver=ldap.example.com ldapprefix="cn="',$other, 'ldap' ],
	[ 'radius radiusservers=192.0.2.9 radiussecrets=secret', $other, 'radius' ],
	[ 'pam',                                                 $other, 'pam' ],
	[ 'scram-sha-256 clientcert=verify-full', 'asks reader_a for a client certificate' ],
	[ 'trust clientcert=verify-ca',           'asks reader_a for a client certificate' ])
{
	my ($method, $how, $name) = @$case;
	my $finding = "line $first of pg_hba.conf " . ($name ? sprintf($how, $name) : $how);
	my $line = "hostssl all all 0.0.0.0/0 $method";

  SKIP:
	{
		skip "$method is not built in", 1 unless can_be($line);
		finds_in_hba($id, [$finding], "$method alone", @line, before => $first);
		set_hba($line, $good);
		finds_in_hba($id, [$finding], "$method before", @line, before => $first);
		set_hba($good, $line);
		finds_nothing($id, "$method behind");
		set_hba("hostssl all dba 0.0.0.0/0 $method", "hostssl elsewhere all 0.0.0.0/0 $method",
			"hostssl all all 10.0.0.0/8 $method", $good);
		finds_nothing($id, "$method for others");
		set_hba("hostssl all all 10.0.0.0/8 $method");
		finds_in_hba($id, [$finding], "$method for some addresses, and nothing else", @line, before => $first);
	}
}
set_hba('hostssl all all 10.0.0.0/8 reject');
finds_in_hba($id, [$none], 'some addresses are rejected, the others have no line', @line, before => $first);
set_hba('hostssl all all 10.0.0.0/8 reject', 'hostssl all all 0.0.0.0/0 ident', $good);
finds_in_hba($id, ["line $second of pg_hba.conf " . sprintf($only, 'ident')],
	'only what is in the way is told', @line, before => $first);

# what lets it in
foreach my $method ('scram-sha-256', 'md5', 'password')
{
	set_hba("hostssl all all 0.0.0.0/0 $method");
	finds_nothing($id, $method);
}

# Trust
sub trusts
{
	my ($number) = @_;

	return [ "line $number of pg_hba.conf lets anybody in as reader_a, without a password",
		$node->data_dir . "/pg_hba.conf: scram-sha-256 in place of trust in line $number, then reload" ];
}
foreach my $case (
	[ ['hostssl all all 0.0.0.0/0 trust'],                      $first ],
	[ [ 'hostnossl all all 0.0.0.0/0 trust', $good ],           $first ],
	[ [ $good, 'hostnossl all all 0.0.0.0/0 trust' ],           $second ],
	[ [ $good, 'host all +reader samenet trust' ],              $second ],
	[ [ $good, 'host all all ::/0 trust' ],                     $second ],
	[ [ 'host all all 0.0.0.0/0 md5', 'host all all all trust' ], $second ],
	[ [ 'host all all 10.0.0.0/8 md5', 'hostssl all reader_a 0.0.0.0/0 trust' ], $second ],
	[ [ 'host all all all trust', 'host all all 10.0.0.0/8 trust' ], $first ])
{
	my ($lines, $number) = @$case;

	set_hba(@$lines);
	is_deeply([ findings($id) ], [ trusts($number) ], join(', then ', @$lines));
	$lines->[ $number - $first ] =~ s/trust/scram-sha-256/;
	$lines->[1] = $good if $number == $first;
	set_hba(@$lines);
	finds_nothing($id, 'the remedy of that');
}
foreach my $harmless (
	'local all all trust',
	'host all all 127.0.0.1/32 trust',
	'host all all ::1/128 trust',
	'host all all samehost trust',
	'host all dba 0.0.0.0/0 trust',
	'host elsewhere all 0.0.0.0/0 trust',
	'hostssl all all 0.0.0.0/0 trust clientcert=verify-full')
{
	set_hba($good, $harmless);
	finds_nothing($id, "$harmless is no harm");
}
set_hba('host all all 0.0.0.0/0 md5', 'hostssl all all 20.0.0.0/8 trust');
finds_nothing($id, 'nor is one behind another that has all of it');
set_hba('host all all 0.0.0.0/0 reject', 'host all all 20.0.0.0/8 trust');
finds_in_hba($id, ["line $first of pg_hba.conf rejects reader_a"],
	'nor one that nobody reaches', @line, before => $first);

# What is proposed when a connection may do without SSL, and the server offers it
set_hba('host all all all ident');
finds_in_hba($either, ["line $first of pg_hba.conf lets either_a in by ident only, not with a password"],
	'Prefer', type => 'hostssl', role => 'either', before => $first);
set_hba('hostssl all all all ident', 'host all all all md5');
finds_nothing($either, 'the other way is open');

# Whom a line is about
query('CREATE ROLE team; CREATE ROLE region; GRANT team TO reader; GRANT region TO team');
query('CREATE ROLE friends');
foreach my $who ('reader_a', '+reader_a', '+reader', '+team', '+region', 'dba,+region')
{
	set_hba("hostssl all $who 0.0.0.0/0 md5");
	finds_nothing($id, $who);
	set_hba("hostssl all $who 0.0.0.0/0 gss", $good);
	finds_in_hba($id, ["line $first of pg_hba.conf " . sprintf($only, 'gss')],
		"$who shut out", @line, before => $first);
}
foreach my $who ('reader', '+friends', '+nobody', 'either_a')
{
	set_hba("hostssl all $who 0.0.0.0/0 md5");
	finds_in_hba($id, [$none], $who, @line);
	set_hba("hostssl all $who 0.0.0.0/0 gss", $good);
	finds_nothing($id, "$who shut out");
}
query('ALTER ROLE reader_a SUPERUSER');
set_hba('hostssl all +friends 0.0.0.0/0 reject', $good);
finds_nothing($id, 'a superuser is no member of every role');
query('ALTER ROLE reader_a NOSUPERUSER');

# which database
set_hba('hostssl sameuser,samerole,replication all 0.0.0.0/0 md5');
finds_in_hba($id, [$none], 'lines for other databases', @line);
query('GRANT postgres TO reader');
finds_nothing($id, 'samerole: a member of the role that has the name of the database');
query('REVOKE postgres FROM reader');

# Addresses
foreach my $case (
	[ 'hostssl all all ::/0 gss',                  'hostssl all all 2001:db8::/32 md5' ],
	[ 'hostssl all all all gss',                   'hostssl all all samenet md5' ],
	[ 'hostssl all all samenet gss',               'hostssl all all samenet md5' ],
	[ 'hostssl all all 0.0.0.0/0 gss',             'hostssl all all all md5' ],
	[ 'hostnogssenc all all 0.0.0.0/0 gss',        'host all all 20.0.0.0/8 md5' ],
	[ 'hostssl all all 20.0.0.0 255.0.0.0 gss',    'hostssl all all 20.42.2.0/23 md5' ])
{
	set_hba(@$case);
	finds_in_hba($id, ["line $first of pg_hba.conf " . sprintf($only, 'gss')],
		"$case->[0], then $case->[1]", @line, before => $first);
}
foreach my $case (
	[ 'hostssl all all ::/0 gss',         'hostssl all all 20.0.0.0/8 md5' ],
	[ 'hostssl all all 0.0.0.0/0 gss',    'hostssl all all 2001:db8::/32 md5' ],
	[ 'hostssl all all samenet gss',      'hostssl all all 20.0.0.0/8 md5' ],
	[ 'hostgssenc all all 0.0.0.0/0 gss', 'hostssl all all all md5' ],
	[ 'hostnossl all all 0.0.0.0/0 gss',  'host all all all md5' ])
{
	set_hba(@$case);
	finds_nothing($id, "$case->[0], then $case->[1]");
}

# Each finding once
set_hba($good);
my $twice = create("'twice', tables => ARRAY['office.hidden', 'office.hidden', '\"office\".\"hidden\"']");
query('ALTER TABLE office.hidden RENAME TO renamed');
finds($twice, qr/^table office\.hidden does not exist$/, qr/./, 'a table that was named more than once');
query('ALTER TABLE office.renamed RENAME TO hidden');
query(<<'SQL');
ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY;
CREATE POLICY reader ON shop.orders FOR SELECT TO reader USING (true);
REVOKE reader FROM reader_a;
SQL
finds($id, qr/^login reader_a does not inherit from role reader$/, qr/^GRANT reader TO reader_a/,
	'what the login does not inherit, tables and policies, is not told again');
query('GRANT reader TO reader_a; REVOKE SELECT ON shop.recent FROM reader; REVOKE reader FROM reader_a');
is_deeply(
	[ map { $_->[0] } findings($id) ],
	[ 'login reader_a does not inherit from role reader', 'login reader_a may not read shop.recent' ],
	'what the role does not have either is');
query('GRANT reader TO reader_a; GRANT SELECT ON shop.recent TO reader');
finds_nothing($id, 'in the end');

no_password_is_left(2);

done_testing();
