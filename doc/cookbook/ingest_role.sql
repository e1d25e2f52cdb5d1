-- ingest_role.sql: a role that may read one schema, a login for Experience
-- Platform whose password nobody knows, and the base connection that uses it.
--
--   psql -X -v schema=sales -f ingest_role.sql shop
--
-- Needs the server "aep" and a user mapping with api_key and client_secret; no
-- username, no password.  Run again, it only checks what is there.

\set ON_ERROR_STOP on
\if :{?schema}
\else
    \set schema public
\endif
\if :{?role}
\else
    \set role aep_ingest
\endif

SELECT to_regrole(quote_ident(:'role')) IS NULL AS missing
\gset
\if :missing
    -- CALL commits between its steps, so it stands in no transaction block.
    CALL aep.create_ingest_role(:'role', schemas => ARRAY[:'schema'],
                                default_privileges => true, connection_limit => 5);
\endif

SELECT connection_id AS id, active_login, step
FROM aep.ingest_role_status()
WHERE role_name = :'role'
\gset
\echo Experience Platform uses the login :active_login; the state is :step

\echo What would keep it from reading, as far as this server can tell:
SELECT finding, remedy FROM aep.check_ingest_role(:'id');

\echo What it says itself:
SELECT * FROM aep.test_connection(:'id');
