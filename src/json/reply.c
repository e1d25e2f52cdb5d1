/*
 * json/reply.c
 *		What we understand of Flow Service's answers.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "json/reply.h"
#include "json/utf8.h"

/*
 * An answer has a few dozen values.  cJSON needs some 70 bytes for each, also
 * for one that takes two bytes of the text, so a large answer made of small
 * values would need many times its own size.
 */
#define MAX_VALUES 100000

const char *
aep_reply_status_text(AepReplyStatus status)
{
	switch (status)
	{
		case AEP_REPLY_OK:
			return "was understood";
		case AEP_REPLY_EMPTY:
			return "is empty";
		case AEP_REPLY_NOT_UTF8:
			return "is not valid UTF-8";
		case AEP_REPLY_NUL:
			return "holds a NUL character";
		case AEP_REPLY_NOT_JSON:
			return "could not be read as JSON";
		case AEP_REPLY_DUPLICATE:
			return "has \"id\" or \"etag\" twice";
		case AEP_REPLY_NO_ID:
			return "has no \"id\"";
		case AEP_REPLY_BAD_ID:
			return "has an \"id\" that is not a UUID";
		case AEP_REPLY_BAD_ETAG:
			return "has an \"etag\" that cannot be used";
		case AEP_REPLY_NO_TOKEN:
			return "has no usable \"access_token\"";
		case AEP_REPLY_BAD_LIFE:
			return "has no usable \"expires_in\"";
	}
	return "was not understood";
}

static bool
is_json_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Takes blanks off both ends, and a byte order mark. */
static void
trim(const char **text, size_t *len)
{
	const char *start = *text;
	const char *end = start + *len;

	if (end - start >= 3 && memcmp(start, "\xef\xbb\xbf", 3) == 0)
		start += 3;
	while (start < end && is_json_blank(*start))
		start++;
	while (start < end && is_json_blank(end[-1]))
		end--;
	*text = start;
	*len = end - start;
}

/*
 * Checks the escape behind a backslash.  cJSON takes \u0000, and also \u with
 * anything but hexadecimal digits behind it, as the end of the string.
 */
static AepReplyStatus
check_escape(const char *text, size_t len)
{
	if (len == 0 || text[0] != 'u')
		return AEP_REPLY_OK;
	for (size_t i = 1; i <= 4; i++)
	{
		if (i >= len || text[i] == '\0' || strchr("0123456789abcdefABCDEF", text[i]) == NULL)
			return AEP_REPLY_NOT_JSON;
	}
	return memcmp(text, "u0000", 5) == 0 ? AEP_REPLY_NUL : AEP_REPLY_OK;
}

/*
 * What has to be known before cJSON sees the text.  Where a string begins and
 * ends matters only as far as the text is JSON.
 */
static AepReplyStatus
check_bytes(const char *text, size_t len)
{
	AepReplyStatus status = AEP_REPLY_OK;
	size_t values = 1;
	bool in_string = false;

	if (!aep_utf8_is_valid(text, len))
		return AEP_REPLY_NOT_UTF8;
	if (memchr(text, '\0', len) != NULL)
		return AEP_REPLY_NUL;
	for (size_t i = 0; i < len; i++)
	{
		if (text[i] == '\\')
		{
			AepReplyStatus escape = check_escape(text + i + 1, len - i - 1);

			if (escape == AEP_REPLY_NUL)
				return escape;
			if (escape != AEP_REPLY_OK)
				status = escape;
			i++;
		}
		else if (text[i] == '"')
			in_string = !in_string;
		else if (!in_string && (text[i] == ',' || text[i] == '[' || text[i] == '{'))
			values++;
	}
	return values > MAX_VALUES ? AEP_REPLY_NOT_JSON : status;
}

/*
 * As deep, and with as long numbers, as PostgreSQL's reader takes without an
 * error: digits and exponent together stay below the scale of a numeric.  Each
 * value costs it some 60 bytes.
 */
