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


POINTS = {"p50": .5, "p99": .99, "max": 1}


def spread(values):
    values = sorted(values) or [0]
    return {name: round(values[int((len(values) - 1) * share)], 2) for name, share in POINTS.items()}


def states(guest):
    """Every process with code of its own, and whether it may run: (pid, start, stopped or ending)."""
    _, text = guest.sh("for p in /proc/[0-9]*; do [ -s $p/maps ] && sed 's/(.*)/x/' $p/stat; done 2>/dev/null")
    return {(words[0], words[21], words[2] in "TtZX") for words in map(str.split, text.splitlines()) if len(words) > 21}


def kill_many(guest, kills):
    """Figures of `kills` kills, judged by the guest's own /proc and console."""
    guest.run("churn", 2)
    for how in ("pause", "spin", "poll"):
        guest.run("sleeper", how)
    residents = states(guest) & states(guest)  # what churn begins and ends is in one look at most
    signaller = subprocess.Popen([BIN / "signal_bench", guest.target], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    signaller.stdout.readline()

    def ask(what):
        signaller.stdin.write(what + "\n")
        signaller.stdin.flush()
        return json.loads(signaller.stdout.readline())

    answers, alive, floor = [], 0, []
    while len(answers) < kills:
        numbers = range(len(answers), min(kills, len(answers) + BATCH))
        batch = [guest.run(*KINDS[number % len(KINDS)]).pid for number in numbers]
        for pid in batch:
            answers.append(ask(f"kill {pid}"))
            if len(answers) % 5 == 0:  # beside the kills, so under the same load
                floor.append(ask("pause 0"))
        alive += sum(guest.alive(pid) for pid in batch)
    signaller.communicate()
    figures = {"kills": kills, "dead": sum(one["status"] == "killed" for one in answers) - alive,
               "by_writing": sum(bool(one.get("by_writing")) for one in answers),
               "others_touched": len(residents - states(guest)),
               "console_trouble": sum(bool(TROUBLE.search(line)) for line in guest.console().splitlines()),
               "not_killed": sorted({f"{one['status']}: {one['reason']}" for one in answers if one["status"] != "killed"})}
    figures |= {name: spread([one[name] for one in answers if name in one])
                for name in ("paused_ms", "delivered_ms", "proved_ms")}
    figures["bare_stop_ms"] = spread([one["paused_ms"] for one in floor if "paused_ms" in one])
    return figures


def bench_signals():
    """1,000 kills on each kernel, 4 vCPUs, beside churn; a bare stop and cont of the VM among them, as the least that any
    pause costs here (a kill stops the VM twice). Budget: all dead, nothing else touched; no vCPU runs for 2 ms in all."""
    found = {}
    for kernel in KERNELS:
        with Lab() as lab:
            found[kernel] = kill_many(lab.guest(kernel=kernel, cpus=4), max(1, int(KILLS * SHARE)))
    lines = [[kernel, one["kills"], one["dead"], one["others_touched"], one["console_trouble"],
              *(one[name][p] for name, points in (("paused_ms", POINTS), ("bare_stop_ms", ("p50", "p99")),
                                                  ("proved_ms", ("p50", "p99"))) for p in points),
              f"{one['paused_ms']['p50'] / max(one['bare_stop_ms']['p50'], 0.001):.1f}"]
             for kernel, one in found.items()]
    return found, ["kernel", "kills", "dead", "others touched", "console trouble", "paused ms p50", "p99", "max",
                   "bare stop ms p50", "p99", "until gone ms p50", "p99", "paused/bare stop"], lines


PARTS = {"signals": bench_signals}
