/*
 * payload.c
 *		Request bodies for Flow Service.
 *
 * A cJSON tree here owns no text: values are references to the caller's
 * strings and names are constants, so freeing the tree leaves no copy of a
 * password behind.  Nor does printing it: cJSON's own print buffers would.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "connection_string.h"
#include "payload.h"

/* Room for what is not the caller's text, and for a few escapes in that. */
#define USUAL_OVERHEAD 1000

/* Takes item over, also when it fails; item may be NULL, for out of memory. */
static bool
add(cJSON *object, const char *name, cJSON *item)
{
	if (item == NULL)
		return false;
	if (cJSON_AddItemToObjectCS(object, name, item))
		return true;
	cJSON_Delete(item);
	return false;
}

static bool
add_text(cJSON *object, const char *name, const char *text)
{
	return add(object, name, cJSON_CreateStringReference(text));
}

/* Adds an empty object and returns it; NULL: out of memory. */
static cJSON *
add_object(cJSON *object, const char *name)
{
	cJSON *member = cJSON_CreateObject();

	return add(object, name, member) ? member : NULL;
}

static bool
add_basic(cJSON *auth, const AepBaseConnection *connection, const char *port)
{
	cJSON *params;

	if (!add_text(auth, "specName", "Basic Authentication"))
		return false;
	params = add_object(auth, "params");
	return params != NULL && add_text(params, "server", connection->host) &&
		   add_text(params, "port", port) && add_text(params, "database", connection->database) &&
		   add_text(params, "username", connection->username) &&
		   add_text(params, "password", connection->password) &&
		   (connection->ssl_mode == NULL || add_text(params, "sslMode", connection->ssl_mode));
}

static bool
add_connection_string(cJSON *auth, const char *connection_string)
{
	cJSON *params;

	if (!add_text(auth, "specName", "Connection String Based Authentication"))
		return false;
	params = add_object(auth, "params");
	return params != NULL && add_text(params, "connectionString", connection_string);
}

/* The strings must outlive the tree. */
static bool
fill_body(cJSON *body, const AepBaseConnection *connection, const char *port,
		  const char *connection_string)
{
	cJSON *auth;
	cJSON *spec;

	if (!add_text(body, "name", connection->name))
		return false;
	if (connection->description != NULL && !add_text(body, "description", connection->description))
		return false;

	auth = add_object(body, "auth");
	if (auth == NULL)
		return false;
	if (connection->auth_type == AEP_AUTH_BASIC ? !add_basic(auth, connection, port)
												: !add_connection_string(auth, connection_string))
		return false;

	spec = add_object(body, "connectionSpec");
	return spec != NULL && add_text(spec, "id", AEP_POSTGRESQL_SPEC_ID) &&
		   add_text(spec, "version", AEP_POSTGRESQL_SPEC_VERSION);
}

/* Length of all text in the tree, as it is before escaping. */
static size_t
text_len(const cJSON *item)
{
	size_t len = 0;

	for (; item != NULL; item = item->next)
		len += text_len(item->child) + (item->valuestring != NULL ? strlen(item->valuestring) : 0);
	return len;
}

/*
 * Appends the tree as JSON.  cJSON does not tell how much room it needs, only
 * whether what it got was enough; at the worst, control characters throughout,
 * text grows by a factor of six, so this ends after a few rounds.
 */
static bool
print_tree(const cJSON *body, AepBuffer *out)
{
	size_t room = text_len(body) + USUAL_OVERHEAD;

	while (room <= INT_MAX && aep_buffer_reserve(out, room))
	{
		char *end = out->data + out->len;

		if (cJSON_PrintPreallocated((cJSON *) body, end, (int) room, false))
		{
			out->len += strlen(end);
			return true;
		}
		*end = '\0';
		room *= 2;
	}
	return false;
}

bool
aep_payload_base_connection(const AepBaseConnection *connection, AepBuffer *out)
{
	char port[16];
	AepBuffer connection_string = {0};
	cJSON *body = cJSON_CreateObject();
	bool done;

	snprintf(port, sizeof(port), "%d", connection->port);
	done = body != NULL &&
		   (connection->auth_type == AEP_AUTH_BASIC ||
			aep_connection_string(connection, &connection_string)) &&
		   fill_body(body, connection, port, connection_string.data) && print_tree(body, out);
	cJSON_Delete(body);
	aep_buffer_free(&connection_string);
	return done;
}
