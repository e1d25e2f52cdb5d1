/*
 * database/query.c
 *		Queries that stand in SQL files of the sources.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"

#include "database/owner.h"
#include "database/query.h"

void
aep_query_run(const AepQuery *query, const void *parameters)
{
	Oid *types = palloc(query->parameter_count * sizeof(Oid));
	Datum *values = palloc(query->parameter_count * sizeof(Datum));
	AepPinnedPath path;
	int result;

	for (int i = 0; i < query->parameter_count; i++)
	{
		const char *value =
			*(const char *const *) ((const char *) parameters + query->parameters[i]);

		types[i] = TEXTOID;
		values[i] = CStringGetTextDatum(value != NULL ? value : "");
	}
	aep_pin_path(&path);
	result =
		SPI_execute_with_args(query->text, query->parameter_count, types, values, NULL, true, 0);
	aep_unpin_path(&path);
	if (result != SPI_OK_SELECT)
		elog(ERROR, "query \"%s\" failed: %s", query->name, SPI_result_code_string(result));
}
