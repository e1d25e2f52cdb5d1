/*
 * json/utf8.h
 *		Reading UTF-8 that comes from outside, strictly.
 *
 * Plain C, allocates nothing.
 */
#ifndef AEP_UTF8_H
#define AEP_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Reads the character that text, of len bytes, begins with.  Returns its
 * length and sets *code; 0 if there is none: nothing left, a stray or missing
 * continuation byte, an overlong form, a surrogate, beyond U+10FFFF.
 */
extern size_t aep_utf8_read(const char *text, size_t len, uint32_t *code);

/* Valid throughout?  A NUL is a character like any other. */
extern bool aep_utf8_is_valid(const char *text, size_t len);

/*
 * Characters that show nothing but change how a line is shown: the control
 * characters of ASCII and ISO 8859, the line and paragraph separators, and
 * those that turn the direction of writing.
 */
extern bool aep_utf8_is_control(uint32_t code);

/* Blanks: ASCII's, the no-break space, and the others that Unicode has. */
extern bool aep_utf8_is_blank(uint32_t code);

/*
 * Characters that a reader does not see, and that get copied along with a text:
 * zero-width spaces, soft hyphens, byte order marks.  Not the joiners, without
 * which some languages cannot be written.
 */
extern bool aep_utf8_is_invisible(uint32_t code);

#endif /* AEP_UTF8_H */
