/*
 * ingest/lock.h
 *		Locks of ingest roles, which meet no other's.
 */
#ifndef AEP_INGEST_LOCK_H
#define AEP_INGEST_LOCK_H

/*
 * The role is this session's until aep_ingest_unlock() or an error, also across
 * commits.  Throws 55P03 if another session has it.  For a procedure that
 * commits: commits, so that what is read afterwards is what the one before left.
 */
extern void aep_ingest_lock(const char *role_name);
extern void aep_ingest_unlock(void);

/* The same until the end of the transaction, without a commit. */
extern void aep_ingest_lock_in_transaction(const char *role_name);

/*
 * Only one session at a time grants or revokes, until the end of its
 * transaction: PostgreSQL lets two that change the privileges of one object at
 * once fail with XX000.  For catalog changes alone: nobody shall wait here for
 * somebody who waits for the network.
 */
extern void aep_ingest_lock_grants(void);

#endif /* AEP_INGEST_LOCK_H */
