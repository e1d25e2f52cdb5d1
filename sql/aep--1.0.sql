-- complain if the script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION aep" to load this file. \quit

-- Created here, so that a schema of that name which somebody else owns makes
-- the installation fail.
CREATE SCHEMA aep;
COMMENT ON SCHEMA aep IS 'Adobe Experience Platform: base connections and what follows';

CREATE FUNCTION aep.validator(options text[], catalog oid) RETURNS void
    LANGUAGE C STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'aep_validator';
COMMENT ON FUNCTION aep.validator(text[], oid) IS
'Checks the options of servers and user mappings of the foreign-data wrapper aep. Errors: HV00D unknown option, 22023 bad value, 42501 option not for this role.';

CREATE FOREIGN DATA WRAPPER aep VALIDATOR aep.validator;
COMMENT ON FOREIGN DATA WRAPPER aep IS 'Adobe Experience Platform';

CREATE TYPE aep.auth_type AS ENUM ('basic', 'connection_string');
COMMENT ON TYPE aep.auth_type IS 'How Experience Platform is told the database login: separate parameters, or one connection string';

CREATE FUNCTION aep.version(
    OUT extension text, OUT postgresql text, OUT libcurl text, OUT tls text, OUT cjson text)
    LANGUAGE C STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'aep_version';
COMMENT ON FUNCTION aep.version() IS
'Returns the versions of this extension, of the PostgreSQL it was built for, and of the libraries in use: one row, for bug reports.';

CREATE FUNCTION aep.endpoint(
    server name DEFAULT 'aep',
    OUT host text, OUT port integer, OUT database text, OUT host_source text)
    LANGUAGE C VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'aep_endpoint';
COMMENT ON FUNCTION aep.endpoint(name) IS
'Returns the address of this database as Experience Platform will be given it: one row. host_source is advertised_host, session, listen_addresses or hostname. Warns of an address that cannot be reached from outside. Sends nothing. Errors: 42704 no such server, 42809 server of another wrapper, 42501 no USAGE on it.';

CREATE FUNCTION aep.base_connection_request(
    username text DEFAULT NULL, password text DEFAULT NULL,
    name text DEFAULT NULL, description text DEFAULT NULL,
    auth_type aep.auth_type DEFAULT 'basic', ssl_mode text DEFAULT NULL,
    host text DEFAULT NULL, port integer DEFAULT NULL, database text DEFAULT NULL,
    server name DEFAULT 'aep')
    RETURNS jsonb
    LANGUAGE C VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'aep_base_connection_request';
COMMENT ON FUNCTION aep.base_connection_request(text, text, text, text, aep.auth_type, text, text, integer, text, name) IS
'Returns the request body that aep.create_base_connection would send with the same arguments, the password masked. Sends nothing. Errors: 22004 missing argument, 22023 bad argument, 42704 no such server, 42809 server of another wrapper, 42501 no USAGE on it.';

CREATE FUNCTION aep.create_base_connection(
    username text DEFAULT NULL, password text DEFAULT NULL,
    name text DEFAULT NULL, description text DEFAULT NULL,
    auth_type aep.auth_type DEFAULT 'basic', ssl_mode text DEFAULT NULL,
    host text DEFAULT NULL, port integer DEFAULT NULL, database text DEFAULT NULL,
    server name DEFAULT 'aep',
    OUT id uuid, OUT etag text)
    LANGUAGE C VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'aep_create_base_connection';
COMMENT ON FUNCTION aep.create_base_connection(text, text, text, text, aep.auth_type, text, text, integer, text, name) IS
'Creates a base connection for this database in Experience Platform and returns its id and its etag (with the double quotes that belong to it; NULL if there is none): one row. username and password default to the user mapping''s; name to "PostgreSQL <database> at <host>:<port>"; ssl_mode to Prefer with auth_type basic; host, port and database to aep.endpoint(). Not undone by ROLLBACK. Call it in FROM: (f()).* in a select list runs it once per column. Errors: 22004 missing argument, 22023 bad argument or refused request, 42704 no such server or user mapping, 42501 no USAGE or permission denied by Experience Platform, 28000 token refused, 53400 too many requests, 08001 cannot connect, 08006 connection lost, 08007 outcome unknown, 08P01 answer not understood, 54000 answer too large, 58000 service failure.';

