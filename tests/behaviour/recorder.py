"""Writes down what the tests send and what the daemon answers, for tests/openapi/validate.py.

Recording is on when LAILAD_RECORD names a folder: a file per module, a JSON object per line (see exchange()). Nothing
stands between client and daemon, since a proxy would change bytes and dot segments: client.py calls in here with what it
sent and received. Bodies are kept when they are small and of a type that openapi.yaml describes; of every body there is
the length and the sha-256.

Any thread may record. `test` is the name of the running test, set by run.py.
"""

import atexit
import hashlib
import http.client
import json
import os
import pathlib
import threading

KEPT_BYTES = 64 * 1024
KEPT_TYPES = ("application/json", "application/problem+json", "text/plain", "text/html", "application/yaml")

test = None
_lock = threading.Lock()
_file = None


def _is_kept(content_type):
    return (content_type or "").split(";")[0].strip().lower() in KEPT_TYPES


class Body:
    """What is remembered of a body while it passes by."""

    def __init__(self):
        self.bytes = 0
        self.kept = bytearray()
        self.digest = hashlib.sha256()

    def add(self, piece):
        self.bytes += len(piece)
        self.digest.update(piece)
        if self.bytes <= KEPT_BYTES:
            self.kept += piece
        else:
            self.kept.clear()

    def describe(self, content_type, complete=True):
        said = {"bytes": self.bytes, "sha256": self.digest.hexdigest(), "complete": complete}
        if self.bytes <= KEPT_BYTES and _is_kept(content_type):
            said["text"] = self.kept.decode("utf-8", "surrogateescape")
        return said


def _value(headers, name):
    return next((value for key, value in headers if key.lower() == name), None)


def exchange(name, method, target, fields, sent, status, headers, received, complete):
    """One request of the test `name`, and its answer. Method and target are None when the request cannot be told (raw
    bytes); sent is a Body or None, received a Body; complete says whether the whole answer was read."""
    if _file is None:
        return
    line = json.dumps(
        {
            "test": name,
            "method": method,
            "target": target,
            "fields": fields,
            "sent": sent.describe(_value(fields, "content-type")) if sent else None,
            "status": status,
            "headers": headers,
            "received": received.describe(_value(headers, "content-type"), complete),
        }
    )
    with _lock:
        _file.write(line + "\n")


class Response(http.client.HTTPResponse):
    """An answer that remembers what was read of it."""

    record = None

    def read(self, amt=None):
        piece = super().read(amt)
        if self.record:
            self.record.took(piece, self.isclosed())
        return piece


class Record:
    """One exchange of a Connection, from its request line to the moment its answer is done with."""

    def __init__(self, method, target):
        self.test = test
        self.method = method
        self.target = target
        self.fields = []
        self.sent = Body()
        self.status = None
        self.headers = []
        self.received = Body()
        self.complete = False

    def took(self, piece, is_end):
        self.received.add(piece)
        self.complete = self.complete or is_end

    def write(self):
        if self.status is not None:
            exchange(
                self.test,
                self.method,
                self.target,
                self.fields,
                self.sent,
                self.status,
                self.headers,
                self.received,
                self.complete,
            )


class Connection(http.client.HTTPConnection):
    """An HTTPConnection whose traffic is recorded, whoever drives it."""

    response_class = Response

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.record = None
        self.is_head_sent = False

    def _finish(self):
        record, self.record = self.record, None
        if record:
            record.write()

    def putrequest(self, method, url, *args, **kwargs):
        self._finish()
        super().putrequest(method, url, *args, **kwargs)
        self.record = Record(method, url)
        self.is_head_sent = False

    def putheader(self, header, *values):
        super().putheader(header, *values)
        if self.record:
            self.record.fields.append((str(header), ", ".join(str(value) for value in values)))

    def send(self, data):
        # The first piece is the head. Bodies of other types than bytes go uncounted.
        if self.is_head_sent and self.record and isinstance(data, (bytes, bytearray)):
            self.record.sent.add(data)
        self.is_head_sent = True
        super().send(data)

    def getresponse(self):
        record, self.record = self.record, None  # an answer that ends the connection calls close() in here
        answer = super().getresponse()
        if record:
            record.status = answer.status
            record.headers = answer.getheaders()
            record.complete = answer.isclosed()
            answer.record = self.record = record
        return answer

    def close(self):
        self._finish()
        super().close()


class RawRecord:
    """Finds the requests in what a raw socket sent, as far as they are whole: each answer belongs to the next of them."""

    def __init__(self):
        self.sent = bytearray()

    def add(self, data):
        if _file is not None and len(self.sent) < 4 * KEPT_BYTES:
            self.sent += data

    def _next(self):
        """(method, target, fields), or Nones when no request can be made out."""
        end = self.sent.find(b"\r\n\r\n")
        if end < 0:
            self.sent.clear()
            return None, None, []
        head = bytes(self.sent[:end]).decode("latin-1").split("\r\n")
        del self.sent[: end + 4]
        fields = [tuple(part.strip() for part in line.split(":", 1)) for line in head[1:] if ":" in line]
        words = head[0].split(" ")
        length = _value(fields, "content-length")
        chunked = _value(fields, "transfer-encoding") is not None
        if chunked or length is None or not length.isdigit():
            cut = self.sent.find(b"0\r\n\r\n") if chunked else -1
            del self.sent[: cut + 5 if cut >= 0 else len(self.sent) if chunked else 0]
        else:
            del self.sent[: int(length)]
        is_request = len(words) == 3 and words[2].startswith("HTTP/")
        return (words[0], words[1], fields) if is_request else (None, None, fields)

    def answered(self, status, headers, body):
        method, target, fields = self._next()
        received = Body()
        received.add(body)
        length = _value(headers, "content-length")
        complete = length is not None and length.isdigit() and int(length) == len(body)
        exchange(test, method, target, fields, None, status, headers, received, complete)


def begin(module):
    """Opens the module's file, when recording is on."""
    global _file
    folder = os.environ.get("LAILAD_RECORD")
    if folder and _file is None:
        pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
        # Line by line, so that a module that is killed leaves whole lines.
        _file = open(pathlib.Path(folder, module + ".jsonl"), "w", encoding="utf-8", buffering=1)
        atexit.register(_file.close)
