/*
 * database/check.c
 *		Checks: queries that give a row for each thing that is wrong.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "database/check.h"

bool
aep_check_may_run(const AepQuery *query)
{
	Oid types[] = {TEXTOID};
	Datum values[1];
	bool is_null;

	if (query->needs == NULL)
		return true;
	values[0] = CStringGetTextDatum(query->needs);
	SPI_execute_with_args("SELECT pg_catalog.has_function_privilege($1, 'EXECUTE')", 1, types,
						  values, NULL, true, 1);
	return DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null));
}

bool
aep_check_run(const AepQuery *check, const void *parameters, AepFound found, void *data)
{
	bool may_run;

	/* a connection of its own is the memory of its own: rows, parameters, texts */
	SPI_connect();
	may_run = aep_check_may_run(check);
	if (!may_run)
		found(data, psprintf("could not be checked: %s", check->needs),
			  psprintf("GRANT EXECUTE ON FUNCTION %s TO %s", check->needs,
					   quote_identifier(GetUserNameFromId(GetUserId(), false))));
	else
	{
		SPITupleTable *rows;

		aep_query_run(check, parameters);
		rows = SPI_tuptable;
		for (uint64 i = 0; i < rows->numvals; i++)
		{
			CHECK_FOR_INTERRUPTS();
			found(data, SPI_getvalue(rows->vals[i], rows->tupdesc, 1),
				  SPI_getvalue(rows->vals[i], rows->tupdesc, 2));
		}
	}
	SPI_finish();
	return may_run;
}
