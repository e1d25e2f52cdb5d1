"""Makes the tables of bench/RESULTS.md from the figures that bench/run kept.

    report.py FOLDER

A file CORES.PROTOCOL.WHAT.ROUND holds microseconds, one call a line.
"""

import pathlib
import statistics
import sys

PROTOCOLS = {"http": "HTTP", "https": "HTTPS", "https1": "HTTPS, HTTP/1.1"}
CORES = {"one": "one core", "two": "two cores"}
TARGETS = {("one", "http"): 1.25, ("one", "https"): 1.15, ("one", "https1"): 1.15}
TWO_CORES_TARGET = 0.90
FIRST_TARGET = 1.10
GROWTH_TARGET_KB = 256
BATCH_TARGET = 1.05
LIST_TARGET = 1.5
LIST_GROWTH_TARGET_KB = 10 * 1024
WORK_MEM_KB = 4 * 1024  # the default, which the cluster of the run has
PAGE_SIZE = 100

raw = pathlib.Path(sys.argv[1])


def rounds(cores, protocol, what, line=0):
    """All figures, a list a round; of a first call, one line of the file."""
    files = raw.glob("%s.%s.%s.*" % (cores, protocol, what))
    return [[int(text) for text in file.read_text().split()] for file in sorted(files)]


def median(samples):
    """The clock has whole microseconds, so the median is taken between them."""
    return statistics.median_grouped(samples)


def median_of(cores, protocol, what):
    return median([sample for one in rounds(cores, protocol, what) for sample in one])


def table(head, rows):
    print("| " + " | ".join(head) + " |")
    print("|" + " --- |" * len(head))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print()


def verdict(value, target):
    return "%.2f (%s %.2f)" % (value, "within" if value <= target else "MISSED", target)


def spread(columns, what, base):
    cells = []
    for cores, protocol in columns:
        pairs = zip(rounds(cores, protocol, what), rounds(cores, protocol, base))
        ratios = [median(mine) / median(floor) for mine, floor in pairs]
        cells.append("%.2f to %.2f" % (min(ratios), max(ratios)))
    return cells


def calls(spoken):
    columns = [(cores, protocol) for cores in CORES for protocol in PROTOCOLS]

    def cells(form, value):
        return [form(column, value) for column in columns]

    def micros(column, what):
        return "%.1f" % median_of(*column, what)

    def with_ratio(column, what):
        value = median_of(*column, what)
        return "%.0f (%.2f)" % (value, value / median_of(*column, "floor"))

    def target(column, what):
        return verdict(median_of(*column, what) / median_of(*column, "floor"),
                       TARGETS.get(column, TWO_CORES_TARGET))

    samples = [sum(map(len, rounds(*columns[0], what)))
               for what in ("aep", "new", "requests", "curl")]
    print("## One call\n")
    print("""\
Medians in microseconds of %d calls by the floor and by aep, %d by the others (requests: %d, curl:
%d), in parentheses the ratio to the floor. One core: client and server pinned to the same one, the
figure that repeats. Two cores: the server has the second one. pgsql-http and pg_curl are not packaged
by the distribution, so they are left out.

The floor speaks what libcurl speaks by default: HTTP/2 where the server offers it over TLS. A single
call of aep speaks HTTP/1.1 there too, since that costs less for one request at a time: compare the
floor's HTTPS columns. So the columns "HTTPS" compare what each does by default at a server that offers
both. For the same protocol on both sides see "HTTP", and "HTTPS, HTTP/1.1", whose server offers nothing
else.
""" % tuple(samples))
    table(["POST"] + ["%s, %s" % (PROTOCOLS[protocol], CORES[cores])
                      for cores, protocol in columns], [
        ["spoken by the floor and by aep"]
        + [", ".join(spoken[protocol][:2]) for _, protocol in columns],
        ["libcurl, one kept handle: the floor"] + cells(micros, "floor"),
        ["`aep.create_base_connection`"] + cells(micros, "aep"),
        ["**ratio**"] + cells(target, "aep"),
        ["ratio, lowest and highest round"] + spread(columns, "aep", "floor"),
        ["libcurl, a new handle each call"] + cells(with_ratio, "new"),
        ["Python, one requests.Session"] + cells(with_ratio, "requests"),
        ["the curl tool, a process each call"] + cells(with_ratio, "curl"),
        ["for comparison: aep without its line in the server log"] + cells(micros, "silent"),
        ["for comparison: `aep.base_connection_request`, no network"] + cells(micros, "request"),
        ["for comparison: a function of the same shape that does nothing"] + cells(micros, "nothing"),
    ])


