"""The process firewall in force on a live guest: by process, both ways, and only against whom the policy means."""
import hashlib
import json
import pathlib
import signal
import subprocess
import tempfile
import time
import unittest

from support import Lab, Supervisor, outguard, why_not

FAR, OTHER, V6 = "203.0.113.20", "203.0.113.21", "2001:db8::20"


@unittest.skipIf(why_not(), why_not())
class PolicyEnforced(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = cls.enterClassContext(Lab())
        cls.guest = cls.lab.guest(kernel="6.1-cloud")

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.policies = self.folder / "policies"
        self.policies.mkdir()
        self.started = []
        self.addCleanup(lambda: [self.guest.kill(one.pid) for one in self.started if self.guest.alive(one.pid)])

    def write(self, *rules, default="allow", unknown="alert"):
        text = f"vm: {self.guest.name}\ndefault: {default}\nunknown: {unknown}\nrules:\n" + "".join(
            f"  - {rule}\n" for rule in rules) if rules else f"vm: {self.guest.name}\ndefault: {default}\nrules: []\n"
        (self.policies / "web1.yaml").write_text(text)

    def supervise(self, mode="enforce"):
        feed = self.folder / "feed.txt"
        feed.write_text("203.0.113.66\n")
        config = self.folder / "outguard.yaml"
        config.write_text(json.dumps({
            "mode": mode, "run_folder": str(self.folder / "run"), "actions_folder": str(self.folder / "actions"),
            "policies": [str(self.policies)],
            "intel": {"files": [{"path": str(feed), "allow_reserved": True}],
                      "changes": str(self.folder / "changes"), "cache": str(self.folder / "cache")}}))
        supervisor = self.enterContext(Supervisor(self.folder, "--config", str(config), "--vm", self.guest.uuid))
        supervisor.wait_for_log(f"{self.guest.name}: ready")
        self.addCleanup(self.release)
        return supervisor

    def reload(self, supervisor):
        supervisor.process.send_signal(signal.SIGHUP)

    def ask(self, *words):
        code, output, problems = outguard(*map(str, words), "--run-folder", str(self.folder / "run"),
                                          "-o", "json", timeout=120)
        return code, [json.loads(line) for line in output.splitlines()], problems

    def release(self):
        for row in self.ask("action", "list")[1]:
            if row["state"] == "done" and row["status"] in ("blocked", "suspended", "isolated"):
                self.ask("action", "undo", row["id"])

    def spawn(self, *words, **options):
        started = self.guest.spawn(*words, **options)
        self.started.append(started)
        return started

    def run_role(self, *words, **options):
        started = self.guest.run(*words, **options)
        self.started.append(started)
        return started

    def alert(self, supervisor, pid, rule):
        return supervisor.wait_for_alert(
            lambda one: one.get("policy") and one["policy"]["rule"] == rule
            and (one["process"] or {}).get("pid") == pid)

    def talks(self, started, times=3):
        """That it goes on exchanging."""
        before, end = self.guest.talk()[started.pid].count, time.monotonic() + 20
        while self.guest.talk()[started.pid].count < before + times:
            self.assertLess(time.monotonic(), end, "it talks no more")
            time.sleep(0.1)

    def test_one_program_is_blocked_and_its_neighbour_is_not(self):
        self.write('{name: no-backdoor, action: block, exe: /usr/bin/backdoor}',
                   f'{{name: watched, action: alert, exe: /usr/bin/tcp-client, remote: {OTHER}}}',
                   '{name: deadly, action: [block, kill], exe: /usr/bin/miner}',
                   '{name: frozen, action: [suspend], exe: /usr/bin/cold}')
        supervisor = self.supervise()
        honest = self.run_role("tcp-client", f"{FAR}:4444", 0.2)
        bad = self.spawn("tcp-client", f"{FAR}:4444", 0.2, exe="/usr/bin/backdoor")
        alert = self.alert(supervisor, bad.pid, "no-backdoor")
        self.assertEqual([(done["action"], done["status"]) for done in alert["response"]], [("block_flow", "blocked")])
        self.assertEqual((alert["policy"]["verdict"], alert["policy"]["by"], alert["policy"]["accused"]),
                         (["block"], "rule", [bad.pid]))
        self.assertIsNone(alert["alert"]["context"]["indicator"])
        self.assertEqual(alert["alert"]["context"]["rule"], "web1/no-backdoor")
        self.assertTrue(self.guest.alive(bad.pid))
        watched = self.run_role("tcp-client", f"{OTHER}:4444", 0.2)
        self.assertEqual(self.alert(supervisor, watched.pid, "watched")["response"], [])
        dead = self.spawn("tcp-client", f"{FAR}:4444", 0.2, exe="/usr/bin/miner")
        done = {one["action"]: one["status"] for one in self.alert(supervisor, dead.pid, "deadly")["response"]}
        self.assertEqual(done, {"block_flow": "blocked", "kill": "killed"})
        self.assertFalse(self.guest.alive(dead.pid))
        cold = self.spawn("tcp-client", f"{FAR}:4444", 0.2, exe="/usr/bin/cold")
        done = {one["action"]: one["status"] for one in self.alert(supervisor, cold.pid, "frozen")["response"]}
        self.assertEqual(done, {"suspend": "suspended"})
        state = self.guest.sh(f"cat /proc/{cold.pid}/stat")[1].rsplit(")", 1)[1].split()[0]
        self.assertEqual(state, "T")
        self.talks(honest)
        self.talks(watched)
        self.assertEqual({one["process"]["pid"] for one in supervisor.alerts()},
                         {bad.pid, watched.pid, dead.pid, cold.pid})

    def test_default_deny_is_five_lines(self):
        (self.policies / "web1.yaml").write_text(
            f"vm: {self.guest.name}\n"
            "default: deny\n"
            "rules:\n"
            "  - {name: web, action: allow, exe: /usr/bin/tcp-client, direction: out, protocol: tcp, port: 4444}\n"
            "  - {name: shop, action: allow, exe: /usr/bin/tcp-listener, direction: in, protocol: tcp, port: 7000}\n")
        supervisor = self.supervise()
        allowed = self.run_role("tcp-client", f"{FAR}:4444", 0.2)
        wrong_port = self.spawn("tcp-client", f"{FAR}:5555", 0.2)
        alert = self.alert(supervisor, wrong_port.pid, "default")
        self.assertEqual((alert["policy"]["by"], alert["response"][0]["status"]), ("default", "blocked"))
        datagrams = self.spawn("udp-client", f"{FAR}:4444", 0.2)
        self.assertEqual(self.alert(supervisor, datagrams.pid, "default")["response"][0]["status"], "blocked")
        six = self.spawn("tcp-client", f"[{V6}]:5555", 0.2)
        self.assertEqual(self.alert(supervisor, six.pid, "default")["response"][0]["status"], "blocked")
        self.talks(allowed)
        self.assertNotIn(allowed.pid, {one["process"]["pid"] for one in supervisor.alerts() if one["process"]})

    def test_a_file_that_changes_while_it_is_in_force(self):
        self.write('{name: one, action: alert, exe: /usr/bin/tcp-client, port: 4444}')
        supervisor = self.supervise()
        one = self.run_role("tcp-client", f"{FAR}:4444", 0.2)
        self.alert(supervisor, one.pid, "one")
        # A file that is wrong changes nothing, and is told.
        (self.policies / "web1.yaml").write_text("vm: web1\nrulez: []\n")
        self.reload(supervisor)
        supervisor.wait_for_log("rulez")
        code, _, _ = outguard("doctor", "--run-folder", str(self.folder / "run"))
        self.assertNotEqual(code, 0)
        again = self.run_role("tcp-client", f"{FAR}:4444", 0.2, exe="/usr/bin/tcp-client")
        self.alert(supervisor, again.pid, "one")
        # A better one judges also what stands.
        self.write('{name: two, action: block, exe: /usr/bin/tcp-client, port: 4444}')
        self.reload(supervisor)
        self.assertEqual(self.alert(supervisor, one.pid, "two")["response"][0]["status"], "blocked")

    def test_by_hash_user_and_name_and_what_listens(self):
        code, program = self.guest.sh("sha256sum /usr/bin/udp-client")
        self.assertEqual(code, 0)
        self.write(f'{{name: hashed, action: block, sha256: {program.split()[0]}, protocol: udp}}',
                   '{name: named, action: block, host: "*.example.net"}',
                   '{name: shop, action: block, direction: in, protocol: tcp, port: 7000}')
        supervisor = self.supervise()
        # Every role is the same file; the protocol tells them apart.
        hashed = self.spawn("udp-client", f"{FAR}:4444", 0.2)
        self.assertEqual(self.alert(supervisor, hashed.pid, "hashed")["response"][0]["status"], "blocked")
        named = self.spawn("tls-client", f"{FAR}:443", "bad.example.net", 0.2)
        alert = self.alert(supervisor, named.pid, "named")
        self.assertEqual((alert["policy"]["host"], alert["response"][0]["status"]), ("bad.example.net", "blocked"))
        other = self.run_role("tcp-client", f"{FAR}:4444", 0.2)
        self.talks(other)
        # And what comes in: dropped, its listener left alone, as whoever knocks began it.
        listener = self.run_role("tcp-listener", "0.0.0.0:7000")
        visitor = subprocess.Popen(["ip", "netns", "exec", self.guest.world, "timeout", "20", "python3", "-c",
                                    "import socket, time; socket.create_connection(('10.77.0.2', 7000)); time.sleep(15)"])
        self.addCleanup(lambda: (visitor.kill(), visitor.wait()))
        knocked = self.alert(supervisor, listener.pid, "shop")
        self.assertEqual((knocked["flow"]["initiator"], knocked["response"][0]["status"]), ("remote", "blocked"))
        self.assertTrue(self.guest.alive(listener.pid))

    def test_monitor_only_tells(self):
        self.write('{name: deadly, action: [block, kill], exe: /usr/bin/miner}')
        supervisor = self.supervise(mode="monitor")
        miner = self.run_role("tcp-client", f"{FAR}:4444", 0.2, exe="/usr/bin/miner")
        alert = self.alert(supervisor, miner.pid, "deadly")
        self.assertEqual([(done["action"], done["status"]) for done in alert["response"]],
                         [("block_flow", "dry_run"), ("kill", "dry_run")])
        self.talks(miner)


if __name__ == "__main__":
    unittest.main()
