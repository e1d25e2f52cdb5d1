/*
 * sql/version.c
 *		aep.version(): what to put into a bug report, and whether library and
 *		SQL belong together.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "fmgr.h"

#include "compat.h"
#include "database/query.h"
#include "http/http.h"
#include "json/reply.h"
#include "sql/row.h"

typedef struct Parameters
{
	const char *library; /* its version */
} Parameters;

#define PARAMETER(name) offsetof(Parameters, name)

static const AepQuery versions[] = {
#include "sql/version.inc"
};

/* A column of the row that was found; NULL without one.  In the memory context given. */
static const char *
column(int number, MemoryContext memory)
{
	char *value;

	if (SPI_processed == 0)
		return NULL;
	value = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, number);
	return value != NULL ? MemoryContextStrdup(memory, value) : NULL;
}

AEP_SQL_FUNCTION(aep_version_2_0);

/* aep.version() -> (extension, library, postgresql, libcurl, tls, cjson, remedy) */
Datum
aep_version_2_0(PG_FUNCTION_ARGS)
{
	Parameters parameters;
	MemoryContext caller = CurrentMemoryContext;
	const char *extension;
	const char *remedy;
	AepRow row;

	parameters.library = AEP_VERSION;
	SPI_connect();
	aep_query_run(versions, &parameters);
	extension = column(1, caller);
	remedy = column(2, caller);
	SPI_finish();

	aep_row_begin(&row, fcinfo);
	aep_row_text(&row, extension);
	aep_row_text(&row, AEP_VERSION);
	aep_row_text(&row, PG_VERSION);
	aep_row_text(&row, aep_http_library_version());
	aep_row_text(&row, aep_http_tls_version());
	aep_row_text(&row, aep_reply_library_version());
	aep_row_text(&row, remedy);
	PG_RETURN_DATUM(aep_row_datum(&row));
}
