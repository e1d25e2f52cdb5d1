/*
 * database/name_lock.h
 *		A lock on the name of an object in Experience Platform.
 */
#ifndef AEP_NAME_LOCK_H
#define AEP_NAME_LOCK_H

#include "database/server.h"

/*
 * Keeps other sessions of this database from working on the object of that name,
 * until the end of the transaction.  Whoever has it already is waited for: up to
 * the server's request_timeout, or lock_timeout if that is set and shorter; then
 * 55P03.  Can be cancelled.
 */
extern void aep_name_lock(const AepServer *server, const char *name);

#endif /* AEP_NAME_LOCK_H */
