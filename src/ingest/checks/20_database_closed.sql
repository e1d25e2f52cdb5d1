-- The login may not connect to this database, where all that it shall read is.

SELECT format('login %I may not connect to database %I', :'login', current_database()) AS finding,
    format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), :'role') AS remedy
FROM pg_roles l
WHERE l.rolname = :'login' AND NOT has_database_privilege(l.oid, current_database(), 'CONNECT')
    -- that it does not have what the role has is a finding of its own
    AND NOT EXISTS (SELECT FROM pg_roles r
        WHERE r.rolname = :'role' AND has_database_privilege(r.oid, current_database(), 'CONNECT'));
