/*
 * sql/ingest_role.c
 *		aep.create_ingest_role().
 *
 * It commits, and a trigger or another session may do anything then: what the
 * arguments hold is read and copied before the first commit, all of it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "database/hidden_statement.h"
#include "database/installation.h"
#include "database/procedure.h"
#include "ingest/lock.h"
#include "ingest/role.h"
#include "ingest/state.h"
#include "platform/access_token.h"
#include "platform/document.h"
#include "platform/flow_service.h"
#include "sql/argument.h"
#include "sql/connection_argument.h"
#include "sql/ingest_argument.h"
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

/* A table by its name as it is now; NULL if there is none. */
static char *
qualified_name(Oid table)
{
	const char *schema = get_namespace_name(get_rel_namespace(table));
	const char *name = get_rel_name(table);

	return schema != NULL && name != NULL ? quote_qualified_identifier(schema, name) : NULL;
}

static void
read_grants(FunctionCallInfo fcinfo, AepIngestGrants *grants)
{
	Datum *elements;
	int count;

	memset(grants, 0, sizeof(*grants));
	grants->role_name = aep_argument_name_required(fcinfo, ARG_ROLE_NAME, "role_name");
	aep_argument_check("role_name", AEP_VALUE_NEW_ROLE, grants->role_name);
	grants->database = get_database_name(MyDatabaseId);
	grants->default_privileges =
		!PG_ARGISNULL(ARG_DEFAULT_PRIVILEGES) && PG_GETARG_BOOL(ARG_DEFAULT_PRIVILEGES);
	elements = read_array(fcinfo, ARG_SCHEMAS, "schemas", NAMEOID, &count);
	for (int i = 0; i < count; i++)
		grants->schemas = lappend(grants->schemas, pstrdup(NameStr(*DatumGetName(elements[i]))));
	elements = read_array(fcinfo, ARG_TABLES, "tables", REGCLASSOID, &count);
	for (int i = 0; i < count; i++)
	{
		Oid table = DatumGetObjectId(elements[i]);
		char *name = qualified_name(table);

		if (name == NULL)
			aep_argument_refused("tables", "It holds a table that does not exist.", NULL);
		grants->tables = lappend_oid(grants->tables, table);
		grants->table_schemas = lappend_oid(grants->table_schemas, get_rel_namespace(table));
		grants->table_names = lappend(grants->table_names, name);
	}
	if (!aep_ingest_grants_table(grants))
		aep_argument_refused(
			count > 0 || grants->schemas != NIL ? "schemas" : "tables",
			"The role would have nothing to read: there is no table.",
			"Name schemas that have tables, or tables; or use default_privileges => true for "
			"tables that you will make in these schemas.");
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
		.made_logins = aep_ingest_list_add(NULL, connection->username),
		.step = AEP_INGEST_UNKNOWN, /* until the answer is there */
		.schemas = array_literal(grants->schemas),
		.tables = array_literal(grants->table_names),
	};
	aep_installation_get(server, &state->installation);
}

/*
 * Drops the roles again, all or nothing.  NULL, or why that failed: what was
 * done to them or to what they may read meanwhile.
 */
static const char *
take_back(const AepIngestState *state)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	const char *volatile problem = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller);
	PG_TRY();
	{
		aep_ingest_role_drop(state->role_name, state->made_logins);
		aep_ingest_state_delete(state->role_name);
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
				  AepIngestState *state, AepCreated *created)
{
	const char *problem;
	AepError error;
	AepCall *call = aep_flow_create_begin(server, connection, false, &error);

	if (call != NULL)
		aep_call_wait(call);
	if (call != NULL && aep_flow_create_finish(call, created, &error))
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
		problem = take_back(state);
		if (problem != NULL)
			error.hint =
				psprintf("The roles \"%s\" and \"%s\" could not be dropped again: %s. Mend "
						 "that, then use CALL aep.drop_ingest_role(%s).",
						 state->role_name, connection->username, problem,
						 quote_literal_cstr(state->role_name));
		aep_procedure_commit();
	}
	else
		error.hint = psprintf("The roles stay, since Experience Platform may use them: "
							  "aep.ingest_role_status() shows the step \"unknown\". "
							  "CALL aep.drop_ingest_role(%s) looks for the connection by its name, "
							  "and takes all of it away.",
							  quote_literal_cstr(state->role_name));
	aep_error_raise(&error);
}

