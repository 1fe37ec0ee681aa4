"""The tap's filter under older kernels: their verifiers take it, it attaches, and packets meet its rules."""
import os
import pathlib
import re
import subprocess
import tarfile
import tempfile
import unittest

from support import BIN, Lab, why_not

PROGRAM = BIN / "tap_in_guest"
PORT = 8099  # of a file server, where nothing else of the guest's world listens
MODULES = ("sch_ingress", "cls_bpf")


def packed(program, folder):
    """A program and all that it is linked with, as a tar file that unpacks at /."""
    linked = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    path = folder / "program.tar"
    with tarfile.open(path, "w") as tar:
        tar.add(program, f"tmp/{program.name}")
        for library in sorted(set(re.findall(r"(/\S+)", linked))):
            tar.add(os.path.realpath(library), library.lstrip("/"))
    return path


@unittest.skipIf(why_not(), why_not())
class OldKernels(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.archive = packed(PROGRAM, cls.folder)

    def bring(self, guest):
        server = subprocess.Popen(["ip", "netns", "exec", guest.world, "python3", "-m", "http.server", str(PORT)],
                                  cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            command = (f"for try in 1 2 3 4 5 6 7 8 9; do /bin/busybox wget -q -O /tmp/program.tar "
                       f"http://203.0.113.66:{PORT}/{self.archive.name} && break; sleep 1; done; "
                       "cd / && /bin/busybox tar xf /tmp/program.tar")
            status, output = guest.sh(command, timeout=120)
            self.assertEqual(status, 0, output)
        finally:
            server.terminate()
            server.wait()

    def check(self, guest):
        self.bring(guest)
        for module in MODULES:
            if guest.sh(f"[ -e /lib/modules/{module}.ko ] && insmod /lib/modules/{module}.ko")[0] != 0:
                self.skipTest(f"SKIPPED: the kernel {guest.options.kernel} has no module {module} here")
        status, output = guest.sh("mount -t bpf bpf /sys/fs/bpf && /tmp/tap_in_guest", timeout=120)
        self.assertEqual(status, 0, output + guest.console()[-2000:])
        self.assertNotIn("SKIP", output)
        self.assertNotIn("BUG:", guest.console())
        return re.findall(r"^ok hook (\w+)", output, re.M)

    def test_every_lab_kernel(self):
        hooks = {"5.10-cloud": ["clsact", "clsact"], "6.1-cloud": ["clsact", "clsact"], "6.12-cloud": ["clsact", "tcx"]}
        with Lab() as lab:
            guests = lab.guests_together(*({"kernel": kernel, "ram": 256} for kernel in hooks))
            for guest in guests:
                with self.subTest(kernel=guest.options.kernel):
                    self.assertEqual(self.check(guest), hooks[guest.options.kernel])
