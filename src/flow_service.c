/*
 * flow_service.c
 *		The client of Adobe Experience Platform's Flow Service: paths, headers,
 *		bodies out, answers in.  Text becomes UTF-8 here, and text of the
 *		database again.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/memutils.h"

#include "access_token.h"
#include "connection_string.h"
#include "encoding.h"
#include "error.h"
#include "flow_service.h"
#include "http.h"
#include "option.h"
#include "pending.h"

#define FLOW_SERVICE_PATH "/data/foundation/flowservice"

/*
 * A call on its way: the request, and what its errors need to know.  All its
 * memory is in a context that ends with the call, wiping what was secret.
 */
typedef struct FlowCall
{
	const AepServer *server;
	AepErrorContext context;
	AepSecrets secrets;
	AepBuffer body;		 /* of the request */
	int64 deadline;		 /* aep_http_now() time by which all of it must end */
	AepPending *pending; /* what it creates; NULL: nothing */
	AepHttpExchange *exchange;
	MemoryContext memory;
	MemoryContext caller;
	MemoryContextCallback release;
} FlowCall;

static void
release_call(void *arg)
{
	aep_buffer_free(&((FlowCall *) arg)->body);
}

/* "action" completes "could not ..." */
static FlowCall *
begin_call(const AepServer *server, const char *method, const char *action)
{
	MemoryContext memory =
		AllocSetContextCreate(CurrentMemoryContext, "aep call", ALLOCSET_SMALL_SIZES);
	FlowCall *call = MemoryContextAllocZero(memory, sizeof(FlowCall));

	call->server = server;
	call->deadline = aep_http_now() + server->limits.request_timeout;
	call->context.action = action;
	call->context.method = method;
	call->context.server = server->name;
	call->context.secrets = &call->secrets;
	call->memory = memory;
	call->release.func = release_call;
	call->release.arg = call;
	MemoryContextRegisterResetCallback(memory, &call->release);
	call->caller = MemoryContextSwitchTo(memory);
	return call;
}

static void
end_call(FlowCall *call)
{
	MemoryContextSwitchTo(call->caller);
	MemoryContextDelete(call->memory);
}

static void
out_of_memory(void)
{
	ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"),
					errdetail("Could not build the request body.")));
}

/* base_url may end in a slash */
static char *
flow_url(const AepServer *server, const char *path)
{
	int len = (int) strlen(server->base_url);

	while (len > 0 && server->base_url[len - 1] == '/')
		len--;
	return psprintf("%.*s%s%s", len, server->base_url, FLOW_SERVICE_PATH, path);
}

/* Sends the request once more or for the first time, and waits for its end. */
static void
exchange_call(FlowCall *call, const char *path)
{
	const AepServer *server = call->server;
	const char *token = aep_access_token(server, call->deadline);
	char *authorization = psprintf("Bearer %s", token);
	const AepHttpHeader headers[] = {
		{"Authorization", authorization},
		{"x-api-key", server->api_key},
		{"x-gw-ims-org-id", server->org_id},
		{"x-sandbox-name", server->sandbox},
		{"Accept", "application/json"},
		{"Content-Type", "application/json"}, /* last: only with a body */
	};
	bool creates = strcmp(call->context.method, "POST") == 0;
	AepHttpRequest request = {
		.method = call->context.method,
		.url = flow_url(server, path),
		.headers = headers,
		.nheaders = lengthof(headers) - (call->body.len == 0 ? 1 : 0),
		.body = call->body.data,
		.body_len = call->body.len,
		.limits = &server->limits,
		.repeat = creates ? AEP_HTTP_REPEAT_UNPROCESSED : AEP_HTTP_REPEAT_HARMLESS,
		.deadline = call->deadline,
		.sent = call->pending != NULL ? aep_pending_sent(call->pending) : NULL,
	};

	aep_secrets_add(&call->secrets, token);
	call->exchange = aep_http_start(&request);
	explicit_bzero(authorization, strlen(authorization));
	aep_http_wait(call->exchange);
}

