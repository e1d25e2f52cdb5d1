/*
 * floor_list.c
 *		What bare libcurl needs to fetch the pages of a list, one after another
 *		on one kept handle.  It looks for the next page's token where it is known
 *		to stand, near the end, and reads nothing else.
 *
 *	floor_list URL CA_FILE PAGES
 *
 * Fetches so many pages; prints the microseconds of the whole.
 */
#include "request.h"

#define QUERY                                                                              \
	"?property=connectionSpec.id%3D%3D%2274a1c565-4e59-48d7-9d67-7c03b8a13137%22&orderby=" \
	"name&limit=100"
#define TOKEN_NAME "continuationToken="

/* The token is within so many bytes from the end. */
#define TAIL 512

static char page[1024 * 1024];
static size_t page_length;

static size_t
collect(char *data, size_t size, size_t nmemb, void *arg)
{
	(void) arg;
	if (size * nmemb > sizeof(page) - 1 - page_length)
		return 0;
	memcpy(page + page_length, data, size * nmemb);
	page_length += size * nmemb;
	return size * nmemb;
}

/* Makes url that of the next page; false: there is none. */
static int
next_url(char *url, size_t size, const char *first)
{
	char *token;

	page[page_length] = '\0';
	token = strstr(page_length > TAIL ? page + page_length - TAIL : page, TOKEN_NAME);
	if (token == NULL)
		return 0;
	token[strcspn(token, "\"")] = '\0';
	snprintf(url, size, "%s&%s", first, token);
	return 1;
}

int
main(int argc, char **argv)
{
	char first[512];
	char url[2048];
	CURL *easy;
	int pages;
	long start;

	if (argc != 4)
		fail("usage", "floor_list URL CA_FILE PAGES");
	pages = atoi(argv[3]);
	snprintf(first, sizeof(first), "%s%s", argv[1], QUERY);
	snprintf(url, sizeof(url), "%s", first);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	prepare_request();

	start = now();
	easy = new_handle(url, argv[2], "any");
	curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, collect);
	for (int i = 0; i < pages; i++)
	{
		if (i > 0 && !next_url(url, sizeof(url), first))
			fail("the server", "not as many pages");
		curl_easy_setopt(easy, CURLOPT_URL, url);
		page_length = 0;
		check_answer(easy, curl_easy_perform(easy), 200);
	}
	printf("%ld\n", now() - start);
	return 0;
}
