/*
 * ingest/rotation.h
 *		A new login with a new password for a connection: proved, then told to
 *		Experience Platform, before the old one goes.  For a procedure that
 *		commits.
 */
#ifndef AEP_ROTATION_H
#define AEP_ROTATION_H

#include "database/server.h"
#include "ingest/state.h"

/*
 * Goes on where the state says that the last call ended, and commits before each
 * step that cannot be taken back.  The state, read under the role's lock, is
 * kept up to date; active_login and etag are the new ones at the end, in the
 * procedure's memory.  Throws what the platform answers, and 08000 if it could
 * not connect with the new login: the former ones work still.
 */
extern void aep_rotation_run(const AepServer *server, AepIngestState *state);

#endif /* AEP_ROTATION_H */
