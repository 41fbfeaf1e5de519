"""The hdf5 pool by itself, through pools/pool.h: durable puts beside SQLite's, reads beside the library's, small writes beside a stream.

The programs are those of hdf5/. Every measurement of writes is made on a fresh copy of a file (a database) of the same entries, on the
disk that the results go to. Where the pool does not promise that a write survives a crash, the row says so.
"""

import math
import contextlib
import functools
import json
import os
import shutil
import statistics
import subprocess
import tempfile

import load
import machine

WRITERS, READERS = 64, 2
EVERY_ENTRY, FOR_EVER = 1 << 40, 3600
FILL_BATCH = 1000
# Parts of --seconds. What waits for a disk or opens a dataset has done enough things by then.
PUT_PART, READ_PART = 1 / 4, 1 / 6
# Neither a disk nor a lock that two threads want is as steady as a processor that serves.
UNSTABLE = 0.15


def run(bench, program, *arguments):
    """The report of one of the programs."""
    path = bench.programs / program
    if not path.exists():
        raise machine.Unavailable(f"{path} is not built (LAILAD_BENCH)")
    done = subprocess.run([path, *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"bench: {program} {' '.join(map(str, arguments))}:\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout)


def measured(report):
    """As load.Run. Who serves and who asks are one process here, so there is no client that could be the bottleneck."""
    count, seconds = report["requests"], report["seconds"]
    if not count:
        raise SystemExit(f"bench: nothing was done: {report}")
    user, system = report["user_us"], report["system_us"]
    busy = (user + system) / 1e6 / seconds
    return load.Run(count / seconds, count, user / count, system / count, busy, 0.0, report["p50_us"], report["p99_us"])


@functools.lru_cache(maxsize=None)
def base(bench, kind):
    """The file that measurements begin with, made once a run: --entries entries of 1 KiB."""
    path = bench.scratch / f"base.{kind}"
    entries = bench.args.entries
    bench.say(f"making {path.name} of {entries} entries")
    if kind == "h5":
        run(bench, "hdf5_puts", path, WRITERS, FOR_EVER, 0, entries)
    else:
        run(bench, "sqlite_puts", path, 1, FILL_BATCH, FOR_EVER, 0, entries)
    return path


@contextlib.contextmanager
def copied(bench, kind):
    """A copy of its own, which is on the disk, so that nothing of it has to be written any more."""
    with tempfile.TemporaryDirectory(prefix="copy.", dir=bench.scratch) as folder:
        path = os.path.join(folder, f"pool.{kind}")
        shutil.copyfile(base(bench, kind), path)
        with open(path, "rb+") as file:
            os.fsync(file.fileno())
        yield path


def tell_promise(row, durable):
    row["durable"] = durable
    if not durable:
        row["note"] = "; ".join(filter(None, [row.get("note"), "the pool does not promise yet that its writes survive a crash (durable: false)"]))
    return row


def put(bench, writers, sqlite_writers, sqlite_batch):
    """New entries, each acknowledged before its writer sends the next, against the same entries in SQLite."""
    seconds, entries = bench.seconds * PUT_PART, bench.args.entries
    promises = []

    def ours():
        with copied(bench, "h5") as path:
            report = run(bench, "hdf5_puts", path, writers, seconds, entries, EVERY_ENTRY)
        promises.append(report["durable"])
        return measured(report)

    def theirs():
        with copied(bench, "db") as path:
            return measured(run(bench, "sqlite_puts", path, sqlite_writers, sqlite_batch, seconds, entries, EVERY_ENTRY))

    row = load.triples(bench.say, bench.rounds, theirs, ours, UNSTABLE)
    return tell_promise(row, all(promises))


def read(bench, how):
    """Random entries, two threads, against H5Dopen, H5Dread and H5Dclose of the same ones."""
    seconds, entries = bench.seconds * READ_PART, bench.args.entries
    path = base(bench, "h5")
    again = []

    def ours():
        report = run(bench, "hdf5_reads", path, READERS, seconds, entries, how)
        again.append(report["again"] / report["requests"])
        return measured(report)

    def theirs():
        return measured(run(bench, "library_reads", path, READERS, seconds, entries))

    row = load.triples(bench.say, bench.rounds, theirs, ours, UNSTABLE)
    row["again"] = statistics.median(again)  # the part of peeks that had to open a reader after all
    return row


def p99_us(samples):
    """The least that 99 of 100 do not exceed."""
    return sorted(samples)[math.ceil(len(samples) * 0.99) - 1]


def beside(bench):
    """Small puts while a large entry streams into the same pool, against 4 KiB appended with fdatasync beside the same stream. One
    stream has too few of either for a 99th percentile that means something: what all rounds had is put together."""
    mebibytes = bench.args.upload_mib
    every, rounds = {"put": [], "append": []}, []
    cpu_seconds = {"put": [], "append": []}
    durable = True
    for turn in range(bench.rounds):
        figures = {}
        for how in ("append", "put") if turn % 2 else ("put", "append"):
            with copied(bench, "h5") as path:
                other = [os.path.join(os.path.dirname(path), "appended")] if how == "append" else []
                report = run(bench, "hdf5_beside", path, mebibytes, how, *other)
            taken = report["taken_us"]
            if not taken:
                raise SystemExit(f"bench: nothing was written beside a stream of {mebibytes} MiB")
            every[how] += taken
            cpu_seconds[how].append(report["user_s"] + report["system_s"])
            durable = durable and report["durable"]
            figures |= {f"{how}_p99_us": p99_us(taken), f"{how}_p50_us": statistics.median(taken), f"{how}_count": len(taken),
                        f"{how}_stream_s": report["seconds"]}
        rounds.append({"ratio": figures["put_p99_us"] / figures["append_p99_us"], **figures})
        bench.say("p99 {put_p99_us:.0f} us of {put_count} puts against {append_p99_us:.0f} us of {append_count} appends".format_map(figures))
    row = {"value": p99_us(every["put"]) / p99_us(every["append"]), "kept": len(rounds), "dropped": 0, "rounds": rounds}
    for how, taken in every.items():
        row[how] = {"p99_us": p99_us(taken), "p50_us": statistics.median(taken), "count": len(taken),
                    "cpu_s": statistics.median(cpu_seconds[how])}
    row["note"] = ", ".join(f"{how} p50 {row[how]['p50_us'] / 1e3:.2f} ms, p99 {row[how]['p99_us'] / 1e3:.2f} ms of {row[how]['count']}, "
                            f"{row[how]['cpu_s']:.2f} s of CPU a stream" for how in every)
    return tell_promise(row, durable)
