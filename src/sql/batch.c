/*
 * sql/batch.c
 *		aep.create_base_connections(): many at once, and the constructor
 *		aep.base_connection_spec().
 *
 * A window of requests is in flight; whatever becomes of one, the others get
 * their answers.  While there is nothing to do but wait, the next items are
 * prepared, so that each answer's place is taken at once.  Rows come in the
 * order of the specs, so a finished item waits for those before it, and no item
 * is begun further ahead than WINDOW_AHEAD: memory stays bounded however many
 * specs there are.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#include "compat.h"
#include "database/hidden_statement.h"
#include "database/login.h"
#include "database/value.h"
#include "platform/flow_service.h"
#include "sql/argument.h"
#include "sql/connection_argument.h"
#include "sql/row.h"

/* How many items may be begun before the oldest of them has ended. */
#define WINDOW_AHEAD 1024

/* So many are sent before those that are on their way get a turn. */
#define SENT_AT_ONCE 16

/* One item between its begin and its row. */
typedef struct BatchItem
{
	MemoryContext memory;
	AepCall *call; /* NULL: over, or never to be sent */
	const char *name;
	bool created;
	AepCreated answer;
	AepError error; /* when not created */
} BatchItem;

typedef struct Batch
{
	const AepServer *server;
	ArrayIterator specs;
	TupleDesc spec_type;
	BatchItem items[WINDOW_AHEAD]; /* a ring, by ordinal */
	int64 begun;				   /* items so far; some of them wait to be sent */
	int64 sent;
	int64 stored;
	int in_flight;
	int window; /* requests allowed in flight */
	bool at_end;
	char *warned;		  /* what was warned of last */
	HTAB *warned_logins;  /* hashes of what was said of them */
	bool no_token;		  /* none is to be had any more: no item is sent */
	AepError token_error; /* says why */
} Batch;

AEP_SQL_FUNCTION(aep_base_connection_spec_2_0);

/* aep.base_connection_spec(<arguments of create>) -> its row */
Datum
aep_base_connection_spec_2_0(PG_FUNCTION_ARGS)
{
	AepRow row;

	aep_row_begin(&row, fcinfo);
	for (int i = 0; i < AEP_CONNECTION_ARGUMENTS; i++)
	{
		row.values[i] = fcinfo->args[i].value;
		row.nulls[i] = fcinfo->args[i].isnull;
	}
	row.filled = AEP_CONNECTION_ARGUMENTS;
	PG_RETURN_DATUM(aep_row_datum(&row));
}

/* The attributes of a spec as arguments; auth_type has the constructor's default. */
static void
read_spec(Batch *batch, Datum spec, NullableDatum *arguments)
{
	HeapTupleHeader header = DatumGetHeapTupleHeader(spec);
	HeapTupleData tuple = {.t_len = HeapTupleHeaderGetDatumLength(header), .t_data = header};
	Datum values[AEP_CONNECTION_ARGUMENTS];
	bool nulls[AEP_CONNECTION_ARGUMENTS];

	heap_deform_tuple(&tuple, batch->spec_type, values, nulls);
	for (int i = 0; i < AEP_CONNECTION_ARGUMENTS; i++)
		arguments[i] = (NullableDatum){values[i], nulls[i]};
}

/* Once for all items in a row of which the same is to be said. */
static void
warn(Batch *batch, List *suspicions)
{
	StringInfoData said;
	ListCell *cell;

	initStringInfo(&said);
	foreach (cell, suspicions)
	{
		const AepSuspicion *suspicion = lfirst(cell);

		appendStringInfo(&said, "%s: %s\n", suspicion->message, suspicion->why.detail);
	}
	if (suspicions == NIL || (batch->warned != NULL && strcmp(batch->warned, said.data) == 0))
		return;
	if (batch->warned != NULL)
		pfree(batch->warned);
	batch->warned = MemoryContextStrdup(GetMemoryChunkContext(batch), said.data);
	foreach (cell, suspicions)
		aep_suspicion_raise(lfirst(cell));
}

