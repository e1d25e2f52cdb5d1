/*
 * compat.h
 *		The only file that asks which PostgreSQL or libcurl it is compiled
 *		against: 15 to 19, and libcurl from 7.84 (the header API) on.
 */
#ifndef AEP_COMPAT_H
#define AEP_COMPAT_H

#include "catalog/pg_database.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_namespace.h"
#include "commands/dbcommands.h"
#include "fmgr.h"
#include "storage/latch.h"
#include "utils/acl.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"

#if PG_VERSION_NUM >= 180000
#include "storage/waiteventset.h"
#endif
#if PG_VERSION_NUM >= 190000
#include "utils/lsyscache.h" /* get_database_name() */
#endif

#if PG_VERSION_NUM < 150000
#error "aep needs PostgreSQL 15 or later"
#endif

/*
 * Symbols are hidden unless marked.  Before 16 the mark is empty, and a
 * function for SQL gets none.
 */
#if PG_VERSION_NUM < 160000
#undef PGDLLEXPORT
#define PGDLLEXPORT __attribute__((visibility("default")))
#endif
#define AEP_SQL_FUNCTION(name)                       \
	extern PGDLLEXPORT Datum name(PG_FUNCTION_ARGS); \
	PG_FUNCTION_INFO_V1(name)

/* A function that never returns: since 18 a mark before it, not behind. */
#if PG_VERSION_NUM < 180000
#define pg_noreturn pg_attribute_noreturn()
#endif

/* From 16 on one function answers for every kind of object. */
#if PG_VERSION_NUM >= 160000
#define aep_foreign_server_aclcheck(serverid, roleid, mode) \
	object_aclcheck(ForeignServerRelationId, serverid, roleid, mode)
#define aep_database_aclcheck(dbid, roleid, mode) \
	object_aclcheck(DatabaseRelationId, dbid, roleid, mode)
#define aep_schema_aclcheck(nspid, roleid, mode) \
	object_aclcheck(NamespaceRelationId, nspid, roleid, mode)
#else
#define aep_foreign_server_aclcheck(serverid, roleid, mode) \
	pg_foreign_server_aclcheck(serverid, roleid, mode)
#define aep_database_aclcheck(dbid, roleid, mode) pg_database_aclcheck(dbid, roleid, mode)
#define aep_schema_aclcheck(nspid, roleid, mode) pg_namespace_aclcheck(nspid, roleid, mode)
#endif

/*
 * From libpq/scram.h, the same since 15: that header wants GSSAPI's, which the
 * development packages of PostgreSQL do not bring along.
 */
extern char *pg_be_scram_build_secret(const char *password);

/* Who may alter a role: before 16 whoever has CREATEROLE. */
#if PG_VERSION_NUM >= 160000
#define aep_may_alter_role(roleid, target) is_admin_of_role(roleid, target)
#else
#define aep_may_alter_role(roleid, target) has_createrole_privilege(roleid)
#endif

/* What a role is granted it has at once: before 16 that is the member's affair. */
#if PG_VERSION_NUM >= 160000
#define AEP_WITH_INHERIT " WITH INHERIT TRUE"
#else
#define AEP_WITH_INHERIT ""
#endif

/*
 * A wait-event set that lives until FreeWaitEventSet(): before 17 it belongs
 * to a memory context, since then to a resource owner, or to none.
 */
#if PG_VERSION_NUM >= 170000
#define aep_create_wait_event_set(nevents) CreateWaitEventSet(NULL, nevents)
#else
#define aep_create_wait_event_set(nevents) CreateWaitEventSet(TopMemoryContext, nevents)
#endif

/*
 * Adds to the jsonb that grows in the state, which starts as zeros; its result
 * is there once all is closed.  Before 19 the state is only a stack, and each
 * step hands back what is there so far.
 */
#if PG_VERSION_NUM >= 190000
#define aep_push_jsonb(state, token, value) pushJsonbValue(state, token, value)
#else
typedef struct JsonbInState
{
	JsonbValue *result;
	JsonbParseState *parseState;
} JsonbInState;

static inline void
aep_push_jsonb(JsonbInState *state, JsonbIteratorToken token, JsonbValue *value)
{
	state->result = pushJsonbValue(&state->parseState, token, value);
}
#endif

/*
 * For the files that include common/jsonapi.h: a lexer of a text in the
 * database's encoding, and what the parser's actions return, which since 16 can
 * say that something went wrong.
 */
#ifdef JSONAPI_H
#if PG_VERSION_NUM >= 170000
#define aep_json_lexer(text, len) \
	makeJsonLexContextCstringLen(NULL, unconstify(char *, text), len, GetDatabaseEncoding(), true)
#else
#define aep_json_lexer(text, len) \
	makeJsonLexContextCstringLen(unconstify(char *, text), (int) (len), GetDatabaseEncoding(), true)
#endif
#if PG_VERSION_NUM >= 160000
#define AEP_JSON_ACTION JsonParseErrorType
#define AEP_JSON_GO_ON return JSON_SUCCESS
#else
#define AEP_JSON_ACTION void
#define AEP_JSON_GO_ON return
#endif
#endif

/* Named wait events for extensions arrived in 17. */
#if PG_VERSION_NUM >= 170000
#define aep_wait_event_new(name) WaitEventExtensionNew(name)
#else
#define aep_wait_event_new(name) PG_WAIT_EXTENSION
#endif

/* The macros below are only for the files that include curl/curl.h first. */
#ifdef LIBCURL_VERSION_NUM

#if LIBCURL_VERSION_NUM < 0x075400
#error "aep needs libcurl 7.84.0 or later"
#endif

/* CURLOPT_PROTOCOLS_STR came with 7.85, the old bit mask goes away one day. */
#if LIBCURL_VERSION_NUM >= 0x075500
#define AEP_CURLOPT_PROTOCOLS CURLOPT_PROTOCOLS_STR
#define AEP_PROTOCOL_HTTP "http"
#define AEP_PROTOCOL_HTTPS "https"
#else
#define AEP_CURLOPT_PROTOCOLS CURLOPT_PROTOCOLS
#define AEP_PROTOCOL_HTTP CURLPROTO_HTTP
#define AEP_PROTOCOL_HTTPS CURLPROTO_HTTPS
#endif

/* Without it (before 7.87) giving up waits for a running name look-up. */
#if LIBCURL_VERSION_NUM >= 0x075700
#define AEP_HAVE_QUICK_EXIT 1
#endif

/* Before 7.87 it reads a file of authorities for each connection anew. */
#if LIBCURL_VERSION_NUM >= 0x075700
#define AEP_HAVE_CA_CACHE 1
#endif

/* What is longer than libcurl takes. */
#if LIBCURL_VERSION_NUM >= 0x080600
#define AEP_CODE_TOO_LARGE CURLE_TOO_LARGE
#else
#define AEP_CODE_TOO_LARGE CURLE_OUT_OF_MEMORY
#endif

/* Since 8.20 the threads that look up names are the multi handle's. */
#if LIBCURL_VERSION_NUM >= 0x081400
#define AEP_HAVE_MULTI_QUICK_EXIT 1
#endif

#endif /* LIBCURL_VERSION_NUM */

#endif /* AEP_COMPAT_H */
