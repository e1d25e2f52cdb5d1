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
#include "lib/ilist.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "pending.h"

/* As many are named in a warning; the server log has them all. */
#define MAX_REPORTED 20

/* A longer name is cut where it is shown. */
#define MAX_NAME_SHOWN 120

struct AepPending
{
	dlist_node node;
	int level;	 /* transaction nesting level it belongs to */
	bool sent;	 /* the request may have reached the service */
	bool logged; /* its end is in the server log already */
	char id[37]; /* "" while not known */
	const char *server;
	const char *quoted_server; /* as an SQL literal */
	const char *collection;
	char text[FLEXIBLE_ARRAY_MEMBER]; /* kind "name" */
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

static void
log_unknown(AepPending *entry)
{
	if (entry->logged)
		return;
	entry->logged = true;
	ereport(LOG, (errmsg_internal("outcome unknown: create %s on server \"%s\"", entry->text,
								  entry->server),
				  errhidestmt(true), errhidecontext(true)));
}

/* One entry of the hint: the deleting statement, joined with its neighbours'. */
static void
append_deletion(const AepPending *entry, const AepPending *previous)
{
	bool connections = strcmp(entry->collection, "connections") == 0;

	if (entry->id[0] == '\0')
		return;
	append(report_hint, sizeof(report_hint), "%s", previous != NULL ? " " : "To delete: ");
	if (connections)
		append(report_hint, sizeof(report_hint), "SELECT aep.delete_connection('%s', %s);",
			   entry->id, entry->quoted_server);
	else
		append(report_hint, sizeof(report_hint),
			   "SELECT status FROM aep.request('DELETE', '/flowservice/%s/%s', server => %s);",
			   entry->collection, entry->id, entry->quoted_server);
}

static void
append_entry(const AepPending *entry, int position)
{
	if (position > 0)
		append(report_detail, sizeof(report_detail), ", ");
	if (entry->id[0] != '\0')
		append(report_detail, sizeof(report_detail), "%s (%s)", entry->id, entry->text);
	else
		append(report_detail, sizeof(report_detail), "%s (outcome unknown)", entry->text);
}

/* Tells of all entries of this nesting level and deeper, and forgets them. */
static void
report_lost(int level, const char *what)
{
	dlist_mutable_iter iter;
	const AepPending *deleted = NULL;
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
	ereport(WARNING,
			(errmsg_plural("%d object in Experience Platform is not undone by %s",
						   "%d objects in Experience Platform are not undone by %s", count, count,
						   what),
			 errdetail_internal("%s.", report_detail),
			 report_hint[0] != '\0' ? errhint("%s", report_hint)
									: errhint("Look for it in Experience Platform by its name."),
			 errhidestmt(true), errhidecontext(true)));
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

AepPending *
aep_pending_register(const char *kind, const char *collection, const char *name, const char *server)
{
	static bool registered = false;
	AepPending *entry;
	int shown = pg_mbcliplen(name, (int) strlen(name), MAX_NAME_SHOWN);
	size_t size = strlen(kind) + shown + sizeof(" \"...\"");

	if (!registered)
	{
		RegisterXactCallback(transaction_ended, NULL);
		RegisterSubXactCallback(subtransaction_ended, NULL);
		registered = true;
	}
	entry = MemoryContextAllocZero(TopTransactionContext, offsetof(AepPending, text) + size);
	entry->level = GetCurrentTransactionNestLevel();
	entry->server = MemoryContextStrdup(TopTransactionContext, server);
	entry->quoted_server = MemoryContextStrdup(TopTransactionContext, quote_literal_cstr(server));
	entry->collection = MemoryContextStrdup(TopTransactionContext, collection);
	snprintf(entry->text, size, "%s \"%.*s%s\"", kind, shown, name,
			 name[shown] != '\0' ? "..." : "");
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
	ereport(LOG, (errmsg_internal("created %s with id %s on server \"%s\"", pending->text, id,
								  pending->server),
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
	pfree(unconstify(char *, pending->server));
	pfree(unconstify(char *, pending->quoted_server));
	pfree(unconstify(char *, pending->collection));
	pfree(pending);
}
