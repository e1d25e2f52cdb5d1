-- The role may not execute some of the functions and procedures.  Those may be closed to it on
-- purpose.

SELECT format('role %I may not execute %s of the %s routines of the extension: %s', :'role',
        count(*) FILTER (WHERE closed), count(*),
        string_agg(DISTINCT name, ', ' ORDER BY name) FILTER (WHERE closed)) AS finding,
    CASE WHEN count(*) FILTER (WHERE closed) > 3
        THEN format('GRANT EXECUTE ON ALL ROUTINES IN SCHEMA aep TO %I', :'role')
        ELSE format('GRANT EXECUTE ON ROUTINE %s TO %I',
            string_agg(signature, ', ' ORDER BY signature) FILTER (WHERE closed), :'role')
    END AS remedy
FROM (
    SELECT p.proname::text AS name, p.oid::regprocedure::text AS signature,
        NOT has_function_privilege(r.oid, p.oid, 'EXECUTE') AS closed
    FROM pg_roles r, pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE r.rolname = :'role' AND n.nspname = 'aep' AND p.proname <> 'validator') routine
HAVING bool_or(closed);
