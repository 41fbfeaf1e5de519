"""The token on every route: each operation of openapi.yaml, asked without it, with a wrong one, and with the right one.

What may be asked by anybody is what openapi.yaml marks `x-scope: open`, nothing else. Refused requests change nothing, ask
nothing further down and tell nothing about what is there. Without a token (loopback, or --insecure) nobody is asked for one.
"""

import json
import socket

import contract
from client import RawClient, entry_target
from harness import ROOT, Case
from origin import Origin, object_name

TOKEN = "0123456789abcdef0123456789abcdef"
NOT_THE_TOKEN = {
    "no field": {},
    "cut": {"Authorization": "Bearer " + TOKEN[:-1]},
    "longer": {"Authorization": "Bearer " + TOKEN + "0"},
    "other case": {"Authorization": "Bearer " + TOKEN.upper()},
    "empty": {"Authorization": "Bearer "},
    "bare": {"Authorization": TOKEN},
    "another scheme": {"Authorization": "Basic " + TOKEN},
    "two": {"Authorization": f"Bearer {TOKEN}, Bearer {TOKEN}"},
}
METHODS = ("GET", "HEAD", "PUT", "POST", "DELETE", "PATCH")
SCOPES = ("open", "read", "write", "admin")
SAFE = ("GET", "HEAD", "OPTIONS")
# What a request of an operation needs in order to be a good one. Other JSON bodies are empty objects.
BODIES = {
    "registerPool": {"nickname": "made", "kind": "memory", "config": {}},
    "setProxyTo": {"pool": None},
    "replaceChain": "alpha << far",
    "applyChain": "spare << far",
}
QUERIES = {"id": "id=x", "all": "all=true", "nickname": "nickname=x"}


class Operation(contract.Operation):
    """With a request that it accepts."""

    def target(self, nick="spare", entry_id="x"):
        path = self.path.replace("{nick}", nick).replace("{id}", entry_id)
        query = "&".join(QUERIES[name] for name in self.required_query)
        return path + ("?" + query if query else "")

    def body(self):
        """(body or None, fields)."""
        if not self.types:
            return None, {}
        value = BODIES.get(self.name, {})
        kind = "text/plain" if isinstance(value, str) else "application/json"
        if kind not in self.types:
            kind = "application/octet-stream" if "*/*" in self.types[0] else self.types[0]
        return (value if isinstance(value, str) else json.dumps(value)).encode(), {"Content-Type": kind}


class ScopeCase(Case):
    def setUp(self):
        described = contract.Contract(ROOT / "openapi.yaml", Operation)
        self.document, self.operations = described.document, described.operations()
        self.assertGreater(len(self.operations), 20)
        self.origin = Origin()
        self.addCleanup(self.origin.stop)
        self.origin.put(object_name("cold"), b"far away")

    def scene(self, token=None, args=()):
        """alpha << far with entries, and a pool `spare` that may be removed."""
        daemon = self.new_daemon(config='chain = "alpha << far"\n' + self.origin.pool("far"), token=token, args=args)
        self.http = self.new_client(daemon)
        self.restore()
        return daemon

    def restore(self):
        """After requests that were meant to change something."""
        self.http.delete("/pools/made")
        if self.http.get("/pools/spare").status == 404:
            spare = {"nickname": "spare", "kind": "memory", "config": {}}
            self.assert_status(self.http.post_json("/pools", spare), 201)
        self.assert_status(self.http.put_entry("alpha", "x", b"kept"), 201, 204)
        self.assert_status(self.http.put_entry("spare", "x", b"kept"), 201, 204)
        self.assert_status(self.http.put("/chain", "alpha << far", {"Content-Type": "text/plain"}), 200)

    def state(self):
        """All that a request could change."""
        pools = [pool["nickname"] for pool in self.http.get("/pools").json()["pools"]]
        chain = self.http.get("/chain")
        entries = {
            pool: {entry_id: self.http.read(pool, entry_id).body for entry_id in self.http.ids(pool)} for pool in ("alpha", "spare")
        }
        return pools, chain.body, chain.header("ETag"), entries

    def ask(self, client, operation, fields, nick="spare", entry_id="x"):
        body, described = operation.body()
        return client.ask(operation.method, operation.target(nick, entry_id), body, {**described, **fields})


