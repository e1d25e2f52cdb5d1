-- complain if the script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION aep UPDATE TO '1.1'" to load this file. \quit

-- The table is the owner's alone, since who can write it has credentials rotated
-- for a role of their choice.  Whoever installs the extension may have given
-- others rights on every table to come, with ALTER DEFAULT PRIVILEGES.
DO $$
DECLARE
    other record;
BEGIN
    FOR other IN
        SELECT DISTINCT acl.grantee
        FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) acl
        WHERE c.oid = 'aep.ingest_role'::pg_catalog.regclass AND acl.grantee <> c.relowner
    LOOP
        EXECUTE pg_catalog.format('REVOKE ALL ON TABLE aep.ingest_role FROM %s CASCADE',
            CASE other.grantee WHEN 0 THEN 'PUBLIC'
                 ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(other.grantee)) END);
    END LOOP;
END
$$;

COMMENT ON PROCEDURE aep.create_ingest_role(name, name[], regclass[], boolean, integer, text, text, aep.auth_type, text, text, integer, text, name, uuid, text) IS
'Makes a role that may read, a login for Experience Platform that is its member (role_name with _a), with a random password that nobody sees, and a base connection that uses it. The role gets CONNECT on this database, USAGE on the schemas and SELECT on all their tables, SELECT on the tables; with default_privileges also SELECT on tables that the caller makes in the schemas later. The other arguments are those of aep.create_base_connection. Returns id and etag of the connection. Commits between its steps; after a refusal the roles are gone again, unless what they may read was changed meanwhile (the hint says so); after an unknown outcome they stay. Errors: 25001 in a transaction block, 42710 role exists, 42501 what CREATE ROLE or GRANT need is missing, 42P01 a table was dropped meanwhile, and as aep.create_base_connection.';

COMMENT ON PROCEDURE aep.rotate_credentials(uuid, name, text, text) IS
'Gives Experience Platform another login with a new random password for a connection made by aep.create_ingest_role, has it test that, and only then takes the former login out of service. Returns the login that is used now and the connection''s etag. Commits between its steps; after any failure the login in use keeps working, aep.ingest_role_status() shows the state, and the same CALL again resumes. Errors: 25001 in a transaction block, 55P03 another session is doing it, 42704 not managed here, or not a role that the caller may alter, 55000 the connection has another address in Experience Platform, or every login may be in use, 40001 the connection was changed meanwhile, 08000 Experience Platform could not connect with the new login, 08007 outcome unknown, and as aep.update_connection.';

COMMENT ON FUNCTION aep.ensure_base_connection(text, text, text, text, aep.auth_type, text, text, integer, text, boolean, name) IS
'Makes sure that a base connection of this name exists and is as described: creates it if it is missing, updates what differs from what the service shows, enables it if it is disabled. What it hides, such as the password, counts as equal unless replace_credentials is given. Returns id, etag and what was done (created, updated or unchanged): one row. Sessions of this database that do the same at once wait for each other. Not undone by ROLLBACK. Errors: 42710 several connections have the name, and as aep.create_base_connection and aep.update_connection.';
