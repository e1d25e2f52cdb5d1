/*
 * json/payload.c
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

#include "json/connection_string.h"
#include "json/payload.h"

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

const char *
aep_payload_auth_name(AepAuthType type)
{
	return type == AEP_AUTH_BASIC ? "Basic Authentication"
								  : "Connection String Based Authentication";
}

/* Texts that a body refers to, and that are made for it. */
typedef struct MadeText
{
	char port[16];
	AepBuffer connection_string;
} MadeText;

static bool
make_text(const AepBaseConnection *connection, MadeText *made)
{
	snprintf(made->port, sizeof(made->port), "%d", connection->port);
	made->connection_string = (AepBuffer){0};
	return connection->auth_type == AEP_AUTH_BASIC ||
		   aep_connection_string(connection, &made->connection_string);
}

/* The authentication's parameters as the member "name". */
static bool
add_params(cJSON *object, const char *name, const AepBaseConnection *connection,
		   const MadeText *made)
{
	cJSON *params = add_object(object, name);

	if (params == NULL)
		return false;
	if (connection->auth_type == AEP_AUTH_CONNECTION_STRING)
		return add_text(params, "connectionString", made->connection_string.data);
	return add_text(params, "server", connection->host) && add_text(params, "port", made->port) &&
		   add_text(params, "database", connection->database) &&
		   add_text(params, "username", connection->username) &&
		   add_text(params, "password", connection->password) &&
		   (connection->ssl_mode == NULL || add_text(params, "sslMode", connection->ssl_mode));
}

/* The whole authentication as the member "name". */
static bool
add_auth(cJSON *object, const char *name, const AepBaseConnection *connection, const MadeText *made)
{
	cJSON *auth = add_object(object, name);

	return auth != NULL &&
		   add_text(auth, "specName", aep_payload_auth_name(connection->auth_type)) &&
		   add_params(auth, "params", connection, made);
}

/* The strings must outlive the tree. */
static bool
fill_body(cJSON *body, const AepBaseConnection *connection, const MadeText *made)
{
	cJSON *spec;

	if (!add_text(body, "name", connection->name))
		return false;
	if (connection->description != NULL && !add_text(body, "description", connection->description))
		return false;
	if (!add_auth(body, "auth", connection, made))
		return false;
	spec = add_object(body, "connectionSpec");
	return spec != NULL && add_text(spec, "id", AEP_POSTGRESQL_SPEC_ID) &&
		   add_text(spec, "version", AEP_POSTGRESQL_SPEC_VERSION);
}

/* One more operation of a JSON Patch, without its value; NULL: out of memory. */
static cJSON *
add_operation(cJSON *patch, const char *op, const char *path)
{
	cJSON *operation = cJSON_CreateObject();

	if (operation == NULL || !cJSON_AddItemToArray(patch, operation))
	{
		cJSON_Delete(operation);
		return NULL;
	}
	return add_text(operation, "op", op) && add_text(operation, "path", path) ? operation : NULL;
}

/* Nothing for NULL. */
static bool
add_text_operation(cJSON *patch, const char *op, const char *path, const char *value)
{
	cJSON *operation;

	if (value == NULL)
		return true;
	operation = add_operation(patch, op, path);
	return operation != NULL && add_text(operation, "value", value);
}

static bool
fill_patch(cJSON *patch, const AepConnectionChange *change, const MadeText *made)
{
	cJSON *operation;
	bool removes = change->description != NULL && change->description[0] == '\0';

	/* facts: Adobe's file wants a value with every operation, RFC 6902 ignores that of "remove" */
	if (!add_text_operation(patch, removes ? "remove" : "add", "/description",
							change->description) ||
		!add_text_operation(patch, "replace", "/name", change->name) ||
		!add_text_operation(patch, "replace", "/state", change->state))
		return false;
	if (!change->has_auth)
		return true;

	if (change->changes_type)
	{
		operation = add_operation(patch, "replace", "/auth");
		return operation != NULL && add_auth(operation, "value", &change->auth, made);
	}
	operation = add_operation(patch, "replace", "/auth/params");
	return operation != NULL && add_params(operation, "value", &change->auth, made);
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
	MadeText made;
	bool done = make_text(connection, &made);
	cJSON *body = done ? cJSON_CreateObject() : NULL;

	done = body != NULL && fill_body(body, connection, &made) && print_tree(body, out);
	cJSON_Delete(body);
	aep_buffer_free(&made.connection_string);
	return done;
}

bool
aep_payload_connection_change(const AepConnectionChange *change, AepBuffer *out)
{
	MadeText made = {0};
	bool done = !change->has_auth || make_text(&change->auth, &made);
	cJSON *patch = done ? cJSON_CreateArray() : NULL;

	done = patch != NULL && fill_patch(patch, change, &made) && print_tree(patch, out);
	cJSON_Delete(patch);
	aep_buffer_free(&made.connection_string);
	return done;
}
