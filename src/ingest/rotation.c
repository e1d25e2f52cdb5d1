/*
 * ingest/rotation.c
 *		The steps of aep.rotate_credentials(): the login that Experience Platform
 *		uses gives way to another one, without a moment in which neither works.
 *
 * What is known is written down and committed before each step that cannot be
 * taken back, so that a call that was cut off anywhere can be made again:
 *
 *	active					nothing is under way
 *	rotating				pending_login works, and the platform may have been
 *							told, or may yet be
 *	rotating and patched	it was told; "etag" is the connection's since
 *	unknown					it uses active_login or one of kept_logins: all work
 *
 * A PATCH that was not surely refused may be on its way still, in a gateway's
 * queue: that the connection has its old etag proves nothing, so nobody asks.
 * The login it names keeps its password, and the next call brings another one.
 * Once that call's PATCH has succeeded, the etag is a new one; whatever is late
 * carries the old one in If-Match and can only be refused.  Then, and not
 * before, all logins but the new one are taken out of service.
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/acl.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "database/procedure.h"
#include "ingest/role.h"
#include "ingest/rotation.h"
#include "platform/document.h"
#include "platform/flow_service.h"

/* Advisory locks of SQL's functions have class 1 or 2; ours never meet them. */
#define LOCK_CLASS 0xaf

/* The session's lock on the connection that it rotates. */
static LOCKTAG rotation_lock;
static bool rotation_locked = false;

void
aep_rotation_unlock(void)
{
	if (!rotation_locked)
		return;
	rotation_locked = false;
	(void) LockRelease(&rotation_lock, ExclusiveLock, true);
}

/* The lock outlives the commits in between, but not the call. */
static void
transaction_ended(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT)
		aep_rotation_unlock();
}

void
aep_rotation_lock(const char *connection_id)
{
	static bool registered = false;

	if (!registered)
	{
		RegisterXactCallback(transaction_ended, NULL);
		registered = true;
	}
	SET_LOCKTAG_ADVISORY(
		rotation_lock, MyDatabaseId, 0,
		hash_bytes((const unsigned char *) connection_id, (int) strlen(connection_id)), LOCK_CLASS);
	if (LockAcquire(&rotation_lock, ExclusiveLock, true, true) == LOCKACQUIRE_NOT_AVAIL)
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("the credentials of connection %s are being rotated by another session",
						connection_id)));
	rotation_locked = true;

	/*
	 * With isolation levels above read committed, the snapshot may be from
	 * before the last rotation: the state is read in a transaction of its own.
	 * The lock is the session's, and stays.
	 */
	aep_procedure_commit();
}

static void
save(const AepIngestState *state)
{
	aep_ingest_state_save(state);
	aep_procedure_commit();
}

/* Is it the active one, or may it be?  Not one that somebody has dropped since. */
static bool
may_be_used(const AepIngestState *state, const char *login)
{
	const char *kept = strstr(state->kept_logins, psprintf(" %s ", login));

	return strcmp(login, state->active_login) == 0 ||
		   (kept != NULL && OidIsValid(get_role_oid(login, true)));
}

static const char *
choose_login(const AepIngestState *state)
{
	for (char suffix = 'a'; suffix <= 'z'; suffix++)
	{
		const char *login = aep_ingest_login_name(state->role_name, suffix);

		if (!may_be_used(state, login))
			return login;
	}
	ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("every login of role \"%s\" may be in use", state->role_name),
					errhint("Find out with aep.test_connection() and pg_stat_activity which one "
							"Experience Platform uses, and drop the others.")));
	pg_unreachable();
}

/* The pending login is not used after all. */
static void
give_up_pending(AepIngestState *state)
{
	aep_ingest_login_disable(state->pending_login);
	state->pending_login = NULL;
	state->step = state->kept_logins[0] == '\0' ? AEP_INGEST_ACTIVE : AEP_INGEST_UNKNOWN;
	save(state);
}

/* The pending login may be used, now or later: it stays, and another takes its turn. */
static void
keep_pending(AepIngestState *state)
{
	state->kept_logins = psprintf("%s %s ", state->kept_logins, state->pending_login);
	state->pending_login = NULL;
	state->step = AEP_INGEST_UNKNOWN;
	save(state);
}

