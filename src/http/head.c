/*
 * http/head.c
 *		What the heads of an answer may say before its body is read.
 *
 * libcurl unpacks a body as its headers say, asked for or not, layer for layer,
 * and one layer of a thousand to one hides what the next one holds: an answer of
 * some kB keeps it busy for ever, while nothing comes out.  Of one layer the
 * work is bounded by what comes in.  libcurl shows us every line that it reads
 * as a header, in the form that it reads, before it unpacks anything.
 */
#include "postgres.h"

#include "http/head.h"

/* libcurl keeps them all, and sets no limit to trailers. */
#define MAX_SIZE (256 * 1024)
#define LEAST_SIZE 256 /* what one counts: each costs a walk over all others */

static bool
is_word(const char *text, size_t len, const char *word)
{
	return len == strlen(word) && pg_strncasecmp(text, word, len) == 0;
}

/* The value of a header, if the line is that one; it ends at the line's end. */
static const char *
value_of(const char *line, size_t len, const char *name)
{
	size_t size = strlen(name);

	return len > size && pg_strncasecmp(line, name, size) == 0 ? line + size : NULL;
}

/* The next word of a list that blanks and commas separate; NULL: there is none. */
static const char *
next_word(const char **at, const char *end, size_t *len)
{
	const char *word;

	while (*at < end && (**at == ',' || (unsigned char) **at <= ' '))
		(*at)++;
	word = *at;
	while (*at < end && **at != ',' && (unsigned char) **at > ' ')
		(*at)++;
	*len = *at - word;
	return *len > 0 ? word : NULL;
}

const char *
aep_head_line(AepHead *head, const char *line, size_t len)
{
	const char *end = line + len;
	const char *transfer = value_of(line, len, "Transfer-Encoding:");
	const char *content = value_of(line, len, "Content-Encoding:");
	const char *word;
	size_t size;

	head->size += Max(len, LEAST_SIZE);
	head->ended = len > 0 && (line[0] == '\r' || line[0] == '\n');
	if (head->size > MAX_SIZE)
		return "has more than 1024 lines of headers, or 256 kB";

	while (transfer != NULL && (word = next_word(&transfer, end, &size)) != NULL)
	{
		if (!is_word(word, size, "chunked") && !is_word(word, size, "identity"))
			return "is packed for its way, which was not asked for";
	}
	while (content != NULL && (word = next_word(&content, end, &size)) != NULL)
	{
		head->codings++;
		if (head->codings > 1)
			return "is packed more than once";
		if (!is_word(word, size, "gzip") && !is_word(word, size, "x-gzip") &&
			!is_word(word, size, "identity"))
			return "is packed in a way that was not asked for";
	}
	return NULL;
}

bool
aep_head_asks_for_login(const char *line, size_t len)
{
	return len > 12 && strncmp(line, "HTTP/1.", 7) == 0 && strncmp(line + 8, " 407", 4) == 0;
}
