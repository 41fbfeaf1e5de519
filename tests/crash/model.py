"""What an hdf5 pool may hold after a crash, and what a file holds as h5py sees it.

Model     told of every operation before it is tried and after it was answered, it knows which states each entry may be in
read_file   every entry of a file through h5py, none of our code involved, in a child: the library does not survive every damaged file
compare   the problems between the two, in words

The rules. An acknowledged put or delete stands: the entry is exactly that. What was under way when the process ended may have happened or not.
A copy left by a read (a fill) promises less: it may vanish, and the copy before it may be there again, as long as nothing acknowledged
came between; its bytes are never wrong. Names are links' names in the file: percent-encoded ids.
"""

import collections
import hashlib
import os
import pickle

import h5py

State = collections.namedtuple("State", "sha256 content_type size hold")  # absent is None

OWNED, CACHED = "owned", "cached"


class Model:
    def __init__(self):
        self.possible = collections.defaultdict(lambda: {None})  # name -> the states it may be in
        self.flying = {}  # who -> (name, action, state)
        self.written = collections.defaultdict(set)  # name -> every digest that was ever tried, to tell stale from foreign bytes
        self.acknowledged = 0

    def begin(self, who, name, action, state=None):
        """action: put, fill or delete. At most one operation of `who`, and on `name`, is under way."""
        self.flying[who] = (name, action, state)
        if state is not None:
            self.written[name].add(state.sha256)

    def end(self, who, happened):
        """False: it was refused and has changed nothing. None: nobody can tell."""
        name, action, state = self.flying.pop(who)
        if happened is None:
            self.possible[name] = self.possible[name] | {state}
        if not happened:
            return
        self.acknowledged += 1
        if action == "fill":
            self.possible[name] |= {state, None}
        else:
            self.possible[name] = {state}

    def _allowed(self, name):
        allowed = set(self.possible[name]) if name in self.possible else {None}
        for flying_name, action, state in self.flying.values():
            # A copy never takes an owned entry's place, under way or not.
            if flying_name == name and not (action == "fill" and any(old and old.hold == OWNED for old in allowed)):
                allowed.add(state)
        if any(old and old.hold == CACHED for old in allowed):
            allowed.add(None)
        return allowed

    def names(self):
        return set(self.possible) | {name for name, _, _ in self.flying.values()}

    def problem(self, name, found):
        """What is wrong with the entry as it was found, or None. The first word is the kind."""
        allowed = self._allowed(name)
        if found in allowed:
            return None
        if found is None:
            return f"lost: {name} is not there, {max(allowed, key=bool)} was acknowledged"
        if any(old and old.sha256 == found.sha256 for old in allowed):
            return f"metadata: {name} is {found}, not {allowed}"
        if found.sha256 not in self.written[name]:
            return f"wrong bytes: {name} is {found}, which nobody ever wrote there"
        return f"stale: {name} is {found}, which was replaced or deleted; {allowed} is right"

    def choose(self, name, is_it):
        """One entry was looked at: of the states that it may be in, only those are left of which is_it(state) holds. No change of it is
        under way any more."""
        self.possible[name] = {state for state in self._allowed(name) if is_it(state)}
        self.flying = {who: flying for who, flying in self.flying.items() if flying[0] != name}

    def settle(self, found):
        """From here on, what was found is what there is."""
        self.flying.clear()
        self.possible.clear()
        for name, state in found.items():
            self.possible[name] = {state}


def _text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


def _read_entry(item):
    value = item[()]
    is_text = item.dtype.kind == "S"
    body = bytes(value) if is_text else value.tobytes()
    told = {name: item.attrs[name] for name in item.attrs}
    content_type = _text(told.get("lailad_content_type", "application/json" if is_text else "application/octet-stream"))
    digest = hashlib.sha256(body).hexdigest()
    hold = CACHED if _text(told.get("lailad_hold", b"")) == "cached" else OWNED
    return State(digest, content_type, len(body), hold), _text(told.get("lailad_sha256", b"")), is_text, body


def _read_file(path):
    found, problems = {}, []
    try:
        with h5py.File(path, "r") as file:
            for name in file:
                try:
                    item = file[name]
                    if not isinstance(item, h5py.Dataset):
                        problems.append(f"unknown: {name} is no dataset")
                        continue
                    found[name], told, is_text, body = _read_entry(item)
                    if told != found[name].sha256:
                        problems.append(f"wrong bytes: {name} has digest {found[name].sha256}, its attribute says {told}")
                    if is_text and b"\0" in body:
                        problems.append(f"metadata: {name} is text with a NUL")
                except (OSError, KeyError, ValueError, RuntimeError) as error:
                    problems.append(f"unreadable: {name}: {error}")
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        problems.append(f"unopenable: {error}")
    return found, problems


def read_file(path):
    """({name: State}, [problem]). Problems of the file itself: it does not open, an entry cannot be read, a digest is not the body's.
    Forks: no other thread of this process may be inside HDF5."""
    receiving, sending = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(receiving)
            with open(sending, "wb") as out:
                pickle.dump(_read_file(path), out)
            status = 0
        finally:
            os._exit(status)
    os.close(sending)
    with open(receiving, "rb") as answer:
        told = answer.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return pickle.loads(told) if status == 0 else ({}, [f"unopenable: h5py ended with {status}"])


def compare(model, found):
    """Every problem of what was found. An entry that the model never heard of is one."""
    problems = [f"unknown: {name} was never written" for name in set(found) - model.names()]
    for name in sorted(model.names()):
        problem = model.problem(name, found.get(name))
        if problem:
            problems.append(problem)
    return problems
