"""`lailad hdf5 check|recover|compact|export`: what an operator does to a pool's file, and h5py reads what comes out of it."""

import json
import os
import pathlib
import shutil
import tempfile

import h5py

from harness import Case, Daemon, run_binary, until

ENTRIES = {
    "text": b'{"a": 1}',
    "bytes": bytes(range(256)) * 8,
    "empty": b"",
    "large": b"0123456789abcdef" * 200_000,
    "with/slash and space": b"odd name",
}


def link_name(entry_id):
    return entry_id.replace("/", "%2F").replace(" ", "%20")


class Command(Case):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="lailad-command-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def run_hdf5(self, *args, code=0):
        done = run_binary("hdf5", *map(str, args), cwd=self.folder, seconds=120)
        self.assertEqual(done.returncode, code, f"{args}: {done.stdout}{done.stderr}")
        self.assertNotIn("Sanitizer", done.stderr)
        return done.stdout + done.stderr

    def new_daemon(self):
        """With the entries; not ended by itself."""
        daemon = Daemon(config='[pools.disk]\nkind = "hdf5"\n')
        self.addCleanup(daemon.remove)
        daemon.start()
        client = self.new_client(daemon)
        for entry_id, body in ENTRIES.items():
            self.assert_status(client.put_entry("disk", entry_id, body), 201)
        return daemon

    def new_file(self):
        """A file with the entries that no daemon has open."""
        daemon = self.new_daemon()
        daemon.stop()
        return pathlib.Path(shutil.copy2(daemon.data / "disk.h5", self.folder / "pool.h5"))

    def assert_holds(self, path, entries=None):
        entries = ENTRIES if entries is None else entries
        with h5py.File(path, "r") as file:
            self.assertEqual(set(file), {link_name(entry_id) for entry_id in entries})
            for entry_id, body in entries.items():
                stored = file[link_name(entry_id)]
                self.assertEqual(bytes(stored[()]) if stored.shape == () else stored[()].tobytes(), body, entry_id)

    def damage(self, path, text):
        """As rot does it: the file's time stays, so it does not count as changed by another program."""
        content = path.read_bytes()
        status = path.stat()
        self.assertEqual(content.count(text), 1)
        with open(path, "r+b") as file:
            file.seek(content.index(text))
            file.write(b"X")
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


class Usage(Command):
    def test_wrong_usage(self):
        for args in (
            (), ("mend", "x"), ("check",), ("check", "a", "b"), ("export", "a"), ("export", "a", "b", "c"), ("check", "--adopt", "a"),
            ("recover", "--force", "a"), ("compact", ""),
        ):
            with self.subTest(args=args):
                self.assertIn("usage of hdf5", self.run_hdf5(*args, code=2))
        self.assertIn("lailad hdf5 export FILE OUT", run_binary("--help").stdout)

    def test_no_such_file(self):
        for args in (("check", "none.h5"), ("recover", "none.h5"), ("compact", "none.h5"), ("export", "none.h5", "out.h5")):
            with self.subTest(args=args):
                self.assertIn("there is no such file", self.run_hdf5(*args, code=1))
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_what_is_no_hdf5_file(self):
        path = self.folder / "text.h5"
        path.write_bytes(b"this is a text file, and a long enough one")
        for args in (("check", path), ("compact", path), ("export", path, "out.h5")):
            with self.subTest(args=args):
                self.assertIn("not an HDF5 file", self.run_hdf5(*args, code=1))
        self.assertEqual(path.read_bytes(), b"this is a text file, and a long enough one")
        self.assertEqual(list(self.folder.iterdir()), [path])

    def test_nothing_is_recovered_from_what_is_no_hdf5_file(self):
        for name, content, said in (("text.h5", b"a text" * 1000, "not an HDF5 file"), ("empty.h5", b"", "the file is empty")):
            with self.subTest(name=name):
                path = self.folder / name
                path.write_bytes(content)
                self.assertIn(said, self.run_hdf5("recover", path, code=1))
                self.assertIn(said, self.run_hdf5("recover", "--adopt", path, code=1))
                self.assertEqual(path.read_bytes(), content)

    def test_a_pipe_is_not_waited_for(self):
        path = self.folder / "pipe.h5"
        os.mkfifo(path)
        for args in (("check", path), ("recover", path), ("compact", path), ("export", path, "out.h5")):
            with self.subTest(args=args):
                self.assertIn("not a regular file", self.run_hdf5(*args, code=1))
        file = self.new_file()
        os.mkfifo(f"{file}-journal")
        self.assertIn("opening the file's journal", self.run_hdf5("check", file, code=1))
        self.assertIn("opening the file's journal", self.run_hdf5("recover", file, code=1))

    def test_a_file_that_a_daemon_has(self):
        daemon = self.new_daemon()
        path = daemon.data / "disk.h5"
        for args in (("check", path), ("recover", path), ("compact", path), ("export", path, "out.h5")):
            with self.subTest(args=args):
                self.assertIn("another pool or program holds the file's lock", self.run_hdf5(*args, code=1))
        self.assertEqual(list(self.folder.iterdir()), [])
        self.assertEqual(self.new_client(daemon).read("disk", "text").body, ENTRIES["text"])
        daemon.stop()


