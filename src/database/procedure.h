/*
 * database/procedure.h
 *		Procedures that commit between their steps.
 */
#ifndef AEP_PROCEDURE_H
#define AEP_PROCEDURE_H

#include "fmgr.h"

/*
 * Connects to SPI for a procedure that commits.  Throws 25001, before anything
 * has happened, if the call stands in a transaction block or a function.
 */
extern void aep_procedure_begin(FunctionCallInfo fcinfo, const char *name);

/*
 * Commits what was done so far, safely on disk even with synchronous_commit
 * off: what comes next tells another system of it.
 */
extern void aep_procedure_commit(void);

extern void aep_procedure_end(void);

#endif /* AEP_PROCEDURE_H */
