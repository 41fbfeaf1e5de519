#!/usr/bin/python3
"""Runs the behaviour suites, each module in a process of its own, two at a time.

    run.py [module ...]        all of them, or these

Prints a line per test case and the failures at the end of each module. The closing line `cases: PASSED FAILED SKIPPED` and the lines
`skipped: NAME reason` are read by tests/run.sh. A test with failing subtests is one failed case.
"""

import concurrent.futures
import pathlib
import subprocess
import sys
import time
import unittest

import recorder

FOLDER = pathlib.Path(__file__).resolve().parent
MODULE_SECONDS = 600
AT_A_TIME = 2
# The longest first, so that the two lanes end together; modules not named here follow.
LONGEST_FIRST = [
    "test_streaming", "test_container", "test_bad_input", "test_chain_semantics", "test_ids", "test_coalescing", "test_wiring",
    "test_process", "test_disk_faults", "test_slow_readers",
]


class Result(unittest.TextTestResult):
    """Counts cases rather than failures."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.passed = set()
        self.began = 0.0

    def startTest(self, test):
        recorder.test = test.id()
        self.began = time.monotonic()
        super().startTest(test)

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed.add(test.id())

    def stopTest(self, test):
        super().stopTest(test)
        if self.showAll and time.monotonic() - self.began > 5:
            self.stream.writeln(f"    took {time.monotonic() - self.began:.0f} s")

    def counts(self):
        bad = {getattr(test, "test_case", test).id() for test, _ in self.failures + self.errors}
        bad |= {test.id() for test in self.unexpectedSuccesses}
        return len(self.passed - bad), len(bad), len(self.skipped)


def name_of(test):
    """module.Class.test, or module.Class when a whole class was skipped or broken."""
    name = test.id()
    return name[name.index("(") + 1 : -1] if name.startswith(("setUpClass", "tearDownClass")) else name


def run_module(name):
    """In the module's own process."""
    sys.path[:0] = [str(FOLDER), str(FOLDER.parent / "openapi")]
    recorder.begin(name)
    suite = unittest.defaultTestLoader.loadTestsFromName(name)
    runner = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=Result)
    result = runner.run(suite)
    for test, reason in result.skipped:
        if reason != "abstract":
            print(f"skipped: {name_of(test)} {reason}")
    passed, failed, skipped = result.counts()
    skipped -= sum(1 for _, reason in result.skipped if reason == "abstract")
    print(f"cases: {passed} {failed} {skipped}")
    return 0 if failed == 0 else 1


def spawn(name):
    began = time.monotonic()
    try:
        done = subprocess.run(
            [sys.executable, "-W", "error::ResourceWarning", __file__, "--module", name],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=MODULE_SECONDS,
        )
        text, code = done.stdout, done.returncode
    except subprocess.TimeoutExpired as ended:
        partial = ended.stdout or b""
        text = partial.decode(errors="replace") if isinstance(partial, bytes) else partial
        text, code = f"{text}\n{name} did not end within {MODULE_SECONDS} s\ncases: 0 1 0", 1
    if "\ncases: " not in text:
        text += f"\n{name} ended with {code} before it could count\ncases: 0 1 0"
    return name, code, text, time.monotonic() - began


def main():
    if sys.argv[1:2] == ["--module"]:
        return run_module(sys.argv[2])
    names = sys.argv[1:] or [path.stem for path in sorted(FOLDER.glob("test_*.py"))]
    names.sort(key=lambda name: LONGEST_FIRST.index(name) if name in LONGEST_FIRST else len(LONGEST_FIRST))
    failed = []
    with concurrent.futures.ThreadPoolExecutor(AT_A_TIME) as lanes:
        for name, code, text, seconds in lanes.map(spawn, names):
            report = f"==== {name}: {'ok' if code == 0 else 'FAILED'}, {seconds:.0f} s ====\n{text.rstrip()}"
            if code == 0:
                print(report, flush=True)
            else:
                failed.append(report)
    for report in failed:  # last, where whoever reads the end of the log finds them
        print(report)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
