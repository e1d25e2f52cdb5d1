/*
 * floor_multi.c
 *		What bare libcurl needs for many requests at once, a new one as soon as
 *		one ends.
 *
 *	floor_multi URL CA_FILE REQUESTS IN_FLIGHT any|http1
 *
 * A request waits for a connection that is being opened and may take it as
 * well, and there may be as many streams on it as requests in flight (libcurl's
 * own limit is 100): over HTTP/2 a single connection serves all.
 *
 * Prints the microseconds of the whole, the number of connections it took and
 * the kB of memory gained since before the first request, half way through.
 */
#include "request.h"

static size_t
discard(char *data, size_t size, size_t nmemb, void *arg)
{
	(void) data;
	(void) arg;
	return size * nmemb;
}

static void
start_request(CURLM *multi, char **argv)
{
	CURL *easy = new_handle(argv[1], argv[2], argv[5]);

	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, discard);
	curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L); /* share a connection while it opens */
	if (curl_multi_add_handle(multi, easy) != CURLM_OK)
		fail("libcurl", "curl_multi_add_handle");
}

static long
anonymous_kb(void)
{
	FILE *status = fopen("/proc/self/status", "r");
	char line[256];
	long kb = -1;

	if (status == NULL)
		fail("/proc/self/status", "cannot be opened");
	while (kb < 0 && fgets(line, sizeof(line), status) != NULL)
		sscanf(line, "RssAnon: %ld", &kb);
	fclose(status);
	return kb;
}

/* Takes note of what ended; returns the number of connections it opened. */
static long
collect_finished(CURLM *multi, int *done)
{
	CURLMsg *message;
	long connections = 0;
	int left;

	while ((message = curl_multi_info_read(multi, &left)) != NULL)
	{
		CURL *easy = message->easy_handle;
		long opened = 0;

		check_answer(easy, message->data.result, 201);
		curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &opened);
		connections += opened;
		curl_multi_remove_handle(multi, easy);
		curl_easy_cleanup(easy);
		(*done)++;
	}
	return connections;
}

int
main(int argc, char **argv)
{
	CURLM *multi;
	int requests;
	int in_flight;
	int started = 0;
	int done = 0;
	int running;
	long connections = 0;
	long idle_kb;
	long kb = 0;
	long start;

	if (argc != 6)
		fail("usage", "floor_multi URL CA_FILE REQUESTS IN_FLIGHT any|http1");
	requests = atoi(argv[3]);
	in_flight = atoi(argv[4]);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	prepare_request();
	multi = curl_multi_init();
	curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long) in_flight);
	curl_multi_setopt(multi, CURLMOPT_MAX_CONCURRENT_STREAMS, (long) in_flight);

	idle_kb = anonymous_kb();
	start = now();
	while (done < requests)
	{
		while (started < requests && started - done < in_flight)
		{
			start_request(multi, argv);
			started++;
		}
		if (curl_multi_perform(multi, &running) != CURLM_OK)
			fail("libcurl", "curl_multi_perform");
		connections += collect_finished(multi, &done);
		if (kb == 0 && done >= requests / 2)
			kb = anonymous_kb() - idle_kb;
		if (done < requests && (started == requests || started - done == in_flight))
			curl_multi_poll(multi, NULL, 0, 1000, NULL);
	}
	printf("%ld %ld %ld\n", now() - start, connections, kb);
	return 0;
}
