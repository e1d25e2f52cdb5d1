/*
 * flow_service.c
 *		The client of Adobe Experience Platform's Flow Service: paths, bodies
 *		out, answers in.  Text becomes UTF-8 here, and text of the database
 *		again.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "access_token.h"
#include "document.h"
#include "encoding.h"
#include "flow_service.h"
#include "option.h"

/* Below the gateway's /data/foundation. */
#define CONNECTIONS "/flowservice/connections"
#define FLOWS "/flowservice/flows"

/* The most rows that a page is documented to have. */
#define LARGEST_PAGE 100

/* The names of flows that an error shows. */
#define MAX_FLOWS_NAMED 10

static char *
connection_path(const char *id, const char *action)
{
	return psprintf(CONNECTIONS "/%s%s", id, action);
}

static void
connection_to_utf8(const AepBaseConnection *connection, AepBaseConnection *utf8)
{
	*utf8 = *connection;
	utf8->name = aep_to_utf8(connection->name, "argument \"name\"");
	utf8->description = aep_to_utf8(connection->description, "argument \"description\"");
	utf8->host = aep_to_utf8(connection->host, "argument \"host\"");
	utf8->database = aep_to_utf8(connection->database, "argument \"database\"");
	utf8->username = aep_to_utf8(connection->username, "argument \"username\"");
	utf8->password = aep_to_utf8(connection->password, "argument \"password\"");
}

void
aep_flow_check_access(const AepServer *server)
{
	aep_option_check_complete(server);
	(void) aep_access_token(server, aep_http_now() + server->limits.request_timeout);
}

AepCall *
aep_flow_create_begin(const AepServer *server, const AepBaseConnection *connection, bool in_batch)
{
	AepCall *call = aep_call_begin(server, "POST", CONNECTIONS, "create base connection");
	MemoryContext caller = MemoryContextSwitchTo(call->memory);
	AepBaseConnection utf8;

	connection_to_utf8(connection, &utf8);
	aep_secrets_add(&call->secrets, utf8.password);
	if (!aep_payload_base_connection(&utf8, &call->body))
		aep_call_out_of_memory();
	MemoryContextSwitchTo(caller);
	call->in_batch = in_batch;
	call->pending =
		aep_pending_register("base connection", "connections", connection->name, server->name);
	aep_call_start(call);
	return call;
}

bool
aep_flow_create_finish(AepCall *call, AepCreated *created, AepError *error)
{
	const AepBuffer *answer;
	AepReplyStatus status;

	if (!aep_call_succeeded(call, error))
		return false;

	/* something was created: its id is noted, or the answer is shown */
	answer = &call->exchange->body;
	status = aep_reply_created(answer->data, answer->len, created);
	if (created->id[0] != '\0')
		aep_pending_created(call->pending, created->id);
	else
		aep_pending_unknown(call->pending);
	if (status == AEP_REPLY_OK)
		return true;
	aep_error_not_understood(&call->context, call->exchange, aep_reply_status_text(status), error);
	return false;
}

void
aep_flow_create_connection(const AepServer *server, const AepBaseConnection *connection,
						   AepCreated *created)
{
	AepCall *call = aep_flow_create_begin(server, connection, false);
	AepError error;

	aep_call_wait(call);
	if (!aep_flow_create_finish(call, created, &error))
		aep_error_raise(&error);
	aep_call_end(call);
}

char *
aep_flow_connection_preview(const AepBaseConnection *connection)
{
	AepBaseConnection utf8;
	AepBuffer body = {0};
	char *copy;

	/* nothing secret in it, so a copy freed late does no harm */
	connection_to_utf8(connection, &utf8);
	utf8.password = AEP_MASK;
	if (!aep_payload_base_connection(&utf8, &body))
		aep_call_out_of_memory();
	copy = MemoryContextAllocExtended(CurrentMemoryContext, body.len + 1,
									  MCXT_ALLOC_NO_OOM | MCXT_ALLOC_HUGE);
	if (copy != NULL)
		memcpy(copy, body.data, body.len + 1);
	aep_buffer_free(&body);
	if (copy == NULL)
		aep_call_out_of_memory();
	return unconstify(char *, aep_from_utf8(copy));
}

