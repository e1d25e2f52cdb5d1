/*
 * database/value.h
 *		What people type and paste, by kind: options, arguments, the attributes
 *		of specs.
 *
 * Each kind has one rule, wherever a value of it comes from.  What can never be
 * right is refused, what is probably wrong is suspect.  Nothing here throws for
 * what is wrong with a value, and no text that comes back holds one.
 */
#ifndef AEP_VALUE_H
#define AEP_VALUE_H

#include "nodes/pg_list.h"

/* Flow Service and its neighbours are below this path of the gateway. */
#define AEP_FOUNDATION_PATH "/data/foundation"

typedef enum AepValueKind
{
	AEP_VALUE_ORG_ID,
	AEP_VALUE_SANDBOX,
	AEP_VALUE_API_KEY,
	AEP_VALUE_ACCESS_TOKEN,
	AEP_VALUE_CLIENT_SECRET,
	AEP_VALUE_SCOPES,
	AEP_VALUE_ROLE,		/* one that there is, or may be */
	AEP_VALUE_NEW_ROLE, /* one that is made here */
	AEP_VALUE_PASSWORD,
	AEP_VALUE_DATABASE,
	AEP_VALUE_CONNECTION_NAME,
	AEP_VALUE_HOST,
	AEP_VALUE_BASE_URL,
	AEP_VALUE_TOKEN_URL,
	AEP_VALUE_PROXY,
	AEP_VALUE_CA_FILE,
	AEP_VALUE_REQUEST_PATH, /* below AEP_FOUNDATION_PATH */
	AEP_VALUE_ETAG,
	AEP_VALUE_IF_MATCH,
	AEP_VALUE_STATE_FILTER,
	/* whole numbers */
	AEP_VALUE_PORT,
	AEP_VALUE_DURATION, /* ms */
	AEP_VALUE_SIZE,		/* bytes */
	AEP_VALUE_ATTEMPTS,
	AEP_VALUE_CONCURRENCY
} AepValueKind;

/* What is said against a value; constants, or in the current context. */
typedef struct AepObjection
{
	const char *detail; /* a sentence */
	const char *hint;	/* a sentence, or NULL */
} AepObjection;

/* A WARNING not yet raised; constants, or in the current context. */
typedef struct AepSuspicion
{
	const char *message;
	AepObjection why;
} AepSuspicion;

/* Raises it; all of a list. */
extern void aep_suspicion_raise(const AepSuspicion *suspicion);
extern void aep_suspicions_raise(const List *suspicions);

/* Whether a value can never be right; *why says so then.  Empty ones cannot. */
extern bool aep_value_refused(AepValueKind kind, const char *value, AepObjection *why);

/*
 * Whether a value that is not refused is probably wrong.  Asks for the file that
 * a path names whether it can be read; no other I/O.
 */
extern bool aep_value_suspect(AepValueKind kind, const char *value, AepObjection *why);

/* Whether it is a kind of whole numbers. */
extern bool aep_value_is_number(AepValueKind kind);

/* Reads one of them, with a unit where the kind has some.  False: *why says what it must be. */
extern bool aep_value_number(AepValueKind kind, const char *text, int *number, AepObjection *why);

/* Whether a number is in the kind's range; else *why says which that is. */
extern bool aep_value_in_range(AepValueKind kind, int number, AepObjection *why);

/* The service's word for the state of a connection, letter case aside; NULL for any other text. */
extern const char *aep_value_state(const char *text);

#endif /* AEP_VALUE_H */
