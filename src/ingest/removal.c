/*
 * ingest/removal.c
 *		The end of an ingest role.
 *
 * The platform comes first: a connection whose login is gone would fail at every
 * run, and nobody here would know it any more.  But what would keep the roles
 * from being dropped is found before that.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "database/procedure.h"
#include "ingest/trial.h"
#include "ingest/removal.h"
#include "ingest/role.h"
#include "platform/document.h"
#include "platform/flow_service.h"
#include "platform/pages.h"

/* All logins that were ever made for it; NULL: nobody has noted them. */
static const char *
logins_of(const AepIngestState *state)
{
	const char *logins = state->made_logins;

	if (logins == NULL)
		return NULL;
	logins = aep_ingest_list_add(logins, state->active_login);
	if (state->pending_login != NULL)
		logins = aep_ingest_list_add(logins, state->pending_login);
	return psprintf("%s%s", logins, state->kept_logins);
}

/* Whether the entity shows our login, at our address. */
static bool
is_ours(const AepIngestState *state, Jsonb *entity)
{
	JsonbContainer *params =
		aep_document_member(aep_document_member(&entity->root, "auth"), "params");
	const char *username = aep_document_text(params, "username");

	return username != NULL && strcmp(username, state->active_login) == 0 &&
		   !aep_document_shows_other(params, "server", state->host) &&
		   !aep_document_shows_other(params, "port", psprintf("%d", state->port)) &&
		   !aep_document_shows_other(params, "database", state->database);
}

/*
 * The id of the connection whose creation had an unknown outcome; NULL if it is
 * not there.  A name alone does not make it ours.
 */
static const char *
find_lost(const AepServer *server, const AepIngestState *state)
{
	Jsonb *entity = aep_flow_find_by_name(server, state->connection_name);

	if (entity == NULL)
		ereport(WARNING, (errmsg("base connection \"%s\" is not in Experience Platform",
								 state->connection_name),
						  errdetail("Whether it was made is unknown, since its answer was lost."),
						  errhint("If it turns up later, delete it: its login is gone.")));
	else if (!is_ours(state, entity))
		ereport(
			WARNING,
			(errmsg("base connection \"%s\" stays in Experience Platform", state->connection_name),
			 errdetail("It does not show login \"%s\" at %s, port %d: it may be somebody else's.",
					   state->active_login, state->host, state->port),
			 errhint("If it is not, use SELECT aep.delete_connection('%s', %s).",
					 aep_document_id(&entity->root), quote_literal_cstr(server->name))));
	else
		return aep_document_id(&entity->root);
	return NULL;
}

static void
delete_connection(const AepServer *server, const AepIngestState *state)
{
	const char *id = state->connection_id != NULL ? state->connection_id : find_lost(server, state);
	bool was_missing;
	AepError error;

	if (id == NULL || aep_flow_try_delete(server, id, &was_missing, &error))
		return;
	if (!was_missing)
		aep_error_raise(&error);
	ereport(NOTICE, (errmsg("base connection %s is not in sandbox \"%s\" of Experience Platform",
							id, server->sandbox)));
}

void
aep_removal_run(const AepServer *server, AepIngestState *state)
{
	const char *logins = logins_of(state);

	aep_ingest_role_rehearse_drop(state->role_name, logins);
	delete_connection(server, state);
	if (state->trial_name != NULL || state->trial_id != NULL)
		aep_trial_delete(server, state);
	aep_ingest_role_drop(state->role_name, logins);
	aep_ingest_state_delete(state->role_name);
	aep_procedure_commit();
}
