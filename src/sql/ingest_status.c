/*
 * sql/ingest_status.c
 *		aep.ingest_role_status().
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "fmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include "compat.h"
#include "database/installation.h"
#include "ingest/role.h"
#include "ingest/state.h"
#include "sql/row.h"

/* How many sessions a login has right now. */
static int
count_sessions(const char *login)
{
	Oid types[] = {TEXTOID};
	Datum values[] = {CStringGetTextDatum(login != NULL ? login : "")};
	bool is_null;

	SPI_execute_with_args("SELECT pg_catalog.count(*)::pg_catalog.int4 "
						  "FROM pg_catalog.pg_stat_activity "
						  "WHERE usename OPERATOR(pg_catalog.=) $1::pg_catalog.name",
						  1, types, values, NULL, true, 1);
	return DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null));
}

/* A login of the role that is there and not in use; NULL: none. */
static const char *
idle_login(const AepIngestState *state)
{
	if (state->pending_login != NULL)
		return state->pending_login;
	for (char suffix = 'a'; state->problem == NULL && suffix <= 'z'; suffix++)
	{
		char *login = aep_ingest_login_name(state->role_name, suffix);

		if (strcmp(login, state->active_login) != 0 && OidIsValid(get_role_oid(login, true)) &&
			OidIsValid(get_role_oid(state->role_name, true)) &&
			aep_ingest_login_is_ours(state->role_name, login, state->made_logins))
			return login;
	}
	return NULL;
}

/* The address counts as far as the caller may know it: who may use the server. */
static const char *
binding(const AepIngestState *state)
{
	AepInstallation here;

	aep_installation_get(aep_server_find(state->server), &here);
	return aep_installation_binding_name(aep_installation_compare(&state->installation, &here));
}

AEP_SQL_FUNCTION(aep_ingest_role_status_2_0);

/* aep.ingest_role_status() -> one row for each managed connection */
Datum
aep_ingest_role_status_2_0(PG_FUNCTION_ARGS)
{
	AepIngestState *states;
	AepRow row;
	int count;

	aep_row_begin_set(&row, fcinfo);
	SPI_connect();
	states = aep_ingest_state_list(CurrentMemoryContext, &count);
	for (int i = 0; i < count; i++)
	{
		const AepIngestState *state = &states[i];

		CHECK_FOR_INTERRUPTS();
		if (!aep_ingest_role_may_see(state->role_name))
			continue;
		aep_row_uuid(&row, state->connection_id);
		aep_row_text(&row, state->connection_name);
		aep_row_text(&row, state->server);
		aep_row_text(&row, state->role_name);
		aep_row_text(&row, state->active_login);
		aep_row_text(&row, idle_login(state));
		aep_row_text(&row, state->problem == NULL ? aep_ingest_step_name(state->step) : "invalid");
		aep_row_time(&row, state->rotated_at, state->rotated_at == 0);
		aep_row_integer(&row, count_sessions(state->active_login));
		aep_row_text(&row, binding(state));
		aep_row_store(&row);
	}
	SPI_finish();
	return (Datum) 0;
}
