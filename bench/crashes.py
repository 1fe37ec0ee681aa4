"""Bench part of crashes: kill -9 of a real supervisor at random points while it acts on a real VM's tap and QEMU.

In namespaces of its own (network, mounts, processes), it plays the guest on the second queue of the VM's tap, so that
what passes the kernel's rules is seen at the bridge, and the other way round in the guest. After each restart journal,
kernel and QEMU must agree with each other and with all that was acknowledged:

    lost        acknowledged, and not on record or not in force
    orphaned    in force, and no record says so
    duplicate   twice on record, or twice in force
    gap         a packet of a flow that was blocked before the first kill, and passed
"""
import collections
import contextlib
import fcntl
import json
import os
import pathlib
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
BIN = pathlib.Path(os.environ.get("OUTGUARD_BIN", ROOT / "build" / "release" / "bin"))

SHARE = 1.0
KILLS = 1000
UUID = "0c7a5e00-1111-4222-8333-444444444444"
GUEST, GUEST_MAC, PEER_MAC = "10.66.0.2", bytes.fromhex("525400660002"), bytes.fromhex("525400660001")
FREE = "10.66.255.1"  # its packets always pass
LONE = "10.66.254.1"  # passes unless the VM is isolated
LISTED = {  # blocked before the first kill: target -> who talks
    "remote 10.66.200.1": ("10.66.200.1", 53),
    "flow udp 10.66.0.2:4000 10.66.201.1:53": ("10.66.201.1", 53),
    "port 9999": ("10.66.202.1", 9999),
}
PORT = 4000


# ---- Packets

