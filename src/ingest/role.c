/*
 * ingest/role.c
 *		The roles through which Experience Platform reads.
 *
 * Statements go through SPI, where auditing sees them; none of them holds a
 * secret.  The password is set past all of that: AlterRole() gets a SCRAM
 * verifier, and the password itself goes nowhere but into the request.
 */
#include "postgres.h"

#include "access/xact.h"
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
#include "utils/resowner.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "ingest/lock.h"
#include "ingest/role.h"
#include "ingest/state.h"

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

/* One table, and the schema that it was in when it was named. */
static void
grant_table(Oid table, Oid schema, const char *role)
{
	char *granted = get_namespace_name(schema);
	char *current = get_namespace_name(get_rel_namespace(table));
	char *name = get_rel_name(table);

	if (granted == NULL || name == NULL || current == NULL)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("a table of argument \"tables\" was dropped meanwhile")));
	run("GRANT USAGE ON SCHEMA %s TO %s", quote_identifier(granted), role);
	run("GRANT SELECT ON TABLE %s TO %s", quote_qualified_identifier(current, name), role);
}

/* Nothing keeps schemas and tables from being dropped or moved meanwhile. */
static void
grant_privileges(const AepIngestGrants *grants)
{
	const char *role = quote_identifier(grants->role_name);
	ListCell *cell;

	run("GRANT CONNECT ON DATABASE %s TO %s", quote_identifier(grants->database), role);
	foreach (cell, grants->schemas)
	{
		const char *schema = quote_identifier(lfirst(cell));

		run("GRANT USAGE ON SCHEMA %s TO %s", schema, role);
		run("GRANT SELECT ON ALL TABLES IN SCHEMA %s TO %s", schema, role);
		if (grants->default_privileges)
			run("ALTER DEFAULT PRIVILEGES IN SCHEMA %s GRANT SELECT ON TABLES TO %s", schema, role);
	}
	for (int i = 0; i < list_length(grants->tables); i++)
		grant_table(list_nth_oid(grants->tables, i), list_nth_oid(grants->table_schemas, i), role);
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

/* The name for an error; a table can be gone by now. */
static const char *
table_name(Oid table)
{
	const char *name = get_rel_name(table);

	return name != NULL ? psprintf("table \"%s\"", name) : psprintf("table %u", table);
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

			missing_privilege("SELECT", table_name(DatumGetObjectId(table)));
		}
	}
	foreach (cell, grants->tables)
	{
		Oid table = lfirst_oid(cell);
		Oid schema = get_rel_namespace(table);
		const char *schema_name = get_namespace_name(schema);

		/* of a table that is gone these throw */
		if (aep_schema_aclcheck(schema, role, ACL_USAGE) != ACLCHECK_OK)
			missing_privilege("USAGE",
							  psprintf("schema \"%s\"", schema_name != NULL ? schema_name : ""));
		if (pg_class_aclcheck(table, role, ACL_SELECT) != ACLCHECK_OK)
			missing_privilege("SELECT", table_name(table));
	}
}

bool
aep_ingest_grants_table(const AepIngestGrants *grants)
{
	static const char any[] =
		"SELECT FROM pg_catalog.pg_class c "
		"WHERE c.relnamespace OPERATOR(pg_catalog.=) $1 "
		"AND c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p,v,m,f}'::pg_catalog.\"char\"[])";
	ListCell *cell;

	if (grants->tables != NIL || (grants->schemas != NIL && grants->default_privileges))
		return true;
	foreach (cell, grants->schemas)
	{
		Oid types[] = {OIDOID};
		Datum values[] = {ObjectIdGetDatum(get_namespace_oid(lfirst(cell), false))};

		SPI_execute_with_args(any, 1, types, values, NULL, false, 1);
		if (SPI_processed > 0)
			return true;
	}
	return false;
}

void
aep_ingest_role_create(const AepIngestGrants *grants)
{
	aep_ingest_lock_grants();
	run("CREATE ROLE %s NOLOGIN", quote_identifier(grants->role_name));
	grant_privileges(grants);
	check_privileges(grants, get_role_oid(grants->role_name, false));
}

bool
aep_ingest_login_is_ours(const char *role_name, const char *login, const char *made)
{
	/* one that was noted may have been dropped, and be somebody else's since */
	return (made == NULL || aep_ingest_list_has(made, login)) &&
		   is_member_of_role_nosuper(get_role_oid(login, false), get_role_oid(role_name, false));
}

