/*
 * json/utf8.c
 *		Reading UTF-8 that comes from outside, strictly.
 */
#include <string.h>

#include "json/utf8.h"

size_t
aep_utf8_read(const char *text, size_t len, uint32_t *code)
{
	const unsigned char *byte = (const unsigned char *) text;
	uint32_t value;
	uint32_t smallest; /* of those that need this many bytes */
	size_t size;

	if (len == 0)
		return 0;
	if (byte[0] < 0x80)
	{
		*code = byte[0];
		return 1;
	}
	if ((byte[0] & 0xe0) == 0xc0)
	{
		size = 2;
		smallest = 0x80;
		value = byte[0] & 0x1f;
	}
	else if ((byte[0] & 0xf0) == 0xe0)
	{
		size = 3;
		smallest = 0x800;
		value = byte[0] & 0x0f;
	}
	else if ((byte[0] & 0xf8) == 0xf0)
	{
		size = 4;
		smallest = 0x10000;
		value = byte[0] & 0x07;
	}
	else
		return 0;
	if (size > len)
		return 0;

	for (size_t i = 1; i < size; i++)
	{
		if ((byte[i] & 0xc0) != 0x80)
			return 0;
		value = value << 6 | (byte[i] & 0x3f);
	}
	if (value < smallest || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
		return 0;
	*code = value;
	return size;
}

bool
aep_utf8_is_valid(const char *text, size_t len)
{
	size_t at = 0;

	while (at < len)
	{
		uint64_t eight;
		uint32_t code;
		size_t size;

		/* most of it is ASCII */
		if (len - at >= sizeof(eight))
		{
			memcpy(&eight, text + at, sizeof(eight));
			if ((eight & UINT64_C(0x8080808080808080)) == 0)
			{
				at += sizeof(eight);
				continue;
			}
		}
		size = aep_utf8_read(text + at, len - at, &code);
		if (size == 0)
			return false;
		at += size;
	}
	return true;
}

bool
aep_utf8_is_control(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x061c || code == 0x200e ||
		   code == 0x200f || (code >= 0x2028 && code <= 0x202e) ||
		   (code >= 0x2066 && code <= 0x2069);
}

bool
aep_utf8_is_blank(uint32_t code)
{
	return code == ' ' || code == 0xa0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200a) ||
		   code == 0x202f || code == 0x205f || code == 0x3000;
}

bool
aep_utf8_is_invisible(uint32_t code)
{
	return code == 0xad || code == 0x180e || code == 0x200b || (code >= 0x2060 && code <= 0x2064) ||
		   code == 0xfeff;
}
