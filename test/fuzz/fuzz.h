/*
 * fuzz.h
 *		What the fuzz targets share.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "json/utf8.h"

extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Stops at what must not be; the stack shows where. */
static inline void
require(bool holds)
{
	if (!holds)
		abort();
}

/*
 * Takes the input up to the next separator, or all of it, as a string of its
 * own, so that the sanitizer sees a read beyond its end.
 */
static inline char *
take_part(const uint8_t **data, size_t *size, char separator)
{
	const uint8_t *end = *size > 0 ? memchr(*data, separator, *size) : NULL;
	size_t len = end != NULL ? (size_t) (end - *data) : *size;
	size_t taken = end != NULL ? len + 1 : len;
	char *part = malloc(len + 1);

	if (len > 0)
		memcpy(part, *data, len);
	part[len] = '\0';
	*data += taken;
	*size -= taken;
	return part;
}

/* One printable line of UTF-8 that fits? */
static inline bool
is_line(const char *text, size_t outsize)
{
	size_t len = strlen(text);
	size_t at = 0;

	while (at < len)
	{
		uint32_t code = 0;
		size_t char_size = aep_utf8_read(text + at, len - at, &code);

		if (char_size == 0 || aep_utf8_is_control(code))
			return false;
		at += char_size;
	}
	return len < outsize;
}

#endif /* FUZZ_H */
