"""Upkeep of hdf5 pools over HTTP: a scrub finds damage and the chain heals it; how work is started, steered and looked at."""

import pathlib
import threading

import h5py

from client import entry_target
from harness import Daemon, DaemonCase, until

STEADY = ("finished", "error", "cancelled")
NOT_STARTED = {"entries_done": 0, "entries_total": 0, "bytes_done": 0, "bytes_total": 0}


class UpkeepCase(DaemonCase):
    def state(self, work, pool="disk"):
        return self.assert_status(self.http.get(f"/pools/{pool}/{work}"), 200).json()

    def steer(self, work, action, pool="disk"):
        return self.http.post_json(f"/pools/{pool}/{work}", {"action": action})

    def run_through(self, work, pool="disk"):
        """Starts it and gives its state at the end."""
        answer = self.assert_status(self.http.post(f"/pools/{pool}/{work}", b""), 202)
        self.assertEqual(answer.header("Location"), f"/pools/{pool}/{work}")
        self.assertIn(answer.json()["status"], ("running",) + STEADY)
        state = until(lambda: self.ended(work, pool), f"the end of the {work}", 60)
        self.assertGreaterEqual(state["ended_ms"], state["started_ms"])
        return state

    def ended(self, work, pool="disk"):
        state = self.state(work, pool)
        return state if state["status"] in STEADY else None

    def damage(self, text, name="disk.h5"):
        """Changes the bytes of a body in the file, behind the daemon's back."""
        path = pathlib.Path(self.daemon.data) / name
        content = path.read_bytes()
        self.assertEqual(content.count(text), 1)
        with open(path, "r+b") as file:
            file.seek(content.index(text))
            file.write(bytes([text[0] ^ 1]))


class Linked(UpkeepCase):
    """The file lies elsewhere: what is beside it and what takes its place do, too."""

    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon(config='[pools.disk]\nkind = "hdf5"\npath = "link.h5"\n')
        cls.addClassCleanup(cls.daemon.remove)
        cls.elsewhere = cls.daemon.home / "elsewhere"
        cls.elsewhere.mkdir()
        cls.link = cls.daemon.data / "link.h5"
        cls.link.parent.mkdir(exist_ok=True)
        cls.link.symlink_to("../elsewhere/real.h5")
        cls.daemon.start()

    def test_a_link_stays_one(self):
        for number in range(20):
            self.assert_status(self.http.put_entry("disk", f"e{number}", bytes([number]) * 50000), 201)
        self.assertTrue((self.elsewhere / "real.h5-journal").exists())
        self.assert_status(self.http.delete(entry_target("disk", "e0")), 204)
        self.assertEqual(self.run_through("compact")["status"], "finished")
        self.assertTrue(self.link.is_symlink())
        self.assertEqual(self.http.read("disk", "e19").body, bytes([19]) * 50000)
        self.daemon.stop()
        self.assertEqual([path.name for path in self.elsewhere.iterdir()], ["real.h5"])
        self.assertEqual([path.name for path in self.link.parent.glob("*.h5*")], ["link.h5"])
        with h5py.File(self.elsewhere / "real.h5") as file:
            self.assertEqual(len(file), 19)


