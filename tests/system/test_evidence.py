"""`evidence`: an archive that plain tools read, equal to the guest's own /proc and to what was on its wire."""
import hashlib
import json
import os
import pathlib
import subprocess
import tempfile
import time
import unittest

from support import Lab, Supervisor, outguard, why_not

REMOTE = "203.0.113.66:4444"
# Descriptors with names that are no names for a file of an archive; and a child.
ODD = r"""mkdir -p "/tmp/a
../../b" && echo one > "/tmp/a
../../b/c" ; cd / ; echo one > "/tmp/a
b"
sh -c 'exec 7<"/tmp/a
b" 8>>/tmp/gone; rm /tmp/gone; sleep 1000 & wait' >/dev/null 2>&1 </dev/null &
echo $!"""


def rows_in(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def packets_in(capture):
    """(time, bytes) of each enhanced packet block: pcapng, little-endian, nanoseconds."""
    data, at, found = capture.read_bytes(), 0, []
    while at < len(data):
        kind, length = (int.from_bytes(data[at + i:at + i + 4], "little") for i in (0, 4))
        assert length >= 12 and length % 4 == 0 and data[at + length - 4:at + length] == data[at + 4:at + 8]
        if kind == 6:
            high, low, captured, original = (int.from_bytes(data[at + i:at + i + 4], "little") for i in (12, 16, 20, 24))
            assert captured <= original
            found.append((high << 32 | low, data[at + 28:at + 28 + captured]))
        at += length
    return found


@unittest.skipIf(why_not(), why_not())
class Evidence(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = cls.enterClassContext(Lab())
        cls.guest = cls.lab.guest(kernel="6.1-cloud")

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def unpacked(self, archive):
        """Its folder and manifest, after sha256sum agreed with all of it."""
        subprocess.run(["tar", "--zstd", "-xf", archive, "-C", self.folder], check=True)
        content = self.folder / "evidence"
        subprocess.run(["sha256sum", "--quiet", "--strict", "-c", "SHA256SUMS"], cwd=content, check=True)
        manifest = json.loads((content / "manifest.json").read_text())
        members = {row["name"]: row for row in manifest["members"]}
        for name, row in members.items():
            if row["state"] != "not_read":
                self.assertEqual((row["bytes"], row["sha256"]),
                                 ((content / name).stat().st_size,
                                  hashlib.sha256((content / name).read_bytes()).hexdigest()))
        listed = {line.split("  ", 1)[1] for line in (content / "SHA256SUMS").read_text().splitlines()}
        self.assertEqual(listed | {"SHA256SUMS"}, set(os.listdir(content)))
        return content, manifest, members

    def collect(self, target, pid, expected=0):
        archive = self.folder / f"{pid}.tar.zst"
        code, output, problems = outguard("evidence", target, str(pid), "--out", str(archive), "-o", "json",
                                          "--why", "a test", timeout=180)
        self.assertEqual(code, expected, problems)
        if expected:
            return archive, problems
        told = json.loads(output)
        self.assertEqual(told["sha256"], hashlib.sha256(archive.read_bytes()).hexdigest())
        self.assertEqual(archive.stat().st_mode & 0o777, 0o600)
        return archive, told

    def proc_files(self, pid):
        """(descriptor, link) of /proc/PID/fd."""
        found = {}
        for fd in self.guest.sh(f"ls /proc/{pid}/fd")[1].split():
            code, link = self.guest.sh(f"readlink -n /proc/{pid}/fd/{fd}")
            if code == 0:
                found[int(fd)] = link
        return found

    def check_process(self, content, pid):
        """Against the guest's own /proc."""
        maps = [line.split(maxsplit=5) for line in self.guest.sh(f"cat /proc/{pid}/maps")[1].splitlines()]
        self.assertEqual([f"{row['start']}-{row['end']}" for row in rows_in(content / "maps.jsonl")],
                         ["-".join(end.lstrip("0") for end in line[0].split("-")) for line in maps
                          if line[-1] != "[vsyscall]"])
        seen = {row["fd"]: row["path"] + (" (deleted)" if row["deleted"] else "") for row in rows_in(content / "files.jsonl")}
        self.assertEqual(seen, self.proc_files(pid))
        environment = self.guest.sh(f"cat /proc/{pid}/environ | tr '\\0' '\\n'")[1].splitlines()
        self.assertEqual(json.loads((content / "environment.json").read_text())["environment"], environment)
        parents = {process["pid"]: process["ppid"] for process in self.guest.truth().processes}
        family = [pid]
        for one in family:
            family += [child for child, parent in parents.items() if parent == one]
        above = parents[pid]
        while above in parents:
            family.append(above)
            above = parents[above]
        self.assertEqual(sorted(row["pid"] for row in rows_in(content / "tree.jsonl")), sorted(family))

    def test_a_beacon_whose_executable_is_deleted(self):
        config = self.folder / "outguard.yaml"
        config.write_text(json.dumps({
            "run_folder": str(self.folder / "run"), "actions_folder": str(self.folder / "actions"),
            "evidence": {"folder": str(self.folder / "filed"), "packets": "2MiB", "most_archives": 2}}))
        with Supervisor(self.folder, "--config", str(config), "--vm", self.guest.uuid) as supervisor:
            supervisor.wait_for_log(f"{self.guest.name}: ready")
            beacon = self.guest.run("deleted-exe", REMOTE, 0.05)
            self.addCleanup(lambda: self.guest.kill(beacon.pid))
            time.sleep(2)

            def ask(*words):
                code, output, problems = outguard("evidence", self.guest.uuid, str(beacon.pid), "--run-folder",
                                                  str(self.folder / "run"), "-o", "json", *words, timeout=180)
                return code, json.loads(output) if output else None, problems

            code, row, problems = ask("--dry-run")
            self.assertEqual((code, row["status"]), (0, "dry_run"), problems)
            code, row, problems = ask("--why", "a test")
            self.assertEqual((code, row["state"], row["status"]), (0, "done", "done"), (row, problems))
            filed, sha256 = row["reason"].removeprefix("filed ").split(", ")[:2]
            archive = pathlib.Path(filed)
            self.assertEqual(sha256, "sha256 " + hashlib.sha256(archive.read_bytes()).hexdigest())
            self.assertEqual((archive.parent.stat().st_mode & 0o777, archive.stat().st_mode & 0o777), (0o700, 0o600))
            self.assertIn(row["id"], archive.name)
            # What is there is never replaced or removed: at the most, none is made.
            (self.folder / "filed" / "another.tar.zst").touch()
            code, row, _ = ask()
            self.assertEqual((code != 0, row["status"], len(list(archive.parent.iterdir()))), (True, "failed", 2))
        content, manifest, members = self.unpacked(archive)
        self.assertEqual((manifest["pid"], manifest["why"], manifest["actor"], manifest["source"], manifest["vm_key"]),
                         (beacon.pid, "a test", "uid 0 (root)", "live", self.guest.uuid))
        self.assertEqual({row["state"] for row in members.values()}, {"complete"})
        truth = self.guest.sh(f"sha256sum /proc/{beacon.pid}/exe")[1].split()[0]
        self.assertEqual(members["executable"]["sha256"], truth)
        self.check_process(content, beacon.pid)
        self.assertIn(truth, [row["file"]["sha256"] for row in rows_in(content / "libraries.jsonl")])
        (socket,) = rows_in(content / "sockets.jsonl")
        self.assertEqual(f"{socket['remote_ip']}:{socket['remote_port']}", REMOTE)
        self.check_packets(content)

    def check_packets(self, content):
        about = json.loads((content / "packets.json").read_text())
        capture = content / "packets.pcapng"
        packets = packets_in(capture)
        self.assertEqual(about["packets"], len(packets))
        self.assertEqual([time for time, _ in packets], sorted(time for time, _ in packets))
        address, port = REMOTE.split(":")
        remote = bytes(map(int, address.split(".")))
        flow = [frame for _, frame in packets if frame[12:14] == b"\x08\0" and remote in (frame[26:30], frame[30:34])]
        self.assertTrue([frame for frame in flow if frame[30:34] == remote and frame[47] & 0x3f == 2], "no SYN")
        self.assertGreater(len(flow), 40)  # two seconds of it, both ways
        self.assertEqual({frame[36:38] for frame in flow if frame[30:34] == remote}, {int(port).to_bytes(2, "big")})
        for reader in ("tcpdump", "tshark"):
            if subprocess.run(["which", reader], stdout=subprocess.DEVNULL).returncode == 0:
                told = subprocess.run([reader, "-n", "-r", capture], capture_output=True, text=True, check=True)
                self.assertEqual(len(told.stdout.splitlines()), len(packets))

    def test_without_a_supervisor_and_with_odd_names(self):
        pid = int(self.guest.sh(ODD)[1].split()[-1])
        self.addCleanup(lambda: self.guest.kill(pid))
        time.sleep(1)
        archive, told = self.collect(self.guest.target, pid)
        names = subprocess.run(["tar", "--zstd", "-tf", archive], capture_output=True, text=True, check=True).stdout
        self.assertRegex(names, r"\A(evidence/[A-Za-z0-9._]+\n)+\Z")
        content, manifest, members = self.unpacked(archive)
        self.check_process(content, pid)
        self.assertIn("/tmp/a\nb", [row["path"] for row in rows_in(content / "files.jsonl")])
        self.assertEqual((manifest["action"], members["packets.pcapng"]["state"]), (None, "not_read"))
        self.assertEqual(told["partial"], ["packets.pcapng: not_read: no tap is watched here"])
        # No file is replaced, and nobody's evidence is nothing.
        self.collect(self.guest.target, pid, expected=1)
        archive.unlink()
        self.collect(self.guest.target, 4_000_000, expected=6)
        self.assertFalse(archive.exists())

    def test_a_full_disk_leaves_nothing(self):
        small = self.folder / "small"
        small.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", small], check=True)
        self.addCleanup(lambda: subprocess.run(["umount", small], check=True))
        started = self.guest.run("tcp-client", REMOTE, 600)
        self.addCleanup(lambda: self.guest.kill(started.pid))
        code, _, problems = outguard("evidence", self.guest.target, str(started.pid), "--out", str(small / "a.tar.zst"))
        self.assertNotEqual(code, 0)
        self.assertIn("No space left", problems)
        self.assertEqual(os.listdir(small), [])


if __name__ == "__main__":
    unittest.main()
