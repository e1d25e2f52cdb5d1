/*
 * platform/pending.h
 *		What this transaction created in Experience Platform, where a rollback
 *		does not reach.
 *
 * An object is registered before its request leaves.  If the transaction or
 * savepoint rolls back, a WARNING names what now stands there without a trace
 * here; what is committed, or was certainly not created, is forgotten.
 */
#ifndef AEP_PENDING_H
#define AEP_PENDING_H

#include "http/fate.h"

typedef struct AepPending AepPending;

/*
 * Registers an object that is about to be created; "kind" is a noun such as
 * "base connection", a constant, "collection" the path that it will be below
 * ("/flowservice/connections").  All text in the database's encoding; what is
 * no constant is copied.  Throws only for want of memory.  The entry lives as
 * long as the transaction, or until aep_pending_forget().
 */
extern AepPending *aep_pending_register(const char *kind, const char *collection, const char *name,
										const char *server);

/*
 * The fate of its creation, for the request to keep up to date.  Only what may
 * have been created is reported.
 */
extern AepFate *aep_pending_fate(AepPending *pending);

/* The object exists; logs its id.  An id that is not known: NULL. */
extern void aep_pending_created(AepPending *pending, const char *id);

/* No answer that is understood, and none will come; logs the name. */
extern void aep_pending_unknown(AepPending *pending);

/* Not created, as far as can be told: it was not sent, or the service says so. */
extern void aep_pending_forget(AepPending *pending);

#endif /* AEP_PENDING_H */
