-- This server has another address than when it was last known to be reached: it was moved, or this is
-- a copy.  Experience Platform connects to the address that it was told.
--
-- host_now and port_now are those of aep.endpoint(), but for what depends on the session.

SELECT format('the address was %s, port %s, and is %s, port %s now', :'bound_host', :'bound_port',
        :'host_now', :'port_now') AS finding,
    format('CALL aep.adopt_ingest_role(%L); then CALL aep.rotate_credentials(...)', :'role') AS remedy
FROM pg_database AS d
WHERE d.datname = current_database()
    AND :'bound_database' = d.oid::text -- else it is a copy, which is said already
    AND :'bound_host' <> '' AND :'host_now' <> ''
    AND (lower(:'bound_host') <> lower(:'host_now') OR :'bound_port' <> :'port_now');
