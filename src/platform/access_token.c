/*
 * platform/access_token.c
 *		Where the bearer token comes from.
 *
 * IMS asks integrations to keep a token for its life, and throttles those that
 * fetch too many.  So tokens are kept for the life of the backend, one per
 * user mapping, until shortly before they expire, the service refuses one, or
 * the server or mapping that it was fetched for changes.
 */
#include "postgres.h"

#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "database/encoding.h"
#include "http/http.h"
#include "http/url.h"
#include "json/reply.h"
#include "platform/access_token.h"
#include "platform/error.h"

/* The Platform template's scopes in Adobe's API samples. */
#define DEFAULT_SCOPES \
	"openid,session,AdobeID,read_organizations,additional_info.projectedProductContext"

/*
 * A token is renewed when a tenth of its life is left, but no earlier than
 * five minutes before its end: a day's token may still be on its way then.
 */
#define LONGEST_MARGIN (5 * 60 * 1000)

/* One kept token. */
typedef struct CachedToken
{
	Oid umid;		   /* hash key */
	uint64 credential; /* it was fetched with */
	AepBuffer token;   /* empty: none */
	int64 renew_at;	   /* aep_http_now() time */
	TimestampTz fetched_at;
	TimestampTz expires_at;
} CachedToken;

static HTAB *cache = NULL;
static bool mappings_changed = false; /* since forget_dropped() looked */

static void
mapping_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	mappings_changed = true;
}

static void
create_cache(void)
{
	HASHCTL control = {.keysize = sizeof(Oid), .entrysize = sizeof(CachedToken)};

	cache = hash_create("aep access tokens", 8, &control, HASH_ELEM | HASH_BLOBS);
	CacheRegisterSyscacheCallback(USERMAPPINGOID, mapping_changed, (Datum) 0);
}

/* Nobody asks for the tokens of mappings that are gone. */
static void
forget_dropped(void)
{
	HASH_SEQ_STATUS status;
	CachedToken *entry;

	mappings_changed = false;
	hash_seq_init(&status, cache);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (SearchSysCacheExists1(USERMAPPINGOID, ObjectIdGetDatum(entry->umid)))
			continue;
		aep_buffer_free(&entry->token);
		(void) hash_search(cache, &entry->umid, HASH_REMOVE, NULL);
	}
}

/* The entry of a mapping, emptied if its credential changed; valid until the next call. */
static CachedToken *
find_entry(const AepServer *server)
{
	CachedToken *entry;
	bool found;

	if (cache == NULL)
		create_cache();
	if (mappings_changed)
		forget_dropped();
	entry = hash_search(cache, &server->umid, HASH_ENTER, &found);
	if (!found)
		memset(&entry->token, 0, sizeof(entry->token));
	if (!found || entry->credential != server->credential)
	{
		aep_buffer_free(&entry->token);
		entry->credential = server->credential;
	}
	return entry;
}

/* The request of a token, on its way; freed whole, the secret wiped. */
typedef struct TokenRequest
{
	AepBuffer form;
	AepBuffer token; /* of the answer */
	const char *secret;
	bool secret_is_copy;
	MemoryContextCallback release;
} TokenRequest;

static void
release_request(void *arg)
{
	TokenRequest *request = arg;

	aep_buffer_free(&request->form);
	aep_buffer_free(&request->token);
	if (request->secret_is_copy)
		explicit_bzero(unconstify(char *, request->secret), strlen(request->secret));
}

static TokenRequest *
begin_request(MemoryContext memory)
{
	TokenRequest *request = MemoryContextAllocZero(memory, sizeof(TokenRequest));

	request->release.func = release_request;
	request->release.arg = request;
	MemoryContextRegisterResetCallback(memory, &request->release);
	return request;
}

/* Facts: IMS's OAuth server-to-server credentials take these four fields. */
static void
build_form(const AepServer *server, const char *secret, AepBuffer *form)
{
	const char *scopes = server->scopes != NULL ? server->scopes : DEFAULT_SCOPES;

	if (!aep_http_form_field(form, "grant_type", "client_credentials") ||
		!aep_http_form_field(form, "client_id", server->api_key) ||
		!aep_http_form_field(form, "client_secret", secret) ||
		!aep_http_form_field(form, "scope", scopes))
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"),
						errdetail("Could not build the request for an access token.")));
}

