/*
 * sql/ingest_role.c
 *		aep.create_ingest_role() and aep.ingest_role_status().
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "database/hidden_statement.h"
#include "database/procedure.h"
#include "ingest/role.h"
#include "ingest/state.h"
#include "platform/access_token.h"
#include "platform/document.h"
#include "platform/flow_service.h"
#include "sql/argument.h"
#include "sql/connection_argument.h"
#include "sql/row.h"

/* Positions of the arguments of aep.create_ingest_role(). */
enum
{
	ARG_ROLE_NAME,
	ARG_SCHEMAS,
	ARG_TABLES,
	ARG_DEFAULT_PRIVILEGES,
	ARG_CONNECTION_LIMIT,
	ARG_NAME,
	ARG_DESCRIPTION,
	ARG_AUTH_TYPE,
	ARG_SSL_MODE,
	ARG_HOST,
	ARG_PORT,
	ARG_DATABASE,
	ARG_SERVER
};

/* The elements of an array argument that must not be null. */
static Datum *
read_array(FunctionCallInfo fcinfo, int number, const char *name, Oid type, int *count)
{
	Datum *elements;
	bool *nulls;
	int16 length;
	bool by_value;
	char alignment;

	*count = 0;
	if (PG_ARGISNULL(number))
		return NULL;
	get_typlenbyvalalign(type, &length, &by_value, &alignment);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(number), type, length, by_value, alignment, &elements,
					  &nulls, count);
	for (int i = 0; i < *count; i++)
	{
		if (nulls[i])
			aep_argument_refused(name, "Its elements must not be null.", NULL);
	}
	return elements;
}

static void
read_grants(FunctionCallInfo fcinfo, AepIngestGrants *grants)
{
	Datum *elements;
	int count;

	if (PG_ARGISNULL(ARG_ROLE_NAME))
		aep_argument_missing("role_name", NULL);
	memset(grants, 0, sizeof(*grants));
	grants->role_name = NameStr(*PG_GETARG_NAME(ARG_ROLE_NAME));
	if (grants->role_name[0] == '\0')
		aep_argument_refused("role_name", "It must not be empty.", NULL);
	grants->database = get_database_name(MyDatabaseId);
	grants->default_privileges =
		!PG_ARGISNULL(ARG_DEFAULT_PRIVILEGES) && PG_GETARG_BOOL(ARG_DEFAULT_PRIVILEGES);
	elements = read_array(fcinfo, ARG_SCHEMAS, "schemas", NAMEOID, &count);
	for (int i = 0; i < count; i++)
		grants->schemas = lappend(grants->schemas, pstrdup(NameStr(*DatumGetName(elements[i]))));
	elements = read_array(fcinfo, ARG_TABLES, "tables", REGCLASSOID, &count);
	for (int i = 0; i < count; i++)
	{
		if (get_rel_name(DatumGetObjectId(elements[i])) == NULL)
			aep_argument_refused("tables", "It holds a table that does not exist.", NULL);
		grants->tables = lappend_oid(grants->tables, DatumGetObjectId(elements[i]));
		grants->table_schemas =
			lappend_oid(grants->table_schemas, get_rel_namespace(DatumGetObjectId(elements[i])));
	}
}

/* The connection, for this login. */
static void
read_connection(FunctionCallInfo fcinfo, const AepServer *server, const char *login,
				const AepPassword *password, AepBaseConnection *connection)
{
	NullableDatum arguments[AEP_CONNECTION_ARGUMENTS];

	arguments[AEP_ARG_USERNAME] = (NullableDatum){CStringGetTextDatum(login), false};
	/* stands in for the password, of which there shall be no copy */
	arguments[AEP_ARG_PASSWORD] = arguments[AEP_ARG_USERNAME];
	arguments[AEP_ARG_NAME] = fcinfo->args[ARG_NAME];
	arguments[AEP_ARG_DESCRIPTION] = fcinfo->args[ARG_DESCRIPTION];
	arguments[AEP_ARG_AUTH_TYPE] = fcinfo->args[ARG_AUTH_TYPE];
	arguments[AEP_ARG_SSL_MODE] = fcinfo->args[ARG_SSL_MODE];
	arguments[AEP_ARG_HOST] = fcinfo->args[ARG_HOST];
	arguments[AEP_ARG_PORT] = fcinfo->args[ARG_PORT];
	arguments[AEP_ARG_DATABASE] = fcinfo->args[ARG_DATABASE];
	aep_connection_arguments_require(arguments, server, NULL, connection);
	connection->password = password->text;
}

