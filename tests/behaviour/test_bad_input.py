"""Bad input gets a clear error, changes nothing, and harms nobody else.

Each case is a test of its own. After every one of them the daemon must still run, answer, and hold exactly the pools, wiring and
entries that it held before.
"""

import base64
import hashlib
import json
import socket
import struct
import time

from harness import DaemonCase, until

KEPT = b'{"kept": true}'
MIB = 1024 * 1024


def request(line, *fields, body=b"", host="127.0.0.1"):
    """A raw request; fields are whole header lines as bytes or text."""
    lines = [line] + ([f"Host: {host}"] if host is not None else []) + list(fields)
    head = b"\r\n".join(part if isinstance(part, bytes) else part.encode("utf-8") for part in lines)
    return head + b"\r\n\r\n" + body


def cases(table):
    """Adds one test method per row: {name: arguments}, run by the class's `check_<table name>`."""

    def add(cls):
        for check, rows in table.items():
            for name, arguments in rows.items():

                def test(self, check=check, arguments=arguments):
                    getattr(self, "check_" + check)(*arguments)

                test.__name__ = f"test_{check}_{name}"
                assert not hasattr(cls, test.__name__), test.__name__
                setattr(cls, test.__name__, test)
        return cls

    return add


class BadInput(DaemonCase):
    config = '[pools.disk]\nkind = "hdf5"\n[pools.other]\nkind = "memory"\n'

    def setUp(self):
        super().setUp()
        for pool in ("alpha", "disk"):
            self.assert_status(self.http.put_entry(pool, "kept", KEPT, {"Content-Type": "application/json"}), 201, 204)
        self.assert_status(self.http.put("/chain", "alpha << disk", {"Content-Type": "text/plain"}), 200)
        self.before = self.state()

    def tearDown(self):
        self.assertTrue(self.daemon.is_running(), "the daemon died")
        with self.daemon.client() as client:
            self.http = client
            self.assertEqual(self.state(), self.before, "something changed")

    def state(self):
        """All that a refused request must leave alone."""
        self.http.close()  # it may have been idle for longer than the daemon keeps a connection
        pools = self.http.get("/pools").json()["pools"]
        chain = self.http.get("/chain")
        return {
            "pools": [{name: pool[name] for name in ("nickname", "kind", "config", "counts", "state")} for pool in pools],
            "chain": (chain.body, chain.header("ETag")),
            "ids": {pool: self.http.ids(pool) for pool in ("alpha", "disk", "other")},
            "kept": [self.http.get(f"/pools/{pool}/entries/kept").body for pool in ("alpha", "disk")],
        }

    def check_raw(self, data, statuses, closes=True):
        """The answer's status is one of these, or there is none but the end of the connection when None is among them.
        After a refused frame the connection ends: nothing behind it is ever taken for another request."""
        with self.daemon.raw() as raw:
            raw.send_until_refused(data)
            answer = raw.answer()
            self.assertIn(answer.status if answer else None, statuses, f"{answer}")
            if answer is not None:
                self.assertFalse(answer.body.startswith(b"HTTP/1."), "a second answer in place of the body")
            if closes and answer is not None:
                raw.send_until_refused(request("GET /livez HTTP/1.1"))
                self.assertIsNone(raw.answer(), "the connection stayed open behind a refused frame")


# ---- the request target -------------------------------------------------------------------------------------------
BAD_IDS = {
    "lone_percent": "%",
    "percent_at_end": "a%",
    "one_digit": "%4",
    "no_hex": "%zz",
    "half_hex": "%4g",
    "percent_space": "%+1",
    "cut_utf8": "%C3",
    "bad_utf8": "%FF",
    "overlong_utf8": "%C0%AF",
    "surrogate": "%ED%A0%80",
    "beyond_unicode": "%F4%90%80%80",
    "nul": "%00",
    "nul_inside": "a%00b",
    "overlong": "x" * 1025,
    "overlong_escaped": "%C3%A9" * 513,
    "overlong_much": "x" * 4000,
}


@cases({"id": {name: (text,) for name, text in BAD_IDS.items()}})
class BadIds(BadInput):
    def check_id(self, text):
        for target in (f"/pools/alpha/entries/{text}", f"/pools/alpha/entry?id={text}"):
            for method, body in (("GET", None), ("PUT", b"bad"), ("DELETE", None)):
                with self.subTest(method=method, target=target[:60]):
                    self.assert_problem(self.http.ask(method, target, body), 400, "invalid-id")
            with self.subTest(method="HEAD", target=target[:60]):
                self.assert_status(self.http.head(target), 400)


