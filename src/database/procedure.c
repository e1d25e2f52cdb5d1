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

void
aep_procedure_begin(FunctionCallInfo fcinfo, const char *name)
{
	bool atomic = fcinfo->context == NULL || !IsA(fcinfo->context, CallContext) ||
				  ((CallContext *) fcinfo->context)->atomic;

	if (atomic)
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("%s cannot be called inside a transaction block", name),
				 errdetail("It commits between its steps, since what Experience Platform was "
						   "told cannot be rolled back.")));
	/* nothing is sent of which no note could be made here */
	PreventCommandDuringRecovery(name);
	PreventCommandIfReadOnly(name);
	if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect_ext failed");
}

void
aep_procedure_commit(void)
{
	ForceSyncCommit();
	SPI_commit();
}

void
aep_procedure_end(void)
{
	SPI_finish();
}
