-- A schema whose tables were granted does not exist any more: dropped or renamed.  What reads from it
-- fails.

SELECT format('schema %I does not exist', name) AS finding,
    format('CREATE it, or revoke what it was: aep.ingest_role lists it for %I', :'role') AS remedy
FROM unnest(:'schemas'::name[]) AS name
WHERE NOT EXISTS (SELECT FROM pg_namespace AS n WHERE n.nspname = name);