#define MAX_DEPTH 4000
#define MAX_DIGITS 5000
#define MAX_EXPONENT 10000
#define MAX_DOCUMENT_VALUES 4000000
#define MAX_ZEROS 100000000 /* that all exponents together become when written out */

/*
 * Whether JSON keeps within what PostgreSQL's reader takes: beyond that it
 * raises an error of its own.  Says nothing of text that is not JSON.
 */
static bool
keeps_limits(const char *text, size_t len)
{
	size_t depth = 0;
	size_t digits = 0;
	size_t values = 1;
	size_t zeros = 0;
	long exponent = -1; /* -1: not in one */
	bool in_string = false;

	for (size_t i = 0; i < len; i++)
	{
		char c = text[i];

		if (in_string)
		{
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
			continue;
		}
		if (c >= '0' && c <= '9')
		{
			if (exponent >= 0)
				exponent = exponent * 10 + (c - '0');
			if (++digits > MAX_DIGITS || exponent > MAX_EXPONENT)
				return false;
			continue;
		}
		if ((c == 'e' || c == 'E') && digits > 0)
		{
			exponent = 0;
			continue;
		}
		if (c == '.' || ((c == '+' || c == '-') && exponent == 0))
			continue;
		if (exponent > 0 && (zeros += (size_t) exponent) > MAX_ZEROS)
			return false;
		digits = 0;
		exponent = -1;
		if ((c == ',' || c == '[' || c == '{') && ++values > MAX_DOCUMENT_VALUES)
			return false;
		if (c == '"')
			in_string = true;
		else if ((c == '[' || c == '{') && ++depth > MAX_DEPTH)
			return false;
		else if ((c == ']' || c == '}') && depth > 0)
			depth--;
	}
	return true;
}

AepReplyStatus
aep_reply_text(const char *body, size_t len)
{
	if (len > 0)
		trim(&body, &len);
	if (len == 0)
		return AEP_REPLY_EMPTY;
	if (!aep_utf8_is_valid(body, len))
		return AEP_REPLY_NOT_UTF8;
	if (memchr(body, '\0', len) != NULL)
		return AEP_REPLY_NUL;
	for (const char *at = body; (at = memchr(at, '\\', len - (at - body))) != NULL; at++)
	{
		at++;
		if (at >= body + len)
			break;
		if (check_escape(at, len - (at - body)) == AEP_REPLY_NUL)
			return AEP_REPLY_NUL;
	}
	return keeps_limits(body, len) ? AEP_REPLY_OK : AEP_REPLY_NOT_JSON;
}

/*
 * Parses a body.  A tree is returned only with AEP_REPLY_OK; free_tree()
 * frees it.  JSON that memory does not suffice for counts as not JSON.
 */
static AepReplyStatus
parse(const char *body, size_t len, cJSON **tree)
{
	const char *end = NULL;
	AepReplyStatus status;

	*tree = NULL;
	if (len > 0)
		trim(&body, &len);
	if (len == 0)
		return AEP_REPLY_EMPTY;
	status = check_bytes(body, len);
	if (status != AEP_REPLY_OK)
		return status;

	/* not JSON, and cJSON before 1.7.18 reads one byte too far there */
	if (body[len - 1] == ',')
		return AEP_REPLY_NOT_JSON;
	*tree = cJSON_ParseWithLengthOpts(body, len, &end, false);
	if (*tree == NULL)
		return AEP_REPLY_NOT_JSON;
	if (end != body + len)
	{
		cJSON_Delete(*tree);
		*tree = NULL;
		return AEP_REPLY_NOT_JSON;
	}
	return AEP_REPLY_OK;
}

static void
wipe_text(char *text)
{
	if (text != NULL)
		explicit_bzero(text, strlen(text));
}

static void
wipe_tree(cJSON *item)
{
	for (; item != NULL; item = item->next)
	{
		wipe_text(item->string);
		wipe_text(item->valuestring);
		wipe_tree(item->child);
	}
}

/* An answer may repeat a secret of the request. */
static void
free_tree(cJSON *tree)
{
	wipe_tree(tree);
	cJSON_Delete(tree);
}

