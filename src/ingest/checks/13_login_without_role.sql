-- The login does not have the role's privileges: it is no member, or does not inherit.  Everything
-- that may be read is granted to the role, so that the login can read nothing.

SELECT format('login %I does not inherit from role %I', :'login', :'role') AS finding,
    -- since 16 each grant has this of its own, and the role's is for new ones
    format(CASE
            WHEN current_setting('server_version_num')::int >= 160000
            THEN 'GRANT %1$I TO %2$I WITH INHERIT TRUE'
            ELSE 'GRANT %1$I TO %2$I; ALTER ROLE %2$I INHERIT'
        END, :'role', :'login') AS remedy
FROM pg_roles l, pg_roles r
WHERE l.rolname = :'login' AND r.rolname = :'role' AND NOT pg_has_role(l.oid, r.oid, 'USAGE');
