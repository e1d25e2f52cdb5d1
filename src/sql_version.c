/*
 * sql_version.c
 *		aep.version(): what to put into a bug report.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "compat.h"
#include "http.h"
#include "reply.h"

AEP_SQL_FUNCTION(aep_version);

/* aep.version() -> (extension, postgresql, libcurl, tls, cjson) */
Datum
aep_version(PG_FUNCTION_ARGS)
{
	TupleDesc row_type;
	Datum values[5];
	bool nulls[5] = {false};

	if (get_call_result_type(fcinfo, NULL, &row_type) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");

	values[0] = CStringGetTextDatum(AEP_VERSION);
	values[1] = CStringGetTextDatum(PG_VERSION);
	values[2] = CStringGetTextDatum(aep_http_library_version());
	values[3] = CStringGetTextDatum(aep_http_tls_version());
	values[4] = CStringGetTextDatum(aep_reply_library_version());
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(row_type), values, nulls)));
}
