"""What can be wrong with an object store, each its own problem: on a real server where it can be had, scripted elsewhere."""

import hashlib
import json
import socket
import threading

import objects
from client import entry_target, escape
from harness import Case, DaemonCase
from origin import Origin, object_name

MIB = 1024 * 1024


def table(nickname, options):
    lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in options.items())
    return f'[pools.{nickname}]\nkind = "s3"\n{lines}'


class WrongSettings(DaemonCase):
    """One right pool and one wrong one for each way to be wrong, all on the same real server."""

    @classmethod
    def setUpClass(cls):
        cls.bucket = objects.Bucket()
        cls.addClassCleanup(cls.bucket.remove)
        right = cls.bucket.options()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            nobody = free.getsockname()[1]
        cls.pools = {
            "right": right,
            "bad_secret": {**right, "secret_access_key": "not-the-secret"},
            "bad_key": {**right, "access_key_id": "nobody:here"},
            "no_bucket": {**right, "bucket": "lailad-no-such-bucket"},
            "bad_region": {**right, "region": "eu-north-7"},
            "down": {**right, "endpoint": f"http://127.0.0.1:{nobody}"},
        }
        cls.config = "".join(table(nickname, options) for nickname, options in cls.pools.items())
        super().setUpClass()

    def assert_same_everywhere(self, pool, status, name):
        """Reads, writes, deletes and listings tell the same story, and none of them tells a secret."""
        target = entry_target(pool, "x")
        for method, where, body in (
            ("GET", target, None),
            ("PUT", target, b"x"),
            ("DELETE", target, None),
            ("GET", f"/pools/{pool}/entries", None),
        ):
            with self.subTest(pool=pool, method=method):
                answer = self.http.ask(method, where, body)
                problem = self.assert_problem(answer, status, name)
                self.assertIn(pool, json.dumps(problem))
                self.assert_no_secret(answer.body.decode())
        head = self.http.head(target)
        self.assertEqual(head.status, status)

    def assert_no_secret(self, text):
        for options in self.pools.values():
            self.assertNotIn(options["secret_access_key"], text)
        self.assertNotIn("Signature=", text)

    def test_bad_secret(self):
        self.assert_same_everywhere("bad_secret", 502, "tier-denied")

    def test_unknown_access_key(self):
        self.assert_same_everywhere("bad_key", 502, "tier-denied")

    def test_missing_bucket(self):
        self.assert_same_everywhere("no_bucket", 500, "bucket-not-found")

    def test_wrong_region(self):
        self.assert_same_everywhere("bad_region", 500, "wrong-region")

    def test_endpoint_down(self):
        self.assert_same_everywhere("down", 502, "tier-unavailable")

    def test_the_right_one_still_works(self):
        self.assert_status(self.http.put_entry("right", "x", b"fine"), 201, 204)
        self.assertEqual(self.http.read("right", "x").body, b"fine")
        self.assert_status(self.http.delete(entry_target("right", "x")), 204)

    def test_a_chain_names_the_wrong_tier(self):
        self.addCleanup(self.http.put, "/chain", "", {"Content-Type": "text/plain"})
        self.assert_status(self.http.put("/chain", "alpha << bad_secret << no_bucket", {"Content-Type": "text/plain"}), 200)
        problem = self.assert_problem(self.http.read("alpha", "x"), 500, "bucket-not-found")
        self.assertIn("bad_secret", json.dumps(problem["tiers"]))

    def test_secrets_are_never_shown(self):
        for pool in self.pools:
            answer = self.assert_status(self.http.get(f"/pools/{pool}"), 200)
            self.assert_no_secret(answer.body.decode())
            self.assertNotIn("secret_access_key", answer.json()["config"])
        self.assert_no_secret(self.daemon.log())


