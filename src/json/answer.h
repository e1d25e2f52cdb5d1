/*
 * json/answer.h
 *		What is a readable answer: one gate before both JSON readers.
 *
 * reply.c reads answers with cJSON, platform/document.c reads them with
 * PostgreSQL's jsonb, some answers both do.  Each has limits of its own and
 * takes what the other does not, so neither sees a text that did not pass here.
 *
 * The gate looks at bytes, in one pass; whether the text is JSON is the
 * readers' to say.  Of what it lets through both take the same, but for
 *
 * - a number of more than 63 characters: cJSON before 1.7.19 does not take it,
 *   PostgreSQL keeps every digit.  In a preview of a table it is data; an
 *   answer that cJSON reads has none, and if it had it would be refused, not
 *   misread.
 * - more than 256 MB in one list or object of jsonb, which only an answer of
 *   nearly that size can be: PostgreSQL raises 54000.
 * - a stack (max_stack_depth) set to less than MAX_DEPTH levels need: 54001.
 *
 * Plain C, allocates nothing.
 */
#ifndef AEP_ANSWER_H
#define AEP_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#include "json/escape.h"

/*
 * Why an answer was not understood.  Of several reasons why a text is not
 * readable the first in this list is told.
 */
typedef enum AepAnswerStatus
{
	AEP_ANSWER_OK,
	/* not readable: answer.c */
	AEP_ANSWER_EMPTY, /* no bytes but blanks */
	AEP_ANSWER_NOT_UTF8,
	AEP_ANSWER_NUL,		 /* a NUL byte or a \u0000 escape */
	AEP_ANSWER_NOT_JSON, /* also the readers' word */
	AEP_ANSWER_TOO_MANY, /* values, for the memory that they may take */
	AEP_ANSWER_UNWIELDY, /* a text or an object that would keep a reader busy too long */
	/* readable, but not what was asked for: reply.c */
	AEP_ANSWER_FAR_TOO_MANY, /* values, for the few that are wanted */
	AEP_ANSWER_DUPLICATE,	 /* a member that we read stands twice */
	AEP_ANSWER_NO_ID,		 /* not an object with a string "id" */
	AEP_ANSWER_BAD_ID,		 /* not a uuid */
	AEP_ANSWER_BAD_ETAG,	 /* not a string, too long, control characters */
	AEP_ANSWER_NO_TOKEN		 /* no "access_token" that can stand in a header */
} AepAnswerStatus;

/* The same as a fragment completing "The answer ..."; a constant. */
extern const char *aep_answer_status_text(AepAnswerStatus status);

/*
 * Whether a body, of len bytes, is readable, and the text that a reader is to
 * see: the body without blanks at its ends and byte order marks before it.
 * *text is set only with AEP_ANSWER_OK, and points into the body.
 *
 * max_size is the size that answers may have (max_response_size): what a reader
 * makes of the text takes at most 8 times as much memory, or 16 MB if that is
 * more, besides copies of the text.
 *
 * A large body takes a second.  So rest, if not NULL, is called now and then, and
 * may leave by a jump: nothing is held.
 */
extern AepAnswerStatus aep_answer_check(const char *body, size_t len, size_t max_size,
										void (*rest)(void), AepText *text);

/*
 * Whether a body may hold JSON, readable or not, in whatever encoding; for who
 * would show one that was not understood, but not the members of an object.
 */
extern bool aep_answer_may_be_json(const char *body, size_t len);

#endif /* AEP_ANSWER_H */
