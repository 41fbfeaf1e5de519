"""One origin fetch per cold key, however many ask: counted at a scripted origin.

The origin holds its answer until every reader has sent its request, so that all of them meet the same cold key.
"""

import hashlib
import http.client
import threading

from client import entry_target
from harness import Case, DaemonCase, until
from origin import Origin, object_name

READERS = 200
SMALL = b'{"message": "hello from the origin"}'
MIB = 1024 * 1024


class Crowd:
    """Readers of one target, each on its own connection; every request is sent before any answer is waited for."""

    def __init__(self, daemon, targets):
        self.clients = [daemon.client(timeout=120) for _ in targets]
        self.answers = [None] * len(targets)
        ready = threading.Barrier(len(targets) + 1)
        self.sent = threading.Barrier(len(targets) + 1)
        self.threads = [
            threading.Thread(target=self._read, args=(at, target, ready), daemon=True) for at, target in enumerate(targets)
        ]
        for thread in self.threads:
            thread.start()
        ready.wait(60)
        self.sent.wait(60)

    def _read(self, at, target, ready):
        client = self.clients[at]
        client.connection.connect()
        ready.wait(60)
        client.send("GET", target)
        self.sent.wait(60)
        self.answers[at] = client.receive()

    def wait(self):
        for thread in self.threads:
            thread.join(120)
        for client in self.clients:
            client.close()
        if None in self.answers:
            raise AssertionError(f"{self.answers.count(None)} readers got no answer")
        return self.answers


class OriginCase(DaemonCase):
    """alpha << disk << s3, where s3 is the scripted origin."""

    @classmethod
    def setUpClass(cls):
        cls.origin = Origin()
        cls.addClassCleanup(cls.origin.stop)
        cls.config = 'chain = "alpha << disk << s3"\n[pools.disk]\nkind = "hdf5"\n' + cls.origin.pool("s3")
        super().setUpClass()

    def crowd(self, entry_id, count=READERS, pools=("alpha",)):
        return Crowd(self.daemon, [entry_target(pools[at % len(pools)], entry_id) for at in range(count)])

    def let_all_join(self, gate):
        """While the origin still holds its answer: until every request of the crowd has been taken by the daemon and, as far as can
        be seen from outside, waits. Later requests that take the same way have been answered by then."""
        gate.reached()
        until(lambda: self.daemon.unread_bytes() == 0, "the daemon to take every request")
        for number in range(20):
            self.assert_status(self.http.read("alpha", f"join {self._testMethodName} {number}"), 404)


