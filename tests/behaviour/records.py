"""LAILA records (generation 1) for the tests: what a Python user's pool holds under an entry's id.

Ids follow LAILA's rule: UUIDv5 of the nickname in the default namespace. Where the fixtures of the real library are at hand,
`record` builds the document that library would write (its own recovery sources, taken from the fixture at run time);
elsewhere the portable form with the data as it is and an empty chain, which LAILA 1.0.9 reads as well.
"""

import hashlib
import json
import uuid

from harness import SHARED

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "laila")
FIXTURES = SHARED / "interop" / "laila_fixtures.json"
POOL_FILE = SHARED / "interop" / "laila_pool.h5"

RECORDER = "LAILA:POLICY:GLOBAL_ID:00000000-0000-0000-0000-000000000000"
STAMP = "2026-01-01T00:00:00.000+00:00"
# The worked example of the record format: data={"message": "hello from S3"}, nickname "proxy_demo".
DEMO_PAYLOAD = "gadtZXNzYWdlrWhlbGxvIGZyb20gUzM="
DEMO_SHA256 = "d7ddaaaba358b12c54d1e9628358d5bd998b8a01d96e039f84e6d1f3ba8528c5"


def uuid_of(nickname):
    return str(uuid.uuid5(NAMESPACE, nickname))


def global_id(nickname):
    return f"LAILA:ENTRY:GLOBAL_ID:{uuid_of(nickname)}"


def document(nickname, payload, codes):
    record = {
        "entry": {
            "_uuid": uuid_of(nickname),
            "_evolution": None,
            "_scopes": ["ENTRY"],
            "_state": "READY",
            "payload": payload,
            "constitution": {"_kind": "simple", "codes": codes},
        },
        "recorder": RECORDER,
        "borrower": None,
        "record_timestamp": STAMP,
    }
    return json.dumps(record).encode("ascii")


def record(nickname, data):
    return document(nickname, data, [])


def demo_record():
    """The tutorial's entry, byte for byte as LAILA writes it when its fixtures are at hand."""
    if not FIXTURES.exists():
        return record("proxy_demo", {"message": "hello from S3"})
    with open(FIXTURES, encoding="utf-8") as source:
        fixture = next(item for item in json.load(source)["entries"] if item["nickname"] == "fx_dict")
    codes = json.loads(fixture["hdf5"]["raw"])["entry"]["constitution"]["codes"]
    body = document("proxy_demo", DEMO_PAYLOAD, codes)
    if hashlib.sha256(body).hexdigest() != DEMO_SHA256:
        raise AssertionError("the worked example does not come out as the library writes it")
    return body
