"""Wiring: proxy_to and /chain, changed at any moment, and still there after a restart or a crash."""

import threading

from client import entry_target
from harness import Case, DaemonCase
from origin import Origin, object_name

POOLS = "".join(f'[pools.{name}]\nkind = "memory"\n' for name in "abcd")


class WiringCase(DaemonCase):
    config = POOLS

    def setUp(self):
        super().setUp()
        self.assert_status(self.http.put("/chain", "", {"Content-Type": "text/plain"}), 200)
        for pool in ("alpha", "a", "b", "c", "d"):
            self.assert_status(self.http.delete(f"/pools/{pool}/entries?all=true"), 204)

    def chain(self):
        answer = self.assert_status(self.http.get("/chain"), 200)
        self.assertEqual(answer.header("Content-Type").split(";")[0], "text/plain")
        return answer.body.decode()

    def replace(self, text, headers=None):
        return self.http.put("/chain", text, {"Content-Type": "text/plain", **(headers or {})})

    def proxy_etag(self, pool):
        return self.assert_status(self.http.get(f"/pools/{pool}/proxy_to"), 200).header("ETag")


class ProxyTo(WiringCase):
    def test_set_change_clear(self):
        self.assertIsNone(self.http.proxy_of("a"))
        answer = self.assert_status(self.http.put_json("/pools/a/proxy_to", {"pool": "b"}), 200)
        self.assertEqual(answer.json()["pool"], "b")
        self.assertEqual(self.http.proxy_of("a"), "b")
        self.assert_status(self.http.put_json("/pools/a/proxy_to", {"pool": "c"}), 200)
        self.assertEqual(self.http.proxy_of("a"), "c")
        self.assert_status(self.http.put_json("/pools/a/proxy_to", {"pool": None}), 200)
        self.assertIsNone(self.http.proxy_of("a"))
        self.assert_status(self.http.put_json("/pools/a/proxy_to", {"pool": "b"}), 200)
        self.assert_status(self.http.delete("/pools/a/proxy_to"), 204)
        self.assertIsNone(self.http.proxy_of("a"))

    def test_one_origin_may_serve_many_caches(self):
        for pool in ("a", "b", "c"):
            self.assert_status(self.http.put_json(f"/pools/{pool}/proxy_to", {"pool": "d"}), 200)
        self.assertEqual(self.chain(), "a << d\nb << d\nc << d\n")
        self.assert_status(self.http.put_entry("d", "shared", b"x"), 201)
        for pool in ("a", "b", "c"):
            self.assertEqual(self.http.read(pool, "shared").body, b"x")
            self.assertTrue(self.http.exists(pool, "shared"))

    def test_a_cycle_is_refused_and_its_path_named(self):
        self.assert_status(self.replace("a << b << c"), 200)
        before = self.chain()
        problem = self.assert_problem(self.http.put_json("/pools/c/proxy_to", {"pool": "a"}), 409, "proxy-cycle")
        for pool in ("a", "b", "c"):
            self.assertRegex(problem["detail"], rf"\b{pool}\b")
        self.assert_problem(self.http.put_json("/pools/d/proxy_to", {"pool": "d"}), 409, "proxy-cycle")
        self.assert_problem(self.http.wire("c << d << a"), 409, "proxy-cycle")
        self.assert_problem(self.replace("a << b\nb << a"), 409, "proxy-cycle")
        self.assert_problem(self.http.wire("d << d"), 409, "proxy-cycle")
        self.assert_problem(self.replace("d >> d"), 409, "proxy-cycle")
        self.assertEqual(self.chain(), before)

    def test_generation_and_if_match(self):
        """The ETag is the link's generation: any change from any route makes a new one."""
        seen = [self.proxy_etag("a")]

        def moved():
            etag = self.proxy_etag("a")
            self.assertNotIn(etag, seen)
            seen.append(etag)

        answer = self.http.put_json("/pools/a/proxy_to", {"pool": "b"}, {"If-Match": seen[-1]})
        self.assert_status(answer, 200)
        self.assertEqual(answer.header("ETag"), self.proxy_etag("a"))
        moved()
        self.assert_status(self.http.wire("a << c"), 200)
        moved()
        self.assert_status(self.replace("a << d"), 200)
        moved()
        self.assert_status(self.http.delete("/pools/a/proxy_to", {"If-Match": seen[-1]}), 204)
        moved()
        # Each older one is refused, and changes nothing.
        for etag in seen[:-1]:
            answer = self.http.put_json("/pools/a/proxy_to", {"pool": "b"}, {"If-Match": etag})
            self.assert_problem(answer, 412, "precondition-failed")
            self.assert_problem(self.http.delete("/pools/a/proxy_to", {"If-Match": etag}), 412, "precondition-failed")
        self.assertEqual(self.proxy_etag("a"), seen[-1])
        self.assertIsNone(self.http.proxy_of("a"))

    def test_a_change_elsewhere_leaves_the_generation_alone(self):
        before = self.proxy_etag("a")
        self.assert_status(self.http.put_json("/pools/b/proxy_to", {"pool": "c"}), 200)
        self.assertEqual(self.proxy_etag("a"), before)

    def test_two_writers_and_one_generation(self):
        """Of many writers with the same If-Match exactly one succeeds."""
        etag = self.proxy_etag("a")
        statuses = []

        def write(origin):
            with self.daemon.client() as client:
                statuses.append(client.put_json("/pools/a/proxy_to", {"pool": origin}, {"If-Match": etag}).status)

        threads = [threading.Thread(target=write, args=("bcd"[at % 3],)) for at in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(statuses), [200] + [412] * 15)


