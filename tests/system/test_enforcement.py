"""What the tap's filter does on a live guest: told as the kernel has it, kept over a crash, cleared when nobody owns it."""
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import time
import unittest

from support import OUTGUARD, Lab, Supervisor, why_not

BLOCKED, FREE = "203.0.113.20", "203.0.113.21"


class WithBpffs:
    """A mount namespace with a bpffs of its own, whatever this host has."""

    def __enter__(self):
        self.holder = subprocess.Popen(["unshare", "--mount", "sh", "-c",
                                        "mount -t bpf bpf /sys/fs/bpf && echo yes; exec sleep 3600"],
                                       stdout=subprocess.PIPE, text=True)
        if self.holder.stdout.readline() != "yes\n":
            self.__exit__()
            raise unittest.SkipTest("SKIPPED: no bpffs can be mounted here")
        self.words = ["nsenter", "--mount", "--target", str(self.holder.pid)]
        return self

    def __exit__(self, *_):
        self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()

    def run(self, *words):
        return subprocess.run([*self.words, *words], text=True, capture_output=True, timeout=60)


class InNamespace(Supervisor):
    """The supervisor, run there."""

    def __init__(self, space, *words):
        super().__init__(*words)
        self.space = space

    def __enter__(self):
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([*self.space.words, OUTGUARD, "run", "--eve", str(self.eve), *self.words],
                                            stdout=subprocess.DEVNULL, stderr=log)
        return self


@unittest.skipIf(why_not(), why_not())
class Enforcement(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.run_folder = self.folder / "run"
        feed = self.folder / "feed.txt"
        feed.write_text("203.0.113.66\n")
        self.config = self.folder / "outguard.yaml"
        self.config.write_text(json.dumps({
            "run_folder": str(self.run_folder), "actions_folder": str(self.folder / "actions"),
            "intel": {"files": [{"path": str(feed), "allow_reserved": True}],
                      "changes": str(self.folder / "changes"), "cache": str(self.folder / "cache")}}))
        self.guest = self.enterContext(Lab()).guest(kernel="6.1-cloud")
        self.space = self.enterContext(WithBpffs())

    def supervise(self):
        supervisor = InNamespace(self.space, self.folder, "--config", str(self.config), "--vm", self.guest.uuid)
        self.addCleanup(supervisor.__exit__)
        supervisor.__enter__()
        supervisor.wait_for_log(f"{self.guest.name}: ready")
        return supervisor

    def ask(self, *words):
        done = self.space.run(OUTGUARD, *words, "--run-folder", str(self.run_folder), "-o", "json")
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return rows

    def tap(self):
        (row,) = self.ask("vm", "show", self.guest.target)
        (tap,) = row["guard"]["enforcement"]
        return tap

    def in_switch(self, *words):
        return subprocess.run(["ip", "netns", "exec", self.guest.switch, *words], text=True, capture_output=True,
                              check=True).stdout

    def count(self, started):
        return self.guest.talk()[started.pid].count

    def moves(self, started, seconds=1.5):
        before, end = self.count(started), time.monotonic() + seconds
        while time.monotonic() < end:
            if self.count(started) > before + 1:
                return True
            time.sleep(0.1)
        return False

    def until(self, is_so, what, timeout=30):
        end = time.monotonic() + timeout
        while not is_so():
            self.assertLess(time.monotonic(), end, f"no {what} within {timeout} s")
            time.sleep(0.2)

    def test_it_is_told_kept_and_cleared(self):
        supervisor = self.supervise()
        tap = self.tap()
        self.assertEqual((tap["mechanism"], tap["at_work"], tap["why_not_better"], tap["rules"]),
                         ("tc-bpf", False, None, []), tap)
        self.assertIn(tap["hook"], ("tcx", "clsact"))
        blocked = self.guest.run("tcp-client", f"{BLOCKED}:4444", 0.01)
        free = self.guest.run("tcp-client", f"{FREE}:4444", 0.01)
        self.assertTrue(self.moves(blocked))
        (row,) = self.ask("block", self.guest.uuid, "remote", BLOCKED, "--for", "1h")
        self.assertEqual(row["status"], "blocked")
        self.assertFalse(self.moves(blocked))
        tap = self.tap()
        self.assertEqual((tap["at_work"], [rule["rule"] for rule in tap["rules"]]), (True, [f"remote {BLOCKED}"]), tap)
        self.assertGreater(tap["rules"][0]["seconds_left"], 3500)
        self.assertGreater(tap["dropped"]["remote"], 0)
        self.assertNotIn("outguard", self.in_switch("nft", "list", "tables"))
        # An operator's own, and what a supervisor left for a tap that is gone.
        self.in_switch("nft", "add table netdev outguard_mine; add table netdev outguard_gone0; "
                              "add set netdev outguard_gone0 flows4 { type ipv4_addr; flags timeout; }; "
                              "add set netdev outguard_gone0 isolated { type ifname; flags timeout; }")
        # A crash changes nothing, and a restart neither: no exchange gets through meanwhile.
        before = self.count(blocked)
        os.kill(self.supervisor_pid(), signal.SIGKILL)
        supervisor.process.wait()
        self.assertTrue(self.moves(free))
        self.supervise()
        self.until(lambda: "outguard_gone0" not in self.in_switch("nft", "list", "tables"), "clearing")
        self.assertIn("outguard_mine", self.in_switch("nft", "list", "tables"))
        self.assertEqual(self.count(blocked), before)
        after = self.tap()
        self.assertEqual([rule["rule"] for rule in after["rules"]], [f"remote {BLOCKED}"])
        self.assertGreaterEqual(after["dropped"]["remote"], tap["dropped"]["remote"])
        self.assertEqual([one["state"] for one in self.ask("action", "show", row["id"])], ["done"])
        self.assertTrue(self.moves(free))
        # A rule that the kernel ends by itself.
        (undone,) = self.ask("action", "undo", row["id"])
        self.assertEqual(undone["state"], "undone")
        self.assertEqual(self.tap()["rules"], [])
        self.ask("block", self.guest.uuid, "port", "out", "tcp", "4444", "--for", "2s")
        self.until(lambda: self.tap()["rules"] == [], "end")

    def supervisor_pid(self):
        """nsenter becomes the program it runs: the socket is named after that."""
        (path,) = self.run_folder.glob("*.sock")
        return int(path.stem)


if __name__ == "__main__":
    unittest.main()
