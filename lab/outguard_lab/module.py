"""The lab's kernel module (module/lab_hide.c), built for one of Debian's kernels.

Headers and kbuild scripts of the kernel's own package version are fetched through the private apt, like
the kernel itself, and unpacked into the cache. The host's gcc compiles: the kernel only warns when it was
built by another one.
"""

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

from .errors import LabError
from .kernels import SUITES, Kernel
from .mirror import PrivateApt
from .storage import LAB_FOLDER, cache_folder, locked, new_folder, progress

SOURCE = LAB_FOLDER / "module"
NAME = "lab_hide"


def hide_module(kernel: Kernel) -> Path:
    """The cached lab_hide.ko for this kernel, built when the source is new."""
    content = b"".join(path.read_bytes() for path in sorted(SOURCE.iterdir()) if path.is_file())
    mark = hashlib.sha256(content + kernel.release.encode()).hexdigest()[:16]
    folder = cache_folder() / "modules" / f"{kernel.name}-{mark}"
    if not folder.exists():
        headers = fetch_headers(kernel)
        with locked(f"module-{kernel.name}"):
            if not folder.exists():
                progress(f"building {NAME} for {kernel.release}")
                with new_folder(folder) as work:
                    _build(headers, kernel.release, work)
    return folder / f"{NAME}.ko"


def fetch_headers(kernel: Kernel) -> Path:
    """A folder with usr/src/linux-headers-RELEASE and what it refers to."""
    folder = cache_folder() / "headers" / kernel.release
    if not folder.exists():
        with locked(f"headers-{kernel.name}"):
            if not folder.exists():
                with new_folder(folder) as work:
                    _fetch_into(kernel, work)
    return folder


def _fetch_into(kernel: Kernel, folder: Path) -> None:
    series = kernel.name.partition("-")[0]
    package = f"linux-headers-{kernel.release}"
    reasons = []
    for suites in SUITES[series]:
        with locked(f"apt-{suites[0]}"):
            apt = PrivateApt(cache_folder() / "apt" / suites[0], suites)
            try:
                depends = apt.control_field(package, "Depends")
            except LabError:
                apt.update()  # no index yet
                try:
                    depends = apt.control_field(package, "Depends")
                except LabError as error:
                    reasons.append(str(error))
                    continue
            wanted = re.findall(r"linux-(?:headers-[^\s,]+-common|kbuild-[^\s,]+)", depends)
            for name in (package, *wanted):
                progress(f"fetching {name} from {suites[0]}")
                deb = apt.download(name)
                try:
                    subprocess.run(["dpkg-deb", "-x", deb, folder], check=True, timeout=300)
                finally:
                    deb.unlink()
        _point_inside(folder)
        return
    raise LabError(f"no {package}: {'; '.join(reasons)}")


def _point_inside(folder: Path) -> None:
    """The makefiles include one of /usr/src; the packages' links are relative already."""
    for path in (folder / "usr" / "src").glob("linux-headers-*/Makefile"):
        path.write_text(path.read_text().replace("/usr/src/", "$(OUTGUARD_HEADERS)/usr/src/"))


def _build(headers: Path, release: str, work: Path) -> None:
    for path in SOURCE.iterdir():
        shutil.copy(path, work)
    tree = headers / "usr" / "src" / f"linux-headers-{release}"
    command = ["make", "-C", str(tree), f"M={work}", f"OUTGUARD_HEADERS={headers}", "CC=gcc", "HOSTCC=gcc",
               "CONFIG_DEBUG_INFO_BTF_MODULES=", "modules"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    built = work / f"{NAME}.ko"
    if done.returncode != 0 or not built.exists():
        raise LabError(f"{NAME} for {release}: {done.stdout[-2000:]}{done.stderr[-3000:]}")
    subprocess.run(["strip", "--strip-debug", built], check=True, timeout=60)
