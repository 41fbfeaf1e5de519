"""Cache-Control: no-cache on a read: cached copies are passed over, replaced by what is found below them, or removed.

An owned entry is nobody's copy: it is served. Newer local writes win against a refresh as they do against any fill.
"""

import threading

from client import entry_target
from harness import Case, DaemonCase, until
from objects import Bucket
from origin import Origin, object_name

MIB = 1024 * 1024
NO_CACHE = {"Cache-Control": "no-cache"}
OLD = b'{"version": 1}'
NEW = b'{"version": 2, "longer": true}'


class RefreshCase(DaemonCase):
    """alpha << disk << s3 on a scripted origin; alpha takes copies up to 64 KiB."""

    @classmethod
    def setUpClass(cls):
        cls.origin = Origin()
        cls.addClassCleanup(cls.origin.stop)
        cls.config = (
            'chain = "alpha << disk << s3"\nrange_fill_max = 2097152\n[pools.alpha]\nkind = "memory"\nmax_fill_bytes = 65536\n'
            '[pools.disk]\nkind = "hdf5"\n[pools.lone]\nkind = "memory"\n' + cls.origin.pool("s3")
        )
        super().setUpClass()

    def setUp(self):
        super().setUp()
        self.name = self._testMethodName
        self.key = object_name(self.name)

    def warm(self, body=OLD):
        """The origin's entry with a cached copy in every tier above."""
        self.origin.put(self.key, body)
        self.assertEqual(self.assert_status(self.refresh(), 200).body, body)
        self.assertTrue(self.http.exists("disk", self.name))

    def refresh(self, headers=None, pool="alpha"):
        return self.http.read(pool, self.name, {**NO_CACHE, **(headers or {})})

    def local(self, pool, entry_id=None):
        """What the pool itself would serve, or None."""
        answer = self.http.read(pool, entry_id or self.name, {"Cache-Control": "only-if-cached"})
        self.assert_status(answer, 200, 504)
        return answer.body if answer.status == 200 else None

    def begin_refresh(self, gate):
        """A refresh that stands at the origin's gate; the function returned waits for its answer."""
        client = self.new_client(self.daemon)
        answers = []
        thread = threading.Thread(target=lambda: answers.append(client.read("alpha", self.name, NO_CACHE)), daemon=True)
        thread.start()
        gate.reached()

        def end():
            gate.open()
            thread.join(60)
            return answers[0]

        return end


