-- The row belongs to another database, or another cluster: this one is a copy, or came out of a
-- restore or pg_upgrade.  Whether it may rotate the credentials of the original's connection is for
-- somebody to say.
--
-- needs: pg_catalog.pg_control_system()

SELECT CASE
        WHEN :'bound_system' IN ('', '0')
        THEN format('ingest role %I is bound to no installation', :'role')
        ELSE format('ingest role %I belongs to database %s of cluster %s, and this is database %s of cluster %s',
            :'role', :'bound_database', :'bound_system', d.oid, c.system_identifier)
    END AS finding,
    format('CALL aep.adopt_ingest_role(%1$L) to take over, or CALL aep.forget_ingest_role(%1$L)',
        :'role') AS remedy
FROM pg_control_system() AS c, pg_database AS d
WHERE d.datname = current_database()
    AND (:'bound_system' <> c.system_identifier::text OR :'bound_database' <> d.oid::text);
