"""Load: one measured run of a client against a server, and the A-B-A triples that comparisons are made of.

A is the reference, B is lailad. Each triple gives B / mean(A, A), and is dropped, and counted as dropped, when its two A differ by more
than UNSTABLE, or what the comparison puts in its place. The median of what is kept is the figure. CPU microseconds per request stand
beside it: they do not depend on how fast the client was. Where the client had no time left while the server had some, the row says so.
"""

import dataclasses
import json
import pathlib
import re
import resource
import statistics
import subprocess
import time

import machine

HERE = pathlib.Path(__file__).resolve().parent
UNSTABLE = 0.05
CLIENT_BUSY = 0.97
SERVER_IDLE = 0.95


@dataclasses.dataclass
class Run:
    """What a client did and what it cost. `rate` is in requests a second, or in MiB a second where bodies are large."""

    rate: float
    requests: int
    user_us: float
    system_us: float
    server_busy: float
    client_busy: float
    p50_us: float
    p99_us: float

    @property
    def cpu_us(self):
        return self.user_us + self.system_us


def client_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def timed(server, command, text, rate_of):
    """Runs a client that reports in JSON. rate_of makes the rate of its report."""
    user, system = server.cpu_seconds() if server else (0, 0)
    client, began = client_seconds(), time.monotonic()
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    took, client = time.monotonic() - began, client_seconds() - client
    after = server.cpu_seconds() if server else (0, 0)
    found = re.search(r"(\{.*\})\s*$", done.stdout)
    report = json.loads(found.group(1)) if done.returncode == 0 and found else None
    if not report or report.get("errors") or not report["requests"]:
        raise SystemExit(f"bench: {' '.join(map(str, command))}:\n{done.stdout}{done.stderr}")
    count = report["requests"]
    user, system = after[0] - user, after[1] - system
    return Run(
        rate_of(report), count, user * 1e6 / count, system * 1e6 / count, (user + system) / took, client / took,
        report["p50_us"], report["p99_us"],
    )


def wrk(server, url, seconds, connections=32, threads=1, cores=machine.CLIENT_CORE, body_file=None):
    """Requests for one target; wrk knows whole seconds only."""
    command = ["taskset", "-c", cores, "wrk", f"-t{threads}", f"-c{connections}", f"-d{max(1, round(seconds))}s"]
    command += ["-s", str(HERE / "wrk.lua"), url, "--", *(["PUT", str(body_file)] if body_file else [])]
    return timed(server, command, None, lambda report: report["requests"] / report["seconds"])


def pull(puller, server, address, targets, seconds, connections, body_bytes, again=False, cores=machine.CLIENT_CORE):
    """Requests for a list of targets, each once, or again and again. Large bodies are rated in MiB a second."""
    command = ["taskset", "-c", cores, puller, address, str(connections), str(body_bytes), str(seconds), "again" if again else "once"]

    def rate_of(report):
        return (report["bytes"] / (1 << 20) if body_bytes >= 1 << 20 else report["requests"]) / report["seconds"]

    return timed(server, command, "\n".join(targets) + "\n", rate_of)


def hammer(puller, server, url, seconds, connections=32, threads=1, cores=machine.CLIENT_CORE, body_file=None):
    """One target again and again: wrk, but for a trial of less than a second, which it cannot do."""
    if seconds >= 1 or body_file:
        return wrk(server, url, seconds, connections, threads, cores, body_file)
    address, _, path = url.removeprefix("http://").partition("/")
    return pull(puller, server, address, [f"/{path}"], seconds, connections, len(machine.fetch(url)[1]), True, cores)


def middle(runs, name):
    return statistics.median(getattr(run, name) for run in runs)


def summary(runs):
    fields = [field.name for field in dataclasses.fields(Run) if field.name != "requests"] + ["cpu_us"]
    return {name: middle(runs, name) for name in fields}


def triples(say, rounds, reference, subject, unstable=UNSTABLE):
    """reference() and subject() make a Run each. The row's figures."""
    kept, dropped, every = [], 0, []
    for _ in range(rounds):
        first, run, second = reference(), subject(), reference()
        base = (first.rate + second.rate) / 2
        drift = abs(first.rate - second.rate) / base
        stable = drift <= unstable
        every.append({"ratio": run.rate / base, "drift": drift, "stable": stable, "rate": run.rate, "reference_rate": base,
                      "cpu_us": run.cpu_us, "reference_cpu_us": (first.cpu_us + second.cpu_us) / 2})
        say(f"{run.rate:9.0f}/s against {base:9.0f}/s = {run.rate / base:.3f}"
            + ("" if stable else f"   dropped: the reference moved by {drift:.0%}"))
        if stable:
            kept.append((run, first, second))
        else:
            dropped += 1
    row = {"kept": len(kept), "dropped": dropped, "rounds": every, "value": None}
    if kept:
        subject_runs = [run for run, _, _ in kept]
        reference_runs = [run for _, first, second in kept for run in (first, second)]
        row["value"] = statistics.median(turn["ratio"] for turn in every if turn["stable"])
        row["subject"], row["reference"] = summary(subject_runs), summary(reference_runs)
        row["client_bound"] = any(
            side["client_busy"] > CLIENT_BUSY and side["server_busy"] < SERVER_IDLE for side in (row["subject"], row["reference"])
        )
    return row
