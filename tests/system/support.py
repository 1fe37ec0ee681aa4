"""What the system tests share: the built programs, the lab, and comparing a guest's truth with what Outguard says."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("OUTGUARD_BIN", ROOT / "build" / "release" / "bin"))
sys.path.insert(0, str(ROOT / "lab"))

from outguard_lab import Lab, LabError  # noqa: E402,F401

OUTGUARD = str(BIN / "outguard")


def why_not():
    """Why this machine cannot run guests; empty when it can."""
    if os.geteuid() != 0:
        return "needs root: guests have taps and namespaces"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "no /dev/net/tun on this machine"
    return ""


def outguard(*words, timeout=60):
    """Runs the command; returns (exit code, stdout, stderr)."""
    done = subprocess.run([OUTGUARD, *words], text=True, errors="surrogateescape", timeout=timeout,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return done.returncode, done.stdout, done.stderr


def rows(*words, timeout=60):
    """JSON rows of a command that must end with 0."""
    code, output, problems = outguard(*words, "-o", "json", timeout=timeout)
    if code != 0:
        raise AssertionError(f"outguard {' '.join(words)}: exit {code}: {problems}")
    return [json.loads(line) for line in output.splitlines()]


def whole_lines(path):
    """JSON of every ended line of a file that may still be written to: the last line may be half there."""
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]


# ---- Truth against rows -----------------------------------------------------------------------------

def in_json(text):
    """A guest's text as Outguard's JSON has it: valid UTF-8 as it is, else every odd byte as \\xNN."""
    if text is None:
        return None
    raw = text.encode("utf-8", "surrogateescape")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        pass
    escaped = ""
    for character in raw.decode("utf-8", "surrogateescape"):
        odd = not character.isprintable() or character == "\\" or "\udc80" <= character <= "\udcff"
        escaped += ("".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))
                    if odd else character)
    return escaped


ID_NAMES = ("real", "effective", "saved", "fs")  # in the order of /proc/PID/status


def expected_processes(truth):
    """pid -> what `ps` must say of it."""
    table = {}
    for process in truth.processes:
        exe = process["exe"]
        deleted = exe is not None and exe.endswith(" (deleted)")
        table[process["pid"]] = {
            "ppid": process["ppid"],
            # A kworker's comm in /proc has its work appended: the one tolerance there is.
            "comm": in_json(process["task_comm"] or process["comm"]),
            "exe": in_json(exe.removesuffix(" (deleted)") if deleted else exe),
            "exe_deleted": None if exe is None else deleted,
            "cmdline": [in_json(word) for word in process["cmdline"]],
            "uid": process["uid"],
            "netns": process["netns"],
            "kernel_thread": process["kernel_thread"],
            "start_ticks": process["start_ticks"],
            "thread_count": process["threads"],
            **{name: process[name] for name in ("namespaces", "capabilities")},
            "uids": dict(zip(ID_NAMES, process["uids"])),
            "gids": dict(zip(ID_NAMES, process["gids"])),
            "namespace_pid": process["namespace_pids"][-1],
            "cgroup": in_json(process["cgroup"]),
            "torn": False,
        }
    return table


def seen_processes(rows_of_ps, truth):
    """The same out of `ps` rows. The start time is compared in the guest's own unit, clock ticks."""
    table = {}
    for row in rows_of_ps:
        assert row["pid"] not in table, f"pid {row['pid']} stands twice"
        fields = {name: row[name] for name in
                  ("ppid", "comm", "exe", "exe_deleted", "cmdline", "uid", "netns", "kernel_thread", "thread_count",
                   "namespaces", "capabilities", "uids", "gids", "namespace_pid", "cgroup", "torn")}
        fields["start_ticks"] = ticks_of(row["start_time"], truth)
        table[row["pid"]] = fields
    return table


def ticks_of(start_time, truth):
    """Clock ticks since boot of a time stamp, or the two that it may be where the guest's clocks, read
    one after the other, leave a millisecond open."""
    date, fraction = start_time.removesuffix("Z").split(".")
    seconds = int(time.mktime(time.strptime(date + " UTC", "%Y-%m-%dT%H:%M:%S %Z")) - time.timezone)
    since_boot = seconds * 10**9 + int(fraction) - truth.system["boot_time_ns"]
    length = 10**9 // truth.system["clk_tck"]
    low, high = (since_boot - 10**6) // length, (since_boot + 10**6) // length
    return low if low == high else (low, high)


