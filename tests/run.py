#!/usr/bin/python3
"""Runs every kind of test and counts them. The last line is `N passed, N failed, N skipped`.

    tests/run.py [--only unit,style,asan,fuzz,system] [--fuzz-seconds 20]

A skip is what this machine cannot do; each is printed with its reason and counted, never as a pass.
"""
import argparse
import functools
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"


class Tally:
    """Counts of one or many stages."""

    def __init__(self):
        self.passed = 0
        self.failures = []  # names, each with the lines that tell why
        self.skips = []

    def fail(self, name, output):
        say(output[-6000:])
        self.failures.append((name, telling_lines(output)))

    def add(self, other):
        self.passed += other.passed
        self.failures += other.failures
        self.skips += other.skips


def say(text):
    print(text, flush=True)


def telling_lines(output, most=14):
    """What somebody who sees only the end of a long run must know of one failure."""
    told = re.compile(r"^.*(?:: Failure$|runtime error: |ERROR: |SUMMARY: |Base64: |\w+Error\b)")
    lines = output.splitlines()
    kept = sorted({near for at, line in enumerate(lines) if told.match(line)
                   for near in range(at, min(at + 5, len(lines)))})
    return [lines[at][:300] for at in kept[-most:]] or [line[:300] for line in lines[-most:]]


@functools.cache
def build(preset):
    """Configures and builds one preset, once; returns its folder."""
    say(f"   building {preset}")
    for command in (["cmake", "--preset", preset],
                    ["cmake", "--build", "--preset", preset, "--parallel", str(os.cpu_count())]):
        done = subprocess.run(command, cwd=ROOT, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-8000:]}")
    return BUILD / preset


def run_gtest(program, tally, environment=None):
    """One GoogleTest program; every case counts."""
    # Into a file: a process that a crashed test leaves behind would hold a pipe open for ever.
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        try:
            status = subprocess.run([str(program)], stdout=output, stderr=subprocess.STDOUT, timeout=600,
                                    env={**os.environ, **(environment or {})}).returncode
        except subprocess.TimeoutExpired:
            status = "none in 600 s"
        output.seek(0)
        text = output.read()
    passed = re.search(r"\[  PASSED  \] (\d+) test", text)
    tally.passed += int(passed.group(1)) if passed else 0
    skipped = sorted(set(re.findall(r"^\[  SKIPPED \] (\S+)$", text, re.M)))
    for name in skipped:
        reason = re.search(r": Skipped\n(.*)\n[^\[]*\n?\[  SKIPPED \] " + re.escape(name), text)
        tally.skips.append(f"{program.name} {name}: {reason.group(1) if reason else 'see its output'}")
    failed = sorted(set(re.findall(r"^\[  FAILED  \] ([\w/]+\.[\w/]+)", text, re.M)))
    if status != 0 and not failed:
        failed = [f"ended with status {status}"]
    for name in failed:
        tally.fail(f"{program.name} {name}", text[max(text.rfind(f"[ RUN      ] {name}\n"), 0):])


