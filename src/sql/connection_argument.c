/*
 * sql/connection_argument.c
 *		The arguments that describe a base connection.
 *
 * What is wrong comes back as an error not yet raised, since in a batch it
 * concerns one item of many.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_enum.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

#include "database/encoding.h"
#include "database/endpoint.h"
#include "database/hidden_statement.h"
#include "database/value.h"
#include "json/connection_string.h"
#include "sql/argument.h"
#include "sql/connection_argument.h"

/* What is longer is no text of a connection, and would not fit into a body six times as long. */
#define MAX_TEXT (64 * 1024 * 1024)

/* One reading of them. */
typedef struct Reader
{
	const NullableDatum *arguments;
	AepGivenConnection *given;
	AepBaseConnection *connection; /* of *given */
	AepError *problem;
} Reader;

/* Labels of the enum aep.auth_type. */
static const struct
{
	const char *label;
	AepAuthType type;
} auth_types[] = {
	{"basic", AEP_AUTH_BASIC},
	{"connection_string", AEP_AUTH_CONNECTION_STRING},
};

static const char auth_type_hint[] = "Use 'basic' or 'connection_string'.";

static const char *
read_text(const Reader *reader, AepConnectionArgument number)
{
	const NullableDatum *argument = &reader->arguments[number];

	return argument->isnull ? NULL : TextDatumGetCString(argument->value);
}

static bool
refused(const Reader *reader, const char *name, const char *detail, const char *hint)
{
	aep_argument_refusal(name, detail, hint, reader->problem);
	return false;
}

/* NULL: there is none any more; enum_out() would raise an error. */
static const char *
enum_label(Oid value)
{
	HeapTuple tuple = SearchSysCache1(ENUMOID, ObjectIdGetDatum(value));
	const char *label;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	label = pstrdup(NameStr(((Form_pg_enum) GETSTRUCT(tuple))->enumlabel));
	ReleaseSysCache(tuple);
	return label;
}

static bool
read_auth_type(const Reader *reader)
{
	const NullableDatum *argument = &reader->arguments[AEP_ARG_AUTH_TYPE];
	const char *label;

	if (argument->isnull)
		return true;
	label = enum_label(DatumGetObjectId(argument->value));
	for (int i = 0; label != NULL && i < lengthof(auth_types); i++)
	{
		if (strcmp(label, auth_types[i].label) == 0)
		{
			reader->given->has_type = true;
			reader->connection->auth_type = auth_types[i].type;
			return true;
		}
	}
	return refused(reader, "auth_type", "This version of the extension does not know it.",
				   auth_type_hint);
}

static bool
read_ssl_mode(const Reader *reader)
{
	const char *given = read_text(reader, AEP_ARG_SSL_MODE);

	if (given == NULL)
		return true;
	reader->connection->ssl_mode = aep_ssl_mode(given);
	return reader->connection->ssl_mode != NULL ||
		   refused(reader, "ssl_mode", "It is not an SSL mode of Experience Platform.",
				   psprintf("Use one of %s.", aep_ssl_mode_list()));
}

/* Checks a value; one that is probably wrong is suspect. */
static bool
check_value(const Reader *reader, const char *name, AepValueKind kind, const char *value)
{
	AepSuspicion *suspicion;
	AepObjection why;

	if (aep_value_refused(kind, value, &why))
		return refused(reader, name, why.detail, why.hint);
	if (!aep_value_suspect(kind, value, &why))
		return true;
	suspicion = palloc(sizeof(AepSuspicion));
	suspicion->message = psprintf("the value of argument \"%s\" is probably wrong", name);
	suspicion->why = why;
	reader->given->suspicions = lappend(reader->given->suspicions, suspicion);
	return true;
}

/* NULL is no value. */
static bool
read_value(const Reader *reader, AepConnectionArgument number, const char *name, AepValueKind kind,
		   const char **value)
{
	*value = read_text(reader, number);
	if (*value != NULL && kind == AEP_VALUE_PASSWORD)
		aep_hide_secret(*value, strlen(*value));
	return *value == NULL || check_value(reader, name, kind, *value);
}

