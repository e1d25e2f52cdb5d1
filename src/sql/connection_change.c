/*
 * sql/connection_change.c
 *		What becomes of the login and address of a base connection that is there.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"

#include "database/encoding.h"
#include "ingest/state.h"
#include "json/connection_string.h"
#include "platform/document.h"
#include "sql/argument.h"
#include "sql/connection_change.h"

/*
 * A parameter that can be sent back as it is.  Not one that is masked, or that
 * the database's encoding cannot hold.
 */
static const char *
shown_text(JsonbContainer *params, const char *name)
{
	const char *text = aep_document_text(params, name);

	if (text == NULL || text[strspn(text, "*")] == '\0' || !aep_is_exact(text))
		return NULL;
	return text;
}

/* 0: none that can be. */
static int
shown_port(JsonbContainer *params)
{
	const char *text = shown_text(params, "port");
	size_t digits = text != NULL ? strspn(text, "0123456789") : 0;
	int port = digits >= 1 && digits <= 5 && text[digits] == '\0' ? atoi(text) : 0;

	return port <= 65535 ? port : 0;
}

void
aep_connection_shown(Jsonb *entity, AepShownConnection *shown)
{
	/* the last is the service's own note */
	static const char *const known[] = {"server",			"port",			 "database",
										"username",			"password",		 "sslMode",
										"connectionString", "authorizedDate"};
	JsonbContainer *auth = aep_document_member(&entity->root, "auth");
	JsonbContainer *params = aep_document_member(auth, "params");
	const char *type = aep_document_text(auth, "specName");

	*shown = (AepShownConnection){
		.id = aep_document_id(&entity->root),
		.ssl_mode = shown_text(params, "sslMode"),
		.host = shown_text(params, "server"),
		.port = shown_port(params),
		.database = shown_text(params, "database"),
		.username = shown_text(params, "username"),
		.unknown = aep_document_unknown_member(params, known, lengthof(known)),
	};
	for (AepAuthType i = AEP_AUTH_BASIC; type != NULL && i <= AEP_AUTH_CONNECTION_STRING; i++)
	{
		if (strcmp(type, aep_payload_auth_name(i)) == 0)
		{
			shown->has_type = true;
			shown->auth_type = i;
		}
	}
}

static void
note_missing(StringInfo names, bool missing, const char *name)
{
	if (missing)
		appendStringInfo(names, "%s%s", names->len > 0 ? ", " : "", name);
}

/* The arguments without which the whole cannot be sent; "" if it is complete. */
static const char *
missing_arguments(const AepBaseConnection *wanted, bool has_type)
{
	StringInfoData names;

	initStringInfo(&names);
	note_missing(&names, wanted->username == NULL, "username");
	note_missing(&names, wanted->password == NULL, "password");
	note_missing(&names, !has_type, "auth_type");
	note_missing(&names, wanted->ssl_mode == NULL, "ssl_mode");
	note_missing(&names, wanted->host == NULL, "host");
	note_missing(&names, wanted->port == 0, "port");
	note_missing(&names, wanted->database == NULL, "database");
	return names.data;
}

static bool
more_needed(const char *id, const char *missing, bool mapping_helps, AepError *problem)
{
	*problem = (AepError){
		.sqlstate = ERRCODE_NULL_VALUE_NOT_ALLOWED,
		.message = psprintf("more arguments are needed to change login or address of base "
							"connection %s",
							id),
		.detail = psprintf("Experience Platform replaces all of it at once, and does not show %s.",
						   missing),
		.hint = psprintf("Give %s too.%s", missing,
						 mapping_helps ? " replace_credentials => true stands for the username and "
										 "password of the user mapping."
									   : ""),
	};
	return false;
}

/* What would be lost without a word. */
static bool
refuse_unknown(const AepShownConnection *shown, AepError *problem)
{
	*problem = (AepError){
		.sqlstate = ERRCODE_FEATURE_NOT_SUPPORTED,
		.message = psprintf("base connection %s has a parameter that is not known here", shown->id),
		.detail = psprintf("A change of login or address would lose \"%s\" in its auth.params.",
						   aep_document_one_line(shown->unknown)),
		.hint = "Change it in Experience Platform's user interface, or with aep.request().",
	};
	return false;
}

bool
aep_connection_merge(const AepGivenConnection *given, const AepShownConnection *shown,
					 const AepServer *server, bool replace_credentials, AepConnectionChange *change,
					 AepError *problem)
{
	AepBaseConnection *wanted = &change->auth;
	const char *missing;

	*wanted = given->connection;
	wanted->name = wanted->description = NULL;
	if (!given->has_type)
		wanted->auth_type = shown->auth_type;
	if (replace_credentials && wanted->username == NULL && wanted->password == NULL)
	{
		if (!aep_connection_take_login(server, wanted, problem))
			return false;
	}
	else if (wanted->username == NULL)
		wanted->username = shown->username;
	(void) aep_connection_take_password(server, wanted);
	if (wanted->host == NULL)
		wanted->host = shown->host;
	if (wanted->port == 0)
		wanted->port = shown->port;
	if (wanted->database == NULL)
		wanted->database = shown->database;
	/* a word that is not one of ours can be sent back, but not turned into a string's */
	if (wanted->ssl_mode == NULL && shown->ssl_mode != NULL)
		wanted->ssl_mode =
			wanted->auth_type == AEP_AUTH_BASIC ? shown->ssl_mode : aep_ssl_mode(shown->ssl_mode);

	missing = missing_arguments(wanted, given->has_type || shown->has_type);
	if (missing[0] != '\0')
		return more_needed(shown->id, missing,
						   wanted->password == NULL && given->connection.username == NULL &&
							   server->username != NULL && server->password != NULL,
						   problem);
	change->has_auth = true;
	change->changes_type = !shown->has_type || shown->auth_type != wanted->auth_type;
	if (shown->unknown != NULL && !change->changes_type)
		return refuse_unknown(shown, problem);
	return aep_connection_check(server, wanted, problem);
}

bool
aep_connection_is_managed(const char *id)
{
	return aep_ingest_role_of(id) != NULL;
}

void
aep_connection_refuse_managed(const char *id)
{
	const char *role_name = aep_ingest_role_of(id);

	if (role_name != NULL)
		ereport(
			ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("login and address of base connection %s are managed here", id),
			 errdetail("aep.create_ingest_role() made it, and only aep.rotate_credentials() "
					   "changes its login. Name, description and state can be changed."),
			 errhint("Use CALL aep.rotate_credentials('%s') for another login and password. For "
					 "another address use CALL aep.adopt_ingest_role(%s, host => ...) before "
					 "that. For another ssl_mode, make another connection with "
					 "aep.create_ingest_role().",
					 id, quote_literal_cstr(role_name))));
}
