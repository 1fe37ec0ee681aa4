"""Every socket of a guest, of every family and however it is held, against the guest's own /proc: one guest of each
kernel, one case a check."""
import time
import unittest

import support
from support import Lab, in_json, outguard, rows, why_not

ECHO = "203.0.113.66:4444"
IP_FAMILIES = ("inet", "inet6")
TYPES = {"stream": 1, "dgram": 2, "raw": 3, "seqpacket": 5}
NETLINK = {"route": 0, "sock_diag": 4, "nflog": 5, "xfrm": 6, "audit": 9, "fib_lookup": 10, "connector": 11,
           "netfilter": 12, "kobject_uevent": 15, "generic": 16, "scsitransport": 18, "rdma": 20, "crypto": 21,
           "usersock": 2, "selinux": 7, "iscsi": 8, "ecryptfs": 19}


def owners_of(row):
    return sorted((owner["pid"], owner["fd"], owner["hold"]) for owner in row["owners"])


def owner_keys(row):
    return tuple(sorted((owner["pid"], owner["fd"], in_json(owner["comm"])) for owner in row["owners"]))


def by_descriptor(row):
    """The owners that /proc/PID/fd shows, too."""
    return {**row, "owners": [owner for owner in row["owners"] if owner["hold"] == "descriptor"]}


def unix_name(row):
    """As /proc/net/unix prints it: `@` for each NUL of an abstract name."""
    return (row["local"] or "").replace("\\x00", "@").replace("\0", "@")


def seen_others(listed, family):
    table = []
    for row in listed:
        if row["family"] != family:
            continue
        row = by_descriptor(row)
        if family == "netlink":
            what = (NETLINK.get(row["proto"], row["proto"]), row["local"], row["groups"])
        elif family == "packet":
            what = (TYPES[row["type"]], int(row["proto"], 16), row["local"] or "")
        else:
            what = (TYPES[row["type"]], unix_name(row), row["state"] == "LISTEN")
        table.append((row["inode"], row["netns"], what, owner_keys(row)))
    return sorted(table, key=str)


def expected_others(truth, family, interfaces):
    table = []
    for row in truth.other_sockets:
        if row["family"] != family:
            continue
        if family == "netlink":
            what = (row["proto"], row["local"], row["groups"])
        elif family == "packet":
            what = (row["type"], row["proto"], interfaces.get(row["interface_index"], ""))
        else:
            what = (row["type"], in_json(row["local"]), row["listens"])
        table.append((row["inode"], row["netns"], what, owner_keys(row)))
    return sorted(table, key=str)