static bool
read_port(const Reader *reader)
{
	const NullableDatum *port = &reader->arguments[AEP_ARG_PORT];
	AepObjection why;

	if (port->isnull)
		return true;
	reader->connection->port = DatumGetInt32(port->value);
	return aep_value_in_range(AEP_VALUE_PORT, reader->connection->port, &why) ||
		   refused(reader, "port", why.detail, why.hint);
}

/* The name first, so that what is said of the others can be told by it. */
bool
aep_connection_given(const NullableDatum *arguments, AepGivenConnection *given, AepError *problem)
{
	AepBaseConnection *connection = &given->connection;
	const Reader reader = {arguments, given, connection, problem};

	memset(given, 0, sizeof(*given));
	connection->description = read_text(&reader, AEP_ARG_DESCRIPTION);
	return read_value(&reader, AEP_ARG_NAME, "name", AEP_VALUE_CONNECTION_NAME,
					  &connection->name) &&
		   read_auth_type(&reader) && read_ssl_mode(&reader) &&
		   read_value(&reader, AEP_ARG_USERNAME, "username", AEP_VALUE_ROLE,
					  &connection->username) &&
		   read_value(&reader, AEP_ARG_PASSWORD, "password", AEP_VALUE_PASSWORD,
					  &connection->password) &&
		   read_value(&reader, AEP_ARG_HOST, "host", AEP_VALUE_HOST, &connection->host) &&
		   read_port(&reader) &&
		   read_value(&reader, AEP_ARG_DATABASE, "database", AEP_VALUE_DATABASE,
					  &connection->database);
}

bool
aep_connection_take_password(const AepServer *server, AepBaseConnection *connection)
{
	if (connection->password == NULL && connection->username != NULL && server->username != NULL &&
		strcmp(connection->username, server->username) == 0)
		connection->password = server->password;
	return connection->password != NULL;
}

bool
aep_connection_take_login(const AepServer *server, AepBaseConnection *connection, AepError *problem)
{
	static const char hint[] = "Give the argument, or set the option of that name in the user "
							   "mapping.";

	if (connection->username == NULL)
		connection->username = server->username;
	if (connection->username == NULL)
		aep_argument_absence("username", hint, problem);
	else if (!aep_connection_take_password(server, connection))
	{
		aep_argument_absence("password", hint, problem);
		if (server->password != NULL)
		{
			problem->detail = "The user mapping has a password, but not for this username.";
			problem->hint = server->username != NULL
								? "Give the password too, or leave out the username: then both are "
								  "those of the user mapping."
								: "Give the password too, or set the option username in the user "
								  "mapping.";
		}
	}
	return connection->username != NULL && connection->password != NULL;
}

void
aep_connection_take_address(const AepServer *server, AepBaseConnection *connection)
{
	AepEndpoint endpoint;

	aep_endpoint_get(server, &endpoint);
	if (connection->host == NULL)
		connection->host = endpoint.host;
	if (connection->port == 0)
		connection->port = endpoint.port;
	if (connection->database == NULL)
		connection->database = endpoint.database;
}

const char *
aep_connection_default_name(const AepBaseConnection *connection)
{
	return psprintf("PostgreSQL %s at %s:%d", connection->database, connection->host,
					connection->port);
}

/*
 * Who cannot read the mapping's password shall not have Experience Platform
 * bring it to a host of their own.
 */
static bool
check_mapping(const AepServer *server, const AepBaseConnection *connection, AepError *problem)
{
	AepEndpoint own;

	if (!aep_server_hides_mapping(server) || connection->password != server->password ||
		aep_endpoint_is_own(server, connection->host, connection->port))
		return true;
	aep_endpoint_get(server, &own);
	*problem = (AepError){
		.sqlstate = ERRCODE_INSUFFICIENT_PRIVILEGE,
		.message = "the password of the user mapping of PUBLIC is for this server's address only",
		.detail = psprintf("That is host \"%s\", port %d.", own.host, own.port),
		.hint = "Give username and password too, or use a user mapping of your own.",
	};
	return false;
}

