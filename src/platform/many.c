/*
 * platform/many.c
 *		Many calls of one server at once: a window of requests in flight.
 *
 * Whatever becomes of one call, the others get their answers; nothing here
 * waits for a single one of them, not even for an access token.  While there is
 * nothing to do but wait, the next calls are prepared, so that each answer's
 * place is taken at once.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "platform/many.h"

/* So many are sent before those that are on their way get a turn. */
#define SENT_AT_ONCE 16

/* Bytes of an answer that is read in no time. */
#define MAX_SMALL_ANSWER (64 * 1024)

struct AepMany
{
	const AepServer *server;
	AepManyCallbacks callbacks;
	int window;		/* requests allowed in flight now */
	AepCall **sent; /* those in flight, the oldest first */
	int in_flight;
	AepCall **ready; /* a ring of those that wait to be sent */
	int first_ready;
	int nready;
	bool dry;			  /* there was no next call when it was asked for last */
	bool no_token;		  /* none is to be had any more: no call is sent */
	AepError token_error; /* says why */
};

AepMany *
aep_many_begin(const AepServer *server, const AepManyCallbacks *callbacks)
{
	AepMany *many = palloc0(sizeof(AepMany));

	many->server = server;
	many->callbacks = *callbacks;
	many->window = server->concurrency;
	many->sent = palloc(server->concurrency * sizeof(AepCall *));
	many->ready = palloc(server->concurrency * sizeof(AepCall *));
	aep_http_forget_throttle();
	return many;
}

/* Prepares the next call, if there is one. */
static void
prepare(AepMany *many)
{
	AepCall *call = NULL;

	many->dry = !many->callbacks.next(many->callbacks.arg, &call);
	if (!many->dry && call != NULL)
		many->ready[(many->first_ready + many->nready++) % many->server->concurrency] = call;
}

/* The oldest of those that are ready. */
static AepCall *
take_ready(AepMany *many)
{
	AepCall *call = many->ready[many->first_ready];

	many->first_ready = (many->first_ready + 1) % many->server->concurrency;
	many->nready--;
	return call;
}

/* One that could not wait says nothing of the token; one that was refused does. */
static void
note_no_token(AepMany *many, const AepCall *call)
{
	MemoryContext caller;

	if (!call->no_token || call->late || many->no_token)
		return;
	caller = MemoryContextSwitchTo(GetMemoryChunkContext(many));
	many->no_token = true;
	many->token_error = call->token_error;
	aep_error_copy(&many->token_error);
	MemoryContextSwitchTo(caller);
}

static void
finish(AepMany *many, AepCall *call)
{
	note_no_token(many, call);
	many->callbacks.over(many->callbacks.arg, call);
	many->dry = false;

	/* a slow start again after each 429, up to what the server option allows */
	if (aep_http_throttled_until() > aep_http_now())
		many->window = Max(many->window / 2, 1);
	else if (many->window < many->server->concurrency)
		many->window++;
}

/* In which order calls are looked at. */
typedef enum Round
{
	WAITED_FOR_TOKEN, /* so that nobody asks for another one where there is none */
	SMALL_ANSWER,	  /* as all are that hold an id */
	THE_REST
} Round;

static bool
is_of(const AepCall *call, Round round)
{
	switch (round)
	{
		case WAITED_FOR_TOKEN:
			return call->fetch != NULL;
		case SMALL_ANSWER:
			return call->exchange != NULL && call->exchange->body.len <= MAX_SMALL_ANSWER;
		case THE_REST:
			break;
	}
	return true;
}

/* Hands over what is over, from the oldest on. */
static void
collect_some(AepMany *many, Round round)
{
	int kept = 0;

	for (int i = 0; i < many->in_flight; i++)
	{
		AepCall *call = many->sent[i];

		if (many->no_token)
			call->renewed = true; /* nobody asks for a token again */
		if (is_of(call, round) && aep_call_is_over(call))
			finish(many, call);
		else
			many->sent[kept++] = call;
	}
	many->in_flight = kept;
}

/*
 * A message of the log serves interrupts, and so does text that is converted.  If
 * one of them ended all of it, ids that have come would never be known; only an
 * answer that takes time to read can be cancelled, after all others.
 */
static void
collect(AepMany *many)
{
	HOLD_INTERRUPTS();
	collect_some(many, WAITED_FOR_TOKEN);
	collect_some(many, SMALL_ANSWER);
	RESUME_INTERRUPTS();
	collect_some(many, THE_REST);
}

/* Whether the window has a place, and there may be a call to take it. */
static bool
can_send(const AepMany *many)
{
	return many->in_flight < many->window && aep_http_throttled_until() <= aep_http_now() &&
		   (many->nready > 0 || !many->dry);
}

/* Sends calls, those that are prepared first, as far as the window allows. */
static void
fill_window(AepMany *many)
{
	for (int i = 0; i < SENT_AT_ONCE && can_send(many); i++)
	{
		AepCall *call;

		if (many->nready == 0)
			prepare(many);
		if (many->nready == 0)
			continue;
		call = take_ready(many);
		if (many->no_token)
		{
			aep_call_refuse(call, &many->token_error);
			finish(many, call);
			continue;
		}
		aep_call_start(call);
		many->sent[many->in_flight++] = call;
	}
}

/* The time until something is due of itself, in ms; -1: nothing is. */
static int64
patience(const AepMany *many)
{
	int64 least = -1;

	if (many->nready > 0 || !many->dry)
	{
		int64 pause = aep_http_throttled_until() - aep_http_now();

		least = pause > 0 ? pause : -1;
	}
	for (int i = 0; i < many->in_flight; i++)
	{
		int64 time = aep_call_patience(many->sent[i]);

		if (time >= 0 && (least < 0 || time < least))
			least = time;
	}
	return least;
}

static bool
something_stirs(const AepMany *many)
{
	for (int i = 0; i < many->in_flight; i++)
	{
		if (aep_call_stirs(many->sent[i]))
			return true;
	}
	return false;
}

/*
 * Waits for an answer, or until the service lets new requests through.  The
 * next calls are prepared meanwhile, as many as may be answered at once.
 */
static void
wait_for_calls(AepMany *many)
{
	int64 longest;

	if (can_send(many))
	{
		if (many->in_flight > 0)
			(void) aep_http_step(0);
		else
			CHECK_FOR_INTERRUPTS();
		return;
	}
	while (many->in_flight > 0 && many->nready < many->window && !many->dry)
	{
		if (aep_http_step(0))
			return;
		prepare(many);
	}
	longest = patience(many);
	if ((many->in_flight > 0 || longest > 0) && !something_stirs(many))
		(void) aep_http_step((long) longest);
}

bool
aep_many_turn(AepMany *many)
{
	collect(many);
	fill_window(many);
	if (many->in_flight == 0 && many->nready == 0 && many->dry)
		return false;
	wait_for_calls(many);
	return true;
}
