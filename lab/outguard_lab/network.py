"""The network of one guest: everything it can reach, inside two namespaces made for the run.

    guest ── tap ── br0 ── veth ═══ veth: all remote addresses, world.py
            └─ namespace "switch" ─┘   └─ namespace "world" ─┘

No namespace has a way out. Two guests never share one, so they may use the same addresses.
"""

import subprocess
from dataclasses import dataclass

from .errors import LabError

# Networks that the world owns whole: the documentation ranges, where made-up villains live.
WORLD_NETWORKS = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
# Answers nothing, not even an error.
BLACKHOLE = "203.0.113.9"
# Second network namespaces inside the guest are routed through the guest.
INNER_NETWORKS = (("10.78.0.0/16", "10.77.0.2"), ("fd78::/32", "fd77::2"))
MAX_CARDS = 4


@dataclass(frozen=True)
class GuestNetwork:
    """Names of all that is made. `prefix` is unique to the guest; `addresses` are the world's further ones."""

    prefix: str
    cards: int = 1
    addresses: tuple[str, ...] = ()

    @property
    def taps(self) -> list[str]:
        """One a card; the name carries the run's and the guest's number in at most 15 characters."""
        short = self.prefix.replace("outguard-", "og").replace("-", "g")
        return [f"{short}t{card}" for card in range(self.cards)]

    @property
    def switch(self) -> str:
        return f"{self.prefix}-switch"

    @property
    def world(self) -> str:
        return f"{self.prefix}-world"

    def card_addresses(self, card: int) -> list[str]:
        """The guest's own addresses on one card."""
        return [f"10.77.{card}.2/24", f"fd77:0:0:{card:x}::2/64"]

    def mac(self, card: int) -> str:
        return f"52:54:00:77:00:{card + 2:02x}"

    def create(self) -> None:
        """Makes both namespaces; on failure `delete` still cleans up."""
        if not 1 <= self.cards <= MAX_CARDS:
            raise LabError(f"{self.cards} network cards: 1 to {MAX_CARDS} are possible")
        for name in (self.switch, self.world):
            _run("ip", "netns", "add", name)
        _settings(self.switch, "ipv6/conf/default/disable_ipv6=1", "ipv6/conf/all/disable_ipv6=1")
        _settings(self.world, "ipv6/conf/default/accept_dad=0", "ipv6/conf/all/accept_dad=0")
        commands = ["link add br0 type bridge forward_delay 0 mcast_snooping 0",
                    f"link add world0 type veth peer name eth0 netns {self.world}",
                    "link set world0 master br0 up"]
        for tap in self.taps:
            commands += [f"tuntap add dev {tap} mode tap", f"link set {tap} master br0 up"]
        _batch(self.switch, [*commands, "link set br0 up"])

        commands = ["link set lo up", "link set eth0 up"]
        for card in range(self.cards):
            commands += [f"addr add 10.77.{card}.1/24 dev eth0", f"addr add fd77:0:0:{card:x}::1/64 dev eth0"]
        commands += [f"route add local {network} dev lo" for network in (*WORLD_NETWORKS, *self.addresses)]
        commands.append(f"route add blackhole {BLACKHOLE}/32")
        commands += [f"route add {network} via {guest}" for network, guest in INNER_NETWORKS]
        _batch(self.world, commands)

    def delete(self) -> None:
        """Removes both namespaces and so everything in them. May be called twice."""
        for name in (self.switch, self.world):
            delete_namespace(name)


def delete_namespace(name: str) -> None:
    subprocess.run(["ip", "netns", "delete", name], capture_output=True, timeout=30)


def _settings(namespace: str, *settings: str) -> None:
    script = "\n".join("echo '{1}' > /proc/sys/net/{0}".format(*setting.split("=")) for setting in settings)
    _run("ip", "netns", "exec", namespace, "sh", "-ec", script)


def _batch(namespace: str, commands: list[str]) -> None:
    _run("ip", "-n", namespace, "-batch", "-", stdin="\n".join(commands) + "\n")


def _run(*command: str, stdin: str = "") -> None:
    result = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=30)
    if result.returncode != 0:
        raise LabError(f"{' '.join(command)}: {result.stderr.strip()}")
