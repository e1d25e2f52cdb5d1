/*
 * sql/rotate.c
 *		aep.rotate_credentials().
 */
#include "postgres.h"

#include "fmgr.h"

#include "compat.h"
#include "database/hidden_statement.h"
#include "database/procedure.h"
#include "ingest/role.h"
#include "ingest/rotation.h"
#include "sql/argument.h"
#include "sql/row.h"

/* Throws 42704 for one that the caller may not see, as if there were none. */
static void
find_state(const char *connection_id, const AepServer *server, AepIngestState *state)
{
	if (!aep_ingest_state_find(connection_id, false, CurrentMemoryContext, state) ||
		!aep_ingest_role_may_see(state->role_name))
		aep_ingest_state_missing(connection_id);
	if (strcmp(state->server, server->name) != 0)
		aep_argument_refused(
			"server", psprintf("The connection was made through server \"%s\".", state->server),
			NULL);
}

AEP_SQL_FUNCTION(aep_rotate_credentials);

/* aep.rotate_credentials(connection_id, server) -> (active_login, etag) */
Datum
aep_rotate_credentials(PG_FUNCTION_ARGS)
{
	const char *connection_id = aep_argument_uuid_required(fcinfo, 0, "connection_id");
	MemoryContext caller = CurrentMemoryContext;
	const AepServer *server;
	AepHiddenStatement hidden;
	AepIngestState state;
	AepRow row;

	aep_row_begin(&row, fcinfo);
	aep_hide_statement(&hidden);
	aep_procedure_begin(fcinfo, "aep.rotate_credentials");
	server = aep_server_get(aep_argument_server(fcinfo, 1), false);
	find_state(connection_id, server, &state); /* who may not see it locks nobody out */
	aep_rotation_lock(connection_id);
	find_state(connection_id, server, &state);
	aep_rotation_run(server, &state);
	aep_rotation_unlock();
	state.active_login = MemoryContextStrdup(caller, state.active_login);
	state.etag = MemoryContextStrdup(caller, state.etag);
	aep_procedure_end();
	aep_show_statement(&hidden);

	aep_row_text(&row, state.active_login);
	aep_row_text(&row, state.etag);
	PG_RETURN_DATUM(aep_row_datum(&row));
}
