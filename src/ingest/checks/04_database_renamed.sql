-- The database was renamed.  Experience Platform asks for the name that it was told.

SELECT format('database %I is named %I now', :'bound_database_name', current_database()) AS finding,
    format('CALL aep.adopt_ingest_role(%L); then CALL aep.rotate_credentials(...)', :'role') AS remedy
FROM pg_control_system() AS c, pg_database AS d
WHERE d.datname = current_database()
    -- of a copy that is said already
    AND :'bound_system' = c.system_identifier::text AND :'bound_database' = d.oid::text
    AND :'bound_database_name' NOT IN ('', current_database());
