"""What people do by command: kill, block, isolate, pause; undo; what is refused; what a restart keeps."""
import json
import pathlib
import tempfile
import time
import unittest

from support import Lab, Supervisor, outguard, why_not

LISTED = "203.0.113.66"


@unittest.skipIf(why_not(), why_not())
class Actions(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = cls.enterClassContext(Lab())
        cls.guest = cls.lab.guest(kernel="6.1-cloud")

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        feed = self.folder / "feed.txt"
        feed.write_text(f"{LISTED}\n")
        self.config = self.folder / "outguard.yaml"
        self.config.write_text(json.dumps({
            "run_folder": str(self.folder / "run"), "actions_folder": str(self.folder / "actions"),
            "protected_processes": ["guarded"], "protected_networks": ["10.77.0.1", "198.51.100.0/24"],
            "intel": {"files": [{"path": str(feed), "allow_reserved": True}],
                      "changes": str(self.folder / "changes"), "cache": str(self.folder / "cache")}}))
        self.supervisor = self.supervise()

    def supervise(self):
        supervisor = Supervisor(self.folder, "--config", str(self.config), "--vm", self.guest.uuid)
        self.addCleanup(supervisor.__exit__)
        supervisor.__enter__()
        supervisor.wait_for_log(f"{self.guest.name}: ready")
        return supervisor

    def ask(self, *words):
        """Exit code, the rows, stderr."""
        code, output, problems = outguard(*map(str, words), "--run-folder", str(self.folder / "run"),
                                          "-o", "json", timeout=120)
        return code, [json.loads(line) for line in output.splitlines()], problems

    def act(self, *words):
        """The one row of an action that must work."""
        code, rows, problems = self.ask(*words)
        self.assertEqual(code, 0, (rows, problems, self.supervisor.log.read_text()))
        (row,) = rows
        return row

    def talks(self, started):
        """Whether its exchanges still count up."""
        before = self.guest.talk()[started.pid].count
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            if self.guest.talk()[started.pid].count > before + 1:
                return True
            time.sleep(0.1)
        return False

    def client(self, remote):
        started = self.guest.run("tcp-client", remote, 0.1)
        self.addCleanup(lambda: self.guest.alive(started.pid) and self.guest.kill(started.pid))
        return started

    # ---- Processes

    def test_kill_ends_exactly_that_process(self):
        wanted, other = self.client("203.0.113.20:4444"), self.client("203.0.113.21:4444")
        dry = self.act("kill", self.guest.uuid, wanted.pid, "--dry-run")
        self.assertEqual((dry["state"], dry["status"]), ("done", "dry_run"))
        self.assertTrue(self.guest.alive(wanted.pid))
        done = self.act("kill", self.guest.uuid, wanted.pid, "--why", "a test")
        self.assertEqual((done["state"], done["status"], done["action"]), ("done", "killed", "kill"))
        self.assertEqual((done["process"]["pid"], done["why"], done["actor"]), (wanted.pid, "a test", "uid 0 (root)"))
        self.assertFalse(self.guest.alive(wanted.pid))
        self.assertTrue(self.guest.alive(other.pid))
        self.assertTrue(self.talks(other))
        # It is on record, and cannot be taken back.
        code, rows, _ = self.ask("action", "list")
        self.assertEqual(code, 0)
        self.assertIn(done["id"], [row["id"] for row in rows])
        self.assertEqual(self.act("action", "show", done["id"])["status"], "killed")
        self.assertNotEqual(self.ask("action", "undo", done["id"])[0], 0)
        # The pid is nobody's now.
        self.assertEqual(self.ask("kill", self.guest.uuid, wanted.pid)[0], 6)

    def test_suspend_and_resume(self):
        wanted, other = self.client("203.0.113.20:4444"), self.client("203.0.113.21:4444")
        row = self.act("suspend", self.guest.uuid, wanted.pid)
        self.assertEqual((row["state"], row["status"]), ("done", "suspended"))
        self.assertFalse(self.talks(wanted))
        self.assertTrue(self.talks(other))
        ended = self.act("resume", self.guest.uuid, wanted.pid)
        self.assertEqual((ended["id"], ended["state"]), (row["id"], "undone"))
        self.assertTrue(self.talks(wanted))

    def test_kill_of_a_tree(self):
        """A shell, its child and its grandchild; what is beside them lives."""
        beside = self.client("203.0.113.20:4444")
        _, output = self.guest.sh("sh -c 'sh -c \"sleep 1000 & wait\" & wait' >/dev/null 2>&1 & echo $!")
        root = int(output.split()[-1])
        self.wait_until(lambda: len(self.family(root)) == 3, "three processes")
        pids = self.family(root)
        row = self.act("kill", self.guest.uuid, root, "--tree")
        self.assertEqual((row["status"], row["tree"]), ("killed", True))
        self.assertTrue(row["reason"].startswith("3 of 3 processes"), row["reason"])
        self.wait_until(lambda: not [pid for pid in pids if self.guest.alive(pid)], "end of all three")
        self.assertTrue(self.talks(beside))

    def family(self, root):
        parents = {process["pid"]: process["ppid"] for process in self.guest.truth().processes}
        found = [root]
        for pid in found:
            found += [child for child, parent in parents.items() if parent == pid]
        return found

    def test_what_is_refused(self):
        guarded = self.guest.run("sleeper", "pause", exe="/usr/bin/guarded")
        self.addCleanup(self.guest.kill, guarded.pid)
        for pid in (1, guarded.pid):
            code, _, problems = self.ask("kill", self.guest.uuid, pid)
            self.assertEqual(code, 5, problems)
            self.assertTrue(self.guest.alive(pid))
        code, (row,), _ = self.ask("allow", "check", self.guest.uuid, guarded.pid)
        self.assertEqual((code, row["allowed"]), (5, False))
        self.assertIn("guarded", row["reason"])
        self.assertEqual(self.ask("allow", "check", self.guest.uuid, "203.0.113.20")[0], 0)
        for remote in ("10.77.0.1", "10.0.0.0/8", "198.51.100.7", "0.0.0.0/0"):
            self.assertEqual(self.ask("allow", "check", self.guest.uuid, remote)[0], 5, remote)
            self.assertEqual(self.ask("block", self.guest.uuid, "remote", remote, "--for", "1h")[0], 5, remote)
        self.assertEqual(self.ask("kill", self.guest.uuid, 4_000_000)[0], 6)
        self.assertEqual(self.ask("kill", "no-such-vm", 1)[0], 6)
        self.assertEqual(self.ask("action", "show", "a-000000000000")[0], 6)
        self.assertEqual(self.ask("unpause", self.guest.uuid)[0], 6)
        self.assertEqual(self.ask("release", self.guest.uuid)[0], 6)
        for wrong in (("remote", "10.0.0.1/8", "--for", "1h"), ("remote", "203.0.113.20"),
                      ("flow", "tcp", "10.0.0.1", "10.0.0.2", "--for", "1h"),
                      ("port", "in", "tcp", "22", "--for", "1y")):
            self.assertEqual(self.ask("block", self.guest.uuid, *wrong)[0], 2, wrong)
        self.supervisor.__exit__()
        self.assertEqual(self.ask("kill", self.guest.uuid, 1)[0], 3)

    def test_what_people_protect_while_it_runs(self):
        remote, other = "203.0.113.20", "203.0.113.21"
        client, mine = self.client(f"{remote}:4444"), self.guest.run("sleeper", "pause", exe="/tmp/mine")
        self.addCleanup(lambda: self.guest.alive(mine.pid) and self.guest.kill(mine.pid))
        self.assertEqual(self.ask("allow", "add", remote)[0], 2, "nobody says why")
        self.assertEqual(self.ask("allow", "add", "0.0.0.0/0", "--why", "x")[0], 2)
        network = self.act("allow", "add", "203.0.113.20/31", "--why", "our mirror")
        self.assertEqual((network["what"], network["actor"], network["vm"]), ("203.0.113.20/31", "uid 0 (root)", None))
        path = self.act("allow", "add", "/tmp/mine", "--vm", self.guest.uuid, "--for", "1h", "--why", "the database")
        self.assertEqual(path["vm"], self.guest.uuid)
        brief = self.act("allow", "add", "203.0.113.22", "--for", "1s", "--why", "briefly")

        def is_refused():
            code, _, problems = self.ask("block", self.guest.uuid, "remote", remote, "--for", "1h")
            self.assertEqual(code, 5, problems)
            self.assertIn("our mirror", problems)
            self.assertEqual(self.ask("kill", self.guest.uuid, mine.pid)[0], 5)
            self.assertEqual(self.ask("allow", "check", self.guest.uuid, mine.pid)[0], 5)
            self.assertTrue(self.guest.alive(mine.pid))
            self.assertTrue(self.talks(client))

        is_refused()
        self.supervisor.__exit__()
        self.supervisor = self.supervise()
        is_refused()
        self.wait_until(lambda: brief["id"] not in {row["id"] for row in self.act_all("allow", "list")}, "its time's end")
        rows = self.act_all("allow", "list")
        self.assertEqual({row["id"] for row in rows if row["id"]}, {network["id"], path["id"]})
        self.assertLessEqual({("guarded", "configuration"), ("198.51.100.0/24", "configuration"), ("sshd", "built in")},
                             {(row["what"], row["actor"]) for row in rows})
        # An isolation lets it through.
        talks = self.client(f"{other}:4444")
        isolation = self.act("isolate", self.guest.uuid, "--for", "1h")
        self.assertIn("203.0.113.20/31", isolation["rule"]["allowed"])
        self.assertTrue(self.talks(talks))
        self.act("release", self.guest.uuid)
        # Once it is removed it is as before.
        self.assertTrue(self.act("allow", "remove", network["id"])["removed"])
        self.assertEqual(self.ask("allow", "remove", network["id"])[0], 6)
        self.act("action", "undo", self.act("block", self.guest.uuid, "remote", remote, "--for", "1h")["id"])
        self.assertEqual(self.ask("kill", self.guest.uuid, mine.pid)[0], 5)
        self.act("allow", "remove", path["id"])
        self.assertEqual(self.act("kill", self.guest.uuid, mine.pid)["status"], "killed")
        code, _, problems = outguard("action", "verify", "--folder", str(self.folder / "actions"))
        self.assertEqual(code, 0, problems)

    def act_all(self, *words):
        code, rows, problems = self.ask(*words)
        self.assertEqual(code, 0, problems)
        return rows

    def test_losses_are_accepted_by_command(self):
        code, rows, problems = self.ask("intel", "accept")
        self.assertEqual((code, rows), (0, [{"ok": True}]), problems)

    # ---- The VM

    def test_pause_and_unpause(self):
        self.assertEqual(self.act("pause", self.guest.uuid, "--dry-run")["status"], "dry_run")
        self.assertTrue(self.guest.qmp("query-status")["running"])
        paused = self.act("pause", self.guest.uuid)
        self.addCleanup(self.guest.qmp, "cont")
        self.assertEqual((paused["state"], paused["status"]), ("done", "done"))
        self.assertFalse(self.guest.qmp("query-status")["running"])
        ended = self.act("unpause", self.guest.uuid)
        self.assertEqual((ended["id"], ended["state"]), (paused["id"], "undone"))
        self.assertTrue(self.guest.qmp("query-status")["running"])
        self.assertEqual(self.ask("unpause", self.guest.uuid)[0], 6)
        # Somebody else's pause is not ours to end.
        self.guest.qmp("stop")
        self.assertEqual(self.ask("unpause", self.guest.uuid)[0], 6)
        self.assertFalse(self.guest.qmp("query-status")["running"])
        self.guest.qmp("cont")

    # ---- Its traffic

    def test_a_remote_is_blocked_until_it_is_undone(self):
        blocked, other = self.client("203.0.113.20:4444"), self.client("203.0.113.21:4444")
        self.assertEqual(self.act("block", self.guest.uuid, "remote", "203.0.113.20", "--for", "1h",
                                  "--dry-run")["status"], "dry_run")
        self.assertTrue(self.talks(blocked))
        row = self.act("block", self.guest.uuid, "remote", "203.0.113.20", "--for", "1h")
        self.assertEqual((row["state"], row["status"], row["ttl_s"]), ("done", "blocked", 3600))
        self.assertFalse(self.talks(blocked))
        self.assertTrue(self.talks(other))
        # A restart keeps it, and knows of it.
        self.supervisor.__exit__()
        self.assertFalse(self.talks(blocked))
        self.supervisor = self.supervise()
        self.assertFalse(self.talks(blocked))
        self.assertEqual(self.act("action", "show", row["id"])["state"], "done")
        self.assertEqual(self.act("action", "undo", row["id"])["state"], "undone")
        self.wait_until(lambda: self.talks(blocked) or self.talks(self.client("203.0.113.20:4444")), "traffic again")

    def test_reset_of_a_connection(self):
        """Both ends see it end, and the guest's own table says so; the process lives and connects anew."""
        client, other = self.client("203.0.113.25:4444"), self.client("203.0.113.25:5555")
        ends, kept = self.ends_of(client), self.ends_of(other)
        dry = self.act("reset", self.guest.uuid, "tcp", *ends, "--dry-run")
        self.assertEqual((dry["state"], dry["status"]), ("done", "dry_run"))
        self.assertTrue(self.talks(client))
        self.assertEqual(self.ends_of(client), ends, "a dry run ends nothing")
        row = self.act("reset", self.guest.uuid, "tcp", *ends)
        self.assertEqual((row["action"], row["state"], row["status"]), ("reset", "done", "reset"))
        self.assertNotIn(ends[0], [f"{one['local_ip']}:{one['local_port']}" for one in self.guest.truth().sockets if one["remote_port"] == 4444 and one["owners"]])
        self.assertEqual(self.ends_of(other), kept, "nothing else is reset")
        self.assertTrue(self.guest.alive(client.pid))
        code, _, problems = self.ask("action", "undo", row["id"])
        self.assertEqual(code, 1, problems)
        self.assertIn("reset cannot be undone", problems)
        code, rows, _ = self.ask("reset", self.guest.uuid, "tcp", "10.77.0.2:1", "203.0.113.25:4444")
        self.assertEqual(code, 1)
        self.assertIn("no packet of this flow was seen", rows[0]["reason"])
        code, rows, problems = self.ask("reset", self.guest.uuid, "tcp", kept[0], "10.77.0.1:5555")
        self.assertEqual(code, 5, (rows, problems))  # of protected_networks

    def test_flow_and_port(self):
        flow, other = self.client("203.0.113.22:4444"), self.client("203.0.113.22:5555")
        ends = self.ends_of(flow)
        row = self.act("block", self.guest.uuid, "flow", "tcp", *ends, "--for", "1h")
        self.assertEqual(row["rule"], {"kind": "flow", "proto": "tcp", "local": ends[0], "remote": ends[1]})
        self.assertFalse(self.talks(flow))
        self.assertTrue(self.talks(other))
        port = self.act("block", self.guest.uuid, "port", "out", "tcp", 5555, "--for", "2s")
        self.assertEqual(port["status"], "blocked")
        self.assertFalse(self.talks(other))
        # It ends by itself, and the record says so.
        self.wait_until(lambda: self.act("action", "show", port["id"])["state"] == "expired", "its end")
        self.wait_until(lambda: self.talks(other) or self.talks(self.client("203.0.113.22:5555")), "traffic again")
        self.assertEqual(self.act("action", "undo", row["id"])["state"], "undone")

    def test_isolate_and_release(self):
        allowed, other = self.client("203.0.113.23:4444"), self.client("203.0.113.24:4444")
        row = self.act("isolate", self.guest.uuid, "--for", "1h", "--allow", "203.0.113.23")
        self.assertEqual(row["rule"]["allowed"], ["10.77.0.1", "198.51.100.0/24", "203.0.113.23"])
        self.assertTrue(self.talks(allowed))
        self.assertFalse(self.talks(other))
        released = self.act("release", self.guest.uuid)
        self.assertEqual((released["id"], released["state"]), (row["id"], "undone"))
        self.wait_until(lambda: self.talks(other) or self.talks(self.client("203.0.113.24:4444")), "traffic again")

    def ends_of(self, started):
        for socket in self.guest.truth().sockets:
            if any(owner["pid"] == started.pid for owner in socket["owners"]):
                return (f"{socket['local_ip']}:{socket['local_port']}", f"{socket['remote_ip']}:{socket['remote_port']}")
        self.fail("it has no socket")

    def wait_until(self, is_so, what, timeout=30):
        end = time.monotonic() + timeout
        while not is_so():
            self.assertLess(time.monotonic(), end, f"no {what} within {timeout} s")
            time.sleep(0.2)


if __name__ == "__main__":
    unittest.main()
