"""One range of bytes of an entry, wherever in the chain the entry lies: what comes, what is kept, what the origin is asked.

The matrix is every place an entry can lie in, times every form of Range, times every form of If-Range; what is expected is worked out
from RFC 9110 by `expected` below, not taken from an answer.
"""

import hashlib
import os
import re

from client import entry_target, query_target
from harness import DaemonCase, until
from origin import Origin, object_name

KIB = 1024
MIB = 1024 * 1024
SIZES = {"empty": 0, "small": 3000, "streamed": 2 * MIB + 7, "large": 9 * MIB + 3}  # range_fill_max is 8 MiB
PLACES = ("alpha", "disk", "s3")

# name: (Range, what it means to an entry of n bytes: (first, end), "whole", "none" or "bad")
RANGES = {
    "first": ("bytes=0-0", lambda n: (0, min(1, n))),
    "inside": ("bytes=100-1099", lambda n: (100, min(1100, n))),
    "open": ("bytes=2000-", lambda n: (2000, n)),
    "last": ("bytes=-1", lambda n: (max(0, n - 1), n)),
    "tail": ("bytes=-500", lambda n: (max(0, n - 500), n)),
    "all": ("bytes=0-", lambda n: (0, n)),
    "more than all": ("bytes=-99999999999", lambda n: (0, n)),
    "over the end": ("bytes=10-99999999999999999999999", lambda n: (10, n)),
    "deep": ("bytes=1500000-1999999", lambda n: (1500000, min(2000000, n))),
    "behind the end": ("bytes=99999999-", lambda n: (99999999, n)),
    "none": ("bytes=-0", lambda n: (n, n)),
    "several": ("bytes=0-1,5-6", lambda n: "whole"),
    "another unit": ("lines=0-1", lambda n: "whole"),
    "backwards": ("bytes=5-2", lambda n: "bad"),
    "no digits": ("bytes=-", lambda n: "bad"),
    "no unit": ("0-5", lambda n: "bad"),
}
# name: (If-Range made from the entity tag, whether the part may be served)
IF_RANGES = {
    "absent": (lambda tag: None, True),
    "current": (lambda tag: tag, True),
    "another": (lambda tag: '"other"', False),
    "weak": (lambda tag: "W/" + tag, False),
    "a date": (lambda tag: "Sun, 22 Nov 2026 10:00:00 GMT", False),
}


def expected(size, meaning, is_current):
    """(status, first, end) by RFC 9110, 13.1.5 and 14.2."""
    if meaning == "bad":
        return 400, 0, 0
    if meaning == "whole" or not is_current:
        return 200, 0, size
    first, end = meaning
    return (206, first, end) if first < end else (416, 0, 0)


class RangeCase(DaemonCase):
    """alpha << disk << s3 on a scripted origin."""

    @classmethod
    def setUpClass(cls):
        cls.origin = Origin()
        cls.addClassCleanup(cls.origin.stop)
        cls.config = 'chain = "alpha << disk << s3"\n[pools.disk]\nkind = "hdf5"\n' + cls.origin.pool("s3")
        super().setUpClass()
        cls.bodies = {name: os.urandom(size) for name, size in SIZES.items()}

    def lay(self, place, size, entry_id):
        """The entry lies in this tier, and in none above it."""
        for pool in PLACES[:2]:
            self.assert_status(self.http.delete(entry_target(pool, entry_id)), 204)
        if place == "s3":
            self.origin.put(object_name(entry_id), self.bodies[size], "application/x-test")
        else:
            answer = self.http.put(entry_target(place, entry_id), self.bodies[size], {"Content-Type": "application/x-test"})
            self.assertIn(answer.status, (201, 204))

    def tag(self, place, size):
        digest = hashlib.sha256(self.bodies[size]).hexdigest()
        return f'"s3-{hashlib.md5(self.bodies[size]).hexdigest()}"' if place == "s3" else f'"{digest}"'

    def get(self, target, asked, if_range=None, **more):
        headers = {"Range": asked, **more}
        if if_range is not None:
            headers["If-Range"] = if_range
        return self.http.get(target, headers)

    def assert_part(self, answer, size, status, first, end):
        body = self.bodies[size]
        self.assert_status(answer, status)
        if status in (200, 206):
            self.assertEqual(answer.header("Content-Length"), str(end - first))
            self.assertEqual(hashlib.sha256(answer.body).digest(), hashlib.sha256(body[first:end]).digest())
            self.assertEqual(answer.header("Accept-Ranges"), "bytes")
            self.assertEqual(answer.header("Content-Type"), "application/x-test")
        else:
            self.assertEqual(answer.header("Content-Type"), "application/problem+json")
        fields = {206: f"bytes {first}-{end - 1}/{len(body)}", 416: f"bytes */{len(body)}"}
        self.assertEqual(answer.header("Content-Range"), fields.get(status))
        # What judged the request had found the entry: where, is told on a refusal too.
        self.assertEqual(bool(answer.tiers()), status != 400)


