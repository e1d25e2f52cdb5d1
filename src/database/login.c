/*
 * database/login.c
 *		Whether Experience Platform can log in to this server as it is told to.
 *
 * A login that cannot work is registered all the same, since the role may be
 * made later; but nobody shall have to wait for the first failed ingestion to
 * learn of it.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "common/saslprep.h"
#include "common/string.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "database/encoding.h"
#include "database/endpoint.h"
#include "database/login.h"

/*
 * Preparing a password takes time and memory that depend on its characters, and
 * PostgreSQL raises an error where that is too much.
 */
#define LONGEST_PREPARED (64 * 1024)

static void
add_finding(List **findings, const char *message, const char *detail, const char *hint)
{
	AepSuspicion *finding = palloc(sizeof(AepSuspicion));

	*finding = (AepSuspicion){message, {detail, hint}};
	*findings = lappend(*findings, finding);
}

/* As much of a name as PostgreSQL reads of the one that a client gives. */
static const char *
name_as_read(const char *name)
{
	return pnstrdup(name, pg_mbcliplen(name, (int) strlen(name), NAMEDATALEN - 1));
}

/* When the role's password stops to work, as text; NULL: not yet. */
static const char *
expiry(HeapTuple role)
{
	bool never;
	Datum until = SysCacheGetAttr(AUTHNAME, role, Anum_pg_authid_rolvaliduntil, &never);

	if (never || DatumGetTimestampTz(until) > GetCurrentTimestamp())
		return NULL;
	return pstrdup(timestamptz_to_str(DatumGetTimestampTz(until)));
}

/* Returns the role, or InvalidOid. */
static Oid
check_role(const char *name, List **findings)
{
	const char *cannot = psprintf("Experience Platform cannot log in as \"%s\"", name);
	const char *quoted = quote_identifier(name);
	HeapTuple tuple = SearchSysCache1(AUTHNAME, CStringGetDatum(name));
	Form_pg_authid role;
	const char *expired;
	Oid id;

	if (!HeapTupleIsValid(tuple))
	{
		add_finding(findings, cannot, "This server has no role of that name.",
					psprintf("Use CREATE ROLE %s LOGIN PASSWORD '...'.", quoted));
		return InvalidOid;
	}
	role = (Form_pg_authid) GETSTRUCT(tuple);
	id = role->oid;
	expired = expiry(tuple);
	if (!role->rolcanlogin)
		add_finding(findings, cannot, "The role is NOLOGIN.",
					psprintf("Use ALTER ROLE %s LOGIN.", quoted));
	if (expired != NULL)
		add_finding(findings, cannot, psprintf("Its password was valid until %s.", expired),
					psprintf("Use ALTER ROLE %s VALID UNTIL 'infinity'.", quoted));
	if (role->rolconnlimit == 0 && !role->rolsuper)
		add_finding(findings, cannot, "Its connection limit is 0.",
					psprintf("Use ALTER ROLE %s CONNECTION LIMIT 5.", quoted));
	if (role->rolsuper)
		add_finding(findings, psprintf("Experience Platform logs in as \"%s\", a superuser", name),
					"It can then read and change everything in this server.",
					"Give it a login that can only read what it shall see.");
	ReleaseSysCache(tuple);
	return id;
}

/* role is InvalidOid if there is none to ask about. */
static void
check_database(const char *name, Oid role, const char *role_name, List **findings)
{
	const char *cannot = psprintf("Experience Platform cannot connect to database \"%s\"", name);
	Oid id = get_database_oid(name, true);
	HeapTuple tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(id));

	if (!HeapTupleIsValid(tuple))
	{
		add_finding(findings, cannot, "This server has no database of that name.",
					"Correct the argument database, or make it with CREATE DATABASE.");
		return;
	}
	if (!((Form_pg_database) GETSTRUCT(tuple))->datallowconn)
		add_finding(
			findings, cannot, "The database allows no connections.",
			psprintf("Use ALTER DATABASE %s ALLOW_CONNECTIONS true.", quote_identifier(name)));
	ReleaseSysCache(tuple);
	if (OidIsValid(role) && aep_database_aclcheck(id, role, ACL_CONNECT) != ACLCHECK_OK)
		add_finding(findings, cannot,
					psprintf("Role \"%s\" lacks the privilege CONNECT on it.", role_name),
					psprintf("Use GRANT CONNECT ON DATABASE %s TO %s.", quote_identifier(name),
							 quote_identifier(role_name)));
}

/* RFC 4013 refuses them; PostgreSQL's preparation leaves all of ASCII alone. */
static bool
has_ascii_control(const char *text)
{
	for (const char *c = text; *c != '\0'; c++)
	{
		if ((unsigned char) *c < ' ' || *c == 0x7f)
			return true;
	}
	return false;
}

/*
 * Whether preparing a password for SCRAM, as PostgreSQL does when it is set and
 * a client when it logs in, leaves it as it is.  Not every client does that, and
 * not all do it alike.
 */
static bool
is_prepared(const char *password)
{
	const char *utf8;
	char *prepared = NULL;
	bool result;

	if (has_ascii_control(password))
		return false;
	if (pg_is_ascii(password) || strlen(password) > LONGEST_PREPARED || !aep_can_be_utf8(password))
		return true; /* the last cannot be sent anyway */
	utf8 = aep_to_utf8(password, "argument \"password\"");
	result = pg_saslprep(utf8, &prepared) == SASLPREP_SUCCESS && strcmp(prepared, utf8) == 0;
	if (prepared != NULL)
		explicit_bzero(prepared, strlen(prepared));
	if (utf8 != password)
		explicit_bzero(unconstify(char *, utf8), strlen(utf8));
	return result;
}

List *
aep_login_findings(const AepServer *server, const AepBaseConnection *connection)
{
	List *findings = NIL;
	AepObjection mistyped; /* is warned of as that, and there is no name to advise with */

	if (connection->host != NULL && connection->database != NULL && connection->username != NULL &&
		!aep_value_suspect(AEP_VALUE_ROLE, connection->username, &mistyped) &&
		!aep_value_suspect(AEP_VALUE_DATABASE, connection->database, &mistyped) &&
		aep_endpoint_is_own(server, connection->host, connection->port))
	{
		const char *name = name_as_read(connection->username);

		check_database(name_as_read(connection->database), check_role(name, &findings), name,
					   &findings);
	}
	if (connection->password != NULL && !is_prepared(connection->password))
		add_finding(&findings, "programs may disagree about what this password is",
					"Preparing it for SCRAM (SASLprep, RFC 4013) changes or refuses some of its "
					"characters, "
					"and not every program does that, or does it alike.",
					"Use a password of printable ASCII characters.");
	return findings;
}

void
aep_login_warn(const AepServer *server, const AepBaseConnection *connection)
{
	aep_suspicions_raise(aep_login_findings(server, connection));
}
