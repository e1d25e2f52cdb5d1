/*
 * database/option.c
 *		Options of the foreign-data wrapper aep, and its validator.
 */
#include "postgres.h"

#include "access/reloptions.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_foreign_data_wrapper.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include "compat.h"
#include "database/hidden_statement.h"
#include "database/option.h"
#include "database/value.h"
#include "http/url.h"

typedef struct Option
{
	const char *name;
	Oid catalog;
	AepValueKind kind;
	size_t member;			   /* of AepServer */
	const char *default_value; /* NULL: none */
	bool secret;
	/* only its members may set it, unless the value is harmless; InvalidOid: anyone may */
	Oid needs_role;
	bool (*is_harmless)(const char *value);
} Option;

/* Then a request does not go where base_url could not send it. */
static bool
proxy_is_harmless(const char *value)
{
	return aep_http_url_refusal(value) == NULL;
}

#define SERVER(name, kind, member, default_value)                                       \
	{                                                                                   \
		name, ForeignServerRelationId, kind, offsetof(AepServer, member), default_value \
	}
#define GUARDED(name, kind, member, role, is_harmless)                                       \
	{                                                                                        \
		name, ForeignServerRelationId, kind, offsetof(AepServer, member), NULL, false, role, \
			is_harmless                                                                      \
	}
#define MAPPING(name, kind, member, secret)                                          \
	{                                                                                \
		name, UserMappingRelationId, kind, offsetof(AepServer, member), NULL, secret \
	}

static const Option options[] = {
	SERVER("org_id", AEP_VALUE_ORG_ID, org_id, NULL),
	SERVER("sandbox", AEP_VALUE_SANDBOX, sandbox, "prod"),
	SERVER("base_url", AEP_VALUE_BASE_URL, base_url, "https://platform.adobe.io"),
	SERVER("token_url", AEP_VALUE_TOKEN_URL, token_url,
		   "https://ims-na1.adobelogin.com/ims/token/v3"),
	SERVER("advertised_host", AEP_VALUE_HOST, advertised_host, NULL),
	SERVER("advertised_port", AEP_VALUE_PORT, advertised_port, NULL),
	SERVER("connect_timeout", AEP_VALUE_DURATION, limits.connect_timeout, "10s"),
	SERVER("request_timeout", AEP_VALUE_DURATION, limits.request_timeout, "60s"),
	SERVER("max_attempts", AEP_VALUE_ATTEMPTS, limits.max_attempts, "4"),
	SERVER("max_response_size", AEP_VALUE_SIZE, limits.max_response_size, "64MB"),
	SERVER("concurrency", AEP_VALUE_CONCURRENCY, concurrency, "16"),
	/* makes the server read a file */
	GUARDED("ca_file", AEP_VALUE_CA_FILE, limits.ca_file, ROLE_PG_READ_SERVER_FILES, NULL),
	/* makes it speak in clear to any host; of the predefined roles, that one can too */
	GUARDED("proxy", AEP_VALUE_PROXY, limits.proxy, ROLE_PG_EXECUTE_SERVER_PROGRAM,
			proxy_is_harmless),
	MAPPING("api_key", AEP_VALUE_API_KEY, api_key, true),
	MAPPING("access_token", AEP_VALUE_ACCESS_TOKEN, access_token, true),
	MAPPING("client_secret", AEP_VALUE_CLIENT_SECRET, client_secret, true),
	MAPPING("scopes", AEP_VALUE_SCOPES, scopes, false),
	MAPPING("username", AEP_VALUE_ROLE, username, false),
	MAPPING("password", AEP_VALUE_PASSWORD, password, true),
};

pg_noreturn static void bad_value(const Option *option, const AepObjection *why);

/* Never shows the value: it may be a secret. */
static void
bad_value(const Option *option, const AepObjection *why)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("invalid value for option \"%s\"", option->name),
					errdetail_internal("%s", why->detail),
					why->hint != NULL ? errhint("%s", why->hint) : 0));
	pg_unreachable();
}

static const Option *
find_option(const char *name, Oid catalog)
{
	for (int i = 0; i < lengthof(options); i++)
	{
		if (options[i].catalog == catalog && strcmp(options[i].name, name) == 0)
			return &options[i];
	}
	return NULL;
}

pg_noreturn static void unknown_option(const char *name, Oid catalog);

static void
unknown_option(const char *name, Oid catalog)
{
	StringInfoData valid;

	initStringInfo(&valid);
	for (int i = 0; i < lengthof(options); i++)
	{
		if (options[i].catalog == catalog)
			appendStringInfo(&valid, "%s%s", valid.len > 0 ? ", " : "", options[i].name);
	}
	ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_OPTION_NAME), errmsg("invalid option \"%s\"", name),
					valid.len > 0 ? errhint("Valid options in this context are: %s.", valid.data)
								  : errhint("There are no valid options in this context.")));
	pg_unreachable();
}

static void *
member_of(AepServer *server, const Option *option)
{
	return (char *) server + option->member;
}

