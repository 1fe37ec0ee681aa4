#!/usr/bin/python3
"""Checks the lab itself on real guests: two kernels at once, every role, the guests' truth."""

import collections
import contextlib
import io
import os
import subprocess
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from outguard_lab import Lab, LabError, kernels  # noqa: E402
from outguard_lab.lab import booted  # noqa: E402
from outguard_lab.network import BLACKHOLE  # noqa: E402
from outguard_lab.processes import is_running  # noqa: E402

ECHO = "203.0.113.66:4444"
PACE = "0.2"  # seconds between exchanges

# Role -> its arguments. All of these go on talking and count it.
TALKERS = {
    "tcp-client": (ECHO, PACE),
    "chat6": ("[2001:db8::66]:6667", PACE),
    "mapped-client": (ECHO, PACE),
    "udp-client": ("198.51.100.7:5555", PACE),
    "udp-beacon": ("198.51.100.8:5555", PACE),
    "raw-ping": ("203.0.113.66", PACE),
    "http-client": ("203.0.113.80:80", "web.example", "/path?query=1", PACE),
    "dns-client": ("203.0.113.53:53", "name.example", PACE),
    "tls-client": ("203.0.113.44:443", "secure.example", PACE),
    "fork-share": (ECHO, PACE),
    "fd-handoff": (ECHO, PACE),
    "thread-socket": (ECHO, PACE),
    "thread-unshare": (ECHO, PACE),
    "deleted-exe": (ECHO, PACE),
    "memfd-exe": (ECHO, PACE),
    "fake-kworker": (ECHO, PACE),
    "hostile-name": (ECHO, PACE),
    "netns-beacon": ("198.51.100.9:5555", PACE),
    "netns-client": ("203.0.113.67:4444", PACE),
    "netns-twins": ("198.51.100.10:5555", PACE),
    "netns-card": ("eth1", "10.77.1.2/24", "10.77.1.1", "198.51.100.11:5555", PACE),
    "storm": (ECHO, PACE),
}
# Role -> its arguments, and the state of the socket that it leaves.
STATES = {
    "tcp-listener": (("0.0.0.0:8080",), "LISTEN"),
    "listener6": (("[::]:8081",), "LISTEN"),
    "udp-server": (("0.0.0.0:5353",), "CLOSE"),
    "unaccepted": (("0.0.0.0:7000", "3"), "LISTEN"),
    "syn-sent": ((f"{BLACKHOLE}:4444",), "SYN_SENT"),
    "close-wait": (("203.0.113.66:9",), "CLOSE_WAIT"),
    "fin-wait2": (("203.0.113.66:10",), "FIN_WAIT2"),
    "sleeper": (("accept",), "LISTEN"),
}


