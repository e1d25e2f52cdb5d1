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
		.schemas = state->schemas,
		.tables = state->tables,
		.ssl_mode = state->ssl_mode,
	};
	const char *told = NULL; /* the function that could not be called last */

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
