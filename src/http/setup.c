/*
 * http/setup.c
 *		The options of a handle.
 *
 * What libcurl would take from elsewhere (the environment, .netrc, what it kept
 * of earlier requests) is turned off here, or bounded.
 */
#include "postgres.h"

#include <curl/curl.h>

#include "compat.h"
#include "http/setup.h"
#include "http/tls.h"

/*
 * For how long libcurl may keep what it has found out, in seconds: addresses of
 * names, the content of a file of authorities, and a connection, which stands
 * on both.  So a change is seen within a minute, also by a session that calls
 * all the time.  A TLS session is not kept at all: resuming one verifies nothing.
 *
 * libcurl's own limit for a connection that is idle is 118 s; gateways drop one
 * earlier, and a request that meets such a connection may end with its outcome
 * unknown.
 */
#define MAX_AGE_SECONDS 30L

/* URL and headers; libcurl builds no request of more than 1 MB, body aside. */
#define MAX_REQUEST_HEAD (512 * 1024)

void
aep_setup_failed(const char *option, CURLcode code)
{
	if (code == CURLE_OUT_OF_MEMORY)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"),
						errdetail("libcurl could not set %s.", option)));
	ereport(ERROR,
			(errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not set libcurl option %s", option),
			 errdetail("libcurl says: %s.", curl_easy_strerror(code))));
	pg_unreachable();
}

/* libcurl would call it out of memory. */
static void
check_head(const AepHttpRequest *request)
{
	size_t size = strlen(request->url);

	for (int i = 0; i < request->nheaders; i++)
		size += strlen(request->headers[i].name) + strlen(request->headers[i].value);
	if (size > MAX_REQUEST_HEAD)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a request's address and headers are too long"),
				 errdetail("They have %zu bytes, and %d can be sent.", size, MAX_REQUEST_HEAD)));
}

static void
add_header(struct curl_slist **headers, const char *name, const char *value)
{
	size_t size = strlen(name) + strlen(value) + 3;
	char *line = palloc(size);
	struct curl_slist *grown;

	/* an empty value removes a header that libcurl would add by itself */
	snprintf(line, size, value[0] != '\0' ? "%s: %s" : "%s:", name, value);
	grown = curl_slist_append(*headers, line);
	explicit_bzero(line, size);
	pfree(line);
	if (grown == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"),
						errdetail("libcurl could not add a request header.")));
	*headers = grown;
}

static void
set_method(CURL *easy, const AepHttpRequest *request, struct curl_slist **headers)
{
	for (int i = 0; i < request->nheaders; i++)
		add_header(headers, request->headers[i].name, request->headers[i].value);
	/* a POST without a body says so: gateways may answer 411 else */
	if (request->body != NULL || strcmp(request->method, "POST") == 0)
	{
		AEP_SETOPT(easy, CURLOPT_POST, 1L);
		AEP_SETOPT(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) request->body_len);
		AEP_SETOPT(easy, CURLOPT_POSTFIELDS,
				   request->body != NULL ? request->body : ""); /* not copied */
		if (request->body == NULL)
			add_header(headers, "Content-Type", "");
		/* else libcurl asks for 100-continue before it sends 1 MB */
		add_header(headers, "Expect", "");
	}
	AEP_SETOPT(easy, CURLOPT_CUSTOMREQUEST, request->method);
	AEP_SETOPT(easy, CURLOPT_HTTPHEADER, *headers);
}

static void
set_destination(CURL *easy, const AepHttpRequest *request, const AepRoute *route)
{
	const AepHttpLimits *limits = request->limits;

	AEP_SETOPT(easy, CURLOPT_URL, request->url);
	AEP_SETOPT(easy, AEP_CURLOPT_PROTOCOLS, route->secure ? AEP_PROTOCOL_HTTPS : AEP_PROTOCOL_HTTP);
	AEP_SETOPT(easy, CURLOPT_FOLLOWLOCATION, 0L);

	/* "" turns the proxy variables of the postmaster's environment off */
	AEP_SETOPT(easy, CURLOPT_PROXY, route->secure && limits->proxy != NULL ? limits->proxy : "");
	AEP_SETOPT(easy, CURLOPT_NOPROXY, "");
}

static void
set_tls(CURL *easy, const AepHttpLimits *limits, const AepRoute *route)
{
	AEP_SETOPT(easy, CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
	AEP_SETOPT(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	AEP_SETOPT(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	AEP_SETOPT(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
#ifdef AEP_HAVE_CA_CACHE
	AEP_SETOPT(easy, CURLOPT_CA_CACHE_TIMEOUT, MAX_AGE_SECONDS);
#endif
	if (limits->ca_file != NULL)
	{
		AEP_SETOPT(easy, CURLOPT_CAINFO, limits->ca_file);
		AEP_SETOPT(easy, CURLOPT_CAPATH, NULL); /* instead of the system's, not beside it */
	}
	if (limits->ca_file != NULL && limits->proxy != NULL)
	{
		AEP_SETOPT(easy, CURLOPT_PROXY_CAINFO, limits->ca_file);
		AEP_SETOPT(easy, CURLOPT_PROXY_CAPATH, NULL);
	}
	if (aep_tls_is_known())
	{
		static char uncounted[] = "";

		AEP_SETOPT(easy, CURLOPT_SSL_CTX_FUNCTION, aep_tls_prepare);
		AEP_SETOPT(easy, CURLOPT_SSL_CTX_DATA, route->proxy_over_tls ? uncounted : NULL);
	}
}

static void
set_limits(CURL *easy, const AepHttpLimits *limits, bool in_batch)
{
	AEP_SETOPT(easy, CURLOPT_CONNECTTIMEOUT_MS, (long) limits->connect_timeout);
	AEP_SETOPT(easy, CURLOPT_DNS_CACHE_TIMEOUT, MAX_AGE_SECONDS);
	AEP_SETOPT(easy, CURLOPT_MAXAGE_CONN, MAX_AGE_SECONDS);
	AEP_SETOPT(easy, CURLOPT_MAXLIFETIME_CONN, MAX_AGE_SECONDS);
	AEP_SETOPT(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
	AEP_SETOPT(easy, CURLOPT_NOSIGNAL, 1L);

	/*
	 * HTTP/2 shares one connection among the streams of a batch, but a single
	 * request is cheaper without it: bench/RESULTS.md.
	 */
	AEP_SETOPT(easy, CURLOPT_HTTP_VERSION,
			   (long) (in_batch ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
	AEP_SETOPT(easy, CURLOPT_PIPEWAIT, in_batch ? 1L : 0L);
#ifdef AEP_HAVE_QUICK_EXIT
	AEP_SETOPT(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
}

void
aep_setup(CURL *easy, const AepHttpRequest *request, struct curl_slist **headers, AepRoute *route)
{
	const AepHttpLimits *limits = request->limits;

	route->secure = pg_strncasecmp(request->url, "https:", 6) == 0;
	route->proxy_over_tls =
		route->secure && limits->proxy != NULL && pg_strncasecmp(limits->proxy, "https:", 6) == 0;
	check_head(request);
	set_destination(easy, request, route);
	set_tls(easy, limits, route);
	set_limits(easy, limits, request->in_batch);
	set_method(easy, request, headers);
}
