/*
 * sql/ingest_check.c
 *		aep.check_ingest_role().
 */
#include "postgres.h"

#include "executor/spi.h"
#include "fmgr.h"

#include "compat.h"
#include "ingest/check.h"
#include "ingest/role.h"
#include "ingest/state.h"
#include "sql/argument.h"
#include "sql/row.h"

static void
store_finding(void *data, const char *finding, const char *remedy)
{
	AepRow *row = data;

	aep_row_text(row, finding);
	aep_row_text(row, remedy);
	aep_row_store(row);
}

AEP_SQL_FUNCTION(aep_check_ingest_role_2_0);

/* aep.check_ingest_role(connection_id) -> one row per finding */
Datum
aep_check_ingest_role_2_0(PG_FUNCTION_ARGS)
{
	const char *connection_id = aep_argument_uuid_required(fcinfo, 0, "connection_id");
	AepIngestState state;
	AepRow row;

	aep_row_begin_set(&row, fcinfo);
	SPI_connect();
	if (!aep_ingest_state_find(connection_id, true, CurrentMemoryContext, &state) ||
		!aep_ingest_role_may_see(state.role_name))
		aep_ingest_state_missing(connection_id);
	aep_ingest_check(&state, store_finding, &row);
	SPI_finish();
	return (Datum) 0;
}
