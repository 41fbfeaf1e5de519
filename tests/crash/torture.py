#!/usr/bin/python3
"""kill -9 at random moments: a worker does random things to an hdf5 pool, and what it was told is done must be in the file.

    torture.py [--trials N] [--cuts N] [--seed N [--round K]] [--jobs N] [--keep DIR]     see --help

Histories run side by side in processes of their own. A history is one file and its seed; a trial is one of its rounds:
  1 the worker (torture_main.c) opens the pool, which recovers, and works until it is killed: after some operation, in the middle of
    a compaction or a scrub, or already while it opens
  2 sometimes recovery is begun and killed, too, up to three times, or `lailad hdf5 compact`
  3 the file is recovered by `lailad hdf5 recover`, where the daemon has it, or by opening the pool
  4 h5py reads every entry, the pool reads every entry, and both are held against what the worker said (model.py)
and the next round goes on with the same file. Some files have limits (PROFILES), so that evictions and refusals meet compactions; some
begin as h5py makes them (old_file.py), which the first write converts.

With --cuts N the kill is the power's: the files are put as N power cuts at moments before it may have left them (power_cut.py).

A failed trial prints its seed and round, and keeps the files as the kill left them: DIR/seed-N-round-K. --seed N --round K does the same history up
to that round with the same operations and the same delays; the very instruction of the kill is not the same, so use --repeat.
--check FOLDER recovers and compares a copy of such kept files, which is exact. Exit status 1 when a trial failed, and when
a run of some length did not hit what it is for (HITS_MUST).
"""

import argparse
import collections
import concurrent.futures
import os
import pathlib
import random
import shutil
import sys
import tempfile
import time

from history import Bad, History, Tools
from power_cut import PowerCuts

ROOT = pathlib.Path(__file__).resolve().parents[2]

# A run of so many trials proves nothing when none of them came to this.
HITS_MUST = {"hit a compaction": 40, "refused for want of room": 200}

# Mistakes that somebody might make in a compaction, planted with --mistake: by the shim, which forgets syncs, or by a function in another's
# place (torture_mistakes.c). A torture that does not find them proves nothing. The second is how many power cuts there are in a trial.
MISTAKES = {
    "copy-not-synced": ({"LAILAD_LOSSY_UNSYNCED": ".lailad-compact"}, 10),
    "changes-not-noted": ({"LAILAD_TORTURE_MISTAKE": "notes"}, 0),
}


def run_history(seed, rounds, tools, keep):
    """(trials done, the number of the failed round or None, its problems, the counts)"""
    history = (PowerCuts if tools.cuts else History)(seed, tools, keep)
    try:
        for number in range(rounds):
            try:
                history.run(number)
            except Bad as bad:
                kept = history.keep / f"seed-{seed}-round-{number}"
                shutil.rmtree(kept, ignore_errors=True)
                shutil.copytree(history.crashed, kept)
                return number + 1, number, bad.args[0], history.counts
        return rounds, None, [], history.counts
    finally:
        history.remove()


def report(seed, number, problems, keep):
    print(f"FAILED: --seed {seed} --round {number}: {len(problems)} problems; the files: {keep}/seed-{seed}-round-{number}")
    for problem in problems[:8]:
        print(f"    {problem}")
    sys.stdout.flush()


def check_kept(folder, tools):
    history = History(0, tools, "")
    try:
        history.load(folder)
        problems = history.recover_and_compare(False)
    finally:
        history.remove()
    for problem in problems:
        print(problem)
    print(f"{len(problems)} problems")
    return 1 if problems else 0


def seeds_of(options):
    """One seed is repeated; without one, each history has the next."""
    if options.seed is not None:
        rounds = options.rounds if options.round is None else options.round + 1
        return [(options.seed, rounds)] * options.repeat
    first = options.base if options.base is not None else random.SystemRandom().randrange(1_000_000)
    full, rest = divmod(options.trials, options.rounds)
    return [(first + i, options.rounds) for i in range(full)] + ([(first + full, rest)] if rest else [])


