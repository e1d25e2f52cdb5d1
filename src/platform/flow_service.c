/*
 * platform/flow_service.c
 *		The client of Adobe Experience Platform's Flow Service: paths, bodies
 *		out, answers in.  Text becomes UTF-8 here, and text of the database
 *		again.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/memutils.h"

#include "database/encoding.h"
#include "platform/document.h"
#include "platform/flow_service.h"

/* Below the gateway's /data/foundation. */
#define FLOWS "/flowservice/flows"

/* The names of flows that an error shows. */
#define MAX_FLOWS_NAMED 10

static char *
connection_path(const char *id, const char *action)
{
	return psprintf(AEP_CONNECTIONS_PATH "/%s%s", id, action);
}

/* All but the password. */
static void
connection_to_utf8(const AepBaseConnection *connection, AepBaseConnection *utf8)
{
	*utf8 = *connection;
	utf8->name = aep_to_utf8(connection->name, "argument \"name\"");
	utf8->description = aep_to_utf8(connection->description, "argument \"description\"");
	utf8->host = aep_to_utf8(connection->host, "argument \"host\"");
	utf8->database = aep_to_utf8(connection->database, "argument \"database\"");
	utf8->username = aep_to_utf8(connection->username, "argument \"username\"");
}

void
aep_flow_check_access(const AepServer *server)
{
	aep_call_require_token(server);
}

AepCall *
aep_flow_create_begin(const AepServer *server, const AepBaseConnection *connection, bool in_batch,
					  AepError *error)
{
	AepCall *call = aep_call_begin(server, "POST", AEP_CONNECTIONS_PATH, "create base connection");
	MemoryContext caller = MemoryContextSwitchTo(call->memory);
	AepBaseConnection utf8;

	connection_to_utf8(connection, &utf8);
	utf8.password = aep_call_secret(call, connection->password, "argument \"password\"");
	MemoryContextSwitchTo(caller);
	if (!aep_payload_base_connection(&utf8, &call->body))
	{
		aep_call_end(call);
		*error = (AepError){
			.sqlstate = ERRCODE_OUT_OF_MEMORY,
			.message = "out of memory",
			.detail = "Could not build the request body.",
		};
		return NULL;
	}
	call->in_batch = in_batch;
	call->pending = aep_pending_register("base connection", AEP_CONNECTIONS_PATH, connection->name,
										 server->name);
	return call;
}

/*
 * Makes the etag of an answer text of the database.  One that its encoding cannot
 * hold is none, since it could not be sent back.
 */
static void
convert_etag(AepCreated *created)
{
	const char *etag = aep_from_utf8(created->etag);

	if (etag == created->etag)
		return;
	created->has_etag = strlen(etag) < sizeof(created->etag) &&
						strcmp(aep_to_utf8(etag, "the etag"), created->etag) == 0;
	strlcpy(created->etag, created->has_etag ? etag : "", sizeof(created->etag));
}

bool
aep_flow_create_finish(AepCall *call, AepCreated *created, AepError *error)
{
	const AepHttpExchange *answer;
	AepAnswerStatus status;
	char location_id[sizeof(created->id)];
	bool in_location;

	if (!aep_call_succeeded(call, error))
		return false;

	/* something was created: its id is noted, or the answer is shown */
	answer = call->exchange;
	status = aep_reply_created(answer->body.data, answer->body.len, created);
	in_location = created->id[0] == '\0' && aep_call_location_id(call, location_id);
	if (in_location && (status == AEP_ANSWER_EMPTY || status == AEP_ANSWER_NO_ID))
	{
		strlcpy(created->id, location_id, sizeof(created->id));
		status = AEP_ANSWER_OK;
	}
	if (created->id[0] != '\0')
		aep_pending_created(call->pending, created->id);
	else if (in_location)
		aep_pending_created(call->pending, location_id);
	else
		aep_pending_unknown(call->pending);
	convert_etag(created);
	if (status == AEP_ANSWER_OK)
		return true;
	aep_error_not_understood(&call->context, call->exchange, aep_answer_status_text(status), error);
	return false;
}

void
aep_flow_create_connection(const AepServer *server, const AepBaseConnection *connection,
						   AepCreated *created)
{
	AepError error;
	AepCall *call = aep_flow_create_begin(server, connection, false, &error);

	if (call == NULL)
		aep_error_raise(&error);
	aep_call_wait(call);
	if (!aep_flow_create_finish(call, created, &error))
		aep_error_raise(&error);
	aep_call_end(call);
}

char *
aep_flow_connection_preview(const AepBaseConnection *connection)
{
	AepBaseConnection utf8;
	AepBuffer body = {0};
	char *copy;

	/* nothing secret in it, so a copy freed late does no harm */
	connection_to_utf8(connection, &utf8);
	utf8.password = AEP_MASK;
	if (!aep_payload_base_connection(&utf8, &body))
		aep_call_out_of_memory();
	copy = MemoryContextAllocExtended(CurrentMemoryContext, body.len + 1,
									  MCXT_ALLOC_NO_OOM | MCXT_ALLOC_HUGE);
	if (copy != NULL)
		memcpy(copy, body.data, body.len + 1);
	aep_buffer_free(&body);
	if (copy == NULL)
		aep_call_out_of_memory();
	return unconstify(char *, aep_from_utf8(copy));
}

