/*
 * platform/call.c
 *		One call of Experience Platform's gateway.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "database/encoding.h"
#include "database/option.h"
#include "json/reply.h"
#include "database/value.h"
#include "platform/access_token.h"
#include "platform/call.h"
#include "platform/document.h"

/* Of the text of a UUID. */
#define UUID_LENGTH 36

/* Ours, and If-Match. */
#define MAX_OWN_HEADERS 7

#define TOKEN_SCHEME "Bearer "

static void
release_call(void *arg)
{
	AepCall *call = arg;

	if (call->fetch != NULL)
		aep_token_fetch_leave(call->fetch);
	aep_buffer_free(&call->body);
	aep_buffer_free(&call->token);
	for (int i = 0; i < call->nwiped; i++)
		explicit_bzero(call->wiped[i], strlen(call->wiped[i]));
}

AepCall *
aep_call_begin(const AepServer *server, const char *method, const char *path, const char *action)
{
	MemoryContext memory;
	AepCall *call;

	aep_option_check_complete(server);
	memory = AllocSetContextCreate(CurrentMemoryContext, "aep call", ALLOCSET_SMALL_SIZES);
	call = MemoryContextAllocZero(memory, sizeof(AepCall));
	call->server = server;
	call->path = path;
	call->context.action = action;
	call->context.method = method;
	call->context.server = server->name;
	call->context.secrets = &call->secrets;
	if (server->access_token != NULL)
		call->context.token =
			server->client_secret != NULL ? AEP_TOKEN_BEFORE_SECRET : AEP_TOKEN_OWN;
	call->memory = memory;
	call->release.func = release_call;
	call->release.arg = call;
	MemoryContextRegisterResetCallback(memory, &call->release);
	/* whatever the call sends, the answer may hold any of them */
	aep_secrets_add(&call->secrets, server->api_key);
	if (aep_can_be_utf8(server->client_secret))
		(void) aep_call_secret(call, server->client_secret, "option \"client_secret\"");
	if (aep_can_be_utf8(server->password))
		(void) aep_call_secret(call, server->password, "option \"password\"");
	return call;
}

const char *
aep_call_secret(AepCall *call, const char *secret, const char *what)
{
	MemoryContext caller = MemoryContextSwitchTo(call->memory);
	const char *utf8 = aep_to_utf8(secret, what);

	MemoryContextSwitchTo(caller);
	if (utf8 != secret && call->nwiped < AEP_MAX_SECRETS)
		call->wiped[call->nwiped++] = unconstify(char *, utf8);
	aep_secrets_add(&call->secrets, utf8);
	return utf8;
}

/* Whether the caller brings a header of its own. */
static bool
brings_header(const AepCall *call, const char *name)
{
	for (int i = 0; i < call->nheaders; i++)
	{
		if (pg_strcasecmp(call->headers[i].name, name) == 0)
			return true;
	}
	return false;
}

/* The headers of the request; authorization is the first one's value. */
static int
collect_headers(const AepCall *call, const char *authorization, AepHttpHeader *headers)
{
	const AepServer *server = call->server;
	int count = 0;

	headers[count++] = (AepHttpHeader){"Authorization", authorization};
	headers[count++] = (AepHttpHeader){"x-api-key", server->api_key};
	headers[count++] = (AepHttpHeader){"x-gw-ims-org-id", server->org_id};
	headers[count++] = (AepHttpHeader){"x-sandbox-name", server->sandbox};
	if (!brings_header(call, "Accept"))
		headers[count++] = (AepHttpHeader){"Accept", "application/json"};
	if (call->body.len > 0 && !brings_header(call, "Content-Type"))
		headers[count++] = (AepHttpHeader){"Content-Type", "application/json"};
	if (call->etag != NULL)
		headers[count++] = (AepHttpHeader){"If-Match", call->etag};
	for (int i = 0; i < call->nheaders; i++)
		headers[count++] = call->headers[i];
	return count;
}

/*
 * A POST may create something, and a PATCH that is for any version changes what
 * it meets: neither is sent again once it may have been carried out.
 */
