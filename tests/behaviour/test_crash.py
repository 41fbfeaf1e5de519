"""kill -9 of the daemon while clients write to an hdf5 pool, restart, compare, again and again: what was acknowledged is there.

The same rules as tests/crash/torture.py, which does it to the pool itself and many times more. Here everything between the socket and the file takes
part: uploads of known and unknown length, deletes, copies that reads leave and evictions take. After each restart every entry is read
over HTTP, in the end through h5py.

    LAILAD_CRASH_ROUNDS=100 LAILAD_CRASH_SEED=7    more of it; the seed is printed when a round fails
"""

import hashlib
import os
import random
import threading
import time
import urllib.parse

from harness import Case
from ledger import GONE, Ledger, problem_name
from origin import Origin, object_name

KIB = 1024
MIB = 1024 * 1024
ROUNDS = int(os.environ.get("LAILAD_CRASH_ROUNDS", "8"))
SEED = int(os.environ.get("LAILAD_CRASH_SEED", "0")) or random.SystemRandom().randrange(1, 1_000_000)
CLIENTS = 5
KEYS = 12  # of each client
OBJECTS = 12  # of each client, in the store below
TYPES = ["application/octet-stream", "text/plain", "application/json", "image/png"]
ONE_PROBLEM = {"no-space", "pool-loading", "busy"}

CONFIG = """
chain = "disk << far"
[pools.disk]
kind = "hdf5"
max_bytes = "24MiB"
"""


def random_body(chance):
    size = chance.choice([0, chance.randrange(100), chance.randrange(4 * KIB), chance.randrange(64 * KIB), chance.randrange(500 * KIB)])
    if chance.random() < 0.02:
        size = chance.randrange(MIB, 4 * MIB)
    seed = chance.randbytes(8)
    body = hashlib.shake_128(seed).digest(size)
    return body if chance.random() < 0.5 else body.hex().encode()[:size]


class Client(threading.Thread):
    """Random requests on keys of its own until the daemon is gone. What it finds wrong is in `problems`."""

    def __init__(self, case, number, seed):
        super().__init__()
        self.case = case
        self.number = number
        self.chance = random.Random(seed)
        self.http = case.daemon.client(timeout=30)
        self.problems = []
        self.done = 0

    def key(self):
        return self.chance.choice(["{}-{}", "a/b {}/{}", "é%41 {} {}"]).format(self.number, self.chance.randrange(KEYS))

    def put(self):
        body = random_body(self.chance)
        pieces = self.chance.choice([None, None, 70_000]) if body else None
        answer = self.case.ledger.put(self.http, self.key(), body, self.chance.choice(TYPES), pieces=pieces)
        self.expect(answer, {201, 204})

    def delete(self):
        self.expect(self.case.ledger.delete(self.http, self.key()), {204})

    def read(self):
        problem = self.case.ledger.problem_of(self.http, self.key())
        if problem:
            self.problems.append(problem)

    def copy(self):
        """Read through the chain: the pool gets a copy."""
        entry_id = f"far {self.number} {self.chance.randrange(OBJECTS)}"
        body = self.case.objects[entry_id]
        # Noted before it happens: the daemon may be gone before the answer is here.
        self.case.ledger.copied(entry_id, body)
        answer = self.http.read("disk", entry_id)
        if answer.status != 200 or answer.body != body:
            self.problems.append(f"{entry_id} came as {answer}")

    def expect(self, answer, statuses):
        if answer.status not in statuses and problem_name(answer) not in ONE_PROBLEM:
            self.problems.append(f"{answer}")

    def run(self):
        try:
            while True:
                self.chance.choices([self.put, self.delete, self.read, self.copy], [50, 15, 20, 15])[0]()
                self.done += 1
        except GONE:
            pass
        finally:
            self.http.close()


class Crash(Case):
    def setUp(self):
        self.chance = random.Random(SEED)
        self.origin = Origin()
        self.addCleanup(self.origin.stop)
        self.objects = {}
        for number in range(CLIENTS * OBJECTS):
            entry_id = f"far {number % CLIENTS} {number // CLIENTS}"
            self.objects[entry_id] = random_body(self.chance)
            self.origin.put(object_name(entry_id), self.objects[entry_id], TYPES[0])
        self.ledger = Ledger("disk")
        self.daemon = self.new_daemon(config=CONFIG + self.origin.pool("far"))
        self.file = self.daemon.data / "disk.h5"

    def work_until_killed(self):
        """How many requests were answered."""
        clients = [Client(self, number, self.chance.random()) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        time.sleep(self.chance.uniform(0.05, 1.0))  # the moment of the kill is what is random here
        last = self.daemon.client()
        self.ledger.send_put(last, f"last {self.chance.randrange(4)}", self.chance.randbytes(self.chance.choice([100, 3000, 50000])))
        time.sleep(self.chance.uniform(0, 0.004))  # in the midst of it, whatever the clients are at
        self.daemon.kill()
        last.close()
        for client in clients:
            client.join()
            self.assertEqual(client.problems, [], f"while the daemon ran: {self.place}")
        return sum(client.done for client in clients)

    def kill_while_it_starts(self):
        self.daemon.spawn()
        time.sleep(self.chance.uniform(0, 0.3))
        self.daemon.kill()

    def compare(self):
        http = self.new_client(self.daemon)
        self.assertEqual(self.ledger.problems(http), [], self.place)
        http.close()

    def test_killed_again_and_again(self):
        answered = 0
        for number in range(ROUNDS):
            self.place = f"seed {SEED}, round {number}"
            answered += self.work_until_killed()
            for _ in range(self.chance.choice([0, 0, 1, 2])):
                self.kill_while_it_starts()
            self.daemon.start()
            self.compare()
            self.settle()
        self.assertGreater(answered, ROUNDS * CLIENTS, "hardly anything was done before the kills")
        self.daemon.stop()
        self.assertEqual(self.ledger.problems_of_file(self.file), [], self.place)
        self.assertEqual(sorted(path.name for path in self.daemon.data.glob("disk*")), ["disk.h5"])

    def settle(self):
        """So that the next round begins without doubts: a change that was under way has happened or has not."""
        http = self.new_client(self.daemon)
        for name in self.ledger.model.names():
            self.ledger.settle(http, urllib.parse.unquote(name))
        http.close()


class CrashWithoutClients(Case):
    def test_nothing_was_written(self):
        """A file that never held anything, killed while it is made."""
        daemon = self.new_daemon(config='[pools.disk]\nkind = "hdf5"\n')
        daemon.kill()
        chance = random.Random(SEED)
        for _ in range(5):
            daemon.spawn()
            time.sleep(chance.uniform(0, 0.2))
            daemon.kill()
        daemon.start()
        http = self.new_client(daemon)
        self.assertEqual(http.ids("disk"), set())
        self.assert_status(http.put_entry("disk", "x", b"x"), 201)
        self.assertEqual(http.read("disk", "x").body, b"x")
