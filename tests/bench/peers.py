"""The servers: one class each, which starts it from its file in peers/, gives it what it is to serve, and checks that it does.

After construction `url` is the target that is measured, and its answer was compared with the body. `parts` are the processes whose
CPU time is the server's. stop() ends them by their ids.
"""

import http.client
import pathlib
import shutil
import subprocess
import sys

import machine

HERE = pathlib.Path(__file__).resolve().parent
FILES = HERE / "peers"
ENTRY = "LAILA:ENTRY:GLOBAL_ID:337c29d3-0d76-5c15-a560-7e5cf329259e"
KIB_BODY = (b'{"kib": "' + b"x" * 1024)[:1022] + b'"}'
LARGE_BYTES = 64 << 20
LIBRARY_HEADERS = {"date", "content-length", "connection"}


def need(program, package):
    if not shutil.which(program) and not pathlib.Path("/usr/sbin", program).exists():
        raise machine.Unavailable(f"{program} is not installed (Debian package {package})")


def fill_in(home, name, **values):
    """A peer's file with its @NAMES@ filled in."""
    text = (FILES / name).read_text(encoding="utf-8")
    for key, value in values.items():
        text = text.replace(f"@{key}@", str(value))
    path = home / name
    path.write_text(text, encoding="utf-8")
    return path


def expect_body(url, body, holds=bytes.__eq__):
    """A 404 measured fast is no figure."""
    got = machine.fetch(url)[1]
    if not holds(got, body):
        raise SystemExit(f"bench: {url} does not answer with the body it should: {got[:200]!r}")


class Server:
    name = ""
    url = ""

    def __init__(self):
        self.parts = []

    def add(self, command, log, **options):
        part = machine.Process(command, log, **options)
        self.parts.append(part)
        return part

    def cpu_seconds(self):
        each = [part.cpu_seconds() for part in self.parts]
        return sum(user for user, _ in each), sum(system for _, system in each)

    def stop(self):
        for part in reversed(self.parts):
            part.stop()


class Lailad(Server):
    """The subject. `entry` and `large` are urls below the pool."""

    name = "lailad"

    def __init__(self, home, binary, config="lailad.toml", cores=machine.SERVER_CORE, environment=None):
        super().__init__()
        home.mkdir()
        command = [binary, "--config", FILES / config, "--listen", "127.0.0.1:0", "--data-dir", home / "data"]
        part = self.add(command, home / "log", cores=cores, env=environment)
        listen = home / "data" / "listen"
        part.await_ready(lambda: listen.exists() and listen.read_text(encoding="ascii").strip())
        self.address = listen.read_text(encoding="ascii").strip()
        self.url = self.entry("alpha")

    def entry(self, pool, entry=ENTRY):
        return f"http://{self.address}/pools/{pool}/entries/{entry}"

    def put(self, pool, body, entry=ENTRY):
        """The url of the entry, checked. Answers the PUT's header fields too."""
        headers = machine.put(self.entry(pool, entry), body)
        expect_body(self.entry(pool, entry), body)
        return headers

    def empty(self, *pools):
        for pool in pools:
            status, _, body = machine.send("DELETE", f"http://{self.address}/pools/{pool}/entries?all=true")
            if status != 204:
                raise SystemExit(f"bench: {pool} could not be emptied: {status} {body!r}")


