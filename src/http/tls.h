/*
 * http/tls.h
 *		What only the TLS library knows of a connection of libcurl's, and what
 *		only it can limit.
 *
 * All of it needs the OpenSSL that this was compiled with.  Of a connection
 * over any other TLS library nothing is known.
 */
#ifndef AEP_TLS_H
#define AEP_TLS_H

#include <curl/curl.h>

/* Whether libcurl uses the OpenSSL that this was compiled with. */
extern bool aep_tls_is_known(void);

/*
 * For CURLOPT_SSL_CTX_FUNCTION, if it is known: no key of the connection is
 * written anywhere, and what is read on it is counted.  With "arg" (a proxy
 * that is spoken to over TLS, too) it is not counted.
 */
extern CURLcode aep_tls_prepare(CURL *easy, void *context, void *arg);

/* A call of libcurl begins: it may read some more. */
extern void aep_tls_call_begins(void);

/*
 * For CURLOPT_PREREQFUNCTION: how many bytes may come in on the connection for
 * the request that goes out next, all that is below HTTP included.  Over
 * HTTP/2 the requests of one connection add up.  The result stands for the
 * connection, and points to nothing; NULL: nothing is counted.
 */
extern const void *aep_tls_allow(CURL *easy, int64 bytes);

/* Whether that connection was the last one that had to be ended, for more came in. */
extern bool aep_tls_flooded(const void *connection);

/*
 * For CURLOPT_PREREQFUNCTION: whether the connection speaks HTTP/2, where each
 * answer names its request; whether no byte of it waits inside the TLS library.
 * False if that is not known.
 */
extern bool aep_tls_is_framed(CURL *easy);
extern bool aep_tls_is_drained(CURL *easy);

#endif /* AEP_TLS_H */
