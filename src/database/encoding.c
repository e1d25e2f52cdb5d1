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

	if (is_taken_as_it_is(encoding))
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
			*to++ = SUBSTITUTE;
			*to = '\0';
		}
	}
	return (char *) out;
}
