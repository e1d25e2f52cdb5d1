-- The server listens on no address but its own machine's, as it does unless told otherwise: nobody
-- outside can connect.

SELECT format('listen_addresses is ''%s'': the server accepts no connection from outside',
        current_setting('listen_addresses')) AS finding,
    'ALTER SYSTEM SET listen_addresses = ''*''; then restart the server' AS remedy
WHERE NOT EXISTS (
    SELECT FROM regexp_split_to_table(current_setting('listen_addresses'),
        '[[:space:]]*,[[:space:]]*') AS address
    WHERE btrim(address) NOT IN ('', 'localhost', '::1') AND btrim(address) NOT LIKE '127.%');
