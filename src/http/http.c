/*
 * http/http.c
 *		Every libcurl call but those of the wait loop.
 *
 * One multi handle per backend, kept for its life, so that connections, TLS
 * sessions and name look-ups serve later calls.  Each exchange has an easy
 * handle of its own, owned by a memory context's reset callback: any error,
 * here or in the caller, takes it off the multi handle and frees it.
 *
 * libcurl's callbacks must not throw (the jump would cross libcurl's frames):
 * they note what happened, and finish_transfer() looks at the notes.
 */
#include "postgres.h"

#include <netdb.h>
#include <string.h>

#include <curl/curl.h>

#include "access/xact.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "compat.h"
#include "http/http.h"
#include "http/retry.h"
#include "http/wait.h"

/*
 * A kept connection older than this is not used again.  libcurl's own limit
 * is 118 s; gateways drop idle connections earlier, and a request that meets
 * such a connection may end with its outcome unknown.
 */
#define MAX_IDLE_SECONDS 30L

/*
 * Status lines, headers and trailers of all answers to one request.  libcurl
 * keeps them, and sets no limit to trailers.
 */
#define MAX_HEADER_SIZE (256 * 1024)
#define LEAST_HEADER_SIZE 256 /* what one counts: each costs a walk over all others */

/*
 * The most requests in flight, the limit of the option concurrency: as many
 * streams of one connection, or connections that are kept, so that none is
 * closed because many end at once.
 */
#define MAX_IN_FLIGHT 256L

/* libcurl's part of an exchange. */
typedef struct AepHttpTransfer
{
	AepHttpExchange exchange; /* first: the caller's pointer */
	MemoryContext context;
	MemoryContextCallback release;
	dlist_node node; /* in "transfers" */
	CURL *easy;		 /* NULL: given back */
	struct curl_slist *headers;
	AepHttpRequest request; /* without headers and URL: libcurl has those */
	int64 resume_at;		/* aep_http_now() time; -1: not pausing */
	size_t header_size;
	bool too_large;
	bool no_memory;
	char error[CURL_ERROR_SIZE];
} AepHttpTransfer;

static CURLM *multi = NULL;

/* A handle of an exchange that is over, reset, for the next one; or NULL. */
static CURL *spare = NULL;

/* All exchanges that hold a handle, and how many of them pause. */
static dlist_head transfers = DLIST_STATIC_INIT(transfers);
static int pausing = 0;

static int64 throttled_until = 0; /* the latest end of a pause after a 429 */

/* Wipes a string of libcurl's or ours; headers hold the token and the key. */
static void
free_headers(struct curl_slist *headers)
{
	for (struct curl_slist *item = headers; item != NULL; item = item->next)
		explicit_bzero(item->data, strlen(item->data));
	curl_slist_free_all(headers);
}

static CURL *
take_handle(void)
{
	CURL *easy = spare != NULL ? spare : curl_easy_init();

	spare = NULL;
	if (easy == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"),
						errdetail("libcurl could not create a handle.")));
	return easy;
}

static void
give_back_handle(CURL *easy)
{
	if (spare != NULL)
	{
		curl_easy_cleanup(easy);
		return;
	}
	curl_easy_reset(easy);
	spare = easy;
}

/* Takes a transfer off the multi handle and wipes it; may be called again. */
static void
stop_transfer(AepHttpTransfer *transfer)
{
	if (transfer->easy == NULL)
		return;

	/* no multi handle: it was discarded, with all that was on it */
	if (multi != NULL)
		aep_wait_remove(multi, transfer->easy);
	give_back_handle(transfer->easy);
	transfer->easy = NULL;
	free_headers(transfer->headers);
	transfer->headers = NULL;
	aep_buffer_free(&transfer->exchange.body);
	if (transfer->resume_at >= 0)
		pausing--;
	dlist_delete(&transfer->node);
}

/* Reset callback of the exchange's context. */
static void
release_transfer(void *arg)
{
	stop_transfer(arg);
}

