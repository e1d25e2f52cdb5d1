/*
 * http/outcome.c
 *		How an attempt ended, by what libcurl says and what its callbacks noted.
 */
#include "postgres.h"

#include <netdb.h>
#include <string.h>

#include <curl/curl.h>

#include "compat.h"
#include "http/tls.h"
#include "http/transfer.h"

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
	if (!aep_transfer_has_left(transfer))
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

void
aep_transfer_finish(AepHttpTransfer *transfer, CURLcode code)
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
		aep_transfer_tell_fate(transfer);
	}
	else if (transfer->too_large || aep_tls_flooded(transfer->connection))
		exchange->outcome = AEP_HTTP_TOO_LARGE;
	else if (exchange->refusal != NULL && aep_transfer_has_left(transfer))
		exchange->outcome = AEP_HTTP_REFUSED;
	else if (transfer->no_memory || code == CURLE_OUT_OF_MEMORY)
		exchange->outcome = AEP_HTTP_OUT_OF_MEMORY;
	else if (aep_transfer_has_left(transfer))
		exchange->outcome = AEP_HTTP_BROKEN;
	else
	{
		exchange->outcome = AEP_HTTP_NOT_CONNECTED;
		exchange->obstacle = find_obstacle(transfer, code);
		exchange->transient = may_pass(code, exchange->reason);
	}
}