class Check(Command):
    def test_a_sound_file(self):
        path = self.new_file()
        before = path.read_bytes()
        said = self.run_hdf5("check", path)
        self.assertIn("journal: none\n", said)
        self.assertIn(f"entries: {len(ENTRIES)}, 0 of them without a digest of what is there now\n", said)
        self.assertIn(f"{sum(map(len, ENTRIES.values()))} of them bodies", said)
        self.assertTrue(said.endswith("damaged: 0\nunreadable: 0\nsound\n"), said)
        self.assertEqual(path.read_bytes(), before)

    def test_a_damaged_entry(self):
        path = self.new_file()
        self.damage(path, ENTRIES["text"])
        before = path.read_bytes()
        said = self.run_hdf5("check", path, code=1)
        self.assertIn("damaged: 1\n  text\n", said)
        self.assertTrue(said.endswith("not sound\n"), said)
        self.assertEqual(path.read_bytes(), before)

    def test_a_file_of_others(self):
        path = self.folder / "theirs.h5"
        with h5py.File(path, "w") as file:
            file["one"] = "text"
            file["numbers"] = list(range(100))
            file.create_group("a group")["inside"] = 1
        said = self.run_hdf5("check", path)
        self.assertIn("entries: 2, 2 of them without a digest of what is there now\nforeign objects: 1\n", said)


