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
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "compat.h"
#include "platform/document.h"
#include "platform/explore.h"
#include "platform/flow_service.h"
#include "sql/argument.h"
#include "sql/row.h"

/* Every function here takes the connection's id first and the server last. */
static const AepServer *
server_argument(FunctionCallInfo fcinfo)
{
	return aep_server_get(aep_argument_server(fcinfo, PG_NARGS() - 1), false);
}

static void
store_table(Jsonb *element, void *arg)
{
	AepRow *row = arg;
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
	aep_row_text(row, aep_document_text(table, "path"));
	aep_row_text(row, dot != NULL ? name : NULL);
	aep_row_text(row, dot != NULL ? dot + 1 : name);
	aep_row_text(row, aep_document_text(table, "type"));
	aep_row_boolean(row, preview, preview_unknown);
	aep_row_boolean(row, schema, schema_unknown);
	aep_row_store(row);
}

AEP_SQL_FUNCTION(aep_explore);

/* aep.explore(id, server) -> the tables */
Datum
aep_explore(PG_FUNCTION_ARGS)
{
	const AepServer *server = server_argument(fcinfo);
	AepRow row;

	aep_row_begin_set(&row, fcinfo);
	aep_explore_connection(server, aep_argument_uuid_required(fcinfo, 0, "id"), store_table, &row);
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

static void
store_column(Jsonb *element, void *arg)
{
	AepRow *row = arg;
	JsonbContainer *object = element != NULL ? &element->root : NULL;
	PlatformColumn column;

	read_column(object, &column);
	aep_row_text(row, column.name);
	aep_row_text(row, column.type);
	aep_row_text(row, aep_document_text(aep_document_member(object, "meta"), "originalType"));
	aep_row_text(row, column.xdm_type);
	aep_row_text(row, column.xdm_format);
	aep_row_jsonb(row, element);
	aep_row_store(row);
}

static void
store_preview(Jsonb *element, void *arg)
{
	AepRow *row = arg;

	aep_row_jsonb(row, element);
	aep_row_store(row);
}

/* What aep.explore_table() and aep.preview_table() do with (id, path, object_type, server). */
static void
explore_table(FunctionCallInfo fcinfo, AepTablePart part, AepTakeElement store)
{
	const AepServer *server = server_argument(fcinfo);
	AepRow row;

	aep_row_begin_set(&row, fcinfo);
	aep_explore_table_part(server, aep_argument_uuid_required(fcinfo, 0, "id"),
						   aep_argument_text_required(fcinfo, 1, "path"),
						   aep_argument_text(fcinfo, 2), part, store, &row);
}

AEP_SQL_FUNCTION(aep_explore_table_2_0);

/* The columns */
Datum
aep_explore_table_2_0(PG_FUNCTION_ARGS)
{
	explore_table(fcinfo, AEP_TABLE_COLUMNS, store_column);
	return (Datum) 0;
}

AEP_SQL_FUNCTION(aep_preview_table_2_0);

/* The first rows, as Experience Platform reads them */
Datum
aep_preview_table_2_0(PG_FUNCTION_ARGS)
{
	explore_table(fcinfo, AEP_TABLE_ROWS, store_preview);
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

/* The columns of an explored table, in their order. */
typedef struct PlatformColumns
{
	PlatformColumn *columns;
	int count;
	int space;
	MemoryContext memory; /* of the array and its texts */
} PlatformColumns;

static const char *
keep_text(MemoryContext memory, const char *text)
{
	return text != NULL ? MemoryContextStrdup(memory, text) : NULL;
}

static void
keep_column(Jsonb *element, void *arg)
{
	PlatformColumns *kept = arg;
	PlatformColumn column = {0};

	if (element != NULL)
		read_column(&element->root, &column);
	if (column.name == NULL)
		return;
	if (kept->count == kept->space)
	{
		kept->space *= 2;
		kept->columns = repalloc_huge(kept->columns, kept->space * sizeof(PlatformColumn));
	}
	kept->columns[kept->count++] = (PlatformColumn){
		.name = keep_text(kept->memory, column.name),
		.type = keep_text(kept->memory, column.type),
		.xdm_type = keep_text(kept->memory, column.xdm_type),
		.xdm_format = keep_text(kept->memory, column.xdm_format),
	};
}

/* A column of the table here, by its name. */
typedef struct TableColumn
{
	char name[NAMEDATALEN]; /* hash key */
	PlatformColumn *platform;
} TableColumn;

/* The table's columns, each with the first of the platform's that has its name. */
static HTAB *
match_columns(TupleDesc table, PlatformColumns *platform)
{
	HASHCTL control = {
		.keysize = NAMEDATALEN, .entrysize = sizeof(TableColumn), .hcxt = CurrentMemoryContext};
	HTAB *columns = hash_create("aep columns", table->natts + 1, &control,
								HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	TableColumn *column;

	for (int i = 0; i < table->natts; i++)
	{
		if (TupleDescAttr(table, i)->attisdropped)
			continue;
		column = hash_search(columns, NameStr(TupleDescAttr(table, i)->attname), HASH_ENTER, NULL);
		column->platform = NULL;
	}
	for (int i = 0; i < platform->count; i++)
	{
		PlatformColumn *other = &platform->columns[i];

		CHECK_FOR_INTERRUPTS();
		if (strlen(other->name) >= NAMEDATALEN)
			continue; /* the hash would cut it */
		column = hash_search(columns, other->name, HASH_FIND, NULL);
		if (column == NULL || column->platform != NULL)
			continue;
		column->platform = other;
	}
	return columns;
}

/* First the table's columns in their order, then those that only the platform has. */
static void
compare_columns(AepRow *row, TupleDesc table, PlatformColumns *platform)
{
	HTAB *columns = match_columns(table, platform);

	for (int i = 0; i < table->natts; i++)
	{
		const FormData_pg_attribute *attribute = TupleDescAttr(table, i);
		TableColumn *column;

		CHECK_FOR_INTERRUPTS();
		if (attribute->attisdropped)
			continue;
		column = hash_search(columns, NameStr(attribute->attname), HASH_FIND, NULL);
		store_comparison(row, attribute, column->platform);
		if (column->platform != NULL)
			column->platform->name = NULL; /* told of */
	}
	for (int i = 0; i < platform->count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (platform->columns[i].name != NULL)
			store_comparison(row, NULL, &platform->columns[i]);
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

AEP_SQL_FUNCTION(aep_compare_table_2_0);

/* aep.compare_table(id, relation, path, object_type, server) -> one row per column */
Datum
aep_compare_table_2_0(PG_FUNCTION_ARGS)
{
	const AepServer *server = server_argument(fcinfo);
	const char *id = aep_argument_uuid_required(fcinfo, 0, "id");
	const char *path = aep_argument_text(fcinfo, 2);
	PlatformColumns platform = {.space = 64, .memory = CurrentMemoryContext};
	Relation relation;
	AepRow row;

	if (PG_ARGISNULL(1))
		aep_argument_missing("relation", NULL);
	aep_row_begin_set(&row, fcinfo);
	if (path == NULL)
		path = default_path(PG_GETARG_OID(1));
	platform.columns = palloc(platform.space * sizeof(PlatformColumn));
	aep_explore_table_part(server, id, path, aep_argument_text(fcinfo, 3), AEP_TABLE_COLUMNS,
						   keep_column, &platform);
	/* no lock is held while the service is asked */
	relation = try_relation_open(PG_GETARG_OID(1), AccessShareLock);
	if (relation == NULL)
		relation_missing(PG_GETARG_OID(1));
	compare_columns(&row, RelationGetDescr(relation), &platform);
	relation_close(relation, AccessShareLock);
	return (Datum) 0;
}
