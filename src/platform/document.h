/*
 * platform/document.h
 *		JSON answers as jsonb, and reading members of them.
 *
 * PostgreSQL's own reader, so numbers of any size survive.  Text is in the
 * database's encoding.
 */
#ifndef AEP_DOCUMENT_H
#define AEP_DOCUMENT_H

#include "datatype/timestamp.h"
#include "utils/jsonb.h"

#include "compat.h"
#include "http/http.h"
#include "platform/parse.h"

/*
 * The body of an answer as jsonb, in the current context; if a list is wanted,
 * what is around it, its elements taken, as parse.h says.  NULL if it is not JSON,
 * or does not pass answer.h's gate, and then *why completes "The answer ..."; some
 * elements may have been taken.  Interrupts are served all the time.
 */
extern Jsonb *aep_document_parse(const AepHttpExchange *answer, const AepList *list,
								 const char **why);

/* A member that is an object or array; NULL if there is none, or *object is NULL. */
extern JsonbContainer *aep_document_member(JsonbContainer *object, const char *name);

/*
 * The first element of an array as a value of its own, if it is an object or
 * array; NULL if not, and for anything but an array.
 */
extern Jsonb *aep_document_first(JsonbContainer *array);

/* Any bytes as a JSON string: as they are if they are UTF-8, else as far as can be shown. */
extern Jsonb *aep_document_string(const char *data, size_t len);

/* Adds a member to an object being built; the value likewise. */
extern void aep_document_push_member(JsonbInState *state, const char *name, const char *value);

/*
 * A copy in which the value at the path, if it is there, is masked: an object
 * keeps the names of all its members, and the values of those that are shown, if
 * they are scalars; anything else is masked whole.
 */
extern Jsonb *aep_document_mask(Jsonb *document, const char *const *path, int depth,
								const char *const *shown, int nshown);

/* A member's text, palloc'd: a string, or a number or boolean as it is written. */
extern char *aep_document_text(JsonbContainer *object, const char *name);

/* Whether a member has another text than ours; a hidden one counts as ours, and NULL as any. */
extern bool aep_document_shows_other(JsonbContainer *object, const char *name, const char *ours);

/* What the service sent as a part of a message: printable, on one line, cut. */
extern const char *aep_document_one_line(const char *text);

/* The name of a member that is not among the known ones; NULL: there is none. */
extern const char *aep_document_unknown_member(JsonbContainer *object, const char *const *known,
											   int count);

/* The "id" of an entity; raises 08P01 if it has none, or one that is no uuid. */
extern char *aep_document_id(JsonbContainer *entity);

/* A member that is a boolean; false if there is none. */
extern bool aep_document_boolean(JsonbContainer *object, const char *name, bool *is_null);

/* A member that is a number; *is_null if there is none that fits. */
extern int64 aep_document_integer(JsonbContainer *object, const char *name, bool *is_null);

/* Milliseconds since 1970, as Flow Service writes times; *is_null likewise. */
extern TimestampTz aep_document_time(JsonbContainer *object, const char *name, bool *is_null);

#endif /* AEP_DOCUMENT_H */
