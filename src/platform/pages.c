/*
 * platform/pages.c
 *		Lists of base connections, read page by page.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "database/encoding.h"
#include "json/payload.h"
#include "platform/call.h"
#include "platform/document.h"
#include "platform/pages.h"

/* Of continuation tokens; those that are known have some hundred bytes. */
#define LONGEST_TOKEN (64 * 1024)

/* The filter expressions of a list; at most MAX_FILTERS. */
#define MAX_FILTERS 3

static void
add_filter(AepHttpParameter *query, int *count, const char *field, const char *value,
		   const char *what)
{
	if (value == NULL)
		return;
	/* quoted, since a comma would separate alternatives */
	query[(*count)++] = (AepHttpParameter){
		.name = "property",
		.value = psprintf("%s==\"%s\"", field, aep_to_utf8(value, what)),
	};
}

static int
filter_query(const AepConnectionFilter *filter, AepHttpParameter *query)
{
	int count = 0;

	/* how a quote within quotes is written is not documented: left to the caller */
	if (filter->name != NULL && strchr(filter->name, '"') == NULL)
		add_filter(query, &count, "name", filter->name, "argument \"name\"");
	add_filter(query, &count, "state", filter->state, "argument \"state\"");
	add_filter(query, &count, "connectionSpec.id", filter->connection_spec_id,
			   "argument \"connection_spec_id\"");
	return count;
}

int64
aep_flow_count_connections(const AepServer *server, const AepConnectionFilter *filter)
{
	AepHttpParameter query[MAX_FILTERS + 1];
	AepCall *call = aep_call_begin(server, "GET", AEP_CONNECTIONS_PATH, "count base connections");
	int64 count;
	bool is_null;

	call->query = query;
	call->nquery = filter_query(filter, query);
	query[call->nquery++] = (AepHttpParameter){.name = "count", .value = "true"};
	aep_call_require_success(call);
	count = aep_document_integer(aep_call_document(call, NULL), "count", &is_null);
	if (is_null)
		aep_call_not_understood(call, "has no \"count\"");
	aep_call_end(call);
	return count;
}

/* A list that is being read. */
struct AepPages
{
	const AepServer *server;
	const char *path;
	const char *action;
	AepHttpParameter *query; /* room for one more: the continuation token */
	int nquery;
	bool at_end;
	HTAB *seen;			  /* hashes of the tokens so far */
	MemoryContext memory; /* all of it */
	MemoryContext page;	  /* this page */
};

