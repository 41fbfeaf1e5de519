#!/usr/bin/python3
"""kill -9 at random moments: a worker does random things to an hdf5 pool, and what it was told is done must be in the file.

    torture.py [--trials N] [--seed N [--round K]] [--jobs N] [--keep DIR]     see --help

Histories run side by side in processes of their own. A history is one file and its seed; a trial is one of its rounds:
  1 the worker (torture_main.c) opens the pool, which recovers, and works until it is killed, now and then already while it opens
  2 sometimes recovery is begun and killed, too, up to three times
  3 the file is recovered by `lailad hdf5 recover`, where the daemon has it, or by opening the pool
  4 h5py reads every entry, the pool reads every entry, and both are held against what the worker said (model.py)
and the next round goes on with the same file.

A failed trial prints its seed and round, and keeps the files as the kill left them: DIR/seed-N-round-K. --seed N --round K does the same history up
to that round with the same operations and the same delays; the very instruction of the kill is not the same, so use --repeat.
--check FOLDER recovers and compares a copy of such kept files, which is exact. Exit status 1 when a trial failed.
"""

import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time

import model as crash

ROOT = pathlib.Path(__file__).resolve().parents[2]
FILE = "torture.h5"
ROUNDS = 10  # trials on one file
PATIENCE_SECONDS = 60


class Bad(Exception):
    """A trial that failed; the argument is the list of problems."""


class Tools:
    def __init__(self, options):
        self.worker = options.worker
        self.lailad = options.lailad
        self.can_recover = False

    def look(self, folder):
        """Whether the daemon's binary recovers files. One that does not know the command says usage."""
        if not pathlib.Path(self.lailad).exists():
            return
        subprocess.run([self.worker, "open", folder], check=True, timeout=PATIENCE_SECONDS)
        done = self.recover(folder)
        if done.returncode not in (0, 2):
            raise SystemExit(f"lailad hdf5 recover ended with {done.returncode}: {done.stderr}")
        self.can_recover = done.returncode == 0

    def recover_command(self, folder):
        return [self.lailad, "hdf5", "recover", os.path.join(folder, FILE)]

    def recover(self, folder):
        return subprocess.run(
            self.recover_command(folder), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_SECONDS
        )


class Worker:
    """The process that is killed. Its lines are kept as they come."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.opened = threading.Event()
        self.lines = []
        self.complaint = b""
        self.readers = [threading.Thread(target=work) for work in (self._listen, self._listen_to_complaints)]
        for reader in self.readers:
            reader.start()

    def _listen(self):
        for line in self.process.stdout:
            self.lines.append(line)
            if line.startswith(b"N\topen"):
                self.opened.set()
        self.opened.set()

    def _listen_to_complaints(self):
        self.complaint = self.process.stderr.read()

    def kill(self):
        self.process.kill()
        self.end()

    def end(self):
        self.process.wait(PATIENCE_SECONDS)
        for reader in self.readers:
            reader.join()
        self.process.stdout.close()
        self.process.stderr.close()

    def let_live(self, seconds):
        """Up to so long; one that ends by itself has found something."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            pass


def replay(model, lines):
    """Tells the model what the worker said. The problems it found itself are returned."""
    problems = []
    for line in lines:
        what, *fields = line.decode().rstrip("\n").split("\t")
        if what == "B":
            who, name, action, *state = fields
            if state:
                size, digest, content_type = state
                hold = crash.CACHED if action == "fill" else crash.OWNED
                model.begin(who, name, action, crash.State(digest, content_type, int(size), hold))
            else:
                model.begin(who, name, action)
        elif what == "E":
            model.end(fields[0], fields[1] == "ok")
        elif what == "W":
            problems.append(f"worker: {fields[0]}")
    return problems


