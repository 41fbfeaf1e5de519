"""Every operation of openapi.yaml answers what it lists: the sweep over operations and statuses.

The table is openapi.yaml itself. For each status that an operation lists and that the same kind of request brings about
everywhere, the request is sent and the status demanded; tests/openapi/validate.py then holds the recorded answers to the
rest of what is listed. Statuses that need a scene of their own (a store that is down, a full disk) have theirs below or in
the other modules.
"""

import base64
import hashlib
import json
import signal
import socket
import tempfile

import contract
from client import escape
from harness import ROOT, Case, Daemon, until
from validate import Exchange

TOKEN = "0123456789abcdef"
KEPT = b"kept"
PLAIN = {"Content-Type": "text/plain"}
JSON = {"Content-Type": "application/json"}


class Operation(contract.Operation):
    """With a request that it accepts."""

    @property
    def is_streamed(self):
        return "*/*" in self.types

    @property
    def is_upkeep(self):
        return self.path.endswith(("/compact", "/scrub"))

    def target(self, pool="other", entry_id="kept"):
        pool = "hdf5" if self.is_upkeep and pool == "other" else pool  # "other" lives in memory
        values = {"id": entry_id, "all": "true"}
        query = "&".join(f"{name}={escape(values[name])}" for name in self.required_query)
        return self.path.format(nick=pool, id=escape(entry_id)) + ("?" + query if query else "")

    def body(self, pool="other"):
        """(body, fields) of a request that is accepted."""
        if not self.types:
            return None, {}
        if self.is_streamed:
            return KEPT, {}
        if self.path == "/chain":
            return f"other << {pool}\n".encode() if pool != "other" else b"alpha << other\n", PLAIN
        if self.path == "/pools":
            return json.dumps({"nickname": "made", "kind": "memory"}).encode(), JSON
        return b'{"action": "cancel"}' if self.is_upkeep else b'{"pool": null}', JSON


def operations():
    return contract.Contract(ROOT / "openapi.yaml", Operation).operations()


