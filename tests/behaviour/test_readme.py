"""Every command that a README shows works as shown.

A fenced block marked `sh` is run line by line against a daemon with the embedded default; http://127.0.0.1:8080 stands for it. A line
that ends in `# -> text` must print that text. server/run.sh is run with the build under test. tests/run.sh is not, since it is what runs
this; of every command the files it names must exist. A command in a block without a mark would escape all that: NOT_RUN says why
it may. A block marked `toml` must pass --check-config. What the README says of flags, settings and header fields is held
against the daemon's own --help and openapi.yaml.
"""

import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile

import objects
from contract import Contract
from harness import BINARY, ROOT, Case, Daemon, run_binary

SHOWN_ADDRESS = "http://127.0.0.1:8080"
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXPECTATION = re.compile(r"\s+# -> (.*)$")
CONFIG_BLOCK = re.compile(r"^```toml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ANY_BLOCK = re.compile(r"^```(.*)\n((?:.*\n)*?)```$", re.MULTILINE)
COMMAND = re.compile(r"^\s*(?:\$ )?((?:buildah|cmake|curl|docker|head|printf|sh) .*)$", re.MULTILINE)
# Commands in blocks without a mark: how they begin, and why no line-by-line run is made of them.
NOT_RUN = {
    "docker/README.md": {
        "docker build -f docker/Dockerfile": "the tests have no engine; test_container builds the same file",
        "buildah bud --isolation chroot -f docker/Dockerfile": "test_container does it, with a base of its own making",
        "docker run -d --name lailad": "the tests have no engine; test_container starts the image as this would",
        "docker compose -f docker/compose.yaml": "the tests have no engine; test_container reads the file",
        "head -c 24 /dev/urandom | base64 > docker/token": "test_container runs it, in an empty folder",
        "printf 'S3_ACCESS_KEY_ID=": "test_container runs it, in an empty folder",
        'curl -H "Authorization: Bearer $(cat docker/token)"': "asks a container; test_container asks its own",
        'curl -X PUT -H "Authorization: Bearer $(cat docker/token)"': "asks a container; test_container asks its own",
        'curl -i -H "Authorization: Bearer $(cat docker/token)"': "asks a container; test_container asks its own",
    },
    "tests/README.md": {"cmake --preset fuzz": "it compiles everything once more, and then looks for ten minutes"},
}
LINK = re.compile(r"\]\(([^)\s]+)\)")
FILE = re.compile(r"(?:^|[\s=])((?:tests|server|api|pools|docker|\.ci)/[\w./-]+)")


def readmes():
    found = subprocess.run(
        ["git", "ls-files", "README.md", "*/README.md"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    return found or ["README.md"]


def is_whole(command):
    """Whether a shell would not ask for another line: every quote is closed, nothing is continued."""
    done = subprocess.run(["sh", "-n", "-c", command], capture_output=True, check=False)
    return done.returncode == 0 and not command.endswith("\\")


def commands(text):
    """The commands of every sh block, one logical line each; comments and blank lines left out."""
    for block in BLOCK.findall(text):
        kept = ""
        for line in block.splitlines():
            if not kept and (not line.strip() or line.lstrip().startswith("#")):
                continue
            kept = f"{kept}\n{line}" if kept else line.strip()
            if is_whole(kept):
                yield kept
                kept = ""
        if kept:
            raise AssertionError(f"an unfinished command: {kept}")


def table(text, first_column):
    """The rows of the table that begins with this column, as lists of their cells; the first cell's `names` as a list."""
    lines = text[text.index(f"| {first_column} |") :].split("\n")[2:]
    for line in lines:
        if not line.startswith("|"):
            return
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        yield re.findall(r"`([^`]+)`", cells[0]), cells


class Reference(Case):
    """What the README says is what the daemon says."""

    @classmethod
    def setUpClass(cls):
        cls.text = (ROOT / "README.md").read_text(encoding="utf-8")
        cls.help = run_binary("--help").stdout
        cls.contract = Contract(ROOT / "openapi.yaml")

    def test_the_command_line(self):
        usage = re.search(r"^usage: (.*)$", self.help, re.MULTILINE).group(1)
        self.assertIn(usage, self.text)

    def test_every_setting(self):
        """Names and defaults of --help, its lists and per-kind tables included, and no others."""
        told = {}
        kind = ""
        for line in self.help[self.help.index("\nSettings") :].split("\n"):
            if line.startswith("kind = "):
                kind = line.split('"')[1] + ": "
            row = re.match(r"  ([a-z0-9_]+) +$", line[:21])  # columns: name, default, sentence
            if row:
                told[kind + row.group(1)] = line[21:37].strip()
        shown = {}
        for column in ("key", "key of `[pools.NICK]`"):
            for names, cells in table(self.text, column):
                prefix = cells[0][: cells[0].index("`")]
                shown[prefix + names[0]] = cells[1].strip("`")
        self.assertGreater(len(told), 40)
        # What --help tells in a sentence rather than in a row.
        for name in ("chain", "allowed_hosts", "cors_origins", "rest_secrets"):
            self.assertRegex(self.help, rf"\b{name} = ")
            self.assertEqual(shown.pop(name), "")
        self.assertEqual(shown.pop("kind"), "")
        self.assertEqual(shown, told)

    def test_every_header_field(self):
        """A field that stands in the README stands in openapi.yaml, and the other way round."""
        shown = {name.split(":")[0] for column in ("field", "field | means") for names, _ in table(self.text, column) for name in names}
        contract = (ROOT / "openapi.yaml").read_text("utf-8")
        for name in shown:
            with self.subTest(field=name):
                self.assertRegex(contract, rf"(?i)\b{re.escape(name)}\b" if name != "Authorization" else "bearer")
        parameters = [item for operation in self.contract.operations() for item in operation.parameters.values()]
        sent = {item["name"] for item in parameters if item["in"] == "header"}
        self.assertEqual({name for name in sent if not name.startswith("Access-Control-")} - shown, set())

    def test_configurations(self):
        names = {name: "value" for name in re.findall(r"\$\{(\w+)\}", self.text) if name != "NAME"}
        blocks = CONFIG_BLOCK.findall(self.text)
        self.assertTrue(blocks)
        for block in blocks:
            with self.subTest(block=block[:60]), tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
                file.write(block)
                file.flush()
                done = run_binary("--check-config", "--config", file.name, env=names)
                self.assertEqual(done.returncode, 0, done.stderr)

    def test_every_block_is_of_a_kind_that_is_looked_at(self):
        for name in readmes():
            for kind, _ in ANY_BLOCK.findall((ROOT / name).read_text(encoding="utf-8")):
                with self.subTest(readme=name, kind=kind):
                    self.assertIn(kind, ("", "sh", "toml"))

    def test_no_command_stands_in_a_block_without_a_mark(self):
        """Unless NOT_RUN says why; and it says so of nothing that is not there."""
        for name in sorted({*readmes(), *NOT_RUN}):
            excused = dict.fromkeys(NOT_RUN.get(name, {}), 0)
            blocks = [text for kind, text in ANY_BLOCK.findall((ROOT / name).read_text(encoding="utf-8")) if not kind]
            for line in COMMAND.findall("".join(blocks)):
                beginning = next((known for known in excused if line.startswith(known)), None)
                with self.subTest(readme=name, line=line):
                    self.assertIsNotNone(beginning, "mark its block with sh, or give a reason in NOT_RUN")
                    excused[beginning] += 1
            with self.subTest(readme=name):
                self.assertEqual([known for known, count in excused.items() if not count], [])


class RunScript(Daemon):
    """server/run.sh in the daemon's place, on the build under test, with data in ./data."""

    def __init__(self, port):
        super().__init__(env={"LAILAD_BUILD_DIR": str(pathlib.Path(BINARY).resolve().parents[1])})
        self.address = f"127.0.0.1:{port}"

    def command(self):
        return ["sh", str(ROOT / "server/run.sh"), "--listen", self.address]


class Run(Case):
    """The first command of the README. That a release build compiles is test_container's."""

    def test_server_run(self):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        script = RunScript(port)
        self.addCleanup(script.remove)
        script.start()
        self.assertEqual((script.host, script.port), ("127.0.0.1", port))
        self.assertIn(f"listening on http://{script.address}", script.log())
        self.assertIn("Ctrl-C ends it.", script.log())
        with script.client() as client:
            self.assert_status(client.get("/livez"), 200)

        told = re.findall(r"^  (curl .*)$", script.log(), re.MULTILINE)
        said = [subprocess.check_output(["sh", "-c", line], text=True, stderr=subprocess.PIPE, timeout=60) for line in told]
        self.assertEqual(len(said), 3)
        self.assertRegex(said[1], r"\r?\n\r?\nhello$")
        self.assertIn('"nickname":"hdf5"', said[2].replace(" ", ""))

        # The script has become the daemon and has left nobody beside it: Ctrl-C reaches all there is.
        pid = script.process.pid
        self.assertEqual(os.readlink(f"/proc/{pid}/exe"), os.path.realpath(BINARY))
        for children in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
            self.assertEqual(children.read_text("ascii"), "")
        script.process.send_signal(signal.SIGINT)
        self.assertEqual(script.wait(), 0)
        script.stop()
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5).close()


class Readme(Case):
    def test_there_is_something_to_run(self):
        shown = list(commands((ROOT / "README.md").read_text(encoding="utf-8")))
        self.assertIn("sh server/run.sh", shown)
        self.assertIn("sh tests/run.sh", shown)
        self.assertGreater(sum(line.startswith("curl") for line in shown), 10)

    def test_files_that_commands_name_exist(self):
        for name in readmes():
            for line in commands((ROOT / name).read_text(encoding="utf-8")):
                for path in FILE.findall(line):
                    with self.subTest(readme=name, line=line):
                        self.assertTrue((ROOT / path).exists(), path)

    def test_links_lead_somewhere(self):
        for name in readmes():
            folder = (ROOT / name).parent
            for target in LINK.findall((ROOT / name).read_text(encoding="utf-8")):
                if "://" not in target and not target.startswith("#"):
                    with self.subTest(readme=name, link=target):
                        self.assertTrue((folder / target.split("#")[0]).exists(), target)

    def test_every_curl_line(self):
        for name in readmes():
            lines = [
                line for line in commands((ROOT / name).read_text(encoding="utf-8")) if line.startswith(("curl", "printf", "head"))
            ]
            if lines:
                self.run_lines(name, lines)

    def run_lines(self, name, lines):
        daemon = Daemon()
        self.addCleanup(daemon.remove)
        env = {**os.environ, "LC_ALL": "C.UTF-8"}
        if any("$AWS_" in line for line in lines):
            bucket = objects.Bucket()
            self.addCleanup(bucket.remove)
            env.update(
                AWS_BUCKET_NAME=bucket.name,
                AWS_ACCESS_KEY_ID=bucket.access,
                AWS_SECRET_ACCESS_KEY=bucket.secret,
                AWS_REGION=objects.REGION,
                AWS_ENDPOINT_URL=bucket.endpoint,
            )
        daemon.start()
        for line in lines:
            expected = EXPECTATION.search(line)
            command = EXPECTATION.sub("", line).replace(SHOWN_ADDRESS, f"http://{daemon.host}:{daemon.port}")
            with self.subTest(readme=name, line=line):
                done = subprocess.run(
                    ["sh", "-c", command], cwd=daemon.home, env=env, capture_output=True, text=True, timeout=60,
                    stdin=subprocess.DEVNULL, check=False,
                )
                self.assertEqual(done.returncode, 0, f"{done.stdout}{done.stderr}")
                if expected:
                    self.assertIn(expected.group(1).strip(), done.stdout)
        daemon.stop()
