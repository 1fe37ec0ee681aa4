"""One guest: a QEMU, its network, its world, and the agent inside."""

import contextlib
import json
import select
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from . import accelerator, kernels, processes, qemu
from .agent_line import AgentLine
from .errors import LabError
from .initramfs import initramfs
from .network import GuestNetwork
from .options import GuestOptions
from .state import StateFolder
from .storage import LAB_FOLDER
from .truth import Truth

BOOT_TIMEOUT = 120  # seconds; a quiet host needs 2 to 6
WORLD_TIMEOUT = 20  # seconds; needs a tenth of one


@dataclass(frozen=True)
class Started:
    """A role that runs in the guest. `announced` holds what it said about itself, such as {"child": 123}."""

    pid: int
    announced: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Talk:
    """How many exchanges a role has completed so far."""

    role: str
    count: int


class Guest:
    """Made by `Lab.guest`, which also stops it. After `wait_ready` all methods work, from any thread."""

    def __init__(self, options: GuestOptions, state: StateFolder, prefix: str):
        options.check()
        self.options = options
        self.name = options.name
        self.uuid = options.uuid
        self.folder = state.path / options.name
        self.network = GuestNetwork(prefix, options.nics, options.addresses)
        self.accel = ""
        self.boot_seconds = 0.0
        self._state = state
        self._qemu: subprocess.Popen | None = None
        self._world: subprocess.Popen | None = None
        self._line: AgentLine | None = None
        self._started_at = 0.0

    # Names for others -------------------------------------------------------------------------------------

    @property
    def qmp_path(self) -> Path:
        return self.folder / "qmp"

    @property
    def target(self) -> str:
        """What `outguard ps TARGET` takes."""
        return f"qmp:{self.qmp_path}" if self.options.qmp else f"pid:{self.pid}"

    @property
    def pid(self) -> int:
        """QEMU's process."""
        return self._running().pid

    @property
    def tap(self) -> str:
        """The first network card's tap; it is inside the namespace `switch`."""
        return self.network.taps[0]

    @property
    def switch(self) -> str:
        return self.network.switch

    @property
    def world(self) -> str:
        return self.network.world

    # Life -------------------------------------------------------------------------------------------------

    def start(self) -> "Guest":
        """Makes the network and starts QEMU; returns while the guest boots."""
        kernel = kernels.fetch(self.options.kernel)
        image = initramfs(kernel)
        self.accel = self.options.accel or accelerator.best_accelerator()
        self.folder.mkdir(mode=0o700)
        self._state.record_prefix(self.network.prefix)
        self.network.create()
        self._start_world()
        command = qemu.command_line(self.options, self.folder, self.network, kernel.image, image, self.accel)
        with open(self.folder / "qemu.log", "wb") as log:
            self._qemu = processes.start(command, self.switch, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._state.record_child(self._qemu.pid)
        self._started_at = time.monotonic()
        self._line = self._connect_agent()
        return self

    def wait_ready(self, timeout: float = BOOT_TIMEOUT) -> "Guest":
        """Returns when the agent inside answers."""
        with self._explained(f"did not boot within {timeout:.0f} s"):
            self._agent().wait_for_agent(timeout)
        self.boot_seconds = time.monotonic() - self._started_at
        return self

    def has_died(self, within: float = 5) -> bool:
        """Whether QEMU has ended, or ends within so many seconds."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._running().wait(within)
        return not self.is_running()

    def start_again(self) -> "Guest":
        """After it died: everything anew; what the dead one left is kept beside until the lab ends."""
        self.stop()
        self.folder.rename(tempfile.mkdtemp(prefix=f"{self.name}-died-", dir=self.folder.parent))
        return self.start()

    def qmp(self, command: str, **arguments: object) -> object:
        """One QMP command, over a connection of its own; what it returns."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection, self._explained(f"QMP {command} failed"):
            connection.settimeout(20)
            connection.connect(str(self.qmp_path))
            with connection.makefile("rw") as stream:
                json.loads(stream.readline())  # the greeting
                for words in ({"execute": "qmp_capabilities"}, {"execute": command, "arguments": arguments}):
                    stream.write(json.dumps(words) + "\n")
                    stream.flush()
                    answer = json.loads(stream.readline())
                    while "event" in answer:
                        answer = json.loads(stream.readline())
                    if "return" not in answer:
                        raise LabError(str(answer.get("error")))
                return answer["return"]

    def reset(self) -> None:
        """The reset button; needs the option `reboots`. `wait_ready` returns when the guest is up again."""
        self.qmp("system_reset")

    def kexec(self) -> None:
        """The guest starts the same kernel anew, past its firmware; needs the option `reboots`."""
        self.load("virtio_blk")
        for disk, name in (("vda", "kernel"), ("vdb", "initrd")):
            self.request("sh", f"cat /dev/{disk} > /tmp/{name}")
        self.request("kexec", "/tmp/kernel", "/tmp/initrd")

    def stop(self) -> None:
        """Ends QEMU and the world and removes the network; may be called twice and half-way."""
        if self._line:
            self._line.close()
        for child in (self._qemu, self._world):
            if child:
                processes.end(child)
        for name in ("qmp", "agent", "control"):
            (self.folder / name).unlink(missing_ok=True)  # the logs stay until the lab ends
        self.network.delete()

    # The guest from inside --------------------------------------------------------------------------------

    def truth(self, timeout: float = 60) -> Truth:
        """What the guest's own /proc says now."""
        return Truth.parse(self.request("truth", timeout=timeout))

    def run(self, role: str, *arguments: object, exe: str = "-") -> Started:
        """Starts a role and waits until it is set up; `exe` is the path that its executable shall have."""
        output = self.request("run", role, exe, *map(str, arguments)).decode()
        facts = {key: int(value) for key, _, value in (line.partition("=") for line in output.splitlines())}
        return Started(facts.pop("pid"), facts)

    def spawn(self, role: str, *arguments: object, exe: str = "-") -> Started:
        """The same without waiting: for one that may be ended before it is set up."""
        output = self.request("spawn", role, exe, *map(str, arguments)).decode()
        return Started(int(output.strip().removeprefix("pid=")))

    def talk(self) -> dict[int, Talk]:
        """pid -> how often it has exchanged something; the ended ones are still listed."""
        rows = (line.split() for line in self.request("talk").decode().splitlines())
        return {int(pid): Talk(role, int(count)) for pid, role, count in rows}

    def alive(self, pid: int) -> bool:
        return self.request("alive", str(pid)) == b"1"

    def wait_ended(self, pid: int, timeout: float = 5) -> bool:
        """Whether the process ends within `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while self.alive(pid):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def kill(self, pid: int, signal: int = 9) -> None:
        """Sends a signal from inside the guest; after SIGKILL the process is gone on return."""
        self.request("kill", str(pid), str(signal))

    def sh(self, command: str, timeout: float = 60) -> tuple[int, str]:
        """(exit code, output) of busybox sh in the guest."""
        status, output = self.exchange("sh", command, timeout=timeout)
        return status, output.decode("utf-8", "surrogateescape")

    def role_log(self, pid: int) -> str:
        """What a role printed."""
        return self.request("log", str(pid)).decode("utf-8", "replace")

    def world_events(self) -> list[dict]:
        """What the remote side saw so far, oldest first; the fields are in world.py's `_write`."""
        lines = (self.folder / "world.jsonl").read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def console(self) -> str:
        """The kernel's console so far."""
        path = self.folder / "console.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def load(self, *modules: str) -> None:
        """Loads modules of kernels.MORE_MODULES with all they depend on; one that is built in counts as loaded."""
        for path in kernels.fetch(self.options.kernel).modules(*modules):
            status, output = self.sh(f"grep -q '^{path.stem} ' /proc/modules || insmod /lib/modules/{path.name}")
            if status != 0:
                raise LabError(f"{self.name}: insmod {path.stem}: {output.strip()}")

    def request(self, *words: str, timeout: float = 60) -> bytes:
        """One command of the agent; raises with its own words when it fails."""
        status, output = self.exchange(*words, timeout=timeout)
        if status != 0:
            raise LabError(f"{self.name}: {' '.join(words)}: {output.decode(errors='replace').strip()}")
        return output

    def exchange(self, *words: str, timeout: float = 60) -> tuple[int, bytes]:
        """One command of the agent: its status and output."""
        with self._explained(f"{words[0]} failed"):
            return self._agent().request(*words, timeout=timeout)

    def is_running(self) -> bool:
        return self._qemu is not None and self._qemu.poll() is None

    # Inner parts ------------------------------------------------------------------------------------------

    def _start_world(self) -> None:
        names = [f"{name}={address}" for name, address in self.options.names.items()]
        command = ["/usr/bin/python3", str(LAB_FOLDER / "outguard_lab" / "world.py"), str(self.folder / "world.jsonl"), *names]
        with open(self.folder / "world.log", "wb") as log:
            self._world = processes.start(command, self.world, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                          stderr=log)
        self._state.record_child(self._world.pid)
        with self._world.stdout as said:
            is_ready = select.select([said], [], [], WORLD_TIMEOUT)[0] and said.readline() == b"ready\n"
        if not is_ready:
            raise LabError(f"the world did not start: {(self.folder / 'world.log').read_text()}")

    def _connect_agent(self) -> AgentLine:
        path = self.folder / "agent"
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            self._check_alive()
            with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
                return AgentLine(path, self._check_alive)
            time.sleep(0.01)
        raise LabError(f"{self.name}: QEMU made no agent socket\n{self._last_words()}")

    def _agent(self) -> AgentLine:
        if self._line is None:
            raise LabError(f"{self.name} was not started")
        return self._line

    def _running(self) -> subprocess.Popen:
        if self._qemu is None:
            raise LabError(f"{self.name} was not started")
        return self._qemu

    def _check_alive(self) -> None:
        if self._running().poll() is not None:
            raise LabError(f"QEMU ended with status {self._running().returncode}")

    @contextlib.contextmanager
    def _explained(self, what: str):
        try:
            yield
        except (LabError, OSError) as error:
            raise LabError(f"{self.name} {what}: {error}\n{self._last_words()}") from error

    def _last_words(self) -> str:
        log = self.folder / "qemu.log"
        said = log.read_text(errors="replace") if log.exists() else ""
        tail = "\n".join((said + self.console()).splitlines()[-20:])
        return f"--- last words of {self.name} ---\n{tail}"
