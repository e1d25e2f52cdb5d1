/*
 * sql/argument.h
 *		Reading and refusing SQL arguments, by name.
 */
#ifndef AEP_ARGUMENT_H
#define AEP_ARGUMENT_H

#include "fmgr.h"

#include "compat.h"
#include "database/value.h"
#include "platform/error.h"

/* A text argument as a palloc'd string; NULL for SQL NULL. */
extern const char *aep_argument_text(FunctionCallInfo fcinfo, int number);

/* A uuid argument as text; NULL for SQL NULL. */
extern const char *aep_argument_uuid(FunctionCallInfo fcinfo, int number);

/* The same; throws 22004 for NULL. */
extern const char *aep_argument_uuid_required(FunctionCallInfo fcinfo, int number,
											  const char *name);
extern const char *aep_argument_text_required(FunctionCallInfo fcinfo, int number,
											  const char *name);

/* The name of the foreign server; throws 22004 for NULL. */
extern const char *aep_argument_server(FunctionCallInfo fcinfo, int number);

/*
 * Makes the error 22004 for an argument that is needed, or 22023 for a value
 * that is not accepted; the detail is a sentence without the value, the hint
 * may be NULL.
 */
extern void aep_argument_absence(const char *name, const char *hint, AepError *error);
extern void aep_argument_refusal(const char *name, const char *detail, const char *hint,
								 AepError *error);

/* Raise the same. */
pg_noreturn extern void aep_argument_missing(const char *name, const char *hint);
pg_noreturn extern void aep_argument_refused(const char *name, const char *detail,
											 const char *hint);

/* Raises 22023 if a value of that kind is refused. */
extern void aep_argument_check(const char *name, AepValueKind kind, const char *value);

#endif /* AEP_ARGUMENT_H */
