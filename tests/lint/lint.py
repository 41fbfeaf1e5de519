#!/usr/bin/env python3
"""lint.py - runs layers.py and rules.py over the tree; exit status 1 when there is an error.

Usage: lint.py [ROOT]
"""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import layers
import rules
from source import files_below


def main(arguments):
    here = os.path.dirname(os.path.abspath(__file__))
    root = arguments[0] if arguments else os.path.dirname(os.path.dirname(here))
    paths = files_below(root)
    findings = layers.check(root, paths) + rules.check(root, paths)
    for finding in findings:
        print(finding)
    errors = sum(not f.is_warning for f in findings)
    print(f"{len(paths)} files, {errors} errors, {len(findings) - errors} warnings")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
