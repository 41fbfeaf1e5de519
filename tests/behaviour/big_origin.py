#!/usr/bin/python3
"""An S3 origin for bodies that no test wants to keep: it makes up what is read and compares what is written, byte by byte.

    big_origin.py        prints its port, serves until its standard input ends

`PUT /bucket/KEY` and multipart uploads must bring Pattern(KEY), whatever the size; GET serves what was written, or Pattern(KEY)
of N bytes for a key `N-anything` that nobody wrote. `GET /report` is a JSON object: sizes of what was stored, and
mistakes found. A process of its own, so that it takes no time from the test's client.
"""

import hashlib
import json
import subprocess
import sys
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BLOCK = 1024 * 1024
PART = 16 * BLOCK  # what the s3 kind cuts uploads of this size into


class Pattern:
    """Endless bytes by name. Every block has its number in front, so that none can stand in for another."""

    def __init__(self, name):
        self.rest = hashlib.shake_128(name.encode()).digest(BLOCK - 16)

    def block(self, number):
        return b"%015d\n" % number + self.rest

    def pieces(self, offset, size):
        """The bytes from offset on, a block or less at a time."""
        while size > 0:
            number, skip = divmod(offset, BLOCK)
            piece = memoryview(self.block(number))[skip : skip + min(size, BLOCK - skip)]
            yield piece
            offset += len(piece)
            size -= len(piece)

    def check(self, read_into, offset, size):
        """Takes size bytes by read_into(view) -> count; what is wrong with them, or None."""
        buffer = bytearray(BLOCK)
        view = memoryview(buffer)
        for expected in self.pieces(offset, size):
            filled = 0
            while filled < len(expected):
                count = read_into(view[filled : len(expected)])
                if not count:
                    return f"the bytes end at {offset + filled}"
                filled += count
            # Whole blocks as they are: comparing views goes byte by byte.
            same = buffer == expected.obj if filled == BLOCK else bytes(view[:filled]) == bytes(expected)
            if not same:
                return f"other bytes between {offset} and {offset + filled}"
            offset += filled
        return None


class Store(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock = threading.Lock()
        self.sizes = {}  # key -> (bytes, metadata fields)
        self.uploads = {}  # id -> {part number: bytes}, and the metadata under 0
        self.mistakes = []

    def mistake(self, text):
        with self.lock:
            self.mistakes.append(text)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    rbufsize = BLOCK

    def log_message(self, *_):
        pass

    def target(self):
        path, _, query = self.path.partition("?")
        key = urllib.parse.unquote(path.split("/", 2)[2]) if path.count("/") > 1 else ""
        return key, urllib.parse.parse_qs(query, keep_blank_values=True)

    def plain(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def metadata(self):
        return [(name, value) for name, value in self.headers.items() if name.lower().startswith(("x-amz-meta-", "content-type"))]

    def take(self, key, offset):
        """Compares the request's body with the pattern from offset on; its size."""
        size = int(self.headers["Content-Length"])
        wrong = Pattern(key).check(self.rfile.readinto, offset, size)
        if wrong:
            self.server.mistake(f"{key}: {wrong}")
            self.close_connection = True
        return size

    def do_PUT(self):
        key, query = self.target()
        tag = [("ETag", f'"{hashlib.md5(self.path.encode()).hexdigest()}"')]
        if "uploadId" in query:
            number = int(query["partNumber"][0])
            size = self.take(key, (number - 1) * PART)
            with self.server.lock:
                self.server.uploads[query["uploadId"][0]][number] = size
        else:
            size = self.take(key, 0)
            with self.server.lock:
                self.server.sizes[key] = (size, self.metadata())
        self.plain(200, b"", tag)

    def do_POST(self):
        key, query = self.target()
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        with self.server.lock:
            if "uploads" in query:
                upload = f"upload{len(self.server.uploads)}"
                self.server.uploads[upload] = {0: self.metadata()}
                text = f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>"
            else:
                parts = self.server.uploads.pop(query["uploadId"][0])
                metadata = parts.pop(0)
                if sorted(parts) != list(range(1, len(parts) + 1)) or any(parts[n] != PART for n in list(parts)[:-1]):
                    self.server.mistakes.append(f"{key}: odd parts {parts}")
                self.server.sizes[key] = (sum(parts.values()), metadata)
                text = '<CompleteMultipartUploadResult><ETag>"whole"</ETag></CompleteMultipartUploadResult>'
        self.plain(200, f'<?xml version="1.0"?>{text}'.encode(), [("Content-Type", "application/xml")])

    def do_GET(self):
        key, _ = self.target()
        if self.path == "/report":
            with self.server.lock:
                report = {
                    "sizes": {key: size for key, (size, _) in self.server.sizes.items()},
                    "mistakes": self.server.mistakes,
                    "uploads": len(self.server.uploads),
                }
            self.plain(200, json.dumps(report).encode())
            return
        with self.server.lock:
            known = self.server.sizes.get(key)
        if known is None and not key.partition("-")[0].isdigit():
            text = b'<?xml version="1.0"?><Error><Code>NoSuchKey</Code></Error>'
            self.plain(404, text, [("Content-Type", "application/xml")])
            return
        size, metadata = known or (int(key.partition("-")[0]), [])
        self.send_response(200)
        for name, value in metadata:
            self.send_header(name, value)
        self.send_header("Content-Length", str(size))
        self.send_header("ETag", f'"{hashlib.md5(key.encode()).hexdigest()}"')
        self.end_headers()
        if self.command == "HEAD":
            return
        for piece in Pattern(key).pieces(0, size):
            self.wfile.write(piece)

    do_HEAD = do_GET

    def do_DELETE(self):
        key, query = self.target()
        with self.server.lock:
            if "uploadId" in query:
                self.server.uploads.pop(query["uploadId"][0], None)
            else:
                self.server.sizes.pop(key, None)
        self.plain(204)


class BigOrigin:
    """The process, seen from a test."""

    def __init__(self):
        self.process = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.port = int(self.process.stdout.readline())

    def stop(self):
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()

    def pool(self, nickname):
        return (
            f'[pools.{nickname}]\nkind = "s3"\nbucket = "bucket"\nendpoint = "http://127.0.0.1:{self.port}"\n'
            'region = "us-east-1"\naddressing = "path"\naccess_key_id = "key"\nsecret_access_key = "secret"\n'
        )


def main():
    server = Store()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()
    server.shutdown()


if __name__ == "__main__":
    main()
