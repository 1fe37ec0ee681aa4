"""KVM where it really boots a kernel, TCG elsewhere. A /dev/kvm that opens proves nothing."""

import json
import os
import subprocess
import tempfile
from pathlib import Path

from . import kernels, qemu
from .initramfs import initramfs
from .storage import cache_folder, locked, progress, write_atomically

BOOT_TIMEOUT = 20  # seconds; a working KVM needs about one


def best_accelerator() -> str:
    """"kvm" or "tcg"; found out once for each boot of this machine and kept in the cache."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    answer = cache_folder() / "accelerator.json"
    with locked("accelerator"):
        known = json.loads(answer.read_text()) if answer.exists() else {}
        if known.get("boot") != boot:
            progress("trying KVM with a real boot")
            known = {"boot": boot, "accelerator": "kvm" if _kvm_boots() else "tcg"}
            write_atomically(answer, json.dumps(known).encode())
            progress(f"accelerator: {known['accelerator']}")
    return known["accelerator"]


def _kvm_boots() -> bool:
    """The kernel without any init panics in a readable way: that it says so is the proof."""
    kernel = kernels.fetch("6.1")
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "console"
        command = [qemu.BINARY, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                   "-accel", "kvm", "-cpu", "host", "-m", "256M", "-kernel", str(kernel.image),
                   "-initrd", str(initramfs(kernel)), "-append", "console=ttyS0 panic=-1 rdinit=/bin/true",
                   "-chardev", f"file,id=log,path={log}", "-serial", "chardev:log"]
        try:
            subprocess.run(command, capture_output=True, timeout=BOOT_TIMEOUT)
        except subprocess.TimeoutExpired:
            return False
        return log.exists() and b"Attempted to kill init" in log.read_bytes()
