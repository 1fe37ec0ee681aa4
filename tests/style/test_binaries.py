"""What the built programs and libraries hold, read with nm: the boundary, checked where it cannot lie."""
import pathlib
import re
import subprocess
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
RELEASE = ROOT / "build" / "release"


def symbols(file, *flags):
    done = subprocess.run(["nm", "-C", *flags, str(file)], text=True, check=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return done.stdout


def undefined_names(file):
    return set(re.findall(r"^\s+[UwV] ([A-Za-z_]\w*)", symbols(file, "--undefined-only"), re.M))


class Binaries(unittest.TestCase):
    def assert_no_symbol(self, program, namespace):
        found = re.findall(rf"\b{namespace}::\w+", symbols(RELEASE / "bin" / program))
        self.assertEqual(found[:3], [], f"{program} holds {namespace}")

    def test_the_check_sees_symbols_at_all(self):
        self.assertIn("outguard::guest::", symbols(RELEASE / "bin" / "outguard-sensor"))
        self.assertIn("outguard::respond::", symbols(RELEASE / "bin" / "outguardd"))

    def test_the_supervisor_holds_no_parser_of_hostile_bytes(self):
        self.assert_no_symbol("outguardd", "outguard::guest")
        self.assert_no_symbol("outguardd", "outguard::intel")

    def test_the_command_can_neither_parse_nor_harm(self):
        self.assert_no_symbol("outguard", "outguard::guest")
        self.assert_no_symbol("outguard", "outguard::intel")
        self.assert_no_symbol("outguard", "outguard::respond")

    def test_the_sensor_can_neither_act_nor_open(self):
        for namespace in ("respond", "hypervisor", "launch", "store"):
            self.assert_no_symbol("outguard-sensor", f"outguard::{namespace}")
        forbidden = {"open", "open64", "openat", "openat64", "socket", "connect", "bind", "execve",
                     "execvp", "fork", "vfork", "pwrite", "pwrite64", "process_vm_writev", "ptrace",
                     "sendto", "system", "popen"}
        self.assertEqual(undefined_names(RELEASE / "bin" / "outguard-sensor") & forbidden, set())

    def test_the_fetcher_neither_parses_guests_nor_acts(self):
        for namespace in ("guest", "intel", "respond", "hypervisor", "launch", "store"):
            self.assert_no_symbol("outguard-fetch", f"outguard::{namespace}")
        forbidden = {"execve", "execvp", "fork", "vfork", "ptrace", "process_vm_writev", "system", "popen",
                     "listen", "accept"}
        self.assertEqual(undefined_names(RELEASE / "bin" / "outguard-fetch") & forbidden, set())

    def test_only_the_fetcher_speaks_http(self):
        self.assertIn("curl_easy_perform", undefined_names(RELEASE / "bin" / "outguard-fetch"))
        for program in ("outguard", "outguardd", "outguard-sensor"):
            self.assertFalse({n for n in undefined_names(RELEASE / "bin" / program) if n.startswith("curl_")})

    def test_guest_throws_nothing(self):
        libraries = [*RELEASE.glob("src/libguest_*.a")]
        self.assertGreaterEqual(len(libraries), 6)
        for library in libraries:
            if "testing" in library.name:
                continue
            with self.subTest(library=library.name):
                self.assertNotIn("__cxa_throw", undefined_names(library))

    def test_hardening(self):
        for program in ("outguard", "outguardd", "outguard-sensor", "outguard-fetch"):
            header = subprocess.run(["readelf", "-hldW", RELEASE / "bin" / program], text=True,
                                    check=True, stdout=subprocess.PIPE).stdout
            with self.subTest(program=program):
                self.assertRegex(header, r"Type:\s+DYN")
                self.assertIn("GNU_RELRO", header)
                self.assertIn("BIND_NOW", header)
                self.assertRegex(header, r"GNU_STACK\s+\S+ \S+ \S+ \S+ \S+ RW ")


if __name__ == "__main__":
    unittest.main()
