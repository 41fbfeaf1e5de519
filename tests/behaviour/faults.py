"""Disks that fail.

Faults      a daemon's calls fail on command, through tests/crash/fault_shim.c, while it runs
SmallDisk   a file system of a few MiB, for a disk that is really full

Neither knows what the daemon stores. Read next: ledger.py (who remembers what was acknowledged).
"""

import errno
import mmap
import os
import pathlib
import struct
import subprocess
import tempfile

from harness import BINARY

SHIM = pathlib.Path(BINARY).parents[1] / "tests/crash/libfault_shim.so"
ALWAYS = 0xFFFFFFFF

# enum call of fault_shim.c
WRITE, SYNC, ALLOCATE, SET_SIZE = 1, 2, 4, 8
SHORT = 0  # instead of an errno: a write takes half

FIELDS = struct.Struct("=6I256s")  # struct control


class Faults:
    """The page that the daemon shares. Patterns: "disk.h5" is the file and its journal, "disk.h5$" the file, "-journal$" the journal."""

    def __init__(self):
        handle, self.path = tempfile.mkstemp(prefix="lailad-faults-")
        os.ftruncate(handle, mmap.PAGESIZE)
        self.page = mmap.mmap(handle, mmap.PAGESIZE)
        os.close(handle)

    def environment(self):
        return {
            "LD_PRELOAD": str(SHIM),
            "LAILAD_FAULTS": self.path,
            "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:exitcode=99:verify_asan_link_order=0",
        }

    def arm(self, calls, error, pattern="disk.h5", after=0, count=ALWAYS):
        self.page[: FIELDS.size] = FIELDS.pack(0, calls, after, count, error, 0, pattern.encode())
        self.page[:4] = struct.pack("=I", 1)

    def disarm(self):
        """How many calls failed meanwhile."""
        self.page[:4] = struct.pack("=I", 0)
        return self.failed()

    def failed(self):
        return FIELDS.unpack(self.page[: FIELDS.size])[5]

    def remove(self):
        self.page.close()
        os.unlink(self.path)


class SmallDisk:
    """A tmpfs, and a file on it that can be taken away to make room."""

    def __init__(self, mebibytes, reserve_mebibytes):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="lailad-small-"))
        self.refused = None  # why it cannot be had
        command = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m,mode=0700", "lailad-test", str(self.folder)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                self.refused = done.stderr.strip() or f"mount ended with {done.returncode}"
        except FileNotFoundError as error:
            self.refused = str(error)
        self.reserve = self.folder / "reserve"
        if not self.refused:
            self.reserve.write_bytes(bytes(reserve_mebibytes << 20))

    def make_room(self):
        self.reserve.unlink()

    def fill_up(self):
        """To the last byte."""
        with open(self.folder / "rubbish", "wb", buffering=0) as rubbish:
            try:
                while True:
                    rubbish.write(bytes(4096))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise

    def remove(self):
        if not self.refused:
            subprocess.run(["umount", str(self.folder)], check=True)
        self.folder.rmdir()
