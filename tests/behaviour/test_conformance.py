"""HTTP conformance: method × precondition × range × where the entry lies × kind of pool, one test a row.

What has to come is worked out by `Model` below, which knows nothing of the daemon's code: RFC 9110 (13.2.2: order and meaning
of preconditions, 14.2: ranges, 9.3: methods) and the rules of this service (a read cascades and fills before it is judged; HEAD,
PUT and DELETE see the named pool only; only absence is a miss). Each row checks status, body, the fields that follow from them,
Cache-Status, and what was done besides: what the pool holds afterwards and what the origin was asked.

Each row has an entry of its own, so that no row depends on another. test_ranges.py has the forms of Range in full.
"""

import hashlib
import re

from client import entry_target
from harness import DaemonCase, until
from origin import Origin, object_name

BODY = bytes(range(256)) * 11 + b"the end"  # 2823 bytes
NEW = b"what was written instead"
LEAST_ROWS = 300  # fewer are a fault of whoever makes them, and would pass unseen
TYPE = "application/x-row; v=1"
SHA = f'"{hashlib.sha256(BODY).hexdigest()}"'
VALIDATOR = f'"s3-{hashlib.md5(BODY).hexdigest()}"'  # of an object whose digest the store does not know
OTHER = '"another"'
OLD_DATE, LATE_DATE = "Mon, 05 Jan 1998 10:00:00 GMT", "Fri, 01 Jan 2100 10:00:00 GMT"

# The pools asked, by kind; each proxies to `far`, which is scripted. near has a script of its own.
POOLS = {"memory": "mem", "hdf5": "disk", "s3": "near"}
STATES = ("hot", "cold", "absent", "failing")  # in the asked pool; in far; nowhere; far answers 403 to everything

# name: fields, where {tag} is the entry's tag. A list is a list of tags.
CONDITIONS = {
    "plain": {},
    "match": {"If-Match": "{tag}"},
    "match other": {"If-Match": OTHER},
    "match any": {"If-Match": "*"},
    "match weak": {"If-Match": "W/{tag}"},
    "match list": {"If-Match": OTHER + ", {tag}"},
    "none match": {"If-None-Match": "{tag}"},
    "none match other": {"If-None-Match": OTHER},
    "none match any": {"If-None-Match": "*"},
    "none match weak": {"If-None-Match": "W/{tag}"},
    "none match list": {"If-None-Match": 'W/"x",' + OTHER + ",,{tag}"},
    "match and none match": {"If-Match": "{tag}", "If-None-Match": "{tag}"},
    "match and none match other": {"If-Match": "{tag}", "If-None-Match": OTHER},
    "match other and none match": {"If-Match": OTHER, "If-None-Match": "{tag}"},
    "unmodified since long ago": {"If-Unmodified-Since": OLD_DATE},
    "modified since tomorrow": {"If-Modified-Since": LATE_DATE},
    "match malformed": {"If-Match": "{tag}, bare"},
    "none match malformed": {"If-None-Match": '"open'},
    "match and unmodified since": {"If-Match": "{tag}", "If-Unmodified-Since": OLD_DATE},
    "none match other and modified since": {"If-None-Match": OTHER, "If-Modified-Since": LATE_DATE},
}
FEW_CONDITIONS = ("plain", "match", "match other", "none match", "none match any", "match other and none match")
WHOLE, MALFORMED = "whole", "malformed"
# name: (Range, the part [first, end) of BODY it means)
RANGES = {
    "all": (None, WHOLE),
    "first": ("bytes=0-0", (0, 1)),
    "middle": ("bytes=700-1500", (700, 1501)),
    "suffix": ("bytes=-7", (len(BODY) - 7, len(BODY))),
    "open": ("bytes=2800-", (2800, len(BODY))),
    "beyond": ("bytes=90000-90001", (90000, 90002)),
    "malformed": ("bytes=9-3", MALFORMED),
    "several": ("bytes=0-0,-1", WHOLE),
    "unknown unit": ("lines=1-2", WHOLE),
}
IF_RANGES = {
    "tag": "{tag}",
    "other": OTHER,
    "weak": "W/{tag}",
    "date": LATE_DATE,
    "nonsense": "nonsense",
}