class Scrub(UpkeepCase):
    config = 'chain = "disk << deep"\n[pools.disk]\nkind = "hdf5"\n[pools.deep]\nkind = "memory"\n'

    def setUp(self):
        super().setUp()
        for pool in ("disk", "deep"):
            self.assert_status(self.http.delete(f"/pools/{pool}/entries?all=true"), 204)

    def test_sound_entries(self):
        total = 0
        for number in range(50):
            body = f"entry {number}".encode() * number
            self.assert_status(self.http.put_entry("disk", f"e{number}", body), 201)
            total += len(body)
        state = self.run_through("scrub")
        self.assertEqual(state["status"], "finished")
        self.assertEqual(
            state["progress"], {"entries_done": 50, "entries_total": 50, "bytes_done": total, "bytes_total": total}
        )
        self.assertEqual(
            state["found"], {"corrupt": 0, "corrupt_ids": [], "dropped": 0, "learned": 0, "unreadable": 0}
        )
        self.assertNotIn("error", state)

    def test_a_damaged_entry_is_quarantined_until_it_is_written_anew(self):
        small, large = b"a small body that will rot", b"a large body that will rot" + bytes(3 << 20)
        for name, body in (("small", small), ("large", large), ("sound", b"a sound body")):
            self.assert_status(self.http.put_entry("disk", name, body), 201)
            self.assertEqual(self.http.read("disk", name).body, body)  # in memory from here, where it is small
        self.damage(small)
        self.damage(large[:26])
        state = self.run_through("scrub")
        self.assertEqual((state["status"], state["found"]["corrupt"], state["found"]["dropped"]), ("finished", 2, 0))
        self.assertEqual(set(state["found"]["corrupt_ids"]), {"small", "large"})
        for name in ("small", "large"):
            self.assert_problem(self.http.read("disk", name), 502, "entry-corrupt")
            self.assert_status(self.http.head(entry_target("disk", name)), 502)
        # Also a part that does not hold the damage, and before the first byte.
        part = self.http.get(entry_target("disk", "large"), {"Range": "bytes=2000000-2000009"})
        self.assert_problem(part, 502, "entry-corrupt")
        self.assertEqual(self.http.read("disk", "sound").body, b"a sound body")
        self.assertEqual(self.http.ids("disk"), {"small", "large", "sound"})
        self.assert_status(self.http.put_entry("disk", "small", b"new"), 204)
        self.assertEqual(self.http.read("disk", "small").body, b"new")
        self.assert_status(self.http.delete(entry_target("disk", "large")), 204)
        self.assertEqual(self.run_through("scrub")["found"]["corrupt"], 0)

    def test_a_damaged_copy_is_dropped_and_fetched_again(self):
        body = b"a body that lies deeper"
        self.assert_status(self.http.put_entry("deep", "copied", body), 201)
        self.assertEqual(self.http.read("disk", "copied").body, body)
        self.assertTrue(self.http.exists("disk", "copied"))
        self.damage(body)
        state = self.run_through("scrub")
        self.assertEqual((state["found"]["corrupt"], state["found"]["dropped"]), (0, 1))
        self.assertFalse(self.http.exists("disk", "copied"))
        self.assertEqual(self.http.read("disk", "copied").body, body)
        self.assertTrue(self.http.exists("disk", "copied"))
        self.assertEqual(self.run_through("scrub")["found"]["dropped"], 0)

    def test_steering(self):
        body = bytes(range(256)) * 4096 * 32  # longer than a pause takes to arrive
        self.assert_status(self.http.put_entry("disk", "long", body), 201)
        answer = self.assert_status(self.http.post("/pools/disk/scrub", b""), 202)
        self.assertEqual(answer.json()["status"], "running")
        self.assertEqual(self.assert_status(self.steer("scrub", "pause"), 200).json()["status"], "paused")
        again = self.assert_status(self.http.post("/pools/disk/scrub", b""), 202)
        self.assertEqual(again.json()["status"], "paused")
        self.assertEqual(again.json()["started_ms"], answer.json()["started_ms"])
        self.assertEqual(self.http.read("disk", "long").body, body)
        self.assertEqual(self.state("scrub")["status"], "paused")
        self.assertEqual(self.assert_status(self.steer("scrub", "resume"), 200).json()["status"], "running")
        self.assertEqual(self.assert_status(self.steer("scrub", "cancel"), 200).json()["status"], "cancelled")
        self.assert_problem(self.steer("scrub", "resume"), 409, "not-running")
        self.assertEqual(self.run_through("scrub")["status"], "finished")
        self.assert_problem(self.steer("scrub", "pause"), 409, "not-running")


