/*
 * json/buffer.h
 *		Growing byte buffer for text that may hold a secret.
 *
 * Plain C: the memory is malloc'd, because libcurl's callbacks and layer 0
 * may not raise errors.  Every block that is given back is wiped first, the
 * outgrown ones too, so no copy of a password stays behind in the heap.
 */
#ifndef AEP_BUFFER_H
#define AEP_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

typedef struct AepBuffer
{
	char *data;	 /* NUL-terminated once something was appended */
	size_t len;	 /* bytes used, without that NUL */
	size_t size; /* bytes allocated */
} AepBuffer;

/*
 * Makes room for "more" further bytes and the NUL.  False: out of memory, the
 * buffer is as it was.
 */
extern bool aep_buffer_reserve(AepBuffer *buffer, size_t more);

/* Appends len bytes.  False: out of memory, the buffer is as it was. */
extern bool aep_buffer_append(AepBuffer *buffer, const char *data, size_t len);

/* Wipes and frees the memory and leaves an empty, usable buffer. */
extern void aep_buffer_free(AepBuffer *buffer);

#endif /* AEP_BUFFER_H */
