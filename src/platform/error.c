/*
 * platform/error.c
 *		HTTP statuses, Flow Service codes and network failures as SQLSTATEs.
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "database/encoding.h"
#include "json/answer.h"
#include "json/reply.h"
#include "platform/error.h"

/* Which requests a rule is about. */
typedef enum RuleScope
{
	EVERY_REQUEST,
	TOKEN_REQUEST, /* to IMS, for an access token */
	SENT_CHANGE,   /* POST, PATCH, DELETE that may have reached the service */
	FAILED_CHANGE, /* a change that the service failed at, now or before, maybe after it was made */
	REFUSED_LATER  /* a change of which an earlier attempt was not refused, but this one was */
} RuleScope;

typedef struct ErrorRule
{
	AepHttpOutcome outcome;
	int status;		  /* 0: any */
	const char *code; /* service code without its status suffix; NULL: any */
	RuleScope scope;
	int sqlstate;
	const char *problem;
	const char *hint;
} ErrorRule;

#define TOKEN_HINT \
	"Set a valid client_secret or access_token in the user mapping, with ALTER USER MAPPING."
#define CREDENTIAL_HINT \
	"Check api_key, client_secret and scopes of the user mapping, and token_url of the server."
/* of the connector, which does the connecting: not of the platform's own gateway */
#define CONNECTOR_PROBLEM "Experience Platform could not connect to the database"
#define CONNECTOR_HINT "See aep.test_connection() and aep.check_ingest_role()."
#define ORG_PROBLEM "permission denied by Experience Platform"
#define ORG_HINT "Check org_id of the server: the API credential must belong to that organisation."
#define UNKNOWN_HINT \
	"The request may have been carried out. Look in Experience Platform before you try again."

