/*
 * http/url.h
 *		URLs and form fields: checked, built, encoded.
 */
#ifndef AEP_URL_H
#define AEP_URL_H

#include "json/buffer.h"

/* A query parameter; UTF-8. */
typedef struct AepHttpParameter
{
	const char *name;
	const char *value;
	bool encoded; /* the value comes from a URL and is percent-encoded already */
} AepHttpParameter;

/*
 * A URL made of a base (which may end in a slash), paths and query parameters,
 * palloc'd.  Throws only for want of memory; what is no URL after all, libcurl
 * says when it is asked for it.
 */
extern char *aep_http_url(const char *base, const char *prefix, const char *path,
						  const AepHttpParameter *parameters, int nparameters);

/*
 * Appends "name=value" to an application/x-www-form-urlencoded body.  False:
 * out of memory.
 */
extern bool aep_http_form_field(AepBuffer *form, const char *name, const char *value);

/*
 * Why a URL must not be used for a service that gets our secrets, as a
 * sentence for an error detail, or NULL if it may: https, or http for a
 * loopback host; no user name, no password, no query, no fragment.
 */
extern const char *aep_http_url_refusal(const char *url);

/* The same for a proxy's URL: http or https, any host, nothing after it. */
extern const char *aep_http_proxy_refusal(const char *url);

/* Whether a URL that is not refused names this machine, has a path, names a port. */
extern bool aep_http_url_is_loopback(const char *url);
extern bool aep_http_url_has_path(const char *url);
extern bool aep_http_url_has_port(const char *url);

#endif /* AEP_URL_H */
