/*
 * ingest/state.c
 *		The table aep.ingest_role.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "database/owner.h"
#include "ingest/state.h"
#include "ingest/validity.h"

/* The columns, and their types where text is not good enough. */
enum
{
	ROLE_NAME,
	SERVER_NAME,
	CONNECTION_ID,
	CONNECTION_NAME,
	AUTH_TYPE,
	SSL_MODE,
	HOST,
	PORT,
	DATABASE_NAME,
	CONNECTION_LIMIT,
	ACTIVE_LOGIN,
	PENDING_LOGIN,
	KEPT_LOGINS,
	MADE_LOGINS,
	STEP,
	PATCHED,
	ETAG,
	ROTATED_AT,
	TRIAL_NAME,
	TRIAL_ID,
	MOVES,
	BOUND_SYSTEM,
	BOUND_DATABASE,
	BOUND_HOST,
	BOUND_PORT,
	BOUND_DATABASE_NAME,
	GRANTED_SCHEMAS,
	GRANTED_TABLES,
	COLUMN_COUNT
};

static const struct
{
	const char *name;
	const char *type;
} columns[COLUMN_COUNT] = {
	[ROLE_NAME] = {"role_name", "text::name"},
	[SERVER_NAME] = {"server_name", "text::name"},
	[CONNECTION_ID] = {"connection_id", "uuid"},
	[CONNECTION_NAME] = {"connection_name", "text"},
	[AUTH_TYPE] = {"auth_type", "text"},
	[SSL_MODE] = {"ssl_mode", "text"},
	[HOST] = {"host", "text"},
	[PORT] = {"port", "integer"},
	[DATABASE_NAME] = {"database_name", "text::name"},
	[CONNECTION_LIMIT] = {"connection_limit", "integer"},
	[ACTIVE_LOGIN] = {"active_login", "text::name"},
	[PENDING_LOGIN] = {"pending_login", "text::name"},
	[KEPT_LOGINS] = {"kept_logins", "text"},
	[MADE_LOGINS] = {"made_logins", "text"},
	[STEP] = {"step", "text"},
	[PATCHED] = {"patched", "boolean"},
	[ETAG] = {"etag", "text"},
	[ROTATED_AT] = {"rotated_at", "timestamptz"},
	[TRIAL_NAME] = {"trial_name", "text"},
	[TRIAL_ID] = {"trial_id", "uuid"},
	[MOVES] = {"moves", "boolean"},
	[BOUND_SYSTEM] = {"bound_system", "bigint"},
	[BOUND_DATABASE] = {"bound_database", "oid"},
	[BOUND_HOST] = {"bound_host", "text"},
	[BOUND_PORT] = {"bound_port", "integer"},
	[BOUND_DATABASE_NAME] = {"bound_database_name", "text::name"},
	[GRANTED_SCHEMAS] = {"granted_schemas", "name[]"},
	[GRANTED_TABLES] = {"granted_tables", "text[]"},
};

static const char *const step_names[] = {
	[AEP_INGEST_ACTIVE] = "active",
	[AEP_INGEST_PROVING] = "proving",
	[AEP_INGEST_ROTATING] = "rotating",
	[AEP_INGEST_UNKNOWN] = "unknown",
};

const char *
aep_ingest_step_name(AepIngestStep step)
{
	return step_names[step];
}

/*
 * Runs a statement on the table as its owner.  All parameters are text, NULL
 * for SQL NULL.  A procedure must not be read-only, even to read: it would see
 * what was there when the caller's statement began.  A function must be: the
 * caller's query may be a parallel one.
 */
static void
run(const char *sql, const char *const *parameters, int count, bool read_only, int expected)
{
	Oid types[COLUMN_COUNT];
	Datum values[COLUMN_COUNT];
	char nulls[COLUMN_COUNT];
	AepOwnerSwitch owner;
	int result;

	for (int i = 0; i < count; i++)
	{
		types[i] = TEXTOID;
		nulls[i] = parameters[i] == NULL ? 'n' : ' ';
		values[i] = parameters[i] == NULL ? (Datum) 0 : CStringGetTextDatum(parameters[i]);
	}
	aep_become_owner(&owner);
	result = SPI_execute_with_args(sql, count, types, values, nulls, read_only, 0);
	aep_become_caller(&owner);
	if (result != expected)
		elog(ERROR, "SPI_execute_with_args failed: %s", SPI_result_code_string(result));
}

