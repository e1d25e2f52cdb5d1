/*
 * ingest/lock.c
 *		Locks of ingest roles.
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/inval.h"

#include "database/procedure.h"
#include "ingest/lock.h"

/* Advisory locks of SQL's functions have class 1 or 2; ours never meet them. */
#define LOCK_CLASS 0xaf

/* The third number: which kind of thing is locked. */
#define ROLE 0
#define GRANTS 1

/* The session's lock on the role that it works on. */
static LOCKTAG session_lock;
static bool locked = false;

void
aep_ingest_unlock(void)
{
	if (!locked)
		return;
	locked = false;
	(void) LockRelease(&session_lock, ExclusiveLock, true);
}

/* The lock outlives the commits in between, but not the call. */
static void
transaction_ended(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT)
		aep_ingest_unlock();
}

/* Does not wait: the other session may be waiting for the network. */
static void
acquire(const char *role_name, LOCKTAG *tag, bool of_session)
{
	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, ROLE,
						 hash_bytes((const unsigned char *) role_name, (int) strlen(role_name)),
						 LOCK_CLASS);
	if (LockAcquire(tag, ExclusiveLock, of_session, true) == LOCKACQUIRE_NOT_AVAIL)
		ereport(ERROR, (errcode(ERRCODE_LOCK_NOT_AVAILABLE),
						errmsg("another session is working on ingest role \"%s\"", role_name),
						errdetail("It is making, rotating, adopting or dropping it."),
						errhint("Call it again when that has ended.")));
}

void
aep_ingest_lock(const char *role_name)
{
	static bool registered = false;

	if (!registered)
	{
		RegisterXactCallback(transaction_ended, NULL);
		registered = true;
	}
	acquire(role_name, &session_lock, true);
	locked = true;

	/*
	 * With isolation levels above read committed, the snapshot may be from
	 * before the other session's end: the state is read in a transaction of its
	 * own.  The lock is the session's, and stays.
	 */
	aep_procedure_commit();
}

void
aep_ingest_lock_in_transaction(const char *role_name)
{
	LOCKTAG tag;

	acquire(role_name, &tag, false);
}

void
aep_ingest_lock_grants(void)
{
	LOCKTAG tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, GRANTS, 0, LOCK_CLASS);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
	/* what the one before has changed is not yet in the caches */
	AcceptInvalidationMessages();
}
