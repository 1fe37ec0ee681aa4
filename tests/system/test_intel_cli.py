"""The intelligence commands and replay, as an analyst uses them: explain, stats, images, changes, summaries."""
import gzip
import json
import os
import pathlib
import pty
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest

from support import Lab, OUTGUARD, outguard, rows, whole_lines, why_not
from test_bad_input import BAD_ADDRESS, ipv4_udp, pcap
from test_dump import Qmp

LIST = f"""# ours
{BAD_ADDRESS}
evil-domain.com
10.1.2.3
co.uk
300.1.2.3
5.6.7.0/24
http://bad-host.org/dropper/x.exe
"""
CSV = ("value,type,confidence,valid_until\n"
       "expired-domain.com,domain,90,2001-01-01T00:00:00Z\n"
       "both.com,domain,40,2101-01-01T00:00:00Z\n")


class Files(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.list = self.file("list.txt", LIST)

    def file(self, name, content):
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)


class Explain(Files):
    def explain(self, *words, code=0, lists=()):
        got, output, problems = outguard("intel", "explain", *words, "-o", "json", "--intel", self.list, *lists)
        self.assertEqual(got, code, problems)
        return [json.loads(line) for line in output.splitlines()]

    def test_what_matches_and_who_says_so(self):
        second = self.file("second.txt", f"{BAD_ADDRESS}\n")
        row, = self.explain(BAD_ADDRESS, lists=[second])
        self.assertEqual(row["verdict"], "matches")
        self.assertEqual(row["indicators"][0]["sources"], [f"{self.list}:2", f"{second}:1"])
        row, = self.explain("www.evil-domain.com")
        self.assertEqual((row["verdict"], row["indicators"][0]["value"]), ("matches", "evil-domain.com"))
        code, output, _ = outguard("intel", "explain", BAD_ADDRESS, "--intel", self.list, second)
        self.assertIn("MATCHES", output)
        self.assertIn("also in     " + second + ":1", output)
        self.assertEqual(code, 0)

    def test_why_not(self):
        lists = ["--intel", self.file("feed.csv", CSV),
                 "--allowlist", self.file("allow.txt", "5.6.7.8 # our scanner\n")]
        cases = (("10.1.2.3", "refused", lambda row: row["refused"][0]["line"] == 4 and "private" in row["guard"]),
                 ("www.co.uk", "refused", lambda row: row["refused"][0]["reason"].startswith("public suffix")),
                 ("300.1.2.3", "refused", lambda row: row["guard"] is None),
                 ("expired-domain.com", "expired", lambda row: row["indicators"][0]["valid_until"] > 0),
                 ("5.6.7.8", "allowed", lambda row: row["allowed_by"]["comment"] == "our scanner"),
                 ("a.b.nothing.net", "not_listed", lambda row: "nothing.net with subdomains" in row["tried"]),
                 ("8.8.8.8", "not_listed", lambda row: "resolver" in row["guard"]))
        for value, verdict, check in cases:
            with self.subTest(value):
                row, = self.explain(value, code=6, lists=lists)
                self.assertEqual(row["verdict"], verdict)
                self.assertTrue(check(row), row)

    def test_an_allowlist_holds_for_every_type(self):
        values = ["http://bad-host.org/dropper/x.exe", "/gate/panel.php", f"{BAD_ADDRESS}:443", "a" * 32, "b" * 64]
        lists = [self.file("more.txt", "\n".join(values)), "--allowlist", self.file("allow.txt", " # ours\n".join(values))]
        for value in values:
            also = value.startswith(BAD_ADDRESS)  # the address by itself is listed too, and not allowed
            row, = self.explain(value, lists=lists, code=0 if also else 6)
            states = {one["type"]: one["state"] for one in row["indicators"]}
            self.assertEqual(row["verdict"], "matches" if also else "allowed", value)
            self.assertEqual(states.pop("address", None), "matches" if also else None)
            self.assertEqual(set(states.values()), {"allowed"}, value)

    def test_a_star_means_all_that_begins_so(self):
        stars = self.file("stars.txt", "http://kit-host.org/a/*\n")
        row, = self.explain("http://kit-host.org/a/b?c", lists=[stars])
        self.assertEqual((row["verdict"], row["indicators"][0]["value"]), ("matches", "http://kit-host.org/a/"))
        self.explain("http://kit-host.org/b", lists=[stars], code=6)

    def test_flows_and_alerts(self):
        found = self.explain("tcp", "10.0.0.2:4444", f"{BAD_ADDRESS}:443")
        self.assertEqual([row["what"] for row in found], ["remote address", "remote endpoint"])
        self.assertEqual(self.explain(f"tcp 10.0.0.2:4444 {BAD_ADDRESS}:443"), found)
        alert = {"event_type": "alert", "flow_id": 7, "src_ip": "10.0.0.2", "src_port": 4444, "dest_ip": "9.9.1.1",
                 "dest_port": 443, "alert": {"context": {"indicator": {"matched": {
                     "kind": "tls-sni", "value": "x.evil-domain.com"}}}}}
        found = self.explain(json.dumps(alert))
        self.assertEqual([row["verdict"] for row in found], ["not_listed", "not_listed", "matches"])
        eve = self.file("eve.json", json.dumps({**alert, "flow_id": 8}) + "\n{bad\n" + json.dumps(alert) + "\n")
        found = self.explain("7", "--eve", eve)
        self.assertEqual(found[2]["what"], "tls-sni")
        self.explain("99", "--eve", eve, code=6)

    def test_mistakes_are_said(self):
        for words, code in ((("tcp", "10.0.0.2:4444"), 2), (("tcp", "x", "y"), 2), (("{}",), 2),
                            (("x.com", "--eve", self.list), 2)):
            with self.subTest(words):
                got, output, problems = outguard("intel", "explain", *words, "--intel", self.list)
                self.assertEqual((got, output), (code, ""))
                self.assertNotEqual(problems, "")
        got, _, problems = outguard("intel", "explain", "x.com", "--intel", str(self.folder / "none"))
        self.assertEqual(got, 1)
        self.assertIn("No such file", problems)


