/*
 * http/setup.h
 *		The options of a handle: what a request asks for, and what nobody may
 *		decide but the server's options.
 *
 * Only http.c calls this.
 */
#ifndef AEP_SETUP_H
#define AEP_SETUP_H

#include <curl/curl.h>

#include "compat.h"
#include "http/http.h"

/* Sets an option, and lets no failure pass unseen. */
#define AEP_SETOPT(easy, option, value)                               \
	do                                                                \
	{                                                                 \
		CURLcode setopt_code = curl_easy_setopt(easy, option, value); \
		if (setopt_code != CURLE_OK)                                  \
			aep_setup_failed(#option, setopt_code);                   \
	} while (0)

/* Raises the error: 53200, or XX000 for an option that libcurl does not take. */
pg_noreturn extern void aep_setup_failed(const char *option, CURLcode code);

/* What is special about the way to a request's destination. */
typedef struct AepRoute
{
	bool secure;		 /* over TLS */
	bool proxy_over_tls; /* TLS within TLS */
} AepRoute;

/*
 * All but the callbacks.  *headers grows; it is the caller's to free, also after
 * an error.  Throws 54000 for a request that libcurl would not send.
 */
extern void aep_setup(CURL *easy, const AepHttpRequest *request, struct curl_slist **headers,
					  AepRoute *route);

#endif /* AEP_SETUP_H */
