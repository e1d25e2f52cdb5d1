-- The database was renamed.  Experience Platform asks for the name that it was told.

SELECT format('database %I is named %I now', :'bound_database_name', current_database()) AS finding,
    format('CALL aep.adopt_ingest_role(%L); then CALL aep.rotate_credentials(...)', :'role') AS remedy
FROM pg_database AS d
WHERE d.datname = current_database()
    AND :'bound_database' = d.oid::text -- else it is a copy, which is said already
    AND :'bound_database_name' NOT IN ('', current_database());
