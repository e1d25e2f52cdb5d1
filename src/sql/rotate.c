/*
 * sql/rotate.c
 *		aep.rotate_credentials().
 */
#include "postgres.h"

#include "fmgr.h"

#include "compat.h"
#include "database/hidden_statement.h"
#include "database/procedure.h"
#include "ingest/lock.h"
#include "ingest/role.h"
#include "ingest/rotation.h"
#include "ingest/validity.h"
#include "sql/argument.h"
#include "sql/ingest_argument.h"
#include "sql/row.h"

/* Throws 42704 for one that the caller may not see, as if there were none. */
static void
find_state(const char *connection_id, AepIngestState *state)
{
	if (!aep_ingest_state_find(connection_id, false, CurrentMemoryContext, state) ||
		!aep_ingest_role_may_see(state->role_name))
		aep_ingest_state_missing(connection_id);
	aep_ingest_require_valid(state);
}

AEP_SQL_FUNCTION(aep_rotate_credentials_2_0);

/* aep.rotate_credentials(connection_id, server) -> (active_login, etag) */
Datum
aep_rotate_credentials_2_0(PG_FUNCTION_ARGS)
{
	const char *connection_id = aep_argument_uuid_required(fcinfo, 0, "connection_id");
	MemoryContext caller = CurrentMemoryContext;
	const AepServer *server;
	AepHiddenStatement hidden;
	AepProcedure procedure;
	AepIngestState state;
	AepRow row;

	aep_row_begin(&row, fcinfo);
	aep_hide_statement(&hidden);
	aep_procedure_begin(&procedure, fcinfo, "aep.rotate_credentials",
						"CALL aep.rotate_credentials(id, active_login => l, etag => e)",
						"The same CALL goes on where this one stopped.");
	find_state(connection_id, &state); /* who may not see it locks nobody out */
	server = aep_ingest_argument_server(fcinfo, 1, false, &state);
	aep_ingest_lock(state.role_name);
	find_state(connection_id, &state);
	state.server = server->name;
	aep_ingest_require_bound(&state, server);
	aep_rotation_run(server, &state);
	aep_ingest_unlock();
	state.active_login = MemoryContextStrdup(caller, state.active_login);
	state.etag = MemoryContextStrdup(caller, state.etag);
	aep_procedure_end(&procedure);
	aep_show_statement(&hidden);

	aep_row_text(&row, state.active_login);
	aep_row_text(&row, state.etag);
	PG_RETURN_DATUM(aep_row_datum(&row));
}