def first_calls():
    def column(what, line):
        return [median([one[line] for one in rounds("one", protocol, what)])
                for protocol in PROTOCOLS]

    def row(name, values):
        return [name] + ["%.0f" % value for value in values]

    def ratio(name, mine, floor, target=None):
        values = [a / b for a, b in zip(mine, floor)]
        return [name] + [verdict(v, target) if target else "%.2f" % v for v in values]

    loading = column("first_floor", 1)
    fresh = column("first_floor", 0)
    warm = column("first_new", 2)
    session = column("first_aep", 0)
    loaded = column("first_aep_loaded", 0)
    nothing = column("first_nothing", 0)

    print("## The first call of a session\n")
    print("Medians in microseconds of %d sessions and processes, one core.\n" %
          len(rounds("one", "http", "first_aep")))
    table(["POST on a new connection"] + list(PROTOCOLS.values()), [
        row("libcurl, a fresh process that has PostgreSQL's libraries: loading libcurl, "
            "`curl_global_init`, the call", loading),
        row("libcurl, a fresh process: `curl_global_init`, the call", fresh),
        row("libcurl, a new handle in a running process", warm),
        row("aep, a fresh session: loading the extension and libcurl, the call", session),
        row("aep, a fresh session, loaded by `session_preload_libraries`: the call", loaded),
        row("for comparison: a function that does nothing, its first call, loaded", nothing),
        ratio("**ratio, loading included on both sides**", session, loading, FIRST_TARGET),
        ratio("**ratio, loaded on both sides; the floor's call has `curl_global_init`, "
              "which aep's had at load**", loaded, fresh, FIRST_TARGET),
        ratio("ratio, less the function that does nothing",
              [a - b for a, b in zip(loaded, nothing)], fresh),
        ratio("ratio to a new handle in a running process", loaded, warm),
    ])


def counts():
    """Requests of a batch; pages of a list, and cast to jsonb."""
    return map(int, (raw / "counts").read_text().split())


def pairs(protocol, what, field):
    """One figure of each round of the two-core runs."""
    return [one[field] for one in rounds("two", protocol, what)]


def ratio_rows(base, mine, target=None):
    """Of the medians of all rounds, and what single rounds had."""
    ratios, spreads = [], []
    for protocol in PROTOCOLS:
        floor, ours = pairs(protocol, base, 0), pairs(protocol, mine, 0)
        value = statistics.median(ours) / statistics.median(floor)
        ratios.append(verdict(value, target) if target else "%.2f" % value)
        each = [a / b for a, b in zip(ours, floor)]
        spreads.append("%.2f to %.2f" % (min(each), max(each)))
    return [["**ratio**"] + ratios, ["ratio, lowest and highest round"] + spreads]


def peak_growth(file):
    """kB at the peak, over what there was before."""
    (before, _), (_, peak) = [tuple(map(int, line.split()))
                              for line in file.read_text().split("\n") if line]
    return peak - before


def batches(spoken):
    size = format(list(counts())[0], ",")

    def took(name, what):
        return [name] + ["%.0f (%d)" % (statistics.median(pairs(protocol, what, 0)) / 1000,
                                        statistics.median(pairs(protocol, what, 1)))
                         for protocol in PROTOCOLS]

    print("## Many at once\n")
    print("""\
%s creations at a server that answers after 20 ms, two cores: milliseconds for all, in parentheses
the connections that it took. The floor is one multi handle that starts a request as soon as one ends;
over HTTP/2 a request waits for a connection that is being opened (CURLOPT_PIPEWAIT), and a connection
may have as many streams as there are requests in flight (libcurl's own limit is 100). aep does it in
one SELECT, the making of its specs included. Over "HTTPS" both speak HTTP/2 here.
""" % size)
    rows = []
    for flight in ("32", "128"):
        rows.append(took("libcurl, one multi handle, %s in flight" % flight, "batch" + flight))
        rows.append(took("`aep.create_base_connections`, %s in flight" % flight,
                         "aep_batch" + flight))
        rows += ratio_rows("batch" + flight, "aep_batch" + flight, BATCH_TARGET)
        rows.append(["aep, %s in flight, right after a single call of that session" % flight]
                    + ["%.0f" % (pairs(protocol, "aep_after" + flight, 0)[0] / 1000)
                       for protocol in PROTOCOLS])
    table(["spoken by the floor and by aep"]
          + ["%s: %s" % (PROTOCOLS[protocol], ", ".join(spoken[protocol][2:]))
             for protocol in PROTOCOLS], rows)

    most = {(protocol, flight): peak_growth(raw / ("peak.%s.%s" % (protocol, flight)))
            for protocol in PROTOCOLS for flight in ("1", "128")}
    print("Memory at the peak of such a batch, kB over what the idle backend had.\n")
    table(["kB"] + list(PROTOCOLS.values()), [
        ["%s creations, 1 in flight" % size] + [str(most[p, "1"]) for p in PROTOCOLS],
        ["%s creations, 128 in flight" % size] + [str(most[p, "128"]) for p in PROTOCOLS],
        ["**for each request in flight**: of the 128"]
        + ["%.1f" % (most[p, "128"] / 128) for p in PROTOCOLS],
        ["for each request in flight that is added to one"]
        + ["%.1f" % ((most[p, "128"] - most[p, "1"]) / 127) for p in PROTOCOLS],
        ["libcurl, one multi handle, half way through, for each of 128 requests in flight"]
        + ["%.1f" % (statistics.median(pairs(p, "batch128", 2)) / 128) for p in PROTOCOLS],
    ])


