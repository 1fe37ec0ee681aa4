#!/usr/bin/python3
"""The main job, end to end, on a live guest: ten honest processes talk, three bad ones are found and ended.

    lab/demo.py [--build] [--kernel 6.1]

Exit status 0 only when the guest itself says that the three are dead and the ten still talk.
"""

import argparse
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from outguard_lab import Lab, LabError  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
OUTGUARD = ROOT / "build" / "release" / "bin" / "outguard"

PACE = "0.2"  # seconds between the exchanges of an honest talker
HONEST = (
    # what it is, role, arguments, executable
    ("web client", "http-client", ("203.0.113.80:80", "www.good.example", "/index.html", PACE), "curl"),
    ("resolver", "dns-client", ("203.0.113.53:53", "www.good.example", PACE), "resolved"),
    ("listener", "tcp-listener", ("0.0.0.0:8080",), "httpd"),
    ("its local client", "tcp-client", ("127.0.0.1:8080", PACE), "healthcheck"),
    ("database client", "tcp-client", ("203.0.113.20:5555", PACE), "psql"),
    ("chat over IPv6", "chat6", ("[2001:db8::66]:6667", PACE), "irssi"),
    ("mapped IPv6 client", "mapped-client", ("203.0.113.21:7", PACE), "java"),
    ("time client", "udp-client", ("203.0.113.22:5555", PACE), "chronyd"),
    ("ping", "raw-ping", ("203.0.113.23", PACE), "ping"),
    ("threaded client", "thread-socket", ("203.0.113.24:4444", PACE), "backup"),
)
BAD = (
    ("TCP beacon to a listed address", "tcp-client", ("203.0.113.66:4444", "1"), "crond"),
    ("HTTPS client to a listed domain, name split over two segments", "tls-client",
     ("203.0.113.44:443", "cdn.evil.example", "1"), "updater"),
    ("UDP beacon from a second network namespace", "netns-beacon", ("198.51.100.9:5555", "1"),
     "telemetry"),
)
FEED = """\
# demo feed: an address, a domain with its subdomains, an address and port
203.0.113.66
evil.example
198.51.100.9:5555
"""

REGULAR_CONTACT = 9100020  # what talks like a clock is told of, and nothing is done: all of these do
STEP_TIMEOUT = 30  # seconds for one bad process from its start to the proof of its end


def say(text="", indent=0):
    print(" " * indent + text, flush=True)


def build():
    """Configures and builds the programs; quiet unless it fails."""
    say("building (the first time takes a few minutes)")
    for command in (["cmake", "--preset", "release"],
                    ["cmake", "--build", "--preset", "release", "--parallel", str(os.cpu_count()),
                     "--target", "outguard", "outguardd", "outguard-sensor"]):
        done = subprocess.run(command, cwd=ROOT, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)
        if done.returncode != 0:
            sys.exit(f"demo: {' '.join(command)} failed:\n{done.stdout[-6000:]}")


class Supervisor:
    """`outguard run --enforce` on one VM; its alerts arrive in a queue as they are printed."""

    def __init__(self, feed, vm, folder):
        self._log = open(Path(folder) / "outguardd.log", "wb")
        self._process = subprocess.Popen(
            [str(OUTGUARD), "run", "--enforce", "--vm", vm, "--intel", str(feed), "--allow-reserved",
             "--eve", str(Path(folder) / "eve.json"), "--actions-folder", str(Path(folder) / "actions"), "-o", "json"],
            stdout=subprocess.PIPE, stderr=self._log, text=True)
        self.alerts = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self._process.stdout:
            alert = json.loads(line)
            if alert["alert"]["signature_id"] != REGULAR_CONTACT:
                self.alerts.put(alert)

    def log(self):
        self._log.flush()
        return Path(self._log.name).read_text(errors="replace")

    def wait_ready(self, timeout=15):
        end = time.monotonic() + timeout
        while ": ready" not in self.log():
            if time.monotonic() > end or self._process.poll() is not None:
                raise LabError(f"outguard run does not get ready:\n{self.log()}")
            time.sleep(0.05)

    def alert_for(self, pid):
        """The first alert that names this process; others meanwhile are a failure of the demo."""
        end = time.monotonic() + STEP_TIMEOUT
        while True:
            try:
                alert = self.alerts.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                raise LabError(f"no alert for process {pid} within {STEP_TIMEOUT} s:\n{self.log()}") from None
            if alert["process"] and alert["process"]["pid"] == pid:
                return alert
            say(f"unexpected alert: {json.dumps(alert)}", 4)
            raise LabError("an alert names the wrong process")

    def end(self):
        self._process.terminate()
        self._process.wait(20)
        self._log.close()


