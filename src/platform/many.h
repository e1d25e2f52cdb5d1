/*
 * platform/many.h
 *		Many calls of one server at once: a window of requests in flight, as many
 *		as the server option "concurrency" allows, fewer after each 429.
 *
 * What is called, and what becomes of it, is the user's, through two callbacks.
 * A chain of calls is no other thing: who hears that one is over makes the next.
 */
#ifndef AEP_MANY_H
#define AEP_MANY_H

#include "platform/call.h"

typedef struct AepManyCallbacks
{
	/*
	 * The next call into *call: begun, in_batch, and for the callbacks to find its
	 * item by; or NULL for an item that needs none.  False: there is no item now; it
	 * is asked again once a call is over.
	 */
	bool (*next)(void *arg, AepCall **call);

	/*
	 * The call is over, or will never be sent (call->no_token): reads what became
	 * of it, and ends it.  Waits for nothing.  Interrupts are held, but for an answer
	 * of unusual size.
	 */
	void (*over)(void *arg, AepCall *call);

	void *arg;
} AepManyCallbacks;

typedef struct AepMany AepMany;

/*
 * Sends nothing yet.  Lives in the current memory context, as its calls live in
 * those of the callbacks; when those contexts go, all its requests are given up.
 */
extern AepMany *aep_many_begin(const AepServer *server, const AepManyCallbacks *callbacks);

/*
 * A turn: whatever has come is handed over before anything can be cancelled; then
 * calls are sent, and what is to come is waited for.  False, once all calls are
 * over and there is no further one.  Between turns no request is lost: a procedure
 * may commit there.  Throws what serving interrupts throws, what aep_call_start()
 * throws, and what the callbacks throw.
 */
extern bool aep_many_turn(AepMany *many);

#endif /* AEP_MANY_H */
