"""The input on which each parser of packets takes longest, and what feeds cost a byte.

Over each fuzzer's seeds, the corpus that earlier runs left in build/corpus, and mutants of the slowest found.
"""
import json
import pathlib
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
MUTANTS = 3000
BUDGET_US = 1000

# One call is one packet, or each packet of the input is timed by itself.
PACKETS = sorted(path.stem for folder in ("packets", "protocols")
                 for path in (ROOT / "src" / "guest" / folder).glob("*_fuzzer.cpp"))
FEEDS = sorted(path.stem for folder in ("intel", "fetch") for path in (ROOT / "src" / folder).rglob("*_fuzzer.cpp"))


def slowest(binaries, fuzzer, folder):
    """What the fuzzer's driver tells (tests/fuzz/replay_main.cpp); the input itself stays in `folder`."""
    corpus = ROOT / "build" / "corpus" / fuzzer
    command = [binaries / fuzzer, "--slowest", str(MUTANTS), pathlib.Path(folder) / fuzzer]
    command += [corpus] if corpus.is_dir() else []
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def bench_parsers(binaries, say, table):
    """Slowest input of each parser, processor time, least of five runs, the fuzzer's own checks included. Budget 1 ms a packet."""
    packets, feeds = [], []
    with tempfile.TemporaryDirectory() as folder:
        for fuzzer in PACKETS:
            found = slowest(binaries, fuzzer, folder)
            packets.append([fuzzer, f"{found['inputs']:,}", f"{found['slowest_us']:,.1f}", f"{found['bytes']:,}",
                            found["input"], "" if found["slowest_us"] <= BUDGET_US else "over 1 ms"])
        for fuzzer in FEEDS:
            found = slowest(binaries, fuzzer, folder)
            feeds.append([fuzzer, f"{found['inputs']:,}", f"{found['slowest_us']:,.1f}", f"{found['bytes']:,}",
                          f"{found['slowest_us'] * 1000 / max(found['bytes'], 1):.0f}"])
    say(bench_parsers.__doc__)
    table(["parser of packets", "inputs", "slowest us", "bytes", "input", ""], packets)
    table(["parser of feeds and files", "inputs", "slowest us", "bytes", "ns/byte"], feeds)
