"""Damaged requests against the running daemon: real ones of every route, mutated by a seeded generator, over raw sockets.

After each: what came back is well-formed HTTP with statuses that openapi.yaml lists, none of them a failure of ours, or the connection
ended. At the end the pools that no request named hold what they held, the daemon runs, no sanitizer spoke, no descriptor leaked.

A case is a function of its number and the seed alone; a failure prints both. By hand:
  LAILAD_MANGLER_SECONDS=600   how long (10)
  LAILAD_MANGLER_SEED=7        another sequence (1)
  LAILAD_MANGLER_CASE=123      this case only
"""

import os
import pathlib
import random
import re
import select
import socket
import threading
import time

from contract import Contract
from harness import ROOT, Case, until

SECONDS = float(os.environ.get("LAILAD_MANGLER_SECONDS", "10"))
SEED = os.environ.get("LAILAD_MANGLER_SEED", "1")
ONLY = os.environ.get("LAILAD_MANGLER_CASE")
LANES = 12  # most wait: for the daemon to lose its patience with half a request
PATIENCE_SECONDS = 15  # more than any timeout of the daemon under test
LOOK_EVERY = 200  # cases between two looks at what was stored

CONFIG = """
header_timeout_s = 1
idle_timeout_s = 1
json_max_bytes = 65536
[pools.disk]
kind = "hdf5"
[pools.sanctuary]
kind = "memory"
[pools.archive]
kind = "hdf5"
"""
KEPT = {f"kept {number} \u00e9/%": bytes([number]) * (number * 977 + 1) for number in range(8)}
# What no damaged request may lead to. 501: an unknown method or coding; 504: only-if-cached; 505: another HTTP. There is no tier that fails.
OWN_FAILURES = set(range(500, 600)) - {501, 504, 505}


def request(line, *fields, body=b"", host=b"127.0.0.1"):
    return b"\r\n".join([line + b" HTTP/1.1", b"Host: " + host, *fields]) + b"\r\n\r\n" + body


def with_length(line, body, *fields):
    return request(line, *fields, b"Content-Length: %d" % len(body), body=body)


def chunked(line, pieces, *fields, trailer=b""):
    body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n" + trailer + b"\r\n"
    return request(line, b"Transfer-Encoding: chunked", *fields, body=body)


