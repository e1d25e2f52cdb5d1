-- setup.sql: connects this database to Experience Platform.
--
-- Run it again whenever a setting changes, after a failure, or as another
-- superuser: it brings about what it describes, whatever is there already, and
-- a second run with the same settings changes nothing in Experience Platform.
-- The settings come from the environment, so that no secret is in this file, in
-- a command line or in psql's history:
--
--   set -a; . ./aep.env; set +a     # AEP_ORG_ID=..., AEP_API_KEY=..., ...
--   psql -X -f setup.sql shop
--
-- Needs psql 15 or later, and a superuser.

\set ON_ERROR_STOP on

-- These are needed.
\getenv org_id AEP_ORG_ID
\getenv advertised_host AEP_ADVERTISED_HOST
\getenv api_key AEP_API_KEY
\getenv client_secret AEP_CLIENT_SECRET
\getenv db_password AEP_DB_PASSWORD
SELECT string_agg(name, ', ') AS missing, count(*) > 0 AS is_missing
FROM (VALUES ('AEP_ORG_ID', :{?org_id}), ('AEP_ADVERTISED_HOST', :{?advertised_host}),
             ('AEP_API_KEY', :{?api_key}), ('AEP_CLIENT_SECRET', :{?client_secret}),
             ('AEP_DB_PASSWORD', :{?db_password})) AS needed (name, is_set)
WHERE NOT is_set
\gset
\if :is_missing
    \warn 'not set in the environment:' :missing
    DO $$ BEGIN RAISE EXCEPTION 'a setting is missing, nothing was done'; END $$;
\endif

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
SELECT 'ALTER EXTENSION aep UPDATE'
FROM pg_extension JOIN pg_available_extensions ON name = extname
WHERE extname = 'aep' AND extversion <> default_version
\gexec

-- The login that Experience Platform uses.  What is somebody else's is left alone.
SELECT coalesce(nullif(:'login', ''), max(option_value), 'aep_reader') AS login
FROM pg_user_mappings, pg_options_to_table(umoptions)
WHERE srvname = 'aep' AND usename = current_user AND option_name = 'username'
\gset
SELECT string_agg(reason, '; ') AS reasons, count(*) > 0 AS is_refused
FROM (SELECT 'the server "aep" is of another foreign-data wrapper' AS reason
      FROM pg_foreign_server AS s JOIN pg_foreign_data_wrapper AS w ON w.oid = srvfdw
      WHERE srvname = 'aep' AND fdwname <> 'aep'
      UNION ALL
      SELECT format('the role %I is a superuser: set AEP_DB_LOGIN', rolname)
      FROM pg_roles
      WHERE rolname = :'login' AND rolsuper
      UNION ALL
      SELECT format('the role %I is an ingest role''s: set AEP_DB_LOGIN', :'login')
      FROM aep.ingest_role_status()
      WHERE :'login' IN (role_name, active_login, idle_login)) AS refused
\gset
\if :is_refused
    \warn :reasons
    DO $$ BEGIN RAISE EXCEPTION 'cannot go on'; END $$;
\endif

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

-- It may read one schema.
SELECT format('CREATE ROLE %I LOGIN CONNECTION LIMIT 10', :'login')
WHERE to_regrole(quote_ident(:'login')) IS NULL
\gexec
SELECT format('ALTER ROLE %I VALID UNTIL ''infinity''', rolname)
FROM pg_roles
WHERE rolname = :'login' AND rolvaliduntil <= now()
\gexec
SELECT format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), :'login')
\gexec
GRANT USAGE ON SCHEMA :"schema" TO :"login";
GRANT SELECT ON ALL TABLES IN SCHEMA :"schema" TO :"login";

-- The caller's user mapping, which may have some of these options already.
CREATE USER MAPPING IF NOT EXISTS FOR CURRENT_USER SERVER aep;
SELECT CASE WHEN 'api_key' = ANY (present) THEN 'SET' ELSE 'ADD' END AS set_api_key,
       CASE WHEN 'client_secret' = ANY (present) THEN 'SET' ELSE 'ADD' END AS set_client_secret,
       CASE WHEN 'username' = ANY (present) THEN 'SET' ELSE 'ADD' END AS set_username,
       CASE WHEN 'password' = ANY (present) THEN 'SET' ELSE 'ADD' END AS set_password,
       'access_token' = ANY (present) AS has_access_token
FROM (SELECT ARRAY(SELECT option_name
                   FROM pg_user_mappings, pg_options_to_table(umoptions)
                   WHERE srvname = 'aep' AND usename = current_user) AS present) AS mapping
\gset

-- The next two statements hold secrets: keep them out of the server log.
SET log_statement = 'none';
SET log_min_duration_statement = -1;
SET log_min_duration_sample = -1;
SET log_transaction_sample_rate = 0;
SET log_min_error_statement = 'panic';
SET pg_stat_statements.track_utility = off; -- harmless without that module
ALTER ROLE :"login" LOGIN PASSWORD :'db_password';
ALTER USER MAPPING FOR CURRENT_USER SERVER aep
    OPTIONS (:set_api_key api_key :'api_key', :set_client_secret client_secret :'client_secret',
             :set_username username :'login', :set_password password :'db_password');
RESET log_statement;
RESET log_min_duration_statement;
RESET log_min_duration_sample;
RESET log_transaction_sample_rate;
RESET log_min_error_statement;
RESET pg_stat_statements.track_utility;
\if :has_access_token
    -- a ready token would be used in place of the client secret
    ALTER USER MAPPING FOR CURRENT_USER SERVER aep OPTIONS (DROP access_token);
\endif

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