/* Makes and sends the PATCH, and waits for its end. */
static AepCall *
send_update(const AepServer *server, const char *id, const char *etag,
			const AepConnectionChange *change)
{
	AepCall *call = aep_call_begin(server, "PATCH", connection_path(id, ""), "update connection");
	MemoryContext caller = MemoryContextSwitchTo(call->memory);
	AepConnectionChange utf8 = *change;

	utf8.name = aep_to_utf8(change->name, "argument \"name\"");
	utf8.description = aep_to_utf8(change->description, "argument \"description\"");
	utf8.state = aep_to_utf8(change->state, "argument \"state\"");
	if (change->has_auth)
	{
		connection_to_utf8(&change->auth, &utf8.auth);
		utf8.auth.password = aep_call_secret(call, change->auth.password, "argument \"password\"");
	}
	if (!aep_payload_connection_change(&utf8, &call->body))
		aep_call_out_of_memory();
	call->etag = aep_to_utf8(etag, "argument \"etag\"");
	MemoryContextSwitchTo(caller);
	aep_call_wait(call);
	return call;
}

bool
aep_flow_try_update(const AepServer *server, const char *id, const char *etag,
					const AepConnectionChange *change, AepCreated *changed, AepError *error)
{
	AepCall *call = send_update(server, id, etag, change);
	const AepHttpExchange *answer;
	AepAnswerStatus status;

	if (!aep_call_succeeded(call, error))
	{
		aep_call_end(call);
		return false;
	}
	answer = call->exchange;
	status = aep_reply_created(answer->body.data, answer->body.len, changed);
	if (status != AEP_ANSWER_OK)
		aep_error_not_understood(&call->context, call->exchange, aep_answer_status_text(status),
								 error);
	convert_etag(changed);
	aep_call_end(call);
	return status == AEP_ANSWER_OK;
}

void
aep_flow_update_connection(const AepServer *server, const char *id, const char *etag,
						   const AepConnectionChange *change, AepCreated *changed)
{
	AepError error;

	if (!aep_flow_try_update(server, id, etag, change, changed, &error))
		aep_error_raise(&error);
}

/* The names that an error shows. */
typedef struct FlowNames
{
	StringInfoData text;
	int count;
} FlowNames;

static void
add_flow(Jsonb *flow, void *arg)
{
	FlowNames *names = arg;
	const char *name = flow != NULL ? aep_document_text(&flow->root, "name") : NULL;
	const char *id = flow != NULL ? aep_document_text(&flow->root, "id") : NULL;

	if (names->count > MAX_FLOWS_NAMED)
		return;
	if (names->count++ == MAX_FLOWS_NAMED)
		appendStringInfoString(&names->text, ", and more");
	else
		appendStringInfo(&names->text, "%s\"%s\" (%s)", names->count > 1 ? ", " : "",
						 name != NULL ? aep_quotable(name) : "",
						 id != NULL ? aep_quotable(id) : "no id");
}

/*
 * The first flows that use a connection, for a detail.  NULL if they cannot be
 * told: the error at hand is worth more than one about that.
 */
static const char *
name_flows(const AepServer *server, const char *connection_id)
{
	/* one more than are named, to see whether there are more */
	const AepHttpParameter query[] = {
		{.name = "property",
		 .value = psprintf("inheritedAttributes.sourceConnections[].baseConnection.id==%s",
						   connection_id)},
		{.name = "limit", .value = psprintf("%d", MAX_FLOWS_NAMED + 1)},
	};
	static const char *const path[] = {"items", NULL};
	AepCall *call = aep_call_begin(server, "GET", FLOWS, "list flows");
	FlowNames names = {0};
	const AepList flows = {.path = path, .take = add_flow, .arg = &names};
	AepError ignored;
	const char *why;

	initStringInfo(&names.text);
	call->query = query;
	call->nquery = lengthof(query);
	aep_call_wait(call);
	if (!aep_call_succeeded(call, &ignored) ||
		aep_document_parse(call->exchange, &flows, &why) == NULL)
		return NULL;
	aep_call_end(call);
	return names.count > 0 ? names.text.data : NULL;
}

/* Facts: 404 is also a sandbox's, or a path's, that is not found. */
static bool
is_missing(AepCall *call)
{
	const AepHttpExchange *answer = aep_call_answer(call);
	AepServiceError service;

	if (answer == NULL || answer->status / 100 != 4)
		return false;
	aep_reply_error(answer->body.data, answer->body.len, &call->secrets, &service);
	return strncmp(service.code, "FLOW-1439", strlen("FLOW-1439")) == 0;
}

