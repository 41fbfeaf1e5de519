"""The daemon as a process: where it listens, how it ends, what it refuses, what it keeps."""

import hashlib
import os
import signal
import socket
import threading

from client import entry_target
from harness import Case, Daemon, run_binary, until
from origin import Origin, object_name

MIB = 1024 * 1024
DISK = '[pools.disk]\nkind = "hdf5"\n'


class Listening(Case):
    def test_the_bound_address_is_told_twice(self):
        """On one line of standard error and in DATA/listen."""
        daemon = self.new_daemon()
        told = (daemon.data / "listen").read_text(encoding="utf-8").strip()
        self.assertEqual(told, f"127.0.0.1:{daemon.port}")
        self.assertEqual(sum(told in line for line in daemon.log().splitlines()), 1)
        answer = self.new_client(daemon).get("/livez")
        self.assertEqual(answer.status, 200)

    def test_two_daemons_side_by_side(self):
        first, second = self.new_daemon(), self.new_daemon()
        self.assertNotEqual(first.port, second.port)
        self.assert_status(self.new_client(first).put_entry("alpha", "x", b"first"), 201)
        self.assertFalse(self.new_client(second).exists("alpha", "x"))

    def test_a_port_in_use(self):
        first = self.new_daemon()
        second = Daemon(args=["--listen", f"127.0.0.1:{first.port}"])
        self.addCleanup(second.remove)
        second.spawn()
        self.assertEqual(second.wait(), 1)
        self.assertIn(str(first.port), second.log())
        second.check_log()

    def test_a_second_daemon_on_the_same_data(self):
        first = self.new_daemon()
        client = self.new_client(first)
        self.assert_status(client.put_entry("hdf5", "x", b"kept"), 201)
        listen = (first.data / "listen").read_text(encoding="utf-8")
        done = run_binary("--listen", "127.0.0.1:0", "--data-dir", str(first.data))
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn(str(first.data), done.stderr)
        self.assertEqual((first.data / "listen").read_text(encoding="utf-8"), listen)
        self.assertEqual(client.read("hdf5", "x").body, b"kept")

    def test_a_data_directory_that_cannot_be(self):
        daemon = Daemon()
        self.addCleanup(daemon.remove)
        daemon.data.write_text("a file is in the way")
        done = run_binary("--listen", "127.0.0.1:0", "--data-dir", str(daemon.data))
        self.assertEqual(done.returncode, 1)
        self.assertIn(str(daemon.data), done.stderr)

    def test_it_listens_at_once_while_a_store_is_down(self):
        """A remote pool that does not answer holds nothing up and does not end the daemon."""
        with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts nothing, answers nothing
            origin_down = f'endpoint = "http://127.0.0.1:{silent.getsockname()[1]}"\n'
            config = (
                'chain = "alpha << s3"\n[pools.s3]\nkind = "s3"\nbucket = "b"\nregion = "r"\naddressing = "path"\n'
                'access_key_id = "k"\nsecret_access_key = "s"\n' + origin_down
            )
            daemon = self.new_daemon(config=config)
            client = self.new_client(daemon)
            self.assertEqual(client.get("/livez").status, 200)
            self.assert_status(client.put_entry("alpha", "x", b"x"), 201)
            self.assertEqual(client.read("alpha", "x").body, b"x")
            client.close()
            daemon.stop()


