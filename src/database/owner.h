/*
 * database/owner.h
 *		Acting for the extension's owner, on the extension's own table only.
 */
#ifndef AEP_OWNER_H
#define AEP_OWNER_H

/* A search path of the system's names only, so that nothing of the caller's can slip in. */
typedef struct AepPinnedPath
{
	int guc_level;
} AepPinnedPath;

extern void aep_pin_path(AepPinnedPath *path);
extern void aep_unpin_path(AepPinnedPath *path);

typedef struct AepOwnerSwitch
{
	Oid caller;
	int security_context;
	AepPinnedPath path;
} AepOwnerSwitch;

/*
 * Until aep_become_caller() statements run with the rights of the owner of the
 * schema aep and a pinned path.  The abort of a transaction undoes it too.
 */
extern void aep_become_owner(AepOwnerSwitch *owner);
extern void aep_become_caller(AepOwnerSwitch *owner);

#endif /* AEP_OWNER_H */
