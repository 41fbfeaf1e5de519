"""Every command that a README shows works as shown.

A fenced block marked `sh` is run line by line against a daemon with the embedded default; http://127.0.0.1:8080 stands for it. A line
that ends in `# -> text` must print that text. Lines that start the service or the tests are not run here (the run itself does that):
of them, and of every other command, the files they name must exist.
"""

import os
import re
import subprocess

import objects
from harness import ROOT, Case, Daemon

SHOWN_ADDRESS = "http://127.0.0.1:8080"
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXPECTATION = re.compile(r"\s+# -> (.*)$")
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
