-- The server has as many sessions as max_connections allows, but for those that are kept for
-- superusers and the like: nobody else gets in.

SELECT format('the server uses all %s connections that are not reserved',
        current_setting('max_connections')) AS finding,
    'ALTER SYSTEM SET max_connections = ...; then restart the server' AS remedy
-- the type of others' sessions may be hidden, their database never is
WHERE (SELECT count(*) FROM pg_stat_activity a
        WHERE a.datid IS NOT NULL
            AND coalesce(a.backend_type, 'client backend') = 'client backend')
    >= current_setting('max_connections')::int
        - current_setting('superuser_reserved_connections')::int
        - coalesce(current_setting('reserved_connections', true)::int, 0); -- since 16