def matrix(cls):
    """One test per place, size, Range and If-Range."""

    def add(place, size, range_name, if_name):
        def test(self):
            entry_id = f"{place} {size}"
            make_tag, is_current = IF_RANGES[if_name]
            asked, meaning = RANGES[range_name]
            self.lay(place, size, entry_id)
            answer = self.get(entry_target("alpha", entry_id), asked, make_tag(self.tag(place, size)))
            self.assert_part(answer, size, *expected(SIZES[size], meaning(SIZES[size]), is_current))

        words = re.sub(r"[^a-z0-9]+", "_", f"{place}_{size}_{range_name}_if_{if_name}")
        setattr(cls, f"test_{words}", test)

    for place in PLACES:
        for size in SIZES:
            for range_name in RANGES:
                for if_name in IF_RANGES if range_name in ("inside", "tail", "behind the end") else ("absent",):
                    add(place, size, range_name, if_name)
    return cls


@matrix
class Matrix(RangeCase):
    pass


class Fills(RangeCase):
    def where(self, entry_id):
        return [self.http.exists(pool, entry_id) for pool in PLACES]

    def test_a_part_of_a_small_cold_entry_brings_the_whole(self):
        self.lay("s3", "streamed", "k")
        answer = self.get(entry_target("alpha", "k"), "bytes=5-9")
        self.assert_part(answer, "streamed", 206, 5, 10)
        self.assertEqual(
            answer.tiers(), [("s3", {"hit": True}), ("disk", {"fwd": "uri-miss", "stored": True}), ("alpha", {"fwd": "uri-miss", "stored": True})]
        )
        until(lambda: self.where("k") == [True, True, True], "the copies")  # the part was out before the body was complete
        self.assertEqual(self.origin.asked_ranges(object_name("k")), [])
        again = self.get(entry_target("alpha", "k"), "bytes=-3")
        self.assert_part(again, "streamed", 206, SIZES["streamed"] - 3, SIZES["streamed"])
        self.assertEqual(again.tiers(), [("alpha", {"hit": True})])
        self.assertEqual(self.origin.count("GET", object_name("k")), 1)

    def test_a_part_of_a_large_cold_entry_brings_only_itself(self):
        self.lay("s3", "large", "l")
        answer = self.get(entry_target("alpha", "l"), "bytes=5000000-5000009")
        self.assert_part(answer, "large", 206, 5000000, 5000010)
        self.assertEqual(
            answer.tiers(), [("s3", {"hit": True}), ("disk", {"fwd": "partial"}), ("alpha", {"fwd": "partial"})]
        )
        self.assertEqual(self.where("l"), [False, False, True])
        self.assertEqual(self.origin.asked_ranges(object_name("l")), ["bytes=5000000-5000009"])

    def test_a_part_of_a_large_entry_one_tier_below(self):
        self.lay("disk", "large", "d")
        answer = self.get(entry_target("alpha", "d"), "bytes=-10")
        self.assert_part(answer, "large", 206, SIZES["large"] - 10, SIZES["large"])
        self.assertEqual(answer.tiers(), [("disk", {"hit": True}), ("alpha", {"fwd": "partial"})])
        self.assertEqual(self.where("d")[:2], [False, True])

    def test_an_outdated_part_of_a_large_cold_entry_is_the_whole_and_is_kept(self):
        self.lay("s3", "large", "o")
        answer = self.get(entry_target("alpha", "o"), "bytes=0-1", '"old"')
        self.assert_part(answer, "large", 200, 0, SIZES["large"])
        self.assertEqual(self.where("o"), [True, True, True])

    def test_no_store_keeps_nothing(self):
        self.lay("s3", "small", "n")
        self.assert_part(self.get(entry_target("alpha", "n"), "bytes=1-2", **{"Cache-Control": "no-store"}), "small", 206, 1, 3)
        self.assertEqual(self.where("n"), [False, False, True])

    def test_only_if_cached_looks_here_only(self):
        self.lay("disk", "small", "c")
        only = {"Cache-Control": "only-if-cached"}
        self.assert_status(self.get(entry_target("alpha", "c"), "bytes=1-2", **only), 504)
        self.assert_part(self.get(entry_target("disk", "c"), "bytes=1-2", **only), "small", 206, 1, 3)

    def test_absent_everywhere(self):
        answer = self.get(entry_target("alpha", "nowhere"), "bytes=1-2")
        self.assert_problem(answer, 404, "entry-not-found")

    def test_a_failing_origin_is_no_absence(self):
        self.lay("s3", "large", "f")
        self.origin.fail(object_name("f"), 403, "AccessDenied", times=20)
        self.addCleanup(self.origin.behave, object_name("f"))
        self.assert_problem(self.get(entry_target("alpha", "f"), "bytes=1-2"), 502, "tier-denied")