CREATE FUNCTION aep.access_token_info(
    server name DEFAULT 'aep',
    OUT fetched_at timestamptz, OUT expires_at timestamptz)
    LANGUAGE C VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'aep_access_token_info';
COMMENT ON FUNCTION aep.access_token_info(name) IS
'Returns when this session fetched the access token it holds, and when that expires: one row, of NULLs if it fetched none. Fetches nothing and never shows the token. Errors: 42704 no such server or user mapping, 42501 no USAGE on it.';

CREATE FUNCTION aep.connections(
    name text DEFAULT NULL, state text DEFAULT NULL,
    connection_spec_id uuid DEFAULT '74a1c565-4e59-48d7-9d67-7c03b8a13137',
    max_rows integer DEFAULT NULL, server name DEFAULT 'aep',
    OUT id uuid, OUT name text, OUT description text, OUT state text, OUT auth_spec text,
    OUT connection_spec_id uuid, OUT created_at timestamptz, OUT updated_at timestamptz,
    OUT created_by text, OUT etag text, OUT entity jsonb)
    RETURNS SETOF record
    LANGUAGE C VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'aep_connections';
COMMENT ON FUNCTION aep.connections(text, text, uuid, integer, name) IS
'Returns the base connections of the sandbox, one row each, ordered by name: those with this name and state (enabled, disabled), of this connection specification (default: PostgreSQL; NULL: every source), at most max_rows. created_at and updated_at come from the service; entity is all that it shows. Reads all pages. Errors: 22023 bad argument, 42704 no such server or user mapping, 42501 no USAGE or permission denied by Experience Platform, 28000 token refused, 53400 too many requests, 08001 cannot connect, 08006 connection lost, 08P01 answer not understood, 54000 answer too large, 58000 service failure.';

CREATE FUNCTION aep.connection(
    id uuid, server name DEFAULT 'aep',
    OUT id uuid, OUT name text, OUT description text, OUT state text, OUT auth_spec text,
    OUT connection_spec_id uuid, OUT created_at timestamptz, OUT updated_at timestamptz,
    OUT created_by text, OUT etag text, OUT entity jsonb)
    LANGUAGE C VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'aep_connection';
COMMENT ON FUNCTION aep.connection(uuid, name) IS
'Returns one base connection: the row that aep.connections has for it. Errors: 22004 missing argument, 42704 no such connection, server or user mapping, and as aep.connections.';

CREATE FUNCTION aep.connection_count(
    name text DEFAULT NULL, state text DEFAULT NULL,
    connection_spec_id uuid DEFAULT '74a1c565-4e59-48d7-9d67-7c03b8a13137',
    server name DEFAULT 'aep')
    RETURNS bigint
    LANGUAGE C VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'aep_connection_count';
COMMENT ON FUNCTION aep.connection_count(text, text, uuid, name) IS
'Returns how many base connections the sandbox has, as the service counts them; filters as in aep.connections. Errors: as aep.connections.';

CREATE FUNCTION aep.test_connection(
    id uuid, server name DEFAULT 'aep',
    OUT result boolean, OUT message text)
    LANGUAGE C VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'aep_test_connection';
COMMENT ON FUNCTION aep.test_connection(uuid, name) IS
'Asks Experience Platform to connect to this database through the base connection. Returns one row: result false means that it tried and could not, with the connector''s reason in message if it gave one. That it could not be asked is an error: 22004 missing argument, 42704 no such connection, and as aep.connections.';

CREATE FUNCTION aep.explore(
    id uuid, server name DEFAULT 'aep',
    OUT path text, OUT schema_name text, OUT table_name text, OUT type text,
    OUT can_preview boolean, OUT can_fetch_schema boolean)
    RETURNS SETOF record
    LANGUAGE C VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'aep_explore';
COMMENT ON FUNCTION aep.explore(uuid, name) IS
'Returns the tables that Experience Platform sees through the base connection, one row each. path is what aep.explore_table takes; schema_name and table_name are its name, split at the first dot. Errors: 22004 missing argument, 42704 no such connection, and as aep.connections.';

