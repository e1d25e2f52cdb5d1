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
#include "http/head.h"
#include "http/http.h"
#include "http/retry.h"
#include "http/setup.h"
#include "http/tls.h"
#include "http/wait.h"

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
	AepRoute route;
	int64 resume_at; /* aep_http_now() time; -1: not pausing */
	AepHead head;
	const void *connection; /* that it went out on, for aep_tls_flooded() */
	bool too_large;
	bool no_memory;
	bool unclean; /* the connection was: it did not leave */
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
	{
		AepHttpTransfer *transfer = dlist_container(AepHttpTransfer, node, iter.cur);

		/* so that nobody waits for it */
		if (transfer->exchange.outcome == AEP_HTTP_PENDING)
		{
			transfer->exchange.outcome = AEP_HTTP_BROKEN;
			transfer->exchange.reason = "given up";
		}
		stop_transfer(transfer);
	}
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
	/*
	 * What libcurl and OpenSSL would do because the postmaster's environment says
	 * so: write the keys of every connection to a file, use another TLS library.
	 */
	unsetenv("SSLKEYLOGFILE");
	unsetenv("CURL_SSL_BACKEND");
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

/* CURLOPT_HEADERFUNCTION; sees trailers as well, and what a proxy says to a CONNECT */
static size_t
header_arrived(char *data, size_t size, size_t nmemb, void *arg)
{
	AepHttpTransfer *transfer = arg;
	AepHttpExchange *exchange = &transfer->exchange;
	size_t len = size * nmemb;

	exchange->refusal = aep_head_line(&transfer->head, data, len);
	/* libcurl would read its body, however long, within one call */
	if (!has_left(exchange) && aep_head_asks_for_login(data, len))
		exchange->refusal = "asks for a login, with HTTP status 407";
	return exchange->refusal == NULL ? len : 0;
}

/*
 * Whether nothing has come in on a connection that could be taken for the answer
 * to the request about to go out.  What stands in the way of that knowledge
 * counts as something.
 */
static bool
is_clean(const AepHttpTransfer *transfer, int port)
{
	AepWaitConnection connection;

	aep_wait_request_begins(port, &connection);
	if (!connection.known)
		return transfer->unclean; /* so it was to be a new one */
	if (!connection.used)
		return true;
	if (transfer->route.secure && aep_tls_is_framed(transfer->easy))
		return !connection.idle || !connection.stirs;
	return !connection.stirs && (!transfer->route.secure || (!transfer->route.proxy_over_tls &&
															 aep_tls_is_drained(transfer->easy)));
}

/*
 * What may come in, in all, for a request: an answer that is as large as it may
 * be and not packed, and as much again for what stands around it.
 */
static int64
most_input(const AepHttpTransfer *transfer)
{
	return 2 * (int64) transfer->exchange.max_size + 1024 * 1024;
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
	if (!is_clean(transfer, local_port))
	{
		transfer->unclean = true;
		/* one of HTTP/2 would stay, for the next request to meet it */
		curl_easy_setopt(transfer->easy, CURLOPT_FORBID_REUSE, 1L);
		return CURL_PREREQFUNC_ABORT;
	}
	transfer->connection = aep_tls_allow(transfer->easy, most_input(transfer));
	aep_fate_leave(&transfer->exchange.fate);
	tell_fate(transfer);
	return CURL_PREREQFUNC_OK;
}

static void
set_callbacks(AepHttpTransfer *transfer)
{
	CURL *easy = transfer->easy;

	AEP_SETOPT(easy, CURLOPT_PRIVATE, transfer);
	AEP_SETOPT(easy, CURLOPT_ERRORBUFFER, transfer->error);
	AEP_SETOPT(easy, CURLOPT_WRITEFUNCTION, body_arrived);
	AEP_SETOPT(easy, CURLOPT_WRITEDATA, transfer);
	AEP_SETOPT(easy, CURLOPT_HEADERFUNCTION, header_arrived);
	AEP_SETOPT(easy, CURLOPT_HEADERDATA, transfer);
	AEP_SETOPT(easy, CURLOPT_PREREQFUNCTION, request_begins);
	AEP_SETOPT(easy, CURLOPT_PREREQDATA, transfer);
	AEP_SETOPT(easy, CURLOPT_RESOLVER_START_FUNCTION, aep_wait_resolver_starts);
	AEP_SETOPT(easy, CURLOPT_OPENSOCKETFUNCTION, aep_wait_open_socket);
	AEP_SETOPT(easy, CURLOPT_CLOSESOCKETFUNCTION, aep_wait_close_socket);
}

