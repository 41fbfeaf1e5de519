"""openapi.yaml as something to hold traffic to: which operation a request belongs to, what it may be answered.

Contract(path) reads the document; operation() finds an operation; Operation.responses are resolved. check_value() holds a
value to one of the document's schemas. Used by validate.py.
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
    """One operation: name, parameters {(place, name): parameter}, responses {status: response}, content of its body."""

    def __init__(self, contract, operation, name=None):
        self.name = name or operation["operationId"]
        parameters = [contract.resolve(parameter) for parameter in operation.get("parameters", [])]
        self.parameters = {(p["in"], p["name"] if p["in"] != "header" else p["name"].lower()): p for p in parameters}
        self.responses = {int(status): contract.resolve(said) for status, said in operation["responses"].items()}
        self.body = operation.get("requestBody")
        self.takes_any_query = operation.get("x-any-query", False)

    def __repr__(self):
        return self.name


class Contract:
    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            self.document = yaml.safe_load(file)
        self.always = {
            name.lower(): self.resolve(field) for name, field in self.document["x-on-every-answer"]["headers"].items()
        }
        self.outside = Operation(self, self.document["x-without-operation"], NO_OPERATION)
        self.paths = [
            (
                path.split("/")[1:],
                {m.upper(): Operation(self, operation) for m, operation in item.items() if m in METHODS},
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