def lists():
    total = int((raw / "pages").read_text())
    _, pages, jsonb_pages = counts()
    jsonb = int((raw / "two.jsonb").read_text())

    def speed(name, what):
        return [name] + [format(round(pages * PAGE_SIZE * 1000000 /
                                      statistics.median(pairs(protocol, what, 0))), ",")
                         for protocol in PROTOCOLS]

    def latency(name, what):
        return [name] + ["%.2f" % (statistics.median(pairs(protocol, what, 0)) / pages / 1000)
                         for protocol in PROTOCOLS]

    print("## A long list\n")
    print("""\
%s rows in pages of %d, %.0f bytes of JSON a row, two cores: `SELECT count(*) FROM aep.connections()`
against a libcurl program that fetches the same pages on one kept handle and looks for nothing but the
next page's token where it is known to stand; it speaks HTTP/2 over "HTTPS", aep HTTP/1.1. The service
is that of the batches, which takes 20 ms for an answer.
""" % (format(pages * PAGE_SIZE, ","), PAGE_SIZE, total / pages / PAGE_SIZE))
    table(["answers after 20 ms"] + list(PROTOCOLS.values()), [
        speed("libcurl, one kept handle: rows/s", "slow_list"),
        speed("`aep.connections`: rows/s", "aep_slow_list"),
        *ratio_rows("slow_list", "aep_slow_list", LIST_TARGET),
        latency("libcurl: ms a page", "slow_list"),
        latency("`aep.connections`: ms a page", "aep_slow_list"),
    ])
    print("The same from files that are served at once. The bare fetch reads no JSON, and no reader of "
          "it is\nas fast as the loopback: the last row is what PostgreSQL's own takes.\n")
    table(["answers at once"] + list(PROTOCOLS.values()), [
        speed("libcurl, one kept handle: rows/s", "list"),
        speed("`aep.connections`: rows/s", "aep_list"),
        *ratio_rows("list", "aep_list"),
        latency("libcurl: ms a page", "list"),
        latency("`aep.connections`: ms a page", "aep_list"),
        ["for comparison: PostgreSQL casts a page in memory to `jsonb`, ms"]
        + ["%.2f" % (jsonb / jsonb_pages / 1000)] * len(PROTOCOLS),
    ])

    print("Memory at the peak of a listing, kB over what the idle backend had. Allowed: 10 MB "
          "and `work_mem`\n(%d kB), beyond which the rows go to a file.\n" % WORK_MEM_KB)
    some = [peak_growth(raw / ("list_peak.%s.some" % protocol)) for protocol in PROTOCOLS]
    all_ = [peak_growth(raw / ("list_peak.%s.all" % protocol)) for protocol in PROTOCOLS]
    table(["kB"] + list(PROTOCOLS.values()), [
        ["%s rows" % format(pages // 10 * PAGE_SIZE, ",")] + [str(kb) for kb in some],
        ["%s rows" % format(pages * PAGE_SIZE, ",")]
        + ["%d (%s)" % (kb, "within" if kb <= LIST_GROWTH_TARGET_KB + WORK_MEM_KB else "MISSED")
           for kb in all_],
    ])


def memory():
    rows = []
    for file in sorted(raw.glob("held.*")):
        _, what, server = file.name.split(".")
        *probes, (first, total, errors) = [line.split("|") for line in file.read_text().split()]
        (kb, fds), (kb_after, fds_after) = [tuple(map(int, probe)) for probe in probes[-2:]]
        good = kb_after - kb <= GROWTH_TARGET_KB and fds_after <= fds
        rows.append([what, PROTOCOLS[server.split("_")[0]], "%s and %s" % (first, total), errors,
                     "%d, %d" % (kb, kb_after), "%+d" % (kb_after - kb),
                     "%d, %d" % (fds, fds_after), "within" if good else "MISSED"])
    print("## Memory\n")
    print("What one backend holds after some calls and after all, a statement and a transaction "
          "each.\nAllowed growth: %d kB, no descriptor.\n" % GROWTH_TARGET_KB)
    table(["calls that are", "over", "after", "errors seen", "RssAnon, kB", "growth, kB",
           "descriptors", ""], rows)


def left(spoken):
    same = [protocol for protocol in PROTOCOLS if spoken[protocol][0] == spoken[protocol][1]]
    columns = []
    for protocol in same:
        floor, whole, silent, request, nothing = [
            median_of("one", protocol, what)
            for what in ("floor", "aep", "silent", "request", "nothing")]
        columns.append((floor, nothing, request - nothing, whole - silent,
                        silent - floor - request, whole))

    print("## What is left and why\n")
    print("""\
Where the time of `aep.create_base_connection` goes, one core, microseconds, taken from the rows above:
only where both sides speak the same protocol.
""")
    names = ["libcurl, the kernel and TLS, the server: the floor",
             "PL/pgSQL, the executor, the measuring: a function that does nothing",
             "arguments, options and the request's JSON: `aep.base_connection_request` less that",
             "the line in the server log: aep less aep without it",
             "the rest: what follows, less what libcurl's own loop costs more than ours",
             "`aep.create_base_connection`"]
    table(["of one call"] + [PROTOCOLS[protocol] for protocol in same],
          [[name] + ["%.1f" % value for value in values]
           for name, values in zip(names, zip(*columns))])
    print("""\
What was found with strace and callgrind, and why it stays:

- System calls. A call on a kept connection over HTTP looks whether the connection is alive and silent
  (poll, once by aep, since libcurl before 8.0 would take one on which something came unasked, and once
  by libcurl), sends, looks for an answer (poll), waits (epoll_wait, unless the answer is there),
  receives, and writes the line in the server log. libcurl's own loop, which the floor runs, does the
  same without aep's look and that line, and polls twice more: its wake-up descriptor before all, and
  the connection again after the wait. So nothing is left to gain there but the line.
- The line in the server log stays. It holds the id of what was created, and is there even if the
  backend dies before it can tell its client: nothing created is forgotten.
- The rest is work that a bare program leaves out. The URL and the headers are put together for each
  call; the answer is checked (UTF-8, NUL characters, members that come twice) and read by cJSON; the
  creation is noted in the list that a rollback reports; memory contexts own all of it, so that an
  error or a cancel at any point leaves nothing behind; what held a secret is wiped; the row is formed.
- A batch pays the same for each item, but while other requests are under way, and prepares the next
  items while it has to wait: the time for all depends on it only where the processor, not the service,
  is what is waited for.
- A listing is bound by reading JSON. Most of its time is PostgreSQL's own parser, which makes the
  `jsonb` that the function returns; then come the rows, which a function in FROM puts aside first,
  in a file beyond `work_mem`. A fetch that reads nothing shows what the network costs, not what rows
  could cost; beside a service that takes its time for an answer, the difference is small.
- The first call of a session includes what PostgreSQL does for the first call of any function, which
  a fresh libcurl program has no part in: see the row of the function that does nothing. What libcurl
  and its TLS library do once for each process is part of loading the extension, so
  `session_preload_libraries` takes that off the first call too.
""")


def main():
    facts = dict(line.split("|", 1) for line in (raw / "versions").read_text().splitlines())
    logged = [line.split() for line in (raw / "sizes").read_text().splitlines()]
    sizes = [size for size, _ in logged]
    spoken = {protocol: [name for _, name in logged[4 * i:4 * i + 4]]
              for i, protocol in enumerate(PROTOCOLS)}

    print("# What a call costs\n")
    print("Made by `bench/run`, which says how; every ratio is taken within that one run.\n")
    for name, value in facts.items():
        print("- %s: %s" % ({"load": "load when it began"}.get(name, name), value))
    print("- bytes of one request over HTTP, head+body: %s by the floor, %s by aep\n"
          % tuple(sizes[:2]))
    calls(spoken)
    first_calls()
    batches(spoken)
    lists()
    memory()
    left(spoken)


main()
