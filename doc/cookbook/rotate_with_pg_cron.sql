-- rotate_with_pg_cron.sql: new credentials for every connection that
-- aep.create_ingest_role() made in this database, each month, by pg_cron.
--
--   psql -X -f rotate_with_pg_cron.sql shop
--
-- pg_cron keeps its jobs in one database of the cluster, cron.database_name.
-- A job runs as the role that schedules it: one that may call
-- aep.rotate_credentials() and has a user mapping.  Run this again after a
-- connection was made or has gone, also as somebody else: what it scheduled
-- before, for this database, is replaced.  In a copy of the database the jobs
-- fail, with 55000: see doc/copies.md.

\set ON_ERROR_STOP on
\if :{?schedule}
\else
    \set schedule '17 3 1 * *'
\endif

SELECT current_setting('cron.database_name', true) IS NULL AS is_missing
\gset
\if :is_missing
    DO $$ BEGIN RAISE EXCEPTION 'pg_cron is not running'
        USING HINT = 'Install it, name it in shared_preload_libraries, and restart the server.'; END $$;
\endif

SELECT current_database() AS here, current_setting('cron.database_name') AS cron_database,
       coalesce(jsonb_agg(jsonb_build_object(
                    'name', 'rotate ' || role_name || ' in ' || current_database(),
                    'command', format('CALL aep.rotate_credentials(%L)',
                                      connection_id))), '[]') AS jobs
FROM aep.ingest_role_status()
WHERE connection_id IS NOT NULL
\gset

\connect -reuse-previous=on :"cron_database"
CREATE EXTENSION IF NOT EXISTS pg_cron;

CREATE TEMP TABLE scheduled AS
SELECT j.name, cron.schedule_in_database(j.name, :'schedule', j.command, :'here') AS job
FROM jsonb_to_recordset(:'jobs') AS j (name text, command text);
SELECT name, job FROM scheduled ORDER BY name;

-- Jobs of the kind that are none of these: of connections that have gone, or
-- that somebody else scheduled, which would rotate twice.
SELECT jobname AS unscheduled, cron.unschedule(jobid)
FROM cron.job
WHERE database = :'here'
  AND starts_with(jobname, 'rotate ') AND right(jobname, length(' in ' || :'here')) = ' in ' || :'here'
  AND starts_with(command, 'CALL aep.rotate_credentials(')
  AND jobid NOT IN (SELECT job FROM scheduled);

-- Later: did they run, and what did they say?
--
--   SELECT j.jobname, d.status, d.return_message, d.start_time
--   FROM cron.job_run_details AS d JOIN cron.job AS j USING (jobid)
--   ORDER BY d.start_time DESC LIMIT 10;