CREATE FUNCTION aep.explore_table(
    id uuid, path text, server name DEFAULT 'aep',
    OUT column_name text, OUT type text, OUT original_type text,
    OUT xdm_type text, OUT xdm_format text, OUT entity jsonb)
    RETURNS SETOF record
    LANGUAGE C VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'aep_explore_table';
COMMENT ON FUNCTION aep.explore_table(uuid, text, name) IS
'Returns the columns of a table as Experience Platform sees them, one row each: its own type, the source''s where it tells, and type and format in the Experience Data Model. path: verbatim as aep.explore gave it. Errors: 22004 missing argument, 42704 no such connection, 22023 no such table, and as aep.connections.';

CREATE FUNCTION aep.preview_table(
    id uuid, path text, server name DEFAULT 'aep')
    RETURNS SETOF jsonb
    LANGUAGE C VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'aep_preview_table';
COMMENT ON FUNCTION aep.preview_table(uuid, text, name) IS
'Returns the first rows of a table as Experience Platform reads them, one JSON object each. Errors: as aep.explore_table.';

CREATE FUNCTION aep.compare_table(
    id uuid, relation regclass, path text DEFAULT NULL, server name DEFAULT 'aep',
    OUT column_name text, OUT database_type text, OUT platform_type text,
    OUT xdm_type text, OUT xdm_format text, OUT agrees boolean, OUT finding text)
    RETURNS SETOF record
    LANGUAGE C VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'aep_compare_table';
COMMENT ON FUNCTION aep.compare_table(uuid, regclass, text, name) IS
'Compares a table here with what Experience Platform sees of it, one row for each column of either side. finding is agrees, type differs, missing in the platform or missing in the database. path defaults to schema.table. Errors: as aep.explore_table.';

CREATE FUNCTION aep.update_connection(
    id uuid, name text DEFAULT NULL, description text DEFAULT NULL, state text DEFAULT NULL,
    username text DEFAULT NULL, password text DEFAULT NULL,
    auth_type aep.auth_type DEFAULT NULL, ssl_mode text DEFAULT NULL,
    host text DEFAULT NULL, port integer DEFAULT NULL, database text DEFAULT NULL,
    replace_credentials boolean DEFAULT false, etag text DEFAULT NULL,
    server name DEFAULT 'aep',
    OUT id uuid, OUT etag text)
    LANGUAGE C VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'aep_update_connection';
COMMENT ON FUNCTION aep.update_connection(uuid, text, text, text, text, text, aep.auth_type, text, text, integer, text, boolean, text, name) IS
'Changes a base connection: only what is given; an empty description is removed; state is enabled or disabled. Any argument from username to database, or replace_credentials, replaces the authentication as a whole, completed as in aep.create_base_connection. etag: the version to change, with its double quotes; NULL: the current one, read first. Returns id and new etag: one row. Not undone by ROLLBACK. Errors: 22004 nothing to change, 22023 bad argument, 42704 no such connection, 40001 changed by somebody else meanwhile, 08007 outcome unknown, and as aep.connections.';

CREATE FUNCTION aep.delete_connection(
    id uuid, server name DEFAULT 'aep')
    RETURNS void
    LANGUAGE C VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'aep_delete_connection';
COMMENT ON FUNCTION aep.delete_connection(uuid, name) IS
'Deletes a base connection. Not undone by ROLLBACK. Errors: 22004 missing argument, 42704 no such connection, 2BP01 flows still use it (the detail names them), 08007 outcome unknown, and as aep.connections.';

CREATE FUNCTION aep.ensure_base_connection(
    username text DEFAULT NULL, password text DEFAULT NULL,
    name text DEFAULT NULL, description text DEFAULT NULL,
    auth_type aep.auth_type DEFAULT 'basic', ssl_mode text DEFAULT NULL,
    host text DEFAULT NULL, port integer DEFAULT NULL, database text DEFAULT NULL,
    replace_credentials boolean DEFAULT false, server name DEFAULT 'aep',
    OUT id uuid, OUT etag text, OUT action text)
    LANGUAGE C VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'aep_ensure_base_connection';
