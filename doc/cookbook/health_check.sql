-- health_check.sql: has Experience Platform test every enabled connection to
-- this database.  Says nothing and exits with 0 if all work; else names those
-- that do not and exits with 3.  For cron:
--
--   */30 * * * *  postgres  psql -X -q -v ON_ERROR_STOP=1 -f health_check.sql shop
--
-- Whose connection it is says its address: that of aep.endpoint().  So set
-- advertised_host and advertised_port.  A connection that was made with
-- auth_type connection_string shows none, and is not tested unless
-- aep.create_ingest_role() made it here.
--
-- "failed" means that Experience Platform tried and could not connect: see
-- pg_hba.conf, the firewall, the password.  "not tested" means that it could
-- not be asked.  It changes nothing, so it runs on a standby as well.

\set ON_ERROR_STOP on

DO $$
DECLARE
    here record;
    connection record;
    test record;
    total integer := 0;
    bad integer := 0;
    messages text := current_setting('client_min_messages');
BEGIN
    SET LOCAL client_min_messages = error; -- what it warns of, a test would find
    SELECT * INTO STRICT here FROM aep.endpoint();
    PERFORM set_config('client_min_messages', messages, true);
    FOR connection IN
        SELECT id, name
        FROM aep.connections(state => 'enabled')
        WHERE (lower(entity #>> '{auth,params,server}') = lower(here.host)
               AND entity #>> '{auth,params,port}' = here.port::text
               AND entity #>> '{auth,params,database}' = here.database)
           OR id IN (SELECT connection_id FROM aep.ingest_role_status())
    LOOP
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
    IF total = 0 THEN
        RAISE EXCEPTION 'Experience Platform has no enabled connection to database "%" at %:%',
            here.database, here.host, here.port;
    END IF;
    IF bad > 0 THEN
        RAISE EXCEPTION '% of % connections do not work', bad, total;
    END IF;
END $$;