class Recover(Command):
    def crashed(self):
        daemon = self.new_daemon()
        daemon.kill()
        journal = daemon.data / "disk.h5-journal"
        self.assertTrue(journal.exists())
        return daemon.data / "disk.h5", journal

    def test_after_a_crash_the_file_can_be_read_again(self):
        path, journal = self.crashed()
        self.assertIn("hdf5 recover", self.run_hdf5("check", path, code=1))
        said = self.run_hdf5("recover", path)
        self.assertRegex(said, r"journal: [1-9][0-9]* commits, [1-9][0-9]* bytes\nrecovered: ")
        self.assertFalse(journal.exists())
        self.assert_holds(path)
        self.assertIn("sound", self.run_hdf5("check", path))
        before = path.read_bytes()
        self.assertIn("nothing to recover: there is no journal", self.run_hdf5("recover", path))
        self.assertEqual(path.read_bytes(), before)

    def test_a_copy_of_file_and_journal(self):
        path, journal = self.crashed()
        copy = pathlib.Path(shutil.copy(path, self.folder / "copy.h5"))
        shutil.copy(journal, self.folder / "copy.h5-journal")
        before = copy.read_bytes()
        said = self.run_hdf5("recover", copy, code=1)
        self.assertIn("of another file", said)
        self.assertEqual(copy.read_bytes(), before)
        self.assertTrue((self.folder / "copy.h5-journal").exists())
        self.run_hdf5("recover", "--adopt", copy)
        self.assert_holds(copy)

    def test_a_journal_that_is_not_whole_is_kept(self):
        path, journal = self.crashed()
        content = journal.read_bytes()
        for number, (cut, allow) in enumerate(((content[:4096 + 200], ()), (b"X" * 5000, ("--accept-loss",)))):
            with self.subTest(number=number):
                copy = pathlib.Path(shutil.copy(path, self.folder / f"copy{number}.h5"))
                its_journal = self.folder / f"{copy.name}-journal"
                its_journal.write_bytes(cut)
                said = self.run_hdf5("check", copy, code=1)
                self.assertIn("journal: 0 commits, 0 bytes, damaged or cut off\n", said)
                said = self.run_hdf5("recover", *allow, copy, code=1)
                self.assertIn("damaged or cut off", said)
                self.assertIn(f"{copy}-journal.rejected", said)
                self.assertFalse(its_journal.exists())
                self.assertEqual(pathlib.Path(f"{its_journal}.rejected").read_bytes(), cut)
                its_journal.write_bytes(b"Y" * 100)
                self.run_hdf5("recover", "--accept-loss", copy, code=1)
                self.assertEqual(pathlib.Path(f"{its_journal}.rejected").read_bytes(), cut)
                self.assertEqual(pathlib.Path(f"{its_journal}.rejected.1").read_bytes(), b"Y" * 100)

    def test_a_journal_that_is_gone_is_missed(self):
        daemon = self.new_daemon()  # a new file
        path, journal = daemon.data / "disk.h5", daemon.data / "disk.h5-journal"
        for round_number in range(2):
            with self.subTest(round=round_number):
                daemon.kill()
                journal.unlink()
                said = self.run_hdf5("check", path, code=1)
                self.assertIn("journal: none, and there was to be one: what was written last may be lost\n", said)
                daemon.start()
                self.assertIn("the journal beside it is gone", daemon.log())
                daemon.restart()  # a clean end, and nothing is missing any more
                self.assertNotIn("the journal beside it is gone", daemon.log())
                self.assert_status(self.new_client(daemon).put_entry("disk", f"late{round_number}", b"1"), 201, 204)

    def test_no_journal_is_missed_after_a_recovery(self):
        daemon = self.new_daemon()
        daemon.kill()
        path, journal = daemon.data / "disk.h5", daemon.data / "disk.h5-journal"
        self.assertTrue(journal.exists())
        for _ in range(2):
            daemon.start()
            self.assertNotIn("the journal beside it is gone", daemon.log())
            daemon.kill()
        self.run_hdf5("recover", path)
        self.assertIn("journal: none\n", self.run_hdf5("check", path))
        daemon.start()
        self.assertNotIn("the journal beside it is gone", daemon.log())
        daemon.stop()
        self.assert_holds(path)

    def test_no_journal_is_missed_after_the_recovery_of_an_idle_one(self):
        """The pool rests a second after the last write: the journal is there, and nothing is in it."""
        daemon = self.new_daemon()
        path, journal = daemon.data / "disk.h5", daemon.data / "disk.h5-journal"
        self.assert_status(self.new_client(daemon).put_entry("disk", "late", b"value"), 201, 204)
        header = journal.read_bytes()[:4096]
        until(lambda: journal.read_bytes()[:4096] != header, "the rest")
        daemon.kill()
        self.run_hdf5("recover", path)
        self.assertFalse(journal.exists())
        self.assertIn("journal: none\n", self.run_hdf5("check", path))
        daemon.start()
        self.assertNotIn("the journal beside it is gone", daemon.log())

    def records(self, journal):
        content = journal.read_bytes()
        return [at for at in range(0, len(content), 4096) if content[at:at + 8] == b"lailad-r"]

    def test_lost_commits_have_to_be_accepted(self):
        daemon = self.new_daemon()
        client = self.new_client(daemon)
        for number in range(6):
            self.assert_status(client.put_entry("disk", f"late{number}", f"value {number}".encode()), 201)
        daemon.kill()
        path, journal = daemon.data / "disk.h5", daemon.data / "disk.h5-journal"
        content = bytearray(journal.read_bytes())
        content[content.index(b"value 2")] ^= 1
        journal.write_bytes(content)
        whole = self.records(journal).index(max(at for at in self.records(journal) if at < content.index(b"alue 2")))
        lost = len(self.records(journal)) - whole
        before = path.read_bytes()

        def expect_refusal():
            self.assertEqual(path.read_bytes(), before)
            self.assertEqual(journal.read_bytes(), content)

        said = self.run_hdf5("check", path, code=1)
        self.assertRegex(said, rf"journal: {whole} commits, [0-9]+ bytes, damaged or cut off\nlost: {lost} commits or more behind those\n")
        for allow in ((), ("--adopt",)):
            said = self.run_hdf5("recover", *allow, path, code=1)
            self.assertIn(f"after {whole} whole commits, {lost} or more are lost", said)
            self.assertIn("--accept-loss", said)
            expect_refusal()
        daemon.start()
        client = self.new_client(daemon)
        self.assert_problem(client.read("disk", "late0"), 502, "pool-failed")
        self.assert_problem(client.read("disk", "late5"), 502, "pool-failed")
        self.assert_status(client.get("/readyz"), 503)
        daemon.stop()
        self.assertIn("--accept-loss", daemon.log())
        expect_refusal()
        said = self.run_hdf5("recover", "--accept-loss", path, code=1)
        self.assertIn(f"{journal}.rejected", said)
        self.assertFalse(journal.exists())
        self.assertEqual(pathlib.Path(f"{journal}.rejected").read_bytes(), content)
        self.assert_holds(path, {**ENTRIES, "late0": b"value 0", "late1": b"value 1"})

    def test_what_a_cut_journal_still_holds_is_recovered(self):
        path, journal = self.crashed()
        records = self.records(journal)
        self.assertGreater(len(records), 2)
        os.truncate(journal, records[-1] + 100)
        self.assertIn(f"journal: {len(records) - 1} commits", self.run_hdf5("recover", path, code=1))
        self.assertTrue(pathlib.Path(f"{journal}.rejected").exists())
        with h5py.File(path, "r") as file:
            self.assertIn("text", file)


