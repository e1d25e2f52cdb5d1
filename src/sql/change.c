/*
 * sql/change.c
 *		aep.update_connection(), aep.delete_connection() and
 *		aep.ensure_base_connection().
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "compat.h"
#include "database/encoding.h"
#include "database/endpoint.h"
#include "database/hidden_statement.h"
#include "database/login.h"
#include "database/name_lock.h"
#include "ingest/role.h"
#include "ingest/state.h"
#include "platform/document.h"
#include "platform/flow_service.h"
#include "platform/pages.h"
#include "sql/argument.h"
#include "sql/connection_argument.h"
#include "sql/connection_change.h"
#include "sql/row.h"

/* An enabled connection can be disabled and the other way round; nothing else. */
static const char *
read_state(FunctionCallInfo fcinfo, int number)
{
	const char *state = aep_argument_text(fcinfo, number);

	if (state != NULL && strcmp(state, "enabled") != 0 && strcmp(state, "disabled") != 0)
		aep_argument_refused("state", "It is neither 'enabled' nor 'disabled'.", NULL);
	return state;
}

/* The arguments of aep.update_connection(). */
enum
{
	UPDATE_ID,
	UPDATE_NAME,
	UPDATE_DESCRIPTION,
	UPDATE_STATE,
	UPDATE_USERNAME,
	UPDATE_PASSWORD,
	UPDATE_AUTH_TYPE,
	UPDATE_SSL_MODE,
	UPDATE_HOST,
	UPDATE_PORT,
	UPDATE_DATABASE,
	UPDATE_REPLACE_CREDENTIALS,
	UPDATE_ETAG,
	UPDATE_SERVER
};

static bool
is_true(FunctionCallInfo fcinfo, int number)
{
	return !PG_ARGISNULL(number) && PG_GETARG_BOOL(number);
}

static bool
wants_auth(FunctionCallInfo fcinfo)
{
	for (int i = UPDATE_USERNAME; i <= UPDATE_DATABASE; i++)
	{
		if (!PG_ARGISNULL(i))
			return true;
	}
	return is_true(fcinfo, UPDATE_REPLACE_CREDENTIALS);
}

/* What is given of name, login and address, checked as far as it goes. */
static void
read_given(FunctionCallInfo fcinfo, AepGivenConnection *given)
{
	NullableDatum arguments[AEP_CONNECTION_ARGUMENTS];
	AepError problem;

	for (int i = 0; i < AEP_CONNECTION_ARGUMENTS; i++)
		arguments[i] = (NullableDatum){.isnull = true};
	arguments[AEP_ARG_NAME] = fcinfo->args[UPDATE_NAME];
	arguments[AEP_ARG_USERNAME] = fcinfo->args[UPDATE_USERNAME];
	arguments[AEP_ARG_PASSWORD] = fcinfo->args[UPDATE_PASSWORD];
	arguments[AEP_ARG_AUTH_TYPE] = fcinfo->args[UPDATE_AUTH_TYPE];
	arguments[AEP_ARG_SSL_MODE] = fcinfo->args[UPDATE_SSL_MODE];
	arguments[AEP_ARG_HOST] = fcinfo->args[UPDATE_HOST];
	arguments[AEP_ARG_PORT] = fcinfo->args[UPDATE_PORT];
	arguments[AEP_ARG_DATABASE] = fcinfo->args[UPDATE_DATABASE];
	if (!aep_connection_given(arguments, given, &problem))
		aep_error_raise(&problem);
	aep_suspicions_raise(given->suspicions);
}

/* Login and address as they shall be; warns of what will not work. */
static void
merge_auth(const AepGivenConnection *given, const AepShownConnection *shown,
		   const AepServer *server, bool replace_credentials, AepConnectionChange *change)
{
	AepError problem;

	if (!aep_connection_merge(given, shown, server, replace_credentials, change, &problem))
		aep_error_raise(&problem);
	aep_endpoint_warn_unreachable(server, change->auth.host);
	aep_login_warn(server, &change->auth);
}