/* Those that are there of the role itself and the logins of the list. */
static List *
existing_roles(const char *role_name, const char *logins)
{
	const bool has_role = OidIsValid(get_role_oid(role_name, true));
	List *roles = NIL;

	if (has_role)
		roles = lappend(roles, unconstify(char *, role_name));
	for (char suffix = 'a'; suffix <= 'z'; suffix++)
	{
		char *login = aep_ingest_login_name(role_name, suffix);

		if (!OidIsValid(get_role_oid(login, true)))
			continue;
		if (has_role ? aep_ingest_login_is_ours(role_name, login, logins)
					 : aep_ingest_list_has(logins, login))
			roles = lappend(roles, login);
	}
	return roles;
}

/* What DROP OWNED would drop, and what it does not reach: DROP ROLE fails of it. */
static void
check_obstacles(List *roles)
{
	static const char obstacles[] =
		"SELECT d.deptype OPERATOR(pg_catalog.=) 'o', b.datname "
		"FROM pg_catalog.pg_shdepend d "
		"LEFT JOIN pg_catalog.pg_database b ON b.oid OPERATOR(pg_catalog.=) d.dbid "
		"WHERE d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_authid'::pg_catalog.regclass "
		"AND d.refobjid OPERATOR(pg_catalog.=) $1 "
		"AND (d.deptype OPERATOR(pg_catalog.=) 'o' "
		"OR NOT d.dbid OPERATOR(pg_catalog.=) ANY (ARRAY[0::pg_catalog.oid, $2])) "
		"ORDER BY d.deptype OPERATOR(pg_catalog.=) 'o' DESC LIMIT 1";
	ListCell *cell;

	foreach (cell, roles)
	{
		const char *role = lfirst(cell);
		Oid types[] = {OIDOID, OIDOID};
		Datum values[] = {ObjectIdGetDatum(get_role_oid(role, false)),
						  ObjectIdGetDatum(MyDatabaseId)};
		bool owns;
		bool is_null;
		const char *where;

		SPI_execute_with_args(obstacles, 2, types, values, NULL, false, 1);
		if (SPI_processed == 0)
			continue;
		owns =
			DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null));
		where = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2);
		where = where != NULL ? psprintf("database \"%s\"", where) : "the cluster";
		ereport(ERROR, (errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
						owns ? errmsg("role \"%s\" owns objects in %s", role, where)
							 : errmsg("role \"%s\" has privileges in %s", role, where),
						errdetail("It was made to read in database \"%s\", and nothing else.",
								  get_database_name(MyDatabaseId)),
						owns ? errhint("Use REASSIGN OWNED BY %s TO ... there, then the same CALL.",
									   quote_identifier(role))
							 : errhint("Use DROP OWNED BY %s there, then the same CALL.",
									   quote_identifier(role))));
	}
}

void
aep_ingest_role_drop(const char *role_name, const char *logins)
{
	List *roles = existing_roles(role_name, logins);
	ListCell *cell;

	aep_ingest_lock_grants();
	check_obstacles(roles);
	foreach (cell, roles)
	{
		const char *role = quote_identifier(lfirst(cell));

		/* who may drop it may do so, and needs it to take its privileges back */
		if (!has_privs_of_role(GetUserId(), get_role_oid(lfirst(cell), false)))
			run("GRANT %s TO CURRENT_USER" AEP_WITH_INHERIT, role);
		run("DROP OWNED BY %s", role);
	}
	foreach (cell, roles)
		run("DROP ROLE %s", quote_identifier(lfirst(cell)));
}

void
aep_ingest_role_rehearse_drop(const char *role_name, const char *logins)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller);
	PG_TRY();
	{
		aep_ingest_role_drop(role_name, logins);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;
	if (error != NULL)
		ReThrowError(error);
}

bool
aep_ingest_role_may_see(const char *role_name)
{
	Oid role = role_name != NULL ? get_role_oid(role_name, true) : InvalidOid;

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
	if (OidIsValid(get_role_oid(login, true)))
		run("ALTER ROLE %s LOGIN INHERIT CONNECTION LIMIT %d VALID UNTIL 'infinity'",
			quote_identifier(login), connection_limit);
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
