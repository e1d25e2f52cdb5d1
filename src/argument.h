/*
 * argument.h
 *		Reading and refusing SQL arguments, by name.
 */
#ifndef AEP_ARGUMENT_H
#define AEP_ARGUMENT_H

#include "fmgr.h"

/* A text argument as a palloc'd string; NULL for SQL NULL. */
extern const char *aep_argument_text(FunctionCallInfo fcinfo, int number);

/* The name of the foreign server; throws 22004 for NULL. */
extern const char *aep_argument_server(FunctionCallInfo fcinfo, int number);

/* Throws 22004 for an argument that is needed; the hint may be NULL. */
extern void aep_argument_missing(const char *name, const char *hint) pg_attribute_noreturn();

/* Throws 22023; the detail is a sentence without the value. */
extern void aep_argument_refused(const char *name, const char *detail, const char *hint)
	pg_attribute_noreturn();

#endif /* AEP_ARGUMENT_H */
