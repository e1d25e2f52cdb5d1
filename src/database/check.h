/*
 * database/check.h
 *		Checks: queries that give a row for each thing that is wrong.
 */
#ifndef AEP_CHECK_H
#define AEP_CHECK_H

#include "database/query.h"

/*
 * Gets what a check found, and what would mend it: texts that are gone when it
 * returns.  "data" is what the caller of aep_check_run() gave for it.
 */
typedef void (*AepFound)(void *data, const char *finding, const char *remedy);

/* Whether the caller may call the function that a query needs.  Needs SPI. */
extern bool aep_check_may_run(const AepQuery *query);

/*
 * Runs a check, whose query has the columns (finding, remedy), and hands over
 * each row; all memory it took is free again afterwards.  If it needs a function
 * that the caller may not call, that is the one finding, with the GRANT as its
 * remedy, and false is returned.
 */
extern bool aep_check_run(const AepQuery *check, const void *parameters, AepFound found,
						  void *data);

#endif /* AEP_CHECK_H */
