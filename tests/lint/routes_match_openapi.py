#!/usr/bin/env python3
"""Compares the route table and the list of problems with openapi.yaml, in both directions.

usage: routes_match_openapi.py [DUMP_ROUTES_PROGRAM OPENAPI_YAML]

Without arguments: the newest tests/unit/api/dump_routes below build/, and the openapi.yaml of this tree.

Also holds openapi.yaml to the house rules: no `default` response, every object schema closed, every $ref leads
somewhere.
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

METHODS = ("get", "head", "put", "post", "delete", "options", "patch", "trace")


def served(program):
    """What the program says: {(method, path): facts} and the set of problem types."""
    routes, problems = {}, set()
    for line in subprocess.run([program], check=True, capture_output=True, text=True).stdout.splitlines():
        what, *rest = line.split()
        if what == "problem":
            problems.update(set(rest) - INNER)
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
    content = operation.get("requestBody", {}).get("content", {})
    if not content:
        return "none"
    return "json" if set(content) == {"application/json"} else "any"


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
        if node.get("type") == "object" and node.get("additionalProperties", True) is True:
            complaints.append(f"{path}: the object schema is open")

    walk(document, "#", visit)
    operations = [o["operationId"] for i in document["paths"].values() for m, o in i.items() if m in METHODS]
    for name in sorted({o for o in operations if operations.count(o) > 1}):
        complaints.append(f"operationId {name} is there twice")
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
    enum = document["components"]["schemas"]["ProblemType"]["enum"]
    for name in sorted(problems ^ set(enum)):
        complaints.append(f"{name} is {'not ' if name in problems else 'only '}in openapi.yaml")
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    print(f"{len(table)} routes, {len(problems)} problems, {len(complaints)} complaints")
    sys.exit(1 if complaints else 0)


if __name__ == "__main__":
    main()
