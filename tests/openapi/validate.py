#!/usr/bin/python3
"""Holds the recorded traffic of the behaviour suite to openapi.yaml.

    validate.py [--complete] OPENAPI_YAML RECORDING...

Recordings are the files that tests/behaviour/recorder.py wrote. Of each exchange: the path and method belong to an
operation (or the answer is one of x-without-operation), the status is listed, every header field is described and its
value fits, the required ones are there, the content type is listed, a JSON body and a problem fit their schema; what is
said about the body (Content-Length, Repr-Digest, Content-Digest) is true. Of a request that was accepted: its parameters
and its body fit.

With --complete every listed status of every operation must have been seen, or unseen.txt beside this file must say why
not. Exit status 1 when something is wrong; the last line, `cases: PASSED FAILED SKIPPED`, counts exchanges and complaints.
"""

import base64
import binascii
import collections
import json
import pathlib
import subprocess
import sys

from contract import NO_OPERATION, Contract

UNSEEN = pathlib.Path(__file__).resolve().parent / "unseen.txt"
JSON_TYPES = ("application/json", "application/problem+json")
# What the HTTP library sends by itself; older versions leave out the type.
LIBRARY_TYPE = "text/html"
LIBRARY_FIELDS = frozenset(("connection", "content-length", "content-type", "date", "location"))
SHOWN_TESTS = 3


def media_type(value):
    return value.split(";")[0].strip().lower()


def media_schema(content, kind):
    """The schema of a content type in a content object; None when it is not listed."""
    for name in (kind, kind.split("/")[0] + "/*", "*/*"):
        if name in content:
            return content[name].get("schema", {})
    return None


class Exchange:
    """One recorded exchange with what is wrong with it."""

    def __init__(self, contract, line):
        self.contract = contract
        self.said = json.loads(line)
        self.status = self.said["status"]
        self.fields = {}
        self.complaints = []
        for name, value in self.said["headers"]:
            if name.lower() in self.fields:
                self.complain(f"{name} was sent twice")
            self.fields[name.lower()] = value
        self.siblings, self.values = {}, {}
        self.operation = None
        if self.said["method"] is not None:
            self.operation, self.siblings, self.values = contract.find(self.said["method"], self.said["target"])
        self.kind = media_type(self.fields["content-type"]) if "content-type" in self.fields else None
        if self.operation is None or (self.kind == LIBRARY_TYPE and self.status not in self.operation.responses):
            self.operation = contract.outside

    def complain(self, text):
        self.complaints.append(text)

    # ---- the answer ----
    def check_answer(self):
        response = self.operation.responses.get(self.status)
        if response is None:
            self.complain("the status is not listed")
            return
        self.check_fields(response)
        self.check_content(response)
        self.check_truth()

    def check_fields(self, response):
        listed = {name.lower(): self.contract.resolve(field) for name, field in response.get("headers", {}).items()}
        for name, value in self.fields.items():
            field = listed.get(name) or self.contract.always.get(name)
            if field is None:
                if name != "content-type":
                    self.complain(f"the field {name} is not described")
                continue
            wrong = self.contract.check_text(field["schema"], value)
            if wrong:
                self.complain(f"the field {name}: {wrong}")
        if self.is_library():
            return
        for name, field in listed.items():
            if field.get("required") and name not in self.fields:
                self.complain(f"the field {name} is missing")
        if self.kind == "application/problem+json" and self.fields.get("cache-control") != "no-store":
            self.complain("a problem without Cache-Control: no-store")

    def is_library(self):
        """Whether the HTTP library itself answered: where its HTML is listed, without a field of the service's own."""
        content = self.operation.responses[self.status].get("content", {})
        return LIBRARY_TYPE in content and self.kind in (None, LIBRARY_TYPE) and LIBRARY_FIELDS.issuperset(self.fields)

    def check_content(self, response):
        body = self.said["received"]
        content = response.get("content")
        if content is None and self.said["method"] == "HEAD" and "GET" in self.siblings:
            twin = self.siblings["GET"].responses.get(self.status, {})  # HEAD has the fields of GET
            content = twin.get("content")
        if body["bytes"] and (self.said["method"] == "HEAD" or self.status in (204, 304)):
            self.complain("an answer that has no body has one")
        if content is None:
            if self.kind is not None:
                self.complain(f"a content type, {self.kind}, where no content is listed")
            return
        if self.kind is None:
            if body["bytes"] and not self.is_library():
                self.complain("a body without a content type")
            return
        schema = media_schema(content, self.kind)
        if schema is None:
            self.complain(f"the content type {self.kind} is not listed")
        elif body["complete"] and "text" in body and body["bytes"]:
            self.check_body(schema, body["text"], self.kind)

    def check_body(self, schema, text, kind):
        value = text
        if kind in JSON_TYPES and schema:
            try:
                value = json.loads(text)
            except ValueError as error:
                self.complain(f"the body is no JSON: {error}")
                return
        wrong = self.contract.check_value(schema, value)
        if wrong:
            self.complain(f"the body: {wrong}")

    def check_truth(self):
        body = self.said["received"]
        if self.said["method"] in (None, "HEAD") or not body["complete"] or self.status in (204, 304):
            return
        length = self.fields.get("content-length")
        if length is not None and length != str(body["bytes"]):
            self.complain(f"Content-Length {length}, and {body['bytes']} bytes came")
        if self.status == 200:
            self.check_digest("Repr-Digest", body)  # of another status the whole, which did not come
        self.check_digest("Content-Digest", body)

    def check_digest(self, name, body):
        digest = self.fields.get(name.lower(), "")
        if not digest.startswith("sha-256=:"):
            return
        try:
            told = base64.b64decode(digest[len("sha-256=:") : -1], validate=True).hex()
        except binascii.Error:
            told = "no base64"
        if told != body["sha256"]:
            self.complain(f"{name} is not the digest of the body")

    # ---- the request, when it was accepted ----
    def check_request(self):
        if self.operation.name == NO_OPERATION or self.status >= 400:
            return
        given = dict(self.values)
        for name, value in self.said["fields"]:
            given["header", name.lower()] = value
        for (place, name), parameter in self.operation.parameters.items():
            value = given.get((place, name))
            if value is None:
                if parameter.get("required"):
                    self.complain(f"accepted without the {place} parameter {name}")
                continue
            wrong = self.contract.check_text(parameter["schema"], value)
            if wrong:
                self.complain(f"accepted with the {place} parameter {name}: {wrong}")
        for place, name in self.values:
            is_described = ("query", name) in self.operation.parameters or self.operation.takes_any_query
            if place == "query" and not is_described:
                self.complain(f"accepted with the query parameter {name}, which is not described")
        sent = self.said["sent"]
        if sent is None or not sent["bytes"]:
            if sent is not None and self.operation.request_body and self.operation.request_body.get("required"):
                self.complain("accepted without a body")
            return
        if not self.operation.request_body:
            self.complain("accepted with a body, where none is described")
            return
        content = self.operation.request_body["content"]
        # A request without Content-Type: the first of the list is what it is taken for.
        kind = media_type(given.get(("header", "content-type"), next(iter(content))))
        schema = media_schema(content, kind)
        if schema is None:
            self.complain(f"accepted with the content type {kind}, which is not listed")
        elif "text" in sent and schema:
            self.check_body(schema, sent["text"], kind)


