"""Preconditions where more than one request, tier or tag is involved; test_conformance has the single ones row by row.

An entry may have two tags: its SHA-256, and what the store it came from calls this version. Either names it, in every tier.
"""

import hashlib
import threading

from client import entry_target
from harness import Case, DaemonCase
from origin import Origin, object_name

BODY = b'{"message": "hello"}'
DATES = {"If-Modified-Since": "Fri, 01 Jan 2100 10:00:00 GMT", "If-Unmodified-Since": "Mon, 05 Jan 1998 10:00:00 GMT"}
KINDS = ("alpha", "disk", "s3")


def sha_tag(body):
    return f'"{hashlib.sha256(body).hexdigest()}"'


def store_tag(body):
    return f'"s3-{hashlib.md5(body).hexdigest()}"'


class ConditionCase(DaemonCase):
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

    def change(self, method, pool, headers, body=b"new"):
        return self.http.ask(method, entry_target(pool, self.name), body if method == "PUT" else None, headers)


class BothTags(ConditionCase):
    def copied(self):
        """An object that others wrote, with a copy in every tier; its two tags."""
        self.origin.put(object_name(self.name), BODY)
        self.assertEqual(self.http.read("alpha", self.name, {"Cache-Control": "no-cache"}).header("ETag"), sha_tag(BODY))
        return sha_tag(BODY), store_tag(BODY)

    def test_of_a_copy_in_reads(self):
        for tag in self.copied():
            for pool in ("alpha", "disk"):
                target = entry_target(pool, self.name)
                for ask in (self.http.get, self.http.head, lambda target, headers: self.http.head(target + "?scope=chain", headers)):
                    self.assert_status(ask(target, {"If-None-Match": tag}), 304)
                    self.assert_status(ask(target, {"If-None-Match": f'"x", W/{tag}'}), 304)
                    self.assert_status(ask(target, {"If-Match": tag}), 200)
                    self.assert_status(ask(target, {"If-Match": "W/" + tag}), 412)
            self.assert_status(self.http.read("alpha", self.name, {"Range": "bytes=0-3", "If-Range": tag}), 206)
            self.assert_status(self.http.read("alpha", self.name, {"If-None-Match": tag, "Cache-Control": "no-cache"}), 304)

    def test_a_refused_head_says_where_it_looked(self):
        self.assert_status(self.http.put_entry("alpha", "refused", b"x"), 201, 204)
        answer = self.assert_status(self.http.head(entry_target("alpha", "refused"), {"If-Match": '"other"'}), 412)
        self.assertEqual([name for name, _ in answer.tiers()], ["alpha"])

    def test_of_a_copy_in_changes(self):
        for pool in ("alpha", "disk"):
            for which in (0, 1):
                for method in ("PUT", "DELETE"):
                    with self.subTest(pool=pool, which=which, method=method):
                        tag = self.copied()[which]
                        self.assert_status(self.change(method, pool, {"If-None-Match": tag}), 412)
                        self.assert_status(self.change(method, pool, {"If-Match": '"x", ' + tag}), 204)
                        # What a client wrote is no copy of that version any more.
                        self.assert_problem(self.change(method, pool, {"If-Match": tag}), 412, "precondition-failed" if method == "PUT" else "not-local")
                        self.assert_status(self.http.delete(entry_target(pool, self.name)), 204)

    def test_of_an_object_of_ours(self):
        for method in ("PUT", "DELETE"):
            for tag in (sha_tag(BODY), store_tag(BODY)):
                self.assert_status(self.http.put_entry("s3", self.name, BODY), 204)
                self.assert_status(self.http.read("s3", self.name, {"If-None-Match": tag}), 304)
                self.assert_status(self.change(method, "s3", {"If-Match": sha_tag(b"other")}), 412)
                self.assert_status(self.change(method, "s3", {"If-None-Match": tag}), 412)
                self.assertEqual(self.origin.get(object_name(self.name)), BODY)
                self.assert_status(self.change(method, "s3", {"If-Match": tag}), 204)
                self.assertEqual(self.origin.get(object_name(self.name)), b"new" if method == "PUT" else None)


