/*
 * sql/adopt_ingest_role.c
 *		aep.adopt_ingest_role() and aep.forget_ingest_role(): what a copy of a
 *		database does with the ingest roles of its original.
 *
 * Both change a row, send nothing, and are part of the caller's transaction.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "fmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include "compat.h"
#include "database/endpoint.h"
#include "ingest/lock.h"
#include "ingest/role.h"
#include "ingest/validity.h"
#include "sql/argument.h"
#include "sql/ingest_argument.h"

/* The arguments of aep.adopt_ingest_role(). */
enum
{
	ADOPT_ROLE_NAME,
	ADOPT_SERVER,
	ADOPT_HOST,
	ADOPT_PORT,
	ADOPT_DATABASE
};

/*
 * Where Experience Platform shall come to from now on: what is given; else this
 * installation's own in place of the former one's; else, as it was given when the
 * role was made, the same.
 */
static void
choose_address(FunctionCallInfo fcinfo, const AepInstallation *here, AepIngestState *state)
{
	const AepInstallation *former = &state->installation;
	AepObjection why;

	if (!PG_ARGISNULL(ADOPT_HOST))
		state->host = aep_argument_text(fcinfo, ADOPT_HOST);
	else if (former->host != NULL && pg_strcasecmp(state->host, former->host) == 0)
		state->host = here->host;
	if (!PG_ARGISNULL(ADOPT_PORT))
		state->port = PG_GETARG_INT32(ADOPT_PORT);
	else if (former->host != NULL && state->port == former->port)
		state->port = here->port;
	if (!PG_ARGISNULL(ADOPT_DATABASE))
		state->database = aep_argument_text(fcinfo, ADOPT_DATABASE);
	else if (former->host != NULL && strcmp(state->database, former->database_name) == 0)
		state->database = here->database_name;

	aep_argument_check("host", AEP_VALUE_HOST, state->host);
	if (!aep_value_in_range(AEP_VALUE_PORT, state->port, &why))
		aep_argument_refused("port", why.detail, why.hint);
	aep_argument_check("database", AEP_VALUE_DATABASE, state->database);
}

/*
 * A rotation that was under way in the original is not ours to finish: the next
 * one begins with a login of its own.
 */
static void
end_rotation(AepIngestState *state)
{
	if (state->pending_login == NULL)
		return;
	if (state->step == AEP_INGEST_ROTATING)
		state->kept_logins = aep_ingest_list_add(state->kept_logins, state->pending_login);
	state->pending_login = NULL;
	state->patched = false;
	state->step = state->kept_logins[0] == '\0' ? AEP_INGEST_ACTIVE : AEP_INGEST_UNKNOWN;
}

/* Before 2.0 nobody noted which logins were made here: those that are there. */
static void
note_logins(AepIngestState *state)
{
	const char *made = state->made_logins;

	if (made != NULL || !OidIsValid(get_role_oid(state->role_name, true)))
		return;
	for (char suffix = 'a'; suffix <= 'z'; suffix++)
	{
		const char *login = aep_ingest_login_name(state->role_name, suffix);

		if (OidIsValid(get_role_oid(login, true)) &&
			aep_ingest_login_is_ours(state->role_name, login, NULL))
			made = aep_ingest_list_add(made, login);
	}
	state->made_logins = aep_ingest_list_add(made, state->active_login);
}

AEP_SQL_FUNCTION(aep_adopt_ingest_role);

/* aep.adopt_ingest_role(role_name, server, host, port, database) */
Datum
aep_adopt_ingest_role(PG_FUNCTION_ARGS)
{
	const char *role_name = aep_argument_name_required(fcinfo, ADOPT_ROLE_NAME, "role_name");
	const AepServer *server;
	AepIngestState state;
	AepIngestState former;
	AepInstallation here;

	SPI_connect();
	aep_ingest_argument_role(role_name, &state);
	aep_ingest_lock_in_transaction(role_name);
	aep_ingest_argument_role(role_name, &state);
	aep_ingest_require_valid(&state);
	server = aep_ingest_argument_server(fcinfo, ADOPT_SERVER, true, &state);
	aep_installation_get(server, &here);
	former = state;
	choose_address(fcinfo, &here, &state);
	if (pg_strcasecmp(state.host, former.host) != 0 || state.port != former.port ||
		strcmp(state.database, former.database) != 0)
		state.moves = true;
	end_rotation(&state);
	note_logins(&state);
	state.installation = here;
	aep_ingest_state_save(&state);
	aep_endpoint_warn_unreachable(server, state.host);
	ereport(NOTICE, (errmsg("ingest role \"%s\" is bound to this database", role_name),
					 errdetail("Its address is database \"%s\" at %s, port %d.", state.database,
							   state.host, state.port),
					 state.moves && state.connection_id != NULL
						 ? errhint("Experience Platform gets to know that by CALL "
								   "aep.rotate_credentials('%s').",
								   state.connection_id)
						 : 0));
	SPI_finish();
	PG_RETURN_VOID();
}

AEP_SQL_FUNCTION(aep_forget_ingest_role);

/* aep.forget_ingest_role(role_name) */
Datum
aep_forget_ingest_role(PG_FUNCTION_ARGS)
{
	const char *role_name = aep_argument_name_required(fcinfo, 0, "role_name");
	AepIngestState state;

	SPI_connect();
	aep_ingest_argument_role(role_name, &state);
	aep_ingest_lock_in_transaction(role_name);
	aep_ingest_state_delete(role_name);
	ereport(NOTICE, (errmsg("ingest role \"%s\" is forgotten", role_name),
					 errdetail("The role, its logins and its connection%s%s stay as they are.",
							   state.connection_id != NULL ? " " : "",
							   state.connection_id != NULL ? state.connection_id : "")));
	SPI_finish();
	PG_RETURN_VOID();
}
