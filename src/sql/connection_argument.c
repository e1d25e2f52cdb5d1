/*
 * sql/connection_argument.c
 *		The arguments that describe a base connection.
 *
 * What is wrong comes back as an error not yet raised, since in a batch it
 * concerns one item of many.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "database/encoding.h"
#include "database/endpoint.h"
#include "database/hidden_statement.h"
#include "database/value.h"
#include "json/connection_string.h"
#include "sql/argument.h"
#include "sql/connection_argument.h"

/* One reading of them. */
typedef struct Reader
{
	const NullableDatum *arguments;
	const AepServer *server;
	const AepAuthType *default_type;
	AepBaseConnection *connection;
	List **suspicions;
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

/* Checks a value; one that was given here, not in an option, may be suspect as well. */
static bool
check_value(const Reader *reader, AepConnectionArgument number, const char *name, AepValueKind kind,
			const char *value)
{
	AepSuspicion *suspicion;
	AepObjection why;

	if (aep_value_refused(kind, value, &why))
		return refused(reader, name, why.detail, why.hint);
	if (reader->arguments[number].isnull || !aep_value_suspect(kind, value, &why))
		return true;
	suspicion = palloc(sizeof(AepSuspicion));
	suspicion->message = psprintf("the value of argument \"%s\" is probably wrong", name);
	suspicion->why = why;
	*reader->suspicions = lappend(*reader->suspicions, suspicion);
	return true;
}

static bool
read_auth_type(const Reader *reader)
{
	static const char hint[] = "Use 'basic' or 'connection_string'.";
	const NullableDatum *argument = &reader->arguments[AEP_ARG_AUTH_TYPE];
	const char *label;

	if (argument->isnull)
	{
		if (reader->default_type != NULL)
			reader->connection->auth_type = *reader->default_type;
		else
			aep_argument_absence("auth_type", hint, reader->problem);
		return reader->default_type != NULL;
	}

	label = DatumGetCString(DirectFunctionCall1(enum_out, argument->value));
	for (int i = 0; i < lengthof(auth_types); i++)
	{
		if (strcmp(label, auth_types[i].label) == 0)
		{
			reader->connection->auth_type = auth_types[i].type;
			return true;
		}
	}
	return refused(reader, "auth_type", "This version of the extension does not know it.", hint);
}

static bool
read_ssl_mode(const Reader *reader)
{
	const char *given = read_text(reader, AEP_ARG_SSL_MODE);
	AepBaseConnection *connection = reader->connection;

	if (given == NULL)
	{
		connection->ssl_mode = connection->auth_type == AEP_AUTH_BASIC ? "Prefer" : NULL;
		return true;
	}
	connection->ssl_mode = aep_ssl_mode(given);
	return connection->ssl_mode != NULL ||
		   refused(reader, "ssl_mode", "It is not an SSL mode of Experience Platform.",
				   psprintf("Use one of %s.", aep_ssl_mode_list()));
}

/* An argument, or the user mapping's option of the same name. */
static bool
read_login(const Reader *reader, AepConnectionArgument number, const char *name, AepValueKind kind,
		   const char *from_mapping, const char **value)
{
	*value = read_text(reader, number);
	if (*value != NULL && kind == AEP_VALUE_PASSWORD)
		aep_hide_secret(*value, strlen(*value));
	if (*value == NULL)
		*value = from_mapping;
	if (*value == NULL)
	{
		aep_argument_absence(name,
							 "Give the argument, or set the option of that name in the "
							 "user mapping.",
							 reader->problem);
		return false;
	}
	return check_value(reader, number, name, kind, *value);
}

/* The argument, or what others will be told of this database. */
static bool
read_host(const Reader *reader, const AepEndpoint *endpoint)
{
	AepBaseConnection *connection = reader->connection;
	AepSuspicion *suspicion = palloc(sizeof(AepSuspicion));

	connection->host = read_text(reader, AEP_ARG_HOST);
	if (connection->host == NULL)
		connection->host = endpoint->host;
	if (!check_value(reader, AEP_ARG_HOST, "host", AEP_VALUE_HOST, connection->host))
		return false;
	if (aep_endpoint_suspect(reader->server, connection->host, suspicion))
		*reader->suspicions = lappend(*reader->suspicions, suspicion);
	return true;
}

/* Host, port and database: what was given, else this database's own. */
static bool
read_address(const Reader *reader)
{
	AepBaseConnection *connection = reader->connection;
	const NullableDatum *port = &reader->arguments[AEP_ARG_PORT];
	AepEndpoint endpoint;
	AepObjection why;

	aep_endpoint_get(reader->server, &endpoint);
	/*
	 * Who cannot read the mapping's password shall not have Experience Platform
	 * bring it to a host of their own.
	 */
	if (aep_server_hides_mapping(reader->server) && reader->arguments[AEP_ARG_PASSWORD].isnull &&
		!(reader->arguments[AEP_ARG_HOST].isnull && reader->arguments[AEP_ARG_PORT].isnull))
	{
		refused(reader, port->isnull ? "host" : "port",
				"With the password of the user mapping of PUBLIC, the address is this database's.",
				"Give a password too, or use a user mapping of your own.");
		reader->problem->sqlstate = ERRCODE_INSUFFICIENT_PRIVILEGE;
		return false;
	}

	connection->port = port->isnull ? endpoint.port : DatumGetInt32(port->value);
	if (!aep_value_in_range(AEP_VALUE_PORT, connection->port, &why))
		return refused(reader, "port", why.detail, why.hint);

	connection->database = read_text(reader, AEP_ARG_DATABASE);
	if (connection->database == NULL)
		connection->database = endpoint.database;
	return read_host(reader, &endpoint) && check_value(reader, AEP_ARG_DATABASE, "database",
													   AEP_VALUE_DATABASE, connection->database);
}

/* First, so that what is said of the others can be told by the name. */
static bool
read_name(const Reader *reader)
{
	AepBaseConnection *connection = reader->connection;

	connection->description = read_text(reader, AEP_ARG_DESCRIPTION);
	connection->name = read_text(reader, AEP_ARG_NAME);
	return connection->name == NULL ||
		   check_value(reader, AEP_ARG_NAME, "name", AEP_VALUE_CONNECTION_NAME, connection->name);
}

static bool
complete_name(const Reader *reader)
{
	AepBaseConnection *connection = reader->connection;

	if (connection->name == NULL)
		connection->name = psprintf("PostgreSQL %s at %s:%d", connection->database,
									connection->host, connection->port);
	return true;
}

/*
 * What cannot be sent as UTF-8 is refused, and what cannot be quoted in a
 * connection string: never sent changed.
 */
static bool
check_text(const Reader *reader)
{
	const AepBaseConnection *connection = reader->connection;
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
		const char *refusal = NULL;

		if (!aep_can_be_utf8(texts[i].value))
		{
			refused(reader, texts[i].name,
					"It is not valid UTF-8. The database's encoding is SQL_ASCII, so its text is "
					"sent to Experience Platform as it is.",
					NULL);
			reader->problem->sqlstate = ERRCODE_CHARACTER_NOT_IN_REPERTOIRE;
			return false;
		}
		if (texts[i].in_string)
			refusal = aep_connection_string_refusal(aep_to_utf8(texts[i].value, texts[i].name));
		if (refusal != NULL)
			return refused(reader, texts[i].name,
						   psprintf("In a connection string, the value %s.", refusal),
						   "Use auth_type => 'basic', which carries any text.");
	}
	return true;
}

bool
aep_connection_arguments(const NullableDatum *arguments, const AepServer *server,
						 const AepAuthType *default_type, AepBaseConnection *connection,
						 List **suspicions, AepError *problem)
{
	const Reader reader = {arguments, server, default_type, connection, suspicions, problem};

	*suspicions = NIL;
	return read_name(&reader) && read_auth_type(&reader) && read_ssl_mode(&reader) &&
		   read_login(&reader, AEP_ARG_USERNAME, "username", AEP_VALUE_ROLE, server->username,
					  &connection->username) &&
		   read_login(&reader, AEP_ARG_PASSWORD, "password", AEP_VALUE_PASSWORD, server->password,
					  &connection->password) &&
		   read_address(&reader) && complete_name(&reader) && check_text(&reader);
}

void
aep_connection_arguments_require(const NullableDatum *arguments, const AepServer *server,
								 const AepAuthType *default_type, AepBaseConnection *connection)
{
	List *suspicions;
	ListCell *cell;
	AepError problem;

	if (!aep_connection_arguments(arguments, server, default_type, connection, &suspicions,
								  &problem))
		aep_error_raise(&problem);
	foreach (cell, suspicions)
		aep_suspicion_raise(lfirst(cell));
}
