"""Disks that are full or broken under an hdf5 pool: the answer says so, nothing is lost that was acknowledged, reads go on.

Full: 507, nothing changed, and once there is room writes work. A write that fails: 502, nothing changed. A sync that fails: nobody knows
what the disk holds, so the pool takes no writes any more until it is opened again, which recovers. A write that takes less than it was
given: carried on.
"""

import errno
import hashlib
import os
import unittest

from client import entry_target
from faults import ALLOCATE, SHORT, SYNC, WRITE, Faults, SmallDisk
from harness import Case
from ledger import Ledger, problem_name

KIB = 1024
MIB = 1024 * 1024
DISK = '[pools.disk]\nkind = "hdf5"\nhot_max_bytes = 0\n'
# Which of the calls of one round of changes fail: each of the first, then some of the many that large bodies make.
PLACES = [*range(24), *range(24, 240, 9)]


def body_of(number, size):
    return hashlib.shake_128(b"body %d" % number).digest(size)


class DiskCase(Case):
    def begin(self, config=DISK, env=None):
        self.ledger = Ledger("disk")
        self.daemon = self.new_daemon(config=config, env=env)
        self.file = self.daemon.data / "disk.h5"
        self.connect()

    def connect(self):
        self.http = self.new_client(self.daemon)

    def put(self, name, body, *statuses, **kwargs):
        return self.assert_status(self.ledger.put(self.http, name, body, **kwargs), *(statuses or (201, 204)))

    def state(self):
        return self.assert_status(self.http.get("/pools/disk"), 200).json()["state"]["status"]

    def assert_sound(self):
        """As the daemon sees it now."""
        self.assertEqual(self.ledger.problems(self.http), [])

    def assert_file_sound(self):
        """As others see it after a clean end, and as the daemon does when it starts again."""
        self.http.close()
        self.daemon.stop()
        self.assertEqual(self.ledger.problems_of_file(self.file), [])
        self.daemon.start()
        self.connect()
        self.assert_sound()

    def crash(self):
        self.http.close()
        self.daemon.kill()

    def restart_after_crash(self):
        self.crash()
        self.daemon.start()
        self.connect()
        self.assert_sound()


