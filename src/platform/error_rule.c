/*
 * platform/error_rule.c
 *		The table of errors: HTTP statuses, codes of the services and network
 *		failures as SQLSTATEs, with what leads out of them.
 */
#include "postgres.h"

#include "platform/error_rule.h"

/*
 * One rule.  It ends with HINT("what a user can do"), or with NO_HINT("why
 * nothing can be said"): nothing else compiles.
 */
#define RULE(outcome, which, codes, scope, sqlstate, problem, advice)                       \
	{                                                                                       \
		AEP_HTTP_##outcome, which, codes, scope, ERRCODE_##sqlstate, problem, RULE_##advice \
	}
#define RULE_HINT(text) "" text, NULL
#define RULE_NO_HINT(reason) NULL, "" reason

/* PostgreSQL's long names, where a short one says as much. */
#define ERRCODE_BAD_CREDENTIAL ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION
#define ERRCODE_NOT_ALLOWED ERRCODE_INSUFFICIENT_PRIVILEGE
#define ERRCODE_BAD_VALUE ERRCODE_INVALID_PARAMETER_VALUE
#define ERRCODE_NOT_CONNECTED ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION
#define ERRCODE_OUTCOME_UNKNOWN ERRCODE_TRANSACTION_RESOLUTION_UNKNOWN
#define ERRCODE_WRONG_STATE ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE

#define TOKEN_PROBLEM "the access token was refused"
#define BOTH_TOKENS_HINT                                                                  \
	"Drop access_token from the user mapping, with ALTER USER MAPPING ... OPTIONS (DROP " \
	"access_token): as long as it is there, client_secret is not used to fetch tokens."
#define OWN_TOKEN_HINT                                                                           \
	"Tokens expire after a day or less. Set a new access_token in the user mapping, with ALTER " \
	"USER MAPPING ... OPTIONS (SET access_token '...'), or have client_secret there instead."
#define FETCHED_TOKEN_HINT                                                                       \
	"It was fetched with client_secret. Check that token_url and base_url of the server belong " \
	"together (production or stage), and that the project has the Experience Platform API. Or "  \
	"set a valid access_token in the user mapping, with ALTER USER MAPPING."
#define CREDENTIAL_PROBLEM "the credential was refused"
#define CREDENTIAL_HINT \
	"Check api_key, client_secret and scopes of the user mapping, and token_url of the server."
/* of the connector, which does the connecting: not of the platform's own gateway */
#define CONNECTOR_PROBLEM "Experience Platform could not connect to the database"
#define CONNECTOR_HINT "See aep.test_connection() and aep.check_ingest_role()."
#define PERMISSION_PROBLEM "permission denied by Experience Platform"
#define ORG_HINT "Check org_id of the server: the API credential must belong to that organisation."
#define ROLE_HINT                                                                             \
	"Add the API credential to a role of Experience Platform that has the permission Manage " \
	"Sources and the sandbox."
#define SANDBOX_HINT                                                                             \
	"Check the server option sandbox: it takes the sandbox's name, which is in lower case, and " \
	"not its title."
#define ABSENT_PROBLEM "no such object in Experience Platform"
#define UNKNOWN_PROBLEM "the outcome is unknown"
#define UNKNOWN_HINT \
	"The request may have been carried out. Look in Experience Platform before you try again."
#define SIZE_HINT "The server option max_response_size sets the limit."
#define NOT_DONE_PROBLEM "Experience Platform did not carry it out"
#define NOT_CONNECTED_PROBLEM "could not connect"

