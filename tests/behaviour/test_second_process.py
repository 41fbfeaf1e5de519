"""One file, one process: whoever comes second to the file of an hdf5 pool, or to its journal, is told so and changes nothing."""

import fcntl
import os
import pathlib
import shutil
import tempfile

import h5py

from harness import Case

BODY = b"the first daemon's"


class SecondProcess(Case):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="lailad-test-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.file = self.folder / "pool.h5"

    def config(self, path):
        return f'chain = "alpha << disk"\n[pools.disk]\nkind = "hdf5"\npath = "{path}"\n'

    def first(self):
        daemon = self.new_daemon(config=self.config(self.file))
        http = self.new_client(daemon)
        self.assert_status(http.put_entry("disk", "entry", BODY), 201)
        return daemon, http

    def lock(self, path):
        """As another program would; given back at the end of the test."""
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self.addCleanup(os.close, handle)
        fcntl.flock(handle, fcntl.LOCK_EX)
        return handle

    def assert_refused(self, path):
        """A daemon that comes second serves everything else, and says why not this."""
        daemon = self.new_daemon(config=self.config(path))
        http = self.new_client(daemon)
        state = self.assert_status(http.get("/pools/disk"), 200).json()["state"]
        self.assertEqual(state["status"], "failed")
        self.assertRegex(state["reason"], "another pool or program|lock|in use")
        ready = self.assert_problem(http.get("/readyz"), 503, "not-ready")
        self.assertEqual([pool["ready"] for pool in ready["pools"]], [True, False])
        self.assert_problem(http.read("disk", "entry"), 502, "pool-failed")
        self.assert_problem(http.put_entry("disk", "entry", b"the second's"), 502, "pool-failed")
        self.assert_status(http.put_entry("alpha", "entry", b"in memory"), 201)
        return daemon

    def test_a_second_daemon(self):
        daemon, http = self.first()
        (self.folder / "link.h5").symlink_to(self.file)
        os.link(self.file, self.folder / "other-name.h5")
        for path in (self.file, self.folder / "link.h5", self.folder / "other-name.h5"):
            with self.subTest(path.name):
                second = self.assert_refused(path)
                second.stop()
                self.assertEqual(http.read("disk", "entry").body, BODY)
                self.assert_status(http.put_entry("disk", "more", path.name), 201, 204)
        http.close()
        daemon.stop()
        # The file is free again.
        third = self.new_daemon(config=self.config(self.file))
        self.assertEqual(self.new_client(third).read("disk", "entry").body, BODY)

    def test_a_daemon_that_was_killed_holds_nothing(self):
        daemon, http = self.first()
        http.close()
        daemon.kill()
        second = self.new_daemon(config=self.config(self.file))
        self.assertEqual(self.new_client(second).read("disk", "entry").body, BODY)

    def test_the_file_is_locked(self):
        daemon, http = self.first()
        http.close()
        daemon.stop()
        self.lock(self.file)
        self.assert_refused(self.file)

    def test_the_journal_is_locked(self):
        """By a process that is about to bring the file up to date, perhaps."""
        daemon, http = self.first()
        http.close()
        daemon.stop()
        before = self.file.read_bytes()
        journal = self.folder / "pool.h5-journal"
        self.lock(journal)
        self.assert_refused(self.file)
        self.assertEqual(self.file.read_bytes(), before)
        self.assertTrue(journal.exists(), "somebody else's journal was removed")

    def test_over_rest(self):
        daemon = self.new_daemon(config="")
        self.lock(daemon.data / "new.h5")
        http = self.new_client(daemon)
        answer = http.post_json("/pools", {"nickname": "new", "kind": "hdf5", "config": {}})
        self.assert_problem(answer, 409, "file-in-use")
        self.assert_status(http.get("/pools/new"), 404)

    def test_h5py_while_the_daemon_runs(self):
        """It would see metadata from before and after a commit; it sees the lock instead."""
        _, http = self.first()
        for mode in ("r", "r+"):
            with self.subTest(mode=mode), self.assertRaises(BlockingIOError):
                h5py.File(self.file, mode)
        self.assertEqual(http.read("disk", "entry").body, BODY)
