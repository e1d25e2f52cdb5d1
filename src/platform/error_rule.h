/*
 * platform/error_rule.h
 *		The table of errors: what an exchange that went wrong is to PostgreSQL.
 */
#ifndef AEP_ERROR_RULE_H
#define AEP_ERROR_RULE_H

#include "http/http.h"
#include "platform/error.h"

/* Which requests a rule is about. */
typedef enum AepErrorScope
{
	EVERY_REQUEST,
	TOKEN_REQUEST,	  /* to IMS, for an access token */
	DATABASE_REQUEST, /* for which Experience Platform connects to a database */
	WITH_OWN_TOKEN,	  /* access_token of the user mapping */
	WITH_BOTH_TOKENS, /* it, though there is a client_secret */
	ANY_CHANGE,		  /* POST, PATCH, DELETE */
	SENT_CHANGE,	  /* one that may have reached the service */
	FAILED_CHANGE,	  /* one that the service failed at, now or before, maybe after it was made */
	REFUSED_LATER	  /* one of which an earlier attempt was not refused, but this one was */
} AepErrorScope;

typedef struct AepErrorRule
{
	AepHttpOutcome outcome;
	/* HTTP status, or its first digit; without an answer AepHttpObstacle; 0: any */
	int which;
	const char *codes; /* service codes without status suffix, blanks between; NULL: any */
	AepErrorScope scope;
	int sqlstate;
	const char *problem;	 /* completes "could not ...: " */
	const char *hint;		 /* what a user can do */
	const char *why_no_hint; /* without a hint, the reason */
} AepErrorRule;

/* The rule for an exchange that did not end as hoped; "code" is the service's, or "". */
extern const AepErrorRule *aep_error_rule(const AepErrorContext *context,
										  const AepHttpExchange *exchange, const char *code);

/* Whether it says that the object which was asked for does not exist. */
extern bool aep_error_rule_is_absence(const AepErrorRule *rule);

#endif /* AEP_ERROR_RULE_H */
