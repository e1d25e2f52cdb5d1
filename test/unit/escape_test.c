/*
 * escape_test.c
 *		Tests of escape.c.
 */
#include "json/escape.h"

#include "tap.h"

/* size 0: no escape; text is read at its beginning */
static const struct
{
	const char *text;
	bool behind_backslashes;
	size_t size;
	uint32_t code;
} cases[] = {
	{"a", false, 0, 0},
	{"n", false, 0, 0},
	{"+", false, 1, ' '},
	/* percent-encoding */
	{"%41", false, 3, 'A'},
	{"%5c", false, 3, '\\'},
	{"%c3%A9", false, 6, 0xe9},
	{"%E4%BD%A0%E5", false, 9, 0x4f60},
	{"%F0%9F%90%98x", false, 12, 0x1f418},
	{"%C3x", false, 3, AEP_INVALID_BYTE + 0xc3},
	{"%C3%41", false, 3, AEP_INVALID_BYTE + 0xc3},
	{"%FF", false, 3, AEP_INVALID_BYTE + 0xff},
	{"%00", false, 3, 0},
	{"%", false, 0, 0},
	{"%4", false, 0, 0},
	{"%4g", false, 0, 0},
	{"%%41", false, 0, 0},
	/* HTML */
	{"&amp;x", false, 5, '&'},
	{"&lt;", false, 4, '<'},
	{"&gt;", false, 4, '>'},
	{"&quot;", false, 6, '"'},
	{"&apos;", false, 6, '\''},
	{"&#39;", false, 5, '\''},
	{"&#x27;", false, 6, '\''},
	{"&#X1F418;", false, 9, 0x1f418},
	{"&amp", false, 0, 0},
	{"&nbsp;", false, 0, 0},
	{"&", false, 0, 0},
	{"&#", false, 0, 0},
	{"&#;", false, 0, 0},
	{"&#x", false, 0, 0},
	{"&#x;", false, 0, 0},
	{"&#39", false, 0, 0},
	{"&#123456789;", false, 0, 0},
	/* JSON */
	{"b", true, 1, '\b'},
	{"f", true, 1, '\f'},
	{"n", true, 1, '\n'},
	{"r", true, 1, '\r'},
	{"t", true, 1, '\t'},
	{"\"", true, 0, 0},
	{"x", true, 0, 0},
	{"u00e9", true, 5, 0xe9},
	{"u00E9", true, 5, 0xe9},
	{"u0000", true, 5, 0},
	{"u00e9", false, 0, 0},
	{"u00e", true, 0, 0},
	{"u00eg", true, 0, 0},
	{"U00e9", true, 0, 0},
	{"ud83d\\udc18", true, 11, 0x1f418},
	{"uD83D\\\\\\\\uDC18", true, 14, 0x1f418},
	{"ud83d%5cudc18", true, 13, 0x1f418},
	{"ud83dudc18", true, 5, 0xd83d},
	{"ud83d\\u0041", true, 5, 0xd83d},
	{"ud83d\\ud83d\\udc18", true, 5, 0xd83d},
	{"ud83d\\udc1", true, 5, 0xd83d},
	{"ud83d\\", true, 5, 0xd83d},
	{"udc18\\ud83d", true, 5, 0xdc18},
};

static void
test_read(void)
{
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		const AepText text = {cases[i].text, strlen(cases[i].text)};
		uint32_t code = 0;
		size_t size = aep_escape_read(&text, 0, cases[i].behind_backslashes, &code);

		ok(size == cases[i].size && (size == 0 || code == cases[i].code), "%s%s",
		   cases[i].behind_backslashes ? "\\" : "", cases[i].text);
	}
}

