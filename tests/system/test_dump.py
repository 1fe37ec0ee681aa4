"""A live guest and its dump give the same answer, with registers in the dump and without."""
import json
import pathlib
import socket
import tempfile
import unittest

from support import Lab, differences, expected_sockets, process_differences, rows, seen_sockets, why_not


class Qmp:
    """One short connection."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(str(path))
        self.lines = self.socket.makefile()
        self.lines.readline()
        self.run("qmp_capabilities")

    def run(self, command, **arguments):
        self.socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        while True:
            answer = json.loads(self.lines.readline())
            if "return" in answer or "error" in answer:
                assert "return" in answer, answer
                return answer["return"]

    def close(self):
        self.lines.close()
        self.socket.close()


@unittest.skipIf(why_not(), why_not())
class Dump(unittest.TestCase):
    def test_elf_core_and_raw(self):
        """The raw image has no registers: there the kernel is found by its note in RAM."""
        with Lab() as lab, tempfile.TemporaryDirectory() as folder:
            guest = lab.guest(kernel="6.1", ram=256)
            for role, *words in (("tcp-client", "203.0.113.66:4444", 600), ("listener6", "[::]:8081"),
                                 ("deleted-exe", "203.0.113.66:4444", 600), ("hostile-name", "203.0.113.66:4444", 600)):
                guest.run(role, *words)
            core, raw = pathlib.Path(folder) / "core", pathlib.Path(folder) / "raw"
            for _ in range(5):
                truth = guest.truth()
                qmp = Qmp(guest.qmp_path)
                qmp.run("stop")
                qmp.run("dump-guest-memory", paging=False, protocol=f"file:{core}")
                qmp.run("pmemsave", val=0, size=256 << 20, filename=str(raw))
                qmp.run("cont")
                qmp.close()
                if expected_sockets(guest.truth()) == expected_sockets(truth):
                    break
            for file in (core, raw):
                with self.subTest(file.name):
                    self.assertEqual(process_differences(truth, rows("ps", f"file:{file}")), [])
                    self.assertEqual(differences(expected_sockets(truth),
                                                 seen_sockets(rows("sockets", f"file:{file}"))), [])


if __name__ == "__main__":
    unittest.main()
