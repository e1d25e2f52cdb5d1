/*
 * buffer_test.c
 *		Tests of buffer.c.
 */
#include <stdint.h>

#include "json/buffer.h"

#include "memory.h"
#include "tap.h"

#define SECRET "correct horse battery staple"

static void
test_append(void)
{
	AepBuffer buffer = {0};
	size_t expected = 0;
	bool same = true;

	ok(aep_buffer_append(&buffer, "", 0) && buffer.len == 0, "appends nothing");
	is(buffer.data, "", "nothing is an empty string");
	ok(aep_buffer_append(&buffer, "ab", 2) && aep_buffer_append(&buffer, "cd", 2), "appends");
	is(buffer.data, "abcd", "in order");
	ok(aep_buffer_append(&buffer, "\0e", 2) && buffer.len == 6, "a NUL is a byte");
	ok(memcmp(buffer.data, "abcd\0e", 7) == 0, "with a NUL behind it all");

	buffer.len = 0;
	for (int i = 0; i < 100000; i++)
	{
		char c = (char) (i % 251);

		same = same && aep_buffer_append(&buffer, &c, 1);
		expected++;
	}
	for (size_t i = 0; i < expected; i++)
		same = same && buffer.data[i] == (char) (i % 251);
	ok(same && buffer.len == expected && buffer.data[expected] == '\0', "grows byte by byte");

	aep_buffer_free(&buffer);
	ok(buffer.data == NULL && buffer.len == 0 && buffer.size == 0, "empty once freed");
	ok(aep_buffer_append(&buffer, "again", 5), "usable once freed");
	is(buffer.data, "again", "with its new content only");
	aep_buffer_free(&buffer);
	aep_buffer_free(&buffer);
	ok(memory_in_use() == 0, "freed twice, nothing leaks");
}

static void
test_reserve(void)
{
	AepBuffer buffer = {0};
	char *data;

	ok(aep_buffer_reserve(&buffer, 0) && buffer.size >= 1, "reserves room for the NUL");
	ok(aep_buffer_reserve(&buffer, 5000) && buffer.size >= 5001 && buffer.len == 0, "reserves");
	data = buffer.data;
	ok(aep_buffer_append(&buffer, "0123456789", 10) && buffer.data == data, "and uses it");

	ok(!aep_buffer_reserve(&buffer, SIZE_MAX), "more than there can be");
	ok(!aep_buffer_reserve(&buffer, SIZE_MAX - buffer.len), "the NUL does not fit");
	ok(!aep_buffer_reserve(&buffer, SIZE_MAX - buffer.len - 1), "more than there is");
	ok(buffer.data == data && buffer.len == 10, "the buffer is as it was");
	is(buffer.data, "0123456789", "its content too");
	aep_buffer_free(&buffer);
}

static void
test_out_of_memory(void)
{
	AepBuffer buffer = {0};

	memory_reset(1, NULL);
	ok(!aep_buffer_append(&buffer, "a", 1), "the first allocation fails");
	ok(buffer.data == NULL && buffer.len == 0 && buffer.size == 0, "the buffer is as it was");

	ok(aep_buffer_append(&buffer, "kept", 4), "the second one does not");
	memory_reset(1, NULL);
	ok(!aep_buffer_reserve(&buffer, 1000000), "growing fails");
	is(buffer.data, "kept", "the content is as it was");
	memory_reset(0, NULL);
	aep_buffer_free(&buffer);
	ok(memory_in_use() == 0, "nothing leaks");
}

static void
test_wiping(void)
{
	AepBuffer buffer = {0};

	memory_reset(0, SECRET);
	for (int i = 0; i < 20000; i++)
		aep_buffer_append(&buffer, SECRET, strlen(SECRET));
	ok(memory_unwiped() == 0, "outgrown blocks are wiped");

	/* what was there before stays in the memory beyond the length */
	buffer.len = 3;
	aep_buffer_free(&buffer);
	ok(memory_unwiped() == 0, "the last block is wiped, all of it");
	memory_reset(0, NULL);
}

int
main(void)
{
	test_append();
	test_reserve();
	test_out_of_memory();
	test_wiping();
	return tap_end();
}
