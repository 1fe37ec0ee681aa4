"""A real kernel module hides a process and its socket from the guest's own /proc: Outguard finds both, says from
which views they are missing, and hides nothing where nothing is hidden."""
import json
import pathlib
import tempfile
import time
import unittest

import support
from support import Lab, rows, why_not

from outguard_lab import module

ECHO = "203.0.113.66:4444"
PORT = 4444
SLOW = "600"
QUIET_TIMER = "no_timer_check"  # a busy host delays the timer interrupt that a booting kernel waits for


def row_of(table, pid):
    return next((row for row in table if row["pid"] == pid), None)


def absent_from(row):
    return {view for view, has_it in row["views"].items() if not has_it}


def listed_by_guest(guest, pid):
    """Whether the guest's own `ls /proc` shows it."""
    status, output = guest.sh("ls /proc")
    assert status == 0, output
    return str(pid) in output.split()


def connections_of_guest(guest, port=PORT):
    """Lines of the guest's own /proc/net/tcp with this port at either end."""
    status, output = guest.sh("cat /proc/net/tcp")
    assert status == 0, output
    return [line for line in output.splitlines() if f":{port:04X} " in line]


@unittest.skipIf(why_not(), why_not())
class Hidden(unittest.TestCase):
    """One guest a kernel; what one step hides is undone before the next."""

    def check_kernel(self, kernel, **options):
        with Lab() as lab:
            guest = lab.guest(kernel=kernel, ram=256, append=QUIET_TIMER, **options)
            self.nothing_is_hidden(guest)
            self.each_way_is_named(guest)
            self.a_hidden_process_keeps_its_flow(guest)
            self.a_hidden_socket_is_found(guest)
            self.hooks_are_named(guest)
            self.assertNotIn("Oops", guest.console())
            self.assertNotIn("BUG:", guest.console())

    def nothing_is_hidden(self, guest):
        with self.subTest("an honest guest hides nothing"):
            table = rows("ps", guest.target)
            self.assertEqual([row["pid"] for row in table if row["hidden"] is not False], [])
            for row in table:
                if row["state"] != "Z":
                    self.assertEqual(absent_from(row), set())
                    self.assertLessEqual({"task_list", "pid_table", "thread_list", "parent_list", "cgroup"},
                                         row["views"].keys())
            (vm,) = rows("vm", "show", guest.target)
            self.assertEqual(vm["kernel"]["integrity"], [])
            self.assertGreater(vm["kernel"]["integrity_checks"], 20)

    def each_way_is_named(self, guest):
        """Each view alone, and two at once: exactly those are named."""
        role = guest.run("sleeper", "pause")
        for ways in ({"task_list"}, {"pid_table"}, {"task_list", "pid_table"}):
            with self.subTest(f"hidden from {' and '.join(sorted(ways))}"), \
                    module.hiding(guest, pid=role.pid, **{way: 1 for way in ways}):
                self.assertEqual(listed_by_guest(guest, role.pid), "pid_table" not in ways)
                code, output, said = support.outguard("ps", guest.target, "-o", "json")
                self.assertEqual(code, 0, said)
                row = row_of(map(json.loads, output.splitlines()), role.pid)
                self.assertIsNotNone(row, "the hidden process is not listed")
                self.assertIs(row["hidden"], True)
                self.assertEqual(absent_from(row), ways)
                self.assertEqual((row["comm"], row["exe"]), ("sleeper", "/usr/bin/sleeper"))
                self.assertIn("1 hidden", said)
        self.assertIs(row_of(rows("ps", guest.target), role.pid)["hidden"], False)
        guest.kill(role.pid)

    def a_hidden_process_keeps_its_flow(self, guest):
        role = guest.run("tcp-client", ECHO, SLOW)
        (socket,) = guest.truth().sockets_of(role.pid)
        local = f"{socket['local_ip']}:{socket['local_port']}"
        with self.subTest("a hidden process's flow is its own"), \
                module.hiding(guest, pid=role.pid, task_list=1, pid_table=1, seq_port=PORT):
            self.assertFalse(listed_by_guest(guest, role.pid))
            self.assertEqual(connections_of_guest(guest), [])
            owners = [row["owners"] for row in rows("sockets", guest.target) if row["local_port"] == socket["local_port"]]
            self.assertEqual([[owner["pid"] for owner in each] for each in owners], [[role.pid]])
            (answer,) = rows("who", guest.target, "tcp", local, ECHO)
            self.assertEqual(answer["status"], "exact")
            self.assertEqual(answer["process"]["pid"], role.pid)
            found = row_of(rows("ps", guest.target, "--scan", timeout=300), role.pid)
            self.assertIs(found["views"]["scan"], True)
        guest.kill(role.pid)

    def a_hidden_socket_is_found(self, guest):
        role = guest.run("tcp-client", ECHO, SLOW)
        (socket,) = guest.truth().sockets_of(role.pid)
        with self.subTest("a socket out of its hash table"), module.hiding(guest, pid=role.pid, sock_hash=1):
            self.assertEqual(connections_of_guest(guest, socket["local_port"]), [])
            (row,) = [row for row in rows("sockets", guest.target) if row["inode"] == socket["inode"]]
            self.assertIs(row["hidden"], True)
            self.assertEqual([owner["pid"] for owner in row["owners"]], [role.pid])
            self.assertEqual((row["remote_ip"], row["remote_port"]), ("203.0.113.66", PORT))
        guest.kill(role.pid)

    def hooks_are_named(self, guest):
        role = guest.run("sleeper", "pause")
        with self.subTest("hooks of /proc"), \
                module.hiding(guest, pid=role.pid, proc_iterate=1, seq_port=PORT):
            self.assertFalse(listed_by_guest(guest, role.pid))
            self.assertIs(row_of(rows("ps", guest.target), role.pid)["hidden"], False)  # memory is honest
            (vm,) = rows("vm", "show", guest.target)
            self.assertEqual(sorted(vm["kernel"]["integrity"]),
                             ["proc_root_operations.iterate_shared leads outside the kernel's text",
                              "tcp4_seq_ops.show leads outside the kernel's text"])
        guest.kill(role.pid)

    def test_6_1(self):
        self.check_kernel("6.1-cloud")

    def test_6_12(self):
        self.check_kernel("6.12-cloud", cpus=2, memfd=True)

    def test_5_10(self):
        self.check_kernel("5.10-cloud")


