/*
 * database/encoding.c
 *		Text to and from UTF-8.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "common/string.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"

#include "database/encoding.h"

/* Bytes that are converted at once: it takes MAX_CONVERSION_GROWTH times the room. */
#define MAX_PIECE (64 * 1024)

/* Bytes of a text that a message quotes. */
#define MAX_QUOTED 120

/* Bytes of a text that are enough to see what kind of characters it has. */
#define MAX_LOOK 65536

/* Where text is converted only to see whether it can be. */
#define SCRATCH_SIZE 16384

/* Whether all of a text is valid, and has an equivalent in the other encoding. */
static bool
is_convertible(const char *text, int from, int to)
{
	unsigned char scratch[SCRATCH_SIZE];
	int left = (int) strlen(text);
	Oid proc = FindDefaultConversionProc(from, to);

	while (left > 0 && OidIsValid(proc))
	{
		/* takes as much at once as there is room for in the worst case */
		int done = pg_do_encoding_conversion_buf(
			proc, from, to, unconstify(unsigned char *, (const unsigned char *) text), left,
			scratch, sizeof(scratch), true);

		if (done == 0)
			break;
		text += done;
		left -= done;
		if (left > 0)
			CHECK_FOR_INTERRUPTS();
	}
	explicit_bzero(scratch, sizeof(scratch));
	return left == 0;
}

/*
 * Text of a UTF8 database was verified when it came in, but for what is shared
 * among databases, such as their names, and what stands in a file.  With
 * SQL_ASCII PostgreSQL takes any bytes, and does not convert them.
 */
const char *
aep_utf8_refusal(const char *text)
{
	int encoding = GetDatabaseEncoding();

	if (text == NULL || pg_is_ascii(text))
		return NULL;
	if (encoding == PG_UTF8 || encoding == PG_SQL_ASCII)
	{
		if (pg_verify_mbstr(PG_UTF8, text, (int) strlen(text), true))
			return NULL;
		return encoding == PG_UTF8
				   ? "It is not valid UTF-8."
				   : "It is not valid UTF-8. The database's encoding is SQL_ASCII, so its text is "
					 "sent to Experience Platform as it is.";
	}
	if (is_convertible(text, encoding, PG_UTF8))
		return NULL;
	return psprintf("It holds a character of the database's encoding, %s, that PostgreSQL cannot "
					"convert to UTF-8.",
					GetDatabaseEncodingName());
}

bool
aep_can_be_utf8(const char *text)
{
	return aep_utf8_refusal(text) == NULL;
}

const char *
aep_to_utf8(const char *text, const char *what)
{
	const char *refusal;

	if (text == NULL || pg_is_ascii(text))
		return text;

	/* asked here, since PostgreSQL's own error would show the bytes */
	refusal = aep_utf8_refusal(text);
	if (refusal != NULL)
		ereport(ERROR, (errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
						errmsg("%s cannot be sent as UTF-8", what), errdetail("%s", refusal)));
	return pg_server_to_any(text, (int) strlen(text), PG_UTF8);
}

/* What stands for a character that the encoding does not have. */
#define SUBSTITUTE '?'

static bool
is_taken_as_it_is(int encoding)
{
	return encoding == PG_UTF8 || encoding == PG_SQL_ASCII;
}

bool
aep_is_exact(const char *text)
{
	return is_taken_as_it_is(GetDatabaseEncoding()) || strchr(text, SUBSTITUTE) == NULL;
}

/* How much of valid UTF-8 to convert next. */
static int
next_piece(const unsigned char *from, size_t left)
{
	int len = MAX_PIECE;

	if (left <= MAX_PIECE)
		return (int) left;
	/* best before ASCII: to EUC_JIS_2004 some pairs of characters are one */
	while (len > 0 && IS_HIGHBIT_SET(from[len]))
		len--;
	if (len > 0)
		return len;
	len = MAX_PIECE;
	while ((from[len] & 0xc0) == 0x80)
		len--;
	return len;
}