/* The first rule that fits decides.  Facts: the error catalogues of the services. */
static const AepErrorRule rules[] = {
	/* IMS, asked for an access token */
	RULE(
		COMPLETE, 0, "invalid_scope", TOKEN_REQUEST, BAD_CREDENTIAL, CREDENTIAL_PROBLEM,
		HINT(
			"Set the option scopes of the user mapping to what the Developer Console shows for the "
			"credential.")),
	RULE(COMPLETE, 400, NULL, TOKEN_REQUEST, BAD_CREDENTIAL, CREDENTIAL_PROBLEM,
		 HINT(CREDENTIAL_HINT)),
	RULE(COMPLETE, 401, NULL, TOKEN_REQUEST, BAD_CREDENTIAL, CREDENTIAL_PROBLEM,
		 HINT(CREDENTIAL_HINT)),
	RULE(COMPLETE, 403, NULL, TOKEN_REQUEST, BAD_CREDENTIAL, CREDENTIAL_PROBLEM,
		 HINT(CREDENTIAL_HINT)),
	RULE(COMPLETE, 404, NULL, TOKEN_REQUEST, UNDEFINED_OBJECT, "there is no such address",
		 HINT("Check the server option token_url: it ends in /ims/token/v3.")),
	RULE(COMPLETE, 429, NULL, TOKEN_REQUEST, CONFIGURATION_LIMIT_EXCEEDED,
		 "too many requests to the identity service",
		 HINT("Try again later. Each session fetches a token of its own: a connection pooler "
			  "keeps their number down.")),
	RULE(COMPLETE, 3, NULL, TOKEN_REQUEST, SYSTEM_ERROR, "the answer leads elsewhere",
		 HINT("Redirects are not followed. Check the server option token_url, and whether a proxy "
			  "or a login page of the network answers in the service's place.")),
	RULE(COMPLETE, 0, NULL, TOKEN_REQUEST, SYSTEM_ERROR,
		 "the identity service did not carry it out",
		 HINT("Try again later. If it stays so, check the server option token_url.")),

	/* what may have happened all the same */
	RULE(COMPLETE, 0, NULL, FAILED_CHANGE, OUTCOME_UNKNOWN, UNKNOWN_PROBLEM, HINT(UNKNOWN_HINT)),
	RULE(COMPLETE, 0, "FLOW-1418", EVERY_REQUEST, DEPENDENT_OBJECTS_STILL_EXIST,
		 "flows still use it", HINT("Delete the flows that use it first.")),
	RULE(COMPLETE, 0, NULL, REFUSED_LATER, OUTCOME_UNKNOWN, UNKNOWN_PROBLEM, HINT(UNKNOWN_HINT)),
	RULE(NOT_CONNECTED, 0, NULL, REFUSED_LATER, OUTCOME_UNKNOWN, UNKNOWN_PROBLEM,
		 HINT(UNKNOWN_HINT)),

	/* the access token */
	RULE(COMPLETE, 0, "FLOW-2114 FLOW-2115", WITH_BOTH_TOKENS, BAD_CREDENTIAL, TOKEN_PROBLEM,
		 HINT(BOTH_TOKENS_HINT)),
	RULE(COMPLETE, 0, "FLOW-2114 FLOW-2115", WITH_OWN_TOKEN, BAD_CREDENTIAL, TOKEN_PROBLEM,
		 HINT(OWN_TOKEN_HINT)),
	RULE(COMPLETE, 0, "FLOW-2114 FLOW-2115", EVERY_REQUEST, BAD_CREDENTIAL, TOKEN_PROBLEM,
		 HINT(FETCHED_TOKEN_HINT)),

	/* the database behind a connection */
	RULE(COMPLETE, 401, "CONNECTOR", EVERY_REQUEST, CONNECTION_EXCEPTION, CONNECTOR_PROBLEM,
		 HINT(CONNECTOR_HINT)),
	RULE(COMPLETE, 403, "CONNECTOR", EVERY_REQUEST, CONNECTION_EXCEPTION, CONNECTOR_PROBLEM,
		 HINT(CONNECTOR_HINT)),
	RULE(COMPLETE, 412, "CONNECTOR", EVERY_REQUEST, CONNECTION_EXCEPTION, CONNECTOR_PROBLEM,
		 HINT(CONNECTOR_HINT)),
	RULE(COMPLETE, 504, NULL, DATABASE_REQUEST, SYSTEM_ERROR,
		 "the database did not answer Experience Platform in time",
		 HINT("Open the firewall and pg_hba.conf for the addresses of Experience Platform; see "
			  "aep.endpoint() and aep.check_ingest_role().")),
	RULE(COMPLETE, 0, "CONNECTOR-1330", EVERY_REQUEST, BAD_VALUE,
		 "the request was refused as invalid",
		 HINT("There may be no such table: give path as aep.explore() shows it.")),
	RULE(COMPLETE, 0, "CONNECTOR-1308", EVERY_REQUEST, BAD_VALUE,
		 "the request was refused as invalid", HINT(CONNECTOR_HINT)),

	/* organisation, sandbox, permissions */
	RULE(COMPLETE, 0, "FLOW-2000 FLOW-2001 FLOW-2002 403025 403027", EVERY_REQUEST, NOT_ALLOWED,
		 PERMISSION_PROBLEM, HINT(ORG_HINT)),
	RULE(COMPLETE, 0, "FLOW-2100 FLOW-2101 FLOW-2103 FLOW-2106", EVERY_REQUEST, UNDEFINED_OBJECT,
		 "the sandbox does not exist", HINT(SANDBOX_HINT)),
	RULE(COMPLETE, 0, "FLOW-2105 FLOW-2110 FLOW-2111 FLOW-2112 FLOW-2113", EVERY_REQUEST, BAD_VALUE,
		 "the sandbox was refused", HINT(SANDBOX_HINT)),
	RULE(COMPLETE, 0, "FLOW-2102 FLOW-2104 FLOW-2107 FLOW-2108", EVERY_REQUEST, SYSTEM_ERROR,
		 "the sandbox could not be looked up",
		 HINT("Try again later: that is a failure of the service. " SANDBOX_HINT)),
	RULE(COMPLETE, 0, "FLOW-2118 FLOW-2120 FLOW-2121", EVERY_REQUEST, NOT_ALLOWED,
		 PERMISSION_PROBLEM, HINT(ROLE_HINT)),
	RULE(COMPLETE, 0, "403000 403003", EVERY_REQUEST, NOT_ALLOWED, PERMISSION_PROBLEM,
		 HINT("Check api_key of the user mapping: it is the client id of the project in the "
			  "Developer "
			  "Console.")),
	RULE(
		COMPLETE, 0, "403010", EVERY_REQUEST, NOT_ALLOWED, PERMISSION_PROBLEM,
		HINT(
			"No access token arrived. Check whether what is behind base_url or proxy of the server "
			"takes the header Authorization away.")),

	/* the object */
	RULE(COMPLETE, 0, "FLOW-1439", EVERY_REQUEST, UNDEFINED_OBJECT, ABSENT_PROBLEM,
		 HINT("See aep.connections(): what is in another sandbox is not found.")),
	RULE(COMPLETE, 0,
		 "FLOW-1416 FLOW-1417 FLOW-1420 FLOW-1421 FLOW-1422 FLOW-1444 FLOW-1457 FLOW-1458",
		 EVERY_REQUEST, WRONG_STATE, "its state does not allow that",
		 HINT("See its state with aep.connection(). One that is being made or deleted changes by "
			  "itself: try again later.")),
	RULE(COMPLETE, 0, "FLOW-1445 CONNECTOR-1300", EVERY_REQUEST, FEATURE_NOT_SUPPORTED,
		 "Experience Platform does not change such objects",
		 HINT("Delete it with aep.delete_connection(), and create another one.")),

	/* by status alone */
	RULE(COMPLETE, 400, NULL, EVERY_REQUEST, BAD_VALUE, "the request was refused as invalid",
		 HINT("The service's reason is in the detail; see 22023 in doc/troubleshooting.md.")),
	RULE(COMPLETE, 422, NULL, EVERY_REQUEST, BAD_VALUE, "the request was refused as invalid",
		 HINT("The service's reason is in the detail; see 22023 in doc/troubleshooting.md.")),
	RULE(COMPLETE, 401, NULL, WITH_BOTH_TOKENS, BAD_CREDENTIAL, TOKEN_PROBLEM,
		 HINT(BOTH_TOKENS_HINT)),
	RULE(COMPLETE, 401, NULL, WITH_OWN_TOKEN, BAD_CREDENTIAL, TOKEN_PROBLEM, HINT(OWN_TOKEN_HINT)),
	RULE(COMPLETE, 401, NULL, EVERY_REQUEST, BAD_CREDENTIAL, TOKEN_PROBLEM,
		 HINT(FETCHED_TOKEN_HINT)),
	RULE(COMPLETE, 403, NULL, EVERY_REQUEST, NOT_ALLOWED, PERMISSION_PROBLEM,
		 HINT("Check api_key, org_id and sandbox, and that the API credential has a role with the "
			  "permission Manage Sources in this sandbox.")),
	RULE(COMPLETE, 404, NULL, EVERY_REQUEST, UNDEFINED_OBJECT, ABSENT_PROBLEM,
		 HINT("See aep.connections(): what is in another sandbox is not found. If nothing is found "
			  "at "
			  "all, check the server option base_url.")),
	RULE(COMPLETE, 409, NULL, EVERY_REQUEST, DUPLICATE_OBJECT,
		 "it conflicts with an object in Experience Platform",
		 HINT("The service's reason is in the detail. See what there is with aep.connections().")),
	RULE(COMPLETE, 412, NULL, EVERY_REQUEST, T_R_SERIALIZATION_FAILURE,
		 "it was changed by somebody else meanwhile", HINT("Read its current etag and try again.")),
	RULE(COMPLETE, 429, NULL, EVERY_REQUEST, CONFIGURATION_LIMIT_EXCEEDED,
		 "too many requests to Experience Platform",
		 HINT("Try again later. In a batch, lower the server option concurrency.")),
	RULE(COMPLETE, 3, NULL, EVERY_REQUEST, SYSTEM_ERROR, NOT_DONE_PROBLEM,
		 HINT("Redirects are not followed. Check the server option base_url, and whether a proxy "
			  "or a "
			  "login page of the network answers in the service's place.")),
	RULE(COMPLETE, 5, NULL, ANY_CHANGE, SYSTEM_ERROR, NOT_DONE_PROBLEM,
		 HINT("It may have failed after the change was made. Look in Experience Platform, and try "
			  "again if it was not.")),
	RULE(COMPLETE, 500, NULL, EVERY_REQUEST, SYSTEM_ERROR, NOT_DONE_PROBLEM,
		 HINT("Try again later. If it stays so, Adobe's support needs the request id.")),
	RULE(COMPLETE, 5, NULL, EVERY_REQUEST, SYSTEM_ERROR, NOT_DONE_PROBLEM,
		 HINT("It was tried as often as the server option max_attempts says. Try again later.")),
	RULE(COMPLETE, 0, NULL, EVERY_REQUEST, SYSTEM_ERROR, NOT_DONE_PROBLEM,
		 HINT("That is no documented answer. Check the server option base_url; see 58000 in "
			  "doc/troubleshooting.md.")),

	/* no whole answer */
	RULE(TOO_LARGE, 0, NULL, SENT_CHANGE, PROGRAM_LIMIT_EXCEEDED, "the answer is too large",
		 HINT(UNKNOWN_HINT " " SIZE_HINT)),
	RULE(TOO_LARGE, 0, NULL, EVERY_REQUEST, PROGRAM_LIMIT_EXCEEDED, "the answer is too large",
		 HINT(SIZE_HINT)),
	RULE(REFUSED, 0, NULL, SENT_CHANGE, OUTCOME_UNKNOWN, UNKNOWN_PROBLEM, HINT(UNKNOWN_HINT)),
	RULE(REFUSED, 0, NULL, EVERY_REQUEST, PROTOCOL_VIOLATION, "the answer cannot be read",
		 HINT("Look what stands between this server and Experience Platform, and check base_url "
			  "and proxy.")),
	RULE(NOT_CONNECTED, AEP_HTTP_BAD_CA_FILE, NULL, EVERY_REQUEST, NOT_CONNECTED,
		 "the file of the server option ca_file cannot be used",
		 HINT("It must exist, hold certificates in PEM form, and be readable by the operating "
			  "system's user of PostgreSQL. Another one: ALTER SERVER ... OPTIONS (SET ca_file "
			  "'...').")),
	RULE(NOT_CONNECTED, AEP_HTTP_NO_PROXY, NULL, EVERY_REQUEST, NOT_CONNECTED,
		 "could not connect through the proxy",
		 HINT("Check the server option proxy, and that the proxy lets this server pass without a "
			  "login.")),
	RULE(
		NOT_CONNECTED, AEP_HTTP_NO_NAME, NULL, TOKEN_REQUEST, NOT_CONNECTED, NOT_CONNECTED_PROBLEM,
		HINT("Check the server option token_url, and that the database server can look up names of "
			 "the internet.")),
	RULE(NOT_CONNECTED, AEP_HTTP_NO_NAME, NULL, EVERY_REQUEST, NOT_CONNECTED, NOT_CONNECTED_PROBLEM,
		 HINT("Check the server option base_url, and that the database server can look up names of "
			  "the internet.")),
	RULE(NOT_CONNECTED, AEP_HTTP_BAD_CERTIFICATE, NULL, TOKEN_REQUEST, NOT_CONNECTED,
		 NOT_CONNECTED_PROBLEM,
		 HINT("Check the server option token_url. Where a private authority or a proxy that opens "
			  "TLS "
			  "made the certificate, name a file with that authority in ca_file.")),
	RULE(
		NOT_CONNECTED, AEP_HTTP_BAD_CERTIFICATE, NULL, EVERY_REQUEST, NOT_CONNECTED,
		NOT_CONNECTED_PROBLEM,
		HINT(
			"Check the server option base_url. Where a private authority or a proxy that opens TLS "
			"made the certificate, name a file with that authority in ca_file.")),
	RULE(NOT_CONNECTED, 0, NULL, TOKEN_REQUEST, NOT_CONNECTED, NOT_CONNECTED_PROBLEM,
		 HINT("Check the server options token_url, ca_file and proxy, and the network.")),
	RULE(NOT_CONNECTED, 0, NULL, EVERY_REQUEST, NOT_CONNECTED, NOT_CONNECTED_PROBLEM,
		 HINT("Check the server options base_url, ca_file and proxy, and the network.")),
	RULE(BROKEN, 0, NULL, SENT_CHANGE, OUTCOME_UNKNOWN, UNKNOWN_PROBLEM, HINT(UNKNOWN_HINT)),
	RULE(
		BROKEN, 0, NULL, DATABASE_REQUEST, CONNECTION_FAILURE,
		"the connection failed before the answer was complete",
		HINT("Try again: nothing was changed. Experience Platform may wait for the database; if it "
			 "needs longer, raise the server option request_timeout.")),
	RULE(
		BROKEN, 0, NULL, EVERY_REQUEST, CONNECTION_FAILURE,
		"the connection failed before the answer was complete",
		HINT("Try again: nothing was changed. If the service needs longer, raise the server option "
			 "request_timeout.")),
	RULE(OUT_OF_MEMORY, 0, NULL, EVERY_REQUEST, OUT_OF_MEMORY, "out of memory",
		 NO_HINT("whose memory it was, and what would give it more, is not known here")),
};