class Sweep(Case):
    """Each test is one status; each operation that lists it is a subtest."""

    @classmethod
    def setUpClass(cls):
        cls.operations = operations()
        cls.open = Daemon()
        cls.addClassCleanup(cls.open.remove)
        cls.open.start()
        cls.guarded = Daemon(token=TOKEN)
        cls.addClassCleanup(cls.guarded.remove)
        cls.guarded.start()
        with cls.open.client() as client:
            client.post_json("/pools", {"nickname": "other", "kind": "memory"})

    @classmethod
    def tearDownClass(cls):
        cls.open.stop()
        cls.guarded.stop()

    def sweep(self, status, send, operations=None):
        """Every operation that lists the status answers with it what `send` sends; there is one entry in the pool."""
        some = [operation for operation in operations or self.operations if status in operation.statuses]
        # What steers work that is under way is test_upkeep's.
        some = [operation for operation in some if status != 200 or operation.method != "POST" or not operation.is_upkeep]
        self.assertTrue(some, f"no operation lists {status}")
        for operation in some:
            with self.subTest(operation.name, status=status):
                with self.open.client() as client:
                    client.put_entry("other", "kept", KEPT)
                self.assert_status(send(operation), status)

    def ask(self, operation, fields=None, target=None, body=None, daemon=None):
        accepted, kind = operation.body()
        with (daemon or self.open).client() as client:
            return client.ask(
                operation.method,
                target or operation.target(),
                accepted if body is None else body,
                {**kind, **(fields or {})},
            )

    def raw(self, operation, *lines, target=None, version="HTTP/1.1", body=b""):
        head = [f"{operation.method} {target or operation.target()} {version}", "Host: 127.0.0.1", *lines]
        with self.open.raw() as raw:
            raw.send_until_refused("\r\n".join(head).encode() + b"\r\n\r\n" + body)
            return raw.answer(operation.method)

    def padded(self, operation, text):
        target = operation.target()
        return f"{target}{'&' if '?' in target else '?'}{text}"

    def put_back(self):
        with self.open.client() as client:
            for target in ("/pools/other/entries/new", "/pools/made"):
                client.delete(target)
            client.put("/chain", "", PLAIN)
            if client.get("/pools/other").status == 404:
                self.assert_status(client.post_json("/pools", {"nickname": "other", "kind": "memory"}), 201)

    def test_success(self):
        for status in (200, 201, 204):

            def send(operation, status=status):
                # An entry that is there already is replaced.
                self.put_back()
                return self.ask(operation, target=operation.target(entry_id="new" if status == 201 else "kept"))

            self.sweep(status, send)
        self.put_back()

    def test_206(self):
        self.sweep(206, lambda operation: self.ask(operation, {"Range": "bytes=1-2"}))

    def test_304(self):
        def send(operation):
            tag = self.ask(operation).header("ETag")
            self.assertIsNotNone(tag)
            return self.ask(operation, {"If-None-Match": tag})

        self.sweep(304, send)

    def test_400(self):
        def send(operation):
            if operation.method == "OPTIONS":
                return self.raw(operation, "Host: 127.0.0.1")  # it looks at no query
            return self.ask(operation, target=self.padded(operation, "nobody-knows=1"))

        self.sweep(400, send)

    def test_401(self):
        def send(operation):
            body, kind = operation.body()
            with self.guarded.client({"Authorization": "Bearer wrong"}) as client:
                return client.ask(operation.method, operation.target(), body, kind)

        self.sweep(401, send)

    def test_403(self):
        self.sweep(403, lambda operation: self.ask(operation, {"Origin": "http://elsewhere.example"}))

    def test_404(self):
        self.sweep(
            404, lambda operation: self.ask(operation, target=operation.target("none"), body=operation.body("none")[0])
        )

    def test_412(self):
        self.sweep(412, lambda operation: self.ask(operation, {"If-Match": '"nothing"'}))

    def test_413(self):
        """By the service where it knows the length; by the HTTP library for a chunk that cannot be."""

        def send(operation):
            if operation.is_streamed:
                return self.raw(operation, "Transfer-Encoding: chunked", body=b"fffffffffffffffff\r\n")
            _, kind = operation.body()
            return self.raw(operation, "Content-Type: " + kind["Content-Type"], f"Content-Length: {2**30}")

        self.sweep(413, send)

    def is_new_library(self):
        return self.open.http_library() >= (1, 0)

    def test_414(self):
        def send(operation):
            return self.raw(operation, target=self.padded(operation, "x" * 70000))

        # libmicrohttpd 1.0 closes an OPTIONS of this size without a word.
        some = [operation for operation in self.operations if operation.method != "OPTIONS" or not self.is_new_library()]
        self.sweep(414, send, some)
        for operation in self.operations:
            if operation not in some:
                with self.subTest(operation.name):
                    self.assertIsNone(send(operation))

    def test_415(self):
        self.sweep(415, lambda operation: self.ask(operation, {"Content-Type": "application/x-nothing"}))

    def test_416(self):
        self.sweep(416, lambda operation: self.ask(operation, {"Range": "bytes=999-"}))

    def test_417(self):
        self.sweep(417, lambda operation: self.ask(operation, {"Expect": "a-miracle"}))

    def test_431(self):
        lines = [f"X-{number}: {'x' * 1000}" for number in range(60)]
        self.sweep(431, lambda operation: self.raw(operation, *lines))

    def test_501(self):
        def send(operation):
            return self.raw(operation, "Transfer-Encoding: gzip, chunked")

        if not self.is_new_library():
            self.sweep(501, send)
            return
        for operation in self.operations:  # libmicrohttpd 1.0 refuses it before anybody is asked
            with self.subTest(operation.name):
                self.assert_status(send(operation), 400)

    def test_505(self):
        self.sweep(505, lambda operation: self.raw(operation, version="HTTP/9.9"))

    def test_no_operation(self):
        """What is answered where no operation is: a path or a method that is not served, or no request at all."""
        for line, fields, body, status in (
            ("GET /nothing HTTP/1.1", (), b"", 404),
            ("PATCH /pools HTTP/1.1", (), b"", 405),
            ("BREW /pools HTTP/1.1", (), b"", 501),
            ("GET /pools/%zz/nothing HTTP/1.1", (), b"", 400),
            ("GET /nothing HTTP/1.1", ("Expect: a-miracle",), b"", 417),
            ("PUT /nothing HTTP/1.1", ("Transfer-Encoding: chunked",), b"fffffffffffffffff\r\n", 413),
            (f"GET /nothing?{'x' * 70000} HTTP/1.1", (), b"", 414),
            ("GET /nothing HTTP/1.1", [f"X-{number}: {'x' * 1000}" for number in range(60)], b"", 431),
            ("GET /nothing HTTP/9.9", (), b"", 505),
        ):
            with self.subTest(line=line[:40], status=status), self.open.raw() as raw:
                raw.send_until_refused("\r\n".join([line, "Host: 127.0.0.1", *fields]).encode() + b"\r\n\r\n" + body)
                self.assert_status(raw.answer(), status)


