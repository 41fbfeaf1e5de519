"""Slow readers of an entry that is changed meanwhile get the bytes of the entry they began with, or a broken connection; never a mix.

A reader takes the beginning of an answer and stops. The entry is overwritten, deleted, evicted or its pool emptied, and the space it
had is written to again and again; then the reader takes the rest. That something was left to take is made sure of with the
kernel's own count. The bytes of every version differ at every place, so a failure can say whose bytes came.
"""

import hashlib
import os
import socket

from client import entry_target
from harness import Case, tcp_ends, until
from origin import Origin, object_name

MIB = 1024 * 1024
SIZE = 8 * MIB
SMALL = 200 * 1024
ROUNDS = 5
PAUSE_AT = 2 * MIB

CONFIG = """
chain = ["alpha << disk", "small << disk", "edge << far"]
[pools.alpha]
kind = "memory"
max_bytes = "256MiB"
max_fill_bytes = "16MiB"
[pools.small]
kind = "memory"
max_bytes = "26MiB"
max_fill_bytes = "16MiB"
[pools.disk]
kind = "hdf5"
hot_max_bytes = 0
[pools.edge]
kind = "hdf5"
hot_max_bytes = 0
max_bytes = "32MiB"
"""


class Versions:
    """Bodies by number, and whose a piece is."""

    def __init__(self):
        self.bodies = []

    def new(self, size=SIZE):
        self.bodies.append(hashlib.shake_128(b"version %d" % len(self.bodies)).digest(size))
        return self.bodies[-1]

    def owner(self, piece):
        owners = [str(number) for number, body in enumerate(self.bodies) if piece in body]
        return "version " + ", ".join(owners) if owners else "no version"


class Reader:
    """One GET of which the first bytes are taken, with a small window."""

    def __init__(self, case, target, body, asked=None):
        self.case = case
        self.body = body
        self.raw = case.daemon.raw()
        self.raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        extra = "" if asked is None else f"Range: bytes={asked[0]}-{asked[1] - 1}\r\n"
        if asked is not None:
            self.body = body[asked[0] : asked[1]]
        self.raw.send(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n{extra}\r\n".encode())
        until(lambda: b"\r\n\r\n" in self.raw.kept or not self.raw._more(), "the answer's header")
        head, _, rest = bytes(self.raw.kept).partition(b"\r\n\r\n")
        self.raw.kept[:] = rest
        case.assertTrue(head.startswith(b"HTTP/1.1 20"), head)
        case.assertIn(b"Content-Length: %d" % len(self.body), head)
        until(lambda: len(self.raw.kept) > 1000 or not self.raw._more(), "the first bytes")

    def left_the_daemon(self):
        """What was taken here or lies between the daemon and here."""
        own = self.raw.socket.getsockname()[1]
        between = (end.unsent + end.unread for end in tcp_ends() if own in (end.local_port, end.remote_port))
        return len(self.raw.kept) + sum(between)

    def finish(self):
        """True when the whole came. What came is the version's own, whatever it was."""
        self.raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, MIB)
        while len(self.raw.kept) < len(self.body) and self.raw._more():
            pass
        got = bytes(self.raw.kept)
        self.raw.close()
        if got != self.body[: len(got)]:
            at = next(place for place in range(0, len(got), 16) if got[place : place + 16] != self.body[place : place + 16])
            owner = self.case.versions.owner(got[at + 16 : at + 48])
            raise AssertionError(f"from byte {at} on there are bytes of {owner}")
        return len(got) == len(self.body)