/* The first rule that fits decides.  Facts: Flow Service's error catalogue. */
static const ErrorRule rules[] = {
	{AEP_HTTP_COMPLETE, 400, NULL, TOKEN_REQUEST, ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
	 "the credential was refused", CREDENTIAL_HINT},
	{AEP_HTTP_COMPLETE, 401, NULL, TOKEN_REQUEST, ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
	 "the credential was refused", CREDENTIAL_HINT},
	{AEP_HTTP_COMPLETE, 403, NULL, TOKEN_REQUEST, ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
	 "the credential was refused", CREDENTIAL_HINT},
	{AEP_HTTP_COMPLETE, 0, NULL, FAILED_CHANGE, ERRCODE_TRANSACTION_RESOLUTION_UNKNOWN,
	 "the outcome is unknown", UNKNOWN_HINT},
	{AEP_HTTP_COMPLETE, 0, "FLOW-1418", EVERY_REQUEST, ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST,
	 "flows still use it", "Delete the flows that use it first."},
	{AEP_HTTP_COMPLETE, 0, NULL, REFUSED_LATER, ERRCODE_TRANSACTION_RESOLUTION_UNKNOWN,
	 "the outcome is unknown", UNKNOWN_HINT},
	{AEP_HTTP_NOT_CONNECTED, 0, NULL, REFUSED_LATER, ERRCODE_TRANSACTION_RESOLUTION_UNKNOWN,
	 "the outcome is unknown", UNKNOWN_HINT},
	{AEP_HTTP_COMPLETE, 0, "FLOW-2114", EVERY_REQUEST, ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
	 "the access token was refused", TOKEN_HINT},
	{AEP_HTTP_COMPLETE, 0, "FLOW-2115", EVERY_REQUEST, ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
	 "the access token was refused", TOKEN_HINT},
	{AEP_HTTP_COMPLETE, 401, "CONNECTOR", EVERY_REQUEST, ERRCODE_CONNECTION_EXCEPTION,
	 CONNECTOR_PROBLEM, CONNECTOR_HINT},
	{AEP_HTTP_COMPLETE, 403, "CONNECTOR", EVERY_REQUEST, ERRCODE_CONNECTION_EXCEPTION,
	 CONNECTOR_PROBLEM, CONNECTOR_HINT},
	{AEP_HTTP_COMPLETE, 412, "CONNECTOR", EVERY_REQUEST, ERRCODE_CONNECTION_EXCEPTION,
	 CONNECTOR_PROBLEM, CONNECTOR_HINT},
	{AEP_HTTP_COMPLETE, 401, "FLOW-2000", EVERY_REQUEST, ERRCODE_INSUFFICIENT_PRIVILEGE,
	 ORG_PROBLEM, ORG_HINT},
	{AEP_HTTP_COMPLETE, 401, "FLOW-2001", EVERY_REQUEST, ERRCODE_INSUFFICIENT_PRIVILEGE,
	 ORG_PROBLEM, ORG_HINT},
	{AEP_HTTP_COMPLETE, 401, "FLOW-2002", EVERY_REQUEST, ERRCODE_INSUFFICIENT_PRIVILEGE,
	 ORG_PROBLEM, ORG_HINT},
	{AEP_HTTP_COMPLETE, 400, NULL, EVERY_REQUEST, ERRCODE_INVALID_PARAMETER_VALUE,
	 "the request was refused as invalid", NULL},
	{AEP_HTTP_COMPLETE, 422, NULL, EVERY_REQUEST, ERRCODE_INVALID_PARAMETER_VALUE,
	 "the request was refused as invalid", NULL},
	{AEP_HTTP_COMPLETE, 401, NULL, EVERY_REQUEST, ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
	 "the access token was refused", TOKEN_HINT},
	{AEP_HTTP_COMPLETE, 403, NULL, EVERY_REQUEST, ERRCODE_INSUFFICIENT_PRIVILEGE,
	 "permission denied by Experience Platform",
	 "Check api_key, org_id and sandbox, and that the API credential has a role with the "
	 "permission Manage Sources in this sandbox."},
	{AEP_HTTP_COMPLETE, 404, NULL, EVERY_REQUEST, ERRCODE_UNDEFINED_OBJECT,
	 "no such object in Experience Platform", NULL},
	{AEP_HTTP_COMPLETE, 409, NULL, EVERY_REQUEST, ERRCODE_DUPLICATE_OBJECT,
	 "it conflicts with an object in Experience Platform", NULL},
	{AEP_HTTP_COMPLETE, 412, NULL, EVERY_REQUEST, ERRCODE_T_R_SERIALIZATION_FAILURE,
	 "it was changed by somebody else meanwhile", "Read its current etag and try again."},
	{AEP_HTTP_COMPLETE, 429, NULL, EVERY_REQUEST, ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
	 "too many requests to Experience Platform", "Try again later."},
	{AEP_HTTP_COMPLETE, 0, NULL, EVERY_REQUEST, ERRCODE_SYSTEM_ERROR,
	 "Experience Platform did not carry it out", NULL},
	{AEP_HTTP_TOO_LARGE, 0, NULL, SENT_CHANGE, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
	 "the answer is too large",
	 UNKNOWN_HINT " The server option max_response_size sets the limit."},
	{AEP_HTTP_TOO_LARGE, 0, NULL, EVERY_REQUEST, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
	 "the answer is too large", "The server option max_response_size sets the limit."},
	{AEP_HTTP_NOT_CONNECTED, 0, NULL, EVERY_REQUEST,
	 ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION, "could not connect",
	 "Check the server options base_url, ca_file and proxy, and the network."},
	{AEP_HTTP_BROKEN, 0, NULL, SENT_CHANGE, ERRCODE_TRANSACTION_RESOLUTION_UNKNOWN,
	 "the outcome is unknown", UNKNOWN_HINT},
	{AEP_HTTP_BROKEN, 0, NULL, EVERY_REQUEST, ERRCODE_CONNECTION_FAILURE,
	 "the connection failed before the answer was complete", NULL},
	{AEP_HTTP_OUT_OF_MEMORY, 0, NULL, EVERY_REQUEST, ERRCODE_OUT_OF_MEMORY, "out of memory", NULL},
};

/* "FLOW-1418" fits "FLOW-1418" and "FLOW-1418-400". */
static bool
code_fits(const char *rule, const char *code)
{
	size_t len = strlen(rule);

	return strncmp(rule, code, len) == 0 && (code[len] == '\0' || code[len] == '-');
}

static bool
is_change(const AepErrorContext *context)
{
	return strcmp(context->method, "GET") != 0 && !context->token_request;
}

