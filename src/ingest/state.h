/*
 * ingest/state.h
 *		What is known of the logins that Experience Platform uses: the table
 *		aep.ingest_role.  It never holds a secret.
 *
 * The table is the extension owner's alone; it is read and written here on the
 * owner's behalf, with a pinned search path, whoever called.  What the roles
 * themselves become is done with the caller's rights, elsewhere.
 */
#ifndef AEP_INGEST_STATE_H
#define AEP_INGEST_STATE_H

#include "datatype/timestamp.h"

#include "compat.h"
#include "database/installation.h"
#include "json/payload.h"

/* What a row's step can be. */
typedef enum AepIngestStep
{
	AEP_INGEST_ACTIVE,	 /* Experience Platform uses active_login */
	AEP_INGEST_PROVING,	 /* pending_login is tried, through a connection of its own */
	AEP_INGEST_ROTATING, /* pending_login is being introduced */
	AEP_INGEST_UNKNOWN	 /* nobody knows which of the logins it uses, if any */
} AepIngestStep;

/*
 * A row.  Whoever can write the table can write anything: only a row without a
 * problem (see validity.h) is as described here; of any other the strings may
 * hold anything, and be NULL.
 */
typedef struct AepIngestState
{
	const char *role_name; /* holds the grants; key */
	const char *server;
	const char *connection_id; /* NULL: the answer to its creation was lost */
	const char *connection_name;
	AepAuthType auth_type;
	const char *ssl_mode; /* NULL: not sent */
	const char *host;
	int port;
	const char *database;
	int connection_limit;
	const char *active_login;
	const char *pending_login; /* NULL: none */
	const char *kept_logins;   /* a list (see below): more that may be in use */
	const char *made_logins;   /* a list: all that are ours; NULL: before 2.0, not noted */
	AepIngestStep step;
	bool patched;			/* the platform has taken pending_login */
	const char *etag;		/* of the connection before, or if patched after the change */
	TimestampTz rotated_at; /* 0: never */
	const char *trial_name; /* a connection made to try a login, or being made; NULL: none */
	const char *trial_id;	/* NULL: not known */
	bool moves;				/* the next rotation gives the connection this address */
	AepInstallation installation;
	const char *schemas; /* what was granted, as array literals: names, */
	const char *tables;	 /* and qualified names */
	const char *problem; /* with the row, a sentence; NULL: none */
} AepIngestState;

extern const char *aep_ingest_step_name(AepIngestStep step);

/* All of these need SPI; strings are palloc'd in the context given. */

/*
 * The row of a connection, or of a role; false if it has none.  A function that
 * only looks is read_only, a procedure that commits is not.
 */
extern bool aep_ingest_state_find(const char *connection_id, bool read_only, MemoryContext memory,
								  AepIngestState *state);
extern bool aep_ingest_state_find_role(const char *role_name, MemoryContext memory,
									   AepIngestState *state);

/*
 * The role whose connection it is, in the current context; NULL if it is none's.
 * The only one that needs no SPI, and works with the table of any version.
 */
extern const char *aep_ingest_role_of(const char *connection_id);

/* Raises 42704 for a connection that has none, or none that the caller may see. */
pg_noreturn extern void aep_ingest_state_missing(const char *connection_id);

/* Inserts the row, or updates all but its key. */
extern void aep_ingest_state_save(const AepIngestState *state);

extern void aep_ingest_state_delete(const char *role_name);

/* All rows, in the order of role_name; *count gets their number. */
extern AepIngestState *aep_ingest_state_list(MemoryContext memory, int *count);

/*
 * A list of logins is a text in which each stands between blanks.  Adding gives
 * a new one, palloc'd.
 */
extern bool aep_ingest_list_has(const char *list, const char *login);
extern const char *aep_ingest_list_add(const char *list, const char *login);

#endif /* AEP_INGEST_STATE_H */
