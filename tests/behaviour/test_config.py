"""Configuration and command line: every error names the file, the line, the key and what was expected."""

import json
import pathlib
import re
import shutil
import socket
import tempfile

from harness import Case, Daemon, run_binary

MEMORY = '[pools.a]\nkind = "memory"\n'
S3 = '[pools.s3]\nkind = "s3"\nbucket = "b"\nregion = "r"\naccess_key_id = "k"\nsecret_access_key = "s"\n'

# name: (configuration, line of the mistake, words the message must have)
WRONG = {
    "unknown_key": ('listen = "127.0.0.1:0"\ncolour = "red"\n', 2, ["colour"]),
    "unknown_table": ("[server]\nthreads = 4\n", 1, ["server"]),
    "listen_is_number": ("\n\nlisten = 8080\n", 3, ["listen", "string"]),
    "listen_without_port": ('listen = "127.0.0.1"\n', 1, ["listen"]),
    "listen_port_too_big": ('listen = "127.0.0.1:65536"\n', 1, ["listen"]),
    "listen_nonsense": ('listen = "here"\n', 1, ["listen"]),
    "listen_beyond_loopback": ('\nlisten = "0.0.0.0:0"\n', 2, ["listen: 0.0.0.0:0", "--insecure"]),
    "data_dir_is_empty": ('data_dir = ""\n', 1, ["data_dir: expected", "folder"]),
    "data_dir_is_date": ("data_dir = 2020-01-01\n", 1, ["data_dir: expected a string"]),
    "token_is_empty": ('token = ""\n', 1, ["token: expected one word"]),
    "token_of_two_lines": ('token = "a\\nb"\n', 1, ["token: expected one word"]),
    "token_file_is_empty": ('\ntoken_file = ""\n', 2, ["token_file: expected", "file"]),
    "token_file_is_missing": ('\ntoken_file = "/nonexistent/t"\n', 2, ["token_file: /nonexistent/t: No such file"]),
    "token_file_is_folder": ('token_file = "/"\n', 1, ["token_file: /: Is a directory"]),
    "token_told_twice": ('token = "t"\n\ntoken_file = "/nonexistent/t"\n', 3, ["token_file:", "line 1", "only one of the two"]),
    "data_dir_is_number": ("data_dir = 7\n", 1, ["data_dir", "string"]),
    "chain_is_number": ("chain = 7\n", 1, ["chain"]),
    "chain_of_numbers": ('chain = ["alpha << a", 5]\n' + MEMORY, 1, ["chain"]),
    "pools_is_text": ('pools = "many"\n', 1, ["pools"]),
    "pool_is_text": ('[pools]\na = "memory"\n', 2, ["a"]),
    "pool_without_kind": ("[pools.a]\nmax_bytes = 5\n", 1, ["a", "kind"]),
    "kind_unknown": ('[pools.a]\nkind = "floppy"\n', 2, ["kind", "floppy", "memory"]),
    "kind_is_number": ("[pools.a]\nkind = 5\n", 2, ["kind", "string"]),
    "option_unknown": (MEMORY + 'colour = "red"\n', 3, ["colour"]),
    "option_of_another_kind": (MEMORY + 'bucket = "b"\n', 3, ["bucket"]),
    "size_is_flag": (MEMORY + "max_bytes = true\n", 3, ["max_bytes"]),
    "size_is_nonsense": (MEMORY + 'max_bytes = "many"\n', 3, ["max_bytes", "many"]),
    "size_is_negative": (MEMORY + "max_bytes = -1\n", 3, ["max_bytes"]),
    "size_is_fraction": (MEMORY + "max_bytes = 1.5\n", 3, ["[pools.a] max_bytes: expected a number of bytes"]),
    "option_unknown_and_list": (MEMORY + "colour = []\n", 3, ["colour: unknown option"]),
    "hosts_by_pattern": ('\nallowed_hosts = ["*.example"]\n', 2, ["allowed_hosts: expected", "*.example"]),
    "found_cut_in_a_character": (MEMORY + f'max_bytes = "x{"ä" * 60}"\n', 3, ["ä?"]),
    "found_on_two_lines": (MEMORY + 'cache_control = "x\\r\\nA: b"\n', 3, ['(found "x??A: b")']),
    "size_has_bad_unit": (MEMORY + 'max_bytes = "5 parsecs"\n', 3, ["max_bytes"]),
    "count_is_text": (MEMORY + 'max_entries = "x"\n', 3, ["max_entries"]),
    "flag_is_text": ('[pools.h]\nkind = "hdf5"\nread_only = "yes"\n', 3, ["read_only"]),
    "choice_unknown": (S3 + 'addressing = "sideways"\n', 7, ["addressing", "path", "virtual"]),
    "s3_endpoint_of_another_scheme": (S3 + 'endpoint = "ftp://host"\n', 7, ["s3", "endpoint", "http"]),
    "s3_endpoint_without_host": (S3 + 'endpoint = "http://"\n', 7, ["endpoint"]),
    "s3_endpoint_port_too_big": (S3 + 'endpoint = "http://host:99999"\n', 7, ["endpoint", "PORT"]),
    "s3_region_of_two_lines": (S3.replace('"r"', '"us\\r\\nX: y"'), 4, ["region"]),
    "s3_bucket_with_slash": (S3.replace('"b"', '"b/c"'), 3, ["bucket"]),
    "s3_secret_with_space": (S3.replace('"s"', '"s s"'), 6, ["secret_access_key"]),
    "nickname_with_space": ('[pools."a b"]\nkind = "memory"\n', 1, ["a b"]),
    "nickname_too_long": (f'[pools.{"n" * 65}]\nkind = "memory"\n', 1, ["n" * 65]),
    "alpha_of_another_kind": ('[pools.alpha]\nkind = "hdf5"\n', 2, ["alpha"]),
    "required_is_missing": ('[pools.s3]\nkind = "s3"\nregion = "r"\n', 1, ["s3", "bucket"]),
    "undefined_name": ('[pools.h]\nkind = "hdf5"\npath = "${NO_SUCH_NAME}.h5"\n', 3, ["path", "NO_SUCH_NAME"]),
    "unclosed_name": ('[pools.h]\nkind = "hdf5"\npath = "${NO"\n', 3, ["path"]),
    "toml_no_value": ("listen =\n", 1, []),
    "toml_unclosed_string": ('listen = "127\n', 1, []),
    "toml_key_twice": ('data_dir = "a"\ndata_dir = "b"\n', 2, ["data_dir"]),
    "toml_table_twice": (MEMORY + MEMORY, 3, []),
    "toml_nonsense": ("\n\n{]\n", 3, []),
    "toml_key_beyond_ascii": ("\ngröße = 1\n", 2, ["key", "ö"]),
    "toml_table_beyond_ascii": ('[pools.ä]\nkind = "memory"\n', 1, ["key", "ä"]),
    "toml_value_beyond_ascii": ("listen = ä\n", 1, ["value"]),
    "toml_key_of_many_parts": ("\n" + "a." * 100000 + "a = 1\n", 2, ["dots"]),
    "toml_table_of_many_parts": ("[" + "a." * 100000 + "a]\n", 1, ["dots"]),
    "toml_values_nested_deeply": ("chain = " + "[" * 100000 + "]" * 100000 + "\n", 1, ["nested"]),
}


