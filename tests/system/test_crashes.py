"""A supervisor killed or failing at random while it acts on a real tap and QEMU; bench/run.py does it a thousand times."""
import os
import shutil
import sys
import tempfile
import unittest

from support import ROOT, outguard, why_not

sys.path.insert(0, str(ROOT / "bench"))

import crashes  # noqa: E402
import faults  # noqa: E402

KILLS = int(os.environ.get("OUTGUARD_KILLS", "8"))
SHARE = float(os.environ.get("OUTGUARD_FAULTS", "0.1"))  # of all system calls of an action


@unittest.skipIf(why_not(), why_not())
class Crashes(unittest.TestCase):
    def test_kills_lose_orphan_and_double_nothing(self):
        for how in ("tc-bpf", "nft"):
            with self.subTest(how), tempfile.TemporaryDirectory() as folder:
                found = crashes.run_apart(crashes.__file__, "crash", KILLS, how, folder=folder)
                for fault in ("lost", "orphaned", "duplicate", "failed", "leaked_packets"):
                    self.assertEqual(found[fault], 0, found)
                self.assertGreater(found["acknowledged"], KILLS)
                self.assertGreater(found["undone"], 0)
                self.assertGreater(found["free_passed"], found["sent_packets"] // 8)  # a quarter is sent
                # What it left behind, looked at without a supervisor.
                code, output, _ = outguard("action", "verify", "--folder", f"{folder}/actions")
                self.assertEqual(code, 0, output)
                self.assertIn("actions.jsonl", output)
                with open(f"{folder}/actions/actions.jsonl", "r+b") as journal:
                    journal.seek(300)
                    journal.write(b"~")
                self.assertEqual(outguard("action", "verify", "--folder", f"{folder}/actions")[0], 1)
        self.assertEqual(outguard("action", "verify", "--folder", "/no/such/folder")[0], 6)

    @unittest.skipUnless(shutil.which("strace"), "no strace on this machine")
    def test_a_failing_system_call_leaves_nothing_half_done(self):
        found = faults.run_apart(faults.__file__, "fault", SHARE, "tc-bpf")
        self.assertGreater(found["injected"], 0, found)
        for fault in ("lost", "orphaned", "duplicate", "not healed", "ended by it"):
            self.assertEqual(found.get(fault, 0), 0, found)


if __name__ == "__main__":
    unittest.main()
