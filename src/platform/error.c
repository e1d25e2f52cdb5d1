/*
 * platform/error.c
 *		Errors from exchanges: their texts, by the table in error_rule.c.
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "database/encoding.h"
#include "json/answer.h"
#include "json/reply.h"
#include "platform/error.h"
#include "platform/error_rule.h"

#define UNKNOWN_HINT \
	"The request may have been carried out. Look in Experience Platform before you try again."

bool
aep_error_is_change(const AepErrorContext *context)
{
	return strcmp(context->method, "GET") != 0 && !context->token_request;
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
	const char *location =
		exchange->status / 100 == 3 ? header_shown(context, exchange, "location") : NULL;
	const char *request_id = service->request_id[0] != '\0'
								 ? aep_from_utf8(service->request_id)
								 : header_shown(context, exchange, "x-request-id");

	initStringInfo(&detail);
	appendStringInfo(&detail, "The service answered with HTTP status %d", exchange->status);
	if (service->code[0] != '\0')
		appendStringInfo(&detail, ", code %s", aep_from_utf8(service->code));
	if (request_id != NULL)
		appendStringInfo(&detail, ", request id %s", request_id);
	if (location != NULL)
		appendStringInfo(&detail, ", and leads to \"%s\"", aep_quotable(location));
	if (context->hides_answer)
		appendStringInfoString(&detail, "; its words may repeat the request, and are not shown");
	else if (service->message[0] != '\0')
		appendStringInfo(&detail, ": \"%s\"", aep_from_utf8(service->message));
	appendStringInfoChar(&detail, '.');
	return detail.data;
}

/* What libcurl says of an answer that never came, or came in part. */
static const char *
failure_detail(const AepErrorContext *context, AepHttpExchange *exchange)
{
	const char *reason = shown(context->secrets, exchange->reason, strlen(exchange->reason));

	if (exchange->outcome == AEP_HTTP_TOO_LARGE && exchange->status == 0)
		return "More came in than the limit allows for.";
	if (exchange->outcome == AEP_HTTP_TOO_LARGE)
		return psprintf("An answer with HTTP status %d began, and passed the limit.",
						exchange->status);
	if (exchange->refusal != NULL && exchange->outcome == AEP_HTTP_NOT_CONNECTED)
		return psprintf("The proxy's answer %s.", exchange->refusal);
	if (exchange->refusal != NULL)
		return psprintf("The answer with HTTP status %d %s.", exchange->status, exchange->refusal);
	if (exchange->status != 0)
		return psprintf("An answer with HTTP status %d began. libcurl says: %s.", exchange->status,
						reason);
	return psprintf("libcurl says: %s.", reason);
}

/* The rule for a complete answer, as of a request that only asks: what it says, not what was done. */
static const AepErrorRule *
rule_of_answer(const AepHttpExchange *exchange)
{
	static const AepErrorContext asking = {.method = "GET"};
	AepServiceError service;

	aep_reply_error(exchange->body.data, exchange->body.len, NULL, &service);
	return aep_error_rule(&asking, exchange, service.raw_code);
}

bool
aep_error_token_refused(const AepHttpExchange *exchange)
{
	return exchange->outcome == AEP_HTTP_COMPLETE &&
		   (exchange->status == 400 || exchange->status == 401) &&
		   rule_of_answer(exchange)->sqlstate == ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION;
}

bool
aep_error_says_absent(const AepHttpExchange *answer)
{
	return (answer->status == 400 || answer->status == 404) &&
		   aep_error_rule_is_absence(rule_of_answer(answer));
}

/*
 * What became of a change.  A service that failed may have failed after the
 * change; what a POST was to create counts as not created then.
 */
static AepFateState
fate_of_change(const AepErrorContext *context, const AepFate *fate)
{
	AepFateState verdict = aep_error_is_change(context) ? aep_fate_verdict(fate) : AEP_FATE_NOTHING;

	if (verdict == AEP_FATE_FAILED && strcmp(context->method, "POST") != 0)
		return AEP_FATE_OPEN;
	return verdict;
}

void
aep_error_from_exchange(const AepErrorContext *context, AepHttpExchange *exchange, AepError *error)
{
	AepServiceError service = {0};
	const AepErrorRule *rule;

	if (exchange->outcome == AEP_HTTP_COMPLETE)
		aep_reply_error(exchange->body.data, exchange->body.len, context->secrets, &service);
	rule = aep_error_rule(context, exchange, service.raw_code);

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
	if (aep_error_is_change(context) ||
		!aep_answer_may_be_json(exchange->body.data, exchange->body.len))
		error->detail =
			psprintf("The answer with HTTP status %d %s: \"%s\".", exchange->status, why,
					 shown(context->secrets, exchange->body.data, exchange->body.len));
	else
		error->detail = psprintf("The answer with HTTP status %d %s.", exchange->status, why);
	error->fate = aep_error_is_change(context) ? AEP_FATE_OPEN : AEP_FATE_NOTHING;
	error->hint = aep_error_is_change(context)
					  ? UNKNOWN_HINT
					  : "Check the server option base_url, and whether a proxy "
						"or a login page of the network answers in the "
						"service's place; see 08P01 in doc/troubleshooting.md.";
}

void
aep_error_token_not_understood(const AepErrorContext *context, AepHttpExchange *exchange,
							   const char *why, AepError *error)
{
	error->sqlstate = ERRCODE_PROTOCOL_VIOLATION;
	error->message = psprintf("could not understand the answer to \"%s\" on server \"%s\"",
							  context->action, context->server);
	error->detail = psprintf("The answer with HTTP status %d %s.", exchange->status, why);
	error->hint = "Check the server option token_url, and whether a proxy or a login page of the "
				  "network answers in the service's place.";
	error->fate = AEP_FATE_NOTHING;
}

void
aep_error_without_token(const AepErrorContext *context, const AepError *token_error,
						const AepFate *fate, AepError *error)
{
	*error = *token_error;
	aep_error_copy(error);
	if (!aep_error_is_change(context) || aep_fate_verdict(fate) < AEP_FATE_FAILED)
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

const char *
aep_error_line(const AepError *error)
{
	StringInfoData line;

	initStringInfo(&line);
	appendStringInfoString(&line, error->message);
	if (error->detail != NULL || error->hint != NULL)
		appendStringInfo(&line, " (%s%s%s)", error->detail != NULL ? error->detail : "",
						 error->detail != NULL && error->hint != NULL ? " " : "",
						 error->hint != NULL ? error->hint : "");
	return aep_for_client(line.data);
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
	/* what the client cannot be sent would hide all of it behind another error */
	ereport(ERROR,
			(errcode(error->sqlstate), errmsg_internal("%s", aep_for_client(error->message)),
			 error->detail != NULL ? errdetail_internal("%s", aep_for_client(error->detail)) : 0,
			 error->hint != NULL ? errhint("%s", aep_for_client(error->hint)) : 0));
	pg_unreachable();
}