static AepPages *
begin_pages(const AepServer *server, const char *path, const char *action,
			const AepHttpParameter *query, int nquery)
{
	MemoryContext memory =
		AllocSetContextCreate(CurrentMemoryContext, "aep pages", ALLOCSET_SMALL_SIZES);
	HASHCTL control = {.keysize = sizeof(uint64), .entrysize = sizeof(uint64), .hcxt = memory};
	AepPages *pages = MemoryContextAllocZero(memory, sizeof(AepPages));

	pages->server = server;
	pages->path = path;
	pages->action = action;
	pages->query = MemoryContextAllocZero(memory, (nquery + 1) * sizeof(AepHttpParameter));
	for (int i = 0; i < nquery; i++)
	{
		pages->query[i] = query[i];
		pages->query[i].value = MemoryContextStrdup(memory, query[i].value);
	}
	pages->nquery = nquery;
	pages->memory = memory;
	pages->page = AllocSetContextCreate(memory, "aep page", ALLOCSET_DEFAULT_SIZES);
	pages->seen =
		hash_create("aep continuation tokens", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	return pages;
}

AepPages *
aep_flow_list_connections(const AepServer *server, const AepConnectionFilter *filter, int page_size)
{
	AepHttpParameter query[MAX_FILTERS + 2];
	int count = filter_query(filter, query);

	query[count++] = (AepHttpParameter){.name = "orderby", .value = "name"};
	query[count++] = (AepHttpParameter){.name = "limit", .value = psprintf("%d", page_size)};
	return begin_pages(server, AEP_CONNECTIONS_PATH, "list base connections", query, count);
}

/*
 * The continuation token in the link to the next page, as it stands there,
 * percent-encoded; it may hold '='.  NULL: there is no next page.
 */
static char *
next_token(JsonbContainer *answer)
{
	static const char parameter[] = "continuationToken=";
	JsonbContainer *links = aep_document_member(answer, "_links");
	char *href = aep_document_text(aep_document_member(links, "next"), "href");
	char *token;

	if (href == NULL)
		return NULL;
	token = strstr(href, parameter);
	if (token == NULL)
		return pstrdup("");
	token += strlen(parameter);
	token[strcspn(token, "&#")] = '\0';
	return token;
}

/* Makes the next page the one behind this token. */
static void
advance(AepPages *pages, AepCall *call, char *token)
{
	uint64 hash;
	bool seen;
	AepHttpParameter *parameter;

	if (token == NULL)
	{
		pages->at_end = true;
		return;
	}
	if (token[0] == '\0')
		aep_call_not_understood(call, "leads to a next page without a continuation token");
	if (strlen(token) > LONGEST_TOKEN)
		aep_call_not_understood(call, "leads to a next page with a token of more than 64 kB");
	hash = hash_bytes_extended((const unsigned char *) token, (int) strlen(token), 0);
	hash_search(pages->seen, &hash, HASH_ENTER, &seen);
	if (seen)
		aep_call_not_understood(call, "leads to a page that was read before");

	parameter = &pages->query[pages->nquery];
	if (parameter->value != NULL)
		pfree(unconstify(char *, parameter->value));
	parameter->name = "continuationToken";
	parameter->value =
		MemoryContextStrdup(pages->memory, aep_to_utf8(token, "the continuation token"));
	parameter->encoded = true;
}

bool
aep_flow_next_page(AepPages *pages, AepTakeElement take, void *arg)
{
	static const char *const path[] = {"items", NULL};
	const AepList list = {.path = path, .take = take, .arg = arg};
	MemoryContext caller;
	AepCall *call;
	JsonbContainer *answer;
	JsonbContainer *items;

	if (pages->at_end)
		return false;
	MemoryContextReset(pages->page);
	caller = MemoryContextSwitchTo(pages->page);
	call = aep_call_begin(pages->server, "GET", pages->path, pages->action);
	call->query = pages->query;
	call->nquery = pages->nquery + (pages->query[pages->nquery].value != NULL ? 1 : 0);
	aep_call_require_success(call);
	answer = aep_call_document(call, &list);
	items = aep_document_member(answer, "items");
	if (items == NULL || !JsonContainerIsArray(items))
		aep_call_not_understood(call, "has no \"items\"");
	advance(pages, call, next_token(answer));
	aep_call_end(call);
	MemoryContextSwitchTo(caller);
	return true;
}

/* As many ids are named when several connections have a name. */
#define MAX_NAMESAKES 20

pg_noreturn static void several_of_name(const char *name, const char *ids);

static void
several_of_name(const char *name, const char *ids)
{
	ereport(ERROR,
			(errcode(ERRCODE_DUPLICATE_OBJECT),
			 errmsg("several base connections in Experience Platform are named \"%s\"",
					aep_quotable(name)),
			 errdetail("They are %s.", ids),
			 errhint("Look at them with aep.connections(name => ...), and delete or rename all "
					 "but one.")));
	pg_unreachable();
}

/* Looks for the connections of a name. */
typedef struct NameSearch
{
	const char *name;
	Jsonb *found; /* the last one */
	int count;
	StringInfoData ids;
	MemoryContext memory; /* of what was found */
} NameSearch;

static void
look_at_connection(Jsonb *entity, void *arg)
{
	NameSearch *search = arg;
	const char *name = entity != NULL ? aep_document_text(&entity->root, "name") : NULL;

	/* a name that the service cannot filter by makes this a list of all */
	if (name == NULL || strcmp(name, search->name) != 0)
		return;
	if (search->count++ < MAX_NAMESAKES)
		appendStringInfo(&search->ids, "%s%s", search->found != NULL ? ", " : "",
						 aep_document_id(&entity->root));
	if (search->found != NULL)
		pfree(search->found);
	search->found = MemoryContextAlloc(search->memory, VARSIZE(entity));
	memcpy(search->found, entity, VARSIZE(entity));
}

Jsonb *
aep_flow_find_by_name(const AepServer *server, const char *name)
{
	const AepConnectionFilter filter = {
		.name = name,
		.connection_spec_id = AEP_POSTGRESQL_SPEC_ID,
	};
	NameSearch search = {.name = name, .memory = CurrentMemoryContext};
	AepPages *pages = aep_flow_list_connections(server, &filter, AEP_LARGEST_PAGE);

	initStringInfo(&search.ids);
	while (aep_flow_next_page(pages, look_at_connection, &search))
		;
	aep_flow_end_pages(pages);
	if (search.count > MAX_NAMESAKES)
		appendStringInfo(&search.ids, ", and %d more", search.count - MAX_NAMESAKES);
	if (search.count > 1)
		several_of_name(name, search.ids.data);
	return search.found;
}

void
aep_flow_end_pages(AepPages *pages)
{
	MemoryContextDelete(pages->memory);
}