class Coalescing(OriginCase):
    def test_200_readers_cause_one_origin_get(self):
        key = object_name("cold:key")
        self.origin.put(key, SMALL)
        gate = self.origin.hold(key)
        crowd = self.crowd("cold:key")
        self.let_all_join(gate)
        gate.open()
        answers = crowd.wait()
        self.assertEqual({answer.status for answer in answers}, {200})
        self.assertEqual({answer.body for answer in answers}, {SMALL})
        self.assertEqual({answer.header("Content-Type") for answer in answers}, {"application/json"})
        self.assertEqual(self.origin.count("GET", key), 1)
        self.assertTrue(self.http.exists("alpha", "cold:key"))
        self.assertTrue(self.http.exists("disk", "cold:key"))

    def test_readers_of_two_caches_share_it(self):
        """A walk from alpha and one from disk meet at the origin."""
        key = object_name("both caches")
        self.origin.put(key, SMALL)
        gate = self.origin.hold(key)
        crowd = self.crowd("both caches", 60, ("alpha", "disk"))
        self.let_all_join(gate)
        gate.open()
        answers = crowd.wait()
        self.assertEqual({(answer.status, answer.body) for answer in answers}, {(200, SMALL)})
        self.assertEqual(self.origin.count("GET", key), 1)

    def test_not_found_is_shared(self):
        key = object_name("nobody has it")
        gate = self.origin.hold(key)
        crowd = self.crowd("nobody has it")
        self.let_all_join(gate)
        gate.open()
        answers = crowd.wait()
        for answer in answers:
            self.assert_problem(answer, 404, "entry-not-found")
        self.assertEqual(self.origin.count("GET", key), 1)

    def test_absence_is_not_remembered(self):
        """Shared, not cached: what appears at the origin afterwards is found by the next read."""
        key = object_name("later")
        self.assert_status(self.http.read("alpha", "later"), 404)
        self.origin.put(key, SMALL)
        self.assertEqual(self.assert_status(self.http.read("alpha", "later"), 200).body, SMALL)

    def test_a_failure_wakes_one_waiter_to_retry(self):
        """A refusal that no retry within the backend would mend: the crowd asks at most once more, then all have their answer."""
        key = object_name("denied")
        self.origin.put(key, SMALL)
        self.origin.fail(key, 403, "AccessDenied", times=1000)
        gate = self.origin.hold(key)
        crowd = self.crowd("denied")
        self.let_all_join(gate)
        gate.open()
        for answer in crowd.wait():
            problem = self.assert_problem(answer, 502, "tier-denied")
            self.assertIn("s3", str(problem))
        self.assertLessEqual(self.origin.count("GET", key), 2)
        self.assertFalse(self.http.exists("alpha", "denied"))
        # Nothing of the failure stays: once the origin answers, so do we.
        self.origin.behave(key)
        self.assertEqual(self.assert_status(self.http.read("alpha", "denied"), 200).body, SMALL)

    def test_the_retry_can_succeed(self):
        key = object_name("denied once")
        self.origin.put(key, SMALL)
        self.origin.fail(key, 403, "AccessDenied", times=1)
        gate = self.origin.hold(key)
        crowd = self.crowd("denied once", 50)
        self.let_all_join(gate)
        gate.open()
        answers = crowd.wait()
        self.assertLessEqual({answer.status for answer in answers}, {200, 502})
        served = [answer for answer in answers if answer.status == 200]
        self.assertGreaterEqual(len(served), 49, "only the reader whose fetch failed may see the failure")
        self.assertEqual({answer.body for answer in served}, {SMALL})
        self.assertEqual(self.origin.count("GET", key), 2)

    def test_slow_down_is_retried_by_the_backend(self):
        key = object_name("throttled")
        self.origin.put(key, SMALL)
        self.origin.fail(key, 503, "SlowDown", times=1)
        answers = self.crowd("throttled", 50).wait()
        self.assertEqual({(answer.status, answer.body) for answer in answers}, {(200, SMALL)})
        self.assertEqual(self.origin.count("GET", key), 2)

    def test_a_reader_that_leaves_does_not_end_the_fetch(self):
        key = object_name("left alone")
        self.origin.put(key, SMALL)
        gate = self.origin.hold(key)
        first = self.daemon.client()
        first.send("GET", entry_target("alpha", "left alone"))
        gate.reached()
        second = self.new_client(self.daemon)
        second.send("GET", entry_target("alpha", "left alone"))
        first.close()
        gate.open()
        self.assertEqual(second.receive().body, SMALL)
        self.assertEqual(self.origin.count("GET", key), 1)

    def test_a_large_body_is_fetched_once_for_all(self):
        """Above what is kept in memory the body grows on disk, and all its readers tail it."""
        key = object_name("large")
        body = hashlib.shake_256(b"large").digest(24 * MIB)
        self.origin.put(key, body, "application/octet-stream")
        gate = self.origin.hold(key)
        crowd = self.crowd("large", 8)
        self.let_all_join(gate)
        gate.open()
        digest = hashlib.sha256(body).hexdigest()
        for answer in crowd.wait():
            self.assertEqual(answer.status, 200)
            self.assertEqual(hashlib.sha256(answer.body).hexdigest(), digest)
        self.assertEqual(self.origin.count("GET", key), 1)
        until(lambda: self.http.exists("disk", "large"), "the copy on disk")
        self.assertEqual(hashlib.sha256(self.http.read("disk", "large").body).hexdigest(), digest)
        self.assertEqual(self.origin.count("GET", key), 1)

    def test_readers_join_a_body_that_is_under_way(self):
        """Later readers get the bytes from the beginning while the origin still sends."""
        key = object_name("growing")
        body = hashlib.shake_256(b"growing").digest(4 * MIB)
        self.origin.put(key, body, "application/octet-stream")
        self.origin.drip(key, 4 * MIB)
        first = self.daemon.client()
        self.addCleanup(first.close)
        first.send("GET", entry_target("alpha", "growing"))
        until(lambda: self.origin.count("GET", key) == 1, "the fetch to begin")
        answers = self.crowd("growing", 10).wait()
        self.assertEqual({hashlib.sha256(answer.body).digest() for answer in answers}, {hashlib.sha256(body).digest()})
        self.assertEqual(first.receive().body, body)
        self.assertEqual(self.origin.count("GET", key), 1)

    def test_different_keys_do_not_wait_for_each_other(self):
        held = object_name("held")
        self.origin.put(held, SMALL)
        gate = self.origin.hold(held)
        slow = self.new_client(self.daemon)
        slow.send("GET", entry_target("alpha", "held"))
        gate.reached()
        for number in range(20):
            self.origin.put(object_name(f"free {number}"), b"%d" % number)
            self.assertEqual(self.http.read("alpha", f"free {number}").body, b"%d" % number)
        gate.open()
        self.assertEqual(slow.receive().body, SMALL)


