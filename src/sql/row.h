/*
 * sql/row.h
 *		Building the rows that functions return, column by column.
 */
#ifndef AEP_ROW_H
#define AEP_ROW_H

#include "datatype/timestamp.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/jsonb.h"

/* As many columns as any function returns. */
#define AEP_MAX_COLUMNS 16

typedef struct AepRow
{
	TupleDesc type;
	Datum values[AEP_MAX_COLUMNS];
	bool nulls[AEP_MAX_COLUMNS];
	int filled;
	ReturnSetInfo *set;	  /* for a function that returns a set */
	MemoryContext memory; /* of a set's row that is being filled */
} AepRow;

/* Prepares the row of a function that returns one. */
extern void aep_row_begin(AepRow *row, FunctionCallInfo fcinfo);

/* Prepares the rows of one that returns a set, kept in a tuplestore. */
extern void aep_row_begin_set(AepRow *row, FunctionCallInfo fcinfo);

/* Fill the next column; text in the database's encoding.  A NULL pointer: SQL NULL. */
extern void aep_row_text(AepRow *row, const char *text);
extern void aep_row_uuid(AepRow *row, const char *uuid);
extern void aep_row_jsonb(AepRow *row, Jsonb *value);
extern void aep_row_integer(AepRow *row, int32 value);
extern void aep_row_boolean(AepRow *row, bool value, bool is_null);
extern void aep_row_time(AepRow *row, TimestampTz value, bool is_null);
extern void aep_row_null(AepRow *row);

/* The finished row as the function's result.  Throws XX000 if the type has other columns. */
extern Datum aep_row_datum(AepRow *row);

/* Adds the finished row to the set, and begins the next. */
extern void aep_row_store(AepRow *row);

#endif /* AEP_ROW_H */
