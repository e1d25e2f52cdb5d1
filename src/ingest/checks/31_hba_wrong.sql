-- A line of pg_hba.conf is wrong.  The server goes on with what it has read before and ignores every
-- change of the file; at its next start it does not come up.
--
-- needs: pg_catalog.pg_hba_file_rules()

SELECT format('line %s of pg_hba.conf is wrong: %s', line_number, error) AS finding,
    format('%s: mend line %s',
        coalesce((SELECT setting FROM pg_settings WHERE name = 'hba_file'), 'pg_hba.conf'),
        line_number) AS remedy
FROM pg_hba_file_rules()
WHERE error IS NOT NULL;
