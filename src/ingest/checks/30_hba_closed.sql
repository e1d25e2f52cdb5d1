-- pg_hba.conf does not let the login in from outside with a password.  The first line that fits
-- decides: no line lets it in, or each that would stands behind one that shuts it out, by rejecting it or
-- by asking for what Experience Platform does not have.  The server then refuses it before it has
-- compared the password.
--
-- Any line about addresses outside this machine counts as a way in.  Which addresses a new line is
-- about is left to who writes it: what stands in their place here is refused by pg_hba.conf.
--
-- needs: pg_catalog.pg_hba_file_rules()

WITH login AS (
    -- the kinds of connections that are tried
    SELECT CASE
            WHEN :'ssl_mode' IN ('Require', 'Verify Ca', 'Verify Full', 'Verify-Ca', 'Verify-Full')
            THEN ARRAY['ssl'] -- or none comes about
            WHEN :'ssl_mode' = 'Disable' OR current_setting('ssl') = 'off' THEN ARRAY['plain']
            ELSE ARRAY['ssl', 'plain']
        END AS tries
    FROM pg_roles
    WHERE rolname = :'login'
),
line AS (
    SELECT line.*, ARRAY(SELECT unnest(kinds) INTERSECT SELECT unnest(tries)) AS tried
    FROM login, jsonb_to_recordset(:'lines'::jsonb) AS line (n int, line_number int, path text,
        place text, address text, netmask text, method text, kinds text[], obstacle text, within int[])
),

-- what lets it in, and the lines before that leave nothing to it
entry AS (SELECT * FROM line WHERE obstacle IS NULL AND tried <> '{}'),
closed AS (
    SELECT entry.n, line.n AS behind
    FROM entry JOIN line ON line.n < entry.n
    WHERE line.obstacle IS NOT NULL AND entry.tried <@ line.kinds
        AND (line.n = ANY (entry.within)
            -- the platform comes by IPv4, as far as is known
            OR (entry.netmask IS NULL AND line.netmask = '0.0.0.0'))
),
in_the_way AS (
    SELECT *
    FROM line
    WHERE obstacle IS NOT NULL AND tried <> '{}'
        AND CASE
            WHEN EXISTS (SELECT FROM entry) THEN n IN (SELECT behind FROM closed)
            -- what rejects some addresses only may well do so
            ELSE method <> 'reject' OR address = 'all' OR netmask = '0.0.0.0'
        END
),

-- such a line lets it in once ssl is on
waiting AS (
    SELECT *
    FROM line
    WHERE obstacle IS NULL AND kinds = ARRAY['ssl'] AND tried = '{}' AND :'ssl_mode' <> 'Disable'
    ORDER BY n
    LIMIT 1
),

-- a line of its own, before all that shuts it out
remedy AS (
    SELECT format('%s: %sone line for each range of %s, then reload: %s %I +%I <address>/<bits> %s',
        coalesce(first.path, (SELECT setting FROM pg_settings WHERE name = 'hba_file'),
            'pg_hba.conf'),
        'before line ' || first.line_number || ', ',
        'https://experienceleague.adobe.com/en/docs/experience-platform/sources/ip-address-allow-list',
        CASE WHEN 'ssl' = ANY (login.tries) THEN 'hostssl' ELSE 'host' END,
        current_database(), :'role', 'scram-sha-256') AS text
    FROM login LEFT JOIN LATERAL (
        SELECT path, line_number FROM line WHERE obstacle IS NOT NULL AND tried <> '{}'
        ORDER BY n
        LIMIT 1) AS first ON true
)

SELECT finding, remedy
FROM (
    SELECT 1 AS rank, n, format('%s lets %I in with SSL only, and ssl is off', place, :'login')
            AS finding,
        'ALTER SYSTEM SET ssl = on; with a certificate, then reload' AS remedy
    FROM waiting
    UNION ALL
    SELECT 2, n, format('%s %s', place, obstacle), remedy.text
    FROM in_the_way, remedy
    UNION ALL
    SELECT 3, 0, format('pg_hba.conf has no line that lets %I in from outside with a password%s',
            :'login',
            CASE
                WHEN tries = ARRAY['ssl'] THEN ' and SSL'
                WHEN :'ssl_mode' = 'Disable' THEN ' and without SSL'
            END),
        remedy.text
    FROM login, remedy
    ORDER BY rank
    FETCH FIRST ROW WITH TIES) AS found
WHERE NOT EXISTS (SELECT FROM entry WHERE n NOT IN (SELECT n FROM closed))
ORDER BY n;
