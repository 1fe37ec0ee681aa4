"""The tree itself: documents that exist, versions that agree, nothing of one machine in it."""
import pathlib
import re
import subprocess
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def tracked(*patterns):
    """Files git knows, or every file outside build/ where there is no git (a source archive)."""
    done = subprocess.run(["git", "-C", str(ROOT), "ls-files", *patterns], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return [ROOT / line for line in done.stdout.splitlines()]


class Tree(unittest.TestCase):
    def test_documents_exist_and_are_short(self):
        limits = {"README.md": 100, "ARCHITECTURE.md": 260, "CONTRIBUTING.md": 160, "SECURITY.md": 90,
                  "CHANGELOG.md": 2000}
        for name, most in limits.items():
            with self.subTest(document=name):
                lines = (ROOT / name).read_text().splitlines()
                self.assertGreater(len(lines), 10)
                self.assertLessEqual(len(lines), most)

    def test_changelog_names_the_version(self):
        version = re.search(r"project\(outguard VERSION ([\d.]+)",
                            (ROOT / "CMakeLists.txt").read_text()).group(1)
        self.assertIn(version, (ROOT / "CHANGELOG.md").read_text())

    def test_nothing_of_one_machine(self):
        """No home folder, work folder or package host is named in a tracked text file."""
        forbidden = re.compile(r"/ho" r"me/\w|/ro" r"ot/|/wo" r"rk/|deb\.deb" r"ian\.org|/tmp/bu" r"ild-")
        files = [f for f in tracked() if f.suffix not in (".png",) and f.is_file()]
        self.assertGreater(len(files), 50)
        found = [f"{file.relative_to(ROOT)}: {match.group(0)}" for file in files
                 for match in [forbidden.search(file.read_text(errors="replace"))] if match]
        self.assertEqual(found, [])

    def test_includes_are_written_from_the_source_root(self):
        wrong = [str(file.relative_to(ROOT)) for file in tracked("src/*.cpp", "src/*.h")
                 if re.search(r'#include "(\.|[^/"]+")', file.read_text())]
        self.assertEqual(wrong, [])

    def test_headers_say_what_they_are(self):
        """A header opens with #pragma once and a comment."""
        wrong = [str(file.relative_to(ROOT)) for file in tracked("src/*.h")
                 if not file.read_text().startswith("#pragma once\n//")]
        self.assertEqual(wrong, [])

    def test_todo_names_an_issue(self):
        wrong = [str(file.relative_to(ROOT)) for file in tracked("src/*", "lab/*", "bench/*")
                 if re.search(r"\b(TODO|FIXME|XXX)\b(?!\(#)", file.read_text(errors="replace"))]
        self.assertEqual(wrong, [])


if __name__ == "__main__":
    unittest.main()
