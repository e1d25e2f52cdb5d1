/*
 * reply_test.c
 *		Tests of reply.c.
 */
#include <stdlib.h>
#include <time.h>

#include "json/reply.h"

#include "guard.h"
#include "memory.h"
#include "tap.h"

#define ID "69f188b6-af07-4587-8061-e94d34637b41"
#define ETAG "\\\"6802064a-0000-0200-0000-6387c6b90000\\\""
#define A_ID "\"id\":\"" ID "\""
#define SIXTEEN "0123456789abcdef"
#define MANY SIXTEEN SIXTEEN SIXTEEN SIXTEEN SIXTEEN SIXTEEN SIXTEEN SIXTEEN SIXTEEN SIXTEEN

/* With the len of a string constant, NUL bytes included. */
#define BODY(text) text, sizeof(text) - 1

/* etag NULL: there is none */
static const struct
{
	const char *name;
	const char *body;
	size_t len;
	AepAnswerStatus status;
	const char *etag;
} created[] = {
	{"id and etag", BODY("{" A_ID ",\"etag\":\"" ETAG "\"}"), AEP_ANSWER_OK,
	 "\"6802064a-0000-0200-0000-6387c6b90000\""},
	{"no etag", BODY("{" A_ID "}"), AEP_ANSWER_OK, NULL},
	{"in any case and with blanks",
	 BODY(" \t\r\n{ \"id\" : \"69F188B6-AF07-4587-8061-E94D34637B41\" }\r\n"), AEP_ANSWER_OK, NULL},
	{"a byte order mark", BODY("\xef\xbb\xbf{" A_ID "}"), AEP_ANSWER_OK, NULL},
	{"other members", BODY("{\"x\":[1,-2.5e3,true,false,null,{\"id\":1}]," A_ID ",\"ID\":2}"),
	 AEP_ANSWER_OK, NULL},
	{"other members twice", BODY("{\"x\":1,\"x\":2," A_ID "}"), AEP_ANSWER_OK, NULL},
	{"an escaped name", BODY("{\"\\u0069d\":\"" ID "\"}"), AEP_ANSWER_OK, NULL},
	{"text of all kinds", BODY("{\"x\":\"\xc3\xa9\\u00e9\\ud83d\\ude00\\\\u0000\"," A_ID "}"),
	 AEP_ANSWER_OK, NULL},
	{"an etag without quotes", BODY("{" A_ID ",\"etag\":\"a\"}"), AEP_ANSWER_OK, "a"},

	{"nothing", BODY(""), AEP_ANSWER_EMPTY, NULL},
	{"blanks", BODY(" \r\n\t"), AEP_ANSWER_EMPTY, NULL},

	{"Latin 1", BODY("{" A_ID ",\"x\":\"\xe9\"}"), AEP_ANSWER_NOT_UTF8, NULL},

	{"a NUL", BODY("{" A_ID "\0}"), AEP_ANSWER_NUL, NULL},
	{"an escaped NUL in the id", BODY("{\"id\":\"" ID "\\u0000\"}"), AEP_ANSWER_NUL, NULL},
	{"an escaped NUL in a name", BODY("{\"id\\u0000\":\"" ID "\"}"), AEP_ANSWER_NUL, NULL},
	{"four backslashes", BODY("{" A_ID ",\"x\":\"\\\\\\\\u0000\"}"), AEP_ANSWER_OK, NULL},

	{"HTML", BODY("<html></html>"), AEP_ANSWER_NOT_JSON, NULL},
	{"a word", BODY("OK"), AEP_ANSWER_NOT_JSON, NULL},
	{"cut", BODY("{" A_ID), AEP_ANSWER_NOT_JSON, NULL},
	{"cut after a comma", BODY("{" A_ID ","), AEP_ANSWER_NOT_JSON, NULL},
	{"cut after a colon", BODY("{\"id\":"), AEP_ANSWER_NOT_JSON, NULL},
	{"cut in a string", BODY("{\"id\":\"69f1"), AEP_ANSWER_NOT_JSON, NULL},
	{"cut after a backslash", BODY("{\"id\":\"\\"), AEP_ANSWER_NOT_JSON, NULL},
	{"cut in an escape", BODY("{\"id\":\"\\u00"), AEP_ANSWER_NOT_JSON, NULL},
	{"a brace", BODY("{"), AEP_ANSWER_NOT_JSON, NULL},
	{"a quote", BODY("\""), AEP_ANSWER_NOT_JSON, NULL},
	{"garbage behind", BODY("{" A_ID "} x"), AEP_ANSWER_NOT_JSON, NULL},
	{"a brace behind", BODY("{" A_ID "}}"), AEP_ANSWER_NOT_JSON, NULL},
	{"two answers", BODY("{" A_ID "}\n{" A_ID "}"), AEP_ANSWER_NOT_JSON, NULL},
	{"an escape that is none", BODY("{" A_ID ",\"x\":\"\\q\"}"), AEP_ANSWER_NOT_JSON, NULL},

	{"id twice", BODY("{" A_ID "," A_ID "}"), AEP_ANSWER_DUPLICATE, NULL},
	{"id twice, once escaped", BODY("{" A_ID ",\"\\u0069\\u0064\":1}"), AEP_ANSWER_DUPLICATE, NULL},
	{"etag twice", BODY("{" A_ID ",\"etag\":\"a\",\"etag\":\"b\"}"), AEP_ANSWER_DUPLICATE, NULL},

	{"an empty object", BODY("{}"), AEP_ANSWER_NO_ID, NULL},
	{"an array", BODY("[{" A_ID "}]"), AEP_ANSWER_NO_ID, NULL},
	{"a string", BODY("\"" ID "\""), AEP_ANSWER_NO_ID, NULL},
	{"a number", BODY("17"), AEP_ANSWER_NO_ID, NULL},
	{"null", BODY("null"), AEP_ANSWER_NO_ID, NULL},
	{"another letter case", BODY("{\"ID\":\"" ID "\",\"Id\":\"" ID "\"}"), AEP_ANSWER_NO_ID, NULL},
	{"only deeper", BODY("{\"x\":{" A_ID "}}"), AEP_ANSWER_NO_ID, NULL},
	{"a number as the id", BODY("{\"id\":17}"), AEP_ANSWER_NO_ID, NULL},
	{"null as the id", BODY("{\"id\":null}"), AEP_ANSWER_NO_ID, NULL},
	{"an object as the id", BODY("{\"id\":{}}"), AEP_ANSWER_NO_ID, NULL},

	{"an empty id", BODY("{\"id\":\"\"}"), AEP_ANSWER_BAD_ID, NULL},
	{"an id too short", BODY("{\"id\":\"69f188b6-af07-4587-8061-e94d34637b4\"}"), AEP_ANSWER_BAD_ID,
	 NULL},
	{"an id too long", BODY("{\"id\":\"" ID "1\"}"), AEP_ANSWER_BAD_ID, NULL},
	{"an id in braces", BODY("{\"id\":\"{" ID "}\"}"), AEP_ANSWER_BAD_ID, NULL},
	{"an id without dashes", BODY("{\"id\":\"69f188b6af0745878061e94d34637b41\"}"),
	 AEP_ANSWER_BAD_ID, NULL},
	{"dashes elsewhere", BODY("{\"id\":\"69f188b-6af07-4587-8061-e94d34637b41\"}"),
	 AEP_ANSWER_BAD_ID, NULL},
	{"a letter too far", BODY("{\"id\":\"g9f188b6-af07-4587-8061-e94d34637b41\"}"),
	 AEP_ANSWER_BAD_ID, NULL},
	{"a line break", BODY("{\"id\":\"69f188b6-af07-4587-8061-e94d34637b4\\n\"}"), AEP_ANSWER_BAD_ID,
	 NULL},

	{"a number as the etag", BODY("{" A_ID ",\"etag\":1}"), AEP_ANSWER_BAD_ETAG, NULL},
	{"null as the etag", BODY("{" A_ID ",\"etag\":null}"), AEP_ANSWER_BAD_ETAG, NULL},
	{"a line break in the etag", BODY("{" A_ID ",\"etag\":\"a\\r\\nX: y\"}"), AEP_ANSWER_BAD_ETAG,
	 NULL},
	{"DEL in the etag", BODY("{" A_ID ",\"etag\":\"a\\u007f\"}"), AEP_ANSWER_BAD_ETAG, NULL},
	{"an empty etag", BODY("{" A_ID ",\"etag\":\"\"}"), AEP_ANSWER_BAD_ETAG, NULL},
	{"an etag too long", BODY("{" A_ID ",\"etag\":\"" MANY MANY "\"}"), AEP_ANSWER_BAD_ETAG, NULL},
};

