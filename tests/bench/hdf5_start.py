"""Opening a large hdf5 file: how soon an entry is served, when all are indexed, what each costs in memory.

hdf5_start.c makes two files that a pool would have made, one ten times as large as the other. The daemon opens the large one anew for each id
that is asked for, at the beginning, in the middle and at the end; the clock starts when it listens. Memory is the difference between the two
files' daemons, loaded, over the difference in entries: what both have (the library, buffers) is in neither.

Both files were just written: a cold disk is not measured.
"""

import functools
import http.client
import json
import os
import shutil
import statistics
import subprocess
import time

import machine

ID_BYTES = 36
CONFIG = 'access_log = false\npoll_threads = 1\nchain = "hdf5"\n\n[pools.hdf5]\nkind = "hdf5"\n'
LOOK_SECONDS = 0.002


def entry_of(number):
    return f"00000000-0000-4000-8000-{number:012x}", f"{number:012d}".ljust(1024, ".").encode("ascii")


class Opened:
    """A daemon that has just begun to listen, with the file as its only pool."""

    def __init__(self, bench, file):
        self.home = bench.scratch / "start"
        shutil.rmtree(self.home, ignore_errors=True)
        (self.home / "data").mkdir(parents=True)
        os.link(file, self.home / "data" / "hdf5.h5")
        config = self.home / "lailad.toml"
        config.write_text(CONFIG, encoding="utf-8")
        command = [bench.args.lailad, "--config", config, "--listen", "127.0.0.1:0", "--data-dir", self.home / "data"]
        listen = self.home / "data" / "listen"
        self.part = machine.Process(command, self.home / "log", cores=machine.SERVER_CORE)
        bench.ends.callback(self.part.stop)
        self.part.await_ready(lambda: listen.exists() and listen.read_text(encoding="ascii").strip(), look_seconds=LOOK_SECONDS)
        self.since = time.monotonic()
        self.address = listen.read_text(encoding="ascii").strip()

    def get(self, target):
        connection = http.client.HTTPConnection(self.address, timeout=60)
        try:
            connection.request("GET", target)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def seconds(self):
        return time.monotonic() - self.since

    def first_answer(self, number):
        """Seconds from listening to the entry's last byte."""
        name, body = entry_of(number)
        status, got = self.get(f"/pools/hdf5/entries/{name}")
        taken = self.seconds()
        if status != 200 or got != body:
            raise SystemExit(f"bench: entry {number} came back wrong: {status} {got[:100]!r}")
        return taken

    def await_loaded(self, most_seconds=600):
        while self.seconds() < most_seconds:
            pool = json.loads(self.get("/pools/hdf5")[1])
            if pool["state"]["status"] == "ok":
                return self.seconds()
            time.sleep(10 * LOOK_SECONDS)
        raise SystemExit(f"bench: the index is not loaded after {most_seconds} s: {pool['state']}")


def make(bench, count):
    file = bench.scratch / f"start-{count}.h5"
    bench.say(f"making a file of {count} entries")
    subprocess.run([bench.args.hdf5_start, file, str(count)], check=True)
    return file


def resident(bench, file, count):
    """Loaded, and every kind of buffer used once: bytes, seconds from listening to loaded."""
    daemon = Opened(bench, file)
    loaded = daemon.await_loaded()
    daemon.first_answer(count // 2)
    bytes_now = daemon.part.resident_bytes("VmRSS")
    daemon.part.stop()
    return bytes_now, loaded


def look(bench):
    """All three figures; made once."""
    many, few = bench.args.start_entries, bench.args.start_entries // 10
    large, small = make(bench, many), make(bench, few)
    answers = {number: [] for number in (0, many // 2, many - 1)}
    loads, costs = [], []
    for _ in range(bench.rounds):
        for number, seconds in answers.items():
            daemon = Opened(bench, large)
            seconds.append(daemon.first_answer(number))
            daemon.part.stop()
        many_bytes, loaded = resident(bench, large, many)
        few_bytes, _ = resident(bench, small, few)
        loads.append(loaded)
        costs.append((many_bytes - few_bytes) / (many - few) - ID_BYTES)
        bench.say(f"first answers {[round(seconds[-1] * 1e3, 1) for seconds in answers.values()]} ms, loaded after {loaded:.2f} s, "
                  f"{costs[-1]:.1f} bytes an entry beside its id")
    for file in (large, small):
        file.unlink()
    worst = max(statistics.median(seconds) for seconds in answers.values())
    rounds = {"first_answer_s": answers, "loaded_s": loads, "entry_bytes": costs, "entries": many}
    return {"answer": worst * 1e3, "loaded": statistics.median(loads), "bytes": statistics.median(costs)}, rounds


def figure(bench, which):
    if bench.start_figures is None:
        bench.start_figures = look(bench)
    figures, rounds = bench.start_figures
    return {"value": figures[which], "kept": bench.rounds, "dropped": 0, "rounds": rounds}


answer = functools.partial(figure, which="answer")
loaded = functools.partial(figure, which="loaded")
memory = functools.partial(figure, which="bytes")
