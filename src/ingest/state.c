/*
 * ingest/state.c
 *		The table aep.ingest_role.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "database/owner.h"
#include "ingest/state.h"

/* The columns, in the order of the parameters of SAVE. */
#define COLUMNS                                                                                  \
	"role_name, server_name, connection_id, connection_name, auth_type, ssl_mode, host, port, "  \
	"database_name, connection_limit, active_login, pending_login, kept_logins, step, patched, " \
	"etag, rotated_at, granted_schemas, granted_tables"
#define COLUMN_COUNT 19

/* Their values.  A later version of the table may have more columns. */
#define PARAMETERS                                                                            \
	"$1::text::name, $2::text::name, $3::uuid, $4, $5, $6, $7, $8::integer, $9::text::name, " \
	"$10::integer, $11::text::name, $12::text::name, $13, $14, $15::boolean, $16, "           \
	"$17::timestamptz, $18::name[], $19::text[]"

#define SAVE                                                             \
	"INSERT INTO aep.ingest_role (" COLUMNS ") VALUES (" PARAMETERS ") " \
	"ON CONFLICT (role_name) DO UPDATE SET (" COLUMNS ") = ROW(" PARAMETERS ")"

static const char *const step_names[] = {
	[AEP_INGEST_ACTIVE] = "active",
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

void
aep_ingest_state_save(const AepIngestState *state)
{
	const char *parameters[COLUMN_COUNT] = {
		state->role_name,
		state->server,
		state->connection_id,
		state->connection_name,
		aep_payload_auth_name(state->auth_type),
		state->ssl_mode,
		state->host,
		psprintf("%d", state->port),
		state->database,
		psprintf("%d", state->connection_limit),
		state->active_login,
		state->pending_login,
		state->kept_logins,
		step_names[state->step],
		state->patched ? "true" : "false",
		state->etag,
		state->rotated_at != 0 ? timestamptz_to_str(state->rotated_at) : NULL,
		state->schemas,
		state->tables,
	};

	run(SAVE, parameters, COLUMN_COUNT, false, SPI_OK_INSERT);
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
	char *text = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, number);

	return text != NULL ? MemoryContextStrdup(memory, text) : NULL;
}

static AepIngestStep
parse_step(const char *name)
{
	for (int i = 0; i < lengthof(step_names); i++)
	{
		if (strcmp(step_names[i], name) == 0)
			return (AepIngestStep) i;
	}
	return AEP_INGEST_UNKNOWN;
}

static void
read_row(uint64 row, MemoryContext memory, AepIngestState *state)
{
	bool is_null;
	Datum rotated_at;

	state->role_name = column(row, 1, memory);
	state->server = column(row, 2, memory);
	state->connection_id = column(row, 3, memory);
	state->connection_name = column(row, 4, memory);
	state->auth_type = strcmp(column(row, 5, memory), aep_payload_auth_name(AEP_AUTH_BASIC)) == 0
						   ? AEP_AUTH_BASIC
						   : AEP_AUTH_CONNECTION_STRING;
	state->ssl_mode = column(row, 6, memory);
	state->host = column(row, 7, memory);
	state->port = atoi(column(row, 8, memory));
	state->database = column(row, 9, memory);
	state->connection_limit = atoi(column(row, 10, memory));
	state->active_login = column(row, 11, memory);
	state->pending_login = column(row, 12, memory);
	state->kept_logins = column(row, 13, memory);
	state->step = parse_step(column(row, 14, memory));
	state->patched = strcmp(column(row, 15, memory), "t") == 0;
	state->etag = column(row, 16, memory);
	rotated_at = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 17, &is_null);
	state->rotated_at = is_null ? 0 : DatumGetTimestampTz(rotated_at);
	state->schemas = column(row, 18, memory);
	state->tables = column(row, 19, memory);
}

bool
aep_ingest_state_find(const char *connection_id, bool read_only, MemoryContext memory,
					  AepIngestState *state)
{
	run("SELECT " COLUMNS " FROM aep.ingest_role WHERE connection_id = $1::uuid", &connection_id, 1,
		read_only, SPI_OK_SELECT);
	if (SPI_processed == 0)
		return false;
	read_row(0, memory, state);
	return true;
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

	run("SELECT " COLUMNS " FROM aep.ingest_role ORDER BY role_name", NULL, 0, true, SPI_OK_SELECT);
	*count = (int) SPI_processed;
	states = MemoryContextAlloc(memory, Max(SPI_processed, 1) * sizeof(AepIngestState));
	for (uint64 i = 0; i < SPI_processed; i++)
		read_row(i, memory, &states[i]);
	return states;
}
