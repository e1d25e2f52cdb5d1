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
#include "json/connection_string.h"
#include "sql/argument.h"
#include "sql/connection_argument.h"

/* What is longer is no text of a connection, and would not fit into a body six times as long. */
#define MAX_TEXT (64 * 1024 * 1024)

/* One reading of them. */
typedef struct Reader
{
	const NullableDatum *arguments;
	const AepServer *server;
	const AepAuthType *default_type;
	AepBaseConnection *connection;
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

	label = enum_label(DatumGetObjectId(argument->value));
	for (int i = 0; label != NULL && i < lengthof(auth_types); i++)
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

/* An argument, or the user mapping's option of the same name; not empty. */
static bool
read_login(const Reader *reader, AepConnectionArgument number, const char *name,
		   const char *from_mapping, const char **value)
{
	*value = read_text(reader, number);
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
	return (*value)[0] != '\0' || refused(reader, name, "It must not be empty.", NULL);
}

/* Host, port and database: what was given, else this database's own. */
static bool
read_address(const Reader *reader)
{
	AepBaseConnection *connection = reader->connection;
	const NullableDatum *port = &reader->arguments[AEP_ARG_PORT];
	AepEndpoint endpoint;
	const char *refusal;

	aep_endpoint_get(reader->server, &endpoint);
	/*
	 * Who cannot read the mapping's password shall not have Experience Platform
	 * bring it to a host of their own.
	 */
	if (reader->server->mapping_is_public && reader->arguments[AEP_ARG_PASSWORD].isnull &&
		!(reader->arguments[AEP_ARG_HOST].isnull && reader->arguments[AEP_ARG_PORT].isnull))
	{
		refused(reader, port->isnull ? "host" : "port",
				"With the password of the user mapping of PUBLIC, the address is this database's.",
				"Give a password too, or use a user mapping of your own.");
		reader->problem->sqlstate = ERRCODE_INSUFFICIENT_PRIVILEGE;
		return false;
	}

	connection->host = read_text(reader, AEP_ARG_HOST);
	if (connection->host == NULL)
		connection->host = endpoint.host;
	else if ((refusal = aep_endpoint_host_refusal(connection->host)) != NULL)
		return refused(reader, "host", refusal, NULL);

	connection->port = port->isnull ? endpoint.port : DatumGetInt32(port->value);
	if (connection->port < 1 || connection->port > 65535)
		return refused(reader, "port", "It must be a number from 1 to 65535.", NULL);

	connection->database = read_text(reader, AEP_ARG_DATABASE);
	if (connection->database == NULL)
		connection->database = endpoint.database;
	return connection->database[0] != '\0' ||
		   refused(reader, "database", "It must not be empty.", NULL);
}

/* First, so that what is said of the others can be told by the name. */
static bool
read_name(const Reader *reader)
{
	AepBaseConnection *connection = reader->connection;

	connection->description = read_text(reader, AEP_ARG_DESCRIPTION);
	connection->name = read_text(reader, AEP_ARG_NAME);
	return connection->name == NULL || connection->name[0] != '\0' ||
		   refused(reader, "name", "It must not be empty.", NULL);
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
		const char *refusal;

		if (texts[i].value != NULL && strlen(texts[i].value) > MAX_TEXT)
			return refused(reader, texts[i].name, "It is longer than 64 MB.", NULL);
		refusal = aep_utf8_refusal(texts[i].value);
		if (refusal != NULL)
		{
			refused(reader, texts[i].name, refusal, NULL);
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
						 AepError *problem)
{
	const Reader reader = {arguments, server, default_type, connection, problem};

	return read_name(&reader) && read_auth_type(&reader) && read_ssl_mode(&reader) &&
		   read_login(&reader, AEP_ARG_USERNAME, "username", server->username,
					  &connection->username) &&
		   read_login(&reader, AEP_ARG_PASSWORD, "password", server->password,
					  &connection->password) &&
		   read_address(&reader) && check_text(&reader) && complete_name(&reader);
}

void
aep_connection_arguments_require(const NullableDatum *arguments, const AepServer *server,
								 const AepAuthType *default_type, AepBaseConnection *connection)
{
	AepError problem;

	if (!aep_connection_arguments(arguments, server, default_type, connection, &problem))
		aep_error_raise(&problem);
	aep_endpoint_warn_unreachable(connection->host);
}