class Fresh(RefreshCase):
    def test_every_copy_is_replaced(self):
        self.warm()
        self.origin.put(self.key, NEW)
        self.assertEqual(self.http.read("alpha", self.name).body, OLD)  # a plain read is content with the copy
        answer = self.assert_status(self.refresh(), 200)
        self.assertEqual(answer.body, NEW)
        self.assertEqual(
            answer.tiers(),
            [("s3", {"hit": True}), ("disk", {"fwd": "request", "stored": True}), ("alpha", {"fwd": "request", "stored": True})],
        )
        asked = self.origin.count("GET", self.key)
        again = self.http.read("alpha", self.name)
        self.assertEqual((again.body, again.tiers()), (NEW, [("alpha", {"hit": True})]))
        self.assertEqual(self.local("disk"), NEW)
        self.assertEqual(self.origin.count("GET", self.key), asked)

    def test_right_after_the_answer_nobody_sees_the_old_copy(self):
        self.warm()
        for number in range(60):
            body = b"version %d" % number
            self.origin.put(self.key, body)
            pool = ("alpha", "disk")[number % 2]
            self.assertEqual(self.refresh(pool=pool).body, body)
            self.assertEqual(self.local("disk"), body)
            if pool == "alpha":
                self.assertEqual(self.local("alpha"), body)

    def test_an_absent_one_is_filled_as_by_any_read(self):
        self.origin.put(self.key, NEW)
        answer = self.assert_status(self.refresh(), 200)
        self.assertEqual(answer.tiers()[1:], [("disk", {"fwd": "uri-miss", "stored": True}), ("alpha", {"fwd": "uri-miss", "stored": True})])
        self.assertEqual((self.local("alpha"), self.local("disk")), (NEW, NEW))

    def test_large_bodies(self):
        self.warm(b"o" * (3 * MIB))
        new = b"n" * (3 * MIB + 5)
        self.origin.put(self.key, new)
        self.assertEqual(self.assert_status(self.refresh(), 200).body, new)
        self.assertEqual(self.local("disk"), new)

    def test_an_owned_entry_is_served(self):
        self.warm()
        self.assert_status(self.http.put_entry("disk", self.name, b"mine"), 201, 204)
        asked = self.origin.count("GET", self.key)
        answer = self.assert_status(self.refresh(), 200)
        self.assertEqual(answer.body, b"mine")
        self.assertEqual(answer.tiers(), [("disk", {"hit": True}), ("alpha", {"fwd": "request", "stored": True})])
        self.assertEqual(self.local("alpha"), b"mine")
        self.assert_status(self.http.put_entry("alpha", self.name, b"here"), 201, 204)
        answer = self.refresh()
        self.assertEqual((answer.body, answer.tiers()), (b"here", [("alpha", {"hit": True})]))
        self.assertEqual(self.origin.count("GET", self.key), asked)

    def test_the_last_tier_is_the_origin_whatever_its_flag(self):
        self.warm()
        self.addCleanup(self.http.wire, "alpha << disk << s3")
        self.assert_status(self.http.delete("/pools/disk/proxy_to"), 204)
        self.assertEqual(self.assert_status(self.refresh(), 200).tiers()[0], ("disk", {"hit": True}))
        self.assertEqual(self.assert_status(self.refresh(pool="disk"), 200).body, OLD)

    def test_the_new_body_that_is_not_taken_takes_the_old_copy_along(self):
        """alpha keeps no copies above 64 KiB: the outdated small one may not stay."""
        self.warm()
        for new in (b"n" * 100_000, b"N" * (2 * MIB)):
            self.origin.put(self.key, new)
            self.assertEqual(self.assert_status(self.refresh(), 200).body, new)
            self.assertIsNone(self.local("alpha"))
            self.assertEqual(self.local("disk"), new)
            self.origin.put(self.key, OLD)
            self.assertEqual(self.assert_status(self.refresh(), 200).body, OLD)
            self.assertEqual(self.local("alpha"), OLD)

    def test_an_owned_large_entry_below_takes_the_old_copy_along(self):
        self.warm()
        self.assert_status(self.http.put_entry("disk", self.name, b"d" * (2 * MIB)), 201, 204)
        self.assertEqual(len(self.assert_status(self.refresh(), 200).body), 2 * MIB)
        self.assertIsNone(self.local("alpha"))

    def test_pragma_alone_is_not_looked_at(self):
        self.warm()
        self.origin.put(self.key, NEW)
        self.assertEqual(self.http.read("alpha", self.name, {"Pragma": "no-cache"}).body, OLD)

    def test_conditions_are_judged_on_what_is_fetched(self):
        self.warm()
        tag = self.http.read("alpha", self.name).header("ETag")
        self.assert_status(self.refresh({"If-None-Match": tag}), 304)
        self.origin.put(self.key, NEW)
        self.assertEqual(self.assert_status(self.refresh({"If-None-Match": tag}), 200).body, NEW)
        self.origin.put(self.key, OLD)
        self.assert_status(self.refresh({"If-Match": tag}), 200)

    def test_a_part(self):
        """A small entry comes whole and is refreshed; the part of a large one is fetched and changes nothing."""
        self.warm()
        self.origin.put(self.key, NEW)
        answer = self.assert_status(self.refresh({"Range": "bytes=2-5"}), 206)
        self.assertEqual((answer.body, self.local("alpha"), self.local("disk")), (NEW[2:6], NEW, NEW))
        old, new = b"o" * (4 * MIB), b"n" * (4 * MIB)
        self.origin.put(self.key, old)
        self.assert_status(self.refresh(), 200)
        self.origin.put(self.key, new)
        answer = self.assert_status(self.refresh({"Range": "bytes=7-9"}), 206)
        self.assertEqual(answer.body, b"nnn")
        self.assertEqual(answer.tiers()[:2], [("s3", {"hit": True}), ("disk", {"fwd": "request"})])
        self.assertEqual(self.local("disk"), old)