/*
 * The service did not take the token, and so did nothing.  Facts: the gateway
 * says 401, Flow Service 400 with a code of its own.
 */
static bool
token_refused(FlowCall *call)
{
	AepHttpExchange *exchange = call->exchange;
	AepServiceError service;

	if (exchange->outcome != AEP_HTTP_COMPLETE)
		return false;
	if (exchange->status != 400)
		return exchange->status == 401;
	aep_reply_error(exchange->body.data, exchange->body.len, NULL, &service);
	return strncmp(service.code, "FLOW-2114", 9) == 0 || strncmp(service.code, "FLOW-2115", 9) == 0;
}

/* Sends the request, with call->body if there is one, and waits for its end. */
static void
send_call(FlowCall *call, const char *path)
{
	int secrets;

	aep_secrets_add(&call->secrets, call->server->api_key);
	secrets = call->secrets.count;
	exchange_call(call, path);
	if (token_refused(call) && aep_access_token_refused(call->server))
	{
		call->secrets.count = secrets; /* the refused token is gone */
		aep_http_end(call->exchange);
		exchange_call(call, path);
	}
}

/* Tells what the answer means for the object that was to be created. */
static void
settle_pending(FlowCall *call, const AepError *error)
{
	if (call->pending == NULL)
		return;
	if (error->sqlstate == ERRCODE_TRANSACTION_RESOLUTION_UNKNOWN ||
		error->sqlstate == ERRCODE_PROGRAM_LIMIT_EXCEEDED ||
		error->sqlstate == ERRCODE_OUT_OF_MEMORY)
		aep_pending_unknown(call->pending);
	else
		aep_pending_forget(call->pending);
}

/* Raises the error unless the answer is a complete 2xx. */
static void
require_success(FlowCall *call)
{
	AepHttpExchange *exchange = call->exchange;
	AepError error;

	if (exchange->outcome == AEP_HTTP_COMPLETE && exchange->status / 100 == 2)
		return;
	aep_error_from_exchange(&call->context, exchange, &error);
	settle_pending(call, &error);
	aep_error_raise(&error);
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

/* Reads {id, etag}; an object was created, so what is not understood is shown. */
static void
read_created(FlowCall *call, AepCreated *created)
{
	const AepBuffer *answer = &call->exchange->body;
	AepReplyStatus status = aep_reply_created(answer->data, answer->len, created);
	AepError error;

	aep_pending_created(call->pending, created->id[0] != '\0' ? created->id : NULL);
	if (status == AEP_REPLY_OK)
		return;
	aep_error_not_understood(&call->context, call->exchange, aep_reply_status_text(status), &error);
	aep_error_raise(&error);
}

void
aep_flow_create_connection(const AepServer *server, const AepBaseConnection *connection,
						   AepCreated *created)
{
	FlowCall *call;
	AepBaseConnection utf8;

	aep_option_check_complete(server);
	call = begin_call(server, "POST", "create base connection");
	connection_to_utf8(connection, &utf8);
	aep_secrets_add(&call->secrets, utf8.password);
	if (!aep_payload_base_connection(&utf8, &call->body))
		out_of_memory();
	call->pending =
		aep_pending_register("base connection", "connections", connection->name, server->name);
	send_call(call, "/connections");
	require_success(call);
	read_created(call, created);
	end_call(call);
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
		out_of_memory();
	copy = MemoryContextAllocExtended(CurrentMemoryContext, body.len + 1,
									  MCXT_ALLOC_NO_OOM | MCXT_ALLOC_HUGE);
	if (copy != NULL)
		memcpy(copy, body.data, body.len + 1);
	aep_buffer_free(&body);
	if (copy == NULL)
		out_of_memory();
	return unconstify(char *, aep_from_utf8(copy));
}
