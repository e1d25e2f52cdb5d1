/*
 * memory.h
 *		An allocator that counts, fails when told to, and looks into the blocks
 *		that are given back.  The linker's --wrap puts it in front of the real
 *		one; cJSON, a shared library, has to be told to use it.
 */
#ifndef MEMORY_H
#define MEMORY_H

#include <stddef.h>

/* Makes cJSON allocate here too. */
extern void memory_hook_cjson(void);

/*
 * Starts anew: the fail_at'th allocation from now on fails (0: none does), and
 * blocks that are freed are searched for the secret (NULL: none).
 */
extern void memory_reset(long fail_at, const char *secret);

/* Blocks allocated and not freed, since the program's start. */
extern long memory_in_use(void);

/* Since memory_reset(): was there an allocation that failed? */
extern int memory_has_failed(void);

/* Since memory_reset(): freed blocks that still held the secret. */
extern long memory_unwiped(void);

#endif /* MEMORY_H */
