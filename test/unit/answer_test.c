/*
 * answer_test.c
 *		Tests of answer.c, and that cJSON takes what passes it just if it is JSON.
 *		Whether PostgreSQL does too is for t/041_answers.pl to see.
 */
#include <setjmp.h>
#include <stdlib.h>

#include <cjson/cJSON.h>

#include "json/answer.h"

#include "guard.h"
#include "tap.h"

#define MAX_SIZE (64 * 1024 * 1024)

/* With the len of a string constant, NUL bytes included. */
#define BODY(text) text, sizeof(text) - 1

/* What passes, be it JSON or not; text NULL: the body as it is */
static void
test_check(void)
{
	static const struct
	{
		const char *name;
		const char *body;
		size_t len;
		AepAnswerStatus status;
		const char *text;
	} bodies[] = {
		{"an object", BODY("{\"a\":\"\\u0001\\n\"}"), AEP_ANSWER_OK, NULL},
		{"no JSON", BODY("{x"), AEP_ANSWER_OK, NULL},
		{"blanks around", BODY(" \t\r\n{} \n\t\r"), AEP_ANSWER_OK, "{}"},
		{"a byte order mark", BODY("\xef\xbb\xbf{}"), AEP_ANSWER_OK, "{}"},
		{"byte order marks and blanks", BODY(" \xef\xbb\xbf\n\xef\xbb\xbf {}\n"), AEP_ANSWER_OK,
		 "{}"},
		{"one that belongs to a string", BODY("\"\xef\xbb\xbf\""), AEP_ANSWER_OK, NULL},
		{"one behind", BODY("{}\xef\xbb\xbf"), AEP_ANSWER_NOT_JSON, NULL},
		{"one cut", BODY("\xef\xbb"), AEP_ANSWER_NOT_UTF8, NULL},

		{"nothing", BODY(""), AEP_ANSWER_EMPTY, NULL},
		{"blanks", BODY(" \r\n\t"), AEP_ANSWER_EMPTY, NULL},
		{"only a byte order mark", BODY("\xef\xbb\xbf"), AEP_ANSWER_EMPTY, NULL},

		{"Latin 1", BODY("{\"a\":\"\xe9\"}"), AEP_ANSWER_NOT_UTF8, NULL},
		{"Latin 1 behind eight bytes", BODY("\"01234567\xe9\""), AEP_ANSWER_NOT_UTF8, NULL},
		{"Latin 1 outside of strings", BODY("{\xe9}"), AEP_ANSWER_NOT_UTF8, NULL},
		{"Latin 1 behind a backslash", BODY("\"\\\xe9\""), AEP_ANSWER_NOT_UTF8, NULL},
		{"an overlong character", BODY("\"\xc0\x80\""), AEP_ANSWER_NOT_UTF8, NULL},
		{"a surrogate in UTF-8", BODY("\"\xed\xa0\xbd\""), AEP_ANSWER_NOT_UTF8, NULL},
		{"a character cut", BODY("{}\xc3"), AEP_ANSWER_NOT_UTF8, NULL},
		{"a character cut in a string", BODY("\"\xc3"), AEP_ANSWER_NOT_UTF8, NULL},
		{"a NUL, and not UTF-8", BODY("\0\xff"), AEP_ANSWER_NOT_UTF8, NULL},
		{"not JSON, a NUL, and not UTF-8", BODY("01\0\xff"), AEP_ANSWER_NOT_UTF8, NULL},

		{"a NUL", BODY("{\0}"), AEP_ANSWER_NUL, NULL},
		{"a NUL at the end", BODY("{}\0"), AEP_ANSWER_NUL, NULL},
		{"only a NUL", BODY("\0"), AEP_ANSWER_NUL, NULL},
		{"a NUL in a string", BODY("\"a\0\""), AEP_ANSWER_NUL, NULL},
		{"a NUL behind a backslash", BODY("\"\\\0\""), AEP_ANSWER_NUL, NULL},
		{"an escaped NUL", BODY("{\"a\":\"\\u0000\"}"), AEP_ANSWER_NUL, NULL},
		{"an escaped NUL within text", BODY("[\"a\\u0000b\"]"), AEP_ANSWER_NUL, NULL},
		{"an escaped NUL at the end", BODY("\\u0000"), AEP_ANSWER_NUL, NULL},
		{"an escaped NUL, and what is not JSON", BODY("[01,\"\\u0000\"]"), AEP_ANSWER_NUL, NULL},
		{"two backslashes", BODY("\"\\\\u0000\""), AEP_ANSWER_OK, NULL},
		{"three backslashes", BODY("\"\\\\\\u0000\""), AEP_ANSWER_NUL, NULL},
		{"four backslashes", BODY("\"\\\\\\\\u0000\""), AEP_ANSWER_OK, NULL},
		{"an escaped NUL behind a quote", BODY("\"\\\"\\u0000\""), AEP_ANSWER_NUL, NULL},

		{"an escaped NUL cut", BODY("\"\\u000"), AEP_ANSWER_NOT_JSON, NULL},
		{"no digits", BODY("\"\\u00zz\""), AEP_ANSWER_NOT_JSON, NULL},
		{"too few digits", BODY("\"\\u000\""), AEP_ANSWER_NOT_JSON, NULL},
		{"all digits", BODY("\"\\u0aF9\\uAf90\""), AEP_ANSWER_OK, NULL},
		{"a backslash at the end", BODY("\"\\"), AEP_ANSWER_OK, NULL},
		{"a backslash outside of strings", BODY("\\"), AEP_ANSWER_NOT_JSON, NULL},
		{"a pair of surrogates", BODY("\"\\ud83d\\uDE00\""), AEP_ANSWER_OK, NULL},
		{"a high surrogate", BODY("\"\\ud83d\""), AEP_ANSWER_NOT_JSON, NULL},
		{"a low surrogate", BODY("\"\\ude00\""), AEP_ANSWER_NOT_JSON, NULL},
		{"the last low surrogate", BODY("\"\\udfff\""), AEP_ANSWER_NOT_JSON, NULL},
		{"the character behind it", BODY("\"\\ue000\""), AEP_ANSWER_OK, NULL},
		{"surrogates in the wrong order", BODY("\"\\ude00\\ud83d\""), AEP_ANSWER_NOT_JSON, NULL},
		{"two high surrogates", BODY("\"\\ud83d\\ud83d\""), AEP_ANSWER_NOT_JSON, NULL},
		{"a high surrogate and another escape", BODY("\"\\ud83d\\n\""), AEP_ANSWER_NOT_JSON, NULL},
		{"a high surrogate and text", BODY("\"\\ud83dude00\""), AEP_ANSWER_NOT_JSON, NULL},

		{"a control character in a string", BODY("\"a\x1f\""), AEP_ANSWER_NOT_JSON, NULL},
		{"a line break in a string", BODY("\"01234567\n\""), AEP_ANSWER_NOT_JSON, NULL},
		{"one among eight bytes", BODY("\"0123\n567\""), AEP_ANSWER_NOT_JSON, NULL},
		{"a NUL among eight bytes",
		 BODY("\"012\0"
			  "4567\""),
		 AEP_ANSWER_NUL, NULL},
		{"an escaped one among them", BODY("\"0\\u00007\""), AEP_ANSWER_NUL, NULL},
		{"a quote among them", BODY("\"01\",01,\"7\""), AEP_ANSWER_NOT_JSON, NULL},
		{"DEL in a string", BODY("\"\x7f\""), AEP_ANSWER_OK, NULL},
		{"a control character between values",
		 BODY("[1,\x0b"
			  "2]"),
		 AEP_ANSWER_NOT_JSON, NULL},
		{"a no-break space between values",
		 BODY("[1,\xc2\xa0"
			  "2]"),
		 AEP_ANSWER_NOT_JSON, NULL},
		{"a comma at the end", BODY("{},"), AEP_ANSWER_NOT_JSON, NULL},
		{"a zero in front", BODY("[01]"), AEP_ANSWER_NOT_JSON, NULL},
	};

	for (size_t i = 0; i < lengthof(bodies); i++)
	{
		AepText text = {NULL, 0};
		AepAnswerStatus status = aep_answer_check(guarded_copy(bodies[i].body, bodies[i].len),
												  bodies[i].len, MAX_SIZE, NULL, &text);
		const char *expected = bodies[i].text != NULL ? bodies[i].text : bodies[i].body;
		size_t len = bodies[i].text != NULL ? strlen(expected) : bodies[i].len;

		ok(status == bodies[i].status, "%s: %s", bodies[i].name, aep_answer_status_text(status));
		if (status == AEP_ANSWER_OK)
			ok(text.len == len && memcmp(text.data, expected, len) == 0, "the text");
		else
			ok(text.data == NULL, "no text");
	}
	ok(aep_answer_check(NULL, 0, MAX_SIZE, NULL, NULL) == AEP_ANSWER_EMPTY, "a body that is NULL");
}