class Bare(Server):
    """What libmicrohttpd can do: the fields and bytes of lailad's own answers, made beforehand, for the same request: it looks at every byte of
    a target, whatever that says."""

    name = "bare libmicrohttpd"

    def __init__(self, home, binary, lailad):
        super().__init__()
        home.mkdir()
        put_headers = lailad.put("alpha", KIB_BODY)
        put_headers = machine.put(lailad.entry("alpha"), KIB_BODY)  # the second one is what is measured: a replacement
        get_headers = machine.fetch(lailad.entry("alpha"))[0]
        for name, fields in (("get", get_headers), ("put", put_headers)):
            kept = (f"{key}: {value}\n" for key, value in fields if key.lower() not in LIBRARY_HEADERS)
            (home / name).write_text("".join(kept), encoding="latin-1")
        (home / "body").write_bytes(KIB_BODY)
        part = self.add(
            [binary, home / "get", home / "body", home / "put"], home / "log", stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.url = lailad.entry("alpha").replace(lailad.address, f"127.0.0.1:{int(part.process.stdout.readline())}")
        expect_body(self.url, KIB_BODY)
        self.compare_fields(get_headers, machine.fetch(self.url)[0])
        self.compare_fields(put_headers, machine.put(self.url, KIB_BODY))

    @staticmethod
    def compare_fields(theirs, ours):
        first, second = ({k.lower(): v for k, v in fields if k.lower() != "date"} for fields in (theirs, ours))
        if first != second:
            raise SystemExit(f"bench: the bare handler's fields differ from lailad's:\n{first}\n{second}")


class Nginx(Server):
    """nginx with one of the files in peers/; serves the 1 KiB body and, when asked, 64 MiB."""

    def __init__(self, home, name, config, path="/entry.json", cores=machine.SERVER_CORE, large=False):
        super().__init__()
        need("nginx", "nginx-light")
        self.name = name
        self.home = home
        home.mkdir()
        (home / "www").mkdir()
        (home / "www" / "entry.json").write_bytes(KIB_BODY)
        if large:
            (home / "www" / "large").write_bytes(bytes(range(256)) * (LARGE_BYTES // 256))
        port = machine.free_port()
        conf = fill_in(home, config, PORT=port, ORIGIN_PORT=machine.free_port(), ROOT=home)
        self.address = f"127.0.0.1:{port}"
        self.url = f"http://{self.address}{path}"
        part = self.add(["nginx", "-p", home, "-c", conf, "-e", home / "nginx.log"], home / "log", cores=cores)
        part.await_ready(lambda: machine.answers(port))
        expect_body(self.url, KIB_BODY)


class NginxProxyCache(Nginx):
    def __init__(self, home):
        super().__init__(home, "nginx proxy_cache", "nginx-proxy-cache.conf")
        if not any(path.is_file() for path in (home / "cache").rglob("*")):
            raise SystemExit("bench: nginx proxy_cache kept nothing")


class Varnish(Server):
    """Varnish from memory. Its log in shared memory writes nothing but what cannot be masked."""

    name = "Varnish"

    def __init__(self, home, origin):
        super().__init__()
        need("varnishd", "varnish")
        home.mkdir()
        port = machine.free_port()
        vcl = fill_in(home, "varnish.vcl", ORIGIN_PORT=origin.address.rpartition(":")[2])
        tags = ("Begin", "End", "Link", "ReqStart", "ReqMethod", "ReqURL", "ReqProtocol", "ReqHeader", "ReqUnset", "RespProtocol",
                "RespStatus", "RespReason", "RespHeader", "RespUnset", "VCL_call", "VCL_return", "VCL_use", "VCL_Log", "Hit",
                "Timestamp", "ReqAcct", "SessOpen", "SessClose")
        mask = ",".join(f"-{tag}" for tag in tags)
        part = self.add(
            ["varnishd", "-F", "-n", home / "work", "-a", f"127.0.0.1:{port}", "-f", vcl, "-s", "malloc,64m", "-p", f"vsl_mask={mask}"],
            home / "log",
        )
        self.url = f"http://127.0.0.1:{port}/entry.json"
        part.await_ready(lambda: machine.answers(port) and machine.send("GET", self.url)[0] == 200)
        expect_body(self.url, KIB_BODY)
        fields = {key.lower(): value for key, value in machine.fetch(self.url)[0]}
        if len(fields.get("x-varnish", "").split()) != 2:
            raise SystemExit("bench: Varnish's answer is no hit")


class Webdis(Server):
    """webdis with one thread, reading `.raw`, and its Redis on the same core."""

    name = "webdis"

    def __init__(self, home):
        super().__init__()
        need("webdis", "webdis")
        need("redis-server", "redis-server")
        home.mkdir()
        port, redis_port = machine.free_port(), machine.free_port()
        redis = self.add(["redis-server", fill_in(home, "redis.conf", PORT=redis_port, ROOT=home)], home / "redis.log")
        redis.await_ready(lambda: machine.answers(redis_port))
        conf = fill_in(home, "webdis.json", PORT=port, REDIS_PORT=redis_port, ROOT=home)
        webdis = self.add(["webdis", conf], home / "log")
        webdis.await_ready(lambda: machine.answers(port))
        self.put_url = f"http://127.0.0.1:{port}/SET/kib"
        self.url = f"http://127.0.0.1:{port}/GET/kib.raw"
        machine.put(self.put_url, KIB_BODY)
        expect_body(self.url, KIB_BODY, bytes.__contains__)


class Swift:
    """OpenStack Swift with its S3 interface. It starts and ends itself (tests/servers); it is on all cores."""

    name = "Swift"
    bucket = "lailad-test"

    def __init__(self, home):
        need("swift-proxy-server", "swift-proxy, swift-account, swift-container, swift-object, python3-swift")
        self.home = home
        self.scripts = HERE.parent / "servers"
        done = subprocess.run(
            [self.scripts / "start_swift", home], stdout=subprocess.PIPE, text=True, check=False, stdin=subprocess.DEVNULL
        )
        if done.returncode != 0:
            if home.exists():
                self.stop()
            raise machine.Unavailable("Swift could not be started")
        _, self.endpoint, self.access, self.secret = done.stdout.split()

    def presigned(self, keys, seconds=86400):
        """Targets that a plain client may ask for as they are."""
        try:
            import boto3
            from botocore.config import Config
        except ImportError:
            raise machine.Unavailable("python3-boto3 is not installed") from None
        client = boto3.client(
            "s3", endpoint_url=self.endpoint, region_name="us-east-1", aws_access_key_id=self.access,
            aws_secret_access_key=self.secret, config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
        )
        urls = (
            client.generate_presigned_url("get_object", Params={"Bucket": self.bucket, "Key": key}, ExpiresIn=seconds) for key in keys
        )
        return [url.removeprefix(self.endpoint) for url in urls]

    def stop(self):
        subprocess.run([self.scripts / "stop", self.home], check=False, stdin=subprocess.DEVNULL, stdout=sys.stderr)


def environment_for(endpoint, bucket, access, secret):
    """What lailad-cold.toml asks of the environment."""
    return {"BENCH_ENDPOINT": endpoint, "BENCH_BUCKET": bucket, "BENCH_ACCESS": access, "BENCH_SECRET": secret, "PATH": "/usr/bin:/bin"}


def keep_alive(address):
    host, _, port = address.partition(":")
    return http.client.HTTPConnection(host, int(port), timeout=60)
