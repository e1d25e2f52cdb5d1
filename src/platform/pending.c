/*
 * platform/pending.c
 *		Objects created in Experience Platform by a transaction that may still
 *		roll back here.
 *
 * The list follows subtransactions: their commit hands entries to the parent,
 * their abort reports them.  It is reported from the abort callbacks, where
 * nothing may fail: all text was formatted when the entry was made, and the
 * report is put together in static buffers.
 */
#include "postgres.h"

#include "access/xact.h"
#include "lib/ilist.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "database/encoding.h"
#include "platform/call.h"
#include "platform/pending.h"

/* As many are named in a warning; the server log has them all. */
#define MAX_REPORTED 20

/* A server that entries name, as text and as a literal of SQL. */
typedef struct PendingServer
{
	slist_node node;
	const char *name;
	const char *literal;
	const char *literal_ascii; /* for any client */
} PendingServer;

struct AepPending
{
	dlist_node node;
	int level;	  /* transaction nesting level it belongs to */
	AepFate fate; /* of its creation */
	bool logged;  /* its end is in the server log already */
	char id[37];  /* "" while not known */
	int encoding; /* of a client that can be sent the texts; -1: none is known */
	const char *kind;
	const char *collection;
	const char *name;
	const char *name_ascii; /* for any client */
	const PendingServer *server;
};

static dlist_head entries = DLIST_STATIC_INIT(entries);

/* Those of this transaction; few, for many entries. */
static slist_head servers = SLIST_STATIC_INIT(servers);

/* The report of an abort; too large for the stack of a callback. */
static char report_detail[MAX_REPORTED * 256];
static char report_hint[MAX_REPORTED * 256];

/* Appends to a buffer of fixed size; what does not fit whole is left out. */
static void append(char *buffer, size_t size, const char *format, ...) pg_attribute_printf(3, 4);

static void
append(char *buffer, size_t size, const char *format, ...)
{
	size_t used = strlen(buffer);
	va_list args;
	int needed;

	va_start(args, format);
	needed = vsnprintf(buffer + used, size - used, format, args);
	va_end(args);
	if (needed < 0 || (size_t) needed >= size - used)
		buffer[used] = '\0';
}

/* LOG_SERVER_ONLY: what is sent to the client may fail, which an abort must not. */
static void
log_unknown(AepPending *entry)
{
	if (entry->logged)
		return;
	entry->logged = true;
	ereport(LOG_SERVER_ONLY, (errmsg_internal("outcome unknown: create %s \"%s\" on server \"%s\"",
											  entry->kind, entry->name, entry->server->name),
							  errhidestmt(true), errhidecontext(true)));
}

static bool
is_for_client(const AepPending *entry)
{
	return entry->encoding == pg_get_client_encoding();
}

/* One entry of the hint: the statement that deletes it. */
static void
append_deletion(const AepPending *entry)
{
	const char *lead = report_hint[0] == '\0' ? "To delete:" : "";
	const char *server;

	if (entry->id[0] == '\0')
		return;
	server = is_for_client(entry) ? entry->server->literal : entry->server->literal_ascii;
	if (strcmp(entry->collection, AEP_CONNECTIONS_PATH) == 0)
		append(report_hint, sizeof(report_hint), "%s SELECT aep.delete_connection('%s', %s);", lead,
			   entry->id, server);
	else
		append(report_hint, sizeof(report_hint),
			   "%s SELECT status FROM aep.request('DELETE', '%s/%s', server => %s);", lead,
			   entry->collection, entry->id, server);
}

static void
append_entry(const AepPending *entry)
{
	const char *lead = report_detail[0] == '\0' ? "" : ", ";
	const char *name = is_for_client(entry) ? entry->name : entry->name_ascii;

	if (entry->id[0] != '\0')
		append(report_detail, sizeof(report_detail), "%s%s (%s \"%s\")", lead, entry->id,
			   entry->kind, name);
	else
		append(report_detail, sizeof(report_detail), "%s%s \"%s\" (%s)", lead, entry->kind, name,
			   aep_fate_verdict(&entry->fate) == AEP_FATE_DONE ? "id unknown" : "outcome unknown");
}