def same_process(seen, expected):
    ticks = seen["start_ticks"]
    near = expected["start_ticks"] in (ticks if isinstance(ticks, tuple) else (ticks,))
    return near and all(seen[name] == expected[name] for name in expected if name != "start_ticks")


def socket_key(row, owners):
    return (row["family"], row["proto"], row["state"], row["local_ip"], row["local_port"],
            row["remote_ip"], row["remote_port"], row["inode"], row["netns"], owners)


def expected_sockets(truth):
    """Sorted keys of every socket that /proc/net lists in any namespace."""
    return sorted(socket_key({**row, "proto": "raw" if row["proto"] == "raw" else row["proto"]},
                             tuple(sorted((owner["pid"], owner["fd"], in_json(owner["comm"]))
                                          for owner in row["owners"])))
                  for row in truth.sockets)


def seen_sockets(rows_of_sockets):
    return sorted(socket_key(row, tuple(sorted((owner["pid"], owner["fd"], owner["comm"])
                                               for owner in row["owners"])))
                  for row in rows_of_sockets)


def differences(expected, seen):
    """Lines that name what is missing and what is too much."""
    lines = [f"missing: {item}" for item in expected if item not in seen]
    return lines + [f"too much: {item}" for item in seen if item not in expected]


def process_differences(truth, ps_rows):
    expected, seen = expected_processes(truth), seen_processes(ps_rows, truth)
    lines = [f"missing: {pid} {expected[pid]}" for pid in sorted(expected.keys() - seen.keys())]
    lines += [f"too much: {pid} {seen[pid]}" for pid in sorted(seen.keys() - expected.keys())]
    lines += [f"{pid}: seen {seen[pid]} expected {expected[pid]}"
              for pid in sorted(expected.keys() & seen.keys())
              if not same_process(seen[pid], expected[pid])]
    return lines


def compare_when_still(guest, tries=12):
    """Compares ps and sockets with the guest's truth, entry by entry. The guest runs meanwhile, so truth is
    read before and after: only between two equal truths is a difference Outguard's. Returns its lines."""
    last = ["the guest never stood still"]
    for _ in range(tries):
        before = guest.truth()
        ps_rows, socket_rows = rows("ps", guest.target), rows("sockets", guest.target)
        after = guest.truth()
        if (expected_processes(before) != expected_processes(after)
                or expected_sockets(before) != expected_sockets(after)):
            continue
        last = process_differences(after, ps_rows)
        last += differences(expected_sockets(after), seen_sockets(socket_rows))
        if not last:
            return []
        time.sleep(0.3)  # a difference must hold against a second look to count
    return last


# ---- The supervisor ----------------------------------------------------------------------------------

class Supervisor:
    """`outguard run` over this host's VMs; `with` ends it."""

    def __init__(self, folder, *words):
        self.folder = pathlib.Path(folder)
        self.eve = self.folder / "eve.json"
        self.log = self.folder / "outguardd.log"
        self.words = words
        self.process = None

    def __enter__(self):
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([OUTGUARD, "run", "--eve", str(self.eve), "--actions-folder",
                                             str(self.folder / "actions"), *self.words],
                                            stdout=subprocess.DEVNULL, stderr=log)
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def records(self, event_type):
        if not self.eve.exists():
            return []
        return [record for record in whole_lines(self.eve) if record["event_type"] == event_type]

    def alerts(self):
        return self.records("alert")

    def wait_for_log(self, text, timeout=30):
        self.wait_until(lambda: text in self.log.read_text(), f"log line {text!r}", timeout)

    def wait_for_alert(self, fits, timeout=30):
        """The first alert that fits."""
        found = []

        def look():
            found[:] = [alert for alert in self.alerts() if fits(alert)]
            return bool(found)

        self.wait_until(look, "alert", timeout)
        return found[0]

    def wait_until(self, is_there, what, timeout):
        end = time.monotonic() + timeout
        while not is_there():
            if time.monotonic() > end or self.process.poll() is not None:
                raise AssertionError(f"no {what} within {timeout} s; log:\n{self.log.read_text()}\n"
                                     f"alerts: {self.alerts()}")
            time.sleep(0.05)
