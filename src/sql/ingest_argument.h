/*
 * sql/ingest_argument.h
 *		The row of aep.ingest_role that the arguments of a procedure are about,
 *		and its server.  Needs SPI; all memory is in the current context.
 */
#ifndef AEP_INGEST_ARGUMENT_H
#define AEP_INGEST_ARGUMENT_H

#include "fmgr.h"

#include "database/server.h"
#include "ingest/state.h"

/* A name argument as the caller's own copy; throws 22004 for NULL. */
extern const char *aep_argument_name_required(FunctionCallInfo fcinfo, int number,
											  const char *name);

/*
 * The row of a role.  Throws 42704 for one that the caller may not see, as if
 * there were none.
 */
extern void aep_ingest_argument_role(const char *role_name, AepIngestState *state);

/*
 * The row's server: the argument may name it, or be NULL, or take the place of
 * one that does not exist any more, as after a RENAME; then the state has it.
 * Throws 22023 for another one, and as aep_server_get().
 */
extern const AepServer *aep_ingest_argument_server(FunctionCallInfo fcinfo, int number,
												   bool missing_mapping_ok, AepIngestState *state);

#endif /* AEP_INGEST_ARGUMENT_H */
