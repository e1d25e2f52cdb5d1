/*
 * sql/connection_argument.h
 *		The arguments that describe a base connection: of the functions that
 *		create one, and the attributes of aep.base_connection_spec.
 */
#ifndef AEP_CONNECTION_ARGUMENT_H
#define AEP_CONNECTION_ARGUMENT_H

#include "fmgr.h"
#include "nodes/pg_list.h"

#include "database/server.h"
#include "json/payload.h"
#include "platform/error.h"

/* Their positions. */
typedef enum AepConnectionArgument
{
	AEP_ARG_NAME,
	AEP_ARG_DESCRIPTION,
	AEP_ARG_USERNAME,
	AEP_ARG_PASSWORD,
	AEP_ARG_AUTH_TYPE,
	AEP_ARG_SSL_MODE,
	AEP_ARG_HOST,
	AEP_ARG_PORT,
	AEP_ARG_DATABASE,
	AEP_CONNECTION_ARGUMENTS /* their number */
} AepConnectionArgument;

/* What was given of them: NULL, 0 and no type for the rest. */
typedef struct AepGivenConnection
{
	AepBaseConnection connection;
	bool has_type;
	List *suspicions; /* of AepSuspicion: what is probably wrong with it, for a WARNING each */
} AepGivenConnection;

/*
 * All of these return false if something is wrong, and *problem says what,
 * never with a value.  None sends anything.  Text is in the database's encoding,
 * in the current context or the server's.
 */

/* Reads and checks what is given, one argument at a time; the name is there in any case. */
extern bool aep_connection_given(const NullableDatum *arguments, AepGivenConnection *given,
								 AepError *problem);

/*
 * Makes of it the connection that is to be created, with the defaults of user
 * mapping and endpoint filled in, and checks it as a whole.  default_type
 * stands in for a null auth_type; NULL: that is an error.
 */
extern bool aep_connection_complete(const AepGivenConnection *given, const AepServer *server,
									const AepAuthType *default_type, AepBaseConnection *connection,
									AepError *problem);

/* Both in one; what is suspect includes an address that nobody outside reaches. */
extern bool aep_connection_arguments(const NullableDatum *arguments, const AepServer *server,
									 const AepAuthType *default_type, AepBaseConnection *connection,
									 List **suspicions, AepError *problem);

/* The same; raises what is wrong, and warns of what is suspect. */
extern void aep_connection_arguments_require(const NullableDatum *arguments,
											 const AepServer *server,
											 const AepAuthType *default_type,
											 AepBaseConnection *connection);

/*
 * Checks a complete one: whether its texts can be sent as they are, and whether
 * a password that the caller may not know goes where it belongs.
 */
extern bool aep_connection_check(const AepServer *server, const AepBaseConnection *connection,
								 AepError *problem);

/*
 * Takes the mapping's username if none is there, and its password where that
 * belongs to the username.  False: there is no complete login.
 */
extern bool aep_connection_take_login(const AepServer *server, AepBaseConnection *connection,
									  AepError *problem);

/*
 * Takes the password of the user mapping if none is there and the username is
 * the mapping's: it is nobody else's.  Whether there is one now.
 */
extern bool aep_connection_take_password(const AepServer *server, AepBaseConnection *connection);

/* Takes what is missing of host, port and database from aep_endpoint_get(). */
extern void aep_connection_take_address(const AepServer *server, AepBaseConnection *connection);

/* The name of a connection that was given none: its address. */
extern const char *aep_connection_default_name(const AepBaseConnection *connection);

#endif /* AEP_CONNECTION_ARGUMENT_H */
