-- ingest_role.sql: a role that may read one schema, a login for Experience
-- Platform whose password nobody knows, and the base connection that uses it.
--
--   psql -X -v schema=sales -f ingest_role.sql shop
--
-- Needs the server "aep" and a user mapping with api_key and client_secret; no
-- username, no password.  Run again, it checks what is there, and grants what
-- has come into the schema that is named since.

\set ON_ERROR_STOP on
\set is_named :{?schema}
\if :{?schema}
\else
    \set schema public
\endif
\if :{?role}
\else
    \set role aep_ingest
\endif

-- In steps of its own each: an interrupted run may have come to any of them.
SELECT to_regrole(quote_ident(:'role')) IS NULL AS missing,
       EXISTS (SELECT FROM aep.ingest_role_status() WHERE role_name = :'role') AS managed
\gset
\if :managed
\elif :missing
    -- CALL commits between its steps, so it stands in no transaction block.
    CALL aep.create_ingest_role(:'role', schemas => ARRAY[:'schema'],
                                default_privileges => true, connection_limit => 5);
\else
    \warn 'role:' :role
    DO $$ BEGIN RAISE EXCEPTION 'the role exists, and is no ingest role of this database'
        USING HINT = 'Name another one with -v role=...'; END $$;
\endif
\if :is_named
    GRANT USAGE ON SCHEMA :"schema" TO :"role";
    GRANT SELECT ON ALL TABLES IN SCHEMA :"schema" TO :"role";
\endif

SELECT connection_id AS id, active_login, step, connection_id IS NULL AS is_lost
FROM aep.ingest_role_status()
WHERE role_name = :'role'
\gset
\if :is_lost
    DO $$ BEGIN RAISE EXCEPTION 'the answer to the creation of the connection was lost'
        USING HINT = 'See 08007 in doc/troubleshooting.md.'; END $$;
\endif
\echo Experience Platform uses the login :active_login; the state is :step

\echo What would keep it from reading, as far as this server can tell:
SELECT finding, remedy FROM aep.check_ingest_role(:'id');

\echo What it says itself:
SELECT * FROM aep.test_connection(:'id');