/* "role_name, server_name, ...": a later version of the table may have more. */
static const char *
column_list(void)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < COLUMN_COUNT; i++)
		appendStringInfo(&list, "%s%s", i > 0 ? ", " : "", columns[i].name);
	return list.data;
}

/* "$1::text::name, ...": parameters for all of them. */
static const char *
value_list(void)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < COLUMN_COUNT; i++)
		appendStringInfo(&list, "%s$%d::%s", i > 0 ? ", " : "", i + 1, columns[i].type);
	return list.data;
}

void
aep_ingest_state_save(const AepIngestState *state)
{
	const AepInstallation *bound = &state->installation;
	const char *parameters[COLUMN_COUNT] = {
		[ROLE_NAME] = state->role_name,
		[SERVER_NAME] = state->server,
		[CONNECTION_ID] = state->connection_id,
		[CONNECTION_NAME] = state->connection_name,
		[AUTH_TYPE] = aep_payload_auth_name(state->auth_type),
		[SSL_MODE] = state->ssl_mode,
		[HOST] = state->host,
		[PORT] = psprintf("%d", state->port),
		[DATABASE_NAME] = state->database,
		[CONNECTION_LIMIT] = psprintf("%d", state->connection_limit),
		[ACTIVE_LOGIN] = state->active_login,
		[PENDING_LOGIN] = state->pending_login,
		[KEPT_LOGINS] = state->kept_logins,
		[MADE_LOGINS] = state->made_logins,
		[STEP] = step_names[state->step],
		[PATCHED] = state->patched ? "true" : "false",
		[ETAG] = state->etag,
		[ROTATED_AT] = state->rotated_at != 0 ? timestamptz_to_str(state->rotated_at) : NULL,
		[TRIAL_NAME] = state->trial_name,
		[TRIAL_ID] = state->trial_id,
		[MOVES] = state->moves ? "true" : "false",
		[BOUND_SYSTEM] = psprintf(INT64_FORMAT, (int64) bound->system_identifier),
		[BOUND_DATABASE] = psprintf("%u", bound->database),
		[BOUND_HOST] = bound->host,
		[BOUND_PORT] = bound->host != NULL ? psprintf("%d", bound->port) : NULL,
		[BOUND_DATABASE_NAME] = bound->database_name,
		[GRANTED_SCHEMAS] = state->schemas,
		[GRANTED_TABLES] = state->tables,
	};

	run(psprintf("INSERT INTO aep.ingest_role (%1$s) VALUES (%2$s) "
				 "ON CONFLICT (role_name) DO UPDATE SET (%1$s) = ROW(%2$s)",
				 column_list(), value_list()),
		parameters, COLUMN_COUNT, false, SPI_OK_INSERT);
}

void
aep_ingest_state_delete(const char *role_name)
{
	run("DELETE FROM aep.ingest_role WHERE role_name = $1::text::name", &role_name, 1, false,
		SPI_OK_DELETE);
}

/* A column of a result's row as text in the context given; NULL for SQL NULL. */
static const char *
column(uint64 row, int number, MemoryContext memory)
{
	char *text = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, number + 1);

	return text != NULL ? MemoryContextStrdup(memory, text) : NULL;
}

/* The same of a column that is a number; 0 for SQL NULL. */
static int64
read_number(uint64 row, int number)
{
	char *text = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, number + 1);

	return text != NULL ? strtoi64(text, NULL, 10) : 0;
}

static bool
read_boolean(uint64 row, int number)
{
	char *text = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, number + 1);

	return text != NULL && text[0] == 't';
}

/* False for a step that is none. */
static bool
parse_step(const char *name, AepIngestStep *step)
{
	for (int i = 0; i < lengthof(step_names); i++)
	{
		if (name != NULL && strcmp(step_names[i], name) == 0)
		{
			*step = (AepIngestStep) i;
			return true;
		}
	}
	*step = AEP_INGEST_UNKNOWN;
	return false;
}

static bool
parse_auth_type(const char *name, AepAuthType *type)
{
	for (*type = AEP_AUTH_BASIC; *type <= AEP_AUTH_CONNECTION_STRING; (*type)++)
	{
		if (name != NULL && strcmp(name, aep_payload_auth_name(*type)) == 0)
			return true;
	}
	*type = AEP_AUTH_BASIC;
	return false;
}

