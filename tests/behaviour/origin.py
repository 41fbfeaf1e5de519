"""A scripted S3 origin: counts what it is asked and misbehaves on request.

It speaks what the s3 kind needs (objects, HEAD of the bucket, one page of ListObjectsV2) and checks no signature: for
authentication the suites use a real server. A Script bends the answers to one key:

    origin.put("key", b"body")
    gate = origin.hold("key")          GETs of the key wait until gate.open()
    origin.fail("key", 503, "SlowDown", times=2)   with None for the key: listings
    origin.cut("key", 100)             the body ends after 100 bytes, the connection with it
    gate = origin.pause("key", 100)    the body stops after 100 bytes until gate.open()
    origin.drip("key", 1000)           about so many bytes a second
    origin.count("GET", "key")         how often it was asked

Threads: one per connection; everything shared is behind one lock. Keys are object names: `object_name(id)`.
"""

import hashlib
import socketserver
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler
from xml.sax.saxutils import escape as xml

from client import escape

BUCKET = "bucket"
GATE_SECONDS = 60


def object_name(entry_id):
    """The object that holds an entry: its id, percent-encoded (once more on the wire)."""
    return escape(entry_id)


class Gate:
    def __init__(self):
        self.event = threading.Event()
        self.waiting = threading.Semaphore(0)
        self.answered = threading.Event()  # a held PUT has been carried out, or refused

    def open(self):
        self.event.set()

    def wait(self):
        self.waiting.release()
        self.event.wait(GATE_SECONDS)

    def reached(self, seconds=30):
        """Waits until a request stands at the gate."""
        if not self.waiting.acquire(timeout=seconds):
            raise AssertionError("no request reached the gate")


class Script:
    """What happens to the next GETs of one key."""

    def __init__(self):
        self.gate = None
        self.put_gate = None
        self.put_failures = []  # (status, code), one per answer to a PUT
        self.delete_failures = []  # (status, code), one per answer to a DELETE
        self.failures = []  # (status, code), one per answer
        self.cuts = []  # bytes, one per answer
        self.pause = None  # (bytes, gate)
        self.bytes_per_second = None
        self.length = ""  # Content-Length as it is sent; None = none, the body ends with the connection; "" = the true one
        self.failed = threading.Semaphore(0)  # released by every put failure