/*
 * An error may leave an exchange in a memory context that lives on for a
 * while, until ROLLBACK say; its connection must not.  No exchange outlives
 * the call that started it, so whatever aborts, all of them are over.
 */
static void
stop_all_transfers(void)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &transfers)
		stop_transfer(dlist_container(AepHttpTransfer, node, iter.cur));
}

static void
transaction_ended(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT)
		stop_all_transfers();
}

static void
subtransaction_ended(SubXactEvent event, SubTransactionId subid, SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		stop_all_transfers();
}

/*
 * Gives up the multi handle with all its connections, after an error that
 * libcurl calls fatal for it; the next request starts a new one.
 */
static void
discard_multi(void)
{
	CURLM *old = multi;

	multi = NULL;
	curl_multi_cleanup(old);
	aep_wait_detach();
}

void
aep_http_initialize(void)
{
	static bool initialized = false;

	if (initialized)
		return;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not initialize libcurl")));
	RegisterXactCallback(transaction_ended, NULL);
	RegisterSubXactCallback(subtransaction_ended, NULL);
	initialized = true;
}

static bool
configure_multi(CURLM *handle)
{
	return curl_multi_setopt(handle, CURLMOPT_MAX_CONCURRENT_STREAMS, MAX_IN_FLIGHT) == CURLM_OK &&
		   curl_multi_setopt(handle, CURLMOPT_MAXCONNECTS, MAX_IN_FLIGHT) == CURLM_OK &&
#ifdef AEP_HAVE_MULTI_QUICK_EXIT
		   curl_multi_setopt(handle, CURLMOPT_QUICK_EXIT, 1L) == CURLM_OK &&
#endif
		   aep_wait_attach(handle);
}

static void
ensure_multi(void)
{
	CURLM *fresh;

#ifdef AEP_IDLE_MUST_BE_SILENT
	if (multi != NULL && dlist_is_empty(&transfers) && aep_wait_idle_stirs())
		discard_multi();
#endif
	if (multi != NULL)
		return;

	aep_http_initialize();
	aep_wait_prepare();
	fresh = curl_multi_init();
	if (fresh == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"),
						errdetail("libcurl could not create a multi handle.")));
	if (!configure_multi(fresh))
	{
		curl_multi_cleanup(fresh);
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
						errmsg("libcurl does not take an option of its multi handle")));
	}
	multi = fresh;
}

/* CURLOPT_WRITEFUNCTION; sees the body unpacked */
static size_t
body_arrived(char *data, size_t size, size_t nmemb, void *arg)
{
	AepHttpTransfer *transfer = arg;
	AepBuffer *body = &transfer->exchange.body;
	size_t len = size * nmemb;

	if (len > transfer->exchange.max_size - body->len)
	{
		transfer->too_large = true;
		return 0;
	}
	if (len > 0 && !aep_buffer_append(body, data, len))
	{
		transfer->no_memory = true;
		return 0;
	}
	return len;
}

/* CURLOPT_HEADERFUNCTION; sees trailers as well */
static size_t
header_arrived(char *data, size_t size, size_t nmemb, void *arg)
{
	AepHttpTransfer *transfer = arg;

	transfer->header_size += Max(size * nmemb, LEAST_HEADER_SIZE);
	if (transfer->header_size > MAX_HEADER_SIZE)
	{
		transfer->too_large = true;
		return 0;
	}
	return size * nmemb;
}

/* The owner may look at any time, also when this exchange is gone. */
static void
tell_fate(const AepHttpTransfer *transfer)
{
	if (transfer->request.fate != NULL)
		*transfer->request.fate = transfer->exchange.fate;
}

/* Whether the attempt under way may have reached the service. */
static bool
has_left(const AepHttpExchange *exchange)
{
	return exchange->fate.last != AEP_FATE_NOTHING;
}

