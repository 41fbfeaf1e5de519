#!/usr/bin/python3
"""Measures hits against what the machine can give: see run.sh for how to call it, README.md in tests/ for how to read it.

One core serves, the other one asks. A comparison is a row of adjacent A-B-A triples, A the reference, B lailad: each triple gives the
ratio B / mean(A, A), and is dropped, and said to be, when its two A differ by more than 5 %. The median of the ratios is the
result. Beside it stands the CPU time a request took, which does not depend on how fast the client was.
"""

import argparse
import contextlib
import http.client
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
CONNECTIONS = 32
SERVER_CORE, CLIENT_CORE = "0", "1"
UNSTABLE = 0.05
ENTRY = "LAILA:ENTRY:GLOBAL_ID:337c29d3-0d76-5c15-a560-7e5cf329259e"
LIBRARY_HEADERS = {"date", "content-length", "connection"}


class Server:
    """A process on the server core; ended by its id."""

    def __init__(self, name, command, url, **options):
        self.name = name
        self.url = url
        self.process = subprocess.Popen(["taskset", "-c", SERVER_CORE, *command], **options)

    def pids(self):
        """taskset becomes its command; nginx serves from a child."""
        pid = self.process.pid
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        return [pid, *map(int, children)]

    def cpu_seconds(self):
        ticks = 0
        for pid in self.pids():
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def stop(self):
        if self.process.stdin:
            self.process.stdin.close()
        else:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


def await_file(path, seconds=30):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(FileNotFoundError):
            text = path.read_text(encoding="utf-8").strip()
            if text:
                return text
        time.sleep(0.02)
    raise SystemExit(f"bench: no {path} after {seconds} s")


def fetch(url):
    host, _, path = url.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host, timeout=10)
    connection.request("GET", "/" + path)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    if answer.status != 200:
        raise SystemExit(f"bench: {url} answered {answer.status}")
    return answer.getheaders(), body


