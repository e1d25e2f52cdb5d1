/*
 * platform/access_token.c
 *		Where the bearer token comes from.
 *
 * IMS asks integrations to keep a token for its life, and throttles those that
 * fetch too many.  So tokens are kept for the life of the backend, one per
 * user mapping, until shortly before they expire, the service refuses one, or
 * the server or mapping that it was fetched for changes.
 *
 * A fetch is an exchange like any other: who needs its token goes on with other
 * work meanwhile, and who needs the same one joins in.
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
	AepTokenFetch *fetch; /* that will bring the next one; NULL: none is on its way */
} CachedToken;

/* A fetch, in a memory context of its own. */
struct AepTokenFetch
{
	Oid umid; /* whose token it brings */
	int holders;
	MemoryContext memory;
	MemoryContextCallback release;
	int64 started;
	int64 deadline;
	AepHttpLimits limits;	   /* its strings are not looked at after the start */
	AepHttpExchange *exchange; /* NULL: it was read */
	AepErrorContext context;
	AepSecrets secrets; /* copies, wiped at its end */
	AepBuffer form;
	AepBuffer token; /* empty, once it was read: error says why */
	AepError error;
};

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
		entry->fetch = NULL; /* of the old one: it goes on for those that wait for it */
	}
	return entry;
}

/* The entry that waits for this fetch; NULL: none does any more. */
static CachedToken *
entry_of(const AepTokenFetch *fetch)
{
	CachedToken *entry = hash_search(cache, &fetch->umid, HASH_FIND, NULL);

	return entry != NULL && entry->fetch == fetch ? entry : NULL;
}

static void
detach(const AepTokenFetch *fetch)
{
	CachedToken *entry = entry_of(fetch);

	if (entry != NULL)
		entry->fetch = NULL;
}

/* Reset callback; the exchange, in a context below, has been freed before. */
static void
release_fetch(void *arg)
{
	AepTokenFetch *fetch = arg;

	detach(fetch);
	aep_buffer_free(&fetch->form);
	aep_buffer_free(&fetch->token);
	for (int i = 0; i < fetch->secrets.count; i++)
		explicit_bzero(unconstify(char *, fetch->secrets.text[i]), strlen(fetch->secrets.text[i]));
}

static void
copy_token(const char *token, AepBuffer *to)
{
	if (!aep_buffer_append(to, token, strlen(token)))
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"),
						errdetail("Could not copy the access token.")));
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

/* Sends the form; all of it in the fetch's memory. */
static void
start_exchange(const AepServer *server, AepTokenFetch *fetch)
{
	static const AepHttpHeader headers[] = {
		{"Accept", "application/json"},
		{"Content-Type", "application/x-www-form-urlencoded"},
	};
	AepHttpRequest request = {
		.method = "POST",
		.url = server->token_url,
		.headers = headers,
		.nheaders = lengthof(headers),
		.limits = &fetch->limits,
		.repeat = AEP_HTTP_REPEAT_HARMLESS, /* at worst a token more */
		.deadline = fetch->deadline,
	};
	const char *secret;

	fetch->context = (AepErrorContext){
		.action = "fetch an access token",
		.server = pstrdup(server->name),
		.method = "POST",
		.secrets = &fetch->secrets,
		.token_request = true,
	};
	secret = aep_to_utf8(server->client_secret, "option \"client_secret\"");
	if (secret == server->client_secret)
		secret = pstrdup(secret);
	aep_secrets_add(&fetch->secrets, secret);
	aep_secrets_add(&fetch->secrets, pstrdup(server->api_key));
	build_form(server, secret, &fetch->form);
	request.body = fetch->form.data;
	request.body_len = fetch->form.len;
	fetch->exchange = aep_http_start(&request);
}

/*
 * It outlives the call that began it, if others wait for its token; so it owns
 * whatever it needs of the settings.
 */
