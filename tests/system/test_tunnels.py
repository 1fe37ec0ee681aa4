"""A capture of tunnels, replayed: what is inside matches, its alert says what it came in, and both accounts balance."""
import json
import pathlib
import socket
import struct
import tempfile
import unittest

from support import outguard

LISTED = "evil-of-tunnels.net"
CARRIER = ("203.0.113.1", "203.0.113.2")
INNER = ("10.8.0.2", "10.8.0.1")


def ipv4(protocol, ends, payload):
    return struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0,
                       *map(socket.inet_aton, ends)) + payload


def udp(source, destination, payload):
    return struct.pack(">HHHH", source, destination, 8 + len(payload), 0) + payload


def question(name):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack(">6H", 1, 0x100, 1, 0, 0, 0) + labels + struct.pack(">BHH", 0, 1, 1)


def frame(payload, kind=0x0800):
    return bytes(range(12)) + struct.pack(">H", kind) + payload


def pcap(*frames):
    head = struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1)
    return head + b"".join(struct.pack("<IIII", 1_700_000_000 + n, 0, len(one), len(one)) + one
                           for n, one in enumerate(frames))


ASKED = ipv4(17, INNER, udp(40000, 53, question(LISTED)))
TUNNELS = {
    "vxlan": ipv4(17, CARRIER, udp(999, 4789, struct.pack(">II", 0x08000000, 5 << 8) + frame(ASKED))),
    "geneve": ipv4(17, CARRIER, udp(999, 6081, struct.pack(">HHI", 0, 0x0800, 5 << 8) + ASKED)),
    "gre": ipv4(47, CARRIER, struct.pack(">HH", 0, 0x0800) + ASKED),
    "ip_in_ip": ipv4(4, CARRIER, ASKED),
}


class Tunnels(unittest.TestCase):
    def replay(self, *frames):
        with tempfile.TemporaryDirectory() as folder:
            capture, feed = pathlib.Path(folder, "tunnels.pcap"), pathlib.Path(folder, "feed.txt")
            capture.write_bytes(pcap(*frames))
            feed.write_text(f"{LISTED}\n")
            code, output, problems = outguard("replay", "--pcap", str(capture), "--intel", str(feed), "-o", "json")
        self.assertEqual(code, 0, problems)
        events = [json.loads(line) for line in output.splitlines()]
        stats = next(event for event in events if event["event_type"] == "stats")
        return ([event for event in events if event["event_type"] == "alert"],
                stats["counters"] | {name: stats["packets"][name] for name in ("seen", "processed")})

    def test_what_is_inside_matches_and_says_what_it_came_in(self):
        for kind, packet in TUNNELS.items():
            with self.subTest(kind=kind):
                alerts, counts = self.replay(frame(packet))
                self.assertEqual(len(alerts), 1)
                self.assertEqual((alerts[0]["src_ip"], alerts[0]["dest_ip"]), INNER)
                self.assertEqual(alerts[0]["alert"]["context"]["indicator"]["value"], LISTED)
                tunnel = alerts[0]["tunnel"]
                self.assertEqual((len(tunnel["kinds"]), tunnel["depth"]), (1, 1))
                self.assertEqual((tunnel["src_ip"], tunnel["dest_ip"]), CARRIER)
                self.assertEqual([counts[name] for name in ("seen", "processed", "flows", "tunnelled_seen",
                                                            "tunnelled_processed")], [1, 1, 2, 1, 1])

    def test_what_cannot_be_opened_is_counted_inside_and_stays_a_flow(self):
        cut = bytearray(TUNNELS["gre"])
        cut[20] = 0x40  # GRE's source routing: no header that is known
        alerts, counts = self.replay(frame(bytes(cut)), frame(TUNNELS["gre"]))
        self.assertEqual(len(alerts), 1)
        self.assertEqual([counts[name] for name in ("seen", "processed", "tunnelled_seen", "tunnelled_processed")],
                         [2, 2, 2, 1])
        self.assertEqual(sum(count for name, count in counts.items() if name.startswith("tunnelled_dropped_")), 1)

    def test_the_account_of_many_depths(self):
        packet = ASKED
        for depth in range(12):
            packet = ipv4(4, (f"10.9.{depth}.1", f"10.9.{depth}.2"), packet)
        alerts, counts = self.replay(frame(packet))
        self.assertEqual(alerts, [])
        self.assertEqual(counts["seen"], counts["processed"])
        self.assertEqual(counts["tunnelled_seen"], counts["tunnelled_processed"] + 1)


if __name__ == "__main__":
    unittest.main()
