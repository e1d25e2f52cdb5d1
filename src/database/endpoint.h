/*
 * database/endpoint.h
 *		The address at which others reach this database.
 */
#ifndef AEP_ENDPOINT_H
#define AEP_ENDPOINT_H

#include "database/server.h"
#include "database/value.h"

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
 * Whether Experience Platform, which connects from outside, cannot reach the
 * host: loopback, link-local and private addresses, names that are known inside
 * only.  No more than suspect, since tunnels exist; and a loopback address is
 * right for a platform that is on this machine itself, by the server's base_url.
 */
extern bool aep_endpoint_suspect(const AepServer *server, const char *host,
								 AepSuspicion *suspicion);

/* Raises a WARNING of it. */
extern void aep_endpoint_warn_unreachable(const AepServer *server, const char *host);

#endif /* AEP_ENDPOINT_H */