class RealStore(DaemonCase):
    """The s3 kind against a server that checks signatures and payload hashes."""

    @classmethod
    def setUpClass(cls):
        cls.bucket = objects.Bucket()
        cls.addClassCleanup(cls.bucket.remove)
        cls.config = cls.bucket.pool("s3") + cls.bucket.pool("inner", 'prefix = "deep/er %/"')
        super().setUpClass()

    def tearDown(self):
        self.assert_status(self.http.delete("/pools/s3/entries?all=true"), 204)

    def test_what_is_put_is_an_object_like_the_librarys(self):
        self.assert_status(self.http.put_entry("s3", "LAILA:x", b"{}", {"Content-Type": "application/json"}), 201, 204)
        self.assertEqual(self.bucket.keys(), {"LAILA%3Ax"})
        self.assertEqual(self.bucket.get("LAILA:x"), (b"{}", "application/json"))

    def test_an_empty_body(self):
        self.assert_status(self.http.put_entry("s3", "empty", b""), 201, 204)
        answer = self.assert_status(self.http.read("s3", "empty"), 200)
        self.assertEqual((answer.body, answer.header("Content-Length")), (b"", "0"))

    def test_a_body_for_multipart(self):
        body = hashlib.shake_256(b"multipart").digest(70 * MIB)
        self.assert_status(self.http.put_entry("s3", "big", body), 201, 204)
        head = self.bucket.client.head_object(Bucket=self.bucket.name, Key="big")
        self.assertEqual(head["ContentLength"], len(body))
        self.assertIn("-", head["ETag"], "it was not a multipart upload")
        answer = self.assert_status(self.http.read("s3", "big"), 200)
        self.assertEqual(hashlib.sha256(answer.body).digest(), hashlib.sha256(body).digest())

    def test_a_chunked_upload_of_unknown_length(self):
        """It is spooled first: the store always learns the length and the digest."""
        body = hashlib.shake_256(b"unknown").digest(3 * MIB)
        with self.daemon.raw() as raw:
            raw.send(b"PUT /pools/s3/entries/unknown HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n")
            for at in range(0, len(body), 100000):
                piece = body[at : at + 100000]
                raw.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            raw.send(b"0\r\n\r\n")
            self.assertIn(raw.answer().status, (201, 204))
        self.assertEqual(self.bucket.get("unknown")[0], body)

    def test_pages(self):
        expected = {f"é {number}%" for number in range(25)}
        for entry_id in expected:
            self.bucket.put(entry_id, b"x")
        self.assertEqual(self.http.ids("s3", limit=4), expected)
        self.assertEqual(self.http.ids("s3", prefix="é 1", limit=3), {entry for entry in expected if entry.startswith("é 1")})

    def test_a_prefix_is_a_pool_of_its_own(self):
        self.assert_status(self.http.put_entry("inner", "a/b", b"inside"), 201, 204)
        self.assertEqual(self.bucket.keys(), {"deep/er %/a%2Fb"})
        self.assertEqual(self.http.ids("inner"), {"a/b"})
        self.assertEqual(self.http.ids("s3"), set())
        self.assert_status(self.http.put_entry("s3", "outside", b"x"), 201, 204)
        self.assert_status(self.http.delete("/pools/inner/entries?all=true"), 204)
        self.assertEqual(self.bucket.keys(), {"outside"})

    def test_conditional_writes_are_never_emulated(self):
        """This server cannot: we say so, and nothing is written."""
        for headers in ({"If-None-Match": "*"}, {"If-Match": '"x"'}):
            with self.subTest(headers=headers):
                answer = self.http.put_entry("s3", "conditional", b"x", headers)
                self.assert_status(answer, 501, 412)
                if answer.status == 501:
                    self.assert_problem(answer, 501, "conditional-write-unsupported")
        self.assertEqual(self.bucket.keys(), set())

    def test_concurrent_writes_and_reads(self):
        """Connections are shared and reused; bodies never mix."""
        wrong = []

        def work(number):
            with self.daemon.client() as client:
                for turn in range(5):
                    entry_id, body = f"w{number} {turn}", b"%d-%d " % (number, turn) * 500
                    if client.put_entry("s3", entry_id, body).status not in (201, 204):
                        wrong.append(("put", entry_id))
                    answer = client.read("s3", entry_id)
                    if answer.body != body:
                        wrong.append(("get", entry_id, answer))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])
        self.assertEqual(len(self.bucket.keys()), 40)


