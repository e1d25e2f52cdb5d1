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

/* So many bytes are converted at once: a large text takes a while, and can be cancelled. */
#define SLICE 4096

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

/*
 * How much of a text, of which that many bytes are left, is converted next.  It
 * ends before an ASCII character, if there is one, since others may belong
 * together (in EUC_JIS_2004 a letter and its accent are one character).
 */
static int
slice_length(const unsigned char *text, int left)
{
	int slice = SLICE;

	if (left <= SLICE)
		return left;
	while (slice > 0 && (text[slice] & 0x80) != 0)
		slice--;
	if (slice > 0)
		return slice;
	slice = SLICE;
	while (slice > SLICE - MAX_MULTIBYTE_CHAR_LEN && (text[slice] & 0xc0) == 0x80)
		slice--;
	return slice;
}

const char *
aep_from_utf8(const char *text)
{
	const unsigned char *from = (const unsigned char *) text;
	int left = (int) strlen(text);
	int encoding = GetDatabaseEncoding();
	unsigned char converted[SLICE * MAX_CONVERSION_GROWTH + 1];
	StringInfoData result;
	Oid proc;

	if (encoding == PG_UTF8 || encoding == PG_SQL_ASCII || pg_is_ascii(text))
		return text;
	proc = FindDefaultConversionProc(PG_UTF8, encoding);
	if (!OidIsValid(proc))
		return text;

	/* the conversion stops at what it cannot map: step over that and go on */
	initStringInfo(&result);
	while (left > 0)
	{
		int slice = slice_length(from, left);
		int done = pg_do_encoding_conversion_buf(proc, PG_UTF8, encoding,
												 unconstify(unsigned char *, from), slice,
												 converted, sizeof(converted), true);

		appendStringInfoString(&result, (char *) converted);
		if (done < slice)
		{
			appendStringInfoChar(&result, '?');
			done += Min(pg_utf_mblen(from + done), slice - done);
		}
		from += done;
		left -= done;
		if (left > 0)
			CHECK_FOR_INTERRUPTS();
	}
	return result.data;
}
