"""Children of the lab: started so that they die with it, and recorded so that `lab clean` finds leftovers.

The kernel's parent-death signal fires when the *thread* that started a child ends. So one thread,
which lives as long as this process, starts them all.
"""

import concurrent.futures
import os
import subprocess
import threading
from pathlib import Path

_starter: concurrent.futures.ThreadPoolExecutor | None = None
_starter_lock = threading.Lock()


def start(command: list[str], namespace: str, **options) -> subprocess.Popen:
    """Starts `command` inside a network namespace; `options` go to Popen. The pid is the command's own."""
    global _starter
    with _starter_lock:
        if _starter is None:
            _starter = concurrent.futures.ThreadPoolExecutor(1, "lab-starter")
    wrapped = ["setpriv", "--pdeathsig", "KILL", "nsenter", f"--net=/run/netns/{namespace}", *command]
    return _starter.submit(subprocess.Popen, wrapped, **options).result(timeout=30)


def end(child: subprocess.Popen, patience: float = 3.0) -> None:
    """Asks, waits `patience` seconds, then insists."""
    if child.poll() is None:
        child.terminate()
    try:
        child.wait(patience)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait(10)


def identity(pid: int) -> str | None:
    """"pid start-time", which no later process shares; None when there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else f"{pid} {fields[19]}"


def is_running(recorded: str) -> bool:
    """Whether the process that `identity` once described still runs."""
    return identity(int(recorded.split()[0])) == recorded


def kill_recorded(recorded: str) -> None:
    """Ends exactly the recorded process, if it still runs."""
    if is_running(recorded):
        os.kill(int(recorded.split()[0]), 9)
