"""Kernels nobody has seen: every way a kernel may run, an ISF file instead of its own tables, RAM full of copies."""
import base64
import gzip
import hashlib
import pathlib
import tempfile
import unittest

import make_isf
from support import (Lab, compare_when_still, differences, expected_sockets, outguard, process_differences, rows,
                     seen_sockets, why_not)

from outguard_lab.storage import cache_folder  # support found the lab

ROLES = (("tcp-client", "203.0.113.66:4444", "600"), ("listener6", "[::]:8081"), ("udp-server", "0.0.0.0:5353"),
         ("deleted-exe", "203.0.113.66:4444", "600"), ("netns-client", "203.0.113.67:4444", "600"))

# What a kernel may be started with. PTI needs a processor that QEMU calls vulnerable, or to be asked for.
VARIANTS = (
    {"kernel": "5.10-cloud", "append": "pti=on", "ram": 256},
    {"kernel": "6.1-cloud", "append": "pti=on", "cpus": 2, "ram": 256},
    {"kernel": "6.1-cloud", "append": "nopti", "ram": 256},
    {"kernel": "6.12-cloud", "append": "pti=on nokaslr", "ram": 256},
    {"kernel": "5.10-cloud", "append": "nokaslr", "cpus": 2, "ram": 256},
    {"kernel": "6.1-cloud", "append": "pti=on", "cpu": "max", "cpus": 2, "ram": 256},
)


def label(options):
    return " ".join(f"{name}={value}" for name, value in options.items())


def with_roles(guest):
    for role, *words in ROLES:
        guest.run(role, *words)
    return guest


def isf_of(guest, folder, ending=".json"):
    """Made once for a kernel, and kept beside it."""
    (_, version), cache = guest.sh("cat /proc/version"), cache_folder() / "isf"
    kept = cache / f"{hashlib.sha256(version.encode()).hexdigest()[:16]}.json"
    if not kept.exists():
        fetch = lambda path: gzip.decompress(base64.b64decode(  # noqa: E731
            guest.sh(f"gzip -c < {path} | base64", timeout=120)[1]))
        text = make_isf.make(fetch("/sys/kernel/btf/vmlinux"), fetch("/proc/kallsyms").decode(), version)
        cache.mkdir(parents=True, exist_ok=True)
        make_isf.write(kept, text)
    path = pathlib.Path(folder) / (guest.truth().system["release"] + ending)
    make_isf.write(path, kept.read_text())
    return path


@unittest.skipIf(why_not(), why_not())
class Kernels(unittest.TestCase):
    def check(self, options, attach_ms=400):
        with Lab() as lab:
            guest = with_roles(lab.guest(**options))
            with self.subTest(label(options)):
                self.assertEqual(compare_when_still(guest), [])
                (row,) = rows("vm", "show", guest.target)
                kernel = row["kernel"]
                self.assertEqual(kernel["located_by"], "registers")
                words = options.get("append", "").split()
                self.assertEqual(kernel["kaslr_offset"] == 0, "nokaslr" in words)
                if "pti=on" in words:
                    self.assertIn("Mitigation: PTI", guest.sh("dmesg | grep -i isolation; "
                                  "cat /sys/devices/system/cpu/vulnerabilities/meltdown")[1]
                                  .replace("Kernel/User page tables isolation: enabled", "Mitigation: PTI"))
                # 25 to 40 ms on an idle machine: no RAM was scanned.
                shortest = min(sum(rows("vm", "show", guest.target)[0]["kernel"]["attach_us"].values())
                               for _ in range(8))
                self.assertLess(shortest / 1000, attach_ms)

    def test_page_table_isolation_and_fixed_places(self):
        for options in VARIANTS:
            self.check(options)

    def test_16_processors(self):
        self.check({"kernel": "6.1-cloud", "cpus": 16, "ram": 512})

    def test_64_gib_of_ram(self):
        """Sparse: the host gives only what the guest touches."""
        self.check({"kernel": "6.1-cloud", "ram": 65536})
        self.check({"kernel": "6.12-cloud", "ram": 65536, "memfd": True, "cpu": "max"})

    def test_a_paused_guest_is_paused_and_not_failed(self):
        with Lab() as lab:
            guest = with_roles(lab.guest(kernel="6.1-cloud", ram=256))
            truth = guest.truth()
            guest.qmp("stop")
            (row,) = rows("vm", "show", guest.target)
            self.assertEqual((row["state"], row["kernel"]["clock"]), ("ready", "paused"))
            self.assertEqual(process_differences(truth, rows("ps", guest.target)), [])
            guest.qmp("cont")


