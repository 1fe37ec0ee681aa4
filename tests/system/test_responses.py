"""What policies do goes through the journal like what people do: shown, undone, approved, within budgets."""
import json
import pathlib
import tempfile
import unittest

from support import Lab, Supervisor, outguard, why_not

LISTED = "203.0.113.66"
RESPONSES = ["kill", "reset", {"action": "block_remote", "ttl": "10m"}]


@unittest.skipIf(why_not(), why_not())
class Responses(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = cls.enterClassContext(Lab())
        cls.guest = cls.lab.guest(kernel="6.1-cloud")

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def supervise(self, **response):
        feed = self.folder / "feed.txt"
        feed.write_text(f"{LISTED}\n")
        config = self.folder / "outguard.yaml"
        config.write_text(json.dumps({
            "mode": "enforce", "run_folder": str(self.folder / "run"), "actions_folder": str(self.folder / "actions"),
            "rules": [{"name": "all listed", "responses": RESPONSES}], "response": response,
            "intel": {"files": [{"path": str(feed), "allow_reserved": True}],
                      "changes": str(self.folder / "changes"), "cache": str(self.folder / "cache")}}))
        supervisor = self.enterContext(Supervisor(self.folder, "--config", str(config), "--vm", self.guest.uuid))
        supervisor.wait_for_log(f"{self.guest.name}: ready")
        self.addCleanup(self.release)
        return supervisor

    def release(self):
        """Nothing of a test is in force in the next one."""
        for row in self.ask("action", "list")[1]:
            if row["state"] == "done" and row["status"] in ("blocked", "suspended"):
                self.ask("action", "undo", row["id"])

    def ask(self, *words):
        code, output, problems = outguard(*map(str, words), "--run-folder", str(self.folder / "run"),
                                          "-o", "json", timeout=120)
        return code, [json.loads(line) for line in output.splitlines()], problems

    def row(self, *words):
        code, rows, problems = self.ask(*words)
        self.assertEqual(code, 0, (rows, problems))
        (row,) = rows
        return row

    def attack(self, supervisor):
        """A beacon to the listed address; the responses of its alert, by action."""
        bad = self.guest.spawn("tcp-client", f"{LISTED}:4444", 0.2)
        self.addCleanup(lambda: self.guest.alive(bad.pid) and self.guest.kill(bad.pid))
        alert = supervisor.wait_for_alert(lambda one: one["process"] and one["process"]["pid"] == bad.pid)
        return bad, {done["action"]: done for done in alert["response"]}

    def test_what_a_policy_did_is_on_record_and_can_be_undone(self):
        supervisor = self.supervise()
        bad, done = self.attack(supervisor)
        self.assertEqual({name: one["status"] for name, one in done.items()},
                         {"block_remote": "blocked", "reset": "reset", "kill": "killed"}, done)
        self.assertFalse(self.guest.alive(bad.pid))
        kill = self.row("action", "show", done["kill"]["action_id"])
        self.assertEqual((kill["actor"], kill["state"], kill["process"]["pid"]), ("policy all listed", "done", bad.pid))
        self.assertIn(f"{LISTED}:4444", kill["why"])
        self.assertNotEqual(self.ask("action", "undo", kill["id"])[0], 0)
        block = self.row("action", "undo", done["block_remote"]["action_id"])
        self.assertEqual((block["state"], block["ttl_s"]), ("undone", 600))
        # Whoever undid it had a reason: the policy leaves it alone for a while, and says so. The kill goes on.
        _, again = self.attack(supervisor)
        self.assertEqual(again["block_remote"]["status"], "refused", again)
        self.assertIn("cool-down", again["block_remote"]["reason"])
        self.assertIsNone(again["block_remote"]["action_id"])
        self.assertEqual(again["kill"]["status"], "killed", again)
        self.assertEqual(outguard("action", "verify", "--folder", str(self.folder / "actions"))[0], 0)

    def test_what_waits_for_approval(self):
        supervisor = self.supervise(approvals={"kill": "approve", "reset": "never"})
        bad, done = self.attack(supervisor)
        self.assertEqual({name: one["status"] for name, one in done.items()},
                         {"block_remote": "blocked", "reset": "refused", "kill": "waiting"}, done)
        self.assertTrue(self.guest.alive(bad.pid))
        waits = self.row("action", "show", done["kill"]["action_id"])
        self.assertEqual(waits["state"], "waiting")
        self.assertEqual(done["kill"]["reason"], f"outguard action approve {waits['id']} {waits['plan_hash']}")
        self.assertEqual(self.ask("action", "approve", waits["id"], "0" * 64)[0], 5)
        approved = self.row("action", "approve", waits["id"], waits["plan_hash"])
        self.assertEqual((approved["state"], approved["status"]), ("done", "killed"))
        self.assertFalse(self.guest.alive(bad.pid))
        # Another one ends by itself before anybody says yes. Its block is the first one, renewed.
        late, second = self.attack(supervisor)
        self.assertEqual(second["block_remote"]["action_id"], done["block_remote"]["action_id"])
        self.guest.kill(late.pid)
        waits = self.row("action", "show", second["kill"]["action_id"])
        code, _, problems = self.ask("action", "approve", waits["id"], waits["plan_hash"])
        self.assertNotEqual(code, 0)
        self.assertEqual(self.row("action", "show", waits["id"])["status"], "not_possible", problems)

    def test_budgets(self):
        supervisor = self.supervise(budgets={"kill": {"vm": 1}}, breaker_rest="1h")
        self.assertEqual(self.attack(supervisor)[1]["kill"]["status"], "killed")
        bad, done = self.attack(supervisor)
        self.assertEqual((done["kill"]["status"], done["block_remote"]["status"]), ("refused", "blocked"), done)
        self.assertIn("breaker", done["kill"]["reason"])
        self.assertTrue(self.guest.alive(bad.pid))
        (event,) = supervisor.records("breaker")
        self.assertEqual(event["breaker"], {"action": "kill", "scope": "vm", "name": self.guest.uuid,
                                            "most_per_minute": 1, "rest_s": 3600})
        self.assertIn("breaker opens", supervisor.log.read_text())
        # People are not bound by it.
        self.assertEqual(self.row("kill", self.guest.uuid, bad.pid)["status"], "killed")


if __name__ == "__main__":
    unittest.main()
