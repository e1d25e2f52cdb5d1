/*
 * sql/base_connection.c
 *		aep.create_base_connection() and aep.base_connection_request().
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "compat.h"
#include "database/hidden_statement.h"
#include "database/login.h"
#include "platform/flow_service.h"
#include "sql/argument.h"
#include "sql/connection_argument.h"
#include "sql/row.h"

/* behind those that describe the connection */
#define ARG_SERVER AEP_CONNECTION_ARGUMENTS

AEP_SQL_FUNCTION(aep_base_connection_request_2_0);

/* The body that aep.create_base_connection() would send, secrets masked. */
Datum
aep_base_connection_request_2_0(PG_FUNCTION_ARGS)
{
	const AepServer *server;
	AepHiddenStatement hidden;
	AepBaseConnection connection;
	Datum request;

	aep_hide_statement(&hidden);
	server = aep_server_get(aep_argument_server(fcinfo, ARG_SERVER), true);
	aep_connection_arguments_require(fcinfo->args, server, NULL, &connection);
	aep_login_warn(server, &connection);
	request =
		DirectFunctionCall1(jsonb_in, CStringGetDatum(aep_flow_connection_preview(&connection)));
	aep_show_statement(&hidden);
	PG_RETURN_DATUM(request);
}

AEP_SQL_FUNCTION(aep_create_base_connection_2_0);

/* Creates a base connection -> (id, etag) */
Datum
aep_create_base_connection_2_0(PG_FUNCTION_ARGS)
{
	const AepServer *server;
	AepHiddenStatement hidden;
	AepBaseConnection connection;
	AepCreated created;
	Datum result;
	AepRow row;

	aep_row_begin(&row, fcinfo);
	aep_hide_statement(&hidden);
	server = aep_server_get(aep_argument_server(fcinfo, ARG_SERVER), false);
	aep_connection_arguments_require(fcinfo->args, server, NULL, &connection);
	aep_login_warn(server, &connection);
	aep_flow_create_connection(server, &connection, &created);

	aep_row_uuid(&row, created.id);
	aep_row_text(&row, created.has_etag ? created.etag : NULL);
	result = aep_row_datum(&row);
	aep_show_statement(&hidden);
	PG_RETURN_DATUM(result);
}
