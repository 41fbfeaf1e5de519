"""Bodies of any size, in and out, with bounded memory; and the body that is asked for first (Expect: 100-continue).

2 GiB travel through alpha << disk << s3 in both directions, with known length and in chunks. Nobody keeps them: the origin
(big_origin.py) and the client here make up what they send and compare every byte they get. 200 MiB go through the real S3
server. How much memory the daemon took at most is the kernel's figure (VmHWM); the exact one belongs to the benchmark.
LAILAD_TEST_STREAM_MIB makes it more or less than 2048.
"""

import hashlib
import json
import os
import pathlib
import re
import shutil
import tempfile
import urllib.request

from big_origin import BigOrigin, Pattern
from client import entry_target
from harness import Case, until
from objects import Bucket

MIB = 1024 * 1024
HUGE = int(os.environ.get("LAILAD_TEST_STREAM_MIB", "2048")) * MIB + 12345
LARGE = 200 * MIB + 1
MOST_MIB = 128  # above idle
# A sanitizer shadows all memory, and keeps what was freed for a while: 256 MiB of it unless told otherwise.
SANITIZED_MOST_MIB = 256
SANITIZED = {"ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:exitcode=99:quarantine_size_mb=16"}
MANY, FLIGHT_MIB = 8, 8
PATIENCE_SECONDS = 300
DISK = '[pools.disk]\nkind = "hdf5"\n'


