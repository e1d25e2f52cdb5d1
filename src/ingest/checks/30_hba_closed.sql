-- pg_hba.conf does not let the login in from outside with a password: no line does, or each that
-- would stands behind one that rejects, and the first line that fits decides.  The server then
-- refuses Experience Platform before it has asked for the password.
--
-- From which addresses the platform comes is not known here.  Any line about addresses outside this
-- machine counts as a way in, and is closed by one that rejects all of the same addresses.
--
-- needs: pg_catalog.pg_hba_file_rules()

WITH login AS (
    SELECT oid,
        -- which kinds of connections are tried, for the first word of a line
        CASE
            WHEN :'ssl_mode' IN ('Require', 'Verify Ca', 'Verify Full', 'Verify-Ca', 'Verify-Full')
            THEN 'ssl' -- or none comes about
            WHEN :'ssl_mode' = 'Disable' OR current_setting('ssl') = 'off' THEN 'nossl'
            ELSE 'both'
        END AS tried,
        -- a name that begins with '/' is a regular expression
        current_setting('server_version_num')::int >= 160000 AS has_expressions
    FROM pg_roles
    WHERE rolname = :'login'
),

-- its path, for who may know it
file AS (
    SELECT coalesce((SELECT setting FROM pg_settings WHERE name = 'hba_file'), 'pg_hba.conf') AS path
),

-- the lines that count when the login comes, and either ask for a password or reject it
line AS (
    SELECT h.ordinality AS n, h.line_number, h.type, h.address, h.netmask,
        h.auth_method = 'reject' AS rejects, login.tried
    FROM login, pg_hba_file_rules() WITH ORDINALITY AS h
    WHERE h.error IS NULL
        AND (h.type IN ('host', 'hostnogssenc')
            OR (h.type = 'hostssl' AND login.tried <> 'nossl')
            OR (h.type = 'hostnossl' AND login.tried <> 'ssl'))
        AND (h.database && ARRAY['all', current_database()::text]
            OR EXISTS (SELECT FROM unnest(h.database) AS name
                WHERE CASE WHEN login.has_expressions AND name LIKE '/%'
                    THEN current_database()::text ~ substr(name, 2) ELSE false END))
        AND (h.user_name && ARRAY['all', :'login']
            OR EXISTS (SELECT FROM unnest(h.user_name) AS name
                WHERE CASE WHEN login.has_expressions AND name LIKE '/%'
                    THEN :'login' ~ substr(name, 2) ELSE false END)
            OR EXISTS (SELECT FROM unnest(h.user_name) AS name
                JOIN pg_roles r ON r.rolname = substr(name, 2)
                WHERE name LIKE '+%' AND pg_has_role(login.oid, r.oid, 'MEMBER')))
        AND h.address NOT IN ('localhost', 'samehost', '::1') AND h.address NOT LIKE '127.%'
        AND h.auth_method IN
            ('scram-sha-256', 'md5', 'password', 'ldap', 'radius', 'pam', 'reject')
),

-- those that ask for a password, with each before them that rejects all that they are about
closed AS (
    SELECT opens.n, opens.line_number, closes.line_number AS closed_by
    FROM line closes JOIN line opens ON closes.n < opens.n
    WHERE closes.rejects AND NOT opens.rejects
        AND (closes.type IN ('host', 'hostnogssenc') OR closes.type = opens.type
            OR closes.tried <> 'both')
        AND CASE
            WHEN closes.address = 'all' THEN true
            WHEN closes.netmask IS NULL THEN closes.address = opens.address -- a host's name
            WHEN opens.netmask IS NULL THEN closes.netmask = '0.0.0.0'
            WHEN family(closes.netmask::inet) <> family(opens.netmask::inet) THEN false
            ELSE opens.netmask::inet & closes.netmask::inet = closes.netmask::inet
                AND opens.address::inet & closes.netmask::inet
                    = closes.address::inet & closes.netmask::inet
        END
)

SELECT format('pg_hba.conf has no line that lets %I in from outside with a password%s', :'login',
        CASE
            WHEN login.tried = 'ssl' THEN ' and SSL'
            WHEN :'ssl_mode' = 'Disable' THEN ' and without SSL'
        END) AS finding,
    format('%s: %s %I +%I 0.0.0.0/0 scram-sha-256', file.path,
        CASE
            WHEN current_setting('ssl') = 'on' AND :'ssl_mode' <> 'Disable' THEN 'hostssl'
            ELSE 'host'
        END, current_database(), :'role') AS remedy
FROM login, file
WHERE NOT EXISTS (SELECT FROM line WHERE NOT rejects)
UNION ALL
(SELECT format('line %s of pg_hba.conf rejects %I', closed_by, :'login'),
    format('%s: move line %s below line %s', (SELECT path FROM file), closed_by, min(line_number))
FROM closed
WHERE NOT EXISTS (SELECT FROM line
    WHERE NOT line.rejects AND line.n NOT IN (SELECT closed.n FROM closed))
GROUP BY closed_by
ORDER BY closed_by);
