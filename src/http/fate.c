/*
 * http/fate.c
 *		May what a request asks for have happened?
 */
#include "postgres.h"

#include "http/fate.h"

void
aep_fate_begin(AepFate *fate)
{
	fate->earlier = aep_fate_verdict(fate);
	fate->last = AEP_FATE_NOTHING;
}

void
aep_fate_leave(AepFate *fate)
{
	/* what left before, and is sent again, may have arrived all the same */
	fate->earlier = Max(fate->earlier, fate->last);
	fate->last = AEP_FATE_OPEN;
}

void
aep_fate_answer(AepFate *fate, int status)
{
	/* a gateway's 502 or 504 hides whether the service behind it has acted */
	if (status == 502 || status == 504)
		fate->last = AEP_FATE_OPEN;
	else if (status / 100 == 2)
		fate->last = AEP_FATE_DONE;
	else if (status / 100 == 4)
		fate->last = AEP_FATE_REFUSED;
	else
		fate->last = AEP_FATE_FAILED;
}

void
aep_fate_doubt(AepFate *fate)
{
	fate->last = AEP_FATE_OPEN;
}

AepFateState
aep_fate_verdict(const AepFate *fate)
{
	return Max(fate->earlier, fate->last);
}

bool
aep_fate_unsure_before(const AepFate *fate)
{
	return fate->earlier >= AEP_FATE_FAILED;
}