/*
 * The first member of that name; NULL if there is none, or no object.  *twice,
 * if given, becomes true if there is another one.
 */
static const cJSON *
member(const cJSON *object, const char *name, bool *twice)
{
	const cJSON *found = NULL;

	if (object == NULL || !cJSON_IsObject(object))
		return NULL;
	for (const cJSON *item = object->child; item != NULL; item = item->next)
	{
		if (strcmp(item->string, name) != 0)
			continue;
		if (found == NULL)
			found = item;
		else if (twice != NULL)
			*twice = true;
	}
	return found;
}

/* The text of a member that is a string; NULL for any other, and for "". */
static const char *
member_text(const cJSON *object, const char *name)
{
	const char *text = cJSON_GetStringValue(member(object, name, NULL));

	return text != NULL && text[0] != '\0' ? text : NULL;
}

/* Copies a UUID in lower case. */
static bool
read_uuid(const char *text, char *uuid)
{
	size_t len = strlen(text);

	if (len != 36)
		return false;
	for (size_t i = 0; i < len; i++)
	{
		bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
		char c = text[i];

		if (strchr(is_dash ? "-" : "0123456789abcdefABCDEF", c) == NULL)
			return false;
		uuid[i] = c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c;
	}
	uuid[len] = '\0';
	return true;
}

bool
aep_reply_is_uuid(const char *text)
{
	char uuid[37];

	return read_uuid(text, uuid);
}

bool
aep_reply_is_etag(const char *text)
{
	size_t len = strlen(text);
	size_t at = 0;

	if (len == 0 || len >= sizeof(((AepCreated *) NULL)->etag))
		return false;
	while (at < len)
	{
		uint32_t code;
		size_t size = aep_utf8_read(text + at, len - at, &code);

		if (size == 0 || aep_utf8_is_control(code))
			return false;
		at += size;
	}
	return true;
}

static AepReplyStatus
read_created(const cJSON *answer, AepCreated *created)
{
	bool twice = false;
	const cJSON *id = member(answer, "id", &twice);
	const cJSON *etag = member(answer, "etag", &twice);
	char uuid[sizeof(created->id)];

	if (twice)
		return AEP_REPLY_DUPLICATE;
	if (!cJSON_IsString(id))
		return AEP_REPLY_NO_ID;
	if (!read_uuid(id->valuestring, uuid))
		return AEP_REPLY_BAD_ID;
	memcpy(created->id, uuid, sizeof(uuid));
	if (etag == NULL)
		return AEP_REPLY_OK;
	if (!cJSON_IsString(etag) || !aep_reply_is_etag(etag->valuestring))
		return AEP_REPLY_BAD_ETAG;
	created->has_etag = true;
	memcpy(created->etag, etag->valuestring, strlen(etag->valuestring) + 1);
	return AEP_REPLY_OK;
}

AepReplyStatus
aep_reply_created(const char *body, size_t len, AepCreated *created)
{
	cJSON *answer;
	AepReplyStatus status = parse(body, len, &answer);

	memset(created, 0, sizeof(*created));
	if (status == AEP_REPLY_OK)
		status = read_created(answer, created);
	free_tree(answer);
	return status;
}

/* A token that lives longer than a year is a mistake in "expires_in". */
#define LONGEST_LIFE (366 * 24 * 60 * 60)

static bool
is_printable(const char *text)
{
	for (; *text != '\0'; text++)
	{
		if (*text <= ' ' || *text > '~')
			return false;
	}
	return true;
}

static AepReplyStatus
read_token(const cJSON *answer, AepBuffer *token, int64_t *life)
{
	const char *text = member_text(answer, "access_token");
	const cJSON *expires_in = member(answer, "expires_in", NULL);

	if (text == NULL || !is_printable(text))
		return AEP_REPLY_NO_TOKEN;
	if (!cJSON_IsNumber(expires_in) || !(expires_in->valuedouble >= 1))
		return AEP_REPLY_BAD_LIFE;
	*life =
		expires_in->valuedouble < LONGEST_LIFE ? (int64_t) expires_in->valuedouble : LONGEST_LIFE;
	return aep_buffer_append(token, text, strlen(text)) ? AEP_REPLY_OK : AEP_REPLY_NO_TOKEN;
}

