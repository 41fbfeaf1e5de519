#!/usr/bin/python3
"""Signatures by botocore, the independent judge of sigv4.c.

    sigv4_vectors.py FILE            writes the vectors as C
    sigv4_vectors.py --check FILE    exit status 1 when FILE is not what this writes

Needs Debian's python3-botocore. botocore adds its own x-amz-date and x-amz-content-sha256; the
vectors carry everything that it signed, so that sigv4.c is given the same request.
"""
import datetime
import os
import random
import sys
from unittest import mock

import botocore.auth
import botocore.awsrequest
import botocore.credentials

DATE = datetime.datetime(2026, 11, 22, 9, 37, 9)
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
PLAIN = {"access": "AKIDEXAMPLE", "secret": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "region": "us-east-1"}
SWIFT = {"access": "test:tester", "secret": "testing", "region": "us-east-1"}
TOKEN = "FwoGZXIvYXdzEBYaDPtoken/with+signs=="


def case(name, method="GET", path="/bucket/key", query=(), fields=(), hash_=EMPTY, who=PLAIN, token=None):
    return {"name": name, "method": method, "path": path, "query": list(query), "fields": list(fields),
            "hash": hash_, "who": who, "token": token}


def fixed_cases():
    laila = "/bucket/LAILA%253AENTRY%253AGLOBAL_ID%253A337c29d3-0d76-5c15-a560-7e5cf329259e"
    yield case("the plainest request")
    yield case("a key encoded twice", path=laila)
    yield case("an access key with a colon", path=laila, who=SWIFT)
    yield case("a payload hash", "PUT", laila, hash_="ab" * 32, fields=[("Content-Type", "application/json")])
    yield case("an unsigned payload", "PUT", laila, hash_="UNSIGNED-PAYLOAD")
    yield case("a session token", token=TOKEN)
    yield case("another region", who={**PLAIN, "region": "eu-central-1"})
    yield case("path with doubled and trailing slashes", path="/bucket//a///b/")
    yield case("dot segments stay", path="/bucket/a/../b/./c/..")
    yield case("a lone dot", path="/bucket/.")
    yield case("two dots", path="/bucket/..")
    yield case("the bucket of a virtual host", path="/")
    yield case("unicode, encoded", path="/bucket/%25C3%25A4%25E2%2582%25AC%25F0%259F%2598%2580")
    yield case("tilde and friends", path="/bucket/a-b_c.d~e")
    yield case("sub-resources without value", "POST", query=[("uploads", "")])
    yield case("bulk delete", "POST", "/bucket", query=[("delete", "")], hash_="cd" * 32,
               fields=[("Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg=="), ("Content-Type", "application/xml")])
    yield case("part of an upload", "PUT", query=[("uploadId", "2~abc/def+ghi=="), ("partNumber", "10000")])
    yield case("a listing", path="/bucket", query=[("list-type", "2"), ("prefix", "LAILA%3A"), ("max-keys", "1000"),
                                                  ("encoding-type", "url"), ("start-after", "LAILA%3A~ /+%")])
    yield case("query to be sorted", query=[("b", "2"), ("a", "1"), ("B", "3"), ("a-b", "4"), ("a.", "5"), ("a_", "6")])
    yield case("one name twice", query=[("a", "2"), ("a", "1"), ("a", ""), ("a", "10")])
    yield case("every awkward character", query=[("q", " !\"#$%&'()*+,/:;<=>?@[\\]^`{|}~"), ("ä€", "ü\U0001f600")])
    yield case("field names that are prefixes", "PUT", fields=[
        ("x-amz-meta-a", "1"), ("x-amz-meta-a-b", "2"), ("x-amz-meta-a1", "3"), ("x-amz-meta-a-", "4")])
    yield case("numbered fields", "PUT", fields=[(f"x-amz-meta-n{i}", str(i)) for i in range(1, 31)])
    yield case("our own metadata", "PUT", fields=[
        ("x-amz-meta-lailad-sha256", "0" * 64), ("x-amz-meta-lailad-hold", "cached"),
        ("x-amz-meta-lailad-created", "1795340229973"), ("x-amz-meta-lailad-x0", "QUJD"),
        ("x-amz-meta-lailad-x1", "RA=="), ("x-amz-meta-lailad-x10", "RQ=="), ("Content-Encoding", "gzip")])
    yield case("values to be trimmed", "PUT", fields=[("x-amz-meta-s", "  a   b \t c  "), ("X-Amz-Meta-Upper", "KeepCase")])
    yield case("an empty value", "PUT", fields=[("x-amz-meta-e", "")])
    yield case("conditions", "PUT", fields=[("If-Match", "\"9b2cf535f27731c974343645a3985328\""), ("If-None-Match", "*")])
    yield case("a range", fields=[("Range", "bytes=0-9")])
    yield case("HEAD", "HEAD", laila)
    yield case("DELETE", "DELETE", laila)


