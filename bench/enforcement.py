"""Bench part of enforcement: what rules at the tap cost. Without a guest: a veth pair stands for the tap."""
import json
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[1]
BIN = pathlib.Path(os.environ.get("OUTGUARD_BIN", ROOT / "build" / "release" / "bin"))


def bench_enforcement():
    """Bulk TCP past rules that do not match (budget: >= 95 % of none), the eBPF program's ns a packet, us to add a rule."""
    done = subprocess.run([BIN / "enforcement_bench"], check=True, text=True, stdout=subprocess.PIPE)
    found = json.loads(done.stdout.splitlines()[-1])
    lines = [["none", f"{found['none_gbit_s']:.1f}", "100", "100"]]
    lines += [[one["mode"], f"{one['gbit_s']:.1f}", f"{100 * one['ratio']:.1f}", f"{100 * one['cpu_ratio']:.1f}"]
              for one in found["throughput"]]
    lines += [[f"program, {name.replace('_', ' ')}: {ns} ns a packet", "", "", ""]
              for name, ns in found["program_ns"].items()]
    lines += [[f"add a rule, {name.replace('_', '-')}: {us} us", "", "", ""] for name, us in found["add_us"].items()]
    return found, ["established TCP, medians", "Gbit/s", "% of none", "% of none per CPU second"], lines


PARTS = {"enforcement": bench_enforcement}
