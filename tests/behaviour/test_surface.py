"""The service around the entries: what it is, whether it is ready, its contract; OPTIONS, pages of other sites, paging."""

import pathlib
import re
import tempfile
import urllib.parse

from client import entry_target, escape
from harness import ROOT, Case, DaemonCase, run_binary, until
from origin import Origin

TOKEN = "a-token-of-this-test"


def check_config(text):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "lailad.toml"
        path.write_text(text, encoding="utf-8")
        return run_binary("--config", str(path), "--check-config")


class Service(DaemonCase):
    def test_the_service_document_names_what_is_there(self):
        answer = self.assert_status(self.http.get("/"), 200)
        self.assertEqual(answer.header("Content-Type"), "application/json")
        self.assertEqual(answer.header("Cache-Control"), "no-store")
        document = answer.json()
        self.assertEqual(document["name"], "lailad")
        self.assertIn('</openapi.yaml>; rel="service-desc"', answer.header("Link"))
        for target in document["links"].values():
            self.assert_status(self.http.get(target), 200)
        head = self.assert_status(self.http.head("/"), 200)
        self.assertEqual(head.header("Content-Length"), str(len(answer.body)))
        self.assert_problem(self.http.get("/?x=1"), 400, "invalid-query")
        self.assert_problem(self.http.get("//"), 404, "route-not-found")

    def test_the_contract_is_served_byte_for_byte(self):
        answer = self.assert_status(self.http.get("/openapi.yaml"), 200)
        self.assertEqual(answer.body, (ROOT / "openapi.yaml").read_bytes())
        self.assertEqual(answer.header("Content-Type"), "application/yaml")
        self.assertEqual(answer.header("Cache-Control"), "no-cache")
        tag = answer.header("ETag")
        for listed in (tag, "*", f'"x", {tag}', f"W/{tag}"):
            again = self.assert_status(self.http.get("/openapi.yaml", {"If-None-Match": listed}), 304)
            self.assertEqual((again.body, again.header("ETag")), (b"", tag))
        self.assert_status(self.http.get("/openapi.yaml", {"If-None-Match": '"other"'}), 200)
        self.assert_status(self.http.get("/openapi.yaml", {"If-Match": tag}), 200)
        self.assert_problem(self.http.get("/openapi.yaml", {"If-Match": '"other"'}), 412, "precondition-failed")
        head = self.assert_status(self.http.head("/openapi.yaml"), 200)
        self.assertEqual(head.header("Content-Length"), str(len(answer.body)))
        self.assertEqual(head.header("ETag"), tag)