class OldestAndNewest(unittest.TestCase):
    """Both guests boot together and use the same addresses; one has RAM in a memfd and 5-level paging."""

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.close)
        cls.guests = cls.lab.guests_together(
            {"kernel": "5.10-cloud", "nics": 2, "cpus": 2},
            {"kernel": "6.12-cloud", "nics": 2, "memfd": True, "cpu": "max", "machine": "q35"})

    def test_system(self):
        for guest, la57 in zip(self.guests, (False, True)):
            system = guest.truth().system
            self.assertEqual(system["release"], kernels.cached(guest.options.kernel).release)
            self.assertEqual(system["processors"], guest.options.cpus)
            self.assertEqual(system["la57"], la57)
            self.assertLess(abs(system["boot_time_ns"] / 1e9 - (time.time() - guest.boot_seconds)), 300)

    def test_processes(self):
        for guest in self.guests:
            truth = guest.truth()
            self.assertEqual((truth.process(1)["comm"], truth.process(1)["exe"]), ("init", "/bin/busybox"))
            self.assertEqual(truth.process(1)["cmdline"][0], "init")
            self.assertTrue(truth.process(2)["kernel_thread"])
            self.assertIsNone(truth.process(2)["exe"])
            agents = [process for process in truth.processes if process["comm"] == "agent"]
            self.assertEqual([agent["exe"] for agent in agents], ["/usr/bin/agent"])

    def test_shell(self):
        self.assertEqual(self.guests[0].sh("echo \"a%b  c\"; exit 3"), (3, "a%b  c\n"))

    def test_failing_role(self):
        with self.assertRaisesRegex(LabError, "usage: tcp-client DEST INTERVAL"):
            self.guests[0].run("tcp-client")

    def test_own_executable_path(self):
        guest = self.guests[0]
        started = guest.run("tcp-client", ECHO, PACE, exe="/usr/bin/cron daemon")
        process = guest.truth().process(started.pid)
        self.assertEqual((process["comm"], process["exe"]), ("cron daemon", "/usr/bin/cron daemon"))
        guest.kill(started.pid)
        self.assertFalse(guest.alive(started.pid))

    def test_talkers_talk_and_only_they(self):
        for guest in self.guests:
            with self.subTest(guest.name):
                started = {role: guest.run(role, *arguments) for role, arguments in TALKERS.items()}
                first = guest.talk()
                time.sleep(2)
                later = guest.talk()
                for role, process in started.items():
                    pid = process.announced.get("child", process.pid) if role != "netns-twins" else process.pid
                    self.assertGreater(later[pid].count, first[pid].count, f"{role} fell silent")
                self._check_owners(guest, started)
                self._check_world(guest)

    def _check_owners(self, guest, started):
        truth = guest.truth()
        shared = truth.sockets_of(started["fork-share"].pid)
        self.assertEqual({owner["pid"] for owner in shared[0]["owners"]},
                         {started["fork-share"].pid, started["fork-share"].announced["child"]})
        self.assertEqual(len(truth.sockets_of(started["thread-unshare"].pid)), 1)
        self.assertFalse(guest.alive(started["fd-handoff"].pid))
        self.assertEqual(len(truth.sockets_of(started["fd-handoff"].announced["child"])), 1)
        self.assertTrue(truth.process(started["deleted-exe"].pid)["exe"].endswith(" (deleted)"))
        self.assertTrue(truth.process(started["memfd-exe"].pid)["exe"].startswith("/memfd:"))
        self.assertEqual(truth.process(started["fake-kworker"].pid)["comm"], "kworker/0:1")
        hostile = truth.process(started["hostile-name"].pid)["comm"].encode("utf-8", "surrogateescape")
        self.assertEqual(hostile, b"\x1b[31m\"'\\\n\t\xff\xc3(\xe2")
        namespaces = {truth.process(started[role].pid)["netns"] for role in started if role.startswith("netns-")}
        self.assertEqual(len(namespaces), 4)
        twins = collections.Counter(
            (entry["local_ip"], entry["local_port"], entry["remote_ip"], entry["remote_port"])
            for entry in truth.sockets if entry["proto"] == "udp" and entry["local_port"] == 41000)
        self.assertEqual(list(twins.values()), [2])

    def _check_world(self, guest):
        events = guest.world_events()
        heard = {(event["local_ip"], event["local_port"]) for event in events}
        for address in ("198.51.100.9", "198.51.100.10", "198.51.100.11"):
            self.assertIn((address, 5555), heard, "no beacon from a second namespace reached the wire")
        hellos = [event["start"] for event in events if event["local_port"] == 443 and event["event"] == "data"]
        self.assertTrue(hellos[0].startswith("\x16\x03\x01"))

    def test_states(self):
        for guest in self.guests:
            for role, (arguments, state) in STATES.items():
                with self.subTest(f"{guest.name} {role}"):
                    started = guest.run(role, *arguments)
                    self.assertIn(state, [entry["state"] for entry in guest.truth().sockets_of(started.pid)])
            for role, port, state in (("fin-wait2-orphan", 10, "FIN_WAIT2"), ("time-wait", 4444, "TIME_WAIT")):
                with self.subTest(f"{guest.name} {role}"):
                    started = guest.run(role, f"203.0.113.66:{port}")
                    found = [entry for entry in guest.truth().sockets
                             if entry["local_port"] == started.announced["port"] and entry["remote_port"] == port]
                    self.assertEqual([(entry["state"], entry["owners"]) for entry in found], [(state, [])])

    def test_crowd(self):
        guest = self.guests[1]
        before = guest.truth()
        guest.run("crowd", "40", "5")
        after = guest.truth()
        self.assertGreaterEqual(len(after.processes) - len(before.processes), 41)
        self.assertGreaterEqual(len(after.sockets) - len(before.sockets), 150)


class LostBoots(unittest.TestCase):
    """A guest that dies before it ever spoke is started again, and that is told; one that spoke is not."""

    @staticmethod
    def kill_qemu(guest):
        guest._qemu.kill()

    def test_a_lost_boot(self):
        said = io.StringIO()
        with Lab() as lab, contextlib.redirect_stderr(said):
            guest = lab.prepare(kernel="5.10-cloud")
            guest.start()
            self.kill_qemu(guest)
            self.assertEqual(booted(guest, 120).sh("uname -n"), (0, guest.name + "\n"))
            self.assertIn("started again", said.getvalue())
            self.kill_qemu(guest)
            with self.assertRaises(LabError):
                guest.sh("uname -n")

    def test_three_lost_boots(self):
        with Lab() as lab, contextlib.redirect_stderr(io.StringIO()):
            guest = lab.prepare(kernel="5.10-cloud", append="panic_on_warn=1 rdinit=/no/such/init")
            guest.start()
            with self.assertRaisesRegex(LabError, "did not boot"):
                booted(guest, 120)
            self.assertEqual(len(list(guest.folder.parent.glob(f"{guest.name}-died-*"))), 2)


class Cleanliness(unittest.TestCase):
    """A lab that is killed takes its processes along, and `lab clean` removes the rest and nothing else."""

    def test_killed_lab(self):
        command = Path(__file__).resolve().parent / "lab"
        boot = subprocess.Popen([command, "boot", "--kernel", "5.10-cloud", "--name", "doomed"],
                                stdout=subprocess.PIPE, text=True)
        prefix = f"outguard-{boot.pid}-0"
        try:
            self.assertIn("qmp:", boot.stdout.readline())
            answer = subprocess.run([command, "sh", "doomed", "uname -n"], capture_output=True, text=True, timeout=60)
            self.assertEqual(answer.stdout, "doomed\n")
        finally:
            boot.kill()
            boot.wait(10)
            boot.stdout.close()
        children = Path(f"/run/outguard-lab/{boot.pid}/children").read_text().splitlines()
        time.sleep(1)
        self.assertEqual(len(children), 2)
        self.assertFalse(any(map(is_running, children)), "QEMU or the world outlived its lab")
        self.assertIn(prefix, " ".join(os.listdir("/run/netns")))
        subprocess.run([command, "clean"], check=True, capture_output=True, timeout=60)
        self.assertNotIn(prefix, " ".join(os.listdir("/run/netns")))
        self.assertFalse(os.path.exists(f"/run/outguard-lab/{boot.pid}"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
