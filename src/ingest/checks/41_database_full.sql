-- The database has as many sessions, anybody's, as its connection limit allows: nobody but a
-- superuser gets in.

SELECT format('database %I uses all %s connections of its limit', datname, datconnlimit) AS finding,
    format('ALTER DATABASE %I CONNECTION LIMIT %s', datname, datconnlimit + 10) AS remedy
FROM pg_database d
WHERE datname = current_database() AND datconnlimit >= 0
    AND datconnlimit <= (SELECT count(*) FROM pg_stat_activity a WHERE a.datid = d.oid);
