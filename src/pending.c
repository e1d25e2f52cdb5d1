/*
 * pending.c
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
#include "catalog/namespace.h"
#include "common/string.h"
#include "lib/ilist.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "flow_call.h"
#include "pending.h"

/* As many are named in a warning; the server log has them all. */
#define MAX_REPORTED 20

/* A longer name is cut where it is shown. */
#define MAX_NAME_SHOWN 120

struct AepPending
{
	dlist_node node;
	int level;	  /* transaction nesting level it belongs to */
	bool sent;	  /* the request may have reached the service */
	bool logged;  /* its end is in the server log already */
	char id[37];  /* "" while not known */
	int encoding; /* of a client that can be sent the texts; -1: none is known */
	const char *collection;
	const char *text;		/* kind "name" */
	const char *text_ascii; /* for any client */
	const char *server;
	const char *server_literal; /* of SQL */
	const char *server_literal_ascii;
};

static dlist_head entries = DLIST_STATIC_INIT(entries);

/* The report of an abort; too large for the stack of a callback. */
static char report_detail[MAX_REPORTED * 256];
static char report_hint[MAX_REPORTED * 256];

/* Appends to a buffer of fixed size; what does not fit is left out. */
static void append(char *buffer, size_t size, const char *format, ...) pg_attribute_printf(3, 4);

static void
append(char *buffer, size_t size, const char *format, ...)
{
	size_t used = strlen(buffer);
	va_list args;

	va_start(args, format);
	vsnprintf(buffer + used, size - used, format, args);
	va_end(args);
}

/* LOG_SERVER_ONLY: what is sent to the client may fail, which an abort must not. */
static void
log_unknown(AepPending *entry)
{
	if (entry->logged)
		return;
	entry->logged = true;
	ereport(LOG_SERVER_ONLY, (errmsg_internal("outcome unknown: create %s on server \"%s\"",
											  entry->text, entry->server),
							  errhidestmt(true), errhidecontext(true)));
}

static bool
is_for_client(const AepPending *entry)
{
	return entry->encoding == pg_get_client_encoding();
}

/* One entry of the hint: the deleting statement, joined with its neighbours'. */
static void
append_deletion(const AepPending *entry, const AepPending *previous)
{
	bool connections = strcmp(entry->collection, AEP_CONNECTIONS_PATH) == 0;
	const char *server;

	if (entry->id[0] == '\0')
		return;
	server = is_for_client(entry) ? entry->server_literal : entry->server_literal_ascii;
	append(report_hint, sizeof(report_hint), "%s", previous != NULL ? " " : "To delete: ");
	if (connections)
		append(report_hint, sizeof(report_hint), "SELECT aep.delete_connection('%s', %s);",
			   entry->id, server);
	else
		append(report_hint, sizeof(report_hint),
			   "SELECT status FROM aep.request('DELETE', '%s/%s', server => %s);",
			   entry->collection, entry->id, server);
}

static void
append_entry(const AepPending *entry, int position)
{
	const char *text = is_for_client(entry) ? entry->text : entry->text_ascii;

	if (position > 0)
		append(report_detail, sizeof(report_detail), ", ");
	if (entry->id[0] != '\0')
		append(report_detail, sizeof(report_detail), "%s (%s)", entry->id, text);
	else
		append(report_detail, sizeof(report_detail), "%s (outcome unknown)", text);
}

/* Tells of all entries of this nesting level and deeper, and forgets them. */
static void
report_lost(int level, const char *what)
{
	dlist_mutable_iter iter;
	const AepPending *deleted = NULL;
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
		if (!entry->sent)
			continue;
		if (entry->id[0] == '\0')
			log_unknown(entry);
		if (count++ >= MAX_REPORTED)
			continue;
		append_entry(entry, count - 1);
		append_deletion(entry, deleted);
		if (entry->id[0] != '\0')
			deleted = entry;
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

static void
transaction_ended(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_ABORT:
			report_lost(0, "this rollback");
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
			dlist_init(&entries); /* their memory goes with the transaction */
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

/*
 * Can the client be sent this text?  Asked in good time, since a conversion
 * that fails raises an error, and in an abort that must not happen.
 */
static bool
can_be_sent(const char *text)
{
	int client = pg_get_client_encoding();
	int server = GetDatabaseEncoding();
	int len = (int) strlen(text);
	int converted;
	unsigned char *scratch;
	Oid proc;

	if (pg_is_ascii(text) || client == server || client == PG_SQL_ASCII)
		return true;
	if (server == PG_SQL_ASCII)
		return pg_verify_mbstr(client, text, len, true);
	proc = FindDefaultConversionProc(server, client);
	if (!OidIsValid(proc))
		return false;
	scratch = palloc(len * MAX_CONVERSION_GROWTH + 1);
	converted = pg_do_encoding_conversion_buf(
		proc, server, client, unconstify(unsigned char *, (const unsigned char *) text), len,
		scratch, len * MAX_CONVERSION_GROWTH + 1, true);
	pfree(scratch);
	return converted == len;
}

/* A copy for the life of the transaction, with a question mark for what is not ASCII. */
static const char *
ascii_copy(const char *text)
{
	char *copy = MemoryContextStrdup(TopTransactionContext, text);

	for (char *c = copy; *c != '\0'; c++)
	{
		if (IS_HIGHBIT_SET(*c))
			*c = '?';
	}
	return copy;
}

AepPending *
aep_pending_register(const char *kind, const char *collection, const char *name, const char *server)
{
	static bool registered = false;
	AepPending *entry;
	int encoding = GetDatabaseEncoding() == PG_SQL_ASCII ? PG_UTF8 : GetDatabaseEncoding();
	int shown = pg_encoding_mbcliplen(encoding, name, (int) strlen(name), MAX_NAME_SHOWN);
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
	entry->collection = pstrdup(collection);
	entry->text = psprintf("%s \"%.*s%s\"", kind, shown, name, name[shown] != '\0' ? "..." : "");
	entry->text_ascii = ascii_copy(entry->text);
	entry->server = pstrdup(server);
	entry->server_literal = quote_literal_cstr(server);
	entry->server_literal_ascii = ascii_copy(entry->server_literal);
	MemoryContextSwitchTo(caller);
	entry->encoding =
		can_be_sent(entry->text) && can_be_sent(entry->server) ? pg_get_client_encoding() : -1;
	dlist_push_tail(&entries, &entry->node);
	return entry;
}

bool *
aep_pending_sent(AepPending *pending)
{
	return &pending->sent;
}

void
aep_pending_created(AepPending *pending, const char *id)
{
	pending->sent = true;
	if (id == NULL)
		return;
	strlcpy(pending->id, id, sizeof(pending->id));
	ereport(LOG_SERVER_ONLY, (errmsg_internal("created %s with id %s on server \"%s\"",
											  pending->text, id, pending->server),
							  errhidestmt(true), errhidecontext(true)));
	pending->logged = true;
}

void
aep_pending_unknown(AepPending *pending)
{
	pending->sent = true;
	log_unknown(pending);
}

void
aep_pending_forget(AepPending *pending)
{
	dlist_delete(&pending->node);
	pfree(unconstify(char *, pending->collection));
	pfree(unconstify(char *, pending->text));
	pfree(unconstify(char *, pending->text_ascii));
	pfree(unconstify(char *, pending->server));
	pfree(unconstify(char *, pending->server_literal));
	pfree(unconstify(char *, pending->server_literal_ascii));
	pfree(pending);
}
