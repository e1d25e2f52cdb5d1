/*
 * database/owner.c
 *		Acting for the extension's owner.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/syscache.h"

#include "database/owner.h"

static Oid
schema_owner(void)
{
	Oid schema = get_namespace_oid("aep", false);
	HeapTuple tuple = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(schema));
	Oid owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for schema %u", schema);
	owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;
	ReleaseSysCache(tuple);
	return owner;
}

void
aep_pin_path(AepPinnedPath *path)
{
	path->guc_level = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

void
aep_unpin_path(AepPinnedPath *path)
{
	AtEOXact_GUC(false, path->guc_level);
}

void
aep_become_owner(AepOwnerSwitch *owner)
{
	GetUserIdAndSecContext(&owner->caller, &owner->security_context);
	SetUserIdAndSecContext(schema_owner(), owner->security_context | SECURITY_LOCAL_USERID_CHANGE);
	aep_pin_path(&owner->path);
}

void
aep_become_caller(AepOwnerSwitch *owner)
{
	aep_unpin_path(&owner->path);
	SetUserIdAndSecContext(owner->caller, owner->security_context);
}
