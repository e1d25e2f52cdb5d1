/*
 * ingest/rotation.c
 *		The steps of aep.rotate_credentials(): the login that Experience Platform
 *		uses gives way to another one, without a moment in which neither works.
 *
 * A rotation proves before it changes.  The new login is tried through a
 * connection of its own (see trial.h) to the address that the real one has, and
 * only if the platform gets in here is the real one told of it.  So a copy of
 * the database, a wrong address, a closed pg_hba.conf or a full role are found
 * while nothing has happened to the login in use.
 *
 * What is known is written down and committed before each step that cannot be
 * taken back, so that a call that was cut off anywhere can be made again:
 *
 *	active					nothing is under way
 *	proving					pending_login works, and is told to nobody but the
 *							connection called trial_name, which has, or may have,
 *							been made; with its id if that is known
 *	rotating				pending_login was proved, and the real connection may
 *							have been told of it, or may yet be
 *	rotating and patched	it was told; "etag" is the connection's since
 *	unknown					it uses active_login or one of kept_logins: all work
 *
 *	active, unknown -> proving		a login that cannot be in use gets a password
 *	proving -> active, unknown		it was not proved, or the call was cut off: it
 *									is disabled again, and the trial is deleted
 *	proving -> rotating				it was proved, and the trial is deleted
 *	rotating -> active, unknown		the PATCH was surely refused: likewise
 *	rotating -> unknown				its outcome is unknown: the login is kept
 *	rotating -> patched -> active	told; tested; all other logins are disabled
 *	patched -> unknown				somebody has told it something else since
 *
 * The password is gone with the call that made it.  So a call that finds another
 * one cut off before the PATCH was answered never goes on with its login, but
 * begins with a new password; while proving, nobody can be using the old one.
 *
 * A PATCH that was not surely refused may be on its way still, in a gateway's
 * queue: that the connection has its old etag proves nothing, so nobody asks.
 * The login it names keeps its password, and the next call brings another one.
 * Once that call's PATCH has succeeded, the etag is a new one; whatever is late
 * carries the old one in If-Match and can only be refused.  Then, and not
 * before, all logins but the new one are taken out of service.
 */
#include "postgres.h"

#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "database/procedure.h"
#include "ingest/trial.h"
#include "ingest/role.h"
#include "ingest/rotation.h"
#include "platform/document.h"
#include "platform/flow_service.h"

#define GOES_ON "The same CALL goes on."

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
	return strcmp(login, state->active_login) == 0 ||
		   (aep_ingest_list_has(state->kept_logins, login) &&
			OidIsValid(get_role_oid(login, true)));
}

/* The first that is not in use, and not somebody else's role. */
static const char *
choose_login(const AepIngestState *state)
{
	for (char suffix = 'a'; suffix <= 'z'; suffix++)
	{
		const char *login = aep_ingest_login_name(state->role_name, suffix);

		if (!may_be_used(state, login) &&
			(!OidIsValid(get_role_oid(login, true)) ||
			 aep_ingest_login_is_ours(state->role_name, login, state->made_logins)))
			return login;
	}
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("every login of role \"%s\" may be in use", state->role_name),
			 errdetail("There are as many as letters, and roles of these names that were made by "
					   "others count too."),
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
	state->kept_logins = aep_ingest_list_add(state->kept_logins, state->pending_login);
	state->pending_login = NULL;
	state->patched = false;
	state->step = AEP_INGEST_UNKNOWN;
	save(state);
}

/* Whether the connection shows another address than the one that is known here. */
static bool
shows_other_address(const AepIngestState *state, JsonbContainer *params)
{
	return aep_document_shows_other(params, "server", state->host) ||
		   aep_document_shows_other(params, "port", psprintf("%d", state->port)) ||
		   aep_document_shows_other(params, "database", state->database);
}

static JsonbContainer *
params_of(Jsonb *entity)
{
	return aep_document_member(aep_document_member(&entity->root, "auth"), "params");
}

/*
 * Whether the connection still is what it was told, a call ago: somebody may have
 * given it another login since, and that one must not be taken out of service.
 */
static bool
is_as_told(const AepServer *server, const AepIngestState *state)
{
	JsonbContainer *params = params_of(aep_flow_connection(server, state->connection_id));

	return !aep_document_shows_other(params, "username", state->pending_login) &&
		   !shows_other_address(state, params);
}

/*
 * The change will carry the address as it is known here, and must not undo what
 * somebody has set there since; unless that is what was asked for.
 */
