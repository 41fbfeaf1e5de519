"""Power cuts: what a worker did, written down by lossy_shim.c, as a disk may have it when the power went at any moment of that.

The rules are those of lossy_disk.h: what was synced is there. Of what was written since, sectors of 512 bytes are there or not, in any order; the
directory is as it was when it was synced or at some moment since. What the worker had told by then stands.
"""

import collections
import copy
import os
import pathlib
import random
import shutil
import struct
import tempfile

import history

WRITE, SET_SIZE, SYNC, DIRECTORY, SYNC_DIRECTORY, TOLD = range(1, 7)
WHOLE, TORN, LOST = range(3)
JOURNAL = f"{history.FILE}-journal"
HEAD = struct.Struct("=QQQQ")
SECTOR = 512

Record = collections.namedtuple("Record", "kind inode offset bytes")


def read_log(path):
    """The last record may be there in part: what it tells of was not done."""
    data = memoryview(pathlib.Path(path).read_bytes()) if os.path.exists(path) else memoryview(b"")
    records, at = [], 0
    while at + HEAD.size <= len(data):
        kind, inode, offset, count = HEAD.unpack_from(data, at)
        at += HEAD.size + count
        if at <= len(data):
            records.append(Record(kind, inode, offset, data[at - count:at]))
    return records


def lines_of(records):
    return [bytes(record.bytes) for record in records if record.kind == TOLD]


def names_of(record):
    """{name: inode}"""
    pairs = (line.split(" ", 1) for line in bytes(record.bytes).decode().splitlines())
    return {name: int(inode) for inode, name in pairs}


# ---- one file ----

def write(content, offset, piece):
    if offset > len(content):
        content.extend(bytes(offset - len(content)))
    content[offset:offset + len(piece)] = piece


def apply(content, record):
    if record.kind == WRITE:
        write(content, record.offset, record.bytes)
    elif record.offset < len(content):
        del content[record.offset:]
    else:
        content.extend(bytes(record.offset - len(content)))


def apply_torn(content, record, chance):
    """Some of its sectors: up to one, from one on, or all but one."""
    first, last = record.offset // SECTOR, (record.offset + max(len(record.bytes), 1) - 1) // SECTOR
    if record.kind != WRITE or first == last:
        return
    middle = (chance.randint(first + 1, last)) * SECTOR - record.offset
    manner = chance.choice(["head", "tail", "hole"])
    if manner in ("head", "hole"):
        write(content, record.offset, record.bytes[:middle])
    if manner == "tail":
        write(content, record.offset + middle, record.bytes[middle:])
    if manner == "hole" and middle + SECTOR < len(record.bytes):
        write(content, record.offset + middle + SECTOR, record.bytes[middle + SECTOR:])


def cut_file(durable, pending, chance):
    """Its bytes after the cut."""
    content = bytearray(durable)
    manner = chance.choice(["nothing", "all", "in order", "any", "loses one", "leaves one"])
    chosen = chance.randrange(len(pending)) if pending else 0
    for i, record in enumerate(pending):
        if manner == "any":
            fate = chance.choice([WHOLE, WHOLE, TORN, LOST])
        elif i == chosen:
            fate = {"nothing": LOST, "all": WHOLE, "leaves one": WHOLE}.get(manner, chance.choice([TORN, LOST]))
        else:
            fate = WHOLE if manner in ("all", "loses one") or (manner == "in order" and i < chosen) else LOST
        if fate == WHOLE:
            apply(content, record)
        elif fate == TORN:
            apply_torn(content, record, chance)
    return content


# ---- the folder ----

def cut(names, files, records, at, chance):
    """({name: inode}, {inode: bytes}): record `at` was under way, all before it had been done. names and files are from before the first."""
    durable = {inode: bytearray(content) for inode, content in files.items()}
    pending = collections.defaultdict(list)
    shown = [names]
    for i, record in enumerate(records[:at + 1]):
        if record.kind in (WRITE, SET_SIZE):
            pending[record.inode].append(record)
        elif record.kind == SYNC and i < at:
            content = durable.setdefault(record.inode, bytearray())
            for done in pending.pop(record.inode, []):
                apply(content, done)
        elif record.kind == SYNC_DIRECTORY and i < at:
            shown = [names_of(record)]
        elif record.kind in (DIRECTORY, SYNC_DIRECTORY):
            shown.append(names_of(record))
    directory = dict(chance.choice([shown[0], shown[-1], chance.choice(shown)]))
    if chance.random() < 0.5:  # the journal's name may come and go by itself
        directory.pop(JOURNAL, None)
        directory.update((name, inode) for name, inode in chance.choice(shown).items() if name == JOURNAL)
    left = {inode: cut_file(durable.get(inode, b""), pending.get(inode, []), chance) for inode in set(directory.values())}
    return directory, left


