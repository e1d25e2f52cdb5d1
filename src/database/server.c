/*
 * database/server.c
 *		Foreign server + user mapping + privilege = AepServer.
 *
 * Parsed settings are kept per user mapping until the catalogs change; a call
 * then costs three catalog cache look-ups instead of parsing every option.  Who
 * was given them may keep them: a commit, a trigger or a nested call may change
 * the catalogs meanwhile, so each caller's memory context pins what it got.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_user_mapping.h"
#include "common/hashfn.h"
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

/* The settings as they were read at one time. */
typedef struct Settings
{
	MemoryContext context; /* holds this and all strings */
	int pins;			   /* how many memory contexts hold on to it */
	bool cached;
	AepServer server;
} Settings;

typedef struct CachedServer
{
	Oid umid; /* hash key */
	Settings *settings;
	uint32 server_hash; /* by which invalidations name them */
	uint32 mapping_hash;
} CachedServer;

static HTAB *cache = NULL;
static uint64 invalidations = 0; /* how many were announced so far */

static void
drop_if_unused(Settings *settings)
{
	if (settings->cached || settings->pins > 0)
		return;
	aep_option_wipe_secrets(&settings->server);
	MemoryContextDelete(settings->context);
}

/* Reset callback of a context that holds on to them. */
static void
unpin(void *arg)
{
	Settings *settings = arg;

	settings->pins--;
	drop_if_unused(settings);
}

/* As long as the current memory context lives. */
static const AepServer *
pin(Settings *settings)
{
	MemoryContextCallback *release = palloc(sizeof(MemoryContextCallback));

	release->func = unpin;
	release->arg = settings;
	settings->pins++;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, release);
	return &settings->server;
}

/* What is out of date goes at once, with its secrets, unless somebody uses it. */
static void
invalidate_cache(Datum arg, int cacheid, uint32 hashvalue)
{
	HASH_SEQ_STATUS status;
	CachedServer *entry;

	invalidations++;
	hash_seq_init(&status, cache);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		Settings *settings = entry->settings;

		if (hashvalue != 0 && !(cacheid == FOREIGNSERVEROID && entry->server_hash == hashvalue) &&
			!(cacheid == USERMAPPINGOID && entry->mapping_hash == hashvalue))
			continue;
		(void) hash_search(cache, &entry->umid, HASH_REMOVE, NULL);
		settings->cached = false;
		drop_if_unused(settings);
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
	if (aep_foreign_server_aclcheck(serverid, GetUserId(), ACL_USAGE) != ACLCHECK_OK)
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("permission denied for foreign server %s", name),
						errhint("GRANT USAGE ON FOREIGN SERVER %s TO %s.", quote_identifier(name),
								quote_identifier(GetUserNameFromId(GetUserId(), false)))));
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

bool
aep_server_has_mapping(Oid serverid, bool *is_public)
{
	Oid umid = find_mapping(serverid);

	*is_public = OidIsValid(umid) && is_public_mapping(umid);
	return OidIsValid(umid);
}

/* The catalog's own copy stays; this one is ours. */
void
aep_server_wipe_options(List *options)
{
	ListCell *cell;

	foreach (cell, options)
	{
		char *value = strVal(lfirst_node(DefElem, cell)->arg);

		explicit_bzero(value, strlen(value));
	}
}

bool
aep_server_is_ours(Oid serverid, const char **wrapper)
{
	*wrapper = GetForeignDataWrapper(GetForeignServer(serverid)->fdwid)->fdwname;
	return strcmp(*wrapper, WRAPPER_NAME) == 0;
}

