-- setup.sql: connects this database to Experience Platform.
--
-- Run it again whenever a setting changes: it brings about what it describes,
-- and a second run with the same settings changes nothing in Experience
-- Platform.  The settings come from the environment, so that no secret is in
-- this file, in a command line or in psql's history:
--
--   set -a; . ./aep.env; set +a     # AEP_ORG_ID=..., AEP_API_KEY=..., ...
--   psql -X -f setup.sql shop
--
-- Needs psql 15 or later, and a superuser.

\set ON_ERROR_STOP on

-- Without one of these, the statement that needs it fails.
\getenv org_id AEP_ORG_ID
\getenv advertised_host AEP_ADVERTISED_HOST
\getenv api_key AEP_API_KEY
\getenv client_secret AEP_CLIENT_SECRET
\getenv db_password AEP_DB_PASSWORD

-- This has a default.
\set schema public
\getenv schema AEP_DB_SCHEMA

-- What of these is not set stays as it is, and has a default at first: the login
-- aep_reader, for the rest the extension's.  The default name holds host and
-- port, so that no other server's connection has it.
\set login ''
\getenv login AEP_DB_LOGIN
\set name ''
\getenv name AEP_CONNECTION_NAME
\set ssl_mode ''
\getenv ssl_mode AEP_SSL_MODE
\set sandbox ''
\getenv sandbox AEP_SANDBOX
\set base_url ''
\getenv base_url AEP_BASE_URL
\set token_url ''
\getenv token_url AEP_TOKEN_URL
\set ca_file ''
\getenv ca_file AEP_CA_FILE

CREATE EXTENSION IF NOT EXISTS aep;

-- The server, and those of its options that are not yet as they should be.
CREATE SERVER IF NOT EXISTS aep FOREIGN DATA WRAPPER aep;
SELECT format('ALTER SERVER aep OPTIONS (%s %I %L)',
              CASE WHEN present.option_name IS NULL THEN 'ADD' ELSE 'SET' END,
              wanted.name, wanted.value)
FROM (VALUES ('org_id', :'org_id'), ('sandbox', :'sandbox'),
             ('advertised_host', :'advertised_host'), ('base_url', :'base_url'),
             ('token_url', :'token_url'), ('ca_file', :'ca_file')) AS wanted (name, value)
LEFT JOIN (SELECT o.*
           FROM pg_foreign_server, pg_options_to_table(srvoptions) AS o
           WHERE srvname = 'aep') AS present ON present.option_name = wanted.name
WHERE wanted.value <> '' AND wanted.value IS DISTINCT FROM present.option_value
\gexec

-- The login of Experience Platform, which may read one schema.
SELECT coalesce(nullif(:'login', ''), max(option_value), 'aep_reader') AS login
FROM pg_user_mappings, pg_options_to_table(umoptions)
WHERE srvname = 'aep' AND usename = current_user AND option_name = 'username'
\gset
SELECT format('CREATE ROLE %I LOGIN CONNECTION LIMIT 10', :'login')
WHERE to_regrole(quote_ident(:'login')) IS NULL
\gexec
SELECT format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), :'login')
\gexec
GRANT USAGE ON SCHEMA :"schema" TO :"login";
GRANT SELECT ON ALL TABLES IN SCHEMA :"schema" TO :"login";

-- The next three statements hold secrets: keep them out of the server log.
SET log_statement = 'none';
SET log_min_duration_statement = -1;
SET log_min_error_statement = 'panic';
SET pg_stat_statements.track_utility = off; -- harmless without that module
ALTER ROLE :"login" PASSWORD :'db_password';
CREATE USER MAPPING IF NOT EXISTS FOR CURRENT_USER SERVER aep
    OPTIONS (api_key :'api_key', client_secret :'client_secret',
             username :'login', password :'db_password');
ALTER USER MAPPING FOR CURRENT_USER SERVER aep
    OPTIONS (SET api_key :'api_key', SET client_secret :'client_secret',
             SET username :'login', SET password :'db_password');
RESET log_statement;
RESET log_min_duration_statement;
RESET log_min_error_statement;
RESET pg_stat_statements.track_utility;

-- The base connection.  Experience Platform does not show a password, so that
-- a changed one goes unnoticed: run this with -v replace_credentials=true then.
-- One of that name that leads elsewhere may be another server's: if it is this
-- database's after a move, run this once with -v adopt=true.
\if :{?replace_credentials}
\else
    \set replace_credentials false
\endif
\if :{?adopt}
\else
    \set adopt false
\endif
SELECT id, action
FROM aep.ensure_base_connection(name => nullif(:'name', ''), username => :'login',
                                ssl_mode => nullif(:'ssl_mode', ''),
                                replace_credentials => :'replace_credentials',
                                adopt => :'adopt');