class Readiness(Case):
    def test_a_remote_pool_that_is_down_does_not_count(self):
        origin = Origin()
        self.addCleanup(origin.stop)
        daemon = self.new_daemon(config=origin.pool("far") + '[pools.disk]\nkind = "hdf5"\n')
        origin.stop()
        http = self.new_client(daemon)
        http.read("far", "nobody answers")
        self.assertEqual(http.get("/pools/far").json()["state"]["status"], "unavailable")
        answer = self.assert_status(http.get("/readyz"), 200)
        self.assertEqual(answer.header("Cache-Control"), "no-store")
        self.assertEqual(answer.json()["status"], "ready")
        found = {pool["nickname"]: (pool["ready"], pool["status"]) for pool in answer.json()["pools"]}
        self.assertEqual(found, {"alpha": (True, "ok"), "disk": (True, "ok"), "far": (True, "unavailable")})

    def test_a_local_file_that_cannot_be_opened_counts(self):
        daemon = self.new_daemon(config='[pools.disk]\nkind = "hdf5"\npath = "no-such-folder/disk.h5"\n')
        http = self.new_client(daemon)
        self.assert_status(http.get("/livez"), 200)
        answer = http.get("/readyz")
        problem = self.assert_problem(answer, 503, "not-ready")
        self.assertTrue(problem["retryable"])
        self.assertEqual(answer.header("Retry-After"), "1")
        found = {pool["nickname"]: pool for pool in problem["pools"]}
        self.assertEqual((found["disk"]["ready"], found["disk"]["status"]), (False, "failed"))
        self.assertTrue(found["disk"]["reason"])
        self.assertEqual((found["alpha"]["ready"], found["alpha"]["status"]), (True, "ok"))
        head = self.assert_status(http.head("/readyz"), 503)
        self.assertEqual(head.body, b"")

    def test_without_the_token_it_says_whether_and_not_who(self):
        daemon = self.new_daemon(config='[pools.disk]\nkind = "hdf5"\npath = "no-such-folder/disk.h5"\n', token=TOKEN)
        with_token = self.new_client(daemon)
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            with daemon.raw() as raw:
                fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
                raw.send(f"GET /readyz HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n".encode())
                self.assertNotIn("pools", self.assert_problem(raw.answer(), 503, "not-ready"))
        self.assertIn("pools", self.assert_problem(with_token.get("/readyz"), 503, "not-ready"))

    def test_a_service_that_ends_is_not_ready(self):
        daemon = self.new_daemon()
        http = self.new_client(daemon)
        busy = daemon.raw()
        self.addCleanup(busy.close)
        self.assert_status(http.get("/readyz"), 200)
        busy.send(b"PUT /pools/alpha/entries/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nab")
        until(lambda: daemon.unread_bytes() == 0, "the daemon has the request under way")
        daemon.process.terminate()
        until(lambda: http.head("/readyz").status == 503, "the drain has begun")
        busy.send(b"cde")
        self.assert_status(busy.answer(), 201)


class Open(Case):
    def test_what_is_open_and_what_is_not(self):
        daemon = self.new_daemon(token=TOKEN)
        for method in ("GET", "HEAD"):
            for target, status in (("/", 200), ("/livez", 200), ("/readyz", 200), ("/openapi.yaml", 200), ("/pools", 401),
                                   ("/chain", 401), ("/pools/alpha/entries/x", 401)):
                with daemon.raw() as raw, self.subTest(method=method, target=target):
                    raw.send(f"{method} {target} HTTP/1.1\r\nHost: x.example\r\n\r\n".encode())
                    self.assert_status(raw.answer(method), status)


METHODS = {
    "/": "GET HEAD",
    "/livez": "GET HEAD",
    "/readyz": "GET HEAD",
    "/openapi.yaml": "GET HEAD",
    "/pools": "GET HEAD POST",
    "/pools/alpha": "GET HEAD DELETE",
    "/pools/alpha/proxy_to": "GET HEAD PUT DELETE",
    "/pools/alpha/entries": "GET HEAD DELETE",
    "/pools/alpha/entries/x": "GET HEAD PUT DELETE",
    "/pools/alpha/entry": "GET HEAD PUT DELETE",
    "/chain": "GET HEAD PUT POST",
}


class Methods(DaemonCase):
    def allow_of(self, answer):
        return set((answer.header("Allow") or "").split(", "))

    def test_allow_is_the_same_in_405_and_options(self):
        for target, methods in METHODS.items():
            with self.subTest(target=target):
                expected = set(methods.split()) | {"OPTIONS"}
                answer = self.assert_status(self.http.ask("OPTIONS", target), 204)
                self.assertEqual(self.allow_of(answer), expected)
                self.assertEqual(answer.body, b"")
                self.assertEqual(answer.header("Cache-Control"), "no-store")
                for method in {"GET", "HEAD", "PUT", "POST", "DELETE", "PATCH"} - expected:
                    answer = self.assert_status(self.http.ask(method, target), 405)
                    self.assertEqual(self.allow_of(answer), expected, method)
                self.assert_status(self.http.ask("BREW", target), 501)

    def test_options_looks_at_the_path_only(self):
        self.assert_status(self.http.ask("OPTIONS", "/pools/nobody/entries/x?what=ever"), 204)
        self.assert_problem(self.http.ask("OPTIONS", "/nothing"), 404, "route-not-found")
        self.assert_problem(self.http.ask("OPTIONS", "/pools/"), 404, "route-not-found")
        self.assert_problem(self.http.ask("OPTIONS", "/pools", b"body"), 400, "invalid-request")

    def test_without_cors_nothing_is_said_to_pages(self):
        headers = {"Origin": "https://app.example", "Access-Control-Request-Method": "PUT"}
        for answer in (self.http.ask("OPTIONS", "/pools", headers=headers), self.http.get("/pools", headers)):
            names = [name.lower() for name, _ in answer.headers]
            self.assertFalse([name for name in names if name.startswith("access-control") or name == "vary"])


