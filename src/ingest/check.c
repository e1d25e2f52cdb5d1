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
	const char *ssl_mode;  /* empty: not known */
} Parameters;

#define PARAMETER(name) offsetof(Parameters, name)

static const AepQuery relations[] = {
#include "ingest/relations.inc"
};

static const AepQuery checks[] = {
#include "ingest/checks.inc"
};

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

	aep_query_run(relations, &parameters);
	parameters.relations = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	for (int i = 0; i < lengthof(checks); i++)
		aep_check_run(&checks[i], &parameters, found, data);
}
