"""Mistakes that the types make impossible: each snippet fails to compile, and its correct twin does not."""
import pathlib
import subprocess
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
HEAD = '''#include "base/result.h"
#include "guest/memory/address_space.h"
#include "guest/memory/memory_reader.h"
#include "guest/bytes/untrusted.h"
using namespace outguard;
using namespace outguard::guest;
void probe(MemoryReader &memory, AddressSpace &space, std::span<std::uint8_t> out);

void probe(MemoryReader &memory, AddressSpace &space, std::span<std::uint8_t> out) {
  (void)memory; (void)space; (void)out;
  %s
}
'''
# name: (wrong, right)
CASES = {
    "a virtual address is no physical one": (
        "(void)memory.read(GuestVirtual(1), out);", "(void)memory.read(GuestPhysical(1), out);"),
    "a bare number is no address": (
        "(void)memory.read(0x1000, out);", "(void)memory.read(GuestPhysical(0x1000), out);"),
    "a physical address is no virtual one": (
        "(void)space.read(GuestPhysical(1), out);", "(void)space.read(GuestVirtual(1), out);"),
    "an untrusted value is no number": (
        "int x = Untrusted<int>(3); (void)x;", "int x = Untrusted<int>(3).any_value(); (void)x;"),
    "addresses do not add": (
        "auto a = GuestVirtual(1) + 1; (void)a;", "auto a = GuestVirtual(1).plus(1); (void)a;"),
    "a result may not be dropped": ("memory.read(GuestPhysical(1), out);",
                                    "(void)memory.read(GuestPhysical(1), out);"),
    "an Fd is not copied": ("Fd a; Fd b = a;", "Fd a; Fd b = std::move(a);"),
    "guest text does not print itself": (
        "GuestText text; std::string s = text;", "GuestText text; std::string s = text.printable();"),
}


def compiles(compiler, body):
    source = '#include "base/fd.h"\n#include "facts/guest_text.h"\n' + HEAD % body
    done = subprocess.run(
        [compiler, "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Wno-unused", "-Wunused-result",
         "-Werror", f"-I{ROOT / 'src'}", "-xc++", "-"],
        input=source, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode == 0, done.stdout


class MustNotCompile(unittest.TestCase):
    def check(self, compiler):
        for name, (wrong, right) in CASES.items():
            with self.subTest(compiler=compiler, case=name):
                fine, output = compiles(compiler, right)
                self.assertTrue(fine, output)
                self.assertFalse(compiles(compiler, wrong)[0], "this compiled: " + wrong)

    def test_gcc(self):
        self.check("g++")

    def test_clang(self):
        self.check("clang++")


if __name__ == "__main__":
    unittest.main()
