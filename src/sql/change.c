/*
 * sql/change.c
 *		aep.update_connection(), aep.delete_connection() and
 *		aep.ensure_base_connection().
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/lock.h"

#include "compat.h"
#include "database/encoding.h"
#include "database/endpoint.h"
#include "database/hidden_statement.h"
#include "platform/document.h"
#include "platform/flow_service.h"
#include "platform/pages.h"
#include "sql/argument.h"
#include "sql/connection_argument.h"
#include "sql/row.h"

/*
 * Advisory locks of SQL's functions have class 1 or 2 in this field: ours
 * never meet them.
 */
#define LOCK_CLASS 0xae

/* An enabled connection can be disabled and the other way round; nothing else. */
static const char *
read_state(FunctionCallInfo fcinfo, int number)
{
	const char *state = aep_argument_text(fcinfo, number);

	if (state != NULL && strcmp(state, "enabled") != 0 && strcmp(state, "disabled") != 0)
		aep_argument_refused("state", "It is neither 'enabled' nor 'disabled'.", NULL);
	return state;
}

static const char *
auth_spec_name(Jsonb *entity)
{
	return aep_document_text(aep_document_member(&entity->root, "auth"), "specName");
}

/* The auth type of an entity; false for one that is not PostgreSQL's. */
static bool
entity_auth_type(Jsonb *entity, AepAuthType *type)
{
	const char *name = auth_spec_name(entity);

	if (name == NULL)
		return false;
	for (*type = AEP_AUTH_BASIC; *type <= AEP_AUTH_CONNECTION_STRING; (*type)++)
	{
		if (strcmp(name, aep_payload_auth_name(*type)) == 0)
			return true;
	}
	return false;
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
wants_auth(FunctionCallInfo fcinfo)
{
	for (int i = UPDATE_USERNAME; i <= UPDATE_DATABASE; i++)
	{
		if (!PG_ARGISNULL(i))
			return true;
	}
	return !PG_ARGISNULL(UPDATE_REPLACE_CREDENTIALS) && PG_GETARG_BOOL(UPDATE_REPLACE_CREDENTIALS);
}

/*
 * The authentication's parameters, complete, since the service replaces them
 * whole: what is not given comes from user mapping and endpoint as in a
 * create, the type from the connection as it is.
 */
static void
read_auth(FunctionCallInfo fcinfo, const AepServer *server, Jsonb *entity,
		  AepConnectionChange *change)
{
	NullableDatum arguments[AEP_CONNECTION_ARGUMENTS];
	AepAuthType present = AEP_AUTH_BASIC;
	bool known = entity_auth_type(entity, &present);

	for (int i = 0; i < AEP_CONNECTION_ARGUMENTS; i++)
		arguments[i] = (NullableDatum){.isnull = true};
	arguments[AEP_ARG_USERNAME] = fcinfo->args[UPDATE_USERNAME];
	arguments[AEP_ARG_PASSWORD] = fcinfo->args[UPDATE_PASSWORD];
	arguments[AEP_ARG_AUTH_TYPE] = fcinfo->args[UPDATE_AUTH_TYPE];
	arguments[AEP_ARG_SSL_MODE] = fcinfo->args[UPDATE_SSL_MODE];
	arguments[AEP_ARG_HOST] = fcinfo->args[UPDATE_HOST];
	arguments[AEP_ARG_PORT] = fcinfo->args[UPDATE_PORT];
	arguments[AEP_ARG_DATABASE] = fcinfo->args[UPDATE_DATABASE];
	aep_connection_arguments_require(arguments, server, known ? &present : NULL, &change->auth);
	change->has_auth = true;
	change->changes_type = !known || present != change->auth.auth_type;
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

/* Facts: without its quotes the service answers as if somebody had changed the connection. */
static bool
is_quoted(const char *etag)
{
	size_t len = strlen(etag);

	return len >= 2 && etag[0] == '"' && etag[len - 1] == '"';
}

AEP_SQL_FUNCTION(aep_update_connection);

/* Changes what is given -> (id, etag) */
Datum
aep_update_connection(PG_FUNCTION_ARGS)
{
	const AepServer *server;
	AepHiddenStatement hidden;
	AepConnectionChange change = {0};
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
	change.name = aep_argument_text(fcinfo, UPDATE_NAME);
	change.description = aep_argument_text(fcinfo, UPDATE_DESCRIPTION);
	change.state = read_state(fcinfo, UPDATE_STATE);
	etag = aep_argument_text(fcinfo, UPDATE_ETAG);
	if (change.name != NULL && change.name[0] == '\0')
		aep_argument_refused("name", "It must not be empty.", NULL);
	if (etag != NULL &&
		!(aep_reply_is_etag(aep_to_utf8(etag, "argument \"etag\"")) && is_quoted(etag)))
		aep_argument_refused("etag", "It is not an etag of Flow Service.",
							 "Give it as it was read, with its double quotes.");
	if (change.name == NULL && change.description == NULL && change.state == NULL &&
		!wants_auth(fcinfo))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("nothing to change"),
						errhint("Give a name, a description, a state, or what the login needs.")));

	/* JSON Patch does not remove what is not there */
	removes = change.description != NULL && change.description[0] == '\0';
	if (etag == NULL || removes || wants_auth(fcinfo))
		entity = aep_flow_connection(server, id);
	if (removes && aep_document_text(&entity->root, "description") == NULL &&
		(etag == NULL || strcmp(etag, aep_flow_etag(entity)) == 0))
		change.description = NULL;
	if (wants_auth(fcinfo))
		read_auth(fcinfo, server, entity, &change);
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

	aep_flow_delete_connection(server, aep_argument_uuid_required(fcinfo, 0, "id"));
	PG_RETURN_VOID();
}