@unittest.skipIf(why_not(), why_not())
class SymbolFiles(unittest.TestCase):
    def test_a_file_tells_what_the_kernel_itself_tells(self):
        with Lab() as lab, tempfile.TemporaryDirectory() as folder:
            guest = with_roles(lab.guest(kernel="6.1-cloud", ram=512))
            plain, packed = isf_of(guest, folder), isf_of(guest, folder, ".json.xz")
            for _ in range(5):
                before = guest.truth()
                own = rows("ps", guest.target), rows("sockets", guest.target)
                filed = [(rows("ps", guest.target, "--symbols", str(path)),
                          rows("sockets", guest.target, "--symbols", str(path))) for path in (plain, packed)]
                if expected_sockets(before) == expected_sockets(guest.truth()):
                    break
            self.assertGreater(len(own[0]), 20)
            self.assertEqual(process_differences(before, filed[0][0]), [])
            self.assertEqual(differences(expected_sockets(before), seen_sockets(filed[0][1])), [])
            self.assertEqual(filed, [own, own])
            for path, source in ((plain, "isf"), (packed, "isf"), (folder, None)):
                (row,) = rows("vm", "show", guest.target, "--symbols", str(path))
                # A folder is for kernels that lack something; this one lacks nothing.
                self.assertEqual(row["kernel"]["types_from"], source or "btf")
                self.assertEqual(row["kernel"]["symbols_from"], source or "kallsyms")
            self.check_refusals(guest, plain, folder)

    def check_refusals(self, guest, good, folder):
        text = good.read_text()
        banner = '"constant_data": "'
        at = text.index(banner) + len(banner) + 20
        cases = {
            "another kernel": (text[:at] + "QUJD" + text[at + 4:], "the symbols file is of another kernel: Linux version"),
            "half a file": (text[:len(text) // 2], "the symbols file cannot be used: the file is no JSON"),
            "something else": ("{}", "the symbols file cannot be used: the file does not say which kernel"),
            "members elsewhere": (text.replace('"skc_state"', '"skc_stale"'), "sock_common.skc_state"),
        }
        for name, (changed, reason) in cases.items():
            with self.subTest(name):
                path = pathlib.Path(folder) / "bad.json"
                path.write_text(changed)
                code, output, problems = outguard("ps", guest.target, "--symbols", str(path))
                self.assertEqual((code, output), (1, ""))
                self.assertIn(reason, problems)


@unittest.skipIf(why_not(), why_not())
class PlantedCopies(unittest.TestCase):
    def test_copies_never_win(self):
        """Live by registers, and in a raw image by its note, which has hundreds of rivals."""
        for kernel in ("5.10-cloud", "6.1-cloud"):
            with self.subTest(kernel), Lab() as lab, tempfile.TemporaryDirectory() as folder:
                guest = lab.guest(kernel=kernel, ram=512)
                guest.run("planter", 40)
                with_roles(guest)
                self.assertEqual(compare_when_still(guest), [])
                (row,) = rows("vm", "show", guest.target)
                self.assertEqual(row["kernel"]["release"], guest.truth().system["release"])
                raw = pathlib.Path(folder) / "raw"
                for _ in range(5):
                    truth = guest.truth()
                    guest.qmp("stop")
                    guest.qmp("pmemsave", val=0, size=512 << 20, filename=str(raw))
                    guest.qmp("cont")
                    if expected_sockets(guest.truth()) == expected_sockets(truth):
                        break
                self.assertGreater(raw.read_bytes().count(b"OSRELEASE=9.9.9-planted"), 50, "copies are there")
                self.assertEqual(process_differences(truth, rows("ps", f"file:{raw}")), [])
                self.assertEqual(differences(expected_sockets(truth), seen_sockets(rows("sockets", f"file:{raw}"))), [])


if __name__ == "__main__":
    unittest.main()
