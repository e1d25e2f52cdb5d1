-- A table that was granted by name does not exist any more: dropped, renamed, or moved to another
-- schema.  What reads it fails.  Tables that were granted with their schema are not known by name, and
-- cannot be missed.

SELECT DISTINCT format('table %s does not exist', name) AS finding,
    format('CREATE it, or revoke what it was: aep.ingest_role lists it for %I', :'role') AS remedy
FROM unnest(:'tables'::text[]) AS name
WHERE NOT EXISTS (
    SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE ARRAY[n.nspname::text, c.relname::text] = parse_ident(name))
ORDER BY 1;
