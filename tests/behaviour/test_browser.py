"""A page in a real browser, served from another origin, uses the service through fetch; types come from openapi.yaml.

The client (tests/browser) is compiled against the types that openapi-typescript generates, strictly; then Chromium loads it
from a small server of its own and posts the verdict there. Nothing is waited for by time: the verdict comes or the deadline
ends the test.
"""

import contextlib
import functools
import http.server
import json
import os
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
import unittest
import urllib.parse

from harness import ROOT, Case

SOURCES = ROOT / "tests/browser"
VERDICT_SECONDS = 180
TOKEN = "a-token-of-the-test"


def tools():
    """The folder with the programs from npm; skips where its registry cannot be reached."""
    done = subprocess.run([ROOT / "tests/openapi/tools"], capture_output=True, text=True, check=False)
    if done.returncode == 77:
        raise unittest.SkipTest(done.stderr.strip())
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    return done.stdout.strip()


def run(*command, cwd):
    done = subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")


class Site:
    """Serves a folder on a port of its own, which makes it an origin of its own; takes the verdict."""

    def __init__(self, folder):
        verdicts = queue.Queue()

        class Handler(http.server.SimpleHTTPRequestHandler):
            def do_POST(self):
                verdicts.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.verdicts = verdicts
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder))
        self.origin = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@contextlib.contextmanager
def chromium(address):
    """Chromium with a profile of its own on this page, ended with all its processes."""
    profile = tempfile.mkdtemp(prefix="lailad-browser-")
    command = ["chromium", "--headless", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions"]
    command += ["--disable-background-networking", "--disable-component-update", f"--user-data-dir={profile}"]
    if os.geteuid() == 0:
        command.append("--no-sandbox")  # it refuses to run as root with one
    log = open(os.path.join(profile, "log"), "w+b")
    process = subprocess.Popen(
        [*command, address], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env={**os.environ, "HOME": profile}
    )
    try:
        yield process, log
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        log.close()
        shutil.rmtree(profile, ignore_errors=True)


class Browser(Case):
    @classmethod
    def setUpClass(cls):
        if not shutil.which("chromium"):
            raise unittest.SkipTest("there is no chromium")
        programs = tools()
        cls.folder = tempfile.mkdtemp(prefix="lailad-site-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        for name in ("client.ts", "page.ts", "tsconfig.json"):
            shutil.copy(SOURCES / name, cls.folder)
        run(f"{programs}/openapi-typescript", ROOT / "openapi.yaml", "-o", "openapi.d.ts", cwd=cls.folder)
        run(f"{programs}/tsc", "--project", ".", cwd=cls.folder)
        shutil.copy(SOURCES / "index.html", os.path.join(cls.folder, "site"))

    def verdict(self, site, daemon, **asked):
        query = urllib.parse.urlencode({"daemon": f"http://{daemon.host}:{daemon.port}", **asked})
        with chromium(f"{site.origin}/index.html?{query}") as (process, log):
            try:
                return site.verdicts.get(timeout=VERDICT_SECONDS)
            except queue.Empty:
                log.seek(0)
                said = log.read().decode(errors="replace")[-3000:]
                self.fail(f"no verdict within {VERDICT_SECONDS} s; chromium ({process.poll()}) said:\n{said}")

    def new_site(self):
        site = Site(os.path.join(self.folder, "site"))
        self.addCleanup(site.close)
        return site

    def new_service(self, origins, **kwargs):
        config = f'cors_origins = {json.dumps(origins)}\nchain = "alpha << disk"\n[pools.disk]\nkind = "hdf5"\n'
        return self.new_daemon(config=config, **kwargs)

    def assert_all_passed(self, verdict, least):
        self.assertEqual(verdict["failed"], {}, f"{verdict}")
        self.assertGreaterEqual(len(verdict["passed"]), least)

    def test_a_page_of_an_allowed_origin(self):
        site = self.new_site()
        daemon = self.new_service([site.origin], token=TOKEN)
        self.assert_all_passed(self.verdict(site, daemon, token=TOKEN), 8)

    def test_a_page_of_any_origin(self):
        site = self.new_site()
        daemon = self.new_service("*", token=TOKEN)
        self.assert_all_passed(self.verdict(site, daemon, token=TOKEN, expect="small"), 6)

    def test_a_page_of_another_origin(self):
        """The browser keeps the answers from it, and what it would change stays as it is."""
        site = self.new_site()
        daemon = self.new_service(["http://127.0.0.1:1"], token=TOKEN)
        client = self.new_client(daemon)
        self.assert_status(client.put_entry("alpha", "anything", b"kept"), 201)
        self.assert_all_passed(self.verdict(site, daemon, token=TOKEN, expect="refused"), 1)
        self.assertEqual(client.ids("alpha"), {"anything"})

    def test_a_page_where_no_origin_is_configured(self):
        site = self.new_site()
        daemon = self.new_daemon(config='chain = "alpha << disk"\n[pools.disk]\nkind = "hdf5"\n')
        self.assert_all_passed(self.verdict(site, daemon, expect="refused"), 1)
        self.assertEqual(self.new_client(daemon).ids("alpha"), set())
