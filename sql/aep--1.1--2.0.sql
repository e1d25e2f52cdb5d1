-- complain if the script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION aep UPDATE TO '2.0'" to load this file. \quit

-- A function whose arguments or columns change is dropped and made anew, under
-- another C symbol: who has the new library and the old SQL is told to update,
-- instead of having arguments taken for others.

-- The name of a connection comes first, wherever one is described.
DROP FUNCTION aep.base_connection_request(text, text, text, text, aep.auth_type, text, text, integer, text, name);
DROP FUNCTION aep.create_base_connection(text, text, text, text, aep.auth_type, text, text, integer, text, name);
DROP FUNCTION aep.ensure_base_connection(text, text, text, text, aep.auth_type, text, text, integer, text, boolean, name);
DROP FUNCTION aep.create_base_connections(aep.base_connection_spec[], name);
DROP FUNCTION aep.base_connection_spec(text, text, text, text, aep.auth_type, text, text, integer, text);
DROP TYPE aep.base_connection_spec;

CREATE FUNCTION aep.base_connection_request(
    name text DEFAULT NULL, description text DEFAULT NULL,
    username text DEFAULT NULL, password text DEFAULT NULL,
    auth_type aep.auth_type DEFAULT 'basic', ssl_mode text DEFAULT NULL,
    host text DEFAULT NULL, port integer DEFAULT NULL, database text DEFAULT NULL,
    server name DEFAULT 'aep')
    RETURNS jsonb
    LANGUAGE C VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'aep_base_connection_request_2_0';
COMMENT ON FUNCTION aep.base_connection_request(text, text, text, text, aep.auth_type, text, text, integer, text, name) IS
'Returns the request body that aep.create_base_connection would send with the same arguments, the password masked. Sends nothing. Errors: 22004 missing argument, 22023 bad argument, 42704 no such server, 42809 server of another wrapper, 42501 no USAGE on it.';
REVOKE ALL ON FUNCTION aep.base_connection_request(text, text, text, text, aep.auth_type, text, text, integer, text, name) FROM PUBLIC;

CREATE FUNCTION aep.create_base_connection(
    name text DEFAULT NULL, description text DEFAULT NULL,
    username text DEFAULT NULL, password text DEFAULT NULL,
    auth_type aep.auth_type DEFAULT 'basic', ssl_mode text DEFAULT NULL,
    host text DEFAULT NULL, port integer DEFAULT NULL, database text DEFAULT NULL,
    server name DEFAULT 'aep',
    OUT id uuid, OUT etag text)
    LANGUAGE C VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'aep_create_base_connection_2_0';
COMMENT ON FUNCTION aep.create_base_connection(text, text, text, text, aep.auth_type, text, text, integer, text, name) IS
'Creates a base connection for this database in Experience Platform and returns its id and its etag (with the double quotes that belong to it; NULL if there is none): one row. username and password default to the user mapping''s, the password only where the username is the mapping''s; name to "PostgreSQL <database> at <host>:<port>"; ssl_mode to Prefer with auth_type basic; host, port and database to aep.endpoint(). Not undone by ROLLBACK. Call it in FROM: (f()).* in a select list runs it once per column. Errors: 22004 missing argument, 22023 bad argument or refused request, 42704 no such server or user mapping, 42501 no USAGE or permission denied by Experience Platform, 28000 token refused, 53400 too many requests, 08001 cannot connect, 08006 connection lost, 08007 outcome unknown, 08P01 answer not understood, 54000 answer too large, 58000 service failure.';
REVOKE ALL ON FUNCTION aep.create_base_connection(text, text, text, text, aep.auth_type, text, text, integer, text, name) FROM PUBLIC;

CREATE FUNCTION aep.ensure_base_connection(
    name text DEFAULT NULL, description text DEFAULT NULL,
    username text DEFAULT NULL, password text DEFAULT NULL,
    auth_type aep.auth_type DEFAULT NULL, ssl_mode text DEFAULT NULL,
    host text DEFAULT NULL, port integer DEFAULT NULL, database text DEFAULT NULL,
    replace_credentials boolean DEFAULT false, adopt boolean DEFAULT false,
    server name DEFAULT 'aep',
    OUT id uuid, OUT etag text, OUT action text)
    LANGUAGE C VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'aep_ensure_base_connection_2_0';
