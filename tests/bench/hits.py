"""Hits and writes: lailad's two local pools against what else could serve the same bytes. One core serves, the other one asks."""

import os

import load
import machine
import peers

LARGE_CONNECTIONS = 4


def against(bench, reference, pool="alpha"):
    """1 KiB, 32 connections."""
    lailad, other = bench.server("lailad"), bench.server(reference)
    url = lailad.entry(pool)
    return load.triples(
        bench.say, bench.rounds,
        lambda: bench.hammer(other, other.url),
        lambda: bench.hammer(lailad, url),
    )


def large(bench):
    """64 MiB from hdf5, four connections, against a file that nginx sends with sendfile."""
    lailad, nginx = bench.server("lailad"), bench.server("nginx-static")
    body = bytes(range(256)) * (peers.LARGE_BYTES // 256)
    lailad.put("hdf5", body, "large")
    ours, theirs = lailad.entry("hdf5", "large"), f"http://{nginx.address}/large"
    peers.expect_body(theirs, body)

    def pull(server, url):
        return bench.pull(server, url, LARGE_CONNECTIONS, peers.LARGE_BYTES)

    pull(nginx, theirs)  # warm: both files are in memory then
    return load.triples(bench.say, bench.rounds, lambda: pull(nginx, theirs), lambda: pull(lailad, ours))


def put(bench, reference):
    """1 KiB to alpha, each PUT a replacement."""
    lailad, other = bench.server("lailad"), bench.server(reference)
    body = bench.home / "body"
    body.write_bytes(peers.KIB_BODY)
    url = getattr(other, "put_url", other.url)
    return load.triples(
        bench.say, bench.rounds,
        lambda: bench.hammer(other, url, body_file=body),
        lambda: bench.hammer(lailad, lailad.entry("alpha"), body_file=body),
    )


def poll_threads(bench):
    """Two poll threads against one. With fewer than four cores the client takes from the server what the second thread would need: then the
    CPU time per request tells what two cores could do, if the client were elsewhere."""
    apart = os.cpu_count() >= 4
    server_cores = "0,1" if apart else machine.ALL_CORES
    client_cores = f"2-{os.cpu_count() - 1}" if apart else machine.ALL_CORES
    servers = []
    for name, config in (("one", "lailad.toml"), ("two", "lailad-two-threads.toml")):
        server = peers.Lailad(bench.home / f"threads-{name}", bench.args.lailad, config, cores=server_cores)
        bench.ends.callback(server.stop)
        server.put("alpha", peers.KIB_BODY)
        servers.append(server)
    one, two = servers

    def run(server):
        return bench.hammer(server, server.url, connections=64, threads=2, cores=client_cores)

    row = load.triples(bench.say, bench.rounds, lambda: run(one), lambda: run(two))
    if row["value"] is not None and not apart:
        row["client_bound"] = True
        row["projected_ratio"] = 2 * row["reference"]["cpu_us"] / row["subject"]["cpu_us"]
        row["note"] = f"{os.cpu_count()} cores for server and client: by CPU time per request {row['projected_ratio']:.2f}"
    return row