class Chain(WiringCase):
    def test_both_operators_say_the_same(self):
        self.assertEqual(self.assert_status(self.replace("a << b << c << d"), 200).body, b"a << b << c << d\n")
        text = self.chain()
        self.assert_status(self.replace(""), 200)
        self.assertEqual(self.chain(), "")
        self.assert_status(self.replace("d >> c >> b >> a"), 200)
        self.assertEqual(self.chain(), text)

    def test_maximal_expressions_sorted(self):
        self.assert_status(self.replace("c << d\nb<<c\n\n  alpha   <<a  \n"), 200)
        self.assertEqual(self.chain(), "alpha << a\nb << c << d\n")

    def test_put_replaces_post_adds(self):
        self.assert_status(self.replace("a << b"), 200)
        self.assertEqual(self.assert_status(self.http.wire("c << d"), 200).body, b"a << b\nc << d\n")
        self.assertEqual(self.assert_status(self.http.wire("a << c"), 200).body, b"a << c << d\n")
        self.assertEqual(self.assert_status(self.replace("b << c"), 200).body, b"b << c\n")
        self.assertIsNone(self.http.proxy_of("a"))

    def test_a_name_that_nobody_has_changes_nothing(self):
        """Also where it links nothing: alone on a line it would have unlinked everything."""
        self.assert_status(self.replace("a << b"), 200)
        for text in ("alhpa", "a << c\nalhpa", "alhpa\na << c", "a << alhpa", "alhpa << a"):
            self.assert_problem(self.replace(text), 404, "pool-not-found")
            if "<<" in text:
                self.assert_problem(self.http.wire(text), 404, "pool-not-found")
            self.assertEqual(self.chain(), "a << b\n", text)
        self.assert_status(self.http.wire("c << d\na"), 200)
        self.assertEqual(self.chain(), "a << b\nc << d\n")
        self.assert_status(self.replace("a"), 200)
        self.assertEqual(self.chain(), "")

    def test_as_json(self):
        self.assert_status(self.replace("a << b << c\nd << c"), 200)
        answer = self.assert_status(self.http.get("/chain", {"Accept": "application/json"}), 200)
        self.assertEqual(answer.header("Content-Type").split(";")[0], "application/json")
        self.assertEqual(answer.json(), {"chain": ["a << b << c", "d << c"]})
        # The same goes in.
        replaced = self.http.put("/chain", '{"chain": ["c >> a", "b << c"]}', {"Content-Type": "application/json"})
        self.assert_status(replaced, 200)
        self.assertEqual(self.chain(), "a << c\nb << c\n")

    def test_generation_and_if_match(self):
        etag = self.assert_status(self.http.get("/chain"), 200).header("ETag")
        answer = self.assert_status(self.replace("a << b", {"If-Match": etag}), 200)
        newer = answer.header("ETag")
        self.assertNotEqual(newer, etag)
        self.assertEqual(self.http.get("/chain").header("ETag"), newer)
        self.assert_problem(self.replace("a << c", {"If-Match": etag}), 412, "precondition-failed")
        refused = self.http.post("/chain", "a << c", {"Content-Type": "text/plain", "If-Match": etag})
        self.assert_problem(refused, 412, "precondition-failed")
        self.assertEqual(self.chain(), "a << b\n")
        self.assert_status(self.http.put_json("/pools/c/proxy_to", {"pool": "d"}), 200)
        self.assert_problem(self.replace("a << c", {"If-Match": newer}), 412, "precondition-failed")

    def test_long_chains(self):
        """64 tiers: one read fills 63 of them."""
        names = [f"t{number:02d}" for number in range(64)]
        for name in names:
            self.assert_status(self.http.post_json("/pools", {"nickname": name, "kind": "memory", "config": {}}), 201)
        self.assert_status(self.replace(" << ".join(names)), 200)
        self.assert_status(self.http.put_entry(names[-1], "deep", b"x"), 201)
        answer = self.assert_status(self.http.read(names[0], "deep"), 200)
        self.assertEqual(answer.body, b"x")
        self.assertEqual([name for name, _ in answer.tiers()], names[::-1])
        self.assertEqual([self.http.exists(name, "deep") for name in names], [True] * 64)
        self.assert_problem(self.http.put_json(f"/pools/{names[-1]}/proxy_to", {"pool": names[0]}), 409, "proxy-cycle")
        self.assert_status(self.replace(""), 200)
        for name in names:
            self.assert_status(self.http.delete(f"/pools/{name}"), 204)


