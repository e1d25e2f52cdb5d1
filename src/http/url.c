/*
 * http/url.c
 *		URLs and form fields, by libcurl's own parser and encoder.
 */
#include "postgres.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <curl/curl.h>

#include "lib/stringinfo.h"

#include "http/url.h"

/* A host, as libcurl's URL parser gives it, that names this machine. */
static bool
is_loopback_host(const char *host)
{
	struct in_addr ipv4;

	if (pg_strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0)
		return true;
	return inet_pton(AF_INET, host, &ipv4) == 1 && (ntohl(ipv4.s_addr) >> 24) == 127;
}

/*
 * Percent-encoded, blanks too: a '+' in their place is understood by readers of
 * forms only.
 */
static void
append_encoded(StringInfo url, const char *value)
{
	char *encoded;

	/* room for the longest form first: libcurl's memory must not be lost to an error */
	enlargeStringInfo(url, 3 * (int) strlen(value));
	encoded = curl_easy_escape(NULL, value, 0);
	if (encoded == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory"),
						errdetail("libcurl could not encode a query parameter.")));
	appendStringInfoString(url, encoded);
	curl_free(encoded);
}

/*
 * As it stands, but for what no URL can hold: a service that does not encode a
 * blank in a link means a blank.
 */
static void
append_link(StringInfo url, const char *value)
{
	for (const char *c = value; *c != '\0'; c++)
	{
		if (*c <= ' ' || *c > '~')
			appendStringInfo(url, "%%%02X", (unsigned char) *c);
		else
			appendStringInfoChar(url, *c);
	}
}

char *
aep_http_url(const char *base, const char *prefix, const char *path,
			 const AepHttpParameter *parameters, int nparameters)
{
	int len = (int) strlen(base);
	StringInfoData url;

	while (len > 0 && base[len - 1] == '/')
		len--;
	initStringInfo(&url);
	appendStringInfo(&url, "%.*s%s%s", len, base, prefix, path);
	for (int i = 0; i < nparameters; i++)
	{
		const AepHttpParameter *parameter = &parameters[i];

		appendStringInfo(&url, "%c%s=", i == 0 ? '?' : '&', parameter->name);
		if (parameter->encoded)
			append_link(&url, parameter->value);
		else
			append_encoded(&url, parameter->value);
	}
	return url.data;
}

/* Reads one part of a URL; NULL if it has none.  The caller frees it with curl_free. */
static char *
url_part(CURLU *url, CURLUPart part)
{
	char *value = NULL;

	return curl_url_get(url, part, &value, 0) == CURLUE_OK ? value : NULL;
}

static const char *
url_refusal(CURLU *url, bool is_proxy)
{
	char *user = url_part(url, CURLUPART_USER);
	char *password = url_part(url, CURLUPART_PASSWORD);
	char *query = url_part(url, CURLUPART_QUERY);
	char *fragment = url_part(url, CURLUPART_FRAGMENT);
	char *scheme = url_part(url, CURLUPART_SCHEME);
	char *host = url_part(url, CURLUPART_HOST);
	char *path = url_part(url, CURLUPART_PATH);
	const char *refusal = NULL;

	if (scheme == NULL || host == NULL || path == NULL)
		refusal = "It is not a complete URL.";
	else if (user != NULL || password != NULL)
		refusal = "A URL option must not hold a user name or password: it can be read by everyone.";
	else if (query != NULL || fragment != NULL)
		refusal = "A URL option must not hold a query or a fragment.";
	else if (strcmp(scheme, "https") != 0 && strcmp(scheme, "http") != 0)
		refusal = is_proxy ? "The scheme must be http or https." : "The scheme must be https.";
	else if (is_proxy && strcmp(path, "/") != 0)
		refusal = "A proxy's URL must not hold a path.";
	else if (!is_proxy && strcmp(scheme, "http") == 0 && !is_loopback_host(host))
		refusal = "The scheme must be https; http is accepted only for a loopback host.";

	curl_free(user);
	curl_free(password);
	curl_free(query);
	curl_free(fragment);
	curl_free(scheme);
	curl_free(host);
	curl_free(path);
	return refusal;
}

static const char *
parse_url_refusal(const char *text, bool is_proxy)
{
	CURLU *url = curl_url();
	const char *refusal;

	if (url == NULL)
		return "There is not enough memory to read it.";
	/* which schemes libcurl knows differs from version to version */
	if (curl_url_set(url, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK)
		refusal = "It is not a valid URL with an http or https scheme.";
	else
		refusal = url_refusal(url, is_proxy);
	curl_url_cleanup(url);
	return refusal;
}

const char *
aep_http_url_refusal(const char *url)
{
	return parse_url_refusal(url, false);
}

const char *
aep_http_proxy_refusal(const char *url)
{
	return parse_url_refusal(url, true);
}

/* Whether a part of a URL is there, and passes the test if there is one. */
static bool
part_is(const char *text, CURLUPart part, bool (*test)(const char *value))
{
	CURLU *url = curl_url();
	char *value = NULL;
	bool result;

	if (url != NULL &&
		curl_url_set(url, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK)
		value = url_part(url, part);
	result = value != NULL && (test == NULL || test(value));
	curl_free(value);
	curl_url_cleanup(url);
	return result;
}

static bool
is_not_root(const char *path)
{
	return strcmp(path, "/") != 0;
}

bool
aep_http_url_is_loopback(const char *url)
{
	return part_is(url, CURLUPART_HOST, is_loopback_host);
}

bool
aep_http_url_has_path(const char *url)
{
	return part_is(url, CURLUPART_PATH, is_not_root);
}

bool
aep_http_url_has_port(const char *url)
{
	return part_is(url, CURLUPART_PORT, NULL);
}

bool
aep_http_form_field(AepBuffer *form, const char *name, const char *value)
{
	char *escaped = curl_easy_escape(NULL, value, 0);
	bool fits;

	if (escaped == NULL)
		return false;
	fits = (form->len == 0 || aep_buffer_append(form, "&", 1)) &&
		   aep_buffer_append(form, name, strlen(name)) && aep_buffer_append(form, "=", 1) &&
		   aep_buffer_append(form, escaped, strlen(escaped));
	explicit_bzero(escaped, strlen(escaped));
	curl_free(escaped);
	return fits;
}