/*
 * Keeps other sessions of this database from creating the same connection,
 * until the end of the transaction: its own advisory lock on server and name.
 */
static void
lock_name(const AepServer *server, const char *name)
{
	LOCKTAG tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, server->serverid,
						 hash_bytes((const unsigned char *) name, (int) strlen(name)), LOCK_CLASS);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
}

/* Compares the connection that is there with the wanted one. */
static void
find_differences(Jsonb *entity, const AepBaseConnection *wanted, bool replace_credentials,
				 AepConnectionChange *change)
{
	JsonbContainer *params =
		aep_document_member(aep_document_member(&entity->root, "auth"), "params");
	const char *description = aep_document_text(&entity->root, "description");
	const char *state = aep_document_text(&entity->root, "state");
	AepAuthType present;

	if (wanted->description != NULL &&
		strcmp(description != NULL ? description : "", wanted->description) != 0)
		change->description = wanted->description;
	/* no other state is for us to change: a draft, one that is still being made */
	if (state != NULL && strcmp(state, "disabled") == 0)
		change->state = "enabled";

	change->auth = *wanted;
	change->changes_type = !entity_auth_type(entity, &present) || present != wanted->auth_type;
	change->has_auth = replace_credentials || change->changes_type;
	if (wanted->auth_type == AEP_AUTH_BASIC &&
		(aep_document_shows_other(params, "server", wanted->host) ||
		 aep_document_shows_other(params, "port", psprintf("%d", wanted->port)) ||
		 aep_document_shows_other(params, "database", wanted->database) ||
		 aep_document_shows_other(params, "username", wanted->username) ||
		 aep_document_shows_other(params, "sslMode", wanted->ssl_mode)))
		change->has_auth = true;
}

/* The arguments of aep.ensure_base_connection() behind those of a connection. */
enum
{
	ENSURE_REPLACE_CREDENTIALS = AEP_CONNECTION_ARGUMENTS,
	ENSURE_SERVER
};

/* Brings the connection about; returns what was done. */
static const char *
ensure_connection(const AepServer *server, const AepBaseConnection *wanted,
				  bool replace_credentials, AepCreated *result)
{
	AepConnectionChange change = {0};
	Jsonb *entity;
	const char *id;

	lock_name(server, wanted->name);
	entity = aep_flow_find_by_name(server, wanted->name);
	if (entity == NULL)
	{
		aep_flow_create_connection(server, wanted, result);
		return "created";
	}

	id = aep_document_id(&entity->root);
	find_differences(entity, wanted, replace_credentials, &change);
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
	const AepServer *server;
	AepHiddenStatement hidden;
	AepBaseConnection wanted;
	AepCreated present;
	const char *action;
	Datum result;
	AepRow row;

	aep_row_begin(&row, fcinfo);
	aep_hide_statement(&hidden);
	server = aep_server_get(aep_argument_server(fcinfo, ENSURE_SERVER), false);
	aep_connection_arguments_require(fcinfo->args, server, NULL, &wanted);
	action = ensure_connection(server, &wanted,
							   !PG_ARGISNULL(ENSURE_REPLACE_CREDENTIALS) &&
								   PG_GETARG_BOOL(ENSURE_REPLACE_CREDENTIALS),
							   &present);

	fill_id_and_etag(&row, &present);
	aep_row_text(&row, action);
	result = aep_row_datum(&row);
	aep_show_statement(&hidden);
	PG_RETURN_DATUM(result);
}