def tell(alert):
    """One alert as a story: who, what, and what was done, with the time since the packet."""
    process, attribution = alert["process"], alert["attribution"]
    indicator = alert["alert"]["context"]["indicator"]
    ancestors = "".join(f" <- {a['comm']}[{a['pid']}]" for a in process["ancestors"])
    say(f"packet       {alert['proto']} {alert['src_ip']}:{alert['src_port']} -> "
        f"{alert['dest_ip']}:{alert['dest_port']}", 4)
    say(f"matched      {indicator['type']} {indicator['value']} "
        f"({indicator['matched']['kind']} {indicator['matched']['value']}), "
        f"{alert['alert']['context']['match_latency_us'] / 1000:.1f} ms after the packet", 4)
    say(f"process      pid {process['pid']} {process['comm']} {process['exe']}{ancestors}, "
        f"{attribution['status']} in {attribution['latency_us'] / 1000:.1f} ms", 4)
    for done in alert["response"]:
        reason = f" ({done['reason']})" if done["reason"] else ""
        stopped = (f"; ran its last instruction {done['stopped_us'] / 1000:.1f} ms after the packet, the VM stood "
                   f"still for {done['paused_us'] / 1000:.1f} ms" if done.get("stopped_us") else "")
        say(f"{done['action']:<12} {done['status']}{reason} at {done['latency_us'] / 1000:.1f} ms{stopped}", 4)


def statuses(alert):
    return {done["action"]: done["status"] for done in alert["response"]}


def run_story(guest, folder):
    """Plays the story; returns what went wrong."""
    say(f"guest: Debian kernel {guest.truth().system['release']}, unmodified, under QEMU "
        f"({guest.accel}), up after {guest.boot_seconds:.1f} s; nothing of Outguard is in it")
    honest = [(what, guest.run(role, *words, exe=f"/usr/bin/{exe}").pid)
              for what, role, words, exe in HONEST]
    say(f"{len(honest)} honest processes talk: " + ", ".join(what for what, _ in honest))
    feed = Path(folder) / "feed.txt"
    feed.write_text(FEED)
    supervisor = Supervisor(feed, guest.name, folder)
    wrong = []
    try:
        supervisor.wait_ready()
        say("outguard run: found the VM, found its kernel, hears its tap")
        bad = []
        for what, role, words, exe in BAD:
            say()
            started = guest.spawn(role, *words, exe=f"/usr/bin/{exe}")
            say(f"{what}: started in the guest as pid {started.pid}")
            alert = supervisor.alert_for(started.pid)
            tell(alert)
            bad.append((what, started.pid))
            done = statuses(alert)
            if done.get("kill") != "killed":
                wrong.append(f"{what}: kill {done.get('kill')}")
            if done.get("block_flow") != "blocked":
                wrong.append(f"{what}: block_flow {done.get('block_flow')}")
        say()
        wrong += prove(guest, honest, bad)
        while not supervisor.alerts.empty():
            wrong.append(f"further alert: {json.dumps(supervisor.alerts.get())}")
        if wrong:
            say(supervisor.log())
    finally:
        supervisor.end()
    return wrong


def prove(guest, honest, bad):
    """What the guest itself says now."""
    wrong = []
    for what, pid in bad:
        alive = guest.alive(pid)
        say(f"the guest says: pid {pid:<4} {'STILL RUNS' if alive else 'dead':<8} {what}")
        if alive:
            wrong.append(f"{what} (pid {pid}) still runs")
    before = guest.talk()
    time.sleep(1.5)
    after = guest.talk()
    for what, pid in honest:
        more = after[pid].count - before[pid].count if pid in before and pid in after else 0
        talks = more > 0 and guest.alive(pid)
        say(f"the guest says: pid {pid:<4} {'talks' if talks else 'SILENT':<8} {what}, {more} more exchanges")
        if not talks:
            wrong.append(f"{what} (pid {pid}) no longer talks")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", action="store_true", help="build the programs first")
    parser.add_argument("--kernel", default="6.1", help="of the guest (lab/lab fetch lists them)")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("demo: needs root: it boots a VM with a network of its own and guards it")
    start = time.monotonic()
    if options.build:
        build()
    say("booting a guest (the first time fetches its kernel)")
    try:
        with tempfile.TemporaryDirectory(prefix="outguard-demo-") as folder, Lab() as lab:
            wrong = run_story(lab.guest(kernel=options.kernel, cpus=2, ram=512, name="demo"), folder)
    except LabError as error:
        wrong = [str(error)]
    say()
    for problem in wrong:
        say(f"FAILED: {problem}")
    say(f"demo: {'failed' if wrong else 'three bad processes ended, ten honest ones untouched'}, "
        f"{time.monotonic() - start:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