/* Checks a value and stores it.  False: *why says what is wrong with it. */
static bool
store(const Option *option, const char *value, AepServer *server, AepObjection *why)
{
	void *target = member_of(server, option);

	if (aep_value_is_number(option->kind))
		return aep_value_number(option->kind, value, target, why);
	if (aep_value_refused(option->kind, value, why))
		return false;
	*(char **) target = pstrdup(value);
	return true;
}

void
aep_option_defaults(AepServer *server)
{
	AepObjection ignored; /* they are all right */

	for (int i = 0; i < lengthof(options); i++)
	{
		if (options[i].default_value != NULL)
			(void) store(&options[i], options[i].default_value, server, &ignored);
	}
}

void
aep_option_read(List *list, Oid catalog, AepServer *server)
{
	AepObjection why;
	ListCell *cell;

	foreach (cell, list)
	{
		DefElem *def = lfirst_node(DefElem, cell);
		const Option *option = find_option(def->defname, catalog);

		if (option == NULL)
			unknown_option(def->defname, catalog);
		if (!store(option, defGetString(def), server, &why))
			bad_value(option, &why);
	}
}

bool
aep_option_exists(const char *name, Oid catalog)
{
	return find_option(name, catalog) != NULL;
}

bool
aep_option_refused(const char *name, Oid catalog, const char *value, AepObjection *why)
{
	const Option *option = find_option(name, catalog);
	int number;

	if (option == NULL)
	{
		*why = (AepObjection){"There is no such option.", NULL};
		return true;
	}
	return aep_value_is_number(option->kind) ? !aep_value_number(option->kind, value, &number, why)
											 : aep_value_refused(option->kind, value, why);
}

bool
aep_option_suspect(const char *name, Oid catalog, const char *value, AepObjection *why)
{
	const Option *option = find_option(name, catalog);

	return !aep_value_is_number(option->kind) && aep_value_suspect(option->kind, value, why);
}

void
aep_option_check_complete(const AepServer *server)
{
	if (server->org_id == NULL)
		ereport(ERROR, (errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
						errmsg("option \"org_id\" of server \"%s\" is not set", server->name),
						errhint("Use ALTER SERVER %s OPTIONS (ADD org_id '...@AdobeOrg').",
								quote_identifier(server->name))));
	if (server->api_key == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
				 errmsg("option \"api_key\" of the user mapping for server \"%s\" is not set",
						server->name),
				 errhint("Use ALTER %s OPTIONS (ADD api_key '...').",
						 aep_server_mapping_name(server))));
}

void
aep_option_wipe_secrets(AepServer *server)
{
	for (int i = 0; i < lengthof(options); i++)
	{
		char *value;

		if (!options[i].secret)
			continue;
		value = *(char **) member_of(server, &options[i]);
		if (value != NULL)
			explicit_bzero(value, strlen(value));
	}
}

static void
check_role(const Option *option, const char *value)
{
	if (!OidIsValid(option->needs_role) || has_privs_of_role(GetUserId(), option->needs_role) ||
		(option->is_harmless != NULL && option->is_harmless(value)))
		return;
	ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					errmsg("permission denied to set option \"%s\"", option->name),
					errdetail("Only roles with privileges of the role \"%s\" may set %s.",
							  GetUserNameFromId(option->needs_role, false),
							  option->is_harmless != NULL ? "it to this value" : "this option"),
					errhint("Have a superuser set it, or grant you that role.")));
}

static void
warn_of(const Option *option, const char *value)
{
	AepSuspicion suspicion;

	if (!aep_option_suspect(option->name, option->catalog, value, &suspicion.why))
		return;
	suspicion.message = psprintf("the value of option \"%s\" is probably wrong", option->name);
	aep_suspicion_raise(&suspicion);
}

/* An option that there is not may be a misspelt one. */
static void
hide_secrets(List *list, Oid catalog)
{
	ListCell *cell;

	if (catalog != UserMappingRelationId)
		return;
	foreach (cell, list)
	{
		DefElem *def = lfirst_node(DefElem, cell);
		const Option *option = find_option(def->defname, catalog);
		const char *value = defGetString(def);

		if (option == NULL || option->secret)
			aep_hide_secret(value, strlen(value));
	}
}

AEP_SQL_FUNCTION(aep_validator);

/*
 * The wrapper's validator: checks names, values and who sets them.  Of what a
 * file's name leads to it only warns.
 */
Datum
aep_validator(PG_FUNCTION_ARGS)
{
	List *list = untransformRelOptions(PG_GETARG_DATUM(0));
	Oid catalog = PG_GETARG_OID(1);
	AepHiddenStatement hidden;
	AepServer scratch = {0};
	ListCell *cell;

	/* CREATE USER MAPPING carries the secrets in its text */
	aep_hide_statement(&hidden);
	hide_secrets(list, catalog);
	aep_option_read(list, catalog, &scratch);
	foreach (cell, list)
	{
		DefElem *def = lfirst_node(DefElem, cell);
		const Option *option = find_option(def->defname, catalog);

		check_role(option, defGetString(def));
		warn_of(option, defGetString(def));
	}
	aep_show_statement(&hidden);
	PG_RETURN_VOID();
}