/*
 * CURLOPT_PREREQFUNCTION: connected, TLS done, the request goes out next.
 *
 * libcurl sends a request again by itself when a kept connection dies
 * unanswered, or a stream of HTTP/2 is refused; to create something twice.  It
 * asks here each time, and gets to hear no.
 */
static int
request_begins(void *arg, char *ip, char *local_ip, int port, int local_port)
{
	AepHttpTransfer *transfer = arg;

	if (has_left(&transfer->exchange) && transfer->request.repeat == AEP_HTTP_REPEAT_UNPROCESSED)
		return CURL_PREREQFUNC_ABORT;
	aep_fate_leave(&transfer->exchange.fate);
	tell_fate(transfer);
	return CURL_PREREQFUNC_OK;
}

/* Sets an option, and lets no failure pass unseen. */
#define SETOPT(easy, option, value)                                   \
	do                                                                \
	{                                                                 \
		CURLcode setopt_code = curl_easy_setopt(easy, option, value); \
		if (setopt_code != CURLE_OK)                                  \
			setopt_failed(#option, setopt_code);                      \
	} while (0)

static void
setopt_failed(const char *option, CURLcode code)
{
	if (code == CURLE_OUT_OF_MEMORY)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"),
						errdetail("libcurl could not set %s.", option)));
	ereport(ERROR,
			(errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not set libcurl option %s", option),
			 errdetail("libcurl says: %s.", curl_easy_strerror(code))));
}

static void
add_header(AepHttpTransfer *transfer, const char *name, const char *value)
{
	size_t size = strlen(name) + strlen(value) + 3;
	char *line = palloc(size);
	struct curl_slist *grown;

	/* an empty value removes a header that libcurl would add by itself */
	snprintf(line, size, value[0] != '\0' ? "%s: %s" : "%s:", name, value);
	grown = curl_slist_append(transfer->headers, line);
	explicit_bzero(line, size);
	pfree(line);
	if (grown == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"),
						errdetail("libcurl could not add a request header.")));
	transfer->headers = grown;
}

static void
set_method(AepHttpTransfer *transfer, const AepHttpRequest *request)
{
	CURL *easy = transfer->easy;

	for (int i = 0; i < request->nheaders; i++)
		add_header(transfer, request->headers[i].name, request->headers[i].value);
	/* a POST without a body says so: gateways may answer 411 else */
	if (request->body != NULL || strcmp(request->method, "POST") == 0)
	{
		SETOPT(easy, CURLOPT_POST, 1L);
		SETOPT(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) request->body_len);
		SETOPT(easy, CURLOPT_POSTFIELDS,
			   request->body != NULL ? request->body : ""); /* not copied */
		if (request->body == NULL)
			add_header(transfer, "Content-Type", "");
		/* else libcurl asks for 100-continue before it sends 1 MB */
		add_header(transfer, "Expect", "");
	}
	SETOPT(easy, CURLOPT_CUSTOMREQUEST, request->method);
	SETOPT(easy, CURLOPT_HTTPHEADER, transfer->headers);
}