def put(url, body):
    host, _, path = url.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host, timeout=10)
    connection.request("PUT", "/" + path, body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    if answer.status not in (201, 204):
        raise SystemExit(f"bench: PUT {url} answered {answer.status}")


def start_lailad(binary, home, body):
    data = home / "data"
    log = open(home / "lailad.log", "wb")
    server = Server(
        "lailad", [binary, "--config", str(HERE / "lailad.toml"), "--listen", "127.0.0.1:0", "--data-dir", str(data)], None,
        stdin=subprocess.DEVNULL, stdout=log, stderr=log,
    )
    address = await_file(data / "listen")
    for pool in ("alpha", "hdf5"):
        put(f"http://{address}/pools/{pool}/entries/{ENTRY}", body)
    server.address = address
    return server


def start_bare(binary, home, headers, body):
    (home / "headers").write_text(
        "".join(f"{name}: {value}\n" for name, value in headers if name.lower() not in LIBRARY_HEADERS), encoding="latin-1"
    )
    (home / "body").write_bytes(body)
    server = Server(
        "bare libmicrohttpd", [binary, str(home / "headers"), str(home / "body")], None, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    server.url = f"http://127.0.0.1:{int(server.process.stdout.readline())}/"
    return server


def start_nginx(home, body):
    (home / "www").mkdir()
    (home / "www" / "entry.json").write_bytes(body)
    home.chmod(0o755)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    text = (HERE / "nginx.conf").read_text(encoding="utf-8").replace("@PORT@", str(port)).replace("@ROOT@", str(home))
    (home / "nginx.conf").write_text(text, encoding="utf-8")
    server = Server(
        "nginx static", ["nginx", "-p", str(home), "-c", str(home / "nginx.conf"), "-e", str(home / "nginx.log")],
        f"http://127.0.0.1:{port}/entry.json", stdin=None, stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 10
    while True:
        with contextlib.suppress(OSError):
            fetch(server.url)
            return server
        if time.monotonic() > deadline:
            raise SystemExit(f"bench: nginx does not answer:\n{(home / 'nginx.log').read_text()}")
        time.sleep(0.05)


def measure(server, url, seconds):
    """(requests a second, CPU microseconds a request) of one run of wrk."""
    before = server.cpu_seconds()
    done = subprocess.run(
        ["taskset", "-c", CLIENT_CORE, "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", url],
        capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL,
    )
    cpu = server.cpu_seconds() - before
    total = int(re.search(r"([0-9]+) requests in", done.stdout).group(1))
    rate = float(re.search(r"Requests/sec: +([0-9.]+)", done.stdout).group(1))
    if "Non-2xx" in done.stdout or re.search(r"Socket errors: (?!connect 0, read 0, write 0, timeout 0)", done.stdout):
        raise SystemExit(f"bench: {server.name} answered with errors:\n{done.stdout}")
    return rate, cpu * 1e6 / total


def compare(title, goal, subject, subject_url, reference, rounds, seconds):
    ratios, dropped, rows = [], 0, []
    for turn in range(rounds):
        first, first_cpu = measure(reference, reference.url, seconds)
        rate, cpu = measure(subject, subject_url, seconds)
        second, second_cpu = measure(reference, reference.url, seconds)
        drift = abs(first - second) / ((first + second) / 2)
        ratio = rate / ((first + second) / 2)
        stable = drift <= UNSTABLE
        rows.append(
            {"ratio": ratio, "drift": drift, "stable": stable, "rate": rate, "cpu_us": cpu,
             "reference_rate": (first + second) / 2, "reference_cpu_us": (first_cpu + second_cpu) / 2}
        )
        print(
            f"  {title}: {rate:9.0f}/s against {(first + second) / 2:9.0f}/s = {ratio:.3f}"
            + ("" if stable else f"   dropped: the reference moved by {drift:.0%}"),
            flush=True,
        )
        if stable:
            ratios.append(ratio)
        else:
            dropped += 1
    kept = [row for row in rows if row["stable"]]

    def middle(name):
        return statistics.median(row[name] for row in kept) if kept else None

    return {
        "comparison": title, "goal": goal, "median_ratio": statistics.median(ratios) if ratios else None,
        "kept": len(ratios), "dropped": dropped, "rate": middle("rate"), "cpu_us": middle("cpu_us"),
        "reference_rate": middle("reference_rate"), "reference_cpu_us": middle("reference_cpu_us"), "rounds": rows,
    }


def version(command):
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[0] if lines else ""


def machine():
    model = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    release = re.search(r'PRETTY_NAME="(.*)"', pathlib.Path("/etc/os-release").read_text(encoding="utf-8"))
    return {
        "cpu": model.group(1) if model else platform.machine(), "cores": os.cpu_count(), "kernel": platform.release(),
        "system": release.group(1) if release else "", "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def print_table(results):
    print(f"\n{'comparison':40} {'ratio':>7} {'goal':>6} {'rate/s':>9} {'ref/s':>9} {'cpu us':>7} {'ref us':>7}  kept")
    for result in results:
        if result["median_ratio"] is None:
            print(f"{result['comparison']:40} no stable triple of {result['dropped']}")
            continue
        print(
            f"{result['comparison']:40} {result['median_ratio']:7.3f} {result['goal']:6.2f} {result['rate']:9.0f} "
            f"{result['reference_rate']:9.0f} {result['cpu_us']:7.2f} {result['reference_cpu_us']:7.2f}  "
            f"{result['kept']} of {result['kept'] + result['dropped']}"
        )


def main():
    options = argparse.ArgumentParser(description="Benchmarks hits; tests/bench/run.sh builds what it needs.")
    options.add_argument("--lailad", default=str(ROOT / "build/release/server/lailad"))
    options.add_argument("--bare", default=str(ROOT / "build/bench/bare_mhd"))
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--seconds", type=int, default=3)
    options.add_argument("--json", default=str(ROOT / "build/bench/results.json"))
    args = options.parse_args()
    if os.cpu_count() < 2:
        raise SystemExit("bench: needs two cores, one for the server and one for the client")

    if os.getloadavg()[0] > 0.5:
        print(f"bench: load average is {os.getloadavg()[0]:.1f}; figures taken beside other work are worth little", file=sys.stderr)

    home = pathlib.Path(tempfile.mkdtemp(prefix="lailad-bench-"))
    body = (b'{"kib": "' + b"x" * 1024)[:1022] + b'"}'
    with contextlib.ExitStack() as ends:
        ends.callback(shutil.rmtree, home, True)
        lailad = start_lailad(args.lailad, home, body)
        ends.callback(lailad.stop)
        alpha = f"http://{lailad.address}/pools/alpha/entries/{ENTRY}"
        hdf5 = f"http://{lailad.address}/pools/hdf5/entries/{ENTRY}"
        headers, served = fetch(alpha)
        assert served == body and len(body) == 1024 and fetch(hdf5)[1] == body
        bare = start_bare(args.bare, home, headers, body)
        ends.callback(bare.stop)
        nginx = start_nginx(home, body)
        ends.callback(nginx.stop)
        same = {name.lower(): value for name, value in fetch(bare.url)[0] if name.lower() != "date"}
        assert same == {name.lower(): value for name, value in headers if name.lower() != "date"}, (same, headers)

        for server, url in ((lailad, alpha), (lailad, hdf5), (bare, bare.url), (nginx, nginx.url)):
            measure(server, url, 1)  # warm
        results = [
            compare(*case, args.rounds, args.seconds)
            for case in (
                ("alpha hit 1 KiB / bare libmicrohttpd", 0.85, lailad, alpha, bare),
                ("alpha hit 1 KiB / nginx static", 1.15, lailad, alpha, nginx),
                ("hdf5 hit 1 KiB / nginx static", 1.05, lailad, hdf5, nginx),
            )
        ]
    versions = {
        "lailad": version([args.lailad, "--version"]), "nginx": version(["nginx", "-v"]), "wrk": version(["wrk", "-v"]),
        "libmicrohttpd": version(["pkg-config", "--modversion", "libmicrohttpd"]),
        "commit": version(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]),
    }
    about = machine()
    print_table(results)
    print(f"{about['cpu']}, {about['cores']} cores, {about['system']}, " + ", ".join(f"{name} {text}" for name, text in versions.items()))
    pathlib.Path(args.json).write_text(
        json.dumps({"machine": about, "versions": versions, "connections": CONNECTIONS, "results": results}, indent=1) + "\n",
        encoding="utf-8",
    )
    print(f"written: {args.json}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