class BadTargets(BadInput):
    def test_an_empty_id(self):
        self.assert_problem(self.http.get("/pools/alpha/entry?id="), 400, "invalid-id")
        self.assert_status(self.http.put("/pools/alpha/entries/", b"x"), 400, 404)
        self.assert_status(self.http.delete("/pools/alpha/entries/"), 400, 404)

    def test_no_id(self):
        for target in ("/pools/alpha/entry", "/pools/alpha/entry?", "/pools/alpha/entry?ID=kept"):
            with self.subTest(target=target):
                self.assert_status(self.http.get(target), 400)

    def test_an_unescaped_slash_is_no_route(self):
        for target in ("/pools/alpha/entries/a/b", "/pools/alpha/entries//", "/pools//entries/x", "//pools", "/pools/alpha/entries/kept/"):
            with self.subTest(target=target):
                self.assert_status(self.http.get(target), 404, 400)
                self.assert_status(self.http.put(target, b"x"), 404, 400)

    def test_a_trailing_slash_is_404(self):
        for target in ("/livez/", "/pools/", "/pools/alpha/", "/pools/alpha/proxy_to/", "/chain/"):
            with self.subTest(target=target):
                self.assert_problem(self.http.get(target), 404, "route-not-found")

    def test_dot_segments_are_data(self):
        for target in ("/pools/../livez", "/./livez", "/pools/alpha/../../livez", "/pools/%2e%2e/entries/x"):
            with self.subTest(target=target):
                self.assert_status(self.http.get(target), 400, 404)

    def test_unknown_routes(self):
        for target in ("/", "/nothing", "/pool", "/pools/alpha/entries/kept/nothing", "/LIVEZ", "/pools/alpha/nothing"):
            with self.subTest(target=target):
                answer = self.http.get(target)
                if target != "/":
                    self.assert_problem(answer, 404, "route-not-found")

    def test_unknown_pools(self):
        for method, target, body in (
            ("GET", "/pools/none", None),
            ("DELETE", "/pools/none", None),
            ("GET", "/pools/none/proxy_to", None),
            ("PUT", "/pools/none/proxy_to", b'{"pool": "alpha"}'),
            ("PUT", "/pools/alpha/proxy_to", b'{"pool": "none"}'),
            ("DELETE", "/pools/none/proxy_to", None),
            ("GET", "/pools/none/entries", None),
            ("DELETE", "/pools/none/entries?all=true", None),
            ("GET", "/pools/none/entries/x", None),
            ("PUT", "/pools/none/entries/x", b"x"),
            ("DELETE", "/pools/none/entries/x", None),
            ("GET", "/pools/none/entry?id=x", None),
            ("POST", "/chain", b"alpha << none"),
        ):
            with self.subTest(method=method, target=target):
                kind = "text/plain" if target == "/chain" else "application/json"
                answer = self.http.ask(method, target, body, {"Content-Type": kind} if body else None)
                problem = self.assert_problem(answer, 404, "pool-not-found")
                self.assertIn("none", json.dumps(problem))

    def test_queries(self):
        for target in (
            "/pools?x=1",
            "/livez?x",
            "/pools/alpha?verbose=1",
            "/pools/alpha/entries?limit=0",
            "/pools/alpha/entries?limit=1001",
            "/pools/alpha/entries?limit=-1",
            "/pools/alpha/entries?limit=ten",
            "/pools/alpha/entries?limit=1e2",
            "/pools/alpha/entries?limit=",
            "/pools/alpha/entries?limit=99999999999999999999",
            "/pools/alpha/entries?limit=5&limit=6",
            "/pools/alpha/entries?cursor=garbage",
            "/pools/disk/entries?cursor=garbage%00",
            "/pools/alpha/entries?prefix=%ff",
            "/pools/alpha/entry?id=a&id=b",
            "/pools/alpha/entry?id=a&x=b",
            "/pools/alpha/entries/kept?x=y",
        ):
            with self.subTest(target=target):
                answer = self.http.get(target)
                self.assert_status(answer, 400)
                self.assertIn(answer.json()["type"].rsplit(":", 1)[1], ("invalid-query", "invalid-request", "invalid-id"))

    def test_a_query_of_a_thousand_arguments(self):
        """Each would be a record in the library's memory: they are ours to look at, and to refuse."""
        for count in (900, 1100, 3000):
            with self.subTest(count=count):
                self.assert_problem(self.http.get("/pools/alpha/entries/kept?" + "a&" * count), 400, "invalid-query")
        self.assert_status(self.http.get("/pools/alpha/entries/kept"), 200)

    def test_empty_needs_to_be_meant(self):
        for query in ("", "?all", "?all=", "?all=false", "?all=TRUE", "?all=1"):
            with self.subTest(query=query):
                self.assert_status(self.http.delete("/pools/alpha/entries" + query), 400)
        self.assert_problem(self.http.delete("/pools/alpha/entries"), 400, "confirm-empty")

    def test_a_long_target(self):
        for length in (9000, 20000, 70000):
            with self.subTest(length=length):
                with self.daemon.raw() as raw:
                    raw.send_until_refused(request(f"GET /pools/alpha/entries/{'x' * length} HTTP/1.1"))
                    answer = raw.answer()
                    self.assertIn(answer.status if answer else None, (400, 414, 431, None))


