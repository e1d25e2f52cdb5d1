/*
 * sql/test.c
 *		aep.test_connection() and aep.test_connections(): does Experience Platform
 *		get in?
 */
#include "postgres.h"

#include "fmgr.h"
#include "lib/ilist.h"
#include "utils/array.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"

#include "compat.h"
#include "database/encoding.h"
#include "database/endpoint.h"
#include "platform/document.h"
#include "platform/flow_service.h"
#include "platform/many.h"
#include "platform/pages.h"
#include "sql/argument.h"
#include "sql/row.h"

AEP_SQL_FUNCTION(aep_test_connection);

/* aep.test_connection(id, server) -> (result, message) */
Datum
aep_test_connection(PG_FUNCTION_ARGS)
{
	const AepServer *server = aep_server_get(aep_argument_server(fcinfo, 1), false);
	const char *reason;
	bool result;
	AepRow row;

	aep_row_begin(&row, fcinfo);
	result = aep_flow_test_connection(server, aep_argument_uuid_required(fcinfo, 0, "id"), &reason);
	aep_row_boolean(&row, result, false);
	aep_row_text(&row, reason);
	PG_RETURN_DATUM(aep_row_datum(&row));
}

/* A connection that is to be tested. */
typedef struct TestItem
{
	dlist_node node; /* in "waiting" */
	char id[37];	 /* "": the array had none */
	const char *name;
	bool known;			  /* its name, as far as there is one */
	MemoryContext memory; /* of its calls, from the first on, and of what comes of them */
} TestItem;

typedef struct Tests
{
	const AepServer *server;
	AepRow row;
	MemoryContext memory; /* holds this, and the items */
	dlist_head waiting;	  /* items whose names are known: to be tested next */
	ArrayIterator ids;	  /* NULL: none were given */
} Tests;

static TestItem *
make_item(const Tests *tests, const char *id)
{
	TestItem *item = MemoryContextAllocZero(tests->memory, sizeof(TestItem));

	strlcpy(item->id, id, sizeof(item->id));
	return item;
}

/* The end of an item, which has its row. */
static void
drop_item(TestItem *item)
{
	MemoryContextDelete(item->memory);
	pfree(item);
}

/* Its row; "error" says why it was not asked, if it was not. */
static void
store_item(Tests *tests, const TestItem *item, AepTestResult result, const char *reason,
		   const AepError *error)
{
	AepRow *row = &tests->row;
	bool asked = result != AEP_TEST_NOT_ASKED;

	if (!asked)
		reason = aep_error_line(error);
	else if (reason != NULL)
		reason = aep_for_client(reason);
	aep_row_uuid(row, item->id[0] != '\0' ? item->id : NULL);
	aep_row_text(row, item->name);
	aep_row_boolean(row, result == AEP_TEST_PASSED, !asked);
	aep_row_text(row, reason);
	aep_row_text(row, asked ? NULL : unpack_sql_state(error->sqlstate));
	aep_row_store(row);
}

/* The next call for the item: who does not know its name asks for that first. */
static AepCall *
begin_call(const Tests *tests, TestItem *item)
{
	AepCall *call = item->known ? aep_flow_test_begin(tests->server, item->id)
								: aep_flow_read_begin(tests->server, item->id);

	call->in_batch = true;
	call->item = item;
	return call;
}

/* The next item, if there is one. */
static TestItem *
take_item(Tests *tests)
{
	Datum id;
	bool is_null;
	char *text = NULL;
	TestItem *item;

	if (!dlist_is_empty(&tests->waiting))
		return dlist_container(TestItem, node, dlist_pop_head_node(&tests->waiting));
	if (tests->ids == NULL || !array_iterate(tests->ids, &id, &is_null))
		return NULL;
	if (!is_null)
		text = DatumGetCString(DirectFunctionCall1(uuid_out, id));
	item = make_item(tests, text != NULL ? text : "");
	if (text != NULL)
		pfree(text);
	return item;
}

