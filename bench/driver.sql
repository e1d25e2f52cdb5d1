-- driver.sql: what bench/run needs in its cluster.  Variables: http, https and
-- https1 (ports), ca_file.

CREATE EXTENSION aep;
CREATE ROLE acme LOGIN;

-- One server for each protocol and each behaviour of nginx.conf.
SELECT format('CREATE SERVER %I FOREIGN DATA WRAPPER aep OPTIONS (org_id %L, sandbox %L,'
              ' advertised_host %L, base_url %L, ca_file %L)',
              protocol || suffix, '5C1328435BF324E90A49402A@AdobeOrg', 'prod', 'db1.example.com',
              scheme || '://127.0.0.1:' || port || prefix, :'ca_file'),
       format('CREATE USER MAPPING FOR CURRENT_USER SERVER %I OPTIONS (api_key %L,'
              ' access_token %L, username %L, password %L)',
              protocol || suffix, 'bench-api-key', repeat('t', 1024), 'acme',
              'the database password')
FROM (VALUES ('http', 'http', :'http'), ('https', 'https', :'https'),
             ('https1', 'https', :'https1')) protocols (protocol, scheme, port),
     (VALUES ('', ''), ('_logged', '/logged'), ('_refused', '/refused'),
             ('_silent', '/silent'), ('_list', '/list'), ('_slow_list', '/slow_list'),
             ('_slow32', '/slow'), ('_slow128', '/slow'),
             ('_flight1', '/read')) behaviours (suffix, prefix)
\gexec

-- How many requests a batch has in flight, where the name says so.
SELECT format('ALTER SERVER %I OPTIONS (ADD concurrency %L)', srvname,
              substring(srvname FROM '\d+$'))
FROM pg_foreign_server
WHERE srvname ~ '_(slow|flight)\d+$'
\gexec

-- One that has nothing to do; immutable, it would be called once, by the planner.
ALTER FUNCTION aep.base_connection_spec VOLATILE;

-- Functions that return the microseconds of each of so many calls, measured
-- inside the backend.  bench_requests leaves out the network and the answer;
-- bench_nothing calls a function of the same shape that has nothing to do, so
-- it shows PostgreSQL's own share and the loop's.  The clock is read before
-- anything is computed from it: what the first call of a session is charged
-- with must not include the parsing of that.
SELECT format($create$
CREATE FUNCTION %I(server name, calls integer) RETURNS integer[]
    LANGUAGE plpgsql
    AS $function$
DECLARE
    latencies integer[];
    started timestamptz;
    ended timestamptz;
BEGIN
    FOR i IN 1 .. calls LOOP
        started := clock_timestamp();
        PERFORM * FROM %s;
        ended := clock_timestamp();
        latencies[i] := extract(epoch FROM ended - started) * 1000000;
    END LOOP;
    RETURN latencies;
END
$function$
$create$, name, called)
FROM (VALUES
    ('bench_calls',
     $$aep.create_base_connection(description => repeat('d', 260), server => server)$$),
    ('bench_requests',
     $$aep.base_connection_request(description => repeat('d', 260), server => server)$$),
    ('bench_nothing', 'aep.base_connection_spec()')) drivers (name, called)
\gexec

-- What this backend holds: kB of memory of its own, and descriptors.
CREATE FUNCTION bench_held(OUT anonymous_kb integer, OUT descriptors integer)
    LANGUAGE sql
    AS $$
SELECT substring(pg_read_file('/proc/self/status') FROM 'RssAnon:\s+(\d+)')::integer,
       count(*)::integer
FROM pg_ls_dir('/proc/self/fd')
$$;

-- So many creations as one batch, the making of its specs included: microseconds.
CREATE FUNCTION bench_batch(server name, items integer) RETURNS integer
    LANGUAGE plpgsql
    AS $$
DECLARE
    started timestamptz := clock_timestamp();
    ended timestamptz;
    created integer;
BEGIN
    SELECT count(id) INTO created
    FROM aep.create_base_connections(
        (SELECT array_agg(aep.base_connection_spec(description => repeat('d', 260)))
         FROM generate_series(1, items)), server);
    ended := clock_timestamp();
    IF created <> items THEN
        RAISE 'created % of %', created, items;
    END IF;
    RETURN extract(epoch FROM ended - started) * 1000000;
END
$$;

-- So many rows listed: microseconds.
CREATE FUNCTION bench_list(server name, wanted integer) RETURNS integer
    LANGUAGE plpgsql
    AS $$
DECLARE
    started timestamptz := clock_timestamp();
    ended timestamptz;
    listed integer;
BEGIN
    SELECT count(*) INTO listed FROM aep.connections(max_rows => wanted, server => server);
    ended := clock_timestamp();
    IF listed <> wanted THEN
        RAISE 'listed % of %', listed, wanted;
    END IF;
    RETURN extract(epoch FROM ended - started) * 1000000;
END
$$;

-- What PostgreSQL itself needs to read a page, already in memory, as jsonb so
-- many times: microseconds.  The blanks make them different texts.
CREATE FUNCTION bench_jsonb(file text, pages integer) RETURNS integer
    LANGUAGE plpgsql
    AS $$
DECLARE
    page text := pg_read_file(file);
    started timestamptz := clock_timestamp();
    ended timestamptz;
BEGIN
    PERFORM sum(jsonb_array_length((page || repeat(' ', i))::jsonb -> 'items'))
    FROM generate_series(1, pages) i;
    ended := clock_timestamp();
    RETURN extract(epoch FROM ended - started) * 1000000;
END
$$;

-- The memory of this backend, kB: now, and the most since the mark was taken.
CREATE FUNCTION bench_peak(OUT resident integer, OUT peak integer)
    LANGUAGE sql
    AS $$
SELECT substring(status FROM 'VmRSS:\s+(\d+)')::integer,
       substring(status FROM 'VmHWM:\s+(\d+)')::integer
FROM pg_read_file('/proc/self/status') status
$$;
