"""What the server scripts share: free ports, processes by id, readiness, one signed request."""
import contextlib
import datetime
import hashlib
import hmac
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request


def need_program(name, remedy):
    if not shutil.which(name):
        sys.exit(f"{os.path.basename(sys.argv[0])}: {name} is missing; {remedy}")


def fresh_directory(path, parts):
    """The absolute path of DIR with its sub-directories. Refuses one that holds anything."""
    root = os.path.abspath(path)
    os.makedirs(root, exist_ok=True)
    if os.listdir(root):
        sys.exit(f"{os.path.basename(sys.argv[0])}: {root} is not empty")
    for part in parts:
        os.makedirs(os.path.join(root, part))
    return root


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def run(command, allowed=(0,), **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, **options)
    if done.returncode not in allowed:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def free_ports(count):
    """The first of `count` consecutive ports on which nobody listens, below the ephemeral range."""
    for _ in range(200):
        base = random.randrange(18000, 32000 - count)
        with contextlib.ExitStack() as held:
            try:
                for port in range(base, base + count):
                    probe = held.enter_context(socket.socket())
                    probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return base
    sys.exit("no free ports found")


def can_unshare_mounts():
    return subprocess.run(["unshare", "-m", "true"], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, check=False).returncode == 0


def with_private_bind(source, target, command):
    """The command, run where `target` shows `source`, for that process alone. exec keeps the process id."""
    script = 'mount --make-rprivate / && mount --bind "$1" "$2" && shift 2 && exec "$@"'
    return ["unshare", "-m", "sh", "-c", script, "sh", source, target] + command


def start(root, name, command, environment=None):
    with open(os.path.join(root, "log", name + ".log"), "ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   env={**os.environ, **(environment or {})}, start_new_session=True)
    write(os.path.join(root, "run", name + ".pid"), f"{process.pid}\n")


def pids(root):
    found = {}
    folder = os.path.join(root, "run")
    for name in sorted(os.listdir(folder)):
        if name.endswith(".pid"):
            with open(os.path.join(folder, name), encoding="ascii") as file:
                found[name[:-4]] = int(file.read().strip() or 0)
    return found


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def is_ours(pid, root):
    """Whether the process was started for this directory: ids are reused, so the command line must name it."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return os.fsencode(root) in file.read()
    except OSError:
        return False


def stop(root):
    """Ends every process of DIR/run by its id: asks first, insists after five seconds."""
    running = {name: pid for name, pid in pids(root).items() if is_ours(pid, root)}
    for how, patience_s in ((signal.SIGTERM, 5), (signal.SIGKILL, 5)):
        for pid in running.values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, how)
        end = time.monotonic() + patience_s
        while time.monotonic() < end and any(is_alive(pid) for pid in running.values()):
            time.sleep(0.05)
        running = {name: pid for name, pid in running.items() if is_alive(pid)}
        if not running:
            break
    for name in pids(root):
        os.unlink(os.path.join(root, "run", name + ".pid"))
    return sorted(running)


def wait_for(root, ready, most_s):
    """Polls until ready() holds; ends early, with the log, when a process of DIR has died."""
    end = time.monotonic() + most_s
    while time.monotonic() < end:
        for name, pid in pids(root).items():
            if not is_alive(pid):
                with open(os.path.join(root, "log", name + ".log"), encoding="utf-8", errors="replace") as log:
                    sys.exit(f"{name} ended before it was ready:\n{log.read()[-2000:]}")
        try:
            if ready():
                return
        except OSError:
            pass
        time.sleep(0.1)
    sys.exit(f"not ready after {most_s} s; see {root}/log")


def get_text(url):
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read(4096).decode("utf-8", "replace")


def s3_put_bucket(url, access, secret, bucket):
    """One request signed with Signature Version 4; true when the bucket is there afterwards."""
    now = datetime.datetime.now(datetime.timezone.utc)
    stamp, day, empty = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d"), hashlib.sha256(b"").hexdigest()
    host = url.split("//", 1)[1]
    signed = "host;x-amz-content-sha256;x-amz-date"
    canonical = (f"PUT\n/{bucket}\n\nhost:{host}\nx-amz-content-sha256:{empty}\nx-amz-date:{stamp}\n\n"
                 f"{signed}\n{empty}")
    scope = f"{day}/us-east-1/s3/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = ("AWS4" + secret).encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    request = urllib.request.Request(f"{url}/{bucket}", method="PUT", headers={
        "x-amz-date": stamp, "x-amz-content-sha256": empty,
        "Authorization": f"AWS4-HMAC-SHA256 Credential={access}/{scope}, SignedHeaders={signed}, "
                         f"Signature={signature}"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status == 200
    except urllib.error.HTTPError as refusal:
        return refusal.code == 409  # ours already
