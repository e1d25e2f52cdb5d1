/*
 * sql/version.c
 *		aep.version(): what to put into a bug report.
 */
#include "postgres.h"

#include "fmgr.h"

#include "compat.h"
#include "http/http.h"
#include "json/reply.h"
#include "sql/row.h"

AEP_SQL_FUNCTION(aep_version);

/* aep.version() -> (extension, postgresql, libcurl, tls, cjson) */
Datum
aep_version(PG_FUNCTION_ARGS)
{
	AepRow row;

	aep_row_begin(&row, fcinfo);
	aep_row_text(&row, AEP_VERSION);
	aep_row_text(&row, PG_VERSION);
	aep_row_text(&row, aep_http_library_version());
	aep_row_text(&row, aep_http_tls_version());
	aep_row_text(&row, aep_reply_library_version());
	PG_RETURN_DATUM(aep_row_datum(&row));
}
