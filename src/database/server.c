/*
 * database/server.c
 *		Foreign server + user mapping + privilege = AepServer.
 *
 * Parsed settings are kept per user mapping until the catalogs change; a call
 * then costs three catalog cache look-ups instead of parsing every option.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_user_mapping.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "compat.h"
#include "database/option.h"
#include "database/server.h"

/* The wrapper's name; the extension creates it. */
#define WRAPPER_NAME "aep"

typedef struct CachedServer
{
	Oid umid;			   /* hash key */
	MemoryContext context; /* holds all strings of server; NULL: nothing read */
	bool stale;			   /* the server or the mapping may have changed */
	uint32 server_hash;	   /* by which invalidations name them */
	uint32 mapping_hash;
	AepServer server;
} CachedServer;

static HTAB *cache = NULL;
static uint64 invalidations = 0; /* how many were announced so far */

/* May be called while an entry is in use, so it only takes note. */
static void
invalidate_cache(Datum arg, int cacheid, uint32 hashvalue)
{
	HASH_SEQ_STATUS status;
	CachedServer *entry;

	invalidations++;
	hash_seq_init(&status, cache);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (hashvalue == 0 || (cacheid == FOREIGNSERVEROID && entry->server_hash == hashvalue) ||
			(cacheid == USERMAPPINGOID && entry->mapping_hash == hashvalue))
			entry->stale = true;
	}
}

static void
create_cache(void)
{
	HASHCTL control = {.keysize = sizeof(Oid), .entrysize = sizeof(CachedServer)};

	cache = hash_create("aep servers", 8, &control, HASH_ELEM | HASH_BLOBS);
	CacheRegisterSyscacheCallback(FOREIGNSERVEROID, invalidate_cache, (Datum) 0);
	CacheRegisterSyscacheCallback(USERMAPPINGOID, invalidate_cache, (Datum) 0);
}

static Oid
find_server(const char *name)
{
	Oid serverid = get_foreign_server_oid(name, true);

	if (!OidIsValid(serverid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("server \"%s\" does not exist", name),
				 errhint("Use CREATE SERVER ... FOREIGN DATA WRAPPER aep, or name another "
						 "server in the argument \"server\".")));
	return serverid;
}

static void
check_usage(Oid serverid, const char *name)
{
	AclResult result = aep_foreign_server_aclcheck(serverid, GetUserId(), ACL_USAGE);

	if (result != ACLCHECK_OK)
		aclcheck_error(result, OBJECT_FOREIGN_SERVER, name);
}

/* The current user's mapping, else PUBLIC's, else InvalidOid. */
static Oid
find_mapping(Oid serverid)
{
	Oid umid = GetSysCacheOid2(USERMAPPINGUSERSERVER, Anum_pg_user_mapping_oid,
							   ObjectIdGetDatum(GetUserId()), ObjectIdGetDatum(serverid));

	if (!OidIsValid(umid))
		umid = GetSysCacheOid2(USERMAPPINGUSERSERVER, Anum_pg_user_mapping_oid,
							   ObjectIdGetDatum(InvalidOid), ObjectIdGetDatum(serverid));
	return umid;
}

static bool
is_public_mapping(Oid umid)
{
	HeapTuple tuple = SearchSysCache1(USERMAPPINGOID, ObjectIdGetDatum(umid));
	bool result;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for user mapping %u", umid);
	result = !OidIsValid(((Form_pg_user_mapping) GETSTRUCT(tuple))->umuser);
	ReleaseSysCache(tuple);
	return result;
}

/* Reads all options into *server; strings go to the current context. */
static void
read_server(Oid serverid, Oid umid, AepServer *server)
{
	ForeignServer *foreign_server = GetForeignServer(serverid);
	ForeignDataWrapper *wrapper = GetForeignDataWrapper(foreign_server->fdwid);

	if (strcmp(wrapper->fdwname, WRAPPER_NAME) != 0)
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("server \"%s\" is not an Experience Platform server",
							   foreign_server->servername),
						errdetail("Its foreign-data wrapper is \"%s\", not \"%s\".",
								  wrapper->fdwname, WRAPPER_NAME)));

	memset(server, 0, sizeof(AepServer));
	server->serverid = serverid;
	server->umid = umid;
	server->name = foreign_server->servername;
	aep_option_defaults(server);
	aep_option_read(foreign_server->options, ForeignServerRelationId, server);
	if (OidIsValid(umid))
	{
		UserMapping *mapping = GetUserMapping(GetUserId(), serverid);

		aep_option_read(mapping->options, UserMappingRelationId, server);
		server->mapping_is_public = is_public_mapping(umid);
	}
}

static bool
same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* Whether a token fetched with one is good for the other. */
static bool
same_credential(const AepServer *a, const AepServer *b)
{
	return same_text(a->token_url, b->token_url) && same_text(a->api_key, b->api_key) &&
		   same_text(a->client_secret, b->client_secret) && same_text(a->scopes, b->scopes);
}

/* Reads the server into the cache entry; an error leaves the entry as it was. */
static void
fill_entry(CachedServer *entry, Oid serverid)
{
	static uint64 last_generation = 0;
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "aep server", ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	MemoryContext old = entry->context;
	uint64 before = invalidations;
	AepServer server;

	read_server(serverid, entry->umid, &server);
	MemoryContextSwitchTo(caller);

	if (old != NULL && same_credential(&entry->server, &server))
		server.generation = entry->server.generation;
	else
		server.generation = ++last_generation;
	if (old != NULL)
		aep_option_wipe_secrets(&entry->server);
	entry->server = server;
	entry->context = context;
	entry->server_hash = GetSysCacheHashValue1(FOREIGNSERVEROID, ObjectIdGetDatum(serverid));
	entry->mapping_hash = GetSysCacheHashValue1(USERMAPPINGOID, ObjectIdGetDatum(entry->umid));
	entry->stale = invalidations != before; /* changed while it was read */
	MemoryContextSetParent(context, CacheMemoryContext);
	if (old != NULL)
		MemoryContextDelete(old);
}

const AepServer *
aep_server_get(const char *name, bool missing_mapping_ok)
{
	Oid serverid = find_server(name);
	Oid umid;
	CachedServer *entry;
	bool found;

	check_usage(serverid, name);
	umid = find_mapping(serverid);
	if (!OidIsValid(umid))
	{
		AepServer *server = palloc(sizeof(AepServer));

		read_server(serverid, umid, server);
		if (!missing_mapping_ok)
			ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
							errmsg("no user mapping for \"%s\" on server \"%s\"",
								   GetUserNameFromId(GetUserId(), false), server->name),
							errhint("Use CREATE USER MAPPING FOR %s SERVER %s OPTIONS (api_key "
									"'...', client_secret '...').",
									quote_identifier(GetUserNameFromId(GetUserId(), false)),
									quote_identifier(server->name))));
		return server;
	}

	if (cache == NULL)
		create_cache();
	entry = hash_search(cache, &umid, HASH_ENTER, &found);
	if (!found)
		entry->context = NULL;
	if (entry->context == NULL || entry->stale)
		fill_entry(entry, serverid);
	return &entry->server;
}
