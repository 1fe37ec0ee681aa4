"""Intelligence that changes while VMs are guarded: added, removed, rewritten, shrunken, fetched, damaged."""
import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time
import unittest

from support import Lab, Supervisor, outguard, why_not
from test_fetch import Server, send

NEVER_ASKED = [f"198.51.100.{i}" for i in range(1, 101)]  # what a feed holds beside what is tested
OTHER = "203.0.113.66"


def replace(path, text):
    """As `outguard intel add` does it."""
    fresh = pathlib.Path(f"{path}.new")
    fresh.write_text(text)
    os.rename(fresh, path)


@unittest.skipIf(why_not(), why_not())
class IntelReload(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.lab = self.enterContext(Lab())
        self.guest = self.lab.guest(kernel="6.1-cloud")
        self.changes = self.folder / "changes"
        self.feed = self.folder / "feed.txt"
        self.write_feed(NEVER_ASKED)

    def write_feed(self, values):
        replace(self.feed, "".join(f"{value}\n" for value in values))

    def run_supervisor(self, *words, **intel):
        """Guards the guest with this `intel` section."""
        section = {"files": [{"path": str(self.feed), "allow_reserved": True}], "changes": str(self.changes),
                   "cache": str(self.folder / "cache"), **intel}
        config = self.folder / "outguard.yaml"
        config.write_text(json.dumps({"intel": section}))  # JSON is YAML
        self.supervisor = self.enterContext(Supervisor(self.folder, "--config", str(config), "--vm",
                                                       self.guest.uuid, *words))
        self.supervisor.wait_for_log(f"{self.guest.name}: ready")

    def wait_for_lines(self, text, count, timeout=30):
        """Until `text` stands in the log so often."""
        log = self.supervisor.log
        self.supervisor.wait_until(lambda: log.read_text().count(text) >= count, f"{count} lines {text!r}", timeout)

    def connect(self, address, port=4444):
        """One process in the guest that talks to it; its pid."""
        return self.guest.run("tcp-client", f"{address}:{port}", 600).pid

    def alerts_of(self, pid):
        return [alert for alert in self.supervisor.alerts()
                if alert.get("event_type") == "alert" and alert["process"] and alert["process"]["pid"] == pid]

    def assert_alert(self, address, port=4444):
        pid = self.connect(address, port)
        alert = self.supervisor.wait_for_alert(
            lambda one: one.get("event_type") == "alert" and one["process"] and one["process"]["pid"] == pid)
        self.assertEqual(alert["dest_ip"], address)
        return alert

    def assert_no_alert(self, address, port=4444):
        """Judged once an alert of a later connection is there."""
        pid = self.connect(address, port)
        self.assert_alert(NEVER_ASKED[0], 7)
        self.assertEqual(self.alerts_of(pid), [])
        return pid

    def delays(self):
        return [int(ms) for ms in re.findall(r"delta in force: .*?, (\d+) ms", self.supervisor.log.read_text())]

    def test_single_adds_and_removes(self):
        self.run_supervisor()
        before = self.assert_no_alert(OTHER)
        replace(self.changes / "added", f"# by hand\n{OTHER}\n")
        self.supervisor.wait_for_log("delta in force: 1 added, 0 removed")
        # A connection that was there is told too, once, and of the process that began it.
        self.supervisor.wait_for_alert(lambda one: one in self.alerts_of(before))
        self.assert_alert(OTHER)
        self.assertEqual([one["dest_ip"] for one in self.alerts_of(before)], [OTHER])
        # One of the feed is taken out, and the added one with it.
        replace(self.changes / "added", "# nothing\n")
        replace(self.changes / "removed", f"{NEVER_ASKED[1]}\n{OTHER}\n")
        self.supervisor.wait_for_log("delta in force: 0 added, 2 removed")
        self.assert_no_alert(OTHER)
        self.assert_no_alert(NEVER_ASKED[1])
        # It stays so when the feed is compiled anew.
        self.write_feed(NEVER_ASKED + ["203.0.113.67"])
        self.supervisor.wait_for_log("intelligence in force: 101 indicators")
        self.assert_alert("203.0.113.67")
        self.assert_no_alert(NEVER_ASKED[1])
        # A bad line costs itself, a file of bad lines nothing.
        replace(self.changes / "removed", f"{OTHER}\nnot a value !\n")
        self.supervisor.wait_for_log("removed:2:")
        self.supervisor.wait_for_log("delta in force: 0 added, 1 removed")
        self.assert_alert(NEVER_ASKED[1])
        replace(self.changes / "removed", "not a value !\n")
        self.supervisor.wait_for_log("what was in force stays")
        os.unlink(self.changes / "removed")
        self.supervisor.wait_for_log("delta in force: 0 added, 0 removed")
        self.assertLess(min(self.delays()), 2000, self.delays())
        print(f"  from rename() to in force: {self.delays()} ms", flush=True)

    def test_a_sensor_that_starts_later_has_it_too(self):
        """Also where single adds are all there is."""
        self.run_supervisor(files=[])
        self.supervisor.wait_for_log("nothing but single adds is matched")
        replace(self.changes / "added", f"{OTHER}\n{NEVER_ASKED[0]}\n")
        self.supervisor.wait_for_log("delta in force: 2 added, 0 removed")
        self.assert_alert(OTHER)
        (sensor,) = subprocess.run(["pgrep", "-P", str(self.supervisor.process.pid), "outguard-sensor"], text=True,
                                   stdout=subprocess.PIPE, check=True).stdout.split()
        os.kill(int(sensor), signal.SIGKILL)
        self.supervisor.wait_for_log("the sensor is started again")
        self.wait_for_lines(f"{self.guest.name}: ready", 2)
        self.assert_alert(OTHER)
        replace(self.changes / "added", f"{NEVER_ASKED[0]}\n")
        self.supervisor.wait_for_log("delta in force: 1 added, 0 removed")
        self.assert_no_alert(OTHER)
        os.rename(self.changes / "added", self.changes / "removed")
        self.supervisor.wait_for_log("delta in force: 0 added, 1 removed")
        pid = self.connect(NEVER_ASKED[0])
        replace(self.changes / "added", f"{OTHER}\n")
        self.supervisor.wait_for_log("delta in force: 1 added, 1 removed")
        self.assert_alert(OTHER)
        self.assertEqual(self.alerts_of(pid), [])
        self.assertNotIn("error", self.supervisor.log.read_text())

    def test_a_feed_that_changes(self):
        self.run_supervisor()
        self.assert_no_alert(OTHER)
        self.write_feed(NEVER_ASKED + [OTHER])
        self.supervisor.wait_for_log("intelligence in force: 101 indicators")
        self.assert_alert(OTHER)
        # Shrunken, gone, empty, binary: what is in force stays, and the log says why and what to do.
        refused = "intelligence not replaced, 101 indicators stay in force"
        self.write_feed(NEVER_ASKED[:10])
        self.supervisor.wait_for_log(f"{refused}: {self.feed}: 10 of 101 entries left (shrunken). If this is right, "
                                     f"`kill -HUP {self.supervisor.process.pid}` puts it in force")
        self.assert_alert(OTHER)
        os.unlink(self.feed)
        self.wait_for_lines(refused, 2)
        self.assert_alert(OTHER)
        for text, reason in (("", "empty file"), ("a\0b", "binary data")):
            replace(self.feed, text)
            self.supervisor.wait_for_log(reason)
        self.wait_for_lines(refused, 4)
        self.assert_alert(OTHER)
        self.assertEqual(self.supervisor.log.read_text().count("intelligence in force"), 2)

    def test_the_user_accepts_what_was_told_and_nothing_else(self):
        self.run_supervisor()
        refused = "intelligence not replaced"

        def hang_up():
            self.supervisor.process.send_signal(signal.SIGHUP)
        self.write_feed(NEVER_ASKED[:10])
        self.supervisor.wait_for_log("10 of 100 entries left")
        self.write_feed(NEVER_ASKED[:5])  # told in its turn
        self.supervisor.wait_for_log("5 of 100 entries left")
        self.assert_alert(NEVER_ASKED[50])
        hang_up()
        self.supervisor.wait_for_log("accepted by SIGHUP")
        self.supervisor.wait_for_log("intelligence in force: 5 indicators")
        self.assert_no_alert(NEVER_ASKED[50])
        self.assertEqual(self.supervisor.log.read_text().count(refused), 2)
        # No indicator at all is never accepted.
        replace(self.feed, "# nothing\n")
        self.wait_for_lines(refused, 3)
        hang_up()
        self.wait_for_lines(refused, 4)
        self.assert_alert(NEVER_ASKED[0])

    def test_a_feed_over_http(self):
        body = "".join(f"{value}\n" for value in [OTHER, "198.51.100.200"]).encode()
        answers = [lambda request: send(request, status=500), lambda request: send(request, body)]
        hold = []

        def handle(request):
            while not hold:
                time.sleep(0.05)
            answers[-1](request)
        server = self.enterContext(Server(handle))
        feed = {"url": server.url("/feed.txt?key=secret"), "name": "partner", "allow_reserved": True}
        self.run_supervisor(feeds=[feed])
        self.assert_no_alert(OTHER)
        hold.append(True)
        self.supervisor.wait_for_log("intelligence in force: 102 indicators from 2 sources")
        alert = self.assert_alert(OTHER)
        self.assertIn("partner", json.dumps(alert["alert"]))
        self.assertNotIn("secret", self.supervisor.log.read_text() + json.dumps(alert))
        # The next run has it before anything is fetched, and a server that fails takes nothing away.
        answers.pop()
        self.supervisor.__exit__()
        self.run_supervisor(feeds=[feed])
        self.supervisor.wait_for_log("feed partner: not fetched, its last good copy stays")
        self.assert_alert(OTHER)

    def test_a_damaged_image(self):
        image = self.folder / "image"
        code, output, problems = outguard("intel", "compile", str(self.feed), "--allow-reserved", "--out", str(image))
        self.assertEqual(code, 0, output + problems)
        self.run_supervisor(files=[str(image)])
        self.assert_alert(NEVER_ASKED[1])
        damaged = bytearray(image.read_bytes())
        damaged[len(damaged) // 2] ^= 1
        fresh = self.folder / "fresh"
        fresh.write_bytes(damaged)
        os.rename(fresh, image)
        self.supervisor.wait_for_log("intelligence not replaced, 100 indicators stay in force")
        self.assert_alert(NEVER_ASKED[2])

    def swap_for(self, seconds):
        """Exchanges image and delta as fast as they go; how often, and the counters told afterwards."""
        swaps = 0
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            swaps += 1
            replace(self.changes / "added", f"{OTHER}\n192.0.2.{swaps % 250}\n")
            if swaps % 5 == 0:
                self.write_feed(NEVER_ASKED + [f"203.0.113.{100 + swaps % 100}"])
            time.sleep(0.1)
        told = self.supervisor.log.read_text().count("packets seen=")
        self.wait_for_lines("packets seen=", told + 1)
        seen, processed, dropped = re.findall(r"packets seen=(\d+) processed=(\d+)(.*)",
                                              self.supervisor.log.read_text())[-1]
        lost = {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", dropped)}
        self.assertEqual(int(seen), int(processed) + sum(lost.values()))
        return swaps, int(seen), lost

    def test_swaps_under_load_lose_no_packet(self):
        self.run_supervisor("--debug")
        talkers = [self.guest.run("udp-client", f"203.0.113.{i}:5555", 0.001).pid for i in range(1, 5)]
        # A host that does other things may itself lose some, but not in each of three rounds: a swap would.
        earlier = 0
        for _ in range(3):
            swaps, seen, lost = self.swap_for(11)  # counters are told every 10 s
            self.assertGreater(swaps, 50)
            self.assertEqual(lost.get("bad_record", 0), 0)
            lost_before, earlier = earlier, lost.get("lost_in_kernel", 0)
            print(f"  {swaps} changes, {seen} packets, dropped: {lost}", flush=True)
            if earlier == lost_before:
                break
        self.assertEqual(earlier, lost_before)
        self.assert_alert(OTHER)
        self.assert_alert(NEVER_ASKED[3])
        self.assertEqual([self.guest.alive(pid) for pid in talkers], [True] * 4)
        self.assertGreater(seen, 2000)
        self.assertGreater(len(self.delays()) + self.supervisor.log.read_text().count("intelligence in force"), 10)
        if earlier == 0:
            self.assertNotIn("packets or reports were lost", self.supervisor.log.read_text())


if __name__ == "__main__":
    unittest.main()
