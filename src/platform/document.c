/*
 * platform/document.c
 *		JSON answers as jsonb.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "database/encoding.h"
#include "json/answer.h"
#include "json/escape.h"
#include "json/mask.h"
#include "json/reply.h"
#include "json/utf8.h"
#include "platform/document.h"

/* As much of a text is shown in a message: a host has 253 bytes at most. */
#define MAX_SHOWN 260

/*
 * Turns \u escapes into the characters they stand for: PostgreSQL refuses
 * those that the database's encoding cannot hold, and with SQL_ASCII all
 * beyond ASCII, while characters are converted as far as it goes.
 */
static char *
unescape(const AepText *text)
{
	StringInfoData result;
	size_t at = 0;

	initStringInfo(&result);
	while (at < text->len)
	{
		const char *backslash = memchr(text->data + at, '\\', text->len - at);
		size_t plain = backslash != NULL ? backslash - (text->data + at) : text->len - at;
		unsigned char utf8[MAX_MULTIBYTE_CHAR_LEN + 1] = {0};
		uint32_t code = 0;
		size_t escape;

		CHECK_FOR_INTERRUPTS();
		appendBinaryStringInfo(&result, text->data + at, (int) plain);
		at += plain;
		if (backslash == NULL)
			break;
		escape = at + 1 < text->len && text->data[at + 1] == 'u'
					 ? aep_escape_read(text, at + 1, true, &code)
					 : 0;
		if (escape > 0 && code >= 0x80)
		{
			appendStringInfoString(&result, (char *) unicode_to_utf8(code, utf8));
			at += 1 + escape;
			continue;
		}
		plain = Min(2, text->len - at);
		appendBinaryStringInfo(&result, text->data + at, (int) plain);
		at += plain;
	}
	return result.data;
}

/*
 * A readable text in the database's encoding: a palloc'd copy, or itself.  It is
 * NUL-terminated as the body is; the blanks behind it are blanks for PostgreSQL too.
 */
static const char *
text_of_database(const AepText *readable)
{
	char *unescaped;
	const char *text;

	if (GetDatabaseEncoding() == PG_UTF8)
		return readable->data;
	unescaped = unescape(readable);
	text = aep_from_utf8(unescaped);
	if (text != unescaped)
		pfree(unescaped);
	return text;
}

static void
serve_interrupts(void)
{
	CHECK_FOR_INTERRUPTS();
}

Jsonb *
aep_document_parse(const AepHttpExchange *answer, const AepList *list, const char **why)
{
	AepText readable;
	AepAnswerStatus status = aep_answer_check(answer->body.data, answer->body.len, answer->max_size,
											  serve_interrupts, &readable);
	Jsonb *document;

	if (status == AEP_ANSWER_OK)
	{
		const char *text = text_of_database(&readable);

		status = aep_parse_json(text, list, &document);
		if (text != readable.data)
			pfree(unconstify(char *, text));
	}
	if (status == AEP_ANSWER_OK)
		return document;
	*why = aep_answer_status_text(status);
	return NULL;
}

static JsonbValue *
find_member(JsonbContainer *object, const char *name)
{
	if (object == NULL || !JsonContainerIsObject(object))
		return NULL;
	return getKeyJsonValueFromContainer(object, name, (int) strlen(name), NULL);
}

JsonbContainer *
aep_document_member(JsonbContainer *object, const char *name)
{
	JsonbValue *value = find_member(object, name);

	return value != NULL && value->type == jbvBinary ? value->val.binary.data : NULL;
}

Jsonb *
aep_document_first(JsonbContainer *array)
{
	JsonbValue *value;

	if (array == NULL || !JsonContainerIsArray(array))
		return NULL;
	value = getIthJsonbValueFromContainer(array, 0);
	return value != NULL && value->type == jbvBinary ? JsonbValueToJsonb(value) : NULL;
}

/* As much as is read between two looks for interrupts. */
#define SLICE (64 * 1024)

/* A slice's length: at most SLICE, and cut before a character, not within. */
static size_t
slice_length(const char *data, size_t len)
{
	size_t slice = SLICE;

	if (len <= SLICE)
		return len;
	while (slice > SLICE - MAX_MULTIBYTE_CHAR_LEN && ((unsigned char) data[slice] & 0xc0) == 0x80)
		slice--;
	return slice;
}

/* Bytes that may be no text as UTF-8, as far as they can be shown; palloc'd. */
static char *
make_text(const char *data, size_t len)
{
	/* nothing becomes longer */
	char *text = palloc(len + 1);
	size_t filled = 0;

	text[0] = '\0';
	for (size_t at = 0; at < len;)
	{
		size_t slice = slice_length(data + at, len - at);

		CHECK_FOR_INTERRUPTS();
		filled += aep_mask(NULL, data + at, slice, text + filled, len + 1 - filled);
		at += slice;
	}
	return text;
}

/* Text of the database from bytes of the network. */
static const char *
decode(const char *data, size_t len)
{
	if (aep_utf8_is_valid(data, len) && memchr(data, '\0', len) == NULL)
		return aep_from_utf8(pnstrdup(data, len));
	return aep_from_utf8(make_text(data, len));
}

Jsonb *
aep_document_string(const char *data, size_t len)
{
	JsonbValue value = aep_parse_string(decode(data, len));

	return JsonbValueToJsonb(&value);
}

void
aep_document_push_member(JsonbInState *state, const char *name, const char *value)
{
	JsonbValue item = aep_parse_string(decode(name, strlen(name)));

	aep_push_jsonb(state, WJB_KEY, &item);
	item = aep_parse_string(decode(value, strlen(value)));
	aep_push_jsonb(state, WJB_VALUE, &item);
}