static void
read_row(uint64 row, MemoryContext memory, AepIngestState *state)
{
	AepInstallation *bound = &state->installation;
	bool is_null;
	Datum rotated_at;

	state->problem = NULL;
	state->role_name = column(row, ROLE_NAME, memory);
	state->server = column(row, SERVER_NAME, memory);
	state->connection_id = column(row, CONNECTION_ID, memory);
	state->connection_name = column(row, CONNECTION_NAME, memory);
	if (!parse_auth_type(column(row, AUTH_TYPE, memory), &state->auth_type))
		state->problem = "Its auth_type is not known.";
	state->ssl_mode = column(row, SSL_MODE, memory);
	state->host = column(row, HOST, memory);
	state->port = (int) read_number(row, PORT);
	state->database = column(row, DATABASE_NAME, memory);
	state->connection_limit = (int) read_number(row, CONNECTION_LIMIT);
	state->active_login = column(row, ACTIVE_LOGIN, memory);
	state->pending_login = column(row, PENDING_LOGIN, memory);
	state->kept_logins = column(row, KEPT_LOGINS, memory);
	state->made_logins = column(row, MADE_LOGINS, memory);
	if (!parse_step(column(row, STEP, memory), &state->step))
		state->problem = "Its step is not known.";
	state->patched = read_boolean(row, PATCHED);
	state->etag = column(row, ETAG, memory);
	rotated_at =
		SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, ROTATED_AT + 1, &is_null);
	state->rotated_at = is_null ? 0 : DatumGetTimestampTz(rotated_at);
	state->trial_name = column(row, TRIAL_NAME, memory);
	state->trial_id = column(row, TRIAL_ID, memory);
	state->moves = read_boolean(row, MOVES);
	bound->system_identifier = (uint64) read_number(row, BOUND_SYSTEM);
	bound->database = (Oid) read_number(row, BOUND_DATABASE);
	bound->host = column(row, BOUND_HOST, memory);
	bound->port = (int) read_number(row, BOUND_PORT);
	bound->database_name = column(row, BOUND_DATABASE_NAME, memory);
	state->schemas = column(row, GRANTED_SCHEMAS, memory);
	state->tables = column(row, GRANTED_TABLES, memory);
	if (state->problem == NULL)
		state->problem = aep_ingest_problem(state);
}

/* The first row, if there is one. */
static bool
find(const char *column_name, const char *value, bool read_only, MemoryContext memory,
	 AepIngestState *state)
{
	run(psprintf("SELECT %s FROM aep.ingest_role WHERE %s = $1::text::%s", column_list(),
				 column_name, strcmp(column_name, "role_name") == 0 ? "name" : "uuid"),
		&value, 1, read_only, SPI_OK_SELECT);
	if (SPI_processed == 0)
		return false;
	read_row(0, memory, state);
	return true;
}

bool
aep_ingest_state_find(const char *connection_id, bool read_only, MemoryContext memory,
					  AepIngestState *state)
{
	return find("connection_id", connection_id, read_only, memory, state);
}

bool
aep_ingest_state_find_role(const char *role_name, MemoryContext memory, AepIngestState *state)
{
	return find("role_name", role_name, false, memory, state);
}

const char *
aep_ingest_role_of(const char *connection_id)
{
	MemoryContext caller = CurrentMemoryContext;
	const char *role_name;

	SPI_connect();
	/* of a database that has the new library, but not yet the new SQL, as well */
	run("SELECT role_name FROM aep.ingest_role WHERE connection_id = $1::uuid", &connection_id, 1,
		true, SPI_OK_SELECT);
	role_name = SPI_processed > 0 ? column(0, ROLE_NAME, caller) : NULL;
	SPI_finish();
	return role_name;
}

void
aep_ingest_state_missing(const char *connection_id)
{
	ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
					errmsg("the credentials of connection %s are not managed here", connection_id),
					errhint("aep.create_ingest_role() makes a connection whose credentials are.")));
	pg_unreachable();
}

AepIngestState *
aep_ingest_state_list(MemoryContext memory, int *count)
{
	AepIngestState *states;

	run(psprintf("SELECT %s FROM aep.ingest_role ORDER BY role_name", column_list()), NULL, 0, true,
		SPI_OK_SELECT);
	*count = (int) SPI_processed;
	states = MemoryContextAlloc(memory, Max(SPI_processed, 1) * sizeof(AepIngestState));
	for (uint64 i = 0; i < SPI_processed; i++)
		read_row(i, memory, &states[i]);
	return states;
}

bool
aep_ingest_list_has(const char *list, const char *login)
{
	return list != NULL && strstr(list, psprintf(" %s ", login)) != NULL;
}

const char *
aep_ingest_list_add(const char *list, const char *login)
{
	if (aep_ingest_list_has(list, login))
		return list;
	return psprintf("%s %s ", list != NULL ? list : "", login);
}
