/*
 * http/retry.h
 *		Whether and when a failed request is sent again.
 */
#ifndef AEP_RETRY_H
#define AEP_RETRY_H

#include "http/http.h"

/*
 * Milliseconds to pause before the next attempt of an exchange whose last
 * attempt just ended, or -1 if there is none: it succeeded, the failure is
 * final, repeating may do harm, attempts or time (time_left, ms) are used up.
 * Sets exchange->retry_after_too_long if only the service's wish is too long.
 */
extern int64 aep_retry_pause(AepHttpExchange *exchange, AepHttpRepeat repeat, int max_attempts,
							 int64 time_left);

#endif /* AEP_RETRY_H */
