/*
 * platform/parse.h
 *		JSON as jsonb, the elements of a list one at a time.
 *
 * PostgreSQL's parser with actions of our own.  Those of jsonb_in() serve no
 * interrupt however long the text, and keep all of it in memory at once.
 */
#ifndef AEP_PARSE_H
#define AEP_PARSE_H

#include "utils/jsonb.h"

#include "compat.h"
#include "json/answer.h"

/*
 * Is given an element of a list; NULL stands for one that is neither object nor
 * array.  The element, and what is palloc'd meanwhile in the current context, is
 * gone when the next one comes.
 */
typedef void (*AepTakeElement)(Jsonb *element, void *arg);

/* A list in a document. */
typedef struct AepList
{
	const char *const *path; /* the members that lead to it, and NULL; none: all is the list */
	AepTakeElement take;
	void *arg;
} AepList;

/*
 * Reads a text in the database's encoding, NUL-terminated, that has passed
 * answer.h's gate.  With AEP_ANSWER_OK *document is set, in the current context:
 * all of it, or if a list is wanted what is around it, with every array empty; the
 * list's elements were taken.  AEP_ANSWER_NOT_JSON: maybe after some of them.
 * AEP_ANSWER_DUPLICATE: the list is there twice.  Throws 54000 for what is too
 * large for jsonb.
 */
extern AepAnswerStatus aep_parse_json(const char *text, const AepList *list, Jsonb **document);

/* A text of the database as a string; throws 54000 if it is too long for one. */
extern JsonbValue aep_parse_string(const char *text);

#endif /* AEP_PARSE_H */
