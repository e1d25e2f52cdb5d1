-- The tables that a login should be able to read: those in the schemas and those named, as one
-- array.  The checks of them have it as their parameter "relations".
--
-- What was granted is compared as names: how they were quoted when the role was made depends on
-- settings and version of then.

SELECT ARRAY(
    SELECT c.oid
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
        AND (n.nspname = ANY (:'schemas'::name[])
            OR ARRAY[n.nspname::text, c.relname::text] IN
                (SELECT parse_ident(name) FROM unnest(:'tables'::text[]) AS name))) AS relations;