class Check(Files):
    def check(self, *words, code=0):
        got, output, problems = outguard("intel", "check", *words)
        self.assertEqual(got, code, output + problems)
        return output, problems

    def test_what_a_folder_leaves_out_is_said(self):
        below = self.folder / "below"
        below.mkdir()
        (below / "more.txt").write_text(LIST)
        output, problems = self.check(str(self.folder))
        self.assertIn(f"{self.folder}: folders in it are not read, 1 here", problems)
        self.assertIn(f"{self.list} (list): 4 accepted, 3 rejected", output)
        empty = below / "empty"
        empty.mkdir()
        self.assertIn(f"{empty}: no file in this folder", self.check(self.list, str(empty))[1])
        self.assertEqual(self.check(str(below / "more.txt"))[1], "")

    def test_what_is_no_feed_at_all_takes_few_lines(self):
        prose = self.file("README.md", "All of this\nis not a feed\nbut prose\n" * 20)
        output, _ = self.check(self.list, prose, code=1)
        self.assertIn("refused: no indicator in it (60 rejected", output)
        self.assertEqual(output.count("README.md:"), 3)
        self.assertIn("... and 57 more rejected lines", output)
        self.assertEqual(output.count("list.txt:"), 3, "the feed that is good tells all")


class Images(Files):
    def image(self):
        path = str(self.folder / "all.img")
        code, _, problems = outguard("intel", "compile", self.list, "--out", path)
        self.assertEqual(code, 0, problems)
        return path

    def test_an_image_serves_wherever_lists_do(self):
        image = self.image()
        self.assertEqual(outguard("intel", "lookup", BAD_ADDRESS, "--intel", image)[0], 0)
        self.assertEqual(outguard("intel", "explain", BAD_ADDRESS, "--intel", image)[0], 0)
        self.assertEqual(rows("intel", "stats", image)[0]["indicators"], 4)
        self.assertEqual(rows("intel", "check", image)[0]["accepted"], 4)
        capture = self.file("one.pcap", pcap(ipv4_udp("10.0.0.2", BAD_ADDRESS)))
        code, output, problems = outguard("replay", "--pcap", capture, "--intel", image)
        self.assertEqual(code, 0, problems)
        self.assertIn(BAD_ADDRESS, output)

    def test_only_alone_and_only_whole(self):
        image = self.image()
        allow = self.file("allow.txt", "9.9.9.9\n")
        for words in (("--intel", image, self.list), ("--intel", image, image), ("--intel", image, "--allowlist", allow),
                      ("--intel", self.list, "--allowlist", image), ("--intel", self.list, "--warninglists", image)):
            with self.subTest(words):
                code, output, problems = outguard("intel", "lookup", BAD_ADDRESS, *words)
                self.assertEqual((code, output), (1, ""))
                self.assertRegex(problems, "alone|indicators")

    def test_damage_and_other_versions_are_refused(self):
        whole = pathlib.Path(self.image()).read_bytes()
        version = bytearray(whole)
        version[16] ^= 0x40
        cases = [("version", bytes(version), "version"), ("short", whole[:100], "too short"),
                 ("cut", whole[:-1], "cut off"), ("grown", whole + b"x", "grown")]
        for at in (30, 200, len(whole) // 2, len(whole) - 1):
            damaged = bytearray(whole)
            damaged[at] ^= 1
            cases.append((f"bit{at}", bytes(damaged), "damaged|cut off|version"))
        for name, content, why in cases:
            with self.subTest(name):
                code, output, problems = outguard("intel", "stats", self.file(name, content))
                self.assertEqual((code, output), (1, ""))
                self.assertRegex(problems, f"{name}: intelligence image: .*({why})")


class Changes(Files):
    def change(self, word, *values, code=0, more=()):
        got, _, problems = outguard("intel", word, *values, "--changes", str(self.folder / "changes"), *more)
        self.assertEqual(got, code, problems)
        return problems

    def listed(self):
        return {(row["change"], row["value"]) for row in rows("intel", "changes", "--changes",
                                                              str(self.folder / "changes"))}

    def test_add_and_remove(self):
        self.change("add", "Evil.COM.", "1.2.3.4")
        self.change("add", "evil.com")
        self.assertEqual(self.listed(), {("added", "evil.com"), ("added", "1.2.3.4")})
        self.change("remove", "EVIL.com")
        self.assertEqual(self.listed(), {("removed", "evil.com"), ("added", "1.2.3.4")})
        self.change("add", "evil.com")
        self.assertEqual(self.listed(), {("added", "evil.com"), ("added", "1.2.3.4")})
        # What the files hold is a plain list.
        added = self.folder / "changes" / "added"
        self.assertEqual(rows("intel", "check", str(added))[0]["accepted"], 2)

    def test_what_is_refused_changes_nothing(self):
        lists = self.file("known.json", json.dumps({"name": "Known fine", "type": "hostname", "version": 1,
                                                    "matching_attributes": ["domain"], "list": ["fine-site.com"]}))
        self.assertIn("private range", self.change("add", "8.1.1.1", "10.0.0.1", code=5))
        self.assertIn("public suffix", self.change("add", "co.uk", code=5))
        self.assertIn("Known fine", self.change("add", "fine-site.com", code=5, more=["--warninglists", lists]))
        self.assertIn("malformed", self.change("add", "300.1.1.1", code=2))
        self.change("add", "two words", code=2)
        self.change("add", "evil.com\n1.2.3.4", code=2)
        self.assertFalse((self.folder / "changes").exists())
        self.change("add", "10.0.0.1", more=["--allow-reserved"])
        self.change("remove", "10.0.0.1")

    def test_many_at_once_lose_nothing(self):
        runs = [threading.Thread(target=self.change, args=("add", f"a{i}.com", f"b{i}.com")) for i in range(8)]
        for run in runs:
            run.start()
        for run in runs:
            run.join()
        self.assertEqual(len(self.listed()), 16)


class Replay(Files):
    def capture(self, name="some.pcap", packets=500):
        return self.file(name, pcap(*(ipv4_udp("10.0.0.2", BAD_ADDRESS if i % 100 == 0 else f"9.8.{i // 250 % 250}.{i % 250}")
                                      for i in range(packets)), b"\x02" * 6))

    def replay(self, capture, *words):
        code, output, problems = outguard("replay", "--pcap", capture, "--intel", self.list, *words)
        self.assertEqual(code, 0, problems)
        return output, problems

    def test_the_last_record_adds_up(self):
        output, _ = self.replay(self.capture(), "-o", "json")
        *events, stats = map(json.loads, output.splitlines())
        self.assertEqual({event["event_type"] for event in events}, {"alert", "flow"})
        alert = next(event["alert"] for event in events if event["event_type"] == "alert")
        self.assertEqual((alert["signature_id"], alert["signature"], alert["severity"]),
                         (9100001, "Outguard: listed address contacted", 1), "judged as by a guard")
        self.assertEqual(stats["event_type"], "stats")
        packets = stats["packets"]
        self.assertEqual(packets["seen"], 501)
        self.assertEqual(packets["seen"], packets["processed"] + sum(packets["dropped"].values()))
        self.assertEqual(sum(packets["dropped"].values()), 1, "the runt")
        self.assertEqual(set(stats["stages_us"]),
                         {"read", "decode+flows", "protocols", "match", "attribution", "report", "other"})
        self.assertLess(abs(sum(stats["stages_us"].values()) - stats["elapsed_us"]), 10, "rounding alone")
        for name in ("quic_hellos", "http2_refused", "certificates_lost"):
            self.assertEqual(stats["counters"][name], 0)

    def test_summary_for_people_and_eve_to_a_file(self):
        eve = self.folder / "eve.json"
        output, problems = self.replay(self.capture(), "--eve", str(eve))
        self.assertIn(BAD_ADDRESS, output)
        self.assertNotIn("event_type", output)
        self.assertIn("packets seen 501, processed 500; dropped: ", problems)
        self.assertRegex(problems, r"(?m)^  match +\d+\.\d ms +\d+ %$")
        events = whole_lines(eve)
        self.assertEqual(events[-1]["event_type"], "stats")
        self.assertIn("alert", {event["event_type"] for event in events})
        self.assertNotIn("\r", problems, "no progress bar where there is no terminal")

    def test_an_endpoint_that_is_allowed_is_not_told(self):
        capture = self.file("one.pcap", pcap(ipv4_udp("10.0.0.2", BAD_ADDRESS)))
        listed = self.file("endpoints.txt", f"{BAD_ADDRESS}:5000\n")

        def counters(*words):
            code, output, problems = outguard("replay", "--pcap", capture, "--intel", listed, "-o", "json", *words)
            self.assertEqual(code, 0, problems)
            return json.loads(output.splitlines()[-1])["counters"]
        told = counters()
        allowed = counters("--allowlist", self.file("allow.txt", f"{BAD_ADDRESS}:5000 # ours\n"))
        other = counters("--allowlist", self.file("other.txt", f"{BAD_ADDRESS}:5001 # ours\n"))
        self.assertEqual((told["matches"], told["matches_allowed"]), (1, 0))
        self.assertEqual((allowed["matches"], allowed["matches_allowed"]), (0, 1))
        self.assertEqual((other["matches"], other["matches_allowed"]), (1, 0))

    def test_progress_on_a_terminal(self):
        small = pathlib.Path(self.capture(packets=2000)).read_bytes()
        capture = self.file("large.pcap", small[:24] + small[24:] * 1000)
        terminal, theirs = pty.openpty()
        with subprocess.Popen([OUTGUARD, "replay", "--pcap", capture, "--intel", self.list],
                              stdout=subprocess.DEVNULL, stderr=theirs) as run:
            os.close(theirs)
            shown = b""
            while True:
                try:
                    piece = os.read(terminal, 65536)
                except OSError:
                    break
                shown += piece
            self.assertEqual(run.wait(60), 0)
        os.close(terminal)
        self.assertRegex(shown.decode(), r"\[#* *\] +\d+ % of \d+ MiB, \d+ packets, \d+\.\d\d M/s")
        self.assertIn(b"packets seen 2001000", shown)

    def test_gzip(self):
        plain = pathlib.Path(self.capture()).read_bytes()
        output, problems = self.replay(self.file("packed.pcap.gz", gzip.compress(plain)))
        self.assertIn(BAD_ADDRESS, output)
        self.assertIn("packets seen 501", problems)
        code, _, problems = outguard("replay", "--intel", self.list, "--pcap",
                                     self.file("cut.pcap.gz", gzip.compress(plain)[:-9]))
        self.assertEqual(code, 1)
        self.assertIn("the gzip data ends early", problems)
        code, _, problems = outguard("replay", "--intel", self.list, "--pcap",
                                     self.file("packed.pcap.xz", b"\xfd7zXZ\0" + bytes(50)))
        self.assertEqual(code, 1)
        self.assertIn("unpack it first", problems)
        self.assertNotIn("packets seen", problems, "nothing came: zeros would hide why")


def tcp_syn(local, remote, when):
    """A capture of one SYN at a time."""
    ends = [(socket.inet_aton(address), port) for address, port in (local, remote)]
    tcp = struct.pack("!HHIIBBHHH", ends[0][1], ends[1][1], 1, 0, 0x50, 2, 1000, 0, 0)
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 1, 0, 64, 6, 0, ends[0][0], ends[1][0])
    frame = b"\x02" * 6 + b"\x04" * 6 + b"\x08\x00" + header + tcp
    return (struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, 1)
            + struct.pack("<IIII", int(when), 0, len(frame), len(frame)) + frame)


