/*
 * ingest/validity.h
 *		Whether a row of aep.ingest_role may be worked with: it makes sense, and
 *		it is this database's.
 */
#ifndef AEP_INGEST_VALIDITY_H
#define AEP_INGEST_VALIDITY_H

#include "database/server.h"
#include "ingest/state.h"

/*
 * What is wrong with a row that was read, as a sentence; NULL: nothing, and it
 * is as state.h says.
 */
extern const char *aep_ingest_problem(const AepIngestState *state);

/* Throws 55000, with what to do, for a row with a problem. */
extern void aep_ingest_require_valid(const AepIngestState *state);

/*
 * Throws 55000 for a row that is not bound to this database; the server is the
 * row's.  Without that, nobody must use the power that the row gives.
 */
extern void aep_ingest_require_bound(const AepIngestState *state, const AepServer *server);

#endif /* AEP_INGEST_VALIDITY_H */
