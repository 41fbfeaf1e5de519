"""Digests (RFC 9530) and codings on every kind: verified when sent, answered when known, kept through every copy."""

import base64
import hashlib

from client import entry_target
from harness import DaemonCase
from origin import Origin, object_name

MIB = 1024 * 1024
KINDS = ("memory", "disk", "s3")
SIZES = (0, 5, 65537, 3 * MIB)
FIELDS = ("Content-Digest", "Repr-Digest")


def coded(body):
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


class DigestCase(DaemonCase):
    """memory << disk << s3 on a scripted origin, which keeps what a PUT says."""

    @classmethod
    def setUpClass(cls):
        cls.origin = Origin()
        cls.addClassCleanup(cls.origin.stop)
        cls.config = (
            'chain = "memory << disk << s3"\n[pools.memory]\nkind = "memory"\nmax_fill_bytes = 16777216\n[pools.disk]\nkind = "hdf5"\n'
            + cls.origin.pool("s3")
        )
        super().setUpClass()

    def put(self, pool, name, body, fields=None, trailers=None, known_length=True):
        """The answer to a PUT: with its length, or chunked in three pieces, digests in front or behind."""
        lines = [f"PUT {entry_target(pool, name)} HTTP/1.1", "Host: 127.0.0.1"]
        lines += [f"{field}: {value}" for field, value in (fields or {}).items()]
        if known_length:
            data = body
            lines.append(f"Content-Length: {len(body)}")
        else:
            third = len(body) // 3 + 1
            pieces = [body[at : at + third] for at in range(0, len(body), third)]
            data = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n"
            data += "".join(f"{field}: {value}\r\n" for field, value in (trailers or {}).items()).encode() + b"\r\n"
            lines.append("Transfer-Encoding: chunked")
            if trailers:
                lines.append("Trailer: " + ", ".join(trailers))
        with self.daemon.raw() as raw:
            raw.send("\r\n".join(lines).encode() + b"\r\n\r\n")
            raw.send_until_refused(data)
            return raw.answer()

    def expect_absent(self, pool, name):
        self.assertFalse(self.http.exists(pool, name))
        self.assertIsNone(self.origin.get(object_name(name)))

    def ways(self, digest):
        """Every way to send it: in front of a known length, in front of chunks, behind them."""
        for field in FIELDS:
            yield f"{field} known", {"fields": {field: digest}}
            yield f"{field} chunked", {"fields": {field: digest}, "known_length": False}
            yield f"{field} trailer", {"trailers": {field: digest}, "known_length": False}


class Sent(DigestCase):
    def test_a_right_one_is_accepted(self):
        for pool in KINDS:
            for size in SIZES:
                body = bytes(size)
                for way, how in self.ways(coded(body)):
                    with self.subTest(pool=pool, size=size, way=way):
                        self.assert_status(self.put(pool, f"right {size} {way}", body, **how), 201, 204)
                        self.assertEqual(self.http.read(pool, f"right {size} {way}").body, body)

    def test_a_wrong_one_stores_nothing(self):
        for pool in KINDS:
            for size in SIZES:
                for way, how in self.ways(coded(b"other")):
                    with self.subTest(pool=pool, size=size, way=way):
                        name = f"wrong {size} {way}"
                        self.assert_problem(self.put(pool, name, bytes(size), **how), 400, "digest-mismatch")
                        self.expect_absent(pool, name)

    def test_a_wrong_one_leaves_what_was_there(self):
        for pool in KINDS:
            self.assert_status(self.http.put_entry(pool, "kept", b"before"), 201, 204)
            for way, how in self.ways(coded(b"other")):
                self.assert_problem(self.put(pool, "kept", b"after", **how), 400, "digest-mismatch")
                self.assertEqual(self.http.read(pool, "kept").body, b"before", way)
            self.assert_status(self.http.delete(entry_target(pool, "kept")), 204)

    def test_two_that_differ(self):
        body = b"body"
        both = {"Content-Digest": coded(body), "Repr-Digest": coded(b"other")}
        for pool in KINDS:
            self.assert_problem(self.put(pool, "two", body, fields=both), 400, "digest-mismatch")
            answer = self.put(
                pool, "two", body, {"Content-Digest": coded(body)}, {"Repr-Digest": coded(b"other")}, known_length=False
            )
            self.assert_problem(answer, 400, "digest-mismatch")
            self.expect_absent(pool, "two")

    def test_other_algorithms_are_ignored(self):
        for pool in KINDS:
            for digest in ("md5=:AAAA:", "sha-512=:AAAA:, unixsum=:AAAA:", "sha-512=:AAAA:, " + coded(b"body")):
                for way, how in self.ways(digest):
                    self.assert_status(self.put(pool, f"odd {way}", b"body", **how), 201, 204)

    def test_no_digest_at_all_is_refused(self):
        for pool in KINDS:
            for way, how in self.ways("sha-256=nonsense"):
                self.assert_problem(self.put(pool, f"none {way}", b"body", **how), 400, "invalid-header")
                self.expect_absent(pool, f"none {way}")


