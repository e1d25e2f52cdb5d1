/*
 * tap.h
 *		Test results in the Test Anything Protocol, one program at a time.
 */
#ifndef TAP_H
#define TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define lengthof(array) (sizeof(array) / sizeof((array)[0]))

static int tap_count = 0;
static int tap_failed = 0;

__attribute__((format(printf, 2, 3))) static inline bool
ok(bool passed, const char *name, ...)
{
	va_list args;

	printf(passed ? "ok %d - " : "not ok %d - ", ++tap_count);
	va_start(args, name);
	vprintf(name, args);
	va_end(args);
	putchar('\n');
	/* not lost if the next test crashes */
	fflush(stdout);
	if (!passed)
		tap_failed++;
	return passed;
}

/* Compares text, NULL included, and shows both if they differ. */
static inline bool
is(const char *actual, const char *expected, const char *name)
{
	bool same =
		actual == NULL || expected == NULL ? actual == expected : strcmp(actual, expected) == 0;

	ok(same, "%s", name);
	if (!same)
		printf("#   expected: %s\n#   actual:   %s\n", expected != NULL ? expected : "NULL",
			   actual != NULL ? actual : "NULL");
	return same;
}

/* For main() to return. */
static inline int
tap_end(void)
{
	printf("1..%d\n", tap_count);
	return tap_failed == 0 ? 0 : 1;
}

#endif /* TAP_H */
