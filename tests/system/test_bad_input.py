"""What users and attackers get wrong: feeds, captures, dumps, targets, guests without a readable Linux."""
import os
import pathlib
import socket
import struct
import subprocess
import tempfile
import time
import unittest

from support import ROOT, outguard, why_not

BAD_ADDRESS = "45.9.148.108"  # as it stands in a capture only; nothing is sent to it


def ipv4_udp(source, destination, payload=b"x"):
    udp = struct.pack("!HHHH", 40000, 5000, 8 + len(payload), 0) + payload
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0,
                         socket.inet_aton(source), socket.inet_aton(destination))
    return b"\x02" * 6 + b"\x04" * 6 + b"\x08\x00" + header + udp


def pcap(*frames):
    packets = b"".join(struct.pack("<IIII", 1_700_000_000 + i, 0, len(f), len(f)) + f
                       for i, f in enumerate(frames))
    return struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, 1) + packets


class Files(unittest.TestCase):
    """Needs no guest."""

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def file(self, name, content):
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    def test_feed_with_good_and_bad_lines(self):
        feed = self.file("mixed.txt", f"{BAD_ADDRESS}\n300.1.2.3\nevil.com\nnot a line at all\n127.0.0.1\n")
        code, output, _ = outguard("intel", "check", feed)
        self.assertEqual(code, 0)
        self.assertIn("2 accepted, 3 rejected", output)
        for number in (2, 4, 5):
            self.assertRegex(output, rf"mixed\.txt:{number}: \S+")
        self.assertRegex(output, r"mixed\.txt:5: reserved range")

    def test_feeds_that_are_none(self):
        for name, content, reason in (("empty.txt", "", "empty|no indicator"),
                                      ("binary.bin", os.urandom(5000) + b"\0\0", "binary"),
                                      ("header.csv", "# only a comment\n", "no indicator|empty")):
            with self.subTest(name):
                code, output, problems = outguard("intel", "check", self.file(name, content))
                self.assertEqual(code, 1)
                self.assertIn(name, output)
                self.assertRegex(output + problems, reason)
        code, output, problems = outguard("intel", "check", str(self.folder / "missing.txt"))
        self.assertEqual(code, 1)
        self.assertRegex(output + problems, r"missing\.txt.*No such file")

    def test_a_bad_feed_beside_a_good_one_loses_nothing(self):
        good, bad = self.file("good.txt", BAD_ADDRESS), self.file("bad.bin", b"\0" * 100)
        code, output, _ = outguard("intel", "lookup", BAD_ADDRESS, "--intel", good, "--intel", bad)
        self.assertEqual(code, 0)
        self.assertIn("good.txt:1", output)

    def replay(self, capture):
        feed = self.file("feed.txt", BAD_ADDRESS)
        return outguard("replay", "--pcap", capture, "--intel", feed)

    def test_capture(self):
        capture = self.file("good.pcap", pcap(ipv4_udp("10.0.0.2", BAD_ADDRESS),
                                              ipv4_udp("10.0.0.2", "10.0.0.3")))
        code, output, problems = self.replay(capture)
        self.assertEqual(code, 0, problems)
        self.assertIn(BAD_ADDRESS, output)
        self.assertIn("packets seen 2, processed 2; dropped: none", problems)

    def test_truncated_capture_keeps_what_came_before(self):
        whole = pcap(ipv4_udp("10.0.0.2", BAD_ADDRESS), ipv4_udp("10.0.0.2", "10.0.0.3"))
        capture = self.file("cut.pcap", whole[:-5])
        code, output, problems = self.replay(capture)
        self.assertEqual(code, 1)
        self.assertIn(BAD_ADDRESS, output)
        self.assertRegex(problems, r"cut\.pcap: .* at offset \d+")

    def test_captures_that_are_none(self):
        for name, content in (("garbage.pcap", b"\x11" * 4000), ("empty.pcap", b""), ("short.pcap", b"\xd4\xc3")):
            with self.subTest(name):
                code, output, problems = self.replay(self.file(name, content))
                self.assertEqual((code, output), (1, ""))
                self.assertRegex(problems, rf"{name}: \S+.* at offset \d+")

    def test_dumps_that_are_none(self):
        elf = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 4, 62, 1, 0, 64, 0, 0, 64,
                                                               56, 2, 0, 0, 0)
        for name, content, reason in (
                ("empty.raw", b"", "too short"), ("noise.raw", os.urandom(1 << 20), "no "),
                ("zero.raw", bytes(1 << 22), "no "), ("header.elf", elf, "the file ends"),
                ("segment.elf", elf + struct.pack("<IIQQQQQQ", 1, 4, 4096, 0, 0, 1 << 40, 1 << 40, 0) * 2,
                 "the file ends|past the end|overlap")):
            with self.subTest(name):
                code, output, problems = outguard("ps", "file:" + self.file(name, content))
                self.assertEqual((code, output), (1, ""))
                self.assertRegex(problems, rf"{name}: the guest is (unreadable|not-linux|booting): .*({reason})")

    def test_targets(self):
        for words, code in ((("ps", "no-such-vm"), 6), (("ps", "pid:1"), 6), (("ps",), 2), (("ps", "a", "b"), 2),
                            (("ps", "qmp:/nonexistent"), 6), (("who", "x", "tcp", "1.2.3.4", "5.6.7.8:9"), 2),
                            (("nonsense",), 2), (("--help",), 0), (("ps", "file:/nonexistent"), 1)):
            with self.subTest(words):
                got, output, problems = outguard(*words)
                self.assertEqual(got, code, problems)
                if code not in (0,):
                    self.assertNotEqual(problems, "")

    def test_config(self):
        for name, text, place in (
                ("unknown.yaml", "mode: monitor\nintell: []\n", "2:1: unknown key 'intell'; did you mean 'intel'"),
                ("twice.yaml", "mode: monitor\nmode: enforce\n", "2:1: key 'mode' stands twice"),
                ("word.yaml", "mode: enforced\n", "1:7: expected one of monitor, enforce"),
                ("unit.yaml", "rules:\n  - name: a\n    responses:\n      - {action: block_flow, ttl: 10x}\n",
                 "4:35: expected a duration"),
                ("symbols.yaml", "symbols: unknown.yaml\n", "1:10: symbols is a folder"),
                ("syntax.yaml", "mode: [\n", ":2:1: ")):
            with self.subTest(name):
                path = self.file(name, text)
                code, _, problems = outguard("config", "check", path)
                self.assertEqual(code, 4)
                self.assertIn(f"{name}:{place.lstrip(':')}", problems)
        good = self.file("good.yaml", "mode: enforce\nintel:\n  - path: feeds\n    allow_reserved: true\n"
                                      "rules:\n  - name: all\n    severity: high\n    responses: [reset, kill]\n")
        self.assertEqual(outguard("config", "check", good)[0], 0)


