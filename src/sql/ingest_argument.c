/*
 * sql/ingest_argument.c
 *		The row of aep.ingest_role that the arguments of a procedure are about.
 */
#include "postgres.h"

#include "foreign/foreign.h"

#include "ingest/role.h"
#include "sql/argument.h"
#include "sql/ingest_argument.h"

const char *
aep_argument_name_required(FunctionCallInfo fcinfo, int number, const char *name)
{
	if (PG_ARGISNULL(number))
		aep_argument_missing(name, NULL);
	return pstrdup(NameStr(*PG_GETARG_NAME(number)));
}

void
aep_ingest_argument_role(const char *role_name, AepIngestState *state)
{
	if (!aep_ingest_state_find_role(role_name, CurrentMemoryContext, state) ||
		!aep_ingest_role_may_see(state->role_name))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("role \"%s\" is not an ingest role of this database", role_name),
						errhint("aep.ingest_role_status() lists those that you may alter.")));
}

const AepServer *
aep_ingest_argument_server(FunctionCallInfo fcinfo, int number, bool missing_mapping_ok,
						   AepIngestState *state)
{
	const AepServer *server;

	if (PG_ARGISNULL(number))
		return aep_server_get(state->server, missing_mapping_ok);
	server = aep_server_get(NameStr(*PG_GETARG_NAME(number)), missing_mapping_ok);
	if (strcmp(server->name, state->server) == 0)
		return server;
	if (OidIsValid(get_foreign_server_oid(state->server, true)))
		aep_argument_refused(
			"server", psprintf("The connection was made through server \"%s\".", state->server),
			"Leave it out.");
	state->server = server->name;
	return server;
}
