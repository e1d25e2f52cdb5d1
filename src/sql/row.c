/*
 * sql/row.c
 *		Building the rows that functions return.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
#include "utils/uuid.h"

#include "sql/row.h"

void
aep_row_begin(AepRow *row, FunctionCallInfo fcinfo)
{
	ReturnSetInfo *expected = (ReturnSetInfo *) fcinfo->resultinfo;

	/* in FROM the executor knows the type, and need not look it up */
	if (expected != NULL && IsA(expected, ReturnSetInfo) && expected->expectedDesc != NULL)
		row->type = expected->expectedDesc;
	else if (get_call_result_type(fcinfo, NULL, &row->type) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	row->type = BlessTupleDesc(row->type);
	row->filled = 0;
	row->set = NULL;
	row->memory = CurrentMemoryContext;
}

void
aep_row_begin_set(AepRow *row, FunctionCallInfo fcinfo)
{
	/* the caller's description also fits a function of one column, which is no row */
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	row->set = (ReturnSetInfo *) fcinfo->resultinfo;
	row->type = row->set->setDesc;
	row->filled = 0;
	row->memory = AllocSetContextCreate(CurrentMemoryContext, "aep row", ALLOCSET_SMALL_SIZES);
}

static void
fill(AepRow *row, Datum value, bool is_null)
{
	if (row->filled >= AEP_MAX_COLUMNS)
		elog(ERROR, "a row has too many columns");
	row->values[row->filled] = value;
	row->nulls[row->filled] = is_null;
	row->filled++;
}

void
aep_row_null(AepRow *row)
{
	fill(row, (Datum) 0, true);
}

void
aep_row_text(AepRow *row, const char *text)
{
	MemoryContext caller = MemoryContextSwitchTo(row->memory);

	fill(row, text != NULL ? CStringGetTextDatum(text) : (Datum) 0, text == NULL);
	MemoryContextSwitchTo(caller);
}

void
aep_row_uuid(AepRow *row, const char *uuid)
{
	MemoryContext caller = MemoryContextSwitchTo(row->memory);

	fill(row, uuid != NULL ? DirectFunctionCall1(uuid_in, CStringGetDatum(uuid)) : (Datum) 0,
		 uuid == NULL);
	MemoryContextSwitchTo(caller);
}

void
aep_row_jsonb(AepRow *row, Jsonb *value)
{
	fill(row, value != NULL ? JsonbPGetDatum(value) : (Datum) 0, value == NULL);
}

void
aep_row_integer(AepRow *row, int32 value)
{
	fill(row, Int32GetDatum(value), false);
}

void
aep_row_boolean(AepRow *row, bool value, bool is_null)
{
	fill(row, BoolGetDatum(value), is_null);
}

void
aep_row_time(AepRow *row, TimestampTz value, bool is_null)
{
	fill(row, TimestampTzGetDatum(value), is_null);
}

/* What the type of a result is, is the catalogs' word: it may have been altered. */
static void
check_columns(const AepRow *row)
{
	if (row->filled != row->type->natts)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("a function of the extension aep returns %d columns, its type has %d",
						row->filled, row->type->natts),
				 errhint("Undo what altered the type, or create the extension anew.")));
}

Datum
aep_row_datum(AepRow *row)
{
	check_columns(row);
	return HeapTupleGetDatum(heap_form_tuple(row->type, row->values, row->nulls));
}

void
aep_row_store(AepRow *row)
{
	check_columns(row);
	tuplestore_putvalues(row->set->setResult, row->type, row->values, row->nulls);
	row->filled = 0;
	MemoryContextReset(row->memory);
}