class HealthCheck(Case):
    """lailad --healthcheck: what a container engine runs, with the daemon's own environment."""

    def ask(self, daemon, **more):
        return run_binary("--healthcheck", env={"LAILAD_DATA_DIR": str(daemon.data), **more})

    def test_alive_and_gone(self):
        daemon = Daemon(args=["--listen", "0.0.0.0:0"], token="0123456789abcdef")
        self.addCleanup(daemon.remove)
        daemon.start()
        done = self.ask(daemon)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        daemon.stop()
        done = self.ask(daemon)
        self.assertEqual(done.returncode, 1)
        self.assertIn("No such file", done.stderr)

    def test_whatever_host_it_answers_to(self):
        daemon = self.new_daemon(config='allowed_hosts = ["pools.example"]\n')
        self.assertEqual(self.ask(daemon).returncode, 0)

    def test_a_daemon_that_hangs_or_lies(self):
        daemon = Daemon()
        self.addCleanup(daemon.remove)
        daemon.data.mkdir()
        for name, answer in {
            "silent": None,
            "closed": b"",
            "error": b"HTTP/1.1 503 Service Unavailable\r\n\r\n",
            "not HTTP": b"SSH-2.0-OpenSSH_9.2p1\r\n",
        }.items():
            with self.subTest(name), socket.create_server(("127.0.0.1", 0)) as server:
                (daemon.data / "listen").write_text("127.0.0.1:%d\n" % server.getsockname()[1])
                threading.Thread(target=self.answer_once, args=(server, answer), daemon=True).start()
                done = self.ask(daemon)
                self.assertEqual(done.returncode, 1)
                self.assertIn("lailad: ", done.stderr)
        (daemon.data / "listen").write_text("nonsense\n")
        self.assertEqual(self.ask(daemon).returncode, 1)

    def test_an_answer_that_comes_too_slowly(self):
        """One deadline for everything, not one for each byte."""
        daemon = Daemon()
        self.addCleanup(daemon.remove)
        daemon.data.mkdir()
        enough = threading.Event()
        with socket.create_server(("127.0.0.1", 0)) as server:
            (daemon.data / "listen").write_text("127.0.0.1:%d\n" % server.getsockname()[1])
            trickle = threading.Thread(target=self.trickle_once, args=(server, enough), daemon=True)
            trickle.start()
            done = self.ask(daemon)
        enough.set()
        trickle.join()
        self.assertEqual(done.returncode, 1)
        self.assertIn("no answer within 2 s", done.stderr)

    @staticmethod
    def trickle_once(server, enough):
        connection, _ = server.accept()
        with connection:
            connection.recv(4096)
            for byte in b"HTTP/1.0 200 OK\r\n\r\n":
                if enough.wait(0.5):
                    return
                connection.send(bytes([byte]))

    @staticmethod
    def answer_once(server, answer):
        connection, _ = server.accept()
        with connection:
            connection.recv(4096)
            if answer is None:
                connection.recv(1)  # until the other side has had enough
            else:
                connection.sendall(answer)


