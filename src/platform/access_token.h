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

/* A token on its way, for all that wait for it. */
typedef struct AepTokenFetch AepTokenFetch;

/*
 * Appends a copy of the token to send, and returns NULL; or, if none is at hand
 * that lives long enough, the fetch that will bring one.  That is begun here,
 * until "deadline" (aep_http_now() time) at the latest, unless one for the same
 * credential is on its way already.  The caller holds on to it, and must leave it
 * whatever happens: by a reset callback of its memory.  Throws HV00J if the user
 * mapping has neither a token nor a client secret, 22021 for one that cannot be
 * sent.
 */
extern AepTokenFetch *aep_access_token_ask(const AepServer *server, int64 deadline, AepBuffer *to);

/* Whether its result is there; it moves on with all exchanges, in aep_http_step(). */
extern bool aep_token_fetch_is_over(const AepTokenFetch *fetch);

/* The aep_http_now() time at which it is over at the latest. */
extern int64 aep_token_fetch_deadline(const AepTokenFetch *fetch);

/*
 * Once it is over: appends the token.  A failed exchange is no error: false, and
 * *error says why, in the current context; 28000 if IMS refuses the credential.
 */
extern bool aep_token_fetch_result(AepTokenFetch *fetch, AepBuffer *to, AepError *error);

/* Lets go of it; the last one that does ends it. */
extern void aep_token_fetch_leave(AepTokenFetch *fetch);

/* What keeps a call from its token that could not wait any longer: 08006. */
extern void aep_access_token_late(const AepServer *server, AepError *error);

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
