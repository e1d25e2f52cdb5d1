/*
 * platform/error.h
 *		What went wrong with an exchange, in PostgreSQL's terms.
 */
#ifndef AEP_ERROR_H
#define AEP_ERROR_H

#include "compat.h"
#include "http/http.h"
#include "json/mask.h"

/* Where the access token of a call comes from. */
typedef enum AepTokenSource
{
	AEP_TOKEN_FETCHED,		/* with client_secret */
	AEP_TOKEN_OWN,			/* access_token of the user mapping */
	AEP_TOKEN_BEFORE_SECRET /* the same, and there is a client_secret that it makes useless */
} AepTokenSource;

/* What was being done, for the message. */
typedef struct AepErrorContext
{
	const char *action; /* completes "could not ..." */
	const char *server; /* name of the foreign server */
	const char *method;
	const AepSecrets *secrets; /* none of them reaches the user */
	bool token_request;		   /* to IMS, for an access token */
	bool reaches_database;	   /* Experience Platform connects to a database for it */
	AepTokenSource token;
	bool hides_answer; /* of which no words are shown: it may repeat other secrets */
} AepErrorContext;

/* An error not yet raised; texts in the database's encoding. */
typedef struct AepError
{
	int sqlstate;
	const char *message;
	const char *detail; /* or NULL */
	const char *hint;	/* or NULL */
	AepFateState fate;	/* of the change that was asked for; from AEP_FATE_OPEN on it may be made */
} AepError;

/*
 * Fills *error from an exchange that did not end in the 2xx answer hoped for.
 * Texts are palloc'd in the current context.
 */
extern void aep_error_from_exchange(const AepErrorContext *context, AepHttpExchange *exchange,
									AepError *error);

/*
 * The same for a complete 2xx answer that was not understood: 08P01, showing
 * the answer (masked, clipped), unless it was read and may hold a password.
 * "why" completes "The answer ...".
 */
extern void aep_error_not_understood(const AepErrorContext *context, AepHttpExchange *exchange,
									 const char *why, AepError *error);

/* The same for the answer of IMS, which may hold a token and is not shown. */
extern void aep_error_token_not_understood(const AepErrorContext *context,
										   AepHttpExchange *exchange, const char *why,
										   AepError *error);

/*
 * Whether the service did not take the access token, and so did nothing.  Facts:
 * the gateway says 401, Flow Service 400 with a code of its own; a 401 may also
 * be about the connection's login or the organisation, which no token mends.
 */
extern bool aep_error_token_refused(const AepHttpExchange *exchange);

/*
 * Whether a complete answer says that the object does not exist.  Facts: the code
 * FLOW-1439 says so with either status, 400 or 404.
 */
extern bool aep_error_says_absent(const AepHttpExchange *answer);

/* Whether it is a request of a change: nothing that only asks, nor one of a token. */
extern bool aep_error_is_change(const AepErrorContext *context);

/*
 * The same for a request that was not sent, or not again, for want of an access
 * token; token_error says why there is none.  After an attempt that was not
 * surely refused that leaves the outcome unknown: 08007.
 */
extern void aep_error_without_token(const AepErrorContext *context, const AepError *token_error,
									const AepFate *fate, AepError *error);

/* Message, detail and hint in one line, palloc'd, for a column: such as the client can be sent. */
extern const char *aep_error_line(const AepError *error);

/* Copies the texts into the current context. */
extern void aep_error_copy(AepError *error);

/* Raises it, with question marks in a text that the client's encoding cannot hold. */
pg_noreturn extern void aep_error_raise(const AepError *error);

#endif /* AEP_ERROR_H */