static void
test_created(void)
{
	static const AepCreated zero;

	for (size_t i = 0; i < lengthof(created); i++)
	{
		AepAnswerStatus expected = created[i].status;
		bool has_id = expected == AEP_ANSWER_OK || expected == AEP_ANSWER_BAD_ETAG;
		const char *body = guarded_copy(created[i].body, created[i].len);
		AepCreated result;
		AepAnswerStatus status;

		memset(&result, 'x', sizeof(result));
		status = aep_reply_created(body, created[i].len, &result);
		ok(status == expected, "%s: %s", created[i].name, aep_answer_status_text(status));
		if (has_id)
		{
			is(result.id, ID, "the id");
			ok(result.has_etag == (created[i].etag != NULL), "an etag or none");
			is(result.etag, created[i].etag != NULL ? created[i].etag : "", "the etag");
		}
		else
			ok(memcmp(&result, &zero, sizeof(zero)) == 0, "all zero");
	}
}

static void
test_etag(void)
{
	ok(aep_reply_is_etag("\"6802064a-0000-0200-0000-6387c6b90000\""), "an etag");
	ok(aep_reply_is_etag("\xc3\xa9"), "one beyond ASCII");
	ok(!aep_reply_is_etag(""), "nothing is none");
	ok(!aep_reply_is_etag("a\r\nb"), "nor is a line break");
	ok(!aep_reply_is_etag("\xe9"), "nor what is not UTF-8");
	ok(!aep_reply_is_etag("a\xe4\xbd"), "also at its end");
	ok(!aep_reply_is_etag(MANY MANY), "nor a long text");
}