class Compaction(UpkeepCase):
    config = '[pools.disk]\nkind = "hdf5"\n'

    def setUp(self):
        super().setUp()
        self.assert_status(self.http.delete("/pools/disk/entries?all=true"), 204)
        self.path = pathlib.Path(self.daemon.data) / "disk.h5"

    def waste(self, count=30):
        for number in range(count):
            self.assert_status(self.http.put_entry("disk", f"waste{number}", bytes([number]) * 300_000), 201)
        self.assert_status(self.http.put_entry("disk", "behind", b"b" * 100_000), 201, 204)
        for number in range(count):
            self.assert_status(self.http.delete(entry_target("disk", f"waste{number}")), 204)

    def test_the_file_becomes_small_and_holds_the_same(self):
        bodies = {f"e{number}": f"entry {number}".encode() * number * number for number in range(60)}
        for entry_id, body in bodies.items():
            self.assert_status(self.http.put_entry("disk", entry_id, body), 201)
        self.waste()
        state = self.run_through("compact")
        self.assertEqual(state["status"], "finished")
        self.assertEqual(state["progress"]["entries_done"], 61)
        self.assertEqual(state["progress"]["bytes_done"], state["progress"]["bytes_total"])
        self.assertLess(state["file"]["bytes_after"], state["file"]["bytes_before"] / 2)
        for entry_id, body in bodies.items():
            self.assertEqual(self.http.read("disk", entry_id).body, body)
        self.assertEqual(self.http.ids("disk"), set(bodies) | {"behind"})
        self.daemon.restart()
        self.http = self.new_client(self.daemon)
        for entry_id, body in bodies.items():
            self.assertEqual(self.http.read("disk", entry_id).body, body)
        self.assertEqual([item.name for item in self.path.parent.iterdir() if "compact" in item.name], [])

    def test_traffic_goes_on(self):
        """Writers and readers on keys of their own, compactions one after the other; then the same by h5py."""
        self.waste()
        stop = threading.Event()
        held, wrong, turns = {}, [], [0] * 4

        def work(number):
            client = self.daemon.client()
            mine = {}
            for turn in range(10_000):
                if stop.is_set():
                    break
                name = f"w{number}-{turn % 17}"
                if turn % 5 == 4:
                    status = client.delete(entry_target("disk", name)).status
                    mine.pop(name, None)
                else:
                    mine[name] = f"{name} {turn} ".encode() * (1 + turn % 50 * 20)
                    status = client.put_entry("disk", name, mine[name]).status
                looked = f"w{number}-{turn * 7 % 17}"
                answer = client.read("disk", looked)
                if status not in (201, 204) or (answer.body if answer.status == 200 else None) != mine.get(looked):
                    wrong.append((status, answer))
                turns[number] = turn
            client.close()
            held.update(mine)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        try:
            passes = 0
            while passes < 5 or min(turns) < 17:
                self.assertEqual(self.run_through("compact")["status"], "finished")
                self.assertTrue(all(thread.is_alive() for thread in threads))
                passes += 1
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(wrong, [])
        self.assertGreater(len(held), 20)
        for name, body in held.items():
            self.assertEqual(self.http.read("disk", name).body, body)
        self.daemon.stop()
        with h5py.File(self.path, "r") as file:
            self.assertEqual({name: bytes(file[name][()]) for name in file if name != "behind"}, held)
        self.daemon.start()

    def test_steering(self):
        self.assert_status(self.http.put_entry("disk", "long", bytes(range(256)) * 4096 * 32), 201, 204)
        self.assert_status(self.http.post("/pools/disk/compact", b""), 202)
        state = self.assert_status(self.steer("compact", "pause"), 200).json()
        self.assertEqual(state["status"], "paused")
        self.assert_status(self.http.put_entry("disk", "meanwhile", b"new"), 201)
        self.assertEqual(self.state("compact")["status"], "paused")
        self.assert_status(self.steer("compact", "resume"), 200)
        until(lambda: self.ended("compact"), "the end of the compaction", 60)
        self.assertEqual(self.http.read("disk", "meanwhile").body, b"new")
        self.assert_problem(self.steer("compact", "cancel"), 409, "not-running")

    def test_killed_while_it_runs(self):
        bodies = {f"e{number}": bytes([number]) * (number * 40_000) for number in range(40)}
        for entry_id, body in bodies.items():
            self.assert_status(self.http.put_entry("disk", entry_id, body), 201)
        for turn in range(5):
            self.assert_status(self.http.post("/pools/disk/compact", b""), 202)
            self.assert_status(self.http.put_entry("disk", "acknowledged", str(turn).encode()), 201, 204)
            self.daemon.kill()
            self.daemon.start()
            self.http = self.new_client(self.daemon)
            self.assertEqual(self.http.read("disk", "acknowledged").body, str(turn).encode())
            for entry_id, body in bodies.items():
                self.assertEqual(self.http.read("disk", entry_id).body, body)


