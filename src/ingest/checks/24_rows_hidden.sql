-- Row level security hides rows of a table from the login, for want of a policy that shows it all of
-- them.  No error says so: fewer rows arrive, or none.

SELECT format('row level security of %I.%I hides %s from %I', n.nspname, c.relname,
        CASE WHEN policy.shows_some THEN 'rows' ELSE 'all rows' END, :'login') AS finding,
    format('CREATE POLICY %I ON %I.%I FOR SELECT TO %I USING (true)', :'role', n.nspname, c.relname,
        :'role') AS remedy
FROM pg_roles l
    CROSS JOIN pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    -- of the policies that permit, those about reads by the login, or by the role: that it does
    -- not have what the role has is a finding of its own
    CROSS JOIN LATERAL (
        SELECT count(*) > 0 AS shows_some,
            coalesce(bool_or(pg_get_expr(p.polqual, p.polrelid) = 'true'), false) AS shows_all
        FROM pg_policy p
        WHERE p.polrelid = c.oid AND p.polpermissive AND p.polcmd IN ('r', '*')
            AND (p.polroles @> ARRAY[0::oid] -- PUBLIC
                OR EXISTS (SELECT FROM unnest(p.polroles) AS r, pg_roles reader
                    WHERE r <> 0 AND reader.rolname IN (:'login', :'role')
                        AND pg_has_role(reader.oid, r, 'USAGE')))) AS policy
WHERE l.rolname = :'login' AND c.oid = ANY (:'relations'::regclass[])
    -- it counts for the login
    AND c.relrowsecurity AND NOT l.rolbypassrls AND NOT l.rolsuper
    AND NOT pg_has_role(l.oid, c.relowner, 'USAGE')
    AND NOT policy.shows_all
ORDER BY 1;