PAGE = "https://app.example"
EXPOSED = ("ETag", "Content-Digest", "Location", "Link", "Cache-Status", "Repr-Digest", "Content-Range", "Retry-After", "WWW-Authenticate")


class NamedOrigins(DaemonCase):
    config = f'cors_origins = ["{PAGE}", "http://localhost:5173"]\n'

    def preflight(self, target, origin=PAGE, method="PUT"):
        return self.http.ask("OPTIONS", target, headers={"Origin": origin, "Access-Control-Request-Method": method})

    def assert_open_to(self, origin, answer):
        self.assertEqual(answer.header("Access-Control-Allow-Origin"), origin, f"{answer}")
        self.assertIn("Origin", answer.header("Vary").split(", "))
        self.assertIsNone(answer.header("Access-Control-Allow-Credentials"))
        exposed = answer.header("Access-Control-Expose-Headers").split(", ")
        for name in EXPOSED:
            self.assertIn(name, exposed)

    def assert_closed(self, answer):
        self.assertIsNone(answer.header("Access-Control-Allow-Origin"), f"{answer}")
        self.assertIn("Origin", answer.header("Vary").split(", "))

    def test_a_preflight_on_every_path(self):
        for target, methods in {**METHODS, "/pools/nobody/entries/x?id=1": METHODS["/pools/alpha/entries/x"]}.items():
            with self.subTest(target=target):
                answer = self.assert_status(self.preflight(target), 204)
                self.assertEqual(answer.header("Access-Control-Allow-Origin"), PAGE)
                self.assertEqual(set(answer.header("Access-Control-Allow-Methods").split(", ")), {*methods.split(), "OPTIONS"})
                sendable = answer.header("Access-Control-Allow-Headers").lower().split(", ")
                for name in ("authorization", "content-type", "if-match", "if-none-match", "range", "cache-control", "repr-digest"):
                    self.assertIn(name, sendable)
                self.assertGreater(int(answer.header("Access-Control-Max-Age")), 0)
        for origin in ("https://app.example.evil.example", "http://app.example", "https://app.example:8443", "null", "*", ""):
            answer = self.assert_status(self.preflight("/pools", origin), 204)
            self.assert_closed(answer)
            self.assertIsNone(answer.header("Access-Control-Allow-Methods"))

    def test_every_answer_says_it(self):
        page = {"Origin": PAGE}
        self.assert_open_to(PAGE, self.assert_status(self.http.put(entry_target("alpha", "x"), b"body", page), 201, 204))
        for target, headers, status in (
            ("/pools/alpha/entries/x", {}, 200),
            ("/pools/alpha/entries/x", {"Range": "bytes=1-2"}, 206),
            ("/pools/alpha/entries/x", {"If-None-Match": "*"}, 304),
            ("/pools/alpha/entries/absent", {}, 404),
            ("/pools/alpha/entries/x", {"Range": "bytes=100-"}, 416),
            ("/pools/alpha/entries/x", {"If-Match": '"other"'}, 412),
            ("/pools/nobody", {}, 404),
            ("/nothing", {}, 404),
            ("/pools?what=ever", {}, 400),
            ("/pools", {"Expect": "miracles"}, 417),
        ):
            with self.subTest(target=target, headers=headers):
                # One connection each: what the screen refuses closes it.
                http = self.new_client(self.daemon)
                self.assert_open_to(PAGE, self.assert_status(http.get(target, {**page, **headers}), status))
                http = self.new_client(self.daemon)
                self.assert_closed(self.assert_status(http.get(target, headers), status))
        chain = self.assert_status(self.http.get("/chain", {"Origin": "http://localhost:5173"}), 200)
        self.assert_open_to("http://localhost:5173", chain)
        self.assertIn("Accept", chain.header("Vary").split(", "))
        self.assert_open_to(PAGE, self.assert_status(self.http.post("/pools", "x", page), 415))

    def test_a_refusal_in_the_middle_of_a_body_says_it_too(self):
        daemon = self.new_daemon(config=self.config + 'discard_max_bytes = "1kB"\nbody_max_bytes = "10kB"\n')
        with daemon.raw() as raw:
            raw.send(f"PUT /pools/alpha/entries/big HTTP/1.1\r\nHost: localhost\r\nOrigin: {PAGE}\r\n"
                     "Content-Length: 100000\r\n\r\nx".encode())
            self.assert_open_to(PAGE, self.assert_status(raw.answer(), 413))

    def test_a_kept_answer_is_for_nobody_in_particular(self):
        """The finished answer of a hit stays with its entry: a page's must not, and must not get another's."""
        target = entry_target("alpha", "kept")
        self.assert_status(self.http.put(target, b"body"), 201)
        origins = (None, PAGE, None, "http://localhost:5173", "https://other.example", PAGE, None)
        for origin in origins * 2:
            answer = self.assert_status(self.http.get(target, {"Origin": origin} if origin else None), 200)
            self.assertEqual(answer.body, b"body")
            self.assertEqual(answer.header("Cache-Status"), '"alpha";hit')
            self.assertTrue(answer.header("ETag"))
            if origin in (PAGE, "http://localhost:5173"):
                self.assert_open_to(origin, answer)
            else:
                self.assert_closed(answer)
        self.assert_status(self.http.put(target, b"first asked by a page"), 204)
        self.assert_open_to(PAGE, self.http.get(target, {"Origin": PAGE}))
        self.assert_closed(self.http.get(target))

    def test_named_pages_may_change_things_and_others_may_not(self):
        self.assert_status(self.http.put(entry_target("alpha", "w"), b"x", {"Origin": PAGE}), 201)
        refused = self.http.put(entry_target("alpha", "w"), b"x", {"Origin": "https://other.example"})
        self.assert_problem(refused, 403, "forbidden")
        self.assert_closed(refused)


