/*
 * request.h
 *		The request of the floors: the same bytes that aep.create_base_connection()
 *		sends for the arguments in driver.sql.  bench/run compares the sizes.
 */
#ifndef BENCH_REQUEST_H
#define BENCH_REQUEST_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <curl/curl.h>

#define TOKEN_LENGTH 1024
#define DESCRIPTION_LENGTH 260

#define BODY_START "{\"name\":\"PostgreSQL postgres at db1.example.com:5432\",\"description\":\""
#define BODY_END                                                                                  \
	"\",\"auth\":{\"specName\":\"Basic Authentication\",\"params\":{\"server\":"                  \
	"\"db1.example.com\",\"port\":\"5432\",\"database\":\"postgres\",\"username\":\"acme\","      \
	"\"password\":\"the database password\",\"sslMode\":\"Prefer\"}},\"connectionSpec\":{\"id\":" \
	"\"74a1c565-4e59-48d7-9d67-7c03b8a13137\",\"version\":\"1.0\"}}"

static char body[1024];
static struct curl_slist *headers;

static inline void
fail(const char *what, const char *why)
{
	fprintf(stderr, "%s: %s\n", what, why);
	exit(1);
}

/* PostgreSQL's clock_timestamp() has whole microseconds; so has this. */
static inline long
now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_REALTIME, &time);
	return time.tv_sec * 1000000L + time.tv_nsec / 1000;
}

static inline void
prepare_request(void)
{
	static const char *const lines[] = {
		"x-api-key: bench-api-key",		  "x-gw-ims-org-id: 5C1328435BF324E90A49402A@AdobeOrg",
		"x-sandbox-name: prod",			  "Accept: application/json",
		"Content-Type: application/json",
	};
	char authorization[TOKEN_LENGTH + 32] = "Authorization: Bearer ";
	char description[DESCRIPTION_LENGTH + 1] = "";

	memset(authorization + strlen(authorization), 't', TOKEN_LENGTH);
	headers = curl_slist_append(headers, authorization);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		headers = curl_slist_append(headers, lines[i]);
	memset(description, 'd', DESCRIPTION_LENGTH);
	snprintf(body, sizeof(body), "%s%s%s", BODY_START, description, BODY_END);
}

/* "protocol" is any or http1 */
static inline CURL *
new_handle(const char *url, const char *ca_file, const char *protocol)
{
	CURL *easy = curl_easy_init();

	if (easy == NULL)
		fail("curl_easy_init", "no handle");
	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
					 strcmp(protocol, "http1") == 0 ? (long) CURL_HTTP_VERSION_1_1
													: (long) CURL_HTTP_VERSION_2TLS);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	return easy;
}

static inline void
check_answer(CURL *easy, CURLcode code, long expected)
{
	long status = 0;

	if (code != CURLE_OK)
		fail("libcurl", curl_easy_strerror(code));
	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	if (status != expected)
		fail("the server", "not the answer expected");
}

#endif /* BENCH_REQUEST_H */
