-- health_check.sql: has Experience Platform test this database's connections,
-- many at once (see aep.test_connections).  Says nothing and exits with 0 if all
-- work; else names those that do not and exits with 3.  For cron:
--
--   */30 * * * *  postgres  psql -X -q -v ON_ERROR_STOP=1 -f health_check.sql shop
--
-- Whose connection it is says its address: that of aep.endpoint().  So set
-- advertised_host and advertised_port.  A connection that shows none, as one made
-- with auth_type connection_string, is tested too.
--
-- "failed" means that Experience Platform tried and could not connect: see
-- pg_hba.conf, the firewall, the password.  "not tested" means that it could
-- not be asked.  It changes nothing, so it runs on a standby as well.

\set ON_ERROR_STOP on

DO $$
DECLARE
    test record;
    total integer := 0;
    bad integer := 0;
BEGIN
    FOR test IN SELECT * FROM aep.test_connections() ORDER BY name, id LOOP
        total := total + 1;
        CONTINUE WHEN test.result;
        bad := bad + 1;
        IF test.result IS NULL THEN
            RAISE WARNING 'not tested: "%" (%): %', test.name, test.id, test.message;
        ELSE
            RAISE WARNING 'failed: "%" (%): %', test.name, test.id,
                coalesce(test.message, 'no reason given');
        END IF;
    END LOOP;
    IF total = 0 THEN
        RAISE EXCEPTION 'Experience Platform has no enabled connection to database "%"',
            current_database();
    END IF;
    IF bad > 0 THEN
        RAISE EXCEPTION '% of % connections do not work', bad, total;
    END IF;
END $$;