@unittest.skipIf(why_not(), why_not())
class Response(unittest.TestCase):
    def test_a_hidden_beacon_is_named_and_killed(self):
        """Hidden from task list, pid table and /proc/net/tcp: its flow names it, and it dies."""
        with Lab() as lab, tempfile.TemporaryDirectory() as folder:
            guest = lab.guest(kernel="6.1-cloud", ram=256, append=QUIET_TIMER)
            role = guest.run("tcp-client", ECHO, "0.3")
            feed = pathlib.Path(folder) / "feed.txt"
            feed.write_text("203.0.113.66\n")
            module.load(guest, pid=role.pid, task_list=1, pid_table=1, seq_port=PORT)
            with support.Supervisor(folder, "--intel", str(feed), "--allow-reserved", "--vm", guest.uuid,
                                    "--enforce") as supervisor:
                alert = supervisor.wait_for_alert(
                    lambda found: any(each["action"] == "kill" for each in found.get("response", [])))
            self.assertEqual(alert["process"]["pid"], role.pid)
            self.assertIn(("kill", "killed"), [(each["action"], each["status"]) for each in alert["response"]])
            talked = guest.talk()[role.pid].count
            time.sleep(1)
            self.assertEqual(guest.talk()[role.pid].count, talked)


@unittest.skipIf(why_not(), why_not())
class NoFalseAlarm(unittest.TestCase):
    ROUNDS = 100

    def test_forks_and_exits_are_not_hidden(self):
        """A guest that forks and exits as fast as it can: 100 looks, nothing hidden."""
        with Lab() as lab:
            guest = lab.guest(kernel="6.1-cloud", cpus=2, ram=256, append=QUIET_TIMER)
            guest.sh("for i in 1 2 3; do (while :; do /bin/true; (ls /; /bin/true) > /dev/null; done) "
                     "> /dev/null 2>&1 & done")
            time.sleep(0.5)
            hidden, undecided, looked = [], 0, 0
            for _ in range(self.ROUNDS):
                code, output, said = support.outguard("ps", guest.target, "-o", "json")
                self.assertIn(code, (0, 8), said)  # 8: something changed while it was read
                table = [json.loads(line) for line in output.splitlines()]
                hidden += [row for row in table if row["hidden"] is True]
                undecided += sum(row["hidden"] is None for row in table)
                looked += len(table)
            self.assertEqual(hidden, [])
            self.assertLess(undecided, looked / 20)


if __name__ == "__main__":
    unittest.main()