static void
test_nothing(void)
{
	AepCreated result;

	ok(aep_reply_created(NULL, 0, &result) == AEP_ANSWER_EMPTY, "a body that is NULL");
	ok(aep_reply_library_version()[0] >= '1', "cJSON %s", aep_reply_library_version());
}

static void
test_token(void)
{
	/* token NULL: not understood */
	static const struct
	{
		const char *name;
		const char *body;
		size_t len;
		AepAnswerStatus status;
		const char *token;
		int64_t life;
	} answers[] = {
		{"IMS's",
		 BODY("{\"access_token\":\"eyJ.a-b_c\",\"token_type\":\"bearer\",\"expires_in\":86399}"),
		 AEP_ANSWER_OK, "eyJ.a-b_c", 86399},
		{"a fraction", BODY("{\"access_token\":\"t\",\"expires_in\":1.5}"), AEP_ANSWER_OK, "t", 1},
		{"a huge life", BODY("{\"access_token\":\"t\",\"expires_in\":1e300}"), AEP_ANSWER_OK, "t",
		 366 * 24 * 60 * 60},
		{"no token", BODY("{\"expires_in\":86399}"), AEP_ANSWER_NO_TOKEN, NULL, 0},
		{"an empty token", BODY("{\"access_token\":\"\",\"expires_in\":1}"), AEP_ANSWER_NO_TOKEN,
		 NULL, 0},
		{"a token with a line break", BODY("{\"access_token\":\"a\\r\\nb\",\"expires_in\":1}"),
		 AEP_ANSWER_NO_TOKEN, NULL, 0},
		{"a token beyond ASCII", BODY("{\"access_token\":\"\xc3\xa9\",\"expires_in\":1}"),
		 AEP_ANSWER_NO_TOKEN, NULL, 0},
		{"no life", BODY("{\"access_token\":\"t\"}"), AEP_ANSWER_OK, "t", 60},
		{"a life of nothing", BODY("{\"access_token\":\"t\",\"expires_in\":0}"), AEP_ANSWER_OK, "t",
		 60},
		{"a life in words", BODY("{\"access_token\":\"t\",\"expires_in\":\"86399\"}"),
		 AEP_ANSWER_OK, "t", 60},
		{"not JSON", BODY("<html>"), AEP_ANSWER_NOT_JSON, NULL, 0},
	};

	for (size_t i = 0; i < lengthof(answers); i++)
	{
		AepBuffer token = {0};
		int64_t life = 0;

		ok(aep_reply_token(guarded_copy(answers[i].body, answers[i].len), answers[i].len, &token,
						   &life) == answers[i].status,
		   "token, %s: %s", answers[i].name, aep_answer_status_text(answers[i].status));
		is(token.data, answers[i].token, "the token");
		if (answers[i].status == AEP_ANSWER_OK)
			ok(life == answers[i].life, "lives %lld s", (long long) answers[i].life);
		aep_buffer_free(&token);
	}
}

