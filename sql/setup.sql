-- The extension installs, and every object says what it is.
CREATE EXTENSION aep;

SELECT extversion = extension AS same_version, extversion = library AS same_library, remedy,
       libcurl <> '' AS libcurl, tls <> '' AS tls, cjson <> '' AS cjson, postgresql <> '' AS postgresql
FROM pg_extension, aep.version()
WHERE extname = 'aep';

-- A function without a COMMENT, or open to PUBLIC, is a mistake.
SELECT p.oid::regprocedure
FROM pg_proc p
WHERE p.pronamespace = 'aep'::regnamespace
  AND (obj_description(p.oid, 'pg_proc') IS NULL
       OR p.proacl IS NULL
       OR has_function_privilege('public', p.oid, 'EXECUTE'));
SELECT has_schema_privilege('public', 'aep', 'USAGE') AS public_uses_schema;

-- Labels: what reaches the network is volatile and stays in the leader.
SELECT proname, provolatile, proparallel, proisstrict, proretset
FROM pg_proc
WHERE pronamespace = 'aep'::regnamespace
ORDER BY proname;

-- A schema of that name that is somebody's already is not adopted.
DROP EXTENSION aep;
CREATE SCHEMA aep;
\set SHOW_CONTEXT never
CREATE EXTENSION aep;
\set SHOW_CONTEXT errors
DROP SCHEMA aep;
CREATE EXTENSION aep;

-- It cannot be moved, since its functions find each other by name.
ALTER EXTENSION aep SET SCHEMA public;
