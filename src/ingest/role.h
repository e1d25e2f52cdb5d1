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

/* What the role is granted. */
typedef struct AepIngestGrants
{
	const char *role_name;
	const char *database; /* the current one */
	List *schemas;		  /* names: USAGE, and SELECT on all tables */
	List *tables;		  /* Oids: SELECT, and USAGE on the schemas ... */
	List *table_schemas;  /* ... that they are in, Oids in the same order */
	bool default_privileges;
} AepIngestGrants;

/* A new random password, in the current context. */
extern AepPassword *aep_password_create(void);

/*
 * The name of a login: the role's with _a, _b and so on.  Throws 42622 if the
 * role's name leaves no room.
 */
extern char *aep_ingest_login_name(const char *role_name, char suffix);

/* CREATE ROLE ... NOLOGIN and the grants; throws 42501 for one that did not take. */
extern void aep_ingest_role_create(const AepIngestGrants *grants);

/* Takes everything back and drops the role with its login. */
extern void aep_ingest_role_drop(const AepIngestGrants *grants, const char *login);

/* Whether the caller may see what is known of the role: if it may alter it. */
extern bool aep_ingest_role_may_see(const char *role_name);

/* Makes the login if it is not there, a member of the role, able to log in. */
extern void aep_ingest_login_enable(const char *role_name, const char *login, int connection_limit,
									const AepPassword *password);

/* The login can no longer log in, and has no password. */
extern void aep_ingest_login_disable(const char *login);

#endif /* AEP_INGEST_ROLE_H */