/* Makes and sends the PATCH, and waits for its end. */
static AepCall *
send_update(const AepServer *server, const char *id, const char *etag,
			const AepConnectionChange *change)
{
	AepCall *call = aep_call_begin(server, "PATCH", connection_path(id, ""), "update connection");
	MemoryContext caller = MemoryContextSwitchTo(call->memory);
	AepConnectionChange utf8 = *change;

	utf8.name = aep_to_utf8(change->name, "argument \"name\"");
	utf8.description = aep_to_utf8(change->description, "argument \"description\"");
	utf8.state = aep_to_utf8(change->state, "argument \"state\"");
	if (change->has_auth)
	{
		connection_to_utf8(&change->auth, &utf8.auth);
		aep_secrets_add(&call->secrets, utf8.auth.password);
	}
	if (!aep_payload_connection_change(&utf8, &call->body))
		aep_call_out_of_memory();
	call->etag = etag;
	MemoryContextSwitchTo(caller);
	aep_call_wait(call);
	return call;
}

bool
aep_flow_try_update(const AepServer *server, const char *id, const char *etag,
					const AepConnectionChange *change, AepCreated *changed, AepError *error)
{
	AepCall *call = send_update(server, id, etag, change);
	const AepBuffer *answer = &call->exchange->body;
	AepReplyStatus status;

	if (!aep_call_succeeded(call, error))
	{
		aep_call_end(call);
		return false;
	}
	status = aep_reply_created(answer->data, answer->len, changed);
	if (status != AEP_REPLY_OK)
		aep_error_not_understood(&call->context, call->exchange, aep_reply_status_text(status),
								 error);
	aep_call_end(call);
	return status == AEP_REPLY_OK;
}

bool
aep_flow_outcome_unknown(const AepError *error)
{
	return error->sqlstate == ERRCODE_TRANSACTION_RESOLUTION_UNKNOWN ||
		   error->sqlstate == ERRCODE_PROTOCOL_VIOLATION ||
		   error->sqlstate == ERRCODE_PROGRAM_LIMIT_EXCEEDED ||
		   error->sqlstate == ERRCODE_OUT_OF_MEMORY;
}

void
aep_flow_update_connection(const AepServer *server, const char *id, const char *etag,
						   const AepConnectionChange *change, AepCreated *changed)
{
	AepError error;

	if (!aep_flow_try_update(server, id, etag, change, changed, &error))
		aep_error_raise(&error);
}

/*
 * The first flows that use a connection, for a detail.  NULL if they cannot be
 * told: the error at hand is worth more than one about that.
 */
static const char *
name_flows(const AepServer *server, const char *connection_id)
{
	const AepHttpParameter query = {
		.name = "property",
		.value = psprintf("inheritedAttributes.sourceConnections[].baseConnection.id==%s",
						  connection_id),
	};
	AepCall *call = aep_call_begin(server, "GET", FLOWS, "list flows");
	JsonbContainer *items;
	StringInfoData names;
	AepError ignored;
	const char *why;
	Jsonb *answer;

	call->query = &query;
	call->nquery = 1;
	aep_call_wait(call);
	if (!aep_call_succeeded(call, &ignored) ||
		(answer = aep_document_parse(&call->exchange->body, &why)) == NULL)
		return NULL;

	items = aep_document_member(&answer->root, "items");
	initStringInfo(&names);
	for (int i = 0; i < aep_document_length(items); i++)
	{
		Jsonb *flow = aep_document_element(items, i);
		const char *name = flow != NULL ? aep_document_text(&flow->root, "name") : NULL;
		const char *id = flow != NULL ? aep_document_text(&flow->root, "id") : NULL;

		if (i == MAX_FLOWS_NAMED)
		{
			appendStringInfoString(&names, ", and more");
			break;
		}
		appendStringInfo(&names, "%s\"%s\" (%s)", i > 0 ? ", " : "", name != NULL ? name : "",
						 id != NULL ? id : "no id");
	}
	aep_call_end(call);
	return names.len > 0 ? names.data : NULL;
}

