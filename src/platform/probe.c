/*
 * platform/probe.c
 *		One cheap request, to see what keeps a server's requests from succeeding.
 */
#include "postgres.h"

#include <time.h>

#include "database/value.h"
#include "platform/call.h"
#include "platform/document.h"
#include "platform/probe.h"

/* Further apart, certificates and stamps of the one are wrong for the other, in seconds. */
#define MAX_CLOCK_SKEW 300

#define ACTION "list base connections"

/* Where findings go. */
typedef struct Probe
{
	const AepServer *server;
	AepProbeFound found;
	void *data;
} Probe;

static void
report_error(const Probe *probe, const AepError *error)
{
	probe->found(probe->data, true,
				 error->detail != NULL ? psprintf("%s (%s)", error->message, error->detail)
									   : error->message,
				 error->hint);
}

/* Every answer has a date, of the gateway or of what stands before it. */
static void
check_clock(const Probe *probe, AepHttpExchange *answer)
{
	int64 there = aep_http_date(answer);
	int64 ahead = (int64) time(NULL) - there;

	if (there < 0 || (ahead <= MAX_CLOCK_SKEW && ahead >= -MAX_CLOCK_SKEW))
		return;
	probe->found(
		probe->data, false,
		psprintf("the clock of the database server is %lld s %s that of Experience Platform",
				 (long long) (ahead > 0 ? ahead : -ahead), ahead > 0 ? "ahead of" : "behind"),
		"Set the clock of the database server, with NTP for example.");
}

/* Without a credential: a refusal is what is wanted. */
static void
ask_gateway(const Probe *probe)
{
	static const AepHttpHeader headers[] = {{"Accept", "application/json"}};
	const AepServer *server = probe->server;
	const AepErrorContext context = {.action = ACTION, .server = server->name, .method = "GET"};
	const AepHttpParameter query[] = {{.name = "limit", .value = "1"}};
	AepHttpRequest request = {
		.method = "GET",
		.url = aep_http_url(server->base_url, AEP_FOUNDATION_PATH, AEP_CONNECTIONS_PATH, query,
							lengthof(query)),
		.headers = headers,
		.nheaders = lengthof(headers),
		.limits = &server->limits,
		.repeat = AEP_HTTP_REPEAT_HARMLESS,
		.deadline = aep_http_now() + server->limits.request_timeout,
	};
	AepHttpExchange *exchange = aep_http_start(&request);
	AepError error;

	while (exchange->outcome == AEP_HTTP_PENDING)
		(void) aep_http_step(-1);
	if (exchange->outcome == AEP_HTTP_COMPLETE)
		check_clock(probe, exchange);
	if (exchange->outcome != AEP_HTTP_COMPLETE ||
		(exchange->status != 400 && exchange->status != 401 && exchange->status != 403))
	{
		aep_error_from_exchange(&context, exchange, &error);
		report_error(probe, &error);
	}
	aep_http_end(exchange);
}

/* A list is what a login page, or another server, does not answer with. */
static void
check_answer(const Probe *probe, AepCall *call)
{
	const char *why;
	Jsonb *document = aep_document_parse(call->exchange, NULL, &why);
	AepError error;

	if (document != NULL && aep_document_member(&document->root, "items") != NULL)
		return;
	aep_error_not_understood(&call->context, call->exchange,
							 document != NULL ? "has no \"items\"" : why, &error);
	report_error(probe, &error);
}

/* A token that was there all the time is to be changed, and the mapping can be named. */
static void
report_failure(const Probe *probe, const AepCall *call, AepError *error)
{
	const char *mapping = aep_server_mapping_name(probe->server);

	if (error->sqlstate == ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION && !call->no_token)
	{
		if (call->context.token == AEP_TOKEN_BEFORE_SECRET)
			error->hint = psprintf("ALTER %s OPTIONS (DROP access_token)", mapping);
		if (call->context.token == AEP_TOKEN_OWN)
			error->hint = psprintf("ALTER %s OPTIONS (SET access_token '...')", mapping);
	}
	report_error(probe, error);
}

void
aep_probe(const AepServer *server, bool with_credential, AepProbeFound found, void *data)
{
	const Probe probe = {server, found, data};
	const AepHttpParameter query[] = {{.name = "limit", .value = "1"}};
	AepError error;
	AepCall *call;

	if (!with_credential)
	{
		ask_gateway(&probe);
		return;
	}
	call = aep_call_begin(server, "GET", AEP_CONNECTIONS_PATH, ACTION);
	call->query = query;
	call->nquery = lengthof(query);
	aep_call_wait(call);
	if (aep_call_answer(call) != NULL)
		check_clock(&probe, call->exchange);
	if (aep_call_succeeded(call, &error))
		check_answer(&probe, call);
	else
		report_failure(&probe, call, &error);
	if (call->no_token)
		ask_gateway(&probe);
	aep_call_end(call);
}
