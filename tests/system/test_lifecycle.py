"""Guests that change under the guard: reboot, kexec, memory plugged in, memory taken back."""
import pathlib
import tempfile
import time
import unittest

from support import Lab, Supervisor, compare_when_still, why_not

BAD = "203.0.113.66"
REATTACH = 5  # seconds; the aim is one, and a loaded machine may take more


class Guarded:
    """A guest under `outguard run`; beacons in it raise alerts."""

    def __init__(self, folder, guest):
        feed = pathlib.Path(folder) / "feed.txt"
        feed.write_text(BAD + "\n")
        self.guest = guest
        self.supervisor = Supervisor(folder, "--intel", str(feed), "--allow-reserved", "--vm", guest.uuid)

    def __enter__(self):
        self.supervisor.__enter__()
        self.wait_ready(1, 30)
        return self

    def __exit__(self, *error):
        self.supervisor.__exit__(*error)

    def times_ready(self):
        return self.supervisor.log.read_text().count(": ready")

    def wait_ready(self, times, timeout):
        """Until the guard has been ready so often; how long that took."""
        start = time.monotonic()
        while self.times_ready() < times:
            if time.monotonic() - start > timeout:
                raise AssertionError(f"not ready {times} times; log:\n{self.supervisor.log.read_text()}")
            time.sleep(0.02)
        return time.monotonic() - start

    def alert_of_new_beacon(self):
        beacon = self.guest.run("tcp-client", f"{BAD}:4444", 1)
        alert = self.supervisor.wait_for_alert(
            lambda one: one["process"] is not None and one["process"]["pid"] == beacon.pid)
        self.guest.kill(beacon.pid)
        return alert


@unittest.skipIf(why_not(), why_not())
class Lifecycle(unittest.TestCase):
    def check_new_kernel(self, guarded, before, how):
        """The guest is up again: the guard is, too, and names the right process."""
        took = guarded.wait_ready(before + 1, REATTACH)
        print(f"  {how}: attached {took:.2f} s after the guest's first program answered", flush=True)
        self.assertIn("booting", guarded.supervisor.log.read_text())
        alert = guarded.alert_of_new_beacon()
        self.assertEqual(alert["attribution"]["status"], "exact")
        self.assertEqual(alert["process"]["exe"], "/usr/bin/tcp-client")
        self.assertEqual(alert["vm"]["kernel"], guarded.guest.truth().system["release"])

    def check_reboots(self, kernel, **options):
        with Lab() as lab, tempfile.TemporaryDirectory() as folder:
            guest = lab.guest(kernel=kernel, reboots=True, **options)
            with Guarded(folder, guest) as guarded:
                guarded.alert_of_new_beacon()
                before = guarded.times_ready()
                guest.kexec()
                guest.wait_ready()
                self.check_new_kernel(guarded, before, f"{kernel} kexec")
                before = guarded.times_ready()
                guest.reset()
                guest.wait_ready()
                self.check_new_kernel(guarded, before, f"{kernel} reset")
                self.assertEqual(compare_when_still(guest), [])

    def test_5_10_reboots(self):
        self.check_reboots("5.10")

    def test_6_1_reboots_in_mapped_memory(self):
        self.check_reboots("6.1", memfd=True)

    def test_6_12_reboots(self):
        self.check_reboots("6.12-cloud", cpus=2)

    def test_idle_and_paused_are_no_reboot(self):
        """A clock that stands proves nothing: the kernel is the same, and the guard stays ready."""
        with Lab() as lab, tempfile.TemporaryDirectory() as folder:
            guest = lab.guest(kernel="6.1-cloud")
            with Guarded(folder, guest) as guarded:
                time.sleep(2)
                guest.qmp("stop")
                time.sleep(3)
                guest.qmp("cont")
                alert = guarded.alert_of_new_beacon()
                self.assertEqual(alert["attribution"]["status"], "exact")
                self.assertEqual(guarded.times_ready(), 1, guarded.supervisor.log.read_text())

    def test_memory_is_plugged_in(self):
        """What a process has in the new memory is read as soon as the guest uses it."""
        with Lab() as lab, tempfile.TemporaryDirectory() as folder:
            guest = lab.guest(kernel="6.1", ram=512, most_ram=4096)
            with Guarded(folder, guest) as guarded:
                guarded.alert_of_new_beacon()
                guest.qmp("object-add", **{"qom-type": "memory-backend-ram", "id": "more", "size": 512 << 20})
                guest.qmp("device_add", driver="pc-dimm", id="dimm", memdev="more")
                status, output = guest.sh(
                    "sleep 1; for m in /sys/devices/system/memory/memory*/state; do "
                    "grep -q offline $m && echo online_kernel > $m; done; grep MemTotal /proc/meminfo")
                self.assertGreater(int(output.split()[1]), 900_000, (status, output))
                time.sleep(1)
                for _ in range(10):
                    alert = guarded.alert_of_new_beacon()
                    self.assertEqual(alert["attribution"]["status"], "exact")
                    self.assertEqual(alert["process"]["cmdline"], ["/usr/bin/tcp-client", f"{BAD}:4444", "1"])
                self.assertEqual(compare_when_still(guest), [])

    def test_balloon_takes_memory_back(self):
        with Lab() as lab, tempfile.TemporaryDirectory() as folder:
            guest = lab.guest(kernel="6.1", ram=768, balloon=True)
            guest.load("virtio_balloon")
            with Guarded(folder, guest) as guarded:
                for size in (384, 768, 320):
                    guest.qmp("balloon", value=size << 20)
                    end = time.monotonic() + 20
                    while guest.qmp("query-balloon")["actual"] != size << 20 and time.monotonic() < end:
                        time.sleep(0.1)
                    self.assertEqual(guest.qmp("query-balloon")["actual"], size << 20)
                    self.assertEqual(guarded.alert_of_new_beacon()["attribution"]["status"], "exact")
                    self.assertEqual(compare_when_still(guest), [])
                self.assertEqual(guarded.times_ready(), 1)


if __name__ == "__main__":
    unittest.main()
