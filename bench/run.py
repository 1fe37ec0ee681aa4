#!/usr/bin/python3
"""Measures Outguard against its budgets on live guests and prints a table. Never a test: machines are noisy.

    bench/run.py [--only attach,refresh,growth,mutants,loop,packets,parsers,who,storm,races,throughput,detection,
                 intel,capture,enforcement,prevent,signals,crashes,desk,faults] [--share 1.0]

Quote medians and ratios of one run. A peer stands beside a figure where one is installed; otherwise the line
says so.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
BIN = pathlib.Path(os.environ.get("OUTGUARD_BIN", ROOT / "build" / "release" / "bin"))
sys.path.insert(0, str(ROOT / "tests" / "system"))

from support import Lab, Supervisor, rows  # noqa: E402
import attribution  # noqa: E402
import crashes  # noqa: E402
import detection  # noqa: E402
import enforcement  # noqa: E402
import faults  # noqa: E402
import parsers  # noqa: E402
import prevent  # noqa: E402
import signals  # noqa: E402


def say(text=""):
    print(text, flush=True)


def table(headings, lines):
    cells = [headings, *[[str(cell) for cell in line] for line in lines]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(headings))]
    for row in cells:
        say("  " + "  ".join(cell.rjust(width) if i else cell.ljust(width)
                             for i, (cell, width) in enumerate(zip(row, widths))))
    say()


def middle(samples):
    return f"{statistics.median(samples):.1f}"


def spread(samples):
    ordered = sorted(samples)
    return f"{ordered[0]:.1f} / {statistics.median(ordered):.1f} / {ordered[-1]:.1f}"


def bench_attach():
    """Attach to a running guest and print its first socket table, nothing cached. Budget 150 ms, no growth with RAM."""
    lines = []
    for ram in (256, 512, 5120, 65536):
        for memfd in (False, True):
            with Lab() as lab:
                guest = lab.guest(kernel="6.1", ram=ram, memfd=memfd)
                guest.run("tcp-client", "203.0.113.66:4444", 600)
                parts = {name: [] for name in ("connect", "find", "types", "symbols", "walk")}
                whole = []
                for _ in range(15):
                    start = time.monotonic()
                    subprocess.run([BIN / "outguard", "sockets", guest.target], check=True,
                                   stdout=subprocess.DEVNULL)
                    whole.append((time.monotonic() - start) * 1000)
                    (row,) = rows("vm", "show", guest.target)
                    for name, samples in parts.items():
                        samples.append(row["kernel"]["attach_us"][name] / 1000)
                lines.append([f"{ram} MiB {'mapped' if memfd else 'process'}",
                              *[middle(samples) for samples in parts.values()], spread(whole)])
    say(bench_attach.__doc__)
    table(["guest", "connect", "find", "types", "symbols", "walk", "whole command min/median/max ms"], lines)
    say("  peers: Volatility 3 linux.sockstat 4.2 s warm, mquire 3.2-12.1 s by its own claim; both offline, on dumps;"
        "\n  neither is in Debian, so neither runs beside.\n")


REFRESH = (("refresh", "processes + sockets"), ("sockets", "sockets only"), ("who", "who, cached and checked"))


def measure_guest(ram, memfd, processes, each, rounds):
    with Lab() as lab:
        guest = lab.guest(kernel="6.1", ram=ram, memfd=memfd)
        for started in range(0, processes, 250):  # the agent waits for a role only so long
            guest.run("crowd", min(250, processes - started), each)
        done = subprocess.run([BIN / "guest_bench", guest.target, str(rounds)], check=True, text=True,
                              stdout=subprocess.PIPE)
        return json.loads(done.stdout)


def bench_refresh():
    """Full table (processes and sockets) of 200 processes and 1,000 sockets. Budget 1 ms mapped, 5 ms through process memory."""
    lines = []
    for memfd in (False, True):
        figures = measure_guest(768, memfd, 200, 5, 200)
        for name, label in (*REFRESH, ("who_fresh", "who, read anew")):
            samples, processor = figures[f"{name}_us"], figures.get(f"{name}_cpu_us")
            lines.append([f"{figures['memory']}: {label}", figures["processes"], figures["sockets"],
                          *([samples[p] for p in ("p50", "p90", "p99")] if samples else ["-"] * 3),
                          processor["p50"] if processor else "-"])
    say(bench_refresh.__doc__)
    table(["memory", "processes", "sockets", "p50 us", "p90 us", "p99 us", "p50 us of processor"], lines)


def bench_growth():
    """The same table as the guest grows; us of processor an element (process or socket): linear when the column stays."""
    lines = []
    for memfd in (False, True):
        for ram, processes, each, rounds in ((768, 200, 5, 100), (1536, 1000, 10, 40), (6144, 5000, 10, 10)):
            figures = measure_guest(ram, memfd, processes, each, rounds)
            elements = figures["processes"] + figures["sockets"]
            lines.append([figures["memory"], figures["processes"], figures["sockets"],
                          *(cell for name, _ in REFRESH[:2] for cell in
                            (f"{figures[f'{name}_cpu_us']['p50'] / 1000:.2f}",
                             f"{figures[f'{name}_cpu_us']['p50'] / elements:.3f}"))])
    say(bench_growth.__doc__)
    table(["memory", "processes", "sockets", "all ms", "us each", "sockets ms", "us each"], lines)


def bench_mutants():
    """1,000,000 mutated guest images through every walker. Budget: no crash, no hang, no scan above 50 ms of processor time."""
    done = subprocess.run([BIN / "guest_campaign", "--images", "1000000", "--seed", "3"], text=True,
                          stdout=subprocess.PIPE)
    figures = json.loads(done.stdout)
    say(bench_mutants.__doc__)
    table(["images", "minutes", "a second", "a processor second", "crashes", "hangs", "above 50 ms", "worst ms"],
          [[figures["images"], f"{figures['seconds'] / 60:.1f}", f"{figures['per_second']:.0f}",
            f"{figures['images'] / figures['cpu_seconds']:.0f}", figures["crashes"], figures["hangs"], figures["slow"],
            max(worst for worst, _ in figures["worst_ms"].values())]])
    table(["call", "worst ms", "image"], [[call, *worst] for call, worst in figures["worst_ms"].items()])


def bench_loop():
    """First malicious packet to the answer, the block and the end of the process. Budget p50 20 ms, paused 2 ms."""
    figures = {name: [] for name in ("attributed", "matched", "block_flow", "reset", "kill", "stopped", "paused")}
    with tempfile.TemporaryDirectory() as folder, Lab() as lab:
        feed = pathlib.Path(folder) / "feed.txt"
        feed.write_text("203.0.113.66\n")
        config = pathlib.Path(folder) / "outguard.yaml"
        config.write_text("mode: enforce\nresponse: {budgets: {kill: {vm: 1000, rule: none, host: none}}}\n")
        guest = lab.guest(kernel="6.1", cpus=2)
        with Supervisor(folder, "--config", str(config), "--intel", str(feed), "--allow-reserved",
                        "--vm", guest.uuid) as supervisor:
            supervisor.wait_for_log(": ready")
            for _ in range(20):
                bad = guest.spawn("tcp-client", "203.0.113.66:4444", 1)
                alert = supervisor.wait_for_alert(
                    lambda a, pid=bad.pid: a["process"] and a["process"]["pid"] == pid)
                figures["attributed"].append(alert["attribution"]["latency_us"] / 1000)
                figures["matched"].append(alert["alert"]["context"]["match_latency_us"] / 1000)
                for done in alert["response"]:
                    figures[done["action"]].append(done["latency_us"] / 1000)
                    if done.get("stopped_us") is not None:
                        figures["stopped"].append(done["stopped_us"] / 1000)
                        figures["paused"].append(done["paused_us"] / 1000)
    say(bench_loop.__doc__)
    table(["step (20 beacons, 2 vCPUs)", "min / median / max ms"],
          [[name, spread(samples)] for name, samples in figures.items() if samples])


def bench_packets():
    """Packet path without intelligence: decode, flows, reassembly, names. Budget 0.21 us/packet mixed, 0.38 us handshake-heavy."""
    done = subprocess.run([BIN / "guest_packets_test", "--gtest_filter=PipelineSpeed.*"], text=True, check=True,
                          stdout=subprocess.PIPE)
    say(bench_packets.__doc__)
    for line in done.stdout.splitlines():
        if line.endswith("ns/packet"):
            say("  " + line)
    say("  the whole path with intelligence, beside a peer: --only detection\n")


def bench_part(name, part):
    """A part of attribution.py or detection.py: its figures as one JSON object, then as a table."""
    def run():
        figures, headings, lines = part()
        say(part.__doc__)
        say("  " + json.dumps({name: figures}))
        table(headings, lines)
    return run


PARTS = {"attach": bench_attach, "refresh": bench_refresh, "growth": bench_growth,
         "mutants": bench_mutants, "loop": bench_loop, "packets": bench_packets,
         "parsers": lambda: parsers.bench_parsers(BIN, say, table),
         **{name: bench_part(name, part)
            for name, part in {**attribution.PARTS, **detection.PARTS, **enforcement.PARTS, **prevent.PARTS,
                               **signals.PARTS, **crashes.PARTS, **faults.PARTS}.items()}}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--share", type=float, default=1.0, help="of the traffic of detection and capture, and of the kills of signals: 0.1 is a tenth")
    options = parser.parse_args()
    detection.SHARE = signals.SHARE = crashes.SHARE = faults.SHARE = options.share
    if os.geteuid() != 0:
        sys.exit("bench: needs root: guests have taps and namespaces")
    say(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}\n")
    for name in options.only.split(","):
        PARTS[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main())
