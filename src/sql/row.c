/*
 * sql/row.c
 *		Building the rows that functions return.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
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
}

void
aep_row_begin_set(AepRow *row, FunctionCallInfo fcinfo)
{
	/* the caller's description also fits a function of one column, which is no row */
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	row->set = (ReturnSetInfo *) fcinfo->resultinfo;
	row->type = row->set->setDesc;
	row->filled = 0;
}

/* A type is what a catalog says; what is written to memory is not left to that. */
static void
check_columns(bool fit)
{
	if (!fit)
		elog(ERROR, "the function's columns are not those of the extension");
}

static void
fill(AepRow *row, Datum value, bool is_null)
{
	check_columns(row->filled < row->type->natts && row->filled < AEP_MAX_COLUMNS);
	row->values[row->filled] = value;
	row->nulls[row->filled] = is_null;
	row->filled++;
}

void
aep_row_text(AepRow *row, const char *text)
{
	fill(row, text != NULL ? CStringGetTextDatum(text) : (Datum) 0, text == NULL);
}

void
aep_row_uuid(AepRow *row, const char *uuid)
{
	fill(row, uuid != NULL ? DirectFunctionCall1(uuid_in, CStringGetDatum(uuid)) : (Datum) 0,
		 uuid == NULL);
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

Datum
aep_row_datum(AepRow *row)
{
	check_columns(row->filled == row->type->natts);
	return HeapTupleGetDatum(heap_form_tuple(row->type, row->values, row->nulls));
}

void
aep_row_store(AepRow *row)
{
	check_columns(row->filled == row->type->natts);
	tuplestore_putvalues(row->set->setResult, row->type, row->values, row->nulls);
	row->filled = 0;
}
