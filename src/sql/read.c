/*
 * sql/read.c
 *		aep.connections(), aep.connection() and aep.connection_count().
 */
#include "postgres.h"

#include <limits.h>

#include "fmgr.h"

#include "compat.h"
#include "platform/document.h"
#include "platform/flow_service.h"
#include "platform/pages.h"
#include "sql/argument.h"
#include "sql/row.h"

/*
 * The entity with what may be secret in it masked.  Facts: whether the service
 * shows a password is not documented, and other sources have secrets of other
 * names; so only what is known to be harmless is shown.
 */
static Jsonb *
masked(Jsonb *connection)
{
	static const char *const params[] = {"auth", "params"};
	static const char *const harmless[] = {"server",   "host",	  "port",		   "database",
										   "username", "sslMode", "authorizedDate"};

	return aep_document_mask(connection, params, lengthof(params), harmless, lengthof(harmless));
}

/* Facts: a port comes as a string of digits. */
static void
fill_port(AepRow *row, const char *text)
{
	size_t digits = text != NULL ? strspn(text, "0123456789") : 0;

	if (digits > 0 && digits <= 5 && text[digits] == '\0')
		aep_row_integer(row, atoi(text));
	else
		aep_row_null(row);
}

/* Where a connection leads; facts: with a connection string the service hides it. */
static void
fill_address(AepRow *row, JsonbContainer *params)
{
	aep_row_text(row, aep_document_text(params, "server"));
	fill_port(row, aep_document_text(params, "port"));
	aep_row_text(row, aep_document_text(params, "database"));
	aep_row_text(row, aep_document_text(params, "username"));
	aep_row_text(row, aep_document_text(params, "sslMode"));
}

/* A connection's entity as the columns that both reading functions return. */
static void
fill_connection(AepRow *row, Jsonb *connection)
{
	JsonbContainer *entity = &connection->root;
	JsonbContainer *auth = aep_document_member(entity, "auth");
	char *spec = aep_document_text(aep_document_member(entity, "connectionSpec"), "id");
	TimestampTz created_at;
	TimestampTz updated_at;
	bool created_unknown;
	bool updated_unknown;

	created_at = aep_document_time(entity, "createdAt", &created_unknown);
	updated_at = aep_document_time(entity, "updatedAt", &updated_unknown);
	aep_row_uuid(row, aep_document_id(entity));
	aep_row_text(row, aep_document_text(entity, "name"));
	aep_row_text(row, aep_document_text(entity, "description"));
	aep_row_text(row, aep_document_text(entity, "state"));
	aep_row_text(row, aep_document_text(auth, "specName"));
	aep_row_uuid(row, spec != NULL && aep_reply_is_uuid(spec) ? spec : NULL);
	fill_address(row, aep_document_member(auth, "params"));
	aep_row_time(row, created_at, created_unknown);
	aep_row_time(row, updated_at, updated_unknown);
	aep_row_text(row, aep_document_text(entity, "createdBy"));
	aep_row_text(row, aep_document_text(entity, "etag"));
	aep_row_jsonb(row, masked(connection));
}

static void
read_filter(FunctionCallInfo fcinfo, AepConnectionFilter *filter)
{
	const char *state = aep_argument_text(fcinfo, 1);

	if (state != NULL)
		aep_argument_check("state", AEP_VALUE_STATE_FILTER, state);
	filter->name = aep_argument_text(fcinfo, 0);
	filter->state = state != NULL ? aep_value_state(state) : NULL;
	filter->connection_spec_id = aep_argument_uuid(fcinfo, 2);
}

/* How many rows to ask for at once; the service may give some that are not wanted. */
static int
page_size(const AepConnectionFilter *filter, int wanted)
{
	return filter->name != NULL ? AEP_LARGEST_PAGE : Max(Min(wanted, AEP_LARGEST_PAGE), 1);
}

/* The rows of a list of connections. */
typedef struct ConnectionRows
{
	AepRow row;
	const char *name; /* NULL: any */
	int wanted;		  /* so many more */
} ConnectionRows;

static void
store_connection(Jsonb *connection, void *arg)
{
	ConnectionRows *rows = arg;
	const char *name = connection != NULL ? aep_document_text(&connection->root, "name") : NULL;

	if (connection == NULL || rows->wanted == 0)
		return;
	/* the service filters too, but how it compares is not documented */
	if (rows->name != NULL && (name == NULL || strcmp(name, rows->name) != 0))
		return;
	fill_connection(&rows->row, connection);
	aep_row_store(&rows->row);
	rows->wanted--;
}

AEP_SQL_FUNCTION(aep_connections_2_0);

/* aep.connections(name, state, connection_spec_id, max_rows, server) */
Datum
aep_connections_2_0(PG_FUNCTION_ARGS)
{
	const AepServer *server = aep_server_get(aep_argument_server(fcinfo, 4), false);
	ConnectionRows rows = {.wanted = PG_ARGISNULL(3) ? INT_MAX : PG_GETARG_INT32(3)};
	AepConnectionFilter filter;
	AepPages *pages;

	if (rows.wanted < 0)
		aep_argument_refused("max_rows", "It must not be negative.", NULL);
	read_filter(fcinfo, &filter);
	rows.name = filter.name;
	aep_row_begin_set(&rows.row, fcinfo);
	pages = aep_flow_list_connections(server, &filter, page_size(&filter, rows.wanted));
	while (rows.wanted > 0 && aep_flow_next_page(pages, store_connection, &rows))
		;
	aep_flow_end_pages(pages);
	return (Datum) 0;
}

AEP_SQL_FUNCTION(aep_connection_2_0);

/* aep.connection(id, server) */
Datum
aep_connection_2_0(PG_FUNCTION_ARGS)
{
	const AepServer *server = aep_server_get(aep_argument_server(fcinfo, 1), false);
	AepRow row;

	aep_row_begin(&row, fcinfo);
	fill_connection(&row, aep_flow_connection(server, aep_argument_uuid_required(fcinfo, 0, "id")));
	PG_RETURN_DATUM(aep_row_datum(&row));
}

AEP_SQL_FUNCTION(aep_connection_count);

/* aep.connection_count(name, state, connection_spec_id, server) */
Datum
aep_connection_count(PG_FUNCTION_ARGS)
{
	const AepServer *server = aep_server_get(aep_argument_server(fcinfo, 3), false);
	AepConnectionFilter filter;

	read_filter(fcinfo, &filter);
	if (filter.name != NULL && strchr(filter.name, '"') != NULL)
		aep_argument_refused("name",
							 "Flow Service documents no way to filter by a name that "
							 "holds a double quote.",
							 "Count the rows of aep.connections(name => ...).");
	PG_RETURN_INT64(aep_flow_count_connections(server, &filter));
}
