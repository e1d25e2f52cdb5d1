/*
 * json/payload.h
 *		Request bodies for Flow Service.
 *
 * Plain C over cJSON.  Strings in are UTF-8 without NUL, not owned; what
 * comes out is UTF-8 JSON in an AepBuffer of the caller's.
 */
#ifndef AEP_PAYLOAD_H
#define AEP_PAYLOAD_H

#include <stdbool.h>

#include "json/buffer.h"

/* Flow Service's connection specification for PostgreSQL, any cloud. */
#define AEP_POSTGRESQL_SPEC_ID "74a1c565-4e59-48d7-9d67-7c03b8a13137"
#define AEP_POSTGRESQL_SPEC_VERSION "1.0"

typedef enum AepAuthType
{
	AEP_AUTH_BASIC,			   /* "Basic Authentication" */
	AEP_AUTH_CONNECTION_STRING /* "Connection String Based Authentication" */
} AepAuthType;

/* Flow Service's name of an authentication type; a constant. */
extern const char *aep_payload_auth_name(AepAuthType type);

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

/* What a PATCH changes; NULL and false: left as it is. */
typedef struct AepConnectionChange
{
	const char *name;
	const char *description; /* "": removed */
	const char *state;
	bool has_auth;			/* the parameters below are sent, all of them */
	bool changes_type;		/* and so is the authentication's type */
	AepBaseConnection auth; /* without name and description */
} AepConnectionChange;

/*
 * The body of PATCH /connections/{id}: JSON Patch, an array of operations.
 * The service replaces the authentication's parameters whole.  Appends it to
 * out as above.
 */
extern bool aep_payload_connection_change(const AepConnectionChange *change, AepBuffer *out);

#endif /* AEP_PAYLOAD_H */