# ---- methods --------------------------------------------------------------------------------------------------------
ROUTES = {
    "livez": ("/livez", {"GET"}),
    "pools": ("/pools", {"GET", "POST"}),
    "pool": ("/pools/other", {"GET", "DELETE"}),
    "proxy_to": ("/pools/other/proxy_to", {"GET", "PUT", "DELETE"}),
    "chain": ("/chain", {"GET", "PUT", "POST"}),
    "entries": ("/pools/other/entries", {"GET", "DELETE"}),
    "entry": ("/pools/other/entries/x", {"GET", "HEAD", "PUT", "DELETE"}),
    "entry_by_query": ("/pools/other/entry?id=x", {"GET", "HEAD", "PUT", "DELETE"}),
}


@cases({"method": ROUTES})
class WrongMethods(BadInput):
    def check_method(self, target, allowed):
        for method in ("GET", "PUT", "POST", "DELETE", "PATCH"):
            if method in allowed:
                continue
            with self.subTest(method=method):
                answer = self.http.ask(method, target)
                self.assert_problem(answer, 405, "method-not-allowed")
                said = {word.strip() for word in answer.header("Allow").split(",")}
                self.assertLessEqual(allowed, said)
                self.assertNotIn(method, said)
        for method in ("TRACE", "BREW"):
            with self.subTest(method=method):
                self.assert_status(self.http.ask(method, target), 405, 501)

    def test_method_names_have_a_case(self):
        self.check_raw(request("get /livez HTTP/1.1"), (400, 405, 501), closes=False)


# ---- bodies ---------------------------------------------------------------------------------------------------------
DEEP = b'{"pool": ' + b"[" * 100 + b"]" * 100 + b"}"
BAD_JSON = {
    "nothing": b"",
    "cut": b'{"pool":',
    "no_value": b'{"pool":}',
    "garbage_behind": b'{"pool": null} x',
    "two_documents": b'{"pool": null}{"pool": null}',
    "single_quotes": b"{'pool': null}",
    "trailing_comma": b'{"pool": null,}',
    "nan": b'{"pool": NaN}',
    "bad_utf8": b'{"pool": "\xff\xfe"}',
    "nul_inside": b'{"pool": null}\0',
    "array": b"[]",
    "text": b'"disk"',
    "number": b"7",
    "null": b"null",
    "empty_object": b"{}",
    "unknown_member": b'{"pool": null, "colour": "red"}',
    "misspelt_member": b'{"Pool": null}',
    "member_twice": b'{"pool": null, "pool": "disk"}',
    "number_for_text": b'{"pool": 5}',
    "array_for_text": b'{"pool": ["disk"]}',
    "object_for_text": b'{"pool": {"pool": "disk"}}',
    "flag_for_text": b'{"pool": true}',
    "nul_in_text": b'{"pool": "di\\u0000sk"}',
    "too_deep": DEEP,
}

