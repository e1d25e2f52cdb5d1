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
 * The token to send; valid until the next call of a function of this file.
 * Fetches one if none is at hand that lives long enough, until "deadline"
 * (aep_http_now() time) at the latest.  Throws HV00J if the user mapping has
 * neither a token nor a client secret, 28000 if IMS refuses the credential,
 * and what error.c says of a failed exchange.
 */
extern const char *aep_access_token(const AepServer *server, int64 deadline);

/* The same, but a failed exchange is no error: NULL, and *error says why. */
extern const char *aep_access_token_try(const AepServer *server, int64 deadline, AepError *error);

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