class ConfigCase(Case):
    def setUp(self):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="lailad-test-"))
        self.addCleanup(shutil.rmtree, self.home, True)

    def write(self, name, text):
        path = self.home / name
        path.write_text(text, encoding="utf-8")
        return path

    def check(self, config, *args, env=None, secrets=None):
        path = self.write("lailad.toml", config)
        if secrets is not None:
            self.write("secrets.toml", secrets)
        return run_binary("--config", str(path), "--data-dir", str(self.home / "data"), "--check-config", *args, env=env, cwd=self.home)

    def assert_refused(self, done, line, words):
        self.assertEqual(done.returncode, 1, f"{done.stdout}{done.stderr}")
        self.assertRegex(done.stderr, rf"lailad\.toml\W+(line )?{line}\b")
        for word in words:
            self.assertIn(word, done.stderr)
        self.assertNotIn("Sanitizer", done.stderr)


class Errors(ConfigCase):
    """One test per mistake; generated below."""

    def test_an_unknown_pool_in_the_chain(self):
        self.assert_refused(self.check(MEMORY.replace("[", 'chain = "alpha << none"\n[', 1)), 1, ["chain", "none"])

    def test_a_cycle_in_the_chain(self):
        self.assert_refused(self.check('chain = "alpha << a << alpha"\n' + MEMORY), 1, ["chain", "alpha", "a"])
        self.assert_refused(self.check('chain = "a << a"\n' + MEMORY), 1, ["chain", "a << a", "cycle"])

    def test_one_file_for_two_pools(self):
        """By whatever name: what counts is the file."""
        (self.home / "data" / "folder").mkdir(parents=True)
        (self.home / "data" / "link").symlink_to("folder")
        (self.home / "data" / "soon.h5").symlink_to("folder/there.h5")
        (self.home / "data" / "folder" / "there.h5").symlink_to(self.home / "data" / "x.h5")
        (self.home / "data" / "round.h5").symlink_to("round.h5")
        for first, second in (
            ('path = "x.h5"', 'path = "x.h5"'),
            ("", 'path = "a.h5"'),  # <nickname>.h5
            ('path = "x.h5"', 'path = "./folder//../x.h5"'),
            ('path = "folder/x.h5"', 'path = "link/x.h5"'),
            ('path = "x.h5"', f'path = "{self.home}/data/x.h5"'),
            ('path = "no/such/x.h5"', 'path = "no/../no/./such/x.h5"'),
            ('path = "x.h5"', 'path = "soon.h5"'),
            ('path = "round.h5"', 'path = "folder/../round.h5"'),
        ):
            with self.subTest(first=first, second=second):
                config = f'[pools.a]\nkind = "hdf5"\n{first}\n[pools.b]\nkind = "hdf5"\n{second}\n'
                self.assert_refused(self.check(config), 6, ["pools.b", "path", "pools.a"])
        config = '[pools.a]\nkind = "hdf5"\n[pools.b]\nkind = "hdf5"\npath = "folder/a.h5"\n'
        self.assertEqual(self.check(config).returncode, 0)
        self.assertEqual(sorted(path.name for path in (self.home / "data").iterdir()), ["folder", "link", "round.h5", "soon.h5"])

    def test_a_file_that_something_else_writes(self):
        """An hdf5 pool in DATA/listen would lose what it acknowledged when the daemon writes its address there."""
        data = self.home / "data"
        (data / "spool").mkdir(parents=True)
        (data / "listen").touch()
        (data / "link.h5").symlink_to("listen")
        (self.home / "elsewhere.h5").symlink_to("data/state.db")
        (self.home / "same").symlink_to("data")
        for path in (
            *("listen", "listen.new", "lock", "state.key", "state.key.new", "state.db", "state.db-wal", "state.db-shm"),
            *("./listen", "folder/../lock", str(data / "state.key"), "../same/state.db", "link.h5", "../elsewhere.h5"),
            *("spool", "spool/x.h5", "./spool/deep/x.h5", "uploads/s3/x.h5", ".", "..//data", "lock/x.h5"),
            *("x.h5-journal", "../x.h5-journal", "folder/x.hdf5-journal", ".x.h5.lailad-compact", "", "folder/"),
        ):
            with self.subTest(path=path):
                config = f'[pools.a]\nkind = "hdf5"\n\npath = "{path}"\n'
                self.assert_refused(self.check(config), 4, ["[pools.a] path must"])
        for path in ("listen.h5", "lock.h5", "spool.h5", "state.db.h5", "listener", "folder/listen", "../listen", "x.nxs", "journal"):
            with self.subTest(path=path):
                self.assertEqual(self.check(f'[pools.a]\nkind = "hdf5"\npath = "{path}"\n').returncode, 0)

    def test_no_file_in_the_data_directory_is_left_out(self):
        """Whatever a daemon keeps there beside its pools' files is refused as a pool's file, also over HTTP."""
        daemon = self.new_daemon(config='[pools.a]\nkind = "hdf5"\n' + S3)
        with daemon.client() as client:
            self.assert_status(client.put_entry("a", "x", b"x"), 201)
            pool = {"bucket": "b", "region": "r", "endpoint": "http://127.0.0.1:9", "access_key_id": "k", "secret_access_key": "s"}
            self.assert_status(client.post_json("/pools", {"nickname": "far", "kind": "s3", "config": pool}), 201)
            kept = sorted(path.name for path in daemon.data.iterdir() if path.name != "a.h5")
            self.assertLess({"listen", "lock", "spool", "state.db", "state.key", "a.h5-journal"}, set(kept))
            for name in (*kept, "spool/x.h5", "uploads/x.h5"):
                with self.subTest(name=name):
                    done = self.check(f'[pools.b]\nkind = "hdf5"\npath = "{name}"\n', "--data-dir", str(daemon.data))
                    self.assert_refused(done, 3, ["[pools.b] path must"])
                    answer = client.post_json("/pools", {"nickname": "b", "kind": "hdf5", "config": {"path": name}})
                    self.assertIn("path must", self.assert_problem(answer, 400, "invalid-config")["detail"])

    def test_a_bad_expression_in_the_chain(self):
        for text in ("alpha <<", "alpha < a", "alpha << a >> alpha"):
            with self.subTest(text=text):
                self.assert_refused(self.check(f'chain = "{text}"\n' + MEMORY), 1, ["chain"])

    def test_a_missing_file(self):
        done = run_binary("--config", str(self.home / "none.toml"), "--check-config", cwd=self.home)
        self.assertEqual(done.returncode, 1)
        self.assertIn("none.toml", done.stderr)

    def test_a_file_that_is_not_text(self):
        (self.home / "lailad.toml").write_bytes(b"\xff\xfe\x00listen")
        done = run_binary("--config", str(self.home / "lailad.toml"), "--check-config", cwd=self.home)
        self.assertEqual(done.returncode, 1)
        self.assertIn("lailad.toml", done.stderr)

    def test_values_from_elsewhere_name_their_place(self):
        """The variable or the flag where the file and its line would stand."""
        for env, args, words in (
            ({"LAILAD_LISTEN": "here"}, (), 'LAILAD_LISTEN: listen: expected ADDRESS:PORT, like 127.0.0.1:8080 or [::1]:8080 (found "here")'),
            ({"LAILAD_LISTEN": "0.0.0.0:0"}, (), "LAILAD_LISTEN: listen: 0.0.0.0:0: an address"),
            ({"LAILAD_LOG_LEVEL": "loud"}, (), "LAILAD_LOG_LEVEL: log_level: expected one of"),
            ({"LAILAD_POLL_THREADS": "65"}, (), 'LAILAD_POLL_THREADS: poll_threads: expected at most 64 (found "65")'),
            ({"LAILAD_ACCESS_LOG": "no"}, (), "LAILAD_ACCESS_LOG: access_log: expected true or false"),
            ({"LAILAD_TOKEN": "two words"}, (), "LAILAD_TOKEN: token: expected one word"),
            ({"LAILAD_TOKEN_FILE": "/nonexistent/t"}, (), "LAILAD_TOKEN_FILE: token_file: /nonexistent/t: No such file"),
            ({"LAILAD_TOKEN_FILE": "/", "LAILAD_TOKEN": "t"}, (), "LAILAD_TOKEN_FILE: token_file: the token is also set by value (LAILAD_TOKEN)"),
            ({}, ("--listen", "here"), "--listen: listen: expected ADDRESS:PORT"),
            ({"LAILAD_LISTEN": "127.0.0.1:0"}, ("--listen", "[::]:0"), "--listen: listen: [::]:0: an address"),
            ({}, ("--data-dir", "x" * 5000), "--data-dir: data_dir: expected the path of a folder"),
            ({}, ("--config", "/nonexistent/c"), "--config: /nonexistent/c: No such file"),
            ({}, ("--secrets", "/nonexistent/s"), "--secrets: /nonexistent/s: No such file"),
        ):
            with self.subTest(env=env, args=args):
                done = self.check(MEMORY, *args, env=env)
                self.assertEqual(done.returncode, 1)
                self.assertTrue(done.stderr.startswith("lailad: " + words), done.stderr)
                self.assertNotIn("two words", done.stderr)

    def test_what_the_start_finds_names_its_place(self):
        """The checks cannot know whether the folder can be made and the port is free."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            config = str(self.write("lailad.toml", f'\nlisten = "{address}"\ndata_dir = "/proc/none"\n'))
            data = ("--data-dir", str(self.home / "data"))
            for args, env, words in (
                (("--config", config), {}, f"{config}:3: data_dir: /proc/none: "),
                ((), {"LAILAD_DATA_DIR": "/proc/none"}, "LAILAD_DATA_DIR: data_dir: /proc/none: "),
                (("--data-dir", config), {}, f"--data-dir: data_dir: {config}: Not a directory"),
                (("--config", config, *data), {}, f"{config}:2: listen: {address}: "),
                (data, {"LAILAD_LISTEN": address}, f"LAILAD_LISTEN: listen: {address}: "),
            ):
                with self.subTest(args=args, env=env):
                    done = run_binary(*args, env=env, cwd=self.home)
                    self.assertEqual(done.returncode, 1)
                    self.assertIn("lailad: " + words, done.stderr)

    def test_mistakes_in_the_secrets_file(self):
        for secrets, line in (("AWS_REGION = \n", 1), ("A = 1\nB = \"x\n", 2)):
            with self.subTest(secrets=secrets):
                done = self.check(MEMORY, "--secrets", str(self.write("other.toml", secrets)))
                self.assertEqual(done.returncode, 1)
                self.assertRegex(done.stderr, rf"other\.toml\W+(line )?{line}\b")

    def test_a_missing_secrets_file(self):
        done = self.check(MEMORY, "--secrets", str(self.home / "none.toml"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("none.toml", done.stderr)

    def test_a_secret_is_not_repeated_in_a_message(self):
        done = self.check('[pools.h]\nkind = "hdf5"\nread_only = "${TOKEN}"\n', secrets='TOKEN = "hunter2hunter2"\n')
        self.assertEqual(done.returncode, 1)
        self.assertNotIn("hunter2", done.stderr)

    def test_checking_leaves_nothing_behind(self):
        self.assertEqual(self.check(MEMORY).returncode, 0)
        self.assertEqual(sorted(path.name for path in self.home.iterdir()), ["lailad.toml"])

    def test_the_daemon_refuses_what_the_check_refuses(self):
        path = self.write("lailad.toml", "colour = 1\n")
        done = run_binary("--config", str(path), "--data-dir", str(self.home / "data"), "--listen", "127.0.0.1:0")
        self.assert_refused(done, 1, ["colour"])


def add_errors():
    for name, arguments in WRONG.items():

        def test(self, arguments=arguments):
            config, line, words = arguments
            self.assert_refused(self.check(config), line, words)

        setattr(Errors, f"test_{name}", test)


add_errors()


class CommandLine(Case):
    def test_version(self):
        done = run_binary("--version")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout, r"^lailad [0-9]+\.[0-9]+\.[0-9]+")

    def test_help(self):
        done = run_binary("--help")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for flag in ("config", "secrets", "listen", "data-dir", "insecure", "check-config", "version", "help"):
            self.assertIn("--" + flag, done.stdout)

    def test_usage_errors(self):
        for args in (["--colour"], ["--listen"], ["stray"], ["--config"], ["-x"], ["--check-config=7"]):
            with self.subTest(args=args):
                done = run_binary(*args)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertTrue(done.stderr.strip())

    def test_a_bad_address(self):
        for address in ("nonsense", "127.0.0.1", "127.0.0.1:99999", "127.0.0.1:x", ":"):
            with self.subTest(address=address):
                done = run_binary("--listen", address, "--check-config")
                self.assertIn(done.returncode, (1, 2))
                self.assertIn(address, done.stderr)


class Names(ConfigCase):
    """${NAME}, $$, and where values come from."""

    def config_of(self, config, pool, secrets=None, env=None):
        daemon = self.new_daemon(config=config, secrets=secrets, env=env)
        return self.new_client(daemon).get(f"/pools/{pool}").json()["config"]

    def test_from_the_secrets_file(self):
        config = '[pools.h]\nkind = "hdf5"\npath = "${FILE_NAME}.h5"\n'
        self.assertEqual(self.config_of(config, "h", secrets='FILE_NAME = "secretly"\n')["path"], "secretly.h5")

    def test_from_the_environment(self):
        config = '[pools.h]\nkind = "hdf5"\npath = "${FILE_NAME}.h5"\n'
        self.assertEqual(self.config_of(config, "h", env={"FILE_NAME": "around"})["path"], "around.h5")

    def test_the_secrets_file_beats_the_environment(self):
        config = '[pools.h]\nkind = "hdf5"\npath = "${FILE_NAME}.h5"\n'
        found = self.config_of(config, "h", secrets='FILE_NAME = "file"\n', env={"FILE_NAME": "environment"})
        self.assertEqual(found["path"], "file.h5")

    def test_dollars(self):
        config = S3 + 'prefix = "a$$b$${c}/"\n'
        self.assertEqual(self.config_of(config, "s3")["prefix"], "a$b${c}/")

    def test_the_tutorials_names_fill_in_what_is_missing(self):
        secrets = (
            'AWS_BUCKET_NAME = "from-the-tutorial"\nAWS_ACCESS_KEY_ID = "key"\n'
            'AWS_SECRET_ACCESS_KEY = "hidden"\nAWS_REGION = "eu-west-1"\n'
        )
        found = self.config_of('[pools.s3]\nkind = "s3"\n', "s3", secrets=secrets)
        self.assertEqual((found["bucket"], found["region"]), ("from-the-tutorial", "eu-west-1"))
        self.assertNotIn("hidden", str(found))
        # What the pool says itself wins.
        found = self.config_of('[pools.s3]\nkind = "s3"\nbucket = "own"\n', "s3", secrets=secrets)
        self.assertEqual((found["bucket"], found["region"]), ("own", "eu-west-1"))

    def test_secrets_beside_the_config_are_found(self):
        self.write("secrets.toml", 'FILE_NAME = "beside"\n')
        path = self.write("lailad.toml", '[pools.h]\nkind = "hdf5"\npath = "${FILE_NAME}.h5"\n')
        done = run_binary("--config", str(path), "--check-config", cwd="/")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_sizes(self):
        for text, value in (("4096", 4096), ('"4 KiB"', 4096), ('"1MiB"', 1048576), ('"1 MB"', 1000000), ('"2GiB"', 2 << 30)):
            with self.subTest(text=text):
                found = self.config_of(MEMORY + f"max_bytes = {text}\n", "a")["max_bytes"]
                self.assertEqual(found, value)

    def test_a_flag_beats_the_file(self):
        """The harness gives --listen and --data-dir; the file's are not used."""
        config = f'listen = "127.0.0.1:1"\ndata_dir = "{self.home}/elsewhere"\n'
        daemon = self.new_daemon(config=config)
        self.assertEqual(self.new_client(daemon).get("/livez").status, 200)
        self.assertFalse((self.home / "elsewhere").exists())