class StreamingCase(Case):
    def start(self, config):
        # A /tmp may be memory, and small.
        roomy = [place for place in (tempfile.gettempdir(), "/var/tmp") if shutil.disk_usage(place).free > 5 * HUGE // 2]
        self.assertTrue(roomy, "no temporary folder has enough space for this test")
        self.daemon = self.new_daemon(config=config, env=SANITIZED, place=roomy[0])
        self.assertEqual(self.ask(lambda http: http.get("/livez").status), 200)
        self.idle_mib = self.memory_mib("VmRSS")
        maps = pathlib.Path(f"/proc/{self.daemon.process.pid}/maps").read_text("utf-8")
        self.most_mib = SANITIZED_MOST_MIB if re.search(r"lib[a-z]*san\.", maps) else MOST_MIB

    def ask(self, request):
        """On a connection of its own: one that waits for a huge body to pass would be closed meanwhile."""
        with self.daemon.client() as http:
            return request(http)

    def memory_mib(self, name):
        text = pathlib.Path(f"/proc/{self.daemon.process.pid}/status").read_text("utf-8")
        return int(re.search(rf"{name}:\s+(\d+) kB", text).group(1)) // 1024

    def assert_memory(self):
        taken = self.memory_mib("VmHWM") - self.idle_mib
        print(f"    {taken} MiB above {self.idle_mib} MiB at most, of {self.most_mib}")
        self.assertLessEqual(taken, self.most_mib, f"MiB above the {self.idle_mib} of an idle daemon")

    def upload(self, pool, name, size, chunked=False):
        """PUT of Pattern(name); the answer."""
        length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
        with self.daemon.raw(timeout=PATIENCE_SECONDS) as raw:
            raw.send(f"PUT {entry_target(pool, name)} HTTP/1.1\r\nHost: 127.0.0.1\r\n{length}\r\n\r\n".encode())
            for piece in Pattern(name).pieces(0, size):
                if chunked:
                    raw.socket.sendall(b"%x\r\n" % len(piece))
                raw.socket.sendall(piece)
                if chunked:
                    raw.socket.sendall(b"\r\n")
            if chunked:
                raw.socket.sendall(b"0\r\n\r\n")
            return self.assert_status(raw.answer(), 201, 204)

    def download(self, pool, name, size):
        """GET that must bring Pattern(name) of this size; the header."""
        with self.daemon.raw(timeout=PATIENCE_SECONDS) as raw:
            raw.socket.sendall(f"GET {entry_target(pool, name)} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
            until(lambda: b"\r\n\r\n" in raw.kept or not raw._more(), "the answer's header")
            head, _, early = bytes(raw.kept).partition(b"\r\n\r\n")
            self.assertTrue(head.startswith(b"HTTP/1.1 200 "), head)
            self.assertIn(b"Content-Length: %d" % size, head)
            early = bytearray(early)

            def read_into(view):
                if not early:
                    return raw.socket.recv_into(view)
                count = min(len(early), len(view))
                view[:count] = early[:count]
                del early[:count]
                return count

            self.assertIsNone(Pattern(name).check(read_into, 0, size))
            self.assertEqual(raw.socket.recv(1), b"", "more than the entry")
            return head.decode()


class Huge(StreamingCase):
    def setUp(self):
        self.origin = BigOrigin()
        self.addCleanup(self.origin.stop)
        self.start('chain = "alpha << disk << s3"\n' + DISK + self.origin.pool("s3"))

    def report(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.origin.port}/report", timeout=PATIENCE_SECONDS) as answer:
            return json.load(answer)

    def assert_stored(self, name, size):
        report = self.report()
        self.assertEqual((report["mistakes"], report["uploads"]), ([], 0))
        self.assertEqual(report["sizes"].get(name), size)

    def test_in_and_out_through_the_chain(self):
        """In chunks into the store, out through three tiers, and out again from the disk."""
        self.upload("s3", "up", HUGE, chunked=True)
        self.assert_stored("up", HUGE)
        head = self.download("alpha", "up", HUGE)
        self.assertIn('Cache-Status: "s3";hit, "disk";fwd=uri-miss;stored', head)
        self.assertTrue(self.ask(lambda http: http.exists("disk", "up")))
        head = self.download("alpha", "up", HUGE)
        self.assertIn('Cache-Status: "disk";hit', head)
        self.assert_memory()

    def test_onto_the_disk(self):
        """Of known length; it is read in three places, of which the last is beyond 2 GiB."""
        self.upload("disk", "down", HUGE)
        pattern = Pattern("down")
        for offset in (0, HUGE // 2, HUGE - 3 * MIB):
            last = offset + 3 * MIB - 1
            part = {"Range": f"bytes={offset}-{last}"}
            answer = self.ask(lambda http, part=part: http.read("alpha", "down", part))
            self.assertEqual((answer.status, answer.header("Content-Range")), (206, f"bytes {offset}-{last}/{HUGE}"))
            self.assertTrue(answer.body == b"".join(pattern.pieces(offset, 3 * MIB)), f"other bytes from {offset} on")
        self.assert_memory()

    def test_many_at_once(self):
        """Each fetch keeps flight_max_bytes in memory and the rest in the spool, however large it is and whoever waits."""
        clients = []
        for number in range(MANY):
            raw = self.daemon.raw(timeout=PATIENCE_SECONDS)
            self.addCleanup(raw.close)
            raw.socket.sendall(f"GET {entry_target('alpha', f'{24 * MIB}-{number}')} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            clients.append(raw)
        for raw in clients:
            while len(raw.kept) < 12 * MIB and raw._more():
                pass
            self.assertGreaterEqual(len(raw.kept), 12 * MIB, "the connection ended")
        self.most_mib += MANY * FLIGHT_MIB
        self.assert_memory()


class RealStore(StreamingCase):
    def test_large_through_a_real_store(self):
        """In parts; what an independent client reads from the store is what was sent."""
        bucket = Bucket()
        self.addCleanup(bucket.remove)
        self.start('chain = "alpha << disk << s3"\n' + DISK + bucket.pool("s3"))
        for name, size, chunked in (("known", LARGE, False), ("chunks", 70 * MIB, True)):
            with self.subTest(name=name):
                self.upload("s3", name, size, chunked)
                expected, got = hashlib.sha256(), hashlib.sha256()
                for piece in Pattern(name).pieces(0, size):
                    expected.update(piece)
                answer = bucket.client.get_object(Bucket=bucket.name, Key=name)
                for piece in answer["Body"].iter_chunks(MIB):
                    got.update(piece)
                self.assertEqual(got.hexdigest(), expected.hexdigest())
                self.assertRegex(answer["ETag"], r"-\d+", "it was not sent in parts")
        self.download("alpha", "known", LARGE)
        self.assertTrue(self.ask(lambda http: http.exists("disk", "known")))
        self.assert_memory()


class Expecting(Case):
    """RFC 9110, 10.1.1: 100 only when the body is wanted, the final status at once when it is not."""

    def setUp(self):
        self.daemon = self.new_daemon(
            config=DISK + '[pools.tiny]\nkind = "memory"\nmax_bytes = "64KiB"\n[pools.kept]\nkind = "hdf5"\n'
        )

    def ask(self, raw, target, *fields, method="PUT", version="1.1"):
        lines = [f"{method} {target} HTTP/{version}", "Host: 127.0.0.1", "Expect: 100-continue", *fields, "", ""]
        raw.send("\r\n".join(lines).encode())

    def first_status(self, raw):
        until(lambda: b"\r\n\r\n" in raw.kept or not raw._more(), "a status")
        return int(raw.kept.split(b" ", 2)[1])

    def test_it_is_asked_for(self):
        body = b"the body"
        uploads = {
            "Content-Length: 8": body,
            "Transfer-Encoding: chunked": b"8\r\nthe body\r\n0\r\n\r\n",
        }
        for pool in ("alpha", "disk"):
            for field, sent in uploads.items():
                with self.subTest(pool=pool, field=field), self.daemon.raw() as raw:
                    for _ in range(2):  # the connection stays in step
                        self.ask(raw, entry_target(pool, "x"), field)
                        self.assertEqual(self.first_status(raw), 100)
                        self.assertEqual(bytes(raw.kept), b"HTTP/1.1 100 Continue\r\n\r\n")
                        raw.kept.clear()
                        raw.send(sent)
                        self.assertIn(self.first_status(raw), (201, 204))
                        self.assertIn(raw.answer().status, (201, 204))
                    with self.daemon.client() as client:
                        self.assertEqual(client.read(pool, "x").body, body)

    def test_a_client_that_does_not_wait(self):
        with self.daemon.raw() as raw:
            self.ask(raw, entry_target("disk", "eager"), "Content-Length: 8")
            raw.send(b"the body")
            self.assertEqual(raw.answer().status, 201)

    def test_it_is_refused_at_once(self):
        big = "Content-Length: 1000000000"
        coding = 501 if self.daemon.http_library() < (1, 0) else 400  # libmicrohttpd 1.0 refuses it before we are asked
        refused = {
            "no such pool": (404, "PUT", "/pools/nowhere/entries/x", [big]),
            "no such route": (404, "PUT", "/nothing", [big]),
            "no such method here": (405, "PUT", "/livez", [big]),
            "a bad id": (400, "PUT", "/pools/disk/entries/%00", [big]),
            "both conditions": (400, "PUT", "/pools/disk/entries/x", [big, 'If-Match: "a"', 'If-None-Match: "b"']),
            "a malformed digest": (400, "PUT", "/pools/disk/entries/x", [big, "Content-Digest: ???"]),
            "a part": (400, "PUT", "/pools/disk/entries/x", [big, "Content-Range: bytes 0-1/2"]),
            "JSON of another type": (415, "POST", "/pools", ["Content-Length: 10", "Content-Type: text/html"]),
            "too much JSON": (413, "POST", "/pools", [big, "Content-Type: application/json"]),
            "an unknown coding": (coding, "PUT", "/pools/disk/entries/x", ["Transfer-Encoding: gzip, chunked"]),
        }
        for name, (status, method, target, fields) in refused.items():
            with self.subTest(refused=name), self.daemon.raw() as raw:
                self.ask(raw, target, *fields, method=method)
                self.assertEqual(self.first_status(raw), status)
                answer = raw.answer()
                # The client sends no body now. Who cannot know that ends the connection.
                if (answer.header("Connection") or "").lower() == "close":
                    self.assertTrue(raw.is_closed())
                else:
                    raw.send(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                    self.assertEqual(raw.answer().status, 200)
        with self.daemon.client() as client:
            self.assertEqual(client.ids("disk"), set())

    def test_larger_than_the_pool(self):
        with self.daemon.raw() as raw:
            self.ask(raw, entry_target("tiny", "x"), "Content-Length: 1000000000")
            self.assertEqual(self.first_status(raw), 413, "a body that cannot fit was asked for")

    def test_http_1_0_knows_no_100(self):
        with self.daemon.raw() as raw:
            self.ask(raw, entry_target("disk", "old"), "Content-Length: 8", version="1.0")
            raw.send(b"the body")
            self.assertEqual(self.first_status(raw), 201)
