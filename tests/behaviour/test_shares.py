"""A store that hangs holds half of a lane at most: pools on other stores answer in their usual time meanwhile."""

import time

from client import entry_target
from harness import DaemonCase, until
from origin import Origin, object_name

HANGING = 100  # more than the 64 threads of either lane
USUAL_SECONDS = 8  # a hanging store costs 30 before it is given up
BODY = b'{"message": "hello"}'


class Shares(DaemonCase):
    """a << hung and b << well, on two stores."""

    @classmethod
    def setUpClass(cls):
        cls.hung, cls.well = Origin(), Origin()
        cls.addClassCleanup(cls.hung.stop)
        cls.addClassCleanup(cls.well.stop)
        cls.config = (
            'chain = ["a << hung", "b << well"]\n[pools.a]\nkind = "memory"\n[pools.b]\nkind = "memory"\n'
            + cls.hung.pool("hung", "max_parallel = 256")
            + cls.well.pool("well")
        )
        super().setUpClass()

    def hang(self, targets, keys):
        """Sends the requests, which all come to stand at one gate or wait for a thread; the function returned opens it and gives the answers."""
        gate = self.hung.hold(keys[0])
        for key in keys:
            self.hung.put(key, BODY)
            self.hung.script(key).gate = gate
        clients = [self.new_client(self.daemon) for _ in targets]
        for client, (method, target, headers) in zip(clients, targets):
            client.send(method, target, headers=headers)
        # As many as may, and no more: what is over waits without a thread.
        until(lambda: self.hung.total("GET") >= self.began + 32, "half of the lane to hang")

        def end():
            gate.open()
            return [client.receive() for client in clients]

        return end

    def setUp(self):
        super().setUp()
        self.began = self.hung.total("GET")
        self.quick = self.new_client(self.daemon, timeout=USUAL_SECONDS)

    def expect_quick(self, pool):
        """Reads, writes and what the chain is asked, on the other store."""
        for number in range(5):
            name = f"{self._testMethodName} {number}"
            self.well.put(object_name(name), BODY)
            self.assertEqual(self.assert_status(self.quick.read(pool, name), 200).body, BODY)
            self.assert_status(self.quick.head(entry_target(pool, name) + "?scope=chain"), 200)
            self.assert_status(self.quick.put_entry("well", name, b"new"), 204)
            self.assert_status(self.quick.delete(entry_target("well", name)), 204)

    def test_requests_to_the_pool_itself(self):
        names = [f"direct {number}" for number in range(HANGING)]
        targets = [("GET", entry_target("hung", name), None) for name in names]
        end = self.hang(targets, [object_name(name) for name in names])
        self.expect_quick("well")
        self.assertEqual(self.hung.total("GET"), self.began + 32)
        self.assertEqual({(answer.status, answer.body) for answer in end()}, {(200, BODY)})

    def test_what_needs_no_store_does_not_wait_for_it(self):
        """The hanging pool itself: what it is, what it proxies to, and what was asked wrongly."""
        names = [f"known {number}" for number in range(HANGING)]
        targets = [("GET", entry_target("hung", name), None) for name in names]
        end = self.hang(targets, [object_name(name) for name in names])
        ask, entry = self.quick.ask, entry_target("hung", "any")
        self.assert_status(ask("GET", "/pools/hung"), 200)
        self.assert_status(ask("HEAD", "/pools/hung"), 200)
        self.assert_status(ask("GET", "/pools"), 200)
        self.assert_status(ask("GET", "/pools/hung/proxy_to"), 200)
        self.assert_status(self.quick.put_json("/pools/hung/proxy_to", {"pool": "b"}), 200)
        self.assert_status(ask("DELETE", "/pools/hung/proxy_to"), 204)
        self.assert_problem(ask("DELETE", "/pools/hung"), 409, "declared-in-config")
        for work in ("compact", "scrub"):
            self.assert_problem(ask("GET", f"/pools/hung/{work}"), 501, "unsupported")
            self.assert_problem(ask("POST", f"/pools/hung/{work}"), 501, "unsupported")
        self.assert_problem(ask("DELETE", "/pools/hung/entries"), 400, "confirm-empty")
        self.assert_problem(ask("GET", "/pools/hung/entries?limit=0"), 400, "invalid-query")
        for method in ("GET", "HEAD", "PUT", "DELETE"):
            answer = ask(method, entry, b"x" if method == "PUT" else None, {"If-Match": "no tag"})
            self.assertEqual((method, answer.status), (method, 400))
        self.assertEqual({(answer.status, answer.body) for answer in end()}, {(200, BODY)})

    def test_nothing_is_asked_for_clients_that_have_left(self):
        names = [f"left {number}" for number in range(HANGING)]
        keys = [object_name(name) for name in names]
        gate = self.hung.hold(keys[0])
        for key in keys:
            self.hung.put(key, BODY)
            self.hung.script(key).gate = gate
        clients = [self.daemon.raw() for _ in names]
        for raw, name in zip(clients, names):
            raw.send(f"GET {entry_target('hung', name)} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        until(lambda: self.hung.total("GET") >= self.began + 32, "half of the lane to hang")
        for raw in clients:
            raw.close()
        left = time.monotonic()
        until(lambda: time.monotonic() - left > 1.5, "the daemon's patience to end")
        gate.open()
        self.hung.put(object_name("stays"), BODY)
        self.assertEqual(self.assert_status(self.quick.read("hung", "stays"), 200).body, BODY)
        # It was the last in the queue: all the others have had their turn.
        self.assertEqual(self.hung.total("GET"), self.began + 33)

    def test_reads_through_a_chain(self):
        names = [f"through {number}" for number in range(HANGING)]
        targets = [("GET", entry_target("a", name), None) for name in names]
        end = self.hang(targets, [object_name(name) for name in names])
        self.expect_quick("b")
        self.assertEqual(self.hung.total("GET"), self.began + 32)
        self.assertEqual({(answer.status, answer.body) for answer in end()}, {(200, BODY)})
