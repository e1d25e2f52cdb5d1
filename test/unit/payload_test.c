/*
 * payload_test.c
 *		Tests of payload.c.
 */
#include <stdlib.h>
#include <time.h>

#include <cjson/cJSON.h>

#include "json/mask.h"
#include "json/payload.h"

#include "memory.h"
#include "tap.h"

#define SPEC \
	"\"connectionSpec\":{\"id\":\"74a1c565-4e59-48d7-9d67-7c03b8a13137\",\"version\":\"1.0\"}"

static const AepBaseConnection basic = {
	.name = "PostgreSQL base connection",
	.description = "via basic authentication",
	.auth_type = AEP_AUTH_BASIC,
	.ssl_mode = "Allow",
	.host = "localhost",
	.port = 3306,
	.database = "postgresql-acme",
	.username = "acme",
	.password = "correct horse",
};

static void
is_body(const AepBaseConnection *connection, const char *expected, const char *name)
{
	AepBuffer out = {0};

	ok(aep_payload_base_connection(connection, &out) && out.len == strlen(out.data),
	   "%s: there is memory enough", name);
	is(out.data, expected, name);
	aep_buffer_free(&out);
}

static void
test_shapes(void)
{
	AepBaseConnection connection = basic;

	is_body(&connection,
			"{\"name\":\"PostgreSQL base connection\",\"description\":\"via basic authentication\","
			"\"auth\":{\"specName\":\"Basic Authentication\",\"params\":{\"server\":\"localhost\","
			"\"port\":\"3306\",\"database\":\"postgresql-acme\",\"username\":\"acme\","
			"\"password\":\"correct horse\",\"sslMode\":\"Allow\"}}," SPEC "}",
			"basic authentication");

	connection.description = NULL;
	connection.ssl_mode = NULL;
	connection.port = 65535;
	connection.password = AEP_MASK;
	is_body(&connection,
			"{\"name\":\"PostgreSQL base connection\","
			"\"auth\":{\"specName\":\"Basic Authentication\",\"params\":{\"server\":\"localhost\","
			"\"port\":\"65535\",\"database\":\"postgresql-acme\",\"username\":\"acme\","
			"\"password\":\"********\"}}," SPEC "}",
			"what is not given is left out");

	connection.description = "";
	connection.auth_type = AEP_AUTH_CONNECTION_STRING;
	connection.ssl_mode = "Verify Full";
	connection.port = 1;
	is_body(&connection,
			"{\"name\":\"PostgreSQL base connection\",\"description\":\"\",\"auth\":"
			"{\"specName\":\"Connection String Based Authentication\",\"params\":"
			"{\"connectionString\":\"Server=localhost;Database=postgresql-acme;Port=1;UID=acme;"
			"Password=********;EncryptionMethod=1;ValidateServerCertificate=1\"}}," SPEC "}",
			"connection string");
}

#define BASIC_PARAMS                                                                \
	"{\"server\":\"localhost\",\"port\":\"3306\",\"database\":\"postgresql-acme\"," \
	"\"username\":\"acme\",\"password\":\"correct horse\",\"sslMode\":\"Allow\"}"

static void
is_patch(const AepConnectionChange *change, const char *expected, const char *name)
{
	AepBuffer out = {0};

	ok(aep_payload_connection_change(change, &out), "%s: there is memory enough", name);
	is(out.data, expected, name);
	aep_buffer_free(&out);
}

static void
test_change(void)
{
	AepConnectionChange change = {0};

	is_patch(&change, "[]", "no change");
	change.name = "n\"";
	change.state = "disabled";
	is_patch(&change,
			 "[{\"op\":\"replace\",\"path\":\"/name\",\"value\":\"n\\\"\"},"
			 "{\"op\":\"replace\",\"path\":\"/state\",\"value\":\"disabled\"}]",
			 "name and state");

	change = (AepConnectionChange){.description = "d"};
	is_patch(&change, "[{\"op\":\"add\",\"path\":\"/description\",\"value\":\"d\"}]",
			 "description");
	change.description = "";
	is_patch(&change, "[{\"op\":\"remove\",\"path\":\"/description\",\"value\":\"\"}]",
			 "no description");

	change = (AepConnectionChange){.has_auth = true, .auth = basic};
	is_patch(&change, "[{\"op\":\"replace\",\"path\":\"/auth/params\",\"value\":" BASIC_PARAMS "}]",
			 "the parameters");
	change.changes_type = true;
	is_patch(&change,
			 "[{\"op\":\"replace\",\"path\":\"/auth\",\"value\":"
			 "{\"specName\":\"Basic Authentication\",\"params\":" BASIC_PARAMS "}}]",
			 "the type as well");
	change.auth.auth_type = AEP_AUTH_CONNECTION_STRING;
	change.auth.ssl_mode = NULL;
	is_patch(&change,
			 "[{\"op\":\"replace\",\"path\":\"/auth\",\"value\":"
			 "{\"specName\":\"Connection String Based Authentication\",\"params\":"
			 "{\"connectionString\":\"Server=localhost;Database=postgresql-acme;Port=3306;UID=acme;"
			 "Password=correct horse\"}}}]",
			 "a connection string");
}

