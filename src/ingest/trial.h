/*
 * ingest/trial.h
 *		A connection beside the real one, which proves that Experience Platform
 *		gets in here with a new login before the real one is told of it.
 *
 * Nobody but this database knows the login's password.  If the platform can
 * connect with it, then to this database: not to the original that this one may
 * be a copy of, nor to whatever else the address leads to.
 */
#ifndef AEP_TRIAL_H
#define AEP_TRIAL_H

#include "database/server.h"
#include "ingest/role.h"
#include "ingest/state.h"
#include "platform/error.h"

/* A name that no other connection has, palloc'd; for trial_name, before it is made. */
extern const char *aep_trial_name(const AepIngestState *state);

/*
 * Makes the connection called trial_name, with the pending login and all else as
 * the real one has it, and sets trial_id.  False: *error says why there is none,
 * or perhaps none.
 */
extern bool aep_trial_create(const AepServer *server, AepIngestState *state,
							 const AepPassword *password, AepError *error);

/*
 * Has it deleted, if there is one, and forgets it: trial_name and trial_id are
 * NULL.  One whose creation has an unknown outcome is looked for by its name; a
 * WARNING tells of one that is not there (yet).  Raises what goes wrong.
 */
extern void aep_trial_delete(const AepServer *server, AepIngestState *state);

/* The same, but what goes wrong is left to the next call: then both stay. */
extern void aep_trial_try_delete(const AepServer *server, AepIngestState *state);

#endif /* AEP_TRIAL_H */
