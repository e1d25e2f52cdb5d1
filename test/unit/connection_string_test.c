/*
 * connection_string_test.c
 *		Tests of connection_string.c.
 */
#include "json/connection_string.h"

#include "memory.h"
#include "tap.h"

static void
test_ssl_mode(void)
{
	static const struct
	{
		const char *text;
		const char *word;
	} cases[] = {
		{"Disable", "Disable"},
		{"disable", "Disable"},
		{"Allow", "Allow"},
		{"PREFER", "Prefer"},
		{"require", "Require"},
		{"Verify Ca", "Verify Ca"},
		{"Verify-Ca", "Verify-Ca"},
		{"Verify-Full", "Verify-Full"},
		{"verify-ca", "Verify Ca"},
		{"VERIFYCA", "Verify Ca"},
		{"verify_full", "Verify Full"},
		{"verify-full", "Verify Full"},
		{"VerifyFull", "Verify Full"},
		{" Verify  Full ", "Verify Full"},
		{"", NULL},
		{" ", NULL},
		{"-", NULL},
		{"verify", NULL},
		{"verify full!", NULL},
		{"verify\tfull", NULL},
		{"fullverify", NULL},
		{"sometimes", NULL},
		{"false", NULL},
		{"D\xc4\xb0SABLE", NULL},
	};

	for (size_t i = 0; i < lengthof(cases); i++)
	{
		char name[64];

		snprintf(name, sizeof(name), "ssl_mode '%s'", cases[i].text);
		is(aep_ssl_mode(cases[i].text), cases[i].word, name);
	}
}

static void
test_ssl_mode_list(void)
{
	char list[256];
	int count = 0;

	snprintf(list, sizeof(list), "%s", aep_ssl_mode_list());
	for (char *word = strtok(list, ","); word != NULL; word = strtok(NULL, ","))
	{
		word += strspn(word, " ");
		is(aep_ssl_mode(word), word, "a word of the list");
		count++;
	}
	ok(count == 6, "the list has all words");
}

static void
test_refusal(void)
{
	static const char *const accepted[] = {
		"a",
		"plain",
		"in=side",
		"in\"side",
		"in'side",
		"a}b",
		"a{b",
		"}",
		"a b",
		"a=",
		"a'",
		"%41+&\\/",
		"db.example.com",
		"fe80::1",
		"gr\xc3\xbc\xc3\x9f"
		"e",
		"\xf0\x9f\x90\x98",
		"gr\xfc\xdf"
		"e",
		"\xff",
		"a\xc2\xa0"
		"b",
	};
	static const char *const refused[] = {
		"",
		";",
		"a;b",
		"a;",
		";a",
		" ",
		" a",
		"a ",
		"\t",
		"a\tb",
		"a\n",
		"\x01",
		"\x7f",
		"\"a",
		"'a",
		"=a",
		"{a",
		"{",
		"=",
		"a\xc2\x85"
		"b",
		"\xc2\xa0"
		"a",
		"a\xc2\xa0",
		"a\xe2\x80\x83",
		"\xe3\x80\x80"
		"a",
		"a\xe2\x80\xa8"
		"b",
	};

	for (size_t i = 0; i < lengthof(accepted); i++)
		is(aep_connection_string_refusal(accepted[i]), NULL, "an accepted value");
	for (size_t i = 0; i < lengthof(refused); i++)
	{
		const char *refusal = aep_connection_string_refusal(refused[i]);

		ok(refusal != NULL && strncmp(refusal, "must not ", 9) == 0, "refused value %zu: %s", i,
		   refusal != NULL ? refusal : "accepted");
	}
}

static const AepBaseConnection example = {
	.name = "n",
	.auth_type = AEP_AUTH_CONNECTION_STRING,
	.host = "db1.example.com",
	.port = 5432,
	.database = "acme",
	.username = "u=v",
	.password = "p\"a's{s}%\\\xe2\x82\xac",
};

#define EXAMPLE \
	"Server=db1.example.com;Database=acme;Port=5432;UID=u=v;Password=p\"a's{s}%\\\xe2\x82\xac"

static void
test_connection_string(void)
{
	static const struct
	{
		const char *ssl_mode;
		const char *expected;
	} cases[] = {
		{NULL, EXAMPLE},
		{"Disable", EXAMPLE ";EncryptionMethod=0;ValidateServerCertificate=0"},
		{"Allow", EXAMPLE ";EncryptionMethod=6;ValidateServerCertificate=0"},
		{"Prefer", EXAMPLE ";EncryptionMethod=6;ValidateServerCertificate=0"},
		{"Require", EXAMPLE ";EncryptionMethod=1;ValidateServerCertificate=0"},
		{"Verify Ca", EXAMPLE ";EncryptionMethod=1;ValidateServerCertificate=1"},
		{"Verify Full", EXAMPLE ";EncryptionMethod=1;ValidateServerCertificate=1"},
		{"Verify-Full", EXAMPLE ";EncryptionMethod=1;ValidateServerCertificate=1"},
	};

	for (size_t i = 0; i < lengthof(cases); i++)
	{
		AepBaseConnection connection = example;
		AepBuffer out = {0};

		connection.ssl_mode = cases[i].ssl_mode;
		ok(aep_connection_string(&connection, &out), "there is memory enough");
		is(out.data, cases[i].expected, cases[i].ssl_mode != NULL ? cases[i].ssl_mode : "no mode");
		aep_buffer_free(&out);
	}
}

static void
test_memory(void)
{
	AepBuffer out = {0};

	aep_buffer_append(&out, "before ", 7);
	ok(aep_connection_string(&example, &out), "appends");
	is(out.data, "before " EXAMPLE, "behind what was there");
	aep_buffer_free(&out);

	memory_reset(1, example.password);
	ok(!aep_connection_string(&example, &out), "out of memory");
	memory_reset(0, example.password);
	for (int i = 0; i < 1000; i++)
		aep_connection_string(&example, &out);
	aep_buffer_free(&out);
	ok(memory_unwiped() == 0, "no password stays in freed memory");
	ok(memory_in_use() == 0, "nothing leaks");
	memory_reset(0, NULL);
}

int
main(void)
{
	test_ssl_mode();
	test_ssl_mode_list();
	test_refusal();
	test_connection_string();
	test_memory();
	return tap_end();
}
