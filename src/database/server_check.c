/*
 * database/server_check.c
 *		What is missing or wrong in a server, its user mapping and the grants on
 *		them.
 */
#include "postgres.h"

#include "catalog/pg_foreign_server.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "compat.h"
#include "database/check.h"
#include "database/encoding.h"
#include "database/endpoint.h"
#include "database/option.h"
#include "database/server_check.h"

/* One check on its way. */
typedef struct Examination
{
	AepServerFound found;
	void *data;
	int errors;			/* found so far */
	const char *server; /* names as statements write them */
	const char *user;
	const char *mapping; /* "USER MAPPING FOR ... SERVER ..."; NULL: there is none */
	List *server_options;
	List *mapping_options;
} Examination;

/* What the queries may ask for, in the names of their psql variables. */
typedef struct Parameters
{
	const char *role;
	const char *server;
} Parameters;

#define PARAMETER(name) offsetof(Parameters, name)

static const AepQuery checks[] = {
#include "database/checks.inc"
};

static void
report(Examination *examination, bool is_error, const char *finding, const char *remedy)
{
	examination->errors += is_error;
	examination->found(examination->data, is_error, finding, remedy);
}

/* Callback of aep_check_run(). */
static void
report_check(void *data, const char *finding, const char *remedy)
{
	report(data, false, finding, remedy);
}

static bool
is_set(const List *options, const char *name)
{
	ListCell *cell;

	foreach (cell, options)
	{
		if (strcmp(lfirst_node(DefElem, cell)->defname, name) == 0)
			return true;
	}
	return false;
}

/* The statement that sets an option. */
static const char *
set_server_option(const Examination *examination, const char *name, const char *value)
{
	return psprintf("ALTER SERVER %s OPTIONS (%s %s '%s')", examination->server,
					is_set(examination->server_options, name) ? "SET" : "ADD", name, value);
}

static const char *
set_mapping_option(const Examination *examination, const char *name)
{
	return psprintf("ALTER %s OPTIONS (%s %s '...')", examination->mapping,
					is_set(examination->mapping_options, name) ? "SET" : "ADD", name);
}

/* Whether a value is refused; *why says so then. */
static bool
is_refused(const DefElem *option, Oid catalog, AepObjection *why)
{
	const char *value = defGetString(unconstify(DefElem *, option));

	if (aep_option_refused(option->defname, catalog, value, why))
		return true;
	*why = (AepObjection){"It cannot be sent as UTF-8.", NULL};
	return !aep_can_be_utf8(value);
}

/* The statement that sets all options that are refused: it is checked as a whole. */
static const char *
set_refused(const Examination *examination, Oid catalog, const List *options)
{
	const char *object = catalog == ForeignServerRelationId
							 ? psprintf("SERVER %s", examination->server)
							 : examination->mapping;
	const char *separator = "";
	StringInfoData statement;
	AepObjection why;
	ListCell *cell;

	initStringInfo(&statement);
	appendStringInfo(&statement, "ALTER %s OPTIONS (", object);
	foreach (cell, options)
	{
		const DefElem *option = lfirst_node(DefElem, cell);

		if (!is_refused(option, catalog, &why))
			continue;
		appendStringInfo(&statement,
						 aep_option_exists(option->defname, catalog) ? "%sSET %s '...'"
																	 : "%sDROP %s",
						 separator, quote_identifier(option->defname));
		separator = ", ";
	}
	appendStringInfoChar(&statement, ')');
	return statement.data;
}

static const char *
about_option(const DefElem *option, Oid catalog, const char *is, const AepObjection *why)
{
	return psprintf("option \"%s\" of the %s %s wrong: %s%s%s", option->defname,
					catalog == ForeignServerRelationId ? "server" : "user mapping", is, why->detail,
					why->hint != NULL ? " " : "", why->hint != NULL ? why->hint : "");
}

/* Whether all of them can be read. */
static bool
check_values(Examination *examination, Oid catalog, List *options)
{
	const char *remedy = set_refused(examination, catalog, options);
	int before = examination->errors;
	AepObjection why;
	ListCell *cell;

	foreach (cell, options)
	{
		DefElem *option = lfirst_node(DefElem, cell);

		if (is_refused(option, catalog, &why))
			report(examination, true, about_option(option, catalog, "is", &why), remedy);
		else if (aep_option_suspect(option->defname, catalog, defGetString(option), &why))
			report(examination, false, about_option(option, catalog, "is probably", &why),
				   catalog == ForeignServerRelationId
					   ? set_server_option(examination, option->defname, "...")
					   : set_mapping_option(examination, option->defname));
	}
	return examination->errors == before;
}