class NotFound(RefreshCase):
    def test_the_copies_go(self):
        self.warm()
        self.origin.objects.pop(self.key)
        answer = self.refresh()
        self.assert_problem(answer, 404, "entry-not-found")
        self.assertEqual(
            answer.tiers(), [("s3", {"fwd": "uri-miss"}), ("disk", {"fwd": "request"}), ("alpha", {"fwd": "request"})]
        )
        self.assertFalse(self.http.exists("alpha", self.name))
        self.assertFalse(self.http.exists("disk", self.name))
        self.assert_status(self.http.read("alpha", self.name), 404)

    def test_right_after_the_answer_they_are_gone(self):
        for _ in range(40):
            self.warm()
            self.origin.objects.pop(self.key)
            self.assert_status(self.refresh(), 404)
            self.assert_status(self.http.read("alpha", self.name), 404)
            self.assertFalse(self.http.exists("disk", self.name))

    def test_an_entry_written_meanwhile_stays(self):
        for pool in ("alpha", "disk"):
            self.warm()
            gate = self.origin.hold(self.key)
            end = self.begin_refresh(gate)
            self.origin.objects.pop(self.key)
            # The same bytes: only its being owned tells it from the copy.
            self.assert_status(self.http.put_entry(pool, self.name, OLD), 201, 204)
            self.assert_status(end(), 404)
            self.origin.behave(self.key)
            self.assertEqual(self.local(pool), OLD)
            self.assert_status(self.http.delete(entry_target(pool, self.name)), 204)


class Failing(RefreshCase):
    def test_the_failure_is_answered_and_the_copy_stays(self):
        self.warm()
        self.origin.fail(self.key, 403, "AccessDenied", times=1)
        answer = self.refresh()
        problem = self.assert_problem(answer, 502, "tier-denied")
        self.assertEqual(problem["tiers"], ["s3"])
        self.assertEqual((self.local("alpha"), self.local("disk")), (OLD, OLD))
        self.assertEqual(self.http.read("alpha", self.name).body, OLD)

    def test_a_body_that_breaks_off(self):
        self.warm()
        self.origin.put(self.key, NEW)
        self.origin.cut(self.key, 4, times=8)
        self.assert_status(self.refresh(), 502)
        self.origin.behave(self.key)
        self.assertEqual((self.local("alpha"), self.local("disk")), (OLD, OLD))

    def test_it_is_nobody_elses_failure(self):
        """A plain read of a cold tier, while a refresh hangs at the origin, is answered from the copy below."""
        self.warm()
        self.assert_status(self.http.delete(entry_target("alpha", self.name)), 204)
        gate = self.origin.hold(self.key)
        end = self.begin_refresh(gate)
        self.origin.fail(self.key, 403, "AccessDenied", times=1)
        self.assertEqual(self.assert_status(self.http.read("alpha", self.name), 200).body, OLD)
        self.assert_status(end(), 502)
        self.assertEqual(self.assert_status(self.http.read("alpha", self.name), 200).body, OLD)


