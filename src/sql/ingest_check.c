/*
 * sql/ingest_check.c
 *		aep.check_ingest_role(): what would keep Experience Platform from
 *		reading, found from inside.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include "compat.h"
#include "database/owner.h"
#include "ingest/role.h"
#include "ingest/state.h"
#include "sql/argument.h"
#include "sql/row.h"

/*
 * A check is a query that gives a row (finding, remedy) for each thing it
 * finds.  Parameters: $1 the login, $2 the role, $3 the schemas, $4 the tables,
 * $5 the SSL mode, all as text.  They run as the caller, with a pinned path.
 */
typedef struct Check
{
	const char *needs_function; /* one that not everybody may call; NULL: none */
	const char *query;
} Check;

/*
 * The table c of the schema n is one of $4.  Compared as names: how they were
 * quoted when the role was made depends on settings and version of then.
 */
#define LISTED                                    \
	"ARRAY[n.nspname::text, c.relname::text] IN " \
	"(SELECT parse_ident(x) FROM unnest($4::text[]) AS x)"

/* The tables that the login should be able to read. */
#define TABLES                                                                          \
	"(SELECT c.oid AS id, c.relnamespace AS schema, c.relrowsecurity AS row_security, " \
	"c.relowner AS owner, format('%I.%I', n.nspname, c.relname) AS name, n.nspname AS " \
	"schema_name "                                                                      \
	"FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "                    \
	"WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND (n.nspname = ANY ($3::name[]) "   \
	"OR " LISTED ")) AS t"

/* Its path, for who may know it. */
#define HBA_FILE \
	"coalesce((SELECT setting FROM pg_settings WHERE name = 'hba_file'), 'pg_hba.conf')"

/* The connection has SSL, or none comes about. */
#define SSL_REQUIRED "$5 IN ('Require', 'Verify Ca', 'Verify Full', 'Verify-Ca', 'Verify-Full')"

/* Which kinds of connections are tried, for the first word of a line: 'ssl', 'nossl' or both. */
#define TRIED                                \
	"CASE WHEN " SSL_REQUIRED " THEN 'ssl' " \
	"WHEN $5 = 'Disable' OR current_setting('ssl') = 'off' THEN 'nossl' ELSE 'both' END"

/* A list of names in pg_hba.conf has this one; since 16 some are regular expressions. */
#define NAMES(list, name)                                                               \
	"(" list " && ARRAY['all', " name "] OR EXISTS (SELECT FROM unnest(" list ") AS u " \
	"WHERE CASE WHEN current_setting('server_version_num')::int >= 160000 "             \
	"AND u LIKE '/%' THEN " name " ~ substr(u, 2) ELSE false END))"

/* The line r of pg_hba.conf stands before p, and holds for all that p is about. */
#define COMES_FIRST                                                                  \
	"r.n < p.n AND (r.type IN ('host', 'hostnogssenc') OR r.type = p.type OR " TRIED \
	" <> 'both') AND CASE WHEN r.address = 'all' THEN true "                         \
	"WHEN r.netmask IS NULL THEN r.address = p.address "                             \
	"WHEN p.netmask IS NULL THEN r.netmask = '0.0.0.0' "                             \
	"WHEN family(r.netmask::inet) <> family(p.netmask::inet) THEN false "            \
	"ELSE p.netmask::inet & r.netmask::inet = r.netmask::inet "                      \
	"AND p.address::inet & r.netmask::inet = r.address::inet & r.netmask::inet END"

/*
 * The lines of pg_hba.conf that count when the login comes from outside and
 * either ask for a password or reject it, with n for their order, since the
 * first that fits decides.  In the way are those that leave no other way in.
 */