class ScriptedStore(DaemonCase):
    """Failures that no real server gives when asked to."""

    @classmethod
    def setUpClass(cls):
        cls.origin = Origin()
        cls.addClassCleanup(cls.origin.stop)
        cls.config = cls.origin.pool("s3")
        super().setUpClass()

    def setUp(self):
        super().setUp()
        self.name = object_name(self._testMethodName)
        self.origin.put(self.name, b"body")
        self.target = entry_target("s3", self._testMethodName)

    def failing(self, status, code, times=1000):
        self.origin.fail(self.name, status, code, times)
        return self.http.get(self.target)

    def test_clock_skew(self):
        self.assert_problem(self.failing(403, "RequestTimeTooSkewed"), 502, "clock-skew")
        self.assertEqual(self.origin.count("GET", self.name), 1)

    def test_denied_is_not_retried(self):
        self.assert_problem(self.failing(403, "AccessDenied"), 502, "tier-denied")
        self.assertEqual(self.origin.count("GET", self.name), 1)

    def test_a_missing_bucket_is_not_a_missing_entry(self):
        self.assert_problem(self.failing(404, "NoSuchBucket"), 500, "bucket-not-found")

    def test_a_missing_object_that_nobody_asked_for(self):
        """Absence is what a read of the object says. Elsewhere the same words are no answer."""
        self.origin.fail(self.name, 404, "NoSuchKey", 1)
        self.assert_problem(self.http.put(self.target, b"x"), 502, "tier-bad-answer")
        self.origin.fail(None, 404, "NoSuchKey", 2)
        self.assert_problem(self.http.get("/pools/s3/entries"), 502, "tier-bad-answer")
        self.assert_problem(self.http.delete("/pools/s3/entries?all=true"), 502, "tier-bad-answer")
        self.origin.fail(self.name, 404, "NoSuchKey", 1)
        self.assert_problem(self.http.get(self.target), 404, "entry-not-found")
        self.origin.fail(self.name, 404, "NoSuchKey", 1)
        self.assert_status(self.http.delete(self.target), 204)
        # AWS says so of If-Match on an object that went meanwhile.
        self.origin.fail_puts(self.name, 404, "NoSuchKey")
        self.assert_problem(self.http.put(self.target, b"x", {"If-None-Match": "*"}), 412, "precondition-failed")

    def test_other_client_errors_are_not_retried(self):
        answer = self.failing(400, "InvalidRequest")
        self.assertGreaterEqual(answer.status, 500)
        self.assertEqual(self.origin.count("GET", self.name), 1)

    def test_server_errors_are_retried(self):
        for status, code in ((500, "InternalError"), (503, "SlowDown"), (503, "ServiceUnavailable"), (429, "TooManyRequests")):
            with self.subTest(code=code):
                before = self.origin.count("GET", self.name)
                answer = self.failing(status, code, times=1)
                self.assertEqual((answer.status, answer.body), (200, b"body"))
                self.assertEqual(self.origin.count("GET", self.name), before + 2)

    def test_a_write_is_replayed_whole(self):
        """The body of a retried PUT is the body that was sent, from its beginning."""
        body = hashlib.shake_256(b"replay").digest(3 * MIB)
        self.origin.fail(self.name, 503, "SlowDown", times=2)
        self.assert_status(self.http.put(self.target, body), 201, 204)
        self.assertEqual(self.origin.get(self.name), body)
        self.assertEqual(self.origin.count("PUT", self.name), 3)

    def test_a_body_that_is_not_what_its_digest_says(self):
        """The header has promised the digest before the body is known: the last piece does not come."""
        body = hashlib.shake_256(b"changed").digest(3 * MIB)
        self.assert_status(self.http.put(self.target, body), 201, 204)
        whole = self.assert_status(self.http.get(self.target), 200)
        self.assertEqual((whole.body, whole.header("Repr-Digest") is not None), (body, True))
        with self.origin.lock:
            _, content_type = self.origin.objects[self.name]
            self.origin.objects[self.name] = (body[:-1] + bytes([body[-1] ^ 1]), content_type)
        with self.daemon.raw() as raw:
            raw.send(f"GET {self.target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            cut = raw.answer()
        self.assertEqual((cut.status, cut.header("Content-Length")), (200, str(len(body))))
        self.assertLess(len(cut.body), len(body))
        # A part can be served: what was promised of it is where it lies.
        part = self.assert_status(self.http.get(self.target, {"Range": "bytes=0-9"}), 206)
        self.assertEqual(part.body, body[:10])

    def test_errors_that_last(self):
        self.assert_problem(self.failing(503, "SlowDown"), 503, "tier-throttled")
        answer = self.http.get(self.target)
        self.assertTrue(answer.header("Retry-After"))

    def test_an_endpoint_that_speaks_something_else(self):
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)

        def speak():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(4096)
                    connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

        threading.Thread(target=speak, daemon=True).start()
        options = {
            "bucket": "b", "endpoint": f"http://127.0.0.1:{listener.getsockname()[1]}", "region": "us-east-1",
            "addressing": "path", "access_key_id": "k", "secret_access_key": "s",
        }
        self.assert_status(self.http.post_json("/pools", {"nickname": "odd", "kind": "s3", "config": options}), 201)
        answer = self.http.read("odd", "x")
        self.assert_status(answer, 502)
        self.assertIn(answer.json()["type"], ("urn:lailad:problem:tier-bad-answer", "urn:lailad:problem:tier-unavailable"))
        self.assert_status(self.http.delete("/pools/odd"), 204)


