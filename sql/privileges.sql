-- Who may configure, who may call, and who sees a secret.
\set SHOW_CONTEXT never
SET client_min_messages = error;
CREATE SERVER aep FOREIGN DATA WRAPPER aep
    OPTIONS (org_id '5C1328435BF324E90A49402A@AdobeOrg', advertised_host 'db1.example.com');
CREATE USER MAPPING FOR CURRENT_USER SERVER aep
    OPTIONS (api_key 'key', access_token 'token', username 'acme', password 'top secret');
CREATE ROLE regress_aep_caller;
CREATE ROLE regress_aep_owner;

-- Nothing is open to begin with.
SET ROLE regress_aep_caller;
SELECT * FROM aep.endpoint();
RESET ROLE;

-- The recipe of the README, step by step.
GRANT USAGE ON SCHEMA aep TO regress_aep_caller;
SET ROLE regress_aep_caller;
SELECT * FROM aep.endpoint();
RESET ROLE;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA aep TO regress_aep_caller;
SET ROLE regress_aep_caller;
SELECT * FROM aep.endpoint();
SELECT * FROM aep.create_base_connection();
RESET ROLE;
GRANT USAGE ON FOREIGN SERVER aep TO regress_aep_caller;
SET ROLE regress_aep_caller;
SELECT host, host_source FROM aep.endpoint();
SELECT aep.base_connection_request();
SELECT * FROM aep.create_base_connection(username => 'a', password => 'b');

-- The mapping of another role stays hidden.
SELECT umoptions FROM pg_user_mappings WHERE srvname = 'aep';
RESET ROLE;

-- A SECURITY DEFINER wrapper uses the definer's mapping.
CREATE FUNCTION wrapped() RETURNS jsonb LANGUAGE sql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS 'SELECT aep.base_connection_request()';
SET ROLE regress_aep_caller;
SELECT wrapped() -> 'auth' -> 'params' ->> 'username' AS username;
RESET ROLE;

-- A mapping of PUBLIC serves who has none.
CREATE USER MAPPING FOR PUBLIC SERVER aep
    OPTIONS (api_key 'key', username 'everyone', password 'x');
SET ROLE regress_aep_caller;
SELECT aep.base_connection_request() -> 'auth' -> 'params' ->> 'username' AS username;

-- Who cannot read its password cannot have it brought to a host of their own.
SELECT aep.base_connection_request(host => 'db9.example.com');
SELECT aep.base_connection_request(port => 6543);
SELECT aep.base_connection_request(host => 'db9.example.com', password => 'known')
    #>> '{auth,params,server}' AS server;

-- A mapping without a token says what to set.
SELECT * FROM aep.create_base_connection();
RESET ROLE;
ALTER USER MAPPING FOR PUBLIC SERVER aep OPTIONS (DROP api_key);
SET ROLE regress_aep_caller;
SELECT * FROM aep.create_base_connection();
RESET ROLE;

-- ca_file makes the server read a file: not for everybody.
GRANT USAGE ON FOREIGN DATA WRAPPER aep TO regress_aep_owner;
SET ROLE regress_aep_owner;
CREATE SERVER mine FOREIGN DATA WRAPPER aep OPTIONS (org_id '5C1328435BF324E90A49402A@AdobeOrg');
ALTER SERVER mine OPTIONS (ADD ca_file '/etc/passwd');
RESET ROLE;
GRANT pg_read_server_files TO regress_aep_owner;
SET ROLE regress_aep_owner;
ALTER SERVER mine OPTIONS (ADD ca_file '/etc/ssl/certs/ca-certificates.crt');
RESET ROLE;

-- Nor is a proxy that is spoken to in clear, unless it is on this machine.
SET ROLE regress_aep_owner;
ALTER SERVER mine OPTIONS (ADD proxy 'http://proxy.example.com:3128');
ALTER SERVER mine OPTIONS (ADD proxy 'http://127.0.0.1:3128');
ALTER SERVER mine OPTIONS (SET proxy 'https://proxy.example.com:3129');
RESET ROLE;
ALTER SERVER mine OPTIONS (SET proxy 'http://proxy.example.com:3128');
GRANT pg_execute_server_program TO regress_aep_owner;
SET ROLE regress_aep_owner;
ALTER SERVER mine OPTIONS (SET proxy 'http://proxy2.example.com:3128');
RESET ROLE;

-- Servers that are not there, or not ours.
SELECT * FROM aep.endpoint('nowhere');
SELECT * FROM aep.create_base_connection(server => 'nowhere');
CREATE FOREIGN DATA WRAPPER regress_other;
CREATE SERVER not_ours FOREIGN DATA WRAPPER regress_other;
SELECT * FROM aep.endpoint('not_ours');
SELECT * FROM aep.create_base_connection(server => 'not_ours');

-- A change of the server counts from the next call on.
SELECT host FROM aep.endpoint();
ALTER SERVER aep OPTIONS (SET advertised_host 'db2.example.com');
SELECT host FROM aep.endpoint();
SELECT aep.base_connection_request() -> 'auth' -> 'params' ->> 'server' AS server;
ALTER USER MAPPING FOR CURRENT_USER SERVER aep OPTIONS (SET username 'emca');
SELECT aep.base_connection_request() -> 'auth' -> 'params' ->> 'username' AS username;

-- Only a superuser installs it.
SET ROLE regress_aep_owner;
DROP EXTENSION aep;
RESET ROLE;

DROP FUNCTION wrapped();
DROP SERVER not_ours;
DROP FOREIGN DATA WRAPPER regress_other;
DROP SERVER aep CASCADE;
DROP SERVER mine;
REVOKE ALL ON FOREIGN DATA WRAPPER aep FROM regress_aep_owner;
DROP OWNED BY regress_aep_caller, regress_aep_owner;
DROP ROLE regress_aep_caller, regress_aep_owner;
