/*
 * sql/request.c
 *		aep.request(): any call of the platform's gateway, signed like our own.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/formatting.h"
#include "utils/fmgrprotos.h"

#include "compat.h"
#include "database/encoding.h"
#include "database/hidden_statement.h"
#include "platform/document.h"
#include "platform/flow_service.h"
#include "sql/argument.h"
#include "sql/row.h"

/* Positions of the arguments. */
enum
{
	ARG_METHOD,
	ARG_PATH,
	ARG_QUERY,
	ARG_BODY,
	ARG_HEADERS,
	ARG_SERVER
};

static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE"};

/* What only the extension sets: credentials, and what frames a request. */
static const char *const reserved_headers[] = {
	"authorization",
	"x-api-key",
	"x-sandbox-id",
	"x-gw-ims-org-id",
	"x-sandbox-name",
	"host",
	"content-length",
	"connection",
	"transfer-encoding",
	"expect",
	"te",
	"proxy-connection",
	"upgrade",
	"trailer",
	"accept-encoding",
};

/* Each one costs libcurl a walk over those before it. */
#define MAX_HEADERS 100

/* Pairs of a jsonb object. */
typedef struct Pairs
{
	const char *argument; /* for errors */
	const char **names;
	const char **values;
	int count;
	int space;
} Pairs;

static const char *
read_method(FunctionCallInfo fcinfo)
{
	const char *given = aep_argument_text_required(fcinfo, ARG_METHOD, "method");

	for (int i = 0; i < lengthof(methods); i++)
	{
		if (pg_strcasecmp(given, methods[i]) == 0)
			return methods[i];
	}
	aep_argument_refused("method", "It is not a method of Experience Platform's services.",
						 "Use GET, POST, PUT, PATCH or DELETE.");
}

static const char *
read_path(FunctionCallInfo fcinfo)
{
	const char *path = aep_argument_text_required(fcinfo, ARG_PATH, "path");

	aep_argument_check("path", AEP_VALUE_REQUEST_PATH, path);
	return path;
}

static void
add_pair(Pairs *pairs, const char *name, const JsonbValue *value)
{
	char *text;

	CHECK_FOR_INTERRUPTS();
	switch (value->type)
	{
		case jbvString:
			text = pnstrdup(value->val.string.val, value->val.string.len);
			break;
		case jbvNumeric:
			text = DatumGetCString(
				DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
			break;
		case jbvBool:
			text = value->val.boolean ? "true" : "false";
			break;
		default:
			aep_argument_refused(pairs->argument,
								 "Its values must be strings, numbers or booleans.", NULL);
	}
	if (pairs->count == pairs->space)
	{
		pairs->space = Max(8, pairs->space * 2);
		pairs->names = pairs->names == NULL ? palloc(pairs->space * sizeof(char *))
											: repalloc(pairs->names, pairs->space * sizeof(char *));
		pairs->values = pairs->values == NULL
							? palloc(pairs->space * sizeof(char *))
							: repalloc(pairs->values, pairs->space * sizeof(char *));
	}
	pairs->names[pairs->count] = name;
	pairs->values[pairs->count] = aep_to_utf8(text, pairs->argument);
	pairs->count++;
}

/* Reads {"name": value, ...}; an array gives the name several times. */
static void
read_pairs(FunctionCallInfo fcinfo, int number, const char *argument, Pairs *pairs)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue value;
	const char *name = "";
	Jsonb *object;

	*pairs = (Pairs){.argument = argument};
	if (PG_ARGISNULL(number))
		return;
	object = PG_GETARG_JSONB_P(number);
	if (!JB_ROOT_IS_OBJECT(object))
		aep_argument_refused(argument, "It must be a JSON object of names and values.", NULL);
	iterator = JsonbIteratorInit(&object->root);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			name = pnstrdup(value.val.string.val, value.val.string.len);
		else if (token == WJB_VALUE && value.type == jbvBinary &&
				 JsonContainerIsArray(value.val.binary.data))
		{
			for (uint32 i = 0; i < JsonContainerSize(value.val.binary.data); i++)
				add_pair(pairs, name, getIthJsonbValueFromContainer(value.val.binary.data, i));
		}
		else if (token == WJB_VALUE)
			add_pair(pairs, name, &value);
	}
}

/* Characters that may be in a header's name (RFC 9110) or a parameter's. */
static bool
is_token(const char *name)
{
	return name[0] != '\0' &&
		   strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") ==
			   strlen(name);
}

