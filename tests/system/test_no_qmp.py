"""A VM whose QEMU has no QMP socket: its memory is found by the machine type, and what is read equals the truth."""
import subprocess
import unittest

from support import Lab, compare_when_still, outguard, rows, why_not


@unittest.skipIf(why_not(), why_not())
class NoQmp(unittest.TestCase):
    def check(self, **options):
        with Lab() as lab:
            guest = lab.guest(qmp=False, **options)
            guest.run("tcp-client", "203.0.113.66:4444", 600)
            guest.run("listener6", "[::]:8081")
            self.assertEqual(compare_when_still(guest), [])
            vm = next(row for row in rows("vm", "list") if row["vm"] == guest.name)
            self.assertIn("memory layout inferred", " ".join(vm["gaps"]))
            self.assertIn("kill not possible", " ".join(vm["gaps"]))

    def test_pc(self):
        self.check(kernel="6.1", ram=256)

    def test_q35_with_memory_above_4_gib(self):
        """RAM in a memfd, split at 2 GiB: more than half of it stands above 4 GiB."""
        self.check(kernel="6.12", ram=5120, machine="q35", memfd=True)

    def test_a_machine_type_that_is_not_known(self):
        process = subprocess.Popen(["qemu-system-x86_64", "-M", "microvm", "-nodefaults", "-display", "none",
                                    "-accel", "tcg", "-m", "64"], stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        code, output, problems = outguard("ps", f"pid:{process.pid}")
        self.assertEqual((code, output), (1, ""))
        self.assertRegex(problems, "no QMP socket.*microvm")


if __name__ == "__main__":
    unittest.main()
