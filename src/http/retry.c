/*
 * http/retry.c
 *		The rules of repeating a request.
 *
 * Flow Service documents neither limits nor Retry-After; other services of
 * the platform answer 429, and its guide takes 5xx for overload.
 */
#include "postgres.h"

#include "common/pg_prng.h"

#include "http/retry.h"

/* Pauses double from the first to the longest, in ms. */
#define FIRST_PAUSE 250
#define LONGEST_PAUSE 10000

static bool
worth_repeating(const AepHttpExchange *exchange, AepHttpRepeat repeat)
{
	if (exchange->fate.last >= AEP_FATE_FAILED && repeat != AEP_HTTP_REPEAT_HARMLESS)
		return false;

	switch (exchange->outcome)
	{
		case AEP_HTTP_NOT_CONNECTED:
			return exchange->transient;
		case AEP_HTTP_BROKEN:
			return true;
		case AEP_HTTP_COMPLETE:
			break;
		default:
			return false;
	}

	switch (exchange->status)
	{
		case 429: /* refused before any work was done */
		case 502:
		case 503:
		case 504:
			return true;
		default:
			return false;
	}
}

/* Half of the pause is chance, so that sessions that failed together part. */
static int64
backoff(int attempts)
{
	int64 pause = FIRST_PAUSE;

	for (int i = 1; i < attempts && pause < LONGEST_PAUSE; i++)
		pause *= 2;
	pause = Min(pause, LONGEST_PAUSE);
	return pause / 2 + (int64) (pg_prng_double(&pg_global_prng_state) * pause / 2);
}

int64
aep_retry_pause(AepHttpExchange *exchange, AepHttpRepeat repeat, int max_attempts, int64 time_left)
{
	int64 pause;

	if (!worth_repeating(exchange, repeat))
		return -1;
	if (exchange->retry_after > 0 && exchange->retry_after > time_left / 1000)
	{
		exchange->retry_after_too_long = true;
		return -1;
	}
	if (exchange->attempts >= max_attempts)
		return -1;
	pause = backoff(exchange->attempts);
	if (exchange->retry_after > 0)
		pause += exchange->retry_after * 1000;
	return pause < time_left ? pause : -1;
}
