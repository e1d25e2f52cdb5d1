-- health_check.sql: has Experience Platform test every enabled connection to a
-- PostgreSQL database in the sandbox.  Says nothing and exits with 0 if all
-- work; else names those that do not and exits with 3.  For cron:
--
--   */30 * * * *  postgres  psql -X -q -v ON_ERROR_STOP=1 -f health_check.sql shop
--
-- "failed" means that Experience Platform tried and could not connect: see
-- pg_hba.conf, the firewall, the password.  "not tested" means that it could
-- not be asked.  It changes nothing, so it runs on a standby as well.

\set ON_ERROR_STOP on

DO $$
DECLARE
    connection record;
    test record;
    total integer := 0;
    bad integer := 0;
BEGIN
    FOR connection IN SELECT id, name FROM aep.connections(state => 'enabled') LOOP
        total := total + 1;
        BEGIN
            SELECT * INTO STRICT test FROM aep.test_connection(connection.id);
            IF NOT test.result THEN
                bad := bad + 1;
                RAISE WARNING 'failed: "%" (%): %', connection.name, connection.id,
                    coalesce(test.message, 'no reason given');
            END IF;
        EXCEPTION
            WHEN OTHERS THEN -- a cancel is not among them
                bad := bad + 1;
                RAISE WARNING 'not tested: "%" (%): %', connection.name, connection.id, SQLERRM;
        END;
    END LOOP;
    IF bad > 0 THEN
        RAISE EXCEPTION '% of % connections do not work', bad, total;
    END IF;
END $$;
