-- The login may not use a schema: the tables in it cannot be read, whatever is granted on them.

SELECT DISTINCT format('login %I may not use schema %I', :'login', n.nspname) AS finding,
    format('GRANT USAGE ON SCHEMA %I TO %I', n.nspname, :'role') AS remedy
FROM pg_roles l, pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE l.rolname = :'login' AND c.oid = ANY (:'relations'::regclass[])
    AND NOT has_schema_privilege(l.oid, n.oid, 'USAGE')
    -- that it does not have what the role has is a finding of its own
    AND NOT EXISTS (SELECT FROM pg_roles r
        WHERE r.rolname = :'role' AND has_schema_privilege(r.oid, n.oid, 'USAGE'))
ORDER BY 1;