class Changes(ConditionCase):
    def test_deletes(self):
        for pool in KINDS:
            with self.subTest(pool=pool):
                self.assert_status(self.http.put_entry(pool, self.name, BODY), 201, 204)
                self.assert_status(self.change("DELETE", pool, {"If-Match": '"x"'}), 412)
                self.assert_status(self.change("DELETE", pool, {"If-None-Match": "*"}), 412)
                self.assertTrue(self.http.exists(pool, self.name))
                self.assert_status(self.change("DELETE", pool, {"If-Match": "*"}), 204)
                self.assertFalse(self.http.exists(pool, self.name))
                self.assert_status(self.change("DELETE", pool, {"If-Match": "*"}), 412)
                self.assert_status(self.change("DELETE", pool, {"If-None-Match": "*"}), 204)

    def test_one_of_many_creates(self):
        for pool in KINDS:
            with self.subTest(pool=pool):
                statuses = self.all_at_once(pool, [b"writer %d" % number for number in range(16)])
                won = [body for body, status in statuses if status in (201, 204)]
                self.assertEqual({status for _, status in statuses} - {201, 204}, {412})
                self.assertEqual(len(won), 1)
                self.assertEqual(self.http.read(pool, self.name, {"Cache-Control": "only-if-cached"}).body, won[0])
                self.assert_status(self.http.delete(entry_target(pool, self.name)), 204)

    def all_at_once(self, pool, bodies):
        ready = threading.Barrier(len(bodies))
        done = []

        def write(body):
            with self.daemon.client() as client:
                ready.wait(60)
                done.append((body, client.put_entry(pool, self.name, body, {"If-None-Match": "*"}).status))

        threads = [threading.Thread(target=write, args=(body,), daemon=True) for body in bodies]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        return done

    def test_nothing_is_lost_between_reading_and_writing(self):
        """A counter that eight clients raise by comparing tags."""
        for pool in ("alpha", "disk"):
            self.assert_status(self.http.put_entry(pool, self.name, b"0"), 201, 204)

            def count(pool=pool):
                with self.daemon.client() as client:
                    for _ in range(10):
                        while True:
                            seen = client.read(pool, self.name)
                            tag = {"If-Match": seen.header("ETag")}
                            if client.put_entry(pool, self.name, b"%d" % (int(seen.body) + 1), tag).status == 204:
                                break

            threads = [threading.Thread(target=count, daemon=True) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
            self.assertEqual(self.http.read(pool, self.name).body, b"80")


class Dates(ConditionCase):
    def test_nothing_has_one_and_none_is_judged(self):
        """RFC 9110, 13.1.3 and 13.1.4: without a Last-Modified, conditions on it are ignored."""
        self.origin.put(object_name(self.name), BODY)  # S3 gives a Last-Modified
        for pool in KINDS:
            for name, date in DATES.items():
                answer = self.assert_status(self.http.read(pool, self.name, {name: date}), 200)
                self.assertIsNone(answer.header("Last-Modified"))
                self.assert_status(self.http.head(entry_target(pool, self.name), {name: date}), 200)
                self.assert_status(self.change("PUT", pool, {name: date}, BODY), 204)
            self.assert_status(self.http.read(pool, self.name, {"Range": "bytes=0-1", "If-Range": DATES["If-Modified-Since"]}), 200)
        for pool in KINDS:
            self.assert_status(self.change("DELETE", pool, DATES), 204)


class NotEverywhere(Case):
    def test_a_store_that_cannot(self):
        """501, and nothing was written; reads are judged here and work."""
        origin = Origin(conditional=False)
        self.addCleanup(origin.stop)
        http = self.new_client(self.new_daemon(origin.pool("s3")))
        self.assert_problem(http.put_entry("s3", "k", b"x", {"If-None-Match": "*"}), 501, "conditional-write-unsupported")
        self.assertIsNone(origin.get("k"))
        self.assert_status(http.put_entry("s3", "k", BODY), 204)
        self.assert_status(http.read("s3", "k", {"If-None-Match": sha_tag(BODY)}), 304)
