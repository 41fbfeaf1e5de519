"""The benchmark itself: that it runs, ends what it starts, and reports in the shape it promises. No figure is looked at."""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

import harness

BENCH = harness.ROOT / "tests" / "bench"
PROGRAMS = pathlib.Path(harness.BINARY).parents[1] / "tests" / "bench" / "hdf5"
TRIPLES = ["alpha-bare", "hdf5-put-one", "hdf5-put-64", "hdf5-put-batch", "hdf5-peek", "hdf5-read", "poll-threads"]
NAMES = sorted([*TRIPLES, "hdf5-beside"])


class Benchmark(unittest.TestCase):
    def run_bench(self, *args):
        command = [sys.executable, BENCH / "bench.py", *args]
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=300)

    def test_one_short_round(self):
        with tempfile.TemporaryDirectory(prefix="lailad-bench-test-") as name:
            folder = pathlib.Path(name)
            built = subprocess.run(["sh", BENCH / "build.sh", folder], capture_output=True, text=True, check=False)
            self.assertEqual(built.returncode, 0, built.stderr)
            out = folder / "out.json"
            done = self.run_bench(
                "--lailad", harness.BINARY, "--bare", folder / "bare_mhd", "--puller", folder / "puller", "--programs", PROGRAMS, "--json", out,
                "--rounds", "1", "--seconds", "0.2", "--entries", "300", "--upload-mib", "4", "--only", ",".join(NAMES),
            )
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertEqual(sorted(entry.name for entry in folder.iterdir()), ["bare_mhd", "hdf5_start", "out.json", "puller"])
            result = json.loads(out.read_text(encoding="utf-8"))
        self.assertEqual(result["options"], {"rounds": 1, "seconds": 0.2, "stream_mib": 2048, "entries": 300, "upload_mib": 4})
        for key in ("cpu", "cores", "kernel", "system", "date", "commit", "load_average"):
            self.assertIn(key, result["machine"])
        self.assertIn("lailad", result["machine"]["versions"])
        rows = {row["name"]: row for row in result["comparisons"]}
        self.assertEqual(sorted(rows), NAMES)
        for name in NAMES:
            with self.subTest(name):
                self.assertNotIn("left_out", rows[name])
                self.assertEqual(rows[name]["kept"] + rows[name]["dropped"], 1)
                self.assertEqual(len(rows[name]["rounds"]), 1)
        for name in TRIPLES:
            with self.subTest(name):
                turn = rows[name]["rounds"][0]
                for key in ("ratio", "drift", "rate", "reference_rate", "cpu_us", "reference_cpu_us"):
                    self.assertIsInstance(turn[key], (int, float))
                self.assertGreater(turn["rate"], 0)
        self.look_at_writes(rows, done.stdout)
        self.assertTrue(0 <= rows["hdf5-peek"]["again"] <= 1)
        self.assertEqual(rows["hdf5-read"]["again"], 0)

    def look_at_writes(self, rows, printed):
        """Rows of writes say whether the pool promises that these survive a crash, and the one that gathers samples has them all."""
        promises = {rows[name]["durable"] for name in NAMES if "durable" in rows[name]}
        self.assertEqual([name for name in NAMES if "durable" in rows[name]], ["hdf5-beside", "hdf5-put-64", "hdf5-put-batch", "hdf5-put-one"])
        self.assertEqual(len(promises), 1)
        self.assertEqual("durable: false" in printed, promises == {False})
        row = rows["hdf5-beside"]
        for how in ("put", "append"):
            self.assertEqual(row[how]["count"], row["rounds"][0][f"{how}_count"])
            self.assertGreater(row[how]["count"], 0)
            self.assertGreaterEqual(row[how]["p99_us"], row[how]["p50_us"])
            self.assertGreater(row[how]["cpu_s"], 0)
        self.assertAlmostEqual(row["value"], row["put"]["p99_us"] / row["append"]["p99_us"])

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