class Answered(DigestCase):
    def test_after_a_put_on_every_kind(self):
        for pool in KINDS:
            for size in SIZES:
                with self.subTest(pool=pool, size=size):
                    body, name = b"d" * size, f"answered {size}"
                    self.assert_status(self.http.put_entry(pool, name, body), 201, 204)
                    head = self.http.head(entry_target(pool, name))
                    self.assertEqual((head.header("Repr-Digest"), head.header("Content-Digest")), (coded(body), None))
                    answer = self.http.read(pool, name)
                    self.assertEqual((answer.header("Repr-Digest"), answer.header("Content-Digest")), (coded(body), coded(body)))
                    if size:
                        part = self.assert_status(self.http.read(pool, name, {"Range": "bytes=0-0"}), 206)
                        self.assertEqual((part.header("Repr-Digest"), part.header("Content-Digest")), (coded(body), None))
                    same = self.assert_status(self.http.read(pool, name, {"If-None-Match": answer.header("ETag")}), 304)
                    self.assertIsNone(same.header("Content-Digest"))
                    self.assert_status(self.http.delete(entry_target(pool, name)), 204)

    def test_of_what_others_wrote(self):
        """Known once the whole was in our hands: at once for a small body, from the copy for a large one."""
        small, large = b"s" * 100, b"l" * (2 * MIB)
        for name, body in (("small", small), ("large", large)):
            self.origin.put(object_name(name), body)
            self.assertIsNone(self.http.head(entry_target("s3", name)).header("Repr-Digest"))
            first = self.assert_status(self.http.read("memory", name), 200)
            self.assertEqual(first.header("Content-Digest"), coded(body) if name == "small" else None)
            self.assertEqual(first.header("Repr-Digest"), first.header("Content-Digest"))
            for pool in ("memory", "disk"):
                self.assertEqual(self.http.read(pool, name).header("Content-Digest"), coded(body))

    def test_codings_and_types_travel_everywhere(self):
        """Up to memory from each kind, and down again by nobody: what was put is what is said."""
        said = {"Content-Type": "text/x-odd; v=1", "Content-Encoding": "gzip, x-odd"}
        for pool in KINDS:
            for size in (0, 10, 2 * MIB):
                for known in (True, False):
                    with self.subTest(pool=pool, size=size, known=known):
                        name, body = f"coded {pool} {size} {known}", b"c" * size
                        self.assert_status(self.put(pool, name, body, said, known_length=known), 201, 204)
                        for tier in ("memory", *KINDS[: KINDS.index(pool) + 1]):
                            for answer in (self.http.read(tier, name), self.http.head(entry_target(tier, name))):
                                self.assertEqual({field: answer.header(field) for field in said}, said, f"{tier} {answer.headers}")
                                self.assertEqual(answer.header("Repr-Digest"), coded(body))
                                self.assertIsNone(answer.header("Vary"))
                        part = self.http.read("memory", name, {"Range": "bytes=1-2"})
                        if size:
                            self.assertEqual(part.header("Content-Encoding"), said["Content-Encoding"])

    def test_a_coding_of_its_own_after_a_refresh(self):
        self.assert_status(self.put("s3", "again", b"one", {"Content-Encoding": "x-one"}), 204)
        self.assertEqual(self.http.read("memory", "again").header("Content-Encoding"), "x-one")
        self.assert_status(self.put("s3", "again", b"two"), 204)
        answer = self.http.read("memory", "again", {"Cache-Control": "no-cache"})
        self.assertEqual((answer.body, answer.header("Content-Encoding")), (b"two", None))
        self.assertIsNone(self.http.read("memory", "again").header("Content-Encoding"))

    def test_a_type_beyond_ascii(self):
        """Kept where it can be; an object store cannot, which is the client's to know."""
        said = {"Content-Type": "text/plain; title=\u00fc"}
        for pool in ("memory", "disk"):
            self.assert_status(self.http.put_entry(pool, "umlaut", b"x", said), 201)
        self.assert_problem(self.http.put_entry("s3", "umlaut", b"x", said), 400, "invalid-header")
        self.expect_absent("s3", "umlaut")