static void
fill_id_and_etag(AepRow *row, const AepCreated *answer)
{
	aep_row_uuid(row, answer->id);
	aep_row_text(row, answer->has_etag ? answer->etag : NULL);
}

static bool
changes_something(const AepConnectionChange *change)
{
	return change->name != NULL || change->description != NULL || change->state != NULL ||
		   change->has_auth;
}

/* What the service would answer to a change, for one that was not needed. */
static void
fill_created(AepCreated *created, const char *id, const char *etag)
{
	strlcpy(created->id, id, sizeof(created->id));
	strlcpy(created->etag, etag, sizeof(created->etag));
	created->has_etag = true;
}

AEP_SQL_FUNCTION(aep_update_connection);

/* Changes what is given -> (id, etag) */
Datum
aep_update_connection(PG_FUNCTION_ARGS)
{
	const AepServer *server;
	AepHiddenStatement hidden;
	AepConnectionChange change = {0};
	AepGivenConnection given;
	AepCreated changed;
	Jsonb *entity = NULL;
	bool removes;
	const char *id;
	const char *etag;
	Datum result;
	AepRow row;

	aep_row_begin(&row, fcinfo);
	aep_hide_statement(&hidden);
	server = aep_server_get(aep_argument_server(fcinfo, UPDATE_SERVER), false);
	id = aep_argument_uuid_required(fcinfo, UPDATE_ID, "id");
	change.description = aep_argument_text(fcinfo, UPDATE_DESCRIPTION);
	change.state = read_state(fcinfo, UPDATE_STATE);
	etag = aep_argument_text(fcinfo, UPDATE_ETAG);
	if (etag != NULL)
		aep_argument_check("etag", AEP_VALUE_ETAG, etag);
	read_given(fcinfo, &given);
	change.name = given.connection.name;
	if (change.name == NULL && change.description == NULL && change.state == NULL &&
		!wants_auth(fcinfo))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("nothing to change"),
						errhint("Give a name, a description, a state, or what the login needs.")));

	if (wants_auth(fcinfo))
		aep_connection_refuse_managed(id);

	/* JSON Patch does not remove what is not there */
	removes = change.description != NULL && change.description[0] == '\0';
	if (etag == NULL || removes || wants_auth(fcinfo))
		entity = aep_flow_connection(server, id);
	if (removes && aep_document_text(&entity->root, "description") == NULL &&
		(etag == NULL || strcmp(etag, aep_flow_etag(entity)) == 0))
		change.description = NULL;
	if (wants_auth(fcinfo))
	{
		AepShownConnection shown;

		aep_connection_shown(entity, &shown);
		merge_auth(&given, &shown, server, is_true(fcinfo, UPDATE_REPLACE_CREDENTIALS), &change);
	}
	if (etag == NULL)
		etag = aep_flow_etag(entity);
	if (changes_something(&change))
		aep_flow_update_connection(server, id, etag, &change, &changed);
	else
		fill_created(&changed, id, etag);

	fill_id_and_etag(&row, &changed);
	result = aep_row_datum(&row);
	aep_show_statement(&hidden);
	PG_RETURN_DATUM(result);
}

AEP_SQL_FUNCTION(aep_delete_connection);

/* Deletes it. */
Datum
aep_delete_connection(PG_FUNCTION_ARGS)
{
	const AepServer *server = aep_server_get(aep_argument_server(fcinfo, 1), false);
	const char *id = aep_argument_uuid_required(fcinfo, 0, "id");
	const char *role_name = aep_ingest_role_of(id);

	aep_flow_delete_connection(server, id);
	if (role_name != NULL && aep_ingest_role_may_see(role_name))
		ereport(WARNING,
				(errmsg("the roles of connection %s stay", id),
				 errdetail("Ingest role \"%s\" and its logins were made for it.", role_name),
				 errhint("CALL aep.drop_ingest_role(%s) takes them away.",
						 quote_literal_cstr(role_name))));
	PG_RETURN_VOID();
}

/* The arguments of aep.ensure_base_connection() behind those of a connection. */
enum
{
	ENSURE_REPLACE_CREDENTIALS = AEP_CONNECTION_ARGUMENTS,
	ENSURE_ADOPT,
	ENSURE_SERVER
};

