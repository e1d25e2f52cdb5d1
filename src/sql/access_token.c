/*
 * sql/access_token.c
 *		aep.access_token_info(): what is known of the token at hand.
 */
#include "postgres.h"

#include "fmgr.h"

#include "compat.h"
#include "database/server.h"
#include "platform/access_token.h"
#include "sql/argument.h"
#include "sql/row.h"

AEP_SQL_FUNCTION(aep_access_token_info);

/* aep.access_token_info(server) -> (fetched_at, expires_at), never the token */
Datum
aep_access_token_info(PG_FUNCTION_ARGS)
{
	const AepServer *server = aep_server_get(aep_argument_server(fcinfo, 0), false);
	AepAccessTokenInfo info;
	AepRow row;

	aep_row_begin(&row, fcinfo);
	aep_access_token_describe(server, &info);
	aep_row_time(&row, info.fetched_at, !info.fetched);
	aep_row_time(&row, info.expires_at, !info.fetched);
	PG_RETURN_DATUM(aep_row_datum(&row));
}
