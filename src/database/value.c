/*
 * database/value.c
 *		What people type and paste, by kind: one rule for each.
 */
#include "postgres.h"

#include <unistd.h>

#include "miscadmin.h"
#include "utils/guc.h"

#include "database/encoding.h"
#include "database/host.h"
#include "database/value.h"
#include "http/url.h"
#include "json/reply.h"
#include "json/utf8.h"

/* What values get by being copied from somewhere. */
#define CONTROL 1	/* line ends, tabs and their like */
#define INVISIBLE 2 /* blanks beyond ASCII, and characters that show nothing */
#define FOREIGN 4	/* any character beyond ASCII */
#define QUOTED 8	/* quotes around it */
#define BLANK 16	/* a blank anywhere */
#define EDGE 32		/* a blank at its beginning or end */

/* So many bytes are looked at before interrupts are served, about. */
#define INTERRUPT_BYTES 65536

#define COPIED "Look for what was copied along with it."

/* The first that is asked for, and there, is the one to tell. */
static const struct
{
	int trait;
	AepObjection objection;
} traits[] = {
	{CONTROL, {"It holds a line end, a tab or another control character.", COPIED}},
	{INVISIBLE, {"It holds a no-break space, or a character that shows nothing.", COPIED}},
	{FOREIGN, {"It holds characters beyond ASCII.", COPIED}},
	{QUOTED, {"It stands in quotes, which are not part of it.", NULL}},
	{EDGE, {"It begins or ends with a blank.", COPIED}},
	{BLANK, {"It holds a blank.", COPIED}},
};

/* Says what is wrong with a value beyond its traits. */
typedef bool (*Check)(const char *value, AepObjection *why);

/* The rule of one kind. */
typedef struct Rule
{
	int refused; /* traits that it can never have */
	int suspect; /* those that are probably a mistake */
	Check refuse;
	Check doubt;
	/* of whole numbers */
	const char *range; /* NULL: it is none */
	int unit;		   /* GUC_UNIT_MS or the like */
	int min;
	int max;
} Rule;

static bool
object(AepObjection *why, const char *detail, const char *hint)
{
	*why = (AepObjection){detail, hint};
	return true;
}

/* Facts: 24 hexadecimal digits of an organisation, and the suffix of all of them. */
static bool
doubt_org_id(const char *value, AepObjection *why)
{
	static const char suffix[] = "@AdobeOrg";
	size_t digits = strspn(value, "0123456789ABCDEFabcdef");

	if (digits == 24 && strcmp(value + digits, suffix) == 0)
		return false;
	return object(why, "Ids of organisations are 24 hexadecimal digits and \"@AdobeOrg\".",
				  "Copy it, with \"@AdobeOrg\", from the project in the Developer Console.");
}

#define SANDBOX_NAME "Use the sandbox's name, which is not its title."

static bool
refuse_sandbox(const char *value, AepObjection *why)
{
	return strchr(value, ' ') != NULL &&
		   object(why, "It holds a blank, and no name of a sandbox does.", SANDBOX_NAME);
}