/* What is to be brought about. */
typedef struct Ensuring
{
	const AepServer *server;
	AepGivenConnection given;
	AepBaseConnection address; /* host, port and database: given, or this database's */
	bool replace_credentials;
	bool adopt;
} Ensuring;

/* What the service shows of the address, beside the wanted one. */
typedef enum AddressShown
{
	ADDRESS_SAME,
	ADDRESS_OTHER,
	ADDRESS_HIDDEN /* not all of it, and none that differs */
} AddressShown;

static AddressShown
compare_address(const AepShownConnection *shown, const AepBaseConnection *wanted)
{
	if ((shown->host != NULL && pg_strcasecmp(shown->host, wanted->host) != 0) ||
		(shown->port != 0 && shown->port != wanted->port) ||
		(shown->database != NULL && strcmp(shown->database, wanted->database) != 0))
		return ADDRESS_OTHER;
	return shown->host != NULL && shown->port != 0 && shown->database != NULL ? ADDRESS_SAME
																			  : ADDRESS_HIDDEN;
}

/*
 * Whether login and address differ from what is given.  What is hidden counts as
 * equal, but for an SSL mode that is asked for and missing where the rest is
 * shown: then there is none.
 */
static bool
auth_differs(const AepShownConnection *shown, const AepGivenConnection *given)
{
	const AepBaseConnection *wanted = &given->connection;

	if (given->has_type && !(shown->has_type && shown->auth_type == wanted->auth_type))
		return true;
	if (wanted->username != NULL && shown->username != NULL &&
		strcmp(wanted->username, shown->username) != 0)
		return true;
	return wanted->ssl_mode != NULL && shown->host != NULL &&
		   (shown->ssl_mode == NULL || strcmp(wanted->ssl_mode, shown->ssl_mode) != 0);
}

static const char *
shown_or(const char *shown)
{
	return shown != NULL ? aep_document_one_line(shown) : "?";
}

/*
 * Names are not unique, and another installation may have a script like ours:
 * its connection must not be taken for this one.
 */
static void
refuse_to_adopt(const Ensuring *ensuring, const AepShownConnection *shown, AddressShown compared)
{
	const AepBaseConnection *wanted = &ensuring->address;

	ereport(
		ERROR,
		(errcode(ERRCODE_DUPLICATE_OBJECT),
		 errmsg(compared == ADDRESS_OTHER
					? "base connection \"%s\" in Experience Platform is another database's"
					: "base connection \"%s\" in Experience Platform may be another database's",
				ensuring->given.connection.name),
		 compared == ADDRESS_OTHER
			 ? errdetail("%s leads to database \"%s\" at %s, port %s; wanted is database \"%s\" "
						 "at %s, port %d.",
						 shown->id, shown_or(shown->database), shown_or(shown->host),
						 shown->port != 0 ? psprintf("%d", shown->port) : "?", wanted->database,
						 wanted->host, wanted->port)
			 : errdetail("Experience Platform does not show to which address %s leads.", shown->id),
		 errhint("Give another name, or none: the default name holds the address. If this "
				 "connection shall be this database's from now on, give adopt => true.")));
}

/*
 * Where the address is hidden, the default name tells it, and what is managed
 * here was made here.
 */
static bool
is_ours(const Ensuring *ensuring, const AepShownConnection *shown, AddressShown compared)
{
	if (compared != ADDRESS_HIDDEN)
		return compared == ADDRESS_SAME;
	return strcmp(ensuring->given.connection.name,
				  aep_connection_default_name(&ensuring->address)) == 0 ||
		   aep_connection_is_managed(shown->id);
}

