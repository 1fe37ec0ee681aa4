"""The guest's root file system: busybox, a few modules, the guest program, in one compressed cpio.

Made from bytes in memory, one a kernel, named after the hash of its content.
"""

import gzip
import hashlib
import stat
from pathlib import Path

from .errors import LabError
from .kernels import BOOT_MODULES, MORE_MODULES, Kernel
from .program import guest_program
from .storage import cache_folder, forget_old, write_atomically

BUSYBOX = Path("/bin/busybox")
TRAILER = "TRAILER!!!"

INITTAB = """\
::sysinit:/etc/rc
::once:/usr/bin/agent /dev/ttyS1
"""

# The words lab_ethN and lab_gateways stand on the kernel's command line and so in init's environment.
START_SCRIPT = """\
#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t cgroup2 cgroup2 /sys/fs/cgroup
for module in $(cat /etc/modules); do insmod /lib/modules/$module; done
echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad
echo 0 > /proc/sys/net/ipv6/conf/default/router_solicitations
ip link set lo up
for card in 0 1 2 3; do
  eval addresses="\\$lab_eth$card"
  [ -n "$addresses" ] || continue
  echo 0 > /proc/sys/net/ipv6/conf/eth$card/accept_dad
  ip link set eth$card up
  for address in $(echo $addresses | tr , ' '); do ip addr add $address dev eth$card; done
done
for gateway in $(echo $lab_gateways | tr , ' '); do
  case $gateway in
    *:*) ip -6 route add default via $gateway dev eth0 ;;
    *) ip route add default via $gateway dev eth0 ;;
  esac
done
hostname $lab_name
"""


def initramfs(kernel: Kernel) -> Path:
    """The cached file for this kernel, written when its content is new."""
    content = _archive(kernel)
    path = cache_folder() / "initramfs" / f"{kernel.name}-{hashlib.sha256(content).hexdigest()[:16]}"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        forget_old(path.parent, f"{kernel.name}-" + "?" * 16)
        write_atomically(path, gzip.compress(content, compresslevel=1, mtime=0))
    return path


def _archive(kernel: Kernel) -> bytes:
    if not BUSYBOX.exists():
        raise LabError(f"{BUSYBOX} is missing: install busybox-static")
    modules = kernel.modules(*BOOT_MODULES)
    archive = Cpio()
    for folder in ("bin", "dev", "etc", "lib", "lib/modules", "proc", "root", "run", "sys", "tmp", "usr", "usr/bin"):
        archive.folder(folder)
    archive.file("bin/busybox", BUSYBOX.read_bytes(), 0o755)
    for applet in ("sh", "mount", "insmod", "ip", "cat", "tr", "echo", "hostname", "ls", "ps", "kill", "sleep", "head",
                   "tail", "grep", "wc", "id", "ping", "netstat", "dd", "rm", "mkdir", "cp", "ln", "true", "uname", "cut"):
        archive.link(f"bin/{applet}", "busybox")
    archive.link("init", "bin/busybox")
    archive.file("etc/inittab", INITTAB.encode())
    archive.file("etc/rc", START_SCRIPT.encode(), 0o755)
    archive.file("etc/modules", "\n".join(path.name for path in modules).encode())
    for path in kernel.modules(*BOOT_MODULES, *MORE_MODULES):
        archive.file(f"lib/modules/{path.name}", path.read_bytes())
    archive.file("usr/bin/agent", guest_program().read_bytes(), 0o755)
    return archive.finish()


class Cpio:
    """Writes the "newc" format, all owned by root, without times: the same input gives the same bytes."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._inode = 0

    def folder(self, name: str) -> None:
        self._entry(name, stat.S_IFDIR | 0o755, b"")

    def file(self, name: str, content: bytes, mode: int = 0o644) -> None:
        self._entry(name, stat.S_IFREG | mode, content)

    def link(self, name: str, target: str) -> None:
        self._entry(name, stat.S_IFLNK | 0o777, target.encode())

    def finish(self) -> bytes:
        self._entry(TRAILER, 0, b"")
        return b"".join(self._parts)

    def _entry(self, name: str, mode: int, content: bytes) -> None:
        self._inode += 1
        path = name.encode() + b"\0"
        links = 2 if stat.S_ISDIR(mode) else 1
        #         inode        mode  uid gid links  time size       dev      rdev   name size  check
        numbers = [self._inode, mode, 0, 0, links, 0, len(content), 0, 0, 0, 0, len(path), 0]
        header = b"070701" + b"".join(b"%08x" % number for number in numbers)
        self._parts += [_padded(header + path), _padded(content)]


def _padded(content: bytes) -> bytes:
    return content + b"\0" * (-len(content) % 4)