static void
set_destination(AepHttpTransfer *transfer, const AepHttpRequest *request)
{
	CURL *easy = transfer->easy;
	const AepHttpLimits *limits = request->limits;
	bool secure = pg_strncasecmp(request->url, "https:", 6) == 0;

	SETOPT(easy, CURLOPT_URL, request->url);
	SETOPT(easy, AEP_CURLOPT_PROTOCOLS, secure ? AEP_PROTOCOL_HTTPS : AEP_PROTOCOL_HTTP);
	SETOPT(easy, CURLOPT_FOLLOWLOCATION, 0L);
	SETOPT(easy, CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
	SETOPT(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	SETOPT(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	if (limits->ca_file != NULL)
	{
		SETOPT(easy, CURLOPT_CAINFO, limits->ca_file);
		SETOPT(easy, CURLOPT_CAPATH, NULL); /* instead of the system's, not beside it */
	}

	/* "" turns the proxy variables of the postmaster's environment off */
	SETOPT(easy, CURLOPT_PROXY, secure && limits->proxy != NULL ? limits->proxy : "");
	SETOPT(easy, CURLOPT_NOPROXY, "");
	if (limits->ca_file != NULL && limits->proxy != NULL)
	{
		SETOPT(easy, CURLOPT_PROXY_CAINFO, limits->ca_file);
		SETOPT(easy, CURLOPT_PROXY_CAPATH, NULL);
	}
}

static void
set_limits(AepHttpTransfer *transfer, const AepHttpLimits *limits, bool in_batch)
{
	CURL *easy = transfer->easy;

	SETOPT(easy, CURLOPT_CONNECTTIMEOUT_MS, (long) limits->connect_timeout);
	SETOPT(easy, CURLOPT_MAXAGE_CONN, MAX_IDLE_SECONDS);
	SETOPT(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
	SETOPT(easy, CURLOPT_NOSIGNAL, 1L);

	/*
	 * HTTP/2 shares one connection among the streams of a batch, but a single
	 * request is cheaper without it: bench/RESULTS.md.
	 */
	SETOPT(easy, CURLOPT_HTTP_VERSION,
		   (long) (in_batch ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
	SETOPT(easy, CURLOPT_PIPEWAIT, in_batch ? 1L : 0L);
#ifdef AEP_HAVE_QUICK_EXIT
	SETOPT(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
}

static void
set_callbacks(AepHttpTransfer *transfer)
{
	CURL *easy = transfer->easy;

	SETOPT(easy, CURLOPT_PRIVATE, transfer);
	SETOPT(easy, CURLOPT_ERRORBUFFER, transfer->error);
	SETOPT(easy, CURLOPT_WRITEFUNCTION, body_arrived);
	SETOPT(easy, CURLOPT_WRITEDATA, transfer);
	SETOPT(easy, CURLOPT_HEADERFUNCTION, header_arrived);
	SETOPT(easy, CURLOPT_HEADERDATA, transfer);
	SETOPT(easy, CURLOPT_PREREQFUNCTION, request_begins);
	SETOPT(easy, CURLOPT_PREREQDATA, transfer);
	SETOPT(easy, CURLOPT_RESOLVER_START_FUNCTION, aep_wait_resolver_starts);
	SETOPT(easy, CURLOPT_OPENSOCKETFUNCTION, aep_wait_open_socket);
	SETOPT(easy, CURLOPT_CLOSESOCKETFUNCTION, aep_wait_close_socket);
}

#ifdef AEP_IDLE_MUST_BE_SILENT
/* Whether libcurl might take a connection on which something came unasked. */
static bool
must_connect(const AepHttpTransfer *transfer)
{
	bool alone = dlist_head_node(&transfers) == &transfer->node &&
				 dlist_tail_node(&transfers) == &transfer->node;

	/* for the first of all requests ensure_multi() has just looked */
	return !(alone && transfer->exchange.attempts == 0) && aep_wait_idle_stirs();
}
#endif

/* Sends the request, for the first time or again, within the time left. */
static void
start_attempt(AepHttpTransfer *transfer)
{
	int64 left = transfer->request.deadline - aep_wait_now();
	CURLMcode code;

	SETOPT(transfer->easy, CURLOPT_TIMEOUT_MS, (long) Max(left, 1));
#ifdef AEP_IDLE_MUST_BE_SILENT
	SETOPT(transfer->easy, CURLOPT_FRESH_CONNECT, must_connect(transfer) ? 1L : 0L);
#endif
	transfer->exchange.attempts++;
	transfer->exchange.body.len = 0;
	transfer->header_size = 0;
	aep_fate_begin(&transfer->exchange.fate);
	tell_fate(transfer);
	transfer->error[0] = '\0';
	code = aep_wait_add(multi, transfer->easy);
	if (code != CURLM_OK)
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not start an HTTP request"),
						errdetail("libcurl says: %s.", curl_multi_strerror(code))));
}

AepHttpExchange *
aep_http_start(const AepHttpRequest *request)
{
	static bool single_made = false; /* over HTTP/1.1, on a connection that is kept */
	MemoryContext context;
	MemoryContext caller;
	AepHttpTransfer *transfer;

	/* a batch would queue up for that connection instead of opening one with streams */
	if (request->in_batch && single_made && multi != NULL && dlist_is_empty(&transfers))
		discard_multi();
	single_made = !request->in_batch;
	ensure_multi();
	context = AllocSetContextCreate(CurrentMemoryContext, "aep request", ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(context);
	transfer = palloc0(sizeof(AepHttpTransfer));
	transfer->exchange.transfer = transfer;
	transfer->exchange.max_size = (size_t) request->limits->max_response_size;
	transfer->context = context;
	transfer->request = *request;
	if (request->fate != NULL)
		transfer->exchange.fate = *request->fate;
	transfer->resume_at = -1;
	transfer->release.func = release_transfer;
	transfer->release.arg = transfer;
	MemoryContextRegisterResetCallback(context, &transfer->release);

	transfer->easy = take_handle();
	dlist_push_tail(&transfers, &transfer->node);
	set_callbacks(transfer);
	set_destination(transfer, request);
	set_limits(transfer, request->limits, request->in_batch);
	set_method(transfer, request);
	start_attempt(transfer);
	MemoryContextSwitchTo(caller);
	return &transfer->exchange;
}

/*
 * A failure to connect that may pass: refused, unreachable, timed out, reset
 * during the TLS handshake, a name server that does not answer.  Never a name
 * that does not exist or a certificate that is not to be trusted.
 */
static bool
may_pass(CURLcode code, const char *reason)
{
	switch (code)
	{
		case CURLE_COULDNT_CONNECT:
		case CURLE_OPERATION_TIMEDOUT:
			return true;
		case CURLE_COULDNT_RESOLVE_HOST:
			/* only newer versions of libcurl give the resolver's reason */
			return strstr(reason, gai_strerror(EAI_AGAIN)) != NULL;
		case CURLE_SSL_CONNECT_ERROR:
			/* what OpenSSL itself objects to begins with "error:" */
			return strstr(reason, "error:") == NULL;
		default:
			return false;
	}
}

/* Notes how an attempt ended. */
static void
finish_attempt(AepHttpTransfer *transfer, CURLcode code)
{
	AepHttpExchange *exchange = &transfer->exchange;
	long status = 0;
	curl_off_t retry_after = 0;

	curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(transfer->easy, CURLINFO_RETRY_AFTER, &retry_after);
	exchange->status = (int) status;
	exchange->retry_after = Max(retry_after, 0);
	exchange->reason = transfer->error[0] != '\0' ? transfer->error : curl_easy_strerror(code);
	exchange->transient = false;

	if (code == CURLE_OK)
	{
		exchange->outcome = AEP_HTTP_COMPLETE;
		aep_fate_answer(&exchange->fate, exchange->status);
		tell_fate(transfer);
	}
	else if (transfer->too_large)
		exchange->outcome = AEP_HTTP_TOO_LARGE;
	else if (transfer->no_memory || code == CURLE_OUT_OF_MEMORY)
		exchange->outcome = AEP_HTTP_OUT_OF_MEMORY;
	else if (has_left(exchange))
		exchange->outcome = AEP_HTTP_BROKEN;
	else
	{
		exchange->outcome = AEP_HTTP_NOT_CONNECTED;
		exchange->transient = may_pass(code, exchange->reason);
	}
}

/* Puts a failed exchange to sleep until its next attempt, if it gets one. */
static void
pause_transfer(AepHttpTransfer *transfer)
{
	AepHttpExchange *exchange = &transfer->exchange;
	const AepHttpRequest *request = &transfer->request;
	int64 now = aep_wait_now();
	int64 pause = aep_retry_pause(exchange, request->repeat, request->limits->max_attempts,
								  request->deadline - now);

	if (pause < 0)
		return;
	if (exchange->status != 0)
		ereport(DEBUG1,
				(errmsg_internal("HTTP status %d to %s, attempt %d of %d: trying again in %d ms",
								 exchange->status, request->method, exchange->attempts,
								 request->limits->max_attempts, (int) pause)));
	else
		ereport(DEBUG1,
				(errmsg_internal("%s failed, attempt %d of %d: trying again in %d ms: %s",
								 request->method, exchange->attempts, request->limits->max_attempts,
								 (int) pause, exchange->reason)));
	exchange->outcome = AEP_HTTP_PENDING;
	transfer->resume_at = now + pause;
	pausing++;
	if (exchange->status == 429)
		throttled_until = Max(throttled_until, transfer->resume_at);
}

/* Takes note of all transfers that libcurl has finished.  Whether an exchange ended. */
static bool
collect_finished(void)
{
	bool ended = false;
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(multi, &left)) != NULL)
	{
		char *private = NULL;
		CURLcode code = message->data.result;
		AepHttpTransfer *transfer;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
		transfer = (AepHttpTransfer *) private;
		aep_wait_remove(multi, transfer->easy);
		finish_attempt(transfer, code);
		pause_transfer(transfer);
		ended |= transfer->exchange.outcome != AEP_HTTP_PENDING;
	}
	return ended;
}

/* Starts what has paused long enough; ms until the next is due, -1: none pauses. */
static long
resume_transfers(void)
{
	int64 now;
	int64 next = -1;
	dlist_iter iter;

	if (pausing == 0)
		return -1;
	now = aep_wait_now();
	dlist_foreach(iter, &transfers)
	{
		AepHttpTransfer *transfer = dlist_container(AepHttpTransfer, node, iter.cur);

		if (transfer->resume_at < 0)
			continue;
		if (transfer->resume_at <= now)
		{
			transfer->resume_at = -1;
			pausing--;
			start_attempt(transfer);
		}
		else if (next < 0 || transfer->resume_at - now < next)
			next = transfer->resume_at - now;
	}
	return (long) next;
}

bool
aep_http_step(long max_ms)
{
	long pause = resume_transfers();
	CURLMcode code;
	bool ended;

	if (pause >= 0 && (max_ms < 0 || pause < max_ms))
		max_ms = pause;
	code = aep_wait_step(multi, max_ms);
	ended = collect_finished();
	if (code != CURLM_OK)
	{
		discard_multi();
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("libcurl's event loop failed"),
						errdetail("libcurl says: %s.", curl_multi_strerror(code))));
	}
	return ended;
}

void
aep_http_wait(AepHttpExchange *exchange)
{
	while (exchange->outcome == AEP_HTTP_PENDING)
		(void) aep_http_step(-1);
}

void
aep_http_forget_throttle(void)
{
	throttled_until = 0;
}

int64
aep_http_throttled_until(void)
{
	return throttled_until;
}

int64
aep_http_now(void)
{
	return aep_wait_now();
}

const char *
aep_http_header(AepHttpExchange *exchange, const char *name)
{
	struct curl_header *header;

	if (curl_easy_header(exchange->transfer->easy, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
		return NULL;
	return header->value;
}

void
aep_http_each_header(AepHttpExchange *exchange,
					 void (*visit)(const char *name, const char *value, void *arg), void *arg)
{
	struct curl_header *header = NULL;

	while ((header = curl_easy_nextheader(exchange->transfer->easy, CURLH_HEADER, -1, header)) !=
		   NULL)
		visit(header->name, header->value, arg);
}

void
aep_http_end(AepHttpExchange *exchange)
{
	MemoryContextDelete(exchange->transfer->context);
}

const char *
aep_http_library_version(void)
{
	return curl_version_info(CURLVERSION_NOW)->version;
}

const char *
aep_http_tls_version(void)
{
	const char *tls = curl_version_info(CURLVERSION_NOW)->ssl_version;

	return tls != NULL ? tls : "none";
}
