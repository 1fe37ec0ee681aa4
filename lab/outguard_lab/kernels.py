"""Debian's kernels: which ones the lab knows, and how one gets into the cache.

A kernel in the cache is a folder with vmlinuz, config, release and modules/*.ko, the latter only those
that the guest may want, already decompressed.
"""

import lzma
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .errors import LabError
from .mirror import PrivateApt
from .storage import cache_folder, locked, new_folder, progress

# Series -> groups of suites, tried in this order until one has that series.
SUITES = {
    "5.10": [["bullseye", "bullseye-security"]],
    "6.1": [["bookworm", "bookworm-security"]],
    "6.12": [["bookworm-backports"], ["trixie", "trixie-security"]],
}
NAMES = [series + flavour for series in SUITES for flavour in ("", "-cloud")]

# Loaded at boot: network cards, and veth for a second network namespace.
BOOT_MODULES = ("virtio_pci", "virtio_net", "veth")
# Stand in /lib/modules of the guest, for `Guest.load`. What a kernel has built in, or has not, is left out.
MORE_MODULES = ("virtio_blk", "virtio_balloon", "overlay", "vsock", "vsock_loopback", "vmw_vsock_virtio_transport",
                "sctp", "dccp_ipv4", "l2tp_ip", "vxlan", "wireguard", "dummy", "tun", "unix_diag", "netlink_diag",
                "sch_ingress", "cls_bpf")


@dataclass(frozen=True)
class Kernel:
    """One kernel in the cache. `folder` belongs to the cache: read only."""

    name: str
    folder: Path

    @property
    def image(self) -> Path:
        return self.folder / "vmlinuz"

    @property
    def release(self) -> str:
        """What `uname -r` will say in the guest."""
        return (self.folder / "release").read_text().strip()

    def modules(self, *wanted: str) -> list[Path]:
        """The files of `wanted` and all they depend on, in loading order; built-in ones are left out."""
        order: list[Path] = []
        for name in wanted:
            self._add_module(name, order)
        return order

    def _add_module(self, name: str, order: list[Path]) -> None:
        path = self.folder / "modules" / f"{name}.ko"
        if not path.exists() or path in order:
            return
        for dependency in module_dependencies(path):
            self._add_module(dependency, order)
        order.append(path)


def fetch(name: str) -> Kernel:
    """The kernel `name` (one of NAMES), fetched when it is not in the cache yet."""
    if name not in NAMES:
        raise LabError(f"unknown kernel {name}; known: {' '.join(NAMES)}")
    folder = cache_folder() / "kernels" / name
    if not _is_whole(folder):
        with locked(f"kernel-{name}"):
            if not _is_whole(folder):
                shutil.rmtree(folder, ignore_errors=True)  # of an earlier version of the lab
                _fetch_into(name, folder)
    return Kernel(name, folder)


def cached(name: str) -> Kernel | None:
    """The kernel when it is there already; never fetches."""
    folder = cache_folder() / "kernels" / name
    return Kernel(name, folder) if _is_whole(folder) else None


def _is_whole(folder: Path) -> bool:
    """Whether the folder holds all that this version of the lab wants from a package."""
    wanted = folder / "wanted"
    return wanted.exists() and {*BOOT_MODULES, *MORE_MODULES} <= set(wanted.read_text().split())


def module_dependencies(path: Path) -> list[str]:
    """Read off the module itself (its .modinfo strings): Debian's package has no modules.dep yet."""
    match = re.search(rb"\0depends=([^\0]*)\0", path.read_bytes())
    return [name.replace("-", "_") for name in match.group(1).decode().split(",") if name] if match else []


def _fetch_into(name: str, folder: Path) -> None:
    series, _, flavour = name.partition("-")
    meta = "linux-image-cloud-amd64" if flavour else "linux-image-amd64"
    reasons = []
    for suites in SUITES[series]:
        with locked(f"apt-{suites[0]}"):
            apt = PrivateApt(cache_folder() / "apt" / suites[0], suites)
            apt.update()
            package = _versioned_package(apt, meta)
            if not package.startswith(f"linux-image-{series}."):
                reasons.append(f"{suites[0]} has {package}")
                continue
            progress(f"fetching {package} from {suites[0]}")
            deb = apt.download(package)
            try:
                with new_folder(folder) as work:
                    _extract(deb, work)
            finally:
                deb.unlink()
        return
    raise LabError(f"no kernel {series}: {'; '.join(reasons)}")


def _versioned_package(apt: PrivateApt, meta: str) -> str:
    depends = apt.control_field(meta, "Depends")
    match = re.search(r"linux-image-\d\S*", depends)
    if not match:
        raise LabError(f"{meta} depends on no kernel: {depends}")
    return match.group(0)


def _extract(deb: Path, target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=deb.parent) as scratch:
        tree = Path(scratch)
        subprocess.run(["dpkg-deb", "-x", deb, tree], check=True, timeout=300)
        image = next((tree / "boot").glob("vmlinuz-*"))
        release = image.name.removeprefix("vmlinuz-")
        shutil.copy(image, target / "vmlinuz")
        shutil.copy(tree / "boot" / f"config-{release}", target / "config")
        (target / "release").write_text(release + "\n")
        (target / "modules").mkdir()
        found = {path.name.split(".ko")[0].replace("-", "_"): path for path in tree.rglob("*.ko*")}
        pending = [*BOOT_MODULES, *MORE_MODULES]
        while pending:  # ends: a module is copied once
            module = pending.pop()
            copy = target / "modules" / f"{module}.ko"
            if module in found and not copy.exists():
                copy.write_bytes(_decompressed(found[module]))
                pending += module_dependencies(copy)
        (target / "wanted").write_text(" ".join([*BOOT_MODULES, *MORE_MODULES]) + "\n")


def _decompressed(path: Path) -> bytes:
    if path.suffix == ".xz":
        return lzma.decompress(path.read_bytes())
    if path.suffix == ".zst":
        return subprocess.run(["zstd", "-dc", path], check=True, capture_output=True, timeout=60).stdout
    return path.read_bytes()