/*
 * A login of the name "reader_a", or the next one that nobody has: as long as
 * there is no role "reader", all others are somebody else's.
 */
static const char *
choose_login(const char *role_name)
{
	for (char suffix = 'a'; suffix <= 'z'; suffix++)
	{
		const char *login = aep_ingest_login_name(role_name, suffix);

		if (!OidIsValid(get_role_oid(login, true)))
			return login;
	}
	aep_argument_refused("role_name", "Roles of the names of all its logins exist.",
						 "Choose another name, or drop those roles.");
}

/* What a dump or a copy has brought along is not overwritten. */
static void
check_name_is_free(const char *role_name)
{
	AepIngestState state;

	if (aep_ingest_state_find_role(role_name, CurrentMemoryContext, &state))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("ingest role \"%s\" is known already", role_name),
				 errdetail("aep.ingest_role has a row of it."),
				 errhint("CALL aep.drop_ingest_role(%1$s) takes it away with its connection; if it "
						 "came with a copy of another database, CALL aep.forget_ingest_role(%1$s) "
						 "does it here only.",
						 quote_literal_cstr(role_name))));
}

AEP_SQL_FUNCTION(aep_create_ingest_role_2_0);

/* Makes role, login and base connection -> (id, etag) */
Datum
aep_create_ingest_role_2_0(PG_FUNCTION_ARGS)
{
	const AepServer *server;
	AepHiddenStatement hidden;
	AepProcedure procedure;
	AepIngestGrants grants;
	AepBaseConnection connection = {0};
	AepIngestState state;
	AepPassword *password;
	AepCreated created;
	AepRow row;
	int connection_limit;

	aep_row_begin(&row, fcinfo);
	aep_hide_statement(&hidden);
	aep_procedure_begin(
		&procedure, fcinfo, "aep.create_ingest_role",
		"CALL aep.create_ingest_role('reader', '{sales}', id => i, etag => e)",
		"If aep.ingest_role_status() shows the role with the step \"unknown\", CALL "
		"aep.drop_ingest_role(...) takes it away again; then the same CALL begins anew.");
	server = aep_server_get(aep_argument_server(fcinfo, ARG_SERVER), false);
	read_grants(fcinfo, &grants);
	connection_limit =
		PG_ARGISNULL(ARG_CONNECTION_LIMIT) ? -1 : PG_GETARG_INT32(ARG_CONNECTION_LIMIT);
	if (connection_limit < -1)
		aep_argument_refused("connection_limit", "It must be -1, for none, or a number.", NULL);
	password = aep_password_create();
	read_connection(fcinfo, server, choose_login(grants.role_name), password, &connection);
	aep_ingest_lock(grants.role_name);
	check_name_is_free(grants.role_name);

	/* a credential that IMS refuses shall show before anything is made */
	aep_flow_check_access(server);

	aep_ingest_role_create(&grants);
	aep_ingest_login_enable(grants.role_name, connection.username, connection_limit, password);
	fill_state(&state, &grants, server, &connection, connection_limit);
	aep_ingest_state_save(&state);
	aep_procedure_commit();
	create_connection(server, &connection, &state, &created);
	aep_ingest_unlock();
	aep_procedure_end(&procedure);
	aep_show_statement(&hidden);

	aep_row_uuid(&row, created.id);
	aep_row_text(&row, created.has_etag ? created.etag : NULL);
	PG_RETURN_DATUM(aep_row_datum(&row));
}
