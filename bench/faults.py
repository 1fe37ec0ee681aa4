"""Bench part of faults: every Nth system call of a real supervisor fails while it acts, and while it starts.

strace has the Nth call of a kind fail with an error of its own, in each thread that makes that many. Then the
supervisor is killed, another begins, and journal, kernel and what was acknowledged must agree (crashes.py): a fault may
cost an action, which is then told as failed, and never leaves one half done or forgotten.
"""
import collections
import json
import random
import re
import select
import shutil
import signal
import subprocess
import sys
import time

from crashes import Gone, Ledger, Supervisor, UUID, World, run_apart

SHARE = 1.0
MOST_AT_START = 150  # of some hundred calls, most of them the loader's
ERRORS = ("ENOMEM", "EIO", "ENOSPC")
# What is not made to fail: waiting and ending, the loader, what cannot fail, and what our own restart rests on.
SPARED = {"futex", "clock_nanosleep", "poll", "ppoll", "epoll_wait", "exit", "exit_group", "execve", "wait4", "waitid",
          "restart_syscall", "rt_sigreturn", "rt_sigprocmask", "rt_sigaction", "getpid", "gettid", "geteuid", "getuid",
          "sched_yield", "madvise", "munmap", "munlock", "close", "arch_prctl", "set_tid_address", "set_robust_list",
          "rseq", "sigaltstack", "prlimit64", "getrandom", "tgkill", "kill", "vfork", "close_range"}


def calls_in(trace):
    """kind -> the most that one thread made."""
    counts = collections.Counter()
    for line in trace.read_text(errors="replace").splitlines():
        made = re.match(r"(\d+) +(\w+)\(", line)
        if made:
            counts[made.groups()] += 1
    most = collections.Counter()
    for (_, kind), count in counts.items():
        most[kind] = max(most[kind], count)
    return {kind: count for kind, count in most.items() if kind not in SPARED}


class Tracer:
    """strace on a running supervisor; `with` lets go of it again."""

    def __init__(self, pid, trace, inject):
        self.trace = trace
        self.process = subprocess.Popen(["strace", "-f", "-o", str(trace), *inject, "-p", str(pid)],
                                        stderr=subprocess.PIPE, text=True)
        select.select([self.process.stderr], [], [], 5)  # "attached"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:  # it waits for a tracee that is slow to stop
            self.process.kill()
            self.process.wait()


def injection(kind, error, number):
    return ["-e", f"trace={kind}", "-e", f"inject={kind}:error={error}:when={number}"]


class Trial:
    """One world; many faults, one after the other."""

    def __init__(self, folder, mechanism):
        self.world = World(folder, mechanism)
        self.ledger = Ledger(self.world.wire, self.world.qmp, 1)
        self.trace = self.world.folder / "trace"
        self.figures = collections.Counter()
        self.number = 0
        self.told = []
        self.restart()
        self.world.block_listed(self.supervisor)

    def restart(self):
        if hasattr(self, "supervisor"):
            self.supervisor.kill()
        self.supervisor = Supervisor(self.world.folder)
        self.supervisor.wait_ready()

    def act_and_undo(self):
        """One of each; with whatever comes of it."""
        self.number += 1
        self.ledger.asks += 1
        rule = {"kind": "remote", "remote": f"10.66.{20 + self.number // 200 % 40}.{1 + self.number % 200}"}
        begun = [one for one, state in self.ledger.acknowledged.items() if state == "done"]
        asked = [{"verb": "act", "action": "block_remote", "vm": UUID, "why": f"ask {self.ledger.asks}", "ttl_s": 3600,
                  "rule": rule, "wait_ms": 2000}]
        asked += [{"verb": "action-undo", "id": begun[0], "wait_ms": 2000}] if len(begun) > 1 else []
        for request in asked:
            if request["verb"] == "action-undo":
                self.ledger.acknowledged.pop(request["id"])  # until it is told
            try:
                record = self.supervisor.ask(timeout=10, **request).get("action") or {"state": "refused"}
            except Gone:
                self.figures["no answer"] += 1
                continue
            good = {"done": "act", "undone": "action-undo"}.get(record["state"]) == request["verb"]
            self.figures["acknowledged" if good else "told as failed"] += 1
            if good:
                self.ledger.acknowledged[record["id"]] = record["state"]

    def look(self, what):
        """What a supervisor that meets no fault finds."""
        before = {name: len(told) for name, told in self.ledger.faults.items()}
        self.restart()
        self.ledger.compare(self.supervisor.settled())
        self.leaks(what + ", restart")
        for name, told in self.ledger.faults.items():
            if len(told) > before.get(name, 0):
                records = [one for one in self.supervisor.settled() if one["rule"] and str(one["rule"].get("remote")) in told[-1]]
                self.told.append(f"{what}: {name}: {told[-1]} {[(one['state'], one['reason']) for one in records]}")

    def leaks(self, what):
        leaked = self.world.leaked()
        if leaked > self.figures["leaked packets"]:
            self.told.append(f"{what}: {leaked - self.figures['leaked packets']} packets passed")
            self.figures["leaked packets"] = leaked

    def while_acting(self, kind, error, number):
        with Tracer(self.supervisor.process.pid, self.trace, injection(kind, error, number)):
            self.act_and_undo()
        self.leaks(f"acting, {kind} {number} {error}")
        self.figures["injected"] += self.trace.read_text(errors="replace").count("(INJECTED)")
        what = f"acting, {kind} {number} {error}"
        if self.supervisor.process.poll() is not None:
            self.figures["ended by it"] += 1
            log = (self.world.folder / "log").read_text()
            self.told.append(f"{what}: the supervisor ended with {self.supervisor.process.returncode}: {log[-300:]}")
        else:
            self.heals(what)
        self.look(what)

    def heals(self, what):
        """The next thing works, once what failed no longer does."""
        self.number += 1
        rule = {"kind": "remote", "remote": f"10.66.{20 + self.number // 200 % 40}.{1 + self.number % 200}"}
        record = None
        for _ in range(20):
            try:
                answer = self.supervisor.ask(verb="act", action="block_remote", vm=UUID, why="again", ttl_s=3600,
                                             rule=rule, wait_ms=5000)
                record = answer.get("action") or answer
            except Gone:
                record = {"state": "no answer"}
            if record.get("state") == "done":
                self.ledger.acknowledged[record["id"]] = "done"
                return
            time.sleep(0.05)
        self.figures["not healed"] += 1
        self.told.append(f"{what}: does not act any more: {record}")

    def start_under(self, tracer):
        """Leaves it dead; what it does in its first moments has happened."""
        self.supervisor.kill()
        tracing = Supervisor(self.world.folder, tracer).process
        try:
            tracing.wait(0.5)
        except subprocess.TimeoutExpired:
            subprocess.run(["pkill", "-9", "-P", str(tracing.pid)], check=False)  # then strace ends too
        tracing.wait(20)

    def while_starting(self, kind, error, number):
        self.start_under(["strace", "-f", "--seccomp-bpf", "-o", str(self.trace), *injection(kind, error, number)])
        self.figures["injected at start"] += self.trace.read_text(errors="replace").count("(INJECTED)")
        self.look(f"starting, {kind} {number} {error}")


