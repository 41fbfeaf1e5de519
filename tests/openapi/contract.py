"""openapi.yaml as something to hold traffic to: which operation a request belongs to, what it may be answered.

Contract(path) reads the document; operations() are all of them, find() the one of a request; what an Operation tells is
resolved. check_value() holds a value to one of the document's schemas. Used by validate.py and by the tests that sweep over
all operations, with a class of their own that also knows what to send.
"""

import functools
import re
import urllib.parse

import jsonschema
import yaml

METHODS = ("get", "head", "put", "post", "delete", "options", "patch", "trace")
NO_OPERATION = "-"  # the name of what x-without-operation lists


def decode(text):
    return urllib.parse.unquote(text, errors="surrogateescape")


class Operation:
    """One operation, or what is answered where there is none (then without path and method).

    parameters are {(place, name): parameter}, with those of its path; responses {status: response}; request_body has the
    content types that types lists; scope is x-scope; security is None where the document's own holds.
    """

    def __init__(self, contract, said, path=None, method=None, shared=()):
        self.name = said.get("operationId", NO_OPERATION)
        self.path, self.method = path, method
        self.scope, self.security = said.get("x-scope"), said.get("security")
        parameters = [contract.resolve(parameter) for parameter in (*shared, *said.get("parameters", []))]
        self.parameters = {(p["in"], p["name"] if p["in"] != "header" else p["name"].lower()): p for p in parameters}
        self.required_query = [p["name"] for p in self.parameters.values() if p["in"] == "query" and p.get("required")]
        self.responses = {int(status): contract.resolve(answer) for status, answer in said["responses"].items()}
        self.statuses = set(self.responses)
        self.request_body = contract.resolve(said["requestBody"]) if "requestBody" in said else None
        self.types = list(self.request_body["content"]) if self.request_body else []
        self.takes_any_query = said.get("x-any-query", False)

    def __repr__(self):
        return self.name


class Contract:
    def __init__(self, path, kind=Operation):
        """kind: the class of the operations."""
        with open(path, encoding="utf-8") as file:
            self.document = yaml.safe_load(file)
        self.always = {
            name.lower(): self.resolve(field) for name, field in self.document["x-on-every-answer"]["headers"].items()
        }
        self.outside = Operation(self, self.document["x-without-operation"])
        self.paths = [
            (
                path.split("/")[1:],
                {
                    method.upper(): kind(self, said, path, method.upper(), item.get("parameters", ()))
                    for method, said in item.items()
                    if method in METHODS
                },
            )
            for path, item in self.document["paths"].items()
        ]

    def resolve(self, node):
        while "$ref" in node:
            found = self.document
            for name in node["$ref"].removeprefix("#/").split("/"):
                found = found[name]
            node = found
        return node

    def operations(self):
        return [operation for _, operations in self.paths for operation in operations.values()]

    def find(self, method, target):
        """(operation or None, its path's operations, {(place, name): value}) of a request target in origin or absolute form."""
        target = re.sub(r"^https?://[^/?]*", "", target)
        path, _, query = target.partition("?")
        segments = path.split("/")[1:]
        for pattern, operations in self.paths:
            values = self._match(pattern, segments)
            if values is not None:
                for pair in query.split("&") if query else []:
                    name, _, value = pair.partition("=")
                    values["query", decode(name)] = decode(value)
                return operations.get(method), operations, values
        return None, {}, {}

    @staticmethod
    def _match(pattern, segments):
        if len(pattern) != len(segments):
            return None
        values = {}
        for expected, segment in zip(pattern, segments):
            if expected.startswith("{"):
                if not segment:
                    return None
                values["path", expected[1:-1]] = decode(segment)
            elif decode(segment) != expected:
                return None
        return values

    @functools.lru_cache(maxsize=None)
    def _validator(self, key):
        # With what it refers to inside of it every version of the library finds that.
        return jsonschema.Draft202012Validator({**self._schemas[key], "components": self.document["components"]})

    _schemas = {}

    def check_value(self, schema, value):
        """What is wrong with the value, or None."""
        self._schemas[id(schema)] = schema  # kept, so that no other schema gets its id
        error = jsonschema.exceptions.best_match(self._validator(id(schema)).iter_errors(value))
        if error is None:
            return None
        where = "/".join(str(part) for part in error.absolute_path)
        return f"{where + ': ' if where else ''}{error.message[:300]}"

    def check_text(self, schema, text):
        """The same for a value that came as text: a header field, a parameter."""
        kind = self.resolve(schema).get("type")
        if kind == "integer":
            if not re.fullmatch(r"-?[0-9]+", text):
                return f"{text!r} is no integer"
            return self.check_value(schema, int(text))
        return self.check_value(schema, text)