JSON = b"Content-Type: application/json"
TEXT = b"Content-Type: text/plain"
DIGEST = b"sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:"  # of "hello"
SEEDS = [
    request(b"GET /"),
    request(b"GET /livez"),
    request(b"GET /readyz"),
    request(b"GET /openapi.yaml", b"Range: bytes=0-99"),
    request(b"GET /pools"),
    request(b"GET /pools/alpha"),
    request(b"GET /chain", b"Accept: application/json;q=0.5, text/plain"),
    request(b"GET /pools/alpha/proxy_to", b'If-None-Match: "1"'),
    request(b"GET /pools/disk/entries?limit=2&prefix=x", b"Accept-Encoding: gzip"),
    request(b"GET /pools/alpha/entries?cursor=0123456789abcdef-0123456789abcdef"),
    request(b"GET /pools/alpha/entries/x", b'If-None-Match: "a", W/"b"', b"Cache-Control: no-store"),
    request(b"GET /pools/alpha/entries/x", b"Range: bytes=1-3", b'If-Range: "a"'),
    request(b"GET /pools/alpha/entries/x", b"Cache-Control: only-if-cached"),
    request(b"GET /pools/alpha/entry?id=%2E%2E"),
    request(b"HEAD /pools/disk/entries/x"),
    request(b"HEAD /pools/alpha/entries/x?scope=chain"),
    request(b"OPTIONS /pools/alpha/entries/x", b"Origin: http://127.0.0.1", b"Access-Control-Request-Method: PUT"),
    request(b"DELETE /pools/alpha/entries/x"),
    request(b"DELETE /pools/disk/entries/x", b"If-Match: *"),
    request(b"DELETE /pools/alpha/entries?all=true"),
    request(b"DELETE /pools/alpha/proxy_to"),
    request(b"DELETE /pools/new"),
    with_length(b"PUT /pools/alpha/entries/x", b"hello", TEXT, b"Content-Digest: " + DIGEST),
    with_length(b"PUT /pools/disk/entries/x", b"hello" * 400, b"If-None-Match: *", b"Expect: 100-continue"),
    with_length(b"PUT /pools/alpha/entry?id=a%2Fb", b"", b"Content-Encoding: gzip"),
    chunked(b"PUT /pools/alpha/entries/x", [b"hel", b"lo"], b"Trailer: Repr-Digest", trailer=b"Repr-Digest: " + DIGEST + b"\r\n"),
    chunked(b"PUT /pools/disk/entries/y", [b"a" * 300, b"\x00\xff" * 60]),
    with_length(b"POST /pools", b'{"nickname": "new", "kind": "memory", "config": {"max_bytes": "1MiB"}}', JSON),
    with_length(b"POST /pools", b'{"nickname": "file", "kind": "hdf5", "config": {"path": "new.h5"}}', JSON),
    chunked(b"POST /pools", [b'{"nickname": "far", ', b'"kind": "nothing"}'], JSON),
    with_length(b"PUT /pools/alpha/proxy_to", b'{"pool": "disk", "on_tier_error": "skip"}', JSON),
    with_length(b"POST /chain", b"alpha << disk", TEXT),
    with_length(b"PUT /chain", b"disk >> alpha\n", TEXT, b'If-Match: "1"'),
]
NUMBERS = [b"0", b"-1", b"1", b"18446744073709551615", b"18446744073709551616", b"9223372036854775807", b"0x10", b"1e9", b"%s" % (b"9" * 400)]
ENDS = [b"\r", b"\n", b"\r\r\n", b"\n\r", b"\r\n ", b"\r\n\t", b"\x00", b"\x0b", b"\r\n\r\n"]
PIECES = [
    b"Content-Length: 5\r\n", b"Content-Length: 5, 6\r\n", b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip, chunked\r\n", b"Host: other\r\n",
    b"Host:\r\n", b"Expect: 100-continue\r\n", b"Connection: close\r\n", b"Connection: upgrade\r\nUpgrade: h2c\r\n", b"Range: bytes=5-,1-2\r\n",
    b"If-Match: *, \"a\"\r\n", b"X: " + b"y" * 9000 + b"\r\n", b": \r\n", b"A\r\n", b" folded\r\n", b"%00", b"%2", b"%zz", b"../", b"//", b"%2F", b"%2F%7Bnick%7D", b"{id}", b"?", b"&limit=1", b"#",
    b"\xff\xfe", b"{", b"[" * 80, b"\"", b"1a;name=value\r\n", b"ffffffffffffffff\r\n", b"-1\r\n", b"0\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET http://other/pools HTTP/1.1\r\n", b"CONNECT other:443 HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
]


# ---- making a case ----
def flip(rng, data):
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]


def replace_byte(rng, data):
    at = rng.randrange(len(data))
    return data[:at] + bytes([rng.choice([0, 9, 10, 13, 32, 34, 37, 44, 47, 58, 127, 255, rng.randrange(256)])]) + data[at + 1 :]


def cut(rng, data):
    return data[: rng.randrange(1, len(data) + 1)]


def cut_out(rng, data):
    at, end = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    return data[:at] + data[end:] or data


def splice(rng, data):
    other = rng.choice(SEEDS)
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other)) :]


def insert(rng, data):
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(PIECES) + data[at:]


def break_line(rng, data):
    ends = [found.start() for found in re.finditer(b"\r\n", data)]
    if not ends:
        return data + b"\r\n"
    at = rng.choice(ends)
    return data[:at] + rng.choice(ENDS) + data[at + 2 :]


def shuffle_lines(rng, data):
    head, mark, body = data.partition(b"\r\n\r\n")
    line, *fields = head.split(b"\r\n")
    fields += [rng.choice(fields)] if fields and rng.random() < 0.5 else []
    rng.shuffle(fields)
    return b"\r\n".join([line, *fields]) + mark + body


def change_number(rng, data):
    numbers = list(re.finditer(rb"\d+", data))
    if not numbers:
        return data
    found = rng.choice(numbers)
    return data[: found.start()] + rng.choice(NUMBERS) + data[found.end() :]


def insert_field(rng, data):
    at = data.find(b"\r\n")
    return data[: at + 2] + rng.choice(PIECES[:12]) + data[at + 2 :] if at >= 0 else data


