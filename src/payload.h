/*
 * payload.h
 *		Request bodies for Flow Service.
 *
 * Plain C over cJSON.  Strings in are UTF-8 without NUL, not owned; what
 * comes out is UTF-8 JSON in an AepBuffer of the caller's.
 */
#ifndef AEP_PAYLOAD_H
#define AEP_PAYLOAD_H

#include <stdbool.h>

#include "buffer.h"

/* Flow Service's connection specification for PostgreSQL, any cloud. */
#define AEP_POSTGRESQL_SPEC_ID "74a1c565-4e59-48d7-9d67-7c03b8a13137"
#define AEP_POSTGRESQL_SPEC_VERSION "1.0"

typedef enum AepAuthType
{
	AEP_AUTH_BASIC,			   /* "Basic Authentication" */
	AEP_AUTH_CONNECTION_STRING /* "Connection String Based Authentication" */
} AepAuthType;

typedef struct AepBaseConnection
{
	const char *name;
	const char *description; /* NULL: left out of the body */
	AepAuthType auth_type;
	const char *ssl_mode; /* aep_ssl_mode()'s word; NULL: left out */
	const char *host;
	int port; /* 1 to 65535; sent as a JSON string */
	const char *database;
	const char *username;
	const char *password;
} AepBaseConnection;

/*
 * The body of POST /connections.  Appends it to out, which the caller frees
 * (that wipes it: it holds the password).  For a body that may be shown, give
 * AEP_MASK as the password.  False: out of memory.
 */
extern bool aep_payload_base_connection(const AepBaseConnection *connection, AepBuffer *out);

#endif /* AEP_PAYLOAD_H */
