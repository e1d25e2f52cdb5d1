-- The login may not read a table.  Often it came into a schema after the role was made: a grant on
-- all tables of a schema is about those of that moment.

SELECT format('login %I may not read %I.%I', :'login', n.nspname, c.relname) AS finding,
    format('GRANT SELECT ON TABLE %I.%I TO %I', n.nspname, c.relname, :'role') AS remedy
FROM pg_roles l, pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE l.rolname = :'login' AND c.oid = ANY (:'relations'::regclass[])
    AND NOT has_table_privilege(l.oid, c.oid, 'SELECT')
    -- that it does not have what the role has is a finding of its own
    AND NOT EXISTS (SELECT FROM pg_roles r
        WHERE r.rolname = :'role' AND has_table_privilege(r.oid, c.oid, 'SELECT'))
ORDER BY 1;
