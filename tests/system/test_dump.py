"""A live guest and its dumps give the same rows: every format that QEMU, virsh, LiME and makedumpfile write."""
import ctypes
import json
import pathlib
import shutil
import socket
import struct
import subprocess
import tempfile
import time
import unittest
import zlib

from support import Lab, differences, expected_sockets, outguard, process_differences, rows, seen_sockets, why_not

ROLES = (("tcp-client", "203.0.113.66:4444", 600), ("listener6", "[::]:8081"),
         ("deleted-exe", "203.0.113.66:4444", 600), ("hostile-name", "203.0.113.66:4444", 600))
# Of QEMU's dump-guest-memory: format -> further arguments.
ELF = {"elf": {"paging": False}, "elf-paging": {"paging": True}}
KDUMP = {name: {"paging": False, "format": name} for name in ("kdump-zlib", "kdump-lzo", "kdump-snappy")}


class Qmp:
    """One short connection."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(120)
        self.socket.connect(str(path))
        self.lines = self.socket.makefile()
        self.lines.readline()
        self.run("qmp_capabilities")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lines.close()
        self.socket.close()

    def run(self, command, **arguments):
        self.socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        while True:
            answer = json.loads(self.lines.readline())
            if "return" in answer or "error" in answer:
                assert "return" in answer, answer
                return answer["return"]


def elf_segments(core):
    """(physical address, offset in the file, length) of every PT_LOAD of an ELF core."""
    header = core.read(64)
    offset, = struct.unpack_from("<Q", header, 32)
    count, = struct.unpack_from("<H", header, 56)
    core.seek(offset)
    for _ in range(count):
        kind, _, at, _, physical, length = struct.unpack_from("<IIQQQQ", core.read(56))
        if kind == 1 and length:
            yield physical, at, length


def write_lime(core_path, lime_path):
    with open(core_path, "rb") as core, open(lime_path, "wb") as lime:
        for physical, at, length in list(elf_segments(core)):
            lime.write(struct.pack("<IIQQQ", 0x4C694D45, 1, physical, physical + length - 1, 0))
            core.seek(at)
            shutil.copyfileobj(iter_reader(core, length), lime, 1 << 20)


class iter_reader:
    """The next `length` bytes of a file, as a file."""

    def __init__(self, file, length):
        self.file, self.left = file, length

    def read(self, size):
        part = self.file.read(min(size, self.left))
        self.left -= len(part)
        return part


def lzo(page, out, work=ctypes.create_string_buffer(1 << 18)):
    length = ctypes.c_ulong(len(out))
    assert ctypes.CDLL("liblzo2.so.2").lzo1x_1_compress(page, len(page), out, ctypes.byref(length), work) == 0
    return length.value


def snappy(page, out):
    length = ctypes.c_size_t(len(out))
    assert ctypes.CDLL("libsnappy.so.1").snappy_compress(page, len(page), out, ctypes.byref(length)) == 0
    return length.value


def zstd(page, out):
    library = ctypes.CDLL("libzstd.so.1")
    library.ZSTD_compress.restype = ctypes.c_size_t
    return library.ZSTD_compress(out, len(out), page, len(page), 1)


COMPRESSORS = {2: lzo, 4: snappy, 0x20: zstd}  # by makedumpfile's flag of a page


def recompress(source, target, flag):
    """A kdump file of zlib pages with its pages compressed otherwise."""
    data = source.read_bytes()
    sub_blocks, bitmap_blocks = struct.unpack_from("<II", data, 432)
    bitmap = (1 + sub_blocks) * 4096
    first = bitmap + bitmap_blocks * 4096
    count = int.from_bytes(data[bitmap + bitmap_blocks * 2048:first], "little").bit_count()
    out = ctypes.create_string_buffer(16384)
    stored = {}  # offset there -> descriptor here
    with open(target, "wb") as file:
        file.write(data[:first])
        file.seek(first + 24 * count)
        table = b""
        for at in range(first, first + 24 * count, 24):
            offset, size, old_flag, page_flags = struct.unpack_from("<QIIQ", data, at)
            if offset not in stored:
                page = data[offset:offset + size]
                page = zlib.decompress(page) if old_flag & 1 else page
                length = COMPRESSORS[flag](page, out)
                new, new_flag = (out.raw[:length], flag) if length < 4096 else (page, 0)
                stored[offset] = struct.pack("<QIIQ", file.tell(), len(new), new_flag, page_flags)
                file.write(new)
            table += stored[offset]
        file.seek(first)
        file.write(table)


def content(row):
    """A row without the name of its source and the times that reading took."""
    return {name: value for name, value in row.items()
            if name not in ("vm", "latency_ns", "latency_us", "age_ns", "age_ms", "source")}


def all_rows(target, flow):
    code, output, problems = outguard("who", target, *flow, "-o", "json")
    assert code == 0, problems
    return {"ps": [content(row) for row in rows("ps", target)],
            "sockets": [content(row) for row in rows("sockets", target)],
            "who": [content(json.loads(line)) for line in output.splitlines()]}


@unittest.skipIf(why_not(), why_not())
class Dump(unittest.TestCase):
    maxDiff = 4000

    def take(self, guest, folder, formats):
        """Pauses the guest, has QEMU write it; returns what the live guest said meanwhile."""
        truth = guest.truth()
        client = next(row for row in truth.sockets if row["remote_port"] == 4444 and row["state"] == "ESTABLISHED")
        flow = ("tcp", f"{client['local_ip']}:{client['local_port']}", f"{client['remote_ip']}:4444")
        with Qmp(guest.qmp_path) as qmp:
            qmp.run("stop")
        live = all_rows(guest.target, flow)
        with Qmp(guest.qmp_path) as qmp:
            can = qmp.run("query-dump-guest-memory-capability")["formats"]
            for name, arguments in formats.items():
                if arguments.get("format", "elf") not in can:
                    print(f"this QEMU cannot write {name}: made here from another", flush=True)
                    continue
                qmp.run("dump-guest-memory", protocol=f"file:{folder / name}", **arguments)
            qmp.run("pmemsave", val=0, size=256 << 20, filename=str(folder / "raw"))
            qmp.run("cont")
        self.assertGreater(len(live["ps"]), 30)
        self.assertGreaterEqual(len(live["sockets"]), len(ROLES))
        self.assertEqual(live["who"][0]["status"], "exact")
        return truth, live, flow

    def check(self, live, flow, files):
        for file in files:
            with self.subTest(file.name):
                started = time.monotonic()
                dump = all_rows(f"file:{file}", flow)
                print(f"{file.name}: {file.stat().st_size >> 20} MiB, ps + sockets + who "
                      f"{time.monotonic() - started:.2f} s", flush=True)
                for command, expected in live.items():
                    self.assertEqual(dump[command], expected, command)

    def test_every_format(self):
        """Raw and LiME have no registers: there the kernel is found by what stands in RAM."""
        with Lab() as lab, tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            guest = lab.guest(kernel="6.1", ram=256)
            for role, *words in ROLES:
                guest.run(role, *words)
            truth, live, flow = self.take(guest, folder, ELF | KDUMP)
            lab_truth_is_live = process_differences(truth, live["ps"])
            self.assertEqual(lab_truth_is_live, [])
            self.assertEqual(differences(expected_sockets(truth), seen_sockets(live["sockets"])), [])
            write_lime(folder / "elf", folder / "lime")
            with open(folder / "kdump-zlib", "rb") as flat:
                subprocess.run(["makedumpfile", "-R", str(folder / "rearranged-zlib")], stdin=flat, check=True,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120)
            self.check(live, flow, [folder / name for name in
                                    (*ELF, *KDUMP, "raw", "lime", "rearranged-zlib")
                                    if (folder / name).exists()])
            for flag, library in ((2, "lzo"), (4, "snappy"), (0x20, "zstd")):
                recompress(folder / "rearranged-zlib", folder / library, flag)
                self.check(live, flow, [folder / library])
            with self.subTest("a dump that is cut"):
                cut = folder / "cut"
                cut.write_bytes((folder / "elf").read_bytes()[:-4096])
                code, output, problems = outguard("ps", f"file:{cut}")
                self.assertEqual((code, output), (1, ""))
                self.assertIn("truncated", problems)

    def test_other_kernels(self):
        for kernel in ("5.10", "6.12"):
            with self.subTest(kernel), Lab() as lab, tempfile.TemporaryDirectory() as name:
                folder = pathlib.Path(name)
                guest = lab.guest(kernel=kernel, ram=256)
                for role, *words in ROLES:
                    guest.run(role, *words)
                formats = {"elf": ELF["elf"], "kdump-zlib": KDUMP["kdump-zlib"]}
                _, live, flow = self.take(guest, folder, formats)
                self.check(live, flow, [folder / name for name in (*formats, "raw")])


if __name__ == "__main__":
    unittest.main()
