/*
 * aep.c
 *		The module.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"

#include "compat.h"
#include "http/http.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

/*
 * What libcurl and its TLS library do once for each process is done when the
 * module is loaded, so that session_preload_libraries takes it off the first
 * call; but never in the postmaster, before the fork.
 */
void
_PG_init(void)
{
	if (IsUnderPostmaster)
		aep_http_initialize();
}