/* Does cJSON take what the gate lets through? */
static bool
is_read(const char *body, size_t len)
{
	const char *end = NULL;
	AepText text;
	cJSON *tree;
	bool result;

	if (aep_answer_check(body, len, MAX_SIZE, NULL, &text) != AEP_ANSWER_OK)
		return false;
	tree = cJSON_ParseWithLengthOpts(text.data, text.len, &end, false);
	result = tree != NULL && end == text.data + text.len;
	cJSON_Delete(tree);
	return result;
}

static void
test_cjson(void)
{
	static const char *const json[] = {
		"0",		"-0",
		"17",		"1.5",
		"-0.001",	"1e5",
		"1E+5",		"1.25e-3",
		"10.01e00", "null",
		"true",		"[]",
		"{}",		"\"\"",
		"[1,2]",	"{\"a\":{}}",
		"[[],[]]",	"[ 1 , 2 ]",
		"[\t1]",	"[\n]",
		"{ }",		"\"\x7f\"",
		"\"\\/\"",	"\"\xc3\xa9\"",
		"\"\\\"\"", "\"\\b\\f\\n\\r\\t\"",
	};
	static const char *const other[] = {
		"01",
		"-01",
		"1.",
		"-",
		".5",
		"-.5",
		"+1",
		"1.e5",
		"1e",
		"1e+",
		"1.5.5",
		"1-2",
		"0x10",
		"--1",
		"1 2",
		"NaN",
		"-Infinity",
		"nul",
		"True",
		"truex",
		"[1,]",
		"[,1]",
		"[1 2]",
		"{\"a\":1,}",
		"{a:1}",
		"{\"a\"}",
		"{1:2}",
		"[1",
		"[1]]",
		"{}{}",
		"\"",
		"\"\\q\"",
		"'a'",
		"[1];",
		"// x\n1",
		"[1]\x0c",
		"[\x0b"
		"1]",
		"[\x01]",
		"\"\t\"",
		"\"\x1f\"",
		"[1\xef\xbb\xbf]",
		"\xc2\xa0[]",
		"[00]",
		"[1.0.]",
		"{\"a\":01}",
		"[1e5.5]",
	};

	for (size_t i = 0; i < lengthof(json); i++)
		ok(is_read(guarded_copy(json[i], strlen(json[i])), strlen(json[i])), "JSON (%zu)", i);
	for (size_t i = 0; i < lengthof(other); i++)
		ok(!is_read(guarded_copy(other[i], strlen(other[i])), strlen(other[i])), "not JSON (%zu)",
		   i);
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

/* Of so many the text is taken, but not of one more. */
static void
test_limits(void)
{
	static const struct
	{
		const char *name;
		const char *begin;
		const char *text;
		size_t count;
		const char *end;
		size_t max_size;
		AepAnswerStatus beyond;
	} limits[] = {
		{"digits", "[", "1", 5000, "]", MAX_SIZE, AEP_ANSWER_NOT_JSON},
		{"digits behind the point", "[-0.", "1", 4999, "]", MAX_SIZE, AEP_ANSWER_NOT_JSON},
		{"digits and an exponent", "[1.5", "1", 4993, "e-10000]", MAX_SIZE, AEP_ANSWER_NOT_JSON},
		{"digits of the second number", "[1.5e3,", "1", 5000, "]", MAX_SIZE, AEP_ANSWER_NOT_JSON},
		{"zeros of an exponent", "[1e", "0", 4999, "]", MAX_SIZE, AEP_ANSWER_NOT_JSON},
		{"zeros of many exponents", "[0", ",1e10000", 10000, "]", MAX_SIZE, AEP_ANSWER_NOT_JSON},
		{"levels", "", "[", 1000, "]", MAX_SIZE, AEP_ANSWER_NOT_JSON},
		{"levels of objects", "", "{\"a\":", 1000, "}", MAX_SIZE, AEP_ANSWER_NOT_JSON},
		/* 8 * 64 MB */
		{"elements", "[0", ",0", 4194302, "]", MAX_SIZE, AEP_ANSWER_TOO_MANY},
		{"objects of one", "[0", ",{\"a\":0}", 524287, "]", MAX_SIZE, AEP_ANSWER_TOO_MANY},
		{"empty lists", "[0", ",[]", 1398100, "]", MAX_SIZE, AEP_ANSWER_TOO_MANY},
		{"empty objects", "[0", ",{}", 699050, "]", MAX_SIZE, AEP_ANSWER_TOO_MANY},
		{"members", "{\"a\":0", ",\"a\":0", 499999, "}", MAX_SIZE, AEP_ANSWER_UNWIELDY},
		{"characters", "[\"", "x", 67108864, "\"]", MAX_SIZE, AEP_ANSWER_UNWIELDY},
		/* 16 MB */
		{"elements at least", "[0", ",0", 131070, "]", 1024, AEP_ANSWER_TOO_MANY},
		{"elements of 2 MB", "[0", ",0", 131070, "]", 2097152, AEP_ANSWER_TOO_MANY},
		{"elements of a little more", "[0", ",0", 131071, "]", 2097168, AEP_ANSWER_TOO_MANY},
	};

	for (size_t i = 0; i < lengthof(limits); i++)
	{
		for (size_t more = 0; more <= 1; more++)
		{
			size_t count = limits[i].count + more;
			char *body = repeat(limits[i].begin, limits[i].text, count, limits[i].end);
			AepText text;
			AepAnswerStatus status =
				aep_answer_check(body, strlen(body), limits[i].max_size, NULL, &text);

			ok(status == (more == 0 ? AEP_ANSWER_OK : limits[i].beyond), "%zu %s: %s", count,
			   limits[i].name, aep_answer_status_text(status));
			free(body);
		}
	}
}

static int rests;
static jmp_buf out;

static void
rest(void)
{
	rests++;
}

static void
leave(void)
{
	longjmp(out, 1);
}

static bool
is_left(const char *body)
{
	AepText text;

	if (setjmp(out) != 0)
		return true;
	(void) aep_answer_check(body, strlen(body), MAX_SIZE, leave, &text);
	return false;
}

/* However long a body is, the caller gets a word in, and may want no more. */
static void
test_rests(void)
{
	static const struct
	{
		const char *begin;
		const char *text;
	} bodies[] = {{"[", "0,"}, {"[", "\"\\u00e9\","}, {"\"", "\\n"}, {"\"", "\xc3\xa9"}};

	for (size_t i = 0; i < lengthof(bodies); i++)
	{
		char *body =
			repeat(bodies[i].begin, bodies[i].text, 10 * 1024 * 1024 / strlen(bodies[i].text), "");
		AepText text;

		rests = 0;
		(void) aep_answer_check(body, strlen(body), MAX_SIZE, rest, &text);
		ok(rests >= 40 && rests <= 42, "%d rests in 10 MB", rests);
		ok(is_left(body), "it can be left");
		free(body);
	}
}

static void
test_exponents(void)
{
	AepText text;

	ok(aep_answer_check(BODY("[1e10000]"), MAX_SIZE, NULL, &text) == AEP_ANSWER_OK, "an exponent");
	ok(aep_answer_check(BODY("[1e-10000]"), MAX_SIZE, NULL, &text) == AEP_ANSWER_OK,
	   "a negative one");
	ok(aep_answer_check(BODY("[1e10001]"), MAX_SIZE, NULL, &text) == AEP_ANSWER_NOT_JSON,
	   "too large");
	ok(aep_answer_check(BODY("[1e99999999999999999999999]"), MAX_SIZE, NULL, &text) ==
		   AEP_ANSWER_NOT_JSON,
	   "far too large");
	ok(aep_answer_check(BODY("[\"1e10001\"]"), MAX_SIZE, NULL, &text) == AEP_ANSWER_OK,
	   "one that is text");
}

/* cJSON takes as many levels as the gate. */
static void
test_nesting(void)
{
	char *begin = repeat("", "[", 1000, "");
	char *body = repeat(begin, "]", 1000, "");

	ok(is_read(body, strlen(body)), "1000 levels are read");
	free(body);
	free(begin);
	begin = repeat("", "{\"a\":", 1000, "1");
	body = repeat(begin, "}", 1000, "");
	ok(is_read(body, strlen(body)), "1000 levels of objects too");
	free(body);
	free(begin);
	body = repeat("[", "[],", 10000, "1]");
	ok(is_read(body, strlen(body)), "what is closed is no level");
	free(body);
}

static void
test_may_be_json(void)
{
	static const struct
	{
		const char *name;
		const char *body;
		size_t len;
		bool result;
	} bodies[] = {
		{"an object", BODY("{\"password\": \"x\"}"), true},
		{"blanks before", BODY("\r\n {"), true},
		{"a byte order mark before", BODY("\xef\xbb\xbf{"), true},
		{"that of UTF-16", BODY("\xff\xfe{\0\"\0p\0\"\0:\0"), true},
		{"UTF-16, the other way round", BODY("\xfe\xff\0{\0\"\0p"), true},
		{"control characters before", BODY("\x01\x7f{"), true},
		{"a list", BODY("[1"), true},
		{"a string", BODY("\"a"), true},
		{"a guard against scripts", BODY(")]}',\n{\"password\": \"x\"}"), true},
		{"another guard", BODY("for(;;);{\"password\": \"x\"}"), true},
		{"a chunk's size", BODY("1f\r\n{\"password\" \r\n: \"x\"}"), true},
		{"an object in a page", BODY("<script>x = {\"password\": \"x\"}</script>"), true},
		{"a page", BODY("<html><a href=\"http://x:1/\" class='\"'>: \"text\"</a></html>"), false},
		{"a page with a mark", BODY("\xef\xbb\xbf<!doctype html>"), false},
		{"a sentence", BODY("upstream connect error: \"reset\""), false},
		{"a number", BODY("17"), false},
		{"a quote at the end", BODY("a\""), false},
		{"no ASCII", BODY("\xe9\xe8"), false},
		{"nothing", BODY(""), false},
	};

	for (size_t i = 0; i < lengthof(bodies); i++)
		ok(aep_answer_may_be_json(guarded_copy(bodies[i].body, bodies[i].len), bodies[i].len) ==
			   bodies[i].result,
		   "may %sbe JSON: %s", bodies[i].result ? "" : "not ", bodies[i].name);
	ok(!aep_answer_may_be_json(NULL, 0), "may not be JSON: a body that is NULL");
}

static void
test_status_text(void)
{
	for (int status = AEP_ANSWER_OK; status <= AEP_ANSWER_NO_TOKEN; status++)
	{
		const char *text = aep_answer_status_text(status);

		ok(strlen(text) > 5 && text[strlen(text) - 1] != '.', "The answer %s", text);
		for (int other = AEP_ANSWER_OK; other < status; other++)
		{
			if (strcmp(text, aep_answer_status_text(other)) == 0)
				ok(false, "status %d and %d say the same", status, other);
		}
	}
}

int
main(void)
{
	test_check();
	test_cjson();
	test_limits();
	test_rests();
	test_exponents();
	test_nesting();
	test_may_be_json();
	test_status_text();
	return tap_end();
}
