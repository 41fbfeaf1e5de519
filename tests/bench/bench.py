#!/usr/bin/python3
"""Measures lailad against its peers: see run.sh for how to call it, README.md in tests/ for how to read it.

The table COMPARISONS says what there is. Servers start when a comparison asks for them first and end with the program. What cannot be
made here (a package is missing) keeps its row, with the reason.
"""

import argparse
import contextlib
import dataclasses
import functools
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import typing

import cold
import hdf5
import hdf5_start
import hits
import load
import machine
import memory
import peers
import report

ROOT = pathlib.Path(__file__).resolve().parents[2]


@dataclasses.dataclass
class Comparison:
    name: str
    title: str
    goal: typing.Optional[float]
    run: typing.Callable
    at_least: bool = True
    unit: str = "ratio"


def hit(reference, pool="alpha"):
    return functools.partial(hits.against, reference=reference, pool=pool)


def put(reference):
    return functools.partial(hits.put, reference=reference)


def hdf5_put(writers, sqlite_writers, sqlite_batch):
    return functools.partial(hdf5.put, writers=writers, sqlite_writers=sqlite_writers, sqlite_batch=sqlite_batch)


COMPARISONS = (
    Comparison("alpha-bare", "alpha hit 1 KiB / bare libmicrohttpd", 0.85, hit("bare")),
    Comparison("alpha-nginx", "alpha hit 1 KiB / nginx static", 1.15, hit("nginx-static")),
    Comparison("alpha-proxy-cache", "alpha hit 1 KiB / nginx proxy_cache", 1.5, hit("nginx-proxy-cache")),
    Comparison("alpha-varnish", "alpha hit 1 KiB / Varnish", 1.8, hit("varnish")),
    Comparison("alpha-webdis", "alpha hit 1 KiB / webdis", 2.8, hit("webdis")),
    Comparison("hdf5-nginx", "hdf5 hit 1 KiB / nginx static", 1.05, hit("nginx-static", "hdf5")),
    Comparison("hdf5-large", "hdf5 hit 64 MiB / nginx sendfile (MiB/s)", 1.0, hits.large),
    Comparison("hdf5-put-one", "hdf5 durable put 1 KiB, one writer / SQLite", 0.5, hdf5_put(1, 1, 1)),
    Comparison("hdf5-put-64", "64 hdf5 writers / 64 SQLite connections", 3, hdf5_put(64, 64, 1)),
    Comparison("hdf5-put-batch", "64 hdf5 writers / SQLite, 64 a transaction", 0.8, hdf5_put(64, 1, 64)),
    Comparison("hdf5-peek", "hdf5 peek 1 KiB, two threads / H5Dread", 10, functools.partial(hdf5.read, how="peek")),
    Comparison("hdf5-read", "hdf5 reader 1 KiB, two threads / H5Dread", 10, functools.partial(hdf5.read, how="reader")),
    Comparison("hdf5-beside", "p99 hdf5 put / append, beside a 1 GiB upload", 3, hdf5.beside, at_least=False),
    Comparison("poll-threads", "alpha hit 1 KiB, two poll threads / one", 1.7, hits.poll_threads),
    Comparison("put-bare", "alpha PUT 1 KiB / bare libmicrohttpd", None, put("bare")),
    Comparison("put-webdis", "alpha PUT 1 KiB / webdis SET", None, put("webdis")),
    Comparison("cold-one", "cold read 1 KiB, added to nginx as store", 0.4, cold.one, at_least=False, unit="ms"),
    Comparison("cold-64-nginx", "64 cold readers / plain client, nginx", 0.4, cold.many_nginx),
    Comparison("cold-64-swift", "64 cold readers / plain client, Swift", 0.9, cold.many_swift),
    Comparison("hdf5-start-answer", "hdf5 start: listening to first answer", 100, hdf5_start.answer, at_least=False, unit="ms"),
    Comparison("hdf5-start-loaded", "hdf5 start: listening to all indexed", 3, hdf5_start.loaded, at_least=False, unit="s"),
    Comparison("hdf5-start-memory", "hdf5 index: an entry beside its id", 112, hdf5_start.memory, at_least=False, unit="bytes"),
    Comparison("memory", "resident above idle, a large entry in and out", 128, memory.stream, at_least=False, unit="MiB"),
)


# What the report says about how it was made.
OPTIONS = ("rounds", "seconds", "stream_mib", "entries", "upload_mib")


