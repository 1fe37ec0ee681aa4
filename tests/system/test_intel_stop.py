"""Who asks the daemon to end does not wait for a compile: neither at its start, nor of a feed that changed."""
import json
import os
import pathlib
import signal
import tempfile
import time
import unittest

from support import Supervisor

MANY = 5_000_000
LONGEST = 2.0  # seconds from SIGTERM to the end; the compile alone takes longer
TICKS = os.sysconf("SC_CLK_TCK")


def compilers_of(parent):
    """Processor seconds of each process that compiles for `parent`."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else []
            fields = (entry / "stat").read_text().rpartition(")")[2].split() if b"compile-intel" in words else []
        except OSError:
            continue
        if fields and int(fields[1]) == parent and fields[0] != "Z":
            found[int(entry.name)] = int(fields[11]) / TICKS
    return found


@unittest.skipIf(os.geteuid() != 0, "the daemon wants root")
class Stopping(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.feed = self.folder / "feed.txt"
        config = {"intel": {"files": [{"path": str(self.feed)}], "changes": str(self.folder / "changes"),
                            "cache": str(self.folder / "cache")}, "run_folder": str(self.folder / "run")}
        (self.folder / "outguard.yaml").write_text(json.dumps(config))  # JSON is YAML

    def write_many(self, path):
        with open(path, "w", encoding="ascii") as feed:
            for first in range(0, MANY, 100_000):
                feed.write("".join(f"host{number}.bad{number % 977}.com\n" for number in range(first, first + 100_000)))

    def run_supervisor(self):
        return self.enterContext(Supervisor(self.folder, "--config", str(self.folder / "outguard.yaml"),
                                            "--vm", "no-vm-of-this-name"))

    def assert_ends_at_once(self, supervisor):
        daemon = supervisor.process

        def compiling():
            return any(spent >= 0.3 for spent in compilers_of(daemon.pid).values())

        supervisor.wait_until(compiling, "compile that has begun", 30)
        children = compilers_of(daemon.pid)
        asked = time.monotonic()
        daemon.send_signal(signal.SIGTERM)
        self.assertEqual(daemon.wait(20), 0)
        took = time.monotonic() - asked
        self.assertLess(took, LONGEST)
        self.assertNotIn(str(MANY), supervisor.log.read_text())
        self.assertEqual([pid for pid in children if os.path.exists(f"/proc/{pid}")], [])
        print(f"  from SIGTERM to the end: {took * 1000:.0f} ms", flush=True)

    def test_at_the_start(self):
        self.write_many(self.feed)
        self.assert_ends_at_once(self.run_supervisor())

    def test_when_a_feed_changed(self):
        self.feed.write_text("evil.bad-name.com\n")
        supervisor = self.run_supervisor()
        supervisor.wait_for_log("intelligence in force: 1 indicator")
        self.write_many(self.folder / "fresh")
        os.rename(self.folder / "fresh", self.feed)
        self.assert_ends_at_once(supervisor)


if __name__ == "__main__":
    unittest.main()
