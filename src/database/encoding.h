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
 * palloc'd copy.  Throws 22021 for text that aep_utf8_refusal() refuses.
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

/*
 * Why text cannot be sent as UTF-8, as a sentence: a constant, or palloc'd in
 * the current context.  NULL: nothing keeps it from that, or text is NULL.
 */
extern const char *aep_utf8_refusal(const char *text);

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

/* Whether the client can be sent the text: a conversion that fails raises an error. */
extern bool aep_client_takes(const char *text);

/* With a question mark for each byte that is not ASCII: a palloc'd copy, or text itself. */
extern const char *aep_ascii(const char *text);

/*
 * Text for a message that must reach the client whatever its encoding: text
 * itself, or else what aep_ascii() makes of it.
 */
extern const char *aep_for_client(const char *text);

#endif /* AEP_ENCODING_H */
