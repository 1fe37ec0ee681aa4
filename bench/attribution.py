"""Bench parts of attribution: who, storm, races, throughput. Each returns its figures and prints its table."""
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "system"))

from storms import attribute_storm, read_churn  # noqa: E402
from support import BIN, Lab  # noqa: E402

PAIRS = 40  # of throughput, with and without a sensor: many short ones, as the machine drifts
WINDOW = 1.5  # seconds of each
RATE = 10  # refreshes a second


def bench_who():
    """`who` over 10,000 flows in 50 processes, opened after the attach. Budget p50 200 us, p99 2 ms."""
    found = []
    for memfd in (True, False):
        with Lab() as lab:
            guest = lab.guest(kernel="6.1", ram=768, memfd=memfd)
            guest.run("tcp-client", "203.0.113.66:4444", 600)  # what attaching learns the hashes from
            reader = subprocess.Popen([BIN / "who_bench", guest.target], text=True, stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE)
            reader.stdout.readline()
            guest.run("crowd", 50, 500)
            found.append(json.loads(reader.communicate("go\n", timeout=300)[0]))
    lines = [[f"{one['memory']}: {label}", one[name]["n"], *(one[name][p] for p in ("p50", "p90", "p99", "max"))]
             for one in found for name, label in (("new_us", "flow never asked for"), ("known_us", "asked again, read anew"),
                                                  ("whole_table_us", "for comparison: table of everything"))]
    return found, ["memory", "n", "p50 us", "p90 us", "p99 us", "max us"], lines


def bench_storm():
    """10,000 connections of forking clients, a process each, against the guest's own log. Budget 99.5 % right, 0 wrong."""
    found, lines = {}, []
    names = ("connections", "per_minute", "right", "wrong", "unattributed", "missing")
    for mode, words in (("reads its answer", ()), ("only sends", ("tell",))):
        with tempfile.TemporaryDirectory() as folder, Lab() as lab:
            one = attribute_storm(lab.guest(kernel="6.1-cloud", cpus=2), folder, 10_000, 0.006, *words)
        latencies = sorted(one.pop("latency_us"))
        one["latency_us"] = {p: latencies[int(len(latencies) * share)] for p, share in (("p50", .5), ("p99", .99))}
        found[mode] = one
        lines.append([mode, *(one[name] for name in names), *one["latency_us"].values()])
    return found, ["client", *names, "p50 us", "p99 us"], lines


def bench_races():
    """60 s of fork, exec, exit and sockets on 2 vCPUs, read in a loop. Budget: 0 wrong rows."""
    found = []
    for memfd in (True, False):
        with Lab() as lab:
            found.append({"memory": "mapped" if memfd else "process",
                          **read_churn(lab.guest(kernel="6.1-cloud", cpus=2, memfd=memfd), 60)})
    lines = [[f"{one['memory']}: {call}", one[call]["us"]["n"], one[call]["rows"], one[call]["decided"], one[call]["torn"],
              one["wrong"], one[call]["us"]["p50"], one[call]["us"]["max"]]
             for one in found for call in ("ps", "sockets", "who")]
    return found, ["memory", "calls", "rows", "decided", "torn", "wrong in all", "p50 us", "max us"], lines


def work_of(guest, pids):
    """Rounds that the guest's workers have completed so far."""
    talk = guest.talk()
    return sum(talk[pid].count for pid in pids)


def bench_throughput():
    """Guest work a second with a sensor that refreshes 10 times a second, and with none, in turn. Budget 1 %, 0 pauses."""
    with Lab() as lab:
        guest = lab.guest(kernel="6.1-cloud", cpus=1, memfd=True)
        pids = [guest.run("tcp-client", "203.0.113.66:4444", 0).pid]
        ratios, shares, paused = [], [], 0
        rates = {False: [], True: []}
        for pair in range(PAIRS):
            here = {}
            for watched in ((False, True) if pair % 2 else (True, False)):
                sensor = subprocess.Popen([BIN / "refresh_loop", guest.target, str(RATE)], text=True,
                                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) if watched else None
                if sensor:
                    sensor.stdout.readline()  # attached
                before, start = work_of(guest, pids), time.monotonic()
                while time.monotonic() < start + WINDOW:
                    time.sleep(0.5)
                    paused += guest.qmp("query-status")["status"] != "running"
                here[watched] = (work_of(guest, pids) - before) / (time.monotonic() - start)
                rates[watched].append(here[watched])
                if sensor:
                    shares.append(json.loads(sensor.communicate("end\n")[0])["cpu_share"])
            ratios.append(here[True] / here[False])
    found = {"pairs": PAIRS, "without": statistics.median(rates[False]), "with": statistics.median(rates[True]),
             "ratio_median": statistics.median(ratios), "ratio_spread": [min(ratios), max(ratios)],
             "sensor_cpu_share": statistics.median(shares), "times_not_running": paused}
    return found, ["exchanges/s without", "with", "ratio", "min", "max", "sensor's CPU %", "pauses seen"], [
        [f"{found['without']:.0f}", f"{found['with']:.0f}", f"{found['ratio_median']:.4f}", f"{min(ratios):.3f}",
         f"{max(ratios):.3f}", f"{100 * found['sensor_cpu_share']:.2f}", paused]]


PARTS = {"who": bench_who, "storm": bench_storm, "races": bench_races, "throughput": bench_throughput}
