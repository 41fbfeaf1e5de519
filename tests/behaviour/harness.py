"""The daemon under test: started from the built binary, watched, ended by its process id.

Daemon    one lailad with its own data directory and configuration, on a port the kernel picks
DaemonCase  a unittest case with one daemon per class
until     waits for a condition with a deadline; tests never sleep for ordering

The binary is $LAILAD (default: build/dev/server/lailad). A daemon that ends with anything but 0, or that a sanitizer
complained about, fails the test that owned it. Read next: client.py (HTTP), origin.py (a scripted S3), objects.py (the real S3).
"""

import ctypes
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

from client import Client, RawClient

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.path.abspath(os.environ.get("LAILAD", ROOT / "build/dev/server/lailad"))  # daemons start in folders of their own
SHARED = ROOT.parent / "shared"  # fixtures written by the LAILA library, where they exist

START_SECONDS = 30
STOP_SECONDS = 40

COMPLAINTS = re.compile(
    r"ERROR: (Address|Leak|Thread|UndefinedBehavior)Sanitizer|WARNING: ThreadSanitizer|runtime error:|MUST failed"
)


def until(check, what, seconds=20.0):
    """Polls until check() is true; its value is returned. Failing to get there is a failure that says what was awaited."""
    deadline = time.monotonic() + seconds
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(f"waited {seconds:.0f} s in vain for: {what}")
        time.sleep(0.01)


class TcpEnd:
    """One end of a connection on this machine, a row of the kernel's own table."""

    # Linux's numbers: the other end is open; it has sent its end and this one has not.
    ESTABLISHED, CLOSE_WAIT = 1, 8

    def __init__(self, row):
        fields = row.split()
        self.local_port, self.remote_port = (int(address.split(":")[1], 16) for address in fields[1:3])
        self.state = int(fields[3], 16)
        # Bytes that the other end has not acknowledged, and that nobody here has read yet.
        self.unsent, self.unread = (int(count, 16) for count in fields[4].split(":"))


def tcp_ends():
    with open("/proc/net/tcp", encoding="ascii") as table:
        return [TcpEnd(row) for row in table.readlines()[1:]]


