/*
 * ingest/role.c
 *		The roles through which Experience Platform reads.
 *
 * Statements go through SPI, where auditing sees them; none of them holds a
 * secret.  The password is set past all of that: AlterRole() gets a SCRAM
 * verifier, and the password itself goes nowhere but into the request.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/user.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "ingest/role.h"

/* Longer limits are NAMEDATALEN's affair; two bytes are the suffix. */
#define SUFFIX_LENGTH 2

static void
wipe_password(void *arg)
{
	explicit_bzero(arg, sizeof(AepPassword));
}

AepPassword *
aep_password_create(void)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	AepPassword *password = palloc0(sizeof(AepPassword));
	MemoryContextCallback *wipe = palloc(sizeof(MemoryContextCallback));
	uint8 random[sizeof(password->text) - 1];

	wipe->func = wipe_password;
	wipe->arg = password;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, wipe);

	if (!pg_strong_random(random, sizeof(random)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not make a random password")));
	for (int i = 0; i < sizeof(random); i++)
		password->text[i] = alphabet[random[i] % 64]; /* 64 divides 256: no bias */
	explicit_bzero(random, sizeof(random));
	return password;
}

char *
aep_ingest_login_name(const char *role_name, char suffix)
{
	if (strlen(role_name) + SUFFIX_LENGTH >= NAMEDATALEN)
		ereport(ERROR,
				(errcode(ERRCODE_NAME_TOO_LONG), errmsg("role name \"%s\" is too long", role_name),
				 errdetail("Its logins are named after it, with two more characters.")));
	return psprintf("%s_%c", role_name, suffix);
}

static void run(const char *format, ...) pg_attribute_printf(1, 2);

/* Runs one statement as the caller. */
static void
run(const char *format, ...)
{
	StringInfoData sql;
	int result;

	initStringInfo(&sql);
	for (;;)
	{
		va_list args;
		int needed;

		va_start(args, format);
		needed = appendStringInfoVA(&sql, format, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&sql, needed);
	}
	result = SPI_execute(sql.data, false, 0);
	if (result < 0)
		elog(ERROR, "SPI_execute failed: %s", SPI_result_code_string(result));
	pfree(sql.data);
}

/* GRANT or REVOKE of one table, and of the schema that it was in. */
static void
change_table(Oid table, Oid schema, bool grant, const char *role)
{
	const char *verb = grant ? "GRANT" : "REVOKE";
	const char *preposition = grant ? "TO" : "FROM";
	char *granted = get_namespace_name(schema);
	char *current = get_namespace_name(get_rel_namespace(table));
	char *name = get_rel_name(table);

	if (granted != NULL)
		run("%s USAGE ON SCHEMA %s %s %s", verb, quote_identifier(granted), preposition, role);
	if (name != NULL && current != NULL)
		run("%s SELECT ON TABLE %s %s %s", verb, quote_qualified_identifier(current, name),
			preposition, role);
	/* what was granted on what is gone went with it */
	if (grant && (granted == NULL || name == NULL || current == NULL))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("a table of argument \"tables\" was dropped meanwhile")));
}

/*
 * GRANT ... TO or REVOKE ... FROM.  Nothing keeps the schemas and tables from
 * being dropped between the one and the other.
 */
static void
change_privileges(const AepIngestGrants *grants, bool grant)
{
	const char *verb = grant ? "GRANT" : "REVOKE";
	const char *preposition = grant ? "TO" : "FROM";
	const char *role = quote_identifier(grants->role_name);
	ListCell *cell;

	run("%s CONNECT ON DATABASE %s %s %s", verb, quote_identifier(grants->database), preposition,
		role);
	foreach (cell, grants->schemas)
	{
		const char *schema = quote_identifier(lfirst(cell));

		if (!grant && !OidIsValid(get_namespace_oid(lfirst(cell), true)))
			continue;
		run("%s USAGE ON SCHEMA %s %s %s", verb, schema, preposition, role);
		run("%s SELECT ON ALL TABLES IN SCHEMA %s %s %s", verb, schema, preposition, role);
		if (grants->default_privileges)
			run("ALTER DEFAULT PRIVILEGES IN SCHEMA %s %s SELECT ON TABLES %s %s", schema, verb,
				preposition, role);
	}
	for (int i = 0; i < list_length(grants->tables); i++)
		change_table(list_nth_oid(grants->tables, i), list_nth_oid(grants->table_schemas, i), grant,
					 role);
}

pg_noreturn static void missing_privilege(const char *privilege, const char *object);

static void
missing_privilege(const char *privilege, const char *object)
{
	ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					errmsg("could not grant %s on %s", privilege, object),
					errhint("Call it as the owner, or have the privilege granted to you WITH GRANT "
							"OPTION.")));
	pg_unreachable();
}