class Origin:
    def __init__(self, conditional=True):
        self.conditional = conditional  # whether it knows If-None-Match on PUT
        self.lock = threading.Lock()
        self.objects = {}  # key -> (body, content type)
        self.fields = {}  # key -> the other header fields that a PUT left with it
        self.log = []  # (method, key)
        self.ranges = []  # (key, what Range asked for) of every GET that had one
        self.scripts = {}
        self.open_sockets = set()
        self.server = None
        self.start(0)

    # ---- life ----
    def start(self, port):
        origin = self

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            request_queue_size = 512
            block_on_close = False

            def handle_error(self, request, client_address):
                pass  # clients that leave are part of the tests

        class Bound(Handler):
            pass

        Bound.origin = origin
        self.server = Server(("127.0.0.1", port), Bound)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self):
        """The endpoint is down: no listener, every connection gone."""
        if self.server is None:
            return
        self.server.shutdown()
        self.server.server_close()
        self.server = None
        with self.lock:
            sockets = list(self.open_sockets)
        for connection in sockets:
            try:
                connection.shutdown(2)
            except OSError:
                pass

    def resume(self):
        self.start(self.port)

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    def pool(self, nickname, more=""):
        """A [pools.X] table of the daemon's configuration that points here."""
        return (
            f'[pools.{nickname}]\nkind = "s3"\nbucket = "{BUCKET}"\nendpoint = "{self.endpoint}"\nregion = "us-east-1"\n'
            f'addressing = "path"\naccess_key_id = "key"\nsecret_access_key = "secret"\n{more}\n'
        )

    # ---- content ----
    def put(self, key, body, content_type="application/json"):
        with self.lock:
            self.objects[key] = (body, content_type)
            self.fields.pop(key, None)

    def get(self, key):
        with self.lock:
            return self.objects.get(key, (None, None))[0]

    # ---- scripts ----
    def script(self, key):
        return self.scripts.setdefault(key, Script())

    def hold(self, key):
        gate = Gate()
        with self.lock:
            self.script(key).gate = gate
        return gate

    def hold_put(self, key):
        """PUTs of the key wait, with their body taken and nothing stored, until gate.open()."""
        gate = Gate()
        with self.lock:
            self.script(key).put_gate = gate
        return gate

    def fail_puts(self, key, status, code, times=1):
        with self.lock:
            self.script(key).put_failures += [(status, code)] * times

    def fail_deletes(self, key, status, code, times=1):
        with self.lock:
            self.script(key).delete_failures += [(status, code)] * times

    def fail(self, key, status, code, times=1):
        with self.lock:
            self.script(key).failures += [(status, code)] * times

    def cut(self, key, after_bytes, times=1):
        with self.lock:
            self.script(key).cuts += [after_bytes] * times

    def pause(self, key, after_bytes):
        """Bodies of the key stop after so many bytes until gate.open(); what was there when the GET came is what is sent."""
        gate = Gate()
        with self.lock:
            self.script(key).pause = (after_bytes, gate)
        return gate

    def drip(self, key, bytes_per_second):
        with self.lock:
            self.script(key).bytes_per_second = bytes_per_second

    def behave(self, key):
        with self.lock:
            self.scripts.pop(key, None)

    # ---- counts ----
    def count(self, method, key):
        with self.lock:
            return sum(1 for entry in self.log if entry == (method, key))

    def asked_ranges(self, key):
        with self.lock:
            return [asked for name, asked in self.ranges if name == key]

    def total(self, *methods):
        with self.lock:
            return sum(1 for method, _ in self.log if method in methods)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes: they would wait for each other's acknowledgement
    origin = None

    def setup(self):
        super().setup()
        with self.origin.lock:
            self.origin.open_sockets.add(self.connection)

    def finish(self):
        with self.origin.lock:
            self.origin.open_sockets.discard(self.connection)
        super().finish()

    def log_message(self, *_):
        pass

    def key(self):
        """(object key or None for the bucket itself, query)."""
        path, _, query = self.path.partition("?")
        _, bucket, *rest = path.split("/", 2)
        if bucket != BUCKET:
            self.fail(404, "NoSuchBucket")
            return None, None, False
        return urllib.parse.unquote(rest[0]) if rest and rest[0] else None, urllib.parse.parse_qs(query), True

    def plain(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def fail(self, status, code):
        text = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>scripted</Message></Error>'
        self.plain(status, text.encode(), [("Content-Type", "application/xml")])

    def note(self, key):
        with self.origin.lock:
            self.origin.log.append((self.command, key))
            script = self.origin.scripts.get(key)
            gate = script.gate if script else None
        if gate is not None and self.command == "GET":
            gate.wait()
        with self.origin.lock:
            script = self.origin.scripts.get(key)
            if script is None:
                return None, None, None, None
            failure = script.failures.pop(0) if script.failures else None
            cut = script.cuts.pop(0) if script.cuts and self.command == "GET" and failure is None else None
            return failure, cut, script.pause, script.bytes_per_second

    def send_length(self, key, true_length):
        script = self.origin.scripts.get(key)
        length = script.length if script and self.command == "GET" else ""
        if length is not None:
            self.send_header("Content-Length", length or str(true_length))
        self.close_connection = self.close_connection or length != ""

    def is_current(self, key):
        """Whether If-Match names what is there; under the lock."""
        asked = self.headers.get("If-Match")
        body = self.origin.objects.get(key, (None, None))[0]
        return asked is None or (body is not None and asked.strip('"') == hashlib.md5(body).hexdigest())

    def listing(self, query):
        prefix = query.get("prefix", [""])[0]
        after = query.get("start-after", query.get("continuation-token", [""]))[0]
        most = int(query.get("max-keys", ["1000"])[0])
        with self.origin.lock:
            keys = sorted(key for key in self.origin.objects if key.startswith(prefix) and key > after)
            sizes = {key: self.origin.objects[key][0] for key in keys}
        page, more = keys[:most], len(keys) > most
        url = query.get("encoding-type", [""])[0] == "url"
        items = "".join(
            f"<Contents><Key>{xml(escape(key) if url else key)}</Key><Size>{len(sizes[key])}</Size>"
            f"<ETag>&quot;{hashlib.md5(sizes[key]).hexdigest()}&quot;</ETag></Contents>"
            for key in page
        )
        token = f"<NextContinuationToken>{xml(page[-1])}</NextContinuationToken>" if more else ""
        text = (
            f'<?xml version="1.0"?><ListBucketResult><Name>{BUCKET}</Name><KeyCount>{len(page)}</KeyCount>'
            f"{'<EncodingType>url</EncodingType>' if url else ''}"
            f"<IsTruncated>{'true' if more else 'false'}</IsTruncated>{token}{items}</ListBucketResult>"
        )
        self.plain(200, text.encode(), [("Content-Type", "application/xml")])

    def do_GET(self):
        key, query, ours = self.key()
        if not ours:
            return
        failure, cut, pause, rate = self.note(key)
        if failure:
            self.fail(*failure)
            return
        if key is None:
            self.listing(query)
            return
        with self.origin.lock:
            body, content_type = self.origin.objects.get(key, (None, None))
            kept = self.origin.fields.get(key, [])
        if body is None:
            self.fail(404, "NoSuchKey")
            return
        status, headers = 200, []
        asked = self.headers.get("Range")
        if asked and asked.startswith("bytes=") and "," not in asked:
            with self.origin.lock:
                self.origin.ranges.append((key, asked))
            first, _, last = asked[6:].partition("-")
            start = int(first) if first else max(0, len(body) - int(last))
            end = min(int(last), len(body) - 1) if first and last else len(body) - 1
            if start >= len(body):
                self.fail(416, "InvalidRange")
                return
            headers.append(("Content-Range", f"bytes {start}-{end}/{len(body)}"))
            status, whole, body = 206, body, body[start : end + 1]
        else:
            whole = body
        self.send_response(status)
        for name, value in headers + kept:
            self.send_header(name, value)
        self.send_header("Content-Type", content_type)
        self.send_length(key, len(body))
        self.send_header("ETag", f'"{hashlib.md5(whole).hexdigest()}"')
        self.send_header("Last-Modified", "Sun, 22 Nov 2026 10:00:00 GMT")
        self.end_headers()
        if self.command == "HEAD":
            return
        if cut is not None:
            body = body[:cut]
            self.close_connection = True
        if pause is not None:
            after_bytes, gate = pause
            self.wfile.write(body[:after_bytes])
            self.wfile.flush()
            gate.wait()
            body = body[after_bytes:]
        if rate is None:
            self.wfile.write(body)
            return
        step = max(1, rate // 50)
        for at in range(0, len(body), step):
            self.wfile.write(body[at : at + step])
            self.wfile.flush()
            time.sleep(step / rate)

    do_HEAD = do_GET

    def do_PUT(self):
        key, _, ours = self.key()
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if not ours:
            return
        failure, _, _, _ = self.note(key)
        if not self.origin.conditional and self.headers.get("If-None-Match"):
            self.fail(501, "NotImplemented")
            return
        with self.origin.lock:
            script = self.origin.scripts.get(key)
            gate = script.put_gate if script else None
            if script and script.put_failures:
                failure = script.put_failures.pop(0)
                script.failed.release()
            elif gate:
                script.put_gate = None  # one PUT only: what comes later passes
        if failure:
            self.fail(*failure)
            return
        if gate:
            gate.wait()
        with self.origin.lock:
            exists = key in self.origin.objects
            refused = (exists and self.headers.get("If-None-Match") == "*") or not self.is_current(key)
            if key is not None and not refused:  # judged and written in one step
                self.origin.objects[key] = (body, self.headers.get("Content-Type", "binary/octet-stream"))
                self.origin.fields[key] = [
                    (name, value)
                    for name, value in self.headers.items()
                    if name.lower().startswith("x-amz-meta-") or name.lower() == "content-encoding"
                ]
        if gate:
            gate.answered.set()
        if refused:
            self.fail(412, "PreconditionFailed")
        else:
            self.plain(200, b"", [("ETag", f'"{hashlib.md5(body).hexdigest()}"')])

    def do_DELETE(self):
        key, _, ours = self.key()
        if not ours:
            return
        failure, _, _, _ = self.note(key)
        with self.origin.lock:
            script = self.origin.scripts.get(key)
            if script and script.delete_failures:
                failure = script.delete_failures.pop(0)
        if failure:
            self.fail(*failure)
            return
        with self.origin.lock:
            refused = not self.is_current(key)
            if not refused:
                self.origin.objects.pop(key, None)
        if refused:
            self.fail(412, "PreconditionFailed")
        else:
            self.plain(204)