class Configuration(Case):
    def test_what_is_no_origin_is_an_error(self):
        for value in ('"https://app.example"', '["*"]', '["https://app.example/"]', '["HTTPS://app.example"]', '["app.example"]',
                      '["null"]', '["https://"]', '["https://a:b"]', "[1]", "true"):
            with self.subTest(value=value):
                run = check_config(f"\ncors_origins = {value}\n")
                self.assertEqual(run.returncode, 1, run.stderr)
                self.assertIn("lailad.toml:2: cors_origins: expected", run.stderr)


class AnyOrigin(DaemonCase):
    config = 'cors_origins = "*"\n'

    def test_everybody_gets_the_same(self):
        target = entry_target("alpha", "x")
        self.assert_status(self.http.put(target, b"body"), 201)
        for headers in ({}, {"Origin": PAGE}, {"Origin": "null"}, {}):
            answer = self.assert_status(self.http.get(target, headers), 200)
            self.assertEqual(answer.header("Access-Control-Allow-Origin"), "*")
            self.assertIn("ETag", answer.header("Access-Control-Expose-Headers"))
            self.assertIsNone(answer.header("Vary"))

    def test_reading_is_for_all_and_changing_is_not(self):
        """The star names nobody: without a token it must not hand the pools to every page."""
        headers = {"Origin": PAGE, "Access-Control-Request-Method": "PUT"}
        answer = self.assert_status(self.http.ask("OPTIONS", entry_target("alpha", "y"), headers=headers), 204)
        self.assertIn("PUT", answer.header("Access-Control-Allow-Methods"))
        refused = self.http.put(entry_target("alpha", "y"), b"x", {"Origin": PAGE})
        self.assert_problem(refused, 403, "forbidden")
        self.assertEqual(refused.header("Access-Control-Allow-Origin"), "*")