class Compact(Command):
    def test_space_comes_back(self):
        daemon = self.new_daemon()
        client = self.new_client(daemon)
        for number in range(20):
            self.assert_status(client.put_entry("disk", f"gone{number}", bytes([number]) * 500_000), 201)
        self.assert_status(client.put_entry("disk", "behind", b"x" * 100_000), 201)
        for number in range(20):
            self.assert_status(client.delete(f"/pools/disk/entries/gone{number}"), 204)
        daemon.stop()
        path = daemon.data / "disk.h5"
        before = path.stat().st_size
        said = self.run_hdf5("compact", path)
        after = path.stat().st_size
        self.assertIn(f"compacted: {len(ENTRIES) + 1} entries, from ", said)
        self.assertLess(after, before / 2)
        self.assert_holds(path, {**ENTRIES, "behind": b"x" * 100_000})
        self.assertIn("sound", self.run_hdf5("check", path))
        daemon.start()
        client = self.new_client(daemon)
        for entry_id, body in ENTRIES.items():
            self.assertEqual(client.read("disk", entry_id).body, body)
        daemon.stop()

    def test_a_file_that_must_not_be_written_in_place_is_kept_beside_it(self):
        path = self.folder / "theirs.h5"
        with h5py.File(path, "w", libver="earliest") as file:
            file["one"] = "text"
            file.create_dataset("packed", data=list(range(10000)), compression="gzip", chunks=(1000,))
        before = path.read_bytes()
        self.run_hdf5("compact", path)
        self.assertEqual((self.folder / "theirs.h5.original").read_bytes(), before)
        with h5py.File(path, "r") as file:
            self.assertEqual(file["one"].asstr()[()], "text")
            self.assertEqual(file["packed"][()].tolist(), list(range(10000)))
            self.assertEqual(file["packed"].compression, "gzip")
        self.assertEqual(
            {item.name for item in self.folder.iterdir()}, {"theirs.h5", "theirs.h5.original"}
        )


class Export(Command):
    def test_a_plain_copy(self):
        path = self.new_file()
        before = path.read_bytes()
        out = self.folder / "out.h5"
        self.assertEqual(self.run_hdf5("export", path, out), f"exported: {len(ENTRIES)} entries\n")
        self.assert_holds(out)
        self.assertEqual(path.read_bytes(), before)
        self.assertEqual({item.name for item in self.folder.iterdir()}, {"pool.h5", "out.h5"})
        self.assertIn("sound", self.run_hdf5("check", out))
        kept = out.read_bytes()
        self.assertIn("there is a file already", self.run_hdf5("export", path, out, code=1))
        self.assertEqual(out.read_bytes(), kept)
        self.run_hdf5("export", path, "beside.h5")  # a relative name
        self.assert_holds(self.folder / "beside.h5")

    def test_a_daemon_goes_on_with_it(self):
        path = self.new_file()
        daemon = Daemon(config='[pools.disk]\nkind = "hdf5"\n')
        self.addCleanup(daemon.remove)
        daemon.data.mkdir(parents=True)
        self.run_hdf5("export", path, daemon.data / "disk.h5")
        daemon.start()
        client = self.new_client(daemon)
        for entry_id, body in ENTRIES.items():
            answer = client.read("disk", entry_id)
            self.assertEqual(answer.body, body)
        self.assert_status(client.put_entry("disk", "new", json.dumps({"x": 1}).encode()), 201)
        daemon.stop()
        self.assert_holds(daemon.data / "disk.h5", {**ENTRIES, "new": b'{"x": 1}'})