/* Error answers; a secret of "hunter2" is to be masked. */
static const struct
{
	const char *name;
	const char *body;
	size_t len;
	const char *code;
	const char *message;
	const char *request_id;
} errors[] = {
	{"the gateway's", BODY("{\"error_code\":\"401013\",\"message\":\"Oauth token is not valid\"}"),
	 "401013", "Oauth token is not valid", ""},
	{"the gateway's with an integer", BODY("{\"error_code\":401013,\"message\":\"Oauth\"}"),
	 "401013", "Oauth", ""},
	{"Flow Service's",
	 BODY("{\"type\":\"https://ns.adobe.com/aep/errors/FLOW-1439-404\",\"title\":\"the title\","
		  "\"status\":404,\"report\":{\"detailed-message\":\"the detail\",\"id\":\"x\","
		  "\"request-id\":\"abc-123\",\"type\":\"flows\"},\"errorMessage\":\"the message\","
		  "\"errorDetails\":\"the details\"}"),
	 "FLOW-1439-404", "the detail", "abc-123"},
	{"without a detailed message",
	 BODY("{\"type\":\"https://ns.adobe.com/aep/errors/FLOW-1403-400\",\"title\":\"the title\","
		  "\"report\":{\"request-id\":\"r\"},\"errorMessage\":\"the message\"}"),
	 "FLOW-1403-400", "the message", "r"},
	{"an older one",
	 BODY("{\"errorMessage\":\"connections not found with id = [..]\",\"errorDetails\":\"d\"}"), "",
	 "connections not found with id = [..]", ""},
	{"only a message", BODY("{\"message\":\"Please provide a valid spec id\"}"), "",
	 "Please provide a valid spec id", ""},
	{"the framework's",
	 BODY("{\"type\":\"/placeholder/type/uri\",\"status\":400,\"title\":\"BadRequestError\","
		  "\"detail\":\"Missing Content-Type\"}"),
	 "", "Missing Content-Type", ""},
	{"only a title", BODY("{\"type\":\"about:blank\",\"title\":\"RequestRateTooLarge\"}"), "",
	 "RequestRateTooLarge", ""},
	{"IMS's",
	 BODY("{\"error\":\"invalid_client\",\"error_description\":\"invalid client_secret "
		  "parameter\"}"),
	 "invalid_client", "invalid client_secret parameter", ""},
	{"IMS's without a description", BODY("{\"error\":\"invalid_scope\"}"), "invalid_scope",
	 "{\"error\":\"invalid_scope\"}", ""},
	{"a code and a request id of others",
	 BODY("{\"code\":\"E17\",\"message\":\"m\",\"requestId\":\"r1\"}"), "E17", "m", "r1"},
	{"another request id", BODY("{\"code\":17,\"message\":\"m\",\"request-id\":\"r2\"}"), "17", "m",
	 "r2"},

	{"a type with a query", BODY("{\"type\":\"https://x/FLOW-1-400?a=/b#c\",\"title\":\"t\"}"),
	 "FLOW-1-400", "t", ""},
	{"a type that is the code", BODY("{\"type\":\"CONNECTOR-1308-400\",\"title\":\"t\"}"),
	 "CONNECTOR-1308-400", "t", ""},
	{"types that hold no code", BODY("{\"type\":\"https://x/flow-1\",\"title\":\"t\"}"), "", "t",
	 ""},
	{"a type that ends in a slash", BODY("{\"type\":\"https://x/FLOW-1/\",\"title\":\"t\"}"), "",
	 "t", ""},
	{"a type without a number", BODY("{\"type\":\"https://x/FLOW-\",\"title\":\"t\"}"), "", "t",
	 ""},
	{"a type that is letters", BODY("{\"type\":\"FLOW\",\"title\":\"t\"}"), "", "t", ""},
	{"a type with more", BODY("{\"type\":\"https://x/FLOW-1x\",\"title\":\"t\"}"), "", "t", ""},
	{"a type too long",
	 BODY("{\"type\":\"FLOW-"
		  "1234567890"
		  "1234567890"
		  "1234567890"
		  "1234567890"
		  "1234567890"
		  "1234567890"
		  "\",\"title\":\"t\"}"),
	 "", "t", ""},
	{"an empty type", BODY("{\"type\":\"\",\"error_code\":\"e\",\"title\":\"t\"}"), "e", "t", ""},
	{"a phrase is no code", BODY("{\"error\":\"Not Found\",\"message\":\"m\"}"), "", "m", ""},
	{"a code too long", BODY("{\"error_code\":\"" MANY "\",\"message\":\"m\"}"), "", "m", ""},
	{"a fraction is no code", BODY("{\"error_code\":1.5,\"code\":2,\"message\":\"m\"}"), "2", "m",
	 ""},
	{"nor a negative number", BODY("{\"error_code\":-1,\"message\":\"m\"}"), "", "m", ""},
	{"nor a huge one", BODY("{\"error_code\":1e300,\"code\":1e999,\"message\":\"m\"}"), "", "m",
	 ""},

	{"members of other types",
	 BODY("{\"report\":\"x\",\"errorMessage\":17,\"detail\":null,\"message\":{\"a\":1},"
		  "\"title\":\"t\",\"error_code\":[1],\"requestId\":5}"),
	 "", "t", ""},
	{"empty members", BODY("{\"errorMessage\":\"\",\"detail\":\"\",\"message\":\"m\"}"), "", "m",
	 ""},
	{"another letter case", BODY("{\"Message\":\"M\",\"title\":\"t\"}"), "", "t", ""},
	{"none of these", BODY("{\"error\":{\"code\":1}}"), "", "{\"error\":{\"code\":1}}", ""},
	{"an array", BODY("[1, 2]"), "", "[1, 2]", ""},
	{"a string", BODY("\"text\""), "", "\"text\"", ""},

	{"nothing", BODY(""), "", "", ""},
	{"blanks", BODY(" \r\n"), "", "", ""},
	{"HTML", BODY("<html>\n<h1>503</h1>\n</html>\n"), "", "<html> <h1>503</h1> </html> ", ""},
	{"text", BODY("upstream connect error"), "", "upstream connect error", ""},
	{"broken JSON", BODY("{\"message\":\"m\""), "", "{\"message\":\"m\"", ""},
	{"not UTF-8", BODY("{\"message\":\"\xfc\"}"), "", "{\"message\":\"?\"}", ""},
	{"a NUL", BODY("{\"message\":\"a\0b\"}"), "", "{\"message\":\"a b\"}", ""},
	{"an escaped NUL", BODY("{\"message\":\"a\\u0000b\"}"), "", "{\"message\":\"a\\u0000b\"}", ""},

	{"a line", BODY("{\"message\":\"a\\r\\nb\\u0007\",\"requestId\":\"\\n\"}"), "", "a  b ", " "},
	{"secrets",
	 BODY("{\"error_code\":\"hunter2\",\"message\":\"bad "
		  "\\u0068unter2!\",\"requestId\":\"hunter2\"}"),
	 AEP_MASK, "bad " AEP_MASK "!", AEP_MASK},
	{"secrets in text", BODY("bad hunter2, \\u0068unter2"), "", "bad " AEP_MASK ", " AEP_MASK, ""},
};