@unittest.skipIf(why_not(), why_not())
class Sockets(unittest.TestCase):

    def check(self, kernel):
        with Lab() as lab:
            self.guest = lab.guest(kernel=kernel, ram=512)
            self.guest.load("dccp_ipv4", "vsock_loopback", "vxlan")
            self.start()
            self.wait_until_still()
            for case in (self.descriptors_hold, self.bound_only_is_listed_with_all, self.every_listener_of_a_port,
                         self.v6only, self.in_flight, self.in_rings, self.epoll_holds_nothing, self.copies,
                         self.leaderless, self.other_families, self.a_sniffer_nobody_holds, self.dccp, self.vsock,
                         self.mptcp, self.kernels_own, self.nothing_is_hidden, self.uids, self.who_finds_them):
                with self.subTest(kernel=kernel, case=case.__name__):
                    case()

    def start(self):
        run = self.guest.run
        self.has_task_rings = not self.guest.options.kernel.startswith("5.10")
        self.has_mptcp = not self.guest.options.kernel.startswith("5.10")  # not built into Debian's
        self.guest.sh("echo '0 2147483647' > /proc/sys/net/ipv4/ping_group_range")
        roles = {
            "in-flight": (ECHO,), "in-flight-nested": (ECHO,), "in-flight-unaccepted": (ECHO,), "in-ring": (ECHO,),
            "epoll-watch": (ECHO,), "pidfd-copy": (ECHO,), "leaderless": (ECHO,), "sniffer-in-flight": (),
            "unix-family": (), "netlink-family": (), "packet-family": ("eth0",), "vsock-family": ("5151",),
            "dccp-listener": ("0.0.0.0:7132",), "bound-only": ("0.0.0.0:7001", "127.0.0.1:7003", "[::]:7002"),
            "reuseport": ("0.0.0.0:7010", "3"), "v6only": ("7020",), "datagram-kinds": (), "kernel-udp": ("7789",),
            "netns-twins": ("198.51.100.10:5555", "600"), "unaccepted": ("0.0.0.0:7000", "3"),
            "time-wait": (ECHO,), "fin-wait2": ("203.0.113.66:10",), "thread-unshare": (ECHO, "600"),
        }
        if self.has_task_rings:
            roles["in-hidden-ring"] = (ECHO,)
        if self.has_mptcp:
            roles["mptcp-pair"] = ("127.0.0.1:7030",)
        self.started = {name: run(name, *words) for name, words in roles.items()}
        self.xdp = run("other-family", "44", "3")

    def wait_until_still(self):
        """Between two equal truths, all that Outguard says is of that same moment."""
        for _ in range(12):
            before = self.guest.truth()
            self.rows = rows("sockets", self.guest.target, "--all")
            self.truth = self.guest.truth()
            same = (before.other_sockets == self.truth.other_sockets
                    and support.expected_sockets(before) == support.expected_sockets(self.truth))
            if same:
                self.ip = [row for row in self.rows if row["family"] in IP_FAMILIES and "local_ip" in row]
                return
            time.sleep(0.3)
        self.fail("the guest never stood still")

    def connection_of(self, role):
        port = int(self.started[role].announced["port"])
        found = [row for row in self.ip if row["local_port"] == port and row["proto"] == "tcp"
                 and row["state"] == "ESTABLISHED"]
        self.assertEqual(len(found), 1, f"{role}: {found}")
        return found[0]

    # ---- Cases -----------------------------------------------------------------------------------

    def descriptors_hold(self):
        """Without --all: the same sockets and owners as /proc has; only what has no descriptor is known better."""
        plain = [row for row in rows("sockets", self.guest.target) if row["proto"] != "33"]  # /proc has no DCCP table
        self.assertEqual(support.differences(support.expected_sockets(self.truth),
                                             support.seen_sockets(map(by_descriptor, plain))), [])
        self.assertTrue(all(row["owner_status"] == "none" or row["owners"] or row["owner_status"] == "kernel"
                            for row in plain))

    def bound_only_is_listed_with_all(self):
        pid = self.started["bound-only"].pid
        found = {(row["local_ip"], row["local_port"], row["state"]) for row in self.ip
                 if any(owner["pid"] == pid for owner in row["owners"])}
        self.assertEqual(found, {("0.0.0.0", 7001, "CLOSE"), ("127.0.0.1", 7003, "CLOSE"), ("::", 7002, "CLOSE")})

    def every_listener_of_a_port(self):
        for proto, state in (("tcp", "LISTEN"), ("udp", "CLOSE")):
            found = [row for row in self.ip if (row["proto"], row["local_port"]) == (proto, 7010)]
            self.assertEqual([row["state"] for row in found], [state] * 3)
            self.assertEqual(len({row["owners"][0]["fd"] for row in found}), 3)

    def v6only(self):
        found = sorted((row["family"], row["local_ip"]) for row in self.ip if row["local_port"] == 7020)
        self.assertEqual(found, [("inet", "0.0.0.0"), ("inet6", "::")])

    def in_flight(self):
        for role in ("in-flight", "in-flight-nested", "in-flight-unaccepted"):
            started = self.started[role]
            row = self.connection_of(role)
            self.assertEqual(owners_of(row), [(started.pid, int(started.announced["fd"]), "in_flight")], role)
            self.assertEqual(row["owner_status"], "exact", role)

    def in_rings(self):
        started = self.started["in-ring"]
        self.assertEqual(owners_of(self.connection_of("in-ring")),
                         [(started.pid, int(started.announced["fd"]), "io_uring")])
        if self.has_task_rings:
            started = self.started["in-hidden-ring"]
            self.assertEqual(owners_of(self.connection_of("in-hidden-ring")), [(started.pid, None, "io_uring")])

    def epoll_holds_nothing(self):
        """The watcher itself is no owner: when its own descriptor was closed, only the child had it."""
        pids = [owner["pid"] for owner in self.connection_of("epoll-watch")["owners"]]
        self.assertEqual(pids, [int(self.started["epoll-watch"].announced["child"])])

    def copies(self):
        started = self.started["pidfd-copy"]
        pids = {owner["pid"] for owner in self.connection_of("pidfd-copy")["owners"]}
        self.assertEqual(pids, {started.pid, int(started.announced["child"])})

    def leaderless(self):
        pids = [owner["pid"] for owner in self.connection_of("leaderless")["owners"]]
        self.assertEqual(pids, [self.started["leaderless"].pid])

    def other_families(self):
        """Sets by inode and namespace, with names, groups, interfaces and owners."""
        _, listed = self.guest.sh("grep . /sys/class/net/*/ifindex")
        interfaces = {int(line.split(":")[-1]): line.split("/")[4] for line in listed.splitlines()}
        for family in ("unix", "netlink", "packet"):
            expected = expected_others(self.truth, family, interfaces)
            self.assertGreater(len(expected), 1, family)
            self.assertEqual(support.differences(expected, seen_others(self.rows, family)), [], family)
        xdp = [row for row in self.rows if row["family"] == "xdp"]
        self.assertEqual([owner["pid"] for row in xdp for owner in row["owners"]], [self.xdp.pid])

    def a_sniffer_nobody_holds(self):
        started = self.started["sniffer-in-flight"]
        found = [row for row in self.rows if row["family"] == "packet" and
                 any(owner["pid"] == started.pid for owner in row["owners"])]
        self.assertEqual([(row["proto"], row["local"], owners_of(row)) for row in found],
                         [("0x0003", None, [(started.pid, int(started.announced["fd"]), "in_flight")])])

    def dccp(self):
        """No table of ours has it: it is found by its descriptor, and is not called hidden."""
        found = [row for row in self.ip if row["proto"] == "33"]
        self.assertEqual([(row["state"], row["local_port"], row["owners"][0]["pid"], row["hidden"]) for row in found],
                         [("LISTEN", 7132, self.started["dccp-listener"].pid, False)])

    def vsock(self):
        found = [(row["local"], row["state"], [owner["pid"] for owner in row["owners"]])
                 for row in self.rows if row["family"] == "vsock"]
        self.assertEqual(found, [("*:5151", "LISTEN", [self.started["vsock-family"].pid])])

    def mptcp(self):
        """Listener, client and accepted end: each a TCP socket that only its MPTCP parent's holder has."""
        if not self.has_mptcp:
            return
        pid = self.started["mptcp-pair"].pid
        found = [row for row in self.ip if row["proto"] == "tcp" and 7030 in (row["local_port"], row["remote_port"])]
        self.assertEqual(sorted(row["state"] for row in found), ["ESTABLISHED", "ESTABLISHED", "LISTEN"])
        for row in found:
            self.assertEqual([owner["pid"] for owner in row["owners"]], [pid], row)
        self.assertEqual(len({row["owners"][0]["fd"] for row in found}), 3)
        parents = [row for row in self.rows if row["family"] == "inet" and row["proto"] == "mptcp"]
        self.assertEqual(len(parents), 3)
        self.assertTrue(any(row["local"] == "127.0.0.1:7030" for row in parents), parents)

    def kernels_own(self):
        """A tunnel's UDP socket: in the kernel's table, with an inode, and nobody's."""
        found = [row for row in self.ip if row["owner_status"] == "kernel"]
        self.assertIn(("inet", "udp", 7789, False),
                      [(row["family"], row["proto"], row["local_port"], bool(row["owners"])) for row in found])
        self.assertEqual({row["local_port"] for row in found}, {7789})

    def nothing_is_hidden(self):
        self.assertEqual([row for row in self.rows if row.get("hidden")], [])

    def uids(self):
        for row in self.ip:
            if row["state"] in ("TIME_WAIT", "SYN_RECV") or row["inode"] == 0:
                continue
            self.assertEqual(row["uid"], 0, row)

    def who_finds_them(self):
        """A socket that no descriptor leads to is attributed all the same."""
        row = self.connection_of("in-ring")
        code, output, problems = outguard(
            "who", self.guest.target, "tcp", f"{row['local_ip']}:{row['local_port']}",
            f"{row['remote_ip']}:{row['remote_port']}", "-o", "json")
        self.assertEqual(code, 0, problems)
        self.assertIn(f'"pid":{self.started["in-ring"].pid},', output)

    # ---- Kernels ---------------------------------------------------------------------------------

    def test_5_10(self):
        self.check("5.10")

    def test_6_1(self):
        self.check("6.1")

    def test_6_12(self):
        self.check("6.12")


if __name__ == "__main__":
    unittest.main()
