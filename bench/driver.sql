-- driver.sql: what bench/run needs in its cluster.  Variables: http, https and
-- https1 (ports), ca_file.

CREATE EXTENSION aep;

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
             ('_silent', '/silent')) behaviours (suffix, prefix)
\gexec

-- Functions that return the microseconds of each of so many calls, measured
-- inside the backend.  bench_requests leaves out the network and the answer;
-- bench_nothing calls a function of the same shape that has nothing to do, so
-- it shows PostgreSQL's own share and the loop's.
SELECT format($create$
CREATE FUNCTION %I(server name, calls integer) RETURNS integer[]
    LANGUAGE plpgsql
    AS $function$
DECLARE
    latencies integer[];
    started timestamptz;
BEGIN
    FOR i IN 1 .. calls LOOP
        started := clock_timestamp();
        PERFORM * FROM %s;
        latencies[i] := extract(epoch FROM clock_timestamp() - started) * 1000000;
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
    ('bench_nothing', 'aep.version()')) drivers (name, called)
\gexec

-- What this backend holds: kB of memory of its own, and descriptors.
CREATE FUNCTION bench_held(OUT anonymous_kb integer, OUT descriptors integer)
    LANGUAGE sql
    AS $$
SELECT substring(pg_read_file('/proc/self/status') FROM 'RssAnon:\s+(\d+)')::integer,
       count(*)::integer
FROM pg_ls_dir('/proc/self/fd')
$$;
