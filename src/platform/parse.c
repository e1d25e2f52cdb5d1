/*
 * platform/parse.c
 *		JSON as jsonb, the elements of a list one at a time.
 */
#include "postgres.h"

#include "common/jsonapi.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

#include "platform/parse.h"

typedef struct Parse
{
	const AepList *list; /* NULL: none is wanted */
	int path_length;
	JsonbInState document; /* if a list is wanted, without the elements of any array */
	JsonbInState element;  /* the wanted one that is being read */
	JsonbInState *growing; /* one of both; NULL: nothing is made of what is read */
	bool after_key;		   /* what comes is the value of a member */
	int depth;			   /* of open arrays and objects */
	int matched;		   /* so many members of the path lead here */
	int list_depth;		   /* of the wanted list, if it is open; else 0 */
	int lists;			   /* that were found at its place */
	int element_depth;	   /* of the array an element of which is being read; else 0 */
	MemoryContext memory;
	MemoryContext element_memory;
} Parse;

JsonbValue
aep_parse_string(const char *text)
{
	JsonbValue value = {.type = jbvString};
	size_t len = strlen(text);

	/* more would spill into the bits that tell the type */
	if (len > JENTRY_OFFLENMASK)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("a text is too long for a jsonb string"),
						errdetail("It has %zu bytes, of at most %u.", len, JENTRY_OFFLENMASK)));
	value.val.string.val = unconstify(char *, text);
	value.val.string.len = (int) len;
	return value;
}

static void
push(Parse *parse, JsonbIteratorToken token, JsonbValue *value)
{
	CHECK_FOR_INTERRUPTS();
	if (parse->growing != NULL)
		aep_push_jsonb(parse->growing, token, value);
	parse->after_key = token == WJB_KEY;
}

static AEP_JSON_ACTION
begin_object(void *state)
{
	Parse *parse = state;

	push(parse, WJB_BEGIN_OBJECT, NULL);
	parse->depth++;
	AEP_JSON_GO_ON;
}

static AEP_JSON_ACTION
end_object(void *state)
{
	Parse *parse = state;

	push(parse, WJB_END_OBJECT, NULL);
	parse->depth--;
	AEP_JSON_GO_ON;
}

static AEP_JSON_ACTION
begin_member(void *state, char *name, bool is_null)
{
	Parse *parse = state;
	JsonbValue key = aep_parse_string(name);

	push(parse, WJB_KEY, &key);
	if (parse->depth == parse->matched + 1 && parse->matched < parse->path_length &&
		strcmp(name, parse->list->path[parse->matched]) == 0)
		parse->matched++;
	AEP_JSON_GO_ON;
}

static AEP_JSON_ACTION
end_member(void *state, char *name, bool is_null)
{
	Parse *parse = state;

	if (parse->depth == parse->matched)
		parse->matched--;
	AEP_JSON_GO_ON;
}

static AEP_JSON_ACTION
begin_array(void *state)
{
	Parse *parse = state;

	push(parse, WJB_BEGIN_ARRAY, NULL);
	parse->depth++;
	if (parse->list != NULL && parse->list_depth == 0 && parse->matched == parse->path_length &&
		parse->depth == parse->matched + 1)
	{
		parse->list_depth = parse->depth;
		parse->lists++;
	}
	AEP_JSON_GO_ON;
}

static AEP_JSON_ACTION
end_array(void *state)
{
	Parse *parse = state;

	push(parse, WJB_END_ARRAY, NULL);
	if (parse->depth == parse->list_depth)
		parse->list_depth = 0;
	parse->depth--;
	AEP_JSON_GO_ON;
}

static AEP_JSON_ACTION
begin_element(void *state, bool is_null)
{
	Parse *parse = state;

	CHECK_FOR_INTERRUPTS();
	if (parse->list != NULL && parse->element_depth == 0)
	{
		parse->element_depth = parse->depth;
		parse->element = (JsonbInState){0};
		parse->growing = parse->depth == parse->list_depth ? &parse->element : NULL;
		MemoryContextSwitchTo(parse->element_memory);
	}
	AEP_JSON_GO_ON;
}

