/*
 * json/escape.c
 *		What a place in a text can be read as.
 */
#include <string.h>

#include "json/escape.h"
#include "json/utf8.h"

/* Between the halves of a surrogate pair: JSON within JSON ten times over. */
#define MAX_BACKSLASHES 1024

size_t
aep_escape_plain(const AepText *text, size_t at, uint32_t *code)
{
	size_t size = aep_utf8_read(text->data + at, text->len - at, code);

	if (size > 0)
		return size;
	*code = AEP_INVALID_BYTE + (unsigned char) text->data[at];
	return 1;
}

static uint32_t
digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 16;
}

/* Reads digits from a place on, at most max; returns their number. */
static size_t
read_digits(const AepText *text, size_t at, size_t max, uint32_t base, uint32_t *value)
{
	size_t count = 0;

	*value = 0;
	while (count < max && at + count < text->len && digit_value(text->data[at + count]) < base)
	{
		*value = *value * base + digit_value(text->data[at + count]);
		count++;
	}
	return count;
}

/* uXXXX */
static size_t
read_u(const AepText *text, size_t at, uint32_t *code)
{
	if (at >= text->len || text->data[at] != 'u' || read_digits(text, at + 1, 4, 16, code) != 4)
		return 0;
	return 5;
}

/* %XX, as often as the character has bytes */
static size_t
read_percent(const AepText *text, size_t at, uint32_t *code)
{
	char bytes[4];
	AepText decoded = {bytes, 0};
	uint32_t value;

	while (decoded.len < sizeof(bytes) && at < text->len && text->data[at] == '%' &&
		   read_digits(text, at + 1, 2, 16, &value) == 2)
	{
		bytes[decoded.len++] = (char) value;
		at += 3;
	}
	return decoded.len == 0 ? 0 : 3 * aep_escape_plain(&decoded, 0, code);
}

/* &#233; or &#xe9; */
static size_t
read_numeric_entity(const AepText *text, size_t at, uint32_t *code)
{
	size_t size = 2;
	size_t digits;

	if (at + size >= text->len || text->data[at + 1] != '#')
		return 0;
	if (text->data[at + size] == 'x' || text->data[at + size] == 'X')
		digits = read_digits(text, at + ++size, 7, 16, code);
	else
		digits = read_digits(text, at + size, 7, 10, code);
	size += digits;
	if (digits == 0 || at + size >= text->len || text->data[at + size] != ';')
		return 0;
	return size + 1;
}

/* The entities that HTML needs, so those that a page is sure to use. */
static size_t
read_entity(const AepText *text, size_t at, uint32_t *code)
{
	static const struct
	{
		const char *name;
		char meaning;
	} entities[] = {
		{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''},
	};

	for (size_t i = 0; i < sizeof(entities) / sizeof(entities[0]); i++)
	{
		size_t size = strlen(entities[i].name);

		if (size <= text->len - at && memcmp(text->data + at, entities[i].name, size) == 0)
		{
			*code = (unsigned char) entities[i].meaning;
			return size;
		}
	}
	return read_numeric_entity(text, at, code);
}

/* A backslash that is escaped at a place; returns the length of the escape. */
static size_t
read_escaped_backslash(const AepText *text, size_t at, bool behind_backslashes)
{
	uint32_t code = 0;
	size_t size = 0;

	if (text->data[at] == '%')
		size = 1 + read_digits(text, at + 1, 2, 16, &code);
	else if (text->data[at] == '&')
		size = read_numeric_entity(text, at, &code);
	else if (behind_backslashes)
		size = read_u(text, at, &code);
	return code == '\\' ? size : 0;
}

size_t
aep_escape_plain_backslashes(const AepText *text, size_t at, size_t max)
{
	size_t count = 0;

	while (count < max && at + count < text->len && text->data[at + count] == '\\')
		count++;
	return count;
}

size_t
aep_escape_backslashes(const AepText *text, size_t at, size_t max, size_t *count)
{
	size_t start = at;

	*count = 0;
	while (*count < max && at < text->len)
	{
		size_t size = 1;

		if (text->data[at] != '\\')
			size = read_escaped_backslash(text, at, *count > 0);
		if (size == 0)
			break;
		at += size;
		++*count;
	}
	return at - start;
}

/* uXXXX, or two of them that make a surrogate pair */
static size_t
read_u_escape(const AepText *text, size_t at, uint32_t *code)
{
	size_t size = read_u(text, at, code);
	size_t low_at;
	size_t backslashes;
	uint32_t low;

	if (size == 0 || *code < 0xd800 || *code > 0xdbff)
		return size;
	low_at = at + size + aep_escape_backslashes(text, at + size, MAX_BACKSLASHES, &backslashes);
	if (backslashes == 0 || read_u(text, low_at, &low) == 0 || low < 0xdc00 || low > 0xdfff)
		return size;
	*code = 0x10000 + ((*code - 0xd800) << 10) + (low - 0xdc00);
	return low_at + 5 - at;
}

/* b, f, n, r, t */
static size_t
read_letter(const AepText *text, size_t at, uint32_t *code)
{
	static const char letters[] = "bfnrt";
	static const char meanings[] = "\b\f\n\r\t";
	const char *letter = memchr(letters, text->data[at], sizeof(letters) - 1);

	if (letter == NULL)
		return 0;
	*code = (unsigned char) meanings[letter - letters];
	return 1;
}

/* What follows the backslashes of a JSON escape. */
static size_t
read_backslash_escape(const AepText *text, size_t at, uint32_t *code)
{
	size_t size = read_letter(text, at, code);

	return size > 0 ? size : read_u_escape(text, at, code);
}

size_t
aep_escape_read(const AepText *text, size_t at, bool behind_backslashes, uint32_t *code)
{
	switch (text->data[at])
	{
		case '%':
			return read_percent(text, at, code);
		case '&':
			return read_entity(text, at, code);
		case '+':
			*code = ' ';
			return 1;
		default:
			return behind_backslashes ? read_backslash_escape(text, at, code) : 0;
	}
}

/* A percent escape that ends at a place. */
static size_t
read_percent_before(const AepText *text, size_t at, uint32_t *code)
{
	for (size_t size = 12; size > 0; size -= 3)
	{
		if (size <= at && text->data[at - size] == '%' &&
			read_percent(text, at - size, code) == size)
			return size;
	}
	return 0;
}

/* Is there a backslash, plain or as %5C, right before a place? */
static bool
is_behind_backslash(const AepText *text, size_t at)
{
	uint32_t code = 0;

	return at > 0 && (text->data[at - 1] == '\\' ||
					  (read_percent_before(text, at, &code) > 0 && code == '\\'));
}

size_t
aep_escape_read_before(const AepText *text, size_t at, uint32_t *code)
{
	size_t size = read_percent_before(text, at, code);

	if (size == 0 && at >= 5)
		size = read_u(text, at - 5, code);
	if (size == 0 && at > 0 && is_behind_backslash(text, at - 1))
		size = read_letter(text, at - 1, code);
	return size;
}

size_t
aep_escape_plain_before(const AepText *text, size_t at, uint32_t *code)
{
	for (size_t size = at < 4 ? at : 4; size > 1; size--)
	{
		if (aep_utf8_read(text->data + at - size, size, code) == size)
			return size;
	}
	return aep_escape_plain(text, at - 1, code);
}