/*
 * GRANT without the right to grant is only a warning in PostgreSQL; here it
 * would mean a role that cannot read.
 */
static void
check_privileges(const AepIngestGrants *grants, Oid role)
{
	static const char unreadable[] =
		"SELECT c.oid FROM pg_catalog.pg_class c "
		"WHERE c.relnamespace OPERATOR(pg_catalog.=) $2 "
		"AND c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p,v,m,f}'::pg_catalog.\"char\"[]) "
		"AND NOT pg_catalog.has_table_privilege($1, c.oid, 'SELECT') LIMIT 1";
	ListCell *cell;

	if (aep_database_aclcheck(MyDatabaseId, role, ACL_CONNECT) != ACLCHECK_OK)
		missing_privilege("CONNECT", psprintf("database \"%s\"", grants->database));
	foreach (cell, grants->schemas)
	{
		Oid schema = get_namespace_oid(lfirst(cell), false);
		Oid types[] = {OIDOID, OIDOID};
		Datum values[] = {ObjectIdGetDatum(role), ObjectIdGetDatum(schema)};

		if (aep_schema_aclcheck(schema, role, ACL_USAGE) != ACLCHECK_OK)
			missing_privilege("USAGE", psprintf("schema \"%s\"", (char *) lfirst(cell)));
		SPI_execute_with_args(unreadable, 2, types, values, NULL, false, 1);
		if (SPI_processed > 0)
		{
			bool is_null;
			Datum table = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null);

			missing_privilege("SELECT",
							  psprintf("table \"%s\"", get_rel_name(DatumGetObjectId(table))));
		}
	}
	foreach (cell, grants->tables)
	{
		Oid table = lfirst_oid(cell);

		if (aep_schema_aclcheck(get_rel_namespace(table), role, ACL_USAGE) != ACLCHECK_OK)
			missing_privilege(
				"USAGE", psprintf("schema \"%s\"", get_namespace_name(get_rel_namespace(table))));
		if (pg_class_aclcheck(table, role, ACL_SELECT) != ACLCHECK_OK)
			missing_privilege("SELECT", psprintf("table \"%s\"", get_rel_name(table)));
	}
}

void
aep_ingest_role_create(const AepIngestGrants *grants)
{
	run("CREATE ROLE %s NOLOGIN", quote_identifier(grants->role_name));
	change_privileges(grants, true);
	check_privileges(grants, get_role_oid(grants->role_name, false));
}

void
aep_ingest_role_drop(const AepIngestGrants *grants, const char *login)
{
	change_privileges(grants, false);
	run("DROP ROLE %s, %s", quote_identifier(login), quote_identifier(grants->role_name));
}

bool
aep_ingest_role_may_see(const char *role_name)
{
	Oid role = get_role_oid(role_name, true);

	return superuser() || (OidIsValid(role) && aep_may_alter_role(GetUserId(), role));
}

/* What ALTER ROLE ... PASSWORD does, without a statement. */
static void
set_password(const char *login, const AepPassword *password)
{
	char *verifier = pg_be_scram_build_secret(password->text);
	AlterRoleStmt *statement = makeNode(AlterRoleStmt);
	RoleSpec *role = makeNode(RoleSpec);

	role->roletype = ROLESPEC_CSTRING;
	role->rolename = pstrdup(login);
	role->location = -1;
	statement->role = role;
	statement->action = +1;
	statement->options = list_make1(makeDefElem("password", (Node *) makeString(verifier), -1));
	PushActiveSnapshot(GetTransactionSnapshot());
	AlterRole(NULL, statement);
	PopActiveSnapshot();
	explicit_bzero(verifier, strlen(verifier));
}

void
aep_ingest_login_enable(const char *role_name, const char *login, int connection_limit,
						const AepPassword *password)
{
	Oid existing = get_role_oid(login, true);

	/* somebody else's role must not be taken over for its name */
	if (OidIsValid(existing) &&
		!is_member_of_role_nosuper(existing, get_role_oid(role_name, false)))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT), errmsg("role \"%s\" already exists", login),
				 errdetail("It is not a member of \"%s\", so it is not one of its logins.",
						   role_name)));
	if (OidIsValid(existing))
		run("ALTER ROLE %s LOGIN CONNECTION LIMIT %d", quote_identifier(login), connection_limit);
	else
		run("CREATE ROLE %s LOGIN INHERIT CONNECTION LIMIT %d IN ROLE %s", quote_identifier(login),
			connection_limit, quote_identifier(role_name));
	CommandCounterIncrement();
	set_password(login, password);
}

void
aep_ingest_login_disable(const char *login)
{
	if (OidIsValid(get_role_oid(login, true)))
		run("ALTER ROLE %s NOLOGIN PASSWORD NULL", quote_identifier(login));
}