def choose_moment(records, chance):
    """Mostly within a compaction, where there is one, or soon after it; half of the time where something is synced next."""
    told = [(i, bytes(record.bytes)) for i, record in enumerate(records) if record.kind == TOLD]
    begun = [i for i, line in told if line.startswith((b"P\tcompact\tcopying", b"P\tconvert\tcopying"))]
    at = chance.randrange(len(records) + 1)
    if begun and chance.random() < 0.7:
        start = chance.choice(begun)
        switches = [i for i, line in told if i > start and b"\tswitch" in line]
        near = chance.choice(switches[:2] or [start])
        at = chance.randint(start, min(near + 60, len(records)))
    next_one = chance.choice([None, None, (SYNC, SYNC_DIRECTORY), (SYNC_DIRECTORY,)])
    while next_one and at < len(records) and records[at].kind not in next_one:
        at += 1
    return at


class PowerCuts(history.History):
    """A history whose rounds end in several power cuts instead of one kill: each is recovered and compared; the next round goes on from the last."""

    def __init__(self, seed, tools, keep):
        super().__init__(seed, tools, keep)
        self.inodes = tempfile.mkdtemp(prefix="lailad-inodes-")
        self.log = f"{self.crashed}-log"

    def remove(self):
        super().remove()
        shutil.rmtree(self.inodes)
        pathlib.Path(self.log).unlink(missing_ok=True)

    def _look_at_folder(self):
        """What is there before the worker begins is durable."""
        shutil.rmtree(self.inodes)
        os.mkdir(self.inodes)
        names, files = {}, {}
        for name in os.listdir(self.folder):
            path = pathlib.Path(self.folder, name)
            names[name] = path.stat().st_ino
            if names[name] not in files:  # an original may be the file itself yet
                files[names[name]] = path.read_bytes()
                os.link(path, os.path.join(self.inodes, str(names[name])))
        pathlib.Path(self.log).unlink(missing_ok=True)
        return names, files

    def _environment(self):
        return [
            "env",
            f"LD_PRELOAD={self.tools.shim}",
            "ASAN_OPTIONS=verify_asan_link_order=0",
            f"LAILAD_LOSSY_FOLDER={self.folder}",
            f"LAILAD_LOSSY_KEEP={self.inodes}",
            f"LAILAD_LOSSY_LOG={self.log}",
        ]

    def run(self, number):
        chance = random.Random(f"history {self.seed} round {number}")
        names, files = self._look_at_folder()
        worker = self._kill_worker(number, chance, self._environment())
        problems = self._problems_of(worker)
        if problems:
            raise history.Bad(problems)
        records = read_log(self.log)
        before = self.model
        for state in range(self.tools.cuts):
            chance = random.Random(f"history {self.seed} round {number} state {state}")
            at = choose_moment(records, chance)
            self._put(*cut(names, files, records, at, chance))
            self.model = copy.deepcopy(before)
            told = lines_of(records[:at])
            history.replay(self.model, told)
            self._count(told)
            self.counts["power cuts"] += 1
            self._save()
            problems = self.recover_and_compare(chance.random() < 0.3)
            if problems:
                raise history.Bad([*problems, f"power cut: state {state}, record {at} of {len(records)}"])

    def _put(self, directory, left):
        """The same inodes under the names that the folder shows."""
        for name in os.listdir(self.folder):
            os.unlink(os.path.join(self.folder, name))
        for inode, content in left.items():
            pathlib.Path(self.inodes, str(inode)).write_bytes(content)
        for name, inode in directory.items():
            os.link(os.path.join(self.inodes, str(inode)), os.path.join(self.folder, name))
