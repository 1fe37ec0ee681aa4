"""The host's end of the guest agent's line protocol, over the unix socket of the second serial port."""

import socket
import threading
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path

from .errors import LabError


class AgentLine:
    """One connection; requests of several threads take turns. A reply that came too late is skipped."""

    def __init__(self, path: Path, still_alive: Callable[[], None]):
        """`still_alive` raises when the guest has ended, so that nobody waits for the dead."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise
        self._still_alive = still_alive
        self._pending = b""
        self._last_id = 0
        self._turn = threading.Lock()

    def close(self) -> None:
        self._socket.close()

    def wait_for_agent(self, timeout: float) -> None:
        """The agent says once, unasked, that it is there."""
        with self._turn:
            self._reply(0, time.monotonic() + timeout)

    def request(self, *words: str | bytes, timeout: float = 60) -> tuple[int, bytes]:
        """(status, output) of one command; words may hold any byte."""
        with self._turn:
            self._last_id += 1
            encoded = " ".join(urllib.parse.quote(word, safe="/:[]=,@+", errors="surrogateescape") if
                               isinstance(word, str) else urllib.parse.quote(word) for word in words)
            self._socket.settimeout(timeout)
            self._socket.sendall(f"{self._last_id} {encoded}\n".encode())
            return self._reply(self._last_id, time.monotonic() + timeout)

    def _reply(self, wanted: int, deadline: float) -> tuple[int, bytes]:
        while True:
            header = self._take_until(b"\n", deadline)
            parts = header.rpartition(b"=")[2].split()
            if len(parts) != 3:
                continue
            number, status, length = map(int, parts)
            body = self._take(length, deadline)
            if number == wanted:
                return status, body

    def _take_until(self, end: bytes, deadline: float) -> bytes:
        while end not in self._pending:
            self._receive(deadline)
        taken, _, self._pending = self._pending.partition(end)
        return taken

    def _take(self, length: int, deadline: float) -> bytes:
        while len(self._pending) < length:
            self._receive(deadline)
        taken, self._pending = self._pending[:length], self._pending[length:]
        return taken

    def _receive(self, deadline: float) -> None:
        self._socket.settimeout(0.5)
        try:
            chunk = self._socket.recv(1 << 16)
        except TimeoutError:
            chunk = None
        if not chunk:
            self._still_alive()
            if chunk == b"":
                raise LabError("the agent's serial line is closed")
        else:
            self._pending += chunk
        if time.monotonic() > deadline:
            raise LabError("the guest's agent did not answer in time")