/* Finds what to change of the connection that is there. */
static void
find_differences(Ensuring *ensuring, Jsonb *entity, AepConnectionChange *change)
{
	AepBaseConnection *given = &ensuring->given.connection;
	const char *description = aep_document_text(&entity->root, "description");
	const char *state = aep_document_text(&entity->root, "state");
	AepShownConnection shown;
	AddressShown compared;
	bool has_auth;

	aep_connection_shown(entity, &shown);
	compared = compare_address(&shown, &ensuring->address);
	has_auth = ensuring->replace_credentials || compared == ADDRESS_OTHER ||
			   auth_differs(&shown, &ensuring->given);
	if (has_auth)
		aep_connection_refuse_managed(shown.id);
	if (!ensuring->adopt && !is_ours(ensuring, &shown, compared))
		refuse_to_adopt(ensuring, &shown, compared);

	if (given->description != NULL &&
		strcmp(description != NULL ? description : "", given->description) != 0)
		change->description = given->description;
	/* no other state is for us to change: a draft, one that is still being made */
	if (state != NULL && strcmp(state, "disabled") == 0)
		change->state = "enabled";
	if (has_auth)
	{
		if (compared != ADDRESS_SAME)
		{
			given->host = ensuring->address.host;
			given->port = ensuring->address.port;
			given->database = ensuring->address.database;
		}
		merge_auth(&ensuring->given, &shown, ensuring->server, ensuring->replace_credentials,
				   change);
	}
	else
	{
		AepBaseConnection present = ensuring->address;

		present.username = given->username != NULL ? given->username : shown.username;
		aep_endpoint_warn_unreachable(ensuring->server, present.host);
		aep_login_warn(ensuring->server, &present);
	}
}

/* Brings the connection about; returns what was done. */
static const char *
ensure_connection(Ensuring *ensuring, AepCreated *result)
{
	static const AepAuthType default_type = AEP_AUTH_BASIC;
	const AepServer *server = ensuring->server;
	const char *name = ensuring->given.connection.name;
	AepConnectionChange change = {0};
	Jsonb *entity;
	const char *id;

	aep_name_lock(server, name);
	entity = aep_flow_find_by_name(server, name);
	if (entity == NULL)
	{
		AepBaseConnection wanted;
		AepError problem;

		if (!aep_connection_complete(&ensuring->given, server, &default_type, &wanted, &problem))
			aep_error_raise(&problem);
		aep_endpoint_warn_unreachable(server, wanted.host);
		aep_login_warn(server, &wanted);
		aep_flow_create_connection(server, &wanted, result);
		return "created";
	}

	id = aep_document_id(&entity->root);
	find_differences(ensuring, entity, &change);
	if (changes_something(&change))
	{
		aep_flow_update_connection(server, id, aep_flow_etag(entity), &change, result);
		return "updated";
	}
	fill_created(result, id, aep_flow_etag(entity));
	return "unchanged";
}

AEP_SQL_FUNCTION(aep_ensure_base_connection_2_0);

/* Creates what is missing, updates what differs -> (id, etag, action) */
Datum
aep_ensure_base_connection_2_0(PG_FUNCTION_ARGS)
{
	Ensuring ensuring = {0};
	AepHiddenStatement hidden;
	AepCreated present;
	AepError problem;
	const char *action;
	Datum result;
	AepRow row;

	aep_row_begin(&row, fcinfo);
	aep_hide_statement(&hidden);
	ensuring.server = aep_server_get(aep_argument_server(fcinfo, ENSURE_SERVER), false);
	if (!aep_connection_given(fcinfo->args, &ensuring.given, &problem))
		aep_error_raise(&problem);
	aep_suspicions_raise(ensuring.given.suspicions);
	ensuring.replace_credentials = is_true(fcinfo, ENSURE_REPLACE_CREDENTIALS);
	ensuring.adopt = is_true(fcinfo, ENSURE_ADOPT);
	ensuring.address = (AepBaseConnection){
		.host = ensuring.given.connection.host,
		.port = ensuring.given.connection.port,
		.database = ensuring.given.connection.database,
	};
	aep_connection_take_address(ensuring.server, &ensuring.address);
	if (ensuring.given.connection.name == NULL)
		ensuring.given.connection.name = aep_connection_default_name(&ensuring.address);
	action = ensure_connection(&ensuring, &present);

	fill_id_and_etag(&row, &present);
	aep_row_text(&row, action);
	result = aep_row_datum(&row);
	aep_show_statement(&hidden);
	PG_RETURN_DATUM(result);
}