class Bench:
    """What comparisons share: the options, folders, and servers, each started once."""

    def __init__(self, args, home, scratch, ends):
        self.args, self.home, self.scratch, self.ends = args, home, scratch, ends
        self.rounds, self.seconds = args.rounds, args.seconds
        self.programs = pathlib.Path(args.programs)
        self.servers = {}
        self.start_figures = None  # hdf5_start.py makes its three at once
        self.title = ""

    def say(self, text):
        print(f"  {self.title}: {text}", flush=True)

    def make(self, name):
        if name == "lailad":
            server = peers.Lailad(self.home / name, self.args.lailad)
            self.ends.callback(server.stop)
            for pool in ("alpha", "hdf5"):
                server.put(pool, peers.KIB_BODY)
            return server
        if name == "bare":
            server = peers.Bare(self.home / name, self.args.bare, self.server("lailad"))
        elif name == "nginx-static":
            server = peers.Nginx(self.home / name, "nginx static", "nginx-static.conf", large=True)
        elif name == "nginx-proxy-cache":
            server = peers.NginxProxyCache(self.home / name)
        elif name == "varnish":
            server = peers.Varnish(self.home / name, self.server("nginx-static"))
        else:
            server = peers.Webdis(self.home / name)
        self.ends.callback(server.stop)
        return server

    def server(self, name):
        if name not in self.servers:
            self.servers[name] = self.make(name)
        return self.servers[name]

    def hammer(self, server, url, **options):
        """1 KiB, again and again."""
        return load.hammer(self.args.puller, server, url, self.seconds, **options)

    def pull(self, server, url, connections, body_bytes):
        """A large body, again and again."""
        address, _, path = url.removeprefix("http://").partition("/")
        return load.pull(self.args.puller, server, address, [f"/{path}"], self.seconds, connections, body_bytes, again=True)


def parse_arguments():
    options = argparse.ArgumentParser(description="Benchmarks lailad; tests/bench/run.sh installs and builds what it needs.")
    options.add_argument("--only", metavar="NAME,...", default="", help="these comparisons (see --list)")
    options.add_argument("--rounds", type=int, default=7, help="triples a comparison")
    options.add_argument("--seconds", type=float, default=3, help="length of one measurement; wrk knows whole seconds only")
    options.add_argument("--stream-mib", type=int, default=2048, help="size of the entry whose streaming is watched")
    options.add_argument("--entries", type=int, default=100000, help="entries in the files that the hdf5 pool itself is measured on")
    options.add_argument("--upload-mib", type=int, default=1024, help="size of the entry that streams in beside small writes")
    options.add_argument("--start-entries", type=int, default=1000000, help="entries of the hdf5 file that is opened")
    options.add_argument("--json", metavar="FILE", default=str(ROOT / "build/bench/results.json"))
    options.add_argument("--list", action="store_true", help="name the comparisons and end")
    options.add_argument("--lailad", default=str(ROOT / "build/release/server/lailad"))
    options.add_argument("--bare", default=str(ROOT / "build/bench/bare_mhd"))
    options.add_argument("--hdf5-start", default=str(ROOT / "build/bench/hdf5_start"))
    options.add_argument("--puller", default=str(ROOT / "build/bench/puller"))
    options.add_argument("--programs", default=str(ROOT / "build/release/tests/bench/hdf5"), help="where the programs of hdf5/ are")
    args = options.parse_args()
    args.only = [name for name in args.only.split(",") if name]
    unknown = set(args.only) - {comparison.name for comparison in COMPARISONS}
    if unknown:
        options.error(f"no comparison {', '.join(sorted(unknown))}; there are: {', '.join(c.name for c in COMPARISONS)}")
    return args


def run_one(bench, comparison):
    bench.title = comparison.title
    try:
        row = comparison.run(bench)
    except machine.Unavailable as why:
        bench.say(f"left out: {why}")
        return {"left_out": str(why), "value": None, "met": None}
    return {**row, "met": report.is_met(comparison, row["value"])}


def main():
    args = parse_arguments()
    if args.list:
        for comparison in COMPARISONS:
            print(f"{comparison.name:18} {comparison.title}, goal {report.goal_text(comparison)} {comparison.unit}")
        return
    if os.cpu_count() < 2:
        raise SystemExit("bench: needs two cores, one for the server and one for the client")
    if os.getloadavg()[0] > 0.5:
        print(f"bench: load average is {os.getloadavg()[0]:.1f}; figures taken beside other work are worth little", file=sys.stderr)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # what was started is ended
    about = {**machine.describe(ROOT), "versions": report.versions(args.lailad)}
    rows = []
    with contextlib.ExitStack() as ends:
        home = pathlib.Path(tempfile.mkdtemp(prefix="lailad-bench-"))
        ends.callback(shutil.rmtree, home, True)
        home.chmod(0o755)  # nginx's worker is somebody else
        # Swift needs extended attributes, which /tmp may not have.
        scratch = pathlib.Path(tempfile.mkdtemp(prefix="bench.", dir=pathlib.Path(args.json).resolve().parent))
        ends.callback(shutil.rmtree, scratch, True)
        bench = Bench(args, home, scratch, ends)
        for comparison in COMPARISONS:
            if not args.only or comparison.name in args.only:
                rows.append((comparison, run_one(bench, comparison)))
    report.print_table(rows)
    report.write_json(args.json, rows, about, {name: getattr(args, name) for name in OPTIONS})
    print(f"\n{about['cpu']}, {about['cores']} cores, {about['kernel']}, {about['system']}, {about['commit']}; everything in {args.json}")


if __name__ == "__main__":
    main()
