"""Bench part of kills by the guest's own kernel. Returns its figures and prints its table."""
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "system"))

from support import BIN, Lab  # noqa: E402

SHARE = 1.0
KILLS = 1000  # on each kernel
BATCH = 40  # alive at once
KERNELS = ("5.10", "6.1", "6.12")
KINDS = (("sleeper", "pause"), ("sleeper", "sleep"), ("sleeper", "poll"), ("sleeper", "accept"), ("sleeper", "spin"),
         ("waiter", "epoll"), ("waiter", "futex"), ("waiter", "blocked"), ("threads", 20))
TROUBLE = re.compile(r"WARNING:|BUG:|Oops|soft lockup|hard LOCKUP|rcu.*stall|general protection")


def kill_many(guest, kills):
    """Figures of `kills` kills, judged by the guest's own /proc and console."""
    load = guest.run("churn", 2).pid
    others = [guest.run("sleeper", how).pid for how in ("pause", "spin")]
    signaller = subprocess.Popen([BIN / "signal_bench", guest.target], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    signaller.stdout.readline()
    answers, alive = [], 0
    while len(answers) < kills:
        numbers = range(len(answers), min(kills, len(answers) + BATCH))
        batch = [guest.run(*KINDS[number % len(KINDS)]).pid for number in numbers]
        for pid in batch:
            signaller.stdin.write(f"kill {pid}\n")
            signaller.stdin.flush()
            answers.append(json.loads(signaller.stdout.readline()))
        alive += sum(guest.alive(pid) for pid in batch)
    signaller.communicate()
    figures = {"kills": kills, "dead": sum(one["status"] == "killed" for one in answers) - alive,
               "by_writing": sum(bool(one.get("by_writing")) for one in answers),
               "others_dead": sum(not guest.alive(pid) for pid in (load, *others)),
               "console_trouble": sum(bool(TROUBLE.search(line)) for line in guest.console().splitlines()),
               "not_killed": sorted({f"{one['status']}: {one['reason']}" for one in answers if one["status"] != "killed"})}
    for name in ("paused_ms", "delivered_ms", "proved_ms"):
        values = sorted(one[name] for one in answers if name in one)
        figures[name] = {label: round(values[int((len(values) - 1) * share)], 2)
                         for label, share in (("p50", .5), ("p99", .99), ("max", 1))} if values else None
    return figures


def bench_signals():
    """1,000 kills on each kernel, 4 vCPUs, beside churn. Budget: all dead, nothing else touched; VM paused 2 ms."""
    found = {}
    for kernel in KERNELS:
        with Lab() as lab:
            found[kernel] = kill_many(lab.guest(kernel=kernel, cpus=4), max(1, int(KILLS * SHARE)))
    lines = [[kernel, one["kills"], one["dead"], one["others_dead"], one["console_trouble"],
              *(one[name][p] for name in ("paused_ms", "proved_ms") for p in ("p50", "p99", "max"))]
             for kernel, one in found.items()]
    return found, ["kernel", "kills", "dead", "others dead", "console trouble", "paused ms p50", "p99", "max",
                   "until gone ms p50", "p99", "max"], lines


PARTS = {"signals": bench_signals}
