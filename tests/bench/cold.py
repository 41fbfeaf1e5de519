"""Cold reads through `alpha << hdf5 << s3`: what the chain adds to asking the store itself.

The store is nginx, the fastest there can be, or Swift, a real one. Every key is read once. Three parties share the machine here, so
where many ask at once nobody is pinned, and the plain client has the whole machine just as the chain has.
"""

import contextlib
import gc
import statistics
import time

import load
import machine
import peers

READERS = 64
PAIRS_A_SECOND = 400
KEYS_A_SECOND = 40000
SWIFT_KEYS = 256


def start_chain(bench, ends, endpoint, bucket, access, secret, cores=machine.ALL_CORES):
    home = bench.home / f"chain-{time.monotonic_ns()}"
    environment = peers.environment_for(endpoint, bucket, access, secret)
    lailad = peers.Lailad(home, bench.args.lailad, "lailad-cold.toml", cores, environment)
    ends.callback(lailad.stop)
    return lailad


def start_store(bench, ends, cores):
    home = bench.home / f"store-{time.monotonic_ns()}"
    store = peers.Nginx(home, "nginx as a store", "nginx-s3.conf", "/bucket/any", cores)
    ends.callback(store.stop)
    return store


def ask(connection, path):
    """Seconds that one read over a kept connection took."""
    began = time.perf_counter()
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    took = time.perf_counter() - began
    if answer.status != 200 or body != peers.KIB_BODY:
        raise SystemExit(f"bench: {path} answered {answer.status}: {body[:300]!r}")
    return took, answer


def one(bench):
    """Pairs of reads, one after the other, of the same object: from the store, then through the chain. The daemon has a core to
    itself, client and store share the other one, in both reads of a pair."""
    with contextlib.ExitStack() as ends:
        store = start_store(bench, ends, machine.CLIENT_CORE)
        lailad = start_chain(bench, ends, f"http://{store.address}", "bucket", "access", "secret", machine.SERVER_CORE)
        direct, chain = peers.keep_alive(store.address), peers.keep_alive(lailad.address)
        ends.callback(direct.close)
        ends.callback(chain.close)
        rounds, direct_ms, chain_ms = [], [], []
        ends.enter_context(machine.pinned(machine.CLIENT_CORE))
        for turn in range(bench.rounds):
            gc.collect()
            gc.disable()
            pairs = []
            for i in range(max(20, round(bench.seconds * PAIRS_A_SECOND))):
                first, _ = ask(direct, f"/bucket/cold-{turn}-{i}")
                second, answer = ask(chain, f"/pools/alpha/entries/cold-{turn}-{i}")
                if '"s3";hit' not in answer.getheader("Cache-Status", ""):
                    raise SystemExit("bench: a read that should be cold was not")
                pairs.append((first * 1e3, second * 1e3))
            gc.enable()
            rounds.append(statistics.median(second - first for first, second in pairs))
            direct_ms.append(statistics.median(first for first, _ in pairs))
            chain_ms.append(statistics.median(second for _, second in pairs))
            bench.say(f"{chain_ms[-1]:.3f} ms against {direct_ms[-1]:.3f} ms: +{rounds[-1]:.3f} ms at the median of {len(pairs)} pairs")
            lailad.empty("alpha", "hdf5")
    return {
        "value": statistics.median(rounds), "kept": len(rounds), "dropped": 0, "rounds": rounds,
        "direct_ms": statistics.median(direct_ms), "chain_ms": statistics.median(chain_ms),
    }


def many_nginx(bench):
    """64 readers at once, nginx as the store."""
    with contextlib.ExitStack() as ends:
        store = start_store(bench, ends, machine.ALL_CORES)
        lailad = start_chain(bench, ends, f"http://{store.address}", "bucket", "access", "secret")
        peers.expect_body(lailad.entry("alpha", "first"), peers.KIB_BODY)
        keys = [f"many-{i}" for i in range(round(max(0.5, bench.seconds) * KEYS_A_SECOND))]
        plain = [f"/bucket/{key}" for key in keys]
        chained = [f"/pools/alpha/entries/{key}" for key in keys]

        def through_the_chain():
            lailad.empty("alpha", "hdf5")
            return load.pull(bench.args.puller, lailad, lailad.address, chained, bench.seconds, READERS, len(peers.KIB_BODY),
                             cores=machine.ALL_CORES)

        def direct():
            return load.pull(bench.args.puller, store, store.address, plain, bench.seconds, READERS, len(peers.KIB_BODY),
                             again=True, cores=machine.ALL_CORES)

        through_the_chain()  # warm: connections, threads
        return load.triples(bench.say, bench.rounds, direct, through_the_chain)


def many_swift(bench):
    """64 readers at once, Swift as the store: 256 objects, each read once a run."""
    with contextlib.ExitStack() as ends:
        swift = peers.Swift(bench.scratch / "swift")
        ends.callback(swift.stop)
        lailad = start_chain(bench, ends, swift.endpoint, swift.bucket, swift.access, swift.secret)
        keys = [f"many-{i}" for i in range(SWIFT_KEYS)]
        for key in keys:
            lailad.put("s3", peers.KIB_BODY, key)
        plain = swift.presigned(keys)
        chained = [f"/pools/alpha/entries/{key}" for key in keys]
        address = swift.endpoint.removeprefix("http://")

        def through_the_chain():
            lailad.empty("alpha", "hdf5")
            return load.pull(bench.args.puller, lailad, lailad.address, chained, 600, READERS, len(peers.KIB_BODY), cores=machine.ALL_CORES)

        def direct():
            return load.pull(bench.args.puller, None, address, plain, 600, READERS, len(peers.KIB_BODY), cores=machine.ALL_CORES)

        direct()
        through_the_chain()  # warm
        return load.triples(bench.say, bench.rounds, direct, through_the_chain)