/* Reads all options into *server; strings go to the current context. */
static void
read_server(Oid serverid, Oid umid, AepServer *server)
{
	ForeignServer *foreign_server = GetForeignServer(serverid);
	const char *wrapper;

	if (!aep_server_is_ours(serverid, &wrapper))
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("server \"%s\" is not an Experience Platform server",
							   foreign_server->servername),
						errdetail("Its foreign-data wrapper is \"%s\", not \"%s\".", wrapper,
								  WRAPPER_NAME),
						errhint("Name another server in the argument \"server\".")));

	memset(server, 0, sizeof(AepServer));
	server->serverid = serverid;
	server->umid = umid;
	server->owner = foreign_server->owner;
	server->name = foreign_server->servername;
	aep_option_defaults(server);
	aep_option_read(foreign_server->options, ForeignServerRelationId, server);
	if (OidIsValid(umid))
	{
		UserMapping *mapping = GetUserMapping(GetUserId(), serverid);

		aep_option_read(mapping->options, UserMappingRelationId, server);
		aep_server_wipe_options(mapping->options);
		server->mapping_is_public = is_public_mapping(umid);
	}
}

static uint64
add_to_digest(uint64 digest, const char *text)
{
	size_t size = text != NULL ? strlen(text) + 1 : 0;

	return hash_bytes_extended((const unsigned char *) text, (int) size, digest);
}

/* Of what an access token is fetched with. */
static uint64
credential_digest(const AepServer *server)
{
	uint64 digest = add_to_digest(0, server->token_url);

	digest = add_to_digest(digest, server->api_key);
	digest = add_to_digest(digest, server->client_secret);
	return add_to_digest(digest, server->scopes);
}

/*
 * Reads the settings, pinned by the current memory context, and keeps them
 * unless they changed meanwhile.
 */
static Settings *
read_settings(Oid serverid, Oid umid)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "aep server", ALLOCSET_SMALL_SIZES);
	uint64 before = invalidations;
	Settings *settings;
	CachedServer *entry;

	MemoryContextSwitchTo(context);
	settings = palloc0(sizeof(Settings));
	settings->context = context;
	read_server(serverid, umid, &settings->server);
	settings->server.credential = credential_digest(&settings->server);
	MemoryContextSwitchTo(caller);
	(void) pin(settings);
	MemoryContextSetParent(context, CacheMemoryContext);
	if (invalidations != before)
		return settings;

	entry = hash_search(cache, &umid, HASH_ENTER, NULL);
	entry->settings = settings;
	entry->server_hash = GetSysCacheHashValue1(FOREIGNSERVEROID, ObjectIdGetDatum(serverid));
	entry->mapping_hash = GetSysCacheHashValue1(USERMAPPINGOID, ObjectIdGetDatum(umid));
	settings->cached = true;
	return settings;
}

const AepServer *
aep_server_get(const char *name, bool missing_mapping_ok)
{
	Oid serverid = find_server(name);
	Oid umid;
	const CachedServer *entry;

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
							errhint("Use CREATE %s OPTIONS (api_key '...', client_secret '...').",
									aep_server_mapping_name(server))));
		return server;
	}

	if (cache == NULL)
		create_cache();
	entry = hash_search(cache, &umid, HASH_FIND, NULL);
	return entry != NULL ? pin(entry->settings) : &read_settings(serverid, umid)->server;
}

const AepServer *
aep_server_find(const char *name)
{
	Oid serverid = name != NULL ? get_foreign_server_oid(name, true) : InvalidOid;

	if (!OidIsValid(serverid) ||
		strcmp(GetForeignDataWrapper(GetForeignServer(serverid)->fdwid)->fdwname, WRAPPER_NAME) !=
			0 ||
		aep_foreign_server_aclcheck(serverid, GetUserId(), ACL_USAGE) != ACLCHECK_OK)
		return NULL;
	return aep_server_get(name, true);
}

bool
aep_server_hides_mapping(const AepServer *server)
{
	return server->mapping_is_public && !has_privs_of_role(GetUserId(), server->owner);
}

const char *
aep_server_mapping_name(const AepServer *server)
{
	return psprintf("USER MAPPING FOR %s SERVER %s",
					server->mapping_is_public
						? "PUBLIC"
						: quote_identifier(GetUserNameFromId(GetUserId(), false)),
					quote_identifier(server->name));
}
