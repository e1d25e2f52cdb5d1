/*
 * spell.c
 *		Writes a text in one of the many ways in which a service might repeat
 *		it.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spell.h"
#include "json/utf8.h"

size_t
choose(Choices *choices, size_t n)
{
	size_t choice;

	if (choices->len == 0)
		return 0;
	choice = *choices->data % n;
	choices->data++;
	choices->len--;
	return choice;
}

static void
put(AepBuffer *out, const char *text, size_t len)
{
	if (!aep_buffer_append(out, text, len))
		abort();
}

/* \uXXXX, in either letter case */
static void
put_u(Choices *choices, uint32_t unit, AepBuffer *out)
{
	char text[8];

	snprintf(text, sizeof(text), choose(choices, 2) ? "\\u%04X" : "\\u%04x", unit);
	put(out, text, 6);
}

static void
put_u_escape(Choices *choices, uint32_t code, AepBuffer *out)
{
	if (code >= 0x10000)
	{
		put_u(choices, 0xd800 + ((code - 0x10000) >> 10), out);
		code = 0xdc00 + ((code - 0x10000) & 0x3ff);
	}
	put_u(choices, code, out);
}

/* JSON of a character; of one of JSON's own escapes if it is not the first round */
static void
put_json(Choices *choices, bool first, const char *text, size_t size, uint32_t code, AepBuffer *out)
{
	static const char letters[] = "bfnrt\"\\/";
	static const char meanings[] = "\b\f\n\r\t\"\\/";
	const char *meaning = code < 0x80 ? memchr(meanings, (int) code, sizeof(meanings) - 1) : NULL;
	bool may_stay = code >= 0x20 && code != '"' && code != '\\';
	bool may_use_u = first || !may_stay || code >= 0x80;

	if (may_stay && choose(choices, 4) < 3)
		put(out, text, size);
	else if (meaning != NULL && choose(choices, 4) < 3)
		put(out, (char[]){'\\', letters[meaning - meanings]}, 2);
	else if (may_use_u)
		put_u_escape(choices, code, out);
	else
		put(out, text, size);
}

/* Percent-encoding; letters only if nothing was done to them before */
static void
put_percent(Choices *choices, bool first, const char *text, size_t size, uint32_t code,
			AepBuffer *out)
{
	bool is_reserved = code >= 0x7f || code <= ' ' || strchr("%+&\\\"'<>#?/", (int) code) != NULL;

	if (code == ' ' && choose(choices, 2))
		put(out, "+", 1);
	else if (!is_reserved && !(first && choose(choices, 2)))
		put(out, text, size);
	else
	{
		for (size_t i = 0; i < size; i++)
		{
			char byte[4];

			snprintf(byte, sizeof(byte), choose(choices, 2) ? "%%%02x" : "%%%02X",
					 (unsigned char) text[i]);
			put(out, byte, 3);
		}
	}
}

static void
put_html(Choices *choices, const char *text, size_t size, uint32_t code, AepBuffer *out)
{
	static const char special[] = "&<>\"'";
	static const char *const names[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&apos;"};
	const char *found = code < 0x80 ? memchr(special, (int) code, sizeof(special) - 1) : NULL;
	char entity[16];

	if (found == NULL && (code < 0x80 || choose(choices, 2)))
	{
		put(out, text, size);
		return;
	}
	if (found != NULL && choose(choices, 2))
		snprintf(entity, sizeof(entity), "%s", names[found - special]);
	else
		snprintf(entity, sizeof(entity), choose(choices, 2) ? "&#x%X;" : "&#%u;", code);
	put(out, entity, strlen(entity));
}

typedef enum Encoding
{
	PLAIN,
	JSON,
	PERCENT,
	HTML
} Encoding;

/* Encodes all of text. */
static void
encode(Choices *choices, Encoding encoding, bool first, const AepBuffer *text, AepBuffer *out)
{
	size_t at = 0;

	while (at < text->len)
	{
		const char *here = text->data + at;
		uint32_t code = 0;
		size_t size = aep_utf8_read(here, text->len - at, &code);

		if (size == 0)
			abort();
		if (encoding == JSON)
			put_json(choices, first, here, size, code, out);
		else if (encoding == PERCENT)
			put_percent(choices, first, here, size, code, out);
		else if (encoding == HTML)
			put_html(choices, here, size, code, out);
		else
			put(out, here, size);
		at += size;
	}
}

/* JSON up to three times, then one of the others. */
static void
spell_part(Choices *choices, const char *text, size_t len, AepBuffer *out)
{
	size_t rounds = choose(choices, 4);
	static const Encoding last[] = {PLAIN, PERCENT, HTML};
	AepBuffer spelled = {0};

	put(&spelled, text, len);
	for (size_t i = 0; i < rounds; i++)
	{
		AepBuffer next = {0};

		encode(choices, JSON, i == 0, &spelled, &next);
		aep_buffer_free(&spelled);
		spelled = next;
	}
	encode(choices, last[choose(choices, 3)], rounds == 0, &spelled, out);
	aep_buffer_free(&spelled);
}

/*
 * What looks like an escaped backslash itself, and stands behind one, cannot
 * be told from more backslashes.
 */
bool
can_spell(const char *text)
{
	return aep_utf8_is_valid(text, strlen(text)) && strstr(text, "5c") == NULL &&
		   strstr(text, "5C") == NULL && strstr(text, "92;") == NULL;
}

/* Now and then the two halves in different ways. */
void
spell(Choices *choices, const char *text, AepBuffer *out)
{
	size_t len = strlen(text);
	size_t split = choose(choices, 3) == 2 ? choose(choices, 256) : 0;
	size_t half = 0;
	uint32_t code;

	while (half < len && half < split)
		half += aep_utf8_read(text + half, len - half, &code);
	spell_part(choices, text, half, out);
	spell_part(choices, text + half, len - half, out);
}
