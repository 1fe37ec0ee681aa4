"""Detections that people judged, by the whole real path: public feeds compiled with the warninglists loaded, a
capture replayed, alerts out. Where OUTGUARD_SHARED_DATA holds curated-detections.tsv, the feeds and the captures."""
import collections
import gzip
import json
import os
import pathlib
import tempfile
import unittest

from support import outguard

DATA = pathlib.Path(os.environ.get("OUTGUARD_SHARED_DATA", "/nonexistent"))
JUDGED = DATA / "curated-detections.tsv"
REASON = "no judged detections: OUTGUARD_SHARED_DATA names no folder with curated-detections.tsv"
FEEDS = {"zeek": DATA / "intel/zeek-intel-cps", "maltrail": DATA / "intel/maltrail/trails/static"}
WARNINGLISTS = DATA / "intel/misp-warninglists/lists"
# Neither true nor false: a feed of resolvers or of dynamic names says what it is for. They are raised, but for:
EXACT = "Zeek's names are themselves alone, and the packet shows one under it"
RESOLVER = "on the warninglist of public resolvers"
POPULAR = "on a warninglist of the most popular names"
SUFFIX = "a public suffix: everybody's names are under it"
NOT_RAISED = {
    ("tls-sni", "jp.tiar.app"): RESOLVER, ("tls-sni", "odvr.nic.cz"): RESOLVER,
    ("tls-sni", "dns.adguard.com"): RESOLVER, ("tls-sni", "dns10.quad9.net"): POPULAR,
    ("tls-sni", "dns.google"): POPULAR, ("http-host", "dyndns.org"): SUFFIX,
    ("dns-query", "jp.tiar.app"): EXACT, ("dns-query", "opennic.i2pd.xyz"): EXACT,
    ("dns-query", "rdns.faelix.net"): EXACT, ("dns-query", "v.dnscrypt.uk"): EXACT,
    ("tls-sni", "meganerd.nl"): EXACT,
}

Row = collections.namedtuple("Row", "capture frame observable indicator feeds verdict")


def judged():
    with JUDGED.open() as lines:
        next(lines)
        return [Row(*line.rstrip("\n").split("\t")) for line in lines]


def feed_file(name):
    """Of "zeek:doh-domains", "maltrail:malware/emotet"; None for one that is not here."""
    kind, _, rest = name.partition(":")
    folder = FEEDS.get(kind)
    for ending in (".intel", ".txt"):
        if folder is not None and (folder / (rest + ending)).exists():
            return folder / (rest + ending)
    return None


@unittest.skipUnless(JUDGED.exists(), REASON)
class Curated(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.by_capture = collections.defaultdict(list)
        for row in judged():
            cls.by_capture[row.capture].append(row)

    def raised(self, capture, rows, *options):
        """The indicators of the alerts of a capture, from the feeds that its rows name. What a feed that is not
        here (any more) said stands in a list of its own: the guards have to know it whoever says it."""
        feeds = {file for row in rows for name in row.feeds.split(";") if (file := feed_file(name))}
        said = self.folder / "said.txt"
        said.write_text("nowhere-seen.net\n" + "".join(f"{row.indicator}\n" for row in rows
                                if row.verdict.startswith("FALSE") or not any(map(feed_file, row.feeds.split(";")))))
        path = DATA / "captures" / capture
        if path.suffix == ".gz":
            plain = self.folder / path.stem
            plain.write_bytes(gzip.decompress(path.read_bytes()))
            path = plain
        code, output, problems = outguard("replay", "--pcap", str(path), "--intel", str(said), *map(str, sorted(feeds)),
                                          *options, "-o", "json", timeout=300)
        self.assertEqual(code, 0, problems)
        alerts = [json.loads(line) for line in output.splitlines()]
        return {alert["alert"]["context"]["indicator"]["value"].lower().removeprefix("http://") for alert in alerts
                if alert["event_type"] == "alert"}

    def test_every_row_is_judged_as_people_did(self):
        counts = collections.Counter()
        for capture, rows in self.by_capture.items():
            raised = self.raised(capture, rows, "--warninglists", str(WARNINGLISTS))
            for row in rows:
                verdict = row.verdict.split()[0]
                told = row.indicator.lower() in raised
                counts[verdict, told] += 1
                why_not = NOT_RAISED.get((row.observable.split()[0], row.indicator))
                with self.subTest(capture=capture, indicator=row.indicator, verdict=row.verdict):
                    self.assertEqual(told, verdict != "FALSE" and why_not is None, why_not)
        self.assertEqual(counts, {("TRUE", True): 7, ("FALSE", False): 23, ("policy", True): 22, ("policy", False): 11,
                                  ("match", False): 1})

    def test_without_its_guard_it_would_be_raised(self):
        """The packets do show what is listed: it is the guard that keeps it from being told."""
        for capture, rows in self.by_capture.items():
            guarded = [row for row in rows if row.indicator in ("10.10.1.1", "198.51.100.1")
                       or NOT_RAISED.get((row.observable.split()[0], row.indicator)) in (RESOLVER, POPULAR)]
            guarded = [row for row in guarded if "pbb" not in row.capture]  # 802.1ah, which is not opened
            if guarded:
                with self.subTest(capture=capture):
                    self.assertLessEqual({row.indicator for row in guarded},
                                         self.raised(capture, guarded, "--allow-reserved"))


if __name__ == "__main__":
    unittest.main()