class Full(DiskCase):
    """A file system that is really full; the pool's file is alone on it."""

    @classmethod
    def setUpClass(cls):
        disk = SmallDisk(1, 0)
        disk.remove()
        if disk.refused:
            raise unittest.SkipTest(f"a small file system cannot be mounted here: {disk.refused}")

    def setUp(self):
        self.disk = SmallDisk(32, 8)
        self.addCleanup(self.disk.remove)
        path = self.disk.folder / "disk.h5"
        self.begin(DISK + f'path = "{path}"\n')
        self.file = path

    def write_until_full(self, size):
        """Names of those that were taken."""
        taken = []
        for number in range(32 * MIB // size + 1):
            answer = self.put(f"{size} {number}", body_of(number, size), 201, 204, 507)
            if answer.status == 507:
                self.assert_problem(answer, 507, "no-space")
                self.assertFalse(self.http.exists("disk", f"{size} {number}"), "it was refused and is there")
                self.assertTrue(taken, "the disk was full before anything was written")
                return taken
            taken.append(f"{size} {number}")
        raise AssertionError("the disk never was full")

    def assert_refused(self, name, size):
        """And what it was to replace is still there."""
        before = self.http.read("disk", name)
        self.assert_problem(self.put(name, body_of(99, size), 507), 507, "no-space")
        after = self.http.read("disk", name)
        self.assertEqual((after.status, after.body), (before.status, before.body))

    def test_full_and_room_again(self):
        self.put("small", b"small")
        large = self.write_until_full(MIB)
        self.write_until_full(64 * KIB)
        self.assert_refused(large[0], 3 * MIB)
        self.assert_refused("new", 2 * MIB)
        self.assert_refused("small", 900 * KIB)
        self.assertEqual(self.state(), "ok")
        self.assert_sound()
        self.disk.make_room()
        self.put("new", body_of(100, 2 * MIB))
        self.put(large[0], body_of(101, MIB))
        self.put("small", b"another")
        self.assert_status(self.ledger.delete(self.http, large[1]), 204)
        self.assert_file_sound()

    def test_entries_give_room(self):
        """Nothing but deleted entries makes room."""
        large = self.write_until_full(MIB)
        for name in large[: len(large) // 2]:
            self.assert_status(self.ledger.delete(self.http, name), 204)
        for number in range(3):
            self.put(f"in its place {number}", body_of(200 + number, MIB))
        self.assert_file_sound()

    def test_uploads_of_unknown_length(self):
        large = self.write_until_full(MIB)
        for pieces in (10000, 300000):
            answer = self.put(large[0], body_of(98, 5 * MIB), 507, pieces=pieces)
            self.assert_problem(answer, 507, "no-space")
        self.assert_sound()
        self.disk.make_room()
        self.put(large[0], body_of(98, 5 * MIB), pieces=300000)
        self.assert_file_sound()

    def test_a_crash_while_full(self):
        self.put("small", b"small")
        self.write_until_full(MIB)
        self.write_until_full(16 * KIB)
        self.disk.fill_up()
        self.assert_sound()
        self.crash()
        self.disk.make_room()
        self.daemon.start()
        self.connect()
        self.assert_sound()
        self.put("small", body_of(102, 100 * KIB))
        self.assert_file_sound()

    def test_a_start_while_full(self):
        """What a crash left has to be recovered, and there may be no room for that: then the pool says so."""
        self.put("small", b"small")
        self.write_until_full(MIB)
        self.disk.fill_up()
        self.crash()
        self.daemon.start()
        self.connect()
        answer = self.http.read("disk", "small")
        if answer.status != 200:
            self.assertIn(problem_name(answer), ("pool-failed", "no-space"))
            self.assert_status(self.http.get("/readyz"), 503)
        self.disk.make_room()
        self.http.close()
        self.daemon.restart()
        self.connect()
        self.assert_sound()
        self.assert_file_sound()


class Broken(DiskCase):
    """Calls that fail on command."""

    def setUp(self):
        self.faults = Faults()
        self.addCleanup(self.faults.remove)
        self.begin(env=self.faults.environment())
        self.put("kept", body_of(1, 3000))
        self.put("large", body_of(2, 2 * MIB))
        self.put("changed", body_of(3, 40000))

    def assert_works(self):
        self.assertEqual(self.state(), "ok")
        self.put("afterwards", os.urandom(1000))
        self.assert_sound()

    def assert_poisoned(self):
        """No writes, and everybody is told; reads go on."""
        self.assertEqual(self.state(), "poisoned")
        self.assert_status(self.http.get("/readyz"), 503)
        answer = self.put("afterwards", b"refused", 503)
        self.assert_problem(answer, 503, "pool-poisoned")
        self.assertTrue(answer.header("Retry-After"))
        self.assert_problem(self.ledger.delete(self.http, "kept"), 503, "pool-poisoned")
        self.assert_status(self.http.read("disk", "kept"), 200)
        self.assertEqual(self.http.read("disk", "large").body, body_of(2, 2 * MIB))

    def unpoison(self):
        """For the next case to begin anew, whatever became of the one before."""
        self.faults.disarm()
        if self.state() == "poisoned":
            self.crash()
            self.daemon.start()
            self.connect()

    def changes(self):
        """Each kind of change: how it is made."""
        return {
            "small": lambda **more: self.ledger.put(self.http, "changed", os.urandom(2000), **more),
            "new": lambda **more: self.ledger.put(self.http, "new", os.urandom(100), **more),
            "streamed": lambda **more: self.ledger.put(self.http, "large", os.urandom(3 * MIB), **more),
            "unknown length": lambda **more: self.ledger.put(self.http, "changed", os.urandom(2 * MIB), pieces=300000, **more),
            "delete": lambda **more: self.ledger.delete(self.http, "changed", **more),
        }

    # ---- writes ----

    def meet_failure(self, change, error):
        """The answer of the change that the failed call belonged to. What the change before left to be done may meet it instead: then this
        change was made, or it was under way in a file that was set back and is to be sent again."""
        for _ in range(3):
            self.faults.arm(WRITE, error, count=1)
            answer = change()
            self.assertEqual(self.faults.disarm(), 1, "no write failed")
            self.assert_sound()
            if answer.status >= 400 and problem_name(answer) != "busy":
                break
        return answer

    def refused_writes(self, error, status, name):
        """One failed call each: a clear answer, nothing changed, and the next write works."""
        for what, change in self.changes().items():
            with self.subTest(what):
                self.unpoison()
                self.put("changed", body_of(3, 40000))
                self.assert_problem(self.meet_failure(change, error), status, name)
                self.assert_works()
        self.assert_file_sound()

    def test_a_write_fails(self):
        self.refused_writes(errno.EIO, 502, "tier-io-error")

    def test_a_write_finds_no_room(self):
        self.refused_writes(errno.ENOSPC, 507, "no-space")

    def test_a_quota_is_used_up(self):
        self.refused_writes(errno.EDQUOT, 507, "no-space")

    def test_every_write_fails(self):
        """As long as it does; the daemon ends meanwhile."""
        self.faults.arm(WRITE | ALLOCATE, errno.EIO)
        for what, change in self.changes().items():
            with self.subTest(what):
                answer = change()
                self.assertIn((answer.status, problem_name(answer)), [(502, "tier-io-error"), (503, "pool-poisoned")])
                self.assert_sound()
        self.crash()
        self.faults.disarm()
        self.daemon.start()
        self.connect()
        self.assert_sound()
        self.assert_works()
        self.assert_file_sound()

    def test_a_refused_registration_leaves_no_file(self):
        """Whatever fails: the file's first bytes, its journal, or the note of the pool in state.db."""
        registration = {"nickname": "more", "kind": "hdf5", "config": {}}
        for calls, pattern in ((WRITE, "more.h5$"), (WRITE, "more.h5-journal$"), (SYNC, "more.h5"), (WRITE, "state.db")):
            with self.subTest(calls=calls, pattern=pattern):
                self.faults.arm(calls, errno.ENOSPC if calls == WRITE else errno.EIO, pattern)
                answer = self.http.post_json("/pools", registration)
                self.assertGreater(self.faults.disarm(), 0)
                self.assertIn(answer.status, (500, 502, 503, 507))
                self.assertEqual(sorted(self.daemon.data.glob("more.h5*")), [])
        self.assert_status(self.http.post_json("/pools", registration), 201)
        self.assertEqual(len(list(self.daemon.data.glob("more.h5"))), 1)
        self.assert_status(self.http.delete("/pools/more"), 204)
        self.faults.arm(WRITE, errno.ENOSPC, "state.db")
        answer = self.http.post_json("/pools", registration)
        self.assertGreater(self.faults.disarm(), 0)
        self.assertGreaterEqual(answer.status, 500)
        self.assertEqual(len(list(self.daemon.data.glob("more.h5"))), 1)  # it was there before
        self.assert_status(self.http.post_json("/pools", registration), 201)
        self.assert_status(self.http.delete("/pools/more"), 204)

    def test_blocks_cannot_be_had(self):
        for error in (errno.ENOSPC, errno.EDQUOT):
            self.faults.arm(ALLOCATE, error)
            self.assert_problem(self.put("new", os.urandom(20 * MIB), 507), 507, "no-space")
            self.assert_problem(self.put("changed", os.urandom(20 * MIB), 507, pieces=300000), 507, "no-space")
            self.assertGreater(self.faults.disarm(), 0, "no call failed")
            self.assert_sound()
            self.assert_works()
        self.assert_file_sound()

    def test_short_writes(self):
        self.faults.arm(WRITE, SHORT)
        for _ in range(3):
            for change in self.changes().values():
                self.assert_status(change(), 201, 204)
        self.assertGreater(self.faults.failed(), 10, "no write was short")
        self.assert_sound()
        self.restart_after_crash()
        self.assert_file_sound()
        self.faults.disarm()

    # ---- syncs ----

    def assert_refused_by_sync(self, answer):
        self.assertIn((answer.status, problem_name(answer)), [(502, "tier-io-error"), (503, "pool-poisoned")], f"{answer}")

    def test_a_sync_fails(self):
        for what in self.changes():
            with self.subTest(what):
                self.unpoison()
                self.put("changed", body_of(3, 40000))
                self.faults.arm(SYNC, errno.EIO, count=1)
                answer = self.changes()[what](unsure=True)
                self.assertEqual(self.faults.disarm(), 1, "no sync failed: nothing was made durable")
                self.assert_refused_by_sync(answer)
                self.assert_poisoned()
                self.restart_after_crash()
        self.assert_file_sound()

    def test_a_poisoned_pool_ends_and_starts(self):
        self.faults.arm(SYNC, errno.EIO, count=1)
        self.assert_refused_by_sync(self.ledger.put(self.http, "changed", b"x", unsure=True))
        self.faults.disarm()
        self.assert_poisoned()
        self.http.close()
        self.daemon.restart()
        self.connect()
        self.assert_sound()
        self.assert_works()
        self.assert_file_sound()

    # ---- anywhere ----

    def sweep(self, calls, error):
        """The first of the calls fails, then only the second, and so on: whatever it was for, the answers are true."""
        for place in PLACES:
            self.faults.arm(calls, error, after=place, count=1)
            for change in self.changes().values():
                answer = change(unsure=calls == SYNC)
                if answer.status >= 400:
                    self.assertIn(problem_name(answer), ("tier-io-error", "no-space", "pool-poisoned", "busy"))
            failed = self.faults.disarm()
            self.assertTrue(failed or place, "no such call is made at all")
            with self.subTest(calls=calls, error=errno.errorcode[error], place=place):
                self.assert_sound()
            if self.state() == "poisoned":
                self.restart_after_crash()
            else:
                self.assert_works()
            if not failed:
                return

    def test_any_write_may_fail(self):
        self.sweep(WRITE, errno.EIO)
        self.assert_file_sound()

    def test_any_write_may_find_no_room(self):
        self.sweep(WRITE, errno.ENOSPC)
        self.assert_file_sound()

    def test_any_sync_may_fail(self):
        self.sweep(SYNC, errno.EIO)
        self.assert_file_sound()

    def test_a_failure_at_the_end(self):
        """The clean end brings the file up to date; when that fails, the next start finds everything."""
        for place in range(4):
            for calls in (WRITE, SYNC):
                with self.subTest(calls=calls, place=place):
                    self.put("changed", os.urandom(5000))
                    self.assert_status(self.http.delete(entry_target("disk", "gone")), 204)
                    self.faults.arm(calls, errno.EIO, after=place)
                    self.http.close()
                    self.daemon.stop()
                    self.faults.disarm()
                    self.daemon.start()
                    self.connect()
                    self.assert_sound()


if __name__ == "__main__":
    unittest.main()