class Stores(Case):
    """What comes from below: a store that is down, one that never answers, a file that may not be written, no room."""

    def reach(self, operation):
        return operation.path.startswith("/pools/{nick}/entr") and operation.method != "OPTIONS"

    def sweep(self, daemon, pool, status, applies=lambda operation: True):
        some = [o for o in operations() if self.reach(o) and status in o.statuses and applies(o)]
        self.assertTrue(some)
        for operation in some:
            with self.subTest(operation.name, status=status), daemon.client() as client:
                body, kind = operation.body()
                self.assert_status(client.ask(operation.method, operation.target(pool), body, kind), status)

    @staticmethod
    def store(nickname, port):
        return (
            f'[pools.{nickname}]\nkind = "s3"\nbucket = "b"\nregion = "r"\nendpoint = "http://127.0.0.1:{port}"\n'
            'access_key_id = "key"\nsecret_access_key = "secret"\n'
        )

    def test_a_store_that_is_down(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            daemon = self.new_daemon(config=self.store("down", free.getsockname()[1]))
            self.sweep(daemon, "down", 502)

    def test_a_store_that_never_answers(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            config = "step_timeout_s = 1\n" + self.store("silent", silent.getsockname()[1])
            self.sweep(self.new_daemon(config=config), "silent", 504)

    def test_a_file_that_may_not_be_written(self):
        daemon = self.new_daemon(config='[pools.disk]\nkind = "hdf5"\n')
        with daemon.client() as client:
            self.assert_status(client.put_entry("disk", "kept", KEPT), 201)
        daemon.config += "read_only = true\n"
        daemon.restart()
        self.sweep(daemon, "disk", 409)

    def test_no_room(self):
        daemon = self.new_daemon(config='[pools.small]\nkind = "memory"\nmax_bytes = "64KiB"\n')
        with daemon.client() as client:
            self.assert_status(client.put_entry("small", "own", b"o" * 40000), 201)
            for target in ("/pools/small/entries/new", "/pools/small/entry?id=new"):
                self.assert_problem(client.put(target, b"n" * 40000), 507, "no-space")


class Validator(Case):
    """tests/openapi/validate.py finds what it is there to find."""

    @classmethod
    def setUpClass(cls):
        cls.contract = contract.Contract(ROOT / "openapi.yaml")

    def complaints(self, method, target, status, fields, body=b""):
        received = {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest(), "complete": True}
        exchange = Exchange(
            self.contract,
            json.dumps(
                {
                    "test": "", "method": method, "target": target, "fields": [], "sent": None,
                    "status": status, "headers": list(fields.items()), "received": received,
                }
            ),
        )
        exchange.check_answer()
        return exchange.complaints

    def test_an_answer_without_a_body_that_lost_a_field(self):
        target = "/pools/alpha/entries/kept"
        removed = {"Date": "Sun, 22 Nov 2026 10:00:00 GMT", "Cache-Control": "no-store"}
        self.assertEqual(self.complaints("DELETE", target, 204, removed), [])
        read = {**removed, "Cache-Control": "no-cache", "ETag": '"x"'}
        made = {**removed, "ETag": '"x"', "Content-Length": "0"}
        options = {**removed, "Allow": "GET"}
        for method, status, fields in (
            ("DELETE", 204, removed), ("GET", 304, read), ("PUT", 201, made), ("OPTIONS", 204, options),
        ):
            without = {name: value for name, value in fields.items() if name != "Cache-Control"}
            with self.subTest(method):
                self.assertIn("the field cache-control is missing", self.complaints(method, target, status, without))
        del options["Allow"], options["Cache-Control"]
        self.assertIn("the field allow is missing", self.complaints("OPTIONS", target, 204, options))

    def test_an_answer_of_the_library(self):
        own = {"Date": "Sun, 22 Nov 2026 10:00:00 GMT", "Connection": "close"}
        html = {**own, "Content-Type": "text/html"}
        for method, fields, body in (("GET", html, b"<html>"), ("GET", own, b"<html>"), ("HEAD", own, b"")):
            with self.subTest(method=method, fields=fields):
                self.assertEqual(self.complaints(method, "/pools", 414, fields, body), [])
        self.assertTrue(self.complaints("GET", "/pools", 404, html, b"<html>"))
        self.assertIn("a body without a content type", self.complaints("GET", "/pools", 200, own, b"{}"))

    def test_parameters_of_a_path(self):
        """They are those of each of its operations, which may say otherwise."""
        both = [{"in": "query", "name": "all", "required": True}, {"in": "header", "name": "X-Old"}]
        own = {"operationId": "own", "responses": {}, "parameters": [{"in": "query", "name": "all"}]}
        inherits = {"operationId": "inherits", "responses": {}}
        document = {
            "paths": {"/x": {"parameters": both, "get": inherits, "put": own}},
            "x-on-every-answer": {"headers": {}},
            "x-without-operation": {"responses": {}},
        }
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            json.dump(document, file)  # which is YAML
            file.flush()
            read, replaced = contract.Contract(file.name).operations()
        self.assertEqual((read.name, replaced.name), ("inherits", "own"))
        self.assertEqual((read.required_query, replaced.required_query), (["all"], []))
        self.assertIn(("header", "x-old"), replaced.parameters)

    def test_a_digest_of_another_body(self):
        for name, status in (("Repr-Digest", 200), ("Content-Digest", 200), ("Content-Digest", 206)):
            with self.subTest(name, status=status):
                told = base64.b64encode(hashlib.sha256(b"another").digest()).decode()
                fields = {name: f"sha-256=:{told}:"}
                wrong = f"{name} is not the digest of the body"
                self.assertIn(wrong, self.complaints("GET", "/pools/alpha/entries/kept", status, fields, KEPT))
                self.assertNotIn(wrong, self.complaints("GET", "/pools/alpha/entries/kept", status, fields, b"another"))


class Draining(Case):
    def test_what_was_under_way_is_served(self):
        """While an upload holds the end of the process back, a request that was under way is served, and nothing is ready."""
        daemon = self.new_daemon(config="drain_timeout_s = 60\n")
        late = [(operation, daemon.raw()) for operation in operations() if 503 in operation.statuses]
        for operation, raw in late:
            self.addCleanup(raw.close)
            raw.send(f"{operation.method} {operation.target('alpha')} HTTP/1.1\r\n".encode())
        with daemon.raw() as upload:
            upload.send(b"PUT /pools/alpha/entries/up HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 8\r\n\r\nhalf")
            until(lambda: daemon.unread_bytes() == 0, "the daemon to begin with it")
            daemon.process.send_signal(signal.SIGTERM)
            until(lambda: self.refuses_connections(daemon), "the listener to close")
            for operation, raw in late:
                raw.send_until_refused(b"Host: 127.0.0.1\r\n\r\n")
                answer = raw.answer(operation.method)
                with self.subTest(operation.name):
                    self.assertIn(answer.status, operation.statuses)
                    self.assertEqual(answer.status == 503, "Readyz" in operation.name and operation.method != "OPTIONS")
            upload.send(b"half")
            self.assert_status(upload.answer(), 201, 204)

    def refuses_connections(self, daemon):
        try:
            socket.create_connection((daemon.host, daemon.port), timeout=5).close()
            return False
        except OSError:
            return True
