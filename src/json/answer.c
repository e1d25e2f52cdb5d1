/*
 * json/answer.c
 *		What is a readable answer.
 */
#include <stdint.h>
#include <string.h>

#include "json/answer.h"
#include "json/utf8.h"

/* cJSON's limit; PostgreSQL's is its stack. */
#define MAX_DEPTH 1000

/*
 * PostgreSQL's reader raises an error for a number that is none of a numeric:
 * digits and exponent together stay below its scale.
 */
#define MAX_DIGITS 5000
#define MAX_EXPONENT 10000
#define MAX_ZEROS 100000000 /* that all exponents together become when written out */

/*
 * What a tree takes at most, in bytes for each sign of the text, as measured
 * with jsonb in PostgreSQL 15; cJSON takes less.  A value as small as one digit
 * costs that.  With the largest max_response_size this also keeps a list or an
 * object below what jsonb can count.
 */
#define ELEMENT_MEMORY 128 /* ',' */
#define MEMBER_MEMORY 256  /* ':' */
#define LIST_MEMORY 256
#define OBJECT_MEMORY 640
#define MEMORY_FACTOR 8
#define LEAST_MEMORY (16 * 1024 * 1024)

/* So much of the text, in bytes, between two rests. */
#define REST_AFTER (256 * 1024)

/*
 * PostgreSQL's lexer reads a string, and jsonb sorts the members of an object,
 * without a look at whether to go on: for so many in less than a second.
 */
#define MAX_TEXT (64 * 1024 * 1024)
#define MAX_MEMBERS 500000

/* HTML and plain text begin so; what begins in another way is not shown. */
#define PROSE_BEGINS "<0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

/* The pass over the text. */
typedef struct Scan
{
	const char *at;
	const char *end;
	AepAnswerStatus status;
	size_t depth;
	size_t memory; /* of a reader's tree */
	size_t zeros;
	uint32_t members[MAX_DEPTH + 1]; /* so far, of the object at each level */
	void (*rest)(void);				 /* or NULL */
	const char *rest_at;			 /* when it comes so far */
} Scan;

const char *
aep_answer_status_text(AepAnswerStatus status)
{
	switch (status)
	{
		case AEP_ANSWER_OK:
			return "was understood";
		case AEP_ANSWER_EMPTY:
			return "is empty";
		case AEP_ANSWER_NOT_UTF8:
			return "is not valid UTF-8";
		case AEP_ANSWER_NUL:
			return "holds a NUL character";
		case AEP_ANSWER_NOT_JSON:
			return "could not be read as JSON";
		case AEP_ANSWER_TOO_MANY:
			return "holds more values than max_response_size allows for";
		case AEP_ANSWER_UNWIELDY:
			return "holds a text of more than 64 MB or an object of more than 500,000 members";
		case AEP_ANSWER_FAR_TOO_MANY:
			return "holds far more values than expected";
		case AEP_ANSWER_DUPLICATE:
			return "has a member twice that must be there once";
		case AEP_ANSWER_NO_ID:
			return "has no \"id\"";
		case AEP_ANSWER_BAD_ID:
			return "has an \"id\" that is not a UUID";
		case AEP_ANSWER_BAD_ETAG:
			return "has an \"etag\" that cannot be used";
		case AEP_ANSWER_NO_TOKEN:
			return "has no usable \"access_token\"";
	}
	return "was not understood";
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static AepText
trim(const char *body, size_t len)
{
	const char *start = body;
	const char *end = body + len;

	while (start < end)
	{
		if (is_blank(*start))
			start++;
		else if (end - start >= 3 && memcmp(start, "\xef\xbb\xbf", 3) == 0)
			start += 3;
		else
			break;
	}
	while (start < end && is_blank(end[-1]))
		end--;
	return (AepText){start, end - start};
}

static void
note(Scan *scan, AepAnswerStatus fault)
{
	if (scan->status == AEP_ANSWER_OK || fault < scan->status)
		scan->status = fault;
}

/* Lets the caller see to other things now and then. */
static void
rest_sometimes(Scan *scan)
{
	if (scan->at < scan->rest_at)
		return;
	if (scan->rest != NULL)
		scan->rest();
	scan->rest_at =
		(size_t) (scan->end - scan->at) > REST_AFTER ? scan->at + REST_AFTER : scan->end;
}

/* Passes a character beyond ASCII. */
static void
pass_character(Scan *scan)
{
	uint32_t code;
	size_t size = aep_utf8_read(scan->at, scan->end - scan->at, &code);

	if (size > 0)
		scan->at += size;
	else
	{
		note(scan, AEP_ANSWER_NOT_UTF8);
		scan->at = scan->end; /* nothing matters more */
	}
}

/* The four digits of a \u escape, if one stands at a place; -1: none does. */
static int
read_u(const Scan *scan, const char *at)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	int code = 0;

	if (scan->end - at < 6 || at[0] != '\\' || at[1] != 'u')
		return -1;
	for (int i = 2; i < 6; i++)
	{
		const char *digit = memchr(digits, at[i], sizeof(digits) - 1);

		if (digit == NULL)
			return -1;
		code = code << 4 | ((digit - digits) & 0xf);
	}
	return code;
}

