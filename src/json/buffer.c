/*
 * json/buffer.c
 *		Growing byte buffer for text that may hold a secret.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "json/buffer.h"

/* Most request bodies fit in this. */
#define FIRST_SIZE 1024

/* Wipes and frees a block, all of it: bytes beyond len may be secret too. */
static void
release(char *data, size_t size)
{
	if (data == NULL)
		return;
	explicit_bzero(data, size);
	free(data);
}

bool
aep_buffer_reserve(AepBuffer *buffer, size_t more)
{
	size_t needed;
	size_t size;
	char *data;

	if (more >= SIZE_MAX - buffer->len)
		return false;
	needed = buffer->len + more + 1;
	if (needed <= buffer->size)
		return true;

	/* doubled, so that appending piece by piece stays linear */
	size = buffer->size <= SIZE_MAX / 2 ? buffer->size * 2 : needed;
	if (size < FIRST_SIZE)
		size = FIRST_SIZE;
	if (size < needed)
		size = needed;

	/* not realloc(), which gives outgrown blocks back as they are */
	data = malloc(size);
	if (data == NULL)
		return false;
	if (buffer->len > 0)
		memcpy(data, buffer->data, buffer->len);
	data[buffer->len] = '\0';
	release(buffer->data, buffer->size);
	buffer->data = data;
	buffer->size = size;
	return true;
}

bool
aep_buffer_append(AepBuffer *buffer, const char *data, size_t len)
{
	if (!aep_buffer_reserve(buffer, len))
		return false;
	if (len > 0)
		memcpy(buffer->data + buffer->len, data, len);
	buffer->len += len;
	buffer->data[buffer->len] = '\0';
	return true;
}

void
aep_buffer_free(AepBuffer *buffer)
{
	release(buffer->data, buffer->size);
	*buffer = (AepBuffer){0};
}
