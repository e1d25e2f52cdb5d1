-- The foreign server through which the connection was made does not exist: it was dropped, or
-- renamed.  Without it nobody can rotate.

SELECT format('server %I does not exist', :'server') AS finding,
    format('CALL aep.adopt_ingest_role(%L, server => ...), which names another one for the same sandbox',
        :'role') AS remedy
WHERE NOT EXISTS (SELECT FROM pg_foreign_server WHERE srvname = :'server');