class SlowCase(Case):
    CONFIG = CONFIG

    def setUp(self):
        self.versions = Versions()
        self.origin = Origin()
        self.addCleanup(self.origin.stop)
        self.daemon = self.new_daemon(config=self.CONFIG + self.origin.pool("far"))
        self.http = self.new_client(self.daemon)

    def put(self, pool, name, body):
        self.assert_status(self.http.put_entry(pool, name, body), 201, 204)

    def begin(self, pool, name, body):
        """A reader of the whole and one of a part; the daemon still has something to read for them."""
        target = entry_target(pool, name)
        readers = [Reader(self, target, body), Reader(self, target, body, (100, len(body) - 1))]
        for reader in readers:
            self.assertLess(reader.left_the_daemon(), len(reader.body) - MIB // 2, "nothing is left to read for it")
        return readers


class Local(SlowCase):
    """memory and hdf5. A reader that began holds what it reads, so the whole comes."""

    # What happens to the entry, and what is written afterwards into the space that may have become free.
    def overwrite(self, pool):
        body = self.versions.new()
        self.put(pool, "entry", body)
        return body

    def overwrite_shorter(self, pool):
        body = self.versions.new(SIZE - MIB)
        self.put(pool, "entry", body)
        self.put(pool, "neighbour", self.versions.new(MIB))
        return body

    def overwrite_by_many(self, pool):
        """By next to nothing; the space goes to many small entries, in pieces."""
        body = self.versions.new(1000)
        self.put(pool, "entry", body)
        for number in range(SIZE // SMALL):
            self.put(pool, f"in its place {number}", self.versions.new(SMALL - 5000))
        return self.overwrite(pool)

    def delete(self, pool):
        self.assert_status(self.http.delete(entry_target(pool, "entry")), 204)
        for number in range(2):
            self.put(pool, f"in its place {number}", self.versions.new())
        self.assert_status(self.http.read(pool, "entry", {"Cache-Control": "only-if-cached"}), 504)
        return self.overwrite(pool)

    def empty(self, pool):
        self.assert_status(self.http.delete(f"/pools/{pool}/entries?all=true"), 204)
        for number in range(2):
            self.put(pool, f"in its place {number}", self.versions.new())
        return self.overwrite(pool)

    def rounds(self, pool, change):
        body = self.versions.new()
        self.put(pool, "entry", body)
        waiting = []
        for _ in range(ROUNDS):  # later rounds' bodies were read before: they are sent from the page cache itself
            waiting.append(self.begin(pool, "entry", body))
            body = change(pool)
            answer = self.http.read(pool, "entry")
            self.assertTrue(answer.body == body, "a reader that came afterwards did not get the new entry")
            if len(waiting) > 2:  # readers of this and of the version before stay; space of older ones is free to be used
                for reader in waiting.pop(0):
                    self.assertTrue(reader.finish(), "the connection was broken")
        for readers in waiting:
            for reader in readers:
                self.assertTrue(reader.finish(), "the connection was broken")

    def rounds_on_disk(self, change):
        sizes = []

        def change_and_measure(pool):
            body = change(pool)
            sizes.append((self.daemon.data / "disk.h5").stat().st_size)
            return body

        self.rounds("disk", change_and_measure)
        # The space of replaced versions was used again: otherwise the test would have shown nothing.
        written = sum(len(body) for body in self.versions.bodies)
        self.assertLess(max(sizes), written - SIZE)

    def test_hdf5_overwritten(self):
        self.rounds_on_disk(self.overwrite)

    def test_hdf5_overwritten_by_another_size(self):
        self.rounds_on_disk(self.overwrite_shorter)

    def test_hdf5_overwritten_by_many_small_ones(self):
        self.rounds_on_disk(self.overwrite_by_many)

    def test_hdf5_deleted(self):
        self.rounds_on_disk(self.delete)

    def test_hdf5_emptied(self):
        self.rounds_on_disk(self.empty)

    def test_memory_overwritten(self):
        self.rounds("alpha", self.overwrite)

    def test_memory_deleted(self):
        self.rounds("alpha", self.delete)

    def test_memory_emptied(self):
        self.rounds("alpha", self.empty)

    def evict(self, pool, put_below):
        """Cached copies come and go in a pool that holds three of them."""
        held = []
        for number in range(ROUNDS + 2):
            body = self.versions.new()
            put_below(f"copy {number}", body)
            self.assertEqual(self.http.read(pool, f"copy {number}").body, body)
            if number < 3:
                self.assertTrue(self.http.exists(pool, f"copy {number}"))
                held.append(self.begin(pool, f"copy {number}", body))
        gone = [number for number in range(3) if not self.http.exists(pool, f"copy {number}")]
        self.assertTrue(gone, "nothing was evicted")
        for readers in held:
            for reader in readers:
                self.assertTrue(reader.finish(), "the connection was broken")

    def test_memory_evicted(self):
        self.evict("small", lambda name, body: self.put("disk", name, body))

    def test_hdf5_evicted(self):
        self.evict("edge", lambda name, body: self.origin.put(object_name(name), body))


class CutShort(SlowCase):
    """Somebody cuts the file of a pool off under the body that is being sent. The library may take a send that ended at the cut for a full socket:
    then the reaper ends the connection."""

    CONFIG = "rate_window_s = 2\n" + CONFIG

    def cut_short(self, meanwhile):
        body = self.versions.new(16 * MIB)
        self.put("disk", "entry", body)
        self.http.read("disk", "entry")  # from the second time on it is sent from the page cache itself
        readers = self.begin("disk", "entry", body)
        path = self.daemon.data / "disk.h5"
        whole = path.read_bytes()
        kept = whole.index(body[-2 * MIB :]) // 4096 * 4096
        os.truncate(path, kept)
        try:
            meanwhile()
            for reader in readers:
                self.assertFalse(reader.finish(), "all came of a body that was not all there")
            self.assertEqual(path.stat().st_size, kept, "the file was written to behind the cut")
            self.assert_status(self.http.get("/livez"), 200)
        finally:
            with open(path, "r+b") as file:
                file.seek(kept)
                file.write(whole[kept:])
        self.assertTrue(self.http.read("disk", "entry").body == body, "the file is whole again, the entry is not")

    def test_the_connections_break_and_the_daemon_lives(self):
        self.cut_short(lambda: None)

    def test_nothing_is_written_behind_the_cut(self):
        """It would make the file look whole, with zeros in the entry."""

        def put():
            answer = self.http.put_entry("disk", "another", self.versions.new(4 * MIB))
            self.assert_problem(answer, 503, "pool-poisoned")
            self.assertIn("cut the file off", answer.json()["detail"])

        self.cut_short(put)


class Streaming(SlowCase):
    """Bodies on their way from a store, which stops in the middle of them. Here a connection may break."""

    def scene(self, name):
        old = self.versions.new()
        self.origin.put(object_name(name), old)
        return old, self.origin.pause(object_name(name), PAUSE_AT)

    def resume(self, name, gate):
        self.origin.behave(object_name(name))
        gate.open()

    def assert_new(self, pool, name, body):
        answer = self.assert_status(self.http.read(pool, name), 200)
        self.assertTrue(answer.body == body, "a reader that came afterwards did not get the new entry")

    def assert_some_were_whole(self, came):
        """A break is allowed, but the store sent the old body to its end: were all broken, nothing was compared behind the pause."""
        self.assertIn(True, came, "no reader got the old body whole")

    def test_the_object_is_overwritten(self):
        came = []
        for pool in ("far", "edge"):
            for number in range(2):
                name = f"{pool} {number}"
                with self.subTest(name=name):
                    old, gate = self.scene(name)
                    readers = [Reader(self, entry_target(pool, name), old) for _ in range(3)]
                    new = self.versions.new()
                    self.put("far", name, new)
                    self.resume(name, gate)
                    came += [reader.finish() for reader in readers]
                    self.assert_new("far", name, new)
        self.assert_some_were_whole(came)

    def test_the_object_is_replaced_and_the_connection_breaks(self):
        """The rest of another version is no continuation."""
        for pool in ("far", "edge"):
            name = f"broken {pool}"
            with self.subTest(pool=pool):
                old, gate = self.scene(name)
                self.origin.cut(object_name(name), 3 * MIB)
                readers = [Reader(self, entry_target(pool, name), old)]
                new = self.versions.new()
                self.origin.put(object_name(name), new)
                self.resume(name, gate)
                for reader in readers:
                    self.assertFalse(reader.finish(), "more came than the store had sent")
                self.assert_new("far", name, new)
                self.assert_new(pool, name, new)

    def test_the_copy_on_its_way_is_overtaken(self):
        """edge << far: the entry is written to edge, deleted there, or edge is emptied, while it comes from below."""
        changes = {
            "put": lambda name, new: self.put("edge", name, new),
            "delete": lambda name, new: self.assert_status(self.http.delete(entry_target("edge", name)), 204),
            "empty": lambda name, new: self.assert_status(self.http.delete("/pools/edge/entries?all=true"), 204),
        }
        came = []
        for change, act in changes.items():
            name = f"overtaken by {change}"
            with self.subTest(change=change):
                old, gate = self.scene(name)
                readers = [Reader(self, entry_target("edge", name), old) for _ in range(3)]
                new = self.versions.new()
                act(name, new)
                self.put("edge", "in its place", self.versions.new())
                self.resume(name, gate)
                came += [reader.finish() for reader in readers]
                if change == "put":
                    self.assert_new("edge", name, new)
                else:
                    self.assertFalse(self.http.exists("edge", name), "the copy came back")
                    self.assert_new("edge", name, old)
                self.assert_status(self.http.delete("/pools/edge/entries?all=true"), 204)
        self.assert_some_were_whole(came)

    def test_a_new_reader_does_not_join_the_old_body(self):
        old, gate = self.scene("joined")
        slow = Reader(self, entry_target("edge", "joined"), old)
        new = self.versions.new()
        self.put("edge", "joined", new)
        self.assert_new("edge", "joined", new)
        self.resume("joined", gate)
        slow.finish()
        self.assert_new("edge", "joined", new)
