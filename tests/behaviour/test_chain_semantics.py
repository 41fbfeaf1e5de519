"""What a chain of pools means: only absence is a miss, writes are local, fills never hurt, newer local writes win."""

import base64
import hashlib
import json
import threading
import time

from client import entry_target
from harness import Case, DaemonCase, until
from origin import Origin, object_name

KIB = 1024
MIB = 1024 * 1024


def memory(*names, more=""):
    return "".join(f'[pools.{name}]\nkind = "memory"\n{more}\n' for name in names)


class TieredCase(DaemonCase):
    """alpha << disk << s3 on a scripted origin, plus memory pools a and b."""

    @classmethod
    def setUpClass(cls):
        cls.origin = Origin()
        cls.addClassCleanup(cls.origin.stop)
        cls.config = (
            'chain = "alpha << disk << s3"\n[pools.disk]\nkind = "hdf5"\n' + memory("a", "b") + cls.origin.pool("s3")
        )
        super().setUpClass()

    def setUp(self):
        super().setUp()
        self.key = self._testMethodName

    def at_origin(self, body, entry_id=None, content_type="application/json"):
        entry_id = entry_id or self.key
        self.origin.put(object_name(entry_id), body, content_type)
        return object_name(entry_id)

    def where(self, entry_id=None, pools=("alpha", "disk", "s3")):
        return [self.http.exists(pool, entry_id or self.key) for pool in pools]


