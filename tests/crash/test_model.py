#!/usr/bin/python3
"""The judge is judged: model.py finds each kind of damage in real files, and lets pass what a crash may leave."""

import hashlib
import os
import tempfile
import unittest

import h5py
import numpy

from model import CACHED, OWNED, Model, State, compare, read_file


def state(text, hold=OWNED):
    return State(hashlib.sha256(text.encode()).hexdigest(), "text/plain", len(text), hold)


class Rules(unittest.TestCase):
    def setUp(self):
        self.model = Model()

    def do(self, action, text=None, happened=True, hold=OWNED):
        self.model.begin("a thread", "key", action, state(text, hold) if text is not None else None)
        self.model.end("a thread", happened)

    def kinds(self, text=None, hold=OWNED, name="key"):
        found = {} if text is None else {name: state(text, hold)}
        return {problem.split(":")[0] for problem in compare(self.model, found)}

    def test_acknowledged_writes_stand(self):
        self.do("put", "one")
        self.do("put", "two")
        self.assertEqual(self.kinds("two"), set())
        self.assertEqual(self.kinds("one"), {"stale"})
        self.assertEqual(self.kinds(), {"lost"})
        self.assertEqual(self.kinds("three"), {"wrong bytes"})
        self.assertEqual(self.kinds("two", CACHED), {"metadata"})
        self.assertEqual(self.kinds("two", name="other"), {"lost", "unknown"})

    def test_deleted_entries_stay_away(self):
        self.do("put", "one")
        self.do("delete")
        self.assertEqual(self.kinds(), set())
        self.assertEqual(self.kinds("one"), {"stale"})

    def test_under_way_is_before_or_after(self):
        self.do("put", "one")
        self.model.begin("a thread", "key", "put", state("two"))
        self.assertEqual((self.kinds("one"), self.kinds("two"), self.kinds()), (set(), set(), {"lost"}))

    def test_a_delete_under_way(self):
        self.do("put", "one")
        self.model.begin("a thread", "key", "delete")
        self.assertEqual((self.kinds("one"), self.kinds()), (set(), set()))

    def test_refused_writes_change_nothing(self):
        self.do("put", "one")
        self.do("put", "two", happened=False)
        self.assertEqual((self.kinds("one"), self.kinds("two")), (set(), {"stale"}))

    def test_nobody_can_tell(self):
        self.do("put", "one")
        self.do("put", "two", happened=None)
        self.assertEqual((self.kinds("one"), self.kinds("two"), self.kinds()), (set(), set(), {"lost"}))

    def test_copies_may_vanish_and_are_never_wrong(self):
        self.do("fill", "one", hold=CACHED)
        self.do("fill", "two", hold=CACHED)
        for allowed in ("one", "two", None):
            self.assertEqual(self.kinds(allowed, CACHED), set())
        self.assertEqual(self.kinds("three", CACHED), {"wrong bytes"})
        self.do("delete")
        self.assertEqual(self.kinds("two", CACHED), {"stale"})

    def test_a_copy_under_way_never_replaces_an_owned_entry(self):
        self.do("put", "one")
        self.model.begin("a thread", "key", "fill", state("two", CACHED))
        self.assertEqual((self.kinds("one"), self.kinds("two", CACHED)), (set(), {"stale"}))

    def test_settled(self):
        self.do("fill", "one", hold=CACHED)
        self.model.settle({})
        self.assertEqual(self.kinds("one", CACHED), {"unknown"})


class Files(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "file.h5")

    def write(self, body, told=None):
        with h5py.File(self.path, "w") as file:
            item = file.create_dataset("key", data=numpy.frombuffer(body, numpy.uint8))
            item.attrs["lailad_sha256"] = numpy.bytes_(told or hashlib.sha256(body).hexdigest())
            item.attrs["lailad_content_type"] = numpy.bytes_("text/plain")
            return item.id.get_offset()

    def kinds(self):
        found, problems = read_file(self.path)
        return found, [problem.split(":")[0] for problem in problems]

    def test_sound(self):
        self.write(b"one")
        self.assertEqual(self.kinds(), ({"key": state("one")}, []))

    def test_a_byte_is_wrong(self):
        offset = self.write(b"one")
        with open(self.path, "r+b") as file:
            file.seek(offset)
            file.write(b"O")
        self.assertEqual(self.kinds(), ({"key": state("One")}, ["wrong bytes"]))

    def test_a_group_is_no_entry(self):
        with h5py.File(self.path, "w") as file:
            file.create_group("key")
        self.assertEqual(self.kinds(), ({}, ["unknown"]))

    def test_cut_off(self):
        self.write(bytes(5000))
        os.truncate(self.path, 3000)
        self.assertEqual(self.kinds(), ({}, ["unopenable"]))

    def test_no_hdf5_at_all(self):
        with open(self.path, "wb") as file:
            file.write(b"text")
        self.assertEqual(self.kinds(), ({}, ["unopenable"]))


if __name__ == "__main__":
    unittest.main()