static void
test_error(void)
{
	static const AepSecrets secrets = {{"hunter2"}, 1};

	for (size_t i = 0; i < lengthof(errors); i++)
	{
		const char *body = guarded_copy(errors[i].body, errors[i].len);
		AepServiceError error;
		char name[128];

		memset(&error, 'x', sizeof(error));
		aep_reply_error(body, errors[i].len, &secrets, &error);
		snprintf(name, sizeof(name), "%s: code", errors[i].name);
		is(error.code, errors[i].code, name);
		snprintf(name, sizeof(name), "%s: code to compare with", errors[i].name);
		is(error.raw_code, strcmp(errors[i].code, AEP_MASK) == 0 ? "hunter2" : errors[i].code,
		   name);
		snprintf(name, sizeof(name), "%s: message", errors[i].name);
		is(error.message, errors[i].message, name);
		snprintf(name, sizeof(name), "%s: request id", errors[i].name);
		is(error.request_id, errors[i].request_id, name);
	}
}

/* count times text, between begin and end */
static char *
repeat(const char *begin, const char *text, size_t count, const char *end)
{
	size_t size = strlen(text);
	char *body = malloc(strlen(begin) + count * size + strlen(end) + 1);
	char *at = stpcpy(body, begin);

	for (size_t i = 0; i < count; i++, at += size)
		memcpy(at, text, size);
	strcpy(at, end);
	return body;
}