AepReplyStatus
aep_reply_token(const char *body, size_t len, AepBuffer *token, int64_t *life)
{
	cJSON *answer;
	AepReplyStatus status = parse(body, len, &answer);

	if (status == AEP_REPLY_OK)
		status = read_token(answer, token, life);
	free_tree(answer);
	return status;
}

/* Nothing but what a code of some service is made of? */
static bool
is_code(const char *text, size_t len)
{
	return len > 0 && strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
								   "0123456789_-.") >= len;
}

/* The code at the end of a type like "https://ns.adobe.com/aep/errors/FLOW-1439-404". */
static bool
read_type_code(const char *type, char *code, size_t size)
{
	size_t len = strcspn(type, "?#");
	size_t start = len;
	size_t letters;

	while (start > 0 && type[start - 1] != '/')
		start--;
	type += start;
	len -= start;
	letters = strspn(type, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_");
	if (letters == 0 || letters + 1 >= len || type[letters] != '-' ||
		strspn(type + letters, "-0123456789") < len - letters || len >= size)
		return false;
	memcpy(code, type, len);
	code[len] = '\0';
	return true;
}

/* The code as a string or an integer. */
static bool
read_code(const cJSON *item, char *code, size_t size)
{
	const char *text = cJSON_GetStringValue(item);

	if (text != NULL)
	{
		size_t len = strlen(text);

		if (len >= size || !is_code(text, len))
			return false;
		memcpy(code, text, len + 1);
		return true;
	}
	/* up to there a double holds every integer, and nothing longer is a code */
	if (!cJSON_IsNumber(item) || item->valuedouble < 0 || item->valuedouble > 1e15 ||
		item->valuedouble != (double) (int64_t) item->valuedouble)
		return false;
	snprintf(code, size, "%lld", (long long) item->valuedouble);
	return true;
}

static void
find_code(const cJSON *answer, char *code, size_t size)
{
	static const char *const names[] = {"error_code", "code", "error"};
	const char *type = member_text(answer, "type");

	code[0] = '\0';
	if (type != NULL && read_type_code(type, code, size))
		return;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
	{
		if (read_code(member(answer, names[i], NULL), code, size))
			return;
	}
}

static const char *
find_message(const cJSON *answer)
{
	static const char *const names[] = {"errorMessage", "detail", "message", "title",
										"error_description"};
	const char *message = member_text(member(answer, "report", NULL), "detailed-message");

	for (size_t i = 0; message == NULL && i < sizeof(names) / sizeof(names[0]); i++)
		message = member_text(answer, names[i]);
	return message;
}

static const char *
find_request_id(const cJSON *answer)
{
	const char *id = member_text(member(answer, "report", NULL), "request-id");

	if (id == NULL)
		id = member_text(answer, "request-id");
	if (id == NULL)
		id = member_text(answer, "requestId");
	return id;
}

void
aep_reply_error(const char *body, size_t len, const AepSecrets *secrets, AepServiceError *error)
{
	cJSON *answer;
	AepReplyStatus status = parse(body, len, &answer);
	const char *message = find_message(answer);
	const char *request_id = find_request_id(answer);
	char code[sizeof(error->code)];

	memset(error, 0, sizeof(*error));
	find_code(answer, code, sizeof(code));
	aep_mask(secrets, code, strlen(code), error->code, sizeof(error->code));
	if (request_id != NULL)
		aep_mask(secrets, request_id, strlen(request_id), error->request_id,
				 sizeof(error->request_id));
	if (message != NULL)
		aep_mask(secrets, message, strlen(message), error->message, sizeof(error->message));
	else if (status != AEP_REPLY_EMPTY)
		aep_mask(secrets, body, len, error->message, sizeof(error->message));
	free_tree(answer);
}

const char *
aep_reply_library_version(void)
{
	return cJSON_Version();
}