def change_case(rng, data):
    at = rng.randrange(len(data))
    return data[:at] + data[at : at + 20].swapcase() + data[at + 20 :]


def pipeline(rng, data):
    return data + rng.choice([rng.choice(SEEDS), rng.randbytes(rng.randrange(1, 60)), rng.choice(PIECES), b"\r\n" * rng.randrange(1, 9)])


MUTATIONS = [
    flip, replace_byte, cut, cut_out, splice, insert, break_line, shuffle_lines, change_number, change_number, insert_field, change_case, pipeline,
]


class Plan:
    """What a case sends and how; nothing but its number and the seed go into it."""

    def __init__(self, number):
        rng = random.Random(f"{SEED}:{number}")
        data = rng.choice(SEEDS)
        for _ in range(rng.choice([0, 1, 1, 1, 2, 2, 3, 5])):
            data = rng.choice(MUTATIONS)(rng, data) or b"\r\n"
        self.number = number
        self.data = data
        self.half_closes = rng.random() < 0.95  # the others are left to the daemon's patience
        way = rng.random()
        if way < 0.6:
            self.cuts = []
        elif way < 0.9 or len(data) > 600:
            self.cuts = sorted({rng.randrange(1, len(data)) for _ in range(rng.randrange(1, 4))}) if len(data) > 1 else []
        else:
            self.cuts = list(range(1, len(data)))

    def pieces(self):
        edges = [0, *self.cuts, len(self.data)]
        return [self.data[start:end] for start, end in zip(edges, edges[1:])]

    def __str__(self):
        return (
            f"LAILAD_MANGLER_SEED={SEED} LAILAD_MANGLER_CASE={self.number}: {len(self.cuts)} cuts, half-closes: {self.half_closes}, "
            f"sent {self.data[:3000]!r}"
        )


# ---- judging what comes back ----
STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3}) [^\r\n]*\r\n")
FIELD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+: ?[^\x00\r\n]*\r\n")


class Malformed(Exception):
    pass


def take_chunks(data, at):
    """The place behind a chunked body, or None when it is cut off."""
    while True:
        found = re.compile(rb"([0-9a-fA-F]+)\r\n").match(data, at)
        if not found:
            if len(data) - at < 20 and re.fullmatch(rb"[0-9a-fA-F]*\r?", data[at:]):
                return None
            raise Malformed(f"no chunk at {at}")
        size = int(found.group(1), 16)
        at = found.end() + size + 2
        if at > len(data):
            return None
        if data[at - 2 : at] != b"\r\n":
            raise Malformed(f"a chunk without its end at {at}")
        if size == 0:
            return at


def statuses(data, may_be_head, was_reset):
    """The statuses of all answers; Malformed when they are none."""
    found = []
    at = 0
    while at < len(data):
        line = STATUS_LINE.match(data, at)
        end = data.find(b"\r\n\r\n", at)
        if end < 0 and was_reset:
            return found
        if not line or end < 0:
            raise Malformed(f"no answer at {at}: {data[at:at + 200]!r}")
        status = int(line.group(1))
        found.append(status)
        fields = {}
        place = line.end()
        while place < end + 2:
            field = FIELD.match(data, place)
            if not field:
                raise Malformed(f"no field at {place}: {data[place:place + 100]!r}")
            name, _, value = field.group().partition(b":")
            if name.lower() in fields and name.lower() in (b"content-length", b"content-type", b"etag", b"date", b"transfer-encoding"):
                raise Malformed(f"{name} twice in an answer")
            fields[name.lower()] = value.strip()
            place = field.end()
        at = end + 4
        if status < 200 or status in (204, 304):
            continue
        length = fields.get(b"content-length")
        if may_be_head and (at == len(data) or STATUS_LINE.match(data, at)):
            continue
        if length is not None:
            at += int(length)
        elif fields.get(b"transfer-encoding", b"").lower() == b"chunked":
            at = take_chunks(data, at) or len(data)
        else:
            at = len(data)
    return found


