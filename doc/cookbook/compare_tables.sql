-- compare_tables.sql: where this database, and what Experience Platform sees of
-- it through one base connection, disagree.
--
--   psql -X -v connection='Orders' -f compare_tables.sql shop

\set ON_ERROR_STOP on

\if :{?connection}
\else
    DO $$ BEGIN RAISE EXCEPTION 'no connection is named: run it with -v connection=...'; END $$;
\endif

-- Names are not unique, and others' connections may have the same: the one that
-- is meant leads to this database.
SELECT min(c.id::text) AS id, count(*) = 1 AS is_found
FROM aep.connections(name => :'connection') AS c, aep.endpoint() AS here
WHERE lower(c.entity #>> '{auth,params,server}') = lower(here.host)
  AND c.entity #>> '{auth,params,port}' = here.port::text
  AND c.entity #>> '{auth,params,database}' = here.database
\gset
\if :is_found
\else
    \warn 'connection:' :connection
    DO $$ BEGIN RAISE EXCEPTION 'not exactly one connection of that name leads to this database'; END $$;
\endif

-- What it sees, and the table here of that name.
CREATE TEMP TABLE seen AS
SELECT path, type, to_regclass(format('%I.%I', schema_name, table_name)) AS relation
FROM aep.explore(:'id');

\echo Experience Platform sees, and this database does not have:
SELECT path FROM seen WHERE relation IS NULL ORDER BY path;

\echo This database has, in the same schemas, and Experience Platform does not see:
SELECT c.oid::regclass AS relation
FROM pg_class AS c
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND c.relnamespace IN (SELECT relnamespace FROM pg_class JOIN seen ON seen.relation = oid)
  AND NOT EXISTS (SELECT FROM seen WHERE seen.relation = c.oid)
ORDER BY c.oid::regclass::text;

\echo Columns that differ:
SELECT s.relation, c.column_name, c.database_type, c.platform_type, c.finding
FROM seen AS s, aep.compare_table(:'id', s.relation, s.path, s.type) AS c
WHERE s.relation IS NOT NULL AND NOT c.agrees;
