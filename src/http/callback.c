/*
 * http/callback.c
 *		What libcurl calls while it works on a transfer.
 *
 * A callback must not throw (the jump would cross libcurl's frames): it notes
 * what happened, and aep_transfer_finish() looks at the notes.
 */
#include "postgres.h"

#include <curl/curl.h>

#include "http/tls.h"
#include "http/transfer.h"
#include "http/wait.h"

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

/* CURLOPT_HEADERFUNCTION; sees trailers as well, and what a proxy says to a CONNECT */
static size_t
header_arrived(char *data, size_t size, size_t nmemb, void *arg)
{
	AepHttpTransfer *transfer = arg;
	AepHttpExchange *exchange = &transfer->exchange;
	size_t len = size * nmemb;

	exchange->refusal = aep_head_line(&transfer->head, data, len);
	/* libcurl would read its body, however long, within one call */
	if (!aep_transfer_has_left(transfer) && aep_head_asks_for_login(data, len))
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

	if (aep_transfer_has_left(transfer) && transfer->request.repeat == AEP_HTTP_REPEAT_UNPROCESSED)
		return CURL_PREREQFUNC_ABORT;
	if (!is_clean(transfer, local_port))
	{
		transfer->unclean = true;
		/* one of HTTP/2 would stay, for the next request to meet it */
		curl_easy_setopt(transfer->easy, CURLOPT_FORBID_REUSE, 1L);
		return CURL_PREREQFUNC_ABORT;
	}
	transfer->unclean = false;
	transfer->connection = aep_tls_allow(transfer->easy, most_input(transfer));
	aep_fate_leave(&transfer->exchange.fate);
	aep_transfer_tell_fate(transfer);
	return CURL_PREREQFUNC_OK;
}

void
aep_transfer_set_callbacks(AepHttpTransfer *transfer)
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