def choose(calls, share, chance):
    """Every one of them, or a part that has some of each kind."""
    points = [(kind, number) for kind, most in calls.items() for number in range(1, most + 1)]
    chance.shuffle(points)
    return points[:max(1, int(len(points) * share))]


def fault(folder, share, mechanism, seed=1):
    trial = Trial(folder, mechanism)
    chance = random.Random(seed)
    try:
        for _ in range(2):  # there is something to undo
            trial.act_and_undo()
        with Tracer(trial.supervisor.process.pid, trial.trace, []):
            trial.act_and_undo()
        acting = calls_in(trial.trace)
        trial.look("first")
        trial.supervisor.kill()
        trial.start_under(["strace", "-f", "-o", str(trial.trace)])
        starting = calls_in(trial.trace)
        trial.look("started under strace")
        points = choose(acting, share, chance)
        for at, (kind, number) in enumerate(points):
            for error in ERRORS if share >= 1 else [chance.choice(ERRORS)]:
                trial.while_acting(kind, error, number)
            if at % 20 == 19:
                print(f"{at + 1} of {len(points)}: {dict(trial.figures)} {trial.told[-3:]}", file=sys.stderr, flush=True)
        at_start = choose(starting, share, chance)[:max(1, int(MOST_AT_START * share))]
        for kind, number in at_start:
            trial.while_starting(kind, chance.choice(ERRORS), number)
        trial.figures["calls at start"] = sum(starting.values())
        faults = trial.ledger.faults
        return {"mechanism": mechanism, "points": len(points), "points_at_start": len(at_start), **trial.figures,
                **{name: len(faults[name]) for name in ("lost", "orphaned", "duplicate")},
"calls": acting, "told": trial.told[:20]}
    finally:
        trial.world.end()


def bench_faults():
    """ENOMEM, EIO, ENOSPC at every Nth system call of acting, one at each of starting. Budget: nothing lost or half done."""
    if not shutil.which("strace"):
        return {}, ["strace is not installed"], []
    found = [run_apart(__file__, "fault", SHARE, how) for how in ("tc-bpf", "nft")]
    names = ("points", "injected", "injected at start", "acknowledged", "told as failed", "no answer", "ended by it",
             "not healed", "lost", "orphaned", "duplicate", "leaked packets")
    return found, ["while acting by", *names], [[one["mechanism"], *(one.get(name, 0) for name in names)] for one in found]


PARTS = {"faults": bench_faults}


if __name__ == "__main__":
    _, in_folder, part, how = sys.argv[1:]
    print(json.dumps(fault(in_folder, float(part), how)))