static void
check_address(const AepIngestState *state, Jsonb *entity)
{
	if (!state->moves && shows_other_address(state, params_of(entity)))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("connection %s has another address in Experience Platform",
						state->connection_id),
				 errdetail("Its credentials are managed for database \"%s\" at %s, port %d.",
						   state->database, state->host, state->port),
				 errhint("If that is out of date, use CALL aep.adopt_ingest_role(%s, host => ..., "
						 "port => ..., database => ...), then the same CALL again.",
						 quote_literal_cstr(state->role_name))));
}

/* The change carries the SSL mode, too: one that somebody has set there since stays. */
static void
keep_ssl_mode(AepIngestState *state, Jsonb *entity)
{
	const char *shown = aep_document_text(params_of(entity), "sslMode");

	if (shown != NULL && state->auth_type == AEP_AUTH_BASIC)
		state->ssl_mode = shown;
}

/* What an earlier call has left that was cut off. */
static void
settle_last_call(const AepServer *server, AepIngestState *state)
{
	if (state->step == AEP_INGEST_ROTATING)
		keep_pending(state);
	if (state->trial_name != NULL || state->trial_id != NULL)
		aep_trial_delete(server, state);
	if (state->step == AEP_INGEST_PROVING)
		give_up_pending(state);
}

/* A login that cannot be in use gets a new password, and works from now on. */
static void
prepare_login(const AepServer *server, AepIngestState *state, const AepPassword *password)
{
	Jsonb *entity = aep_flow_connection(server, state->connection_id);

	check_address(state, entity);
	keep_ssl_mode(state, entity);
	state->etag = aep_flow_etag(entity);
	state->pending_login = choose_login(state);
	aep_ingest_login_enable(state->role_name, state->pending_login, state->connection_limit,
							password);
	state->made_logins = aep_ingest_list_add(state->made_logins, state->pending_login);
	state->step = AEP_INGEST_PROVING;
	state->trial_name = aep_trial_name(state);
	state->patched = false;
	save(state);
}

pg_noreturn static void not_proved(const AepServer *server, AepIngestState *state,
								   const char *reason);

/* The platform does not get in here with the pending login. */
static void
not_proved(const AepServer *server, AepIngestState *state, const char *reason)
{
	const char *login = state->pending_login;

	aep_trial_try_delete(server, state);
	give_up_pending(state);
	ereport(ERROR,
			(errcode(ERRCODE_CONNECTION_EXCEPTION),
			 errmsg("Experience Platform could not connect as \"%s\" to database \"%s\" at %s, "
					"port %d",
					login, state->database, state->host, state->port),
			 reason != NULL ? errdetail("It says: \"%s\".", reason) : 0,
			 errhint("That was a test: the connection is as before, and so is its login. See "
					 "aep.check_ingest_role(). If the address leads to another server, this "
					 "database may be a copy: see doc/copies.md. " GOES_ON)));
	pg_unreachable();
}

/* The platform must have connected here with the pending login before it is told. */
static void
prove_login(const AepServer *server, AepIngestState *state, const AepPassword *password)
{
	const char *reason;
	AepError error;

	if (!aep_trial_create(server, state, password, &error))
	{
		if (error.fate >= AEP_FATE_OPEN)
		{
			error.hint = "Only a connection to try the new login is in doubt; the one in use is as "
						 "before. The same CALL looks for it, and goes on.";
			aep_procedure_commit(); /* the row knows it: no other warning is needed */
		}
		else
		{
			state->trial_name = NULL;
			give_up_pending(state);
		}
		aep_error_raise(&error);
	}
	save(state);
	switch (aep_flow_try_test(server, state->trial_id, &reason, &error))
	{
		case AEP_TEST_PASSED:
			break;
		case AEP_TEST_FAILED:
			not_proved(server, state, reason);
		case AEP_TEST_NOT_ASKED:
			aep_trial_try_delete(server, state);
			give_up_pending(state);
			aep_error_raise(&error);
	}
	aep_trial_delete(server, state);
	state->step = AEP_INGEST_ROTATING;
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
			error.hint = "Both logins keep working. " GOES_ON;
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
						 "aep.check_ingest_role(). " GOES_ON)));
}

/* Takes the logins that are not used any more out of service. */
static void
retire_logins(const AepServer *server, AepIngestState *state)
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
	state->moves = false;
	state->rotated_at = GetCurrentTimestamp();
	aep_installation_get(server, &state->installation); /* that is proved now */
	save(state);
}

void
aep_rotation_run(const AepServer *server, AepIngestState *state)
{
	if (!(state->step == AEP_INGEST_ROTATING && state->patched && is_as_told(server, state)))
	{
		AepPassword *password;

		settle_last_call(server, state);
		password = aep_password_create();
		prepare_login(server, state, password);
		prove_login(server, state, password);
		tell_platform(server, state, password);
	}
	require_test(server, state);
	retire_logins(server, state);
}