class Pools(WiringCase):
    def test_the_resource(self):
        answer = self.assert_status(self.http.get("/pools/a"), 200)
        pool = answer.json()
        self.assertEqual((pool["nickname"], pool["kind"]), ("a", "memory"))
        self.assertEqual(pool["state"]["status"], "ok")
        self.assertIn("capabilities", pool)
        self.assertEqual(pool["counts"], {"entries": 0, "bytes": 0})
        self.assert_status(self.http.put_entry("a", "x", b"12345"), 201)
        counts = self.http.get("/pools/a").json()["counts"]
        self.assertEqual(counts["entries"], 1)
        self.assertGreaterEqual(counts["bytes"], 5)
        listed = self.assert_status(self.http.get("/pools"), 200).json()["pools"]
        self.assertEqual({pool["nickname"] for pool in listed}, {"alpha", "a", "b", "c", "d"})

    def test_a_pool_in_use_stays(self):
        made = self.http.post_json("/pools", {"nickname": "new", "kind": "memory", "config": {}})
        self.assert_status(made, 201)
        self.assertEqual(made.header("Location"), "/pools/new")
        self.assert_status(self.http.wire("a << new"), 200)
        problem = self.assert_problem(self.http.delete("/pools/new"), 409, "pool-in-use")
        self.assertIn("a", problem["detail"])
        self.assert_status(self.http.delete("/pools/a/proxy_to"), 204)
        self.assert_status(self.http.delete("/pools/new"), 204)
        self.assert_problem(self.http.get("/pools/new"), 404, "pool-not-found")
        self.assert_problem(self.http.read("new", "x"), 404, "pool-not-found")

    def test_a_name_used_again_has_no_old_tag(self):
        make = {"nickname": "again", "kind": "memory", "config": {}}
        seen = set()
        for _ in range(3):
            self.assert_status(self.http.post_json("/pools", make), 201)
            self.assertNotIn(self.proxy_etag("again"), seen)
            seen.add(self.proxy_etag("again"))
            for etag in seen - {self.proxy_etag("again")}:
                answer = self.http.put_json("/pools/again/proxy_to", {"pool": "a"}, {"If-Match": etag})
                self.assert_problem(answer, 412, "precondition-failed")
            self.assert_status(self.http.delete("/pools/again"), 204)

    def test_declared_pools_and_alpha_stay(self):
        self.assert_problem(self.http.delete("/pools/a"), 409, "declared-in-config")
        self.assert_problem(self.http.delete("/pools/alpha"), 409, "pool-permanent")
        self.assert_status(self.http.get("/pools/alpha"), 200)

    def test_data_stay_when_a_pool_is_unregistered(self):
        make = {"nickname": "shelf", "kind": "hdf5", "config": {}}
        self.assert_status(self.http.post_json("/pools", make), 201)
        self.assert_status(self.http.put_entry("shelf", "kept", b"still here"), 201)
        self.assert_status(self.http.delete("/pools/shelf"), 204)
        self.assert_status(self.http.post_json("/pools", make), 201)
        self.assertEqual(self.http.read("shelf", "kept").body, b"still here")
        self.assert_status(self.http.delete("/pools/shelf"), 204)