def split_tags(value):
    """(is weak, opaque tag) of each member; RFC 9110, 8.8.3 and 5.6.1: empty members do not count."""
    return [(weak == "W/", tag) for weak, tag in re.findall(r'(W/)?("[^"]*")', value)]


class Row:
    def __init__(self, method, kind, state, condition, range_name="all", if_range=None):
        self.method, self.kind, self.state = method, kind, state
        self.condition, self.range_name, self.if_range = condition, range_name, if_range
        self.pool = POOLS[kind]
        self.name = " ".join(filter(None, (method, kind, state, condition, range_name, if_range and f"if range {if_range}")))

    def tag(self):
        """A strong tag by which every method knows the entry: the digest, unless only the store's validator is known."""
        return VALIDATOR if self.kind == "s3" and self.state == "hot" else SHA

    def fields(self):
        fields = {name: value.format(tag=self.tag()) for name, value in CONDITIONS[self.condition].items()}
        if RANGES[self.range_name][0]:
            fields["Range"] = RANGES[self.range_name][0]
        if self.if_range:
            fields["If-Range"] = IF_RANGES[self.if_range].format(tag=self.tag())
        return fields


class Expected:
    """An answer, and what the asked pool holds afterwards (None: nothing)."""

    def __init__(self, status, problem=None, part=None, tag=None, tiers=None, kept=None, far_reads=0):
        self.status, self.problem, self.part, self.tag = status, problem, part, tag
        self.tiers, self.kept, self.far_reads = tiers, kept, far_reads


class Model:
    """Worked out from the RFC and the contract; one method per rule."""

    def __init__(self, row):
        self.row = row
        self.fields = row.fields()
        self.is_here = row.state == "hot"

    def expected(self):
        return getattr(self, self.row.method.lower())()

    def is_malformed(self):
        """A check of the request itself, which comes before anything is looked for (RFC 9110, 13.2.1)."""
        return self.row.condition.endswith("malformed")

    # 13.1.1 and 13.1.2, for an entry with these tags (None: there is none)
    def match_holds(self, tags):
        value = self.fields["If-Match"]
        if value == "*":
            return tags is not None
        return tags is not None and any(not weak and tag in tags for weak, tag in split_tags(value))

    def none_match_holds(self, tags):
        value = self.fields["If-None-Match"]
        if value == "*":
            return tags is None
        return tags is None or not any(tag in tags for _, tag in split_tags(value))

    # 13.2.2. Entries have no modification date: conditions on one are ignored (13.1.3, 13.1.4).
    def refusal(self, tags, is_read):
        if "If-Match" in self.fields and not self.match_holds(tags):
            return 412
        if "If-None-Match" in self.fields and not self.none_match_holds(tags):
            return 304 if is_read else 412
        return None

    def missing(self, far_says):
        tiers = [("far", far_says), (self.row.pool, {"fwd": "uri-miss"})]
        if self.row.state == "failing":
            return Expected(502, "tier-denied", tiers=tiers, far_reads=1)
        return Expected(404, "entry-not-found", tiers=tiers, far_reads=1)

    def get(self):
        row = self.row
        asked = RANGES[row.range_name][1]
        kept = BODY if self.is_here else None
        if asked == MALFORMED or self.is_malformed():
            return Expected(400, "invalid-header", kept=kept)
        if row.state == "absent":  # 13.2.1: the answer would not be 2xx without the conditions
            return self.missing({"fwd": "uri-miss"})
        if row.state == "failing":
            return self.missing({"fwd": "miss", "detail": "denied"})
        # The digest is known when stored or when the whole was fetched; a part of an object leaves it unknown.
        is_digest_known = not (row.kind == "s3" and self.is_here and asked != WHOLE and not self.is_outdated_part())
        is_through_store = row.state == "cold" or row.kind == "s3"
        tags = ([SHA] if is_digest_known else []) + ([VALIDATOR] if is_through_store else [])
        hit = [(row.pool, {"hit": True})]
        tiers = hit if self.is_here else [("far", {"hit": True}), (row.pool, {"fwd": "uri-miss", "stored": True})]
        far_reads = 0 if self.is_here else 1
        common = {"tiers": tiers, "kept": BODY, "far_reads": far_reads}
        refusal = self.refusal(tags, is_read=True)
        if refusal == 412:
            return Expected(412, "precondition-failed", kept=BODY, far_reads=far_reads)
        if refusal == 304:  # 14.2: judged before the range is, by what is known then
            is_placed = row.kind == "s3" and self.is_here and asked != WHOLE
            return Expected(304, tag=VALIDATOR if is_placed else tags[0], **common)
        if asked == WHOLE or self.is_outdated_part():
            return Expected(200, part=(0, len(BODY)), tag=tags[0], **common)
        first, end = asked
        if first >= len(BODY):
            return Expected(416, "range-not-satisfiable", kept=BODY, far_reads=far_reads)
        return Expected(206, part=(first, end), tag=tags[0], **common)

    def is_outdated_part(self):
        """13.1.5: a strong tag that matches, or the whole. A date cannot be compared with none."""
        return "If-Range" in self.fields and self.fields["If-Range"] != self.row.tag()

    def head(self):  # 14.2: Range means nothing to it
        if self.is_malformed():
            return Expected(400, "invalid-header", kept=BODY if self.is_here else None)
        tiers = [(self.row.pool, {"hit": True, "detail": "local"} if self.is_here else {"detail": "local"})]
        if not self.is_here:
            return Expected(404, "entry-not-found", tiers=tiers)
        tags = [self.row.tag()]
        refusal = self.refusal(tags, is_read=True)
        if refusal == 412:
            return Expected(412, "precondition-failed", kept=BODY)
        return Expected(refusal or 200, part=(0, len(BODY)), tag=tags[0], tiers=tiers, kept=BODY)

    def changed(self, success):
        if self.is_malformed() or ("If-Match" in self.fields and "If-None-Match" in self.fields):
            return Expected(400, "invalid-header", kept=BODY if self.is_here else None)
        if self.refusal([self.row.tag()] if self.is_here else None, is_read=False):
            is_missing = "If-Match" in self.fields and not self.is_here
            # far is behind a network and is not asked for the wording: it may have the entry.
            return Expected(412, "not-local" if is_missing else "precondition-failed", kept=BODY if self.is_here else None)
        return success

    def put(self):
        tells = self.row.kind != "s3" and not self.is_here  # an object store does not say what was there
        return self.changed(Expected(201 if tells else 204, tag=f'"{hashlib.sha256(NEW).hexdigest()}"', kept=NEW))

    def delete(self):
        return self.changed(Expected(204))