/* Answers made to need much time, stack or memory. */
static void
test_large(void)
{
	static const struct
	{
		const char *name;
		const char *begin;
		const char *text;
		size_t count;
		const char *end;
		AepAnswerStatus status;
	} bodies[] = {
		{"nesting", "{" A_ID ",\"x\":", "[", 10000000, "", AEP_ANSWER_NOT_JSON},
		{"nesting of objects", "", "{\"a\":", 1000000, "", AEP_ANSWER_NOT_JSON},
		{"values", "{" A_ID ",\"x\":[1", ",1", 30000000, "]}", AEP_ANSWER_FAR_TOO_MANY},
		{"members", "{" A_ID, ",\"x\":1", 10000000, "}", AEP_ANSWER_FAR_TOO_MANY},
		{"fewer members", "{" A_ID, ",\"x\":1", 40000, "}", AEP_ANSWER_OK},
		{"a string", "{" A_ID ",\"x\":\"", "0123456789,[{\\\"", 4000000, "\"}", AEP_ANSWER_OK},
		{"blanks", "{" A_ID, " \r\n\t", 16000000, "}", AEP_ANSWER_OK},
		{"backslashes", "{" A_ID ",\"x\":\"", "\\\\", 32000000, "\"}", AEP_ANSWER_OK},
		{"nothing but blanks", "", " ", 64000000, "", AEP_ANSWER_EMPTY},
	};

	for (size_t i = 0; i < lengthof(bodies); i++)
	{
		char *body = repeat(bodies[i].begin, bodies[i].text, bodies[i].count, bodies[i].end);
		size_t len = strlen(body);
		AepCreated result;
		AepServiceError error;
		clock_t start = clock();
		AepAnswerStatus status = aep_reply_created(body, len, &result);
		double seconds;

		aep_reply_error(body, len, NULL, &error);
		seconds = (double) (clock() - start) / CLOCKS_PER_SEC;
		ok(status == bodies[i].status, "%s: %s", bodies[i].name, aep_answer_status_text(status));
		ok(seconds < 20, "%zu bytes in %.2f s", len, seconds);
		ok(strlen(error.message) < sizeof(error.message), "the message is clipped");
		free(body);
	}
}

static void
test_memory(void)
{
	static const char body[] = "{" A_ID ",\"etag\":\"" ETAG "\",\"hunter2\":[\"hunter2\"]}";
	static const char refused[] = "{\"message\":\"the hunter2\"} ";
	static const char granted[] = "{\"access_token\":\"hunter2\",\"expires_in\":1}";
	long before = memory_in_use();
	bool done = false;
	bool consistent = true;
	long unwiped = 0;
	long allocations = 0;
	AepServiceError error;

	while (!done && allocations < 1000)
	{
		AepCreated result;
		AepAnswerStatus status;

		memory_reset(++allocations, NULL);
		status = aep_reply_created(body, sizeof(body) - 1, &result);
		done = !memory_has_failed();
		consistent = consistent && (status == AEP_ANSWER_OK) == done;
		memory_reset(allocations, NULL);
		aep_reply_error(body, sizeof(body) - 1, NULL, &error);
		consistent = consistent && error.message[0] == '{' && memory_in_use() == before;
	}
	ok(done && allocations > 5, "%ld allocations fail one by one", allocations - 1);
	ok(consistent, "each leaves JSON that could not be read, and nothing leaks");

	for (int i = 0; i < 3; i++)
	{
		AepCreated result;
		AepBuffer token = {0};
		int64_t life;

		memory_reset(0, "hunter2");
		if (i == 0)
			aep_reply_created(body, sizeof(body) - 1, &result);
		else if (i == 1)
			aep_reply_error(refused, sizeof(refused) - 1, NULL, &error);
		else
			aep_reply_token(granted, sizeof(granted) - 1, &token, &life);
		aep_buffer_free(&token);
		unwiped += memory_unwiped();
	}
	memory_reset(0, NULL);
	ok(unwiped == 0, "no secret of an answer stays in freed memory");
}

int
main(void)
{
	memory_hook_cjson();
	test_created();
	test_etag();
	test_nothing();
	test_token();
	test_error();
	test_large();
	test_memory();
	return tap_end();
}
