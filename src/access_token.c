/*
 * access_token.c
 *		Where the bearer token comes from: for now, the user mapping.
 */
#include "postgres.h"

#include "access_token.h"

const char *
aep_access_token(const AepServer *server)
{
	if (server->access_token == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
				 errmsg("option \"access_token\" of the user mapping for server \"%s\" is not set",
						server->name),
				 server->client_secret != NULL
					 ? errdetail("Fetching a token with client_secret is not supported yet.")
					 : 0,
				 errhint("Use ALTER USER MAPPING ... OPTIONS (ADD access_token '...').")));
	return server->access_token;
}
