/*
 * sql/drop_ingest_role.c
 *		aep.drop_ingest_role().
 */
#include "postgres.h"

#include "fmgr.h"

#include "compat.h"
#include "database/procedure.h"
#include "ingest/lock.h"
#include "ingest/removal.h"
#include "ingest/validity.h"
#include "sql/ingest_argument.h"

AEP_SQL_FUNCTION(aep_drop_ingest_role);

/* aep.drop_ingest_role(role_name, server) */
Datum
aep_drop_ingest_role(PG_FUNCTION_ARGS)
{
	const char *role_name = aep_argument_name_required(fcinfo, 0, "role_name");
	const AepServer *server;
	AepProcedure procedure;
	AepIngestState state;

	aep_procedure_begin(&procedure, fcinfo, "aep.drop_ingest_role",
						"CALL aep.drop_ingest_role('reader')",
						"The same CALL goes on where this one stopped.");
	aep_ingest_argument_role(role_name, &state); /* who may not see it locks nobody out */
	aep_ingest_lock(role_name);
	aep_ingest_argument_role(role_name, &state);
	aep_ingest_require_valid(&state);
	server = aep_ingest_argument_server(fcinfo, 1, false, &state);
	aep_ingest_require_bound(&state, server);
	aep_removal_run(server, &state);
	aep_ingest_unlock();
	aep_procedure_end(&procedure);
	PG_RETURN_VOID();
}
