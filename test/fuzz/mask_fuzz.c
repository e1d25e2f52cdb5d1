/*
 * mask_fuzz.c
 *		Fuzz target for mask.c: the input is two lines, a secret and choices
 *		how to spell it, and a text.
 */
#include <ctype.h>

#include "json/mask.h"

#include "fuzz.h"
#include "spell.h"

#define OUTSIZE 200

static bool
is_word(char c)
{
	return isalnum((unsigned char) c) || (unsigned char) c >= 0x80;
}

/*
 * May a short secret stand there?  Next to a letter or digit, or what may be an
 * escaped one; and next to where something was masked or cut off.
 */
static bool
may_stay(const char *out, const char *at, size_t len)
{
	const char *next = at + len;

	while (*at == '\\' && at > out && at[-1] == '\\')
		at--;
	return (at > out && (is_word(at[-1]) || at[-1] == '*')) || is_word(*next) ||
		   (*next != '\0' && strchr("%\\&*", *next) != NULL) ||
		   (*next == '.' && next[strspn(next, ".")] == '\0');
}

static void
check_hidden(const char *out, const char *hidden)
{
	size_t characters = 0;

	for (const char *c = hidden; *c != '\0'; c++)
		characters += ((unsigned char) *c & 0xc0) != 0x80;
	for (const char *at = out; (at = strstr(at, hidden)) != NULL; at++)
		require(characters < 4 && may_stay(out, at, strlen(hidden)));
}

/* Of any text comes one printable line without the secret. */
static void
check_text(const char *secret, Choices choices, const char *text, size_t size)
{
	AepSecrets secrets = {{secret, "another", "\\\"", "%41", "%41\\\""}, 5};
	size_t outsize = 1 + choose(&choices, OUTSIZE);
	char *out = malloc(outsize);
	size_t len = aep_mask(&secrets, text, size, out, outsize);

	require(len == strlen(out));
	require(is_line(out, outsize));
	for (int i = 0; i < secrets.count; i++)
	{
		const char *hidden = secrets.text[i];

		/* unless it is no secret, or what the output itself writes */
		if (hidden[0] != '\0' && aep_utf8_is_valid(hidden, strlen(hidden)) &&
			strpbrk(hidden, "*.") == NULL)
			check_hidden(out, hidden);
	}
	free(out);
}

/* However a secret is spelled, all of it is found. */
static void
check_spelling(const char *secret, Choices choices)
{
	AepSecrets secrets = {{secret}, 1};
	AepBuffer text = {0};
	char out[64];

	if (secret[0] == '\0' || strpbrk(secret, "<>") != NULL || !can_spell(secret))
		return;
	aep_buffer_append(&text, "<", 1);
	spell(&choices, secret, &text);
	aep_buffer_append(&text, ">", 1);
	aep_mask(&secrets, text.data, text.len, out, sizeof(out));
	require(strcmp(out, "<" AEP_MASK ">") == 0);
	aep_buffer_free(&text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *secret = take_part(&data, &size, '\n');
	char *how = take_part(&data, &size, '\n');
	Choices choices = {(const unsigned char *) how, strlen(how)};

	check_text(secret, choices, (const char *) data, size);
	check_spelling(secret, choices);
	free(secret);
	free(how);
	return 0;
}