/* Tells of all entries of this nesting level and deeper, and forgets them. */
static void
report_lost(int level, const char *what)
{
	dlist_mutable_iter iter;
	ErrorContextCallback *outer = error_context_stack;
	int count = 0;

	report_detail[0] = '\0';
	report_hint[0] = '\0';
	dlist_foreach_modify(iter, &entries)
	{
		AepPending *entry = dlist_container(AepPending, node, iter.cur);

		if (entry->level < level)
			continue;
		dlist_delete(&entry->node);
		if (aep_fate_verdict(&entry->fate) < AEP_FATE_OPEN)
			continue;
		if (entry->id[0] == '\0')
			log_unknown(entry);
		if (count++ >= MAX_REPORTED)
			continue;
		append_entry(entry);
		append_deletion(entry);
	}
	if (count == 0)
		return;
	if (count > MAX_REPORTED)
		append(report_detail, sizeof(report_detail), ", and %d more: see the server log",
			   count - MAX_REPORTED);
	/* the context that PL/pgSQL adds shows statements with their literals */
	error_context_stack = NULL;
	ereport(WARNING,
			(errmsg_plural("%d object in Experience Platform is not undone by %s",
						   "%d objects in Experience Platform are not undone by %s", count, count,
						   what),
			 errdetail_internal("%s.", report_detail),
			 report_hint[0] != '\0' ? errhint("%s", report_hint)
									: errhint("Look for it in Experience Platform by its name."),
			 errhidestmt(true), errhidecontext(true)));
	error_context_stack = outer;
}

/* Their memory goes with the transaction. */
static void
forget_all(void)
{
	dlist_init(&entries);
	slist_init(&servers);
}

static void
transaction_ended(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_ABORT:
			report_lost(0, "this rollback");
			forget_all();
			break;
		case XACT_EVENT_PRE_PREPARE:
			if (!dlist_is_empty(&entries))
				ereport(WARNING,
						(errmsg("objects created in Experience Platform are not part of the "
								"prepared transaction"),
						 errhint("They stay whether it is committed or rolled back.")));
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PREPARE:
			forget_all();
			break;
		default:
			break;
	}
}

static void
subtransaction_ended(SubXactEvent event, SubTransactionId subid, SubTransactionId parent, void *arg)
{
	int level = GetCurrentTransactionNestLevel();
	dlist_iter iter;

	if (event == SUBXACT_EVENT_ABORT_SUB)
		report_lost(level, "this rollback to a savepoint");
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
	{
		/* its entries are the newest, so they stand at the end */
		dlist_reverse_foreach(iter, &entries)
		{
			AepPending *entry = dlist_container(AepPending, node, iter.cur);

			if (entry->level < level)
				break;
			entry->level = level - 1;
		}
	}
}

static const PendingServer *
server_named(const char *name)
{
	PendingServer *server;
	slist_iter iter;

	slist_foreach(iter, &servers)
	{
		server = slist_container(PendingServer, node, iter.cur);
		if (strcmp(server->name, name) == 0)
			return server;
	}
	server = palloc(sizeof(PendingServer));
	server->name = pstrdup(name);
	server->literal = quote_literal_cstr(name);
	server->literal_ascii = aep_ascii(server->literal);
	slist_push_head(&servers, &server->node);
	return server;
}

AepPending *
aep_pending_register(const char *kind, const char *collection, const char *name, const char *server)
{
	static bool registered = false;
	AepPending *entry;
	const char *shown = aep_quotable(name);
	MemoryContext caller;

	if (!registered)
	{
		RegisterXactCallback(transaction_ended, NULL);
		RegisterSubXactCallback(subtransaction_ended, NULL);
		registered = true;
	}
	caller = MemoryContextSwitchTo(TopTransactionContext);
	entry = palloc0(sizeof(AepPending));
	entry->level = GetCurrentTransactionNestLevel();
	entry->kind = kind;
	entry->collection = pstrdup(collection);
	entry->name = pstrdup(shown);
	entry->name_ascii = aep_ascii(entry->name);
	entry->server = server_named(server);
	MemoryContextSwitchTo(caller);
	/* asked in good time: in an abort a conversion must not fail */
	entry->encoding = aep_client_takes(entry->name) && aep_client_takes(entry->server->name)
						  ? pg_get_client_encoding()
						  : -1;
	dlist_push_tail(&entries, &entry->node);
	return entry;
}

AepFate *
aep_pending_fate(AepPending *pending)
{
	return &pending->fate;
}

void
aep_pending_created(AepPending *pending, const char *id)
{
	if (id != NULL)
		strlcpy(pending->id, id, sizeof(pending->id));
	ereport(LOG_SERVER_ONLY,
			(errmsg_internal("created %s \"%s\" with id %s on server \"%s\"", pending->kind,
							 pending->name, id != NULL ? id : "unknown", pending->server->name),
			 errhidestmt(true), errhidecontext(true)));
	pending->logged = true;
}

void
aep_pending_unknown(AepPending *pending)
{
	aep_fate_doubt(&pending->fate);
	log_unknown(pending);
}

void
aep_pending_forget(AepPending *pending)
{
	dlist_delete(&pending->node);
	pfree(unconstify(char *, pending->collection));
	if (pending->name_ascii != pending->name)
		pfree(unconstify(char *, pending->name_ascii));
	pfree(unconstify(char *, pending->name));
	pfree(pending);
}