BAD_POOLS = {
    "no_kind": ({"nickname": "new"}, 400, None),
    "no_nickname": ({"kind": "memory"}, 400, None),
    "unknown_kind": ({"nickname": "new", "kind": "floppy", "config": {}}, 400, "unknown-kind"),
    "kind_is_number": ({"nickname": "new", "kind": 7, "config": {}}, 400, None),
    "unknown_member": ({"nickname": "new", "kind": "memory", "config": {}, "proxy_to": "alpha"}, 400, None),
    "unknown_option": ({"nickname": "new", "kind": "memory", "config": {"colour": "red"}}, 400, "invalid-config"),
    "option_of_another_kind": ({"nickname": "new", "kind": "memory", "config": {"bucket": "b"}}, 400, "invalid-config"),
    "text_for_bytes": ({"nickname": "new", "kind": "memory", "config": {"max_bytes": "many"}}, 400, "invalid-config"),
    "negative_bytes": ({"nickname": "new", "kind": "memory", "config": {"max_bytes": -1}}, 400, "invalid-config"),
    "flag_for_bytes": ({"nickname": "new", "kind": "memory", "config": {"max_bytes": True}}, 400, "invalid-config"),
    "fraction_for_bytes": ({"nickname": "new", "kind": "memory", "config": {"max_bytes": 1.5}}, 400, "invalid-config"),
    "null_option": ({"nickname": "new", "kind": "memory", "config": {"max_bytes": None}}, 400, "invalid-config"),
    "text_for_flag": ({"nickname": "new", "kind": "hdf5", "config": {"read_only": "yes"}}, 400, "invalid-config"),
    "config_is_list": ({"nickname": "new", "kind": "memory", "config": []}, 400, None),
    "s3_without_bucket": ({"nickname": "new", "kind": "s3", "config": {"region": "us-east-1"}}, 400, "invalid-config"),
    "s3_bad_choice": (
        {"nickname": "new", "kind": "s3", "config": {"bucket": "b", "region": "r", "addressing": "sideways"}},
        400,
        "invalid-config",
    ),
    "empty_nickname": ({"nickname": "", "kind": "memory", "config": {}}, 400, "invalid-nickname"),
    "nickname_with_space": ({"nickname": "a b", "kind": "memory", "config": {}}, 400, "invalid-nickname"),
    "nickname_with_slash": ({"nickname": "a/b", "kind": "memory", "config": {}}, 400, "invalid-nickname"),
    "nickname_with_dot_first": ({"nickname": ".a", "kind": "memory", "config": {}}, 400, "invalid-nickname"),
    "nickname_with_newline": ({"nickname": "a\n", "kind": "memory", "config": {}}, 400, "invalid-nickname"),
    "nickname_with_umlaut": ({"nickname": "ä", "kind": "memory", "config": {}}, 400, "invalid-nickname"),
    "nickname_too_long": ({"nickname": "n" * 65, "kind": "memory", "config": {}}, 400, "invalid-nickname"),
    "nickname_taken": ({"nickname": "other", "kind": "memory", "config": {}}, 409, None),
    "nickname_alpha": ({"nickname": "alpha", "kind": "memory", "config": {}}, 409, None),
    "absolute_path": ({"nickname": "new", "kind": "hdf5", "config": {"path": "/tmp/new.h5"}}, 400, "invalid-config"),
    "climbing_path": ({"nickname": "new", "kind": "hdf5", "config": {"path": "../new.h5"}}, 400, "invalid-config"),
    "missing_folder": ({"nickname": "new", "kind": "hdf5", "config": {"path": "no/such/new.h5"}}, None, None),
    "file_in_use": ({"nickname": "new", "kind": "hdf5", "config": {"path": "disk.h5"}}, 409, "file-in-use"),
}

BAD_CHAINS = {
    "one_operator": "alpha <<",
    "operator_first": "<< disk",
    "mixed_operators": "alpha << disk >> other",
    "wrong_operator": "alpha < disk",
    "no_operator": "alpha disk",
    "two_origins": "alpha << disk\nalpha << other",
    "bad_nickname": "alpha << di sk",
    "odd_bytes": "alpha << \xff",
    "comma": "alpha << disk, other",
}


@cases(
    {
        "json": {name: (body,) for name, body in BAD_JSON.items()},
        "pool": BAD_POOLS,
        "chain": {name: (text,) for name, text in BAD_CHAINS.items()},
    }
)
class BadBodies(BadInput):
    def check_json(self, body):
        answer = self.http.put("/pools/alpha/proxy_to", body, {"Content-Type": "application/json"})
        self.assert_problem(answer, 400, "invalid-body")

    def check_pool(self, value, status, name):
        answer = self.http.post_json("/pools", value)
        if status is None:
            self.assertGreaterEqual(answer.status, 400)
        elif name is None:
            self.assert_status(answer, status)
            self.assertEqual(answer.header("Content-Type"), "application/problem+json")
        else:
            self.assert_problem(answer, status, name)
        self.assert_status(self.http.get("/pools/new"), 404)

    def check_chain(self, text):
        for method in ("PUT", "POST"):
            with self.subTest(method=method):
                answer = self.http.ask(method, "/chain", text.encode("latin-1"), {"Content-Type": "text/plain"})
                self.assert_problem(answer, 400, "invalid-chain")

    def test_an_empty_post_to_chain(self):
        for body in (b"", b"\n\n", b"   "):
            with self.subTest(body=body):
                self.assert_status(self.http.post("/chain", body, {"Content-Type": "text/plain"}), 400)

    def test_all_or_nothing(self):
        """One bad line, and no line counts."""
        self.assert_status(self.http.wire("disk << other\nalpha << none"), 404)
        self.assert_status(self.http.wire("disk << other\nother << alpha"), 409)
        self.assertIsNone(self.http.proxy_of("disk"))

    def test_json_needs_its_media_type(self):
        for headers in ({}, {"Content-Type": "text/plain"}, {"Content-Type": "application/jsonx"}, {"Content-Type": "json"}):
            with self.subTest(headers=headers):
                answer = self.http.put("/pools/alpha/proxy_to", b'{"pool": null}', headers)
                self.assert_problem(answer, 415, "unsupported-media-type")
                answer = self.http.post("/pools", b'{"nickname": "new", "kind": "memory", "config": {}}', headers)
                self.assert_problem(answer, 415, "unsupported-media-type")
        self.assert_status(self.http.post("/chain", b"alpha << other", {"Content-Type": "image/png"}), 415)

    def test_json_has_a_limit(self):
        big = b'{"pool": "' + b"x" * (MIB + 1) + b'"}'
        with self.daemon.client() as client:
            answer = client.put("/pools/alpha/proxy_to", big, {"Content-Type": "application/json"})
            self.assert_problem(answer, 413, "too-large")
        with self.daemon.raw() as raw:  # the same without saying so beforehand
            head = request("PUT /pools/alpha/proxy_to HTTP/1.1", "Content-Type: application/json", "Transfer-Encoding: chunked")
            raw.send_until_refused(head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(big), big))
            answer = raw.answer()
            self.assertIn(answer.status if answer else None, (413, None))

    def test_requests_that_take_no_body(self):
        with self.daemon.client() as client:
            self.assert_status(client.ask("GET", "/pools/alpha/entries/kept", b"body"), 400)
        with self.daemon.client() as client:
            self.assert_status(client.ask("DELETE", "/pools/alpha/entries/kept", b"body"), 400)

    def test_literal_oddities_in_bodies_are_fine_in_entries(self):
        """Entry bodies are never parsed: broken JSON under application/json is a fine entry."""
        for body in BAD_JSON.values():
            with self.subTest(body=body[:30]):
                self.assert_status(self.http.put_entry("other", "odd", body, {"Content-Type": "application/json"}), 201, 204)
                self.assertEqual(self.http.read("other", "odd").body, body)
        self.assert_status(self.http.delete("/pools/other/entries/odd"), 204)


