"""The process firewall's policies against a live guest: proposed from what it does, and judging what it does next."""
import json
import pathlib
import tempfile
import unittest

from support import Lab, Supervisor, outguard, rows, why_not

ALLOWED = "203.0.113.66:4444"
LISTED = "203.0.113.67:4444"


@unittest.skipIf(why_not(), why_not())
class Policy(unittest.TestCase):
    def verdicts(self, policy, guest):
        """By the port in the guest, what a policy says of each connection that the guest has now."""
        return {row["local_port"]: row for row in rows("policy", "test", str(policy), "--vm", guest.target)}

    def learn(self, folder, guest):
        code, text, problems = outguard("policy", "learn", guest.target)
        self.assertEqual(code, 0, problems)
        policy = pathlib.Path(folder) / "learned.yaml"
        policy.write_text(text)
        code, output, problems = outguard("policy", "check", str(policy))
        self.assertEqual(code, 0, f"{problems}\n{text}")
        self.assertIn(f"governs {guest.name}", output)
        return policy

    def test_what_was_learned_is_allowed_and_what_is_new_is_not(self):
        with tempfile.TemporaryDirectory() as folder, Lab() as lab:
            guest = lab.guest(kernel="6.1")
            client = guest.run("tcp-client", ALLOWED, 0.2)
            guest.run("tcp-listener", "0.0.0.0:7000")
            policy = self.learn(folder, guest)
            text = policy.read_text()
            self.assertIn('exe: "/usr/bin/tcp-client"', text)
            self.assertRegex(text, r'exe: "/usr/bin/tcp-listener".*direction: in, protocol: tcp, port: 7000')

            known = self.verdicts(policy, guest)
            self.assertEqual({row["rule"] for row in known.values()}, {"tcp-client"})
            self.assertEqual([row["verdict"] for row in known.values()], [["allow"]] * len(known))

            other = guest.run("tcp-client", ALLOWED, 0.2, exe="/usr/bin/backdoor")
            new = [row for port, row in self.verdicts(policy, guest).items() if port not in known]
            self.assertEqual(len(new), 1, new)
            self.assertEqual((new[0]["verdict"], new[0]["rule"]), (["block"], "default"))
            self.assertIn(f"pid {other.pid} ", new[0]["reason"])
            self.assertIn("(/usr/bin/backdoor)", new[0]["reason"])
            self.assertTrue(guest.alive(client.pid) and guest.alive(other.pid), "asking does nothing")

    def test_learned_from_what_a_supervisor_told(self):
        """All that short-lived processes did, which no look at the sockets would have met."""
        with tempfile.TemporaryDirectory() as folder, Lab() as lab:
            guest = lab.guest(kernel="6.1-cloud")
            watch = pathlib.Path(folder) / "watch.yaml"
            watch.write_text(f"vm: {guest.name}\ndefault: alert\nrules: []\n")
            config = pathlib.Path(folder) / "outguard.yaml"
            config.write_text(json.dumps({"policies": [str(watch)]}))
            with Supervisor(folder, "--config", str(config), "--vm", guest.uuid) as supervisor:
                supervisor.wait_for_log(f"{guest.name}: ready")
                started = [guest.spawn("tcp-client", ALLOWED, 0.2, exe="/usr/bin/visitor"),
                           guest.spawn("udp-client", LISTED, 0.2)]
                for one in started:
                    supervisor.wait_for_alert(lambda alert: (alert["process"] or {}).get("pid") == one.pid)
                    guest.kill(one.pid)
            code, text, problems = outguard("policy", "learn", guest.name, "--eve", str(supervisor.eve))
            self.assertEqual(code, 0, problems)
            self.assertRegex(text, r'exe: "/usr/bin/visitor".*direction: out, protocol: tcp, port: 4444, '
                                   r'remote: "203.0.113.66"')
            self.assertRegex(text, r'exe: "/usr/bin/udp-client".*protocol: udp, port: 4444, remote: "203.0.113.67"')
            policy = pathlib.Path(folder) / "learned.yaml"
            policy.write_text(text)
            code, output, problems = outguard("policy", "check", str(policy))
            self.assertEqual((code, problems), (0, ""), text)
            self.assertIn(f"governs {guest.name}", output)
            code, _, problems = outguard("policy", "learn", "nobody", "--eve", str(supervisor.eve))
            self.assertEqual(code, 6)
            self.assertIn("no flow of a VM that is named nobody", problems)

    def test_check_asks_whom_a_kill_is_meant_for(self):
        with tempfile.TemporaryDirectory() as folder:
            policy = pathlib.Path(folder) / "kill.yaml"
            policy.write_text("vm: web1\ndefault: allow\nrules:\n"
                              "  - {name: both, action: kill, port: 4444}\n"
                              "  - {name: out, action: kill, direction: out, port: 4445}\n"
                              "  - {name: drop, action: block, port: 4446}\n")
            code, _, problems = outguard("policy", "check", str(policy))
            self.assertEqual(code, 0)
            self.assertIn("rule 'both' also hits who answers", problems)
            self.assertEqual(len(problems.splitlines()), 1, problems)

    def test_every_holder_must_be_allowed(self):
        """Parent and child hold one socket: where only one of them may, the flow may not."""
        with tempfile.TemporaryDirectory() as folder, Lab() as lab:
            guest = lab.guest(kernel="6.1-cloud")
            handed = guest.run("fork-share", ALLOWED, 0.2)
            policy = pathlib.Path(folder) / "one.yaml"
            policy.write_text(f"vm: {guest.name}\ndefault: allow\nrules:\n"
                              "  - {name: child, action: block, ancestor: fork-share}\n")
            judged = self.verdicts(policy, guest)
            self.assertEqual(len(judged), 1, judged)
            for row in judged.values():
                # The chain of the first holder is known, of the others it is not: that is said, and nothing blocked.
                self.assertEqual((row["verdict"], row["rule"]), (["alert"], "unknown"), row)
                self.assertNotIn(f"pid {handed.pid} ", row["reason"])

    def test_explain_tells_why_of_a_recorded_alert(self):
        with tempfile.TemporaryDirectory() as folder, Lab() as lab:
            guest = lab.guest(kernel="6.1")
            intel = pathlib.Path(folder) / "listed.txt"
            intel.write_text(LISTED.split(":")[0] + "\n")
            with Supervisor(folder, "--intel", str(intel), "--allow-reserved", "--vm", guest.uuid) as supervisor:
                supervisor.wait_for_log(f"{guest.name}: ready")
                started = guest.run("tcp-client", LISTED, 0.2)
                alert = supervisor.wait_for_alert(lambda one: (one["process"] or {}).get("pid") == started.pid)
            self.assertEqual(alert["flow"]["initiator"], "guest")
            policy = pathlib.Path(folder) / "policy.yaml"
            policy.write_text(f"vm: {guest.name}\ndefault: deny\nrules:\n"
                              "  - {name: web, action: allow, exe: /usr/bin/tcp-client, port: 443}\n"
                              "  - {name: root, action: kill, uid: 0, port: 4444}\n")
            code, output, problems = outguard("policy", "explain", str(policy), str(alert["flow_id"]), "--eve",
                                              str(supervisor.eve), "-o", "json")
            self.assertEqual((code, problems), (0, ""))
            said = json.loads(output)
            self.assertEqual((said["verdict"], said["rule"]), (["kill"], "root"))
            holder, = said["holders"]
            self.assertIn(f"pid {started.pid} ", holder["process"])
            web, root = holder["rules"]
            self.assertEqual([one["key"] for one in web["conditions"] if one["holds"] == "no"], ["port"])
            self.assertEqual(root["fits"], "yes")


if __name__ == "__main__":
    unittest.main()
