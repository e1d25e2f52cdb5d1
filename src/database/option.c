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
#include "utils/guc.h"

#include "compat.h"
#include "database/endpoint.h"
#include "database/hidden_statement.h"
#include "database/option.h"
#include "http/http.h"
#include "http/url.h"

typedef struct Option Option;

/* Checks a value and stores it at target, where the row's member points. */
typedef void (*OptionParser)(const Option *option, const char *value, void *target);

struct Option
{
	const char *name;
	Oid catalog;
	OptionParser parse;
	size_t member;			   /* of AepServer */
	const char *default_value; /* NULL: none */
	bool secret;
	Oid needs_role; /* only its members may set it; InvalidOid: anyone */
};

static void parse_header_value(const Option *option, const char *value, void *target);
static void parse_text(const Option *option, const char *value, void *target);
static void parse_url(const Option *option, const char *value, void *target);
static void parse_proxy(const Option *option, const char *value, void *target);
static void parse_path(const Option *option, const char *value, void *target);
static void parse_host(const Option *option, const char *value, void *target);
static void parse_port(const Option *option, const char *value, void *target);
static void parse_duration(const Option *option, const char *value, void *target);
static void parse_size(const Option *option, const char *value, void *target);
static void parse_attempts(const Option *option, const char *value, void *target);
static void parse_concurrency(const Option *option, const char *value, void *target);

#define SERVER(name, parse, member, default_value, needs_role)                                   \
	{                                                                                            \
		name, ForeignServerRelationId, parse, offsetof(AepServer, member), default_value, false, \
			needs_role                                                                           \
	}
#define MAPPING(name, parse, member, secret)                                                      \
	{                                                                                             \
		name, UserMappingRelationId, parse, offsetof(AepServer, member), NULL, secret, InvalidOid \
	}

static const Option options[] = {
	SERVER("org_id", parse_header_value, org_id, NULL, InvalidOid),
	SERVER("sandbox", parse_header_value, sandbox, "prod", InvalidOid),
	SERVER("base_url", parse_url, base_url, "https://platform.adobe.io", InvalidOid),
	SERVER("token_url", parse_url, token_url, "https://ims-na1.adobelogin.com/ims/token/v3",
		   InvalidOid),
	SERVER("advertised_host", parse_host, advertised_host, NULL, InvalidOid),
	SERVER("advertised_port", parse_port, advertised_port, NULL, InvalidOid),
	SERVER("connect_timeout", parse_duration, limits.connect_timeout, "10s", InvalidOid),
	SERVER("request_timeout", parse_duration, limits.request_timeout, "60s", InvalidOid),
	SERVER("max_attempts", parse_attempts, limits.max_attempts, "4", InvalidOid),
	SERVER("max_response_size", parse_size, limits.max_response_size, "64MB", InvalidOid),
	SERVER("concurrency", parse_concurrency, concurrency, "16", InvalidOid),
	SERVER("ca_file", parse_path, limits.ca_file, NULL, ROLE_PG_READ_SERVER_FILES),
	SERVER("proxy", parse_proxy, limits.proxy, NULL, InvalidOid),
	MAPPING("api_key", parse_header_value, api_key, true),
	MAPPING("access_token", parse_header_value, access_token, true),
	MAPPING("client_secret", parse_text, client_secret, true),
	MAPPING("scopes", parse_header_value, scopes, false),
	MAPPING("username", parse_text, username, false),
	MAPPING("password", parse_text, password, true),
};

pg_noreturn static void bad_value(const Option *option, const char *detail, const char *hint);

/* Never shows the value: it may be a secret. */
static void
bad_value(const Option *option, const char *detail, const char *hint)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("invalid value for option \"%s\"", option->name),
					errdetail("%s", detail), hint != NULL ? errhint("%s", hint) : 0));
	pg_unreachable();
}

static void
store_text(const char *value, void *target)
{
	*(char **) target = pstrdup(value);
}

/* What becomes an HTTP header: a stray line end there would forge another. */
static void
parse_header_value(const Option *option, const char *value, void *target)
{
	size_t len = strlen(value);

	if (len == 0 || value[0] == ' ' || value[len - 1] == ' ')
		bad_value(option, "It must not be empty, nor begin or end with a blank.", NULL);
	for (const char *c = value; *c != '\0'; c++)
	{
		if (*c < ' ' || *c > '~')
			bad_value(option, "It must consist of printable ASCII characters.",
					  "Look for a line end copied along with it.");
	}
	store_text(value, target);
}