/*
 * The change will carry the address as it is known here, and must not undo what
 * somebody has set there since.
 */
static void
check_address(const AepIngestState *state, Jsonb *entity)
{
	JsonbContainer *params =
		aep_document_member(aep_document_member(&entity->root, "auth"), "params");

	if (aep_document_shows_other(params, "server", state->host) ||
		aep_document_shows_other(params, "port", psprintf("%d", state->port)) ||
		aep_document_shows_other(params, "database", state->database))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("connection %s has another address in Experience Platform",
						state->connection_id),
				 errdetail("Its credentials are managed for database \"%s\" at %s, port %d.",
						   state->database, state->host, state->port),
				 errhint("If that is out of date, a superuser can set host, port and database_name "
						 "of its row in the table aep.ingest_role.")));
}

/* A login that cannot be in use gets a new password, and works from now on. */
static void
prepare_login(const AepServer *server, AepIngestState *state, const AepPassword *password)
{
	Jsonb *entity = aep_flow_connection(server, state->connection_id);

	check_address(state, entity);
	state->etag = aep_flow_etag(entity);
	state->pending_login = choose_login(state);
	aep_ingest_login_enable(state->role_name, state->pending_login, state->connection_limit,
							password);
	state->step = AEP_INGEST_ROTATING;
	state->patched = false;
	save(state);
}

/* Tells the platform to use the pending login; raises what goes wrong. */
static void
tell_platform(const AepServer *server, AepIngestState *state, const AepPassword *password)
{
	const AepConnectionChange change = {
		.has_auth = true,
		.auth =
			{
				.auth_type = state->auth_type,
				.ssl_mode = state->ssl_mode,
				.host = state->host,
				.port = state->port,
				.database = state->database,
				.username = state->pending_login,
				.password = password->text,
			},
	};
	AepCreated changed;
	AepError error;

	if (!aep_flow_try_update(server, state->connection_id, state->etag, &change, &changed, &error))
	{
		if (error.fate >= AEP_FATE_OPEN)
		{
			keep_pending(state);
			error.hint = "Both logins keep working. Call aep.rotate_credentials() again.";
		}
		else
			give_up_pending(state);
		aep_error_raise(&error);
	}
	state->etag = changed.has_etag
					  ? pstrdup(changed.etag)
					  : aep_flow_etag(aep_flow_connection(server, state->connection_id));
	state->patched = true;
	save(state);
}

/* The platform must have connected with the new login before the old one goes. */
static void
require_test(const AepServer *server, const AepIngestState *state)
{
	const char *reason;

	if (!aep_flow_test_connection(server, state->connection_id, &reason))
		ereport(ERROR,
				(errcode(ERRCODE_CONNECTION_EXCEPTION),
				 errmsg("Experience Platform could not connect as \"%s\"", state->pending_login),
				 reason != NULL ? errdetail("It says: \"%s\".", reason) : 0,
				 errhint("It was told to use that login, and the former ones still work. See "
						 "aep.check_ingest_role(), then call aep.rotate_credentials() again.")));
}

/* Takes the logins that are not used any more out of service. */
static void
retire_logins(AepIngestState *state)
{
	Assert(strcmp(state->active_login, state->pending_login) != 0);
	for (char suffix = 'a'; suffix <= 'z'; suffix++)
	{
		const char *login = aep_ingest_login_name(state->role_name, suffix);

		if (strcmp(login, state->pending_login) != 0 && may_be_used(state, login))
			aep_ingest_login_disable(login);
	}
	state->active_login = state->pending_login;
	state->pending_login = NULL;
	state->kept_logins = "";
	state->step = AEP_INGEST_ACTIVE;
	state->patched = false;
	state->rotated_at = GetCurrentTimestamp();
	save(state);
}

void
aep_rotation_run(const AepServer *server, AepIngestState *state)
{
	AepPassword *password;

	if (!(state->step == AEP_INGEST_ROTATING && state->patched))
	{
		if (state->step == AEP_INGEST_ROTATING) /* the last call was cut off */
			keep_pending(state);
		password = aep_password_create();
		prepare_login(server, state, password);
		tell_platform(server, state, password);
	}
	require_test(server, state);
	retire_logins(state);
}
