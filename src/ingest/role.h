/*
 * ingest/role.h
 *		The roles through which Experience Platform reads: one that holds the
 *		grants, and logins that are its members.  All of it is done with the
 *		caller's rights, and needs SPI.
 */
#ifndef AEP_INGEST_ROLE_H
#define AEP_INGEST_ROLE_H

#include "nodes/pg_list.h"

/* A password that exists in memory only, and is wiped with its context. */
typedef struct AepPassword
{
	char text[33]; /* 32 characters, letters, digits, '-' and '_' */
} AepPassword;

/* What the role is granted; all of it belongs to the struct's maker. */
typedef struct AepIngestGrants
{
	const char *role_name;
	const char *database; /* the current one */
	List *schemas;		  /* names: USAGE, and SELECT on all tables */
	List *tables;		  /* Oids: SELECT, and USAGE on the schemas ... */
	List *table_schemas;  /* ... that they are in, Oids in the same order; ... */
	List *table_names;	  /* ... and their qualified names, likewise */
	bool default_privileges;
} AepIngestGrants;

/* A new random password, in the current context. */
extern AepPassword *aep_password_create(void);

/*
 * The name of a login: the role's with _a, _b and so on.  Throws 42622 if the
 * role's name leaves no room.
 */
extern char *aep_ingest_login_name(const char *role_name, char suffix);

/*
 * Whether there is anything to read, or may come to be.  Throws 3F000 for a
 * schema that does not exist.
 */
extern bool aep_ingest_grants_table(const AepIngestGrants *grants);

/* CREATE ROLE ... NOLOGIN and the grants; throws 42501 for one that did not take. */
extern void aep_ingest_role_create(const AepIngestGrants *grants);

/*
 * Takes all privileges in this database back and drops the role with its logins,
 * a list as in state.h; what is gone already is left out.  Throws 2BP01 for a
 * role that owns something, or has to do with another database, and what DROP
 * OWNED and DROP ROLE throw.
 */
extern void aep_ingest_role_drop(const char *role_name, const char *logins);

/* Does it and undoes it, so that what it throws is thrown before something else is done. */
extern void aep_ingest_role_rehearse_drop(const char *role_name, const char *logins);

/* Whether the caller may see what is known of the role: if it may alter it. */
extern bool aep_ingest_role_may_see(const char *role_name);

/*
 * Whether a login that exists was made here for this role, and not by somebody
 * else; "made" is the list of those that were, NULL if nobody has noted it.
 */
extern bool aep_ingest_login_is_ours(const char *role_name, const char *login, const char *made);

/*
 * Makes the login if it is not there, a member of the role, able to log in.  One
 * that is there must be ours.
 */
extern void aep_ingest_login_enable(const char *role_name, const char *login, int connection_limit,
									const AepPassword *password);

/* The login can no longer log in, and has no password. */
extern void aep_ingest_login_disable(const char *login);

#endif /* AEP_INGEST_ROLE_H */
