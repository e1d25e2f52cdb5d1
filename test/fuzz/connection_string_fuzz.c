/*
 * connection_string_fuzz.c
 *		Fuzz target for connection_string.c: the input is lines, an SSL mode,
 *		then host, database, username and password.
 */
#include "json/connection_string.h"

#include "fuzz.h"

/* Does the rest of a connection string begin so?  Then it is taken off. */
static bool
take_text(const char **rest, const char *text)
{
	size_t len = strlen(text);

	if (strncmp(*rest, text, len) != 0)
		return false;
	*rest += len;
	return true;
}

/* Reads it back as the simplest of readers would: up to the next semicolon. */
static void
check_field(const char **rest, const char *keyword, const char *value)
{
	require(take_text(rest, keyword));
	require(strcspn(*rest, ";") == strlen(value));
	require(take_text(rest, value));
}

static void
check_connection_string(const AepBaseConnection *connection)
{
	AepBuffer out = {0};
	const char *rest;

	require(aep_connection_string(connection, &out));
	require(out.len == strlen(out.data));
	rest = out.data;
	check_field(&rest, "Server=", connection->host);
	check_field(&rest, ";Database=", connection->database);
	check_field(&rest, ";Port=", "5432");
	check_field(&rest, ";UID=", connection->username);
	check_field(&rest, ";Password=", connection->password);
	require((rest[0] != '\0') == (connection->ssl_mode != NULL));
	require(rest[0] == '\0' || strncmp(rest, ";EncryptionMethod=", 18) == 0);
	aep_buffer_free(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *parts[5];
	bool accepted = true;

	for (int i = 0; i < 5; i++)
		parts[i] = take_part(&data, &size, '\n');
	for (int i = 1; i < 5; i++)
		accepted = aep_connection_string_refusal(parts[i]) == NULL && accepted;
	if (aep_ssl_mode(parts[0]) != NULL)
		require(aep_ssl_mode(aep_ssl_mode(parts[0])) == aep_ssl_mode(parts[0]));
	if (accepted)
		check_connection_string(&(AepBaseConnection){
			.auth_type = AEP_AUTH_CONNECTION_STRING,
			.ssl_mode = aep_ssl_mode(parts[0]),
			.host = parts[1],
			.port = 5432,
			.database = parts[2],
			.username = parts[3],
			.password = parts[4],
		});
	for (int i = 0; i < 5; i++)
		free(parts[i]);
	return 0;
}
