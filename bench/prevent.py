"""Bench part of prevent mode: first packets held at a veth pair that stands for a tap, by a judge that knows at once."""
import json
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[1]
BIN = pathlib.Path(os.environ.get("OUTGUARD_BIN", ROOT / "build" / "release" / "bin"))


def bench_prevent():
    """0 of 1,000 packets to a listed address get out; new allowed flows wait <= 100 us more (p50), 1 ms (p99); bulk TCP >= 95 %."""
    done = subprocess.run([BIN / "prevent_bench"], check=True, text=True, stdout=subprocess.PIPE)
    found = json.loads(done.stdout.splitlines()[-1])
    lines = [[f"listed, {name}: packets of {one['tries']} tries that reached the bridge", "", str(one["reached"])]
             for name, one in found["listed"].items()]
    for name, one in found["latency_us"].items():
        for at, (base, held) in zip(("p50", "p99"), zip(one["base"], one["held"])):
            lines.append([f"new flow, {name}, {at}, us", f"{base:.0f}", f"{held:.0f} ({held - base:+.0f})"])
    lines += [["established TCP, Gbit/s", f"{found['none_gbit_s']:.1f}",
               f"{100 * found['ratio']:.1f} % ({100 * found['cpu_ratio']:.1f} % per CPU second)"],
              ["program, established flow, ns", "", str(found["established_ns"])],
              ["new flows a second at the knee", "", str(found["knee_flows_s"])]]
    return found, ["prevent", "none", "held"], lines


PARTS = {"prevent": bench_prevent}
