"""The state folder of a running lab, /run/outguard-lab/PID: sockets, logs, and what must be cleaned up.

    owner       identity of the lab's process
    children    one identity a line
    prefixes    one a guest: its namespaces are PREFIX-switch and PREFIX-world
    NAME/       one guest: qmp, agent, control, console.log, qemu.log, world.jsonl

A folder whose owner is dead may be cleaned by anyone; a living owner's folder is nobody else's.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from .network import delete_namespace
from .processes import identity, is_running, kill_recorded

ROOT = Path("/run/outguard-lab")


class StateFolder:
    """This process's folder. Exists from construction to `remove`."""

    def __init__(self) -> None:
        self.path = ROOT / str(os.getpid())
        if self.path.exists():
            clean_folder(self.path)  # of an earlier process with our number
        self.path.mkdir(parents=True, mode=0o700)
        (self.path / "owner").write_text(identity(os.getpid()) or "")

    def record_child(self, pid: int) -> None:
        self._append("children", identity(pid))

    def record_prefix(self, prefix: str) -> None:
        self._append("prefixes", prefix)

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    def _append(self, name: str, line: str | None) -> None:
        if line:
            with open(self.path / name, "a") as handle:
                fcntl.flock(handle, fcntl.LOCK_EX)
                handle.write(line + "\n")


def folders() -> Iterator[tuple[Path, bool]]:
    """(folder, whether its owner lives) of every lab on this machine."""
    for path in sorted(ROOT.glob("[0-9]*")):
        owner = _lines(path / "owner")
        yield path, bool(owner) and is_running(owner[0])


def clean_folder(path: Path) -> None:
    """Ends the processes and removes the namespaces that a dead lab left."""
    for recorded in _lines(path / "children"):
        kill_recorded(recorded)
    for prefix in _lines(path / "prefixes"):
        delete_namespace(f"{prefix}-switch")
        delete_namespace(f"{prefix}-world")
    shutil.rmtree(path, ignore_errors=True)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except FileNotFoundError:
        return []
