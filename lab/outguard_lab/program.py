"""The guest program: lab/guest/*.cpp as one static binary, rebuilt when a source changes."""

import hashlib
import subprocess
from pathlib import Path

from .errors import LabError
from .storage import LAB_FOLDER, cache_folder, forget_old, locked, write_atomically, progress

FLAGS = ["-std=c++20", "-O1", "-static", "-pthread", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"]


def guest_program() -> Path:
    """The built binary in the cache; building takes some seconds, once for a set of sources."""
    sources = sorted((LAB_FOLDER / "guest").glob("*.cpp"))
    digest = hashlib.sha256(" ".join(FLAGS).encode())
    for path in [*sources, *sorted((LAB_FOLDER / "guest").glob("*.h"))]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    built = cache_folder() / f"agent-{digest.hexdigest()[:16]}"
    with locked("agent"):
        if not built.exists():
            progress("building the guest program")
            work = cache_folder() / ".agent.new"
            result = subprocess.run(["g++", *FLAGS, "-o", work, *sources], capture_output=True, text=True,
                                    timeout=300)
            if result.returncode != 0:
                raise LabError(f"the guest program does not build:\n{result.stderr}")
            forget_old(cache_folder(), "agent-*")
            write_atomically(built, work.read_bytes())
            work.unlink()
    return built
