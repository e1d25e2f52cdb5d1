/*
 * database/endpoint.h
 *		The address at which others reach this database.
 */
#ifndef AEP_ENDPOINT_H
#define AEP_ENDPOINT_H

#include "database/server.h"

typedef struct AepEndpoint
{
	const char *host; /* name or address; IPv6 without brackets */
	int port;
	const char *database;
	const char *host_source; /* which rule found the host */
} AepEndpoint;

/*
 * Finds host, port and database of the running server; the server options
 * advertised_host and advertised_port come first.  Never looks up a name, so
 * it cannot block.  Strings are in the current context, or the server's.
 */
extern void aep_endpoint_get(const AepServer *server, AepEndpoint *endpoint);

/* Whether host and port are those that aep_endpoint_get() finds. */
extern bool aep_endpoint_is_own(const AepServer *server, const char *host, int port);

/* The same in every session: not by how this one came in. */
extern void aep_endpoint_get_lasting(const AepServer *server, AepEndpoint *endpoint);

/*
 * Raises a WARNING if Experience Platform, which connects from outside, cannot
 * reach the host: loopback, link-local and private addresses, a name without a
 * dot.  Only a warning, since tunnels exist.
 */
extern void aep_endpoint_warn_unreachable(const char *host);

/* Why a text cannot be a host, as a sentence for an error detail; NULL if it can. */
extern const char *aep_endpoint_host_refusal(const char *host);

#endif /* AEP_ENDPOINT_H */
