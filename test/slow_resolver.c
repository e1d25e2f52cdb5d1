/*
 * slow_resolver.c
 *		A resolver that fails when a test asks for it, for LD_PRELOAD.
 *
 * "N.slow.test" takes N seconds and then does not exist; "*.again.test" has a
 * name server that does not answer now.  All other names go to the real
 * getaddrinfo().  Nothing here is shared, so any number of threads may call.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef int (*Resolver)(const char *node, const char *service, const struct addrinfo *hints,
						struct addrinfo **result);

static bool
ends_in(const char *name, const char *end)
{
	size_t len = strlen(name);

	return len >= strlen(end) && strcmp(name + len - strlen(end), end) == 0;
}

static void
sleep_for(long seconds)
{
	struct timespec left = {.tv_sec = seconds};

	while (nanosleep(&left, &left) != 0 && errno == EINTR)
		;
}

int
getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
			struct addrinfo **result)
{
	Resolver next;

	if (node != NULL && ends_in(node, ".slow.test"))
	{
		sleep_for(atol(node));
		return EAI_NONAME;
	}
	if (node != NULL && ends_in(node, ".again.test"))
		return EAI_AGAIN;

	next = (Resolver) dlsym(RTLD_NEXT, "getaddrinfo");
	return next != NULL ? next(node, service, hints, result) : EAI_SYSTEM;
}
