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

-- Who may call: nobody until a DBA grants it (README, "Who may call").
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA aep FROM PUBLIC;
REVOKE ALL ON SCHEMA aep FROM PUBLIC;
