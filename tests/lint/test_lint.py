#!/usr/bin/env python3
"""test_lint.py - every rule fails on what it forbids and is silent on what it allows."""
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import layers
import rules
from source import code_only, files_below

HEAD = "/* a file */\n"


def found(path, text):
    """The rules that a tree with only this file breaks."""
    with tempfile.TemporaryDirectory() as root:
        os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
        with open(os.path.join(root, path), "w", encoding="utf-8") as file:
            file.write(text)
        paths = files_below(root)
        return [f.rule for f in layers.check(root, paths) + rules.check(root, paths) if not f.is_warning]


class Layers(unittest.TestCase):
    REFUSED = [
        ("pools/base/map.c", '"pools/pool.h"'),
        ("pools/base/map.c", '"api/api.h"'),
        ("pools/memory/memory_pool.c", '"pools/registry.h"'),
        ("pools/memory/memory_pool.c", '"pools/chain/chain.h"'),
        ("pools/memory/memory_pool.c", '"pools/hdf5/index.h"'),
        ("pools/memory/memory_pool.c", '"pools/object_store/client.h"'),
        ("pools/object_store/client.c", '"pools/s3/s3_pool.h"'),
        ("pools/s3/s3_pool.c", '"pools/memory/memory_pool.h"'),
        ("pools/chain/chain.c", '"pools/s3/s3_pool.h"'),
        ("pools/pool.c", '"pools/registry.h"'),
        ("pools/registry.c", '"pools/chain/chain.h"'),
        ("pools/registry.c", '"pools/memory/memory_pool.h"'),
        ("pools/kinds.c", '"pools/memory/memory_store.h"'),
        ("api/entries.c", '"pools/memory/memory_pool.h"'),
        ("api/entries.c", '"pools/chain/stream.h"'),
        ("api/entries.c", '"server/exchange.h"'),
        ("server/main.c", '"pools/hdf5/h5.h"'),
        ("elsewhere/new.c", '"pools/pool.h"'),
        ("pools/pool.c", '"fence.h"'),
        ("pools/pool.c", "<jansson.h>"),
        ("pools/s3/s3_pool.c", "<curl/curl.h>"),
        ("pools/s3/s3_pool.c", "<hdf5.h>"),
        ("api/entries.c", "<microhttpd.h>"),
        ("api/entries.c", "<sqlite3.h>"),
        ("server/auth.c", "<microhttpd.h>"),
        ("server/main.c", "<sodium.h>"),
        ("server/main.c", "<glib.h>"),
        ("server/main.c", "<toml++/toml.h>"),
        ("server/main.c", "<cstdio>"),
        ("server/toml_shim.cpp", "<iostream>"),
    ]
    ALLOWED = [
        ("pools/base/map.c", '"pools/base/must.h"'),
        ("pools/memory/memory_pool.c", '"pools/pool.h"'),
        ("pools/memory/memory_pool.c", '"pools/memory/memory_store.h"'),
        ("pools/s3/s3_pool.c", '"pools/object_store/client.h"'),
        ("pools/chain/chain.c", '"pools/registry.h"'),
        ("pools/kinds.c", '"pools/memory/memory_pool.h"'),
        ("api/entries.c", '"pools/chain/chain.h"'),
        ("server/main.c", '"api/api.h"'),
        ("tests/unit/pools/memory/test_s3fifo.c", '"pools/memory/s3fifo.h"'),
        ("pools/hdf5/h5.c", "<hdf5.h>"),
        ("pools/object_store/client.c", "<curl/curl.h>"),
        ("server/listener.c", "<microhttpd.h>"),
        ("tests/unit/api/test_problem.c", "<check.h>"),
        ("api/entries.c", "<string.h>"),
        ("server/toml_shim.cpp", "<toml++/toml.h>"),
        ("server/toml_shim.cpp", "<cstdio>"),
    ]

    def test_refused(self):
        for path, header in self.REFUSED:
            with self.subTest(path=path, header=header):
                rule = "layers" if header[0] == '"' else "libraries"
                self.assertEqual(found(path, f"{HEAD}#include {header}\n"), [rule])

    def test_allowed(self):
        for path, header in self.ALLOWED:
            with self.subTest(path=path, header=header):
                self.assertEqual(found(path, f"{HEAD}#include {header}\n"), [])


