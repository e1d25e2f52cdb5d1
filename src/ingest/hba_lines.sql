-- The lines of pg_hba.conf that count when somebody comes from outside in the login's name, as one
-- JSON array.  The checks of them have it as their parameter "lines".
--
-- From which addresses Experience Platform comes is not known here: all that are not this machine's
-- are outside.
--
-- needs: pg_catalog.pg_hba_file_rules()

WITH RECURSIVE login AS (
    SELECT oid,
        -- a name that begins with '/' is a regular expression
        current_setting('server_version_num')::int >= 160000 AS has_expressions
    FROM pg_roles
    WHERE rolname = :'login'
),

-- for pg_hba.conf a superuser is no member of all roles
membership AS (
    SELECT oid FROM login
    UNION
    SELECT m.roleid FROM membership JOIN pg_auth_members m ON m.member = membership.oid
),
groups AS (SELECT ARRAY(SELECT rolname::text FROM membership JOIN pg_roles USING (oid)) AS names),

line AS (
    SELECT h.ordinality AS n, h.line_number, file.path,
        format('line %s of %s', h.line_number, regexp_replace(file.path, '.*/', '')) AS place,
        h.address, h.netmask, h.auth_method AS method,
        connection.kinds, -- that the line is about
        CASE
            WHEN h.auth_method = 'reject' THEN format('rejects %I', :'login')
            WHEN h.auth_method IN ('ldap', 'radius', 'pam', 'bsd')
            THEN format('asks %s for the password of %I, which only PostgreSQL knows',
                h.auth_method, :'login')
            WHEN h.auth_method NOT IN ('scram-sha-256', 'md5', 'password', 'trust')
            THEN format('lets %I in by %s only, not with a password', :'login', h.auth_method)
            WHEN h.options && ARRAY['clientcert=verify-ca', 'clientcert=verify-full']
            THEN format('asks %I for a client certificate', :'login')
        END AS obstacle -- NULL: it lets in
    FROM login
        CROSS JOIN groups
        CROSS JOIN pg_hba_file_rules() WITH ORDINALITY AS h
        JOIN (VALUES ('host', ARRAY['ssl', 'plain', 'gss']),
                ('hostssl', ARRAY['ssl']), ('hostnossl', ARRAY['plain', 'gss']),
                ('hostgssenc', ARRAY['gss']), ('hostnogssenc', ARRAY['ssl', 'plain'])
            ) AS connection (type, kinds) ON connection.type = h.type
        -- since 16 a line may stand in another file; and the path is for who may know it
        CROSS JOIN LATERAL (
            SELECT coalesce(to_jsonb(h) ->> 'file_name',
                (SELECT setting FROM pg_settings WHERE name = 'hba_file'), 'pg_hba.conf') AS path
        ) AS file
    WHERE (h.database && ARRAY['all', current_database()::text]
            OR ('sameuser' = ANY (h.database) AND current_database()::text = :'login')
            OR (h.database && ARRAY['samerole', 'samegroup']
                AND current_database()::text = ANY (groups.names))
            OR EXISTS (SELECT FROM unnest(h.database) AS name
                WHERE CASE WHEN login.has_expressions AND name LIKE '/%'
                    THEN current_database()::text ~ substr(name, 2) ELSE false END))
        AND (h.user_name && ARRAY['all', :'login']
            OR EXISTS (SELECT FROM unnest(h.user_name) AS name
                WHERE CASE
                    WHEN name LIKE '+%' THEN substr(name, 2) = ANY (groups.names)
                    WHEN login.has_expressions AND name LIKE '/%' THEN :'login' ~ substr(name, 2)
                    ELSE false
                END))
        AND h.address NOT IN ('localhost', 'samehost', '::1') AND h.address NOT LIKE '127.%'
)

SELECT coalesce(jsonb_agg(to_jsonb(line) || jsonb_build_object('within', ARRAY(
        -- the lines before it that have all of its addresses
        SELECT wide.n
        FROM line AS wide
        WHERE wide.n < line.n
            AND CASE
                WHEN wide.address = 'all' THEN true
                WHEN wide.netmask IS NULL THEN wide.address = line.address -- a host's name
                WHEN line.netmask IS NULL THEN false
                WHEN family(wide.netmask::inet) <> family(line.netmask::inet) THEN false
                ELSE line.netmask::inet & wide.netmask::inet = wide.netmask::inet
                    AND line.address::inet & wide.netmask::inet
                        = wide.address::inet & wide.netmask::inet
            END))), '[]') AS lines
FROM line;
