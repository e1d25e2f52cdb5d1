/*
 * database/option.h
 *		The options of SERVER and USER MAPPING: one table, read by the
 *		validator, the reader and the hints.
 */
#ifndef AEP_OPTION_H
#define AEP_OPTION_H

#include "nodes/pg_list.h"

#include "database/server.h"
#include "database/value.h"

/* Sets the defaults of all options. */
extern void aep_option_defaults(AepServer *server);

/*
 * Checks the options (DefElem) of one catalog (ForeignServerRelationId or
 * UserMappingRelationId) and copies their values to *server, in the current
 * context.  Throws HV00D for an unknown one, 22023 for a bad value.
 */
extern void aep_option_read(List *options, Oid catalog, AepServer *server);

extern bool aep_option_exists(const char *name, Oid catalog);

/* Whether an option's value is refused, or there is no such option; *why says so then. */
extern bool aep_option_refused(const char *name, Oid catalog, const char *value, AepObjection *why);

/* Whether the value of an option that is not refused is probably wrong. */
extern bool aep_option_suspect(const char *name, Oid catalog, const char *value, AepObjection *why);

/*
 * Throws HV00J if an option is missing without which no request can be made;
 * says what to set.
 */
extern void aep_option_check_complete(const AepServer *server);

/* Overwrites the secrets with zeroes, before the memory is given back. */
extern void aep_option_wipe_secrets(AepServer *server);

#endif /* AEP_OPTION_H */