class Mangler(Case):
    def setUp(self):
        contract = Contract(ROOT / "openapi.yaml")
        self.documented = {100}.union(*(operation.statuses for operation in [contract.outside, *contract.operations()]))
        self.daemon = self.new_daemon(config=CONFIG)
        self.http = self.new_client(self.daemon)
        for pool in ("sanctuary", "archive"):
            for entry_id, body in KEPT.items():
                self.assert_status(self.http.put_entry(pool, entry_id, body), 201)
        self.pools = {pool["nickname"] for pool in self.http.get("/pools").json()["pools"]}
        self.failures = []
        self.next = 0
        self.answered = 0
        self.lock = threading.Lock()

    def descriptors(self):
        return len(list(pathlib.Path(f"/proc/{self.daemon.process.pid}/fd").iterdir()))

    def check_kept(self):
        with self.daemon.client() as client:
            for pool in ("sanctuary", "archive"):
                self.assertEqual(client.ids(pool), set(KEPT), f"the ids of {pool}")
                for entry_id, body in KEPT.items():
                    answer = client.read(pool, entry_id)
                    self.assertEqual((answer.status, answer.body), (200, body), f"{pool} {entry_id}")

    def exchange(self, plan):
        """Everything the daemon sent, and whether it ended with a reset."""
        got = bytearray()
        with socket.create_connection(("127.0.0.1", self.daemon.port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.settimeout(PATIENCE_SECONDS)
            try:
                for piece in plan.pieces():
                    connection.sendall(piece)
                    if plan.cuts and select.select([connection], [], [], 0)[0]:
                        got += connection.recv(65536)
                if plan.half_closes:
                    connection.shutdown(socket.SHUT_WR)
                while True:
                    piece = connection.recv(65536)
                    if not piece:
                        return bytes(got), False
                    got += piece
            except (BrokenPipeError, ConnectionResetError):
                # What the daemon said before it may still be there to read.
                try:
                    while piece := connection.recv(65536):
                        got += piece
                except OSError:
                    pass
                return bytes(got), True
            except OSError as error:
                if isinstance(error, TimeoutError):
                    raise Malformed(f"the connection neither ended nor was answered: {bytes(got)[:500]!r}") from None
                return bytes(got), True

    def judge(self, plan):
        try:
            data, was_reset = self.exchange(plan)
            found = statuses(data, b"HEAD" in plan.data.upper(), was_reset)
            self.answered += len(found)  # near enough without a lock
            for status in found:
                if status not in self.documented:
                    raise Malformed(f"{status} is not in openapi.yaml")
                if status in OWN_FAILURES:
                    raise Malformed(f"{status}, a failure of ours: {data[:1500]!r}")
        except Malformed as error:
            return f"{plan}\n  {error}"
        return None

    def lane(self, deadline):
        try:
            while time.monotonic() < deadline and not self.failures:
                with self.lock:
                    number = self.next
                    self.next += 1
                failure = self.judge(Plan(number))
                if not failure and number % LOOK_EVERY == 0:
                    self.check_kept()
                if failure:
                    self.failures.append(failure)
        except Exception as error:  # pylint: disable=broad-except
            self.failures.append(f"near case {self.next} of seed {SEED}: {error!r}")

    def test_damaged_requests(self):
        if ONLY is not None:
            self.assertIsNone(self.judge(Plan(int(ONLY))))
            self.check_kept()
            return
        before = self.descriptors()
        deadline = time.monotonic() + SECONDS
        lanes = [threading.Thread(target=self.lane, args=(deadline,)) for _ in range(LANES)]
        for lane in lanes:
            lane.start()
        for lane in lanes:
            lane.join()
        print(f"    {self.next} cases of seed {SEED}, {self.answered} answers")
        self.assertEqual(self.failures, [], "\n".join(self.failures))
        self.assertTrue(self.daemon.is_running(), self.daemon.log()[-6000:])
        self.check_kept()
        with self.daemon.client() as client:
            self.assert_status(client.put("/chain", "", {"Content-Type": "text/plain"}), 200)
            for pool in client.get("/pools").json()["pools"]:
                if pool["nickname"] not in self.pools:
                    self.assert_status(client.delete(f"/pools/{pool['nickname']}"), 204)
        until(lambda: self.descriptors() <= before, f"no more than {before} descriptors, now {self.descriptors()}", 10)
        # As good as new: what was stored survives the end as well.
        self.daemon.restart()
        with self.daemon.client() as client:
            for entry_id, body in KEPT.items():
                self.assertEqual(client.read("archive", entry_id).body, body)
