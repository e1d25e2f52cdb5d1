/*
 * sql/connection_change.h
 *		What becomes of the login and address of a base connection that is
 *		there: what is given changes, what is not given stays.
 */
#ifndef AEP_CONNECTION_CHANGE_H
#define AEP_CONNECTION_CHANGE_H

#include "utils/jsonb.h"

#include "database/server.h"
#include "json/payload.h"
#include "platform/error.h"
#include "sql/connection_argument.h"

/*
 * Login and address as the service shows them; NULL, 0 and no type for what it
 * hides.  A password is never among them, shown or not.
 */
typedef struct AepShownConnection
{
	const char *id;
	bool has_type; /* the authentication is one of those known here */
	AepAuthType auth_type;
	const char *ssl_mode; /* as the service writes it */
	const char *host;
	int port;
	const char *database;
	const char *username;
	const char *unknown; /* the name of a parameter that nothing is known of here */
} AepShownConnection;

/* Reads them from an entity.  Texts are in the current context. */
extern void aep_connection_shown(Jsonb *entity, AepShownConnection *shown);

/*
 * The service replaces login and address as a whole.  Makes the whole of what is
 * given and what is shown; the password is the user mapping's only where the
 * username is, too.  With replace_credentials username and password are the
 * mapping's, unless one of them is given.  False: *problem says which arguments
 * have to be given besides, or what else is wrong with the whole.
 */
extern bool aep_connection_merge(const AepGivenConnection *given, const AepShownConnection *shown,
								 const AepServer *server, bool replace_credentials,
								 AepConnectionChange *change, AepError *problem);

/*
 * Raises 55000 for a connection that aep.create_ingest_role() made: another
 * login or address would leave the platform with one that rotation does not
 * know.
 */
extern void aep_connection_refuse_managed(const char *id);

/* Whether it is one. */
extern bool aep_connection_is_managed(const char *id);

#endif /* AEP_CONNECTION_CHANGE_H */