COMMENT ON FUNCTION aep.ensure_base_connection(text, text, text, text, aep.auth_type, text, text, integer, text, boolean, boolean, name) IS
'Makes sure that a base connection of this name exists and is as described: creates it if it is missing, changes what is given and differs from what the service shows, enables it if it is disabled; what is not given stays. What the service hides, such as the password, counts as equal unless replace_credentials is given, which sends the user mapping''s username and password. One that leads to another address than this database''s, or than host, port and database say, is only taken over with adopt; so is one whose address is hidden, unless its name is the default name. Returns id, etag and what was done (created, updated or unchanged): one row. Sessions of this database that do the same at once wait for each other. Not undone by ROLLBACK. Errors: 42710 several connections have the name, or it is another database''s, and as aep.create_base_connection and aep.update_connection.';
REVOKE ALL ON FUNCTION aep.ensure_base_connection(text, text, text, text, aep.auth_type, text, text, integer, text, boolean, boolean, name) FROM PUBLIC;

CREATE TYPE aep.base_connection_spec AS (
    name text, description text, username text, password text, auth_type aep.auth_type,
    ssl_mode text, host text, port integer, database text);
COMMENT ON TYPE aep.base_connection_spec IS 'What describes a base connection: an item of aep.create_base_connections';

CREATE FUNCTION aep.base_connection_spec(
    name text DEFAULT NULL, description text DEFAULT NULL,
    username text DEFAULT NULL, password text DEFAULT NULL,
    auth_type aep.auth_type DEFAULT 'basic', ssl_mode text DEFAULT NULL,
    host text DEFAULT NULL, port integer DEFAULT NULL, database text DEFAULT NULL)
    RETURNS aep.base_connection_spec
    LANGUAGE C IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'aep_base_connection_spec_2_0';
COMMENT ON FUNCTION aep.base_connection_spec(text, text, text, text, aep.auth_type, text, text, integer, text) IS
'Returns the arguments as one value, for aep.create_base_connections. Checks and sends nothing.';
REVOKE ALL ON FUNCTION aep.base_connection_spec(text, text, text, text, aep.auth_type, text, text, integer, text) FROM PUBLIC;

CREATE FUNCTION aep.create_base_connections(
    specs aep.base_connection_spec[], server name DEFAULT 'aep',
    OUT ordinal integer, OUT name text, OUT id uuid, OUT etag text,
    OUT sqlstate text, OUT message text)
    RETURNS SETOF record
    LANGUAGE C VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'aep_create_base_connections_2_0';
COMMENT ON FUNCTION aep.create_base_connections(aep.base_connection_spec[], name) IS
'Creates many base connections at once, as many requests in flight as the server option concurrency says. Returns one row for each spec, in their order: id and etag, or SQLSTATE and message of what kept this one from being created; the others are not affected. Not undone by ROLLBACK. Errors: 22004 missing argument, 42704 no such server or user mapping, 42501 no USAGE, 28000 no access token to be had.';
REVOKE ALL ON FUNCTION aep.create_base_connections(aep.base_connection_spec[], name) FROM PUBLIC;

-- What a change does not name stays.
COMMENT ON FUNCTION aep.update_connection(uuid, text, text, text, text, text, aep.auth_type, text, text, integer, text, boolean, text, name) IS
'Changes a base connection: only what is given; an empty description is removed; state is enabled or disabled. With any argument from username to database, or with replace_credentials, login and address are sent as a whole: what is not given stays as the service shows it, what the service does not show must be given. The password is the user mapping''s where the username is; replace_credentials takes both from there. etag: the version to change, with its double quotes; NULL: the current one, read first. Returns id and new etag: one row. Not undone by ROLLBACK. Errors: 22004 nothing to change, or something that is not shown must be given too (the hint names it), 22023 bad argument, 42704 no such connection, 55000 login or address of a connection of aep.create_ingest_role, 0A000 it has parameters that would be lost, 40001 changed by somebody else meanwhile, 08007 outcome unknown, and as aep.connections.';

-- Ingest roles are bound to their installation; a rotation proves a login before it changes the
-- connection.

