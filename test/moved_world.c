/*
 * moved_world.c
 *		A clock and a resolver that a test moves, for LD_PRELOAD.
 *
 * The file that MOVED_WORLD names holds a number of seconds and an address.  The
 * clocks that libcurl looks at, time() and those that count from some start, are
 * so many seconds ahead, and "moved.test" has that address.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef int (*Resolver)(const char *node, const char *service, const struct addrinfo *hints,
						struct addrinfo **result);
typedef int (*Clock)(clockid_t id, struct timespec *now);

/* What the file says; nothing, if it cannot be read. */
static long
read_world(char address[64])
{
	const char *name = getenv("MOVED_WORLD");
	FILE *file = name != NULL ? fopen(name, "r") : NULL;
	long seconds = 0;

	address[0] = '\0';
	if (file == NULL)
		return 0;
	if (fscanf(file, "%ld %63s", &seconds, address) != 2)
		seconds = 0;
	fclose(file);
	return seconds;
}

int
clock_gettime(clockid_t id, struct timespec *now)
{
	Clock next = (Clock) dlsym(RTLD_NEXT, "clock_gettime");
	char address[64];
	int result = next(id, now);

	if (id != CLOCK_REALTIME)
		now->tv_sec += read_world(address);
	return result;
}

time_t
time(time_t *result)
{
	struct timespec now;
	char address[64];

	clock_gettime(CLOCK_REALTIME, &now);
	now.tv_sec += read_world(address);
	if (result != NULL)
		*result = now.tv_sec;
	return now.tv_sec;
}

int
getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
			struct addrinfo **result)
{
	Resolver next = (Resolver) dlsym(RTLD_NEXT, "getaddrinfo");
	char address[64];

	if (node != NULL && strcmp(node, "moved.test") == 0)
	{
		(void) read_world(address);
		node = address;
	}
	return next(node, service, hints, result);
}