class WithToken(ScopeCase):
    def assert_refused(self, answer, method):
        self.assertEqual(answer.status, 401, f"{answer}")
        self.assertIn("Bearer", answer.header("WWW-Authenticate") or "")
        if method != "HEAD":
            self.assert_problem(answer, 401, "unauthenticated")

    def test_the_document_says_who_is_asked(self):
        """x-scope, security and the answer 401 say the same."""
        self.assertEqual(self.document["security"], [{"bearer": []}])
        for operation in self.operations:
            with self.subTest(operation=operation.name):
                self.assertIn(operation.scope, SCOPES)
                self.assertEqual(operation.security, [] if operation.scope == "open" else None)
                self.assertEqual(401 in operation.statuses, operation.scope != "open")
                if operation.scope == "read":
                    self.assertIn(operation.method, ("GET", "HEAD"))
                if operation.scope in ("write", "admin"):
                    self.assertNotIn(operation.method, SAFE)
        self.assertIn("getLivez", [operation.name for operation in self.operations if operation.scope == "open"])

    def test_every_operation_is_refused_without_it(self):
        daemon = self.scene(TOKEN)
        before = self.state()
        asked = len(self.origin.log)
        with daemon.client() as stranger:
            stranger.always = {}
            for operation in self.operations:
                if operation.scope == "open":
                    continue
                for name, fields in NOT_THE_TOKEN.items():
                    for nick, entry_id in (("spare", "x"), ("alpha", "cold"), ("nowhere", "y")):
                        with self.subTest(operation=operation.name, token=name, pool=nick):
                            # The same answer whether or not the pool and the entry are there.
                            self.assert_refused(self.ask(stranger, operation, fields, nick, entry_id), operation.method)
        self.assertEqual(len(self.origin.log), asked, "a refused request asked the store")
        self.assertEqual(self.state(), before)
        self.assertNotIn(TOKEN, daemon.log())

    def test_no_body_is_asked_for(self):
        daemon = self.scene(TOKEN)
        before = self.state()
        for operation in self.operations:
            if operation.scope == "open" or not operation.types:
                continue
            with self.subTest(operation=operation.name), daemon.raw() as raw:
                raw.send(
                    f"{operation.method} {operation.target()} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n"
                    f"Content-Type: {operation.body()[1]['Content-Type']}\r\nExpect: 100-continue\r\n\r\n".encode()
                )
                raw._more()
                self.assertTrue(raw.kept.startswith(b"HTTP/1.1 401 "), bytes(raw.kept[:100]))
                self.assert_refused(raw.answer(), operation.method)
        self.assertEqual(self.state(), before)

    def test_every_operation_is_let_through_with_it(self):
        self.scene(TOKEN)
        for operation in self.operations:
            with self.subTest(operation=operation.name):
                self.restore()
                answer = self.ask(self.http, operation, {})
                self.assertNotIn(answer.status, (401, 403), f"{answer}")
                self.assertIn(answer.status, operation.statuses)
                self.assertIsNone(answer.header("WWW-Authenticate"))
                if operation.method in ("GET", "HEAD"):
                    upkeep = operation.path.endswith(("/compact", "/scrub"))  # 501: the pool lives in memory
                    self.assertEqual(answer.status >= 400, upkeep, f"{answer}")

    def test_open_routes_ask_nobody(self):
        daemon = self.scene(TOKEN)
        with daemon.client() as stranger:
            for operation in self.operations:
                if operation.scope != "open":
                    continue
                for name, fields in NOT_THE_TOKEN.items():
                    with self.subTest(operation=operation.name, token=name):
                        stranger.always = {}
                        answer = self.ask(stranger, operation, fields)
                        self.assertNotIn(answer.status, (401, 403), f"{answer}")

    def test_what_is_no_route_tells_nothing(self):
        daemon = self.scene(TOKEN)
        before = self.state()
        described = {(operation.path, operation.method) for operation in self.operations}
        with daemon.client() as stranger:
            stranger.always = {}
            for path in sorted({operation.path for operation in self.operations}) + ["/nothing", "/pools/spare/entries/x/", "//pools"]:
                for method in METHODS:
                    if (path, method) in described:
                        continue
                    with self.subTest(method=method, path=path):
                        answer = stranger.ask(method, path.replace("{nick}", "spare").replace("{id}", "x"))
                        self.assertIn(answer.status, (401, 404, 405), f"{answer}")
        self.assertEqual(self.state(), before)

    def test_another_address_asks_as_well(self):
        """And so does loopback when the daemon listens on more than that."""
        daemon = self.scene(TOKEN, args=["--listen", "0.0.0.0:0"])
        addresses = {"127.0.0.1", socket.gethostbyname(socket.gethostname())}
        for address in addresses:
            with RawClient(address, daemon.port) as raw:
                raw.send(f"GET /pools HTTP/1.1\r\nHost: {address}\r\n\r\n".encode())
                self.assert_refused(raw.answer(), "GET")


class WithoutToken(ScopeCase):
    def assert_open(self):
        for operation in self.operations:
            with self.subTest(operation=operation.name):
                self.restore()
                answer = self.ask(self.http, operation, {})
                self.assertNotIn(answer.status, (401, 403), f"{answer}")
                self.assertIn(answer.status, operation.statuses)

    def test_loopback_asks_nobody(self):
        self.scene()
        self.assert_open()

    def test_insecure_asks_nobody(self):
        self.scene(args=["--listen", "0.0.0.0:0", "--insecure"])
        self.assert_open()

    def test_a_token_nobody_wants_is_no_mistake(self):
        self.scene()
        self.assert_status(self.http.get("/pools", {"Authorization": "Bearer anything"}), 200)

    def test_pages_of_other_sites_change_nothing(self):
        daemon = self.scene()
        before = self.state()
        with daemon.client() as page:
            for operation in self.operations:
                for origin in ("http://elsewhere.example", "null", f"http://127.0.0.1:{daemon.port + 1}"):
                    with self.subTest(operation=operation.name, origin=origin):
                        answer = self.ask(page, operation, {"Origin": origin})
                        if operation.method in SAFE:
                            self.assertNotIn(answer.status, (401, 403), f"{answer}")
                        else:
                            self.assert_problem(answer, 403, "forbidden")
        self.assertEqual(self.state(), before)

    def test_a_page_of_its_own_may(self):
        daemon = self.scene()
        own = {"Origin": f"http://127.0.0.1:{daemon.port}"}
        self.assert_status(self.http.put(entry_target("spare", "x"), b"from the page", own), 204)