static bool
scope_fits(RuleScope scope, const AepErrorContext *context, const AepHttpExchange *exchange)
{
	bool change = is_change(context);
	const AepFate *fate = &exchange->fate;

	switch (scope)
	{
		case EVERY_REQUEST:
			return true;
		case TOKEN_REQUEST:
			return context->token_request;
		case SENT_CHANGE:
			return change && fate->last == AEP_FATE_OPEN;
		case FAILED_CHANGE:
			return change && fate->last >= AEP_FATE_FAILED &&
				   aep_fate_verdict(fate) >= AEP_FATE_OPEN;
		case REFUSED_LATER:
			return change && fate->last < AEP_FATE_FAILED && aep_fate_unsure_before(fate);
	}
	return false;
}

static const ErrorRule *
find_rule(const AepErrorContext *context, const AepHttpExchange *exchange, const char *code)
{
	for (int i = 0; i < lengthof(rules); i++)
	{
		const ErrorRule *rule = &rules[i];

		if (rule->outcome == exchange->outcome &&
			(rule->status == 0 || rule->status == exchange->status) &&
			(rule->code == NULL || code_fits(rule->code, code)) &&
			scope_fits(rule->scope, context, exchange))
			return rule;
	}
	pg_unreachable();
}

/* Text from outside as text that can be shown. */
static const char *
shown(const AepSecrets *secrets, const char *text, size_t len)
{
	char line[1024];

	aep_mask(secrets, text, len, line, sizeof(line));
	return aep_from_utf8(pstrdup(line));
}

static const char *
header_shown(const AepErrorContext *context, AepHttpExchange *exchange, const char *name)
{
	const char *value = aep_http_header(exchange, name);

	return value == NULL ? NULL : shown(context->secrets, value, strlen(value));
}

/* What a complete answer says, as the detail. */
static const char *
answer_detail(const AepErrorContext *context, AepHttpExchange *exchange,
			  const AepServiceError *service)
{
	StringInfoData detail;
	const char *request_id = service->request_id[0] != '\0'
								 ? aep_from_utf8(service->request_id)
								 : header_shown(context, exchange, "x-request-id");

	initStringInfo(&detail);
	appendStringInfo(&detail, "The service answered with HTTP status %d", exchange->status);
	if (service->code[0] != '\0')
		appendStringInfo(&detail, ", code %s", aep_from_utf8(service->code));
	if (request_id != NULL)
		appendStringInfo(&detail, ", request id %s", request_id);
	if (service->message[0] != '\0')
		appendStringInfo(&detail, ": \"%s\"", aep_from_utf8(service->message));
	appendStringInfoChar(&detail, '.');
	return detail.data;
}

/* What libcurl says of an answer that never came, or came in part. */
static const char *
failure_detail(const AepErrorContext *context, AepHttpExchange *exchange)
{
	const char *reason = shown(context->secrets, exchange->reason, strlen(exchange->reason));

	if (exchange->outcome == AEP_HTTP_TOO_LARGE)
		return psprintf("An answer with HTTP status %d began, and passed the limit.",
						exchange->status);
	if (exchange->status != 0)
		return psprintf("An answer with HTTP status %d began. libcurl says: %s.", exchange->status,
						reason);
	return psprintf("libcurl says: %s.", reason);
}

bool
aep_error_token_refused(const AepHttpExchange *exchange)
{
	/* as of a request that only asks: what earlier attempts did is not the question */
	static const AepErrorContext asking = {.method = "GET"};
	AepServiceError service;

	if (exchange->outcome != AEP_HTTP_COMPLETE ||
		(exchange->status != 400 && exchange->status != 401))
		return false;
	aep_reply_error(exchange->body.data, exchange->body.len, NULL, &service);
	return find_rule(&asking, exchange, service.code)->sqlstate ==
		   ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION;
}

/*
 * What became of a change.  A service that failed may have failed after the
 * change; what a POST was to create counts as not created then.
 */
static AepFateState
fate_of_change(const AepErrorContext *context, const AepFate *fate)
{
	AepFateState verdict = is_change(context) ? aep_fate_verdict(fate) : AEP_FATE_NOTHING;

	if (verdict == AEP_FATE_FAILED && strcmp(context->method, "POST") != 0)
		return AEP_FATE_OPEN;
	return verdict;
}