/*
 * Passes a backslash and what it escapes.  cJSON would end a string at \u0000,
 * and at a \u without digits.
 */
static void
pass_escape(Scan *scan)
{
	int code = read_u(scan, scan->at);

	if (code < 0)
	{
		scan->at++;
		if (scan->at < scan->end && *scan->at == 'u')
			note(scan, AEP_ANSWER_NOT_JSON);
		if (scan->at < scan->end && (*scan->at == '"' || *scan->at == '\\'))
			scan->at++;
		return;
	}
	scan->at += 6;
	if (code == 0)
		note(scan, AEP_ANSWER_NUL);
	else if (code >= 0xdc00 && code <= 0xdfff)
		note(scan, AEP_ANSWER_NOT_JSON);
	else if (code >= 0xd800 && code <= 0xdbff)
	{
		int low = read_u(scan, scan->at);

		if (low >= 0xdc00 && low <= 0xdfff)
			scan->at += 6;
		else
			note(scan, AEP_ANSWER_NOT_JSON);
	}
}

/* Do any of eight bytes mean something in a string, or are not ASCII? */
static bool
has_meaning(uint64_t eight)
{
	static const uint64_t ones = UINT64_C(0x0101010101010101);
	static const uint64_t tops = UINT64_C(0x8080808080808080);
	uint64_t quote = eight ^ ones * '"';
	uint64_t backslash = eight ^ ones * '\\';

	/* a top bit that was not there comes of a byte that was less */
	return ((eight | ((eight - ones * ' ') & ~eight) | ((quote - ones) & ~quote) |
			 ((backslash - ones) & ~backslash)) &
			tops) != 0;
}

static bool
is_plain(char c)
{
	unsigned char byte = (unsigned char) c;

	return byte >= ' ' && byte < 0x80 && c != '"' && c != '\\';
}

/* Passes characters that mean nothing; most do not. */
static void
pass_plain(Scan *scan)
{
	uint64_t eight;

	while ((size_t) (scan->end - scan->at) >= sizeof(eight))
	{
		memcpy(&eight, scan->at, sizeof(eight));
		if (has_meaning(eight))
			break;
		scan->at += sizeof(eight);
	}
	while (scan->at < scan->end && is_plain(*scan->at))
		scan->at++;
}

