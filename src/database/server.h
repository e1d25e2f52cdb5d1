/*
 * database/server.h
 *		A foreign server of this extension together with the caller's user
 *		mapping, checked, parsed and cached.
 */
#ifndef AEP_SERVER_H
#define AEP_SERVER_H

#include "nodes/pg_list.h"

#include "http/http.h"

/*
 * All options.  Strings are in the database's encoding, NULL where not set;
 * option.c knows which member belongs to which option.
 */
typedef struct AepServer
{
	Oid serverid;
	Oid umid; /* InvalidOid: read without a user mapping */
	Oid owner;
	uint64 credential; /* another number: a token fetched before is not good any more */
	const char *name;

	/* SERVER options */
	const char *org_id;
	const char *sandbox;
	const char *base_url;
	const char *token_url;
	const char *advertised_host;
	int advertised_port; /* 0: not set */
	AepHttpLimits limits;
	int concurrency;

	/* USER MAPPING options */
	const char *api_key;
	const char *access_token;
	const char *client_secret;
	const char *scopes;
	const char *username;
	const char *password;
	bool mapping_is_public;
} AepServer;

/*
 * The server with that name and the mapping of the current user (in a SECURITY
 * DEFINER function: the definer), or of PUBLIC.  Throws 42704 for no such
 * server, 42809 for one of another wrapper, 42501 without USAGE, 42704 without
 * a mapping unless missing_mapping_ok; options that are needed may be missing.
 *
 * The settings are as they are now, and stay so, valid for as long as the memory
 * context lives that is current here: across commits, and whatever becomes of
 * server and mapping.  Secrets are wiped when nobody holds on to them any more.
 */
extern const AepServer *aep_server_get(const char *name, bool missing_mapping_ok);

/* Whether a server is of our wrapper; *wrapper gets the name of the one that it is of. */
extern bool aep_server_is_ours(Oid serverid, const char **wrapper);

/* Whether the current user has a mapping for it; *is_public: that of PUBLIC. */
extern bool aep_server_has_mapping(Oid serverid, bool *is_public);

/* Overwrites the values of options that were read from a catalog. */
extern void aep_server_wipe_options(List *options);

/* The same, but NULL if there is no such server of ours that the caller may use. */
extern const AepServer *aep_server_find(const char *name);

/*
 * Whether the current user calls with a mapping that PostgreSQL does not show to
 * them: that of PUBLIC is for superusers and the server's owner to see.  Nothing
 * must lead its secrets to where such a caller could read them.
 */
extern bool aep_server_hides_mapping(const AepServer *server);

/*
 * The mapping that the current user calls with as statements name it, with the
 * server's name; the user's own if there is none yet.
 */
extern const char *aep_server_mapping_name(const AepServer *server);

#endif /* AEP_SERVER_H */