#define HBA_LINES                                                                                 \
	"WITH line AS (SELECT h.ordinality AS n, h.line_number, h.type, h.address, h.netmask, "       \
	"h.auth_method = 'reject' AS rejects "                                                        \
	"FROM pg_roles l, pg_hba_file_rules() WITH ORDINALITY AS h "                                  \
	"WHERE l.rolname = $1 AND h.error IS NULL "                                                   \
	"AND (h.type IN ('host', 'hostnogssenc') OR (h.type = 'hostssl' AND " TRIED " <> 'nossl') "   \
	"OR (h.type = 'hostnossl' AND " TRIED " <> 'ssl')) "                                          \
	"AND " NAMES(                                                                                 \
		"h.database",                                                                             \
		"current_database()::text") " "                                                           \
									"AND (" NAMES(                                                \
										"h.user_name",                                            \
										"$1") " OR EXISTS (SELECT FROM unnest(h.user_name) AS u " \
											  "JOIN pg_roles r ON r.rolname = substr(u, 2) "      \
											  "WHERE u LIKE '+%' AND pg_has_role(l.oid, r.oid, "  \
											  "'MEMBER'))) "                                      \
											  "AND h.address IS NOT NULL AND h.address NOT IN "   \
											  "('localhost', 'samehost', '::1') "                 \
											  "AND h.address NOT LIKE '127.%' AND h.auth_method " \
											  "IN "                                               \
											  "('scram-sha-256', 'md5', 'password', 'ldap', "     \
											  "'radius', 'pam', 'reject')), "                     \
											  "closed AS (SELECT p.n, p.line_number AS "          \
											  "password_number, r.line_number AS number "         \
											  "FROM line r, line p WHERE r.rejects AND NOT "      \
											  "p.rejects AND " COMES_FIRST "), "                  \
											  "in_the_way AS (SELECT * FROM closed WHERE NOT "    \
											  "EXISTS "                                           \
											  "(SELECT FROM line WHERE NOT rejects AND n NOT IN " \
											  "(SELECT c.n FROM closed c))) "

/* Whether a policy p of the table t is about reads by the login l. */
#define POLICY_APPLIES                                                                         \
	"p.polrelid = t.id AND p.polcmd IN ('r', '*') AND (p.polroles @> ARRAY[0::oid] OR EXISTS " \
	"(SELECT FROM unnest(p.polroles) AS r WHERE r <> 0 AND pg_has_role(l.oid, r, 'USAGE')))"

/* Row level security counts for the login. */
#define SECURED                                                                    \
	"l.rolname = $1 AND t.row_security AND NOT l.rolbypassrls AND NOT l.rolsuper " \
	"AND NOT pg_has_role(l.oid, t.owner, 'USAGE') "

