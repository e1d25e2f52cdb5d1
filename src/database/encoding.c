/*
 * database/encoding.c
 *		Text to and from UTF-8.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "common/string.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"

#include "database/encoding.h"

/* Characters that cannot be converted take time each, so large texts can be cancelled. */
#define SKIPPED_AT_ONCE 10000

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
	int left = (int) strlen(text);
	int encoding = GetDatabaseEncoding();
	unsigned char *out;
	unsigned char *to;
	int skipped = 0;
	Oid proc;

	if (encoding == PG_UTF8 || encoding == PG_SQL_ASCII)
		return text;
	proc = FindDefaultConversionProc(PG_UTF8, encoding);
	if (!OidIsValid(proc))
		return aep_ascii(text);

	/* the conversion stops at what it cannot map: step over that and go on */
	out = palloc((Size) left * MAX_CONVERSION_GROWTH + 1);
	to = out;
	*to = '\0';
	while (left > 0)
	{
		int done = pg_do_encoding_conversion_buf(proc, PG_UTF8, encoding,
												 unconstify(unsigned char *, from), left, to,
												 left * MAX_CONVERSION_GROWTH + 1, true);

		from += done;
		left -= done;
		to += strlen((char *) to);
		if (left > 0)
		{
			int skip = Min(pg_utf_mblen(from), left);

			if (++skipped % SKIPPED_AT_ONCE == 0)
				CHECK_FOR_INTERRUPTS();
			from += skip;
			left -= skip;
			*to++ = '?';
			*to = '\0';
		}
	}
	return (char *) out;
}