ALTER TABLE aep.ingest_role DROP CONSTRAINT ingest_role_step_check;
ALTER TABLE aep.ingest_role
    ADD CONSTRAINT ingest_role_step_check CHECK (step IN ('active', 'proving', 'rotating', 'unknown')),
    ADD COLUMN made_logins text,
    ADD COLUMN trial_name text,
    ADD COLUMN trial_id uuid,
    ADD COLUMN moves boolean NOT NULL DEFAULT false,
    ADD COLUMN bound_system bigint,
    ADD COLUMN bound_database oid,
    ADD COLUMN bound_host text,
    ADD COLUMN bound_port integer,
    ADD COLUMN bound_database_name name;

-- Until now a row was of the database that it stood in, and every member with such a name a login of
-- ours.  The address is noted by the next rotation.
UPDATE aep.ingest_role AS r
SET bound_system = c.system_identifier,
    bound_database = d.oid,
    made_logins = (
        SELECT pg_catalog.string_agg(' ' || l.rolname || ' ', '' ORDER BY l.rolname)
        FROM pg_catalog.pg_roles AS l
        WHERE l.rolname = r.active_login
            OR (l.rolname IN (SELECT r.role_name || '_' || pg_catalog.chr(n)
                              FROM pg_catalog.generate_series(97, 122) AS n)
                AND EXISTS (SELECT FROM pg_catalog.pg_auth_members AS m
                            WHERE m.member = l.oid
                                AND m.roleid = (SELECT g.oid FROM pg_catalog.pg_roles AS g
                                                WHERE g.rolname = r.role_name))))
FROM pg_catalog.pg_control_system() AS c, pg_catalog.pg_database AS d
WHERE d.datname = pg_catalog.current_database();

CREATE OR REPLACE PROCEDURE aep.create_ingest_role(
    role_name name, schemas name[] DEFAULT NULL, tables regclass[] DEFAULT NULL,
    default_privileges boolean DEFAULT false, connection_limit integer DEFAULT -1,
    name text DEFAULT NULL, description text DEFAULT NULL,
    auth_type aep.auth_type DEFAULT 'basic', ssl_mode text DEFAULT NULL,
    host text DEFAULT NULL, port integer DEFAULT NULL, database text DEFAULT NULL,
    server name DEFAULT 'aep',
    INOUT id uuid DEFAULT NULL, INOUT etag text DEFAULT NULL)
    LANGUAGE C
    AS 'MODULE_PATHNAME', 'aep_create_ingest_role_2_0';
COMMENT ON PROCEDURE aep.create_ingest_role(name, name[], regclass[], boolean, integer, text, text, aep.auth_type, text, text, integer, text, name, uuid, text) IS
'Makes a role that may read, a login for Experience Platform that is its member (role_name with _a, or the next letter that is free), with a random password that nobody sees, and a base connection that uses it. The role gets CONNECT on this database, USAGE on the schemas and SELECT on all their tables, SELECT on the tables; with default_privileges also SELECT on tables that the caller makes in the schemas later. The other arguments are those of aep.create_base_connection. Returns id and etag of the connection; in PL/pgSQL these need variables: CALL aep.create_ingest_role(''reader'', ''{sales}'', id => i, etag => e). Commits between its steps; after a refusal the roles are gone again, after an unknown outcome they stay until aep.drop_ingest_role. Errors: 25001 in a transaction block, 22023 no table to read, 42710 role exists, 42501 what CREATE ROLE or GRANT need is missing, 42P01 a table was dropped meanwhile, 55P03 another session is doing it, and as aep.create_base_connection.';

CREATE OR REPLACE PROCEDURE aep.rotate_credentials(
    connection_id uuid, server name DEFAULT NULL,
    INOUT active_login text DEFAULT NULL, INOUT etag text DEFAULT NULL)
    LANGUAGE C
    AS 'MODULE_PATHNAME', 'aep_rotate_credentials_2_0';
COMMENT ON PROCEDURE aep.rotate_credentials(uuid, name, text, text) IS
'Gives Experience Platform another login with a new random password for a connection made by aep.create_ingest_role: has it try the login through a connection made for that, only if it gets in here tells the real connection, has it test that, and only then takes the former login out of service. server defaults to the one of the connection. Returns the login that is used now and the connection''s etag; in PL/pgSQL these need variables: CALL aep.rotate_credentials(id, active_login => l, etag => e). Commits between its steps; after any failure the login in use keeps working, aep.ingest_role_status() shows the state, and the same CALL again resumes. Errors: 25001 in a transaction block, 55P03 another session is doing it, 42704 not managed here, or not a role that the caller may alter, 55000 bound to another installation, the connection has another address in Experience Platform, or every login may be in use, 40001 the connection was changed meanwhile, 08000 Experience Platform could not connect with the new login, 08007 outcome unknown, and as aep.create_base_connection and aep.update_connection.';