static AepHttpRepeat
repeat_rule(const AepCall *call)
{
	const char *method = call->context.method;

	if (strcmp(method, "GET") == 0 || strcmp(method, "DELETE") == 0 ||
		(strcmp(method, "PATCH") == 0 && call->etag != NULL && strcmp(call->etag, "*") != 0))
		return AEP_HTTP_REPEAT_HARMLESS;
	return AEP_HTTP_REPEAT_UNPROCESSED;
}

/* Of all attempts so far, with whatever token. */
static AepFate *
fate_of(AepCall *call)
{
	return call->pending != NULL ? aep_pending_fate(call->pending) : &call->own_fate;
}

/* With the token at hand, which is the call's own: another call may renew the kept one. */
static void
send_request(AepCall *call)
{
	const AepServer *server = call->server;
	AepHttpHeader *headers = palloc((MAX_OWN_HEADERS + call->nheaders) * sizeof(AepHttpHeader));
	AepHttpRequest request = {
		.method = call->context.method,
		.url = aep_http_url(server->base_url, AEP_FOUNDATION_PATH, call->path, call->query,
							call->nquery),
		.headers = headers,
		.nheaders = collect_headers(call, call->token.data, headers),
		.body = call->body.len > 0 ? call->body.data : NULL,
		.body_len = call->body.len,
		.limits = &server->limits,
		.repeat = repeat_rule(call),
		.deadline = call->deadline,
		.fate = fate_of(call),
		.in_batch = call->in_batch,
	};

	call->nsecrets = call->secrets.count;
	aep_secrets_add(&call->secrets, call->token.data + strlen(TOKEN_SCHEME));
	call->exchange = aep_http_start(&request);
}

/* Takes the token, or else waits for one that is to come by "deadline". */
static void
ask_for_token(AepCall *call, int64 deadline)
{
	aep_buffer_free(&call->token);
	if (!aep_buffer_append(&call->token, TOKEN_SCHEME, strlen(TOKEN_SCHEME)))
		aep_call_out_of_memory();
	call->fetch = aep_access_token_ask(call->server, deadline, &call->token);
}

/* Whether it waits for a token longer than it may. */
static bool
is_late(const AepCall *call)
{
	return aep_token_fetch_deadline(call->fetch) > call->deadline &&
		   call->deadline <= aep_http_now();
}

/* The end of the wait for a token; no_token: there is none. */
static void
take_token(AepCall *call)
{
	if (!aep_token_fetch_is_over(call->fetch))
	{
		call->late = call->no_token = true;
		aep_access_token_late(call->server, &call->token_error);
	}
	else if (!aep_token_fetch_result(call->fetch, &call->token, &call->token_error))
		call->no_token = true;
	aep_token_fetch_leave(call->fetch);
	call->fetch = NULL;
}

static void
begin_deadline(AepCall *call)
{
	if (call->deadline == 0)
		call->deadline = aep_http_now() + call->server->limits.request_timeout;
}

void
aep_call_start(AepCall *call)
{
	MemoryContext caller = MemoryContextSwitchTo(call->memory);

	begin_deadline(call);
	ask_for_token(call, call->deadline);
	if (call->fetch == NULL)
		send_request(call);
	MemoryContextSwitchTo(caller);
}

void
aep_call_refuse(AepCall *call, const AepError *token_error)
{
	call->no_token = true;
	call->token_error = *token_error;
}

/*
 * With another token.  Its fetch has a time of its own: others may need the
 * token that have more left than this call.
 */
static void
start_again(AepCall *call)
{
	call->renewed = true;
	call->secrets.count = call->nsecrets; /* the refused token is gone */
	aep_http_end(call->exchange);
	call->exchange = NULL;
	ask_for_token(call, aep_http_now() + call->server->limits.request_timeout);
	if (call->fetch == NULL)
		send_request(call);
}

bool
aep_call_stirs(const AepCall *call)
{
	if (call->no_token)
		return true;
	if (call->fetch != NULL)
		return aep_token_fetch_is_over(call->fetch) || is_late(call);
	return call->exchange->outcome != AEP_HTTP_PENDING;
}