/* Facts: names of sandboxes; what the user interface shows first is the title. */
static bool
doubt_sandbox(const char *value, AepObjection *why)
{
	if (value[strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789-")] == '\0')
		return false;
	return object(why, "Names of sandboxes consist of lower-case letters, digits and hyphens.",
				  SANDBOX_NAME);
}

static bool
refuse_access_token(const char *value, AepObjection *why)
{
	if (pg_strncasecmp(value, "Bearer ", strlen("Bearer ")) == 0)
		return object(why, "It begins with \"Bearer\", which is not part of a token.",
					  "Give what follows that word.");
	if (strpbrk(value, "\"'{}") != NULL)
		return object(why, "It holds quotes or braces, and no token does.",
					  "Give the token itself, without what stands around it in an answer.");
	return false;
}

static bool
doubt_scopes(const char *value, AepObjection *why)
{
	return strchr(value, ' ') != NULL &&
		   object(why, "It holds a blank.", "Write commas, and nothing else, between scopes.");
}

static bool
refuse_host(const char *value, AepObjection *why)
{
	return aep_host_refused(value, &why->detail, &why->hint);
}

static bool
refuse_url(const char *value, AepObjection *why)
{
	*why = (AepObjection){aep_http_url_refusal(value), NULL};
	return why->detail != NULL;
}

/* Not only a name that begins like it. */
static bool
is_foundation(const char *path)
{
	size_t len = strlen(AEP_FOUNDATION_PATH);

	return pg_strncasecmp(path, AEP_FOUNDATION_PATH, len) == 0 &&
		   (path[len] == '/' || path[len] == '\0');
}

static bool
refuse_base_url(const char *value, AepObjection *why)
{
	const char *repeated = strstr(value, AEP_FOUNDATION_PATH);

	if (refuse_url(value, why))
		return true;
	return repeated != NULL && is_foundation(repeated) &&
		   object(why,
				  "It holds \"" AEP_FOUNDATION_PATH "\", which is appended with every request.",
				  "Leave that out, with all that follows: https://platform.adobe.io.");
}

static bool
doubt_token_url(const char *value, AepObjection *why)
{
	return !aep_http_url_has_path(value) &&
		   object(why, "It has no path, and Adobe's ends in \"/ims/token/v3\".", NULL);
}

static bool
refuse_proxy(const char *value, AepObjection *why)
{
	*why = (AepObjection){aep_http_proxy_refusal(value), NULL};
	return why->detail != NULL;
}

static bool
doubt_proxy(const char *value, AepObjection *why)
{
	return !aep_http_url_has_port(value) &&
		   object(why, "It names no port, and few proxies listen on the one that is assumed.",
				  "Write the port too, as in http://proxy.example.com:3128.");
}

static bool
refuse_path(const char *value, AepObjection *why)
{
	return !is_absolute_path(value) &&
		   object(why, "It must be an absolute path on the database server.", NULL);
}

/* No more than a doubt: a dump may be restored elsewhere. */
static bool
doubt_file(const char *value, AepObjection *why)
{
	return access(value, R_OK) != 0 &&
		   object(why, psprintf("The database server cannot read that file: %m."),
				  "When a call is made, it must be there, and the operating system's user of "
				  "PostgreSQL must be able to read it.");
}

/* Nothing that could lead out of there, or be read as another part of a URL. */
static bool
refuse_request_path(const char *value, AepObjection *why)
{
	if (value[0] != '/' || strstr(value, "//") != NULL || strstr(value, "..") != NULL)
		return object(why, "It must begin with a slash and hold neither \"//\" nor \"..\".",
					  "Give it as in '/flowservice/flows'.");
	/* no quote: the hint of a rollback shows it in a statement */
	for (const char *c = value; *c != '\0'; c++)
	{
		if (*c <= ' ' || *c > '~' || strchr("?#\\%'", *c) != NULL)
			return object(why,
						  "It must consist of plain ASCII characters, none of them a blank, a "
						  "quote, '?', '#', '%' or a backslash.",
						  "Parameters belong in the argument \"query\".");
	}
	return is_foundation(value) &&
		   object(why, "It is relative to \"" AEP_FOUNDATION_PATH "\", and must not repeat that.",
				  "Give it as in '/flowservice/flows'.");
}

/* JSON writes the quotes of an etag so. */
static bool
refuse_if_match(const char *value, AepObjection *why)
{
	return strstr(value, "\\\"") != NULL &&
		   object(why, "The double quotes of an etag are escaped in it.",
				  "Give it without the backslashes, and with the double quotes.");
}

/* Facts: without its quotes the service answers as if somebody had changed the connection. */
static bool
refuse_etag(const char *value, AepObjection *why)
{
	size_t len = strlen(value);

	if (refuse_if_match(value, why))
		return true;
	return !(aep_reply_is_etag(aep_to_utf8(value, "argument \"etag\"")) && len >= 2 &&
			 value[0] == '"' && value[len - 1] == '"') &&
		   object(why, "It is not an etag of Flow Service.",
				  "Give it as it was read, with its double quotes.");
}

/* Facts: those that entities have, and that errors name. */
static const char *const states[] = {"enabled", "disabled", "initializing", "draft"};

const char *
aep_value_state(const char *text)
{
	for (int i = 0; i < lengthof(states); i++)
	{
		if (pg_strcasecmp(text, states[i]) == 0)
			return states[i];
	}
	return NULL;
}

static bool
refuse_state_filter(const char *value, AepObjection *why)
{
	return aep_value_state(value) == NULL &&
		   object(why, "It is not a state that connections are documented to have.",
				  "Use enabled, disabled, initializing or draft; for any other, a condition on "
				  "the column \"state\".");
}

#define HEADER (CONTROL | FOREIGN | QUOTED | EDGE | BLANK)
#define NAME (CONTROL | INVISIBLE | QUOTED | EDGE)

/* A line end would forge a header; PostgreSQL takes any name and any password. */
static const Rule rules[] = {
	[AEP_VALUE_ORG_ID] = {.refused = HEADER, .doubt = doubt_org_id},
	[AEP_VALUE_SANDBOX] = {.refused = HEADER, .refuse = refuse_sandbox, .doubt = doubt_sandbox},
	[AEP_VALUE_API_KEY] = {.refused = HEADER},
	[AEP_VALUE_ACCESS_TOKEN] = {.refused = HEADER, .refuse = refuse_access_token},
	[AEP_VALUE_CLIENT_SECRET] = {.refused = CONTROL | INVISIBLE | EDGE,
								 .suspect = FOREIGN | QUOTED | BLANK},
	[AEP_VALUE_SCOPES] = {.refused = CONTROL | FOREIGN | QUOTED | EDGE, .doubt = doubt_scopes},
	[AEP_VALUE_ROLE] = {.suspect = NAME},
	[AEP_VALUE_NEW_ROLE] = {.refused = NAME},
	[AEP_VALUE_PASSWORD] = {.suspect = CONTROL | INVISIBLE | EDGE},
	[AEP_VALUE_DATABASE] = {.suspect = NAME},
	[AEP_VALUE_CONNECTION_NAME] = {.suspect = CONTROL | INVISIBLE | EDGE},
	[AEP_VALUE_HOST] = {.refuse = refuse_host},
	[AEP_VALUE_BASE_URL] = {.refused = HEADER, .refuse = refuse_base_url},
	[AEP_VALUE_TOKEN_URL] = {.refused = HEADER, .refuse = refuse_url, .doubt = doubt_token_url},
	[AEP_VALUE_PROXY] = {.refused = HEADER, .refuse = refuse_proxy, .doubt = doubt_proxy},
	[AEP_VALUE_CA_FILE] = {.refused = CONTROL | EDGE,
						   .suspect = INVISIBLE,
						   .refuse = refuse_path,
						   .doubt = doubt_file},
	[AEP_VALUE_REQUEST_PATH] = {.refuse = refuse_request_path},
	[AEP_VALUE_ETAG] = {.refuse = refuse_etag},
	[AEP_VALUE_IF_MATCH] = {.refused = CONTROL | FOREIGN, .refuse = refuse_if_match},
	[AEP_VALUE_STATE_FILTER] = {.refuse = refuse_state_filter},
	[AEP_VALUE_PORT] = {.range = "It must be a whole number from 1 to 65535.",
						.min = 1,
						.max = 65535},
	[AEP_VALUE_DURATION] = {.range = "It must be a time from 1ms to 1h, such as \"10s\"; without a "
									 "unit, milliseconds.",
							.unit = GUC_UNIT_MS,
							.min = 1,
							.max = 60 * 60 * 1000},
	[AEP_VALUE_SIZE] = {.range = "It must be a size from 1kB to 256MB, such as \"64MB\"; without a "
								 "unit, bytes.",
						.unit = GUC_UNIT_BYTE,
						.min = 1024,
						.max = 256 * 1024 * 1024},
	[AEP_VALUE_ATTEMPTS] = {.range = "It must be a whole number from 1 to 10.",
							.min = 1,
							.max = 10},
	[AEP_VALUE_CONCURRENCY] = {.range = "It must be a whole number from 1 to 256.",
							   .min = 1,
							   .max = 256},
};

/* What one character says of a value, its place aside. */
static int
traits_of_character(uint32 code)
{
	if (code == ' ')
		return BLANK;
	if (code < 0x80)
		return aep_utf8_is_control(code) ? CONTROL : 0;
	if (aep_utf8_is_blank(code) || aep_utf8_is_control(code) || aep_utf8_is_invisible(code))
		return FOREIGN | INVISIBLE;
	return FOREIGN;
}

static bool
is_quoted(const char *text, size_t len)
{
	return len >= 2 && strchr("\"'`", text[0]) != NULL && text[0] == text[len - 1];
}

/* In the encoding of the database, which writes ASCII as all do, or in UTF-8. */
static int
traits_of_text(const char *text)
{
	size_t len = strlen(text);
	int found = is_quoted(text, len) ? QUOTED : 0;
	size_t at = 0;

	if (len > 0 && (text[0] == ' ' || text[len - 1] == ' '))
		found |= EDGE;
	while (at < len)
	{
		uint32 code;
		size_t size = aep_utf8_read(text + at, len - at, &code);

		found |= size > 0 ? traits_of_character(code) : FOREIGN;
		at += Max(size, 1);
		if (at % INTERRUPT_BYTES == 0)
			CHECK_FOR_INTERRUPTS();
	}
	return found;
}

/* The first of those traits that the value has. */
static bool
has_trait(const char *value, int asked, AepObjection *why)
{
	const char *utf8;
	int found;

	if (asked == 0)
		return false;
	utf8 = aep_utf8_for_a_look(value);
	found = traits_of_text(value);
	if (utf8 != value)
	{
		found = (found & ~INVISIBLE) | (traits_of_text(utf8) & INVISIBLE);
		explicit_bzero(unconstify(char *, utf8), strlen(utf8)); /* it may be a secret */
	}
	for (int i = 0; i < lengthof(traits); i++)
	{
		if ((found & asked & traits[i].trait) == 0)
			continue;
		*why = traits[i].objection;
		return true;
	}
	return false;
}

bool
aep_value_refused(AepValueKind kind, const char *value, AepObjection *why)
{
	const Rule *rule = &rules[kind];

	if (value[0] == '\0')
		return object(why, "It must not be empty.", NULL);
	/* a blank inside may be part of something that can be told more exactly */
	return has_trait(value, rule->refused & ~BLANK, why) ||
		   (rule->refuse != NULL && rule->refuse(value, why)) ||
		   has_trait(value, rule->refused & BLANK, why);
}

bool
aep_value_suspect(AepValueKind kind, const char *value, AepObjection *why)
{
	const Rule *rule = &rules[kind];

	return has_trait(value, rule->suspect, why) || (rule->doubt != NULL && rule->doubt(value, why));
}

bool
aep_value_is_number(AepValueKind kind)
{
	return rules[kind].range != NULL;
}

bool
aep_value_in_range(AepValueKind kind, int number, AepObjection *why)
{
	*why = (AepObjection){rules[kind].range, NULL};
	return number >= rules[kind].min && number <= rules[kind].max;
}

bool
aep_value_number(AepValueKind kind, const char *text, int *number, AepObjection *why)
{
	const char *hint = NULL;

	if (parse_int(text, number, rules[kind].unit, &hint))
		return aep_value_in_range(kind, *number, why);
	*why = (AepObjection){rules[kind].range, hint};
	return false;
}

void
aep_suspicion_raise(const AepSuspicion *suspicion)
{
	/* a warning must not become an error for the client's encoding */
	ereport(WARNING,
			(errmsg_internal("%s", aep_for_client(suspicion->message)),
			 errdetail_internal("%s", aep_for_client(suspicion->why.detail)),
			 suspicion->why.hint != NULL ? errhint("%s", aep_for_client(suspicion->why.hint)) : 0));
}

void
aep_suspicions_raise(const List *suspicions)
{
	ListCell *cell;

	foreach (cell, suspicions)
		aep_suspicion_raise(lfirst(cell));
}
