"""The lab's kernel module (module/lab_hide.c), built for one of Debian's kernels and loaded into a guest.

    with hiding(guest, pid=started.pid, task_list=1, pid_table=1, seq_port=4444): ...

Headers and kbuild scripts of the kernel's own package version are fetched through the private apt, like
the kernel itself, and unpacked into the cache. The host's gcc compiles: the kernel only warns when it was
built by another one.
"""

import base64
import contextlib
import gzip
import hashlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from .errors import LabError
from . import kernels
from .guest import Guest
from .kernels import SUITES, Kernel
from .mirror import PrivateApt
from .storage import LAB_FOLDER, cache_folder, locked, new_folder, progress

SOURCE = LAB_FOLDER / "module"
NAME = "lab_hide"
IN_GUEST = f"/tmp/{NAME}.ko"
CHUNK = 2048  # characters of one command to the agent


@contextlib.contextmanager
def hiding(guest: Guest, **parameters: int) -> Iterator[None]:
    """Loads the module with its parameters; removes it again, which undoes what can be undone."""
    load(guest, **parameters)
    try:
        yield
    finally:
        unload(guest)


def load(guest: Guest, **parameters: int) -> None:
    """Returns when everything asked for is hidden."""
    if guest.sh(f"[ -e {IN_GUEST} ]")[0] != 0:
        _send(guest, hide_module(kernels.fetch(guest.options.kernel)).read_bytes())
    words = " ".join(f"{name}={value}" for name, value in parameters.items())
    _must(guest, f"insmod {IN_GUEST} {words}")


def unload(guest: Guest) -> None:
    _must(guest, f"/bin/busybox rmmod {NAME}")


def _send(guest: Guest, content: bytes) -> None:
    """Over the agent's serial line, so that guests that load no module need not carry one."""
    text = base64.b64encode(gzip.compress(content)).decode()
    for start in range(0, len(text), CHUNK):
        _must(guest, f"echo {text[start:start + CHUNK]} >> {IN_GUEST}.text")
    _must(guest, f"/bin/busybox base64 -d {IN_GUEST}.text | /bin/busybox gunzip > {IN_GUEST}")


def _must(guest: Guest, command: str) -> None:
    status, output = guest.sh(command)
    if status != 0:
        raise LabError(f"{guest.name}: {command[:100]}: {output.strip()}\n{guest.console()[-500:]}")


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
