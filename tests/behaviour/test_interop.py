"""A pool file that the LAILA library wrote is served byte for byte, directly and through a cache in front of it."""

import json
import shutil
import unittest

import records
from harness import Daemon, DaemonCase


class Interop(DaemonCase):
    """The fixtures stand beside the repository (../shared/interop); without them there is nothing to compare with."""

    @classmethod
    def setUpClass(cls):
        if not records.FIXTURES.exists():
            raise unittest.SkipTest(f"no LAILA fixtures at {records.FIXTURES.parent}")
        with open(records.FIXTURES, encoding="utf-8") as source:
            cls.entries = {item["global_id"]: item for item in json.load(source)["entries"]}
        cls.daemon = Daemon(config='chain = "alpha << laila"\n[pools.laila]\nkind = "hdf5"\npath = "laila_pool.h5"\n')
        cls.addClassCleanup(cls.daemon.remove)
        cls.daemon.data.mkdir(parents=True)
        shutil.copy(records.POOL_FILE, cls.daemon.data / "laila_pool.h5")
        (cls.daemon.data / "laila_pool.h5").chmod(0o600)
        cls.daemon.start()

    def raw(self, entry_id):
        return self.entries[entry_id]["hdf5"]["raw"].encode("utf-8")

    def test_every_entry_is_listed(self):
        self.assertEqual(len(self.entries), 16)
        self.assertEqual(self.http.ids("laila"), set(self.entries))
        self.assertEqual(self.http.ids("laila", limit=5), set(self.entries))

    def test_every_entry_byte_for_byte(self):
        for entry_id in self.entries:
            with self.subTest(id=entry_id):
                answer = self.assert_status(self.http.read("laila", entry_id), 200)
                self.assertEqual(answer.body, self.raw(entry_id))
                self.assertEqual(answer.header("Content-Type"), "application/json")
                head = self.http.head(f"/pools/laila/entries/{entry_id}")
                self.assertEqual(head.header("Content-Length"), str(len(self.raw(entry_id))))

    def test_through_a_cache(self):
        for entry_id in self.entries:
            with self.subTest(id=entry_id):
                first = self.assert_status(self.http.read("alpha", entry_id), 200)
                self.assertEqual(first.body, self.raw(entry_id))
                self.assertTrue(self.http.exists("alpha", entry_id))
                second = self.assert_status(self.http.read("alpha", entry_id), 200)
                self.assertEqual([(name, "hit" in status) for name, status in second.tiers()], [("alpha", True)])
                self.assertEqual(second.body, self.raw(entry_id))
                self.assertEqual(second.header("Content-Type"), "application/json")

    def test_the_same_through_an_object_store(self):
        """What the library puts into S3 is what it puts into HDF5."""
        for entry_id, item in self.entries.items():
            with self.subTest(id=entry_id):
                stored = item["s3"]["raw"].encode("utf-8")
                self.assert_status(self.http.put_entry("alpha", "s3:" + entry_id, stored), 201, 204)
                self.assertEqual(self.http.read("alpha", "s3:" + entry_id).body, stored)

    def test_writing_into_the_librarys_file(self):
        """A new entry stands beside the old ones, and all of them are still readable by h5py."""
        try:
            import h5py
        except ImportError:
            self.skipTest("needs python3-h5py")
        daemon = Daemon(config='[pools.laila]\nkind = "hdf5"\npath = "laila_pool.h5"\n')
        self.addCleanup(daemon.remove)
        daemon.data.mkdir(parents=True)
        shutil.copy(records.POOL_FILE, daemon.data / "laila_pool.h5")
        (daemon.data / "laila_pool.h5").chmod(0o600)
        daemon.start()
        client = self.new_client(daemon)
        ours = records.global_id("proxy_demo")
        self.assert_status(client.put_entry("laila", ours, records.demo_record(), {"Content-Type": "application/json"}), 201)
        self.assertEqual(client.ids("laila"), set(self.entries) | {ours})
        for entry_id in self.entries:
            self.assertEqual(client.read("laila", entry_id).body, self.raw(entry_id))
        client.close()
        daemon.stop()
        with h5py.File(daemon.data / "laila_pool.h5", "r") as file:
            self.assertEqual(len(file), 17)
            for entry_id in [*self.entries, ours]:
                text = file[entry_id.replace(":", "%3A")][()]
                expected = records.demo_record() if entry_id == ours else self.raw(entry_id)
                self.assertEqual(text, expected)
