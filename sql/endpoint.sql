-- This database's own address.
SET client_min_messages = error;
CREATE SERVER aep FOREIGN DATA WRAPPER aep;
SELECT port = current_setting('port')::integer AS port,
       database = current_database() AS database,
       host <> '' AS host,
       host_source IN ('session', 'listen_addresses', 'hostname') AS host_source
FROM aep.endpoint();

-- Options come first.
ALTER SERVER aep OPTIONS (ADD advertised_host 'db1.example.com', ADD advertised_port '6432');
RESET client_min_messages;
SELECT host, port, host_source FROM aep.endpoint();

-- Addresses that nobody outside can reach are warned of, and only those.
\set SHOW_CONTEXT never
CREATE FUNCTION pg_temp.advertise(address text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER SERVER aep OPTIONS (SET advertised_host %L)', address);
    RETURN (SELECT host FROM aep.endpoint());
END $$;
SELECT pg_temp.advertise(address)
FROM unnest(ARRAY['localhost', '127.0.0.1', '127.9.9.9', '::1', '10.1.2.3', '172.16.0.1',
                  '172.31.255.255', '192.168.1.1', '100.64.0.1', '169.254.1.1', 'fe80::1',
                  'fd00::1', 'fec0::1', '0.0.0.0', '::', '224.0.0.1', 'ff02::1', '198.18.0.1', 'dbserver',
                  'dbserver.', 'localhost.', 'LOCALHOST', 'db.localhost', 'db.internal', 'db.LOCAL.',
                  'db.ns.svc.cluster.local', 'db.ns.svc', 'db.lan', 'db.home.arpa', 'db.home', 'db.corp',
                  'db.intranet', 'db.test', 'internal']) AS address;
SELECT pg_temp.advertise(address)
FROM unnest(ARRAY['172.15.0.1', '172.32.0.1', '192.169.0.1', '100.128.0.1', '11.0.0.1',
                  '2001:db8::1', 'db.example.com', 'db.example.com.', 'internal.example.com',
                  'localhost.example.com', 'mylocal.com', 'db.notinternal']) AS address;

-- Where the platform is on this machine too, loopback is right, and nothing else.
ALTER SERVER aep OPTIONS (ADD base_url 'http://127.0.0.1:8080');
SELECT pg_temp.advertise(address) FROM unnest(ARRAY['localhost', '127.0.0.1', '::1']) AS address;
SELECT pg_temp.advertise('10.1.2.3');
ALTER SERVER aep OPTIONS (SET base_url 'https://localhost:8443');
SELECT pg_temp.advertise('localhost');
ALTER SERVER aep OPTIONS (SET base_url 'https://localhost.example.com');
SELECT pg_temp.advertise('localhost');

SELECT * FROM aep.endpoint(NULL);
DROP SERVER aep;
