/*
 * sql_access_token.c
 *		aep.access_token_info(): what is known of the token at hand.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/timestamp.h"

#include "access_token.h"
#include "argument.h"
#include "compat.h"
#include "server.h"

AEP_SQL_FUNCTION(aep_access_token_info);

/* aep.access_token_info(server) -> (fetched_at, expires_at), never the token */
Datum
aep_access_token_info(PG_FUNCTION_ARGS)
{
	const AepServer *server = aep_server_get(aep_argument_server(fcinfo, 0), false);
	AepAccessTokenInfo info;
	TupleDesc row_type;
	Datum values[2];
	bool nulls[2];

	if (get_call_result_type(fcinfo, NULL, &row_type) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");

	aep_access_token_describe(server, &info);
	nulls[0] = nulls[1] = !info.fetched;
	values[0] = TimestampTzGetDatum(info.fetched_at);
	values[1] = TimestampTzGetDatum(info.expires_at);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(row_type), values, nulls)));
}