@unittest.skipIf(why_not(), why_not())
class ReplayWithMemory(Files):
    def test_a_live_guest_and_its_dump_name_the_process_and_their_age(self):
        with Lab() as lab:
            guest = lab.guest(kernel="6.1-cloud", ram=256)
            guest.run("tcp-client", "203.0.113.66:4444", 600)
            client = next(row for row in rows("sockets", guest.target) if row["remote_port"] == 4444)
            began = time.time() - 3600
            capture = self.file("hour-old.pcap", tcp_syn((client["local_ip"], client["local_port"]),
                                                         (client["remote_ip"], 4444), began))
            with Qmp(guest.qmp_path) as qmp:
                dump = self.folder / "memory.elf"
                qmp.run("dump-guest-memory", paging=False, protocol=f"file:{dump}")
            pid = client["owners"][0]["pid"]
            digest = guest.sh(f"sha256sum /proc/{pid}/exe")[1].split()[0]
            intel = self.file("lab.txt", "203.0.113.66\n")
            of_file = self.file("file.csv", f"value,type\n{digest},sha256\n")
            for target in (guest.target, f"file:{dump}"):
                with self.subTest(target):
                    replayed = rows("replay", "--pcap", capture, "--memory", target, "--intel", of_file)
                    by_file, = (row for row in replayed if row["event_type"] == "alert")
                    counters = replayed[-1]["counters"]
                    self.assertEqual((counters["matches"], counters["files_looked_at"]), (1, 1), "counted at the end")
                    self.assertEqual(by_file["alert"]["context"]["indicator"]["value"], digest)
                    self.assertEqual(by_file["process"]["pid"], pid)
                    alert = next(row for row in rows("replay", "--pcap", capture, "--memory", target, "--intel", intel,
                                                     "--allow-reserved") if row["event_type"] == "alert")
                    self.assertEqual(alert["process"]["pid"], pid)
                    attribution = alert["attribution"]
                    self.assertEqual(attribution["status"], "cached", "an hour lies between packet and memory")
                    self.assertLess(abs(attribution["age_us"] / 1e6 - 3600), 300)
                    self.assertEqual(attribution["latency_us"], 0)


if __name__ == "__main__":
    unittest.main()