def torture(options, tools):
    began = time.monotonic()
    bad, trials, kinds, counts = 0, 0, collections.Counter(), collections.Counter()
    histories = collections.deque(seeds_of(options))
    print(f"seeds from {histories[0][0]}; recovers by {'lailad hdf5 recover and ' if tools.can_recover else ''}opening", flush=True)
    next_seed = histories[-1][0] + 1
    with concurrent.futures.ProcessPoolExecutor(options.jobs) as lanes:
        running = {}
        while histories or running:
            while histories and len(running) < options.jobs:
                seed, rounds = histories.popleft()
                running[lanes.submit(run_history, seed, rounds, tools, options.keep)] = (seed, rounds)
            done, _ = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in done:
                seed, rounds = running.pop(future)
                did, number, problems, more = future.result()
                trials += did
                counts += more
                if number is None:
                    continue
                bad += 1
                kinds.update({text.split(":")[0] for text in problems})
                report(seed, number, problems, options.keep)
                if options.seed is None and did < rounds:  # as many trials as asked for, on a new file
                    histories.append((next_seed, rounds - did))
                    next_seed += 1
    details = ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
    print(f"{trials} trials in {time.monotonic() - began:.0f} s, {bad} bad; {details}")
    missed = [what for what, least in HITS_MUST.items() if options.seed is None and trials >= least and not counts[what]]
    for what in missed:
        print(f"FAILED: in no trial: {what}")
    if kinds:
        print("bad trials by kind: " + ", ".join(f"{kind} {count}" for kind, count in kinds.most_common()))
    return 1 if bad or missed else 0


def find_mistake(options):
    """In as many trials as that takes, at most the ones asked for."""
    environment, cuts = MISTAKES[options.mistake]
    os.environ.update(environment)
    options.cuts = cuts
    tools = Tools(options)
    with tempfile.TemporaryDirectory(prefix="lailad-mistake-") as keep:
        for seed, rounds in seeds_of(options):
            _, number, problems, _ = run_history(seed, rounds, tools, keep)
            if number is not None:
                print(f"planted: {options.mistake}: found by seed {seed} in round {number}: {problems[0]}")
                return 0
    print(f"FAILED: planted: {options.mistake}: not found")
    return 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=int(os.environ.get("LAILAD_CRASH_TRIALS", "40")), help="also $LAILAD_CRASH_TRIALS")
    parser.add_argument("--rounds", type=int, default=10, help="trials on one file")
    parser.add_argument("--base", type=int, help="the first history's seed (default: random)")
    parser.add_argument("--seed", type=int, help="one history only")
    parser.add_argument("--round", type=int, help="with --seed: up to this round")
    parser.add_argument("--repeat", type=int, default=1, help="with --seed: how often")
    parser.add_argument("--jobs", type=int, default=2, help="histories at a time")
    parser.add_argument("--keep", default=str(ROOT / "build/torture"), help="where the files of failed trials are kept")
    parser.add_argument("--cuts", type=int, default=0, help="power cuts tried of each trial, instead of the kill")
    parser.add_argument("--mistake", choices=MISTAKES, help="plant this one; it must be found")
    parser.add_argument("--check", help="recover and compare a copy of such files")
    parser.add_argument("--worker", default=str(ROOT / "build/dev/tests/crash/torture_worker"))
    parser.add_argument("--shim", default=str(ROOT / "build/dev/tests/crash/liblossy_shim.so"))
    parser.add_argument("--lailad", default=os.environ.get("LAILAD", str(ROOT / "build/dev/server/lailad")))
    options = parser.parse_args()
    if options.mistake:
        return find_mistake(options)
    tools = Tools(options)
    with tempfile.TemporaryDirectory(prefix="lailad-torture-") as folder:
        tools.look(folder)
    return check_kept(options.check, tools) if options.check else torture(options, tools)


if __name__ == "__main__":
    sys.exit(main())
