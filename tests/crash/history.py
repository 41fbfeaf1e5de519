"""A history of kill -9: one file from its creation through its rounds. torture.py runs many; power_cut.py goes on from here.

A history is its seed: the pool's limits, its keys, and what is done to it come from that.
"""

import collections
import json
import os
import pathlib
import random
import shutil
import subprocess
import tempfile
import threading

import model as crash
import old_file

FILE = "torture.h5"
PATIENCE_SECONDS = 60
MOMENT_SECONDS = 3  # a trial takes no longer than about that

# What the pool of a history may hold, in bytes: of bodies, of the file (0 = no limit). Bodies are up to 3 MiB.
Profile = collections.namedtuple("Profile", "max_bytes max_file_bytes")
NO_LIMITS = Profile(0, 0)
PROFILES = [NO_LIMITS, Profile(3_000_000, 0), Profile(0, 4_000_000), NO_LIMITS, Profile(8_000_000, 0), Profile(3_000_000, 6_000_000)]


class Bad(Exception):
    """A trial that failed; the argument is the list of problems."""


class Tools:
    def __init__(self, options):
        self.worker = options.worker
        self.lailad = options.lailad
        self.shim = options.shim
        self.cuts = options.cuts  # power cuts in a round; 0 = it ends with the kill
        self.can_recover = False

    def look(self, folder):
        """Whether the daemon's binary recovers files. One that does not know the command says usage."""
        if not pathlib.Path(self.lailad).exists():
            return
        subprocess.run([self.worker, "open", folder], stdout=subprocess.DEVNULL, check=True, timeout=PATIENCE_SECONDS)
        done = self.recover(folder)
        if done.returncode not in (0, 2):
            raise SystemExit(f"lailad hdf5 recover ended with {done.returncode}: {done.stderr}")
        self.can_recover = done.returncode == 0

    def command(self, verb, folder):
        return [self.lailad, "hdf5", verb, os.path.join(folder, FILE)]

    def recover(self, folder, *options):
        return subprocess.run(
            [*self.command("recover", folder), *options], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_SECONDS
        )


class Worker:
    """The process that is killed. Its lines are kept as they come."""

    def __init__(self, command, awaited=b"N\tstart", count=1):
        """The moment has come when so many lines began so; None: at once."""
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.moment = threading.Event()
        self.awaited, self.count = awaited, count
        if awaited is None:
            self.moment.set()
        self.lines = []
        self.complaint = b""
        self.readers = [threading.Thread(target=work) for work in (self._listen, self._listen_to_complaints)]
        for reader in self.readers:
            reader.start()

    def _listen(self):
        for line in self.process.stdout:
            self.lines.append(line)
            if self.awaited and line.startswith(self.awaited):
                self.count -= 1
                if self.count == 0:
                    self.moment.set()
        self.moment.set()  # it ended

    def _listen_to_complaints(self):
        self.complaint = self.process.stderr.read()

    def end(self):
        self.process.wait(PATIENCE_SECONDS)
        for reader in self.readers:
            reader.join()
        self.process.stdout.close()
        self.process.stderr.close()

    def kill_after(self, seconds):
        """So long after the moment. True when it had not ended by itself."""
        self.moment.wait(MOMENT_SECONDS)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.end()
        return self.process.returncode == -9


def replay(model, lines):
    """Tells the model what the worker said."""
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


