/*
 * json/reply.h
 *		What we understand of Flow Service's answers.
 *
 * Plain C over cJSON.  Results are fixed-size structs without pointers, or go
 * to a buffer of the caller's, so there is nothing to free.  Bytes come before
 * meaning: answer.h's gate, then JSON, then members.  All of these answers are
 * small: one with more values than 16 MB hold (answer.h) is not read.
 */
#ifndef AEP_REPLY_H
#define AEP_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "json/answer.h"
#include "json/buffer.h"
#include "json/mask.h"

/* The answer to a creating or changing call: {"id": "...", "etag": "\"...\""}. */
typedef struct AepCreated
{
	char id[37];	/* lower case, with dashes */
	bool has_etag;	/* early answers came without one */
	char etag[256]; /* with its double quotes, as it was sent */
} AepCreated;

/* Whether a text is a UUID, 36 characters long; copies it in lower case, and a NUL. */
extern bool aep_reply_is_uuid(const char *text);
extern bool aep_reply_read_uuid(const char *text, char *uuid);

/* Whether a text can be sent back as an etag: not too long, no control characters. */
extern bool aep_reply_is_etag(const char *text);

/*
 * Reads the answer to a create.  On a status other than AEP_ANSWER_OK *created
 * is all zero, except with AEP_ANSWER_BAD_ETAG, where the id is set.
 */
extern AepAnswerStatus aep_reply_created(const char *body, size_t len, AepCreated *created);

/*
 * Reads the answer of the identity service: appends the token, printable ASCII
 * only, to *token, and sets *life to the seconds it lives, at most a year; a
 * minute if "expires_in" is no number of seconds.
 * Facts: {"access_token": "...", "token_type": "bearer", "expires_in": 86399}.
 */
extern AepAnswerStatus aep_reply_token(const char *body, size_t len, AepBuffer *token,
									   int64_t *life);

/* What an error answer says, whatever its shape; "" for what it does not say. */
typedef struct AepServiceError
{
	char code[64];	   /* "FLOW-1439-404", "401013", "invalid_client" */
	char raw_code[64]; /* the same, not masked: to be compared, never to be shown */
	char message[1024];
	char request_id[128];
} AepServiceError;

/*
 * Reads an error answer: the gateway's, Flow Service's current and older
 * shapes, the framework's, IMS's; for anything else (HTML, text, broken JSON)
 * the message is the text itself.  All members but raw_code are masked,
 * printable and clipped (mask.h), so they can be shown.
 */
extern void aep_reply_error(const char *body, size_t len, const AepSecrets *secrets,
							AepServiceError *error);

/* Version of cJSON in use, for bug reports; a static string. */
extern const char *aep_reply_library_version(void);

#endif /* AEP_REPLY_H */
