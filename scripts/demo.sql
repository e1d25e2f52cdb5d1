-- demo.sql: two base connections, step by step; run by scripts/demo.
\pset footer off

\echo
\echo == 1. Install the extension.
\set ECHO queries
CREATE EXTENSION aep;
\set ECHO none

\echo
\echo == 2. Say which organisation and sandbox, and at which address Experience
\echo ==    Platform reaches this database. (base_url and ca_file lead to the fake
\echo ==    Flow Service of this demo.)
\set ECHO queries
CREATE SERVER aep FOREIGN DATA WRAPPER aep
    OPTIONS (org_id '5C1328435BF324E90A49402A@AdobeOrg', sandbox 'prod',
             advertised_host 'db1.example.com',
             base_url :'base_url', ca_file :'ca_file');
\set ECHO none

\echo
\echo == 3. Say who we are there, and which login Experience Platform will use here.
\echo ==    Secrets live in the user mapping, never in a function call.
\set ECHO queries
CREATE ROLE acme LOGIN PASSWORD 'the database password';
CREATE USER MAPPING FOR CURRENT_USER SERVER aep
    OPTIONS (api_key 'demo-api-key', access_token 'demo-access-token',
             username 'acme', password 'the database password');
\set ECHO none

\echo
\echo == 4. At which address is this database reached?
\set ECHO queries
SELECT * FROM aep.endpoint();
\set ECHO none

\echo
\echo == 5. What would be sent? (Nothing is sent; the password is masked.)
\set ECHO queries
SELECT jsonb_pretty(aep.base_connection_request());
\set ECHO none

\echo
\echo == 6. Create a base connection, with basic authentication...
\set ECHO queries
SELECT id, etag FROM aep.create_base_connection();
\set ECHO none

\echo
\echo == 7. ... and one with a connection string, with a name of our own.
\set ECHO queries
SELECT id, etag
FROM aep.create_base_connection(
         name => 'Orders', description => 'Created by the demo',
         auth_type => 'connection_string', password => 'another-password');
\set ECHO none

\echo
\echo == The same three statements for the real Experience Platform:
\echo
\echo '   CREATE SERVER aep FOREIGN DATA WRAPPER aep'
\echo '       OPTIONS (org_id ''<your org>@AdobeOrg'', sandbox ''prod'','
\echo '                advertised_host ''<public name of this server>'');'
\echo
\echo '   CREATE USER MAPPING FOR CURRENT_USER SERVER aep'
\echo '       OPTIONS (api_key ''<API key>'', client_secret ''<client secret>'','
\echo '                username ''<database login>'', password ''<its password>'');'
\echo
\echo '   SELECT id FROM aep.create_base_connection();'
\echo
