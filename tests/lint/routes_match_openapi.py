#!/usr/bin/env python3
"""Compares the route table and the list of problems with openapi.yaml, in both directions.

usage: routes_match_openapi.py [DUMP_ROUTES_PROGRAM OPENAPI_YAML]

Without arguments: the newest tests/unit/api/dump_routes below build/, and the openapi.yaml of this tree.

Of each problem openapi.yaml has one example, at the status and with the title and `retryable` that the service answers,
and the schema of that status lists its type.

Also holds openapi.yaml to the house rules: no `default` response, every object schema closed, every $ref leads
somewhere, every operation says its scope, and says 401 unless the scope is open.
"""
import glob
import os
import subprocess
import sys

import yaml

# Problems that end inside the service: no client sees them, so the contract does not list them.
INNER = {
    "urn:lailad:problem:superseded",  # ends a fill, which has no client
}

SCOPES = ("open", "read", "write", "admin")
PROBLEM = "application/problem+json"
METHODS = ("get", "head", "put", "post", "delete", "options", "patch", "trace")


def served(program):
    """What the program says: {(method, path): facts} and {problem type: (status, retryable, title)}."""
    routes, problems = {}, {}
    for line in subprocess.run([program], check=True, capture_output=True, text=True).stdout.splitlines():
        what, *rest = line.split()
        if what == "problem":
            name, status, retryable, *title = rest
            if name not in INNER:
                problems[name] = (int(status), retryable == "true", " ".join(title))
        else:
            method, path, operation, scope, body, *query = rest
            routes[method, path] = (operation, scope, body, frozenset(query))
    return routes, problems


def resolve(document, node):
    while "$ref" in node:
        target = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def body_rule(operation):
    body = operation.get("requestBody", {})
    content = body.get("content", {})
    if not content:
        return "none"
    if set(content) != {"application/json"}:
        return "any"
    return "json" if body.get("required") else "maybe-json"


def described(document):
    routes = {}
    for path, item in document["paths"].items():
        for method in METHODS:
            operation = item.get(method)
            if operation is None:
                continue
            parameters = [resolve(document, p) for p in operation.get("parameters", [])]
            query = frozenset(p["name"] for p in parameters if p["in"] == "query")
            routes[method.upper(), path] = (operation["operationId"], operation["x-scope"], body_rule(operation), query)
    return routes


def walk(node, path, visit):
    visit(node, path)
    if isinstance(node, dict):
        for key, value in node.items():
            walk(value, f"{path}/{key}", visit)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            walk(value, f"{path}/{index}", visit)


def is_closed(node):
    """Whether a schema lets no member pass that nobody described."""
    return node.get("unevaluatedProperties") is False or node.get("additionalProperties", True) is not True


def house_rules(document):
    complaints = []

    def visit(node, path):
        if not isinstance(node, dict):
            return
        if "$ref" in node:
            try:
                resolve(document, node)
            except KeyError:
                complaints.append(f"{path}: {node['$ref']} leads nowhere")
        if path.endswith("/responses") and "default" in node:
            complaints.append(f"{path}: a default response")
        kind = node.get("type", ())
        is_object = "object" in (kind if isinstance(kind, list) else [kind]) or isinstance(node.get("properties"), dict)
        if is_object and not path.endswith("/properties") and not is_closed(node) and path not in closed_from_outside:
            complaints.append(f"{path}: the object schema is open")
        for index, _ in enumerate(node.get("allOf", ()) if node.get("unevaluatedProperties") is False else ()):
            closed_from_outside.add(f"{path}/allOf/{index}")

    closed_from_outside = set()
    walk(document, "#", visit)
    operations = {}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method in METHODS:
                name = f"{method.upper()} {path}"
                complaints += operation_rules(name, operation)
                operations.setdefault(operation["operationId"], []).append(name)
    for operation_id, names in sorted(operations.items()):
        if len(names) > 1:
            complaints.append(f"operationId {operation_id} is there twice: {', '.join(names)}")
    return complaints