class Restarts(Case):
    """What was registered and wired at run time survives a clean end and a kill -9."""

    def build(self):
        daemon = self.new_daemon(config=POOLS)
        client = self.new_client(daemon)
        made = client.post_json("/pools", {"nickname": "shelf", "kind": "hdf5", "config": {"path": "own name.h5"}})
        self.assert_status(made, 201)
        made = client.post_json("/pools", {"nickname": "quick", "kind": "memory", "config": {"max_bytes": "1MiB"}})
        self.assert_status(made, 201)
        self.assert_status(client.put("/chain", "alpha << quick << shelf\na << b", {"Content-Type": "text/plain"}), 200)
        return daemon, client

    def remembered(self, client):
        return {
            "chain": client.get("/chain").body,
            "chain etag": client.get("/chain").header("ETag"),
            "links": {pool: client.get(f"/pools/{pool}/proxy_to").header("ETag") for pool in ("alpha", "a", "quick", "c")},
            "pools": [(pool["nickname"], pool["kind"], pool["config"]) for pool in client.get("/pools").json()["pools"]],
        }

    def check(self, end):
        daemon, client = self.build()
        self.assert_status(client.put_entry("shelf", "entry", b"on disk"), 201)
        before = self.remembered(client)
        self.assertEqual(before["chain"], b"a << b\nalpha << quick << shelf\n")
        client.close()
        end(daemon)
        daemon.start()
        client = self.new_client(daemon)
        self.assertEqual(self.remembered(client), before)
        # Generations go on from where they were: none comes back for another wiring.
        client.put_json("/pools/c/proxy_to", {"pool": "d"})
        after = client.get("/chain").header("ETag")
        self.assertNotEqual(after, before["chain etag"])
        return daemon, client

    def test_a_clean_end(self):
        daemon, client = self.check(lambda daemon: daemon.stop())
        self.assertEqual(client.read("alpha", "entry").body, b"on disk")

    def test_a_crash(self):
        self.check(lambda daemon: daemon.kill())

    def test_a_removed_pool_stays_removed(self):
        daemon, client = self.build()
        self.assert_status(client.delete("/pools/alpha/proxy_to"), 204)
        self.assert_status(client.delete("/pools/quick"), 204)
        client.close()
        daemon.kill()
        daemon.start()
        client = self.new_client(daemon)
        self.assert_status(client.get("/pools/quick"), 404)
        self.assertEqual(client.get("/chain").body, b"a << b\n")

    def test_the_chain_of_the_config(self):
        """It is the first wiring; what was wired since wins, until the config says something else."""
        daemon = self.new_daemon(config='chain = "a << b"\n' + POOLS)
        client = self.new_client(daemon)
        self.assertEqual(client.get("/chain").body, b"a << b\n")
        self.assert_status(client.put("/chain", "c << d", {"Content-Type": "text/plain"}), 200)
        client.close()
        daemon.restart()
        self.assertEqual(self.new_client(daemon).get("/chain").body, b"c << d\n")
        daemon.config = 'chain = ["a << b", "c << b"]\n' + POOLS
        daemon.restart()
        self.assertEqual(self.new_client(daemon).get("/chain").body, b"a << b\nc << b\n")
        daemon.restart()
        self.assertEqual(self.new_client(daemon).get("/chain").body, b"a << b\nc << b\n")

    def test_a_link_to_a_vanished_pool_is_cleared(self):
        daemon = self.new_daemon(config=POOLS)
        client = self.new_client(daemon)
        self.assert_status(client.put("/chain", "a << b << c", {"Content-Type": "text/plain"}), 200)
        client.close()
        daemon.config = POOLS.replace('[pools.c]\nkind = "memory"\n', "")
        daemon.restart()
        client = self.new_client(daemon)
        self.assertEqual(client.get("/chain").body, b"a << b\n")
        self.assertIsNone(client.proxy_of("b"))

    def test_a_clash_with_the_config(self):
        """On a clash of nicknames the config wins."""
        daemon, client = self.build()
        client.close()
        daemon.config = POOLS + '[pools.quick]\nkind = "hdf5"\n'
        daemon.restart()
        client = self.new_client(daemon)
        self.assertEqual(client.get("/pools/quick").json()["kind"], "hdf5")
        self.assert_status(client.put("/chain", "", {"Content-Type": "text/plain"}), 200)
        self.assert_problem(client.delete("/pools/quick"), 409, "declared-in-config")


