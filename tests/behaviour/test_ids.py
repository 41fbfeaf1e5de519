"""Ids of every awkward shape go round through all three kinds, by both routes, and are found where other tools look."""

import unittest

import objects
from client import entry_target, escape, query_target
from harness import DaemonCase

LONGEST = 1024

AWKWARD = [
    "LAILA:ENTRY:GLOBAL_ID:337c29d3-0d76-5c15-a560-7e5cf329259e",
    "LAILA%3AENTRY%3AGLOBAL_ID%3A337c29d3-0d76-5c15-a560-7e5cf329259e",
    "LAILA:ENTRY:337c29d3-0d76-5c15-a560-7e5cf329259e@evolution=0",
    "a:b",
    "a%3Ab",
    "a%3ab",
    "a%253Ab",
    "%",
    "%%",
    "%00",
    "%2F",
    "%2E",
    "%2e%2e",
    "/",
    "//",
    "/leading",
    "trailing/",
    "a/b",
    "a//b",
    "a/../b",
    "../../etc/passwd",
    "./a",
    ".",
    "..",
    "...",
    " ",
    "  ",
    " leading",
    "trailing ",
    "two words",
    "+",
    "one+one",
    "a?b=c",
    "a#fragment",
    "a&b=c;d",
    "id=x",
    "*",
    "~tilde_under-dash.dot",
    "back\\slash",
    "'single' \"double\" `tick`",
    "<xml>&amp;</xml>",
    "{json}[1]",
    "tab\there",
    "line\nbreak\r\n",
    "\x01\x02\x1f",
    "\x7f",
    "é",
    "e\u0301",
    "日本語/キー",
    "🚰 emoji 👩‍👩‍👧",
    "\u200bzero width",
    "\ufeffbom",
    "\uffff",
    "\U0010ffff",
    "case",
    "CASE",
    "0",
    "null",
    "entries",
    "entry",
    "proxy_to",
    "alpha",
    "x" * 255,
    "y" * 256,
    "z" * LONGEST,
]
# 1024 bytes that grow when they are percent-encoded: too long for an object store, and only for that.
LONG_ENCODED = "é" * (LONGEST // 2)


def body_of(entry_id):
    return b"body of \0 " + entry_id.encode("utf-8")


class Ids(DaemonCase):
    """The shared cases; each kind below runs them on its own pool."""

    pool = None
    extra = [LONG_ENCODED]

    @classmethod
    def setUpClass(cls):
        if cls is Ids:
            raise unittest.SkipTest("abstract")
        super().setUpClass()

    def setUp(self):
        super().setUp()
        self.ids = AWKWARD + self.extra
        self.assertEqual(len(set(self.ids)), len(self.ids))

    def fill(self):
        for entry_id in self.ids:
            with self.subTest(id=entry_id):
                answer = self.http.put(entry_target(self.pool, entry_id), body_of(entry_id), {"Content-Type": "text/x-odd"})
                self.assert_status(answer, 201, 204)
                if answer.status == 201:
                    location = answer.header("Location")
                    self.assertEqual(self.http.get(location).body, body_of(entry_id), f"Location {location}")

    def empty(self):
        self.assert_status(self.http.delete(f"/pools/{self.pool}/entries?all=true"), 204)

    def test_round_trip(self):
        """Each id is its own entry: nothing is normalised, folded, decoded twice or taken for a path."""
        self.addCleanup(self.empty)
        self.fill()
        for entry_id in self.ids:
            for target in (entry_target(self.pool, entry_id), query_target(self.pool, entry_id)):
                with self.subTest(target=target):
                    answer = self.assert_status(self.http.get(target), 200)
                    self.assertEqual(answer.body, body_of(entry_id))
                    self.assertEqual(answer.header("Content-Type"), "text/x-odd")
                    head = self.assert_status(self.http.head(target), 200)
                    self.assertEqual(head.header("Content-Length"), str(len(body_of(entry_id))))
                    self.assertEqual(head.body, b"")
        self.assertEqual(self.http.ids(self.pool), set(self.ids))
        self.assertEqual(self.http.ids(self.pool, limit=7), set(self.ids))
        self.look_from_outside()

        # Half of them go away by one route, half by the other; the rest stays what it was.
        gone, kept = self.ids[::2], self.ids[1::2]
        for at, entry_id in enumerate(gone):
            target = (entry_target if at % 2 else query_target)(self.pool, entry_id)
            with self.subTest(delete=target):
                self.assert_status(self.http.delete(target), 204)
                self.assert_problem(self.http.get(target), 404, "entry-not-found")
        for entry_id in kept:
            with self.subTest(kept=entry_id):
                self.assertEqual(self.http.get(query_target(self.pool, entry_id)).body, body_of(entry_id))
        self.assertEqual(self.http.ids(self.pool), set(kept))

    def test_put_through_the_query_route(self):
        self.addCleanup(self.empty)
        for entry_id in (".", "..", "a/b", "a%2Fb", "100%", "1+1 = 2"):
            with self.subTest(id=entry_id):
                self.assert_status(self.http.put(query_target(self.pool, entry_id), body_of(entry_id)), 201, 204)
                self.assertEqual(self.http.get(entry_target(self.pool, entry_id)).body, body_of(entry_id))

    def test_spellings_of_one_id(self):
        """Escapes are decoded exactly once, whatever their case and whether they were needed."""
        self.addCleanup(self.empty)
        self.assert_status(self.http.put_entry(self.pool, "é:a", b"one"), 201, 204)
        for spelling in ("%C3%A9:a", "%c3%a9%3aa", "%C3%A9%3A%61"):
            with self.subTest(spelling=spelling):
                self.assertEqual(self.http.get(f"/pools/{self.pool}/entries/{spelling}").body, b"one")
        self.assert_status(self.http.get(f"/pools/{self.pool}/entries/%25C3%25A9%253Aa"), 404)

    def test_prefix_is_on_the_decoded_id(self):
        self.addCleanup(self.empty)
        for entry_id in ("p/1", "p/2", "p%2F3", "pé", "q", "%", "%25"):
            self.assert_status(self.http.put_entry(self.pool, entry_id, b"x"), 201, 204)
        for prefix, expected in (
            ("p/", {"p/1", "p/2"}),
            ("p", {"p/1", "p/2", "p%2F3", "pé"}),
            ("p%", {"p%2F3"}),
            ("pé", {"pé"}),
            ("%", {"%", "%25"}),
            ("%2", {"%25"}),
            ("none", set()),
        ):
            with self.subTest(prefix=prefix):
                self.assertEqual(self.http.ids(self.pool, prefix=prefix), expected)
                self.assertEqual(self.http.ids(self.pool, prefix=prefix, limit=1), expected)

    def look_from_outside(self):
        """What another tool finds in the store, for kinds that have one."""


class MemoryIds(Ids):
    pool = "alpha"


class Hdf5Ids(Ids):
    pool = "disk"
    config = '[pools.disk]\nkind = "hdf5"\n'

    def test_after_a_restart(self):
        self.addCleanup(self.empty)
        self.fill()
        self.daemon.restart()
        self.http = self.new_client(self.daemon)
        for entry_id in self.ids:
            with self.subTest(id=entry_id):
                answer = self.assert_status(self.http.get(entry_target(self.pool, entry_id)), 200)
                self.assertEqual(answer.body, body_of(entry_id))
        self.assertEqual(self.http.ids(self.pool, limit=9), set(self.ids))

    def test_link_names(self):
        """h5py sees the percent-encoded ids as link names of the root group; `.` is spelled %2E."""
        try:
            import h5py
        except ImportError:
            self.skipTest("needs python3-h5py")
        daemon = self.new_daemon(config=self.config)
        client = self.new_client(daemon)
        for entry_id in self.ids:
            self.assert_status(client.put_entry("disk", entry_id, body_of(entry_id)), 201)
        daemon.stop()
        with h5py.File(daemon.data / "disk.h5", "r") as file:
            expected = {"%2E" if entry_id == "." else escape(entry_id) for entry_id in self.ids}
            self.assertEqual(set(file.keys()), expected)
            text = file[escape("a:b")]
            self.assertEqual(bytes(text[()].tobytes() if text.shape else text[()]), body_of("a:b"))


class S3Ids(Ids):
    pool = "bucket"
    extra = []

    @classmethod
    def setUpClass(cls):
        cls.bucket = objects.Bucket()
        cls.addClassCleanup(cls.bucket.remove)
        cls.config = cls.bucket.pool("bucket") + '[pools.disk]\nkind = "hdf5"\n'
        super().setUpClass()

    def setUp(self):
        super().setUp()
        # An object's name is the encoded id: what grows over the store's limit is not tried here.
        self.ids = [entry_id for entry_id in self.ids if len(escape(entry_id)) <= LONGEST]

    def look_from_outside(self):
        self.assertEqual(self.bucket.keys(), {escape(entry_id) for entry_id in self.ids})
        for entry_id in ("a/../b", "..", "日本語/キー", "a%3Ab"):
            self.assertEqual(self.bucket.get(entry_id), (body_of(entry_id), "text/x-odd"))

    def test_an_id_too_long_for_the_store(self):
        """A write says so; in a cascade that tier is a miss and gets no fill."""
        answer = self.http.put_entry(self.pool, LONG_ENCODED, b"x")
        self.assert_problem(answer, 400, "id-too-long-for-pool")
        self.assert_problem(self.http.read(self.pool, LONG_ENCODED), 404, "entry-not-found")
        self.assertFalse(self.http.exists(self.pool, LONG_ENCODED))
        self.assert_status(self.http.wire("alpha << bucket << disk"), 200)
        self.addCleanup(self.http.put, "/chain", "", {"Content-Type": "text/plain"})
        self.addCleanup(self.http.delete, "/pools/alpha/entries?all=true")
        self.assert_status(self.http.put_entry("disk", LONG_ENCODED, b"deep"), 201)
        self.assertEqual(self.assert_status(self.http.read("alpha", LONG_ENCODED), 200).body, b"deep")
        self.assertTrue(self.http.exists("alpha", LONG_ENCODED))
        self.assertEqual(self.bucket.keys(), set())

    def test_foreign_keys_are_not_entries(self):
        """Objects whose names are not the canonical encoding of an id are neither listed nor emptied."""
        for key in ("plain/slash", "lower%3acase", "bad%zz", "a b"):
            self.bucket.client.put_object(Bucket=self.bucket.name, Key=key, Body=b"foreign")
        self.bucket.put("ours", b"entry")
        self.assertEqual(self.http.ids(self.pool), {"ours"})
        self.empty()
        self.assertEqual(self.bucket.keys(), {"plain/slash", "lower%3acase", "bad%zz", "a b"})
        for key in self.bucket.keys():
            self.bucket.client.delete_object(Bucket=self.bucket.name, Key=key)