class Directives(RefreshCase):
    def test_no_store_changes_nothing(self):
        self.warm()
        self.origin.put(self.key, NEW)
        both = {"Cache-Control": "no-cache, no-store"}
        answer = self.assert_status(self.http.read("alpha", self.name, both), 200)
        self.assertEqual((answer.body, self.local("alpha"), self.local("disk")), (NEW, OLD, OLD))
        self.origin.objects.pop(self.key)
        self.assert_status(self.http.read("alpha", self.name, both), 404)
        self.assertEqual((self.local("alpha"), self.local("disk")), (OLD, OLD))

    def test_only_if_cached_leaves_an_owned_entry(self):
        self.warm()
        both = {"Cache-Control": "only-if-cached, no-cache"}
        for headers in (both, {**both, "Range": "bytes=0-1"}):
            answer = self.http.read("alpha", self.name, headers)
            self.assert_problem(answer, 504, "not-cached")
            self.assertEqual(answer.tiers(), [("alpha", {"fwd": "request"})])
        self.assert_status(self.http.put_entry("alpha", self.name, b"mine"), 201, 204)
        self.assertEqual(self.assert_status(self.http.read("alpha", self.name, both), 200).body, b"mine")


class Together(RefreshCase):
    def test_it_joins_nothing_that_began_before(self):
        """Two refreshes and one plain read of a cold key: each of the refreshes asks the origin itself."""
        self.origin.put(self.key, OLD)
        gate = self.origin.hold(self.key)
        clients = [self.new_client(self.daemon) for _ in range(3)]
        for client, headers in zip(clients, (None, NO_CACHE, NO_CACHE)):
            client.send("GET", entry_target("alpha", self.name), headers=headers)
            gate.reached()
        gate.open()
        self.assertEqual({client.receive().body for client in clients}, {OLD})
        self.assertEqual(self.origin.count("GET", self.key), 3)

    def test_a_newer_write_is_not_overwritten(self):
        for pool in ("alpha", "disk"):
            self.warm()
            self.origin.put(self.key, NEW)
            gate = self.origin.hold(self.key)
            end = self.begin_refresh(gate)
            self.assert_status(self.http.put_entry(pool, self.name, b"mine"), 201, 204)
            self.assertEqual(end().body, NEW)
            self.origin.behave(self.key)
            self.assertEqual(self.local(pool), b"mine")
            self.assert_status(self.http.delete(entry_target(pool, self.name)), 204)

    def test_a_deleted_one_does_not_come_back(self):
        for pool in ("alpha", "disk"):
            self.warm()
            gate = self.origin.hold(self.key)
            end = self.begin_refresh(gate)
            self.assert_status(self.http.delete(entry_target(pool, self.name)), 204)
            self.assertEqual(end().body, OLD)
            self.origin.behave(self.key)
            self.assertIsNone(self.local(pool))

    def test_one_overtaken_below_leaves_no_old_copy_above(self):
        """Whatever happens in a lower tier meanwhile, the copy that was passed over is not served again."""
        for size in (10, MIB):
            for overtake in (
                lambda: self.refresh(pool="disk"),
                lambda: self.http.delete(entry_target("disk", self.name)),
                lambda: self.http.put_entry("disk", self.name, b"mine"),
                lambda: self.http.put_entry("s3", self.name, b"n" * size),
            ):
                self.warm(b"o" * size)
                self.origin.put(self.key, b"n" * size)
                gate = self.origin.hold(self.key)
                end = self.begin_refresh(gate)
                self.origin.behave(self.key)
                overtake()
                self.assertEqual(end().body, b"n" * size)
                self.assertIn(self.local("alpha"), (None, b"n" * size, b"mine"))
                self.assert_status(self.http.delete(entry_target("disk", self.name)), 204)
                self.assert_status(self.http.delete(entry_target("alpha", self.name)), 204)

    def test_a_younger_plain_read_does_not_stop_it(self):
        """It spreads the old copy from disk to alpha while the refresh still waits for the origin."""
        self.warm()
        self.assert_status(self.http.delete(entry_target("alpha", self.name)), 204)
        self.origin.put(self.key, NEW)
        gate = self.origin.hold(self.key)
        end = self.begin_refresh(gate)
        self.assertEqual(self.http.read("alpha", self.name).body, OLD)
        self.assertEqual(self.local("alpha"), OLD)
        self.assertEqual(end().body, NEW)
        self.assertEqual((self.local("alpha"), self.local("disk")), (NEW, NEW))

    def test_an_older_read_does_not_bring_the_old_copy_back(self):
        """A plain read that fetched the old version before the refresh and ends after it."""
        self.origin.put(self.key, b"o" * (2 * MIB))
        gate = self.origin.pause(self.key, MIB)
        older = self.new_client(self.daemon)
        older.send("GET", entry_target("disk", self.name))
        gate.reached()
        self.origin.behave(self.key)
        self.origin.put(self.key, NEW)
        self.assertEqual(self.refresh(pool="disk").body, NEW)
        gate.open()
        self.assertEqual(len(older.receive().body), 2 * MIB)
        self.assertEqual(self.local("disk"), NEW)