class Rules(unittest.TestCase):
    def test_banned_calls(self):
        for name in rules.BANNED_CALLS:
            with self.subTest(name=name):
                self.assertEqual(found("pools/pool.c", f"{HEAD}void f(void) {{\n    {name} (x);\n}}\n"), ["banned-call"])

    def test_calls_that_only_look_banned(self):
        for text in ("static_assert(1, 2);", "ck_assert(1);", "writer->abort(x);", "ops.gets(x);", "gmtime_r(a, b);",
                     'puts("abort()");', "/* assert(1) */", "my_atoi(x);"):
            with self.subTest(text=text):
                self.assertEqual(found("pools/pool.c", f"{HEAD}void f(void) {{\n    {text}\n}}\n"), [])

    def test_calls_allowed_at_home(self):
        self.assertEqual(found("pools/base/must.c", f"{HEAD}void f(void) {{\n    abort();\n}}\n"), [])
        self.assertEqual(found("server/config.c", f'{HEAD}void f(void) {{\n    getenv("A");\n}}\n'), [])
        self.assertEqual(found("api/config.c", f'{HEAD}void f(void) {{\n    getenv("A");\n}}\n'), ["banned-call"])

    def test_file_length(self):
        self.assertEqual(found("pools/pool.c", HEAD + "\n" * (rules.FILE_MOST_LINES - 1)), [])
        self.assertEqual(found("pools/pool.c", HEAD + "\n" * rules.FILE_MOST_LINES), ["file-length"])
        warned = rules.check_file_length("a.c", "\n" * (rules.FILE_WARN_LINES + 1))
        self.assertTrue(warned and warned[0].is_warning)

    def test_function_length(self):
        def function(lines):
            return HEAD + "static int f(int a,\n             int b) {\n" + "    a++;\n" * (lines - 2) + "}\n"
        self.assertEqual(found("pools/pool.c", function(rules.FUNCTION_MOST_LINES)), [])
        self.assertEqual(found("pools/pool.c", function(rules.FUNCTION_MOST_LINES + 1)), ["function-length"])

    def test_what_is_a_function(self):
        text = ("struct a {\n  int b;\n};\n#define M(x) do { \\\n  x; \\\n } while (0)\nint t[] = {1,\n2};\n"
                "int f(void) {\n  if (1) {\n    puts(\"}\");\n  }\n  return '}';\n}\nSTART_TEST(x) {\n}\nEND_TEST\n")
        self.assertEqual(rules.functions(text), [(9, 6), (15, 2)])

    def test_opening_comment(self):
        self.assertEqual(found("pools/pool.c", "#include <stdio.h>\n"), ["opening-comment"])
        self.assertEqual(found("pools/pool.c", "/* */\n"), ["opening-comment"])

    def test_later_words(self):
        for word in rules.LATER_WORDS:
            self.assertEqual(found("pools/pool.c", f"{HEAD}/* {word}: more */\n"), ["later"])
            self.assertEqual(found("server/run.sh", f"# {word}\n"), ["later"])
        self.assertEqual(found("pools/pool.c", f'{HEAD}char name[] = "/tmp/a-{"X" * 6}";\n'), [])

    def test_suppressions(self):
        for word in rules.SUPPRESSIONS:
            self.assertEqual(found("pools/pool.c", f"{HEAD}int a; // {word}\n"), ["suppression"])

    def test_code_only_keeps_lines(self):
        text = 'int a; /* x\n y */ char *b = "\\"//"; // z\nint c;\n'
        stripped = code_only(text)
        self.assertEqual(len(stripped), len(text))
        self.assertEqual(stripped.count("\n"), text.count("\n"))
        self.assertNotIn("y", stripped)
        self.assertIn("int c;", stripped)


if __name__ == "__main__":
    unittest.main()