class Together(RangeCase):
    def test_conditions_come_first(self):
        for place in PLACES:
            with self.subTest(place=place):
                self.lay(place, "small", f"cond {place}")
                target, tag = entry_target("alpha", f"cond {place}"), self.tag(place, "small")
                self.assertEqual(self.get(target, "bytes=0-1", **{"If-None-Match": tag}).status, 304)
                self.assertEqual(self.get(target, "bytes=0-1", **{"If-None-Match": '"other"'}).status, 206)
                refused = self.assert_status(self.get(target, "bytes=0-1", **{"If-Match": '"other"'}), 412)
                self.assertEqual(refused.tiers()[-1][0], "alpha")
                self.assertTrue(any("hit" in parameters for _, parameters in refused.tiers()))
                self.assertEqual(self.get(target, "bytes=0-1", **{"If-Match": "*"}).status, 206)
                self.assertEqual(self.get(target, "bytes=9999-", **{"If-None-Match": tag}).status, 304)

    def test_head_has_no_parts(self):
        self.lay("alpha", "small", "h")
        answer = self.http.ask("HEAD", entry_target("alpha", "h"), headers={"Range": "bytes=0-1"})
        self.assertEqual((answer.status, answer.header("Content-Length")), (200, str(SIZES["small"])))
        self.assertIsNone(answer.header("Content-Range"))

    def test_the_other_way_to_name_an_entry(self):
        self.lay("disk", "streamed", "..")
        self.assert_part(self.get(query_target("disk", ".."), "bytes=7-9"), "streamed", 206, 7, 10)

    def test_the_digest_is_that_of_the_whole(self):
        self.lay("alpha", "small", "digest")
        whole = self.http.get(entry_target("alpha", "digest"))
        part = self.get(entry_target("alpha", "digest"), "bytes=0-1")
        self.assertEqual(part.header("ETag"), whole.header("ETag"))
        self.assertEqual(part.header("Repr-Digest"), whole.header("Repr-Digest"))

    def test_a_plain_read_after_a_part_is_the_whole(self):
        """The finished answer that is kept with an entry is never a part's."""
        self.lay("alpha", "small", "kept")
        for _ in range(3):
            self.assert_part(self.get(entry_target("alpha", "kept"), "bytes=0-1"), "small", 206, 0, 2)
            answer = self.http.get(entry_target("alpha", "kept"))
            self.assertEqual((answer.status, answer.body), (200, self.bodies["small"]))
