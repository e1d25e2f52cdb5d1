/*
 * database/encoding.h
 *		Between the database's encoding and UTF-8, which is what JSON and Flow
 *		Service speak.
 */
#ifndef AEP_ENCODING_H
#define AEP_ENCODING_H

/*
 * Text of the database as UTF-8; "what" names it in the error, its value never
 * appears.  Returns text itself where nothing has to be converted, else a
 * palloc'd copy.  Throws 22021 for text of a SQL_ASCII database that is not
 * valid UTF-8.
 */
extern const char *aep_to_utf8(const char *text, const char *what);

/*
 * The same for a look at what kind of characters a text has: never throws for
 * what it holds, ends before what cannot be converted, and is not longer than
 * such a look is worth.  Text itself, or a palloc'd copy.
 */
extern const char *aep_utf8_for_a_look(const char *text);

/*
 * A text as a message quotes it: itself if it is short, else its beginning and
 * "...", palloc'd.
 */
extern const char *aep_quotable(const char *text);

/* Whether aep_to_utf8() takes the text; NULL is fine. */
extern bool aep_can_be_utf8(const char *text);

/*
 * Valid UTF-8 as text of the database: a palloc'd copy, or text itself.  What
 * the encoding cannot hold becomes '?': used for messages, which must not be
 * lost to a conversion error.
 */
extern const char *aep_from_utf8(const char *text);

/*
 * Whether text that aep_from_utf8() made can go back as what it was; false also
 * for one that had a '?' from the beginning.
 */
extern bool aep_is_exact(const char *text);

#endif /* AEP_ENCODING_H */