TWO = MEMORY + '[pools.b]\nkind = "memory"\n'


class Environment(ConfigCase):
    """Every key in capitals beats the file; a list is one text."""

    def client_of(self, env, config=TWO, args=()):
        daemon = self.new_daemon(config=config, env=env, args=args)
        return self.new_client(daemon)

    def test_the_chain(self):
        config = 'chain = "alpha << b"\n' + TWO
        for text, chain in (
            ("alpha << a", b"alpha << a\n"),
            ("alpha << a; a << b ;", b"alpha << a << b\n"),
            ("\n b >> a\nalpha << b\n", b"a << b\nalpha << b\n"),
            ("alpha", b""),
            (";", b""),
            ("", b"alpha << b\n"),
        ):
            with self.subTest(text=text):
                self.assertEqual(self.client_of({"LAILAD_CHAIN": text}, config).get("/chain").body, chain)

    def test_without_a_file(self):
        daemon = Daemon(env={"LAILAD_CHAIN": "alpha"})
        self.addCleanup(daemon.remove)
        daemon.start()
        self.assertEqual(self.new_client(daemon).get("/chain").body, b"")

    def test_the_hosts(self):
        config = 'allowed_hosts = ["file.example"]\n' + TWO
        daemon = self.new_daemon(config=config, env={"LAILAD_ALLOWED_HOSTS": "one.example, two.example:8443,\n,"})
        for host, status in (("one.example", 200), ("two.example:8443", 200), ("file.example", 400), ("127.0.0.1", 400)):
            with self.subTest(host=host), daemon.raw() as raw:
                raw.send(f"GET /livez HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
                self.assertEqual(raw.answer().status, status)

    def test_the_origins(self):
        config = 'cors_origins = ["https://file.example"]\n' + TWO
        page = "https://a.example"
        for text, allowed in (("https://b.example,https://a.example", page), (" * ", "*"), ("", None), ("https://b.example", None)):
            with self.subTest(text=text):
                answer = self.client_of({"LAILAD_CORS_ORIGINS": text}, config).get("/pools", {"Origin": page})
                self.assertEqual(answer.header("Access-Control-Allow-Origin"), allowed)

    def test_the_names_for_requests(self):
        config = 'rest_secrets = ["ONLY_IN_THE_FILE"]\n' + TWO
        client = self.client_of({"LAILAD_REST_SECRETS": "KEY_ID, KEY", "KEY_ID": "id", "KEY": "key", "ONLY_IN_THE_FILE": "x"}, config)
        for name, status in (("ONLY_IN_THE_FILE", 400), ("KEY", 201)):
            body = {"bucket": "b", "endpoint": "http://127.0.0.1:9", "region": "r", "access_key_id": "${KEY_ID}"}
            body["secret_access_key"] = f"${{{name}}}"
            self.assert_status(client.post_json("/pools", {"nickname": "far", "kind": "s3", "config": body}), status)

    def test_mistakes_name_the_variable(self):
        for name, text, words in (
            ("CHAIN", "alpha << none", "chain: there is no [pools.none]"),
            ("CHAIN", "alpha << a; a << alpha", "chain: 'a << alpha' closes a cycle"),
            ("CHAIN", "alpha << a;alpha << a >> b", "chain: line 2, column "),
            ("CHAIN", "alpha < a", "chain: line 1"),
            ("ALLOWED_HOSTS", "fine,http://a", "allowed_hosts: expected hosts"),
            ("ALLOWED_HOSTS", "*", "allowed_hosts: expected hosts"),
            ("ALLOWED_HOSTS", "a b", "allowed_hosts: expected hosts"),
            ("CORS_ORIGINS", "*,https://a.example", 'cors_origins: expected "*" or a list'),
            ("CORS_ORIGINS", "https://a.example/", 'cors_origins: expected "*" or a list'),
            ("REST_SECRETS", ",".join("n" * 300), "rest_secrets: expected a list of at most 256"),
        ):
            with self.subTest(name=name, text=text):
                done = self.check(TWO, env={"LAILAD_" + name: text})
                self.assertEqual(done.returncode, 1)
                self.assertTrue(done.stderr.startswith(f"lailad: LAILAD_{name}: {words}"), done.stderr)

    def test_every_key_of_the_help_can_be_set(self):
        """A value that fits no key is refused under the variable's own name."""
        table = run_binary("--help").stdout.split("Settings of the configuration file")[1].split("Beside them")[0]
        keys = re.findall(r"^  (\w+) ", table, re.MULTILINE)
        self.assertIn("listen", keys)
        for key in (*keys, "chain", "allowed_hosts", "cors_origins"):
            with self.subTest(key=key):
                done = self.check(TWO, env={"LAILAD_" + key.upper(): "\u00e4 " * 3000})
                self.assertEqual(done.returncode, 1)
                self.assertTrue(done.stderr.startswith(f"lailad: LAILAD_{key.upper()}: {key}: "), done.stderr[:200])


class MistypedVariables(ConfigCase):
    """They set nothing, which is told; the start is not refused for it."""

    def test_they_are_named(self):
        strange = {"LAILAD_LISTN": "127.0.0.1:1", "LAILAD_": "x", "LAILAD_listen": "127.0.0.1:1", "LAILAD_POOLS": "x", "LAILAD_" + "X" * 100: "1"}
        done = self.check(MEMORY, env=strange)
        self.assertEqual((done.returncode, done.stdout), (0, "lailad: the configuration is good\n"))
        lines = done.stderr.splitlines()
        self.assertEqual(len(lines), len(strange), done.stderr)
        for name in strange:
            self.assertEqual(len([line for line in lines if f"main: {name} in the environment" in line]), 1, done.stderr)
        self.assertNotIn("127.0.0.1:1", done.stderr)
        daemon = self.new_daemon(env=strange)
        self.assertIn("LAILAD_LISTN in the environment", daemon.log())

    def test_what_somebody_else_means_is_not(self):
        config = 'rest_secrets = ["LAILAD_FOR_REQUESTS"]\n[pools.h]\nkind = "hdf5"\npath = "${LAILAD_FILE}.h5"\n'
        env = {
            "LAILAD_FILE": "f",
            "LAILAD_FOR_REQUESTS": "r",
            "LAILAD_SERVICE_HOST": "10.0.0.1",
            "LAILAD_PORT": "tcp://10.0.0.1:80",
            "LAILAD_PORT_80_TCP_ADDR": "10.0.0.1",
            "LAILAD_LISTEN": "",
            "LAILAD_CHAIN": "alpha",
            "LAILADX": "x",
        }
        done = self.check(config, env=env)
        self.assertEqual((done.returncode, done.stderr), (0, ""))


class Addresses(ConfigCase):
    """Loopback by default; anything else needs a token or an explicit word."""

    def refused(self, *args, env=None):
        done = run_binary("--listen", "0.0.0.0:0", "--data-dir", str(self.home / "data"), *args, env=env)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("LAILAD_TOKEN", done.stderr)
        self.assertIn("--insecure", done.stderr)

    def test_any_address_without_a_token_is_refused(self):
        self.refused()
        self.refused(env={"LAILAD_TOKEN": ""})

    def test_insecure(self):
        daemon = self.new_daemon(args=["--listen", "0.0.0.0:0", "--insecure"])
        self.assertEqual(self.new_client(daemon).get("/pools").status, 200)

    def test_with_a_token(self):
        daemon = self.new_daemon(args=["--listen", "0.0.0.0:0"], token="a-long-enough-token")
        self.assertEqual(self.new_client(daemon).get("/pools").status, 200)
        with daemon.client(headers={"Authorization": "Bearer wrong"}) as stranger:
            self.assertEqual(stranger.get("/pools").status, 401)


class Token(Case):
    TOKEN = "0123456789abcdef0123456789abcdef"

    def test_every_route_asks_for_it(self):
        daemon = self.new_daemon(token=self.TOKEN)
        authorised = self.new_client(daemon)
        self.assert_status(authorised.put_entry("alpha", "x", b"x"), 201)
        requests = (
            ("GET", "/pools", None),
            ("POST", "/pools", b'{"nickname": "n", "kind": "memory", "config": {}}'),
            ("GET", "/pools/alpha", None),
            ("DELETE", "/pools/alpha", None),
            ("GET", "/pools/alpha/proxy_to", None),
            ("PUT", "/pools/alpha/proxy_to", b'{"pool": null}'),
            ("DELETE", "/pools/alpha/proxy_to", None),
            ("GET", "/chain", None),
            ("PUT", "/chain", b""),
            ("POST", "/chain", b"alpha << hdf5"),
            ("GET", "/pools/alpha/entries", None),
            ("DELETE", "/pools/alpha/entries?all=true", None),
            ("GET", "/pools/alpha/entries/x", None),
            ("HEAD", "/pools/alpha/entries/x", None),
            ("PUT", "/pools/alpha/entries/x", b"y"),
            ("DELETE", "/pools/alpha/entries/x", None),
            ("GET", "/pools/alpha/entry?id=x", None),
        )
        wrong = (
            {},
            {"Authorization": "Bearer " + self.TOKEN[:-1]},
            {"Authorization": "Bearer " + self.TOKEN + "0"},
            {"Authorization": "Bearer "},
            {"Authorization": self.TOKEN},
            {"Authorization": "Basic " + self.TOKEN},
        )
        for headers in wrong:
            with daemon.client() as stranger:
                stranger.always = headers
                for method, target, body in requests:
                    with self.subTest(headers=headers, method=method, target=target):
                        kind = "text/plain" if target == "/chain" else "application/json"
                        answer = stranger.ask(method, target, body, {"Content-Type": kind} if body is not None else None)
                        self.assertEqual(answer.status, 401)
                        self.assertIn("Bearer", answer.header("WWW-Authenticate"))
                        if method != "HEAD":
                            self.assert_problem(answer, 401, "unauthenticated")
                self.assert_status(stranger.get("/livez"), 200)
        # Nothing of it was done.
        self.assertEqual(authorised.read("alpha", "x").body, b"x")
        self.assertNotIn(self.TOKEN, daemon.log())
        self.assert_status(authorised.get("/pools"), 200)
        self.assert_status(authorised.get("/pools", {"Authorization": "bearer " + self.TOKEN}), 200)

    def test_from_a_file(self):
        """A mounted secret: in no environment and no process list."""
        for content in (self.TOKEN, self.TOKEN + "\n", self.TOKEN + "\r\n \n"):
            with self.subTest(content=content), tempfile.NamedTemporaryFile("w", newline="") as file:
                file.write(content)
                file.flush()
                daemon = Daemon(args=["--listen", "0.0.0.0:0"], env={"LAILAD_TOKEN_FILE": file.name})
                self.addCleanup(daemon.remove)
                daemon.start()
                with daemon.client(headers={"Authorization": f"Bearer {self.TOKEN}"}) as authorised:
                    self.assertEqual(authorised.get("/pools").status, 200)
                with daemon.client() as stranger:
                    self.assertEqual(stranger.get("/pools").status, 401)
                daemon.stop()
                self.assertNotIn(self.TOKEN, daemon.log())

    def test_files_that_hold_no_token(self):
        for name, content in {
            "empty": b"",
            "blank": b" \n\n",
            "two words": b"one two\n",
            "two lines": b"onetoken\ntwotoken\n",
            "not ASCII": "gehe\u00efm\n".encode(),
            "a NUL": b"one\0two",
            "too long": b"x" * 4097,
        }.items():
            with self.subTest(name), tempfile.NamedTemporaryFile() as file:
                file.write(content)
                file.flush()
                done = run_binary("--check-config", env={"LAILAD_TOKEN_FILE": file.name})
                self.assertEqual(done.returncode, 1, done.stdout)
                self.assertIn(file.name, done.stderr)
                self.assertIn("token_file", done.stderr)
                self.assertNotIn("onetoken", done.stderr)
        done = run_binary("--check-config", env={"LAILAD_TOKEN_FILE": "/nonexistent/token"})
        self.assertEqual(done.returncode, 1)
        self.assertIn("No such file", done.stderr)

    def test_a_token_told_twice_is_refused(self):
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(self.TOKEN)
            file.flush()
            done = run_binary("--check-config", env={"LAILAD_TOKEN_FILE": file.name, "LAILAD_TOKEN": "another"})
        self.assertEqual(done.returncode, 1)
        self.assertIn("only one of the two", done.stderr)

    def test_the_environment_beats_the_configuration_in_either_form(self):
        gone = "/nonexistent/token"
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(self.TOKEN)
            file.flush()
            for config, env in (
                (f'token_file = "{gone}"\n', {"LAILAD_TOKEN": self.TOKEN}),
                ('token = "another"\n', {"LAILAD_TOKEN_FILE": file.name}),
                (f'token_file = "{gone}"\n', {"LAILAD_TOKEN_FILE": file.name}),
                ('token = "another"\n', {"LAILAD_TOKEN": self.TOKEN}),
            ):
                with self.subTest(config=config, env=env):
                    daemon = Daemon(config=config, env=env)
                    self.addCleanup(daemon.remove)
                    daemon.start()
                    for token, status in ((self.TOKEN, 200), ("another", 401)):
                        with daemon.client(headers={"Authorization": f"Bearer {token}"}) as client:
                            self.assertEqual(client.get("/pools").status, status)
                    daemon.stop()
            with tempfile.NamedTemporaryFile("w", suffix=".toml") as config:
                config.write(f'token = "another"\ntoken_file = "{file.name}"\n')
                config.flush()
                done = run_binary("--check-config", "--config", config.name)
            self.assertEqual(done.returncode, 1)
            self.assertIn("only one of the two", done.stderr)

    def test_a_refused_upload_is_refused_at_once(self):
        """Before its body: who may not write does not get to send gigabytes."""
        daemon = self.new_daemon(token=self.TOKEN)
        with daemon.raw() as raw:
            raw.send(b"PUT /pools/alpha/entries/x HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000000000\r\n\r\n")
            self.assertEqual(raw.answer().status, 401)


class NamedCredentials(ConfigCase):
    """${NAME} as a credential in a REST body: only names that the configuration lists, stored as names."""

    POOL = {
        "nickname": "far",
        "kind": "s3",
        "config": {
            "bucket": "b",
            "endpoint": "http://127.0.0.1:9",
            "region": "r",
            "access_key_id": "id",
            "secret_access_key": "${FAR_SECRET}",
        },
    }

    def in_state(self, daemon, text):
        return any(text.encode() in path.read_bytes() for path in daemon.data.iterdir() if path.name.startswith("state"))

    def state_of(self, daemon):
        with daemon.client() as client:
            pool = client.get("/pools/far").json()
        self.assertNotIn("secret_access_key", pool["config"])
        return pool["state"]

    def test_they_are_stored_as_names(self):
        secrets = str(self.write("own.toml", 'FAR_SECRET = "hunter2hunter2"\nOTHER = "x"\n'))
        daemon = self.new_daemon(config='rest_secrets = ["FAR_SECRET"]\n' + MEMORY, args=["--secrets", secrets])
        with daemon.client() as client:
            refused = json.loads(json.dumps(self.POOL).replace("FAR_SECRET", "OTHER"))
            problem = self.assert_problem(client.post_json("/pools", refused), 400, "invalid-config")
            self.assertIn("${OTHER}", problem["detail"])
            answer = self.assert_status(client.post_json("/pools", self.POOL), 201)
        self.assertNotIn(b"hunter2", answer.body)
        self.assertEqual(self.state_of(daemon)["status"], "ok")
        self.assertTrue(self.in_state(daemon, "${FAR_SECRET}"))
        self.assertFalse(self.in_state(daemon, "hunter2"))
        daemon.restart()
        self.assertEqual(self.state_of(daemon)["status"], "ok")
        # No longer allowed: the pool is there and says what it lacks.
        daemon.config = MEMORY
        daemon.restart()
        state = self.state_of(daemon)
        self.assertEqual(state["status"], "needs-credentials")
        self.assertIn("${FAR_SECRET}", state["reason"])
        self.assertNotIn("hunter2", daemon.log())


class EmbeddedDefault(Case):
    def test_without_a_config_alpha_caches_hdf5(self):
        daemon = Daemon()
        self.addCleanup(daemon.remove)
        daemon.start()
        client = self.new_client(daemon)
        self.assertEqual(client.get("/chain").body, b"alpha << hdf5\n")
        self.assert_status(client.put_entry("hdf5", "x", b"x"), 201)
        self.assertEqual(client.read("alpha", "x").body, b"x")
        self.assertTrue(re.match(r"127\.0\.0\.1:[0-9]+$", (daemon.data / "listen").read_text().strip()))
        client.close()
        daemon.stop()