static bool
is_shown(const JsonbValue *key, const char *const *shown, int nshown)
{
	for (int i = 0; i < nshown; i++)
	{
		if (key->val.string.len == (int) strlen(shown[i]) &&
			memcmp(key->val.string.val, shown[i], key->val.string.len) == 0)
			return true;
	}
	return false;
}

/* An object with the same names, and the values that are shown. */
static Jsonb *
mask_members(JsonbContainer *object, const char *const *shown, int nshown)
{
	JsonbIterator *iterator = JsonbIteratorInit(object);
	JsonbInState state = {0};
	JsonbValue mask = aep_parse_string(AEP_MASK);
	JsonbValue value;
	JsonbIteratorToken token;
	bool as_it_is = false;

	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		CHECK_FOR_INTERRUPTS();
		if (token == WJB_KEY)
			as_it_is = is_shown(&value, shown, nshown);
		if (token == WJB_VALUE && !(as_it_is && value.type != jbvBinary))
			aep_push_jsonb(&state, token, &mask);
		else
			aep_push_jsonb(&state, token, token == WJB_KEY || token == WJB_VALUE ? &value : NULL);
	}
	return JsonbValueToJsonb(state.result);
}

Jsonb *
aep_document_mask(Jsonb *document, const char *const *path, int depth, const char *const *shown,
				  int nshown)
{
	Datum *steps = palloc(depth * sizeof(Datum));
	JsonbContainer *parent = &document->root;
	JsonbContainer *object;
	Jsonb *masked;

	for (int i = 0; i < depth; i++)
	{
		if (find_member(parent, path[i]) == NULL)
			return document;
		steps[i] = CStringGetTextDatum(path[i]);
		if (i < depth - 1)
			parent = aep_document_member(parent, path[i]);
	}
	object = aep_document_member(parent, path[depth - 1]);
	masked = object != NULL && JsonContainerIsObject(object)
				 ? mask_members(object, shown, nshown)
				 : aep_document_string(AEP_MASK, strlen(AEP_MASK));
	return DatumGetJsonbP(DirectFunctionCall4(
		jsonb_set, JsonbPGetDatum(document),
		PointerGetDatum(construct_array(steps, depth, TEXTOID, -1, false, TYPALIGN_INT)),
		JsonbPGetDatum(masked), BoolGetDatum(false)));
}

char *
aep_document_text(JsonbContainer *object, const char *name)
{
	JsonbValue *value = find_member(object, name);

	if (value == NULL)
		return NULL;
	switch (value->type)
	{
		case jbvString:
			return pnstrdup(value->val.string.val, value->val.string.len);
		case jbvNumeric:
			return DatumGetCString(
				DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
		case jbvBool:
			return pstrdup(value->val.boolean ? "true" : "false");
		default:
			return NULL;
	}
}

bool
aep_document_shows_other(JsonbContainer *object, const char *name, const char *ours)
{
	const char *shown = aep_document_text(object, name);

	return shown != NULL && ours != NULL && strcmp(shown, ours) != 0;
}

const char *
aep_document_one_line(const char *text)
{
	char line[MAX_SHOWN];
	const char *utf8 = aep_to_utf8(text, "text of the service");

	aep_mask(NULL, utf8, strlen(utf8), line, sizeof(line));
	return aep_from_utf8(pstrdup(line));
}

const char *
aep_document_unknown_member(JsonbContainer *object, const char *const *known, int count)
{
	JsonbIterator *iterator;
	JsonbValue item;
	JsonbIteratorToken token;

	if (object == NULL || !JsonContainerIsObject(object))
		return NULL;
	iterator = JsonbIteratorInit(object);
	while ((token = JsonbIteratorNext(&iterator, &item, true)) != WJB_DONE)
	{
		const char *name;
		int i = 0;

		CHECK_FOR_INTERRUPTS();
		if (token != WJB_KEY)
			continue;
		name = pnstrdup(item.val.string.val, item.val.string.len);
		while (i < count && strcmp(name, known[i]) != 0)
			i++;
		if (i == count)
			return name;
	}
	return NULL;
}

char *
aep_document_id(JsonbContainer *entity)
{
	char *id = aep_document_text(entity, "id");

	if (id == NULL || !aep_reply_is_uuid(id))
		ereport(ERROR, (errcode(ERRCODE_PROTOCOL_VIOLATION),
						errmsg("could not understand an answer of Experience Platform"),
						errdetail("It holds an entity whose \"id\" is not a UUID.")));
	return id;
}

bool
aep_document_boolean(JsonbContainer *object, const char *name, bool *is_null)
{
	JsonbValue *value = find_member(object, name);

	*is_null = value == NULL || value->type != jbvBool;
	return !*is_null && value->val.boolean;
}

int64
aep_document_integer(JsonbContainer *object, const char *name, bool *is_null)
{
	JsonbValue *value = find_member(object, name);
	double number;

	*is_null = true;
	if (value == NULL || value->type != jbvNumeric)
		return 0;
	number = DatumGetFloat8(
		DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(value->val.numeric)));
	if (!(number > -9e15 && number < 9e15)) /* where a double still counts in ones */
		return 0;
	*is_null = false;
	return (int64) number;
}

TimestampTz
aep_document_time(JsonbContainer *object, const char *name, bool *is_null)
{
	int64 milliseconds = aep_document_integer(object, name, is_null);
	TimestampTz time;

	if (*is_null)
		return 0;
	time = (TimestampTz) ((milliseconds -
						   (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * INT64CONST(86400000)) *
						  1000);
	*is_null = !IS_VALID_TIMESTAMP(time);
	return time;
}