static const Check checks[] = {
	{NULL, "SELECT format('login %I does not exist', $1), "
		   "'CALL aep.rotate_credentials(...)' "
		   "WHERE to_regrole(quote_ident($1)) IS NULL"},
	{NULL, "SELECT format('login %I may not log in', rolname), "
		   "format('ALTER ROLE %I LOGIN', rolname) "
		   "FROM pg_roles WHERE rolname = $1 AND NOT rolcanlogin"},
	{NULL, "SELECT format('login %I expired at %s', rolname, rolvaliduntil), "
		   "format('ALTER ROLE %I VALID UNTIL ''infinity''', rolname) "
		   "FROM pg_roles WHERE rolname = $1 AND rolvaliduntil <= now()"},
	{NULL, "SELECT format('login %I does not inherit from role %I', $1, $2), "
		   /* since 16 each grant has this of its own, and the role's is for new ones */
		   "format(CASE WHEN current_setting('server_version_num')::int >= 160000 "
		   "THEN 'GRANT %1$I TO %2$I WITH INHERIT TRUE' "
		   "ELSE 'GRANT %1$I TO %2$I; ALTER ROLE %2$I INHERIT' END, $2, $1) "
		   "FROM pg_roles l, pg_roles r WHERE l.rolname = $1 AND r.rolname = $2 "
		   "AND NOT pg_has_role(l.oid, r.oid, 'USAGE')"},
	{NULL, "SELECT format('login %I may not connect to database %I', $1, current_database()), "
		   "format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), $2) "
		   "FROM pg_roles l WHERE l.rolname = $1 "
		   "AND NOT has_database_privilege(l.oid, current_database(), 'CONNECT')"},
	{NULL, "SELECT DISTINCT format('login %I may not use schema %I', $1, t.schema_name), "
		   "format('GRANT USAGE ON SCHEMA %I TO %I', t.schema_name, $2) "
		   "FROM pg_roles l, " TABLES " WHERE l.rolname = $1 "
		   "AND NOT has_schema_privilege(l.oid, t.schema, 'USAGE')"},
	{NULL, "SELECT format('login %I may not read %s', $1, t.name), "
		   "format('GRANT SELECT ON TABLE %s TO %I', t.name, $2) "
		   "FROM pg_roles l, " TABLES " WHERE l.rolname = $1 "
		   "AND NOT has_table_privilege(l.oid, t.id, 'SELECT') ORDER BY 1"},
	{NULL, "SELECT format('table %s does not exist', name), "
		   "format('CREATE it, or revoke what it was: aep.ingest_role lists it for %I', $2) "
		   "FROM unnest($4::text[]) AS name WHERE parse_ident(name) NOT IN "
		   "(SELECT ARRAY[n.nspname::text, c.relname::text] "
		   "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE " LISTED ")"},
	{NULL, "SELECT format('row level security of %s hides %s from %I', t.name, "
		   "CASE WHEN EXISTS (SELECT FROM pg_policy p WHERE p.polpermissive AND " POLICY_APPLIES
		   ") THEN 'rows' ELSE 'all rows' END, $1), "
		   "format('CREATE POLICY %I ON %s FOR SELECT TO %I USING (true)', $2, t.name, $2) "
		   "FROM pg_roles l, " TABLES " WHERE " SECURED
		   "AND NOT EXISTS (SELECT FROM pg_policy p WHERE p.polpermissive "
		   "AND pg_get_expr(p.polqual, p.polrelid) = 'true' AND " POLICY_APPLIES ")"},
	{NULL,
	 "SELECT format('row level security of %s hides rows from %I, with a restrictive policy', "
	 "t.name, $1), format('ALTER ROLE %I BYPASSRLS', $1) "
	 "FROM pg_roles l, " TABLES " WHERE " SECURED
	 "AND EXISTS (SELECT FROM pg_policy p WHERE NOT p.polpermissive AND " POLICY_APPLIES ")"},
	{"pg_catalog.pg_hba_file_rules()", HBA_LINES
	 "SELECT format('pg_hba.conf has no line that lets %I in from outside with a password%s', $1, "
	 "CASE WHEN " SSL_REQUIRED " THEN ' and SSL' WHEN $5 = 'Disable' THEN ' and without SSL' END), "
	 "format('%s: %s %I +%I 0.0.0.0/0 scram-sha-256', " HBA_FILE ", "
	 "CASE WHEN current_setting('ssl') = 'on' AND $5 IS DISTINCT FROM 'Disable' THEN 'hostssl' "
	 "ELSE 'host' END, current_database(), $2) "
	 "FROM pg_roles l WHERE l.rolname = $1 AND NOT EXISTS (SELECT FROM line WHERE NOT rejects) "
	 "UNION ALL "
	 "(SELECT format('line %s of pg_hba.conf rejects %I', number, $1), "
	 "format('%s: move line %s below line %s', " HBA_FILE ", number, min(password_number)) "
	 "FROM in_the_way GROUP BY number ORDER BY number)"},
	{"pg_catalog.pg_hba_file_rules()",
	 "SELECT format('line %s of pg_hba.conf is wrong: %s', line_number, error), "
	 "format('%s: mend line %s', " HBA_FILE ", line_number) "
	 "FROM pg_hba_file_rules() WHERE error IS NOT NULL"},
	{NULL,
	 "SELECT format('listen_addresses is ''%s'': the server accepts no connection from outside', "
	 "current_setting('listen_addresses')), "
	 "'ALTER SYSTEM SET listen_addresses = ''*''; then restart the server' "
	 "WHERE NOT EXISTS (SELECT FROM "
	 "regexp_split_to_table(current_setting('listen_addresses'), '\\s*,\\s*') AS a "
	 "WHERE btrim(a) NOT IN ('', 'localhost', '::1') AND btrim(a) NOT LIKE '127.%')"},
	{NULL, "SELECT format('ssl is off, and the connection asks for SSL mode %s', $5), "
		   "'ALTER SYSTEM SET ssl = on; with a certificate, then reload' "
		   "WHERE current_setting('ssl') = 'off' AND " SSL_REQUIRED},
	{NULL, "SELECT format('login %I uses all %s connections of its limit', $1, rolconnlimit), "
		   "format('ALTER ROLE %I CONNECTION LIMIT %s', $1, rolconnlimit + 10) "
		   "FROM pg_roles WHERE rolname = $1 AND rolconnlimit >= 0 AND rolconnlimit <= "
		   "(SELECT count(*) FROM pg_stat_activity a WHERE a.usename = $1)"},
	{NULL,
	 "SELECT format('database %I uses all %s connections of its limit', datname, datconnlimit), "
	 "format('ALTER DATABASE %I CONNECTION LIMIT %s', datname, datconnlimit + 10) "
	 "FROM pg_database d WHERE datname = current_database() AND datconnlimit >= 0 AND "
	 "datconnlimit <= (SELECT count(*) FROM pg_stat_activity a WHERE a.datid = d.oid)"},
	{NULL, "SELECT format('the server uses all %s connections that are not reserved', "
		   "current_setting('max_connections')), "
		   "'ALTER SYSTEM SET max_connections = ...; then restart the server' "
		   /* the type of others' sessions may be hidden, their database never is */
		   "WHERE (SELECT count(*) FROM pg_stat_activity a WHERE a.datid IS NOT NULL "
		   "AND coalesce(a.backend_type, 'client backend') = 'client backend') "
		   ">= current_setting('max_connections')::int "
		   "- current_setting('superuser_reserved_connections')::int "
		   "- coalesce(current_setting('reserved_connections', true)::int, 0)"}, /* since 16 */
};

