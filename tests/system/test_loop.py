"""The whole loop on live guests: see, name, block, end, prove; two tenants; things that go wrong."""
import os
import pathlib
import signal
import subprocess
import tempfile
import time
import unittest

import support
from support import Lab, Supervisor, compare_when_still, outguard, rows, why_not

LISTED = "203.0.113.66:4444"
FEED = "203.0.113.66\nevil.example\n198.51.100.9:5555\nhttp://web.example/bad/path\n"


def feed_in(folder, text=FEED):
    path = pathlib.Path(folder) / "feed.txt"
    path.write_text(text)
    return str(path)


def of_process(pid, vm=None):
    return lambda alert: (alert["process"] and alert["process"]["pid"] == pid
                          and vm in (None, alert["vm"]["name"]))


def statuses(alert):
    return {done["action"]: (done["status"], done["reason"]) for done in alert["response"]}


@unittest.skipIf(why_not(), why_not())
class Loop(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        self.lab = self.enterContext(Lab())

    def run_supervisor(self, *words, feed=FEED):
        return self.enterContext(Supervisor(self.folder, "--intel", feed_in(self.folder, feed),
                                            "--allow-reserved", *words))

    def test_two_tenants_with_the_same_addresses(self):
        """The same flow in two VMs at once: each alert names its own VM and process; honest ones go on."""
        a, b = self.lab.guests_together({"kernel": "6.1-cloud", "name": "tenant-a"},
                                        {"kernel": "6.12-cloud", "name": "tenant-b", "memfd": True})
        bystanders = [(guest, guest.run("tcp-client", "203.0.113.20:4444", 0.1).pid) for guest in (a, b)]
        a.sh("true")
        with Supervisor(self.folder, "--intel", feed_in(self.folder), "--allow-reserved", "--enforce",
                        "--vm", a.uuid, "--vm", b.uuid) as supervisor:
            for guest in (a, b):
                supervisor.wait_for_log(f"{guest.name}: ready")
            b.run("sleeper", "pause")  # so that pids differ between the guests
            bad = {guest.name: guest.spawn("tcp-client", LISTED, 0.2).pid for guest in (a, b)}
            self.assertNotEqual(bad[a.name], bad[b.name])
            for guest in (a, b):
                alert = supervisor.wait_for_alert(of_process(bad[guest.name], guest.name))
                self.assertEqual(alert["vm"]["uuid"], guest.uuid)
                self.assertEqual(alert["process"]["exe"], "/usr/bin/tcp-client")
                self.assertEqual(alert["attribution"]["status"], "exact")
                self.assertEqual(alert["in_iface"], guest.tap)
                self.assertEqual((alert["dest_ip"], alert["dest_port"]), ("203.0.113.66", 4444))
                self.assertEqual(statuses(alert)["kill"][0], "killed", alert["response"])
                self.assertEqual(statuses(alert)["block_flow"][0], "blocked", alert["response"])
                self.assertEqual(statuses(alert)["reset"][0], "reset", alert["response"])
                self.assertFalse(guest.alive(bad[guest.name]))
            for guest, pid in bystanders:
                count = guest.talk()[pid].count
                time.sleep(1)
                self.assertGreater(guest.talk()[pid].count, count)
                self.assertTrue(guest.alive(pid))
            self.assertEqual({alert["process"]["pid"] for alert in supervisor.alerts()},
                             set(bad.values()))

    def test_monitor_is_the_default_and_touches_nothing(self):
        guest = self.lab.guest(kernel="6.1-cloud")
        supervisor = self.run_supervisor("--vm", guest.uuid)
        supervisor.wait_for_log(f"{guest.name}: ready")
        bad = guest.run("tcp-client", LISTED, 0.1)
        alert = supervisor.wait_for_alert(of_process(bad.pid))
        self.assertEqual({status for status, _ in statuses(alert).values()}, {"dry_run"})
        self.assertEqual(alert["alert"]["action"], "allowed")
        count = guest.talk()[bad.pid].count
        time.sleep(0.5)
        self.assertGreater(guest.talk()[bad.pid].count, count)
        tables = subprocess.run(["ip", "netns", "exec", guest.switch, "nft", "list", "tables"],
                                text=True, stdout=subprocess.PIPE, check=True).stdout
        self.assertNotIn("outguard", tables)

    def test_names_and_urls(self):
        """A DNS question, a URL, and a TLS name over two segments, each from its own process."""
        guest = self.lab.guest(kernel="6.12", cpus=2)
        supervisor = self.run_supervisor("--vm", guest.uuid)
        supervisor.wait_for_log(f"{guest.name}: ready")
        for matched, role, words in (
                ("dns-name", "dns-client", ("203.0.113.53:53", "sub.evil.example", 1)),
                ("http-url", "http-client", ("203.0.113.80:80", "web.example", "/bad/path", 1)),
                ("tls-sni", "tls-client", ("203.0.113.44:443", "www.evil.example", 1))):
            with self.subTest(matched):
                started = guest.run(role, *words)
                alert = supervisor.wait_for_alert(of_process(started.pid))
                self.assertEqual(alert["alert"]["context"]["indicator"]["matched"]["kind"], matched)
                self.assertEqual(alert["attribution"]["status"], "exact")
        honest = guest.run("http-client", "203.0.113.80:80", "web.example", "/good/path", 0.2)
        time.sleep(1)
        self.assertFalse([a for a in supervisor.alerts() if of_process(honest.pid)(a)])

    def test_a_shared_socket_names_every_holder(self):
        guest = self.lab.guest(kernel="5.10-cloud")
        supervisor = self.run_supervisor("--vm", guest.uuid)
        supervisor.wait_for_log(f"{guest.name}: ready")
        started = guest.run("fork-share", LISTED, 0.2)
        (local,) = {(s["local_ip"], s["local_port"]) for s in guest.truth().sockets_of(started.pid)}
        code, output, _ = outguard("who", guest.target, "tcp", f"{local[0]}:{local[1]}", LISTED, "-o", "json")
        self.assertEqual(code, 0)
        answer = support.json.loads(output)
        self.assertEqual({p["pid"] for p in answer["processes"]},
                         {started.pid, started.announced["child"]})
        self.assertEqual(answer["status"], "exact")

    def test_who_says_that_nobody_holds_a_flow(self):
        guest = self.lab.guest(kernel="6.1-cloud")
        code, output, _ = outguard("who", guest.target, "tcp", "10.77.0.2:1", "203.0.113.1:1", "-o", "json")
        self.assertEqual(code, 6)
        self.assertEqual(support.json.loads(output)["status"], "not_found")

    def test_qemu_dies_while_it_is_read(self):
        """One VM dies: its guard ends and says so, the other VM is guarded on."""
        a, b = self.lab.guests_together({"kernel": "6.1-cloud", "name": "dies"},
                                        {"kernel": "6.1-cloud", "name": "lives"})
        supervisor = self.run_supervisor("--vm", "dies", "--vm", "lives", "--enforce")
        for guest in (a, b):
            supervisor.wait_for_log(f"{guest.name}: ready")
        readers = [subprocess.Popen([support.OUTGUARD, "ps", a.target], stdout=subprocess.DEVNULL,
                                    stderr=subprocess.PIPE, text=True) for _ in range(3)]
        os.kill(a.pid, signal.SIGKILL)
        for reader in readers:
            _, problems = reader.communicate(timeout=30)
            self.assertIn(reader.returncode, (0, 1, 6, 8), problems)
        supervisor.wait_for_log("dies: QEMU has ended")
        bad = b.spawn("tcp-client", LISTED, 0.2)
        alert = supervisor.wait_for_alert(of_process(bad.pid, "lives"))
        self.assertEqual(statuses(alert)["kill"][0], "killed", alert["response"])
        self.assertIsNone(supervisor.process.poll())

    def test_a_vm_that_comes_later_is_guarded(self):
        supervisor = self.run_supervisor("--vm", "late")
        supervisor.wait_for_log("mode monitor")
        guest = self.lab.guest(kernel="6.1-cloud", name="late")
        supervisor.wait_for_log("late: ready")
        bad = guest.run("udp-beacon", "198.51.100.9:5555", 0.2)
        supervisor.wait_for_alert(of_process(bad.pid))
        # While it booted it had a named state, never an empty list.
        self.assertRegex(supervisor.log.read_text(), r"late: (booting|unreadable|not-linux|ready)")

    def test_a_sensor_that_dies_is_started_again(self):
        guest = self.lab.guest(kernel="6.1-cloud")
        supervisor = self.run_supervisor("--vm", guest.uuid)
        supervisor.wait_for_log(f"{guest.name}: ready")
        (sensor,) = subprocess.run(["pgrep", "-P", str(supervisor.process.pid), "outguard-sensor"],
                                   text=True, stdout=subprocess.PIPE, check=True).stdout.split()
        self.assertEqual(sandbox_of(sensor), {"Uid": "65534", "CapEff": "0" * 16, "Seccomp": "2",
                                              "NoNewPrivs": "1"})
        os.kill(int(sensor), signal.SIGKILL)
        supervisor.wait_for_log("the sensor is started again")
        bad = guest.run("tcp-client", LISTED, 0.1)
        self.assertEqual(supervisor.wait_for_alert(of_process(bad.pid))["attribution"]["status"], "exact")

    def test_a_protected_process_is_refused(self):
        guest = self.lab.guest(kernel="6.1-cloud")
        supervisor = self.run_supervisor("--vm", guest.uuid, "--enforce")
        supervisor.wait_for_log(f"{guest.name}: ready")
        daemon = guest.run("tcp-client", LISTED, 0.2, exe="/usr/bin/sshd")
        alert = supervisor.wait_for_alert(of_process(daemon.pid))
        self.assertEqual(statuses(alert)["kill"][0], "refused")
        self.assertTrue(guest.alive(daemon.pid))


def sandbox_of(pid):
    lines = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    return {name: lines[name].split()[0] for name in ("Uid", "CapEff", "Seccomp", "NoNewPrivs")}


if __name__ == "__main__":
    unittest.main()
