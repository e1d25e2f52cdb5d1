/*
 * database/server_check.h
 *		What is missing or wrong in a server, its user mapping and the grants on
 *		them, as far as it is seen from inside.
 */
#ifndef AEP_SERVER_CHECK_H
#define AEP_SERVER_CHECK_H

#include "database/server.h"

/*
 * Gets what was found, and what would mend it: a statement where one can be
 * named.  The texts may be gone when it returns.  is_error: no request can be
 * made, or none succeeds; else it is probably wrong.
 */
typedef void (*AepServerFound)(void *data, bool is_error, const char *finding, const char *remedy);

/*
 * Hands over all that is found of the server of that name, as the current user
 * has it.  Returns its settings if the user may send anything by them, else NULL;
 * *complete: also with a credential, so that aep_call_begin() takes them.  Throws
 * nothing for what it is there to find.
 */
extern const AepServer *aep_server_check(const char *name, AepServerFound found, void *data,
										 bool *complete);

#endif /* AEP_SERVER_CHECK_H */