def phase_at_the_end(lines):
    """{"compact" | "convert" | "scrub": the phase it was in} of each that was under way when the worker was killed."""
    phases = {}
    for line in lines:
        what, *fields = line.decode().rstrip("\n").split("\t")
        if what == "P":
            phases[fields[0]] = fields[1]
        elif what == "N":  # opened again
            phases.clear()
    return {work: phase for work, phase in phases.items() if phase != "ended"}


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
        self.profile = PROFILES[seed % len(PROFILES)]
        self.original = None  # the bytes of a file that must not be written in place
        if self.profile == NO_LIMITS and chance.random() < 0.5:
            self._begin_with_old_file(chance)

    def _begin_with_old_file(self, chance):
        path = pathlib.Path(self.folder, FILE)
        self.model.settle(old_file.make(path, chance, self.keys))
        self.original = path.read_bytes()

    def remove(self):
        shutil.rmtree(self.folder)
        shutil.rmtree(self.crashed)

    def run(self, number):
        """One round. Bad when anything is wrong afterwards."""
        chance = random.Random(f"history {self.seed} round {number}")
        worker = self._kill_worker(number, chance, [])
        replay(self.model, worker.lines)
        problems = self._problems_of(worker)
        self._count(worker.lines)
        self._save()
        if not problems:
            self._crash_in_recovery(chance)
            problems = self.recover_and_compare(chance.random() < 0.5)
        if problems:
            raise Bad(problems)

    def _is_old(self):
        """Whether the next write converts it."""
        return self.original is not None and pathlib.Path(self.folder, FILE).read_bytes() == self.original

    def _moment(self, chance):
        """(how the line begins that the kill waits for, how often, how many seconds after it at most)"""
        if self._is_old():
            return chance.choice([(b"P\tconvert\tcopying", 1, 0.015), (b"P\tconvert\tswitching", 1, 0.01)])
        return chance.choices(
            [
                # by acknowledged operations rather than by time, since machines differ
                (b"E", chance.choice([1, chance.randint(1, 20), chance.randint(20, 250)]), 0.006),
                (b"P\tcompact\tcopying", chance.randint(1, 3), 0.02),
                (b"P\tcompact\tswitching", chance.randint(1, 3), 0.008),
                (b"P\tscrub\treading", 1, 0.01),
            ],
            [50, 20, 20, 10],
        )[0]

    def _kill_worker(self, number, chance, environment):
        command = ["run", self.folder, self.seed * 1000 + number, self.threads, max(self.keys, self.threads), *self.profile]
        command = [*environment, self.tools.worker, *map(str, command)]
        if chance.random() < 0.15:
            self.counts["killed while it opened"] += 1
            worker = Worker(command)
            worker.kill_after(chance.uniform(0, 0.03))
        else:
            awaited, count, most_seconds = self._moment(chance)
            worker = Worker(command, awaited, count)
            worker.kill_after(chance.uniform(0, most_seconds))
        return worker

    @staticmethod
    def _problems_of(worker):
        """Of itself: it has to live until it is killed. What it complained of is among its lines."""
        problems = [f"worker: {line.decode().split(chr(9))[1].rstrip()}" for line in worker.lines if line.startswith(b"W")]
        if worker.process.returncode != -9:
            problems.append(f"worker: it ended with {worker.process.returncode}: {worker.complaint.decode()[-3000:]}")
        return problems

    def _count(self, lines):
        """What was told up to the kill."""
        self.counts["operations acknowledged"] += sum(line.startswith(b"E") and line.endswith(b"\tok\n") for line in lines)
        self.counts["under way when killed"] += len(self.model.flying)
        refused = [line for line in lines if line.startswith(b"E") and line.rstrip(b"\n").endswith((b"no-space", b"too-large"))]
        self.counts["refused for want of room"] += len(refused)
        self.counts["compactions that ended"] += sum(line == b"P\tcompact\tswitched\n" for line in lines)
        for work, phase in phase_at_the_end(lines).items():
            self.counts[f"{work} hit: {phase}"] += 1
            if work != "scrub":
                self.counts["hit a compaction"] += 1

    def _save(self):
        """The files as the kill left them, and what is known of them."""
        shutil.rmtree(self.crashed)
        shutil.copytree(self.folder, self.crashed)
        known = {
            "possible": {name: list(states) for name, states in self.model.possible.items()},
            "flying": self.model.flying,
            "written": {name: list(digests) for name, digests in self.model.written.items()},
        }
        if self.original is not None:
            pathlib.Path(self.crashed, "original").write_bytes(self.original)
        pathlib.Path(self.crashed, "model.json").write_text(json.dumps(known, indent=1), encoding="utf-8")

    def load(self, folder):
        """What _save saved, to be compared again. A journal names the file that it belongs to; this is a copy of both."""
        shutil.copytree(folder, self.folder, dirs_exist_ok=True)
        if os.path.exists(os.path.join(self.folder, f"{FILE}-journal")):
            adopted = self.tools.recover(self.folder, "--adopt")
            if adopted.returncode != 0:
                raise SystemExit(f"lailad hdf5 recover --adopt ended with {adopted.returncode}: {adopted.stderr}")
        path = pathlib.Path(self.folder, "model.json")
        known = json.loads(path.read_text(encoding="utf-8"))
        path.unlink()
        path = pathlib.Path(self.folder, "original")
        if path.exists():
            self.original = path.read_bytes()
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
        compacts = by_tool and not self._is_old() and chance.random() < 0.4
        command = self.tools.command("compact" if compacts else "recover", self.folder) if by_tool else [self.tools.worker, "open", self.folder]
        for _ in range(times if self._has_file() else 0):
            worker = Worker(command, None) if by_tool else Worker(command)
            if worker.kill_after(chance.uniform(0, 0.1 if by_tool else 0.03)):
                self.counts["killed in lailad hdf5 compact" if compacts else "killed in recovery"] += 1

    def recover_and_compare(self, by_tool):
        """The problems. What was found is the model's from here on."""
        problems = []
        if by_tool and self.tools.can_recover and self._has_file():
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
        problems += self._look_beside()
        self.counts["entries compared"] += len(found)
        self.model.settle(found)
        return problems

    def _look_beside(self):
        """Nothing but the file, and the original of one that was converted, unchanged."""
        others = sorted(name for name in os.listdir(self.folder) if name != FILE)
        originals = [name for name in others if self.original is not None and name == f"{FILE}.original"]
        problems = [f"left behind: {name}" for name in others if name not in originals]
        problems += [f"original: {name} is not as it was" for name in originals
                     if pathlib.Path(self.folder, name).read_bytes() != self.original]
        if self.original is not None and not originals and not self._is_old():
            problems.append("original: it is gone")
        return problems

    def _has_file(self):
        """Whoever was killed early enough has not made it."""
        path = os.path.join(self.folder, FILE)
        return os.path.exists(path) and os.path.getsize(path) > 0

    def _look_with_h5py(self):
        if not self._has_file():
            return {}, crash.compare(self.model, {})
        found, problems = crash.read_file(os.path.join(self.folder, FILE))
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
