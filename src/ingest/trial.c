/*
 * ingest/trial.c
 *		A connection beside the real one, to try a login.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "ingest/trial.h"
#include "platform/document.h"
#include "platform/flow_service.h"
#include "platform/pages.h"

/* Of the real one's name, in bytes; how long a name may be is not documented. */
#define MAX_NAME_SHOWN 150

const char *
aep_trial_name(const AepIngestState *state)
{
	const char *name = state->connection_name;
	uint64 random;

	if (!pg_strong_random(&random, sizeof(random)))
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not make a random name")));
	return psprintf("%.*s (login test %016llx)",
					pg_mbcliplen(name, (int) strlen(name), MAX_NAME_SHOWN), name,
					(unsigned long long) random);
}

bool
aep_trial_create(const AepServer *server, AepIngestState *state, const AepPassword *password,
				 AepError *error)
{
	const AepBaseConnection connection = {
		.name = state->trial_name,
		.description = "Made by aep.rotate_credentials() to try a login, and deleted afterwards.",
		.auth_type = state->auth_type,
		.ssl_mode = state->ssl_mode,
		.host = state->host,
		.port = state->port,
		.database = state->database,
		.username = state->pending_login,
		.password = password->text,
	};
	AepCall *call = aep_flow_create_begin(server, &connection, false, error);
	AepCreated created;

	if (call == NULL)
		return false;
	aep_call_wait(call);
	if (!aep_flow_create_finish(call, &created, error))
		return false;
	state->trial_id = pstrdup(created.id);
	aep_call_end(call);
	return true;
}

/* The one that may have been made by a call that was cut off. */
static void
find_by_name(const AepServer *server, AepIngestState *state)
{
	Jsonb *entity;

	if (state->trial_name == NULL || state->trial_id != NULL)
		return;
	entity = aep_flow_find_by_name(server, state->trial_name);
	if (entity != NULL)
		state->trial_id = aep_document_id(&entity->root);
	else
		ereport(WARNING,
				(errmsg("base connection \"%s\" is not in Experience Platform", state->trial_name),
				 errdetail("Whether it was made is unknown, since its answer was lost."),
				 errhint("If it turns up later, delete it: its login works no more.")));
}

static bool
delete_found(const AepServer *server, AepIngestState *state, AepError *error)
{
	bool was_missing;

	if (state->trial_id != NULL &&
		!aep_flow_try_delete(server, state->trial_id, &was_missing, error) && !was_missing)
		return false;
	state->trial_name = NULL;
	state->trial_id = NULL;
	return true;
}

void
aep_trial_delete(const AepServer *server, AepIngestState *state)
{
	AepError error;

	find_by_name(server, state);
	if (!delete_found(server, state, &error))
		aep_error_raise(&error);
}

void
aep_trial_try_delete(const AepServer *server, AepIngestState *state)
{
	AepError ignored;

	(void) delete_found(server, state, &ignored);
}
