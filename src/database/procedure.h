/*
 * database/procedure.h
 *		Procedures that commit between their steps.
 */
#ifndef AEP_PROCEDURE_H
#define AEP_PROCEDURE_H

#include "fmgr.h"

typedef struct AepProcedure
{
	const char *resume;
	ErrorContextCallback callback;
} AepProcedure;

/*
 * Connects to SPI for a procedure that commits.  Throws 25001, before anything
 * has happened, if the call stands in a transaction block or a function; its hint
 * has "example", the call as PL/pgSQL takes it.  "resume" is a sentence, the hint
 * of an interrupt until aep_procedure_end(): how to go on.
 */
extern void aep_procedure_begin(AepProcedure *procedure, FunctionCallInfo fcinfo, const char *name,
								const char *example, const char *resume);

/*
 * Commits what was done so far, safely on disk even with synchronous_commit
 * off: what comes next tells another system of it.
 */
extern void aep_procedure_commit(void);

extern void aep_procedure_end(AepProcedure *procedure);

#endif /* AEP_PROCEDURE_H */
