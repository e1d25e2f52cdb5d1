/*
 * platform/access_token.h
 *		The bearer token for Flow Service: the user mapping's own, or one from
 *		Adobe's identity service (IMS), fetched, kept and renewed here.
 */
#ifndef AEP_ACCESS_TOKEN_H
#define AEP_ACCESS_TOKEN_H

#include "datatype/timestamp.h"

#include "database/server.h"
#include "platform/error.h"

/*
 * Appends a copy of the token to send.  Fetches one if none is at hand that lives
 * long enough, until "deadline" (aep_http_now() time) at the latest.  A failed
 * exchange is no error: false, and *error says why, 28000 if IMS refuses the
 * credential.  Throws HV00J if the user mapping has neither a token nor a client
 * secret.
 */
extern bool aep_access_token_append(const AepServer *server, int64 deadline, AepBuffer *to,
									AepError *error);

/* Makes sure that a token is at hand; throws what keeps it from that. */
extern void aep_access_token_require(const AepServer *server, int64 deadline);

/*
 * The service refused this token.  True if another one can be had: it was
 * fetched, and is now dropped, so that the next call fetches anew, unless that
 * has happened since.
 */
extern bool aep_access_token_refused(const AepServer *server, const char *token);

typedef struct AepAccessTokenInfo
{
	bool fetched; /* else the other members mean nothing */
	TimestampTz fetched_at;
	TimestampTz expires_at;
} AepAccessTokenInfo;

/* What is known of the token at hand; fetches nothing, never gives the token. */
extern void aep_access_token_describe(const AepServer *server, AepAccessTokenInfo *info);

#endif /* AEP_ACCESS_TOKEN_H */
