/*
 * access_token.h
 *		The bearer token for Flow Service.
 */
#ifndef AEP_ACCESS_TOKEN_H
#define AEP_ACCESS_TOKEN_H

#include "server.h"

/*
 * The token to send, owned by the server.  Throws HV00J if the user mapping
 * has none.
 */
extern const char *aep_access_token(const AepServer *server);

#endif /* AEP_ACCESS_TOKEN_H */
