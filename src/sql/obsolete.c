/*
 * sql/obsolete.c
 *		C symbols of functions whose arguments or columns have changed since.
 *
 * The scripts of former versions name them, and so does a database that has the
 * new library but not yet the new SQL: after an upgrade of the package, say, or
 * pg_upgrade.  To read arguments at their new places there would crash.
 */
#include "postgres.h"

#include "fmgr.h"

#include "compat.h"

pg_noreturn static void refuse(FunctionCallInfo fcinfo);

static void
refuse(FunctionCallInfo fcinfo)
{
	ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("the extension aep of this database is older than its library"),
					errdetail("The library is of version %s.", AEP_VERSION),
					errhint("Use ALTER EXTENSION aep UPDATE.")));
	pg_unreachable();
}

#define OBSOLETE(name)           \
	AEP_SQL_FUNCTION(name);      \
	Datum name(PG_FUNCTION_ARGS) \
	{                            \
		refuse(fcinfo);          \
	}

/* until 1.1 */
OBSOLETE(aep_base_connection_request)
OBSOLETE(aep_create_base_connection)
OBSOLETE(aep_ensure_base_connection)
OBSOLETE(aep_base_connection_spec)
OBSOLETE(aep_create_base_connections)
OBSOLETE(aep_create_ingest_role)
OBSOLETE(aep_rotate_credentials)
OBSOLETE(aep_ingest_role_status)
OBSOLETE(aep_check_ingest_role)
OBSOLETE(aep_version)
OBSOLETE(aep_connections)
OBSOLETE(aep_connection)
OBSOLETE(aep_explore_table)
OBSOLETE(aep_preview_table)
OBSOLETE(aep_compare_table)
