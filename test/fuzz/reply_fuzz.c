/*
 * reply_fuzz.c
 *		Fuzz target for reply.c: the input is the body of an answer.
 */
#include "json/reply.h"

#include "fuzz.h"
#include "guard.h"

#define SECRET "hunter2"

static void
check_created(const char *body, size_t size)
{
	static const AepCreated zero;
	AepCreated created;
	AepAnswerStatus status;

	memset(&created, 'x', sizeof(created));
	status = aep_reply_created(body, size, &created);
	require(status >= AEP_ANSWER_OK && status <= AEP_ANSWER_BAD_ETAG);
	if (status == AEP_ANSWER_OK || status == AEP_ANSWER_BAD_ETAG)
	{
		require(strlen(created.id) == 36);
		require(strspn(created.id, "0123456789abcdef-") == 36);
		require(is_line(created.etag, sizeof(created.etag)));
		require(created.has_etag || created.etag[0] == '\0');
		require(status == AEP_ANSWER_OK || !created.has_etag);
	}
	else
		require(memcmp(&created, &zero, sizeof(zero)) == 0);
	require(aep_answer_status_text(status)[0] != '\0');
}

static void
check_error(const char *body, size_t size)
{
	static const AepSecrets secrets = {{SECRET, "\"\\/ \xc3\xa9"}, 2};
	AepServiceError error;

	memset(&error, 'x', sizeof(error));
	aep_reply_error(body, size, &secrets, &error);
	require(is_line(error.code, sizeof(error.code)));
	require(is_line(error.raw_code, sizeof(error.raw_code)));
	require(is_line(error.message, sizeof(error.message)));
	require(is_line(error.request_id, sizeof(error.request_id)));
	for (int i = 0; i < secrets.count; i++)
	{
		require(strstr(error.code, secrets.text[i]) == NULL);
		require(strstr(error.message, secrets.text[i]) == NULL);
		require(strstr(error.request_id, secrets.text[i]) == NULL);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *body = guarded_copy(data, size);

	check_created(body, size);
	check_error(body, size);
	return 0;
}