class UnderTraffic(Case):
    def test_rewiring_under_traffic(self):
        """Readers run while the wiring changes all the time: every answer is either an entry of one of the wirings or absent, never
        an error and never a mixture."""
        daemon = self.new_daemon(config=POOLS)
        client = self.new_client(daemon)
        for pool in ("c", "d"):
            for number in range(20):
                self.assert_status(client.put_entry(pool, f"k{number}", f"{pool}{number}".encode() * 100), 201)
        stop = threading.Event()
        wrong, reads = [], []

        def read():
            with daemon.client() as reader:
                number = 0
                while not stop.is_set():
                    number = (number + 1) % 20
                    answer = reader.get(entry_target("a", f"k{number}"))
                    reads.append(answer.status)
                    bodies = [f"{pool}{number}".encode() * 100 for pool in ("c", "d")]
                    if answer.status not in (200, 404) or (answer.status == 200 and answer.body not in bodies):
                        wrong.append(answer)

        readers = [threading.Thread(target=read) for _ in range(6)]
        for reader in readers:
            reader.start()
        for turn in range(120):
            text = ("a << b << c", "a << d", "a << b << d", "")[turn % 4]
            self.assert_status(client.put("/chain", text, {"Content-Type": "text/plain"}), 200)
            self.assert_status(client.delete("/pools/a/entries?all=true"), 204)
            self.assert_status(client.delete("/pools/b/entries?all=true"), 204)
        stop.set()
        for reader in readers:
            reader.join()
        self.assertEqual(wrong, [])
        self.assertIn(200, reads)
        # When it is quiet again the last wiring is what counts.
        self.assert_status(client.put("/chain", "a << c", {"Content-Type": "text/plain"}), 200)
        self.assert_status(client.delete("/pools/a/entries?all=true"), 204)
        self.assertEqual(client.read("a", "k3").body, b"c3" * 100)

    def test_a_read_in_flight_finishes_on_its_chain(self):
        origin = Origin()
        self.addCleanup(origin.stop)
        daemon = self.new_daemon(config='chain = "a << s3"\n' + POOLS + origin.pool("s3"))
        client = self.new_client(daemon)
        key = object_name("in flight")
        origin.put(key, b"from the old origin")
        self.assert_status(client.put_entry("d", "in flight", b"from the new origin"), 201)
        gate = origin.hold(key)
        reader = self.new_client(daemon)
        reader.send("GET", entry_target("a", "in flight"))
        gate.reached()
        self.assert_status(client.put("/chain", "a << d", {"Content-Type": "text/plain"}), 200)
        # A read of the new wiring does not join the old one's flight.
        self.assertEqual(client.read("a", "in flight").body, b"from the new origin")
        gate.open()
        self.assertEqual(reader.receive().body, b"from the old origin")
