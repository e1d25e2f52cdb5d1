-- The exact bodies, and every argument that is refused before anything is sent.
\set SHOW_CONTEXT never
SET client_min_messages = error;
CREATE SERVER aep FOREIGN DATA WRAPPER aep OPTIONS (advertised_host 'db1.example.com', advertised_port '5433');

SELECT jsonb_pretty(aep.base_connection_request(
    name => 'PostgreSQL base connection',
    description => 'PostgreSQL base connection via basic authentication',
    host => 'localhost', port => 3306, database => 'postgresql-acme',
    username => 'acme', password => 'xxxx', ssl_mode => 'Allow'));
SELECT jsonb_pretty(aep.base_connection_request(
    name => 'PostgreSQL base connection',
    description => 'PostgreSQL base connection via connection string',
    auth_type => 'connection_string',
    host => 'localhost', port => 3306, database => 'postgresql-acme',
    username => 'acme', password => 'xxxx'));

-- Defaults: this database's address, a name made of it, the mapping's login.
SELECT r ->> 'name' = format('PostgreSQL %s at db1.example.com:5433', current_database()) AS name,
       r ? 'description' AS description,
       r #>> '{auth,params,server}' AS server,
       r #>> '{auth,params,port}' AS port,
       jsonb_typeof(r #> '{auth,params,port}') AS port_type,
       r #>> '{auth,params,database}' = current_database() AS database,
       r #>> '{auth,params,sslMode}' AS ssl_mode
FROM aep.base_connection_request(username => 'acme', password => 'xxxx') AS r;
CREATE USER MAPPING FOR CURRENT_USER SERVER aep OPTIONS (username 'mapped', password 'mapped secret');
SELECT (aep.base_connection_request() #> '{auth,params}') - 'database' AS params;
SELECT aep.base_connection_request(username => 'given', password => 'p') #>> '{auth,params,username}' AS username;

-- The mapping's password belongs to the mapping's username, and to no other.
SELECT aep.base_connection_request(username => 'mapped') #>> '{auth,params,username}' AS username;
SELECT aep.base_connection_request(password => 'p') #>> '{auth,params,username}' AS username;
SELECT aep.base_connection_request(username => 'given');
ALTER USER MAPPING FOR CURRENT_USER SERVER aep OPTIONS (DROP username);
SELECT aep.base_connection_request(username => 'mapped');
SELECT aep.base_connection_request(password => 'p');
DROP USER MAPPING FOR CURRENT_USER SERVER aep;

-- The password is never shown, whatever it looks like.
SELECT aep.base_connection_request(username => 'u', password => E'a"b\\c\nd') #>> '{auth,params,password}' AS password,
       aep.base_connection_request(username => 'u', password => 'secret', auth_type => 'connection_string', database => 'd')
           #>> '{auth,params,connectionString}' AS connection_string;

-- Whatever text holds, it arrives unchanged.
SELECT aep.base_connection_request(username => 'u', password => 'p', name => v, description => v, database => v) ->> 'name' = v AS name,
       aep.base_connection_request(username => 'u', password => 'p', description => v) ->> 'description' = v AS description,
       aep.base_connection_request(username => v, password => 'p') #>> '{auth,params,username}' = v AS username,
       aep.base_connection_request(username => 'u', password => 'p', database => v) #>> '{auth,params,database}' = v AS database
FROM (VALUES (E'quotes " '' and \\ backslash'), ('{"json": [1]}'), (E'\x01\x1f\x7f\t\r\n'),
             (repeat('x', 1000000))) AS t(v);

-- ssl_mode: Adobe's words and libpq's spellings.
SELECT mode,
       aep.base_connection_request(username => 'u', password => 'p', ssl_mode => mode) #>> '{auth,params,sslMode}' AS basic,
       substring(aep.base_connection_request(username => 'u', password => 'p', ssl_mode => mode, database => 'd', auth_type => 'connection_string')
           #>> '{auth,params,connectionString}' FROM 'Password=\*+(.*)') AS connection_string
FROM unnest(ARRAY['Disable', 'allow', 'PREFER', 'require', 'Verify Ca', 'verify-ca', 'verify_full',
                  'VerifyFull', 'Verify-Full']) AS mode;
SELECT aep.base_connection_request(username => 'u', password => 'p', ssl_mode => 'sometimes');
SELECT aep.base_connection_request(username => 'u', password => 'p', ssl_mode => '');

-- Refused arguments: by name, with what is accepted, never with the value.
\set VERBOSITY sqlstate
SELECT aep.base_connection_request();
SELECT aep.base_connection_request(username => 'u', password => 'p', port => 0);
\set VERBOSITY default
SELECT aep.base_connection_request();
SELECT aep.base_connection_request(username => 'u');
SELECT aep.base_connection_request(username => '', password => 'p');
SELECT aep.base_connection_request(username => 'u', password => '');
SELECT aep.base_connection_request(username => 'u', password => 'p', name => '');
SELECT aep.base_connection_request(username => 'u', password => 'p', host => '');
SELECT aep.base_connection_request(username => 'u', password => 'p', host => 'https://db1.example.com');
SELECT aep.base_connection_request(username => 'u', password => 'p', host => 'db1 example');
SELECT aep.base_connection_request(username => 'u', password => 'p', host => 'db1.example.com:5432');
SELECT aep.base_connection_request(username => 'u', password => 'p', host => '[::1]');
SELECT aep.base_connection_request(username => 'u', password => 'p', port => 0);
SELECT aep.base_connection_request(username => 'u', password => 'p', port => 65536);
SELECT aep.base_connection_request(username => 'u', password => 'p', port => -1);
SELECT aep.base_connection_request(username => 'u', password => 'p', database => '');
SELECT aep.base_connection_request(username => 'u', password => 'p', auth_type => NULL);
SELECT aep.base_connection_request(username => 'u', password => 'p', auth_type => 'kerberos');
SELECT aep.base_connection_request(username => 'u', password => 'p', server => NULL);

-- What was probably pasted along: a warning, and the value goes as it is.
SET client_min_messages = warning;
SELECT aep.base_connection_request(username => E'u\n', password => 'p') #>> '{auth,params,username}' = E'u\n' AS username;
SELECT aep.base_connection_request(username => 'u', password => 'p ') #>> '{auth,params,password}' AS password;
SELECT aep.base_connection_request(username => 'u', password => 'p', database => ' d', name => 'Orders ') ->> 'name' = 'Orders ' AS name;
SELECT aep.base_connection_request(username => 'u', password => 'p', host => 'db.internal') #>> '{auth,params,server}' AS server;
SET client_min_messages = error;
SELECT aep.base_connection_request(username => 'u', password => 'p', host => '127.1');
SELECT aep.base_connection_request(username => 'u', password => 'p', host => repeat('a.', 500000));

-- Values that no connection string can carry safely.
CREATE FUNCTION pg_temp.try(argument text, value text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    detail text;
BEGIN
    EXECUTE format('SELECT aep.base_connection_request(auth_type => ''connection_string'', %s => %L, %s)',
                   argument, value,
                   (SELECT string_agg(format('%s => ''x.y''', a), ', ')
                    FROM unnest(ARRAY['host', 'database', 'username', 'password']) AS a
                    WHERE a <> argument));
    RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN concat_ws(' | ', SQLSTATE, SQLERRM, detail);
END $$;
SELECT value, pg_temp.try('password', value)
FROM unnest(ARRAY['plain', 'in=side', 'in"side', 'in''side', 'a}b', 'a{b', 'a b', 'a;b', ' a', 'a ', E'a\tb',
                  E'a\nb', '"a', '''a', '=a', '{a', ';']) AS value;
SELECT argument, pg_temp.try(argument, 'a;b')
FROM unnest(ARRAY['host', 'database', 'username', 'password']) AS argument;

-- The name comes first: it is what a call without names of arguments gives.
SELECT aep.base_connection_request('Orders', 'of the shop', 'acme', 'xxxx') ->> 'name' AS name;

DROP SERVER aep;