/* Text is read at its end. */
static void
test_before(void)
{
	/* size 0: no escape; plain is the character itself */
	static const struct
	{
		const char *text;
		size_t size;
		uint32_t code;
		uint32_t plain;
	} ends[] = {
		{"a", 0, 0, 'a'},
		{"n", 0, 0, 'n'},
		{"xn", 0, 0, 'n'},
		{"\\n", 1, '\n', 'n'},
		{"\\\\t", 1, '\t', 't'},
		{"\\x", 0, 0, 'x'},
		{"%5Cr", 1, '\r', 'r'},
		{"%5Dr", 0, 0, 'r'},
		{"%41", 3, 'A', '1'},
		{"x%41%42", 3, 'B', '2'},
		{"%c3%A9", 6, 0xe9, '9'},
		{"%41%F0%9F%90%98", 12, 0x1f418, '8'},
		{"%A9", 3, AEP_INVALID_BYTE + 0xa9, '9'},
		{"41", 0, 0, '1'},
		{"\\u00e9", 5, 0xe9, '9'},
		{"u0020", 5, ' ', '0'},
		{"0020", 0, 0, '0'},
		{"&amp;", 0, 0, ';'},
		{"\xc3\xa9", 0, 0, 0xe9},
		{"\xf0\x9f\x90\x98", 0, 0, 0x1f418},
		{"a\xa9", 0, 0, AEP_INVALID_BYTE + 0xa9},
		{"\xc3", 0, 0, AEP_INVALID_BYTE + 0xc3},
	};

	for (size_t i = 0; i < lengthof(ends); i++)
	{
		const AepText text = {ends[i].text, strlen(ends[i].text)};
		uint32_t code = 0;
		size_t size = aep_escape_read_before(&text, text.len, &code);

		ok(size == ends[i].size && (size == 0 || code == ends[i].code), "the end of %s", text.data);
		size = aep_escape_plain_before(&text, text.len, &code);
		ok(code == ends[i].plain, "which is itself a character of %zu bytes", size);
	}
	ok(aep_escape_read_before(&(AepText){"", 0}, 0, &(uint32_t){0}) == 0, "nothing before");
}

static void
test_backslashes(void)
{
	static const struct
	{
		const char *text;
		size_t size;
		size_t count;
		size_t plain;
	} runs[] = {
		{"", 0, 0, 0},
		{"a\\", 0, 0, 0},
		{"u005c", 0, 0, 0},
		{"\\", 1, 1, 1},
		{"\\\\\\n", 3, 3, 3},
		{"\\u005c", 6, 2, 1},
		{"\\u005C\\u005cn", 12, 4, 1},
		{"%5C%5c", 6, 2, 0},
		{"%5Cu005cx", 8, 2, 0},
		{"&#92;&#x5c;", 11, 2, 0},
		{"\\u005d", 1, 1, 1},
		{"%5D", 0, 0, 0},
		{"%5", 0, 0, 0},
	};

	for (size_t i = 0; i < lengthof(runs); i++)
	{
		const AepText text = {runs[i].text, strlen(runs[i].text)};
		size_t count;
		size_t size = aep_escape_backslashes(&text, 0, 100, &count);

		ok(size == runs[i].size && count == runs[i].count, "backslashes of '%s'", runs[i].text);
		ok(aep_escape_plain_backslashes(&text, 0, 100) == runs[i].plain,
		   "plain backslashes of '%s'", runs[i].text);
	}
}

static void
test_limits(void)
{
	char many[1000];
	AepText text = {many, sizeof(many)};
	size_t count;
	uint32_t code;

	memset(many, '\\', sizeof(many));
	ok(aep_escape_backslashes(&text, 0, 10, &count) == 10 && count == 10, "as many as are wanted");
	ok(aep_escape_plain_backslashes(&text, 0, 10) == 10, "also of plain ones");
	text.len = 3;
	ok(aep_escape_backslashes(&text, 0, 10, &count) == 3 && count == 3, "not beyond the end");
	ok(aep_escape_plain_backslashes(&text, 0, 10) == 3, "also of plain ones");

	ok(aep_escape_read(&(AepText){"%4142", 2}, 0, false, &code) == 0, "percent-encoding cut");
	ok(aep_escape_read(&(AepText){"&amp;", 4}, 0, false, &code) == 0, "an entity cut");
	ok(aep_escape_read(&(AepText){"u00e9", 4}, 0, true, &code) == 0, "an escape cut");
	ok(aep_escape_plain(&(AepText){"\xc3\xa9", 2}, 0, &code) == 2 && code == 0xe9, "a character");
	ok(aep_escape_plain(&(AepText){"\xc3\xa9", 1}, 0, &code) == 1 &&
		   code == AEP_INVALID_BYTE + 0xc3,
	   "a character cut is an invalid byte");
}

int
main(void)
{
	test_read();
	test_before();
	test_backslashes();
	test_limits();
	return tap_end();
}
