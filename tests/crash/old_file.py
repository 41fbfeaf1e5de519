"""A file as h5py makes it, with entries in it: its root group is of the old kind, so the pool copies it at the first write and keeps the
original beside it."""

import hashlib

import h5py
import numpy

import model as crash

BODY_MOST = 400_000  # some are beyond what a compaction copies at once


def make(path, chance, keys):
    """{name: State}. Some names are keys of the worker (torture_main.c), which changes them; the others stay."""
    found = {}
    names = [f"plain-{number:04}" for number in range(0, keys, 5)] + [f"old-{number:04}" for number in range(chance.randint(1, 150))]
    with h5py.File(path, "w") as file:
        for name in names:
            body = chance.randbytes(chance.choice([chance.randint(1, 3000), chance.randint(1, BODY_MOST)]))
            digest = hashlib.sha256(body).hexdigest()
            file[name] = numpy.frombuffer(body, numpy.uint8)
            file[name].attrs["lailad_sha256"] = numpy.bytes_(digest)
            found[name] = crash.State(digest, "application/octet-stream", len(body), crash.OWNED)
    return found
