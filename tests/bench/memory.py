"""Resident memory while one large entry streams in and out of `alpha << hdf5 << s3`.

Idle is measured after one small entry went every way. Then, each with the kernel's own record of the peak since (VmHWM): in to the
store, out through the chain (which leaves a copy in hdf5), out once more from hdf5, in to hdf5. What alpha holds counts as used here:
it is less than its max_bytes, which the goal leaves apart. Every body is compared by its digest.
"""

import contextlib
import hashlib
import time

import cold
import machine
import peers

PIECE_BYTES = 1 << 20
SETTLE_SECONDS = 1.0


def pieces(mebibytes):
    base = hashlib.sha256(b"lailad").digest() * (PIECE_BYTES // 32)
    for i in range(mebibytes):
        yield i.to_bytes(8, "big") + base[8:]


def send_in(lailad, pool, mebibytes):
    connection = peers.keep_alive(lailad.address)
    connection.timeout = 600
    try:
        connection.request("PUT", f"/pools/{pool}/entries/big", pieces(mebibytes), {"Content-Length": str(mebibytes * PIECE_BYTES)})
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    if answer.status not in (200, 201, 204):
        raise SystemExit(f"bench: PUT to {pool} answered {answer.status}: {body[:300]!r}")


def take_out(lailad, wanted):
    connection = peers.keep_alive(lailad.address)
    digest, space = hashlib.sha256(), bytearray(PIECE_BYTES)
    try:
        connection.request("GET", "/pools/alpha/entries/big")
        answer = connection.getresponse()
        while count := answer.readinto(space):
            digest.update(memoryview(space)[:count])
    finally:
        connection.close()
    if answer.status != 200 or digest.hexdigest() != wanted:
        raise SystemExit(f"bench: the large entry came back wrong (status {answer.status})")


def stream(bench):
    mebibytes = bench.args.stream_mib
    with contextlib.ExitStack() as ends:
        swift = peers.Swift(bench.scratch / "swift-memory")
        ends.callback(swift.stop)
        lailad = cold.start_chain(bench, ends, swift.endpoint, swift.bucket, swift.access, swift.secret)
        daemon = lailad.parts[0]
        lailad.put("s3", peers.KIB_BODY, "small")
        peers.expect_body(lailad.entry("alpha", "small"), peers.KIB_BODY)
        time.sleep(SETTLE_SECONDS)
        idle = daemon.resident_bytes("VmRSS")
        wanted = hashlib.sha256()
        for piece in pieces(mebibytes):
            wanted.update(piece)
        phases = (
            ("in to s3", lambda: send_in(lailad, "s3", mebibytes)),
            ("out through the chain", lambda: take_out(lailad, wanted.hexdigest())),
            ("out of hdf5", lambda: take_out(lailad, wanted.hexdigest())),
            ("in to hdf5", lambda: send_in(lailad, "hdf5", mebibytes)),
        )
        above = {}
        for name, phase in phases:
            daemon.forget_peak()
            began = time.monotonic()
            phase()
            above[name] = (daemon.resident_bytes("VmHWM") - idle) / (1 << 20)
            bench.say(f"{name}: {above[name]:.1f} MiB above idle ({idle / (1 << 20):.1f} MiB), {time.monotonic() - began:.1f} s")
        machine.send("DELETE", f"http://{lailad.address}/pools/s3/entries/big")
    return {"value": max(above.values()), "kept": 1, "dropped": 0, "rounds": above, "idle_mib": idle / (1 << 20), "stream_mib": mebibytes}