def frame(mac_to, mac_from, source, target, ports, number):
    payload = struct.pack("!Q", number)
    udp = struct.pack("!HHHH", *ports, 8 + len(payload), 0) + payload
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0,
                         socket.inet_aton(source), socket.inet_aton(target))
    total = sum(struct.unpack("!10H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    header = header[:10] + struct.pack("!H", ~total & 0xFFFF) + header[12:]
    return mac_to + mac_from + b"\x08\x00" + header + udp


def from_guest(remote, port=53, number=0):
    return frame(PEER_MAC, GUEST_MAC, GUEST, remote, (PORT, port), number)


def to_guest(remote, port=53, number=0):
    return frame(GUEST_MAC, PEER_MAC, remote, GUEST, (port, PORT), number)


def remote_of(packet, at):
    """(remote, number) of one of ours; `at`: where the remote's address stands."""
    if len(packet) < 50 or packet[12:14] != b"\x08\x00" or packet[23] != 17:
        return None
    return socket.inet_ntoa(packet[at:at + 4]), struct.unpack("!Q", packet[42:50])[0]


class Wire:
    """The VM's tap, whose second queue is ours, and the far end of its bridge."""

    def __init__(self):
        for words in ("link set lo up", "link add br0 type bridge", "link set br0 up",
                      "link add up0 type veth peer name up1", "link set up0 master br0",
                      "link set up0 up", "link set up1 up"):
            subprocess.run(["ip", *words.split()], check=True)
        self.vm_queue, self.queue = self.open_queue(), self.open_queue()
        subprocess.run("ip link set ogcr0 master br0 && ip link set ogcr0 up", shell=True, check=True)
        self.far = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
        self.far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.far.bind(("up1", 0x0800))
        os.set_blocking(self.queue, False)
        self.far.setblocking(False)
        self.passed = collections.Counter()  # (direction, remote)
        self.lock = threading.Lock()
        self.sent = 0
        self.ending = False
        threading.Thread(target=self.read, daemon=True).start()
        self.sender = threading.Thread(target=self.send_listed, daemon=True)

    @staticmethod
    def open_queue():
        queue = os.open("/dev/net/tun", os.O_RDWR)
        tap, no_header, many = 0x2, 0x1000, 0x100
        fcntl.ioctl(queue, 0x400454CA, struct.pack("16sH22x", b"ogcr0", tap | no_header | many))
        return queue

    def read(self):
        while not self.ending:
            ready, _, _ = select.select([self.queue, self.far], [], [], 0.2)
            for one in ready:
                inward = one is self.queue or one == self.queue
                try:
                    packet = os.read(self.queue, 2048) if inward else self.far.recv(2048)
                except BlockingIOError:
                    continue
                seen = remote_of(packet, 26 if inward else 30)
                if seen and (inward or packet[6:12] == GUEST_MAC):  # else what the far end itself sent
                    with self.lock:
                        self.passed["to" if inward else "from", seen[0]] += 1

    def send(self, remote, port=53):
        """One packet each way."""
        os.write(self.queue, from_guest(remote, port))
        try:
            self.far.send(to_guest(remote, port))
        except OSError:  # its queue is full for the moment
            pass

    def send_listed(self):
        """1,000 packets a second of what is blocked for all the time, and of what is not."""
        flows = [*LISTED.values(), (FREE, 53)]
        begin = time.monotonic()
        while not self.ending:
            self.send(*flows[self.sent // 2 % len(flows)])
            self.sent += 2
            ahead = begin + self.sent / 1000 - time.monotonic()
            if ahead > 0.002:
                time.sleep(ahead)

    def passing(self, probes):
        """Which of the (remote, port) pass now, both ways; none passes one way only."""
        with self.lock:
            before = dict(self.passed)
        undecided = set(probes)
        through = set()
        for _ in range(3):  # a packet may be lost where a queue is full
            for remote, port in undecided:
                self.send(remote, port)
            self.send(FREE)
            end = time.monotonic() + 0.05
            while time.monotonic() < end and undecided:
                time.sleep(0.004)
                with self.lock:
                    now = dict(self.passed)
                for remote, port in list(undecided):
                    ways = [now.get((way, remote), 0) > before.get((way, remote), 0) for way in ("from", "to")]
                    if all(ways):
                        undecided.discard((remote, port))
                        through.add((remote, port))
        for remote, port in undecided:
            ways = [self.passed[way, remote] > before.get((way, remote), 0) for way in ("from", "to")]
            if any(ways):
                raise AssertionError(f"{remote} passes one way only: from, to the guest: {ways}")
        return through


class Qmp:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(path)
        self.lines = self.socket.makefile()
        self.lines.readline()
        self.ask("qmp_capabilities")

    def ask(self, what):
        self.socket.sendall(json.dumps({"execute": what}).encode())
        while True:
            answer = json.loads(self.lines.readline())
            if "return" in answer:
                return answer["return"]


# ---- The supervisor

class Gone(Exception):
    pass


class Supervisor:
    """A real one; answers of its API, until it is killed."""

    def __init__(self, folder, before=()):
        self.folder = folder
        self.begun = time.monotonic()
        config = folder / "outguard.yaml"
        config.write_text(json.dumps({
            "eve_file": str(folder / "eve.json"), "run_folder": str(folder / "run"),
            "actions_folder": str(folder / "actions"), "vms": [UUID],
            "intel": {"changes": str(folder / "changes"), "cache": str(folder / "cache")}}))
        with open(folder / "log", "ab") as log:
            self.process = subprocess.Popen([*before, BIN / "outguardd", "--config", config],
                                            stdout=subprocess.DEVNULL, stderr=log)
        self.path = None

    def sockets(self):
        return sorted((self.folder / "run").glob("*.sock"))

    def ask(self, timeout=20, **request):
        with socket.socket(socket.AF_UNIX) as asked:
            asked.settimeout(timeout)
            paths = [self.path] if self.path else [
                path for path in self.sockets() if path.name == f"{self.process.pid}.sock"]
            if not paths:
                raise Gone
            try:
                asked.connect(str(paths[0]))
                asked.sendall(json.dumps(request).encode() + b"\n")
                answer = b""
                while not answer.endswith(b"\n"):
                    piece = asked.recv(1 << 20)
                    if not piece:
                        raise Gone
                    answer += piece
            except OSError as problem:
                raise Gone from problem
        return json.loads(answer)

    def wait_ready(self, most=30):
        """Seconds until it would act on the VM: it has read its journal, found the VM, and answers."""
        end = self.begun + most
        while time.monotonic() < end:
            try:
                answer = self.ask(verb="act", action="block_remote", vm=UUID, ttl_s=60, dry_run=True, wait_ms=5000,
                                  rule={"kind": "remote", "remote": "10.66.99.1"}, why="is it ready?")
                if answer["ok"] and answer["action"]["state"] == "done":
                    return time.monotonic() - self.begun
            except Gone:
                pass
            if self.process.poll() is not None:
                break
            time.sleep(0.002)
        raise AssertionError("never ready: " + (self.folder / "log").read_text()[-2000:])

    def settled(self, most=30):
        """All records, once nobody is at any of them."""
        end = time.monotonic() + most
        while time.monotonic() < end:
            answer = self.ask(verb="action-list", most=10_000)
            moving = [one for one in answer["actions"] if one["state"] in ("asked", "approved", "acting", "undoing")]
            if not moving:
                return answer["actions"]
            time.sleep(0.005)
        raise AssertionError(f"still under way: {moving[:3]}")

    def kill(self):
        self.process.kill()
        self.process.wait()


# ---- What was asked, acknowledged, and what is

def is_in_force(record):
    return record["state"] == "done" and record["status"] != "dry_run" and record["action"] in (
        "block_flow", "block_remote", "block_port", "isolate", "pause_vm")


def key_of(record):
    return json.dumps([record["action"], record["rule"]], sort_keys=True)


class Ledger:
    """Asks for things, remembers what was acknowledged, and compares."""

    def __init__(self, wire, qmp, seed):
        self.wire, self.qmp = wire, qmp
        self.random = random.Random(seed)
        self.asks = 0
        self.acknowledged = {}  # id -> "done" or "undone", the latest that was told
        self.faults = collections.defaultdict(list)
        self.counts = collections.Counter()

    def target(self):
        """Something to do: (action, rule, probe); few enough that the same comes again."""
        number = self.random.randrange(40)
        remote = f"10.66.{1 + number // 8}.{1 + number}"
        kind = self.random.randrange(10)
        if kind < 4:
            return "block_remote", {"kind": "remote", "remote": remote}
        if kind < 7:
            return "block_flow", {"kind": "flow", "proto": "udp", "local": f"{GUEST}:{PORT}",
                                  "remote": f"10.66.10{number % 8}.{1 + number}:53"}
        if kind < 8:
            return "block_port", {"kind": "port", "proto": "udp", "port": 7000 + number, "direction": "out"}
        if kind < 9:
            allowed = ["10.66.0.0/17", FREE + "/32", f"10.66.12{8 + number % 2}.0/24"]
            return "isolate", {"kind": "isolation", "allowed": sorted(allowed)}
        return "pause_vm", None

    @staticmethod
    def probe_of(record):
        """The (remote, port) that tells whether it is in force."""
        rule = record["rule"]
        if record["why"] == "listed":  # the sender's
            return None
        if record["action"] == "block_remote":
            return rule["remote"].split("/")[0], 53
        if record["action"] == "block_flow":
            return rule["remote"].split(":")[0], 53
        if record["action"] == "block_port":
            return f"10.66.111.{rule['port'] - 6990}", rule["port"]
        return None

    def act(self, supervisor):
        """One thing; raises Gone where the supervisor left without an answer."""
        done = [one for one, state in self.acknowledged.items() if state == "done"]
        if done and self.random.random() < min(0.65, len(done) / 40):
            chosen = self.random.choice(done)
            self.acknowledged[chosen] = "asked to undo"
            answer = supervisor.ask(verb="action-undo", id=chosen, wait_ms=20_000)
            if answer["ok"] and answer["action"]["state"] in ("undone", "expired"):
                self.acknowledged[chosen] = "undone"
                self.counts["undone"] += 1
            elif not answer["ok"]:  # another has taken its place meanwhile: looked at in the next list
                self.acknowledged.pop(chosen)
            return
        action, rule = self.target()
        self.asks += 1
        answer = supervisor.ask(verb="act", action=action, vm=UUID, why=f"ask {self.asks}", wait_ms=20_000,
                                **({"rule": rule, "ttl_s": 3600} if rule else {}))
        record = answer.get("action")
        if not record or record["state"] != "done":
            paused = action == "pause_vm"  # it stands still already: no second order
            self.counts["refused" if paused else "failed"] += 1
            if not paused:
                self.faults["failed"].append(json.dumps(answer))
            return
        self.counts["done"] += 1
        for other, state in self.acknowledged.items():  # of one kind there is one isolation
            if state == "done" and action == "isolate" and self.kinds.get(other) == "isolate":
                self.acknowledged[other] = "replaced"
        self.kinds[record["id"]] = action
        self.acknowledged[record["id"]] = "done"

    kinds = {}

    def compare(self, records):
        """Journal, kernel and QEMU against each other and what was acknowledged."""
        by_id = {record["id"]: record for record in records}
        for one, state in self.acknowledged.items():
            record = by_id.get(one)
            while record and (record["reason"] or "").startswith("in place of it: "):
                record = by_id.get(record["reason"].split(" ")[-1])  # it may have been undone since, as told
                state = self.acknowledged.get(record["id"], state) if record else state
            if record is None or (state == "done" and not is_in_force(record)):
                self.faults["lost"].append(f"{one} was {state}: {record}")
            if record and state == "undone" and is_in_force(record):
                self.faults["lost"].append(f"{one} was {state}: {record}")
        in_force = [record for record in records if is_in_force(record)]
        self.acknowledged = {record["id"]: "done" for record in in_force if record["why"] != "listed"}
        self.kinds.update({record["id"]: record["action"] for record in in_force})
        for what, counted in (("why", [record["why"] for record in records if record["why"].startswith("ask ")]),
                              ("in force", [key_of(record) for record in in_force])):
            twice = [one for one, count in collections.Counter(counted).items() if count > 1]
            self.faults["duplicate"] += [f"{what}: {one}" for one in twice]
        isolations = [record for record in in_force if record["action"] == "isolate"]
        if len(isolations) > 1:
            self.faults["duplicate"].append(f"isolations: {isolations}")
        expected = {self.probe_of(record) for record in in_force} - {None}
        probes = {probe for probe in map(self.probe_of, records) if probe} | {(LONE, 53)}
        if isolations:
            expected.add((LONE, 53))
        passing = self.wire.passing(probes)
        if any((probe in expected) == (probe in passing) for probe in probes):
            self.counts["looked twice"] += 1  # what a failed undo took away is put back a moment later
            time.sleep(0.5)
            passing = self.wire.passing(probes)
        for probe in probes:
            if probe in expected and probe in passing:
                self.faults["lost"].append(f"{probe} passes")
            if probe not in expected and probe not in passing:
                self.faults["orphaned"].append(f"{probe} is dropped, and no record says so")
        self.counts["probes"] += len(probes)
        stands = not self.qmp.ask("query-status")["running"]
        if stands != any(record["action"] == "pause_vm" for record in in_force):
            self.faults["orphaned" if stands else "lost"].append("the VM " + ("stands" if stands else "runs"))
        return in_force


# ---- The run

class World:
    """Everything in this process's own namespaces; `with` ends it."""

    def __init__(self, folder, mechanism):
        self.folder = pathlib.Path(folder)
        if mechanism == "tc-bpf":  # else there is no bpffs, and nftables filters
            subprocess.run(["mount", "-t", "bpf", "bpf", "/sys/fs/bpf"], check=True)
        self.wire = Wire()
        control = [str(self.folder / name) for name in ("qmp", "second-qmp")]
        self.qemu = subprocess.Popen(
            ["qemu-system-x86_64", "-nodefaults", "-display", "none", "-m", "64M", "-name", "crashes", "-uuid", UUID,
             "-netdev", f"tap,id=n,fd={self.wire.vm_queue}", "-device", "virtio-net-pci,netdev=n,mac=52:54:00:66:00:02",
             *(word for path in control for word in ("-qmp", f"unix:{path},server=on,wait=off"))],
            pass_fds=[self.wire.vm_queue], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        end = time.monotonic() + 20
        while not os.path.exists(control[1]) and time.monotonic() < end:
            time.sleep(0.02)
        self.qmp = Qmp(control[1])

    def block_listed(self, supervisor):
        rules = (("block_remote", {"kind": "remote", "remote": "10.66.200.1"}),
                 ("block_flow", {"kind": "flow", "proto": "udp", "local": f"{GUEST}:{PORT}", "remote": "10.66.201.1:53"}),
                 ("block_port", {"kind": "port", "proto": "udp", "port": 9999, "direction": "out"}))
        for action, rule in rules:
            answer = supervisor.ask(verb="act", action=action, vm=UUID, rule=rule, ttl_s=36_000, why="listed",
                                    wait_ms=20_000)
            if answer.get("action", {}).get("state") != "done":
                raise AssertionError(f"cannot block: {answer}")
        self.wire.sender.start()

    def leaked(self):
        """Packets that got through of what was blocked before the first kill."""
        with self.wire.lock:
            return sum(count for (_, remote), count in self.wire.passed.items()
                       if remote in {remote for remote, _ in LISTED.values()})

    def free(self):
        with self.wire.lock:
            return sum(count for (_, remote), count in self.wire.passed.items() if remote == FREE)

    def end(self):
        self.wire.ending = True
        self.qemu.kill()
        self.qemu.wait()


def percentiles(seconds):
    ordered = sorted(seconds)
    return {name: round(1000 * ordered[int((len(ordered) - 1) * share)], 1)
            for name, share in (("p50", .5), ("p99", .99), ("max", 1))}


def crash(folder, kills, mechanism, seed=1):
    """Figures of so many kills."""
    world = World(folder, mechanism)
    chance = random.Random(seed)
    ledger = Ledger(world.wire, world.qmp, seed)
    ready, settled, mid_start = [], [], 0
    try:
        supervisor = Supervisor(world.folder)
        supervisor.wait_ready()
        world.block_listed(supervisor)
        for number in range(kills):
            killer = threading.Timer(chance.uniform(0, 0.12), supervisor.process.kill)
            killer.start()
            try:
                while True:
                    ledger.act(supervisor)
            except Gone:
                pass
            killer.join()
            supervisor.process.wait()
            supervisor = Supervisor(world.folder)
            while chance.random() < 0.25:  # also while it starts
                time.sleep(chance.uniform(0, 0.1))
                supervisor.kill()
                mid_start += 1
                supervisor = Supervisor(world.folder)
            ready.append(supervisor.wait_ready())
            records = supervisor.settled()
            settled.append(time.monotonic() - supervisor.begun)
            ledger.compare(records)
            if number % 50 == 49:
                print(f"{number + 1} kills, {dict(ledger.counts)}, faults {[(name, len(all_)) for name, all_ in ledger.faults.items()]}, "
                      f"{percentiles(ready)}", file=sys.stderr, flush=True)
        # In the end all is undone: what is dropped then is nobody's.
        leaked, free = world.leaked(), world.free()
        world.wire.ending = True
        for record in records:
            if is_in_force(record):
                supervisor.ask(verb="action-undo", id=record["id"], wait_ms=20_000)
        records = supervisor.settled()
        left = [record["id"] for record in records if is_in_force(record)]
        ledger.acknowledged.clear()
        world.wire.ending = False
        threading.Thread(target=world.wire.read, daemon=True).start()
        ledger.compare(records)
        passing = world.wire.passing(list(LISTED.values()))
        if left or len(passing) != len(LISTED):
            ledger.faults["orphaned"].append(f"after undoing all: {left}, {passing}")
        supervisor.process.terminate()
        supervisor.process.wait()
        return {"mechanism": mechanism, "pins": len(os.listdir("/sys/fs/bpf")), "kills": kills,
                "while_starting": mid_start, "acknowledged": ledger.counts["done"],
                "undone": ledger.counts["undone"], "records": len(records),
                **{name: len(ledger.faults[name]) for name in ("lost", "orphaned", "duplicate", "failed")},
                "leaked_packets": leaked, "sent_packets": world.wire.sent, "free_passed": free,
                "probes": ledger.counts["probes"], "ready_ms": percentiles(ready), "settled_ms": percentiles(settled),
                "faults": {name: told[:5] for name, told in ledger.faults.items() if told}}
    finally:
        world.end()


def bench_crashes():
    """kill -9 of the supervisor at random points of actions. Budget: 0 lost, 0 orphaned, 0 duplicate, no gap, ready in 1 s."""
    kills = max(1, int(KILLS * SHARE))
    found = [run_apart(__file__, "crash", kills, "tc-bpf"), run_apart(__file__, "crash", max(1, kills // 5), "nft")]
    names = ("kills", "while_starting", "acknowledged", "undone", "lost", "orphaned", "duplicate", "failed",
             "leaked_packets", "sent_packets")
    lines = [[one["mechanism"], *(one[name] for name in names), *one["ready_ms"].values(), one["settled_ms"]["p99"]]
             for one in found]
    return found, ["rules by", *(name.replace("_", " ") for name in names), "ready ms p50", "p99", "max",
                   "settled ms p99"], lines


def bench_desk():
    """What journaling costs an action, on this file system; a journal of 100,000 lines opens. Budget: 1 s."""
    with tempfile.TemporaryDirectory(dir=ROOT / "build") as folder:
        done = subprocess.run([BIN / "desk_bench", f"{folder}/desk"], check=True, text=True, stdout=subprocess.PIPE)
    lines = [line.split(": ", 1) for line in done.stdout.splitlines()]
    return dict(lines), ["what", "cost"], lines


def run_apart(program, what, *words, folder=None):
    """That file's main in namespaces of its own: all that it starts ends with it. Its last line, read."""
    with contextlib.nullcontext(folder) if folder else tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child",
                               sys.executable, program, what, folder, *map(str, words)],
                              check=True, text=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout.splitlines()[-1])


PARTS = {"crashes": bench_crashes, "desk": bench_desk}


if __name__ == "__main__":
    _, in_folder, count, how = sys.argv[1:]
    print(json.dumps(crash(in_folder, int(count), how)))