class TokenAndPages(Case):
    def test_a_preflight_needs_no_token_and_a_401_can_be_read(self):
        for origins, allowed in ((f'["{PAGE}"]', PAGE), ('"*"', "*")):
            daemon = self.new_daemon(config=f"cors_origins = {origins}\n", token=TOKEN)
            http = self.new_client(daemon)
            del http.always["Authorization"]
            headers = {"Origin": PAGE, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "authorization"}
            answer = self.assert_status(http.ask("OPTIONS", "/pools/alpha/entries/x", headers=headers), 204)
            self.assertEqual(answer.header("Access-Control-Allow-Origin"), allowed)
            answer = http.put("/pools/alpha/entries/x", b"x", {"Origin": PAGE})
            self.assert_problem(answer, 401, "unauthenticated")
            self.assertEqual(answer.header("Access-Control-Allow-Origin"), allowed)
            answer = http.put("/pools/alpha/entries/x", b"x", {"Origin": PAGE, "Authorization": f"Bearer {TOKEN}"})
            self.assert_status(answer, 201)
            self.assertEqual(answer.header("Access-Control-Allow-Origin"), allowed)


class CacheControl(DaemonCase):
    config = """
chain = "front << back"
[pools.front]
kind = "memory"
cache_control = "public, max-age=60"
[pools.back]
kind = "memory"
cache_control = 'private, no-cache="set-cookie, x"'
[pools.disk]
kind = "hdf5"
cache_control = "no-store"
"""

    def asked(self, pool, headers=None):
        return self.http.get(entry_target(pool, "x"), headers).header("Cache-Control")

    def test_each_pool_has_its_own_whatever_is_kept(self):
        for pool in ("alpha", "back", "disk"):
            self.assert_status(self.http.put(entry_target(pool, "x"), b"body"), 201, 204)
        said = {"alpha": "no-cache", "back": 'private, no-cache="set-cookie, x"', "disk": "no-store"}
        for _ in range(3):
            for pool, value in said.items():
                self.assertEqual(self.asked(pool), value)
                tag = self.http.get(entry_target(pool, "x")).header("ETag")
                self.assertEqual(self.asked(pool, {"If-None-Match": tag}), value)
                self.assertEqual(self.asked(pool, {"Range": "bytes=1-2"}), value)
        for _ in range(3):  # a miss that was found in back, then hits: the named pool's word
            self.assertEqual(self.asked("front"), "public, max-age=60")
            self.assertEqual(self.asked("back"), said["back"])
        for pool in ("front", "back", "disk"):
            for answer in (
                self.http.head(entry_target(pool, "x")),
                self.http.head(entry_target(pool, "absent")),
                self.http.get(entry_target(pool, "absent")),
                self.http.get(entry_target(pool, "x"), {"If-Match": '"other"'}),
                self.http.get(entry_target(pool, "x"), {"Range": "bytes=99-"}),
                self.http.get(f"/pools/{pool}/entries"),
                self.http.get(f"/pools/{pool}"),
                self.http.put(entry_target(pool, "y"), b"x"),
                self.http.delete(entry_target(pool, "y")),
            ):
                self.assertEqual(answer.header("Cache-Control"), "no-store", f"{answer}")

    def test_over_rest_and_after_a_restart(self):
        daemon = self.new_daemon()
        http = self.new_client(daemon)
        body = {"nickname": "mine", "kind": "hdf5", "config": {"cache_control": "max-age=5"}}
        answer = self.assert_status(http.post_json("/pools", body), 201)
        self.assertEqual(answer.json()["config"]["cache_control"], "max-age=5")
        self.assertEqual(http.get("/pools/alpha").json()["config"]["cache_control"], "no-cache")
        self.assert_status(http.put(entry_target("mine", "x"), b"body"), 201)
        daemon.restart()
        http = self.new_client(daemon)
        self.assertEqual(http.get("/pools/mine").json()["config"]["cache_control"], "max-age=5")
        self.assertEqual(http.get(entry_target("mine", "x")).header("Cache-Control"), "max-age=5")

    def test_what_is_no_field_value_is_refused(self):
        for value in ("", " no-cache", "no-cache ", "max-age", "max-age=", "max-age=-1", "max-age=1h", 'max-age="1"', "a,,b",
                      "a b", "a\r\nX: y", "a\tb", "a=", 'a="', 'a="\u00fc"', "\u00fc", "a" * 129, "${TOKEN}", 1, True):
            body = {"nickname": "bad", "kind": "memory", "config": {"cache_control": value}}
            problem = self.assert_problem(self.http.post_json("/pools", body), 400, "invalid-config")
            self.assertIn("cache_control", problem["detail"])
            if isinstance(value, str) and value.isprintable() and "$" not in value:
                run = check_config(f"[pools.bad]\nkind = \"memory\"\ncache_control = '{value}'\n")
                self.assertEqual(run.returncode, 1)
                self.assertIn("lailad.toml:3: [pools.bad] cache_control: ", run.stderr)
        for value in ("no-cache", "public,max-age=1", "a , b", 'private="x, y", s-maxage=0', "immutable", "a" * 128):
            body = {"nickname": "good", "kind": "memory", "config": {"cache_control": value}}
            self.assert_status(self.http.post_json("/pools", body), 201)
            self.assert_status(self.http.put(entry_target("good", "x"), b""), 201)
            self.assertEqual(self.http.get(entry_target("good", "x")).header("Cache-Control"), value)
            self.assert_status(self.http.delete("/pools/good"), 204)