/*
 * What cannot be sent as UTF-8 is refused, and what cannot be quoted in a
 * connection string: never sent changed.
 */
static bool
check_text(const AepBaseConnection *connection, AepError *problem)
{
	const bool is_string = connection->auth_type == AEP_AUTH_CONNECTION_STRING;
	const struct
	{
		const char *name;
		const char *value;
		bool in_string;
	} texts[] = {
		{"host", connection->host, is_string},
		{"database", connection->database, is_string},
		{"username", connection->username, is_string},
		{"password", connection->password, is_string},
		{"name", connection->name, false},
		{"description", connection->description, false},
	};

	for (int i = 0; i < lengthof(texts); i++)
	{
		const char *refusal;

		if (texts[i].value != NULL && strlen(texts[i].value) > MAX_TEXT)
		{
			aep_argument_refusal(texts[i].name, "It is longer than 64 MB.", NULL, problem);
			return false;
		}
		refusal = aep_utf8_refusal(texts[i].value);
		if (refusal != NULL)
		{
			aep_argument_refusal(texts[i].name, refusal, NULL, problem);
			problem->sqlstate = ERRCODE_CHARACTER_NOT_IN_REPERTOIRE;
			return false;
		}
		if (texts[i].in_string)
			refusal = aep_connection_string_refusal(aep_to_utf8(texts[i].value, texts[i].name));
		if (refusal != NULL)
		{
			aep_argument_refusal(texts[i].name,
								 psprintf("In a connection string, the value %s.", refusal),
								 "Use auth_type => 'basic', which carries any text.", problem);
			return false;
		}
	}
	return true;
}

bool
aep_connection_check(const AepServer *server, const AepBaseConnection *connection,
					 AepError *problem)
{
	return check_mapping(server, connection, problem) && check_text(connection, problem);
}

bool
aep_connection_complete(const AepGivenConnection *given, const AepServer *server,
						const AepAuthType *default_type, AepBaseConnection *connection,
						AepError *problem)
{
	*connection = given->connection;
	if (!given->has_type && default_type == NULL)
	{
		aep_argument_absence("auth_type", auth_type_hint, problem);
		return false;
	}
	if (!given->has_type)
		connection->auth_type = *default_type;
	if (connection->ssl_mode == NULL && connection->auth_type == AEP_AUTH_BASIC)
		connection->ssl_mode = "Prefer";
	if (!aep_connection_take_login(server, connection, problem))
		return false;
	aep_connection_take_address(server, connection);
	if (connection->name == NULL)
		connection->name = aep_connection_default_name(connection);
	return aep_connection_check(server, connection, problem);
}

bool
aep_connection_arguments(const NullableDatum *arguments, const AepServer *server,
						 const AepAuthType *default_type, AepBaseConnection *connection,
						 List **suspicions, AepError *problem)
{
	AepGivenConnection given;
	AepSuspicion *unreachable = palloc(sizeof(AepSuspicion));

	*suspicions = NIL;
	if (!aep_connection_given(arguments, &given, problem))
	{
		connection->name = given.connection.name;
		return false;
	}
	if (!aep_connection_complete(&given, server, default_type, connection, problem))
		return false;
	*suspicions = given.suspicions;
	if (aep_endpoint_suspect(server, connection->host, unreachable))
		*suspicions = lappend(*suspicions, unreachable);
	return true;
}

void
aep_connection_arguments_require(const NullableDatum *arguments, const AepServer *server,
								 const AepAuthType *default_type, AepBaseConnection *connection)
{
	List *suspicions;
	AepError problem;

	if (!aep_connection_arguments(arguments, server, default_type, connection, &suspicions,
								  &problem))
		aep_error_raise(&problem);
	aep_suspicions_raise(suspicions);
}
