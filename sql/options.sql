-- Every option of SERVER and USER MAPPING: accepted, refused, hinted at.
\set SHOW_CONTEXT never
CREATE ROLE regress_aep_superuser SUPERUSER;
SET ROLE regress_aep_superuser;
CREATE SERVER aep FOREIGN DATA WRAPPER aep
    OPTIONS (org_id '5C1328435BF324E90A49402A@AdobeOrg', sandbox 'dev',
             base_url 'https://platform.adobe.io', token_url 'https://ims.example.com/ims/token/v3',
             advertised_host 'db1.example.com', advertised_port '6432',
             connect_timeout '5s', request_timeout '1min', max_attempts '3',
             max_response_size '1MB', concurrency '32',
             ca_file '/etc/ssl/certs/ca-certificates.crt', proxy 'http://proxy.example.com:3128');
CREATE USER MAPPING FOR CURRENT_USER SERVER aep
    OPTIONS (api_key 'key', access_token 'token', client_secret 'secret',
             scopes 'openid,AdobeID', username 'acme', password 'xxxx');

-- One table of values to try, each set in turn; shows SQLSTATE, message, detail and hint.
CREATE FUNCTION pg_temp.try(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    message text;
    detail text;
    hint text;
BEGIN
    EXECUTE statement;
    RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
        hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(' | ', SQLSTATE, message, nullif(detail, ''), nullif(hint, ''));
END $$;

SELECT name, value, pg_temp.try(format('ALTER SERVER aep OPTIONS (SET %I %L)', name, value))
FROM (VALUES
    ('base_url', 'https://platform.adobe.io/prefix'),
    ('base_url', 'https://platform.adobe.io:8443/'),
    ('base_url', 'http://127.0.0.1:8080'),
    ('base_url', 'http://127.8.9.10'),
    ('base_url', 'http://[::1]:8080'),
    ('base_url', 'http://localhost:8080'),
    ('base_url', 'HTTP://LOCALHOST'),
    ('base_url', 'http://platform.adobe.io'),
    ('base_url', 'http://localhost.example.com'),
    ('base_url', 'http://127.0.0.1.example.com'),
    ('base_url', 'http://128.0.0.1'),
    ('base_url', 'http://10.0.0.1'),
    ('base_url', 'http://[::2]'),
    ('base_url', 'https://user@platform.adobe.io'),
    ('base_url', 'https://user:secret@platform.adobe.io'),
    ('base_url', 'http://127.0.0.1@platform.adobe.io'),
    ('base_url', 'https://platform.adobe.io/?a=b'),
    ('base_url', 'https://platform.adobe.io/#a'),
    ('base_url', 'ftp://platform.adobe.io'),
    ('base_url', 'file:///etc/passwd'),
    ('base_url', 'platform.adobe.io'),
    ('base_url', 'https://'),
    ('base_url', 'https://platform adobe.io'),
    ('base_url', E'https://platform.adobe.io/\nHost: x'),
    ('base_url', ''),
    ('token_url', 'http://ims.example.com'),
    ('token_url', 'https://user:secret@ims.example.com'),
    ('token_url', 'http://127.0.0.1:8080/ims/token/v3'),
    ('base_url', 'https://platform.adobe.io/data/foundation'),
    ('base_url', 'https://platform.adobe.io/data/foundation/flowservice/'),
    ('base_url', 'https://platform.adobe.io/data/foundations'),
    ('base_url', ' https://platform.adobe.io'),
    ('base_url', '"https://platform.adobe.io"'),
    ('proxy', 'https://proxy.example.com:3128'),
    ('proxy', 'http://user:secret@proxy.example.com'),
    ('proxy', 'http://proxy.example.com/path'),
    ('proxy', 'socks5://proxy.example.com'),
    ('org_id', ''),
    ('org_id', E'a\r\nX-Evil: 1'),
    ('org_id', E'a\tb'),
    ('org_id', ' a'),
    ('org_id', '''5C1328435BF324E90A49402A@AdobeOrg'''),
    ('sandbox', E'prod\n'),
    ('sandbox', 'prod '),
    ('sandbox', 'Production (VA7)'),
    ('sandbox', ''),
    ('advertised_host', '203.0.113.7'),
    ('advertised_host', '2001:db8::7'),
    ('advertised_host', ''),
    ('advertised_host', 'https://db1.example.com'),
    ('advertised_host', 'db1.example.com:5432'),
    ('advertised_host', '[2001:db8::7]'),
    ('advertised_host', 'db1 example'),
    ('advertised_host', 'user@db1.example.com'),
    ('advertised_host', '127.1'),
    ('advertised_host', '0177.0.0.1'),
    ('advertised_host', '203.0.113.07'),
    ('advertised_host', '2130706433'),
    ('advertised_host', '0x7f.1'),
    ('advertised_host', '0x7F000001'),
    ('advertised_host', '203.0.113.7.'),
    ('advertised_host', '203.0.113.256'),
    ('advertised_host', '::ffff:203.0.113.7'),
    ('advertised_host', '::ffff:cb00:7107'),
    ('advertised_host', 'fe80::1%eth0'),
    ('advertised_host', '203.0.113.7%eth0'),
    ('advertised_host', 'db1..example.com'),
    ('advertised_host', '.example.com'),
    ('advertised_host', 'db1.example.com..'),
    ('advertised_host', '.'),
    ('advertised_host', 'db1.example.com.'),
    ('advertised_host', 'db_1.example.com'),
    ('advertised_host', '1db.example.com'),
    ('advertised_host', '10.example'),
    ('advertised_host', 'db1;example.com'),
    ('advertised_port', '1'),
    ('advertised_port', '65535'),
    ('advertised_port', '0'),
    ('advertised_port', '65536'),
    ('advertised_port', 'five'),
    ('advertised_port', ''),
    ('connect_timeout', '1ms'),
    ('connect_timeout', '1h'),
    ('connect_timeout', '250'),
    ('connect_timeout', '0'),
    ('connect_timeout', '61min'),
    ('connect_timeout', '5 parsecs'),
    ('request_timeout', '-1s'),
    ('request_timeout', 'soon'),
    ('max_response_size', '1kB'),
    ('max_response_size', '256MB'),
    ('max_response_size', '1023B'),
    ('max_response_size', '257MB'),
    ('max_response_size', '1 parsec'),
    ('max_attempts', '1'),
    ('max_attempts', '10'),
    ('max_attempts', '0'),
    ('max_attempts', '11'),
    ('concurrency', '256'),
    ('concurrency', '0'),
    ('concurrency', '257'),
    ('ca_file', 'relative.pem'),
    ('ca_file', ''),
    ('ca_file', E'/etc/ssl/certs/ca-certificates.crt\n'),
    ('ca_file', '/etc/ssl/certs/ca-certificates.crt ')
) AS v(name, value);

-- As long as names can be, and longer ones, which nothing shows.
SELECT length(value), pg_temp.try(format('ALTER SERVER aep OPTIONS (SET advertised_host %L)', value))
FROM (VALUES (rpad('', 253, repeat('a', 62) || '.')), (rpad('', 254, repeat('a', 62) || '.')),
             (repeat('a', 63) || '.com'), (repeat('a', 64) || '.com'), (repeat('a.', 500000))) AS v(value);

-- What is probably wrong is warned of: it may be right one day, or elsewhere.
ALTER SERVER aep OPTIONS (SET advertised_host 'db1.example.com');
ALTER SERVER aep OPTIONS (SET org_id '5C1328435BF324E90A49402A');
ALTER SERVER aep OPTIONS (SET org_id '5C1328435BF324E90A49402A@AdobeOrg', SET sandbox 'Prod');
ALTER SERVER aep OPTIONS (SET sandbox 'dev-2', SET token_url 'https://ims-na1.adobelogin.com');
ALTER SERVER aep OPTIONS (SET token_url 'https://ims.example.com/ims/token/v3', SET proxy 'http://proxy.example.com');
ALTER SERVER aep OPTIONS (SET proxy 'http://proxy.example.com:3128', SET ca_file '/nonexistent/ca.pem');
ALTER SERVER aep OPTIONS (SET ca_file '/etc/ssl/certs/ca-certificates.crt');

SELECT name, value, pg_temp.try(format('ALTER USER MAPPING FOR CURRENT_USER SERVER aep OPTIONS (SET %I %L)', name, value))
FROM (VALUES
    ('api_key', ''),
    ('api_key', E'key\n'),
    ('access_token', E'to\rken'),
    ('access_token', E'to\x01ken'),
    ('access_token', ''),
    ('access_token', 'Bearer eyJhbGciOi'),
    ('access_token', 'bearer eyJhbGciOi'),
    ('access_token', '"eyJhbGciOi"'),
    ('access_token', '{"access_token":"eyJhbGciOi"}'),
    ('access_token', 'eyJhbGciOi J9'),
    ('client_secret', ''),
    ('client_secret', E'p8e-secret\n'),
    ('client_secret', E'p8e-secret\r'),
    ('client_secret', 'p8e-secret '),
    ('scopes', E'a\nb'),
    ('username', ''),
    ('password', ''),
    ('password', 'anything "else" \ is a password')
) AS v(name, value);
ALTER USER MAPPING FOR CURRENT_USER SERVER aep OPTIONS (SET client_secret '"p8e-secret"');
ALTER USER MAPPING FOR CURRENT_USER SERVER aep OPTIONS (SET client_secret 'p8e-secret', SET scopes 'openid, AdobeID');
ALTER USER MAPPING FOR CURRENT_USER SERVER aep OPTIONS (SET scopes 'openid,AdobeID', SET username E'acme\n');
ALTER USER MAPPING FOR CURRENT_USER SERVER aep OPTIONS (SET username 'acme ');
ALTER USER MAPPING FOR CURRENT_USER SERVER aep OPTIONS (SET username 'acme', SET password E'xxxx\n');
ALTER USER MAPPING FOR CURRENT_USER SERVER aep OPTIONS (SET password 'xxxx');

-- Unknown options name the valid ones of that catalog; secrets belong to the mapping.
SELECT pg_temp.try('CREATE SERVER other FOREIGN DATA WRAPPER aep OPTIONS (org_idd ''x'')');
SELECT pg_temp.try('CREATE SERVER other FOREIGN DATA WRAPPER aep OPTIONS (api_key ''x'')');
SELECT pg_temp.try('CREATE USER MAPPING FOR PUBLIC SERVER aep OPTIONS (org_id ''x'')');
SELECT pg_temp.try('ALTER FOREIGN DATA WRAPPER aep OPTIONS (ADD org_id ''x'')');

-- psql's own views show them.
\des+ aep
SELECT srvname, usename = CURRENT_USER AS mine, array_length(umoptions, 1) AS options
FROM pg_user_mappings WHERE srvname = 'aep';

DROP SERVER aep CASCADE;
DROP FUNCTION pg_temp.try(text);
RESET ROLE;
DROP ROLE regress_aep_superuser;
