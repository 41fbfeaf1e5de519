"""The machine: processes on their cores, their CPU time and memory, ports, plain requests. Knows nothing of any server."""

import contextlib
import http.client
import os
import pathlib
import platform
import re
import signal
import socket
import subprocess
import time

SERVER_CORE, CLIENT_CORE = "0", "1"
ALL_CORES = f"0-{(os.cpu_count() or 1) - 1}"
TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")


class Unavailable(Exception):
    """A comparison cannot be made here; the text says why, and stands in its row."""


class Process:
    """One program on its cores, ended by its id. Its children are ended by itself, and their CPU time is counted."""

    def __init__(self, command, log, cores=SERVER_CORE, **options):
        self.log = log
        with open(log, "ab") as out:
            options.setdefault("stdin", subprocess.DEVNULL)
            options.setdefault("stdout", out)
            self.process = subprocess.Popen(["taskset", "-c", cores, *map(str, command)], stderr=out, **options)

    @property
    def pid(self):
        return self.process.pid

    def pids(self):
        """taskset becomes its command; nginx and Varnish serve from a child."""
        found, left = [], [self.pid]
        while left:
            pid = left.pop()
            found.append(pid)
            for children in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
                with contextlib.suppress(OSError):
                    left += map(int, children.read_text(encoding="ascii").split())
        return found

    def cpu_seconds(self):
        """(user, system)"""
        user = system = 0
        for pid in self.pids():
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
            user, system = user + int(fields[11]), system + int(fields[12])
        return user * TICK_SECONDS, system * TICK_SECONDS

    def resident_bytes(self, which):
        """VmRSS is now, VmHWM the most since forget_peak."""
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        return int(re.search(rf"{which}:\s*([0-9]+) kB", status).group(1)) * 1024

    def forget_peak(self):
        pathlib.Path(f"/proc/{self.pid}/clear_refs").write_text("5", encoding="ascii")

    def stop(self):
        if self.process.stdin:
            self.process.stdin.close()
        if self.process.stdout:
            self.process.stdout.close()
        if not self.process.stdin:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def await_ready(self, ready, seconds=30, look_seconds=0.02):
        """Polls until ready() holds; an OSError is a no."""
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if ready():
                    return
            if self.process.poll() is not None or time.monotonic() > deadline:
                log = pathlib.Path(self.log).read_text(encoding="utf-8", errors="replace")[-2000:]
                raise SystemExit(f"bench: {self.process.args[3]} is not ready:\n{log}")
            time.sleep(look_seconds)


@contextlib.contextmanager
def pinned(cores):
    """This process, the client itself, on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {int(core) for core in cores.split(",")})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def answers(port):
    with socket.create_connection(("127.0.0.1", port), 1):
        return True


def send(method, url, body=None, headers=None, most_bytes=1 << 28):
    """(status, header fields, body)"""
    host, _, path = url.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host, timeout=600)
    try:
        connection.request(method, "/" + path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.getheaders(), answer.read(most_bytes)
    finally:
        connection.close()


def fetch(url):
    status, headers, body = send("GET", url)
    if status != 200:
        raise SystemExit(f"bench: {url} answered {status}: {body[:400]!r}")
    return headers, body


def put(url, body, content_type="application/json"):
    status, headers, answer = send("PUT", url, body, {"Content-Type": content_type})
    if status not in (200, 201, 204):
        raise SystemExit(f"bench: PUT {url} answered {status}: {answer[:400]!r}")
    return headers


def first_line(command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        return None
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[0] if lines else ""


def package_version(name):
    try:
        done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", name], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout or None


def describe(root):
    model = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    release = re.search(r'PRETTY_NAME="(.*)"', pathlib.Path("/etc/os-release").read_text(encoding="utf-8"))
    memory = re.search(r"MemTotal:\s*([0-9]+)", pathlib.Path("/proc/meminfo").read_text(encoding="ascii"))
    return {
        "cpu": model.group(1) if model else platform.machine(),
        "cores": os.cpu_count(),
        "memory_mib": int(memory.group(1)) // 1024,
        "kernel": platform.release(),
        "system": release.group(1) if release else "",
        "load_average": os.getloadavg()[0],
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": first_line(["git", "-C", str(root), "describe", "--always", "--dirty"]),
    }