/* AepManyCallbacks.next */
static bool
next_test(void *arg, AepCall **call)
{
	Tests *tests = arg;
	TestItem *item = take_item(tests);
	MemoryContext caller;
	AepError error;

	*call = NULL;
	if (item == NULL)
		return false;
	if (item->memory == NULL)
		item->memory = AllocSetContextCreate(tests->memory, "aep test", ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(item->memory);
	if (item->id[0] != '\0')
		*call = begin_call(tests, item);
	else
	{
		aep_argument_absence("ids", "Each of its elements must be an id.", &error);
		store_item(tests, item, AEP_TEST_NOT_ASKED, NULL, &error);
	}
	MemoryContextSwitchTo(caller);
	if (*call == NULL)
		drop_item(item);
	return true;
}

/* The answer to its test, as its row. */
static void
end_test(Tests *tests, TestItem *item, AepCall *call)
{
	AepError error;
	const char *reason;
	AepTestResult result = aep_flow_test_finish(call, &reason, &error);

	store_item(tests, item, result, reason, &error);
}

/* The answer that has its name.  False: there is none, and a row says why. */
static bool
end_reading(Tests *tests, TestItem *item, AepCall *call)
{
	AepError error;
	Jsonb *entity = aep_flow_read_finish(call, &error);
	const char *name;

	item->known = entity != NULL;
	if (entity == NULL)
		store_item(tests, item, AEP_TEST_NOT_ASKED, NULL, &error);
	else if ((name = aep_document_text(&entity->root, "name")) != NULL)
		item->name = MemoryContextStrdup(item->memory, name);
	return item->known;
}

/* AepManyCallbacks.over */
static void
call_is_over(void *arg, AepCall *call)
{
	Tests *tests = arg;
	TestItem *item = call->item;
	MemoryContext answer =
		AllocSetContextCreate(item->memory, "aep answer", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(answer);
	bool goes_on = false;

	if (item->known)
		end_test(tests, item, call);
	else
		goes_on = end_reading(tests, item, call);
	MemoryContextSwitchTo(caller);
	aep_call_end(call);
	MemoryContextDelete(answer);
	if (goes_on)
		dlist_push_tail(&tests->waiting, &item->node);
	else
		drop_item(item);
}

/* Whether a member is this text, or is not shown. */
static bool
may_be(JsonbContainer *params, const char *name, const char *ours)
{
	const char *shown = aep_document_text(params, name);

	return shown == NULL || pg_strcasecmp(shown, ours) == 0;
}

/* Whether a connection leads here, as far as its address is shown. */
static bool
leads_here(const AepEndpoint *endpoint, Jsonb *connection)
{
	JsonbContainer *params =
		aep_document_member(aep_document_member(&connection->root, "auth"), "params");
	const char *port = psprintf("%d", endpoint->port);

	return may_be(params, "server", endpoint->host) && may_be(params, "port", port) &&
		   !aep_document_shows_other(params, "database", endpoint->database);
}

/* A list of connections that is being read. */
typedef struct Listing
{
	Tests *tests;
	AepEndpoint endpoint;
} Listing;

/* AepTakeElement */
static void
take_connection(Jsonb *connection, void *arg)
{
	Listing *listing = arg;
	Tests *tests = listing->tests;
	const char *name;
	TestItem *item;

	if (connection == NULL || !leads_here(&listing->endpoint, connection))
		return;
	item = make_item(tests, aep_document_id(&connection->root));
	name = aep_document_text(&connection->root, "name");
	item->name = name != NULL ? MemoryContextStrdup(tests->memory, name) : NULL;
	item->known = true;
	dlist_push_tail(&tests->waiting, &item->node);
}

/* Without ids: this database's connections. */
static void
list_items(Tests *tests)
{
	const AepConnectionFilter filter = {
		.state = "enabled",
		.connection_spec_id = AEP_POSTGRESQL_SPEC_ID,
	};
	AepPages *pages = aep_flow_list_connections(tests->server, &filter, AEP_LARGEST_PAGE);
	Listing listing = {.tests = tests};

	aep_endpoint_get(tests->server, &listing.endpoint);
	while (aep_flow_next_page(pages, take_connection, &listing))
		;
	aep_flow_end_pages(pages);
}

AEP_SQL_FUNCTION(aep_test_connections);

/* aep.test_connections(ids, server) -> a row for each, as they finish */
Datum
aep_test_connections(PG_FUNCTION_ARGS)
{
	Tests *tests = palloc0(sizeof(Tests));
	const AepManyCallbacks callbacks = {.next = next_test, .over = call_is_over, .arg = tests};
	AepMany *many;

	aep_row_begin_set(&tests->row, fcinfo);
	tests->memory = CurrentMemoryContext;
	dlist_init(&tests->waiting);
	tests->server = aep_server_get(aep_argument_server(fcinfo, 1), false);
	aep_flow_check_access(tests->server); /* without a token: no test */
	if (PG_ARGISNULL(0))
		list_items(tests);
	else
		tests->ids = array_create_iterator(PG_GETARG_ARRAYTYPE_P(0), 0, NULL);

	many = aep_many_begin(tests->server, &callbacks);
	while (aep_many_turn(many))
		;
	return (Datum) 0;
}