class Daemon:
    """Life: new -> start -> stop (or kill) -> start again on the same data -> remove."""

    def __init__(self, config=None, secrets=None, args=(), env=None, token=None, place=None):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="lailad-test-", dir=place))
        self.data = self.home / "data"
        self.config = config
        self.secrets = secrets
        self.args = list(args)
        self.env = dict(env or {})
        self.token = token
        self.process = None
        self.host = None
        self.port = None
        self.logs = []

    def command(self):
        command = [BINARY, "--listen", "127.0.0.1:0", "--data-dir", str(self.data)]
        if self.config is not None:
            path = self.home / "lailad.toml"
            path.write_text(self.config, encoding="utf-8")
            command += ["--config", str(path)]
        if self.secrets is not None:
            path = self.home / "secrets.toml"
            path.write_text(self.secrets, encoding="utf-8")
            path.chmod(0o600)
            command += ["--secrets", str(path)]
        return command + self.args

    def environment(self):
        env = {name: value for name, value in os.environ.items() if not name.startswith(("LAILAD", "AWS_"))}
        env["ASAN_OPTIONS"] = "detect_leaks=1:abort_on_error=0:exitcode=99"
        env["UBSAN_OPTIONS"] = "print_stacktrace=1"
        if self.token is not None:
            env["LAILAD_TOKEN"] = self.token
        env.update(self.env)
        return env

    def spawn(self):
        """Starts the process without waiting for it to listen."""
        listen = self.data / "listen"
        if listen.exists():
            listen.unlink()
        log = self.home / f"stderr.{len(self.logs)}"
        self.logs.append(log)
        with open(log, "wb") as sink:
            self.process = subprocess.Popen(
                self.command(), env=self.environment(), cwd=self.home, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink
            )
        return self

    def start(self):
        self.spawn()

        def address():
            if self.process.poll() is not None:
                raise AssertionError(f"lailad ended with {self.process.returncode} at start:\n{self.log()}")
            listen = self.data / "listen"
            text = listen.read_text(encoding="utf-8").strip() if listen.exists() else ""
            return text if re.fullmatch(r"[0-9.]+:[0-9]+", text) else None

        host, port = until(address, "DATA/listen", START_SECONDS).rsplit(":", 1)
        self.host, self.port = "127.0.0.1" if host == "0.0.0.0" else host, int(port)
        return self

    def log(self):
        """Everything the current process has written to standard error."""
        return self.logs[-1].read_text(encoding="utf-8", errors="replace")

    def client(self, headers=None, timeout=60):
        fields = dict(headers or {})
        if self.token is not None:
            fields.setdefault("Authorization", f"Bearer {self.token}")
        return Client(self.host, self.port, fields, timeout)

    def raw(self, timeout=60):
        return RawClient(self.host, self.port, timeout)

    def http_library(self):
        """The version of the libmicrohttpd that the daemon has loaded, as its parts: (0, 9, 75)."""
        loaded = re.search(r"/\S*libmicrohttpd\.so\S*", pathlib.Path(f"/proc/{self.process.pid}/maps").read_text("utf-8"))
        version = ctypes.CDLL(loaded.group()).MHD_get_version
        version.restype = ctypes.c_char_p
        return tuple(int(part) for part in version().split(b"."))

    def unread_bytes(self):
        """What has arrived in the daemon's sockets and it has not taken yet."""
        return sum(end.unread for end in tcp_ends() if end.local_port == self.port and end.state == TcpEnd.ESTABLISHED)

    def check_log(self):
        text = self.log()
        found = COMPLAINTS.search(text)
        if found:
            raise AssertionError(f"lailad complained:\n{text[max(0, found.start() - 200):][:8000]}")

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def wait(self, seconds=STOP_SECONDS):
        """The exit code; a daemon that does not end is killed and fails the test."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"lailad did not end within {seconds} s:\n{self.log()[-4000:]}") from None

    def stop(self):
        """SIGTERM and a clean end."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.wait()
        self.process = None
        self.check_log()
        if code != 0:
            raise AssertionError(f"lailad ended with {code}:\n{self.log()[-4000:]}")

    def kill(self):
        """kill -9: what a crash looks like."""
        self.process.kill()
        self.process.wait()
        self.process = None
        self.check_log()

    def restart(self):
        self.stop()
        return self.start()

    def remove(self):
        """Ends what still runs, without a verdict, and removes the directory."""
        if self.is_running():
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.home, ignore_errors=True)


def run_binary(*args, env=None, cwd=None, seconds=30):
    """Runs lailad to its end: for --version, --check-config and refused configurations."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("LAILAD", "AWS_"))}
    clean.update(env or {})
    return subprocess.run(
        [BINARY, *args], env=clean, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds
    )


class Case(unittest.TestCase):
    """Assertions in the words of the service."""

    maxDiff = 4000

    def assert_status(self, answer, *statuses):
        self.assertIn(answer.status, statuses, f"{answer}")
        return answer

    def assert_problem(self, answer, status, name):
        """A problem+json of this type, complete and without a path of this machine."""
        self.assertEqual(answer.status, status, f"{answer}")
        self.assertEqual((answer.header("Content-Type") or "").split(";")[0], "application/problem+json")
        problem = answer.json()
        self.assertEqual(problem["type"], f"urn:lailad:problem:{name}", f"{problem}")
        self.assertEqual(problem["status"], status)
        self.assertTrue(problem["title"])
        self.assertIsInstance(problem["retryable"], bool)
        self.assertNotIn("/tmp/", answer.body.decode())
        self.assertEqual(answer.header("Cache-Control"), "no-store")
        return problem

    def new_daemon(self, *args, **kwargs):
        """A started daemon that ends with this test; a bad end fails it."""
        daemon = Daemon(*args, **kwargs)
        self.addCleanup(daemon.remove)
        daemon.start()
        self.addCleanup(daemon.stop)
        return daemon

    def new_client(self, daemon, **kwargs):
        client = daemon.client(**kwargs)
        self.addCleanup(client.close)
        return client


class DaemonCase(Case):
    """One daemon per class, from the class's config; each test gets self.http."""

    config = None
    secrets = None
    daemon = None

    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon(config=cls.config, secrets=cls.secrets)
        cls.addClassCleanup(cls.daemon.remove)
        cls.daemon.start()

    @classmethod
    def tearDownClass(cls):
        cls.daemon.stop()

    def setUp(self):
        self.assertTrue(self.daemon.is_running(), "the daemon died in an earlier test")
        self.http = self.new_client(self.daemon)