static AepHttpParameter *
read_query(FunctionCallInfo fcinfo, int *count)
{
	AepHttpParameter *query;
	Pairs pairs;

	read_pairs(fcinfo, ARG_QUERY, "query", &pairs);
	query = palloc0((pairs.count + 1) * sizeof(AepHttpParameter));
	for (int i = 0; i < pairs.count; i++)
	{
		if (!is_token(pairs.names[i]))
			aep_argument_refused("query",
								 "Its names must consist of letters, digits, '-', '_' "
								 "and '.'.",
								 NULL);
		query[i] = (AepHttpParameter){.name = pairs.names[i], .value = pairs.values[i]};
	}
	*count = pairs.count;
	return query;
}

/* Reads the further headers; takes the etag of If-Match out of them. */
static AepHttpHeader *
read_headers(FunctionCallInfo fcinfo, int *count, const char **etag)
{
	AepHttpHeader *headers;
	Pairs pairs;

	read_pairs(fcinfo, ARG_HEADERS, "headers", &pairs);
	if (pairs.count > MAX_HEADERS)
		aep_argument_refused("headers", "It holds more headers than any service takes.",
							 "Give " CppAsString2(MAX_HEADERS) " at most.");
	headers = palloc0((pairs.count + 1) * sizeof(AepHttpHeader));
	*count = 0;
	*etag = NULL;
	for (int i = 0; i < pairs.count; i++)
	{
		if (!is_token(pairs.names[i]))
			aep_argument_refused("headers", "It holds a name that no header can have.", NULL);
		for (const char *c = pairs.values[i]; *c != '\0'; c++)
		{
			if (*c < ' ' || *c > '~')
				aep_argument_refused("headers",
									 "Its values must consist of printable ASCII "
									 "characters.",
									 NULL);
		}
		/* libcurl leaves out a header without a value */
		if (strspn(pairs.values[i], " ") == strlen(pairs.values[i]))
			aep_argument_refused("headers", "Its values must not be empty.", NULL);
		if (pg_strcasecmp(pairs.names[i], "if-match") == 0)
		{
			aep_argument_check("headers", AEP_VALUE_IF_MATCH, pairs.values[i]);
			*etag = pairs.values[i];
			continue;
		}
		for (int j = 0; j < lengthof(reserved_headers); j++)
		{
			if (pg_strcasecmp(pairs.names[i], reserved_headers[j]) == 0)
				aep_argument_refused(
					"headers",
					psprintf("The header \"%s\" is set by the extension.", reserved_headers[j]),
					NULL);
		}
		headers[(*count)++] = (AepHttpHeader){pairs.names[i], pairs.values[i]};
	}
	return headers;
}

/* Any text of the body may be a secret. */
static void
hide_texts(Jsonb *body)
{
	JsonbIterator *iterator = JsonbIteratorInit(&body->root);
	JsonbIteratorToken token;
	JsonbValue value;

	while ((token = JsonbIteratorNext(&iterator, &value, false)) != WJB_DONE)
	{
		CHECK_FOR_INTERRUPTS();
		if ((token == WJB_VALUE || token == WJB_ELEM) && value.type == jbvString)
			aep_hide_secret(value.val.string.val, value.val.string.len);
	}
}

static void
read_body(FunctionCallInfo fcinfo, AepCall *call)
{
	char *text;
	const char *utf8;

	if (PG_ARGISNULL(ARG_BODY))
		return;
	hide_texts(PG_GETARG_JSONB_P(ARG_BODY));
	/* it may hold a password: no copy stays */
	text = DatumGetCString(DirectFunctionCall1(jsonb_out, PG_GETARG_DATUM(ARG_BODY)));
	utf8 = aep_to_utf8(text, "argument \"body\"");
	if (!aep_buffer_append(&call->body, utf8, strlen(utf8)))
		aep_call_out_of_memory();
	if (utf8 != text)
		explicit_bzero(unconstify(char *, utf8), strlen(utf8));
	explicit_bzero(text, strlen(text));
}

/* The path without slashes at its end: what was created is behind it. */
static const char *
collection_of(const char *path)
{
	size_t len = strlen(path);

	while (len > 0 && path[len - 1] == '/')
		len--;
	return pnstrdup(path, len);
}

/* A POST that creates nothing. */
static bool
only_asks(const char *path)
{
	const char *last = strrchr(path, '/');

	return strcmp(last, "/search") == 0 || strcmp(last, "/action") == 0;
}

/*
 * A refusal is an answer, but after an attempt that was not refused it says
 * nothing of the outcome.  Only that a second deletion finds nothing is no
 * riddle.
 */
static bool
says_nothing(const AepCall *call, const AepHttpExchange *answer, const AepError *error)
{
	return error->sqlstate == ERRCODE_TRANSACTION_RESOLUTION_UNKNOWN && answer->status / 100 == 4 &&
		   !(strcmp(call->context.method, "DELETE") == 0 && aep_error_says_absent(answer));
}

static void
note_created(AepCall *call, const char *id)
{
	aep_pending_created(call->pending, id);
	call->pending = NULL;
}