class HangingStore(DaemonCase):
    """step_timeout_s bounds each step on a store that hangs, whoever takes it: a request, or a flight that readers share."""

    @classmethod
    def setUpClass(cls):
        cls.origin = Origin()
        cls.addClassCleanup(cls.origin.stop)
        cls.config = 'step_timeout_s = 2\nchain = "alpha << s3"\n' + cls.origin.pool("s3")
        super().setUpClass()

    def setUp(self):
        super().setUp()
        self.name = object_name(self._testMethodName)
        self.origin.put(self.name, b"body")
        self.quick = self.new_client(self.daemon, timeout=15)  # the store itself would be waited for twice 30 s

    def test_a_read_through_a_chain(self):
        gate = self.origin.hold(self.name)
        self.addCleanup(gate.open)
        readers = [self.new_client(self.daemon, timeout=15) for _ in range(3)]
        for reader in readers:
            reader.send("GET", entry_target("alpha", self._testMethodName))
        for reader in readers:
            self.assert_problem(reader.receive(), 504, "tier-timeout")
        self.origin.behave(self.name)
        self.assertEqual(self.assert_status(self.quick.read("alpha", self._testMethodName), 200).body, b"body")

    def test_a_body_that_stops(self):
        for size in (600 * 1024, 3 * MIB):  # whole before the answer, and handed on as it comes
            self.origin.put(self.name, bytes(size))
            gate = self.origin.pause(self.name, 500 * 1024)
            self.addCleanup(gate.open)
            with self.daemon.raw(timeout=15) as raw:
                raw.send(f"GET {entry_target('alpha', self._testMethodName)} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                answer = raw.answer()
            self.assertEqual(answer.status, 200 if size > MIB else 504)
            self.assertLess(len(answer.body), size)

    def test_a_body_that_takes_longer_than_a_step(self):
        body = bytes(600 * 1024)
        self.origin.put(self.name, body)
        self.origin.drip(self.name, 150 * 1024)
        self.assertEqual(self.assert_status(self.quick.read("alpha", self._testMethodName), 200).body, body)

    def test_a_write(self):
        gate = self.origin.hold_put(self.name)
        self.addCleanup(gate.open)
        self.assert_problem(self.quick.put_entry("s3", self._testMethodName, b"new"), 504, "tier-timeout")
        self.assertEqual(self.origin.count("PUT", self.name), 1)


class NoCredentials(Case):
    def test_a_pool_without_credentials_says_so(self):
        """It is a visible pool that names what it needs, and no request goes out."""
        origin = Origin()
        self.addCleanup(origin.stop)
        config = f'[pools.s3]\nkind = "s3"\nbucket = "bucket"\nendpoint = "{origin.endpoint}"\nregion = "us-east-1"\n'
        daemon = self.new_daemon(config=config)
        client = self.new_client(daemon)
        self.assertEqual(client.get("/pools/s3").json()["state"]["status"], "needs-credentials")
        self.assert_problem(client.read("s3", "x"), 500, "needs-credentials")
        self.assertEqual(origin.count("GET", escape("x")), 0)
