/*
 * ingest/check.h
 *		What would keep Experience Platform from reading, found from inside.
 */
#ifndef AEP_INGEST_CHECK_H
#define AEP_INGEST_CHECK_H

#include "database/check.h"
#include "ingest/state.h"

/*
 * Runs the checks of src/ingest/checks/ for the login that is in use, one after
 * the other in the order of their files, and hands over what they find.  They
 * run as the caller, who may see less than a superuser does: what cannot be
 * looked at is a finding too.  Needs SPI.
 */
extern void aep_ingest_check(const AepIngestState *state, AepFound found, void *data);

#endif /* AEP_INGEST_CHECK_H */
