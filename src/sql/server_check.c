/*
 * sql/server_check.c
 *		aep.check_server().
 */
#include "postgres.h"

#include "fmgr.h"

#include "compat.h"
#include "database/server_check.h"
#include "platform/probe.h"
#include "sql/argument.h"
#include "sql/row.h"

static void
store_finding(void *data, bool is_error, const char *finding, const char *remedy)
{
	AepRow *row = data;

	aep_row_text(row, is_error ? "error" : "warning");
	aep_row_text(row, finding);
	aep_row_text(row, remedy);
	aep_row_store(row);
}

AEP_SQL_FUNCTION(aep_check_server);

/* aep.check_server(server) -> one row per finding */
Datum
aep_check_server(PG_FUNCTION_ARGS)
{
	const char *name = aep_argument_server(fcinfo, 0);
	const AepServer *server;
	bool complete;
	AepRow row;

	aep_row_begin_set(&row, fcinfo);
	server = aep_server_check(name, store_finding, &row, &complete);
	if (server != NULL)
		aep_probe(server, complete, store_finding, &row);
	return (Datum) 0;
}
