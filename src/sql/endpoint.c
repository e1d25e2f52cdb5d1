/*
 * sql/endpoint.c
 *		aep.endpoint(): the address that Experience Platform will be given.
 */
#include "postgres.h"

#include "fmgr.h"

#include "compat.h"
#include "database/endpoint.h"
#include "database/server.h"
#include "sql/argument.h"
#include "sql/row.h"

AEP_SQL_FUNCTION(aep_endpoint);

/* aep.endpoint(server) -> (host, port, database, host_source) */
Datum
aep_endpoint(PG_FUNCTION_ARGS)
{
	const AepServer *server = aep_server_get(aep_argument_server(fcinfo, 0), true);
	AepSuspicion suspicion;
	AepEndpoint endpoint;
	AepRow row;

	aep_row_begin(&row, fcinfo);
	aep_endpoint_get(server, &endpoint);
	if (aep_endpoint_suspect(server, endpoint.host, &suspicion))
		aep_suspicion_raise(&suspicion);
	aep_row_text(&row, endpoint.host);
	aep_row_integer(&row, endpoint.port);
	aep_row_text(&row, endpoint.database);
	aep_row_text(&row, endpoint.host_source);
	PG_RETURN_DATUM(aep_row_datum(&row));
}
