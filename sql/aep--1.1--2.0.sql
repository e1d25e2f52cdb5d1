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

-- A mapping that the caller cannot see gives no power over others' logins.
COMMENT ON FUNCTION aep.request(text, text, jsonb, jsonb, jsonb, name) IS
'Sends any request to Experience Platform, signed as those of the other functions. method: GET, POST, PUT, PATCH or DELETE; path: below /data/foundation, such as /flowservice/flows; query: an object of parameters, an array for one that is repeated; headers: an object of further ones. Returns HTTP status, etag, headers and body of the answer, whatever its status: one row; a body that is not JSON comes as a JSON string. Not undone by ROLLBACK. Errors: 22004 missing argument, 22023 bad argument, 42704 no such server or user mapping, 42501 no USAGE, or the user mapping of PUBLIC, which the caller cannot see, 28000 no access token to be had, 08001 cannot connect, 08006 connection lost, 08007 outcome unknown, 54000 answer too large.';

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
