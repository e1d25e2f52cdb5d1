/*
 * database/login.h
 *		Whether Experience Platform can log in to this server as it is told to.
 */
#ifndef AEP_LOGIN_H
#define AEP_LOGIN_H

#include "nodes/pg_list.h"

#include "database/server.h"
#include "database/value.h"
#include "json/payload.h"

/*
 * Looks at what can be known here of the connection's login: the role and the
 * database, if its host and port are this server's own, and whether all clients
 * read the password alike.  NULL and 0 stand for what is not known.  Returns a
 * list of AepSuspicion, palloc'd, without any part of the password.  Throws
 * nothing, so that one item of many can ask.
 *
 * What it tells, everybody can read in pg_roles and pg_database.
 */
extern List *aep_login_findings(const AepServer *server, const AepBaseConnection *connection);

/* Raises a WARNING for each of them. */
extern void aep_login_warn(const AepServer *server, const AepBaseConnection *connection);

#endif /* AEP_LOGIN_H */
