/*
 * http/fate.h
 *		May what a request asks for have happened?
 *
 * The one answer to that, for all attempts at the request together.  http.c
 * moves it; whether to try again, what the user is told, and what a rollback
 * reports, follow from it.
 */
#ifndef AEP_FATE_H
#define AEP_FATE_H

#include <stdbool.h>

/* What became of an attempt, from the surest "no" to the surest "yes". */
typedef enum AepFateState
{
	AEP_FATE_NOTHING, /* it never left */
	AEP_FATE_REFUSED, /* the service says that it will not do it */
	AEP_FATE_FAILED,  /* the service says that it could not: perhaps after the change was made */
	AEP_FATE_OPEN,	  /* on its way, or left without a whole answer: nobody knows */
	AEP_FATE_DONE	  /* the service says that it was done */
} AepFateState;

/* All zeros before the first attempt. */
typedef struct AepFate
{
	AepFateState earlier; /* the furthest of the attempts before the last */
	AepFateState last;
} AepFate;

/* Another attempt is made. */
extern void aep_fate_begin(AepFate *fate);

/* The attempt leaves for the service; a second time if libcurl sends it again. */
extern void aep_fate_leave(AepFate *fate);

/* A whole answer with this HTTP status came. */
extern void aep_fate_answer(AepFate *fate, int status);

/* Nobody understood that answer: whoever gave it, it proves nothing. */
extern void aep_fate_doubt(AepFate *fate);

/* The furthest of all attempts. */
extern AepFateState aep_fate_verdict(const AepFate *fate);

/*
 * Whether an attempt before the last one was not surely refused, so that a
 * refusal of the last one says nothing.
 */
extern bool aep_fate_unsure_before(const AepFate *fate);

#endif /* AEP_FATE_H */