def rows():
    for kind in POOLS:
        for state in STATES:
            for condition in CONDITIONS:
                for range_name in RANGES if condition in FEW_CONDITIONS and state in ("hot", "cold") else ("all", "middle", "malformed"):
                    yield Row("GET", kind, state, condition, range_name)
                for method in ("HEAD", "PUT", "DELETE"):
                    yield Row(method, kind, state, condition)
            for if_range in IF_RANGES:
                for range_name in ("all", "middle", "beyond", "malformed", "several"):
                    yield Row("GET", kind, state, "plain", range_name, if_range)
                yield Row("GET", kind, state, "none match", "middle", if_range)
            for method in ("HEAD", "PUT", "DELETE"):
                for range_name in ("middle", "beyond", "malformed"):
                    yield Row(method, kind, state, "plain", range_name, "other")


class ConformanceCase(DaemonCase):
    """mem << far, disk << far, near << far."""

    @classmethod
    def setUpClass(cls):
        cls.far, cls.near = Origin(), Origin()
        cls.addClassCleanup(cls.far.stop)
        cls.addClassCleanup(cls.near.stop)
        cls.config = (
            'chain = ["mem << far", "disk << far", "near << far"]\n[pools.mem]\nkind = "memory"\n[pools.disk]\nkind = "hdf5"\n'
            + cls.near.pool("near")
            + cls.far.pool("far")
        )
        super().setUpClass()
        cls.connection = cls.daemon.client()
        cls.addClassCleanup(cls.connection.close)

    def lay(self, row):
        name = object_name(row.name)
        if row.state == "cold":
            self.far.put(name, BODY, TYPE)
        elif row.state == "failing":
            self.far.put(name, BODY, TYPE)
            self.far.fail(name, 403, "AccessDenied", times=20)
        elif row.state == "hot" and row.kind == "s3":
            self.near.put(name, BODY, TYPE)
        elif row.state == "hot":
            self.assert_status(self.connection.put_entry(row.pool, row.name, BODY, {"Content-Type": TYPE}), 201)
        with self.far.lock:
            self.far.log.clear()

    def held(self, row):
        """What the asked pool itself has, or None."""
        if row.kind == "s3":
            return self.near.get(object_name(row.name))
        answer = self.connection.read(row.pool, row.name, {"Cache-Control": "only-if-cached"})
        return self.assert_status(answer, 200, 504).body if answer.status == 200 else None

    def assert_row(self, row):
        expected = Model(row).expected()
        self.lay(row)
        fields = row.fields()
        if row.method == "PUT":
            fields["Content-Type"] = "text/plain"
        body = NEW if row.method == "PUT" else None
        answer = self.connection.ask(row.method, entry_target(row.pool, row.name), body, fields)
        self.assert_status(answer, expected.status)
        if expected.status < 400:
            self.assert_success(row, answer, expected)
        else:
            self.assert_refusal(row, answer, expected)
        if expected.tiers is not None:
            self.assertEqual(answer.tiers(), expected.tiers)
        self.assertIsNotNone(answer.header("Date"))
        # What was done besides. A copy into a store behind a network is made in the background.
        if row.kind == "s3" and row.method == "GET" and row.state == "cold" and expected.kept is not None:
            until(lambda: self.held(row) == expected.kept, "the copy in near")
        self.assertEqual(self.held(row), expected.kept)
        self.assert_asked(row, expected)

    def assert_asked(self, row, expected):
        """far is read at most once, and never written. A part is looked for with HEAD first, and failures are looked at again."""
        with self.far.lock:
            asked = [method for method, key in self.far.log if key == object_name(row.name)]
        if "Range" in row.fields() and expected.far_reads:
            asked = [method for method in asked if method != "HEAD"]
            if row.state != "cold":
                asked = sorted(set(asked))
        self.assertEqual(asked, ["GET"] * expected.far_reads, "what far was asked")

    def assert_success(self, row, answer, expected):
        self.assertEqual(answer.header("ETag"), expected.tag)
        is_read = row.method in ("GET", "HEAD")
        self.assertEqual(answer.header("Cache-Control"), "no-cache" if row.method == "GET" else "no-store")
        self.assertIsNone(answer.header("Last-Modified"), "the model takes entries to have no date")
        if not is_read:
            self.assertEqual(answer.body, b"")
            self.assertEqual(answer.header("Location") is not None, answer.status == 201)
            return
        if answer.status == 304:
            self.assertEqual(answer.body, b"")
            self.assertIn(answer.header("Content-Length"), (None, str(len(BODY))))  # RFC 9110, 8.6
            return
        first, end = expected.part
        self.assertEqual(answer.header("Content-Length"), str(end - first))
        self.assertEqual(answer.body, b"" if row.method == "HEAD" else BODY[first:end])
        self.assertEqual(answer.header("Content-Range"), f"bytes {first}-{end - 1}/{len(BODY)}" if answer.status == 206 else None)
        self.assertEqual(answer.header("Content-Type"), TYPE)
        self.assertEqual(answer.header("Accept-Ranges"), "bytes")
        self.assertEqual(answer.header("X-Content-Type-Options"), "nosniff")
        self.assertEqual(answer.header("Content-Security-Policy"), "sandbox")
        self.assertEqual(answer.header("Repr-Digest") is not None, expected.tag == SHA, "the digest goes with its tag")

    def assert_refusal(self, row, answer, expected):
        self.assertIsNone(answer.header("ETag"))
        self.assertEqual(answer.header("Content-Range"), f"bytes */{len(BODY)}" if answer.status == 416 else None)
        if row.method == "HEAD":
            self.assertEqual(answer.body, b"")
            return
        problem = self.assert_problem(answer, expected.status, expected.problem)
        self.assertEqual(problem.get("tiers"), ["far"] if expected.status == 502 else None)


def one_test_a_row(cls):
    made = list(rows())
    if len(made) < LEAST_ROWS:
        raise AssertionError(f"{len(made)} rows are no matrix")
    for row in made:
        name = "test_" + re.sub(r"[^a-z0-9]+", "_", row.name.lower())
        if name in cls.__dict__:
            raise AssertionError(f"two rows are called {name}")
        setattr(cls, name, lambda self, row=row: self.assert_row(row))
    return cls


@one_test_a_row
class Matrix(ConformanceCase):
    def setUp(self):
        self.assertTrue(self.daemon.is_running(), "the daemon died in an earlier row")
