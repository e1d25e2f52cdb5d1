-- The role has no user mapping, but is a member of one that has: PostgreSQL looks for the mapping
-- of the current user, and for that of PUBLIC, and for no other.

SELECT format('role %I, of which %I is a member, has a user mapping for server %I', m.usename,
        r.rolname, m.srvname) AS finding,
    format('SET ROLE %I', m.usename) AS remedy
FROM pg_roles r, pg_user_mappings m
WHERE r.rolname = :'role' AND NOT r.rolsuper AND m.srvname = :'server' AND m.umuser <> 0
    AND pg_has_role(r.oid, m.umuser, 'MEMBER')
    AND NOT EXISTS (
        SELECT FROM pg_user_mappings own WHERE own.srvid = m.srvid AND own.umuser IN (0, r.oid))
ORDER BY 1;
