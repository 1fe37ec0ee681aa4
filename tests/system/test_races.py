"""A guest whose processes and sockets come and go as fast as they can, read in a loop: no row mixes two of them.

Every process of the storm tells its pid in its name, its arguments and its ports, so that each row decides by
itself whether it is of one process (lab/guest/roles_storm.cpp, bench/race_reader.cpp)."""
import os
import unittest

from storms import read_churn
from support import Lab, why_not

SECONDS = int(os.environ.get("OUTGUARD_RACE_SECONDS", "20"))  # the bench runs 60
LONGEST = 5.0  # seconds of one call, on a machine that does other things as well; quiet: some milliseconds


@unittest.skipIf(why_not(), why_not())
class Races(unittest.TestCase):
    def check(self, **options):
        with Lab() as lab:
            found = read_churn(lab.guest(cpus=2, **options), SECONDS)
        self.assertEqual(found["wrong"], 0, found)
        for call in ("ps", "sockets", "who"):
            self.assertGreater(found[call]["decided"], 100, found)  # else nothing was tested
            self.assertLess(found[call]["us"]["max"], LONGEST * 1e6, found)
        torn = found["ps"]["torn"]
        self.assertLess(torn, 0.01 * found["ps"]["rows"], found)

    def test_through_process_memory(self):
        self.check(kernel="5.10-cloud")

    def test_mapped(self):
        self.check(kernel="6.12-cloud", memfd=True)


if __name__ == "__main__":
    unittest.main()
