-- pg_hba.conf trusts who comes from outside in the login's name: nobody there needs its password to
-- read what it may read.  The first line that fits decides, so one behind another that has all of its
-- connections and addresses is no harm.
--
-- needs: pg_catalog.pg_hba_file_rules()

WITH line AS (
    SELECT *
    FROM jsonb_to_recordset(:'lines'::jsonb) AS line (n int, line_number int, path text, place text,
        method text, kinds text[], obstacle text, within int[])
)
SELECT format('%s lets anybody in as %I, without a password', place, :'login') AS finding,
    format('%s: scram-sha-256 in place of trust in line %s, then reload', path, line_number) AS remedy
FROM line
WHERE method = 'trust' AND obstacle IS NULL
    AND NOT EXISTS (SELECT FROM line AS wide
        WHERE wide.n = ANY (line.within) AND line.kinds <@ wide.kinds)
ORDER BY n;