void
aep_flow_delete_connection(const AepServer *server, const char *id)
{
	AepCall *call =
		aep_call_begin(server, "DELETE", connection_path(id, ""), "delete base connection");
	AepHttpExchange *exchange;
	AepError error;

	aep_call_wait(call);
	exchange = call->exchange;

	/* an attempt whose answer was lost has done it */
	if (exchange->outcome == AEP_HTTP_COMPLETE && exchange->status == 404 && exchange->maybe_done)
	{
		aep_call_end(call);
		return;
	}
	if (!aep_call_succeeded(call, &error))
	{
		if (error.sqlstate == ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST)
		{
			const char *flows = name_flows(server, id);

			if (flows != NULL)
				error.detail = psprintf("%s Used by the flows %s.", error.detail, flows);
		}
		aep_error_raise(&error);
	}
	aep_call_end(call);
}

/* Reads the answer of a call as JSON, in the current context; raises 08P01. */
static JsonbContainer *
read_document(AepCall *call)
{
	const char *why;
	Jsonb *document = aep_document_parse(&call->exchange->body, &why);

	if (document == NULL)
		aep_call_not_understood(call, why);
	return &document->root;
}

Jsonb *
aep_flow_connection(const AepServer *server, const char *id)
{
	AepCall *call = aep_call_begin(server, "GET", connection_path(id, ""), "read base connection");
	Jsonb *entity;

	aep_call_require_success(call);
	/* facts: one entity comes in the envelope of a list */
	entity = aep_document_element(aep_document_member(read_document(call), "items"), 0);
	if (entity == NULL)
		aep_call_not_understood(call, "holds no entity");
	aep_call_end(call);
	return entity;
}

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
	AepCall *call = aep_call_begin(server, "GET", CONNECTIONS, "count base connections");
	int64 count;
	bool is_null;

	call->query = query;
	call->nquery = filter_query(filter, query);
	query[call->nquery++] = (AepHttpParameter){.name = "count", .value = "true"};
	aep_call_require_success(call);
	count = aep_document_integer(read_document(call), "count", &is_null);
	if (is_null)
		aep_call_not_understood(call, "has no \"count\"");
	aep_call_end(call);
	return count;
}

bool
aep_flow_test_connection(const AepServer *server, const char *id, const char **reason)
{
	AepCall *call =
		aep_call_begin(server, "GET", connection_path(id, "/test"), "test base connection");
	AepHttpExchange *exchange;
	bool result;
	bool is_null;

	*reason = NULL;
	aep_call_wait(call);
	exchange = call->exchange;
	if (exchange->outcome == AEP_HTTP_COMPLETE && exchange->status / 100 == 4)
	{
		AepServiceError service;

		/* facts: the connectors, which do the connecting, have codes of their own */
		aep_reply_error(exchange->body.data, exchange->body.len, &call->secrets, &service);
		if (strncmp(service.code, "CONNECTOR-", strlen("CONNECTOR-")) == 0)
		{
			*reason = aep_from_utf8(psprintf("%s: %s", service.code, service.message));
			aep_call_end(call);
			return false;
		}
	}
	aep_call_require_success(call);
	result = aep_document_boolean(read_document(call), "result", &is_null);
	if (is_null)
		aep_call_not_understood(call, "has no \"result\"");
	aep_call_end(call);
	return result;
}

static JsonbContainer *
explore(const AepServer *server, const char *id, const AepHttpParameter *query, int nquery,
		bool (*is_right)(JsonbContainer *answer))
{
	AepCall *call =
		aep_call_begin(server, "GET", connection_path(id, "/explore"), "explore base connection");
	JsonbContainer *answer;

	call->query = query;
	call->nquery = nquery;
	aep_call_require_success(call);
	answer = read_document(call);
	if (!is_right(answer))
		aep_call_not_understood(call, "is not what exploring gives");
	aep_call_end(call);
	return answer;
}

static bool
is_table_list(JsonbContainer *answer)
{
	return JsonContainerIsArray(answer) && !JsonContainerIsScalar(answer);
}

static bool
is_table(JsonbContainer *answer)
{
	return aep_document_member(aep_document_member(answer, "schema"), "columns") != NULL;
}