def run_seeds(folder, tally):
    """Every fuzzer over its own seeds, their cuts and flips."""
    for program in sorted(folder.glob("*_fuzzer")):
        done = subprocess.run([str(program), "--self-seeds"], text=True, errors="replace",
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
        if done.returncode == 0:
            tally.passed += 1
        else:
            tally.fail(f"{program.name} over its seeds", done.stdout)


def run_campaign(folder, tally, images=20_000):
    """A sample of the guest images that lie; bench/run.py asks the walkers about a million."""
    done = subprocess.run([str(folder / "guest_campaign"), "--images", str(images), "--seed", "1"], text=True,
                          errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600)
    if done.returncode == 0:
        tally.passed += 1
    else:
        tally.fail("guest_campaign", done.stdout)


def stage_unit(_options):
    """GoogleTest programs, every fuzzer over its own seeds, and guest images that lie, as released."""
    tally = Tally()
    folder = build("release") / "bin"
    for program in sorted(folder.glob("*_test")):
        run_gtest(program, tally)
    run_seeds(folder, tally)
    run_campaign(folder, tally)
    return tally


def stage_asan(_options):
    """The same tests built by clang with AddressSanitizer and UBSan."""
    tally = Tally()
    folder = build("fuzz") / "bin"
    for program in sorted(folder.glob("*_test")):
        run_gtest(program, tally, {"ASAN_OPTIONS": "detect_stack_use_after_return=1"})
    return tally


def stage_fuzz(options):
    """Each fuzzer for a while with libFuzzer, from its seeds and the corpus that earlier runs left."""
    tally = Tally()
    seeds = BUILD / "release" / "bin"
    folder = build("fuzz") / "bin"

    def one(program):
        corpus = BUILD / "corpus" / program.name
        corpus.mkdir(parents=True, exist_ok=True)
        subprocess.run([str(seeds / program.name), "--write-seeds", str(corpus)], check=True, timeout=120)
        artifacts = BUILD / "crashes" / program.name
        artifacts.mkdir(parents=True, exist_ok=True)
        return program, subprocess.run(
            [str(program), str(corpus), f"-max_total_time={options.fuzz_seconds}", "-timeout=30",
             "-rss_limit_mb=4096", "-max_len=65536", "-print_final_stats=1",
             f"-artifact_prefix={artifacts}/"],
            text=True, errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=options.fuzz_seconds + 300)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for program, done in pool.map(one, sorted(folder.glob("*_fuzzer"))):
            runs = re.search(r"number_of_executed_units: (\d+)", done.stdout)
            if done.returncode == 0 and runs and int(runs.group(1)) > 0:
                tally.passed += 1
                say(f"   {program.name}: {int(runs.group(1)):,} inputs")
            else:
                tally.fail(f"{program.name} under libFuzzer", done.stdout)
    return tally


def run_unittests(folder):
    """The unittest files of a folder, with one line a test."""
    tally = Tally()
    sys.path.insert(0, str(folder))
    suite = unittest.defaultTestLoader.discover(str(folder), pattern="test_*.py", top_level_dir=str(folder))
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
    for test, trace in result.failures + result.errors:
        tally.fail(str(test), trace)
    for test in result.unexpectedSuccesses:
        tally.fail(str(test), "expected to fail, and did not")
    tally.skips += [f"{test}: {reason}" for test, reason in result.skipped]
    tally.passed += result.testsRun - len(tally.failures) - len(result.skipped)
    return tally


def stage_style(_options):
    """The architecture's rules: layers, symbols, types, documents."""
    return run_unittests(ROOT / "tests" / "style")


def stage_system(_options):
    """Live guests; their own /proc is the truth."""
    return run_unittests(ROOT / "tests" / "system")


STAGES = {"unit": stage_unit, "style": stage_style, "system": stage_system, "asan": stage_asan,
          "fuzz": stage_fuzz}


def unpack_shared_data():
    """Real captures, vectors and a recorded guest for further checks: from a folder `shared/data` beside the
    checkout, or wherever OUTGUARD_SHARED_DATA points. Unpacked once into build/; absent, those checks skip."""
    source = pathlib.Path(os.environ.get("OUTGUARD_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not source.is_dir() or not list(source.glob("*.tar.zst")):
        return
    target = BUILD / "shared-data"
    if not (target / "done").exists():
        target.mkdir(parents=True, exist_ok=True)
        for archive in source.glob("*.tar.zst"):
            subprocess.run(["tar", "--zstd", "-xf", archive, "-C", target], check=True)
        for guest in source.glob("guest-*"):
            subprocess.run(["zstd", "-dqf", guest / "mem.elf.zst", "-o", target / "mem.elf"], check=True)
            for name in ("answers.json", "truth.txt"):
                (target / name).write_bytes((guest / name).read_bytes())
        (target / "done").touch()
    os.environ["OUTGUARD_SHARED_DATA"] = str(target)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(STAGES))
    parser.add_argument("--fuzz-seconds", type=int, default=20)
    options = parser.parse_args()
    unpack_shared_data()
    total = Tally()
    for name in options.only.split(","):
        start = time.monotonic()
        say(f"== {name}: {(STAGES[name].__doc__ or '').strip()}")
        tally = STAGES[name](options)
        total.add(tally)
        say(f"== {name}: {tally.passed} passed, {len(tally.failures)} failed, "
            f"{len(tally.skips)} skipped in {time.monotonic() - start:.0f} s")
    for skip in total.skips:
        say(f"SKIPPED {skip}")
    for name, why in total.failures:
        say("\n".join([f"FAILED {name}", *(f"    {line}" for line in why)]))
    say(f"{total.passed} passed, {len(total.failures)} failed, {len(total.skips)} skipped")
    return 1 if total.failures or total.passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