bool
aep_flow_try_delete(const AepServer *server, const char *id, bool *was_missing, AepError *error)
{
	AepCall *call =
		aep_call_begin(server, "DELETE", connection_path(id, ""), "delete base connection");
	const AepHttpExchange *answer;
	bool deleted;

	aep_call_wait(call);
	answer = aep_call_answer(call);
	*was_missing = is_missing(call);
	/* an attempt whose answer was lost, or said otherwise, has done it */
	deleted = (answer != NULL && aep_fate_unsure_before(&answer->fate) &&
			   aep_error_says_absent(answer)) ||
			  aep_call_succeeded(call, error);
	if (!deleted && error->sqlstate == ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST)
	{
		const char *flows = name_flows(server, id);

		if (flows != NULL)
			error->detail = psprintf("%s Used by the flows %s.", error->detail, flows);
	}
	aep_call_end(call);
	return deleted;
}

void
aep_flow_delete_connection(const AepServer *server, const char *id)
{
	bool was_missing;
	AepError error;

	if (!aep_flow_try_delete(server, id, &was_missing, &error))
		aep_error_raise(&error);
}

AepCall *
aep_flow_read_begin(const AepServer *server, const char *id)
{
	return aep_call_begin(server, "GET", connection_path(id, ""), "read base connection");
}

Jsonb *
aep_flow_read_finish(AepCall *call, AepError *error)
{
	const char *why = "holds no entity";
	Jsonb *document;
	Jsonb *entity = NULL;

	if (!aep_call_succeeded(call, error))
		return NULL;
	document = aep_document_parse(call->exchange, NULL, &why);
	/* facts: one entity comes in the envelope of a list */
	if (document != NULL)
		entity = aep_document_first(aep_document_member(&document->root, "items"));
	if (entity == NULL)
		aep_error_not_understood(&call->context, call->exchange, why, error);
	return entity;
}

Jsonb *
aep_flow_connection(const AepServer *server, const char *id)
{
	AepCall *call = aep_flow_read_begin(server, id);
	Jsonb *entity;
	AepError error;

	aep_call_wait(call);
	entity = aep_flow_read_finish(call, &error);
	if (entity == NULL)
		aep_error_raise(&error);
	aep_call_end(call);
	return entity;
}

/* Whether the connector, which does the connecting, could not; *reason has its words. */
static bool
connector_failed(const AepCall *call, const char **reason)
{
	const AepHttpExchange *answer = aep_call_answer(call);
	AepServiceError service;

	if (answer == NULL || answer->status / 100 != 4)
		return false;
	/* facts: the connectors have codes of their own */
	aep_reply_error(answer->body.data, answer->body.len, &call->secrets, &service);
	if (strncmp(service.raw_code, "CONNECTOR-", strlen("CONNECTOR-")) != 0)
		return false;
	*reason = aep_from_utf8(psprintf("%s: %s", service.code, service.message));
	return true;
}

/* What a complete and successful answer says. */
static AepTestResult
read_test(AepCall *call, AepError *error)
{
	const char *why = "has no \"result\"";
	Jsonb *document = aep_document_parse(call->exchange, NULL, &why);
	bool is_null = true;
	bool result = document != NULL && aep_document_boolean(&document->root, "result", &is_null);

	if (!is_null)
		return result ? AEP_TEST_PASSED : AEP_TEST_FAILED;
	aep_error_not_understood(&call->context, call->exchange, why, error);
	return AEP_TEST_NOT_ASKED;
}

AepCall *
aep_flow_test_begin(const AepServer *server, const char *id)
{
	AepCall *call =
		aep_call_begin(server, "GET", connection_path(id, "/test"), "test base connection");

	call->context.reaches_database = true;
	return call;
}

AepTestResult
aep_flow_test_finish(AepCall *call, const char **reason, AepError *error)
{
	*reason = NULL;
	if (connector_failed(call, reason))
		return AEP_TEST_FAILED;
	return aep_call_succeeded(call, error) ? read_test(call, error) : AEP_TEST_NOT_ASKED;
}

AepTestResult
aep_flow_try_test(const AepServer *server, const char *id, const char **reason, AepError *error)
{
	AepCall *call = aep_flow_test_begin(server, id);
	AepTestResult result;

	aep_call_wait(call);
	result = aep_flow_test_finish(call, reason, error);
	aep_call_end(call);
	return result;
}

bool
aep_flow_test_connection(const AepServer *server, const char *id, const char **reason)
{
	AepError error;
	AepTestResult result = aep_flow_try_test(server, id, reason, &error);

	if (result == AEP_TEST_NOT_ASKED)
		aep_error_raise(&error);
	return result == AEP_TEST_PASSED;
}

const char *
aep_flow_etag(Jsonb *entity)
{
	const char *etag = aep_document_text(&entity->root, "etag");

	if (etag == NULL || !aep_reply_is_etag(aep_to_utf8(etag, "the etag")))
		ereport(ERROR, (errcode(ERRCODE_PROTOCOL_VIOLATION),
						errmsg("the connection has no usable etag in Experience Platform"),
						errhint("Without one it can only be deleted and created again.")));
	return etag;
}