@unittest.skipIf(why_not(), why_not())
class OtherGuests(unittest.TestCase):
    """QEMUs without a readable Linux: a named state, and no row."""

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def boot(self, *words):
        qmp = self.folder / "qmp"
        process = subprocess.Popen(
            ["qemu-system-x86_64", "-nodefaults", "-display", "none", "-accel", "tcg", "-m", "64",
             "-qmp", f"unix:{qmp},server=on,wait=off", *words], stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        end = time.monotonic() + 10
        while not qmp.exists() and time.monotonic() < end:
            time.sleep(0.05)
        return f"qmp:{qmp}", process

    def assert_state(self, target, state):
        code, output, problems = outguard("ps", target, "--wait", "1")
        self.assertEqual((code, output), (1, ""))
        self.assertIn(f"the guest is {state}: ", problems)

    def test_firmware_only(self):
        target, _ = self.boot()
        time.sleep(1)
        self.assert_state(target, "booting")

    def test_a_kernel_that_is_no_linux(self):
        source = ROOT / "tests" / "system" / "not_linux.S"
        for command in (["as", "--64", "-o", "k.o", str(source)],
                        ["ld", "-m", "elf_x86_64", "-Ttext=0x100000", "-e", "start", "--oformat=binary", "-o", "k.bin", "k.o"]):
            subprocess.run(command, cwd=self.folder, check=True)
        target, _ = self.boot("-kernel", str(self.folder / "k.bin"))
        time.sleep(1)
        self.assert_state(target, "not-linux")

    def test_qmp_held_by_another_client(self):
        target, _ = self.boot()
        with socket.socket(socket.AF_UNIX) as other:
            other.connect(target.removeprefix("qmp:"))
            other.recv(4096)
            code, _, problems = outguard("ps", target)
            self.assertEqual(code, 1)
            self.assertIn("another client", problems)

    def test_no_qmp_socket(self):
        process = subprocess.Popen(["qemu-system-x86_64", "-nodefaults", "-display", "none", "-accel", "tcg",
                                    "-m", "64", "-name", "silent"], stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        time.sleep(0.5)
        code, output, _ = outguard("vm", "list")
        self.assertEqual(code, 0)
        self.assertRegex(output, r"silent .*QMP")
        code, _, problems = outguard("ps", f"pid:{process.pid}")
        self.assertEqual(code, 1)
        self.assertIn("QMP", problems)


if __name__ == "__main__":
    unittest.main()
