-- The version of the extension's SQL in this database, and what to do if the library in use is of
-- another: files are exchanged while sessions run, and the SQL stays what it is until ALTER EXTENSION.
--
-- Only what the installed files offer can be told to be done.  If they can bring the SQL to the
-- library's version, the SQL is what is old.  If they have the SQL's version, the library is: it stays
-- in memory for as long as the process that loaded it.  Else the files are those of another version,
-- as on a standby, or after a package was put back.

SELECT extversion AS extension,
    CASE
        WHEN extversion = :'library' THEN NULL
        WHEN EXISTS (SELECT FROM pg_extension_update_paths('aep')
            WHERE source = extversion AND target = :'library' AND path IS NOT NULL)
        THEN 'ALTER EXTENSION aep UPDATE'
        WHEN EXISTS (SELECT FROM pg_available_extension_versions
            WHERE name = 'aep' AND version = extversion)
        THEN 'reconnect; if shared_preload_libraries names aep, restart the server'
        ELSE format('install the files of version %s, then reconnect', extversion)
    END AS remedy
FROM pg_extension
WHERE extname = 'aep';
