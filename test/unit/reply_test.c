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
	AepReplyStatus status;
	const char *etag;
} created[] = {
	{"id and etag", BODY("{" A_ID ",\"etag\":\"" ETAG "\"}"), AEP_REPLY_OK,
	 "\"6802064a-0000-0200-0000-6387c6b90000\""},
	{"no etag", BODY("{" A_ID "}"), AEP_REPLY_OK, NULL},
	{"in any case and with blanks",
	 BODY(" \t\r\n{ \"id\" : \"69F188B6-AF07-4587-8061-E94D34637B41\" }\r\n"), AEP_REPLY_OK, NULL},
	{"a byte order mark", BODY("\xef\xbb\xbf{" A_ID "}"), AEP_REPLY_OK, NULL},
	{"other members", BODY("{\"x\":[1,-2.5e3,true,false,null,{\"id\":1}]," A_ID ",\"ID\":2}"),
	 AEP_REPLY_OK, NULL},
	{"other members twice", BODY("{\"x\":1,\"x\":2," A_ID "}"), AEP_REPLY_OK, NULL},
	{"an escaped name", BODY("{\"\\u0069d\":\"" ID "\"}"), AEP_REPLY_OK, NULL},
	{"text of all kinds", BODY("{\"x\":\"\xc3\xa9\\u00e9\\ud83d\\ude00\\\\u0000\"," A_ID "}"),
	 AEP_REPLY_OK, NULL},
	{"an etag without quotes", BODY("{" A_ID ",\"etag\":\"a\"}"), AEP_REPLY_OK, "a"},

	{"nothing", BODY(""), AEP_REPLY_EMPTY, NULL},
	{"blanks", BODY(" \r\n\t"), AEP_REPLY_EMPTY, NULL},

	{"Latin 1", BODY("{" A_ID ",\"x\":\"\xe9\"}"), AEP_REPLY_NOT_UTF8, NULL},
	{"an overlong character", BODY("{" A_ID ",\"x\":\"\xc0\x80\"}"), AEP_REPLY_NOT_UTF8, NULL},
	{"a surrogate in UTF-8", BODY("{" A_ID ",\"x\":\"\xed\xa0\xbd\"}"), AEP_REPLY_NOT_UTF8, NULL},
	{"a character cut", BODY("{" A_ID "}\xc3"), AEP_REPLY_NOT_UTF8, NULL},
	{"not UTF-8, and a NUL", BODY("\0\xff"), AEP_REPLY_NOT_UTF8, NULL},

	{"a NUL", BODY("{" A_ID "\0}"), AEP_REPLY_NUL, NULL},
	{"a NUL at the end", BODY("{" A_ID "}\0"), AEP_REPLY_NUL, NULL},
	{"only a NUL", BODY("\0"), AEP_REPLY_NUL, NULL},
	{"an escaped NUL in the id", BODY("{\"id\":\"" ID "\\u0000\"}"), AEP_REPLY_NUL, NULL},
	{"an escaped NUL elsewhere", BODY("{" A_ID ",\"x\":[\"a\\u0000b\"]}"), AEP_REPLY_NUL, NULL},
	{"an escaped NUL in a name", BODY("{\"id\\u0000\":\"" ID "\"}"), AEP_REPLY_NUL, NULL},
	{"three backslashes", BODY("{" A_ID ",\"x\":\"\\\\\\u0000\"}"), AEP_REPLY_NUL, NULL},
	{"four backslashes", BODY("{" A_ID ",\"x\":\"\\\\\\\\u0000\"}"), AEP_REPLY_OK, NULL},
	{"an escaped NUL, not JSON", BODY("\\u0000"), AEP_REPLY_NUL, NULL},

	{"HTML", BODY("<html></html>"), AEP_REPLY_NOT_JSON, NULL},
	{"a word", BODY("OK"), AEP_REPLY_NOT_JSON, NULL},
	{"cut", BODY("{" A_ID), AEP_REPLY_NOT_JSON, NULL},
	{"cut after a comma", BODY("{" A_ID ","), AEP_REPLY_NOT_JSON, NULL},
	{"cut after a colon", BODY("{\"id\":"), AEP_REPLY_NOT_JSON, NULL},
	{"cut in a string", BODY("{\"id\":\"69f1"), AEP_REPLY_NOT_JSON, NULL},
	{"cut after a backslash", BODY("{\"id\":\"\\"), AEP_REPLY_NOT_JSON, NULL},
	{"cut in an escape", BODY("{\"id\":\"\\u00"), AEP_REPLY_NOT_JSON, NULL},
	{"a brace", BODY("{"), AEP_REPLY_NOT_JSON, NULL},
	{"a quote", BODY("\""), AEP_REPLY_NOT_JSON, NULL},
	{"only a byte order mark", BODY("\xef\xbb\xbf"), AEP_REPLY_EMPTY, NULL},
	{"garbage behind", BODY("{" A_ID "} x"), AEP_REPLY_NOT_JSON, NULL},
	{"a brace behind", BODY("{" A_ID "}}"), AEP_REPLY_NOT_JSON, NULL},
	{"two answers", BODY("{" A_ID "}\n{" A_ID "}"), AEP_REPLY_NOT_JSON, NULL},
	{"an escape that is none", BODY("{" A_ID ",\"x\":\"\\q\"}"), AEP_REPLY_NOT_JSON, NULL},
	{"no digits", BODY("{\"id\":\"" ID "\\uzzzz\"}"), AEP_REPLY_NOT_JSON, NULL},
	{"too few digits", BODY("{\"id\":\"" ID "\\u000\"}"), AEP_REPLY_NOT_JSON, NULL},
	{"a high surrogate", BODY("{" A_ID ",\"x\":\"\\ud83d\"}"), AEP_REPLY_NOT_JSON, NULL},
	{"a low surrogate", BODY("{" A_ID ",\"x\":\"\\ude00\"}"), AEP_REPLY_NOT_JSON, NULL},
	{"surrogates in the wrong order", BODY("{" A_ID ",\"x\":\"\\ude00\\ud83d\"}"),
	 AEP_REPLY_NOT_JSON, NULL},
	{"two high surrogates", BODY("{" A_ID ",\"x\":\"\\ud83d\\ud83d\"}"), AEP_REPLY_NOT_JSON, NULL},
	{"a high surrogate and text", BODY("{" A_ID ",\"x\":\"\\ud83dabcdef\"}"), AEP_REPLY_NOT_JSON,
	 NULL},

	{"id twice", BODY("{" A_ID "," A_ID "}"), AEP_REPLY_DUPLICATE, NULL},
	{"id twice, once escaped", BODY("{" A_ID ",\"\\u0069\\u0064\":1}"), AEP_REPLY_DUPLICATE, NULL},
	{"etag twice", BODY("{" A_ID ",\"etag\":\"a\",\"etag\":\"b\"}"), AEP_REPLY_DUPLICATE, NULL},

	{"an empty object", BODY("{}"), AEP_REPLY_NO_ID, NULL},
	{"an array", BODY("[{" A_ID "}]"), AEP_REPLY_NO_ID, NULL},
	{"a string", BODY("\"" ID "\""), AEP_REPLY_NO_ID, NULL},
	{"a number", BODY("17"), AEP_REPLY_NO_ID, NULL},
	{"null", BODY("null"), AEP_REPLY_NO_ID, NULL},
	{"another letter case", BODY("{\"ID\":\"" ID "\",\"Id\":\"" ID "\"}"), AEP_REPLY_NO_ID, NULL},
	{"only deeper", BODY("{\"x\":{" A_ID "}}"), AEP_REPLY_NO_ID, NULL},
	{"a number as the id", BODY("{\"id\":17}"), AEP_REPLY_NO_ID, NULL},
	{"null as the id", BODY("{\"id\":null}"), AEP_REPLY_NO_ID, NULL},
	{"an object as the id", BODY("{\"id\":{}}"), AEP_REPLY_NO_ID, NULL},

	{"an empty id", BODY("{\"id\":\"\"}"), AEP_REPLY_BAD_ID, NULL},
	{"an id too short", BODY("{\"id\":\"69f188b6-af07-4587-8061-e94d34637b4\"}"), AEP_REPLY_BAD_ID,
	 NULL},
	{"an id too long", BODY("{\"id\":\"" ID "1\"}"), AEP_REPLY_BAD_ID, NULL},
	{"an id in braces", BODY("{\"id\":\"{" ID "}\"}"), AEP_REPLY_BAD_ID, NULL},
	{"an id without dashes", BODY("{\"id\":\"69f188b6af0745878061e94d34637b41\"}"),
	 AEP_REPLY_BAD_ID, NULL},
	{"dashes elsewhere", BODY("{\"id\":\"69f188b-6af07-4587-8061-e94d34637b41\"}"),
	 AEP_REPLY_BAD_ID, NULL},
	{"a letter too far", BODY("{\"id\":\"g9f188b6-af07-4587-8061-e94d34637b41\"}"),
	 AEP_REPLY_BAD_ID, NULL},
	{"a line break", BODY("{\"id\":\"69f188b6-af07-4587-8061-e94d34637b4\\n\"}"), AEP_REPLY_BAD_ID,
	 NULL},

	{"a number as the etag", BODY("{" A_ID ",\"etag\":1}"), AEP_REPLY_BAD_ETAG, NULL},
	{"null as the etag", BODY("{" A_ID ",\"etag\":null}"), AEP_REPLY_BAD_ETAG, NULL},
	{"a line break in the etag", BODY("{" A_ID ",\"etag\":\"a\\r\\nX: y\"}"), AEP_REPLY_BAD_ETAG,
	 NULL},
	{"DEL in the etag", BODY("{" A_ID ",\"etag\":\"a\\u007f\"}"), AEP_REPLY_BAD_ETAG, NULL},
	{"an empty etag", BODY("{" A_ID ",\"etag\":\"\"}"), AEP_REPLY_BAD_ETAG, NULL},
	{"an etag too long", BODY("{" A_ID ",\"etag\":\"" MANY MANY "\"}"), AEP_REPLY_BAD_ETAG, NULL},
};

