/*
 * platform/probe.h
 *		One cheap request, to see what keeps a server's requests from succeeding.
 */
#ifndef AEP_PROBE_H
#define AEP_PROBE_H

#include "database/server.h"

/* Gets what was found, as in server_check.h: gone when it returns; the remedy may be NULL. */
typedef void (*AepProbeFound)(void *data, bool is_error, const char *finding, const char *remedy);

/*
 * Asks the gateway for one connection, with all that a call of ours has: token,
 * key, organisation, sandbox.  Where no token is to be had, it asks without any,
 * which shows whether the gateway is there.  with_credential: the settings are
 * complete, as aep_call_begin() wants them; else only the latter is done.  Throws
 * nothing for what it is there to find.
 */
extern void aep_probe(const AepServer *server, bool with_credential, AepProbeFound found,
					  void *data);

#endif /* AEP_PROBE_H */
