"""The direction of the design: who may include whom, as each folder's README says and the design rules."""
import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src"
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.M)


def module_folders():
    """Every folder of src/ that holds sources, as a path relative to src/."""
    folders = {file.parent.relative_to(SOURCE) for pattern in ("*.cpp", "*.h")
               for file in SOURCE.rglob(pattern)}
    return sorted(folders)


def may_include(folder):
    """The folders named on the `May include:` line of a folder's README."""
    text = (SOURCE / folder / "README.md").read_text()
    line = re.search(r"^May include:(.*(?:\n(?!\n).*)*)", text, re.M)
    if line is None:
        return None
    return set(re.findall(r"[a-z]+(?:/[a-z]+)?", re.sub(r"\(.*?\)", "", line.group(1), flags=re.S)))


def folder_of(include):
    parts = include.split("/")
    return "/".join(parts[:2]) if parts[0] == "guest" else parts[0]


class Layers(unittest.TestCase):
    def test_every_include_is_allowed_by_the_folder(self):
        wrong = []
        for folder in module_folders():
            allowed = may_include(folder) | {str(folder)}
            for file in sorted((SOURCE / folder).glob("*.[ch]*")):
                test_only = "_test" in file.stem or file.stem.endswith("_fuzzer")
                for include in INCLUDE.findall(file.read_text()):
                    target = folder_of(include)
                    covered = target in allowed or target.split("/")[0] in allowed
                    if not covered and not (test_only and target == "guest/testing"):
                        wrong.append(f"{file.relative_to(ROOT)} includes {include}")
        self.assertEqual(wrong, [])

    def test_design_rules(self):
        for folder in module_folders():
            top = str(folder).split("/")[0]
            allowed = may_include(folder)
            with self.subTest(folder=str(folder)):
                if top not in ("sensor", "guest"):
                    self.assertFalse({a for a in allowed if a.startswith("guest")},
                                     "only sensor includes guest")
                if top != "daemon" and top != "respond":
                    self.assertNotIn("respond", allowed, "only daemon includes respond")
                if top == "base":
                    self.assertEqual(allowed - {"nothing"}, set())
                if top == "facts":
                    self.assertLessEqual(allowed, {"base"})
                if str(folder) == "policy":
                    self.assertLessEqual(allowed, {"base", "facts"}, "sensors judge with it: no files, no YAML")
                if top in ("guest", "intel", "fetch"):
                    self.assertFalse(allowed & {"hypervisor", "respond", "daemon", "store", "launch",
                                                "detect", "sensor", "cli"})

    def test_every_folder_has_a_short_readme_that_says_it(self):
        for folder in module_folders():
            readme = SOURCE / folder / "README.md"
            with self.subTest(folder=str(folder)):
                self.assertTrue(readme.exists())
                self.assertLessEqual(len(readme.read_text().splitlines()), 20)
                self.assertIsNotNone(may_include(folder))

    def test_hostile_bytes_have_fuzzers(self):
        """A folder that parses what guest, network or feeds wrote holds a fuzzer."""
        for folder in ("guest/memory", "guest/packets", "guest/protocols", "guest/symbols",
                       "guest/linux", "intel", "facts", "fetch", "hypervisor"):
            with self.subTest(folder=folder):
                self.assertTrue(list((SOURCE / folder).glob("*_fuzzer.cpp")))


if __name__ == "__main__":
    unittest.main()
