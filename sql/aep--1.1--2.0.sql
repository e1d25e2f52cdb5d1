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
'Creates a base connection for this database in Experience Platform and returns its id and its etag (with the double quotes that belong to it; NULL if there is none): one row. username and password default to the user mapping''s; name to "PostgreSQL <database> at <host>:<port>"; ssl_mode to Prefer with auth_type basic; host, port and database to aep.endpoint(). Not undone by ROLLBACK. Call it in FROM: (f()).* in a select list runs it once per column. Errors: 22004 missing argument, 22023 bad argument or refused request, 42704 no such server or user mapping, 42501 no USAGE or permission denied by Experience Platform, 28000 token refused, 53400 too many requests, 08001 cannot connect, 08006 connection lost, 08007 outcome unknown, 08P01 answer not understood, 54000 answer too large, 58000 service failure.';
REVOKE ALL ON FUNCTION aep.create_base_connection(text, text, text, text, aep.auth_type, text, text, integer, text, name) FROM PUBLIC;

CREATE FUNCTION aep.ensure_base_connection(
    name text DEFAULT NULL, description text DEFAULT NULL,
    username text DEFAULT NULL, password text DEFAULT NULL,
    auth_type aep.auth_type DEFAULT 'basic', ssl_mode text DEFAULT NULL,
    host text DEFAULT NULL, port integer DEFAULT NULL, database text DEFAULT NULL,
    replace_credentials boolean DEFAULT false, server name DEFAULT 'aep',
    OUT id uuid, OUT etag text, OUT action text)
    LANGUAGE C VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'aep_ensure_base_connection_2_0';
COMMENT ON FUNCTION aep.ensure_base_connection(text, text, text, text, aep.auth_type, text, text, integer, text, boolean, name) IS
'Makes sure that a base connection of this name exists and is as described: creates it if it is missing, updates what differs from what the service shows, enables it if it is disabled. What it hides, such as the password, counts as equal unless replace_credentials is given. Returns id, etag and what was done (created, updated or unchanged): one row. Sessions of this database that do the same at once wait for each other. Not undone by ROLLBACK. Errors: 42710 several connections have the name, and as aep.create_base_connection and aep.update_connection.';
REVOKE ALL ON FUNCTION aep.ensure_base_connection(text, text, text, text, aep.auth_type, text, text, integer, text, boolean, name) FROM PUBLIC;

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
