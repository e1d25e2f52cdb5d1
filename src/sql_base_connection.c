/*
 * sql_base_connection.c
 *		aep.create_base_connection() and aep.base_connection_request().
 */
#include "postgres.h"

#include "catalog/pg_enum.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/syscache.h"

#include "argument.h"
#include "compat.h"
#include "connection_string.h"
#include "encoding.h"
#include "endpoint.h"
#include "error.h"
#include "flow_service.h"
#include "server.h"

/* Positions of the arguments, the same for both functions. */
enum
{
	ARG_USERNAME,
	ARG_PASSWORD,
	ARG_NAME,
	ARG_DESCRIPTION,
	ARG_AUTH_TYPE,
	ARG_SSL_MODE,
	ARG_HOST,
	ARG_PORT,
	ARG_DATABASE,
	ARG_SERVER
};

/* Labels of the enum aep.auth_type. */
static const struct
{
	const char *label;
	AepAuthType type;
} auth_types[] = {
	{"basic", AEP_AUTH_BASIC},
	{"connection_string", AEP_AUTH_CONNECTION_STRING},
};

static AepAuthType
read_auth_type(FunctionCallInfo fcinfo)
{
	const char *label;

	if (PG_ARGISNULL(ARG_AUTH_TYPE))
		aep_argument_missing("auth_type", "Use 'basic' or 'connection_string'.");
	label = DatumGetCString(DirectFunctionCall1(enum_out, PG_GETARG_DATUM(ARG_AUTH_TYPE)));
	for (int i = 0; i < lengthof(auth_types); i++)
	{
		if (strcmp(label, auth_types[i].label) == 0)
			return auth_types[i].type;
	}
	aep_argument_refused("auth_type", "This version of the extension does not know it.",
						 "Use 'basic' or 'connection_string'.");
}

static const char *
read_ssl_mode(FunctionCallInfo fcinfo, AepAuthType auth_type)
{
	const char *given = aep_argument_text(fcinfo, ARG_SSL_MODE);
	const char *known;

	if (given == NULL)
		return auth_type == AEP_AUTH_BASIC ? "Prefer" : NULL;
	known = aep_ssl_mode(given);
	if (known == NULL)
		aep_argument_refused("ssl_mode", "It is not an SSL mode of Experience Platform.",
							 psprintf("Use one of %s.", aep_ssl_mode_list()));
	return known;
}

/* An argument, or the user mapping's option of the same name; not empty. */
static const char *
read_login(FunctionCallInfo fcinfo, int number, const char *name, const char *from_mapping)
{
	const char *value = aep_argument_text(fcinfo, number);

	if (value == NULL)
		value = from_mapping;
	if (value == NULL)
		aep_argument_missing(name, "Give the argument, or set the option of that name in the "
								   "user mapping.");
	if (value[0] == '\0')
		aep_argument_refused(name, "It must not be empty.", NULL);
	return value;
}

/* Host, port and database: what was given, else this database's own. */
static void
read_address(FunctionCallInfo fcinfo, const AepServer *server, AepBaseConnection *connection)
{
	AepEndpoint endpoint;
	const char *refusal;

	aep_endpoint_get(server, &endpoint);
	connection->host = aep_argument_text(fcinfo, ARG_HOST);
	if (connection->host == NULL)
		connection->host = endpoint.host;
	else if ((refusal = aep_endpoint_host_refusal(connection->host)) != NULL)
		aep_argument_refused("host", refusal, NULL);

	connection->port = PG_ARGISNULL(ARG_PORT) ? endpoint.port : PG_GETARG_INT32(ARG_PORT);
	if (connection->port < 1 || connection->port > 65535)
		aep_argument_refused("port", "It must be a number from 1 to 65535.", NULL);

	connection->database = aep_argument_text(fcinfo, ARG_DATABASE);
	if (connection->database == NULL)
		connection->database = endpoint.database;
	else if (connection->database[0] == '\0')
		aep_argument_refused("database", "It must not be empty.", NULL);
}

/* What cannot be quoted in a connection string is refused, never sent changed. */
static void
check_connection_string(const AepBaseConnection *connection)
{
	const struct
	{
		const char *name;
		const char *value;
	} parts[] = {
		{"host", connection->host},
		{"database", connection->database},
		{"username", connection->username},
		{"password", connection->password},
	};

	for (int i = 0; i < lengthof(parts); i++)
	{
		const char *utf8 = aep_to_utf8(parts[i].value, parts[i].name);
		const char *refusal = aep_connection_string_refusal(utf8);

		if (refusal != NULL)
			aep_argument_refused(parts[i].name,
								 psprintf("In a connection string, the value %s.", refusal),
								 "Use auth_type => 'basic', which carries any text.");
	}
}

/* Reads and checks all arguments; no request is made before they are right. */
static void
read_arguments(FunctionCallInfo fcinfo, const AepServer *server, AepBaseConnection *connection)
{
	connection->auth_type = read_auth_type(fcinfo);
	connection->ssl_mode = read_ssl_mode(fcinfo, connection->auth_type);
	connection->username = read_login(fcinfo, ARG_USERNAME, "username", server->username);
	connection->password = read_login(fcinfo, ARG_PASSWORD, "password", server->password);
	read_address(fcinfo, server, connection);
	connection->name = aep_argument_text(fcinfo, ARG_NAME);
	if (connection->name == NULL)
		connection->name = psprintf("PostgreSQL %s at %s:%d", connection->database,
									connection->host, connection->port);
	else if (connection->name[0] == '\0')
		aep_argument_refused("name", "It must not be empty.", NULL);
	connection->description = aep_argument_text(fcinfo, ARG_DESCRIPTION);
	if (connection->auth_type == AEP_AUTH_CONNECTION_STRING)
		check_connection_string(connection);
	aep_endpoint_warn_unreachable(connection->host);
}

AEP_SQL_FUNCTION(aep_base_connection_request);

/* The body that aep.create_base_connection() would send, secrets masked. */
Datum
aep_base_connection_request(PG_FUNCTION_ARGS)
{
	AepHiddenStatement hidden;
	AepBaseConnection connection;
	Datum request;

	aep_hide_statement(&hidden);
	read_arguments(fcinfo, aep_server_get(aep_argument_server(fcinfo, ARG_SERVER), true),
				   &connection);
	request =
		DirectFunctionCall1(jsonb_in, CStringGetDatum(aep_flow_connection_preview(&connection)));
	aep_show_statement(&hidden);
	PG_RETURN_DATUM(request);
}

AEP_SQL_FUNCTION(aep_create_base_connection);

/* Creates a base connection -> (id, etag) */
Datum
aep_create_base_connection(PG_FUNCTION_ARGS)
{
	const AepServer *server;
	AepHiddenStatement hidden;
	AepBaseConnection connection;
	AepCreated created;
	TupleDesc row_type;
	Datum values[2];
	bool nulls[2];

	if (get_call_result_type(fcinfo, NULL, &row_type) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");

	aep_hide_statement(&hidden);
	server = aep_server_get(aep_argument_server(fcinfo, ARG_SERVER), false);
	read_arguments(fcinfo, server, &connection);
	aep_flow_create_connection(server, &connection, &created);
	aep_show_statement(&hidden);

	values[0] = DirectFunctionCall1(uuid_in, CStringGetDatum(created.id));
	nulls[0] = false;
	values[1] = created.has_etag ? CStringGetTextDatum(created.etag) : (Datum) 0;
	nulls[1] = !created.has_etag;
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(row_type), values, nulls)));
}
