"""LAILA's tutorial 6, line by line, over HTTP against a real S3 server.

Every value the tutorial prints is collected in the order it is printed and compared with what the tutorial's comments say.
`laila.memorize(entry, pool_nickname=…)` is a PUT of the entry's record; `exists` is HEAD; `pool[id]` is GET; None is 404.
"""

import objects
import records
from harness import DaemonCase

GID = records.global_id("proxy_demo")
RECORD = records.demo_record()
LOCAL_GID = records.global_id("local_only")

WIRED = "alpha << proxy_hdf5 << proxy_s3\n"

# What the tutorial prints, top to bottom; BLOB stands for the entry's bytes.
BLOB = RECORD
PRINTED = (
    [False, False, True]  # step 1: stored directly in S3
    + [True, True, True]  # step 2: after one read through alpha
    + [True, False, False]  # step 4: a write is local
    + [False, True, True]  # step 5: so is a delete
    + [True]  # ... and the next read cascades again
    + [None, BLOB]  # step 6: detached, reattached
)


class Tutorial(DaemonCase):
    """The pools as the tutorial makes them: keys from secrets.toml, the HDF5 pool registered while running."""

    @classmethod
    def setUpClass(cls):
        cls.bucket = objects.Bucket()
        cls.addClassCleanup(cls.bucket.remove)
        # The tutorial's secret names fill in bucket, keys and region; only where the server is has to be said.
        cls.config = f'[pools.proxy_s3]\nkind = "s3"\nendpoint = "{cls.bucket.endpoint}"\naddressing = "path"\n'
        cls.secrets = cls.bucket.secrets()
        super().setUpClass()

    def setUp(self):
        super().setUp()
        made = self.http.post_json("/pools", {"nickname": "proxy_hdf5", "kind": "hdf5", "config": {}})
        self.assert_status(made, 201)
        self.addCleanup(self.forget_everything)

    def forget_everything(self):
        self.assert_status(self.http.put("/chain", "", {"Content-Type": "text/plain"}), 200)
        for pool in ("alpha", "proxy_hdf5", "proxy_s3"):
            self.assert_status(self.http.delete(f"/pools/{pool}/entries?all=true"), 204)
        self.assert_status(self.http.delete("/pools/proxy_hdf5"), 204)

    def wire(self, text):
        answer = self.assert_status(self.http.wire(text), 200)
        self.assertEqual(answer.header("Content-Type").split(";")[0], "text/plain")
        self.assertEqual(answer.body.decode(), WIRED)

    def value(self, pool, entry_id):
        """pool[id]: the bytes, or None."""
        answer = self.assert_status(self.http.read(pool, entry_id), 200, 404)
        if answer.status == 404:
            self.assert_problem(answer, 404, "entry-not-found")
            return None
        self.assertEqual(answer.header("Content-Type"), "application/json")
        return answer.body

    def everywhere(self, entry_id):
        return [self.http.exists(pool, entry_id) for pool in ("alpha", "proxy_hdf5", "proxy_s3")]

    def test_every_printed_value(self):
        printed = []
        # laila.alpha_pool << hdf5_pool << s3_pool
        self.wire("alpha << proxy_hdf5 << proxy_s3")
        self.assertEqual(self.http.proxy_of("alpha"), "proxy_hdf5")
        self.assertEqual(self.http.proxy_of("proxy_hdf5"), "proxy_s3")
        self.assertIsNone(self.http.proxy_of("proxy_s3"))

        # Step 1: store an entry directly in S3
        stored = self.http.put_entry("proxy_s3", GID, RECORD, {"Content-Type": "application/json"})
        self.assert_status(stored, 201, 204)
        self.assertEqual(self.bucket.get(GID), (RECORD, "application/json"), "a Python user finds the same object")
        printed += self.everywhere(GID)

        # Step 2: one read through alpha fills every tier
        self.assertEqual(self.value("alpha", GID), RECORD)
        printed += self.everywhere(GID)

        # Step 3: the second read is a local hit: no other tier is named
        again = self.assert_status(self.http.read("alpha", GID), 200)
        self.assertEqual(again.body, RECORD)
        self.assertEqual([(name, status.get("hit")) for name, status in again.tiers()], [("alpha", True)])

        # Step 4: writes are local only
        self.assert_status(self.http.put_entry("alpha", LOCAL_GID, b'"local_blob"'), 201)
        printed += self.everywhere(LOCAL_GID)
        self.assertEqual(self.bucket.keys(), {"LAILA%3AENTRY%3AGLOBAL_ID%3A" + records.uuid_of("proxy_demo")})

        # Step 5: deletes are local only
        self.assert_status(self.http.delete(f"/pools/alpha/entries/{GID}"), 204)
        printed += self.everywhere(GID)
        self.assertEqual(self.value("alpha", GID), RECORD)
        printed.append(self.http.exists("alpha", GID))

        # Step 6: detach ... (proxy_to = None; del; read)
        detached = self.http.put_json("/pools/alpha/proxy_to", {"pool": None})
        self.assert_status(detached, 200)
        self.assertIsNone(detached.json()["pool"])
        self.assert_status(self.http.delete(f"/pools/alpha/entries/{GID}"), 204)
        printed.append(self.value("alpha", GID))
        # ... and reattach
        self.wire("alpha << proxy_hdf5 << proxy_s3")
        printed.append(self.value("alpha", GID))

        self.assertEqual(printed, PRINTED)

        # Clean up: forget in S3, empty the HDF5 pool, detach alpha; each of them local
        self.assert_status(self.http.delete(f"/pools/proxy_s3/entries/{GID}"), 204)
        self.assertEqual(self.bucket.keys(), set())
        self.assertEqual(self.everywhere(GID), [True, True, False])
        self.assert_status(self.http.delete("/pools/proxy_hdf5/entries?all=true"), 204)
        self.assertEqual(self.everywhere(GID), [True, False, False])
        self.assert_status(self.http.put_json("/pools/alpha/proxy_to", {"pool": None}), 200)
        self.assertEqual(self.value("alpha", GID), RECORD, "alpha keeps its copy when it is detached")

    def assert_cascades(self):
        self.bucket.put(GID, RECORD)
        self.assertEqual(self.everywhere(GID), [False, False, True])
        self.assertEqual(self.value("alpha", GID), RECORD)
        self.assertEqual(self.everywhere(GID), [True, True, True])

    def test_the_other_operator(self):
        """s3_pool >> hdf5_pool >> alpha_pool is the same wiring."""
        self.wire("proxy_s3 >> proxy_hdf5 >> alpha")
        self.assert_cascades()

    def test_assignment(self):
        """alpha_pool.proxy_to = hdf5_pool; hdf5_pool.proxy_to = s3_pool"""
        for pool, origin in (("alpha", "proxy_hdf5"), ("proxy_hdf5", "proxy_s3")):
            answer = self.assert_status(self.http.put_json(f"/pools/{pool}/proxy_to", {"pool": origin}), 200)
            self.assertEqual(answer.json()["pool"], origin)
        self.assertEqual(self.http.get("/chain").body.decode(), WIRED)
        self.assert_cascades()

    def test_the_wiring_is_invisible_in_the_pools(self):
        """Each pool stays independently configurable: no description of a pool shows its link."""
        self.wire("alpha << proxy_hdf5 << proxy_s3")
        for pool in ("alpha", "proxy_hdf5", "proxy_s3"):
            described = self.assert_status(self.http.get(f"/pools/{pool}"), 200)
            self.assertNotIn("proxy", described.body.decode().replace("proxy_hdf5", "").replace("proxy_s3", ""))
            self.assertNotIn(self.bucket.secret, described.body.decode())


class TutorialOverRest(DaemonCase):
    """The S3 pool registered while running, with literal credentials, as the tutorial's constructor call has them."""

    @classmethod
    def setUpClass(cls):
        cls.bucket = objects.Bucket()
        cls.addClassCleanup(cls.bucket.remove)
        super().setUpClass()

    def test_a_pool_made_at_run_time(self):
        for nickname, kind, config in (("proxy_hdf5", "hdf5", {}), ("proxy_s3", "s3", self.bucket.options())):
            made = self.http.post_json("/pools", {"nickname": nickname, "kind": kind, "config": config})
            self.assert_status(made, 201)
            self.assertEqual(made.header("Location"), f"/pools/{nickname}")
            self.assertNotIn(self.bucket.secret.encode(), made.body)
        self.assert_status(self.http.wire("alpha << proxy_hdf5 << proxy_s3"), 200)
        self.bucket.put(GID, RECORD)
        self.assertEqual(self.http.read("alpha", GID).body, RECORD)
        self.assertEqual([self.http.exists(pool, GID) for pool in ("alpha", "proxy_hdf5", "proxy_s3")], [True] * 3)