CREATE PROCEDURE aep.drop_ingest_role(role_name name, server name DEFAULT NULL)
    LANGUAGE C
    AS 'MODULE_PATHNAME', 'aep_drop_ingest_role';
COMMENT ON PROCEDURE aep.drop_ingest_role(name, name) IS
'Undoes aep.create_ingest_role in any of its steps: deletes the connection in Experience Platform, takes back all that the role and its logins are granted in this database, drops them and forgets them. What is gone already is no error. server defaults to the one of the connection. Commits at its end; after any failure the same CALL again resumes. Errors: 25001 in a transaction block, 55P03 another session is working on it, 42704 no ingest role of this database, or not a role that the caller may alter, 55000 bound to another installation, 2BP01 flows use the connection, or the role has to do with more than was granted, and as aep.delete_connection.';
REVOKE ALL ON PROCEDURE aep.drop_ingest_role(name, name) FROM PUBLIC;

CREATE PROCEDURE aep.adopt_ingest_role(
    role_name name, server name DEFAULT NULL,
    host text DEFAULT NULL, port integer DEFAULT NULL, database text DEFAULT NULL)
    LANGUAGE C
    AS 'MODULE_PATHNAME', 'aep_adopt_ingest_role';
COMMENT ON PROCEDURE aep.adopt_ingest_role(name, name, text, integer, text) IS
'Binds an ingest role to this database, which was copied, restored, upgraded with pg_upgrade, renamed or moved: from now on it may rotate and drop. host, port and database are where Experience Platform finds it from the next rotation on; they default to those of aep.endpoint() where the former ones were those of the former installation, and else stay. server names another one if the former one was dropped or renamed. Sends nothing. Errors: 42704 no ingest role of this database, or not a role that the caller may alter, 22023 bad argument, 55P03 another session is working on it.';
REVOKE ALL ON PROCEDURE aep.adopt_ingest_role(name, name, text, integer, text) FROM PUBLIC;

CREATE PROCEDURE aep.forget_ingest_role(role_name name)
    LANGUAGE C
    AS 'MODULE_PATHNAME', 'aep_forget_ingest_role';
COMMENT ON PROCEDURE aep.forget_ingest_role(name) IS
'Deletes what this database knows of an ingest role, and nothing else: for a copy beside its original. The role, its logins and its connection stay as they are. Sends nothing. Errors: 42704 no ingest role of this database, or not a role that the caller may alter, 55P03 another session is working on it.';
REVOKE ALL ON PROCEDURE aep.forget_ingest_role(name) FROM PUBLIC;

DROP FUNCTION aep.ingest_role_status();
CREATE FUNCTION aep.ingest_role_status(
    OUT connection_id uuid, OUT connection_name text, OUT server text, OUT role_name text,
    OUT active_login text, OUT idle_login text, OUT step text, OUT rotated_at timestamptz,
    OUT sessions integer, OUT binding text)
    RETURNS SETOF record
    LANGUAGE C VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'aep_ingest_role_status_2_0';
COMMENT ON FUNCTION aep.ingest_role_status() IS
'Returns one row for each connection whose credentials are managed here and whose role the caller may alter: the login that Experience Platform uses, the other one, how far a change has come (active: none is under way; proving, rotating: CALL aep.rotate_credentials again to finish it; unknown: an answer was lost, all logins work; invalid: the row was edited, see aep.check_ingest_role), when the credentials last changed, how many sessions the active login has right now, and whether the row is this database''s: here, elsewhere (of another cluster or database), moved (of another address), unconfirmed (of a version before 2.0); unless here, aep.adopt_ingest_role or aep.forget_ingest_role comes first. Sends nothing.';
REVOKE ALL ON FUNCTION aep.ingest_role_status() FROM PUBLIC;

CREATE OR REPLACE FUNCTION aep.check_ingest_role(
    connection_id uuid, OUT finding text, OUT remedy text)
    RETURNS SETOF record
    LANGUAGE C VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'aep_check_ingest_role_2_0';