def operation_rules(name, operation):
    scope = operation.get("x-scope")
    if scope not in SCOPES:
        return [f"{name}: x-scope is {scope}, not one of {', '.join(SCOPES)}"]
    complaints = []
    is_open = scope == "open"
    if (operation.get("security") == []) != is_open:
        complaints.append(f"{name}: the scope is {scope}, and security says otherwise")
    if not is_open and "401" not in operation["responses"]:
        complaints.append(f"{name}: the scope is {scope}, and 401 is not listed")
    for status in operation["responses"]:
        if not (len(status) == 3 and status.isdigit()):
            complaints.append(f"{name}: {status} is no status")
    return complaints


def all_responses(document):
    """(where, status, response) of every response there is."""
    outside = document.get("x-without-operation", {}).get("responses", {})
    places = [("x-without-operation", outside)] + [
        (f"{method.upper()} {path}", operation["responses"])
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    ]
    for where, responses in places:
        for status, response in responses.items():
            yield where, int(status), resolve(document, response)


def enum_of(document, schema):
    """The problem types that a response's schema lets through."""
    schema = resolve(document, schema)
    for part in schema.get("allOf", [schema]):
        kinds = resolve(document, part).get("properties", {}).get("type", {}).get("enum")
        if kinds:
            return set(kinds)
    return set()


def problem_rules(document, problems):
    """The closed list, its examples, and the list of each status say the same as the service."""
    complaints = []
    listed = set(document["components"]["schemas"]["ProblemType"]["enum"])
    for name in sorted(problems.keys() ^ listed):
        complaints.append(f"{name} is {'not' if name in problems else 'only'} in openapi.yaml")
    shown = {}
    done = set()  # most responses are one object under many operations
    for where, status, response in all_responses(document):
        media = response.get("content", {}).get(PROBLEM)
        if media is None or (id(response), status) in done:
            continue
        done.add((id(response), status))
        expected = {name for name, facts in problems.items() if facts[0] == status}
        if enum_of(document, media["schema"]) != expected:
            complaints.append(f"{where}: of the types of {status} only one side has {sorted(enum_of(document, media['schema']) ^ expected)}")
        for example in media.get("examples", {}).values():
            value = example["value"]
            shown.setdefault(value["type"], set()).add((value["status"], value["retryable"], value["title"]))
            if value["status"] != status:
                complaints.append(f"{where}: the example of {value['type']} stands at {status}")
    for name, facts in problems.items():
        if shown.get(name) != {facts}:
            complaints.append(f"{name}: the service says {facts}, its example in openapi.yaml {shown.get(name)}")
    return complaints


def defaults():
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    programs = glob.glob(os.path.join(root, "build", "*", "tests", "unit", "api", "dump_routes"))
    if not programs:
        sys.exit("routes_match_openapi.py: dump_routes is not built below build/")
    return max(programs, key=os.path.getmtime), os.path.join(root, "openapi.yaml")


def main():
    if len(sys.argv) not in (1, 3):
        sys.exit(__doc__)
    program, contract_path = sys.argv[1:] or defaults()
    with open(contract_path, encoding="utf-8") as file:
        document = yaml.safe_load(file)
    table, problems = served(program)
    contract = described(document)
    complaints = house_rules(document)
    for key in sorted(table.keys() | contract.keys()):
        name = " ".join(key)
        if key not in contract:
            complaints.append(f"{name} is served and not described")
        elif key not in table:
            complaints.append(f"{name} is described and not served")
        elif table[key] != contract[key]:
            complaints.append(f"{name}: the table says {table[key]}, openapi.yaml {contract[key]}")
    complaints += problem_rules(document, problems)
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    print(f"{len(table)} routes, {len(problems)} problems, {len(complaints)} complaints")
    sys.exit(1 if complaints else 0)


if __name__ == "__main__":
    main()
