/*
 * sql/explore.c
 *		What Experience Platform sees through a base connection: aep.explore(),
 *		aep.explore_table(), aep.preview_table() and aep.compare_table().
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "compat.h"
#include "platform/document.h"
#include "platform/flow_service.h"
#include "sql/argument.h"
#include "sql/row.h"

/* Every function here takes the connection's id first and the server last. */
static const AepServer *
server_argument(FunctionCallInfo fcinfo)
{
	return aep_server_get(aep_argument_server(fcinfo, PG_NARGS() - 1), false);
}

AEP_SQL_FUNCTION(aep_explore);

/* aep.explore(id, server) -> the tables */
Datum
aep_explore(PG_FUNCTION_ARGS)
{
	const AepServer *server = server_argument(fcinfo);
	JsonbContainer *tables;
	AepRow row;

	aep_row_begin_set(&row, fcinfo);
	tables = aep_flow_explore(server, aep_argument_uuid_required(fcinfo, 0, "id"));
	for (int i = 0; i < aep_document_length(tables); i++)
	{
		Jsonb *element = aep_document_element(tables, i);
		JsonbContainer *table = element != NULL ? &element->root : NULL;
		char *name = aep_document_text(table, "name");
		char *dot = name != NULL ? strchr(name, '.') : NULL;
		bool preview;
		bool preview_unknown;
		bool schema;
		bool schema_unknown;

		if (dot != NULL)
			*dot = '\0'; /* facts: a database's tables are named schema.table */
		preview = aep_document_boolean(table, "canPreview", &preview_unknown);
		schema = aep_document_boolean(table, "canFetchSchema", &schema_unknown);
		aep_row_text(&row, aep_document_text(table, "path"));
		aep_row_text(&row, dot != NULL ? name : NULL);
		aep_row_text(&row, dot != NULL ? dot + 1 : name);
		aep_row_text(&row, aep_document_text(table, "type"));
		aep_row_boolean(&row, preview, preview_unknown);
		aep_row_boolean(&row, schema, schema_unknown);
		aep_row_store(&row);
	}
	return (Datum) 0;
}

/* A column as Experience Platform sees it; NULL for what it does not say. */
typedef struct PlatformColumn
{
	const char *name;
	const char *type;
	const char *xdm_type;
	const char *xdm_format;
} PlatformColumn;

/*
 * Facts: newer answers have "xdm" with type and format, and "meta:xdmType";
 * older ones only "meta" with the source's own type.
 */
static void
read_column(JsonbContainer *column, PlatformColumn *result)
{
	JsonbContainer *xdm = aep_document_member(column, "xdm");

	result->name = aep_document_text(column, "name");
	result->type = aep_document_text(column, "type");
	if (result->type == NULL)
		result->type = aep_document_text(aep_document_member(column, "meta"), "originalType");
	result->xdm_type = aep_document_text(xdm, "type");
	result->xdm_format = aep_document_text(xdm, "format");
	if (result->xdm_format == NULL)
		result->xdm_format = aep_document_text(column, "meta:xdmType");
}

static JsonbContainer *
table_columns(JsonbContainer *table)
{
	return aep_document_member(aep_document_member(table, "schema"), "columns");
}

AEP_SQL_FUNCTION(aep_explore_table);

/* aep.explore_table(id, path, server) -> the columns */
Datum
aep_explore_table(PG_FUNCTION_ARGS)
{
	const AepServer *server = server_argument(fcinfo);
	JsonbContainer *columns;
	AepRow row;

	aep_row_begin_set(&row, fcinfo);
	columns =
		table_columns(aep_flow_explore_table(server, aep_argument_uuid_required(fcinfo, 0, "id"),
											 aep_argument_text_required(fcinfo, 1, "path"), false));
	for (int i = 0; i < aep_document_length(columns); i++)
	{
		Jsonb *element = aep_document_element(columns, i);
		JsonbContainer *object = element != NULL ? &element->root : NULL;
		PlatformColumn column;

		read_column(object, &column);
		aep_row_text(&row, column.name);
		aep_row_text(&row, column.type);
		aep_row_text(&row, aep_document_text(aep_document_member(object, "meta"), "originalType"));
		aep_row_text(&row, column.xdm_type);
		aep_row_text(&row, column.xdm_format);
		aep_row_jsonb(&row, element);
		aep_row_store(&row);
	}
	return (Datum) 0;
}

AEP_SQL_FUNCTION(aep_preview_table);

/* aep.preview_table(id, path, server) -> its first rows, as Experience Platform reads them */
Datum
aep_preview_table(PG_FUNCTION_ARGS)
{
	const AepServer *server = server_argument(fcinfo);
	JsonbContainer *rows;
	AepRow row;

	aep_row_begin_set(&row, fcinfo);
	rows = aep_document_member(
		aep_flow_explore_table(server, aep_argument_uuid_required(fcinfo, 0, "id"),
							   aep_argument_text_required(fcinfo, 1, "path"), true),
		"data");
	for (int i = 0; i < aep_document_length(rows); i++)
	{
		aep_row_jsonb(&row, aep_document_element(rows, i));
		aep_row_store(&row);
	}
	return (Datum) 0;
}

/* What the types of PostgreSQL become in XDM, as far as a connector can tell. */
typedef struct TypeRule
{
	Oid type;
	const char *xdm_type;
	const char *xdm_format; /* NULL: none is expected */
} TypeRule;

