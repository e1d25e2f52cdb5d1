/*
 * ingest/check.c
 *		What would keep Experience Platform from reading, found from inside.
 */
#include "postgres.h"

#include "executor/spi.h"

#include "ingest/check.h"

/* What the queries may ask for, in the names of their psql variables. */
typedef struct Parameters
{
	const char *login;
	const char *role;
	const char *schemas; /* array literals, as in AepIngestState */
	const char *tables;
	const char *relations; /* the same resolved: array literal of regclass */
	const char *lines;	   /* JSON: those of pg_hba.conf about the login */
	const char *ssl_mode;  /* empty: not known */
	const char *problem;   /* with the row; empty: none */
	const char *server;
	const char *bound_system; /* the installation: as in the table ... */
	const char *bound_database;
	const char *bound_database_name;
	const char *bound_host;
	const char *bound_port;
	const char *host_now; /* ... and this one; empty: not known */
	const char *port_now;
} Parameters;

#define PARAMETER(name) offsetof(Parameters, name)

static const AepQuery relations[] = {
#include "ingest/relations.inc"
};

static const AepQuery hba_lines[] = {
#include "ingest/hba_lines.inc"
};

static const AepQuery checks[] = {
#include "ingest/checks.inc"
};

/* Those about the installation that the row is bound to, and about this one. */
static void
add_installation(const AepIngestState *state, Parameters *parameters)
{
	const AepInstallation *bound = &state->installation;
	AepInstallation here;

	aep_installation_get(aep_server_find(state->server), &here);
	parameters->bound_system = psprintf(INT64_FORMAT, (int64) bound->system_identifier);
	parameters->bound_database = psprintf("%u", bound->database);
	parameters->bound_database_name = bound->database_name;
	parameters->bound_host = bound->host;
	parameters->bound_port = psprintf("%d", bound->port);
	parameters->host_now = here.host;
	parameters->port_now = psprintf("%d", here.port);
}

/* The one value that a query gives. */
static const char *
value_of(const AepQuery *query, const Parameters *parameters)
{
	aep_query_run(query, parameters);
	return SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
}

void
aep_ingest_check(const AepIngestState *state, AepFound found, void *data)
{
	Parameters parameters = {
		.login = state->active_login,
		.role = state->role_name,
		.schemas = state->schemas != NULL ? state->schemas : "{}",
		.tables = state->tables != NULL ? state->tables : "{}",
		.ssl_mode = state->ssl_mode,
		.problem = state->problem,
		.server = state->server,
	};
	const char *told = NULL; /* the function that could not be called last */

	add_installation(state, &parameters);
	parameters.relations = value_of(relations, &parameters);
	/* without them no check that needs them runs either */
	if (aep_check_may_run(hba_lines))
		parameters.lines = value_of(hba_lines, &parameters);
	for (int i = 0; i < lengthof(checks); i++)
	{
		const AepQuery *check = &checks[i];

		if (told != NULL && check->needs != NULL && strcmp(check->needs, told) == 0)
			continue;
		if (!aep_check_run(check, &parameters, found, data))
			told = check->needs;
	}
}
