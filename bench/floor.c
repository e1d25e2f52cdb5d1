/*
 * floor.c
 *		What bare libcurl needs for the request that the extension makes: the
 *		same headers, the same body, the answer collected in memory, the server
 *		verified.  Everything above this figure is the extension's.
 *
 *	floor URL CA_FILE CALLS kept|new any|http1
 *
 * "kept" uses one easy handle, and so one connection, for all calls; "new" a
 * handle and a connection for each.  "http1" declines HTTP/2.  Prints the
 * microseconds of each call; the first one includes curl_global_init().
 *
 * It is built twice: as a program, and as a shared object for load.c.
 */
#include "request.h"

static char answer[4096];
static size_t answer_length;

static size_t
collect(char *data, size_t size, size_t nmemb, void *arg)
{
	(void) arg;
	if (size * nmemb > sizeof(answer) - answer_length)
		return 0;
	memcpy(answer + answer_length, data, size * nmemb);
	answer_length += size * nmemb;
	return size * nmemb;
}

int
main(int argc, char **argv)
{
	CURL *easy = NULL;
	int calls;
	int keep;
	long *latencies;

	if (argc != 6)
		fail("usage", "floor URL CA_FILE CALLS kept|new any|http1");
	calls = atoi(argv[3]);
	keep = strcmp(argv[4], "kept") == 0;
	latencies = calloc(calls + 1, sizeof(*latencies));

	for (int i = 0; i < calls; i++)
	{
		long start = now();

		if (i == 0)
		{
			curl_global_init(CURL_GLOBAL_DEFAULT);
			prepare_request();
		}
		if (easy == NULL)
		{
			easy = new_handle(argv[1], argv[2], argv[5]);
			curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, collect);
		}
		answer_length = 0;
		check_answer(easy, curl_easy_perform(easy), 201);
		if (!keep)
		{
			curl_easy_cleanup(easy);
			easy = NULL;
		}
		latencies[i] = now() - start;
	}
	for (int i = 0; i < calls; i++)
		printf("%ld\n", latencies[i]);
	free(latencies);
	return 0;
}
