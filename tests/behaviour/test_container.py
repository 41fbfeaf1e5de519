"""The container image: built from docker/Dockerfile with buildah, started, asked, ended. And what docker/compose.yaml says.

No engine and no registry is needed: the base is made with mmdebstrap from the archive that this machine installs from, of this machine's
release, set up as Docker's slim images are. So this proves the Dockerfile's steps on a Debian base, not what a published
base holds on some day. buildah's chroot isolation gives a mount namespace and the image's user, no network of its own.

Skipped where nobody may mount and chroot. Runs niced: the build must not make other tests late.
"""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import yaml

from client import Client
from harness import ROOT, Case, run_binary, until
from run import MODULE_SECONDS

TOKEN = "a-token-for-the-container-test"
MOST_ABOVE_BASE = 40 * 1024 * 1024
BASE = "localhost/lailad-test-base"
IMAGE = "localhost/lailad-test"
SLIM = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/lintian/*")
BUILD_SECONDS = 2 * MODULE_SECONDS // 5  # for the base, and again for the image; the rest is for the tests


def why_not():
    """Why an image cannot be built here; None when it can."""
    if os.geteuid() != 0:
        return "needs root"
    for tool in ("buildah", "mmdebstrap"):
        if shutil.which(tool) is None:
            return f"needs {tool}"
    probe = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False)
    return None if probe.returncode == 0 else "needs root that may mount"


def release():
    """(codename, mirror or None) of this machine."""
    codename = re.search(r"^VERSION_CODENAME=(\w+)", pathlib.Path("/etc/os-release").read_text("utf-8"), re.MULTILINE).group(1)
    known = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(CODENAME) $(COMPONENT) $(REPO_URI)", "Created-By: Packages"],
        capture_output=True, text=True, check=False,
    ).stdout.split("\n")
    for line in known:
        fields = line.split()
        if fields[:2] == [codename, "main"]:
            return codename, fields[2]
    return codename, None


def bytes_below(folder):
    """Of all files, each inode once."""
    sizes = {}
    for place, folders, files in os.walk(folder):
        for name in folders + files:
            info = os.lstat(os.path.join(place, name))
            sizes[info.st_ino] = info.st_size
    return sum(sizes.values())


def children(pid):
    """Processes below pid, the nearest first."""
    found = []
    for thread in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, thread.read_text("ascii").split()):
            found += [child, *children(child)]
    return found


class Box:
    """A private image store, and buildah on it."""

    def __init__(self):
        # Neither in the tree, where whoever searches it would walk through whole systems, nor in a /tmp that may be memory.
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="lailad-test-container-", dir="/var/tmp"))
        (self.home / "registries.conf").write_text("unqualified-search-registries = []\n")
        self.env = {
            **os.environ,
            "CONTAINERS_STORAGE_CONF": str(self.home / "storage.conf"),
            "CONTAINERS_REGISTRIES_CONF": str(self.home / "registries.conf"),
            "BUILDAH_ISOLATION": "chroot",
        }
        for driver in ("overlay", "vfs"):  # overlay is faster, but not every file system carries it
            (self.home / "storage.conf").write_text(
                f'[storage]\ndriver = "{driver}"\ngraphroot = "{self.home}/graph"\nrunroot = "{self.home}/run"\n'
            )
            if subprocess.run(["buildah", "info"], env=self.env, capture_output=True, check=False).returncode == 0:
                return
            shutil.rmtree(self.home / "graph", ignore_errors=True)
        raise AssertionError("buildah can keep no images here")

    def run(self, *command, seconds=60):
        done = subprocess.run(
            ["nice", *map(str, command)], env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", timeout=seconds, check=False,
        )
        if done.returncode != 0:
            raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stdout[-6000:]}")
        return done.stdout

    def make_base(self):
        codename, mirror = release()
        container = self.run("buildah", "from", "scratch").strip()
        folder = self.run("buildah", "mount", container).strip()
        slim = [f"--dpkgopt=path-exclude={path}" for path in SLIM]
        slim += ["--dpkgopt=force-unsafe-io", '--aptopt=Acquire::Languages "none"']
        self.run("mmdebstrap", "--variant=minbase", *slim, codename, folder, *([mirror] if mirror else []), seconds=BUILD_SECONDS)
        self.run("buildah", "commit", "-q", container, BASE)
        return folder

    def build(self):
        self.run(
            "buildah", "bud", "--network", "host", "--pull-never", "--format", "docker", "--build-arg", f"BASE={BASE}",
            "--tag", IMAGE, "--file", ROOT / "docker/Dockerfile", ROOT, seconds=BUILD_SECONDS,
        )

    def remove(self):
        for what in (["rm", "--all"], ["rmi", "--all", "--force"]):
            subprocess.run(["buildah", *what], env=self.env, capture_output=True, check=False)
        shutil.rmtree(self.home, ignore_errors=True)


REASON = why_not()


@unittest.skipIf(REASON, REASON)
class Container(Case):
    box = None

    @classmethod
    def setUpClass(cls):
        cls.box = Box()
        cls.addClassCleanup(cls.box.remove)
        began = time.monotonic()
        cls.base_folder = cls.box.make_base()
        base = time.monotonic()
        cls.box.build()
        print(f"    base {base - began:.0f} s, image {time.monotonic() - base:.0f} s")
        cls.container = cls.box.run("buildah", "from", "--pull-never", IMAGE).strip()
        cls.folder = pathlib.Path(cls.box.run("buildah", "mount", cls.container).strip())
        cls.config = yaml.safe_load(cls.box.run("buildah", "inspect", "--type", "image", IMAGE))["Docker"]["config"]
        cls.token_file = cls.box.home / "token"
        cls.token_file.write_text(TOKEN + "\n")
        cls.token_file.chmod(0o644)

    def inside(self, *command, env=()):
        """The command line that runs something in the container as its user."""
        volume = f"{self.token_file}:/run/secrets/lailad_token:ro"
        settings = [part for pair in env for part in ("--env", pair)]
        return ["buildah", "run", "--network", "host", "--volume", volume, *settings, self.container, "--", *command]

    def is_healthy(self):
        self.assertEqual(self.config["Healthcheck"]["Test"][0], "CMD")
        done = subprocess.run(
            self.inside(*self.config["Healthcheck"]["Test"][1:]), env=self.box.env, capture_output=True, text=True, timeout=30,
            stdin=subprocess.DEVNULL, check=False,
        )
        return done.returncode == 0

    def start(self, *env):
        log = tempfile.TemporaryFile("w+")  # pylint: disable=consider-using-with
        self.addCleanup(log.close)
        process = subprocess.Popen(
            self.inside(*self.config["Entrypoint"], env=env), env=self.box.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )

        def end():
            if process.poll() is None:
                for pid in reversed(children(process.pid)):
                    os.kill(pid, signal.SIGKILL)
                process.wait(30)

        self.addCleanup(end)
        return process, log

    @staticmethod
    def text(log):
        log.seek(0)
        return log.read()

    def test_what_the_image_says(self):
        self.assertEqual(self.config["User"], "10001:10001")
        self.assertEqual(self.config["Entrypoint"], ["lailad"])
        self.assertEqual(self.config["ExposedPorts"], {"8080/tcp": {}})
        self.assertEqual(self.config["Volumes"], {"/data": {}})
        self.assertEqual(self.config["StopSignal"], "SIGTERM")
        self.assertIn("LAILAD_LISTEN=0.0.0.0:8080", self.config["Env"])
        self.assertFalse([text for text in self.config["Env"] if "TOKEN" in text], "a token in the image")

    def test_it_is_small(self):
        above = bytes_below(self.folder) - bytes_below(self.base_folder)
        print(f"    {above / 1e6:.1f} MB above the base")
        self.assertGreater(above, 1_000_000)
        self.assertLessEqual(above, MOST_ABOVE_BASE)
        for tool in ("gcc", "cmake", "curl", "python3"):
            self.assertFalse((self.folder / "usr/bin" / tool).exists(), tool)

    def test_without_a_token_it_does_not_start(self):
        process, log = self.start()
        self.assertEqual(process.wait(30), 1)
        self.assertIn("LAILAD_TOKEN", self.text(log))

    def test_a_life(self):
        """Started with its token in a file: healthy, asks for the token, keeps an entry, is nobody special, ends when told."""
        self.assertFalse(self.is_healthy())
        process, log = self.start("LAILAD_LISTEN=0.0.0.0:0", "LAILAD_TOKEN_FILE=/run/secrets/lailad_token")
        port = int(until(lambda: re.search(r"listening on http://0\.0\.0\.0:(\d+)", self.text(log)), "the port", 30).group(1))
        self.assertTrue(self.is_healthy())

        with Client("127.0.0.1", port) as stranger:
            self.assertEqual(stranger.get("/livez").status, 200)
            for method, target in (("GET", "/pools"), ("GET", "/pools/alpha/entries/x"), ("PUT", "/pools/alpha/entries/x")):
                self.assert_problem(stranger.ask(method, target, b"x" if method == "PUT" else None), 401, "unauthenticated")
        with Client("127.0.0.1", port, {"Authorization": f"Bearer {TOKEN}"}) as client:
            self.assert_status(client.put_entry("hdf5", "kept", b"in the volume"), 201)
            answer = client.read("alpha", "kept")
            self.assertEqual((answer.status, answer.body), (200, b"in the volume"))

        lailad = children(process.pid)[-1]
        self.assertEqual(os.readlink(f"/proc/{lailad}/exe").rsplit("/", 1)[1], "lailad")
        status = pathlib.Path(f"/proc/{lailad}/status").read_text("ascii")
        self.assertRegex(status, r"Uid:\s10001\s10001\s10001\s10001")
        self.assertRegex(status, r"CapEff:\s0+\n")
        self.assertNotIn(TOKEN.encode(), pathlib.Path(f"/proc/{lailad}/environ").read_bytes())

        began = time.monotonic()
        os.kill(lailad, getattr(signal, self.config["StopSignal"]))
        self.assertEqual(process.wait(30), 0, self.text(log))
        self.assertLess(time.monotonic() - began, 12, "longer than drain_timeout_s")
        self.assertNotIn(TOKEN, self.text(log))
        self.assertFalse(self.is_healthy())


class Compose(Case):
    """docker/compose.yaml, read as an engine would."""

    @classmethod
    def setUpClass(cls):
        cls.compose = yaml.safe_load((ROOT / "docker/compose.yaml").read_text("utf-8"))

    def test_its_shape(self):
        services = self.compose["services"]
        for name, service in services.items():
            with self.subTest(service=name):
                self.assertRegex(service["image"], r"^lailad$|:[A-Za-z0-9.-]+$", "an image without a version")
                self.assertNotRegex(service["image"], r":latest$")
                for volume in service.get("volumes", []):
                    source = volume.split(":")[0]
                    known = (ROOT / "docker" / source).exists() if source.startswith(".") else source in self.compose["volumes"]
                    self.assertTrue(known, volume)
                for other in service.get("depends_on", {}):
                    self.assertIn("healthcheck", services[other])
        lailad = services["lailad"]
        self.assertTrue((ROOT / "docker" / lailad["build"]["context"] / lailad["build"]["dockerfile"]).exists())
        self.assertEqual(lailad["ports"], ["127.0.0.1:8080:8080"])
        self.assertTrue(lailad["read_only"])

    def test_the_token_is_a_secret(self):
        lailad = self.compose["services"]["lailad"]
        (name,) = lailad["secrets"]
        self.assertIn("file", self.compose["secrets"][name])
        self.assertEqual(lailad["environment"]["LAILAD_TOKEN_FILE"], f"/run/secrets/{name}")
        self.assertNotIn("LAILAD_TOKEN", lailad["environment"])

    def test_it_names_no_secret_by_value(self):
        for name, service in self.compose["services"].items():
            for key, value in service.get("environment", {}).items():
                if re.search("SECRET|PASSWORD|MC_HOST", key):
                    self.assertIn("${S3_SECRET_ACCESS_KEY:?", value, f"{name}: {key}")

    def test_its_configuration_is_good(self):
        lailad = self.compose["services"]["lailad"]
        mounted = {volume.split(":")[1]: volume.split(":")[0] for volume in lailad["volumes"]}
        self.assertEqual(lailad["command"][0], "--config")
        path = ROOT / "docker" / mounted[lailad["command"][1]]
        names = [key for key in lailad["environment"] if key.startswith("S3_")]
        done = run_binary("--check-config", "--config", str(path), env={name: "value" for name in names})
        self.assertEqual(done.returncode, 0, done.stderr)
        text = path.read_text("utf-8")
        endpoint = re.search(r'endpoint = "http://(\w+):9000"', text).group(1)
        self.assertIn(endpoint, self.compose["services"])
        bucket = re.search(r'bucket = "(\w+)"', text).group(1)
        self.assertIn(f"{endpoint}/{bucket}", self.compose["services"]["bucket"]["command"])

    def test_what_the_readme_has_one_make(self):
        """Its lines that make the token and the keys, run in an empty folder; what its engine lines name is there."""
        text = (ROOT / "docker/README.md").read_text("utf-8")
        blocks = "\n".join(re.findall(r"^```\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
        making = sorted(set(re.findall(r"^(?:head|printf) .*> docker/.*$", blocks, re.MULTILINE)))
        self.assertEqual(len(making), 2)
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "docker").mkdir()
            for line in making:
                subprocess.run(["sh", "-ec", line], cwd=folder, check=True, stdin=subprocess.DEVNULL)
            token = pathlib.Path(folder) / self.compose["secrets"]["lailad_token"]["file"].replace("./", "docker/")
            done = run_binary("--check-config", "--listen", "0.0.0.0:0", env={"LAILAD_TOKEN_FILE": str(token)})
            self.assertEqual(done.returncode, 0, done.stderr)
            keys = dict(line.split("=") for line in (pathlib.Path(folder) / "docker/.env").read_text("ascii").split())
            self.assertEqual(set(keys), {"S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"})
            self.assertGreaterEqual(len(keys["S3_SECRET_ACCESS_KEY"]), 8)
        for path in re.findall(r"-f (docker/\S+)", blocks):
            self.assertTrue((ROOT / path).exists(), path)
        ignored = (ROOT / "docker/.gitignore").read_text("utf-8").split("\n")
        self.assertLessEqual({"/token", "/.env"}, set(ignored))
