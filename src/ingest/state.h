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
#include "json/payload.h"

/* What a row's step can be. */
typedef enum AepIngestStep
{
	AEP_INGEST_ACTIVE,	 /* Experience Platform uses active_login */
	AEP_INGEST_ROTATING, /* pending_login is being introduced */
	AEP_INGEST_UNKNOWN	 /* nobody knows which of the logins it uses, if any */
} AepIngestStep;

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
	const char *kept_logins;   /* more that may be in use, each between blanks */
	AepIngestStep step;
	bool patched;			/* the platform has taken pending_login */
	const char *etag;		/* of the connection before, or if patched after the change */
	TimestampTz rotated_at; /* 0: never */
	const char *schemas;	/* what was granted, as array literals: names, */
	const char *tables;		/* and qualified names */
} AepIngestState;

extern const char *aep_ingest_step_name(AepIngestStep step);

/* All of these need SPI; strings are palloc'd in the context given. */

/*
 * The row of a connection; false if it has none.  A function that only looks is
 * read_only, a procedure that commits is not.
 */
extern bool aep_ingest_state_find(const char *connection_id, bool read_only, MemoryContext memory,
								  AepIngestState *state);

/* Raises 42704 for a connection that has none, or none that the caller may see. */
pg_noreturn extern void aep_ingest_state_missing(const char *connection_id);

/* Inserts the row, or updates all but its key. */
extern void aep_ingest_state_save(const AepIngestState *state);

extern void aep_ingest_state_delete(const char *role_name);

/* All rows, in the order of role_name; *count gets their number. */
extern AepIngestState *aep_ingest_state_list(MemoryContext memory, int *count);

#endif /* AEP_INGEST_STATE_H */
