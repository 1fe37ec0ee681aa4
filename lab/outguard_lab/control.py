"""Lets other terminals use a guest of a running `lab boot`: a unix socket in the guest's state folder.

One request a connection: a JSON list of the agent's words, then the answer {"status", "output"}; the
output's bytes travel as latin-1.
"""

import json
import socket
import threading
from pathlib import Path

from .errors import LabError
from .guest import Guest
from .state import folders

REQUEST_TIMEOUT = 90  # seconds
MAX_REQUEST = 1 << 16


def serve(guest: Guest) -> None:
    """Answers on the guest's control socket from a thread of its own until the process ends."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(guest.folder / "control"))
    listener.listen(8)
    threading.Thread(target=_answer_all, args=(guest, listener), daemon=True).start()


def request(name: str, *words: str) -> tuple[int, bytes]:
    """Sends one command to the guest `name`, whichever lab on this machine runs it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(REQUEST_TIMEOUT)
        try:
            connection.connect(str(_guest_folder(name) / "control"))
        except OSError as error:
            raise LabError(f"guest {name} takes no commands (yet): {error}") from error
        connection.sendall(json.dumps(words).encode() + b"\n")
        connection.shutdown(socket.SHUT_WR)
        answer = json.loads(connection.makefile("rb").read())
    return answer["status"], answer["output"].encode("latin-1")


def running_guests() -> list[Path]:
    """State folders of the guests that run."""
    return [path.parent for folder, lives in folders() if lives for path in sorted(folder.glob("*/qmp"))]


def _guest_folder(name: str) -> Path:
    found = [path for path in running_guests() if path.name == name]
    if len(found) != 1:
        known = " ".join(path.name for path in running_guests()) or "none"
        raise LabError(f"{len(found)} guests are called {name}; running: {known}")
    return found[0]


def _answer_all(guest: Guest, listener: socket.socket) -> None:
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(REQUEST_TIMEOUT)
            try:
                words = json.loads(connection.makefile("rb").readline(MAX_REQUEST))
                status, output = guest.exchange(*words)
                reply = {"status": status, "output": output.decode("latin-1")}
            except (LabError, OSError, ValueError) as error:
                reply = {"status": 1, "output": f"{error}\n"}
            try:
                connection.sendall(json.dumps(reply).encode())
            except OSError:
                continue  # the asker left
