/*
 * database/name_lock.c
 *		A lock on the name of an object in Experience Platform.
 *
 * It is an advisory lock, but nobody waits for it in PostgreSQL's own queue: a
 * report of a deadlock prints the statements of all who are part of it, and the
 * statement that is here may hold a password.  So whoever waits asks again and
 * again.  Two who wait for each other are not told apart from others, and give
 * up after a time that is half chance, so that one of them does so first and
 * the other one gets on.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "common/pg_prng.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/proc.h"

#include "compat.h"
#include "database/encoding.h"
#include "database/name_lock.h"

/*
 * Advisory locks of SQL's functions have class 1 or 2 in this field: ours
 * never meet them.
 */
#define LOCK_CLASS 0xae

/* Pauses before the next attempt double from the first to the longest, in ms. */
#define FIRST_PAUSE 5
#define LONGEST_PAUSE 200

pg_noreturn static void give_up(const char *name);

static void
give_up(const char *name)
{
	ereport(
		ERROR,
		(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
		 errmsg("another transaction is working on the base connection \"%s\"", aep_quotable(name)),
		 errhint("Try again when it has ended. Transactions that make sure of several "
				 "connections must do so in the same order, or they wait for each other.")));
	pg_unreachable();
}

/* Milliseconds to wait at most. */
static int64
longest_wait(const AepServer *server)
{
	int64 half = server->limits.request_timeout / 2;
	int64 wait = half + (int64) (pg_prng_double(&pg_global_prng_state) * half);

	return LockTimeout > 0 ? Min(wait, LockTimeout) : wait;
}

static void
rest(int64 ms)
{
	static uint32 wait_event = 0;

	if (wait_event == 0)
		wait_event = aep_wait_event_new("AepName");
	if ((WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, (long) ms,
				   wait_event) &
		 WL_LATCH_SET) != 0)
		ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

void
aep_name_lock(const AepServer *server, const char *name)
{
	int64 deadline = aep_http_now() + longest_wait(server);
	int64 next = FIRST_PAUSE;
	LOCKTAG tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, server->serverid,
						 hash_bytes((const unsigned char *) name, (int) strlen(name)), LOCK_CLASS);
	while (LockAcquire(&tag, ExclusiveLock, false, true) == LOCKACQUIRE_NOT_AVAIL)
	{
		int64 left = deadline - aep_http_now();

		if (left <= 0)
			give_up(name);
		rest(Min(next, left));
		next = Min(next * 2, LONGEST_PAUSE);
	}
}
