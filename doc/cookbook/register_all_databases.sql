-- register_all_databases.sql: a base connection for every database of this
-- cluster that has none yet, many at once.
--
--   psql -X -f register_all_databases.sql shop
--
-- It runs in the one database that has the server "aep" and a user mapping; the
-- others need no extension.  The login in that mapping must be able to read in
-- all of them.  A database that Experience Platform knows already, by the
-- address of its connection, is left alone, so the script can be run again,
-- after a failure or from cron.  Where an address is not shown (auth_type
-- connection_string), the default name stands for it.

\set ON_ERROR_STOP on

-- In a table, so that no id is lost, whatever fails later.
CREATE TEMP TABLE registered AS
WITH wanted AS (
    SELECT d.datname, e.host, e.port, format('PostgreSQL %s at %s:%s', d.datname, e.host, e.port) AS name
    FROM pg_database AS d, aep.endpoint() AS e
    WHERE d.datallowconn AND NOT d.datistemplate AND d.datname <> 'postgres'
), present AS (
    SELECT name, host, port, database FROM aep.connections()
)
SELECT *
FROM aep.create_base_connections(ARRAY(
         SELECT aep.base_connection_spec(name => w.name, database => w.datname)
         FROM wanted AS w
         WHERE NOT EXISTS (SELECT FROM present AS p
                           WHERE (lower(p.host) = lower(w.host) AND p.port = w.port
                                  AND p.database = w.datname)
                              OR (p.host IS NULL AND p.name = w.name))
         ORDER BY w.datname));

SELECT name, id, sqlstate, message FROM registered ORDER BY ordinal;

-- One that failed kept no other from being registered, but the exit status
-- tells of it.
DO $$
DECLARE
    failed integer := (SELECT count(*) FROM registered WHERE sqlstate IS NOT NULL);
BEGIN
    IF failed > 0 THEN
        RAISE EXCEPTION '% of the databases could not be registered', failed;
    END IF;
END $$;