JsonbContainer *
aep_flow_explore(const AepServer *server, const char *id)
{
	const AepHttpParameter query[] = {{.name = "objectType", .value = "root"}};

	return explore(server, id, query, lengthof(query), is_table_list);
}

JsonbContainer *
aep_flow_explore_table(const AepServer *server, const char *id, const char *path, bool preview)
{
	const AepHttpParameter query[] = {
		{.name = "objectType", .value = "table"},
		{.name = "object", .value = aep_to_utf8(path, "argument \"path\"")},
		{.name = "preview", .value = "true"}, /* last: only when asked for */
	};

	return explore(server, id, query, lengthof(query) - (preview ? 0 : 1), is_table);
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
	return begin_pages(server, CONNECTIONS, "list base connections", query, count);
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
	hash = hash_bytes_extended((const unsigned char *) token, (int) strlen(token), 0);
	hash_search(pages->seen, &hash, HASH_ENTER, &seen);
	if (seen)
		aep_call_not_understood(call, "leads to a page that was read before");

	parameter = &pages->query[pages->nquery];
	if (parameter->value != NULL)
		pfree(unconstify(char *, parameter->value));
	parameter->name = "continuationToken";
	parameter->value = MemoryContextStrdup(pages->memory, token);
	parameter->encoded = true;
}

JsonbContainer *
aep_flow_next_page(AepPages *pages)
{
	MemoryContext caller;
	AepCall *call;
	JsonbContainer *answer;
	JsonbContainer *items;

	if (pages->at_end)
		return NULL;
	MemoryContextReset(pages->page);
	caller = MemoryContextSwitchTo(pages->page);
	call = aep_call_begin(pages->server, "GET", pages->path, pages->action);
	call->query = pages->query;
	call->nquery = pages->nquery + (pages->query[pages->nquery].value != NULL ? 1 : 0);
	aep_call_require_success(call);
	answer = read_document(call);
	items = aep_document_member(answer, "items");
	if (items == NULL || !JsonContainerIsArray(items))
		aep_call_not_understood(call, "has no \"items\"");
	advance(pages, call, next_token(answer));
	aep_call_end(call);
	MemoryContextSwitchTo(caller);
	return items;
}

pg_noreturn static void several_of_name(const char *name, Jsonb *first, Jsonb *second);

static void
several_of_name(const char *name, Jsonb *first, Jsonb *second)
{
	ereport(ERROR,
			(errcode(ERRCODE_DUPLICATE_OBJECT),
			 errmsg("several base connections in Experience Platform are named \"%s\"", name),
			 errdetail("Among them are %s and %s.", aep_document_text(&first->root, "id"),
					   aep_document_text(&second->root, "id")),
			 errhint("Look at them with aep.connections(name => ...), and delete or rename all "
					 "but one.")));
	pg_unreachable();
}

Jsonb *
aep_flow_find_by_name(const AepServer *server, const char *name)
{
	const AepConnectionFilter filter = {
		.name = name,
		.connection_spec_id = AEP_POSTGRESQL_SPEC_ID,
	};
	AepPages *pages = aep_flow_list_connections(server, &filter, LARGEST_PAGE);
	Jsonb *found = NULL;
	JsonbContainer *items;

	while ((items = aep_flow_next_page(pages)) != NULL)
	{
		for (int i = 0; i < aep_document_length(items); i++)
		{
			Jsonb *entity = aep_document_element(items, i);
			char *entity_name = entity != NULL ? aep_document_text(&entity->root, "name") : NULL;

			if (entity_name == NULL || strcmp(entity_name, name) != 0)
				continue;
			if (found != NULL)
				several_of_name(name, found, entity);
			found = entity;
		}
	}
	aep_flow_end_pages(pages);
	return found;
}

const char *
aep_flow_etag(Jsonb *entity)
{
	const char *etag = aep_document_text(&entity->root, "etag");

	if (etag == NULL || !aep_reply_is_etag(etag))
		ereport(ERROR, (errcode(ERRCODE_PROTOCOL_VIOLATION),
						errmsg("the connection has no usable etag in Experience Platform")));
	return etag;
}

void
aep_flow_end_pages(AepPages *pages)
{
	MemoryContextDelete(pages->memory);
}