# ---- headers --------------------------------------------------------------------------------------------------------
class BadHeaders(BadInput):
    def test_a_wrong_digest(self):
        wrong = hashlib.sha256(b"other").digest()
        coded = "sha-256=:" + base64.b64encode(wrong).decode() + ":"
        for name in ("Repr-Digest", "Content-Digest"):
            for pool in ("alpha", "disk"):
                with self.subTest(name=name, pool=pool):
                    answer = self.http.put_entry(pool, "kept", b"body", {name: coded})
                    self.assert_problem(answer, 400, "digest-mismatch")
                    answer = self.http.put_entry(pool, "new", b"body", {name: coded})
                    self.assert_problem(answer, 400, "digest-mismatch")

    def test_malformed_fields(self):
        target = "/pools/alpha/entries/kept"
        for method, name, value in (
            ("PUT", "Repr-Digest", "sha-256=:not base64:"),
            ("PUT", "Repr-Digest", "sha-256=abc"),
            ("PUT", "Repr-Digest", "what is this?"),
            ("PUT", "Content-Digest", "md5=:abcd:,"),
            ("PUT", "Content-Digest", "SHA-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"),
            ("PUT", "Content-Range", "bytes 0-3/10"),
            ("PUT", "If-Match", "unquoted"),
            ("PUT", "If-None-Match", '"open'),
            ("PUT", "Content-Type", "text/" + "x" * 300),
            ("GET", "If-None-Match", "unquoted"),
        ):
            with self.subTest(method=method, name=name, value=value):
                answer = self.http.ask(method, target, b"body" if method == "PUT" else None, {name: value})
                self.assert_status(answer, 400)


    def test_an_unmet_expectation(self):
        """Told before the body is sent or read; what is understood in any case of its letters is not refused."""
        for value in ("foo", "100-continue, foo", "200-ok"):
            for method in ("GET", "PUT"):
                with self.subTest(method=method, value=value), self.daemon.raw() as raw:
                    fields = [f"Expect: {value}"] + (["Content-Length: 5"] if method == "PUT" else [])
                    raw.send(request(f"{method} /pools/other/entries/new HTTP/1.1", *fields))
                    self.assert_problem(raw.answer(), 417, "expectation-failed")
        self.assert_status(self.http.get("/livez", {"Expect": "100-Continue"}), 200)


