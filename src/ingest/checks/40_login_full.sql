-- The login has as many sessions as its connection limit allows.  What Experience Platform opens
-- next is refused.

SELECT format('login %I uses all %s connections of its limit', rolname, rolconnlimit) AS finding,
    format('ALTER ROLE %I CONNECTION LIMIT %s', rolname, rolconnlimit + 10) AS remedy
FROM pg_roles
WHERE rolname = :'login' AND rolconnlimit >= 0
    AND rolconnlimit <= (SELECT count(*) FROM pg_stat_activity a WHERE a.usename = :'login');
