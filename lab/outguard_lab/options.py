"""What can be chosen about a guest."""

import uuid
from dataclasses import dataclass, field

from .errors import LabError
from .kernels import NAMES


@dataclass(frozen=True)
class GuestOptions:
    """One guest. Everything has a default; `check` says what is wrong before anything starts."""

    kernel: str = "6.1"
    cpus: int = 1
    ram: int = 512  # MiB
    machine: str = "pc"  # or q35
    cpu: str = ""  # QEMU's model; empty is qemu64 under TCG and host under KVM; "max" has 5-level paging
    accel: str = ""  # kvm or tcg; empty is the best that this machine can really do
    memfd: bool = False  # RAM in a shared memfd instead of private memory
    qmp: bool = True  # False: a QEMU that nobody can ask
    nics: int = 1
    name: str = ""  # empty is made up from the kernel's name
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()))
    append: str = ""  # further words for the kernel's command line
    reboots: bool = False  # a reset starts the guest again instead of ending QEMU; see Guest.kexec for the rest
    most_ram: int = 0  # MiB with memory plugged in later; 0: none can be
    balloon: bool = False  # a device that takes memory back; load virtio_balloon
    addresses: tuple[str, ...] = ()  # that the world owns, beside the documentation networks
    names: dict[str, str] = field(default_factory=dict)  # DNS names of the world -> address, or another name (CNAME)

    def check(self) -> None:
        wrong = []
        if self.kernel not in NAMES:
            wrong.append(f"kernel {self.kernel}: one of {' '.join(NAMES)}")
        if not 1 <= self.cpus <= 16:
            wrong.append(f"{self.cpus} processors: 1 to 16")
        if not 192 <= self.ram <= 131072:
            wrong.append(f"{self.ram} MiB of RAM: 192 to 131072")
        if self.machine not in ("pc", "q35"):
            wrong.append(f"machine {self.machine}: pc or q35")
        if self.accel not in ("", "kvm", "tcg"):
            wrong.append(f"accelerator {self.accel}: kvm or tcg")
        if self.name and not all(letter.isalnum() or letter in "-_." for letter in self.name):
            wrong.append(f"name {self.name!r}: letters, digits, - _ .")
        if wrong:
            raise LabError("; ".join(wrong))