/* Lists as array literals, for the state. */
static const char *
array_literal(List *texts)
{
	Datum *elements = palloc(Max(list_length(texts), 1) * sizeof(Datum));
	ListCell *cell;
	int count = 0;

	foreach (cell, texts)
		elements[count++] = CStringGetTextDatum(lfirst(cell));
	return OidOutputFunctionCall(
		F_ARRAY_OUT,
		PointerGetDatum(construct_array(elements, count, TEXTOID, -1, false, TYPALIGN_INT)));
}

static List *
qualified_names(List *tables)
{
	List *names = NIL;
	ListCell *cell;

	foreach (cell, tables)
	{
		Oid table = lfirst_oid(cell);

		names =
			lappend(names, quote_qualified_identifier(get_namespace_name(get_rel_namespace(table)),
													  get_rel_name(table)));
	}
	return names;
}

static void
fill_state(AepIngestState *state, const AepIngestGrants *grants, const AepServer *server,
		   const AepBaseConnection *connection, int connection_limit)
{
	*state = (AepIngestState){
		.role_name = grants->role_name,
		.server = server->name,
		.connection_name = connection->name,
		.auth_type = connection->auth_type,
		.ssl_mode = connection->ssl_mode,
		.host = connection->host,
		.port = connection->port,
		.database = connection->database,
		.connection_limit = connection_limit,
		.active_login = connection->username,
		.kept_logins = "",
		.step = AEP_INGEST_UNKNOWN, /* until the answer is there */
		.schemas = array_literal(grants->schemas),
		.tables = array_literal(qualified_names(grants->tables)),
	};
}

/*
 * Drops the roles again, all or nothing.  NULL, or why that failed: what was
 * done to them or to what they may read meanwhile.
 */
static const char *
take_back(const AepIngestGrants *grants, const char *login)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	const char *volatile problem = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller);
	PG_TRY();
	{
		aep_ingest_role_drop(grants, login);
		aep_ingest_state_delete(grants->role_name);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		problem = CopyErrorData()->message;
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;
	return problem;
}

/*
 * Tells Experience Platform of the login; raises what goes wrong.  A sure
 * refusal takes the roles away again, an unknown outcome leaves them, and the
 * state says so.
 */
static void
create_connection(const AepServer *server, const AepBaseConnection *connection,
				  const AepIngestGrants *grants, AepIngestState *state, AepCreated *created)
{
	AepCall *call = aep_flow_create_begin(server, connection, false);
	const char *problem;
	AepError error;

	aep_call_wait(call);
	if (aep_flow_create_finish(call, created, &error))
	{
		state->connection_id = created->id;
		state->etag = created->has_etag ? created->etag : NULL;
		state->step = AEP_INGEST_ACTIVE;
		state->rotated_at = GetCurrentTimestamp();
		aep_ingest_state_save(state);
		aep_procedure_commit();
		return;
	}
	if (error.fate < AEP_FATE_OPEN)
	{
		problem = take_back(grants, connection->username);
		if (problem != NULL)
			error.hint = psprintf("The roles \"%s\" and \"%s\" could not be dropped again: %s.",
								  grants->role_name, connection->username, problem);
		aep_procedure_commit();
	}
	else
		error.hint = "The roles stay, since Experience Platform may use them. Look for the "
					 "connection by its name with aep.connections(name => ...); "
					 "aep.ingest_role_status() shows the step \"unknown\".";
	aep_error_raise(&error);
}

AEP_SQL_FUNCTION(aep_create_ingest_role);

