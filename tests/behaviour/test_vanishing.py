"""Clients that vanish, in every state of the exchange (server/exchange_parts.h), with an orderly end and with a reset.

Each scene brings CROWD connections into one state, makes sure that the daemon stands there, and ends them all. Afterwards
others are served, a broken upload has left nothing, and the daemon is back to the descriptors and connections it had; at the
end it drains at once, because no exchange is left over.
"""

import functools
import hashlib
import os
import re
import signal
import socket
import struct
import time

from client import entry_target
from harness import DaemonCase, TcpEnd, tcp_ends, until
from origin import Origin, object_name

KIB = 1024
MIB = 1024 * 1024
CROWD = 6
BIG = hashlib.shake_256(b"big").digest(6 * MIB)
KEPT = b"what was there before"
DISCARD_MOST = 256 * KIB  # a refused body above this is answered past the library (LINGER)
LEAVINGS = ("end", "reset")

# state of the exchange: what the client has sent when it vanishes. {n} makes ids differ.
UNFINISHED_HEADS = {
    "connected": b"",
    "in the request line": b"GET /pools/alp",
    "after the request line": b"GET /pools/alpha/entries/x HTTP/1.1\r\n",
    "in a field": b"PUT /pools/disk/entries/new HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Le",
    "before the empty line": b"PUT /pools/disk/entries/new HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\n",
    "in a second request": b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nPUT /pools/disk/entries/new HT",
}
LENGTH, CHUNKED = "Content-Length: 3000000", "Transfer-Encoding: chunked"
PIECE = b"p" * 65536
UNFINISHED_BODIES = {
    "no byte of the body": (LENGTH, []),
    "one byte of the body": (LENGTH, [b"p"]),
    "in the body": (LENGTH, [PIECE] * 40),
    "one byte short": ("Content-Length: 65537", [PIECE]),
    "no chunk": (CHUNKED, []),
    "in a chunk's size": (CHUNKED, [b"10"]),
    "in a chunk": (CHUNKED, [b"10000\r\n", PIECE[:999]]),
    "behind a chunk": (CHUNKED, [b"10000\r\n", PIECE, b"\r\n"] * 30),
    "in the last chunk": (CHUNKED, [b"5\r\nhello\r\n0\r\n"]),
    "in the trailer": (CHUNKED, [b"5\r\nhello\r\n0\r\nContent-Digest: sha-25"]),
    "not asked to continue": (LENGTH + "\r\nExpect: 100-continue", []),
}


def head(method, target, *fields):
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: 127.0.0.1", *fields, "", ""]).encode()


def vanish(raw, leaving):
    if leaving == "reset":
        raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    else:
        try:
            raw.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the daemon was first
    raw.close()


