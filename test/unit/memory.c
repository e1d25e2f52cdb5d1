/*
 * memory.c
 *		An allocator that counts, fails when told to, and looks into the blocks
 *		that are given back.
 */
#define _GNU_SOURCE /* memmem() */

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "memory.h"

extern void *__real_malloc(size_t size);
extern void *__real_calloc(size_t count, size_t size);
extern void __real_free(void *block);
extern void *__wrap_malloc(size_t size);
extern void *__wrap_calloc(size_t count, size_t size);
extern void *__wrap_realloc(void *block, size_t size);
extern void __wrap_free(void *block);
extern const char *__asan_default_options(void);

static long in_use = 0;
static long until_failure = 0; /* 0: never */
static int has_failed = 0;
static long unwiped = 0;
static const char *watched = NULL;

/* A block that cannot be had is NULL, as without the sanitizer. */
const char *
__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

static int
must_fail(void)
{
	if (until_failure == 0 || --until_failure > 0)
		return 0;
	has_failed = 1;
	return 1;
}

void *
__wrap_malloc(size_t size)
{
	void *block = must_fail() ? NULL : __real_malloc(size);

	if (block != NULL)
		in_use++;
	return block;
}

void *
__wrap_calloc(size_t count, size_t size)
{
	void *block = must_fail() ? NULL : __real_calloc(count, size);

	if (block != NULL)
		in_use++;
	return block;
}

void
__wrap_free(void *block)
{
	if (block == NULL)
		return;
	if (watched != NULL &&
		memmem(block, malloc_usable_size(block), watched, strlen(watched)) != NULL)
		unwiped++;
	in_use--;
	__real_free(block);
}

/* Always moves: the worst that can happen to a secret in the block. */
void *
__wrap_realloc(void *block, size_t size)
{
	void *moved = __wrap_malloc(size);

	if (moved == NULL || block == NULL)
		return moved;
	memcpy(moved, block, size < malloc_usable_size(block) ? size : malloc_usable_size(block));
	__wrap_free(block);
	return moved;
}

void
memory_hook_cjson(void)
{
	cJSON_InitHooks(&(cJSON_Hooks){__wrap_malloc, __wrap_free});
}

void
memory_reset(long fail_at, const char *secret)
{
	until_failure = fail_at;
	watched = secret;
	has_failed = 0;
	unwiped = 0;
}

long
memory_in_use(void)
{
	return in_use;
}

int
memory_has_failed(void)
{
	return has_failed;
}

long
memory_unwiped(void)
{
	return unwiped;
}