/* Appends a piece as text of the database, converted at a place with the room for it. */
static void
append_piece(StringInfo result, Oid proc, const unsigned char *from, int len,
			 unsigned char *converted, int room)
{
	while (len > 0)
	{
		int done = pg_do_encoding_conversion_buf(proc, PG_UTF8, GetDatabaseEncoding(),
												 unconstify(unsigned char *, from), len, converted,
												 room, true);

		appendStringInfoString(result, (char *) converted);
		/* it stops at what it cannot map: step over that and go on */
		if (done < len)
		{
			appendStringInfoChar(result, SUBSTITUTE);
			done += Min(pg_utf_mblen(from + done), len - done);
		}
		from += done;
		len -= done;
	}
}

bool
aep_client_takes(const char *text)
{
	int client = pg_get_client_encoding();
	int server = GetDatabaseEncoding();

	if (pg_is_ascii(text) || client == server || client == PG_SQL_ASCII)
		return true;
	if (server == PG_SQL_ASCII)
		return pg_verify_mbstr(client, text, (int) strlen(text), true);
	return is_convertible(text, server, client);
}

const char *
aep_ascii(const char *text)
{
	char *copy;

	if (pg_is_ascii(text))
		return text;
	copy = pstrdup(text);
	for (char *c = copy; *c != '\0'; c++)
	{
		if (IS_HIGHBIT_SET(*c))
			*c = '?';
	}
	return copy;
}

const char *
aep_for_client(const char *text)
{
	return aep_client_takes(text) ? text : aep_ascii(text);
}

const char *
aep_from_utf8(const char *text)
{
	const unsigned char *from = (const unsigned char *) text;
	size_t left = strlen(text);
	int encoding = GetDatabaseEncoding();
	int room = (int) Min(left, MAX_PIECE) * MAX_CONVERSION_GROWTH + 1;
	unsigned char *converted;
	StringInfoData result;
	Oid proc;

	if (is_taken_as_it_is(encoding))
		return text;
	proc = FindDefaultConversionProc(PG_UTF8, encoding);
	if (!OidIsValid(proc))
		return aep_ascii(text);

	converted = palloc(room);
	initStringInfo(&result);
	while (left > 0)
	{
		int len = next_piece(from, left);

		CHECK_FOR_INTERRUPTS();
		append_piece(&result, proc, from, len, converted, room);
		from += len;
		left -= len;
	}
	pfree(converted);
	return result.data;
}

const char *
aep_utf8_for_a_look(const char *text)
{
	int encoding = GetDatabaseEncoding();
	int len;
	unsigned char *utf8;
	Oid proc;

	if (encoding == PG_UTF8 || encoding == PG_SQL_ASCII || pg_is_ascii(text))
		return text;
	proc = FindDefaultConversionProc(encoding, PG_UTF8);
	if (!OidIsValid(proc))
		return text;
	len = pg_encoding_mbcliplen(encoding, text, (int) strnlen(text, 2 * MAX_LOOK), MAX_LOOK);
	utf8 = palloc0(len * MAX_CONVERSION_GROWTH + 1);
	(void) pg_do_encoding_conversion_buf(proc, encoding, PG_UTF8,
										 unconstify(unsigned char *, (const unsigned char *) text),
										 len, utf8, len * MAX_CONVERSION_GROWTH + 1, true);
	return (char *) utf8;
}

const char *
aep_quotable(const char *text)
{
	/* text of a SQL_ASCII database is UTF-8 if it is anything */
	int encoding = GetDatabaseEncoding() == PG_SQL_ASCII ? PG_UTF8 : GetDatabaseEncoding();
	int shown = pg_encoding_mbcliplen(encoding, text, (int) strlen(text), MAX_QUOTED);

	return text[shown] == '\0' ? text : psprintf("%.*s...", shown, text);
}
