"""Line and branch coverage of what must never fail unseen: the guard, the journal, the desk and its book.

    tests/coverage.py [--build DIR] [--missing]

The sources below are built by clang to count what is taken, and the rest as ever, in a build of their own; the unit
tests run. A branch is a condition's true or false, as the source has it. --missing: lines and branches that no test took.
"""
import argparse
import collections
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
SOURCES = ("respond/guard.cpp", "respond/protections.cpp", "facts/protection.cpp", "store/action_journal.cpp",
           "store/journal_lines.cpp", "store/journal_check.cpp", "store/file_calls.cpp", "store/action_json.cpp",
           "store/protection_json.cpp", "daemon/action_book.cpp", "daemon/action_desk.cpp", "daemon/action_rules.cpp",
           "daemon/action_runner.cpp", "daemon/action_clock.cpp", "daemon/action_workers.cpp", "daemon/action_budgets.cpp",
           "respond/plan_executor.cpp", "respond/patch_check.cpp")
TESTS = (("facts_test", "*"), ("store_test", "*"), ("api_test", "Request*:Answer*"), ("respond_test", "Guard*:Allowed*:Check*:*Plan*:*Patch*"),
         ("daemon_test", "Action*:Allow*:Verbs*:Response*"))


def build(folder):
    quiet = {"check": True, "stdout": subprocess.DEVNULL}
    subprocess.run(["cmake", "--preset", "dev", "-B", folder, "-DCMAKE_CXX_COMPILER=clang++", "-DCMAKE_C_COMPILER=clang",
                    f"-DOUTGUARD_COVERAGE={';'.join(SOURCES)}"], cwd=ROOT, **quiet)
    subprocess.run(["ninja", "-C", folder, *(name for name, _ in TESTS)], **quiet)


def run(folder):
    """What was taken, as llvm-cov tells it for each source."""
    for name, chosen in TESTS:
        done = subprocess.run([folder / "bin" / name, "--gtest_brief=1", f"--gtest_filter={chosen}"], cwd=ROOT, text=True,
                              env={**os.environ, "LLVM_PROFILE_FILE": f"{folder}/{name}.profraw"},
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            sys.exit(f"{name} fails:\n{done.stdout[-4000:]}")
    taken = folder / "taken.profdata"
    subprocess.run(["llvm-profdata", "merge", "-o", taken, *(folder / f"{name}.profraw" for name, _ in TESTS)], check=True)
    programs = [folder / "bin" / name for name, _ in TESTS]
    told = subprocess.run(["llvm-cov", "export", f"--instr-profile={taken}", programs[0],
                           *(f"--object={program}" for program in programs[1:]),
                           *(ROOT / "src" / source for source in SOURCES)], check=True, stdout=subprocess.PIPE).stdout
    return {file["filename"]: file for file in json.loads(told)["data"][0]["files"]}


def missing_in(file):
    """(line, what) that no test took. Of a template each line and branch counts once."""
    sides = collections.Counter()
    for begin, column, _, _, yes, no, *_ in file["branches"]:
        sides[begin, column, True] += yes
        sides[begin, column, False] += no
    never = [(line, "never " + str(side).lower()) for (line, _, side), count in sides.items() if count == 0]
    lines = {}
    for line, _, count, has_count, is_entry, *_ in file["segments"]:
        if has_count and is_entry and count == 0:
            lines[line] = "never"
    return len(sides), sorted({*never, *lines.items()})


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "coverage")
    options.add_argument("--missing", action="store_true")
    options = options.parse_args()
    build(options.build)
    found = run(options.build)
    print(f"{'SOURCE':<28} {'LINES':>12} {'BRANCHES':>12}")
    total = collections.Counter()
    for source in SOURCES:
        file = found[str(ROOT / "src" / source)]
        branches, missing = missing_in(file)
        untaken = sum(what != "never" for _, what in missing)
        figures = {"covered": file["summary"]["lines"]["covered"], "lines": file["summary"]["lines"]["count"],
                   "taken": branches - untaken, "branches": branches}
        total.update(figures)
        print("{:<28} {covered:>5} / {lines:<4} {taken:>5} / {branches:<4}".format(source, **figures))
        if options.missing:
            text = (ROOT / "src" / source).read_text().splitlines()
            for line, what in missing:
                print(f"    {line:>4} {what:<12} {text[line - 1].strip()}")
    print("{:<28} {covered:>5} / {lines:<4} {taken:>5} / {branches:<4}".format("all", **total),
          f"  lines {100 * total['covered'] / total['lines']:.1f} %, branches {100 * total['taken'] / total['branches']:.1f} %")


if __name__ == "__main__":
    os.environ.setdefault("CCACHE_NOHASHDIR", "1")
    main()
