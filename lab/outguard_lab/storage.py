"""Where built and fetched things live, and how several processes share that folder safely.

Everything in the cache is made once under a lock, in a temporary place, and then renamed: whoever
finds it finds it whole. Nothing here is precious; deleting the folder costs only time.
"""

import contextlib
import fcntl
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

KEPT_SECONDS = 3600
LAB_FOLDER = Path(__file__).resolve().parent.parent


def cache_folder() -> Path:
    """`$OUTGUARD_LAB_CACHE`, or build/lab beside the sources."""
    chosen = os.environ.get("OUTGUARD_LAB_CACHE")
    folder = Path(chosen) if chosen else LAB_FOLDER.parent / "build" / "lab"
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Holds the lock `name` of the cache; waits for another process that is making the same thing."""
    path = cache_folder() / f".{name}.lock"
    with open(path, "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def new_folder(final: Path) -> Iterator[Path]:
    """A temporary folder that becomes `final` when the block ends well, and vanishes otherwise."""
    final.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{final.name}.", dir=final.parent))
    try:
        yield work
        work.chmod(0o755)
        os.rename(work, final)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def write_atomically(final: Path, content: bytes) -> None:
    """Readers see the old file or the new one, never half of it."""
    work = final.with_name(f".{final.name}.{os.getpid()}")
    try:
        work.write_bytes(content)
        os.rename(work, final)
    finally:
        work.unlink(missing_ok=True)


def forget_old(folder: Path, pattern: str) -> None:
    """Deletes superseded files that no starting guest can still be about to open."""
    for path in folder.glob(pattern):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > KEPT_SECONDS:
                path.unlink()


def progress(text: str) -> None:
    """What is being waited for; stderr, so that stdout stays for results."""
    print(f"lab: {text}", file=sys.stderr, flush=True)
