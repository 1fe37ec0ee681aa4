"""What `ps` says of processes in odd places equals what the guest's own /proc says of them: ids and capabilities,
cgroups and containers, nested namespaces, executables behind mounts, titles, 32-bit programs."""
import unittest

from support import Lab, compare_when_still, outguard, rows, why_not

CONTAINER = "0123456789abcdef" * 4
OTHER = "f" * 64

# role, its words, the path that its executable shall have
ROLES = (
    ("several-ids", "1000", "0000000000002401"), ("several-ids", "3000000", "000000ffffbfffff"),
    ("in-cgroup", f"/docker/{CONTAINER}"),
    ("in-cgroup", f"/system.slice/docker-{OTHER}.scope/inner"),
    ("in-cgroup", f"/kubepods.slice/kubepods-pod1.slice/cri-containerd-{CONTAINER}.scope"),
    ("in-cgroup", "/system.slice/ssh.service"),
    ("in-cgroup", "/user.slice/user-1000.slice/user@1000.service/app.slice/editor.service"),
    ("in-cgroup", "/lxc.payload.web/init.scope"),
    ("in-cgroup", "/evil\x1b[31m\xff.service"),
    ("nested-pids", "1"), ("nested-pids", "3"),
    ("own-namespaces", f"/machine.slice/libpod-{CONTAINER}.scope"),
    ("overlay-exe", "lower"), ("overlay-exe", "upper"), ("overlay-exe", "deleted"),
    ("chroot-exe",), ("pivot-exe",), ("bind-exe", "folder"), ("bind-exe", "file"),
    ("set-title", "short"), ("set-title", "nginx: a worker with a title " * 30),
    ("moved-arguments", "somewhere else"), ("no-arguments",),
    ("bits32", "one", "two words"), ("bits32",),
)

# cgroup -> container, unit
PLACES = {
    f"/docker/{CONTAINER}": (CONTAINER, ""),
    f"/system.slice/docker-{OTHER}.scope/inner": (OTHER, f"docker-{OTHER}.scope"),
    f"/kubepods.slice/kubepods-pod1.slice/cri-containerd-{CONTAINER}.scope":
        (CONTAINER, f"cri-containerd-{CONTAINER}.scope"),
    "/system.slice/ssh.service": ("", "ssh.service"),
    "/user.slice/user-1000.slice/user@1000.service/app.slice/editor.service": ("", "editor.service"),
    "/lxc.payload.web/init.scope": ("web", "init.scope"),
    f"/machine.slice/libpod-{CONTAINER}.scope": (CONTAINER, f"libpod-{CONTAINER}.scope"),
    "/": ("", ""),
}


@unittest.skipIf(why_not(), why_not())
class Processes(unittest.TestCase):
    """Two guests: the oldest and the newest kernel; those between are compared by test_truth."""

    def test_odd_places(self):
        with Lab() as lab:
            kernels = ({"kernel": "5.10-cloud", "ram": 512}, {"kernel": "6.12-cloud", "ram": 512, "cpu": "max"})
            for options, guest in zip(kernels, lab.guests_together(*kernels)):
                with self.subTest(options["kernel"]):
                    self.check(guest)
                guest.stop()

    def check(self, guest):
        self.check_dropped_arguments(guest)
        guest.load("overlay")
        started = [(role, words, guest.run(role, *words).pid) for role, *words in ROLES]
        guest.run("tcp-listener", "127.0.0.1:8080", exe="/tmp/new\nline")
        self.assertEqual(compare_when_still(guest), [])

        truth = guest.truth()
        by_pid = {row["pid"]: row for row in rows("ps", guest.target)}
        self.assertTrue({role for role, *_ in ROLES} <= {role for role, _, pid in started if pid in by_pid})
        for place, expected in PLACES.items():
            found = [row for row in by_pid.values() if row["cgroup"] == place]
            self.assertTrue(found, place)
            for row in found:
                self.assertEqual((row["container"], row["unit"]), expected, place)
        self.check_roles_are_odd(started, truth)
        self.check_table(guest)

    def check_roles_are_odd(self, started, truth):
        """The roles did what they should, or the comparison above proves nothing."""
        of = {}
        for role, words, pid in started:
            of.setdefault(role, []).append(truth.process(pid))
        deepest = max(len(process["namespace_pids"]) for process in truth.processes)
        self.assertEqual(deepest, 4)
        self.assertEqual(of["several-ids"][0]["uids"], [1000, 1001, 1002, 1003])
        self.assertEqual(of["several-ids"][0]["gids"], [1010, 1011, 1012, 1013])
        self.assertEqual(of["several-ids"][0]["capabilities"]["ambient"], "0000000000000001")
        self.assertEqual(len(set(of["several-ids"][1]["capabilities"].values())), 4)
        self.assertTrue(of["overlay-exe"][0]["exe"].endswith("/merged/program"))
        self.assertTrue(of["overlay-exe"][2]["exe"].endswith("/merged/program (deleted)"))
        self.assertTrue(of["chroot-exe"][0]["exe"].startswith("/run/jail-"))
        self.assertTrue(of["bind-exe"][0]["exe"].endswith("/to/program"))
        self.assertTrue(of["bind-exe"][1]["exe"].endswith("/to (deleted)"))
        self.assertEqual(of["set-title"][0]["cmdline"], ["short"])
        self.assertEqual(len(of["set-title"][1]["cmdline"][0]), len("nginx: a worker with a title ") * 30)
        self.assertEqual(of["moved-arguments"][0]["cmdline"], ["somewhere else"])
        self.assertEqual(of["bits32"][0]["cmdline"][1:], ["one", "two words"])
        self.assertIn("/tmp/new\nline", [process["exe"] for process in truth.processes])
        spaces = [process["namespaces"] for process in truth.processes if process["namespaces"]["mnt"]]
        for kind in ("mnt", "pid", "net", "ipc", "uts", "user", "cgroup"):
            self.assertGreater(len({space[kind] for space in spaces}), 1, kind)

    def check_dropped_arguments(self, guest):
        """Before anybody in the guest looks, the arguments are nowhere: unknown, not empty."""
        pid = guest.run("dropped-arguments").pid
        (row,) = [row for row in rows("ps", guest.target) if row["pid"] == pid]
        self.assertIsNone(row["cmdline"])
        self.assertEqual(guest.truth().process(pid)["cmdline"], ["", "", "", "", ""])  # made when it looked
        (row,) = [row for row in rows("ps", guest.target) if row["pid"] == pid]
        self.assertEqual(row["cmdline"], ["", "", "", "", ""])

    def check_table(self, guest):
        code, text, problems = outguard("ps", guest.target)
        self.assertEqual((code, problems), (0, ""))
        self.assertRegex(text, rf"(?m)^\d+ +\d+ +0 +S +{CONTAINER[:12]} +/usr/bin/in-cgroup +/usr/bin/in-cgroup /docker")
        self.assertNotIn("\x1b", text)
        self.assertIn("/tmp/new\\x0aline", text)


if __name__ == "__main__":
    unittest.main()