/* Every text arrives as it was, whatever it holds. */
static void
test_values(void)
{
	static const char *const values[] = {
		"",
		"\"",
		"\\",
		"\\\"\\\\",
		"a\"b'c\\d\\\\e\\\"f/g",
		"\b\f\n\r\t",
		"\x01\x02\x1e\x1f\x7f",
		"{\"json\": [1, null]} }{",
		"%41+&=?#/;:@",
		"\\u0041\\u0000",
		"gr\xc3\xbcn \xe4\xbd\xa0 \xf0\x9f\x90\x98 \xef\xbf\xbf \xf4\x8f\xbf\xbf",
	};

	for (size_t i = 0; i < lengthof(values); i++)
	{
		AepBaseConnection connection = basic;
		AepBuffer out = {0};
		cJSON *body;
		const cJSON *params;

		connection.name = connection.description = connection.host = values[i];
		connection.database = connection.username = connection.password = values[i];
		aep_payload_base_connection(&connection, &out);
		body = cJSON_Parse(out.data);
		params = cJSON_GetObjectItem(cJSON_GetObjectItem(body, "auth"), "params");
		is(cJSON_GetStringValue(cJSON_GetObjectItem(body, "name")), values[i], "name");
		is(cJSON_GetStringValue(cJSON_GetObjectItem(body, "description")), values[i],
		   "description");
		is(cJSON_GetStringValue(cJSON_GetObjectItem(params, "server")), values[i], "server");
		is(cJSON_GetStringValue(cJSON_GetObjectItem(params, "database")), values[i], "database");
		is(cJSON_GetStringValue(cJSON_GetObjectItem(params, "username")), values[i], "username");
		is(cJSON_GetStringValue(cJSON_GetObjectItem(params, "password")), values[i], "password");
		cJSON_Delete(body);
		aep_buffer_free(&out);
	}
}

/* A password of 1 MB, every byte of which has to be escaped. */
static void
test_large(void)
{
	const size_t len = 1024 * 1024;
	char *password = malloc(len + 1);
	AepBaseConnection connection = basic;

	connection.password = password;
	for (const char *c = "x\"\x01"; *c != '\0'; c++)
	{
		AepBuffer out = {0};
		cJSON *body;
		clock_t start = clock();
		double seconds;

		memset(password, *c, len);
		password[len] = '\0';
		ok(aep_payload_base_connection(&connection, &out), "1 MB of character %d", *c);
		seconds = (double) (clock() - start) / CLOCKS_PER_SEC;
		ok(seconds < 2, "in no time: %.2f s", seconds);
		body = cJSON_Parse(out.data);
		ok(strcmp(
			   cJSON_GetStringValue(cJSON_GetObjectItem(
				   cJSON_GetObjectItem(cJSON_GetObjectItem(body, "auth"), "params"), "password")),
			   password) == 0,
		   "and as it was");
		cJSON_Delete(body);
		aep_buffer_free(&out);
	}
	free(password);
}

static void
test_appending(void)
{
	AepBuffer out = {0};

	aep_buffer_append(&out, "before ", 7);
	ok(aep_payload_base_connection(&basic, &out), "appends");
	ok(strncmp(out.data, "before {\"name\"", 14) == 0, "behind what was there");
	aep_buffer_free(&out);
}

/* A body, or a change if it has no name. */
static bool
build(const AepBaseConnection *connection, AepBuffer *out)
{
	AepConnectionChange change = {.name = "n", .has_auth = true, .auth = *connection};

	if (connection->name != NULL)
		return aep_payload_base_connection(connection, out);
	return aep_payload_connection_change(&change, out);
}

/* No freed memory holds the password, however the building ends. */
static void
test_memory(const AepBaseConnection *connection, const char *name)
{
	bool done = false;
	bool consistent = true;
	long unwiped = 0;
	long allocations = 0;
	long before = memory_in_use();

	while (!done && allocations < 1000)
	{
		AepBuffer out = {0};

		memory_reset(++allocations, "correct horse");
		done = build(connection, &out);
		consistent = consistent && done == !memory_has_failed();
		aep_buffer_free(&out);
		unwiped += memory_unwiped();
		consistent = consistent && memory_in_use() == before;
	}
	memory_reset(0, NULL);
	ok(done && allocations > 10, "%s: %ld allocations fail one by one", name, allocations - 1);
	ok(consistent, "%s: each is reported, and nothing leaks", name);
	ok(unwiped == 0, "%s: no password stays in freed memory", name);
}

static void
test_all_memory(void)
{
	char large[9000] = "correct horse";
	AepBaseConnection connection = basic;

	memset(large + strlen(large), '\n', sizeof(large) - strlen(large) - 1);
	test_memory(&connection, "basic");
	connection.auth_type = AEP_AUTH_CONNECTION_STRING;
	test_memory(&connection, "connection string");
	connection.password = large;
	test_memory(&connection, "connection string, printed more than once");
	connection.auth_type = AEP_AUTH_BASIC;
	test_memory(&connection, "basic, printed more than once");
	connection.name = NULL;
	test_memory(&connection, "change");
}

int
main(void)
{
	memory_hook_cjson();
	test_shapes();
	test_change();
	test_values();
	test_large();
	test_appending();
	test_all_memory();
	return tap_end();
}
