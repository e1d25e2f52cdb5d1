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
 * What is read here is an object of a few members.  cJSON cannot be stopped, so
 * it does not get more values than such a max_response_size would allow for.
 */
#define VALUES_OF (2 * 1024 * 1024)

/*
 * Parses a body.  A tree is returned only with AEP_ANSWER_OK; free_tree()
 * frees it.  JSON that memory does not suffice for counts as not JSON.
 */
static AepAnswerStatus
parse(const char *body, size_t len, cJSON **tree)
{
	const char *end = NULL;
	AepText text;
	AepAnswerStatus status = aep_answer_check(body, len, VALUES_OF, NULL, &text);

	*tree = NULL;
	if (status == AEP_ANSWER_TOO_MANY)
		return AEP_ANSWER_FAR_TOO_MANY;
	if (status != AEP_ANSWER_OK)
		return status;
	*tree = cJSON_ParseWithLengthOpts(text.data, text.len, &end, false);
	if (*tree == NULL)
		return AEP_ANSWER_NOT_JSON;
	if (end != text.data + text.len)
	{
		cJSON_Delete(*tree);
		*tree = NULL;
		return AEP_ANSWER_NOT_JSON;
	}
	return AEP_ANSWER_OK;
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

bool
aep_reply_read_uuid(const char *text, char *uuid)
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

	return aep_reply_read_uuid(text, uuid);
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

static AepAnswerStatus
read_created(const cJSON *answer, AepCreated *created)
{
	bool twice = false;
	const cJSON *id = member(answer, "id", &twice);
	const cJSON *etag = member(answer, "etag", &twice);
	char uuid[sizeof(created->id)];

	if (twice)
		return AEP_ANSWER_DUPLICATE;
	if (!cJSON_IsString(id))
		return AEP_ANSWER_NO_ID;
	if (!aep_reply_read_uuid(id->valuestring, uuid))
		return AEP_ANSWER_BAD_ID;
	memcpy(created->id, uuid, sizeof(uuid));
	if (etag == NULL)
		return AEP_ANSWER_OK;
	if (!cJSON_IsString(etag) || !aep_reply_is_etag(etag->valuestring))
		return AEP_ANSWER_BAD_ETAG;
	created->has_etag = true;
	memcpy(created->etag, etag->valuestring, strlen(etag->valuestring) + 1);
	return AEP_ANSWER_OK;
}

AepAnswerStatus
aep_reply_created(const char *body, size_t len, AepCreated *created)
{
	cJSON *answer;
	AepAnswerStatus status = parse(body, len, &answer);

	memset(created, 0, sizeof(*created));
	if (status == AEP_ANSWER_OK)
		status = read_created(answer, created);
	free_tree(answer);
	return status;
}

/* A token that lives longer than a year is a mistake in "expires_in". */
#define LONGEST_LIFE (366 * 24 * 60 * 60)

/*
 * One of which nothing is known: it serves the calls of a moment.  If it lives
 * for a shorter time, the service refuses it, and another one is fetched.
 */
#define UNKNOWN_LIFE 60

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

static AepAnswerStatus
read_token(const cJSON *answer, AepBuffer *token, int64_t *life)
{
	const char *text = member_text(answer, "access_token");
	const cJSON *expires_in = member(answer, "expires_in", NULL);

	if (text == NULL || !is_printable(text))
		return AEP_ANSWER_NO_TOKEN;
	if (!cJSON_IsNumber(expires_in) || !(expires_in->valuedouble >= 1))
		*life = UNKNOWN_LIFE;
	else if (expires_in->valuedouble < LONGEST_LIFE)
		*life = (int64_t) expires_in->valuedouble;
	else
		*life = LONGEST_LIFE;
	return aep_buffer_append(token, text, strlen(text)) ? AEP_ANSWER_OK : AEP_ANSWER_NO_TOKEN;
}

AepAnswerStatus
aep_reply_token(const char *body, size_t len, AepBuffer *token, int64_t *life)
{
	cJSON *answer;
	AepAnswerStatus status = parse(body, len, &answer);

	if (status == AEP_ANSWER_OK)
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
	AepAnswerStatus status = parse(body, len, &answer);
	const char *message = find_message(answer);
	const char *request_id = find_request_id(answer);

	memset(error, 0, sizeof(*error));
	find_code(answer, error->raw_code, sizeof(error->raw_code));
	aep_mask(secrets, error->raw_code, strlen(error->raw_code), error->code, sizeof(error->code));
	if (request_id != NULL)
		aep_mask(secrets, request_id, strlen(request_id), error->request_id,
				 sizeof(error->request_id));
	if (message != NULL)
		aep_mask(secrets, message, strlen(message), error->message, sizeof(error->message));
	else if (status != AEP_ANSWER_EMPTY)
		aep_mask(secrets, body, len, error->message, sizeof(error->message));
	free_tree(answer);
}

const char *
aep_reply_library_version(void)
{
	return cJSON_Version();
}
