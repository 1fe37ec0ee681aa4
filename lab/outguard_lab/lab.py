"""A run of the lab: the guests that it made, and the promise that nothing of them stays."""

import atexit
import contextlib
import os
import signal
import sys
import threading

from .errors import LabError
from .guest import BOOT_TIMEOUT, Guest
from .options import GuestOptions
from .state import StateFolder

EMULATED_BOOTS = 3  # at the most, of one guest


class Lab:
    """`with Lab() as lab: ...`; one a process. Leaving the block, exit, SIGTERM and SIGINT all clean up."""

    def __init__(self) -> None:
        if os.geteuid() != 0:
            raise LabError("the lab makes network namespaces and taps: run it as root")
        self.guests: list[Guest] = []
        self._state = StateFolder()
        self._lock = threading.Lock()
        atexit.register(self.close)
        self._old_handlers = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGHUP):
                self._old_handlers[number] = signal.signal(number, _exit_on_signal)

    def __enter__(self) -> "Lab":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def prepare(self, **options) -> Guest:
        """A guest that is not started: call its `start` and later `wait_ready`."""
        with self._lock:
            number = len(self.guests)
            options["name"] = options.get("name") or f"lab-{options.get('kernel', GuestOptions.kernel)}-{number}"
            if any(guest.name == options["name"] for guest in self.guests):
                raise LabError(f"two guests called {options['name']}")
            guest = Guest(GuestOptions(**options), self._state, f"outguard-{os.getpid()}-{number}")
            self.guests.append(guest)
        return guest

    def guest(self, timeout: float = BOOT_TIMEOUT, **options) -> Guest:
        """A booted guest; the options are GuestOptions' fields."""
        return booted(self.prepare(**options).start(), timeout)

    def guests_together(self, *options: dict, timeout: float = BOOT_TIMEOUT) -> list[Guest]:
        """Several booted guests, which boot at the same time."""
        started = [self.prepare(**each).start() for each in options]
        return [booted(guest, timeout) for guest in started]

    def close(self) -> None:
        """Stops every guest and removes the state; may be called twice."""
        with self._lock:
            guests, self.guests = self.guests, []
        for guest in guests:
            with contextlib.suppress(Exception):  # the others must still be stopped
                guest.stop()
        self._state.remove()
        atexit.unregister(self.close)
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)
        self._old_handlers = {}


def booted(guest: Guest, timeout: float) -> Guest:
    """Waits for it. QEMU's emulation of a processor loses a boot now and then (1 in some hundred of 6.12 on a loaded
    host): a guest that died before its agent ever spoke, so before any test began, is started again, and that is told."""
    for _ in range(EMULATED_BOOTS - 1):
        try:
            return guest.wait_ready(timeout)
        except LabError as error:
            if guest.accel != "tcg" or not guest.has_died():
                raise
            print(f"\nLAB: {error}\nLAB: {guest.name} died while it booted and is started again", file=sys.stderr,
                  flush=True)
            guest.start_again()
    return guest.wait_ready(timeout)


def _exit_on_signal(number: int, _frame: object) -> None:
    sys.exit(128 + number)
