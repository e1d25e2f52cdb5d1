/*
 * database/procedure.c
 *		Procedures that commit between their steps.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"

#include "database/procedure.h"

/*
 * A cancel, a timeout, the end of the session: PostgreSQL's own errors, which
 * have no hint.  They come from anywhere, so that only this can add one.
 */
static void
hint_of_interrupt(void *arg)
{
	const AepProcedure *procedure = arg;

	if (ERRCODE_TO_CATEGORY(geterrcode()) == ERRCODE_OPERATOR_INTERVENTION)
		errhint("%s", procedure->resume);
}

void
aep_procedure_begin(AepProcedure *procedure, FunctionCallInfo fcinfo, const char *name,
					const char *example, const char *resume)
{
	bool atomic = fcinfo->context == NULL || !IsA(fcinfo->context, CallContext) ||
				  ((CallContext *) fcinfo->context)->atomic;

	if (atomic)
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("%s cannot be called inside a transaction block", name),
				 errdetail("It commits between its steps, since what Experience Platform was "
						   "told cannot be rolled back."),
				 errhint("Call it as a statement of its own, with autocommit on. In PL/pgSQL it "
						 "can stand in DO, and in a procedure that is called so, but not in a "
						 "function, a block with EXCEPTION, or a procedure with SECURITY DEFINER "
						 "or SET; what it returns needs variables there: %s.",
						 example)));
	/* nothing is sent of which no note could be made here */
	PreventCommandDuringRecovery(name);
	PreventCommandIfReadOnly(name);
	if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect_ext failed");

	procedure->resume = resume;
	procedure->callback.callback = hint_of_interrupt;
	procedure->callback.arg = procedure;
	procedure->callback.previous = error_context_stack;
	error_context_stack = &procedure->callback;
}

void
aep_procedure_commit(void)
{
	ForceSyncCommit();
	SPI_commit();
}

void
aep_procedure_end(AepProcedure *procedure)
{
	error_context_stack = procedure->callback.previous;
	SPI_finish();
}