# ---- frames ---------------------------------------------------------------------------------------------------------
PUT_LINE = "PUT /pools/other/entries/smuggled HTTP/1.1"
CHUNKED = "Transfer-Encoding: chunked"
REFUSED = (400,)
REFUSED_OR_CUT = (400, None)
FRAMES = {
    "length_twice": (request(PUT_LINE, "Content-Length: 5", "Content-Length: 6", body=b"hello!"), REFUSED),
    "length_twice_the_same": (request(PUT_LINE, "Content-Length: 5", "Content-Length: 5", body=b"hello"), REFUSED),
    "length_list": (request(PUT_LINE, "Content-Length: 5, 5", body=b"hello"), REFUSED),
    "length_space_before_colon": (request(PUT_LINE, "Content-Length : 5", body=b"hello"), REFUSED),
    "length_negative": (request(PUT_LINE, "Content-Length: -5", body=b"hello"), REFUSED),
    "length_plus": (request(PUT_LINE, "Content-Length: +5", body=b"hello"), REFUSED),
    "length_hex": (request(PUT_LINE, "Content-Length: 0x5", body=b"hello"), REFUSED),
    "length_words": (request(PUT_LINE, "Content-Length: five", body=b"hello"), REFUSED),
    "length_with_tail": (request(PUT_LINE, "Content-Length: 5 5", body=b"hello"), REFUSED),
    "length_empty": (request(PUT_LINE, "Content-Length:", body=b"hello"), REFUSED),
    "length_beyond_all": (request(PUT_LINE, "Content-Length: 99999999999999999999", body=b"hello"), (400, 413)),
    "length_and_chunked": (request(PUT_LINE, "Content-Length: 5", CHUNKED, body=b"0\r\n\r\n"), REFUSED),
    "chunked_and_length": (request(PUT_LINE, CHUNKED, "Content-Length: 5", body=b"0\r\n\r\n"), REFUSED),
    "coding_gzip": (request(PUT_LINE, "Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), (400, 501)),
    "coding_unknown": (request(PUT_LINE, "Transfer-Encoding: xchunked", body=b"0\r\n\r\n"), (400, 501)),
    "coding_twice": (request(PUT_LINE, CHUNKED, CHUNKED, body=b"0\r\n\r\n"), (400, 501)),
    "coding_identity": (request(PUT_LINE, "Transfer-Encoding: identity", body=b"hello"), (400, 501)),
    "coding_with_tab": (request(PUT_LINE, "Transfer-Encoding\t: chunked", body=b"0\r\n\r\n"), REFUSED_OR_CUT),
    "chunk_not_hex": (request(PUT_LINE, CHUNKED, body=b"zz\r\nhello\r\n0\r\n\r\n"), REFUSED_OR_CUT),
    "chunk_negative": (request(PUT_LINE, CHUNKED, body=b"-5\r\nhello\r\n0\r\n\r\n"), REFUSED_OR_CUT),
    "chunk_huge": (request(PUT_LINE, CHUNKED, body=b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n"), (400, 413, None)),
    "chunk_too_short": (request(PUT_LINE, CHUNKED, body=b"3\r\nhello\r\n0\r\n\r\n"), REFUSED_OR_CUT),
    "host_missing": (request("GET /livez HTTP/1.1", host=None), REFUSED),
    "host_twice": (request("GET /livez HTTP/1.1", "Host: 127.0.0.1"), REFUSED),
    "host_foreign": (request("GET /pools HTTP/1.1", host="evil.example"), (400, 403, 421)),
    "host_foreign_with_ours_inside": (request("GET /pools HTTP/1.1", host="127.0.0.1.evil.example"), (400, 403, 421)),
    "name_with_space": (request("GET /livez HTTP/1.1", "X Y: z"), REFUSED_OR_CUT),
    "name_empty": (request("GET /livez HTTP/1.1", ": z"), REFUSED_OR_CUT),
    "name_not_a_token": (request("GET /livez HTTP/1.1", "X(Y): z"), REFUSED_OR_CUT),
    "no_colon": (request("GET /livez HTTP/1.1", "nonsense"), REFUSED_OR_CUT),
    "nul_in_target": (request(b"GET /livez\0x HTTP/1.1"), REFUSED_OR_CUT),
    "nul_in_entry_target": (request(b"PUT /pools/other/entries/a\0b HTTP/1.1", "Content-Length: 1", body=b"x"), REFUSED_OR_CUT),
    "nul_in_name": (request("GET /livez HTTP/1.1", b"X\0Y: z"), REFUSED_OR_CUT),
    "nul_in_value": (request("GET /livez HTTP/1.1", b"X-Y: a\0b"), REFUSED_OR_CUT),
    "version_missing": (b"GET /livez\r\n\r\n", REFUSED_OR_CUT),
    "version_unknown": (request("GET /livez HTTP/9.9"), (400, 505, None)),
    "version_nonsense": (request("GET /livez POTATO/1.1"), (400, 505, None)),
    "target_without_slash": (request("GET livez HTTP/1.1"), (400, 404, None), False),
    "space_in_target": (request("GET /pools/alpha/entries/two words HTTP/1.1"), REFUSED_OR_CUT),
    "tls_hello": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) + b"\r\n\r\n", (400, 405, 501, 505, None), False),
    "nothing_but_newlines": (b"\r\n" * 50, (400, None), False),
}


@cases({"raw": FRAMES})
class BadFrames(BadInput):
    def test_a_bad_length_is_answered_once(self):
        """Also when its head came in pieces, while other heads on the same connections' thread are incomplete or fine."""
        head = request(PUT_LINE, "X-First: 1", "Content-Length: 5x", body=b"hello")
        with self.daemon.raw() as bad, self.daemon.raw() as patient, self.daemon.raw() as other:
            patient.send(request(PUT_LINE, "Content-Length: 5")[:-2])
            bad.send(head[:40])
            other.send(request("GET /livez HTTP/1.1"))
            self.assertEqual(other.answer().status, 200)
            bad.send(head[40:])
            answer = bad.answer()
            self.assertEqual(answer.status, 400)
            self.assertFalse(answer.body.startswith(b"HTTP/1."), "a second answer in place of the body")
            self.assertIsNone(bad.answer())
            patient.send(b"\r\nhello")
            self.assertEqual(patient.answer().status, 201)
        self.assert_status(self.http.delete("/pools/other/entries/smuggled"), 204)

    def check_raw(self, data, statuses, closes=True):
        """Requests that never end are ended by the client, so that a test does not wait for the header deadline."""
        with self.daemon.raw() as raw:
            raw.send_until_refused(data)
            if None in statuses:
                raw.finish_sending()
            answer = raw.answer()
            self.assertIn(answer.status if answer else None, statuses, f"{answer}")
            if answer is not None:
                self.assertFalse(answer.body.startswith(b"HTTP/1."), "a second answer in place of the body")
            if answer is None or not closes:
                return
            if None not in statuses:
                raw.send_until_refused(request("GET /livez HTTP/1.1"))
            self.assertIsNone(raw.answer(), "the connection stayed open behind a refused frame")

    def test_http_1_0_needs_no_host(self):
        with self.daemon.raw() as raw:
            raw.send(b"GET /livez HTTP/1.0\r\n\r\n")
            self.assertEqual(raw.answer().status, 200)

    def test_pipelined_requests_are_answered_in_order(self):
        with self.daemon.raw() as raw:
            raw.send(
                request("GET /pools/alpha/entries/kept HTTP/1.1")
                + request("GET /pools/alpha/entries/absent HTTP/1.1")
                + request("GET /pools/disk/entries/kept HTTP/1.1")
            )
            self.assertEqual([raw.answer().status for _ in range(3)], [200, 404, 200])


# ---- uploads that end early -----------------------------------------------------------------------------------------
class AbortedUploads(BadInput):
    """A body that ends before its length leaves no trace: no entry, no change to the old one, no bytes counted."""

    def abort(self, target, head_fields, sent, reset):
        with self.daemon.raw() as raw:
            raw.send(request(f"PUT {target} HTTP/1.1", *head_fields))
            for piece in sent:
                raw.send_until_refused(piece)
            if reset:
                raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                raw.finish_sending()
                answer = raw.answer()
                self.assertIn(answer.status if answer else None, (400, None))

    def test_aborted(self):
        piece = b"x" * 65536
        for pool in ("alpha", "disk"):
            for entry_id in ("kept", "new"):
                target = f"/pools/{pool}/entries/{entry_id}"
                for name, fields, sent in (
                    ("length, nothing", ("Content-Length: 10",), []),
                    ("length, a little", ("Content-Length: 10",), [b"12345"]),
                    ("length, much", (f"Content-Length: {8 * MIB}",), [piece] * 50),
                    ("chunked, nothing", (CHUNKED,), []),
                    ("chunked, in a chunk", (CHUNKED,), [b"10\r\n12345"]),
                    ("chunked, no last chunk", (CHUNKED,), [b"5\r\nhello\r\n"]),
                    ("chunked, much", (CHUNKED,), [b"10000\r\n" + piece + b"\r\n"] * 50),
                ):
                    for reset in (False, True):
                        with self.subTest(pool=pool, id=entry_id, upload=name, reset=reset):
                            self.abort(target, fields, sent, reset)
        # A reset connection is noticed in the daemon's own time; the state is compared at the end of the test.
        until(lambda: self.state() == self.before, "the aborted uploads to leave no trace")

    def test_a_body_longer_than_its_length(self):
        """The entry has the declared bytes; what follows is the next request, and a bad one."""
        with self.daemon.raw() as raw:
            raw.send(request("PUT /pools/other/entries/five HTTP/1.1", "Content-Length: 5", body=b"12345\0\0junk\r\n\r\n"))
            self.assertEqual(raw.answer().status, 201)
            raw.finish_sending()
            answer = raw.answer()
            self.assertIn(answer.status if answer else None, (400, 405, 501, 505, None))
        self.assertEqual(self.http.read("other", "five").body, b"12345")
        self.assert_status(self.http.delete("/pools/other/entries/five"), 204)


# ---- floods and trickles --------------------------------------------------------------------------------------------
class Floods(BadInput):
    def flood(self, pieces):
        """Sends until refused; the answer, if any, says that the header is too large."""
        with self.daemon.raw() as raw:
            sent = 0
            for piece in pieces:
                if not raw.send_until_refused(piece):
                    break
                sent += len(piece)
            answer = raw.answer()
            self.assertIn(answer.status if answer else None, (400, 413, 431, None), f"{answer}")
            self.assertTrue(raw.is_closed())
            return sent

    def test_many_headers(self):
        lines = (f"X-{number}: {number}\r\n".encode() for number in range(200000))
        self.flood(iter([b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n", *lines]))

    def test_one_huge_header(self):
        piece = b"x" * 4096
        sent = self.flood(iter([b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Big: ", *[piece] * 16384]))
        self.assertLess(sent, 64 * MIB, "64 MiB of one header were taken")

    def test_a_header_block_over_the_limit(self):
        """40 KiB, well formed and complete: refused with a status or by the end of the connection."""
        fields = [f"X-{number}: {'v' * 1000}" for number in range(40)]
        with self.daemon.raw() as raw:
            raw.send_until_refused(request("GET /livez HTTP/1.1", *fields))
            answer = raw.answer()
            self.assertIn(answer.status if answer else None, (400, 413, 431, None))

    def test_a_header_block_under_the_limit(self):
        fields = [f"X-{number}: {'v' * 100}" for number in range(100)]
        with self.daemon.raw() as raw:
            raw.send(request("GET /livez HTTP/1.1", *fields))
            self.assertEqual(raw.answer().status, 200)

    def test_a_header_block_of_almost_32_kib(self):
        """What the documented limit allows is taken, and the connection goes on."""
        fields = [f"X-{number}: {'v' * 1000}" for number in range(31)]
        with self.daemon.raw() as raw:
            for _ in range(3):
                raw.send(request("GET /livez HTTP/1.1", *fields))
                self.assertEqual(raw.answer().status, 200)

    def test_a_header_block_that_leaves_no_room_for_the_answer(self):
        """Just below 32 KiB, in so many fields that the library has no memory left: told, not met with silence."""
        fields = [f"X-{number:03}: {'v' * 530}" for number in range(60)]
        with self.daemon.raw() as raw:
            raw.send(request("GET /livez HTTP/1.1", *fields))
            self.assertEqual(raw.answer().status, 431)

    def test_a_write_below_a_large_header_block_is_answered(self):
        """The longest id makes the longest Location: where that does not fit, the answer comes without it."""
        target = "/pools/alpha/entries/" + "%C3%A9" * 500
        for field_bytes in (960, 1000, 1010):
            fields = [f"X-{number:02}: {'v' * (field_bytes - 8)}" for number in range(29)]
            with self.daemon.raw() as raw:
                raw.send(request(f"PUT {target} HTTP/1.1", *fields, "Content-Length: 2", body=b"ok"))
                self.assertIn(raw.answer().status, (201, 204))
        self.assertEqual(self.http.get(target).body, b"ok")
        self.assertEqual(self.http.delete(target).status, 204)

    def test_a_trickling_header_is_cut(self):
        """One byte at a time does not keep a connection for longer than the header phase may last (10 s)."""
        began = time.monotonic()
        with self.daemon.raw() as raw:
            raw.send(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
            while time.monotonic() - began < 30:
                raw.socket.settimeout(0.2)
                try:
                    if not raw.send_until_refused(b"x") or not raw._more() or b" 408 " in raw.kept:
                        break
                except TimeoutError:
                    continue
            else:
                self.fail("the connection was still open after 30 s")
        self.assertLess(time.monotonic() - began, 20)

    def test_silent_connections_do_not_block_others(self):
        """Connections that say nothing, or half of something, leave the daemon responsive."""
        silent = []
        try:
            for number in range(200):
                raw = self.daemon.raw()
                silent.append(raw)
                if number % 2:
                    raw.send(b"PUT /pools/other/entries/slow HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\n\r\n12")
            began = time.monotonic()
            self.assertEqual(self.http.read("alpha", "kept").body, KEPT)
            self.assertEqual(self.http.read("disk", "kept").body, KEPT)
            self.assert_status(self.http.put_entry("other", "quick", b"x"), 201)
            self.assert_status(self.http.delete("/pools/other/entries/quick"), 204)
            self.assertLess(time.monotonic() - began, 5)
        finally:
            for raw in silent:
                raw.close()