/* What has stirred moves on. */
static void
advance(AepCall *call)
{
	MemoryContext caller = MemoryContextSwitchTo(call->memory);

	if (call->fetch != NULL)
	{
		take_token(call);
		if (!call->no_token)
			send_request(call);
	}
	else if (aep_error_token_refused(call->exchange) &&
			 aep_access_token_refused(call->server, call->secrets.text[call->nsecrets]) &&
			 !call->renewed)
		start_again(call);
	MemoryContextSwitchTo(caller);
}

bool
aep_call_is_over(AepCall *call)
{
	if (!aep_call_stirs(call))
		return false;
	if (!call->no_token)
		advance(call);
	return call->no_token || (call->fetch == NULL && call->exchange->outcome != AEP_HTTP_PENDING);
}

int64
aep_call_patience(const AepCall *call)
{
	if (call->fetch == NULL || aep_token_fetch_deadline(call->fetch) <= call->deadline)
		return -1;
	return Max(call->deadline - aep_http_now(), 0);
}

void
aep_call_wait(AepCall *call)
{
	if (call->deadline == 0)
		aep_call_start(call);
	while (!aep_call_is_over(call))
		(void) aep_http_step((long) aep_call_patience(call));
}

void
aep_call_require_token(const AepServer *server)
{
	AepCall *call = aep_call_begin(server, "GET", "/", "fetch an access token");
	MemoryContext caller = MemoryContextSwitchTo(call->memory);

	begin_deadline(call);
	ask_for_token(call, call->deadline);
	while (call->fetch != NULL && !aep_token_fetch_is_over(call->fetch))
		(void) aep_http_step(-1);
	if (call->fetch != NULL)
		take_token(call);
	if (call->no_token)
		aep_error_raise(&call->token_error);
	MemoryContextSwitchTo(caller);
	aep_call_end(call);
}

AepHttpExchange *
aep_call_answer(const AepCall *call)
{
	bool complete = call->exchange != NULL && call->exchange->outcome == AEP_HTTP_COMPLETE;

	return complete ? call->exchange : NULL;
}

bool
aep_call_location_id(const AepCall *call, char *id)
{
	const char *location = aep_http_header(call->exchange, "Location");
	size_t path = strlen(call->path);
	size_t len;
	char text[UUID_LENGTH + 1];

	if (location == NULL)
		return false;
	len = strcspn(location, "?#");
	while (len > 0 && location[len - 1] == '/')
		len--;
	while (path > 0 && call->path[path - 1] == '/')
		path--;
	if (len < path + 1 + UUID_LENGTH)
		return false;
	location += len - UUID_LENGTH;
	strlcpy(text, location, sizeof(text));
	return aep_reply_read_uuid(text, id) && location[-1] == '/' &&
		   strncmp(location - 1 - path, call->path, path) == 0;
}

/* Tells what the failure means for the object that was to be created. */
static void
settle_pending(AepCall *call, const AepError *error)
{
	if (call->pending == NULL)
		return;
	if (error->fate >= AEP_FATE_OPEN)
		aep_pending_unknown(call->pending);
	else
		aep_pending_forget(call->pending);
	call->pending = NULL;
}

bool
aep_call_succeeded(AepCall *call, AepError *error)
{
	const AepHttpExchange *answer = aep_call_answer(call);

	if (answer != NULL && answer->status / 100 == 2)
		return true;
	if (call->no_token)
		aep_error_without_token(&call->context, &call->token_error, fate_of(call), error);
	else
		aep_error_from_exchange(&call->context, call->exchange, error);
	settle_pending(call, error);
	return false;
}

void
aep_call_require_success(AepCall *call)
{
	AepError error;

	aep_call_wait(call);
	if (!aep_call_succeeded(call, &error))
		aep_error_raise(&error);
}

void
aep_call_not_understood(AepCall *call, const char *why)
{
	AepError error;

	aep_error_not_understood(&call->context, call->exchange, why, &error);
	aep_error_raise(&error);
}

JsonbContainer *
aep_call_document(AepCall *call, const AepList *list)
{
	const char *why;
	Jsonb *document = aep_document_parse(call->exchange, list, &why);

	if (document == NULL)
		aep_call_not_understood(call, why);
	return &document->root;
}

void
aep_call_end(AepCall *call)
{
	MemoryContextDelete(call->memory);
}

void
aep_call_out_of_memory(void)
{
	ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"),
					errdetail("Could not build the request body.")));
	pg_unreachable();
}
