/*
 * utf8_test.c
 *		Tests of utf8.c.
 */
#include "json/utf8.h"

#include "tap.h"

/* size 0: not valid */
static const struct
{
	const char *text;
	size_t size;
	uint32_t code;
} cases[] = {
	{"a", 1, 'a'},
	{"\x7f", 1, 0x7f},
	{"\xc2\x80", 2, 0x80},
	{"\xdf\xbf", 2, 0x7ff},
	{"\xe0\xa0\x80", 3, 0x800},
	{"\xed\x9f\xbf", 3, 0xd7ff},
	{"\xee\x80\x80", 3, 0xe000},
	{"\xef\xbf\xbf", 3, 0xffff},
	{"\xf0\x90\x80\x80", 4, 0x10000},
	{"\xf4\x8f\xbf\xbf", 4, 0x10ffff},
	{"\xe4\xbd\xa0", 3, 0x4f60},
	/* stray and missing continuation bytes */
	{"\x80", 0, 0},
	{"\xbf", 0, 0},
	{"\xc3", 0, 0},
	{"\xc3(", 0, 0},
	{"\xe4\xbd", 0, 0},
	{"\xe4(\xa0", 0, 0},
	{"\xf0\x90\x80", 0, 0},
	{"\xf0\x90\x80(", 0, 0},
	/* overlong */
	{"\xc0\x80", 0, 0},
	{"\xc1\xbf", 0, 0},
	{"\xe0\x80\x80", 0, 0},
	{"\xe0\x9f\xbf", 0, 0},
	{"\xf0\x80\x80\x80", 0, 0},
	{"\xf0\x8f\xbf\xbf", 0, 0},
	/* surrogates, and beyond the end */
	{"\xed\xa0\x80", 0, 0},
	{"\xed\xbf\xbf", 0, 0},
	{"\xf4\x90\x80\x80", 0, 0},
	{"\xf7\xbf\xbf\xbf", 0, 0},
	{"\xf8\x88\x80\x80\x80", 0, 0},
	{"\xfe", 0, 0},
	{"\xff", 0, 0},
};

static void
test_read(void)
{
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		uint32_t code = 0;
		size_t size = aep_utf8_read(cases[i].text, strlen(cases[i].text), &code);

		ok(size == cases[i].size && code == cases[i].code, "case %zu: %zu bytes, U+%04X", i,
		   cases[i].size, cases[i].code);
		ok(aep_utf8_is_valid(cases[i].text, strlen(cases[i].text)) == (cases[i].size > 0),
		   "case %zu: valid or not", i);
	}
}

static void
test_length(void)
{
	uint32_t code;

	ok(aep_utf8_read("a", 0, &code) == 0, "nothing left");
	ok(aep_utf8_read("\xe4\xbd\xa0", 2, &code) == 0, "cut by the length, not by a NUL");
	ok(aep_utf8_is_valid("", 0), "nothing is valid");
	ok(aep_utf8_is_valid("a\0b", 3), "a NUL is a character");
	ok(!aep_utf8_is_valid("a\0\xff", 3), "what follows a NUL is read");
}

static void
test_control(void)
{
	static const uint32_t control[] = {0,	   '\n',   0x1f,   0x7f,   0x85,   0x9f,   0x61c,
									   0x200e, 0x200f, 0x2028, 0x2029, 0x202e, 0x2066, 0x2069};
	static const uint32_t other[] = {' ',	 '~',	 0xa0,	 0xe9,	 0x200d,
									 0x2027, 0x202f, 0x2065, 0x206a, 0x10ffff};

	for (size_t i = 0; i < lengthof(control); i++)
		ok(aep_utf8_is_control(control[i]), "U+%04X is a control character", control[i]);
	for (size_t i = 0; i < lengthof(other); i++)
		ok(!aep_utf8_is_control(other[i]), "U+%04X is none", other[i]);
}

int
main(void)
{
	test_read();
	test_length();
	test_control();
	return tap_end();
}
