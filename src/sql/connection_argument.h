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

/*
 * Reads and checks them, with the defaults of user mapping and endpoint filled
 * in; text in the database's encoding, in the current context or the server's.
 * default_type stands in for a null auth_type; NULL: that is an error.  False:
 * *problem says what is wrong, never with a value.  *suspicions gets what is
 * probably wrong besides, a list of AepSuspicion, for a WARNING each.  Sends
 * nothing.
 */
extern bool aep_connection_arguments(const NullableDatum *arguments, const AepServer *server,
									 const AepAuthType *default_type, AepBaseConnection *connection,
									 List **suspicions, AepError *problem);

/* The same; raises what is wrong, and warns of what is suspect. */
extern void aep_connection_arguments_require(const NullableDatum *arguments,
											 const AepServer *server,
											 const AepAuthType *default_type,
											 AepBaseConnection *connection);

#endif /* AEP_CONNECTION_ARGUMENT_H */
