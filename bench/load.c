/*
 * load.c
 *		The first call of a process, as a backend makes it: loads the shared
 *		object that makes the call, and libcurl with it, only then.
 *
 *	load FLOOR.SO ARGUMENTS...
 *
 * Prints what floor.c prints, then the microseconds that loading and calling
 * took together.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <time.h>

static long
now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_REALTIME, &time);
	return time.tv_sec * 1000000L + time.tv_nsec / 1000;
}

int
main(int argc, char **argv)
{
	long start = now();
	void *library = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_GLOBAL) : NULL;
	int (*run)(int, char **) = NULL;
	int status;

	if (library != NULL)
		*(void **) &run = dlsym(library, "main");
	if (run == NULL)
	{
		fprintf(stderr, "load: cannot load the library\n");
		return 1;
	}
	status = run(argc - 1, argv + 1);
	printf("%ld\n", now() - start);
	return status;
}