static const TypeRule type_rules[] = {
	{BOOLOID, "boolean", NULL},
	{INT2OID, "integer", NULL},
	{INT4OID, "integer", NULL},
	{INT8OID, "integer", NULL},
	{OIDOID, "integer", NULL},
	{FLOAT4OID, "number", NULL},
	{FLOAT8OID, "number", NULL},
	{NUMERICOID, "number", NULL},
	{DATEOID, "string", "date"},
	{TIMESTAMPOID, "string", "date-time"},
	{TIMESTAMPTZOID, "string", "date-time"},
};

/* Everything else comes as text. */
static const TypeRule text_rule = {InvalidOid, "string", NULL};

static const TypeRule *
find_type_rule(Oid type)
{
	Oid base = getBaseType(type);

	for (int i = 0; i < lengthof(type_rules); i++)
	{
		if (type_rules[i].type == base)
			return &type_rules[i];
	}
	return &text_rule;
}

/*
 * Facts: Experience Platform's own type words are those of XDM, "double" for
 * "number", and a date or time may come as a string with a format, where a
 * date is often widened to a time.
 */
static bool
types_agree(Oid type, const PlatformColumn *column)
{
	const TypeRule *rule = find_type_rule(type);
	const char *seen = column->xdm_type != NULL ? column->xdm_type : column->type;
	bool is_time = column->xdm_format != NULL && pg_strncasecmp(column->xdm_format, "date", 4) == 0;

	if (seen == NULL)
		return false;
	if (pg_strcasecmp(seen, "double") == 0)
		seen = "number";
	if (pg_strncasecmp(seen, "date", 4) == 0 && rule->xdm_format != NULL)
		return true;
	return pg_strcasecmp(seen, rule->xdm_type) == 0 && is_time == (rule->xdm_format != NULL);
}

static void
store_comparison(AepRow *row, const FormData_pg_attribute *attribute, const PlatformColumn *column)
{
	const char *finding = "agrees";

	if (column == NULL)
		finding = "missing in the platform";
	else if (attribute == NULL)
		finding = "missing in the database";
	else if (!types_agree(attribute->atttypid, column))
		finding = "type differs";

	aep_row_text(row, attribute != NULL ? NameStr(attribute->attname) : column->name);
	aep_row_text(row, attribute != NULL
						  ? format_type_with_typemod(attribute->atttypid, attribute->atttypmod)
						  : NULL);
	aep_row_text(row, column != NULL ? column->type : NULL);
	aep_row_text(row, column != NULL ? column->xdm_type : NULL);
	aep_row_text(row, column != NULL ? column->xdm_format : NULL);
	aep_row_boolean(row, strcmp(finding, "agrees") == 0, false);
	aep_row_text(row, finding);
	aep_row_store(row);
}

/* All columns of an explored table; *count gets their number. */
static PlatformColumn *
read_columns(JsonbContainer *columns, int *count)
{
	PlatformColumn *result = palloc(sizeof(PlatformColumn) * Max(aep_document_length(columns), 1));

	*count = 0;
	for (int i = 0; i < aep_document_length(columns); i++)
	{
		Jsonb *element = aep_document_element(columns, i);

		if (element == NULL)
			continue;
		read_column(&element->root, &result[*count]);
		if (result[*count].name != NULL)
			(*count)++;
	}
	return result;
}

/* First the table's columns in their order, then those that only the platform has. */
static void
compare_columns(AepRow *row, TupleDesc table, PlatformColumn *columns, int count)
{
	for (int i = 0; i < table->natts; i++)
	{
		const FormData_pg_attribute *attribute = TupleDescAttr(table, i);
		PlatformColumn *column = NULL;

		if (attribute->attisdropped)
			continue;
		for (int j = 0; j < count && column == NULL; j++)
		{
			if (columns[j].name != NULL &&
				strcmp(columns[j].name, NameStr(attribute->attname)) == 0)
				column = &columns[j];
		}
		store_comparison(row, attribute, column);
		if (column != NULL)
			column->name = NULL; /* told of */
	}
	for (int j = 0; j < count; j++)
	{
		if (columns[j].name != NULL)
			store_comparison(row, NULL, &columns[j]);
	}
}

pg_noreturn static void relation_missing(Oid relation);

static void
relation_missing(Oid relation)
{
	ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
					errmsg("relation with OID %u does not exist", relation)));
	pg_unreachable();
}

/* Where a table is to be found in Experience Platform: schema.name. */
static const char *
default_path(Oid table)
{
	const char *schema = get_namespace_name(get_rel_namespace(table));
	const char *name = get_rel_name(table);

	if (schema == NULL || name == NULL)
		relation_missing(table);
	return psprintf("%s.%s", schema, name);
}

AEP_SQL_FUNCTION(aep_compare_table);

/* aep.compare_table(id, relation, path, server) -> one row per column */
Datum
aep_compare_table(PG_FUNCTION_ARGS)
{
	const AepServer *server = server_argument(fcinfo);
	const char *id = aep_argument_uuid_required(fcinfo, 0, "id");
	const char *path = aep_argument_text(fcinfo, 2);
	PlatformColumn *columns;
	Relation relation;
	int count;
	AepRow row;

	if (PG_ARGISNULL(1))
		aep_argument_missing("relation", NULL);
	aep_row_begin_set(&row, fcinfo);
	if (path == NULL)
		path = default_path(PG_GETARG_OID(1));
	columns = read_columns(table_columns(aep_flow_explore_table(server, id, path, false)), &count);
	/* no lock is held while the service is asked */
	relation = try_relation_open(PG_GETARG_OID(1), AccessShareLock);
	if (relation == NULL)
		relation_missing(PG_GETARG_OID(1));
	compare_columns(&row, RelationGetDescr(relation), columns, count);
	relation_close(relation, AccessShareLock);
	return (Datum) 0;
}
