"""A recorded guest, where OUTGUARD_SHARED_DATA holds one: `ps` and `sockets` on its memory dump equal what the
guest printed and what an independent walk found."""
import json
import os
import pathlib
import unittest

from support import in_json, rows

DATA = pathlib.Path(os.environ.get("OUTGUARD_SHARED_DATA", "/nonexistent"))
DUMP = DATA / "mem.elf"
REASON = "no recorded guest: OUTGUARD_SHARED_DATA names no folder with mem.elf"
# include/net/tcp_states.h; UDP and raw sockets use the same numbers.
STATES = (None, "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE",
          "CLOSE_WAIT", "LAST_ACK", "LISTEN", "CLOSING", "NEW_SYN_RECV")


@unittest.skipUnless(DUMP.exists(), REASON)
class Recorded(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.answers = json.loads((DATA / "answers.json").read_text())
        cls.truth = (DATA / "truth.txt").read_text(errors="surrogateescape")

    def test_processes(self):
        seen = {row["pid"]: row for row in rows("ps", f"file:{DUMP}")}
        for line in self.truth.splitlines():
            if not line.startswith("proc "):
                continue
            head, _, cmdline = line.partition(" cmdline=")
            fields = dict(word.partition("=")[::2] for word in head.split()[1:] if "=" in word)
            row = seen.get(int(fields["pid"]))
            with self.subTest(line=line):
                if row is None:  # the shell that printed the line ended before memory was taken
                    self.assertIn(fields["comm"], ("init", "cat", "ls", "readlink", "tr", "sh", "awk"))
                    continue
                self.assertEqual(row["ppid"], int(fields["ppid"]))
                if fields["exe"] and " " not in fields["exe"]:
                    self.assertEqual(row["exe"], in_json(fields["exe"]))
                self.assertEqual(row["netns"], int(fields["netns"].strip("net:[]")))
                self.assertEqual(" ".join(row["cmdline"]).strip(), in_json(cmdline.strip()))
        walked = {process["pid"]: process["ppid"] for process in self.answers["processes"]}
        # Memory was taken after the list was printed: init had gone on to its last command by then.
        later = {pid for pid, row in seen.items() if row["cmdline"] == ["sleep", "3600"] and row["ppid"] == 1}
        self.assertLessEqual(len(later), 1)
        self.assertEqual({pid: row["ppid"] for pid, row in seen.items() if pid not in later}, walked)

    def test_socket_descriptors(self):
        seen = set()
        for row in rows("sockets", f"file:{DUMP}"):
            state = STATES.index(row["state"])
            seen |= {(owner["pid"], owner["fd"], row["inode"], row["local_ip"], row["local_port"],
                      row["remote_ip"], row["remote_port"], state) for owner in row["owners"]}
        missing = []
        for socket in self.answers["sockets"]:
            key = tuple(socket[name] for name in
                        ("pid", "fd", "inode", "laddr", "lport", "raddr", "rport", "state"))
            if key not in seen:
                missing.append(socket)
        self.assertEqual(missing, [])


if __name__ == "__main__":
    unittest.main()