class CutShort(OriginCase):
    """A body that ends early is never an entry."""

    def test_a_cut_body_is_retried_or_refused_but_never_stored(self):
        key = object_name("cut")
        self.origin.put(key, SMALL * 100)
        self.origin.cut(key, 1000, times=100)
        answer = self.http.read("alpha", "cut")
        self.assert_status(answer, 502, 504)
        self.assertEqual([self.http.exists(pool, "cut") for pool in ("alpha", "disk")], [False, False])
        self.origin.behave(key)
        self.assertEqual(self.assert_status(self.http.read("alpha", "cut"), 200).body, SMALL * 100)

    def test_a_body_whose_end_nobody_can_tell_is_never_stored(self):
        for name, length in (("no length", None), ("length too large", "9" * 23), ("no number", "100 bytes")):
            key = object_name(name)
            self.origin.put(key, SMALL)
            self.origin.script(key).length = length
            self.assert_status(self.http.read("alpha", name), 502)
            self.assertEqual([self.http.exists(pool, name) for pool in ("alpha", "disk")], [False, False])
            self.origin.behave(key)
            self.assertEqual(self.assert_status(self.http.read("alpha", name), 200).body, SMALL)

    def test_a_cut_large_body_cuts_its_readers(self):
        """The status is gone already: the connection ends instead of pretending to be complete."""
        key = object_name("cut large")
        body = hashlib.shake_256(b"cut").digest(8 * MIB)
        self.origin.put(key, body, "application/octet-stream")
        self.origin.cut(key, 5 * MIB, times=100)
        try:
            answer = self.http.read("alpha", "cut large")
            self.assertGreaterEqual(answer.status, 500)
        except (http.client.IncompleteRead, ConnectionError):
            self.http.close()
        self.assertEqual([self.http.exists(pool, "cut large") for pool in ("alpha", "disk")], [False, False])
        self.origin.behave(key)
        self.assertEqual(self.http.read("alpha", "cut large").body, body)


class ManyKeys(Case):
    def test_a_storm_over_many_keys(self):
        """64 readers walk 40 cold keys in different orders: one origin GET each, every body right."""
        origin = Origin()
        self.addCleanup(origin.stop)
        daemon = self.new_daemon(config='chain = "alpha << s3"\n' + origin.pool("s3"))
        bodies = {f"key {number}": f"body {number}".encode() * 50 for number in range(40)}
        for entry_id, body in bodies.items():
            origin.put(object_name(entry_id), body)
        wrong = []

        def walk(seed):
            order = sorted(bodies, key=lambda entry_id: hashlib.sha256(f"{seed}{entry_id}".encode()).digest())
            with daemon.client() as client:
                for entry_id in order:
                    answer = client.read("alpha", entry_id)
                    if answer.status != 200 or answer.body != bodies[entry_id]:
                        wrong.append((entry_id, answer))

        threads = [threading.Thread(target=walk, args=(seed,)) for seed in range(64)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])
        self.assertEqual({entry_id: origin.count("GET", object_name(entry_id)) for entry_id in bodies}, dict.fromkeys(bodies, 1))