static void
parse_text(const Option *option, const char *value, void *target)
{
	if (value[0] == '\0')
		bad_value(option, "It must not be empty.", NULL);
	store_text(value, target);
}

static void
parse_url(const Option *option, const char *value, void *target)
{
	const char *refusal = aep_http_url_refusal(value);

	if (refusal != NULL)
		bad_value(option, refusal, NULL);
	store_text(value, target);
}

static void
parse_proxy(const Option *option, const char *value, void *target)
{
	const char *refusal = aep_http_proxy_refusal(value);

	if (refusal != NULL)
		bad_value(option, refusal, NULL);
	store_text(value, target);
}

/* Whether the file is there is asked when it is used: a dump may be restored elsewhere. */
static void
parse_path(const Option *option, const char *value, void *target)
{
	if (!is_absolute_path(value))
		bad_value(option, "It must be an absolute path on the database server.", NULL);
	store_text(value, target);
}

static void
parse_host(const Option *option, const char *value, void *target)
{
	const char *refusal = aep_endpoint_host_refusal(value);

	if (refusal != NULL)
		bad_value(option, refusal, NULL);
	store_text(value, target);
}

/* A whole number with a range, and with units where flags name them. */
static void
parse_number(const Option *option, const char *value, int flags, int min, int max,
			 const char *range, void *target)
{
	const char *hint = NULL;
	int number;

	if (!parse_int(value, &number, flags, &hint))
		bad_value(option, range, hint);
	if (number < min || number > max)
		bad_value(option, range, NULL);
	*(int *) target = number;
}

static void
parse_port(const Option *option, const char *value, void *target)
{
	parse_number(option, value, 0, 1, 65535, "It must be a whole number from 1 to 65535.", target);
}

static void
parse_duration(const Option *option, const char *value, void *target)
{
	parse_number(option, value, GUC_UNIT_MS, 1, 60 * 60 * 1000,
				 "It must be a time from 1ms to 1h, such as \"10s\"; without a unit, milliseconds.",
				 target);
}

static void
parse_size(const Option *option, const char *value, void *target)
{
	parse_number(option, value, GUC_UNIT_BYTE, 1024, 256 * 1024 * 1024,
				 "It must be a size from 1kB to 256MB, such as \"64MB\"; without a unit, bytes.",
				 target);
}

static void
parse_attempts(const Option *option, const char *value, void *target)
{
	parse_number(option, value, 0, 1, 10, "It must be a whole number from 1 to 10.", target);
}

static void
parse_concurrency(const Option *option, const char *value, void *target)
{
	parse_number(option, value, 0, 1, 256, "It must be a whole number from 1 to 256.", target);
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

void
aep_option_defaults(AepServer *server)
{
	for (int i = 0; i < lengthof(options); i++)
	{
		if (options[i].default_value != NULL)
			options[i].parse(&options[i], options[i].default_value, member_of(server, &options[i]));
	}
}

void
aep_option_read(List *list, Oid catalog, AepServer *server)
{
	ListCell *cell;

	foreach (cell, list)
	{
		DefElem *def = lfirst_node(DefElem, cell);
		const Option *option = find_option(def->defname, catalog);

		if (option == NULL)
			unknown_option(def->defname, catalog);
		option->parse(option, defGetString(def), member_of(server, option));
	}
}

void
aep_option_check_complete(const AepServer *server)
{
	if (server->org_id == NULL)
		ereport(ERROR, (errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
						errmsg("option \"org_id\" of server \"%s\" is not set", server->name),
						errhint("Use ALTER SERVER ... OPTIONS (ADD org_id '...@AdobeOrg').")));
	if (server->api_key == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
				 errmsg("option \"api_key\" of the user mapping for server \"%s\" is not set",
						server->name),
				 errhint("Use ALTER USER MAPPING ... OPTIONS (ADD api_key '...').")));
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
check_role(const Option *option)
{
	if (OidIsValid(option->needs_role) && !has_privs_of_role(GetUserId(), option->needs_role))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to set option \"%s\"", option->name),
				 errdetail("Only roles with privileges of the role \"%s\" may set this option.",
						   GetUserNameFromId(option->needs_role, false))));
}

AEP_SQL_FUNCTION(aep_validator);

/* The wrapper's validator: checks names, values and who sets them; no I/O. */
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
	aep_option_read(list, catalog, &scratch);
	foreach (cell, list)
		check_role(find_option(lfirst_node(DefElem, cell)->defname, catalog));
	aep_show_statement(&hidden);
	PG_RETURN_VOID();
}
