/*
 * http/http.c
 *		Exchanges: their start, their attempts, their end.
 *
 * One multi handle per backend, kept for its life, so that connections and name
 * look-ups serve later calls.  Each exchange has an easy handle of its own,
 * owned by a memory context's reset callback: any error, here or in the caller,
 * takes it off the multi handle and frees it.
 */
#include "postgres.h"

#include <string.h>

#include <curl/curl.h>

#include "access/xact.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "compat.h"
#include "http/http.h"
#include "http/retry.h"
#include "http/setup.h"
#include "http/transfer.h"
#include "http/wait.h"

/*
 * The most requests in flight, the limit of the option concurrency: as many
 * streams of one connection, or connections that are kept, so that none is
 * closed because many end at once.
 */
#define MAX_IN_FLIGHT 256L

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
	aep_transfer_tell_fate(transfer);
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
	aep_transfer_set_callbacks(transfer);
	aep_setup(transfer->easy, request, &transfer->headers, &transfer->route);
	start_attempt(transfer);
	MemoryContextSwitchTo(caller);
	return &transfer->exchange;
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
		aep_transfer_finish(transfer, code);
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
