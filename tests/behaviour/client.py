"""How the tests speak HTTP: one client that sends request targets as they are, and one that sends raw bytes.

Client never normalises a path, never follows a redirect and never retries: what a test writes is what the daemon
gets. Answer keeps headers in order, so that a test can assert that a header is there once.
"""

import json
import re
import socket
import urllib.parse

import recorder

TIMEOUT_SECONDS = 60


def escape(text):
    """An id as one path segment: everything but RFC 3986 unreserved characters as %XX."""
    return urllib.parse.quote(text, safe="", encoding="utf-8")


def entry_target(pool, entry_id):
    return f"/pools/{pool}/entries/{escape(entry_id)}"


def query_target(pool, entry_id):
    return f"/pools/{pool}/entry?id={escape(entry_id)}"


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers  # (name, value) pairs in the order they came
        self.body = body

    def header(self, name):
        """The field's value, or None. A field that came twice is a test failure of its own."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        if len(values) > 1:
            raise AssertionError(f"{name} was sent {len(values)} times: {values}")
        return values[0] if values else None

    def tiers(self):
        """Cache-Status (RFC 9211) as [(nickname, {parameter: value or True})], origin first, the asked pool last."""
        members = []
        for member in re.findall(r'"(?:[^"\\]|\\.)*"(?:[^,"]|"[^"]*")*', self.header("Cache-Status") or ""):
            name, *parameters = [part.strip() for part in member.split(";")]
            pairs = [parameter.partition("=") for parameter in parameters]
            members.append((name.strip('"'), {key: value.strip('"') if sign else True for key, sign, value in pairs}))
        return members

    def json(self):
        return json.loads(self.body.decode("utf-8"))

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:400]!r}>"


class Client:
    """One keep-alive connection, opened at first use; close() or leave the with block."""

    def __init__(self, host, port, headers=None, timeout=TIMEOUT_SECONDS):
        self.host = host
        self.port = port
        self.always = dict(headers or {})
        self.connection = recorder.Connection(host, port, timeout=timeout)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.connection.close()

    def send(self, method, target, body=None, headers=None):
        """Sends the request; the answer is fetched by receive()."""
        self.connection.putrequest(method, target, skip_accept_encoding=True)
        fields = {**self.always, **(headers or {})}
        names = {name.lower() for name in fields}
        if body is not None and "content-length" not in names and "transfer-encoding" not in names:
            fields["Content-Length"] = str(len(body))
        for name, value in fields.items():
            self.connection.putheader(name, value)
        self.connection.endheaders(body if body else None)

    def receive(self):
        answer = self.connection.getresponse()
        body = answer.read()
        return Answer(answer.status, answer.getheaders(), body)

    def ask(self, method, target, body=None, headers=None):
        if isinstance(body, str):
            body = body.encode("utf-8")
        self.send(method, target, body, headers)
        return self.receive()

    # The words of the service, so that tests read like the tutorial.
    def get(self, target, headers=None):
        return self.ask("GET", target, headers=headers)

    def put(self, target, body, headers=None):
        return self.ask("PUT", target, body, headers)

    def post(self, target, body, headers=None):
        return self.ask("POST", target, body, headers)

    def delete(self, target, headers=None):
        return self.ask("DELETE", target, headers=headers)

    def head(self, target, headers=None):
        return self.ask("HEAD", target, headers=headers)

    def put_json(self, target, value, headers=None):
        return self.put(target, json.dumps(value), {"Content-Type": "application/json", **(headers or {})})

    def post_json(self, target, value, headers=None):
        return self.post(target, json.dumps(value), {"Content-Type": "application/json", **(headers or {})})

    def put_entry(self, pool, entry_id, body, headers=None):
        return self.put(entry_target(pool, entry_id), body, headers)

    def read(self, pool, entry_id, headers=None):
        return self.get(entry_target(pool, entry_id), headers)

    def exists(self, pool, entry_id):
        """True or False as the tutorial's exists(); any other answer is a failure."""
        answer = self.head(entry_target(pool, entry_id))
        if answer.status not in (200, 404):
            raise AssertionError(f"HEAD {pool} {entry_id!r}: {answer}")
        return answer.status == 200

    def wire(self, text):
        """POST /chain: applies chain expressions."""
        return self.post("/chain", text, {"Content-Type": "text/plain"})

    def proxy_of(self, pool):
        answer = self.get(f"/pools/{pool}/proxy_to")
        if answer.status != 200:
            raise AssertionError(f"GET proxy_to of {pool}: {answer}")
        return answer.json()["pool"]

    def ids(self, pool, prefix=None, limit=None):
        """Every local id, following the pages; an id that comes twice is a failure."""
        found = []
        cursor = None
        while True:
            query = []
            if prefix is not None:
                query.append("prefix=" + escape(prefix))
            if limit is not None:
                query.append(f"limit={limit}")
            if cursor is not None:
                query.append("cursor=" + escape(cursor))
            answer = self.get(f"/pools/{pool}/entries" + ("?" + "&".join(query) if query else ""))
            if answer.status != 200:
                raise AssertionError(f"listing {pool}: {answer}")
            page = answer.json()
            found += page["ids"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        if len(found) != len(set(found)):
            raise AssertionError(f"an id was listed twice: {sorted(found)}")
        return set(found)


class RawClient:
    """A socket for requests that no HTTP library would send."""

    def __init__(self, host, port, timeout=TIMEOUT_SECONDS):
        self.socket = socket.create_connection((host, port), timeout=timeout)
        self.kept = bytearray()
        self.record = recorder.RawRecord()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.record.add(data)
        self.socket.sendall(data)

    def send_until_refused(self, data):
        """Sends what it can; False when the daemon closed or reset the connection meanwhile."""
        self.record.add(data)
        try:
            self.socket.sendall(data)
            return True
        except (BrokenPipeError, ConnectionResetError):
            return False

    def finish_sending(self):
        self.socket.shutdown(socket.SHUT_WR)

    def _more(self):
        """Receives once; False at the end of the connection, however it ended."""
        try:
            piece = self.socket.recv(65536)
        except ConnectionResetError:
            return False
        self.kept += piece
        return bool(piece)

    def _take(self, count):
        taken = bytes(self.kept[:count])
        del self.kept[:count]
        return taken

    def answer(self, method="GET"):
        """The next answer, or None when the connection ended without one."""
        while b"\r\n\r\n" not in self.kept:
            if not self._more():
                return None
        end = self.kept.index(b"\r\n\r\n")
        lines = self._take(end + 4)[:-4].decode("latin-1").split("\r\n")
        status = int(lines[0].split(" ")[1])
        headers = [tuple(part.strip() for part in line.split(":", 1)) for line in lines[1:]]
        answer = Answer(status, headers, b"")
        if status == 100:
            return self.answer(method)
        length = answer.header("Content-Length")
        if method == "HEAD" or status in (204, 304):
            pass
        elif length is not None:
            while len(self.kept) < int(length) and self._more():
                pass
            answer.body = self._take(int(length))
        else:
            while self._more():
                pass
            answer.body = self._take(len(self.kept))
        self.record.answered(status, headers, answer.body)
        return answer

    def is_closed(self):
        """Waits for the daemon's end of the connection (or the timeout, which raises)."""
        while self._more():
            pass
        return True
