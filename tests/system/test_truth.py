"""`ps` and `sockets` equal the guest's own /proc, entry by entry, on every lab kernel and variant."""
import unittest

import support
from support import Lab, compare_when_still, rows, why_not

ECHO = "203.0.113.66:4444"
SLOW = "600"  # seconds between exchanges: the roles connect, talk once and then stand still

# One of everything that holds a socket or looks odd; quiet, so that the guest stands still.
ROLES = (
    ("tcp-listener", "0.0.0.0:8080"), ("listener6", "[::]:8081"), ("udp-server", "0.0.0.0:5353"),
    ("tcp-client", ECHO, SLOW), ("chat6", "[2001:db8::66]:6667", SLOW), ("mapped-client", ECHO, SLOW),
    ("udp-client", "198.51.100.7:5555", SLOW), ("udp-beacon", "198.51.100.8:5555", SLOW),
    ("raw-ping", "203.0.113.66", SLOW), ("fork-share", ECHO, SLOW), ("fd-handoff", ECHO, SLOW),
    ("thread-socket", ECHO, SLOW), ("thread-unshare", ECHO, SLOW), ("deleted-exe", ECHO, SLOW),
    ("memfd-exe", ECHO, SLOW), ("fake-kworker", ECHO, SLOW), ("hostile-name", ECHO, SLOW),
    ("netns-twins", "198.51.100.10:5555", SLOW), ("netns-client", "203.0.113.67:4444", SLOW),
    ("unaccepted", "0.0.0.0:7000", "3"), ("close-wait", "203.0.113.66:9"), ("fin-wait2", "203.0.113.66:10"),
    ("time-wait", "203.0.113.66:4444"), ("sleeper", "accept"), ("sleeper", "pause"),
)

# Every kernel and flavour, and each variant at least once with RAM private and mapped.
MATRIX = (
    {"kernel": "5.10", "cpus": 2, "ram": 512},
    {"kernel": "5.10-cloud", "ram": 256, "memfd": True, "machine": "q35"},
    {"kernel": "6.1", "cpus": 2, "ram": 512, "memfd": True},
    {"kernel": "6.1-cloud", "ram": 5120, "machine": "q35"},
    {"kernel": "6.12", "cpus": 2, "ram": 768, "cpu": "max"},
    {"kernel": "6.12-cloud", "ram": 5120, "memfd": True, "machine": "q35"},
    {"kernel": "6.1", "cpu": "max", "ram": 5120, "machine": "q35"},
    {"kernel": "6.12-cloud", "cpu": "max", "cpus": 2, "ram": 256, "memfd": True},
)


def label(options):
    return " ".join(f"{name}={value}" for name, value in options.items())


@unittest.skipIf(why_not(), why_not())
class Truth(unittest.TestCase):
    """Two guests at a time: this machine has few cores, and guests share addresses."""

    def check(self, first, second):
        with Lab() as lab:
            for options, guest in zip((first, second), lab.guests_together(first, second)):
                for role, *words in ROLES:
                    guest.run(role, *words)
                with self.subTest(label(options)):
                    self.assertEqual(compare_when_still(guest), [])
                    self.check_kernel(guest, options)

    def check_kernel(self, guest, options):
        (row,) = rows("vm", "show", guest.target)
        truth = guest.truth()
        self.assertEqual(row["state"], "ready")
        self.assertEqual(row["kernel"]["release"], truth.system["release"])
        self.assertEqual(row["kernel"]["located_by"], "registers")
        self.assertEqual(row["kernel"]["paging_levels"], 5 if truth.system["la57"] else 4)
        self.assertEqual(row["memory"], "mapped" if options.get("memfd") else "process")
        self.assertEqual(row["taps"], [guest.tap])
        self.assertGreater(row["kernel"]["kaslr_offset"], 0)

    def test_5_10(self):
        self.check(MATRIX[0], MATRIX[1])

    def test_6_1(self):
        self.check(MATRIX[2], MATRIX[3])

    def test_6_12(self):
        self.check(MATRIX[4], MATRIX[5])

    def test_5_level_paging(self):
        self.check(MATRIX[6], MATRIX[7])


if __name__ == "__main__":
    unittest.main()
