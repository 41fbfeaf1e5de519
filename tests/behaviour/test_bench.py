"""The benchmark itself: that it runs, ends what it starts, and reports in the shape it promises. No figure is looked at."""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

import harness

BENCH = harness.ROOT / "tests" / "bench"
NAMES = ["alpha-bare", "poll-threads"]


class Benchmark(unittest.TestCase):
    def run_bench(self, *args):
        command = [sys.executable, BENCH / "bench.py", *args]
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120)

    def test_one_short_round(self):
        with tempfile.TemporaryDirectory(prefix="lailad-bench-test-") as name:
            folder = pathlib.Path(name)
            built = subprocess.run(["sh", BENCH / "build.sh", folder], capture_output=True, text=True, check=False)
            self.assertEqual(built.returncode, 0, built.stderr)
            out = folder / "out.json"
            done = self.run_bench(
                "--lailad", harness.BINARY, "--bare", folder / "bare_mhd", "--puller", folder / "puller", "--json", out,
                "--rounds", "1", "--seconds", "0.2", "--only", ",".join(NAMES),
            )
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertEqual(sorted(entry.name for entry in folder.iterdir()), ["bare_mhd", "hdf5_start", "out.json", "puller"])
            result = json.loads(out.read_text(encoding="utf-8"))
        self.assertEqual(result["options"], {"rounds": 1, "seconds": 0.2, "stream_mib": 2048})
        for key in ("cpu", "cores", "kernel", "system", "date", "commit", "load_average"):
            self.assertIn(key, result["machine"])
        self.assertIn("lailad", result["machine"]["versions"])
        self.assertEqual([row["name"] for row in result["comparisons"]], NAMES)
        for row in result["comparisons"]:
            with self.subTest(row["name"]):
                self.assertNotIn("left_out", row)
                self.assertEqual(row["kept"] + row["dropped"], 1)
                self.assertEqual(len(row["rounds"]), 1)
                for key in ("ratio", "drift", "rate", "reference_rate", "cpu_us", "reference_cpu_us"):
                    self.assertIsInstance(row["rounds"][0][key], (int, float))
                self.assertGreater(row["rounds"][0]["rate"], 0)

    def test_start_of_a_large_file(self):
        with tempfile.TemporaryDirectory(prefix="lailad-bench-test-") as name:
            folder = pathlib.Path(name)
            built = subprocess.run(["sh", BENCH / "build.sh", folder], capture_output=True, text=True, check=False)
            self.assertEqual(built.returncode, 0, built.stderr)
            out = folder / "out.json"
            done = self.run_bench(
                "--lailad", harness.BINARY, "--hdf5-start", folder / "hdf5_start", "--json", out, "--rounds", "1",
                "--start-entries", "2000", "--only", "hdf5-start-answer,hdf5-start-loaded,hdf5-start-memory",
            )
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            result = json.loads(out.read_text(encoding="utf-8"))
            self.assertEqual([entry.name for entry in folder.iterdir() if entry.is_dir()], [])
        answer, loaded, memory = result["comparisons"]
        self.assertGreater(answer["value"], 0)
        self.assertGreater(loaded["value"], 0)
        self.assertEqual(memory["rounds"]["entries"], 2000)
        self.assertEqual(sorted(answer["rounds"]["first_answer_s"]), ["0", "1000", "1999"])

    def test_names(self):
        listed = self.run_bench("--list")
        self.assertEqual(listed.returncode, 0, listed.stderr)
        self.assertLessEqual(set(NAMES), {line.split()[0] for line in listed.stdout.splitlines()})
        self.assertEqual(self.run_bench("--only", "nothing").returncode, 2)


if __name__ == "__main__":
    unittest.main()
