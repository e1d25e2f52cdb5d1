/*
 * json/escape.h
 *		What a place in a text can be read as: the character that stands there,
 *		or the one that is escaped there.
 *
 * Plain C, never fails, allocates nothing.  The readers serve mask.c, which
 * has to recognize what others wrote, so they take what any of JSON, URLs and
 * HTML would.
 */
#ifndef AEP_ESCAPE_H
#define AEP_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A byte that is no UTF-8 is read as this plus the byte: no character. */
#define AEP_INVALID_BYTE 0x110000

typedef struct AepText
{
	const char *data;
	size_t len;
} AepText;

/* Reads the character, or invalid byte, at a place; returns its length. */
extern size_t aep_escape_plain(const AepText *text, size_t at, uint32_t *code);

/*
 * Reads the character that is escaped at a place; returns the length of the
 * escape, 0 if there is none: %C3%A9, '+' for a blank, &amp; &#233; &#xe9; and,
 * behind backslashes, n, u00e9 and the like, a surrogate pair with all that is
 * between its halves.
 */
extern size_t aep_escape_read(const AepText *text, size_t at, bool behind_backslashes,
							  uint32_t *code);

/* aep_escape_plain() for what ends at a place, which is not the text's begin. */
extern size_t aep_escape_plain_before(const AepText *text, size_t at, uint32_t *code);

/*
 * aep_escape_read() for what ends at a place: %C3%A9, u00e9 (with or without a
 * backslash) and, behind a backslash, n and the like.  Not HTML's, which end in
 * what is no part of a word.
 */
extern size_t aep_escape_read_before(const AepText *text, size_t at, uint32_t *code);

/*
 * Reads the backslashes from a place on, at most max of them, be they plain or
 * escaped (%5C, \\u005c and so on); returns their length and sets *count to
 * their number.
 */
extern size_t aep_escape_backslashes(const AepText *text, size_t at, size_t max, size_t *count);

/* The same for plain ones only; their length is their number. */
extern size_t aep_escape_plain_backslashes(const AepText *text, size_t at, size_t max);

#endif /* AEP_ESCAPE_H */