class Values(TieredCase):
    def test_null_zero_and_empty_are_values(self):
        """They are found, copied and served from the copy like everything else."""
        for body in (b"null", b"0", b"", b"false", b'""', b"{}", b"[]", b"None", b"\0"):
            with self.subTest(body=body):
                entry_id = "value " + body.hex()
                name = self.at_origin(body, entry_id)
                self.assertEqual(self.assert_status(self.http.read("alpha", entry_id), 200).body, body)
                self.assertEqual(self.where(entry_id), [True, True, True])
                asked = self.origin.count("GET", name)
                again = self.assert_status(self.http.read("alpha", entry_id), 200)
                self.assertEqual((again.body, again.header("Content-Length")), (body, str(len(body))))
                self.assert_status(self.http.delete(entry_target("alpha", entry_id)), 204)
                self.assertEqual(self.http.read("alpha", entry_id).body, body)
                self.assertEqual(self.origin.count("GET", name), asked, "the copies were not used")

    def test_bodies_of_every_size_and_kind(self):
        """What was put is what is got, through every tier, with its type and coding."""
        sizes = (0, 1, 1023, 65535, 65536, 65537, MIB - 1, MIB, MIB + 1, 3 * MIB + 7)
        for size in sizes:
            for name, body in (
                ("bytes", hashlib.shake_256(b"%d" % size).digest(size)),
                ("text", (b"text \xc3\xa9 " * (size // 8 + 1))[:size]),
                ("late", b"a" * (size - 1) + b"\xff" if size else b""),
            ):
                with self.subTest(size=size, name=name):
                    entry_id = f"{name} of {size}"
                    headers = {"Content-Type": "application/x-thing; v=1", "Content-Encoding": "x-odd"}
                    self.assert_status(self.http.put_entry("disk", entry_id, body, headers), 201, 204)
                    for pool in ("alpha", "alpha", "disk"):
                        answer = self.assert_status(self.http.read(pool, entry_id), 200)
                        self.assertEqual(hashlib.sha256(answer.body).digest(), hashlib.sha256(body).digest())
                        self.assertEqual(answer.header("Content-Length"), str(size))
                        self.assertEqual(answer.header("Content-Type"), "application/x-thing; v=1")
                        self.assertEqual(answer.header("Content-Encoding"), "x-odd")

    def test_the_default_type(self):
        self.assert_status(self.http.put_entry("a", self.key, b"x"), 201)
        self.assertEqual(self.http.read("a", self.key).header("Content-Type"), "application/octet-stream")

    def test_the_headers_of_an_entry(self):
        body = b"digest me"
        self.assert_status(self.http.put_entry("a", self.key, body), 201)
        answer = self.assert_status(self.http.read("a", self.key), 200)
        digest = hashlib.sha256(body)
        self.assertEqual(answer.header("ETag"), f'"{digest.hexdigest()}"')
        self.assertEqual(answer.header("Repr-Digest"), f"sha-256=:{base64.b64encode(digest.digest()).decode()}:")
        self.assertEqual(answer.header("X-Content-Type-Options"), "nosniff")
        self.assertEqual(answer.header("Content-Security-Policy"), "sandbox")
        self.assertEqual(answer.header("Cache-Control"), "no-cache")
        head = self.assert_status(self.http.head(entry_target("a", self.key)), 200)
        for name in ("ETag", "Repr-Digest", "Content-Length", "Content-Type"):
            self.assertEqual(head.header(name), answer.header(name), name)
        self.assertEqual(head.header("Cache-Control"), "no-store")

    def test_a_matching_digest_is_accepted(self):
        coded = "sha-256=:" + base64.b64encode(hashlib.sha256(b"body").digest()).decode() + ":"
        for name in ("Repr-Digest", "Content-Digest"):
            self.assert_status(self.http.put_entry("disk", self.key, b"body", {name: coded}), 201, 204)
        self.assert_status(self.http.put_entry("disk", self.key, b"other", {"Repr-Digest": "md5=:AAAA:"}), 201, 204)

    def test_chunked_uploads(self):
        with self.daemon.raw() as raw:
            raw.send(
                b"PUT /pools/disk/entries/chunked HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"5\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\n\r\n"
            )
            self.assertEqual(raw.answer().status, 201)
        self.assertEqual(self.http.read("disk", "chunked").body, b"hello world")

    def test_chunk_extensions(self):
        """libmicrohttpd 0.9 ignores them, 1.0 refuses them. In no case do they become part of a body."""
        with self.daemon.raw() as raw:
            raw.send(
                b"PUT /pools/disk/entries/extended HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"5;x=y\r\nhello\r\n0\r\n\r\n"
            )
            status = raw.answer().status
        answer = self.http.read("disk", "extended")
        if self.daemon.http_library() < (1, 0):
            self.assertEqual(status, 201)
            self.assertEqual(answer.body, b"hello")
        else:
            self.assertEqual(status, 400)
            self.assert_status(answer, 404)

    def test_expect_continue(self):
        with self.daemon.raw() as raw:
            raw.send(
                b"PUT /pools/a/entries/expected HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4\r\n"
                b"Expect: 100-continue\r\n\r\n"
            )
            until(lambda: b"100" in raw.kept or not raw._more(), "100 Continue")
            raw.send(b"body")
            self.assertEqual(raw.answer().status, 201)
        self.assertEqual(self.http.read("a", "expected").body, b"body")


class Conditions(TieredCase):
    def test_reads(self):
        self.at_origin(b"validated")
        first = self.assert_status(self.http.read("alpha", self.key), 200)
        etag = first.header("ETag")
        self.assertTrue(etag)
        for value in (etag, "*", f'"other", {etag}', "W/" + etag):
            with self.subTest(value=value):
                answer = self.assert_status(self.http.read("alpha", self.key, {"If-None-Match": value}), 304)
                self.assertEqual(answer.header("ETag"), etag)
                self.assertEqual(answer.body, b"")
        self.assert_status(self.http.read("alpha", self.key, {"If-None-Match": '"other"'}), 200)
        # On a miss the cascade comes first: the tier is filled, then the condition is judged.
        self.assert_status(self.http.delete(entry_target("alpha", self.key)), 204)
        self.assert_status(self.http.read("alpha", self.key, {"If-None-Match": etag}), 304)
        self.assertEqual(self.where(), [True, True, True])
        self.assert_status(self.http.read("alpha", "no such entry", {"If-None-Match": "*"}), 404)

    def test_writes_look_at_the_named_pool_only(self):
        for pool in ("a", "disk"):
            with self.subTest(pool=pool):
                target = entry_target(pool, self.key)
                self.assert_status(self.http.put(target, b"one", {"If-None-Match": "*"}), 201)
                self.assert_problem(self.http.put(target, b"two", {"If-None-Match": "*"}), 412, "precondition-failed")
                self.assertEqual(self.http.get(target).body, b"one")
                etag = self.http.get(target).header("ETag")
                self.assert_problem(self.http.put(target, b"two", {"If-Match": '"other"'}), 412, "precondition-failed")
                self.assert_status(self.http.put(target, b"two", {"If-Match": etag}), 204)
                self.assert_problem(self.http.put(target, b"three", {"If-Match": etag}), 412, "precondition-failed")
                self.assert_problem(self.http.delete(target, {"If-Match": etag}), 412, "precondition-failed")
                self.assertEqual(self.http.get(target).body, b"two")
                self.assert_status(self.http.delete(target, {"If-Match": "*"}), 204)
                self.assert_status(self.http.delete(target, {"If-Match": "*"}), 412)

    def test_not_local(self):
        self.at_origin(b"only at the origin")
        answer = self.http.put_entry("alpha", self.key, b"x", {"If-Match": "*"})
        self.assert_problem(answer, 412, "not-local")
        self.assertEqual(self.where(), [False, False, True])

    def test_one_of_many_creators_wins(self):
        for pool in ("a", "disk"):
            statuses = []

            def create(number, pool=pool, statuses=statuses):
                with self.daemon.client() as client:
                    answer = client.put_entry(pool, self.key, b"%d" % number, {"If-None-Match": "*"})
                    statuses.append((answer.status, number))

            threads = [threading.Thread(target=create, args=(number,)) for number in range(16)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            winners = [number for status, number in statuses if status == 201]
            self.assertEqual((len(winners), sorted(status for status, _ in statuses)[1:]), (1, [412] * 15))
            self.assertEqual(self.http.read(pool, self.key).body, b"%d" % winners[0])


class LocalOnly(TieredCase):
    def test_writes_deletes_and_existence(self):
        self.at_origin(b"at the origin")
        self.assertEqual(self.where(), [False, False, True])
        self.assert_status(self.http.put_entry("alpha", self.key, b"in alpha"), 201)
        self.assertEqual(self.where(), [True, False, True])
        self.assertEqual(self.origin.get(object_name(self.key)), b"at the origin")
        self.assertEqual(self.http.read("disk", self.key).body, b"at the origin")
        self.assertEqual(self.http.read("alpha", self.key).body, b"in alpha")
        for pool, after in (("disk", [True, False, True]), ("alpha", [False, False, True]), ("alpha", [False, False, True])):
            self.assert_status(self.http.delete(entry_target(pool, self.key)), 204)
            self.assertEqual(self.where(), after)
        self.assertEqual(self.origin.total("DELETE"), 0)

    def test_existence_fills_nothing(self):
        name = self.at_origin(b"x")
        answer = self.assert_status(self.http.head(entry_target("alpha", self.key)), 404)
        self.assertEqual(answer.body, b"")
        self.assertEqual(self.where(), [False, False, True])
        self.assertEqual(self.origin.count("GET", name), 0)
        self.assert_status(self.http.put_entry("alpha", self.key, b"x"), 201)
        head = self.http.head(entry_target("alpha", self.key))
        self.assertEqual(head.tiers(), [("alpha", {"hit": True, "detail": "local"})])

    def test_keys_and_empty(self):
        for pool in ("alpha", "disk"):
            self.assert_status(self.http.delete(f"/pools/{pool}/entries?all=true"), 204)
        self.at_origin(b"x", "empty one")
        self.at_origin(b"x", "empty two")
        self.assertEqual(self.http.read("alpha", "empty one").status, 200)
        self.assert_status(self.http.put_entry("disk", "empty three", b"x"), 201)
        self.assertEqual(self.http.ids("alpha"), {"empty one"})
        self.assertEqual(self.http.ids("disk"), {"empty one", "empty three"})
        self.assertLessEqual({"empty one", "empty two"}, self.http.ids("s3"))
        self.assert_status(self.http.delete("/pools/disk/entries?all=true"), 204)
        self.assertEqual((self.http.ids("alpha"), self.http.ids("disk")), ({"empty one"}, set()))
        self.assertLessEqual({"empty one", "empty two"}, self.http.ids("s3"))
        self.assertEqual(self.origin.total("DELETE", "POST"), 0)

    def test_the_copies_are_visible_right_after_the_answer(self):
        """On every local tier, without waiting, from another connection, whatever the size."""
        with self.daemon.client() as other:
            for number in range(60):
                entry_id = f"visible {number}"
                self.at_origin(b"v" * (100 if number % 10 else 2 * MIB), entry_id)
                self.assert_status(self.http.read("alpha", entry_id), 200)
                self.assertEqual([other.exists(pool, entry_id) for pool in ("disk", "alpha")], [True, True], entry_id)

    def test_a_hit_stops_the_walk(self):
        """The nearest tier that has it answers; those below are not asked, those above get the copy."""
        name = self.at_origin(b"old, at the origin")
        self.assert_status(self.http.put_entry("disk", self.key, b"newer, on disk"), 201)
        answer = self.http.read("alpha", self.key)
        self.assertEqual(answer.body, b"newer, on disk")
        self.assertEqual(self.origin.count("GET", name), 0)
        tiers = answer.tiers()
        self.assertEqual([nickname for nickname, _ in tiers], ["disk", "alpha"])
        self.assertIn("hit", tiers[0][1])
        self.assertEqual(tiers[1][1].get("fwd"), "uri-miss")
        self.assertIn("stored", tiers[1][1])


class RequestDirectives(TieredCase):
    def test_only_if_cached(self):
        name = self.at_origin(b"x")
        self.assert_status(self.http.read("alpha", self.key, {"Cache-Control": "only-if-cached"}), 504)
        self.assertEqual(self.origin.count("GET", name), 0)
        self.assertEqual(self.where(), [False, False, True])
        self.assert_status(self.http.read("alpha", self.key), 200)
        self.assert_status(self.http.read("alpha", self.key, {"Cache-Control": "only-if-cached"}), 200)

    def test_no_store(self):
        self.at_origin(b"x")
        answer = self.assert_status(self.http.read("alpha", self.key, {"Cache-Control": "no-store"}), 200)
        self.assertEqual(answer.body, b"x")
        self.assertEqual(self.where(), [False, False, True])


class Races(TieredCase):
    """Local writes and deletes while a fetch is under way: the newer word wins."""

    def under_way(self, act):
        """A read through alpha stands at the origin while act() runs; returns its answer."""
        name = self.at_origin(b"fetched")
        gate = self.origin.hold(name)
        reader = self.new_client(self.daemon)
        reader.send("GET", entry_target("alpha", self.key))
        gate.reached()
        act()
        gate.open()
        answer = self.assert_status(reader.receive(), 200)
        self.origin.behave(name)
        return answer

    def test_a_delete_is_not_undone(self):
        def act():
            self.assert_status(self.http.delete(entry_target("alpha", self.key)), 204)

        self.assertEqual(self.under_way(act).body, b"fetched")
        self.assertFalse(self.http.exists("alpha", self.key), "the fill brought a deleted entry back")

    def test_a_delete_lower_down_is_not_undone(self):
        def act():
            self.assert_status(self.http.delete(entry_target("disk", self.key)), 204)

        self.assertEqual(self.under_way(act).body, b"fetched")
        self.assertFalse(self.http.exists("disk", self.key), "the fill brought a deleted entry back")

    def test_an_emptying_is_not_undone(self):
        def act():
            for pool in ("alpha", "disk"):
                self.assert_status(self.http.delete(f"/pools/{pool}/entries?all=true"), 204)

        self.under_way(act)
        self.assertEqual(self.where(), [False, False, True])

    def test_a_put_wins(self):
        def act():
            self.assert_status(self.http.put_entry("alpha", self.key, b"written meanwhile"), 201)
            self.assertEqual(self.http.read("alpha", self.key).body, b"written meanwhile")

        self.assertIn(self.under_way(act).body, (b"fetched", b"written meanwhile"))
        self.assertEqual(self.http.read("alpha", self.key).body, b"written meanwhile")

    def test_a_put_lower_down_wins(self):
        def act():
            self.assert_status(self.http.put_entry("disk", self.key, b"written meanwhile"), 201)

        self.under_way(act)
        self.assertEqual(self.http.read("disk", self.key).body, b"written meanwhile")

    def test_a_write_closes_the_flight_to_new_readers(self):
        """Who asks after the write was answered never gets the value from before it."""
        seen = []

        def act():
            self.assert_status(self.http.put_entry("alpha", self.key, b"one"), 201)
            self.assert_status(self.http.delete(entry_target("alpha", self.key)), 204)
            self.assert_status(self.http.put_entry("disk", self.key, b"two"), 201)
            seen.append(self.http.read("alpha", self.key).body)

        self.under_way(act)
        self.assertEqual(seen, [b"two"])

    def test_a_storm_of_writers_and_readers(self):
        """The last write that was answered is what a read gets afterwards, every time."""
        self.at_origin(b"origin")
        stop = threading.Event()
        wrong = []

        def read():
            with self.daemon.client() as client:
                while not stop.is_set():
                    answer = client.read("alpha", self.key)
                    if answer.status != 200:
                        wrong.append(answer)

        readers = [threading.Thread(target=read) for _ in range(4)]
        for reader in readers:
            reader.start()
        try:
            for number in range(150):
                body = b"write %d" % number
                self.http.put_entry("alpha", self.key, body)
                self.assertEqual(self.http.read("alpha", self.key).body, body)
                self.http.delete(entry_target("alpha", self.key))
                self.assertEqual(self.http.read("alpha", self.key).body, b"origin")
        finally:
            stop.set()
            for reader in readers:
                reader.join()
        self.assertEqual(wrong, [])


class Failures(TieredCase):
    """A tier that fails is not a tier that has nothing."""

    def setUp(self):
        super().setUp()
        self.addCleanup(self.http.put, "/chain", "alpha << disk << s3", {"Content-Type": "text/plain"})
        self.addCleanup(self.up)

    def up(self):
        if self.origin.server is None:
            self.origin.resume()

    def failed_tiers(self, problem):
        return json.dumps(problem.get("tiers", problem.get("tier")))

    def test_a_tier_that_is_down_is_not_absence(self):
        self.origin.stop()
        answer = self.http.read("alpha", self.key)
        self.assert_status(answer, 502, 504)
        problem = answer.json()
        self.assertIn(problem["type"], ("urn:lailad:problem:tier-unavailable", "urn:lailad:problem:tier-timeout"))
        self.assertIn('"s3"', self.failed_tiers(problem))
        self.assertNotIn('"disk"', self.failed_tiers(problem))
        self.assertTrue(problem["retryable"])
        tiers = dict(answer.tiers())
        self.assertEqual(tiers["s3"].get("fwd"), "miss")
        self.assertTrue(tiers["s3"].get("detail"))
        self.assertEqual(tiers["alpha"].get("fwd"), "uri-miss")
        # Local tiers go on as if nothing had happened, and when the origin is back, so are its entries.
        self.assert_status(self.http.put_entry("alpha", "local meanwhile", b"x"), 201, 204)
        self.assertEqual(self.http.read("alpha", "local meanwhile").body, b"x")
        self.assert_status(self.http.head(entry_target("s3", self.key)), 502, 503, 504)
        self.origin.resume()
        self.assert_status(self.http.read("alpha", self.key), 404)
        self.at_origin(b"back")
        self.assertEqual(self.assert_status(self.http.read("alpha", self.key), 200).body, b"back")

    def test_what_lies_below_a_failed_tier_is_served_but_not_copied_above_it(self):
        """alpha << s3 (down) << a << b: the failed tier may hold a newer value, so only a, below it, gets a copy."""
        self.assert_status(self.http.put("/chain", "alpha << s3 << a << b", {"Content-Type": "text/plain"}), 200)
        self.assert_status(self.http.put_entry("b", self.key, b"from below"), 201)
        self.origin.stop()
        answer = self.assert_status(self.http.read("alpha", self.key), 200)
        self.assertEqual(answer.body, b"from below")
        tiers = answer.tiers()
        self.assertEqual([nickname for nickname, _ in tiers], ["b", "a", "s3", "alpha"])
        self.assertIn("hit", tiers[0][1])
        self.assertIn("stored", tiers[1][1])
        self.assertEqual(tiers[2][1].get("fwd"), "miss")
        self.assertTrue(tiers[2][1].get("detail"))
        self.assertNotIn("stored", tiers[2][1])
        self.assertNotIn("stored", tiers[3][1])
        self.assertTrue(self.http.exists("a", self.key))
        self.assertFalse(self.http.exists("alpha", self.key))
        self.origin.resume()
        self.at_origin(b"newer, in the tier that was down")
        self.assertEqual(self.http.read("alpha", self.key).body, b"newer, in the tier that was down")

    def test_the_status_of_the_failed_tier_nearest_the_origin(self):
        other = Origin()
        self.addCleanup(other.stop)
        options = {
            "bucket": "bucket", "endpoint": other.endpoint, "region": "us-east-1", "addressing": "path",
            "access_key_id": "key", "secret_access_key": "secret",
        }
        self.assert_status(self.http.post_json("/pools", {"nickname": "far", "kind": "s3", "config": options}), 201)
        self.addCleanup(self.http.delete, "/pools/far")
        self.addCleanup(self.http.put, "/chain", "", {"Content-Type": "text/plain"})
        self.assert_status(self.http.put("/chain", "alpha << s3 << far", {"Content-Type": "text/plain"}), 200)
        other.fail(object_name(self.key), 403, "AccessDenied", times=100)
        self.origin.stop()
        problem = self.assert_problem(self.http.read("alpha", self.key), 502, "tier-denied")
        self.assertIn('"s3"', self.failed_tiers(problem))
        self.assertIn('"far"', self.failed_tiers(problem))

    def test_on_tier_error_fail(self):
        """A tier's link may say that its failure fails the read instead of following the link."""
        self.assert_status(self.http.put("/chain", "alpha << s3 << b", {"Content-Type": "text/plain"}), 200)
        self.assert_status(self.http.put_json("/pools/s3/proxy_to", {"pool": "b", "on_tier_error": "fail"}), 200)
        self.assertEqual(self.http.get("/pools/s3/proxy_to").json()["on_tier_error"], "fail")
        self.assert_status(self.http.put_entry("b", self.key, b"from below"), 201)
        self.assertEqual(self.http.read("alpha", self.key).body, b"from below")
        until(lambda: self.http.exists("s3", self.key), "the copy in s3, which is made in the background")
        self.origin.stop()

        def is_refused():
            """Until the first read's copy into s3 has ended, its flight may still be joined."""
            self.assert_status(self.http.delete(entry_target("alpha", self.key)), 204)
            return self.http.read("alpha", self.key).status in (502, 504)

        until(is_refused, "a read that fails with its tier")
        self.assert_status(self.http.put_json("/pools/s3/proxy_to", {"pool": "b", "on_tier_error": "skip"}), 200)
        self.assertEqual(self.assert_status(self.http.read("alpha", self.key), 200).body, b"from below")

    def test_a_throttled_tier(self):
        name = self.at_origin(b"x")
        self.origin.fail(name, 503, "SlowDown", times=1000)
        answer = self.http.read("alpha", self.key)
        self.assert_problem(answer, 503, "tier-throttled")
        self.assertTrue(answer.header("Retry-After"))
        self.origin.behave(name)
        self.assertEqual(self.assert_status(self.http.read("alpha", self.key), 200).body, b"x")

    def test_a_write_to_a_tier_that_is_down(self):
        """Says so; and nothing was written anywhere."""
        self.origin.stop()
        self.assert_status(self.http.put_entry("s3", self.key, b"x"), 502, 503, 504)
        self.assert_status(self.http.delete(entry_target("s3", self.key)), 502, 503, 504)
        self.origin.resume()
        self.assertIsNone(self.origin.get(object_name(self.key)))


class Fills(Case):
    """A fill that cannot be made never fails the read."""

    def test_too_big_for_the_cache(self):
        config = 'chain = "alpha << disk"\n[pools.alpha]\nkind = "memory"\nmax_bytes = "1MiB"\nmax_fill_bytes = 1000\n'
        daemon = self.new_daemon(config=config + '[pools.disk]\nkind = "hdf5"\n')
        client = self.new_client(daemon)
        for size, copied in ((1000, True), (1001, False), (500 * KIB, False), (5 * MIB, False)):
            with self.subTest(size=size):
                entry_id = f"size {size}"
                body = b"x" * size
                self.assert_status(client.put_entry("disk", entry_id, body), 201)
                self.assertEqual(self.assert_status(client.read("alpha", entry_id), 200).body, body)
                self.assertEqual(client.exists("alpha", entry_id), copied)
        # It bounds fills, not writes.
        self.assert_status(client.put_entry("alpha", "written", b"x" * 5000), 201)

    def test_a_read_only_file(self):
        daemon = self.new_daemon(config='[pools.disk]\nkind = "hdf5"\n')
        client = self.new_client(daemon)
        self.assert_status(client.put_entry("disk", "old", b"before"), 201)
        client.close()
        origin = Origin()
        self.addCleanup(origin.stop)
        daemon.config = (
            'chain = "alpha << disk << s3"\n[pools.disk]\nkind = "hdf5"\nread_only = true\n' + origin.pool("s3")
        )
        daemon.restart()
        client = self.new_client(daemon)
        origin.put(object_name("new"), b"from the origin")
        answer = self.assert_status(client.read("alpha", "new"), 200)
        self.assertEqual(answer.body, b"from the origin")
        self.assertNotIn("stored", dict(answer.tiers())["disk"])
        self.assertEqual([client.exists(pool, "new") for pool in ("alpha", "disk")], [True, False])
        self.assertEqual(client.read("alpha", "old").body, b"before")
        self.assert_problem(client.put_entry("disk", "write", b"x"), 409, "pool-read-only")
        self.assert_problem(client.delete(entry_target("disk", "old")), 409, "pool-read-only")
        self.assert_problem(client.delete("/pools/disk/entries?all=true"), 409, "pool-read-only")
        self.assertEqual(client.read("disk", "old").body, b"before")

    def test_a_file_that_cannot_be_opened(self):
        """The pool is failed, the daemon is not: reads skip it and say so."""
        origin = Origin()
        self.addCleanup(origin.stop)
        daemon = self.new_daemon(config='[pools.disk]\nkind = "hdf5"\n')
        daemon.stop()
        (daemon.data / "disk.h5").write_bytes(b"this is no HDF5 file" * 100)
        daemon.config = 'chain = "alpha << disk << s3"\n[pools.disk]\nkind = "hdf5"\n' + origin.pool("s3")
        daemon.start()
        client = self.new_client(daemon)
        origin.put(object_name("x"), b"from the origin")
        pool = self.assert_status(client.get("/pools/disk"), 200).json()
        self.assertEqual(pool["state"]["status"], "failed")
        self.assertTrue(pool["state"]["reason"])
        self.assertNotIn(str(daemon.data), json.dumps(pool))
        answer = self.assert_status(client.read("alpha", "x"), 200)
        self.assertEqual(answer.body, b"from the origin")
        self.assertTrue(dict(answer.tiers())["disk"].get("detail"))
        self.assertFalse(client.exists("alpha", "x"), "a copy above a tier that could not answer")
        answer = client.read("alpha", "nowhere")
        self.assert_status(answer, 502)
        self.assertIn("disk", json.dumps(answer.json()))


class SlowOrigin(Case):
    def test_local_tiers_answer_while_every_remote_fetch_is_stuck(self):
        """One fetch from behind a network at a time, and that one stands still: what a local tier has is served all the same."""
        origin = Origin()
        self.addCleanup(origin.stop)
        daemon = self.new_daemon(
            config='fetch_threads = 1\nchain = "alpha << disk << s3"\n[pools.disk]\nkind = "hdf5"\n' + origin.pool("s3")
        )
        client = self.new_client(daemon, timeout=10)
        self.assert_status(client.put_entry("disk", "here", b"local"), 201)
        origin.put(object_name("far"), b"x" * MIB)
        gate = origin.hold(object_name("far"))
        answers = []
        with daemon.client() as slow:
            reader = threading.Thread(target=lambda: answers.append(slow.read("alpha", "far")))
            reader.start()
            gate.reached()
            self.assertEqual(client.read("alpha", "here").body, b"local")
            self.assertTrue(client.exists("alpha", "here"), "no copy was made")
            gate.open()
            reader.join()
        self.assertEqual([answer.status for answer in answers], [200])


class RemoteCopies(Case):
    """A copy on its way into an object store, and what is written there meanwhile; with a store that can create only, and one that cannot."""

    CHANGES = {"put": b"new", "delete": None, "empty": None}

    def scene(self, conditional):
        """alpha << s3 << low; every read below leaves a copy in s3 in the background."""
        origin = Origin(conditional)
        self.addCleanup(origin.stop)
        daemon = self.new_daemon(config='chain = "alpha << s3 << low"\n' + memory("low") + origin.pool("s3"))
        return origin, daemon

    def change(self, daemon, change, entry_id):
        with daemon.client() as client:
            if change == "put":
                return client.put_entry("s3", entry_id, b"new")
            if change == "empty":
                return client.delete("/pools/s3/entries?all=true")
            return client.delete(entry_target("s3", entry_id))

    def each(self):
        for conditional in (True, False):
            origin, daemon = self.scene(conditional)
            with daemon.client() as client:
                for change, left in self.CHANGES.items():
                    self.assert_status(client.put_entry("low", change, b"old"), 201)
                    yield origin, daemon, client, change, left
            daemon.stop()

    def test_a_copy_that_is_tried_again_is_not_newer_than_a_write(self):
        for origin, daemon, client, change, left in self.each():
            name = object_name(change)
            origin.fail_puts(name, 503, "SlowDown")
            self.assertEqual(client.read("alpha", change).body, b"old")
            self.assertTrue(origin.script(name).failed.acquire(timeout=30), "the copy was never sent")
            self.assertIn(self.change(daemon, change, change).status, (200, 201, 204))
            deadline = time.monotonic() + 1.5  # a second attempt would come within one
            while time.monotonic() < deadline:
                self.assertEqual(origin.get(name), left, f"the older copy came after {change} (create-only: {origin.conditional})")
                time.sleep(0.02)

    def test_a_copy_on_its_way_does_not_arrive_after_a_write(self):
        for origin, daemon, client, change, left in self.each():
            name = object_name(change)
            gate = origin.hold_put(name)
            self.assertEqual(client.read("alpha", change).body, b"old")
            gate.reached()
            answers = []
            thread = threading.Thread(target=lambda: answers.append(self.change(daemon, change, change)))
            thread.start()
            thread.join(0.5)  # a change that does not wait for the copy would be done by then, and undone below
            gate.open()
            self.assertTrue(gate.answered.wait(30))
            thread.join(60)
            self.assertIn(answers[0].status, (200, 201, 204))
            self.assertEqual(origin.get(name), left, f"the older copy came after {change} (create-only: {origin.conditional})")

    def test_a_read_of_the_old_wiring_does_not_replace_the_copy_of_a_newer_one(self):
        origin, daemon = self.scene(True)
        origin.put(object_name("k"), b"from s3")
        gate = origin.hold(object_name("k"))
        with daemon.client() as client, daemon.client() as other:
            self.assert_status(client.put_entry("low", "k", b"from low"), 201)
            other.send("GET", entry_target("alpha", "k"))
            gate.reached()
            self.assert_status(client.put("/chain", "alpha << low", {"Content-Type": "text/plain"}), 200)
            self.assertEqual(client.read("alpha", "k").body, b"from low")
            gate.open()
            self.assertEqual(other.receive().body, b"from s3", "it finishes on the chain it began with")
            self.assertEqual(client.read("alpha", "k").body, b"from low")


class Bounds(Case):
    """max_bytes: cached copies make room, owned entries never do."""

    def setUp(self):
        config = memory("origin") + memory("small", more='max_bytes = "256KiB"')
        self.daemon = self.new_daemon(config=config)
        self.http = self.new_client(self.daemon)

    def test_cached_copies_are_evicted(self):
        self.assert_status(self.http.wire("small << origin"), 200)
        body = b"c" * 10 * KIB
        for number in range(100):
            self.assert_status(self.http.put_entry("origin", f"k{number}", body), 201)
            self.assertEqual(self.assert_status(self.http.read("small", f"k{number}"), 200).body, body)
        counts = self.http.get("/pools/small").json()["counts"]
        self.assertLessEqual(counts["bytes"], 256 * KIB)
        self.assertGreater(counts["entries"], 5)
        self.assertLess(counts["entries"], 27)
        for number in range(100):
            self.assertEqual(self.http.read("small", f"k{number}").body, body)

    def test_owned_entries_stay(self):
        self.assert_status(self.http.wire("small << origin"), 200)
        body = b"o" * 10 * KIB
        kept = []
        for number in range(100):
            answer = self.assert_status(self.http.put_entry("small", f"own{number}", body), 201, 507)
            if answer.status == 507:
                self.assert_problem(answer, 507, "no-space")
                break
            kept.append(number)
        self.assertGreater(len(kept), 10)
        self.assertLess(len(kept), 27)
        # The refused write changed nothing; reads through the full pool still work; owned entries are all there.
        self.assertFalse(self.http.exists("small", f"own{len(kept)}"))
        self.assert_status(self.http.put_entry("origin", "below", body), 201)
        self.assertEqual(self.http.read("small", "below").body, body)
        for number in kept:
            self.assertEqual(self.http.read("small", f"own{number}").body, body)
        # Replacing one by as much fits.
        self.assert_status(self.http.put_entry("small", "own0", b"p" * 10 * KIB), 204)

    def test_larger_than_the_pool_can_ever_hold(self):
        self.assert_problem(self.http.put_entry("small", "huge", b"x" * 300 * KIB), 413, "too-large")
        self.assertEqual(self.http.ids("small"), set())

    def test_a_new_owned_entry_makes_cached_copies_leave(self):
        self.assert_status(self.http.wire("small << origin"), 200)
        for number in range(30):
            self.assert_status(self.http.put_entry("origin", f"k{number}", b"c" * 10 * KIB), 201)
            self.assert_status(self.http.read("small", f"k{number}"), 200)
        for number in range(15):
            self.assert_status(self.http.put_entry("small", f"own{number}", b"o" * 10 * KIB), 201)
        for number in range(15):
            self.assertEqual(self.http.read("small", f"own{number}").body, b"o" * 10 * KIB)
