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


def calls():
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

    samples = [sum(map(len, rounds(*columns[0], what))) for what in ("aep", "requests", "curl")]
    print("## One call\n")
    print("Medians in microseconds of %d calls (requests: %d, curl: %d), in parentheses the ratio "
          "to the floor.\nOne core: client and server pinned to the same one, the figure that "
          "repeats. Two cores: the server\nhas the second one. pgsql-http and pg_curl are not "
          "packaged by the distribution, so they are left out.\n" % tuple(samples))
    table(["POST"] + ["%s, %s" % (PROTOCOLS[protocol], CORES[cores])
                      for cores, protocol in columns], [
        ["libcurl, one kept handle: the floor"] + cells(micros, "floor"),
        ["`aep.create_base_connection`"] + cells(micros, "aep"),
        ["**ratio**"] + cells(target, "aep"),
        ["ratio, lowest and highest round"] + spread(columns, "aep", "floor"),
        ["libcurl, a new handle each call"] + cells(with_ratio, "new"),
        ["Python, one requests.Session"] + cells(with_ratio, "requests"),
        ["the curl tool, a process each call"] + cells(with_ratio, "curl"),
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

    print("## The first call of a session\n")
    print("Medians in microseconds of %d sessions and processes, one core.\n" %
          len(rounds("one", "http", "first_aep")))
    table(["POST on a new connection"] + list(PROTOCOLS.values()), [
        row("libcurl, a fresh process: loading libcurl, `curl_global_init`, the call", loading),
        row("libcurl, a fresh process: `curl_global_init`, the call", fresh),
        row("libcurl, a new handle in a running process", warm),
        row("aep, a fresh session: loading the extension and libcurl, the call", session),
        row("aep, a fresh session, loaded by `session_preload_libraries`: the call", loaded),
        row("for comparison: a function that does nothing, its first call, loaded",
            column("first_nothing", 0)),
        ratio("**ratio, loading included on both sides**", session, loading, FIRST_TARGET),
        ratio("**ratio, loaded on both sides**", loaded, fresh, FIRST_TARGET),
        ratio("ratio to a new handle in a running process", loaded, warm),
    ])


def batches():
    rows = []
    for flight in ("32", "128"):
        cells = []
        for protocol in PROTOCOLS:
            took, connections = zip(*[one for one in rounds("two", protocol, "batch" + flight)])
            cells.append("%.0f (%d)" % (statistics.median(took) / 1000,
                                        statistics.median(connections)))
        rows.append(["libcurl, one multi handle, %s in flight" % flight] + cells)
    print("## Many at once\n")
    print("1,000 POSTs to a server that answers after 20 ms, two cores: milliseconds for all, in "
          "parentheses the connections.\n")
    table(["in flight"] + list(PROTOCOLS.values()), rows)


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


def main():
    facts = dict(line.split("|", 1) for line in (raw / "versions").read_text().splitlines())
    sizes = (raw / "sizes").read_text().split()

    print("# What a call costs\n")
    print("Made by `bench/run`, which says how; every ratio is taken within that one run.\n")
    for name, value in facts.items():
        print("- %s: %s" % ({"load": "load when it began"}.get(name, name), value))
    print("- bytes of one request over HTTP, head+body: %s by the floor, %s by aep\n" % tuple(sizes))
    calls()
    first_calls()
    batches()
    memory()


main()