static void
test_created(void)
{
	static const AepCreated zero;

	for (size_t i = 0; i < lengthof(created); i++)
	{
		AepReplyStatus expected = created[i].status;
		bool has_id = expected == AEP_REPLY_OK || expected == AEP_REPLY_BAD_ETAG;
		const char *body = guarded_copy(created[i].body, created[i].len);
		AepCreated result;
		AepReplyStatus status;

		memset(&result, 'x', sizeof(result));
		status = aep_reply_created(body, created[i].len, &result);
		ok(status == expected, "%s: %s", created[i].name, aep_reply_status_text(status));
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

/* What may go on to another JSON reader, be it JSON or not. */
static void
test_text(void)
{
	static const struct
	{
		const char *name;
		const char *body;
		size_t len;
		AepReplyStatus status;
	} bodies[] = {
		{"an object", BODY(" {\"a\":\"\\u0001\\n\"}\n"), AEP_REPLY_OK},
		{"no JSON", BODY("{x"), AEP_REPLY_OK},
		{"no digits", BODY("\"\\u00zz\""), AEP_REPLY_OK},
		{"a backslash at the end", BODY("\\"), AEP_REPLY_OK},
		{"nothing", BODY(""), AEP_REPLY_EMPTY},
		{"blanks", BODY(" \r\n\t"), AEP_REPLY_EMPTY},
		{"Latin 1", BODY("{\"a\":\"\xe9\"}"), AEP_REPLY_NOT_UTF8},
		{"a NUL", BODY("{\"a\":\"\0\"}"), AEP_REPLY_NUL},
		{"an escaped NUL", BODY("{\"a\":\"\\u0000\"}"), AEP_REPLY_NUL},
		{"an escaped NUL at the end", BODY("\\u0000"), AEP_REPLY_NUL},
		{"an escaped NUL cut", BODY("\\u000"), AEP_REPLY_OK},
		{"two backslashes", BODY("\"\\\\u0000\""), AEP_REPLY_OK},
		{"three backslashes", BODY("\"\\\\\\u0000\""), AEP_REPLY_NUL},
	};

	for (size_t i = 0; i < lengthof(bodies); i++)
		ok(aep_reply_text(guarded_copy(bodies[i].body, bodies[i].len), bodies[i].len) ==
			   bodies[i].status,
		   "text, %s: %s", bodies[i].name, aep_reply_status_text(bodies[i].status));
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
		AepReplyStatus status;
		const char *token;
		int64_t life;
	} answers[] = {
		{"IMS's",
		 BODY("{\"access_token\":\"eyJ.a-b_c\",\"token_type\":\"bearer\",\"expires_in\":86399}"),
		 AEP_REPLY_OK, "eyJ.a-b_c", 86399},
		{"a fraction", BODY("{\"access_token\":\"t\",\"expires_in\":1.5}"), AEP_REPLY_OK, "t", 1},
		{"a huge life", BODY("{\"access_token\":\"t\",\"expires_in\":1e300}"), AEP_REPLY_OK, "t",
		 366 * 24 * 60 * 60},
		{"no token", BODY("{\"expires_in\":86399}"), AEP_REPLY_NO_TOKEN, NULL, 0},
		{"an empty token", BODY("{\"access_token\":\"\",\"expires_in\":1}"), AEP_REPLY_NO_TOKEN,
		 NULL, 0},
		{"a token with a line break", BODY("{\"access_token\":\"a\\r\\nb\",\"expires_in\":1}"),
		 AEP_REPLY_NO_TOKEN, NULL, 0},
		{"a token beyond ASCII", BODY("{\"access_token\":\"\xc3\xa9\",\"expires_in\":1}"),
		 AEP_REPLY_NO_TOKEN, NULL, 0},
		{"no life", BODY("{\"access_token\":\"t\"}"), AEP_REPLY_BAD_LIFE, NULL, 0},
		{"a life of nothing", BODY("{\"access_token\":\"t\",\"expires_in\":0}"), AEP_REPLY_BAD_LIFE,
		 NULL, 0},
		{"a life in words", BODY("{\"access_token\":\"t\",\"expires_in\":\"86399\"}"),
		 AEP_REPLY_BAD_LIFE, NULL, 0},
		{"not JSON", BODY("<html>"), AEP_REPLY_NOT_JSON, NULL, 0},
	};

	for (size_t i = 0; i < lengthof(answers); i++)
	{
		AepBuffer token = {0};
		int64_t life = 0;

		ok(aep_reply_token(guarded_copy(answers[i].body, answers[i].len), answers[i].len, &token,
						   &life) == answers[i].status,
		   "token, %s: %s", answers[i].name, aep_reply_status_text(answers[i].status));
		is(token.data, answers[i].token, "the token");
		if (answers[i].status == AEP_REPLY_OK)
			ok(life == answers[i].life, "lives %lld s", (long long) answers[i].life);
		aep_buffer_free(&token);
	}
}

static void
test_status_text(void)
{
	AepCreated result;

	for (int status = AEP_REPLY_OK; status <= AEP_REPLY_BAD_LIFE; status++)
	{
		const char *text = aep_reply_status_text(status);

		ok(text != NULL && strlen(text) > 5 && text[strlen(text) - 1] != '.', "The answer %s",
		   text);
		for (int other = AEP_REPLY_OK; text != NULL && other < status; other++)
		{
			if (strcmp(text, aep_reply_status_text(other)) == 0)
				ok(false, "status %d and %d say the same", status, other);
		}
	}
	ok(aep_reply_created(NULL, 0, &result) == AEP_REPLY_EMPTY, "a body that is NULL");
	ok(aep_reply_library_version()[0] >= '1', "cJSON %s", aep_reply_library_version());
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
		AepReplyStatus status;
	} bodies[] = {
		{"nesting", "{" A_ID ",\"x\":", "[", 10000000, "", AEP_REPLY_NOT_JSON},
		{"nesting of objects", "", "{\"a\":", 1000000, "", AEP_REPLY_NOT_JSON},
		{"values", "{" A_ID ",\"x\":[1", ",1", 30000000, "]}", AEP_REPLY_NOT_JSON},
		{"members", "{" A_ID, ",\"x\":1", 10000000, "}", AEP_REPLY_NOT_JSON},
		{"fewer members", "{" A_ID, ",\"x\":1", 50000, "}", AEP_REPLY_OK},
		{"a string", "{" A_ID ",\"x\":\"", "0123456789,[{\\\"", 4000000, "\"}", AEP_REPLY_OK},
		{"blanks", "{" A_ID, " \r\n\t", 16000000, "}", AEP_REPLY_OK},
		{"backslashes", "{" A_ID ",\"x\":\"", "\\\\", 32000000, "\"}", AEP_REPLY_OK},
		{"nothing but blanks", "", " ", 64000000, "", AEP_REPLY_EMPTY},
	};

	for (size_t i = 0; i < lengthof(bodies); i++)
	{
		char *body = repeat(bodies[i].begin, bodies[i].text, bodies[i].count, bodies[i].end);
		size_t len = strlen(body);
		AepCreated result;
		AepServiceError error;
		clock_t start = clock();
		AepReplyStatus status = aep_reply_created(body, len, &result);
		double seconds;

		aep_reply_error(body, len, NULL, &error);
		seconds = (double) (clock() - start) / CLOCKS_PER_SEC;
		ok(status == bodies[i].status, "%s: %s", bodies[i].name, aep_reply_status_text(status));
		ok(seconds < 20, "%zu bytes in %.2f s", len, seconds);
		ok(strlen(error.message) < sizeof(error.message), "the message is clipped");
		free(body);
	}
}

