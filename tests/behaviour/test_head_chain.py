"""HEAD ?scope=chain: whether the chain has an entry, by a read's rules, moving and filling nothing."""

from client import entry_target, query_target
from harness import Case, DaemonCase
from origin import Origin, object_name

BODY = b'{"message": "hello"}'
COPIED = ("Content-Length", "Content-Type", "Content-Encoding", "ETag", "Repr-Digest")


class HeadOfTheChain(DaemonCase):
    """alpha << disk << s3 on a scripted origin."""

    @classmethod
    def setUpClass(cls):
        cls.origin = Origin()
        cls.addClassCleanup(cls.origin.stop)
        cls.config = 'chain = "alpha << disk << s3"\n[pools.disk]\nkind = "hdf5"\n' + cls.origin.pool("s3")
        super().setUpClass()

    def setUp(self):
        super().setUp()
        self.name = self._testMethodName

    def ask(self, pool="alpha", entry_id=None, headers=None):
        return self.http.head(entry_target(pool, entry_id or self.name) + "?scope=chain", headers)

    def test_found_at_the_origin(self):
        self.origin.put(object_name(self.name), BODY)
        answer = self.assert_status(self.ask(), 200)
        self.assertEqual(answer.header("Content-Length"), str(len(BODY)))
        self.assertEqual(answer.header("Content-Type"), "application/json")
        self.assertEqual(answer.header("Cache-Control"), "no-store")
        self.assertEqual(answer.body, b"")
        self.assertEqual(answer.tiers(), [("s3", {"hit": True}), ("disk", {"fwd": "uri-miss"}), ("alpha", {"fwd": "uri-miss"})])
        self.assertEqual(self.origin.count("GET", object_name(self.name)), 0)
        for pool in ("alpha", "disk"):
            self.assertFalse(self.http.exists(pool, self.name))

    def test_the_nearest_tier_answers(self):
        self.assert_status(self.http.put_entry("disk", self.name, BODY, {"Content-Encoding": "x-odd"}), 201, 204)
        answer = self.assert_status(self.ask(), 200)
        self.assertEqual(answer.tiers(), [("disk", {"hit": True}), ("alpha", {"fwd": "uri-miss"})])
        self.assertEqual(self.origin.total("HEAD") and self.origin.count("HEAD", object_name(self.name)), 0)
        read = self.http.read("alpha", self.name)
        self.assertEqual({name: answer.header(name) for name in COPIED}, {name: read.header(name) for name in COPIED})
        self.assertEqual(self.ask().tiers(), [("alpha", {"hit": True})])

    def test_absent_everywhere(self):
        answer = self.assert_status(self.ask(), 404)
        self.assertEqual(
            answer.tiers(), [("s3", {"fwd": "uri-miss"}), ("disk", {"fwd": "uri-miss"}), ("alpha", {"fwd": "uri-miss"})]
        )

    def test_local_is_the_default(self):
        self.origin.put(object_name(self.name), BODY)
        for query in ("", "?scope=local"):
            answer = self.assert_status(self.http.head(entry_target("alpha", self.name) + query), 404)
            self.assertEqual(answer.tiers(), [("alpha", {"detail": "local"})])

    def test_by_query(self):
        for entry_id in ("..", self.name):
            self.assert_status(self.http.head(query_target("alpha", entry_id) + "&scope=chain"), 404)
            self.origin.put(object_name(entry_id), BODY)
            answer = self.assert_status(self.http.head(query_target("alpha", entry_id) + "&scope=chain"), 200)
            self.assertEqual(answer.tiers()[0], ("s3", {"hit": True}))

    def test_other_scopes(self):
        for scope in ("scope=", "scope", "scope=Chain", "scope=all", "scope=chain%00", "scop=chain"):
            self.assert_status(self.http.head(entry_target("alpha", self.name) + "?" + scope), 400)
        for method in ("GET", "PUT", "DELETE"):
            body = b"" if method == "PUT" else None
            answer = self.http.ask(method, entry_target("alpha", self.name) + "?scope=chain", body)
            self.assert_problem(answer, 400, "invalid-query")

    def test_conditions(self):
        self.assert_status(self.http.put_entry("disk", self.name, BODY), 201, 204)
        tag = self.ask().header("ETag")
        answer = self.assert_status(self.ask(headers={"If-None-Match": tag}), 304)
        self.assertEqual((answer.header("ETag"), answer.tiers()[0]), (tag, ("disk", {"hit": True})))
        self.assert_status(self.ask(headers={"If-None-Match": '"other"'}), 200)
        self.assert_status(self.ask(headers={"If-Match": '"other"'}), 412)
        self.assert_status(self.ask(headers={"If-Match": tag}), 200)
        self.assert_status(self.ask(entry_id="nowhere", headers={"If-Match": "*"}), 404)
        self.assert_status(self.ask(headers={"If-Match": "nonsense"}), 400)

    def test_past_cached_copies(self):
        key = object_name(self.name)
        self.origin.put(key, BODY)
        self.assert_status(self.http.read("alpha", self.name), 200)
        self.origin.put(key, BODY + b" ")
        answer = self.assert_status(self.ask(headers={"Cache-Control": "no-cache"}), 200)
        self.assertEqual(answer.header("Content-Length"), str(len(BODY) + 1))
        self.assertEqual(answer.tiers(), [("s3", {"hit": True}), ("disk", {"fwd": "request"}), ("alpha", {"fwd": "request"})])
        self.assertEqual(self.http.read("alpha", self.name).body, BODY)

    def test_only_if_cached(self):
        """The named pool alone, as for a read."""
        only, both = ({"Cache-Control": text} for text in ("only-if-cached", "only-if-cached, no-cache"))
        key = object_name(self.name)
        self.origin.put(key, BODY)
        for headers in (only, both):
            answer = self.assert_status(self.ask(headers=headers), 504)
            self.assertEqual(answer.tiers(), [("alpha", {"fwd": "uri-miss"})])
        self.assertEqual(self.origin.count("HEAD", key), 0)
        self.assert_status(self.http.read("alpha", self.name), 200)
        answer = self.assert_status(self.ask(headers=only), 200)
        self.assertEqual(answer.tiers(), [("alpha", {"hit": True})])
        answer = self.assert_status(self.ask(headers=both), 504)
        self.assertEqual(answer.tiers(), [("alpha", {"fwd": "request"})])
        self.assert_status(self.http.put_entry("alpha", self.name, BODY), 201, 204)
        self.assert_status(self.ask(headers=both), 200)
        self.assertEqual(self.origin.count("HEAD", key), 0)
        # The last tier is the origin whatever its flag, and a pool without a chain has nobody else to ask.
        self.assert_status(self.ask("s3", headers=both), 200)
        self.assert_status(self.ask("s3", "nowhere", headers=only), 504)

    def test_a_tier_that_fails(self):
        key = object_name(self.name)
        self.origin.fail(key, 403, "AccessDenied", times=100)
        answer = self.assert_status(self.ask(), 502)
        self.assertEqual(answer.tiers()[0], ("s3", {"fwd": "miss", "detail": "denied"}))
        self.assertEqual(self.assert_status(self.http.head(entry_target("s3", self.name)), 502).body, b"")


class Skipped(Case):
    def test_a_failed_tier_is_skipped(self):
        near, far = Origin(), Origin()
        self.addCleanup(near.stop)
        self.addCleanup(far.stop)
        daemon = self.new_daemon('chain = "alpha << near << far"\n' + near.pool("near") + far.pool("far"))
        http = self.new_client(daemon)
        near.fail("k", 403, "AccessDenied", times=100)
        answer = self.assert_status(http.head(entry_target("alpha", "k") + "?scope=chain"), 502)
        self.assertEqual([name for name, _ in answer.tiers()], ["far", "near", "alpha"])
        far.put("k", BODY)
        answer = self.assert_status(http.head(entry_target("alpha", "k") + "?scope=chain"), 200)
        self.assertEqual(
            answer.tiers(), [("far", {"hit": True}), ("near", {"fwd": "miss", "detail": "denied"}), ("alpha", {"fwd": "uri-miss"})]
        )
