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

/* Bytes of a text that a message quotes. */
#define MAX_QUOTED 120

/* Bytes of a text that are enough to see what kind of characters it has. */
#define MAX_LOOK 65536

/* With SQL_ASCII PostgreSQL takes any bytes, and does not convert them. */
bool
aep_can_be_utf8(const char *text)
{
	return text == NULL || GetDatabaseEncoding() != PG_SQL_ASCII ||
		   pg_verify_mbstr(PG_UTF8, text, (int) strlen(text), true);
}

const char *
aep_to_utf8(const char *text, const char *what)
{
	/* text of a UTF8 database was verified when it came in; ASCII is the same in all */
	if (text == NULL || GetDatabaseEncoding() == PG_UTF8 || pg_is_ascii(text))
		return text;

	/* asked here, since PostgreSQL's own error would show the bytes */
	if (!aep_can_be_utf8(text))
		ereport(ERROR, (errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
						errmsg("%s is not valid UTF-8", what),
						errdetail("The database's encoding is SQL_ASCII, so its text is sent to "
								  "Experience Platform as it is, and must be UTF-8.")));
	return pg_server_to_any(text, (int) strlen(text), PG_UTF8);
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
		return text;

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