/* Whether they can be read; they may be incomplete. */
static bool
check_mapping_options(Examination *examination)
{
	List *options = examination->mapping_options;
	bool readable = check_values(examination, UserMappingRelationId, options);

	if (!is_set(options, "api_key"))
		report(examination, true, "option \"api_key\" of the user mapping is not set",
			   set_mapping_option(examination, "api_key"));
	if (!is_set(options, "client_secret") && !is_set(options, "access_token"))
		report(examination, true,
			   "the user mapping has neither \"client_secret\" nor \"access_token\"",
			   set_mapping_option(examination, "client_secret"));
	if (is_set(options, "client_secret") && is_set(options, "access_token"))
		report(examination, false,
			   "the user mapping has an access_token, which expires, and so does not use its "
			   "client_secret",
			   psprintf("ALTER %s OPTIONS (DROP access_token)", examination->mapping));
	if (is_set(options, "username") != is_set(options, "password"))
	{
		const char *missing = is_set(options, "username") ? "password" : "username";

		report(examination, false,
			   psprintf("the user mapping has one of \"username\" and \"password\", without \"%s\"",
						missing),
			   set_mapping_option(examination, missing));
	}
	return readable;
}

/* The mapping of the current user; whether it can be read, or there is none. */
static bool
check_mapping(Examination *examination, Oid serverid)
{
	UserMapping *mapping;
	bool is_public;
	bool readable;

	if (!aep_server_has_mapping(serverid, &is_public))
	{
		report(examination, true,
			   psprintf("role %s has no user mapping for server %s", examination->user,
						examination->server),
			   psprintf("CREATE USER MAPPING FOR %s SERVER %s OPTIONS (api_key '...', "
						"client_secret '...')",
						examination->user, examination->server));
		return true;
	}
	mapping = GetUserMapping(GetUserId(), serverid);
	examination->mapping_options = mapping->options;
	examination->mapping = psprintf("USER MAPPING FOR %s SERVER %s",
									is_public ? "PUBLIC" : examination->user, examination->server);
	readable = check_mapping_options(examination);
	aep_server_wipe_options(mapping->options);
	return readable;
}

/* Whether Experience Platform can reach the address that it is given. */
static void
check_address(Examination *examination)
{
	AepServer server = {0}; /* what everybody can read of it */
	AepSuspicion suspicion;
	AepEndpoint endpoint;

	aep_option_defaults(&server);
	aep_option_read(examination->server_options, ForeignServerRelationId, &server);
	aep_endpoint_get(&server, &endpoint);
	if (aep_endpoint_suspect(&server, endpoint.host, &suspicion))
		report(examination, false, psprintf("%s: %s", suspicion.message, suspicion.why.detail),
			   set_server_option(examination, "advertised_host", "..."));
}

/* Whether there is a server of ours of that name. */
static bool
check_existence(Examination *examination, Oid serverid)
{
	const char *wrapper;

	if (!OidIsValid(serverid))
		report(examination, true, psprintf("server %s does not exist", examination->server),
			   psprintf("CREATE SERVER %s FOREIGN DATA WRAPPER aep OPTIONS (org_id '...@AdobeOrg', "
						"sandbox 'prod', advertised_host '...')",
						examination->server));
	else if (!aep_server_is_ours(serverid, &wrapper))
		report(examination, true,
			   psprintf("server %s belongs to the foreign-data wrapper %s", examination->server,
						quote_identifier(wrapper)),
			   "Name another server in the argument \"server\".");
	return examination->errors == 0;
}

const AepServer *
aep_server_check(const char *name, AepServerFound found, void *data, bool *complete)
{
	char *user = GetUserNameFromId(GetUserId(), false);
	Examination examination = {
		.found = found,
		.data = data,
		.server = quote_identifier(name),
		.user = quote_identifier(user),
	};
	const Parameters parameters = {.role = user, .server = name};
	Oid serverid = get_foreign_server_oid(name, true);
	bool readable;

	*complete = false;
	if (!check_existence(&examination, serverid))
		return NULL;
	examination.server_options = GetForeignServer(serverid)->options;
	readable = check_values(&examination, ForeignServerRelationId, examination.server_options);
	if (!is_set(examination.server_options, "org_id"))
		report(&examination, true, "option \"org_id\" of the server is not set",
			   set_server_option(&examination, "org_id", "...@AdobeOrg"));
	if (readable)
		check_address(&examination);
	if (aep_foreign_server_aclcheck(serverid, GetUserId(), ACL_USAGE) != ACLCHECK_OK)
	{
		report(&examination, true,
			   psprintf("role %s may not use server %s", examination.user, examination.server),
			   psprintf("GRANT USAGE ON FOREIGN SERVER %s TO %s", examination.server,
						examination.user));
		readable = false;
	}
	readable = check_mapping(&examination, serverid) && readable;
	for (int i = 0; i < lengthof(checks); i++)
		aep_check_run(&checks[i], &parameters, report_check, &examination);
	*complete = examination.errors == 0;
	return readable ? aep_server_get(name, true) : NULL;
}