class Requests(UpkeepCase):
    config = '[pools.disk]\nkind = "hdf5"\n[pools.fixed]\nkind = "hdf5"\nread_only = true\n'

    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon(config='[pools.fixed]\nkind = "hdf5"\n')
        cls.addClassCleanup(cls.daemon.remove)
        cls.daemon.start()
        with cls.daemon.client() as client:
            client.put_entry("fixed", "sound", b"a sound body")
            client.put_entry("fixed", "rotten", b"a body that will rot")
        cls.daemon.stop()
        cls.daemon.config = cls.config
        cls.daemon.start()

    def test_before_anything_was_asked_for(self):
        self.assertEqual(
            self.state("scrub", "disk"),
            {
                "status": "not_started",
                "progress": NOT_STARTED,
                "started_ms": None,
                "ended_ms": None,
                "found": {"corrupt": 0, "corrupt_ids": [], "dropped": 0, "learned": 0, "unreadable": 0},
            },
        )
        head = self.assert_status(self.http.head("/pools/disk/scrub"), 200)
        self.assertEqual(head.body, b"")

    def test_what_is_no_action(self):
        for body in ('{"action": "stop"}', '{"action": 1}', '{"action": "pause", "now": true}', "{}", "[]", "null", "{"):
            with self.subTest(body=body):
                answer = self.http.post("/pools/disk/scrub", body.encode(), {"Content-Type": "application/json"})
                self.assert_problem(answer, 400, "invalid-body")
        answer = self.http.post("/pools/disk/scrub", b'{"action": "pause"}', {"Content-Type": "text/plain"})
        self.assert_problem(answer, 415, "unsupported-media-type")
        self.assert_problem(self.http.post("/pools/disk/scrub?now=1", b""), 400, "invalid-query")
        self.assert_problem(self.http.post("/pools/none/scrub", b""), 404, "pool-not-found")
        answer = self.http.delete("/pools/disk/scrub")
        self.assert_problem(answer, 405, "method-not-allowed")
        self.assertEqual(answer.header("Allow"), "GET, HEAD, POST, OPTIONS")

    def test_kinds_without_it(self):
        for work in ("scrub", "compact"):
            for answer in (
                self.http.get(f"/pools/alpha/{work}"),
                self.http.post(f"/pools/alpha/{work}", b""),
                self.steer(work, "cancel", "alpha"),
            ):
                problem = self.assert_problem(answer, 501, "unsupported")
                self.assertEqual(problem["pool"], "alpha")
        capabilities = self.http.get("/pools/alpha").json()["capabilities"]
        self.assertEqual((capabilities["compacts"], capabilities["scrubs"]), (False, False))
        self.assertIs(self.http.get("/pools/disk").json()["capabilities"]["scrubs"], True)

    def test_a_file_that_is_only_read_is_not_compacted(self):
        self.assert_problem(self.http.post("/pools/fixed/compact", b""), 409, "pool-read-only")
        state = self.state("compact", "fixed")
        self.assertEqual(state["status"], "error")
        self.assertEqual(state["error"]["type"], "urn:lailad:problem:pool-read-only")
        self.assertEqual(state["file"], {"bytes_before": None, "bytes_after": None})

    def test_a_file_that_is_only_read_is_looked_at_too(self):
        self.damage(b"a body that will rot", "fixed.h5")
        state = self.run_through("scrub", "fixed")
        self.assertEqual((state["status"], state["found"]["corrupt_ids"]), ("finished", ["rotten"]))
        self.assert_problem(self.http.read("fixed", "rotten"), 502, "entry-corrupt")
        self.assertEqual(self.http.read("fixed", "sound").body, b"a sound body")