class Ending(Case):
    PATIENT = "drain_timeout_s = 60\n" + DISK

    def big(self, daemon, size=24 * MIB):
        body = hashlib.shake_256(b"big").digest(size)
        with daemon.client() as client:
            self.assert_status(client.put_entry("disk", "big", body), 201)
        return body

    def begin_download(self, daemon):
        """A client that has taken the first bytes of the answer and no more."""
        raw = daemon.raw()
        self.addCleanup(raw.close)
        raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        raw.send(b"GET /pools/disk/entries/big HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        until(lambda: raw._more() and len(raw.kept) > 1000, "the first bytes")
        return raw

    def refuses_connections(self, daemon):
        try:
            socket.create_connection((daemon.host, daemon.port), timeout=5).close()
            return False
        except OSError:
            return True

    def test_sigterm_lets_a_download_finish(self):
        daemon = self.new_daemon(config=self.PATIENT)
        body = self.big(daemon)
        raw = self.begin_download(daemon)
        daemon.process.send_signal(signal.SIGTERM)
        until(lambda: self.refuses_connections(daemon), "the listener to close")
        self.assertTrue(daemon.is_running(), "it did not wait for the download")
        answer = raw.answer()
        self.assertEqual((answer.status, hashlib.sha256(answer.body).digest()), (200, hashlib.sha256(body).digest()))
        self.assertEqual(daemon.wait(), 0)
        daemon.check_log()

    def test_sigterm_lets_an_upload_finish(self):
        daemon = self.new_daemon(config=self.PATIENT)
        body = hashlib.shake_256(b"upload").digest(2 * MIB)
        with daemon.raw() as raw:
            raw.send(f"PUT /pools/disk/entries/up HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n".encode())
            raw.send(body[:MIB])
            until(lambda: daemon.unread_bytes() == 0, "the daemon to begin with it")
            daemon.process.send_signal(signal.SIGTERM)
            until(lambda: self.refuses_connections(daemon), "the listener to close")
            raw.send(body[MIB:])
            answer = raw.answer()
            self.assertIsNotNone(answer, "the upload was cut off")
            self.assertEqual(answer.status, 201)
        self.assertEqual(daemon.wait(), 0)
        daemon.start()
        self.assertEqual(self.new_client(daemon).read("disk", "up").body, body)

    def test_sigterm_lets_a_fetch_finish(self):
        origin = Origin()
        self.addCleanup(origin.stop)
        daemon = self.new_daemon(config='drain_timeout_s = 60\nchain = "alpha << s3"\n' + origin.pool("s3"))
        name = object_name("slow")
        origin.put(name, b"worth waiting for")
        gate = origin.hold(name)
        client = self.new_client(daemon)
        client.send("GET", entry_target("alpha", "slow"))
        gate.reached()
        daemon.process.send_signal(signal.SIGTERM)
        until(lambda: self.refuses_connections(daemon), "the listener to close")
        gate.open()
        answer = client.receive()
        self.assertEqual((answer.status, answer.body), (200, b"worth waiting for"))
        self.assertEqual(daemon.wait(), 0)

    def test_who_still_waits_when_the_time_is_over_is_answered(self):
        """On a store that hangs: at work on it, in the queue for its threads, and in a flight that others began."""
        origin = Origin()
        self.addCleanup(origin.stop)
        name = object_name("slow")
        origin.put(name, b"never comes")
        for gate in (origin.hold(name), origin.hold_put(name)):
            self.addCleanup(gate.open)
        config = 'drain_timeout_s = 1\nremote_threads = 4\nchain = "alpha << s3"\n' + origin.pool("s3")
        daemon = self.new_daemon(config=config)
        asked = [("PUT", "s3")] + [("GET", "s3")] * 5 + [("GET", "alpha")] * 3
        clients = [self.new_client(daemon) for _ in asked]
        for client, (method, pool) in zip(clients, asked):
            client.send(method, entry_target(pool, "slow"), b"x" if method == "PUT" else None)
            if method == "PUT":
                until(lambda: origin.count("PUT", name), "the write to begin")
        until(lambda: origin.count("GET", name) >= 2, "the reads to begin")
        until(lambda: daemon.unread_bytes() == 0, "the daemon to take what was sent")
        daemon.process.send_signal(signal.SIGTERM)
        for client, what in zip(clients, asked):
            with self.subTest(what):
                answer = client.receive()
                self.assert_problem(answer, 503, "draining")
                self.assertEqual((answer.header("Connection"), answer.header("Retry-After")), ("close", "1"))
        self.assertEqual(daemon.wait(), 0)
        daemon.check_log()

    def test_idle_connections_do_not_hold_it(self):
        daemon = self.new_daemon()
        idle = [daemon.raw() for _ in range(5)]
        kept_alive = self.new_client(daemon)
        self.assertEqual(kept_alive.get("/livez").status, 200)
        daemon.process.send_signal(signal.SIGTERM)
        self.assertEqual(daemon.wait(10), 0)
        for raw in idle:
            raw.close()

    def test_sigint_is_a_clean_end_too(self):
        daemon = self.new_daemon(config=DISK)
        self.assert_status(self.new_client(daemon).put_entry("disk", "x", b"x"), 201)
        daemon.process.send_signal(signal.SIGINT)
        self.assertEqual(daemon.wait(), 0)
        daemon.check_log()

    def test_the_address_file_does_not_outlive_the_daemon(self):
        """Who finds DATA/listen may rely on it, as far as a clean end can see to that."""
        daemon = self.new_daemon()
        daemon.stop()
        self.assertFalse((daemon.data / "listen").exists())


class Keeping(Case):
    def test_an_emptied_state_is_told(self):
        daemon = self.new_daemon(config=DISK)
        self.assertNotIn("state.db", daemon.log())
        daemon.stop()
        os.truncate(daemon.data / "state.db", 0)
        daemon.start()
        self.assertIn("state.db is empty", daemon.log())
        self.assert_status(self.new_client(daemon).get("/readyz"), 200)

    def test_a_restart_keeps_disk_entries_and_forgets_memory(self):
        daemon = self.new_daemon(config=DISK)
        client = self.new_client(daemon)
        bodies = {f"e{number}": hashlib.shake_256(b"%d" % number).digest(number * 37) for number in range(200)}
        for entry_id, body in bodies.items():
            self.assert_status(client.put_entry("disk", entry_id, body, {"Content-Type": f"x/{entry_id}"}), 201)
        before = {entry_id: client.read("disk", entry_id).header("ETag") for entry_id in bodies}
        self.assert_status(client.put_entry("alpha", "gone", b"x"), 201)
        client.close()
        daemon.restart()
        client = self.new_client(daemon)
        for entry_id, body in bodies.items():
            answer = self.assert_status(client.read("disk", entry_id), 200)
            self.assertEqual((answer.body, answer.header("Content-Type")), (body, f"x/{entry_id}"))
            self.assertEqual(answer.header("ETag"), before[entry_id])
        self.assertEqual(client.ids("disk"), set(bodies))
        self.assertFalse(client.exists("alpha", "gone"))
        self.assertEqual(client.get("/pools/disk").json()["counts"]["entries"], 200)

    def test_no_false_answers_while_an_index_loads(self):
        """From the first moment of listening every stored entry is found and no other is."""
        daemon = self.new_daemon(config=DISK)
        client = self.new_client(daemon)
        for number in range(3000):
            client.put_entry("disk", f"entry {number}", b"%d" % number)
        client.close()
        for first in (0, 1499, 2999):
            daemon.restart()
            client = self.new_client(daemon)
            self.assertEqual(self.assert_status(client.read("disk", f"entry {first}"), 200).body, b"%d" % first)
            self.assert_status(client.read("disk", "entry 3000"), 404)
            self.assertTrue(client.exists("disk", f"entry {2999 - first}"))
            client.close()

    def test_the_capability_tells_the_truth(self):
        """The HDF5 file survives the loss of power, memory does not, and the pools say so."""
        daemon = self.new_daemon(config=DISK)
        client = self.new_client(daemon)
        self.assertIs(client.get("/pools/disk").json()["capabilities"]["durable"], True)
        self.assertIs(client.get("/pools/alpha").json()["capabilities"]["durable"], False)

    def test_what_lies_in_the_data_directory_is_private(self):
        daemon = self.new_daemon()
        client = self.new_client(daemon)
        secret = {"bucket": "b", "region": "r", "access_key_id": "AKEXAMPLE", "secret_access_key": "do-not-store-me-plainly"}
        self.assert_status(client.post_json("/pools", {"nickname": "s3", "kind": "s3", "config": secret}), 201)
        client.close()
        daemon.stop()
        for path in daemon.data.rglob("*"):
            if path.is_file():
                self.assertNotIn(b"do-not-store-me-plainly", path.read_bytes(), path.name)
        key = daemon.data / "state.key"
        self.assertEqual(key.stat().st_mode & 0o777, 0o600)
        daemon.start()
        self.assertNotEqual(self.new_client(daemon).get("/pools/s3").json()["state"]["status"], "needs-credentials")

    def test_literal_secrets_without_their_key(self):
        """Lost with state.key: the pool is there, and says what it needs."""
        daemon = self.new_daemon()
        client = self.new_client(daemon)
        secret = {"bucket": "b", "region": "r", "access_key_id": "AKEXAMPLE", "secret_access_key": "sealed"}
        self.assert_status(client.post_json("/pools", {"nickname": "s3", "kind": "s3", "config": secret}), 201)
        client.close()
        daemon.stop()
        (daemon.data / "state.key").unlink()
        daemon.start()
        self.assertEqual(self.new_client(daemon).get("/pools/s3").json()["state"]["status"], "needs-credentials")


class Resources(Case):
    def test_descriptors_do_not_leak(self):
        """After a thousand connections, half of them broken off, as many descriptors are open as before."""
        daemon = self.new_daemon(config=DISK)
        client = self.new_client(daemon)
        self.assert_status(client.put_entry("disk", "x", b"x" * 100000), 201)

        def count():
            return len(os.listdir(f"/proc/{daemon.process.pid}/fd"))

        client.read("disk", "x")
        before = count()
        for number in range(1000):
            with daemon.raw() as raw:
                if number % 4 == 0:
                    raw.send(b"GET /pools/disk/entries/x HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                elif number % 4 == 1:
                    raw.send(b"PUT /pools/disk/entries/y HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n123")
                elif number % 4 == 2:
                    raw.send(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                    raw.answer()
        until(lambda: count() <= before + 4, f"the descriptors to go back to {before}")