static AepTokenFetch *
begin_fetch(const AepServer *server, int64 deadline)
{
	MemoryContext memory =
		AllocSetContextCreate(CurrentMemoryContext, "aep token", ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(memory);
	AepTokenFetch *fetch = palloc0(sizeof(AepTokenFetch));

	fetch->umid = server->umid;
	fetch->memory = memory;
	fetch->started = aep_http_now();
	fetch->deadline = deadline;
	fetch->limits = server->limits;
	fetch->release.func = release_fetch;
	fetch->release.arg = fetch;
	MemoryContextRegisterResetCallback(memory, &fetch->release);
	start_exchange(server, fetch);
	MemoryContextSwitchTo(caller);
	MemoryContextSetParent(memory, TopMemoryContext);
	return fetch;
}

/* The seconds that the token of the answer lives; 0: there is none, and the error says why. */
static int64
read_token(AepTokenFetch *fetch)
{
	AepHttpExchange *exchange = fetch->exchange;
	AepAnswerStatus status;
	int64 life;

	if (exchange->outcome != AEP_HTTP_COMPLETE || exchange->status / 100 != 2)
	{
		aep_error_from_exchange(&fetch->context, exchange, &fetch->error);
		return 0;
	}
	status = aep_reply_token(exchange->body.data, exchange->body.len, &fetch->token, &life);
	if (status == AEP_ANSWER_OK)
		return life;
	aep_buffer_free(&fetch->token);
	aep_error_token_not_understood(&fetch->context, exchange, aep_answer_status_text(status),
								   &fetch->error);
	return 0;
}

/* Reads the answer of a fetch that is over, once, and keeps the token. */
static void
settle(AepTokenFetch *fetch)
{
	CachedToken *entry = entry_of(fetch);
	MemoryContext caller;
	int64 life;

	if (fetch->exchange == NULL)
		return;
	caller = MemoryContextSwitchTo(fetch->memory);
	detach(fetch); /* whatever comes of it: it brings no other token */
	life = read_token(fetch) * 1000;
	aep_http_end(fetch->exchange);
	fetch->exchange = NULL;
	if (life > 0 && entry != NULL)
	{
		aep_buffer_free(&entry->token);
		copy_token(fetch->token.data, &entry->token);
		entry->renew_at = fetch->started + life - Min(life / 10, LONGEST_MARGIN);
		entry->fetched_at = GetCurrentTimestamp();
		entry->expires_at = TimestampTzPlusMilliseconds(entry->fetched_at, life);
	}
	MemoryContextSwitchTo(caller);
}

AepTokenFetch *
aep_access_token_ask(const AepServer *server, int64 deadline, AepBuffer *to)
{
	CachedToken *entry;

	if (server->access_token != NULL)
	{
		copy_token(server->access_token, to);
		return NULL;
	}
	if (server->client_secret == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
				 errmsg("the user mapping for server \"%s\" has neither \"client_secret\" nor "
						"\"access_token\"",
						server->name),
				 errhint("Use ALTER %s OPTIONS (ADD client_secret '...').",
						 aep_server_mapping_name(server))));

	entry = find_entry(server);
	if (entry->fetch != NULL && aep_token_fetch_is_over(entry->fetch))
		settle(entry->fetch);
	if (entry->token.len > 0 && entry->renew_at > aep_http_now())
	{
		copy_token(entry->token.data, to);
		return NULL;
	}
	if (entry->fetch == NULL)
		entry->fetch = begin_fetch(server, deadline);
	entry->fetch->holders++;
	return entry->fetch;
}

bool
aep_token_fetch_is_over(const AepTokenFetch *fetch)
{
	return fetch->exchange == NULL || fetch->exchange->outcome != AEP_HTTP_PENDING;
}

int64
aep_token_fetch_deadline(const AepTokenFetch *fetch)
{
	return fetch->deadline;
}

bool
aep_token_fetch_result(AepTokenFetch *fetch, AepBuffer *to, AepError *error)
{
	settle(fetch);
	if (fetch->token.len > 0)
	{
		copy_token(fetch->token.data, to);
		return true;
	}
	*error = fetch->error;
	aep_error_copy(error);
	return false;
}

void
aep_token_fetch_leave(AepTokenFetch *fetch)
{
	if (--fetch->holders == 0)
		MemoryContextDelete(fetch->memory);
}

void
aep_access_token_late(const AepServer *server, AepError *error)
{
	*error = (AepError){
		.sqlstate = ERRCODE_CONNECTION_FAILURE,
		.message = psprintf("could not fetch an access token on server \"%s\": it did not come "
							"within request_timeout",
							server->name),
		.hint = "Check the server options token_url, proxy and request_timeout, and the network.",
	};
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
