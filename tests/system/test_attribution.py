"""Who is asked and who answers: short-lived connections against the guest's own log, and flows in every state."""
import json
import subprocess
import tempfile
import unittest

from storms import attribute_storm
from support import BIN, Lab, why_not

CONNECTIONS = 1500
INTERVAL = 0.02  # seconds between forks; bench/run.py storms faster and longer


@unittest.skipIf(why_not(), why_not())
class Attribution(unittest.TestCase):
    def test_forking_clients(self):
        """A fresh process for each connection, gone when it has its answer: the right pid, never a wrong one."""
        with tempfile.TemporaryDirectory() as folder, Lab() as lab:
            found = attribute_storm(lab.guest(kernel="6.1-cloud", cpus=2), folder, CONNECTIONS, INTERVAL)
        latencies = sorted(found.pop("latency_us"))
        self.assertLess(latencies[len(latencies) // 2], 2000, "asked at the SYN, not when the ring hands it over")
        self.assertTrue(found["over"], found)
        self.assertEqual(found["wrong"], 0, found)
        self.assertEqual(found["unknown"], 0, found)
        self.assertEqual(found["missing"], 0, found)
        self.assertGreaterEqual(found["right"], 0.995 * found["connections"], found)

    def test_new_and_known_flows(self):
        """`who` of flows opened after the attach, and again: the holders that the table of all sockets names."""
        for options in ({"kernel": "5.10-cloud", "memfd": True}, {"kernel": "6.12-cloud"}):
            with self.subTest(str(options)), Lab() as lab:
                guest = lab.guest(**options)
                reader = subprocess.Popen([BIN / "who_bench", guest.target], text=True, stdin=subprocess.PIPE,
                                          stdout=subprocess.PIPE)
                self.assertEqual(reader.stdout.readline(), "attached\n")
                guest.run("crowd", 20, 50)
                output, _ = reader.communicate("go\n", timeout=120)
                found = json.loads(output)
                self.assertGreaterEqual(found["flows"], 400)
                self.assertEqual(found["wrong"], 0, found)


if __name__ == "__main__":
    unittest.main()