static AEP_JSON_ACTION
end_element(void *state, bool is_null)
{
	Parse *parse = state;
	JsonbValue *value = parse->element.result;

	if (parse->element_depth == 0 || parse->depth != parse->element_depth)
		AEP_JSON_GO_ON;
	if (parse->growing != NULL)
		parse->list->take(value != NULL ? JsonbValueToJsonb(value) : NULL, parse->list->arg);
	parse->element_depth = 0;
	parse->growing = &parse->document;
	MemoryContextSwitchTo(parse->memory);
	MemoryContextReset(parse->element_memory);
	AEP_JSON_GO_ON;
}

/* A string, number or word, as the parser has it. */
static JsonbValue
scalar_value(char *token, JsonTokenType type)
{
	JsonbValue value = {.type = jbvNull};

	switch (type)
	{
		case JSON_TOKEN_STRING:
			return aep_parse_string(token);
		case JSON_TOKEN_NUMBER:
			value.type = jbvNumeric;
			value.val.numeric = DatumGetNumeric(
				DirectFunctionCall3(numeric_in, CStringGetDatum(token),
									ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
			return value;
		case JSON_TOKEN_TRUE:
		case JSON_TOKEN_FALSE:
			value.type = jbvBool;
			value.val.boolean = type == JSON_TOKEN_TRUE;
			return value;
		default:
			return value;
	}
}

static AEP_JSON_ACTION
take_scalar(void *state, char *token, JsonTokenType type)
{
	Parse *parse = state;
	JsonbValue value;

	if (parse->element_depth > 0 && parse->depth == parse->element_depth)
		AEP_JSON_GO_ON; /* an element that is neither object nor array */
	value = scalar_value(token, type);
	if (parse->depth == 0)
	{
		/* jsonb has a value by itself as the only element of an array */
		JsonbValue around = {.type = jbvArray};

		around.val.array.rawScalar = true;
		around.val.array.nElems = 1;
		push(parse, WJB_BEGIN_ARRAY, &around);
		push(parse, WJB_ELEM, &value);
		push(parse, WJB_END_ARRAY, NULL);
	}
	else
		push(parse, parse->after_key ? WJB_VALUE : WJB_ELEM, &value);
	AEP_JSON_GO_ON;
}

AepAnswerStatus
aep_parse_json(const char *text, const AepList *list, Jsonb **document)
{
	MemoryContext caller = CurrentMemoryContext;
	Parse parse = {.list = list};
	JsonSemAction actions = {
		.semstate = &parse,
		.object_start = begin_object,
		.object_end = end_object,
		.array_start = begin_array,
		.array_end = end_array,
		.object_field_start = begin_member,
		.object_field_end = end_member,
		.array_element_start = begin_element,
		.array_element_end = end_element,
		.scalar = take_scalar,
	};
	bool is_json;

	while (list != NULL && list->path[parse.path_length] != NULL)
		parse.path_length++;
	parse.growing = &parse.document;
	parse.memory = AllocSetContextCreate(caller, "aep JSON", ALLOCSET_DEFAULT_SIZES);
	parse.element_memory =
		AllocSetContextCreate(parse.memory, "aep JSON element", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(parse.memory);
	is_json = pg_parse_json(aep_json_lexer(text, strlen(text)), &actions) == JSON_SUCCESS;
	MemoryContextSwitchTo(caller);
	if (is_json && parse.lists <= 1)
		*document = JsonbValueToJsonb(parse.document.result);
	MemoryContextDelete(parse.memory);
	if (!is_json)
		return AEP_ANSWER_NOT_JSON;
	return parse.lists <= 1 ? AEP_ANSWER_OK : AEP_ANSWER_DUPLICATE;
}
