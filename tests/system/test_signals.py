"""A process is ended, suspended and resumed by its own kernel, wherever it sleeps; nothing else is touched."""
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import time
import unittest

from support import BIN, Lab, why_not

SIGNALLER = str(BIN / "signal_bench")
TROUBLE = re.compile(r"WARNING:|BUG:|Oops|soft lockup|hard LOCKUP|rcu.*stall|general protection|scheduling while atomic")


class Signaller:
    """signal_bench with one guest; `with` ends it."""

    def __init__(self, guest):
        self.process = subprocess.Popen([SIGNALLER, guest.target], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        assert json.loads(self.process.stdout.readline())["ready"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def ask(self, what, pid):
        self.process.stdin.write(f"{what} {pid}\n")
        self.process.stdin.flush()

    def answer(self):
        return json.loads(self.process.stdout.readline())

    def __call__(self, what, pid):
        self.ask(what, pid)
        return self.answer()


def state_of(guest, pid):
    """The letter of /proc/PID/stat; empty when there is no such process."""
    _, text = guest.sh(f"sed 's/.*) //' /proc/{pid}/stat 2>/dev/null")
    return text[:1]


def children_of(pid):
    try:
        return [int(word) for word in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


@unittest.skipIf(why_not(), why_not())
class Signals(unittest.TestCase):
    def setUp(self):
        self.lab = self.enterContext(Lab())

    def assert_unharmed(self, guest):
        found = [line for line in guest.console().splitlines() if TROUBLE.search(line)]
        self.assertEqual(found, [])
        self.assertTrue(guest.qmp("query-status")["running"])
        self.assertNotIn("outguard", " ".join(device["label"] for device in guest.qmp("query-chardev")))

    def kills_every_kind(self, kernel, cpus):
        guest = self.lab.guest(kernel=kernel, cpus=cpus)
        targets = {how: guest.run("sleeper", how).pid for how in ("pause", "sleep", "poll", "accept", "spin")}
        targets |= {how: guest.run("waiter", how).pid for how in ("epoll", "futex", "blocked")}
        targets["stopped"] = guest.spawn("waiter", "stopped").pid
        targets["200 threads"] = guest.run("threads", 200).pid
        roles = {name: guest.run(name) for name in ("tracer", "vfork-parent", "session-leader", "first-of-namespace")}
        targets["traced"] = roles["tracer"].announced["child"]
        targets["vfork parent"] = roles["vfork-parent"].pid
        targets["session leader"] = roles["session-leader"].pid
        targets["first of its pid namespace"] = roles["first-of-namespace"].announced["child"]
        others = [guest.run("sleeper", how).pid for how in ("pause", "spin")]
        others += [roles["tracer"].pid, roles["vfork-parent"].announced["child"],
                   roles["session-leader"].announced["child"]]
        with Signaller(guest) as signaller:
            for name, pid in targets.items():
                with self.subTest(kernel=kernel, target=name):
                    done = signaller("kill", pid)
                    self.assertEqual(done["status"], "killed", done)
                    self.assertFalse(done["by_writing"], done)
                    self.assertIn(state_of(guest, pid), ("", "Z"))
            self.assertEqual(signaller("kill", 1)["status"], "not_possible")
            (thread,) = guest.sh("for p in /proc/[0-9]*; do [ $(cat $p/comm) = kthreadd ] && echo ${p#/proc/}; done")[1].split()
            self.assertEqual(signaller("kill", thread)["status"], "not_possible")
            for pid in others:
                self.assertTrue(guest.alive(pid), pid)
        self.assert_unharmed(guest)

    def test_every_kind_of_sleeper_on_5_10(self):
        self.kills_every_kind("5.10-cloud", 1)

    def test_every_kind_of_sleeper_on_6_1(self):
        self.kills_every_kind("6.1", 2)

    def test_every_kind_of_sleeper_on_6_12(self):
        self.kills_every_kind("6.12-cloud", 4)

    def test_a_process_is_suspended_and_goes_on(self):
        guest = self.lab.guest(kernel="6.1-cloud", cpus=2)
        client = guest.run("tcp-client", "203.0.113.20:4444", 0.05)
        many = guest.run("threads", 200).pid
        parent = guest.run("vfork-parent")
        with Signaller(guest) as signaller:
            for pid in (client.pid, many):
                self.assertEqual(signaller("suspend", pid)["status"], "suspended")
                self.assertEqual(state_of(guest, pid), "T")
            count = guest.talk()[client.pid].count
            time.sleep(0.4)
            self.assertEqual(guest.talk()[client.pid].count, count)
            self.assertEqual(signaller("suspend", client.pid)["status"], "suspended", "once more")
            for pid in (client.pid, many):
                self.assertEqual(signaller("resume", pid)["status"], "done")
            time.sleep(0.4)
            self.assertGreater(guest.talk()[client.pid].count, count)
            # It sleeps where this signal does not reach it, until its child ends.
            done = signaller("suspend", parent.pid)
            self.assertEqual(done["status"], "pending", done)
            self.assertIn("no signal reaches it", done["reason"])
            self.assertEqual(signaller("kill", parent.announced["child"])["status"], "killed")
            self.assertEqual(signaller("suspend", parent.pid)["status"], "suspended")
            self.assertEqual(signaller("kill", parent.pid)["status"], "killed", "stopped as it is")
        self.assert_unharmed(guest)

    def test_a_vm_that_an_administrator_paused_stays_paused(self):
        guest = self.lab.guest(kernel="6.12-cloud")
        pid = guest.run("sleeper", "pause").pid
        with Signaller(guest) as signaller:
            guest.qmp("stop")
            done = signaller("kill", pid)
            self.assertEqual(done["status"], "refused", done)
            self.assertIn("not running", done["reason"])
            self.assertFalse(guest.qmp("query-status")["running"])
            guest.qmp("cont")
            # A stub that is an administrator's is left alone: the process is ended the other way.
            guest.qmp("human-monitor-command", **{"command-line": "gdbserver tcp:127.0.0.1:0"})
            self.assertEqual(signaller("suspend", pid)["status"], "refused")
            spinning = guest.run("sleeper", "spin").pid
            done = signaller("kill", spinning)
            self.assertEqual((done["status"], done["by_writing"]), ("killed", True), done)
            guest.qmp("human-monitor-command", **{"command-line": "gdbserver none"})
            self.assertEqual(signaller("kill", pid)["status"], "killed")
        self.assert_unharmed(guest)

    def test_no_death_of_ours_leaves_the_vm_standing(self):
        """kill -9 of the worker, its keeper, the supervisor, and two of them at once, at any moment."""
        guest = self.lab.guest(kernel="6.1-cloud", cpus=2)
        pid = guest.run("sleeper", "pause").pid
        chance = random.Random(4)
        hits = 0
        signaller = Signaller(guest)
        for turn in range(40):
            whom = ("worker", "keeper", "worker and supervisor", "keeper and supervisor", "all")[turn % 5]
            signaller.ask("resume", pid)
            keepers = workers = []
            end = time.monotonic() + 2
            while not workers and time.monotonic() < end:
                keepers = children_of(signaller.process.pid)[1:]  # the first is the sensor
                workers = [child for keeper in keepers for child in children_of(keeper)]
            time.sleep(chance.uniform(0, 0.004))
            victims = workers if "worker" in whom else keepers if "keeper" in whom else workers + keepers
            victims = victims + [signaller.process.pid] * (whom not in ("worker", "keeper"))
            for victim in victims:
                try:
                    os.kill(victim, signal.SIGKILL)
                    hits += victim in workers
                except ProcessLookupError:
                    pass
            if signaller.process.pid in victims:
                signaller.process.communicate()
                signaller = Signaller(guest)
            else:
                self.assertIn(signaller.answer()["status"], ("done", "failed"))
            if whom == "all":  # then the next use finds what was left
                done = signaller("resume", pid)
                self.assertEqual(done["status"], "done", done)
            with self.subTest(turn=turn, whom=whom):
                self.assert_unharmed(guest)
                self.assertEqual(guest.sh("echo here", timeout=20)[1], "here\n")
        signaller.__exit__()
        self.assertGreater(hits, 5)
        self.assertTrue(guest.alive(pid))


if __name__ == "__main__":
    unittest.main()