/* What goes on to PostgreSQL's reader, which raises an error beyond limits of its own. */
static void
test_text_limits(void)
{
	/* of so many the text is taken, but not of one more */
	static const struct
	{
		const char *name;
		const char *begin;
		const char *text;
		size_t count;
		const char *end;
	} limits[] = {
		{"digits", "[", "1", 5000, "]"},
		{"digits behind the point", "[-0.", "1", 4999, "]"},
		{"digits and an exponent", "[1.5", "1", 4993, "e-10000]"},
		{"digits of the second number", "[1.5e3,", "1", 5000, "]"},
		{"zeros of an exponent", "[1e", "0", 4999, "]"},
		{"zeros of many exponents", "[0", ",1e10000", 10000, "]"},
		{"elements", "[0", ",0", 3999998, "]"},
		{"members", "{\"a\":0", ",\"a\":0", 3999998, "}"},
		{"empty arrays", "[0", ",[]", 1999999, "]"},
		{"levels", "", "[", 4000, "]"},
		{"levels of objects", "", "{\"a\":", 4000, "}"},
	};

	for (size_t i = 0; i < lengthof(limits); i++)
	{
		for (size_t more = 0; more <= 1; more++)
		{
			char *body =
				repeat(limits[i].begin, limits[i].text, limits[i].count + more, limits[i].end);

			ok(aep_reply_text(body, strlen(body)) ==
				   (more == 0 ? AEP_REPLY_OK : AEP_REPLY_NOT_JSON),
			   "%zu %s", limits[i].count + more, limits[i].name);
			free(body);
		}
	}
	ok(aep_reply_text(BODY("[1e10000]")) == AEP_REPLY_OK, "an exponent");
	ok(aep_reply_text(BODY("[1e10001]")) == AEP_REPLY_NOT_JSON, "one too large");
}

static void
test_nesting(void)
{
	static const size_t depths[] = {10, 900, 1100};

	for (size_t i = 0; i < lengthof(depths); i++)
	{
		char *begin = repeat("{" A_ID ",\"x\":", "[", depths[i], "");
		char *body = repeat(begin, "]", depths[i], "}");
		AepCreated result;

		ok(aep_reply_created(body, strlen(body), &result) ==
			   (depths[i] < 1000 ? AEP_REPLY_OK : AEP_REPLY_NOT_JSON),
		   "%zu levels", depths[i]);
		free(begin);
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
		AepReplyStatus status;

		memory_reset(++allocations, NULL);
		status = aep_reply_created(body, sizeof(body) - 1, &result);
		done = !memory_has_failed();
		consistent = consistent && (status == AEP_REPLY_OK) == done;
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
	test_text();
	test_token();
	test_status_text();
	test_error();
	test_large();
	test_text_limits();
	test_nesting();
	test_memory();
	return tap_end();
}
