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

-- The microseconds of each of so many calls, measured inside the backend.
CREATE FUNCTION bench_calls(server name, calls integer) RETURNS integer[]
    LANGUAGE plpgsql
    AS $$
DECLARE
    latencies integer[];
    started timestamptz;
    created uuid;
BEGIN
    FOR i IN 1 .. calls LOOP
        started := clock_timestamp();
        SELECT c.id INTO created
        FROM aep.create_base_connection(description => repeat('d', 200),
                                        server => bench_calls.server) c;
        latencies[i] := extract(epoch FROM clock_timestamp() - started) * 1000000;
    END LOOP;
    RETURN latencies;
END
$$;

-- The same without the network: what the call costs up to there, at most.
CREATE FUNCTION bench_requests(server name, calls integer) RETURNS integer[]
    LANGUAGE plpgsql
    AS $$
DECLARE
    latencies integer[];
    started timestamptz;
    request jsonb;
BEGIN
    FOR i IN 1 .. calls LOOP
        started := clock_timestamp();
        SELECT c.r INTO request
        FROM aep.base_connection_request(description => repeat('d', 200),
                                         server => bench_requests.server) c (r);
        latencies[i] := extract(epoch FROM clock_timestamp() - started) * 1000000;
    END LOOP;
    RETURN latencies;
END
$$;

-- The same with a function that does nothing: PostgreSQL's own share.
CREATE FUNCTION bench_nothing(server name, calls integer) RETURNS integer[]
    LANGUAGE plpgsql
    AS $$
DECLARE
    latencies integer[];
    started timestamptz;
    nothing timestamptz;
BEGIN
    FOR i IN 1 .. calls LOOP
        started := clock_timestamp();
        SELECT c.t INTO nothing FROM clock_timestamp() c (t);
        latencies[i] := extract(epoch FROM clock_timestamp() - started) * 1000000;
    END LOOP;
    RETURN latencies;
END
$$;

-- What this backend holds: kB of memory of its own, and descriptors.
CREATE FUNCTION bench_held(OUT anonymous_kb integer, OUT descriptors integer)
    LANGUAGE sql
    AS $$
SELECT substring(pg_read_file('/proc/self/status') FROM 'RssAnon:\s+(\d+)')::integer,
       count(*)::integer
FROM pg_ls_dir('/proc/self/fd')
$$;