class SharedTier(Case):
    """alpha << near << far, both behind a network: a copy in a store that others write too."""

    def tiers(self, **kwargs):
        near, far = Origin(**kwargs), Origin()
        self.addCleanup(near.stop)
        self.addCleanup(far.stop)
        self.daemon = self.new_daemon('chain = "alpha << near << far"\n' + near.pool("near") + far.pool("far"))
        http = self.new_client(self.daemon)
        far.put("k", OLD)
        self.assertEqual(http.read("alpha", "k").body, OLD)
        until(lambda: near.get("k") == OLD, "the copy in the near store")
        return near, far, http

    def test_its_copy_is_replaced_and_removed(self):
        for conditional in (True, False):
            near, far, http = self.tiers(conditional=conditional)
            far.put("k", NEW)
            answer = http.read("alpha", "k", NO_CACHE)
            self.assertEqual((answer.body, answer.tiers()[1]), (NEW, ("near", {"fwd": "request", "stored": True})))
            until(lambda near=near: near.get("k") == NEW, "the new copy in the near store")
            far.objects.pop("k")
            self.assert_status(http.read("alpha", "k", NO_CACHE), 404)
            until(lambda near=near: near.get("k") is None, "the copy to go")

    def test_a_copy_that_cannot_be_removed(self):
        """It stays, and that is what is told: no new copy was to be made."""
        near, far, http = self.tiers()
        far.objects.pop("k")
        near.fail_deletes("k", 403, "AccessDenied")
        self.assert_status(http.read("alpha", "k", NO_CACHE), 404)
        until(lambda: "the outdated copy in 'near' stays: denied: " in self.daemon.log(), "the warning")
        self.assertEqual(near.get("k"), OLD)
        self.assertNotIn("no copy in", self.daemon.log())

    def test_what_others_wrote_there_stays(self):
        near, far, http = self.tiers()
        near.put("k", b"theirs")
        far.put("k", NEW)
        self.assertEqual(http.read("alpha", "k", NO_CACHE).body, b"theirs")
        self.assertEqual(near.get("k"), b"theirs")
        self.assertEqual(http.read("alpha", "k").body, b"theirs")

    def test_on_a_real_store(self):
        bucket = Bucket()
        self.addCleanup(bucket.remove)
        far = Origin()
        self.addCleanup(far.stop)
        http = self.new_client(self.new_daemon('chain = "alpha << near << far"\n' + bucket.pool("near") + far.pool("far")))
        for body in (OLD, NEW, b"", OLD):
            far.put("k", body)
            self.assertEqual(self.assert_status(http.read("alpha", "k", NO_CACHE), 200).body, body)
            until(lambda body=body: bucket.keys() and bucket.get("k")[0] == body, "the copy in the real store")
        far.objects.pop("k")
        self.assert_status(http.read("alpha", "k", NO_CACHE), 404)
        until(lambda: not bucket.keys(), "the copy to go")
        bucket.put("k", b"theirs")
        self.assertEqual(http.read("alpha", "k", NO_CACHE).body, b"theirs")
