/*
 * sql/spec.h
 *		aep.base_connection_spec: what describes a base connection, as one value.
 */
#ifndef AEP_SPEC_H
#define AEP_SPEC_H

#include "access/tupdesc.h"

#include "platform/error.h"
#include "sql/connection_argument.h"

/* The composite type as it is now, and where its attributes are. */
typedef struct AepSpecType
{
	TupleDesc tuple;
	int attribute[AEP_CONNECTION_ARGUMENTS]; /* their indexes */
} AepSpecType;

/*
 * Looks the type up, in the current memory context.  Attributes that were added
 * to it do no harm; throws 42804 if one that we know is missing or of another type.
 */
extern void aep_spec_type(Oid type, AepSpecType *spec_type);

/*
 * The arguments in a value of that type; they point into it.  False: *problem
 * says why it is none.
 */
extern bool aep_spec_read(const AepSpecType *spec_type, Datum spec, NullableDatum *arguments,
						  AepError *problem);

#endif /* AEP_SPEC_H */
