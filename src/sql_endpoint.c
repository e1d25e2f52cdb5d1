/*
 * sql_endpoint.c
 *		aep.endpoint(): the address that Experience Platform will be given.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "argument.h"
#include "compat.h"
#include "endpoint.h"
#include "server.h"

AEP_SQL_FUNCTION(aep_endpoint);

/* aep.endpoint(server) -> (host, port, database, host_source) */
Datum
aep_endpoint(PG_FUNCTION_ARGS)
{
	const AepServer *server = aep_server_get(aep_argument_server(fcinfo, 0), true);
	AepEndpoint endpoint;
	TupleDesc row_type;
	Datum values[4];
	bool nulls[4] = {false};

	if (get_call_result_type(fcinfo, NULL, &row_type) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");

	aep_endpoint_get(server, &endpoint);
	aep_endpoint_warn_unreachable(endpoint.host);

	values[0] = CStringGetTextDatum(endpoint.host);
	values[1] = Int32GetDatum(endpoint.port);
	values[2] = CStringGetTextDatum(endpoint.database);
	values[3] = CStringGetTextDatum(endpoint.host_source);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(row_type), values, nulls)));
}
