/*
 * mask_fuzz.c
 *		Fuzz target for mask.c: the input is two lines, a secret and choices
 *		how to spell it, and a text.
 */
#include "json/mask.h"

#include "fuzz.h"
#include "spell.h"

#define OUTSIZE 200

/* Of any text comes one printable line without the secret. */
static void
check_text(const char *secret, Choices choices, const char *text, size_t size)
{
	AepSecrets secrets = {{secret, "another", "\\\"", "%41"}, 4};
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
			require(strstr(out, hidden) == NULL);
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
