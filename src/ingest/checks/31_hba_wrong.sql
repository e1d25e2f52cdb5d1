-- A line of pg_hba.conf is wrong.  The server goes on with what it has read before and ignores every
-- change of the file; at its next start it does not come up.
--
-- A line that can be read but never fits, such as one for SSL while that is off, is none of these: it
-- has an error, and all else too.
--
-- needs: pg_catalog.pg_hba_file_rules()

SELECT format('line %s of %s is wrong: %s', line_number, regexp_replace(path, '.*/', ''), error)
        AS finding,
    format('%s: mend line %s, then reload', path, line_number) AS remedy
FROM pg_hba_file_rules() AS h
    -- since 16 a line may stand in another file; and the path is for who may know it
    CROSS JOIN LATERAL (
        SELECT coalesce(to_jsonb(h) ->> 'file_name',
            (SELECT setting FROM pg_settings WHERE name = 'hba_file'), 'pg_hba.conf') AS path
    ) AS file
WHERE error IS NOT NULL AND type IS NULL;