/* Makes role, login and base connection -> (id, etag) */
Datum
aep_create_ingest_role(PG_FUNCTION_ARGS)
{
	const AepServer *server;
	AepHiddenStatement hidden;
	AepIngestGrants grants;
	AepBaseConnection connection = {0};
	AepIngestState state;
	AepPassword *password;
	AepCreated created;
	AepRow row;
	int connection_limit;

	aep_row_begin(&row, fcinfo);
	aep_hide_statement(&hidden);
	aep_procedure_begin(fcinfo, "aep.create_ingest_role");
	server = aep_server_get(aep_argument_server(fcinfo, ARG_SERVER), false);
	read_grants(fcinfo, &grants);
	connection_limit =
		PG_ARGISNULL(ARG_CONNECTION_LIMIT) ? -1 : PG_GETARG_INT32(ARG_CONNECTION_LIMIT);
	if (connection_limit < -1)
		aep_argument_refused("connection_limit", "It must be -1, for none, or a number.", NULL);
	password = aep_password_create();
	read_connection(fcinfo, server, aep_ingest_login_name(grants.role_name, 'a'), password,
					&connection);

	/* a credential that IMS refuses shall show before anything is made */
	aep_flow_check_access(server);

	aep_ingest_role_create(&grants);
	aep_ingest_login_enable(grants.role_name, connection.username, connection_limit, password);
	fill_state(&state, &grants, server, &connection, connection_limit);
	aep_ingest_state_save(&state);
	aep_procedure_commit();
	create_connection(server, &connection, &grants, &state, &created);
	aep_procedure_end();
	aep_show_statement(&hidden);

	aep_row_uuid(&row, created.id);
	aep_row_text(&row, created.has_etag ? created.etag : NULL);
	PG_RETURN_DATUM(aep_row_datum(&row));
}

/* How many sessions a login has right now. */
static int
count_sessions(const char *login)
{
	Oid types[] = {TEXTOID};
	Datum values[] = {CStringGetTextDatum(login)};
	bool is_null;

	SPI_execute_with_args("SELECT pg_catalog.count(*)::pg_catalog.int4 "
						  "FROM pg_catalog.pg_stat_activity "
						  "WHERE usename OPERATOR(pg_catalog.=) $1::pg_catalog.name",
						  1, types, values, NULL, true, 1);
	return DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null));
}

/* A login of the role that is there and not in use; NULL: none. */
static const char *
idle_login(const AepIngestState *state)
{
	if (state->pending_login != NULL)
		return state->pending_login;
	for (char suffix = 'a'; suffix <= 'z'; suffix++)
	{
		char *login = aep_ingest_login_name(state->role_name, suffix);

		if (strcmp(login, state->active_login) != 0 && OidIsValid(get_role_oid(login, true)))
			return login;
	}
	return NULL;
}

AEP_SQL_FUNCTION(aep_ingest_role_status);

/* aep.ingest_role_status() -> one row for each managed connection */
Datum
aep_ingest_role_status(PG_FUNCTION_ARGS)
{
	AepIngestState *states;
	AepRow row;
	int count;

	aep_row_begin_set(&row, fcinfo);
	SPI_connect();
	states = aep_ingest_state_list(CurrentMemoryContext, &count);
	for (int i = 0; i < count; i++)
	{
		const AepIngestState *state = &states[i];

		CHECK_FOR_INTERRUPTS();
		if (!aep_ingest_role_may_see(state->role_name))
			continue;
		aep_row_uuid(&row, state->connection_id);
		aep_row_text(&row, state->connection_name);
		aep_row_text(&row, state->server);
		aep_row_text(&row, state->role_name);
		aep_row_text(&row, state->active_login);
		aep_row_text(&row, idle_login(state));
		aep_row_text(&row, aep_ingest_step_name(state->step));
		aep_row_time(&row, state->rotated_at, state->rotated_at == 0);
		aep_row_integer(&row, count_sessions(state->active_login));
		aep_row_store(&row);
	}
	SPI_finish();
	return (Datum) 0;
}