-- Library and SQL are exchanged apart from each other.
DROP FUNCTION aep.version();
CREATE FUNCTION aep.version(
    OUT extension text, OUT library text, OUT postgresql text, OUT libcurl text, OUT tls text,
    OUT cjson text, OUT remedy text)
    LANGUAGE C STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'aep_version_2_0';
COMMENT ON FUNCTION aep.version() IS
'Returns the versions of the extension''s SQL in this database, of its library in this session, of the PostgreSQL it was built for, and of the libraries in use: one row, for bug reports. remedy: what makes SQL and library agree; NULL if they do.';
REVOKE ALL ON FUNCTION aep.version() FROM PUBLIC;

-- A mapping that the caller cannot see gives no power over others' logins.
COMMENT ON FUNCTION aep.request(text, text, jsonb, jsonb, jsonb, name) IS
'Sends any request to Experience Platform, signed as those of the other functions. method: GET, POST, PUT, PATCH or DELETE; path: below /data/foundation, such as /flowservice/flows; query: an object of parameters, an array for one that is repeated; headers: an object of further ones. Returns HTTP status, etag, headers and body of the answer, whatever its status: one row; a body that is not JSON comes as a JSON string. Not undone by ROLLBACK. Errors: 22004 missing argument, 22023 bad argument, 42704 no such server or user mapping, 42501 no USAGE, or the user mapping of PUBLIC, which the caller cannot see, 28000 no access token to be had, 08001 cannot connect, 08006 connection lost, 08007 outcome unknown, 54000 answer too large.';

-- Many tests at once.
CREATE FUNCTION aep.test_connections(
    ids uuid[] DEFAULT NULL, server name DEFAULT 'aep',
    OUT id uuid, OUT name text, OUT result boolean, OUT message text, OUT sqlstate text)
    RETURNS SETOF record
    LANGUAGE C VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'aep_test_connections';
COMMENT ON FUNCTION aep.test_connections(uuid[], name) IS
'Has Experience Platform test many base connections at once, as many requests in flight as the server option concurrency says: those of the ids, or this database''s, which are the enabled PostgreSQL connections whose address is that of aep.endpoint(), or is not shown. Returns one row for each, in the order in which they finish: result and message as aep.test_connection, or a NULL result with SQLSTATE and message of what kept this one from being tested; the others are not affected. Errors: 42704 no such server or user mapping, 42501 no USAGE, 28000 no access token to be had, and without ids as aep.connections.';
REVOKE ALL ON FUNCTION aep.test_connections(uuid[], name) FROM PUBLIC;

-- All that is missing or wrong before a call can succeed, at once.
CREATE FUNCTION aep.check_server(
    server name DEFAULT 'aep',
    OUT severity text, OUT finding text, OUT remedy text)
    RETURNS SETOF record
    LANGUAGE C VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'aep_check_server';
COMMENT ON FUNCTION aep.check_server(name) IS
'Lists what is missing or wrong for the current user to make calls through a server: options, user mapping, privileges, the address of this database, reachability and TLS, the credential, organisation and sandbox, the clock. One row for each finding, with a remedy, which is a statement where one can be named; no row: nothing was found. severity is error where no call can succeed, or warning. Sends one request, and one for a token if none is at hand. Errors: 22004 missing argument.';
REVOKE ALL ON FUNCTION aep.check_server(name) FROM PUBLIC;

-- Where a connection leads stands in columns of its own.
DROP FUNCTION aep.connections(text, text, uuid, integer, name);
DROP FUNCTION aep.connection(uuid, name);

CREATE FUNCTION aep.connections(
    name text DEFAULT NULL, state text DEFAULT NULL,
    connection_spec_id uuid DEFAULT '74a1c565-4e59-48d7-9d67-7c03b8a13137',
    max_rows integer DEFAULT NULL, server name DEFAULT 'aep',
    OUT id uuid, OUT name text, OUT description text, OUT state text, OUT auth_spec text,
    OUT connection_spec_id uuid, OUT host text, OUT port integer, OUT database text,
    OUT username text, OUT ssl_mode text, OUT created_at timestamptz, OUT updated_at timestamptz,
    OUT created_by text, OUT etag text, OUT entity jsonb)
    RETURNS SETOF record
    LANGUAGE C VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'aep_connections_2_0';
