"""What a running supervisor says of itself: which intelligence is in force, how old, what fails, and since when."""
import json
import os
import pathlib
import signal
import socket
import tempfile
import unittest

from support import Lab, Supervisor, outguard, why_not
from test_fetch import Server, send

LISTED = [f"198.51.100.{i}" for i in range(1, 101)]
FETCHED = [f"203.0.113.{i}" for i in range(1, 51)]


@unittest.skipIf(why_not(), why_not())
class Status(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.run_folder = self.folder / "run"
        self.list = self.folder / "list.txt"
        self.write_list(LISTED)

    def write_list(self, values):
        fresh = self.folder / "fresh"
        fresh.write_text("".join(f"{value}\n" for value in values))
        os.rename(fresh, self.list)

    def supervise(self, *words, **intel):
        section = {"files": [{"path": str(self.list), "allow_reserved": True}],
                   "changes": str(self.folder / "changes"), "cache": str(self.folder / "cache"), **intel}
        config = self.folder / "outguard.yaml"
        config.write_text(json.dumps({"run_folder": str(self.run_folder), "intel": section}))
        self.supervisor = self.enterContext(Supervisor(self.folder, "--config", str(config), *words))
        self.supervisor.wait_for_log("guarding this host's VMs")
        return self.supervisor

    def rows(self, *words):
        code, output, problems = outguard(*words, "--run-folder", str(self.run_folder), "-o", "json")
        return code, [json.loads(line) for line in output.splitlines()], problems

    def doctor(self):
        """Exit code, checks by name, what the supervisor says (None: there is none)."""
        code, rows, _ = self.rows("doctor")
        (supervisor,) = [row["supervisor"] for row in rows if "supervisor" in row]
        return code, {row["check"]: row for row in rows if "check" in row}, supervisor

    def until(self, is_so, timeout=30):
        """The supervisor's own words once `is_so` of them."""
        seen = []
        self.supervisor.wait_until(lambda: is_so(seen.append(self.doctor()[2]) or seen[-1]), "such status", timeout)
        return seen[-1]

    def test_nobody_guards(self):
        code, checks, supervisor = self.doctor()
        self.assertIsNone(supervisor)
        self.assertEqual(checks["supervisor"]["level"], "note")
        self.assertIn(str(self.run_folder), checks["supervisor"]["reason"])
        self.assertEqual(code, 0 if all(check["ok"] for check in checks.values()) else 1)

    def test_a_feed_that_fails_and_comes_back(self):
        body = "".join(f"{value}\n" for value in FETCHED).encode()
        answers = [lambda request: send(request, status=403)]
        server = self.enterContext(Server(lambda request: answers[-1](request)))
        feed = {"url": server.url("/feed.txt?key=secret"), "name": "partner", "allow_reserved": True}
        lab = self.enterContext(Lab())
        guest = lab.guest(kernel="6.1-cloud")
        self.supervise("--vm", guest.uuid, feeds=[feed])
        self.supervisor.wait_for_log(f"{guest.name}: ready")
        self.supervisor.wait_for_log("feed partner: not fetched")

        code, checks, said = self.doctor()
        self.assertEqual(code, 1)
        self.assertFalse(checks["feed partner"]["ok"])
        self.assertIn("403", checks["feed partner"]["reason"])
        self.assertIn("key", checks["feed partner"]["remedy"])
        (partner,) = said["intelligence"]["feeds"]
        self.assertEqual((partner["failures"], partner["copy_of"]), (1, None))
        self.assertGreater(partner["next_try"], partner["last_try"])
        self.assertEqual(said["pid"], self.supervisor.process.pid)
        self.assertNotIn("secret", json.dumps(said))

        # Of one VM: what its sensor has is what is in force.
        code, rows, problems = self.rows("vm", "show", guest.target)
        self.assertEqual(code, 0, problems)
        (vm,) = rows
        self.assertEqual(vm["state"], "ready")
        guard, said = vm["guard"], vm["supervisor"]
        self.assertEqual((guard["uuid"], guard["state"], guard["sensor"]), (guest.uuid, "ready", True))
        self.assertEqual(guard["intel_version"], said["intelligence"]["version"])
        self.assertEqual(said["intelligence"]["indicators"], len(LISTED))
        self.assertEqual(said["intelligence"]["sources"][0]["name"], str(self.list))
        self.until(lambda status: status["guards"][0]["counted"])
        code, output, _ = outguard("vm", "show", guest.target, "--run-folder", str(self.run_folder))
        self.assertIn("intelligence 100 indicators from 1 source, newest ", output)
        self.assertIn("1 feed failing for ", output)
        self.assertIn("which is in force", output)

        # It comes back by itself, at the next try.
        answers.append(lambda request: send(request, body))
        said = self.until(lambda status: status["intelligence"]["indicators"] == len(LISTED + FETCHED), 120)
        (partner,) = said["intelligence"]["feeds"]
        self.assertEqual((partner["failures"], partner["failing_since"], partner["problem"]), (0, None, None))
        self.assertEqual([source["entries"] for source in said["intelligence"]["sources"]], [100, 50])
        said = self.until(lambda status: status["intelligence"]["types"])
        self.assertEqual(said["intelligence"]["types"], {"address": 150})
        _, checks, said = self.doctor()
        self.assertTrue(checks["feed partner"]["ok"], checks["feed partner"])
        (guard,) = said["guards"]
        self.assertEqual(guard["packets_seen"],
                         guard["packets_processed"] + sum(guard["packets_dropped"].values()))

    def test_what_is_refused_and_what_is_changed_by_hand(self):
        self.supervise()
        code, output, problems = outguard("intel", "add", "203.0.113.99", "--allow-reserved", "--changes",
                                          str(self.folder / "changes"))
        self.assertEqual(code, 0, output + problems)
        said = self.until(lambda status: status["intelligence"]["changes"]["added"] == 1)
        version = said["intelligence"]["version"]
        self.write_list(LISTED[:3])
        said = self.until(lambda status: status["intelligence"]["problem"])
        self.assertIn("3 of 100 entries left (shrunken)", said["intelligence"]["problem"])
        self.assertEqual((said["intelligence"]["indicators"], said["intelligence"]["version"]), (100, version))
        code, checks, _ = self.doctor()
        self.assertEqual(code, 1)
        self.assertIn("kill -HUP", checks["latest lists in force"]["remedy"])
        self.write_list(LISTED[:90])
        said = self.until(lambda status: not status["intelligence"]["problem"])
        self.assertEqual(said["intelligence"]["indicators"], 90)
        # `explain` and `stats` answer about what is in force.
        words = ("--intel", str(self.list), "--allow-reserved", "--changes", str(self.folder / "changes"))
        self.assertEqual(outguard("intel", "explain", "203.0.113.99", *words)[0], 0)
        self.assertEqual(outguard("intel", "explain", "203.0.113.99", *words[:3], "--no-changes")[0], 6)
        code, output, _ = outguard("intel", "stats", str(self.list), *words[2:], "-o", "json")
        stats = json.loads(output)
        self.assertEqual((code, stats["added_by_hand"], stats["types"]), (0, 1, {"address": 91}))

    def test_a_set_that_shrank_between_two_runs(self):
        self.supervise().__exit__()
        self.write_list(LISTED[:10])
        # Told, and told again, until somebody says that it is right.
        for again in (True, False):
            self.supervise()
            code, checks, said = self.doctor()
            self.assertEqual(code, 1)
            self.assertIn("10 of 100 entries left (shrunken)", said["intelligence"]["short_of"][0])
            self.assertEqual(said["intelligence"]["indicators"], 10)
            self.assertFalse(checks["sources as whole as in the last run"]["ok"])
            self.assertIn("intelligence is short of what the last run had", self.supervisor.log.read_text())
            if again:
                self.supervisor.__exit__()
        self.supervisor.process.send_signal(signal.SIGHUP)
        self.supervisor.wait_for_log("accepted by SIGHUP")
        self.until(lambda status: not status["intelligence"]["short_of"])
        self.supervisor.__exit__()
        self.supervise()
        self.assertEqual(self.doctor()[2]["intelligence"]["short_of"], [])

    def test_a_feed_that_shrank_does_not_count_after_a_restart_either(self):
        served = [FETCHED]

        def handle(request):
            send(request, "".join(f"{value}\n" for value in served[-1]).encode())
        server = self.enterContext(Server(handle))
        feed = {"url": server.url("/feed.txt"), "name": "partner", "allow_reserved": True}
        self.supervise(feeds=[feed])
        self.until(lambda status: status["intelligence"]["indicators"] == 150)
        self.supervisor.__exit__()
        served.append(FETCHED[:2])
        # In a run that has the whole it is refused; it is the latest copy all the same.
        self.supervise(feeds=[feed])
        said = self.until(lambda status: status["intelligence"]["problem"])
        self.assertIn("partner: 2 of 50 entries left", said["intelligence"]["problem"])
        self.supervisor.__exit__()
        for damage in (lambda latest: None, lambda latest: latest.write_text("cut"), os.unlink):
            (latest,) = (self.folder / "cache").glob("*.feed")
            damage(latest)
            self.supervise(feeds=[feed])
            self.supervisor.wait_for_log("intelligence in force: 150 indicators")
            said = self.until(lambda status: "partner: 2 of 50" in (status["intelligence"]["problem"] or ""))
            self.assertEqual((said["intelligence"]["indicators"], said["intelligence"]["short_of"]), (150, []))
            self.supervisor.__exit__()
        self.supervise(feeds=[feed])
        self.until(lambda status: status["intelligence"]["problem"])
        self.supervisor.process.send_signal(signal.SIGHUP)
        self.until(lambda status: status["intelligence"]["indicators"] == 102)
        self.supervisor.__exit__()
        self.supervise(feeds=[feed])
        said = self.until(lambda status: status["intelligence"]["indicators"] == 102)
        self.assertEqual(said["intelligence"]["short_of"], [])

    def test_two_supervisors_and_hostile_clients(self):
        first = self.supervise().process
        second = self.supervise().process
        (one, other) = sorted(self.run_folder.iterdir())
        self.assertEqual({one.name, other.name}, {f"{first.pid}.sock", f"{second.pid}.sock"})
        idle = [self.enterContext(socket.socket(socket.AF_UNIX)) for _ in range(40)]
        for client in idle:
            client.setblocking(False)
            try:
                client.connect(str(one))
                client.send(b"\xff" * 100)
            except BlockingIOError:
                pass
        code, rows, _ = self.rows("doctor")
        self.assertEqual({row["supervisor"]["pid"] for row in rows if row.get("supervisor")}, {first.pid, second.pid})
        for process in (first, second):
            process.send_signal(signal.SIGTERM)
            process.wait(20)
        self.assertEqual(list(self.run_folder.iterdir()), [])


if __name__ == "__main__":
    unittest.main()
