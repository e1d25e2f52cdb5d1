-- All that the catalogs say of the extension's objects, a line for each.
WITH members AS (
    SELECT classid, objid, objsubid FROM pg_depend
    WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
      AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'aep')),
functions AS (SELECT p.* FROM pg_proc p JOIN members ON classid = 'pg_proc'::regclass AND objid = p.oid),
types AS (SELECT t.* FROM pg_type t JOIN members ON classid = 'pg_type'::regclass AND objid = t.oid),
relations AS (SELECT c.* FROM pg_class c JOIN members ON classid = 'pg_class'::regclass AND objid = c.oid),
lines(line) AS (
    SELECT format('%s: extension %s %s %s', extversion, extnamespace::regnamespace, extrelocatable,
        ARRAY(SELECT unnest(extconfig)::regclass || ' ' || unnest(extcondition)))
    FROM pg_extension WHERE extname = 'aep'
    UNION ALL
    SELECT format('%s: member; comment %L; initial privileges %s',
        pg_describe_object(classid, objid, objsubid),
        obj_description(objid, classid::regclass::name),
        (SELECT ARRAY(SELECT acl::text FROM unnest(initprivs) AS acl ORDER BY 1) FROM pg_init_privs i
         WHERE i.objoid = objid AND i.classoid = members.classid AND i.objsubid = 0))
    FROM members
    UNION ALL
    SELECT format('%s: returns %s, arguments (%s), kind %s, %s, %s', oid::regprocedure, pg_get_function_result(oid),
        pg_get_function_arguments(oid), prokind, prosrc, probin)
        || format(', volatile %s, parallel %s, strict %s, definer %s, leakproof %s, set %s, support %s, cost %s, rows %s',
        provolatile, proparallel, proisstrict, prosecdef, proleakproof, ARRAY(SELECT unnest(proconfig)), prosupport,
        procost, prorows)
    FROM functions
    UNION ALL
    SELECT format('%s: privileges %s, owner %s', name,
        ARRAY(SELECT acl::text FROM unnest(coalesce(acl, acldefault(kind, owner))) AS acl ORDER BY 1), owner::regrole)
    FROM (SELECT 'f'::"char", oid::regprocedure::text, proacl, proowner FROM functions
        UNION ALL SELECT 'T', oid::regtype::text, typacl, typowner FROM types
        UNION ALL SELECT 'r', oid::regclass::text, relacl, relowner FROM relations
        UNION ALL SELECT 'n', nspname, nspacl, nspowner FROM pg_namespace WHERE nspname = 'aep'
        UNION ALL SELECT 'F', fdwname, fdwacl, fdwowner FROM pg_foreign_data_wrapper WHERE fdwname = 'aep')
        AS owned(kind, name, acl, owner)
    UNION ALL
    SELECT format('%s: type %s, labels %s', oid::regtype, typtype,
        ARRAY(SELECT enumlabel FROM pg_enum WHERE enumtypid = types.oid ORDER BY enumsortorder)) FROM types
    UNION ALL
    SELECT format('%s.%s: column %s, %s, not null %s, default %s', attrelid::regclass, attname, attnum,
        format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid))
    FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE attnum > 0 AND NOT attisdropped
      AND (attrelid IN (SELECT oid FROM relations) OR attrelid IN (SELECT typrelid FROM types WHERE typrelid <> 0))
    UNION ALL
    SELECT format('%s: %s', conrelid::regclass, pg_get_constraintdef(c.oid)) FROM pg_constraint c
    WHERE conrelid IN (SELECT oid FROM relations)
    UNION ALL
    SELECT format('%s: %s', fdwname, fdwvalidator::regproc || ' ' || fdwhandler::regproc)
    FROM pg_foreign_data_wrapper WHERE fdwname = 'aep')
SELECT line FROM lines ORDER BY line COLLATE "C"