COMMENT ON FUNCTION aep.connections(text, text, uuid, integer, name) IS
'Returns the base connections of the sandbox, one row each, ordered by name: those with this name and state (enabled, disabled), of this connection specification (default: PostgreSQL; NULL: every source), at most max_rows. host, port, database, username and ssl_mode are where it leads, NULL where the service does not show that, as with a connection string; created_at and updated_at come from the service; entity is all that it shows. Reads all pages. Errors: 22023 bad argument, 42704 no such server or user mapping, 42501 no USAGE or permission denied by Experience Platform, 28000 token refused, 53400 too many requests, 08001 cannot connect, 08006 connection lost, 08P01 answer not understood, 54000 answer too large, 58000 service failure.';
REVOKE ALL ON FUNCTION aep.connections(text, text, uuid, integer, name) FROM PUBLIC;

CREATE FUNCTION aep.connection(
    id uuid, server name DEFAULT 'aep',
    OUT id uuid, OUT name text, OUT description text, OUT state text, OUT auth_spec text,
    OUT connection_spec_id uuid, OUT host text, OUT port integer, OUT database text,
    OUT username text, OUT ssl_mode text, OUT created_at timestamptz, OUT updated_at timestamptz,
    OUT created_by text, OUT etag text, OUT entity jsonb)
    LANGUAGE C VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'aep_connection_2_0';
COMMENT ON FUNCTION aep.connection(uuid, name) IS
'Returns one base connection: the row that aep.connections has for it. Errors: 22004 missing argument, 42704 no such connection, server or user mapping, and as aep.connections.';
REVOKE ALL ON FUNCTION aep.connection(uuid, name) FROM PUBLIC;

-- What Experience Platform calls a view is asked for as a view.
DROP FUNCTION aep.explore_table(uuid, text, name);
DROP FUNCTION aep.preview_table(uuid, text, name);
DROP FUNCTION aep.compare_table(uuid, regclass, text, name);

CREATE FUNCTION aep.explore_table(
    id uuid, path text, object_type text DEFAULT NULL, server name DEFAULT 'aep',
    OUT column_name text, OUT type text, OUT original_type text,
    OUT xdm_type text, OUT xdm_format text, OUT entity jsonb)
    RETURNS SETOF record
    LANGUAGE C VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'aep_explore_table_2_0';
COMMENT ON FUNCTION aep.explore_table(uuid, text, text, name) IS
'Returns the columns of a table as Experience Platform sees them, one row each: its own type, the source''s where it tells, and type and format in the Experience Data Model. path: verbatim as aep.explore gave it. object_type: the type that it gave, such as view; by default a table is asked for, and if there is none of this path, what aep.explore calls it. Errors: 22004 missing argument, 42704 no such connection, 22023 no such table, and as aep.connections.';
REVOKE ALL ON FUNCTION aep.explore_table(uuid, text, text, name) FROM PUBLIC;

CREATE FUNCTION aep.preview_table(
    id uuid, path text, object_type text DEFAULT NULL, server name DEFAULT 'aep')
    RETURNS SETOF jsonb
    LANGUAGE C VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'aep_preview_table_2_0';
COMMENT ON FUNCTION aep.preview_table(uuid, text, text, name) IS
'Returns the first rows of a table as Experience Platform reads them, one JSON object each. path and object_type: as in aep.explore_table. Errors: as aep.explore_table.';
REVOKE ALL ON FUNCTION aep.preview_table(uuid, text, text, name) FROM PUBLIC;

CREATE FUNCTION aep.compare_table(
    id uuid, relation regclass, path text DEFAULT NULL, object_type text DEFAULT NULL,
    server name DEFAULT 'aep',
    OUT column_name text, OUT database_type text, OUT platform_type text,
    OUT xdm_type text, OUT xdm_format text, OUT agrees boolean, OUT finding text)
    RETURNS SETOF record
    LANGUAGE C VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'aep_compare_table_2_0';
COMMENT ON FUNCTION aep.compare_table(uuid, regclass, text, text, name) IS
'Compares a table here with what Experience Platform sees of it, one row for each column of either side. finding is agrees, type differs, missing in the platform or missing in the database. path defaults to schema.table; object_type: as in aep.explore_table. Errors: as aep.explore_table.';
REVOKE ALL ON FUNCTION aep.compare_table(uuid, regclass, text, text, name) FROM PUBLIC;