COMMENT ON FUNCTION aep.ensure_base_connection(text, text, text, text, aep.auth_type, text, text, integer, text, boolean, name) IS
'Makes sure that a base connection of this name exists and is as described: creates it if it is missing, updates what differs from what the service shows. What it hides, such as the password, counts as equal unless replace_credentials is given. Returns id, etag and what was done (created, updated or unchanged): one row. Sessions of this database that do the same at once wait for each other. Not undone by ROLLBACK. Errors: 42710 several connections have the name, and as aep.create_base_connection and aep.update_connection.';

CREATE TYPE aep.base_connection_spec AS (
    username text, password text, name text, description text, auth_type aep.auth_type,
    ssl_mode text, host text, port integer, database text);
COMMENT ON TYPE aep.base_connection_spec IS 'What describes a base connection: an item of aep.create_base_connections';

CREATE FUNCTION aep.base_connection_spec(
    username text DEFAULT NULL, password text DEFAULT NULL,
    name text DEFAULT NULL, description text DEFAULT NULL,
    auth_type aep.auth_type DEFAULT 'basic', ssl_mode text DEFAULT NULL,
    host text DEFAULT NULL, port integer DEFAULT NULL, database text DEFAULT NULL)
    RETURNS aep.base_connection_spec
    LANGUAGE C IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'aep_base_connection_spec';
COMMENT ON FUNCTION aep.base_connection_spec(text, text, text, text, aep.auth_type, text, text, integer, text) IS
'Returns the arguments as one value, for aep.create_base_connections. Checks and sends nothing.';

CREATE FUNCTION aep.create_base_connections(
    specs aep.base_connection_spec[], server name DEFAULT 'aep',
    OUT ordinal integer, OUT name text, OUT id uuid, OUT etag text,
    OUT sqlstate text, OUT message text)
    RETURNS SETOF record
    LANGUAGE C VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'aep_create_base_connections';
COMMENT ON FUNCTION aep.create_base_connections(aep.base_connection_spec[], name) IS
'Creates many base connections at once, as many requests in flight as the server option concurrency says. Returns one row for each spec, in their order: id and etag, or SQLSTATE and message of what kept this one from being created; the others are not affected. Not undone by ROLLBACK. Errors: 22004 missing argument, 42704 no such server or user mapping, 42501 no USAGE, 28000 no access token to be had.';

CREATE FUNCTION aep.request(
    method text, path text, query jsonb DEFAULT NULL, body jsonb DEFAULT NULL,
    headers jsonb DEFAULT NULL, server name DEFAULT 'aep',
    OUT status integer, OUT etag text, OUT headers jsonb, OUT body jsonb)
    LANGUAGE C VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'aep_request';
COMMENT ON FUNCTION aep.request(text, text, jsonb, jsonb, jsonb, name) IS
'Sends any request to Experience Platform, signed as those of the other functions. method: GET, POST, PUT, PATCH or DELETE; path: below /data/foundation, such as /flowservice/flows; query: an object of parameters, an array for one that is repeated; headers: an object of further ones. Returns HTTP status, etag, headers and body of the answer, whatever its status: one row; a body that is not JSON comes as a JSON string. Not undone by ROLLBACK. Errors: 22004 missing argument, 22023 bad argument, 42704 no such server or user mapping, 42501 no USAGE, 28000 no access token to be had, 08001 cannot connect, 08006 connection lost, 08007 outcome unknown, 54000 answer too large.';

-- What is known of the logins that Experience Platform uses; never a secret.
-- Written by the procedures below, whoever calls them; read by the owner only.
CREATE TABLE aep.ingest_role (
    role_name name PRIMARY KEY,
    server_name name NOT NULL,
    connection_id uuid UNIQUE,
    connection_name text NOT NULL,
    auth_type text NOT NULL,
    ssl_mode text,
    host text NOT NULL,
    port integer NOT NULL,
    database_name name NOT NULL,
    connection_limit integer NOT NULL,
    active_login name NOT NULL,
    pending_login name,
    kept_logins text NOT NULL,
    step text NOT NULL CHECK (step IN ('active', 'rotating', 'unknown')),
    patched boolean NOT NULL,
    etag text,
    rotated_at timestamptz,
    granted_schemas name[] NOT NULL,
    granted_tables text[] NOT NULL);