static bool
may_call(const char *function)
{
	Oid types[] = {TEXTOID};
	Datum values[] = {CStringGetTextDatum(function)};
	bool is_null;

	SPI_execute_with_args("SELECT pg_catalog.has_function_privilege($1, 'EXECUTE')", 1, types,
						  values, NULL, true, 1);
	return DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null));
}

static void
store_finding(AepRow *row, const char *finding, const char *remedy)
{
	aep_row_text(row, finding);
	aep_row_text(row, remedy);
	aep_row_store(row);
}

/* Runs one check and stores what it finds. */
static void
run_check(AepRow *row, const Check *check, const char *const *parameters)
{
	Oid types[5];
	Datum values[5];
	char nulls[5];
	AepPinnedPath path;
	int result;

	if (check->needs_function != NULL && !may_call(check->needs_function))
	{
		store_finding(row, psprintf("could not be checked: %s", check->needs_function),
					  psprintf("GRANT EXECUTE ON FUNCTION %s TO %s", check->needs_function,
							   quote_identifier(GetUserNameFromId(GetUserId(), false))));
		return;
	}
	for (int i = 0; i < lengthof(types); i++)
	{
		types[i] = TEXTOID;
		nulls[i] = parameters[i] == NULL ? 'n' : ' ';
		values[i] = parameters[i] == NULL ? (Datum) 0 : CStringGetTextDatum(parameters[i]);
	}
	aep_pin_path(&path);
	result = SPI_execute_with_args(check->query, lengthof(types), types, values, nulls, true, 0);
	aep_unpin_path(&path);
	if (result != SPI_OK_SELECT)
		elog(ERROR, "SPI_execute_with_args failed: %s", SPI_result_code_string(result));
	for (uint64 i = 0; i < SPI_processed; i++)
		store_finding(row, SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1),
					  SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2));
}

AEP_SQL_FUNCTION(aep_check_ingest_role);

/* aep.check_ingest_role(connection_id) -> one row per finding */
Datum
aep_check_ingest_role(PG_FUNCTION_ARGS)
{
	const char *connection_id = aep_argument_uuid_required(fcinfo, 0, "connection_id");
	AepIngestState state;
	AepRow row;

	aep_row_begin_set(&row, fcinfo);
	SPI_connect();
	if (!aep_ingest_state_find(connection_id, true, CurrentMemoryContext, &state) ||
		!aep_ingest_role_may_see(state.role_name))
		aep_ingest_state_missing(connection_id);
	for (int i = 0; i < lengthof(checks); i++)
	{
		const char *parameters[] = {state.active_login, state.role_name, state.schemas,
									state.tables, state.ssl_mode};

		run_check(&row, &checks[i], parameters);
	}
	SPI_finish();
	return (Datum) 0;
}
