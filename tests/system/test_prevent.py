"""Prevent mode on a live guest: what is listed never reaches the bridge, what is allowed is not changed by the wait."""
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import time
import unittest

from support import OUTGUARD, Lab, why_not
from test_enforcement import InNamespace, WithBpffs

LISTED, LISTED6, FREE, FREE6 = "203.0.113.66", "2001:db8::66", "203.0.113.20", "2001:db8::20"
LISTED_NAME, FREE_NAME = "bad.example.net", "good.example.org"
BY_POLICY = "203.0.113.30"
WATCHED = {"listed": f"ip daddr {LISTED}", "listed6": f"ip6 daddr {LISTED6}", "policy": f"ip daddr {BY_POLICY}"}


@unittest.skipIf(why_not(), why_not())
class Prevent(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = cls.enterClassContext(Lab())
        cls.guest = cls.lab.guest(kernel="6.1-cloud")
        rules = "".join(f"add rule bridge watch seen meta iifname {cls.guest.tap} {rule} counter comment \"{name}\";"
                        for name, rule in WATCHED.items())
        cls.in_switch("nft", "add table bridge watch; add chain bridge watch seen "
                             f"{{ type filter hook prerouting priority -300; }}; {rules}")

    def setUp(self):
        self.space = self.enterContext(WithBpffs())
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.started = []
        self.addCleanup(lambda: [self.guest.kill(one.pid) for one in self.started if self.guest.alive(one.pid)])

    def supervise(self, policy=None, **hold):
        feed = self.folder / "feed.txt"
        feed.write_text(f"{LISTED}\n{LISTED6}\n{LISTED_NAME}\n")
        policies = self.folder / "policies"
        policies.mkdir(exist_ok=True)
        if policy:
            (policies / "vm.yaml").write_text(f"vm: {self.guest.name}\ndefault: allow\nrules:\n  - {policy}\n")
        config = self.folder / "outguard.yaml"
        config.write_text(json.dumps({
            "mode": "prevent", "hold": hold, "run_folder": str(self.folder / "run"),
            "actions_folder": str(self.folder / "actions"), "policies": [str(policies)],
            "intel": {"files": [{"path": str(feed), "allow_reserved": True}],
                      "changes": str(self.folder / "changes"), "cache": str(self.folder / "cache")}}))
        supervisor = InNamespace(self.space, self.folder, "--config", str(config), "--vm", self.guest.uuid)
        self.addCleanup(supervisor.__exit__)
        supervisor.__enter__()
        supervisor.wait_for_log(f"{self.guest.name}: ready")
        return supervisor

    @classmethod
    def in_switch(cls, *words):
        return subprocess.run(["ip", "netns", "exec", cls.guest.switch, *words], text=True, capture_output=True,
                              check=True).stdout

    def at_bridge(self):
        """Packets that came to the bridge from the guest, by the names of WATCHED."""
        table = json.loads(self.in_switch("nft", "-j", "list", "table", "bridge", "watch"))["nftables"]
        rules = [one["rule"] for one in table if "rule" in one]
        return {rule["comment"]: part["counter"]["packets"] for rule in rules for part in rule["expr"] if "counter" in part}

    def spawn(self, *words, **options):
        started = self.guest.spawn(*words, **options)
        self.started.append(started)
        return started

    def run_role(self, *words, **options):
        started = self.guest.run(*words, **options)
        self.started.append(started)
        return started

    def alert_of(self, supervisor, started):
        return supervisor.wait_for_alert(lambda one: (one["process"] or {}).get("pid") == started.pid)

    def talks(self, started, times=3, timeout=20):
        before, end = self.guest.talk()[started.pid].count, time.monotonic() + timeout
        while self.guest.talk()[started.pid].count < before + times:
            if time.monotonic() > end:
                return False
            time.sleep(0.1)
        return True

    def guard(self):
        done = self.space.run(OUTGUARD, "vm", "show", self.guest.target, "--run-folder", str(self.folder / "run"),
                              "-o", "json")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return json.loads(done.stdout)["guard"]

    def test_what_is_listed_never_reaches_the_bridge(self):
        before = self.at_bridge()
        supervisor = self.supervise(fail="closed")  # however long a busy machine keeps the sensor waiting
        for words in (("tcp-client", f"{LISTED}:4444", 0.2), ("udp-client", f"{LISTED}:4444", 0.2),
                      ("tcp-client", f"[{LISTED6}]:4444", 0.2), ("udp-client", f"[{LISTED6}]:4444", 0.2)):
            with self.subTest(words=words):
                started = self.spawn(*words)
                alert = self.alert_of(supervisor, started)
                done = {one["action"]: one for one in alert["response"]}
                self.assertEqual(done["block_flow"]["status"], "blocked", done)
                self.assertIn("never left", done["block_flow"]["reason"])
                self.assertEqual(done["kill"]["status"], "killed", done)
        free, free6 = self.run_role("tcp-client", f"{FREE}:4444", 0.1), self.run_role("tcp-client", f"[{FREE6}]:4444", 0.1)
        self.assertTrue(self.talks(free))
        self.assertTrue(self.talks(free6))
        self.assertEqual(self.at_bridge(), before, self.guard()["counters"])
        self.assertIn("held until they were judged", self.guard()["prevention"])
        self.assertIn("og-hold", self.in_switch("ip", "link"))
        supervisor.__exit__()
        self.assertNotIn("og-", self.in_switch("ip", "-o", "link").replace(self.guest.tap, ""))
        self.assertTrue(self.talks(free))

    def test_a_name_is_judged_before_it_leaves(self):
        supervisor = self.supervise()
        for words in (("dns-client", f"{FREE}:53", LISTED_NAME, 0.2), ("tls-client", f"{FREE}:443", LISTED_NAME, 0.2),
                      ("http-client", f"{FREE}:80", LISTED_NAME, "/", 0.2)):
            with self.subTest(words=words):
                started = self.spawn(*words)
                done = {one["action"]: one for one in self.alert_of(supervisor, started)["response"]}
                self.assertIn("never left", done["block_flow"]["reason"] or "", done)
        self.assertNotIn("bad", json.dumps(self.guest.world_events()))
        free = self.run_role("dns-client", f"{FREE}:53", FREE_NAME, 0.1)
        self.assertTrue(self.talks(free))

    def test_a_program_that_the_policy_refuses(self):
        before = self.at_bridge()
        supervisor = self.supervise(fail="closed", policy=f"{{name: no-backdoor, action: block, exe: /usr/bin/backdoor, remote: {BY_POLICY}}}")
        bad = self.spawn("tcp-client", f"{BY_POLICY}:4444", 0.2, exe="/usr/bin/backdoor")
        alert = self.alert_of(supervisor, bad)
        self.assertEqual(alert["policy"]["rule"], "no-backdoor")
        self.assertIn("never left", alert["response"][0]["reason"] or "", alert["response"])
        self.assertTrue(self.guest.alive(bad.pid))
        time.sleep(2)  # what it tries again
        self.assertEqual(self.at_bridge(), before, self.guard()["counters"])
        free = self.run_role("tcp-client", f"{BY_POLICY}:4444", 0.1)
        self.assertTrue(self.talks(free))

    def sensor_of(self, supervisor):
        children = pathlib.Path(f"/proc/{supervisor.process.pid}/task/{supervisor.process.pid}/children").read_text()
        for child in [supervisor.process.pid, *map(int, children.split())]:
            for thread in pathlib.Path(f"/proc/{child}/task").iterdir():
                for pid in (thread / "children").read_text().split():
                    if "sensor" in pathlib.Path(f"/proc/{pid}/comm").read_text():
                        return int(pid)
        raise AssertionError("no sensor")

    def test_a_dead_sensor_fails_open_or_closed_as_configured(self):
        for fail in ("open", "closed"):
            with self.subTest(fail=fail):
                supervisor = self.supervise(fail=fail, within_ms=200)
                standing = self.run_role("tcp-client", f"{FREE}:4444", 0.1)
                self.assertTrue(self.talks(standing, 20), "a flow has its verdict once no name came in 16 packets")
                pid = self.sensor_of(supervisor)
                os.kill(pid, signal.SIGSTOP)  # neither dead nor answering
                time.sleep(0.5)
                new = self.spawn("tcp-client", f"{FREE}:5555", 0.1)
                self.assertTrue(self.talks(standing), "what stands never waits for a judge")
                self.assertEqual(self.talks(new, 1, 3), fail == "open")
                os.kill(pid, signal.SIGKILL)
                supervisor.wait_for_log("new flows that nobody judged")
                self.assertTrue(self.talks(new, 3, 30), "the next sensor judges again")
                counters = self.guard()["counters"]
                self.assertGreater(counters[f"gate_dead_{fail}"], 0, counters)
                supervisor.__exit__()
                for one in (standing, new):
                    self.guest.kill(one.pid)


if __name__ == "__main__":
    unittest.main()
