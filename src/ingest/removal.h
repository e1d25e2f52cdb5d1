/*
 * ingest/removal.h
 *		The end of an ingest role: the steps of aep.drop_ingest_role().
 */
#ifndef AEP_REMOVAL_H
#define AEP_REMOVAL_H

#include "database/server.h"
#include "ingest/state.h"

/*
 * Has the connection deleted, and what may be left of a rotation; then drops the
 * roles, and the row with them, and commits.  What is gone already is no error.
 * Nothing is changed here before the platform has deleted the connection, so
 * that after an error the same call goes on.
 */
extern void aep_removal_run(const AepServer *server, AepIngestState *state);

#endif /* AEP_REMOVAL_H */
