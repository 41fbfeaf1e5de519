"""The result: rows for people, JSON for programs."""

import json

import machine

PACKAGES = ("libmicrohttpd12", "libmicrohttpd12t64", "nginx-light", "varnish", "webdis", "redis-server", "swift-proxy", "wrk")


def versions(lailad):
    found = {name: machine.package_version(name) for name in PACKAGES}
    return {"lailad": machine.first_line([lailad, "--version"]), **{name: version for name, version in found.items() if version}}


def is_met(comparison, value):
    if comparison.goal is None or value is None:
        return None
    return value >= comparison.goal if comparison.at_least else value <= comparison.goal


def goal_text(comparison):
    if comparison.goal is None:
        return "-"
    return f"{'>=' if comparison.at_least else '<='} {comparison.goal:g}"


def side(row, name, field, digits):
    return f"{row[name][field]:.{digits}f}" if name in row else "-"


def print_table(rows):
    print(f"\n{'comparison':46} {'figure':>7} {'unit':5} {'goal':>8} {'':3} {'rate':>8} {'ref':>8} {'cpu us (user+sys)':>18} "
          f"{'ref us (user+sys)':>18}  kept")
    for comparison, row in rows:
        if row.get("left_out"):
            print(f"{comparison.title:46} left out: {row['left_out']}")
            continue
        if row["value"] is None:
            print(f"{comparison.title:46} no stable triple of {row['dropped']}")
            continue
        cpu = [f"{side(row, who, 'user_us', 1)}+{side(row, who, 'system_us', 1)}" if who in row else "-" for who in ("subject", "reference")]
        verdict = {True: "yes", False: "NO", None: ""}[row["met"]]
        print(f"{comparison.title:46} {row['value']:7.3f} {comparison.unit:5} {goal_text(comparison):>8} {verdict:3} "
              f"{side(row, 'subject', 'rate', 0):>8} {side(row, 'reference', 'rate', 0):>8} {cpu[0]:>18} {cpu[1]:>18}  "
              f"{row['kept']} of {row['kept'] + row['dropped']}")
        if row.get("client_bound"):
            print(f"{'':46} the client was the bottleneck: compare CPU time per request")
        if row.get("note"):
            print(f"{'':46} {row['note']}")


def write_json(path, rows, about, options):
    comparisons = [
        {"name": comparison.name, "title": comparison.title, "unit": comparison.unit, "goal": comparison.goal,
         "at_least": comparison.at_least, **row}
        for comparison, row in rows
    ]
    text = json.dumps({"machine": about, "options": options, "comparisons": comparisons}, indent=1)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text + "\n")
