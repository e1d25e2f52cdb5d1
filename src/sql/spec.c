/*
 * sql/spec.c
 *		aep.base_connection_spec: what describes a base connection, as one value.
 *
 * ALTER TYPE may change the composite type at any time, also between the plan
 * that made a constant of a spec and its execution; and a value does not say of
 * which version of the type it is.  So attributes are found by their names, and a
 * value is not believed to be as the type says.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/tupmacs.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "compat.h"
#include "sql/spec.h"

/* The attributes, by their arguments' positions. */
static const struct
{
	const char *name;
	Oid type; /* InvalidOid: an enum */
} attributes[] = {
	[AEP_ARG_NAME] = {"name", TEXTOID},
	[AEP_ARG_DESCRIPTION] = {"description", TEXTOID},
	[AEP_ARG_USERNAME] = {"username", TEXTOID},
	[AEP_ARG_PASSWORD] = {"password", TEXTOID},
	[AEP_ARG_AUTH_TYPE] = {"auth_type", InvalidOid},
	[AEP_ARG_SSL_MODE] = {"ssl_mode", TEXTOID},
	[AEP_ARG_HOST] = {"host", TEXTOID},
	[AEP_ARG_PORT] = {"port", INT4OID},
	[AEP_ARG_DATABASE] = {"database", TEXTOID},
};

/* The index of an attribute; -1: there is none of this name and type. */
static int
find_attribute(TupleDesc tuple, AepConnectionArgument number)
{
	for (int i = 0; i < tuple->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(tuple, i);

		if (attribute->attisdropped ||
			strcmp(NameStr(attribute->attname), attributes[number].name) != 0)
			continue;
		if (attribute->atttypid == attributes[number].type ||
			(attributes[number].type == InvalidOid && type_is_enum(attribute->atttypid)))
			return i;
	}
	return -1;
}

void
aep_spec_type(Oid type, AepSpecType *spec_type)
{
	spec_type->tuple = lookup_rowtype_tupdesc_copy(type, -1);
	for (int i = 0; i < AEP_CONNECTION_ARGUMENTS; i++)
	{
		spec_type->attribute[i] = find_attribute(spec_type->tuple, i);
		if (spec_type->attribute[i] < 0)
			ereport(
				ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("type %s is not as the extension aep made it", format_type_be(type)),
				 errdetail("It has no attribute \"%s\" of type %s.", attributes[i].name,
						   attributes[i].type == InvalidOid ? "aep.auth_type"
															: format_type_be(attributes[i].type)),
				 errhint("Give it that attribute again with ALTER TYPE.")));
	}
}

AEP_SQL_FUNCTION(aep_base_connection_spec_2_0);

/* aep.base_connection_spec(<arguments of create>) -> its row */
Datum
aep_base_connection_spec_2_0(PG_FUNCTION_ARGS)
{
	AepSpecType spec_type;
	Datum *values;
	bool *nulls;

	/* as it is now, not as it was when the statement was planned */
	aep_spec_type(get_func_rettype(fcinfo->flinfo->fn_oid), &spec_type);
	values = palloc0(spec_type.tuple->natts * sizeof(Datum));
	nulls = palloc(spec_type.tuple->natts * sizeof(bool));
	memset(nulls, true, spec_type.tuple->natts * sizeof(bool));
	for (int i = 0; i < AEP_CONNECTION_ARGUMENTS; i++)
	{
		values[spec_type.attribute[i]] = fcinfo->args[i].value;
		nulls[spec_type.attribute[i]] = fcinfo->args[i].isnull;
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(spec_type.tuple, values, nulls)));
}

/* A value's bytes, read from the first attribute on. */
typedef struct SpecBytes
{
	const char *data;
	size_t size;
	size_t at; /* of the next attribute */
} SpecBytes;

/* A text that stands whole in the bytes that are left, uncompressed or not; its size, 0: none does. */
static size_t
text_size(const char *text, size_t left)
{
	size_t size;

	if (left == 0 || VARATT_IS_1B_E(text) || (!VARATT_IS_1B(text) && left < VARHDRSZ))
		return 0;
	size = VARSIZE_ANY(text);
	return size <= left && (VARATT_IS_1B(text) || size >= VARHDRSZ) ? size : 0;
}

/* Where the attribute begins, behind what aligns it; its size, 0: not within the value. */
static size_t
find_bytes(const Form_pg_attribute attribute, SpecBytes *bytes)
{
	size_t left;

	if (attribute->attlen == -1 && bytes->at < bytes->size)
		bytes->at = att_align_pointer(bytes->at, attribute->attalign, -1, bytes->data + bytes->at);
	else
		bytes->at = att_align_nominal(bytes->at, attribute->attalign);
	left = bytes->at < bytes->size ? bytes->size - bytes->at : 0;
	if (attribute->attlen == -1)
		return text_size(bytes->data + bytes->at, left);
	return attribute->attlen > 0 && (size_t) attribute->attlen <= left ? attribute->attlen : 0;
}

/* heap_deform_tuple(), but for one that believes nothing.  False: the bytes are of another type. */
static bool
deform(HeapTupleHeader header, TupleDesc tuple, NullableDatum *values)
{
	SpecBytes bytes = {
		.data = (const char *) header + header->t_hoff,
		.size = HeapTupleHeaderGetDatumLength(header) - header->t_hoff,
	};
	int stored = HeapTupleHeaderGetNatts(header);
	bool has_nulls = (header->t_infomask & HEAP_HASNULL) != 0;

	for (int i = 0; i < tuple->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(tuple, i);
		size_t size;

		values[i].isnull = i >= stored || (has_nulls && att_isnull(i, header->t_bits));
		if (values[i].isnull)
			continue;
		size = find_bytes(attribute, &bytes);
		if (size == 0)
			return false;
		values[i].value = fetchatt(attribute, bytes.data + bytes.at);
		bytes.at += size;
	}
	return true;
}

bool
aep_spec_read(const AepSpecType *spec_type, Datum spec, NullableDatum *arguments, AepError *problem)
{
	NullableDatum *values = palloc0(spec_type->tuple->natts * sizeof(NullableDatum));
	bool fits = deform(DatumGetHeapTupleHeader(spec), spec_type->tuple, values);

	for (int i = 0; i < AEP_CONNECTION_ARGUMENTS && fits; i++)
		arguments[i] = values[spec_type->attribute[i]];
	pfree(values);
	if (!fits)
		*problem = (AepError){
			.sqlstate = ERRCODE_DATATYPE_MISMATCH,
			.message = psprintf("the spec is of another version of type %s",
								format_type_be(spec_type->tuple->tdtypeid)),
			.detail = "The type was changed after the statement was planned.",
			.hint = "Prepare the statement again.",
		};
	return fits;
}