/* Sends the form and returns the seconds the token lives; 0: *error says why there is none. */
static int64
exchange_token(const AepServer *server, TokenRequest *token_request, int64 deadline,
			   AepError *error)
{
	static const AepHttpHeader headers[] = {
		{"Accept", "application/json"},
		{"Content-Type", "application/x-www-form-urlencoded"},
	};
	AepSecrets secrets = {0};
	AepErrorContext context = {
		.action = "fetch an access token",
		.server = server->name,
		.method = "POST",
		.secrets = &secrets,
		.token_request = true,
	};
	AepHttpRequest request = {
		.method = "POST",
		.url = server->token_url,
		.headers = headers,
		.nheaders = lengthof(headers),
		.limits = &server->limits,
		.repeat = AEP_HTTP_REPEAT_HARMLESS, /* at worst a token more */
		.deadline = deadline,
	};
	AepHttpExchange *exchange;
	AepAnswerStatus status;
	int64 life;

	token_request->secret = aep_to_utf8(server->client_secret, "option \"client_secret\"");
	token_request->secret_is_copy = token_request->secret != server->client_secret;
	aep_secrets_add(&secrets, token_request->secret);
	aep_secrets_add(&secrets, server->api_key);
	build_form(server, token_request->secret, &token_request->form);
	request.body = token_request->form.data;
	request.body_len = token_request->form.len;

	exchange = aep_http_start(&request);
	aep_http_wait(exchange);
	if (exchange->outcome != AEP_HTTP_COMPLETE || exchange->status / 100 != 2)
	{
		aep_error_from_exchange(&context, exchange, error);
		return 0;
	}
	status = aep_reply_token(exchange->body.data, exchange->body.len, &token_request->token, &life);
	if (status != AEP_ANSWER_OK)
	{
		aep_error_token_not_understood(&context, exchange, aep_answer_status_text(status), error);
		return 0;
	}
	aep_http_end(exchange);
	return life;
}

/* The entry with a new token; NULL: *error says why there is none. */
static const CachedToken *
fetch_token(const AepServer *server, int64 deadline, AepError *error)
{
	CachedToken *entry;
	MemoryContext memory =
		AllocSetContextCreate(CurrentMemoryContext, "aep token", ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(memory);
	TokenRequest *request = begin_request(memory);
	int64 started = aep_http_now();
	int64 life = exchange_token(server, request, deadline, error) * 1000;

	if (life == 0)
	{
		MemoryContextSwitchTo(caller);
		aep_error_copy(error);
		MemoryContextDelete(memory);
		return NULL;
	}
	entry = find_entry(server); /* while it was waited for, others may have asked */
	aep_buffer_free(&entry->token);
	entry->token = request->token;
	request->token = (AepBuffer){0};
	entry->renew_at = started + life - Min(life / 10, LONGEST_MARGIN);
	entry->fetched_at = GetCurrentTimestamp();
	entry->expires_at = TimestampTzPlusMilliseconds(entry->fetched_at, life);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(memory);
	return entry;
}

/* Of the mapping, or fetched; valid until the next call.  NULL: *error says why. */
static const char *
find_token(const AepServer *server, int64 deadline, AepError *error)
{
	const CachedToken *entry;

	if (server->access_token != NULL)
		return server->access_token;
	if (server->client_secret == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
				 errmsg("the user mapping for server \"%s\" has neither \"client_secret\" nor "
						"\"access_token\"",
						server->name),
				 errhint("Use ALTER USER MAPPING ... OPTIONS (ADD client_secret '...').")));

	entry = find_entry(server);
	if (entry->token.len == 0 || entry->renew_at <= aep_http_now())
		entry = fetch_token(server, deadline, error);
	return entry != NULL ? entry->token.data : NULL;
}

bool
aep_access_token_append(const AepServer *server, int64 deadline, AepBuffer *to, AepError *error)
{
	const char *token = find_token(server, deadline, error);

	if (token != NULL && !aep_buffer_append(to, token, strlen(token)))
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"),
						errdetail("Could not copy the access token.")));
	return token != NULL;
}

void
aep_access_token_require(const AepServer *server, int64 deadline)
{
	AepError error;

	if (find_token(server, deadline, &error) == NULL)
		aep_error_raise(&error);
}

bool
aep_access_token_refused(const AepServer *server, const char *token)
{
	CachedToken *entry;

	if (server->access_token != NULL)
		return false;
	entry = find_entry(server);
	if (entry->token.len > 0 && strcmp(entry->token.data, token) == 0)
		aep_buffer_free(&entry->token);
	return true;
}

void
aep_access_token_describe(const AepServer *server, AepAccessTokenInfo *info)
{
	const CachedToken *entry;

	info->fetched = false;
	if (server->access_token != NULL)
		return;
	entry = find_entry(server);
	info->fetched = entry->token.len > 0;
	info->fetched_at = entry->fetched_at;
	info->expires_at = entry->expires_at;
}
