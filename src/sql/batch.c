/*
 * sql/batch.c
 *		aep.create_base_connections(): many at once.
 *
 * platform/many.c has the window of requests; whatever is wrong with one item
 * stands in its row, and the others get their answers.  Rows come in the order
 * of the specs, so a finished item waits for those before it, and no item is
 * begun further ahead than WINDOW_AHEAD: memory stays bounded however many specs
 * there are.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "compat.h"
#include "database/hidden_statement.h"
#include "database/login.h"
#include "database/value.h"
#include "platform/flow_service.h"
#include "platform/many.h"
#include "sql/argument.h"
#include "sql/connection_argument.h"
#include "sql/row.h"
#include "sql/spec.h"

/* How many items may be begun before the oldest of them has ended. */
#define WINDOW_AHEAD 1024

/* One item between its begin and its row. */
typedef struct BatchItem
{
	MemoryContext memory;
	const char *name;
	bool over;
	bool created;
	AepCreated answer;
	AepError error; /* when not created */
} BatchItem;

typedef struct Batch
{
	const AepServer *server;
	ArrayIterator specs;
	AepSpecType spec_type;
	AepRow row;
	BatchItem items[WINDOW_AHEAD]; /* a ring, by ordinal */
	int64 begun;				   /* items so far */
	int64 stored;				   /* those that have a row */
	HTAB *warned;				   /* hashes of what was said */
} Batch;

/* Each suspicion once, however many items have it. */
static void
warn(Batch *batch, const List *suspicions)
{
	ListCell *cell;

	foreach (cell, suspicions)
	{
		const AepSuspicion *suspicion = lfirst(cell);
		const char *text = psprintf("%s%s", suspicion->message, suspicion->why.detail);
		uint64 hash = hash_bytes_extended((const unsigned char *) text, (int) strlen(text), 0);
		bool warned;

		hash_search(batch->warned, &hash, HASH_ENTER, &warned);
		if (!warned)
			aep_suspicion_raise(suspicion);
	}
}

/* The call that creates it; NULL: the item is over, its error says why. */
static AepCall *
begin_call(Batch *batch, BatchItem *item, Datum spec)
{
	static const AepAuthType default_type = AEP_AUTH_BASIC;
	NullableDatum arguments[AEP_CONNECTION_ARGUMENTS];
	AepBaseConnection connection = {0};
	List *suspicions;
	bool fits;

	if (!aep_spec_read(&batch->spec_type, spec, arguments, &item->error))
		return NULL;
	fits = aep_connection_arguments(arguments, batch->server, &default_type, &connection,
									&suspicions, &item->error);
	item->name = connection.name;
	if (!fits)
		return NULL;
	warn(batch, suspicions);
	warn(batch, aep_login_findings(batch->server, &connection));
	return aep_flow_create_begin(batch->server, &connection, true, &item->error);
}

static void
store_item(AepRow *row, const BatchItem *item, int64 ordinal)
{
	aep_row_integer(row, (int32) ordinal);
	aep_row_text(row, item->name);
	aep_row_uuid(row, item->created ? item->answer.id : NULL);
	aep_row_text(row, item->created && item->answer.has_etag ? item->answer.etag : NULL);
	aep_row_text(row, item->created ? NULL : unpack_sql_state(item->error.sqlstate));
	aep_row_text(row, item->created ? NULL : aep_error_line(&item->error));
	aep_row_store(row);
}

/* Turns what is over, from the oldest on, into rows. */
static void
store_items(Batch *batch)
{
	while (batch->stored < batch->begun)
	{
		BatchItem *item = &batch->items[batch->stored % WINDOW_AHEAD];
		MemoryContext caller;

		if (!item->over)
			return;
		caller = MemoryContextSwitchTo(item->memory);
		store_item(&batch->row, item, ++batch->stored);
		MemoryContextSwitchTo(caller);
		MemoryContextDelete(item->memory);
	}
}

/* AepManyCallbacks.next */
static bool
next_item(void *arg, AepCall **call)
{
	Batch *batch = arg;
	BatchItem *item = &batch->items[batch->begun % WINDOW_AHEAD];
	Datum spec;
	bool is_null;
	MemoryContext caller;

	*call = NULL;
	if (batch->begun - batch->stored >= WINDOW_AHEAD ||
		!array_iterate(batch->specs, &spec, &is_null))
		return false;

	memset(item, 0, sizeof(*item));
	item->memory = AllocSetContextCreate(CurrentMemoryContext, "aep item", ALLOCSET_SMALL_SIZES);
	batch->begun++;
	caller = MemoryContextSwitchTo(item->memory);
	if (is_null)
		aep_argument_absence("specs", "Each of its elements must be a spec.", &item->error);
	else
		*call = begin_call(batch, item, spec);
	MemoryContextSwitchTo(caller);

	item->over = *call == NULL;
	if (*call != NULL)
		(*call)->item = item;
	store_items(batch);
	return true;
}

/* AepManyCallbacks.over */
static void
end_item(void *arg, AepCall *call)
{
	BatchItem *item = call->item;
	MemoryContext caller = MemoryContextSwitchTo(item->memory);

	item->created = aep_flow_create_finish(call, &item->answer, &item->error);
	aep_call_end(call);
	MemoryContextSwitchTo(caller);
	item->over = true;
	store_items(arg);
}

AEP_SQL_FUNCTION(aep_create_base_connections_2_0);

/* aep.create_base_connections(specs, server) -> one row for each spec */
Datum
aep_create_base_connections_2_0(PG_FUNCTION_ARGS)
{
	AepHiddenStatement hidden;
	ArrayType *specs;
	Batch *batch = palloc0(sizeof(Batch));
	const HASHCTL control = {
		.keysize = sizeof(uint64), .entrysize = sizeof(uint64), .hcxt = CurrentMemoryContext};
	const AepManyCallbacks callbacks = {.next = next_item, .over = end_item, .arg = batch};
	AepMany *many;

	aep_row_begin_set(&batch->row, fcinfo);
	aep_hide_statement(&hidden);
	if (PG_ARGISNULL(0))
		aep_argument_missing("specs", "Give an array of aep.base_connection_spec(...).");
	batch->server = aep_server_get(aep_argument_server(fcinfo, 1), false);
	specs = PG_GETARG_ARRAYTYPE_P(0);
	aep_spec_type(ARR_ELEMTYPE(specs), &batch->spec_type);
	batch->warned =
		hash_create("aep warnings", 16, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	aep_flow_check_access(batch->server); /* without a token: no batch */
	batch->specs = array_create_iterator(specs, 0, NULL);

	many = aep_many_begin(batch->server, &callbacks);
	while (aep_many_turn(many))
		;
	array_free_iterator(batch->specs);
	aep_show_statement(&hidden);
	return (Datum) 0;
}
