"""`ps --pid --hash --maps` equals the guest's own sha256sum and /proc/PID/maps; alerts carry the hash."""
import pathlib
import tempfile
import unittest

from support import Lab, Supervisor, in_json, outguard, rows, why_not

ECHO = "203.0.113.66:4444"
SLOW = "600"  # seconds between exchanges
MAPPINGS = 5000

# A tmpfs that gives huge pages to every file.
# A huge page is the kernel's to give: where memory is in pieces at that moment, it puts them together and tries again.
# Each processor counts for itself, and /proc/meminfo is behind until stat_refresh has them add up.
HUGE = """set -e
mkdir -p /huge
mount -t tmpfs -o huge=always,size=64m huge /huge
for try in 1 2 3 4 5; do
  cp /usr/bin/agent /huge/program
  cat /proc/sys/vm/stat_refresh
  grep -q 'ShmemHugePages: *0 kB' /proc/meminfo || break
  rm /huge/program
  echo 1 > /proc/sys/vm/compact_memory
  sleep 1
done
test -e /huge/program || cp /usr/bin/agent /huge/program
"""


def maps_of(guest, pid):
    """/proc/PID/maps in the form of Outguard's rows. [vsyscall] is no mapping of the process's."""
    table = []
    for line in guest.sh(f"cat /proc/{pid}/maps")[1].splitlines():
        area, permissions, offset, _device, inode, *path = line.split(maxsplit=5)
        path = path[0] if path else ""
        if path == "[vsyscall]":
            continue
        start, end = area.split("-")
        deleted = path.endswith(" (deleted)")
        table.append((int(start, 16), int(end, 16), permissions, int(offset, 16), int(inode),
                      in_json(path.removesuffix(" (deleted)").replace("\\012", "\n")), deleted))
    return table


def seen_maps(map_rows):
    return [(int(row["start"], 16), int(row["end"], 16), row["permissions"], row["offset"], row["inode"],
             row["path"], row["deleted"]) for row in map_rows]


def sha256_of(guest, pid):
    status, output = guest.sh(f"sha256sum /proc/{pid}/exe")
    assert status == 0, output
    return output.split()[0]


def differing(one, other):
    return [(a, b) for a, b in zip(one, other) if a != b][:5] + [f"{len(one)} and {len(other)} rows"]


@unittest.skipIf(why_not(), why_not())
class Maps(unittest.TestCase):
    def setUp(self):
        self.lab = self.enterContext(Lab())

    def check(self, **options):
        guest = self.lab.guest(ram=512, **options)
        guest.load("overlay")
        status, output = guest.sh(HUGE)
        self.assertEqual(status, 0, output)
        processes = {
            "init": 1,
            "plain": guest.run("tcp-client", ECHO, SLOW).pid,
            "memfd": guest.run("memfd-exe", ECHO, SLOW).pid,
            "deleted": guest.run("deleted-exe", ECHO, SLOW).pid,
            "many": guest.run("many-maps", MAPPINGS).pid,
            "huge": guest.run("sleeper", "pause", exe="/huge/program").pid,
            "lower layer": guest.run("overlay-exe", "lower").pid,
            "upper layer": guest.run("overlay-exe", "upper").pid,
            "of an overlay, deleted": guest.run("overlay-exe", "deleted").pid,
            "bind mount": guest.run("bind-exe", "file").pid,
            "32 bits": guest.run("bits32").pid,
        }
        huge = guest.sh("cat /proc/sys/vm/stat_refresh; grep ShmemHugePages /proc/meminfo")[1].split()
        self.assertGreater(int(huge[1]), 0, "no huge page to test with")
        for name, pid in processes.items():
            with self.subTest(name, **options):
                self.check_hash(guest, pid)
                self.check_maps(guest, pid)
        self.check_card(guest, processes["plain"])
        self.check_refusals(guest)
        return guest, processes

    def check_hash(self, guest, pid):
        (row,) = rows("ps", guest.target, "--pid", str(pid), "--hash")
        self.assertEqual(row["sha256_status"], "complete", row)
        self.assertEqual(row["sha256"], sha256_of(guest, pid))
        size = int(guest.sh(f"stat -L -c %s /proc/{pid}/exe")[1])
        self.assertEqual((row["exe_bytes"], row["exe_resident_bytes"]), (size, size))

    def check_maps(self, guest, pid):
        """Only between two equal looks of the guest's own is a difference Outguard's."""
        for _ in range(5):
            before = maps_of(guest, pid)
            _, *map_rows = rows("ps", guest.target, "--pid", str(pid), "--maps")
            after = maps_of(guest, pid)
            if before == after:
                break
        self.assertEqual(before, after, "the guest never stood still")
        seen = seen_maps(map_rows)
        self.assertTrue(seen == after, differing(seen, after))

    def check_card(self, guest, pid):
        code, card, problems = outguard("ps", guest.target, "--pid", str(pid), "--hash", "--maps")
        self.assertEqual((code, problems), (0, ""))
        for text in (f"pid         {pid} ", "executable  /usr/bin/tcp-client", sha256_of(guest, pid),
                     "effective   all", "<- init[1]", "[stack]", "r-xp"):
            self.assertIn(text, card)

    def check_refusals(self, guest):
        """A kernel thread has no executable and maps nothing; no process is an answer of its own."""
        (row, *maps) = rows("ps", guest.target, "--pid", "2", "--hash", "--maps")
        self.assertEqual((row["sha256"], row["sha256_status"], maps), (None, None, []))
        self.assertNotEqual(outguard("ps", guest.target, "--pid", "4000000", "--hash")[0], 0)

    def test_5_10(self):
        self.check(kernel="5.10")

    def test_6_1(self):
        self.check(kernel="6.1", memfd=True)

    def test_6_12(self):
        self.check(kernel="6.12", cpu="max")

    def test_an_alert_has_the_hash(self):
        """Of the process that is ended for it, also of one whose file is gone with it."""
        guest = self.lab.guest(kernel="6.1-cloud")
        folder = self.enterContext(tempfile.TemporaryDirectory())
        feed = pathlib.Path(folder) / "feed.txt"
        feed.write_text("203.0.113.66\n")
        with Supervisor(folder, "--intel", str(feed), "--allow-reserved", "--enforce", "--vm",
                        guest.uuid) as supervisor:
            supervisor.wait_for_log(f"{guest.name}: ready")
            for role in ("tcp-client", "deleted-exe"):
                quiet = guest.run(role, "203.0.113.20:4444", SLOW)
                digest = sha256_of(guest, quiet.pid)
                pid = guest.spawn(role, ECHO, 0.2).pid
                alert = supervisor.wait_for_alert(
                    lambda found: found["process"] and found["process"]["pid"] == pid)
                self.assertEqual(alert["process"]["sha256_status"], "complete", alert["process"])
                self.assertEqual(alert["process"]["sha256"], digest)
                done = {entry["action"]: entry for entry in alert["response"]}
                self.assertEqual(done["kill"]["status"], "killed", alert["response"])


if __name__ == "__main__":
    unittest.main()