void
aep_error_from_exchange(const AepErrorContext *context, AepHttpExchange *exchange, AepError *error)
{
	AepServiceError service = {0};
	const ErrorRule *rule;

	if (exchange->outcome == AEP_HTTP_COMPLETE)
		aep_reply_error(exchange->body.data, exchange->body.len, context->secrets, &service);
	rule = find_rule(context, exchange, service.code);

	error->sqlstate = rule->sqlstate;
	error->message = psprintf("could not %s on server \"%s\": %s", context->action, context->server,
							  rule->problem);
	error->detail = exchange->outcome == AEP_HTTP_COMPLETE
						? answer_detail(context, exchange, &service)
						: failure_detail(context, exchange);
	error->hint = rule->hint;
	error->fate = fate_of_change(context, &exchange->fate);
	if (rule->sqlstate == ERRCODE_TRANSACTION_RESOLUTION_UNKNOWN)
		return; /* nothing matters more than that hint */
	if (exchange->retry_after_too_long)
		error->hint = psprintf("The service asks to wait %lld s before the next request, which is "
							   "longer than request_timeout leaves.",
							   (long long) exchange->retry_after);
	else if (exchange->status == 429 && exchange->retry_after > 0)
		error->hint = psprintf("The service asks to wait %lld s before the next request.",
							   (long long) exchange->retry_after);
}

void
aep_error_not_understood(const AepErrorContext *context, AepHttpExchange *exchange, const char *why,
						 AepError *error)
{
	error->sqlstate = ERRCODE_PROTOCOL_VIOLATION;
	error->message = psprintf("could not understand the answer to \"%s\" on server \"%s\"",
							  context->action, context->server);
	/* what was read may be a connection with a password that is not known here */
	if (is_change(context) || !aep_answer_may_be_json(exchange->body.data, exchange->body.len))
		error->detail =
			psprintf("The answer with HTTP status %d %s: \"%s\".", exchange->status, why,
					 shown(context->secrets, exchange->body.data, exchange->body.len));
	else
		error->detail = psprintf("The answer with HTTP status %d %s.", exchange->status, why);
	error->fate = is_change(context) ? AEP_FATE_OPEN : AEP_FATE_NOTHING;
	error->hint = is_change(context) ? UNKNOWN_HINT : NULL;
}

void
aep_error_token_not_understood(const AepErrorContext *context, AepHttpExchange *exchange,
							   const char *why, AepError *error)
{
	error->sqlstate = ERRCODE_PROTOCOL_VIOLATION;
	error->message = psprintf("could not understand the answer to \"%s\" on server \"%s\"",
							  context->action, context->server);
	error->detail = psprintf("The answer with HTTP status %d %s.", exchange->status, why);
	error->hint = NULL;
	error->fate = AEP_FATE_NOTHING;
}

void
aep_error_without_token(const AepErrorContext *context, const AepError *token_error,
						const AepFate *fate, AepError *error)
{
	*error = *token_error;
	aep_error_copy(error);
	if (!is_change(context) || aep_fate_verdict(fate) < AEP_FATE_FAILED)
		return;
	error->sqlstate = ERRCODE_TRANSACTION_RESOLUTION_UNKNOWN;
	error->message = psprintf("could not %s on server \"%s\": the outcome is unknown",
							  context->action, context->server);
	error->detail =
		psprintf("An attempt may have been carried out, and no further one was made: %s.",
				 token_error->message);
	error->hint = UNKNOWN_HINT;
	error->fate = AEP_FATE_OPEN;
}

void
aep_error_copy(AepError *error)
{
	error->message = pstrdup(error->message);
	error->detail = error->detail != NULL ? pstrdup(error->detail) : NULL;
	error->hint = error->hint != NULL ? pstrdup(error->hint) : NULL;
}

void
aep_error_raise(const AepError *error)
{
	ereport(ERROR, (errcode(error->sqlstate), errmsg_internal("%s", error->message),
					error->detail != NULL ? errdetail_internal("%s", error->detail) : 0,
					error->hint != NULL ? errhint("%s", error->hint) : 0));
	pg_unreachable();
}