/* Raises what leaves no answer to show; notes what a POST has created, if it says so at once. */
static void
settle(AepCall *call)
{
	const AepHttpExchange *answer = aep_call_answer(call);
	AepCreated created;
	AepError error;

	if (!aep_call_succeeded(call, &error))
	{
		if (answer == NULL || says_nothing(call, answer, &error))
			aep_error_raise(&error);
	}
	else if (call->pending != NULL)
	{
		/* an action on something that exists answers with an id as well */
		aep_reply_created(answer->body.data, answer->body.len, &created);
		if (created.id[0] != '\0')
			note_created(call, created.id);
	}
}

/*
 * Facts: some services answer with a list of the one that was created, or name
 * it in the header Location only.  NULL: none of ours.
 */
static const char *
created_id(AepCall *call, Jsonb *body)
{
	char *located = palloc(sizeof(((AepCreated *) NULL)->id));
	const char *id = NULL;

	if (body != NULL)
	{
		Jsonb *first = aep_document_first(aep_document_member(&body->root, "items"));

		id = aep_document_text(first != NULL ? &first->root : &body->root, "id");
	}
	if (id != NULL && aep_reply_is_uuid(id))
		return id;
	return aep_call_location_id(call, located) ? located : NULL;
}

/* What is not JSON comes back as a JSON string, so that nothing is lost. */
static Jsonb *
answer_body(AepCall *call)
{
	const AepBuffer *body = &call->exchange->body;
	const char *why;
	Jsonb *document;

	if (body->len == 0)
		return NULL;
	document = aep_document_parse(call->exchange, NULL, &why);
	return document != NULL ? document : aep_document_string(body->data, body->len);
}

static void
push_header(const char *name, const char *value, void *arg)
{
	JsonbInState *state = arg;

	CHECK_FOR_INTERRUPTS();
	aep_document_push_member(state, asc_tolower(name, strlen(name)), value);
}

static Jsonb *
answer_headers(AepCall *call)
{
	JsonbInState state = {0};

	aep_push_jsonb(&state, WJB_BEGIN_OBJECT, NULL);
	aep_http_each_header(call->exchange, push_header, &state);
	aep_push_jsonb(&state, WJB_END_OBJECT, NULL);
	return JsonbValueToJsonb(state.result);
}

/*
 * A request can move any connection of the sandbox to a host of the caller's, and
 * so bring its login there, that of this mapping too.
 */
static void
check_mapping(const AepServer *server)
{
	if (aep_server_hides_mapping(server))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for aep.request with the user mapping of PUBLIC"),
				 errdetail("It gives the whole power of the mapping's credential, which is for "
						   "those to use who may see it."),
				 errhint("Use a user mapping of your own, or a SECURITY DEFINER function that "
						 "makes the request which you need.")));
}

AEP_SQL_FUNCTION(aep_request);

/* aep.request(method, path, query, body, headers, server) -> (status, etag, headers, body) */
Datum
aep_request(PG_FUNCTION_ARGS)
{
	const AepServer *server;
	const char *method;
	const char *path;
	const char *etag;
	AepHiddenStatement hidden;
	AepCall *call;
	Jsonb *body;
	Datum result;
	AepRow row;

	aep_row_begin(&row, fcinfo);
	aep_hide_statement(&hidden);
	server = aep_server_get(aep_argument_server(fcinfo, ARG_SERVER), false);
	check_mapping(server);
	method = read_method(fcinfo);
	path = read_path(fcinfo);
	call = aep_call_begin(server, method, path, psprintf("%s %s", method, aep_quotable(path)));
	call->query = read_query(fcinfo, &call->nquery);
	call->headers = read_headers(fcinfo, &call->nheaders, &call->etag);
	read_body(fcinfo, call);
	call->context.hides_answer = true; /* it may repeat anything that was given */
	if (strcmp(method, "POST") == 0 && !only_asks(path))
		call->pending = aep_pending_register("object", collection_of(path), path, server->name);
	aep_call_wait(call);
	settle(call);

	/* a large answer takes a while, and may be given up */
	body = answer_body(call);
	if (call->pending != NULL)
		note_created(call, created_id(call, body));
	etag = aep_http_header(call->exchange, "etag");
	if (etag != NULL)
		etag = aep_from_utf8(aep_reply_is_etag(etag) ? etag : "");
	else if (body != NULL)
		etag = aep_document_text(&body->root, "etag");
	aep_row_integer(&row, call->exchange->status);
	aep_row_text(&row, etag);
	aep_row_jsonb(&row, answer_headers(call));
	aep_row_jsonb(&row, body);
	result = aep_row_datum(&row);
	aep_show_statement(&hidden);
	PG_RETURN_DATUM(result);
}