COMMENT ON TABLE aep.ingest_role IS 'The roles made by aep.create_ingest_role, and how far a change of their credentials has come; see aep.ingest_role_status()';
SELECT pg_catalog.pg_extension_config_dump('aep.ingest_role', '');

CREATE PROCEDURE aep.create_ingest_role(
    role_name name, schemas name[] DEFAULT NULL, tables regclass[] DEFAULT NULL,
    default_privileges boolean DEFAULT false, connection_limit integer DEFAULT -1,
    name text DEFAULT NULL, description text DEFAULT NULL,
    auth_type aep.auth_type DEFAULT 'basic', ssl_mode text DEFAULT NULL,
    host text DEFAULT NULL, port integer DEFAULT NULL, database text DEFAULT NULL,
    server name DEFAULT 'aep',
    INOUT id uuid DEFAULT NULL, INOUT etag text DEFAULT NULL)
    LANGUAGE C
    AS 'MODULE_PATHNAME', 'aep_create_ingest_role';
COMMENT ON PROCEDURE aep.create_ingest_role(name, name[], regclass[], boolean, integer, text, text, aep.auth_type, text, text, integer, text, name, uuid, text) IS
'Makes a role that may read, a login for Experience Platform that is its member (role_name with _a), with a random password that nobody sees, and a base connection that uses it. The role gets CONNECT on this database, USAGE on the schemas and SELECT on all their tables, SELECT on the tables; with default_privileges also SELECT on tables that the caller makes in the schemas later. The other arguments are those of aep.create_base_connection. Returns id and etag of the connection. Commits between its steps; after a refusal the roles are gone again, after an unknown outcome they stay. Errors: 25001 in a transaction block, 42710 role exists, 42501 what CREATE ROLE or GRANT need is missing, and as aep.create_base_connection.';

CREATE PROCEDURE aep.rotate_credentials(
    connection_id uuid, server name DEFAULT 'aep',
    INOUT active_login text DEFAULT NULL, INOUT etag text DEFAULT NULL)
    LANGUAGE C
    AS 'MODULE_PATHNAME', 'aep_rotate_credentials';
COMMENT ON PROCEDURE aep.rotate_credentials(uuid, name, text, text) IS
'Gives Experience Platform another login with a new random password for a connection made by aep.create_ingest_role, has it test that, and only then takes the former login out of service. Returns the login that is used now and the connection''s etag. Commits between its steps; after any failure the login in use keeps working, aep.ingest_role_status() shows the state, and the same CALL again resumes. Errors: 25001 in a transaction block, 55P03 another session is doing it, 42704 not managed here, 40001 the connection was changed meanwhile, 08000 Experience Platform could not connect with the new login, 08007 outcome unknown, and as aep.update_connection.';

CREATE FUNCTION aep.ingest_role_status(
    OUT connection_id uuid, OUT connection_name text, OUT server text, OUT role_name text,
    OUT active_login text, OUT idle_login text, OUT step text, OUT rotated_at timestamptz,
    OUT sessions integer)
    RETURNS SETOF record
    LANGUAGE C VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'aep_ingest_role_status';
COMMENT ON FUNCTION aep.ingest_role_status() IS
'Returns one row for each connection whose credentials are managed here and whose role the caller may alter: the login that Experience Platform uses, the other one, how far a change has come (active: none is under way; rotating: CALL aep.rotate_credentials again to finish it; unknown: an answer was lost, all logins work), when the credentials last changed, and how many sessions the active login has right now. Sends nothing.';

CREATE FUNCTION aep.check_ingest_role(
    connection_id uuid, OUT finding text, OUT remedy text)
    RETURNS SETOF record
    LANGUAGE C VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'aep_check_ingest_role';
COMMENT ON FUNCTION aep.check_ingest_role(uuid) IS
'Returns what would keep Experience Platform from reading through a connection made by aep.create_ingest_role, as far as it can be seen from inside: one row for each finding, with the statement or the file that mends it; no row if nothing was found. Sends nothing. Errors: 22004 missing argument, 42704 not managed here, or not a role that the caller may alter.';

-- Who may call: nobody until a DBA grants it (README, "Who may call").
REVOKE ALL ON ALL ROUTINES IN SCHEMA aep FROM PUBLIC;
REVOKE ALL ON SCHEMA aep FROM PUBLIC;
