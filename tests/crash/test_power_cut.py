#!/usr/bin/python3
"""Power cuts keep to their rules: what was synced is there, each sector is one of those that it was, names are some that the folder had."""

import random
import unittest

from power_cut import DIRECTORY, SECTOR, SET_SIZE, SYNC, SYNC_DIRECTORY, TOLD, WRITE, Record, choose_moment, cut

FILE, COPY = 11, 12
OLD, NEW = b"o" * SECTOR * 4, b"n" * SECTOR * 4


def folder(kind, **names):
    return Record(kind, 0, 0, "".join(f"{inode} {name}\n" for name, inode in names.items()).encode())


def states(records, at, count=400):
    for seed in range(count):
        yield cut({"file": FILE}, {FILE: OLD}, records, at, random.Random(seed))


class Rules(unittest.TestCase):
    def test_what_was_synced_is_there(self):
        records = [Record(WRITE, FILE, 0, NEW), Record(SYNC, FILE, 0, b"")]
        self.assertEqual({bytes(left[FILE]) for _, left in states(records, 2)}, {NEW})

    def test_a_sync_under_way_promises_nothing(self):
        records = [Record(WRITE, FILE, 0, NEW), Record(SYNC, FILE, 0, b"")]
        found = {bytes(left[FILE]) for _, left in states(records, 1)}
        self.assertTrue({OLD, NEW} < found)
        for content in found:
            sectors = {content[at:at + SECTOR] for at in range(0, len(content), SECTOR)}
            self.assertLessEqual(sectors, {OLD[:SECTOR], NEW[:SECTOR]})

    def test_writes_come_in_any_order(self):
        records = [Record(WRITE, FILE, 0, NEW[:SECTOR]), Record(WRITE, FILE, SECTOR, NEW[:SECTOR]), Record(SET_SIZE, FILE, SECTOR * 2, b"")]
        found = {bytes(left[FILE]) for _, left in states(records, 3)}
        self.assertIn(OLD[:SECTOR] + NEW[:SECTOR] + OLD[:SECTOR * 2], found)
        self.assertIn(NEW[:SECTOR] + OLD[:SECTOR], found)

    def test_what_came_later_is_not_there(self):
        records = [Record(TOLD, 0, 0, b"E"), Record(TOLD, 0, 0, b"E"), Record(WRITE, FILE, 0, NEW)]
        self.assertEqual({bytes(left[FILE]) for _, left in states(records, 1)}, {OLD})

    def test_a_new_name_may_be_there_without_its_bytes(self):
        records = [
            folder(DIRECTORY, file=FILE, copy=COPY),
            Record(WRITE, COPY, 0, NEW),
            folder(DIRECTORY, file=COPY),
            folder(SYNC_DIRECTORY, file=COPY),
        ]
        found = [(directory["file"], bytes(left[directory["file"]])) for directory, left in states(records, 3)]
        self.assertTrue({(FILE, OLD), (COPY, NEW), (COPY, b"")} <= set(found))
        self.assertEqual({directory["file"] for directory, _ in states(records, 4)}, {COPY})

    def test_moments_lie_within_what_was_done(self):
        records = [Record(TOLD, 0, 0, b"P\tcompact\tcopying\n"), Record(WRITE, FILE, 0, NEW), Record(SYNC, FILE, 0, b"")]
        moments = {choose_moment(records, random.Random(seed)) for seed in range(200)}
        self.assertEqual(moments, {0, 1, 2, 3})
        self.assertEqual(choose_moment([], random.Random(1)), 0)


if __name__ == "__main__":
    unittest.main()
