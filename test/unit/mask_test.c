/*
 * mask_test.c
 *		Tests of mask.c.
 */
#include <stdlib.h>
#include <time.h>

#include "json/mask.h"
#include "json/utf8.h"

#include "spell.h"
#include "tap.h"

#define M AEP_MASK

/* Texts that hold the secret, or do not. */
static const struct
{
	const char *secret;
	const char *text;
	const char *expected;
} cases[] = {
	/* plain */
	{"secret", "secret", M},
	{"secret", "a secret, no secrets", "a " M ", no " M "s"},
	{"secret", "secretsecret", M M},
	{"secret", "Secret SECRET secre ecret", "Secret SECRET secre ecret"},
	{"secret", "secresecret", "secre" M},
	{"abcd", "aabcd abcdd", "a" M " " M "d"},
	{"gr\xc3\xbcn", "gr\xc3\xbcn gr\xc3\xbc", M " gr\xc3\xbc"},
	{"\xf0\x9f\x90\x98", "<\xf0\x9f\x90\x98>", "<" M ">"},
	{"a b", "a b a  b", M " a  b"},
	{"***", "*** **", M " **"},
	/* itself looking like an escape */
	{"%41", "%41 A", M " A"},
	{"%41", "%2541", M},
	{"%25", "%25 %2525", M " " M},
	{"a%25b", "a%25b", M},
	{"a%b", "a%25b", M},
	{"a+b", "a+b a%2Bb a b", M " " M " a b"},
	{"\\n", "\\n \\\\n", M " " M},
	{"\\u0041", "\\u0041 \\\\u0041", M " " M},
	{"u0041", "\\u0041", M},
	{"&amp;", "&amp; &amp;amp;", M " " M},
	/* JSON */
	{"a\"b", "a\"b a\\\"b a\\\\\\\"b a\\\\\\\\\\\\\\\"b a\\u0022b", M " " M " " M " " M " " M},
	{"a\\b", "a\\b a\\\\b a\\\\\\\\b a\\u005cb a\\\\u005Cb", M " " M " " M " " M " " M},
	{"a\\\"b", "a\\\"b a\\\\\\\"b a\\\\\\\\\\\\\\\"b", M " " M " " M},
	{"a\\\\b", "a\\\\b a\\\\\\\\b", M " " M},
	{"a\\\\b", "a\\b", "a\\b"},
	{"a/b", "a/b a\\/b a\\\\/b", M " " M " " M},
	{"a\nb", "a\nb a\\nb a\\\\nb a\\u000ab a\\\\u000Ab", M " " M " " M " " M " " M},
	{"\b\f\n\r\t", "\\b\\f\\n\\r\\t", M},
	{"\x01\x1f", "\\u0001\\u001f,\\\\u0001\\\\u001F", M "," M},
	{"\xc3\xa9t\xc3\xa9", "\\u00e9t\\u00E9 \\\\u00e9t\\\\u00e9", M " " M},
	{"\xf0\x9f\x90\x98", "\\ud83d\\udc18 \\uD83D\\uDC18 \\\\ud83d\\\\udc18", M " " M " " M},
	{"secret", "\\u0073\\u0065\\u0063\\u0072\\u0065\\u0074", M},
	{"\"quoted\"", "{\"password\":\"\\\"quoted\\\"\"}", "{\"password\":\"" M "\"}"},
	{"ends in \\", "\"ends in \\\\\",", "\"" M "\","},
	{"\\begins", "\"\\\\begins\"", "\"" M "\""},
	{"nab", "\\nab", M},
	{"a\\\\\\\\\\\\", "a\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\", M},
	/* percent-encoding */
	{"a&b=c d", "a%26b%3Dc%20d a%26b%3dc+d", M " " M},
	{"\xc3\xa9t\xc3\xa9", "%C3%A9t%c3%a9", M},
	{"\xf0\x9f\x90\x98", "%F0%9F%90%98", M},
	{"secret", "%73%65%63%72%65%74", M},
	{"a\nb", "a%0Ab", M},
	{"a\"b\\c", "a%22b%5Cc a%5C%22b%5C%5Cc", M " " M},
	{"\xc3\xa9\n", "%5Cu00e9%5Cn", M},
	/* HTML */
	{"a&b<c>\"d\"'", "a&amp;b&lt;c&gt;&quot;d&quot;&apos;", M},
	{"'\xc3\xa9", "&#39;&#233; &#x27;&#xE9;", M " " M},
	{"a\"b", "a\\&quot;b", M},
	/* mixtures */
	{"a\"b c\xc3\xa9 \\", "a\\\"b+c%C3%A9 \\\\", M},
	{"\"\"\"", "\\\"%22&quot;", M},
	{"\xc3\xa9\xc3\xa9\xc3\xa9", "\xc3\xa9\\u00e9%c3%a9", M},
	/* what the output shows alike */
	{"a b",
	 "a\nb a\x01"
	 "b a\xe2\x80\xa8"
	 "b",
	 M " " M " " M},
	{"a\nb", "a b", M},
	{"a?b",
	 "a\xff"
	 "b",
	 M},
	{"a?b",
	 "a\xc3"
	 "b",
	 M},
};

static void
test_secret(void)
{
	for (size_t i = 0; i < lengthof(cases); i++)
	{
		AepSecrets secrets = {{NULL}, 0};
		char out[256];
		size_t len;

		aep_secrets_add(&secrets, cases[i].secret);
		len = aep_mask(&secrets, cases[i].text, strlen(cases[i].text), out, sizeof(out));
		is(out, cases[i].expected, "a secret");
		ok(len == strlen(out), "and its length");
	}
}

/* A secret of less than four characters, which is masked by itself only. */
static void
test_short(void)
{
	static const struct
	{
		const char *secret;
		const char *text;
		const char *expected;
	} texts[] = {
		{"e", "the outcome is unknown", "the outcome is unknown"},
		{"e", "e", M},
		{"e", "e, \"e\" (e) e", M ", \"" M "\" (" M ") " M},
		{"e", "ee 1e e1 Ee", "ee 1e e1 Ee"},
		{"abc", "abc abcd dabc 0abc abc0 abc", M " abcd dabc 0abc abc0 " M},
		{"abcd", "abcd abcde 0abcd", M " " M "e 0" M},
		{"17", "17 117 171 -17- 17.", M " 117 171 -" M "- " M "."},
		{"1", "FLOW-1439-404: 1", "FLOW-1439-404: " M},
		/* characters, not bytes */
		{"\xc3\xa9\xc3\xa9\xc3\xa9", "\xc3\xa9\xc3\xa9\xc3\xa9 \xc3\xa9\xc3\xa9\xc3\xa9s",
		 M " \xc3\xa9\xc3\xa9\xc3\xa9s"},
		{"\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9s", M "s"},
		/* letters beyond ASCII are letters, quotes are not */
		{"n", "gr\xc3\xbcn n\xc3\xa9 \xd0\xb6n", "gr\xc3\xbcn n\xc3\xa9 \xd0\xb6n"},
		{"n", "\xe2\x80\x9cn\xe2\x80\x9d \xc2\xbbn\xc2\xab 3\xc3\x97n",
		 "\xe2\x80\x9c" M "\xe2\x80\x9d \xc2\xbb" M "\xc2\xab 3\xc3\x97" M},
		{"n",
		 "\xffn\xff \xc3"
		 "n",
		 "?" M "? ?" M},
		/* spelled in another way, it is found as well */
		{"e", "%65 \\u0065 \\\\u0065 &#101;", M " " M " " M " " M},
		{"\xc3\xa9", "%C3%A9 \\u00e9 \\\\u00E9 &#xe9;", M " " M " " M " " M},
		{"a b", "a+b a%20b a\\u0020b", M " " M " " M},
		{"a\"b", "a\\\"b a\\\"bc ca\\\"b", M " a\\\"bc ca\\\"b"},
		{"\\n", "\\n \\\\n x\\n", M " " M " x\\n"},
		{"e", "x%65 %65x x\\u0065 \\u0065x x\\\\u0065", "x%65 %65x x\\u0065 \\u0065x x\\\\u0065"},
		/* and so is what stands beside it: letters, */
		{"e", "e%78 %78e e%C3%A9 %C3%A9e e&#120;", "e%78 %78e e%C3%A9 %C3%A9e e&#120;"},
		{"e", "e\\u0078 \\u0078e e\\\\u0078 \\\\u0078e", "e\\u0078 \\u0078e e\\\\u0078 \\\\u0078e"},
		/* or what is none, though it is written with letters and digits */
		{"e", "%20e%20 %0Ae%0A %5Cne%5Cn %E2%80%9Ce",
		 "%20" M "%20 %0A" M "%0A %5Cn" M "%5Cn %E2%80%9C" M},
		{"e", "\\ne\\n \\te\\t \\\\ne\\\\n", "\\n" M "\\n \\t" M "\\t \\\\n" M "\\\\n"},
		{"e", "\\u0020e\\u0020 \\u201ce\\u201d", "\\u0020" M "\\u0020 \\u201c" M "\\u201d"},
		{"e", "+e+ &quot;e&quot; \\\"e\\\"", "+" M "+ &quot;" M "&quot; \\\"" M "\\\""},
		{"e", "?a=e&b=%65#e", "?a=" M "&b=" M "#" M},
		{"e", "%e %%e 0%", "%" M " %%" M " 0%"},
		{"e", "\\", "\\"},
		{"\"", "\"x\" \" \\\"", "\"x\" " M " " M},
	};

	for (size_t i = 0; i < lengthof(texts); i++)
	{
		AepSecrets secrets = {{texts[i].secret}, 1};
		char out[256];

		aep_mask(&secrets, texts[i].text, strlen(texts[i].text), out, sizeof(out));
		is(out, texts[i].expected, "a short secret");
	}
}

static void
test_several(void)
{
	static const struct
	{
		const char *text;
		const char *expected;
	} texts[] = {
		{"abc abcd bc", M " " M " bc"},
		/* overlapping ones leave no rest of the second */
		{"abcdefg", M "g"},
		{"xyxyxyxy", M},
		{"xyxyxyx", M "x"},
		{"xyxyxyz", M "z"},
		{"token abc", M " " M},
	};
	AepSecrets secrets = {{NULL}, 0};

	aep_secrets_add(&secrets, NULL);
	aep_secrets_add(&secrets, "");
	ok(secrets.count == 0, "NULL and the empty string are no secrets");
	aep_secrets_add(&secrets, "abc");
	aep_secrets_add(&secrets, "abcd");
	aep_secrets_add(&secrets, "cdef");
	aep_secrets_add(&secrets, "xyxy");
	aep_secrets_add(&secrets, "token");
	for (size_t i = 0; i < lengthof(texts); i++)
	{
		char out[256];

		aep_mask(&secrets, texts[i].text, strlen(texts[i].text), out, sizeof(out));
		is(out, texts[i].expected, texts[i].text);
	}
	for (int i = 0; i < 2 * AEP_MAX_SECRETS; i++)
		aep_secrets_add(&secrets, "more");
	ok(secrets.count == AEP_MAX_SECRETS, "no more than there is room for");
}

static void
test_printable(void)
{
	static const struct
	{
		const char *text;
		size_t len;
		const char *expected;
	} texts[] = {
		{"", 0, ""},
		{NULL, 0, ""},
		{"a\0b", 3, "a b"},
		{"\t\r\n\x1f\x7f", 5, "     "},
		{"a\xc2\x85"
		 "b\xe2\x80\xae"
		 "c",
		 8, "a b c"},
		{"gr\xc3\xbcn \xe4\xbd\xa0 \xf0\x9f\x90\x98", 14,
		 "gr\xc3\xbcn \xe4\xbd\xa0 \xf0\x9f\x90\x98"},
		{"gr\xfcn", 4, "gr?n"},
		{"\xc3", 1, "?"},
		{"\xed\xa0\x80", 3, "???"},
		{"\xc0\x80\xff", 3, "???"},
		{"\xe4\xbd"
		 "a",
		 3, "??a"},
	};

	for (size_t i = 0; i < lengthof(texts); i++)
	{
		char out[64];

		aep_mask(NULL, texts[i].text, texts[i].len, out, sizeof(out));
		is(out, texts[i].expected, "a printable line");
	}
}

static void
test_cut(void)
{
	static const struct
	{
		const char *text;
		size_t outsize;
		const char *expected;
	} texts[] = {
		{"0123456789", 11, "0123456789"},
		{"0123456789", 10, "012345..."},
		{"0123456789", 5, "0..."},
		{"0123456789", 4, "..."},
		{"0123456789", 3, ".."},
		{"0123456789", 2, "."},
		{"0123456789", 1, ""},
		{"0", 2, "0"},
		{"", 1, ""},
		/* between characters */
		{"\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", 9, "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"},
		{"\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", 8, "\xc3\xa9\xc3\xa9..."},
		{"\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", 7, "\xc3\xa9..."},
		{"\xf0\x9f\x90\x98\xf0\x9f\x90\x98", 8, "\xf0\x9f\x90\x98..."},
		{"\xf0\x9f\x90\x98\xf0\x9f\x90\x98", 7, "..."},
		/* a secret on the edge is masked or not shown at all */
		{"01234 secret 01234", 20, "01234 " M " 0..."},
		{"01234 secret 01234", 21, "01234 " M " 01234"},
		{"01234 secret 01234", 18, "01234 " M "..."},
		{"01234 secret 01234", 17, "01234 ..."},
		{"01234 secret", 15, "01234 " M},
		{"01234 secret", 14, "01234 ..."},
		{"01234 secret", 12, "01234 ..."},
		{"01234 secret", 10, "01234 ..."},
		{"01234 secret", 9, "01234..."},
	};
	AepSecrets secrets = {{"secret"}, 1};
	char out[64];

	for (size_t i = 0; i < lengthof(texts); i++)
	{
		size_t len;

		memset(out, 'x', sizeof(out));
		len = aep_mask(&secrets, texts[i].text, strlen(texts[i].text), out, texts[i].outsize);
		is(out, texts[i].expected, "cut");
		ok(len == strlen(texts[i].expected), "and its length");
		ok(out[texts[i].outsize] == 'x', "nothing beyond the end");
	}
	out[0] = 'x';
	ok(aep_mask(&secrets, "text", 4, out, 0) == 0 && out[0] == 'x', "no room at all");
}

/* A text of len characters, by repetition of a pattern. */
static char *
repeat(const char *pattern, size_t len)
{
	char *text = malloc(len + 1);
	size_t size = strlen(pattern);

	for (size_t i = 0; i < len && i < size; i++)
		text[i] = pattern[i];
	for (; size < len; size *= 2)
		memcpy(text + size, text, size < len - size ? size : len - size);
	text[len] = '\0';
	return text;
}

static void
test_large(void)
{
	char *secret = repeat("0123456789abcdef\xc3\xa9\"\\\n", 1024 * 1024 - 7);
	size_t len = strlen(secret);
	AepSecrets secrets = {{secret}, 1};
	AepBuffer text = {0};
	char out[128];

	aep_buffer_append(&text, "<", 1);
	spell(&(Choices){(const unsigned char *) "\0\1", 2}, secret, &text);
	aep_buffer_append(&text, ">", 1);
	aep_mask(&secrets, text.data, text.len, out, sizeof(out));
	is(out, "<" M ">", "a secret of 1 MB as JSON");

	/* one that comes close is masked as far as it does */
	text.data[text.len / 2] = '#';
	aep_mask(&secrets, text.data, text.len, out, sizeof(out));
	ok(strncmp(out, "<" M, 9) == 0, "a large part of it");
	ok(len > 50000, "it is that large");
	aep_buffer_free(&text);
	free(secret);
}

/* Texts of 16 MB that make a naive search slow. */
static void
test_hostile(void)
{
	static const struct
	{
		const char *secret;
		size_t secret_len;
		char last; /* the secret's last character */
		const char *text;
	} hostile[] = {
		{"a", 1024 * 1024, 'b', "a"},
		{"a", 1024 * 1024, 'a', "a"},
		{"a", 60, 'b', "a"},
		{"a", 2, 'b', "a"},
		{"\\", 1024 * 1024, 'b', "\\"},
		{"\\", 2, 'b', "\\"},
		{"\\a", 1024 * 1024, 'b', "\\a"},
		{"a\\", 60, 'b', "a\\\\\\\\"},
		{"%", 1024 * 1024, 'b', "%25"},
		{"%25", 1024 * 1024, 'b', "%25"},
		{"25", 1024 * 1024, 'b', "%2525"},
		{"\\u005c", 1024 * 1024, 'b', "\\u005c"},
		{"\xf0\x9f\x90\x98", 1024 * 1024, 'b', "\\ud83d"},
		{"&", 1024 * 1024, 'b', "&amp;"},
		{" ", 1024 * 1024, 'b', "+"},
		{"?", 1024 * 1024, 'b', "\xff"},
	};
	static const size_t len = 16 * 1024 * 1024;

	for (size_t i = 0; i < lengthof(hostile); i++)
	{
		char *secret = repeat(hostile[i].secret, hostile[i].secret_len);
		char *text = repeat(hostile[i].text, len);
		AepSecrets secrets = {{NULL}, 0};
		char out[1024];
		clock_t start;
		double seconds;

		secret[hostile[i].secret_len - 1] = hostile[i].last;
		for (int n = 0; n < AEP_MAX_SECRETS; n++)
			aep_secrets_add(&secrets, secret + n % 2);
		start = clock();
		aep_mask(&secrets, text, len, out, sizeof(out));
		seconds = (double) (clock() - start) / CLOCKS_PER_SEC;
		ok(seconds < 20, "'%s' in 16 MB of '%s': %.2f s", hostile[i].secret, hostile[i].text,
		   seconds);
		free(secret);
		free(text);
	}
}

/* A secret of characters that are often escaped. */
static void
random_secret(Choices *choices, char *secret)
{
	static const char *const characters[] = {
		"\"",
		"\\",
		"/",
		"%",
		"+",
		"&",
		" ",
		"\n",
		"\x01",
		"'",
		"n",
		"u",
		"0",
		"a",
		"\xc3\xa9",
		"\xe4\xbd\xa0",
		"\xf0\x9f\x90\x98",
		"\x7f",
		"\t",
		"#",
		"?",
	};
	size_t count = 1 + choose(choices, 12);

	secret[0] = '\0';
	for (size_t i = 0; i < count; i++)
		strcat(secret, characters[choose(choices, lengthof(characters))]);
}

/* However a secret is spelled, all of it is found. */
static void
test_spellings(void)
{
	int wrong = 0;

	srand(1);
	for (int i = 0; i < 5000; i++)
	{
		unsigned char bytes[512];
		Choices choices = {bytes, sizeof(bytes)};
		char secret[64];
		AepSecrets secrets = {{secret}, 1};
		AepBuffer text = {0};
		char out[64];

		for (size_t n = 0; n < sizeof(bytes); n++)
			bytes[n] = (unsigned char) (rand() >> 8);
		random_secret(&choices, secret);
		aep_buffer_append(&text, "<", 1);
		spell(&choices, secret, &text);
		aep_buffer_append(&text, ">", 1);
		aep_mask(&secrets, text.data, text.len, out, sizeof(out));
		if (strcmp(out, "<" M ">") != 0 && ++wrong <= 10)
			printf("# secret %s in %s: %s\n", secret, text.data, out);
		aep_buffer_free(&text);
	}
	ok(wrong == 0, "5000 random spellings of random secrets");
}

int
main(void)
{
	test_secret();
	test_short();
	test_several();
	test_printable();
	test_cut();
	test_large();
	test_hostile();
	test_spellings();
	return tap_end();
}
