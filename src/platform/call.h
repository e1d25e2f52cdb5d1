/*
 * platform/call.h
 *		One call of Experience Platform's gateway: headers, access token, errors.
 *		What is called, and what the answer means, is flow_service.c's.
 */
#ifndef AEP_CALL_H
#define AEP_CALL_H

#include "utils/jsonb.h"

#include "compat.h"
#include "database/server.h"
#include "http/http.h"
#include "http/url.h"
#include "platform/access_token.h"
#include "platform/error.h"
#include "platform/parse.h"
#include "platform/pending.h"

/* Flow Service's base connections, below the gateway's /data/foundation. */
#define AEP_CONNECTIONS_PATH "/flowservice/connections"

/*
 * A call on its way.  All its memory, the answer included, is in a context
 * below the one that was current at aep_call_begin(); it is given back, secrets
 * wiped, by aep_call_end() or when that context goes.
 */
typedef struct AepCall
{
	/* set by the caller before aep_call_start(), as needed */
	AepBuffer body;				   /* JSON; given back with the call */
	const AepHttpParameter *query; /* UTF-8; must stay until the call is over */
	int nquery;
	const char *etag;			  /* for If-Match */
	const AepHttpHeader *headers; /* further ones; must stay until the end */
	int nheaders;
	AepPending *pending; /* what it creates; NULL: nothing */
	bool in_batch;		 /* one of many at once */
	void *item;			 /* of the caller's, whatever it is */

	AepHttpExchange *exchange; /* after aep_call_wait(); NULL: there was no token */

	const AepServer *server;
	AepErrorContext context;
	AepSecrets secrets;
	char *wiped[AEP_MAX_SECRETS]; /* copies of them in this call's memory */
	int nwiped;
	MemoryContext memory;
	const char *path;
	int64 deadline;		  /* aep_http_now() time by which all of it must end; 0: not begun */
	AepBuffer token;	  /* the Authorization header's value */
	AepTokenFetch *fetch; /* that it waits for; NULL: it does not */
	AepFate own_fate;	  /* of what it asks for, if nothing is pending */
	bool renewed;		  /* the access token was, for this call */
	bool no_token;		  /* there is none to be had: it was not sent, or not again */
	bool late;			  /* because it had no time left to wait for it */
	AepError token_error;
	int nsecrets; /* without the token */
	MemoryContextCallback release;
} AepCall;

/*
 * Prepares a call.  "method" is a constant; "path" UTF-8, below
 * base_url/data/foundation; "action" a constant that completes "could not ...".
 * Throws HV00J for a server that is not complete.
 */
extern AepCall *aep_call_begin(const AepServer *server, const char *method, const char *path,
							   const char *action);

/*
 * A secret that the request or the answer may hold, as UTF-8: no error shows
 * it, and the copy that it may be is wiped at the call's end.  NULL for NULL.
 * Throws 22021 if it cannot be UTF-8; "what" names it then.
 */
extern const char *aep_call_secret(AepCall *call, const char *secret, const char *what);

/*
 * Sends it as soon as there is an access token: at once, or when one that is
 * fetched has come.  The call moves on in aep_call_is_over().  Throws for want of
 * memory, and for a user mapping without a credential.
 */
extern void aep_call_start(AepCall *call);

/* Instead of sending it: there is no token, as an earlier call of the batch has found. */
extern void aep_call_refuse(AepCall *call, const AepError *token_error);

/* Whether aep_call_is_over() has something to look at: it would not only say no. */
extern bool aep_call_stirs(const AepCall *call);

/*
 * Moves the call on; whether the answer, or the failure, is there.  A token that
 * was refused is renewed, once, and the call sent again.  Waits for nothing, and
 * serves no interrupts.
 */
extern bool aep_call_is_over(AepCall *call);

/* Milliseconds after which it stirs even if nothing happens; -1: it does not. */
extern int64 aep_call_patience(const AepCall *call);

/* Sends it if that was not done, and waits until it is over. */
extern void aep_call_wait(AepCall *call);

/* Makes sure that an access token is at hand; raises what keeps it from that. */
extern void aep_call_require_token(const AepServer *server);

/* The exchange, if it ended in a complete answer, whatever its status; else NULL. */
extern AepHttpExchange *aep_call_answer(const AepCall *call);

/*
 * The id of what a POST has created, by the header Location of its answer: a
 * UUID behind the path that was called.  id has room for 37 bytes; false: there
 * is none.
 */
extern bool aep_call_location_id(const AepCall *call, char *id);

/*
 * True for a complete 2xx answer; else *error tells what went wrong, in the
 * current context, and the pending object is settled.
 */
extern bool aep_call_succeeded(AepCall *call, AepError *error);

/* aep_call_wait(), and raises the error unless it succeeded. */
extern void aep_call_require_success(AepCall *call);

/*
 * The answer as JSON, in the current context, a list in it taken as parse.h says;
 * NULL: there is none.  Throws 08P01 if it is not JSON.
 */
extern JsonbContainer *aep_call_document(AepCall *call, const AepList *list);

/* Raises 08P01: the answer "why" (completes "The answer ..."), showing it. */
pg_noreturn extern void aep_call_not_understood(AepCall *call, const char *why);

extern void aep_call_end(AepCall *call);

/* Raises 53200 for a request that could not be built. */
pg_noreturn extern void aep_call_out_of_memory(void);

#endif /* AEP_CALL_H */