def random_cases(count):
    """Awkward keys, queries and fields by a fixed seed."""
    rng = random.Random(20261122)
    alphabet = "abzABZ019-._~ :/%+&=;,!*'()@$#?äß€\U0001f600"
    quote = botocore.auth.quote
    for i in range(count):
        text = lambda most: "".join(rng.choice(alphabet) for _ in range(rng.randint(1, most)))
        key = quote(text(20), safe="-._~/")
        query = [(text(6), text(10)) for _ in range(rng.randint(0, 5))]
        names = sorted({"x-amz-meta-" + "".join(rng.choice("ab1-") for _ in range(rng.randint(1, 4))) for _ in range(5)})
        rng.shuffle(names)
        fields = [(name, text(12).encode("ascii", "replace").decode()) for name in names]
        yield case(f"random {i}", rng.choice(["GET", "PUT", "POST", "DELETE", "HEAD"]), "/bucket/" + key, query, fields,
                   rng.choice([EMPTY, "ef" * 32, "UNSIGNED-PAYLOAD"]), rng.choice([PLAIN, SWIFT]),
                   rng.choice([None, TOKEN]))


class Auth(botocore.auth.S3SigV4Auth):
    """botocore's own code; only what the payload's hash is, is said instead of computed."""

    def __init__(self, one):
        who = one["who"]
        super().__init__(botocore.credentials.Credentials(who["access"], who["secret"], one["token"]), "s3", who["region"])
        self.hash = one["hash"]

    def payload(self, request):
        return self.hash


def sign(one):
    """botocore's Authorization for the case, with all the fields that went into it."""
    request = botocore.awsrequest.AWSRequest(
        method=one["method"], url="http://127.0.0.1:18080" + one["path"], headers=dict(one["fields"]),
        params=one["query"])
    with mock.patch("botocore.auth.datetime") as clock:
        clock.datetime.utcnow.return_value = DATE
        Auth(one).add_auth(request)
    fields = [("Host", "127.0.0.1:18080")]
    authorization = None
    for name, value in request.headers.items():
        if name.lower() == "authorization":
            authorization = value
        else:
            fields.append((name, value))
    return authorization, fields


def c_text(text):
    if text is None:
        return "NULL"
    out = ""
    for byte in text.encode("utf-8"):
        char = chr(byte)
        out += f"\\{byte:03o}" if byte < 0x20 or byte > 0x7e or char in "\"\\?" else char
    return f'"{out}"'


def c_pairs(pairs):
    return "".join(f"{{{c_text(name)}, {c_text(value)}}}, " for name, value in pairs) or "{NULL, NULL}"


def render():
    lines = ["/* Written by sigv4_vectors.py from botocore's signatures; do not edit. */"]
    for one in list(fixed_cases()) + list(random_cases(60)):
        authorization, fields = sign(one)
        lines.append(
            f"{{{c_text(one['name'])}, {c_text(one['who']['access'])}, {c_text(one['who']['secret'])}, "
            f"{c_text(one['who']['region'])}, {c_text(one['method'])}, {c_text(one['path'])}, {c_text(one['hash'])},\n"
            f" {len(one['query'])}, {{{c_pairs(one['query'])}}},\n {len(fields)}, {{{c_pairs(fields)}}},\n"
            f" {c_text(authorization)}}},")
    return "\n".join(lines) + "\n"


def main():
    check = sys.argv[1:2] == ["--check"]
    paths = sys.argv[2:] if check else sys.argv[1:]
    if len(paths) != 1:
        sys.exit(__doc__)
    if not check:
        with open(paths[0], "w", encoding="ascii") as file:
            file.write(render())
        return
    with open(paths[0], encoding="ascii") as file:
        if file.read() != render():
            sys.exit(f"{os.path.basename(paths[0])} is not what botocore signs today")


if __name__ == "__main__":
    main()
