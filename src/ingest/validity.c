/*
 * ingest/validity.c
 *		Whether a row of aep.ingest_role may be worked with.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "database/value.h"
#include "ingest/validity.h"

/* Whether it is the role's name and a letter, as logins are found by that. */
static bool
is_named_after(const char *login, const char *role_name)
{
	size_t length = strlen(role_name);

	return strncmp(login, role_name, length) == 0 && login[length] == '_' &&
		   login[length + 1] >= 'a' && login[length + 1] <= 'z' && login[length + 2] == '\0';
}

/* Whether the step, and what belongs to it, fit together. */
static const char *
step_problem(const AepIngestState *state)
{
	const bool pending = state->step == AEP_INGEST_PROVING || state->step == AEP_INGEST_ROTATING;

	if (pending && state->pending_login == NULL)
		return "Its step needs a pending_login.";
	if (!pending && state->pending_login != NULL)
		return "Its step has no pending_login.";
	if (pending && !is_named_after(state->pending_login, state->role_name))
		return "Its pending_login is not named after role_name.";
	if (pending && strcmp(state->pending_login, state->active_login) == 0)
		return "Its pending_login is the active one.";
	if (state->connection_id == NULL && state->step != AEP_INGEST_UNKNOWN)
		return "Its step needs a connection_id.";
	return NULL;
}

const char *
aep_ingest_problem(const AepIngestState *state)
{
	const struct
	{
		const char *name;
		const char *value;
	} needed[] = {
		{"role_name", state->role_name},
		{"server_name", state->server},
		{"host", state->host},
		{"database_name", state->database},
		{"active_login", state->active_login},
		{"connection_name", state->connection_name},
	};
	AepObjection why;

	for (int i = 0; i < lengthof(needed); i++)
	{
		if (needed[i].value == NULL || needed[i].value[0] == '\0')
			return psprintf("Its %s is empty.", needed[i].name);
	}
	/* lists that a text may be empty in */
	if (state->kept_logins == NULL || state->schemas == NULL || state->tables == NULL)
		return "One of kept_logins, granted_schemas and granted_tables is null.";
	if (aep_value_refused(AEP_VALUE_HOST, state->host, &why))
		return "Its host is not a host name or address.";
	if (state->port < 1 || state->port > 65535)
		return "Its port is not a number from 1 to 65535.";
	if (state->connection_limit < -1)
		return "Its connection_limit is less than -1.";
	if (!is_named_after(state->active_login, state->role_name))
		return "Its active_login is not named after role_name.";
	if (state->installation.host != NULL && state->installation.database_name == NULL)
		return "Its bound_host has no bound_database_name.";
	return step_problem(state);
}

/* A statement on this role, for a hint. */
static const char *
call_of(const char *procedure, const AepIngestState *state)
{
	return psprintf("CALL aep.%s(%s)", procedure, quote_literal_cstr(state->role_name));
}

void
aep_ingest_require_valid(const AepIngestState *state)
{
	if (state->problem == NULL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("what aep.ingest_role says of role \"%s\" makes no sense",
					state->role_name != NULL ? state->role_name : ""),
			 errdetail_internal("%s", state->problem),
			 errhint("A superuser can correct the row with UPDATE; %s takes it away, and "
					 "leaves roles and connection as they are.",
					 state->role_name != NULL ? call_of("forget_ingest_role", state) : "DELETE")));
}

void
aep_ingest_require_bound(const AepIngestState *state, const AepServer *server)
{
	AepInstallation here;

	aep_installation_get(server, &here);
	aep_installation_require(
		&state->installation, &here, psprintf("ingest role \"%s\"", state->role_name),
		call_of("adopt_ingest_role", state), call_of("forget_ingest_role", state));
}