/* Sends the request, for the first time or again, within the time left. */
static void
start_attempt(AepHttpTransfer *transfer)
{
	int64 left = transfer->request.deadline - aep_wait_now();
	CURLMcode code;

	AEP_SETOPT(transfer->easy, CURLOPT_TIMEOUT_MS, (long) Max(left, 1));
	AEP_SETOPT(transfer->easy, CURLOPT_FRESH_CONNECT, transfer->unclean ? 1L : 0L);
	AEP_SETOPT(transfer->easy, CURLOPT_FORBID_REUSE, 0L);
	transfer->exchange.attempts++;
	transfer->exchange.body.len = 0;
	transfer->exchange.refusal = NULL;
	transfer->head = (AepHead){0};
	transfer->connection = NULL;
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

	/*
	 * A batch would queue up for that connection instead of opening one with
	 * streams; and if it finds that one is not to be used, each of its requests
	 * would, and open one of its own.
	 */
	if (request->in_batch && multi != NULL && dlist_is_empty(&transfers) &&
		(single_made || aep_wait_idle_stirs()))
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
	aep_setup(transfer->easy, request, &transfer->headers, &transfer->route);
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

/*
 * What libcurl did not take of an answer, as a refusal of ours; NULL: it was
 * something else.
 */
static const char *
refusal_of_libcurl(const AepHttpTransfer *transfer, CURLcode code)
{
	if (!has_left(&transfer->exchange))
		return NULL;
	if (code == CURLE_BAD_CONTENT_ENCODING)
		return "is packed in a way that cannot be unpacked";
	/* before 8.6 it calls that out of memory */
	if (code == AEP_CODE_TOO_LARGE && !transfer->head.ended)
		return "has more headers than libcurl takes, or longer ones";
	return NULL;
}

/* What was in the way of an attempt that did not get as far as to be sent. */
static AepHttpObstacle
find_obstacle(const AepHttpTransfer *transfer, CURLcode code)
{
	bool proxied = transfer->request.limits->proxy != NULL && transfer->route.secure;
	long answer_of_proxy = 0;

	curl_easy_getinfo(transfer->easy, CURLINFO_HTTP_CONNECTCODE, &answer_of_proxy);
	if (answer_of_proxy != 0 && answer_of_proxy / 100 != 2)
		return AEP_HTTP_NO_PROXY;
	switch (code)
	{
		case CURLE_COULDNT_RESOLVE_HOST:
			return AEP_HTTP_NO_NAME;
		case CURLE_COULDNT_RESOLVE_PROXY:
		case CURLE_PROXY:
			return AEP_HTTP_NO_PROXY;
		case CURLE_COULDNT_CONNECT:
			return proxied ? AEP_HTTP_NO_PROXY : AEP_HTTP_NO_OBSTACLE;
		case CURLE_PEER_FAILED_VERIFICATION:
			return AEP_HTTP_BAD_CERTIFICATE;
		case CURLE_SSL_CACERT_BADFILE:
			return AEP_HTTP_BAD_CA_FILE;
		default:
			return AEP_HTTP_NO_OBSTACLE;
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
	if (exchange->refusal == NULL)
		exchange->refusal = refusal_of_libcurl(transfer, code);

	if (code == CURLE_OK)
	{
		exchange->outcome = AEP_HTTP_COMPLETE;
		aep_fate_answer(&exchange->fate, exchange->status);
		tell_fate(transfer);
	}
	else if (transfer->too_large || aep_tls_flooded(transfer->connection))
		exchange->outcome = AEP_HTTP_TOO_LARGE;
	else if (exchange->refusal != NULL && has_left(exchange))
		exchange->outcome = AEP_HTTP_REFUSED;
	else if (transfer->no_memory || code == CURLE_OUT_OF_MEMORY)
		exchange->outcome = AEP_HTTP_OUT_OF_MEMORY;
	else if (has_left(exchange))
		exchange->outcome = AEP_HTTP_BROKEN;
	else
	{
		exchange->outcome = AEP_HTTP_NOT_CONNECTED;
		exchange->obstacle = find_obstacle(transfer, code);
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

	/* a message of a retry serves interrupts: not before all that has come is noted */
	HOLD_INTERRUPTS();
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
		if (transfer->unclean && code == CURLE_ABORTED_BY_CALLBACK)
		{
			transfer->exchange.attempts--; /* nothing was tried */
			start_attempt(transfer);
			continue;
		}
		transfer->unclean = false;
		finish_attempt(transfer, code);
		pause_transfer(transfer);
		ended |= transfer->exchange.outcome != AEP_HTTP_PENDING;
	}
	RESUME_INTERRUPTS();
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

int64
aep_http_date(AepHttpExchange *exchange)
{
	const char *value = aep_http_header(exchange, "date");

	return value != NULL ? (int64) curl_getdate(value, NULL) : -1;
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