/* Each finding once, however many items have it. */
static void
warn_login(Batch *batch, const AepBaseConnection *connection)
{
	ListCell *cell;

	foreach (cell, aep_login_findings(batch->server, connection))
	{
		const AepLoginFinding *finding = lfirst(cell);
		const char *text = psprintf("%s%s", finding->message, finding->detail);
		uint64 hash = hash_bytes_extended((const unsigned char *) text, (int) strlen(text), 0);
		bool warned;

		hash_search(batch->warned_logins, &hash, HASH_ENTER, &warned);
		if (!warned)
			aep_login_warn_of(finding);
	}
}

/* Prepares the next item; an argument that is wrong ends it at once. */
static void
begin_item(Batch *batch, Datum spec, bool is_null)
{
	static const AepAuthType default_type = AEP_AUTH_BASIC;
	BatchItem *item = &batch->items[batch->begun % WINDOW_AHEAD];
	NullableDatum arguments[AEP_CONNECTION_ARGUMENTS];
	AepBaseConnection connection = {0};
	MemoryContext caller;
	List *suspicions;

	memset(item, 0, sizeof(*item));
	item->memory = AllocSetContextCreate(CurrentMemoryContext, "aep item", ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(item->memory);
	batch->begun++;
	if (is_null)
		aep_argument_absence("specs", "Each of its elements must be a spec.", &item->error);
	else
	{
		read_spec(batch, spec, arguments);
		if (aep_connection_arguments(arguments, batch->server, &default_type, &connection,
									 &suspicions, &item->error))
		{
			warn(batch, suspicions);
			warn_login(batch, &connection);
			item->call = aep_flow_create_begin(batch->server, &connection, true);
		}
		item->name = connection.name;
	}
	MemoryContextSwitchTo(caller);
}

/* Whether there may be one more item, not too far ahead. */
static bool
can_prepare(const Batch *batch)
{
	return !batch->at_end && batch->begun - batch->stored < WINDOW_AHEAD;
}

/* False: there is no further item. */
static bool
prepare_item(Batch *batch)
{
	Datum spec;
	bool is_null;

	batch->at_end = !array_iterate(batch->specs, &spec, &is_null);
	if (!batch->at_end)
		begin_item(batch, spec, is_null);
	return !batch->at_end;
}

static bool
can_send(const Batch *batch)
{
	return batch->in_flight < batch->window && aep_http_throttled_until() <= aep_http_now() &&
		   (batch->sent < batch->begun || can_prepare(batch));
}

/* Reads the answer of an item that is over, and gives its request back. */
static void
finish_item(Batch *batch, BatchItem *item)
{
	MemoryContext caller = MemoryContextSwitchTo(item->memory);

	item->created = aep_flow_create_finish(item->call, &item->answer, &item->error);
	if (item->call->no_token && !batch->no_token)
	{
		MemoryContextSwitchTo(GetMemoryChunkContext(batch));
		batch->no_token = true;
		batch->token_error = item->call->token_error;
		aep_error_copy(&batch->token_error);
		MemoryContextSwitchTo(item->memory);
	}
	aep_call_end(item->call);
	item->call = NULL;
	batch->in_flight--;
	MemoryContextSwitchTo(caller);

	/* a slow start again after each 429, up to what the server option allows */
	if (aep_http_throttled_until() > aep_http_now())
		batch->window = Max(batch->window / 2, 1);
	else if (batch->window < batch->server->concurrency)
		batch->window++;
}

/* Sends items, those that are prepared first, as far as the window allows. */
static void
fill_window(Batch *batch)
{
	for (int i = 0; i < SENT_AT_ONCE && can_send(batch); i++)
	{
		BatchItem *item;

		if (batch->sent == batch->begun && !prepare_item(batch))
			return;
		item = &batch->items[batch->sent++ % WINDOW_AHEAD];
		if (item->call == NULL)
			continue;
		batch->in_flight++;
		if (batch->no_token)
			aep_call_refuse(item->call, &batch->token_error);
		else
			aep_call_start(item->call);
		/* nothing is on its way that could wake us up */
		if (item->call->no_token)
			finish_item(batch, item);
	}
}

static void
store_item(AepRow *row, const BatchItem *item, int64 ordinal)
{
	aep_row_integer(row, (int32) ordinal);
	aep_row_text(row, item->name);
	aep_row_uuid(row, item->created ? item->answer.id : NULL);
	aep_row_text(row, item->created && item->answer.has_etag ? item->answer.etag : NULL);
	aep_row_text(row, item->created ? NULL : unpack_sql_state(item->error.sqlstate));
	aep_row_text(row, item->created ? NULL
					  : item->error.detail == NULL
						  ? item->error.message
						  : psprintf("%s (%s)", item->error.message, item->error.detail));
	aep_row_store(row);
}

/* Turns what is over, from the oldest on, into rows. */
static void
collect_items(Batch *batch, AepRow *row)
{
	for (int64 i = batch->stored; i < batch->sent; i++)
	{
		BatchItem *item = &batch->items[i % WINDOW_AHEAD];

		if (item->call != NULL && batch->no_token)
			item->call->renewed = true; /* nobody asks for a token again */
		if (item->call != NULL && aep_call_is_over(item->call))
			finish_item(batch, item);
		if (item->call == NULL && i == batch->stored)
		{
			MemoryContext caller = MemoryContextSwitchTo(item->memory);

			batch->stored++;
			store_item(row, item, batch->stored);
			MemoryContextSwitchTo(caller);
			MemoryContextDelete(item->memory);
		}
	}
}

/* Others may have ended while one of them waited for a token. */
static bool
something_stirs(const Batch *batch)
{
	for (int64 i = batch->stored; i < batch->sent; i++)
	{
		const AepCall *call = batch->items[i % WINDOW_AHEAD].call;

		if (call != NULL && aep_call_stirs(call))
			return true;
	}
	return false;
}

/*
 * Waits for an answer, or until the service lets new requests through.  The
 * next items are prepared meanwhile, as many as may be answered at once.
 */
static void
wait_for_items(Batch *batch)
{
	bool at_end = batch->at_end && batch->sent == batch->begun;
	int64 pause = at_end ? 0 : aep_http_throttled_until() - aep_http_now();

	if (can_send(batch))
	{
		if (batch->in_flight > 0)
			(void) aep_http_step(0);
		else
			CHECK_FOR_INTERRUPTS();
		return;
	}
	while (batch->in_flight > 0 && batch->begun - batch->sent < batch->window && can_prepare(batch))
	{
		if (aep_http_step(0))
			return;
		(void) prepare_item(batch);
	}
	if ((batch->in_flight > 0 || pause > 0) && !something_stirs(batch))
		(void) aep_http_step(pause > 0 ? (long) pause : -1);
}

AEP_SQL_FUNCTION(aep_create_base_connections_2_0);

/* aep.create_base_connections(specs, server) -> one row for each spec */
Datum
aep_create_base_connections_2_0(PG_FUNCTION_ARGS)
{
	const HASHCTL control = {
		.keysize = sizeof(uint64),
		.entrysize = sizeof(uint64),
		.hcxt = CurrentMemoryContext,
	};
	AepHiddenStatement hidden;
	ArrayType *specs;
	Batch *batch;
	AepRow row;

	aep_row_begin_set(&row, fcinfo);
	aep_hide_statement(&hidden);
	if (PG_ARGISNULL(0))
		aep_argument_missing("specs", "Give an array of aep.base_connection_spec(...).");
	batch = palloc0(sizeof(Batch));
	batch->server = aep_server_get(aep_argument_server(fcinfo, 1), false);
	batch->window = batch->server->concurrency;
	batch->warned_logins =
		hash_create("aep warned logins", 16, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	aep_flow_check_access(batch->server); /* without a token: no batch */
	aep_http_forget_throttle();
	specs = PG_GETARG_ARRAYTYPE_P(0);
	batch->specs = array_create_iterator(specs, 0, NULL);
	batch->spec_type = lookup_rowtype_tupdesc_copy(ARR_ELEMTYPE(specs), -1);

	while (!batch->at_end || batch->stored < batch->begun)
	{
		collect_items(batch, &row); /* all of it, before anything can be cancelled */
		fill_window(batch);
		wait_for_items(batch);
	}
	array_free_iterator(batch->specs);
	aep_show_statement(&hidden);
	return (Datum) 0;
}