class History:
    """One file from its creation through its rounds."""

    def __init__(self, seed, tools, keep):
        self.seed = seed
        self.tools = tools
        self.keep = pathlib.Path(keep)
        self.folder = tempfile.mkdtemp(prefix="lailad-torture-")
        self.crashed = tempfile.mkdtemp(prefix="lailad-crashed-")
        self.model = crash.Model()
        self.counts = collections.Counter()
        chance = random.Random(f"history {seed}")
        self.threads = chance.choice([1, 2, 4, 8])
        self.keys = chance.choice([self.threads, 16, 60, 120])
        self.max_bytes = chance.choice([0, 3_000_000, 8_000_000])

    def remove(self):
        shutil.rmtree(self.folder)
        shutil.rmtree(self.crashed)

    def run(self, number):
        """One round. Bad when anything is wrong afterwards."""
        chance = random.Random(f"history {self.seed} round {number}")
        problems = self._work_and_kill(number, chance)
        self._save()
        if not problems:
            self._crash_in_recovery(chance)
            problems = self.recover_and_compare(chance.random() < 0.5)
        if problems:
            raise Bad(problems)

    def _work_and_kill(self, number, chance):
        command = ["run", self.folder, self.seed * 1000 + number, self.threads, max(self.keys, self.threads), self.max_bytes]
        worker = Worker([self.tools.worker, *map(str, command)])
        if chance.random() < 0.15:
            self.counts["killed while it opened"] += 1
            worker.let_live(chance.uniform(0, 0.1))
        else:
            worker.opened.wait(PATIENCE_SECONDS)
            worker.let_live(chance.choice([chance.uniform(0.005, 0.06), chance.uniform(0.03, 0.5)]))
        worker.kill()
        before = self.model.acknowledged
        problems = replay(self.model, worker.lines)
        self.counts["operations acknowledged"] += self.model.acknowledged - before
        self.counts["under way when killed"] += len(self.model.flying)
        if worker.process.returncode != -9:
            problems.append(f"worker: it ended with {worker.process.returncode}: {worker.complaint.decode()[-3000:]}")
        return problems

    def _save(self):
        """The files as the kill left them, and what is known of them."""
        shutil.rmtree(self.crashed)
        shutil.copytree(self.folder, self.crashed)
        known = {
            "possible": {name: list(states) for name, states in self.model.possible.items()},
            "flying": self.model.flying,
            "written": {name: list(digests) for name, digests in self.model.written.items()},
        }
        pathlib.Path(self.crashed, "model.json").write_text(json.dumps(known, indent=1), encoding="utf-8")

    def load(self, folder):
        """What _save saved, to be compared again."""
        shutil.copytree(folder, self.folder, dirs_exist_ok=True)
        path = pathlib.Path(self.folder, "model.json")
        known = json.loads(path.read_text(encoding="utf-8"))
        path.unlink()

        def state(fields):
            return crash.State(*fields) if fields else None

        for name, states in known["possible"].items():
            self.model.possible[name] = {state(fields) for fields in states}
        for who, (name, action, fields) in known["flying"].items():
            self.model.flying[who] = (name, action, state(fields))
        for name, digests in known["written"].items():
            self.model.written[name] = set(digests)

    def _crash_in_recovery(self, chance):
        """Whoever recovers may be killed, too; what it was to recover is still there."""
        times = chance.choice([0, 0, 0, 1, 2, 3])
        by_tool = self.tools.can_recover and chance.random() < 0.5
        command = self.tools.recover_command(self.folder) if by_tool else [self.tools.worker, "open", self.folder]
        for _ in range(times):
            worker = Worker(command)
            worker.let_live(chance.uniform(0, 0.15))
            if worker.process.poll() is None:
                self.counts["killed in recovery"] += 1
            worker.kill()

    def recover_and_compare(self, by_tool):
        """The problems. What was found is the model's from here on."""
        problems = []
        if by_tool and self.tools.can_recover:
            done = self.tools.recover(self.folder)
            if done.returncode != 0:
                return [f"recover: ended with {done.returncode}: {done.stderr[-3000:]}"]
            found, problems = self._look_with_h5py()
        listed, more = self._look_with_pool()
        problems += more
        found, more = self._look_with_h5py()
        problems += more
        problems += [f"pool: {name} is {listed.get(name)}, in the file it is {found.get(name)}"
                     for name in sorted(set(listed) | set(found)) if listed.get(name) != found.get(name)]
        problems += [f"left behind: {name}" for name in sorted(os.listdir(self.folder)) if name != FILE]
        self.counts["entries compared"] += len(found)
        self.model.settle(found)
        return problems

    def _look_with_h5py(self):
        path = os.path.join(self.folder, FILE)
        if not os.path.exists(path) or os.path.getsize(path) == 0:  # killed before there was a file
            return {}, crash.compare(self.model, {})
        found, problems = crash.read_file(path)
        return found, problems if any(text.startswith("unopenable") for text in problems) else (
            problems + crash.compare(self.model, found))

    def _look_with_pool(self):
        worker = Worker([self.tools.worker, "check", self.folder])
        worker.end()
        listed, problems = {}, []
        for line in worker.lines:
            what, *fields = line.decode().rstrip("\n").split("\t")
            if what == "L" and len(fields) == 5:
                name, size, digest, content_type, hold = fields
                listed[name] = crash.State(digest, content_type, int(size), hold)
            elif what == "L":
                problems.append(f"pool: {fields[0]} cannot be read: {fields[1]}")
            elif what == "W":
                problems.append(f"pool: {fields[0]}")
        if worker.process.returncode != 0:
            problems.append(f"pool: check ended with {worker.process.returncode}: {worker.complaint.decode()[-3000:]}")
        return listed, problems


def run_history(seed, rounds, tools, keep):
    """(trials done, the number of the failed round or None, its problems, the counts)"""
    history = History(seed, tools, keep)
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
        rounds = ROUNDS if options.round is None else options.round + 1
        return [(options.seed, rounds)] * options.repeat
    first = options.base if options.base is not None else random.SystemRandom().randrange(1_000_000)
    full, rest = divmod(options.trials, ROUNDS)
    return [(first + i, ROUNDS) for i in range(full)] + ([(first + full, rest)] if rest else [])


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
    if kinds:
        print("bad trials by kind: " + ", ".join(f"{kind} {count}" for kind, count in kinds.most_common()))
    return 1 if bad else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=int(os.environ.get("LAILAD_CRASH_TRIALS", "40")), help="also $LAILAD_CRASH_TRIALS")
    parser.add_argument("--base", type=int, help="the first history's seed (default: random)")
    parser.add_argument("--seed", type=int, help="one history only")
    parser.add_argument("--round", type=int, help="with --seed: up to this round")
    parser.add_argument("--repeat", type=int, default=1, help="with --seed: how often")
    parser.add_argument("--jobs", type=int, default=2, help="histories at a time")
    parser.add_argument("--keep", default=str(ROOT / "build/torture"), help="where the files of failed trials are kept")
    parser.add_argument("--check", help="recover and compare a copy of such files")
    parser.add_argument("--worker", default=str(ROOT / "build/dev/tests/crash/torture_worker"))
    parser.add_argument("--lailad", default=os.environ.get("LAILAD", str(ROOT / "build/dev/server/lailad")))
    options = parser.parse_args()
    tools = Tools(options)
    with tempfile.TemporaryDirectory(prefix="lailad-torture-") as folder:
        tools.look(folder)
    return check_kept(options.check, tools) if options.check else torture(options, tools)


if __name__ == "__main__":
    sys.exit(main())
