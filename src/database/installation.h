/*
 * database/installation.h
 *		Which installation something belongs to: this database, or one that
 *		this is a copy of.
 *
 * What a table holds comes along with every copy, and so would the power over
 * an object elsewhere.  So it is bound: to the cluster, the database in it, and
 * the address.  A dump, a template, a subscriber and pg_upgrade make another
 * cluster or database.  A base backup does not, and may have the address of its
 * original as well: what must not happen to that is for others to prove.
 */
#ifndef AEP_INSTALLATION_H
#define AEP_INSTALLATION_H

#include "compat.h"
#include "database/server.h"

typedef struct AepInstallation
{
	uint64 system_identifier; /* of the cluster; 0: not known */
	Oid database;
	const char *host; /* aep_endpoint_get_lasting()'s; NULL: not known */
	int port;
	const char *database_name;
} AepInstallation;

/* How an installation that was noted fits the one at hand. */
typedef enum AepBinding
{
	AEP_BOUND_HERE,
	AEP_BOUND_ELSEWHERE,  /* another cluster or database */
	AEP_BOUND_TO_ADDRESS, /* the same, but at another address */
	AEP_BOUND_NOWHERE	  /* none was noted, before version 2.0 */
} AepBinding;

/*
 * This one; "server" is the one that knows the advertised address, NULL if it
 * is not at hand.  Strings are in the current context, or the server's.
 */
extern void aep_installation_get(const AepServer *server, AepInstallation *here);

/* An address that one of both does not know counts as the same. */
extern AepBinding aep_installation_compare(const AepInstallation *bound,
										   const AepInstallation *here);

/* A word for users: here, elsewhere, moved, unconfirmed. */
extern const char *aep_installation_binding_name(AepBinding binding);

/*
 * Throws 55000 unless it is this one.  "what" is the object, as in "ingest role
 * "reader"", and the statements are those by which this database takes it over,
 * and forgets it.
 */
extern void aep_installation_require(const AepInstallation *bound, const AepInstallation *here,
									 const char *what, const char *adopt, const char *forget);

#endif /* AEP_INSTALLATION_H */