class Hosts(Case):
    """Whom the service answers: the list beats the defaults, and an absolute target's authority beats Host."""

    def status(self, daemon, target, host):
        with daemon.raw() as raw:
            raw.send(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            answer = raw.answer()
        if answer.status != 200:
            self.assert_problem(answer, 400, "invalid-header")
        return answer.status

    def test_without_a_list_and_token_only_names_that_no_attacker_can_own(self):
        daemon = self.new_daemon()
        for host, status in (("127.0.0.1", 200), ("localhost:1", 200), ("[::1]:9", 200), ("pools", 200), ("a.localhost", 200),
                             ("evil.example", 400), ("localhost.evil.example", 400), ("127.0.0.1.evil.example", 400)):
            self.assertEqual(self.status(daemon, "/pools", host), status, host)
            self.assertEqual(self.status(daemon, f"http://{host}/pools", "evil.example"), status, host)
            self.assertEqual(self.status(daemon, f"http://{host}/pools", "localhost"), status, host)

    def test_with_a_list_its_names_only(self):
        for token in (None, TOKEN):
            daemon = self.new_daemon(config='allowed_hosts = ["pools.example", "other.example:8443"]\n', token=token)
            for host, status in (("pools.example", 200), ("POOLS.example:1234", 200), ("other.example:8443", 200),
                                 ("other.example", 400), ("other.example:80", 400), ("localhost", 400), ("127.0.0.1", 400),
                                 ("pools.example.evil.example", 400)):
                self.assertEqual(self.status(daemon, "/livez", host), status, host)
                self.assertEqual(self.status(daemon, f"http://{host}/livez", "pools.example"), status, host)

    def test_with_a_token_and_no_list_any(self):
        daemon = self.new_daemon(token=TOKEN)
        self.assertEqual(self.status(daemon, "/livez", "what.ever.example"), 200)
        self.assertEqual(self.status(daemon, "http://what.ever.example/livez", "x"), 200)

    def test_what_is_no_host_is_a_configuration_error(self):
        for value in ("http://a", "a b", "", "a/b", "a:b", "[::1"):
            run = check_config(f'\nallowed_hosts = ["fine", "{value}"]\n')
            self.assertEqual(run.returncode, 1, value)
            self.assertIn("lailad.toml:2: allowed_hosts: expected", run.stderr)


class Paging(DaemonCase):
    config = '[pools.hdf5]\nkind = "hdf5"\n'

    def test_links_lead_through_every_page_and_keep_what_was_asked(self):
        prefix = "a&b=c +%2F/\u00fc\"<>;,#?"
        ids = {f"{prefix}{number:03}" for number in range(23)}
        for pool in ("alpha", "hdf5"):
            for entry_id in ids | {"other", prefix[:-1]}:
                self.assert_status(self.http.put(entry_target(pool, entry_id), b"x"), 201)
            for limit in (1, 7, 23, 24, None):
                target = f"/pools/{pool}/entries?prefix={escape(prefix)}" + (f"&limit={limit}" if limit else "")
                found, pages = [], 0
                while target:
                    answer = self.assert_status(self.http.get(target), 200)
                    head = self.assert_status(self.http.head(target), 200)
                    page = answer.json()
                    self.assertLessEqual(len(page["ids"]), limit or 1000)
                    found += page["ids"]
                    pages += 1
                    link = answer.header("Link")
                    self.assertEqual(head.header("Link"), link)
                    self.assertEqual(link is None, page["next_cursor"] is None)
                    target = None
                    if link:
                        uri, rel = re.fullmatch(r"<([^<>\s]*)>; rel=\"([a-z]+)\"", link).groups()
                        self.assertEqual(rel, "next")
                        path, query = uri.split("?")
                        self.assertEqual(path, f"/pools/{pool}/entries")
                        asked = dict(pair.split("=") for pair in query.split("&"))
                        self.assertEqual(asked.keys(), {"cursor", "prefix", "limit"} if limit else {"cursor", "prefix"})
                        self.assertEqual(asked["prefix"], escape(prefix))
                        self.assertEqual(urllib.parse.unquote(asked["cursor"]), page["next_cursor"])
                        if limit:
                            self.assertEqual(asked["limit"], str(limit))
                        target = uri
                self.assertEqual((len(found), set(found)), (len(ids), ids))
                self.assertGreaterEqual(pages, -(-len(ids) // (limit or 1000)))


class WiringConditions(DaemonCase):
    """The tags of the wiring, on reads and on changes."""

    config = "".join(f'[pools.{name}]\nkind = "memory"\n' for name in "abc")

    def setUp(self):
        super().setUp()
        self.assert_status(self.http.put("/chain", "a << b", {"Content-Type": "text/plain"}), 200)

    def test_a_read_is_judged_by_both_fields(self):
        for target in ("/chain", "/pools/a/proxy_to"):
            tag = self.http.get(target).header("ETag")
            for method in (self.http.get, self.http.head):
                self.assert_status(method(target, {"If-Match": tag}), 200)
                self.assert_status(method(target, {"If-Match": "*"}), 200)
                self.assert_status(method(target, {"If-Match": '"0"'}), 412)
                self.assert_status(method(target, {"If-Match": '"0"', "If-None-Match": tag}), 412)
                self.assert_status(method(target, {"If-Match": tag, "If-None-Match": tag}), 304)
                self.assert_status(method(target, {"If-None-Match": tag}), 304)
                self.assert_status(method(target, {"If-None-Match": '"0"'}), 200)
            self.assert_problem(self.http.get(target, {"If-Match": '"0"'}), 412, "precondition-failed")

    def test_a_change_with_an_old_tag_changes_nothing(self):
        chain_tag, link_tag = (self.http.get(target).header("ETag") for target in ("/chain", "/pools/a/proxy_to"))
        self.assert_status(self.http.wire("b << c"), 200)
        self.assert_status(self.http.put_json("/pools/a/proxy_to", {"pool": "c"}), 200)
        before = self.http.get("/chain").body
        plain = {"Content-Type": "text/plain", "If-Match": chain_tag}
        self.assert_problem(self.http.put("/chain", "c << a", plain), 412, "precondition-failed")
        self.assert_problem(self.http.post("/chain", "c << a", plain), 412, "precondition-failed")
        stale = {"If-Match": link_tag}
        self.assert_problem(self.http.put_json("/pools/a/proxy_to", {"pool": None}, stale), 412, "precondition-failed")
        self.assert_problem(self.http.delete("/pools/a/proxy_to", stale), 412, "precondition-failed")
        self.assertEqual(self.http.get("/chain").body, before)

    def test_answers_carry_the_tag_that_a_read_would_give(self):
        plain = {"Content-Type": "text/plain"}
        for change, body in ((self.http.put, b"b << c"), (self.http.post, b"a << b")):
            answer = self.assert_status(change("/chain", body, plain), 200)
            read = self.http.get("/chain")
            self.assertEqual((answer.header("ETag"), answer.body), (read.header("ETag"), read.body))
        answer = self.http.put_json("/pools/a/proxy_to", {"pool": "c"})
        self.assertEqual(answer.header("ETag"), self.http.get("/pools/a/proxy_to").header("ETag"))
        answer = self.assert_status(self.http.delete("/pools/a/proxy_to"), 204)
        self.assertEqual(answer.header("ETag"), self.http.get("/pools/a/proxy_to").header("ETag"))

    def test_put_replaces_and_post_keeps_the_other_links(self):
        self.assertEqual(self.http.wire("c << alpha").body, b"a << b\nc << alpha\n")
        self.assertEqual(self.http.wire("a << c").body, b"a << c << alpha\n")
        self.assertEqual(self.http.put("/chain", "b << a", {"Content-Type": "text/plain"}).body, b"b << a\n")
        self.assert_problem(self.http.wire(""), 400, "invalid-chain")
        self.assert_problem(self.http.wire("a << b\nnobody << a"), 404, "pool-not-found")
        self.assertEqual(self.http.get("/chain").body, b"b << a\n")
        self.assertEqual(self.http.put("/chain", "", {"Content-Type": "text/plain"}).body, b"")


class LongestAnswers(Case):
    """The largest request header leaves the least room for an answer's: it is refused, or the answer is whole."""

    def test_the_largest_answer_after_the_largest_header(self):
        page = "https://" + "a" * 120
        caching = "max-age=" + "1" * 120
        config = f'cors_origins = ["{page}"]\n[pools.m]\nkind = "memory"\ncache_control = "{caching}"\n'
        daemon = self.new_daemon(config=config)
        http = self.new_client(daemon)
        fields = {"Content-Type": "t/" + "y" * 253, "Content-Encoding": "e" * 63}
        self.assert_status(http.put(entry_target("m", "x"), b"body", fields), 201)
        counts = set()
        for count in (*range(4, 50, 2), *range(50, 61)):
            head = f"GET /pools/m/entries/x HTTP/1.1\r\nHost: localhost\r\nOrigin: {page}\r\nRange: bytes=1-2\r\n"
            filler = 32768 - len(head) - 2
            each = filler // count
            lines = [f"X-{number:03}: " + "v" * (each - 9) + "\r\n" for number in range(count)]
            lines[-1] = lines[-1][:-2] + "v" * (filler - each * count) + "\r\n"
            with daemon.raw() as raw:
                raw.send((head + "".join(lines) + "\r\n").encode())
                answer = raw.answer()
            self.assert_status(answer, 206, 431)
            counts.add(answer.status)
            self.assertEqual(answer.header("Access-Control-Allow-Origin"), page)
            if answer.status == 206:
                self.assertEqual(answer.body, b"od")
                self.assertEqual(answer.header("Cache-Control"), caching)
                self.assertEqual(answer.header("Content-Type"), fields["Content-Type"])
        self.assertEqual(counts, {206, 431})