/* Passes a string from its opening quote on.  cJSON takes control characters. */
static void
pass_string(Scan *scan)
{
	const char *start = scan->at++;

	for (;;)
	{
		pass_plain(scan);
		if (scan->at == scan->end)
			return;
		rest_sometimes(scan);
		if (*scan->at == '"')
			break;
		if (*scan->at == '\\')
			pass_escape(scan);
		else if ((unsigned char) *scan->at >= 0x80)
			pass_character(scan);
		else
		{
			note(scan, *scan->at == '\0' ? AEP_ANSWER_NUL : AEP_ANSWER_NOT_JSON);
			scan->at++;
		}
	}
	scan->at++;
	if (scan->at - start > MAX_TEXT + 2)
		note(scan, AEP_ANSWER_UNWIELDY);
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Passes digits; returns their number. */
static size_t
pass_digits(Scan *scan)
{
	const char *start = scan->at;

	while (scan->at < scan->end && is_digit(*scan->at))
		scan->at++;
	return scan->at - start;
}

/* Passes an exponent from its e on; adds its digits. */
static void
pass_exponent(Scan *scan, size_t *digits)
{
	const char *start;
	size_t count;
	size_t exponent = 0;

	scan->at++;
	if (scan->at < scan->end && (*scan->at == '+' || *scan->at == '-'))
		scan->at++;
	start = scan->at;
	count = pass_digits(scan);
	*digits += count;
	for (size_t i = 0; i < count && exponent <= MAX_EXPONENT; i++)
		exponent = exponent * 10 + (start[i] - '0');
	scan->zeros += exponent;
	if (count == 0 || exponent > MAX_EXPONENT || scan->zeros > MAX_ZEROS)
		note(scan, AEP_ANSWER_NOT_JSON);
}

/* Passes a number.  cJSON takes others than JSON has: 01, 1., 1.e5. */
static void
pass_number(Scan *scan)
{
	const char *start;
	size_t digits;

	if (*scan->at == '-')
		scan->at++;
	start = scan->at;
	digits = pass_digits(scan);
	if (digits == 0 || (digits > 1 && *start == '0'))
		note(scan, AEP_ANSWER_NOT_JSON);
	if (scan->at < scan->end && *scan->at == '.')
	{
		size_t fraction;

		scan->at++;
		fraction = pass_digits(scan);
		digits += fraction;
		if (fraction == 0)
			note(scan, AEP_ANSWER_NOT_JSON);
	}
	if (scan->at < scan->end && (*scan->at == 'e' || *scan->at == 'E'))
		pass_exponent(scan, &digits);
	if (digits > MAX_DIGITS)
		note(scan, AEP_ANSWER_NOT_JSON);
}

static void
enter(Scan *scan, size_t memory)
{
	scan->memory += memory;
	if (++scan->depth > MAX_DEPTH)
		note(scan, AEP_ANSWER_NOT_JSON);
	else
		scan->members[scan->depth] = 0;
}

static void
count_member(Scan *scan)
{
	scan->memory += MEMBER_MEMORY;
	if (scan->depth <= MAX_DEPTH && ++scan->members[scan->depth] > MAX_MEMBERS)
		note(scan, AEP_ANSWER_UNWIELDY);
}

/* Passes what stands outside of strings and numbers. */
static void
pass_sign(Scan *scan)
{
	char c = *scan->at++;

	switch (c)
	{
		case ',':
			scan->memory += ELEMENT_MEMORY;
			break;
		case ':':
			count_member(scan);
			break;
		case '[':
			enter(scan, LIST_MEMORY);
			break;
		case '{':
			enter(scan, OBJECT_MEMORY);
			break;
		case ']':
		case '}':
			if (scan->depth > 0)
				scan->depth--;
			break;
		case '\0':
			note(scan, AEP_ANSWER_NUL);
			break;
		default:
			if (c < ' ' && !is_blank(c)) /* blanks for cJSON */
				note(scan, AEP_ANSWER_NOT_JSON);
	}
}

/* Passes what can stand in strings only; cJSON passes over a byte order mark. */
static void
pass_misplaced(Scan *scan)
{
	note(scan, AEP_ANSWER_NOT_JSON);
	if (*scan->at == '\\')
		pass_escape(scan);
	else
		pass_character(scan);
}

AepAnswerStatus
aep_answer_check(const char *body, size_t len, size_t max_size, void (*rest)(void), AepText *text)
{
	AepText trimmed = {body, 0};
	Scan scan = {.status = AEP_ANSWER_OK, .rest = rest};
	size_t max_memory = LEAST_MEMORY;

	if (len > 0)
		trimmed = trim(body, len);
	if (trimmed.len == 0)
		return AEP_ANSWER_EMPTY;
	scan.at = scan.rest_at = trimmed.data;
	scan.end = trimmed.data + trimmed.len;
	while (scan.at < scan.end)
	{
		rest_sometimes(&scan);
		if (*scan.at == '"')
			pass_string(&scan);
		else if (*scan.at == '-' || is_digit(*scan.at))
			pass_number(&scan);
		else if (*scan.at == '\\' || (unsigned char) *scan.at >= 0x80)
			pass_misplaced(&scan);
		else
			pass_sign(&scan);
	}
	/* cJSON before 1.7.18 reads one byte too far there */
	if (scan.end[-1] == ',')
		note(&scan, AEP_ANSWER_NOT_JSON);
	if (max_size > LEAST_MEMORY / MEMORY_FACTOR)
		max_memory = max_size * MEMORY_FACTOR;
	if (scan.memory > max_memory)
		note(&scan, AEP_ANSWER_TOO_MANY);
	if (scan.status == AEP_ANSWER_OK)
		*text = trimmed;
	return scan.status;
}

/* A quote, and a colon behind it: the end of a member's name, also within text. */
static bool
has_member(const char *body, size_t len)
{
	const char *end = body + len;
	const char *at = body;

	while ((at = memchr(at, '"', end - at)) != NULL)
	{
		at++;
		while (at < end && (is_blank(*at) || *at == '\0'))
			at++;
		if (at < end && *at == ':')
			return true;
	}
	return false;
}

bool
aep_answer_may_be_json(const char *body, size_t len)
{
	size_t at = 0;

	/* byte order marks of all encodings, and the NULs of some */
	while (at < len && (body[at] <= ' ' || body[at] > '~'))
		at++;
	if (at == len)
		return false;
	return memchr(PROSE_BEGINS, body[at], sizeof(PROSE_BEGINS) - 1) == NULL ||
		   has_member(body, len);
}