class Report:
    def __init__(self, contract):
        self.contract = contract
        self.count = 0
        self.seen = collections.Counter()
        self.found = {}

    def read(self, path):
        with open(path, encoding="utf-8") as file:
            for line in file:
                exchange = Exchange(self.contract, line)
                exchange.check_answer()
                exchange.check_request()
                self.count += 1
                self.seen[exchange.operation.name, exchange.status] += 1
                for complaint in exchange.complaints:
                    key = (exchange.operation.name, exchange.status, complaint)
                    self.found.setdefault(key, []).append(exchange.said)

    def print_found(self):
        for (operation, status, complaint), cases in self.found.items():
            print(f"{operation} {status}: {complaint} ({len(cases)} times)")
            for said in cases[:SHOWN_TESTS]:
                print(f"    sent by {said['test']}: {said['method']} {str(said['target'])[:120]!r}")

    def unseen(self):
        """What openapi.yaml lists and nothing answered: [(operation, status)]."""
        return [
            (operation.name, status)
            for operation in [*self.contract.operations(), self.contract.outside]
            for status in operation.responses
            if not self.seen[operation.name, status]
        ]


def http_library():
    """The version of libmicrohttpd that is built against."""
    command = ["pkg-config", "--modversion", "libmicrohttpd"]
    return tuple(int(part) for part in subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("."))


def excuses():
    """unseen.txt as [(operation or *, status, reason)]."""
    rows = []
    is_new = http_library() >= (1,)
    for line in UNSEEN.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            operations, statuses, reason = line.split(None, 2)
            statuses, _, only_new = statuses.partition("@")
            if only_new and not is_new:
                continue
            rows += [(o, int(s), reason) for o in operations.split(",") for s in statuses.split(",")]
    return rows


def print_unseen(report, is_complete):
    """Prints what was not seen; returns how many of them nobody explains."""
    unseen = report.unseen()
    rows = excuses()
    excused = {(operation, status) for operation, status, _ in rows}
    everywhere = {status for _, status in report.seen}
    bare = [
        (operation, status)
        for operation, status in unseen
        # `*` excuses an operation from what another one showed.
        if (operation, status) not in excused and not (("*", status) in excused and status in everywhere)
    ]
    listed = sum(len(o.responses) for o in [*report.contract.operations(), report.contract.outside])
    print(f"{listed} statuses of operations are listed, {listed - len(unseen)} were seen, {len(unseen)} were not, "
          f"{len(unseen) - len(bare)} of them with a reason in tests/openapi/unseen.txt")
    if is_complete:
        for operation, status in bare:
            print(f"{operation} {status}: listed, never seen, and no reason in tests/openapi/unseen.txt")
        for operation, status, _ in rows:
            if operation != "*" and (operation, status) not in unseen:
                print(f"note: {operation} {status} was seen; tests/openapi/unseen.txt need not excuse it")
    return len(bare) if is_complete else 0


def main():
    arguments = sys.argv[1:]
    is_complete = "--complete" in arguments
    arguments = [argument for argument in arguments if argument != "--complete"]
    if len(arguments) < 2:
        sys.exit(__doc__)
    report = Report(Contract(arguments[0]))
    for path in arguments[1:]:
        report.read(path)
    report.print_found()
    wrong = len(report.found) + print_unseen(report, is_complete)
    if not report.count:
        print("nothing was recorded")
        wrong += 1
    print(f"{report.count} exchanges were held to openapi.yaml, {len(report.found)} complaints")
    print(f"cases: {0 if wrong else 1} {wrong} 0")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