/* "FLOW-1418" fits "FLOW-1418" and "FLOW-1418-400". */
static bool
code_fits(const char *rule, size_t len, const char *code)
{
	return strncmp(rule, code, len) == 0 && (code[len] == '\0' || code[len] == '-');
}

static bool
one_code_fits(const char *codes, const char *code)
{
	while (*codes != '\0')
	{
		size_t len = strcspn(codes, " ");

		if (code_fits(codes, len, code))
			return true;
		codes += len + strspn(codes + len, " ");
	}
	return false;
}

static bool
scope_fits(AepErrorScope scope, const AepErrorContext *context, const AepHttpExchange *exchange)
{
	bool change = aep_error_is_change(context);
	const AepFate *fate = &exchange->fate;

	switch (scope)
	{
		case EVERY_REQUEST:
			return true;
		case TOKEN_REQUEST:
			return context->token_request;
		case DATABASE_REQUEST:
			return context->reaches_database;
		case WITH_OWN_TOKEN:
			return context->token != AEP_TOKEN_FETCHED;
		case WITH_BOTH_TOKENS:
			return context->token == AEP_TOKEN_BEFORE_SECRET;
		case ANY_CHANGE:
			return change;
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

static bool
which_fits(const AepErrorRule *rule, const AepHttpExchange *exchange)
{
	if (rule->which == 0)
		return true;
	if (rule->outcome != AEP_HTTP_COMPLETE)
		return rule->which == (int) exchange->obstacle;
	return rule->which == (rule->which < 10 ? exchange->status / 100 : exchange->status);
}

const AepErrorRule *
aep_error_rule(const AepErrorContext *context, const AepHttpExchange *exchange, const char *code)
{
	for (int i = 0; i < lengthof(rules); i++)
	{
		const AepErrorRule *rule = &rules[i];

		if (rule->outcome == exchange->outcome && which_fits(rule, exchange) &&
			(rule->codes == NULL || one_code_fits(rule->codes, code)) &&
			scope_fits(rule->scope, context, exchange))
			return rule;
	}
	pg_unreachable();
}

bool
aep_error_rule_is_absence(const AepErrorRule *rule)
{
	return strcmp(rule->problem, ABSENT_PROBLEM) == 0;
}