class VanishingCase(DaemonCase):
    """alpha << disk << s3 on a scripted origin, with few threads, so that one that is held is missed: one pool may have half of a
    remote lane, which the crowd nearly fills."""

    @classmethod
    def setUpClass(cls):
        cls.origin = Origin()
        cls.addClassCleanup(cls.origin.stop)
        cls.config = (
            f'chain = "alpha << disk << s3"\ndrain_timeout_s = 120\ndiscard_max_bytes = {DISCARD_MOST}\n'
            'local_threads = 4\nremote_threads = 16\nfetch_threads = 16\n[pools.disk]\nkind = "hdf5"\nhot_max_bytes = 0\n'
            + cls.origin.pool("s3")
        )
        super().setUpClass()
        with cls.daemon.client() as client:
            client.put_entry("disk", "big", BIG)
            client.put_entry("alpha", "small", KEPT)
            for pool in ("alpha", "disk", "s3"):
                client.put_entry(pool, "kept", KEPT)
        cls.most_threads = 4 * 2 + 16 * 2 + 16  # the lanes, and what there is besides: poll threads, reaper, clients of stores

    @classmethod
    def tearDownClass(cls):
        """Nothing under way: a drain that may take two minutes takes no time."""
        begun = time.monotonic()
        cls.daemon.process.send_signal(signal.SIGTERM)
        cls.daemon.wait()
        if time.monotonic() - begun > 20:
            raise AssertionError(f"the drain took {time.monotonic() - begun:.0f} s: an exchange was left over")
        super().tearDownClass()

    def setUp(self):
        super().setUp()
        self.assert_status(self.http.get("/livez"), 200)
        until(lambda: self.connections() == 1, "an idle daemon")
        self.descriptors = self.count_descriptors()

    # ---- what the daemon holds ----
    def count_descriptors(self):
        folder = f"/proc/{self.daemon.process.pid}/fd"
        names = []
        for name in os.listdir(folder):
            try:
                names.append(os.readlink(f"{folder}/{name}"))
            except FileNotFoundError:
                pass
        # Connections to the store are kept for the next request, each with what libcurl wakes it by: they are not the clients'.
        kept = ("socket:", "anon_inode:[eventfd]")
        return len(names) - sum(1 for name in names if name.startswith(kept)) + self.connections()

    def connections(self):
        """The daemon's ends of client connections that it has not closed yet."""
        is_open = (TcpEnd.ESTABLISHED, TcpEnd.CLOSE_WAIT)
        return sum(1 for end in tcp_ends() if end.local_port == self.daemon.port and end.state in is_open)

    def threads(self):
        return len(os.listdir(f"/proc/{self.daemon.process.pid}/task"))

    # ---- a scene ----
    def crowd(self):
        return [self.daemon.raw() for _ in range(CROWD)]

    def all_taken(self):
        until(lambda: self.daemon.unread_bytes() == 0, "the daemon to take what was sent")

    def take(self, raw, count):
        """The first bytes of the answer, at least so many."""
        while len(raw.kept) < count and raw._more():
            pass
        self.assertGreaterEqual(len(raw.kept), count, "the connection ended")

    def leave(self, raws, leaving):
        for raw in raws:
            vanish(raw, leaving)

    def assert_unharmed(self):
        with self.daemon.client(timeout=10) as other:
            self.assertEqual(other.read("alpha", "small").body, KEPT)
            self.assertEqual(other.read("disk", "kept").body, KEPT)
            self.assertEqual(other.put_entry("disk", "other", KEPT).status // 100, 2)
        until(lambda: self.connections() == 1, "the connections to be given up")
        until(lambda: self.count_descriptors() <= self.descriptors, f"the descriptors to go back to {self.descriptors}")
        self.assertLessEqual(self.threads(), self.most_threads)

    def assert_nothing_stored(self):
        for pool in ("alpha", "disk", "s3"):
            self.assert_status(self.http.head(entry_target(pool, "new")), 404)
            answer = self.http.read(pool, "kept", {"Cache-Control": "only-if-cached"})
            self.assertEqual((answer.status, answer.body), (200, KEPT))


def each_leaving(cls):
    """Every method scene_x becomes test_x_end and test_x_reset; a dictionary `tables` makes one per row."""

    def add(name, function, *arguments):
        for leaving in LEAVINGS:
            test = functools.partialmethod(function, *arguments, leaving)
            setattr(cls, "test_" + re.sub(r"[^a-z0-9]+", "_", f"{name} {leaving}".lower()), test)

    for name, function in list(vars(cls).items()):
        if name.startswith("scene_"):
            rows = getattr(function, "rows", None)
            for row in rows or ():
                add(f"{name[6:]} {row}", function, rows[row])
            if rows is None:
                add(name[6:], function)
    return cls


def rows(table):
    def mark(function):
        function.rows = table
        return function

    return mark


@each_leaving
class Requests(VanishingCase):
    @rows(UNFINISHED_HEADS)
    def scene_head(self, sent, leaving):
        raws = self.crowd()
        for raw in raws:
            raw.send(sent)
        self.all_taken()
        self.leave(raws, leaving)
        self.assert_unharmed()
        self.assert_nothing_stored()

    @rows(UNFINISHED_BODIES)
    def scene_body(self, upload, leaving):
        fields, pieces = upload
        for pool in ("alpha", "disk", "s3"):
            with self.subTest(pool=pool):
                raws = self.crowd()
                for number, raw in enumerate(raws):
                    raw.send(head("PUT", entry_target(pool, "new" if number % 2 else "kept"), *fields.split("\r\n")))
                    for piece in pieces:
                        raw.send(piece)
                self.all_taken()
                self.leave(raws, leaving)
                self.assert_unharmed()
                self.assert_nothing_stored()

    def scene_body_told_to_continue(self, leaving):
        raws = self.crowd()
        for raw in raws:
            raw.send(head("PUT", entry_target("disk", "new"), "Content-Length: 9", "Expect: 100-continue"))
            until(lambda raw=raw: b"100 Continue" in raw.kept or not raw._more(), "100 Continue")
        self.leave(raws, leaving)
        self.assert_unharmed()
        self.assert_nothing_stored()

    def scene_discard(self, leaving):
        """The answer is known (no such pool), the body is still being thrown away."""
        raws = self.crowd()
        for raw in raws:
            raw.send(head("PUT", "/pools/nowhere/entries/new", f"Content-Length: {DISCARD_MOST}"))
            raw.send(PIECE)
        self.all_taken()
        self.leave(raws, leaving)
        self.assert_unharmed()

    def scene_linger(self, leaving):
        """The answer was sent in the middle of the body."""
        raws = self.crowd()
        for raw in raws:
            raw.send(head("PUT", "/pools/nowhere/entries/new", CHUNKED))
            for _ in range(2 * DISCARD_MOST // len(PIECE)):
                raw.send_until_refused(b"10000\r\n" + PIECE + b"\r\n")
        self.assertEqual(raws[0].answer().status, 404)
        self.leave(raws, leaving)
        self.assert_unharmed()


@each_leaving
class Waiting(VanishingCase):
    """WORK: the whole request is here, the answer is not."""

    def scene_cold_read(self, leaving):
        for size in (1000, 3 * MIB):
            with self.subTest(size=size):
                name = f"cold {size} {leaving}"
                self.origin.put(object_name(name), BIG[:size])
                gate = self.origin.hold(object_name(name))
                raws = self.crowd()
                for raw in raws:
                    raw.send(head("GET", entry_target("alpha", name)))
                gate.reached()
                self.all_taken()
                self.leave(raws, leaving)
                with self.daemon.client() as other:
                    self.assertEqual(other.read("alpha", "small").body, KEPT)
                gate.open()
                self.assert_unharmed()
                # The fetch did not end with those who asked for it.
                until(lambda: self.http.exists("disk", name), "the copy")
                self.assertEqual(self.http.read("alpha", name).body, BIG[:size])
                self.assertEqual(self.origin.count("GET", object_name(name)), 1)

    def scene_remote_write(self, leaving):
        """The whole body had come: it may be stored or not, but never in part."""
        name = f"written {leaving}"
        gate = self.origin.hold_put(object_name(name))
        raws = self.crowd()
        for raw in raws:
            raw.send(head("PUT", entry_target("s3", name), f"Content-Length: {MIB}"))
            raw.send(BIG[:MIB])
        gate.reached()
        self.all_taken()
        self.leave(raws, leaving)
        gate.open()
        self.assert_unharmed()
        self.assertIn(self.origin.get(object_name(name)), (None, BIG[:MIB]))

    def scene_pipelined(self, leaving):
        raws = self.crowd()
        for raw in raws:
            raw.send(head("GET", entry_target("disk", "big")) * 3)
        self.leave(raws, leaving)
        self.assert_unharmed()


@each_leaving
class Answers(VanishingCase):
    def narrow(self):
        """Connections that take little at a time."""
        raws = self.crowd()
        for raw in raws:
            raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        return raws

    def scene_small(self, leaving):
        for pool, name in (("alpha", "small"), ("disk", "kept"), ("s3", "kept"), ("alpha", "nowhere")):
            with self.subTest(pool=pool, name=name):
                raws = self.crowd()
                for raw in raws:
                    raw.send(head("GET", entry_target(pool, name)))
                self.leave(raws, leaving)
                self.assert_unharmed()

    def scene_streaming(self, leaving):
        raws = self.narrow()
        for raw in raws:
            raw.send(head("GET", entry_target("disk", "big")))
            self.take(raw, 1000)
        self.leave(raws, leaving)
        self.assert_unharmed()

    def scene_streaming_unread(self, leaving):
        raws = self.narrow()
        for raw in raws:
            raw.send(head("GET", entry_target("disk", "big")))
        self.all_taken()
        self.leave(raws, leaving)
        self.assert_unharmed()

    def scene_streaming_while_the_origin_pauses(self, leaving):
        """Parked in the middle of the answer. The fetch goes on without them."""
        name = f"paused {leaving}"
        self.origin.put(object_name(name), BIG)
        gate = self.origin.pause(object_name(name), 3 * MIB)
        raws = self.crowd()
        for raw in raws:
            raw.send(head("GET", entry_target("disk", name)))
            self.take(raw, 2 * MIB)
        gate.reached()
        self.leave(raws, leaving)
        gate.open()
        self.assert_unharmed()
        until(lambda: self.http.exists("disk", name), "the copy")
        self.assertEqual(self.http.read("disk", name).body, BIG)
        self.assertEqual(self.origin.count("GET", object_name(name)), 1)

    def scene_a_part(self, leaving):
        """Of a large cold entry: straight from the store, for this client only."""
        name = f"large {leaving}"
        self.origin.put(object_name(name), BIG * 2)
        gate = self.origin.pause(object_name(name), MIB)
        raws = self.crowd()
        for raw in raws:
            raw.send(head("GET", entry_target("alpha", name), f"Range: bytes=0-{8 * MIB}"))
            self.take(raw, 1000)
        self.leave(raws, leaving)
        gate.open()
        self.assert_unharmed()
        self.assertFalse(self.http.exists("disk", name))
