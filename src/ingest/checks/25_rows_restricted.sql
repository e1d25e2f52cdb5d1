-- A restrictive policy hides rows of a table from the login, whatever other policies permit: those of
-- this kind all have to be fulfilled.  No error says so: fewer rows arrive, or none.

SELECT format('row level security of %I.%I hides rows from %I, with a restrictive policy',
        n.nspname, c.relname, :'login') AS finding,
    format('ALTER ROLE %I BYPASSRLS', :'login') AS remedy
FROM pg_roles l, pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE l.rolname = :'login' AND c.oid = ANY (:'relations'::regclass[])
    -- it counts for the login
    AND c.relrowsecurity AND NOT l.rolbypassrls AND NOT l.rolsuper
    AND NOT pg_has_role(l.oid, c.relowner, 'USAGE')
    -- and one of the policies is about its reads
    AND EXISTS (
        SELECT FROM pg_policy p
        WHERE p.polrelid = c.oid AND NOT p.polpermissive AND p.polcmd IN ('r', '*')
            AND (p.polroles @> ARRAY[0::oid] -- PUBLIC
                OR EXISTS (SELECT FROM unnest(p.polroles) AS r
                    WHERE r <> 0 AND pg_has_role(l.oid, r, 'USAGE'))))
ORDER BY 1;
