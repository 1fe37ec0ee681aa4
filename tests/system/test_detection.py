"""Detection on live guests: each kind of match names the process that the guest's own /proc has, honest neighbours
raise nothing, and no response hits who was only asked, answered or passed by."""
import contextlib
import hashlib
import json
import pathlib
import ssl
import subprocess
import sys
import tempfile
import textwrap
import time
import unittest
from dataclasses import dataclass

import payloads
from payloads import hexed
from support import Lab, Supervisor, why_not

SILENT = 10  # the world's port that accepts and says nothing
SPEAKERS = {53: b"", 22: b"SSH-2.0-labd_1.0\r\n", 25: b"220 mail.honest.example ESMTP\r\n", 1080: b"\5\0"}
TLS12_PORT = 4443


@dataclass(frozen=True)
class Case:
    """What a process does, what intelligence lists, and what the alert must say was matched."""

    name: str
    listed: tuple[str, str]  # MISP's type and the value
    matched: str  # alert.context.indicator.matched.kind
    role: tuple
    exe: str = "-"
    tunnel: str = ""
    owned: bool = True  # False: nothing outside can tell whose it is


def cases(certificate):
    """Each with an indicator of its own, so that whose alert it is cannot be mixed up."""
    def sent(kind, destination, *pieces):
        return ("send-client", kind, destination, hexed(*pieces), 1)

    def name(case):
        return "domain", f"{case}.example"

    plain = payloads.client_hello("unlisted.example", alpn=None)
    legacy = payloads.client_hello("unlisted.example", ssl.TLSVersion.TLSv1_2, "ja4")
    banner, exchange = payloads.ssh_client()
    web = f"203.0.113.80:{SILENT}"
    return [
        Case("dns-udp", name("dns-udp"), "dns-name", ("dns-client", "203.0.113.53:53", "www.dns-udp.example", 1)),
        Case("dns-tcp", name("dns-tcp"), "dns-name",
             sent("tcp", "203.0.113.53:53", *payloads.dns_over_tcp("dns-tcp.example"))),
        Case("dns-cname", name("dns-alias"), "dns-answer-name", ("dns-client", "203.0.113.53:53", "cdn.honest.example", 1)),
        Case("dns-answer", ("ip-dst", "203.0.113.99"), "dns-answer-address",
             ("dns-client", "203.0.113.53:53", "shared.honest.example", 1)),
        Case("mdns", name("mdns"), "dns-name", sent("udp", "224.0.0.251:5353", payloads.dns_question("mdns.example"))),
        Case("address", ("ip-dst", "203.0.113.66"), "remote-address", ("tcp-client", "203.0.113.66:4444", 0.5)),
        Case("endpoint", ("ip-dst|port", "203.0.113.67|5555"), "remote-endpoint", ("udp-client", "203.0.113.67:5555", 0.5)),
        Case("ipv6", ("ip-dst", "2001:db8::66"), "remote-address", ("tcp-client", "[2001:db8::66]:4444", 0.5)),
        Case("http", ("url", "http://web.example/bad/path"), "http-url",
             ("http-client", "203.0.113.80:80", "web.example", "/bad/path", 1)),
        Case("http2", name("http2"), "http-host", sent("tcp", web, payloads.http2_request("http2.example", "/"))),
        Case("tls-split", name("tls-split"), "tls-sni", ("tls-client", "203.0.113.44:443", "tls-split.example", 1)),
        Case("ja3", ("ja3-fingerprint-md5", payloads.ja3(plain)), "tls-ja3", sent("tcp", web, plain)),
        Case("ja4", ("ja4", payloads.ja4(legacy)), "tls-ja4", sent("tcp", web, legacy[:100], legacy[100:])),
        Case("certificate", ("x509-fingerprint-sha256", certificate), "certificate-sha256",
             sent("tcp", f"203.0.113.81:{TLS12_PORT}", payloads.client_hello("x.honest.example", ssl.TLSVersion.TLSv1_2))),
        Case("quic", name("quic"), "tls-sni", sent("udp", "203.0.113.44:443", payloads.quic_initial("quic.example"))),
        Case("fragments", name("fragments"), "tls-sni",
             sent("udp", "203.0.113.44:443", payloads.quic_initial("fragments.example", 2400))),
        Case("ssh", ("hassh-md5", payloads.hassh()), "ssh-hassh", sent("tcp", "203.0.113.22:22", banner, exchange)),
        Case("smtp", name("smtp"), "mail-host",
             sent("tcp", "203.0.113.25:25", b"EHLO host.smtp.example\r\n", b"MAIL FROM:<a@honest.example>\r\n")),
        Case("socks", name("socks"), "proxy-target",
             sent("tcp", "203.0.113.8:1080", *payloads.socks5_request("socks.example", 443))),
        Case("connect", name("connect"), "proxy-target",
             sent("tcp", web, b"CONNECT connect.example:443 HTTP/1.1\r\nHost: connect.example:443\r\n\r\n")),
        Case("vxlan", ("ip-dst", "198.51.100.201"), "remote-address",
             sent("udp", "203.0.113.4:4789", payloads.vxlan("198.51.100.201")), tunnel="vxlan"),
        Case("gre", ("ip-dst", "198.51.100.202"), "remote-address",
             sent("ip:47", "203.0.113.4:0", payloads.gre("198.51.100.202")), tunnel="gre", owned=False),
        Case("ipip", ("ip-dst", "198.51.100.203"), "remote-address",
             sent("ip:4", "203.0.113.4:0", payloads.inner_datagram("198.51.100.203")), tunnel="ipip", owned=False),
    ]


# ---- The other end -----------------------------------------------------------------------------------

SPEAKER = textwrap.dedent("""
    import selectors, socket, ssl, sys
    greetings = eval(sys.argv[1])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(sys.argv[2])
    selector = selectors.DefaultSelector()
    for port in greetings:
        listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
        selector.register(listener, selectors.EVENT_READ, greetings[port])
    print("ready", flush=True)
    held = []
    while True:
        for key, _ in selector.select():
            connection, _ = key.fileobj.accept()
            held.append(connection)
            if key.data is not None:
                connection.send(key.data)
                continue
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            session = context.wrap_bio(incoming, outgoing, server_side=True)
            connection.settimeout(2)
            try:
                incoming.write(connection.recv(65536))
                session.do_handshake()
            except (ssl.SSLWantReadError, OSError):
                pass
            connection.send(outgoing.read())
""")


@contextlib.contextmanager
def speakers(guest, certificate):
    """Servers in the guest's world that greet, and one that shows its certificate in TLS 1.2."""
    greetings = {**SPEAKERS, TLS12_PORT: None}
    child = subprocess.Popen(["ip", "netns", "exec", guest.world, sys.executable, "-c", SPEAKER, repr(greetings),
                              str(certificate)], stdout=subprocess.PIPE)
    try:
        if child.stdout.readline() != b"ready\n":
            raise AssertionError("the speakers did not start")
        yield
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def make_certificate(folder):
    """Path of key and certificate in one file, and the certificate's SHA-256."""
    path = pathlib.Path(folder) / "server.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", path, "-out", f"{path}.crt", "-subj", "/CN=server.honest.example", "-days", "2"],
                   check=True, stderr=subprocess.DEVNULL)
    text = pathlib.Path(f"{path}.crt").read_text()
    path.write_text(path.read_text() + text)
    return path, hashlib.sha256(ssl.PEM_cert_to_DER_cert(text)).hexdigest()


def write_feeds(folder, listed):
    """A MISP event, and a plain list of what MISP has no type for."""
    folder = pathlib.Path(folder)
    attributes = [{"uuid": f"00000000-0000-4000-8000-{at:012}", "type": kind, "value": value, "to_ids": True}
                  for at, (kind, value) in enumerate(listed) if kind != "ja4"]
    (folder / "feed.json").write_text(json.dumps({"Event": {"info": "lab", "Attribute": attributes}}))
    (folder / "feed.txt").write_text("".join(f"{value}\n" for kind, value in listed if kind == "ja4")
                                     or "unused.example\n")
    return "--intel", str(folder / "feed.json"), "--intel", str(folder / "feed.txt"), "--allow-reserved"


def indicator(alert):
    return alert["alert"]["context"]["indicator"]


def of_value(value):
    return lambda alert: indicator(alert) is not None and indicator(alert)["value"] == value


def statuses(alert):
    return {done["action"]: done["status"] for done in alert["response"]}


@unittest.skipIf(why_not(), why_not())
class Detection(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        self.lab = self.enterContext(Lab())

    def supervise(self, guest, listed, *words):
        supervisor = self.enterContext(Supervisor(self.folder, *write_feeds(self.folder, listed), "--vm", guest.uuid,
                                                  *words))
        supervisor.wait_for_log(f"{guest.name}: ready")
        return supervisor

    def check_every_kind(self, kernel, digest_kind):
        certificate, digest = make_certificate(self.folder)
        table = cases(digest)
        guest = self.lab.guest(kernel=kernel, names={"cdn.honest.example": "dns-alias.example",
                                                     "shared.honest.example": "203.0.113.99"})
        self.enterContext(speakers(guest, certificate))
        guest.sh("cp /usr/bin/agent /usr/bin/listed-tool && echo more >> /usr/bin/listed-tool")
        _, hashed = guest.sh(f"{digest_kind}sum /usr/bin/listed-tool")
        table.append(Case("file", (digest_kind, hashed.split()[0]), "executable-hash",
                          ("tcp-client", "203.0.113.20:5555", 0.5), exe="/usr/bin/listed-tool"))
        supervisor = self.supervise(guest, [case.listed for case in table])
        honest = [guest.run("http-client", "203.0.113.80:80", "web.example", "/good/path", 0.5).pid,
                  guest.run("dns-client", "203.0.113.53:53", "plain.honest.example", 0.5).pid,
                  guest.run("tcp-client", "203.0.113.20:4444", 0.5).pid,
                  guest.run("tls-client", "203.0.113.45:443", "fine.honest.example", 1).pid]
        started = {case.name: guest.run(*case.role, exe=case.exe).pid for case in table}
        paths = {process["pid"]: process["exe"] for process in guest.truth().processes}
        for case in table:
            with self.subTest(case.name):
                fits = of_value(expected_value(case))
                # A connection that was over before anybody could look is nobody's: the next one will do.
                alert = supervisor.wait_for_alert(lambda alert: fits(alert) and bool(alert["process"]) == case.owned)
                matched = indicator(alert)["matched"]
                self.assertEqual(matched["kind"], case.matched)
                self.assertEqual((alert.get("tunnel") or {"kinds": [""]})["kinds"], [case.tunnel])
                pid = started[case.name]
                if case.owned:
                    self.assertEqual(alert["process"]["pid"], pid)
                    self.assertEqual(alert["process"]["exe"], paths[pid])
                    self.assertEqual(alert["attribution"]["status"], "exact")
                if case.listed[0] == "sha256":
                    self.assertEqual(alert["process"]["sha256"], case.listed[1])
        owners = {expected_value(case): started[case.name] if case.owned else None for case in table}
        for alert in supervisor.alerts():
            if alert["event_type"] == "alert" and indicator(alert) is not None:
                if alert["process"]:
                    self.assertEqual(alert["process"]["pid"], owners[indicator(alert)["value"]], alert)
        talk = guest.talk()
        self.assertTrue(all(talk[pid].count > 0 for pid in honest), "honest ones talked meanwhile")
        self.check_context(supervisor)

    def check_context(self, supervisor):
        """What else was seen of a flow that raised an alert is told at its end."""
        def observed():
            return [flow["observed"] for flow in supervisor.records("flow")
                    if any(match["value"] == "http://web.example/bad/path" for match in flow["matches"])]

        supervisor.wait_until(observed, "end of the flow", timeout=60)
        self.assertEqual(observed()[0], {"http-url": ["http://web.example/bad/path"], "http-user-agent": ["lab/1.0"],
                                         "http-method": ["GET"]})

    def response_of(self, supervisor, pid, value):
        alert = supervisor.wait_for_alert(
            lambda alert: of_value(value)(alert) and alert["process"] and alert["process"]["pid"] == pid)
        return statuses(alert), {done["reason"] for done in alert["response"] if done["status"] == "skipped"}

    def test_who_answers_others_questions_is_not_ended(self):
        """A stub resolver goes on, whoever asks it; a process that asks the server itself is ended. The server
        that was asked is never blocked."""
        guest = self.lab.guest(kernel="6.1-cloud")
        stub = guest.run("name-forwarder", "127.0.0.1:53", "203.0.113.53:53").pid
        supervisor = self.supervise(guest, [("domain", "bad.example"), ("ip-dst", "203.0.113.99")], "--enforce")
        through = guest.run("dns-client", "127.0.0.1:53", "one.bad.example", 0.3).pid
        done, why = self.response_of(supervisor, stub, "bad.example")
        self.assertEqual(done, {"block_flow": "skipped", "reset": "skipped", "kill": "skipped"})
        self.assertEqual(len(why), 2, why)
        direct = guest.spawn("dns-client", "203.0.113.53:53", "two.bad.example", 0.3).pid
        done, _ = self.response_of(supervisor, direct, "bad.example")
        self.assertEqual(done, {"block_flow": "skipped", "reset": "skipped", "kill": "killed"})
        self.assertFalse(guest.alive(direct))
        self.assertTrue(guest.alive(stub))
        before = guest.talk()[through].count
        honest = guest.run("dns-client", "203.0.113.53:53", "fine.honest.example", 0.2).pid
        self.wait_for_talk(guest, through, before)
        self.wait_for_talk(guest, honest, 0)

    def wait_for_talk(self, guest, pid, count):
        end = time.monotonic() + 20
        while pid not in guest.talk() or guest.talk()[pid].count <= count:
            self.assertLess(time.monotonic(), end, f"{pid} no longer talks")
            time.sleep(0.2)

    def test_what_only_informs_touches_nobody(self):
        """An answer, mail and a tunnel's holder: the alert says why nothing was done, and all go on."""
        guest = self.lab.guest(kernel="6.1-cloud", names={"shared.honest.example": "203.0.113.99"})
        certificate, _ = make_certificate(self.folder)
        self.enterContext(speakers(guest, certificate))
        listed = [("ip-dst", "203.0.113.99"), ("domain", "mail.example"), ("ip-dst", "198.51.100.201")]
        supervisor = self.supervise(guest, listed, "--enforce")
        answered = guest.run("dns-client", "203.0.113.53:53", "shared.honest.example", 0.3).pid
        mailer = guest.run("send-client", "tcp", "203.0.113.25:25", hexed(b"EHLO a.mail.example\r\n"), 0.3).pid
        holder = guest.run("send-client", "udp", "203.0.113.4:4789", hexed(payloads.vxlan("198.51.100.201")), 0.3).pid
        skipped = dict.fromkeys(("block_flow", "reset", "kill"), "skipped")
        for pid, value, wanted in (
                (answered, "203.0.113.99", skipped), (mailer, "mail.example", skipped),
                (holder, "198.51.100.201", {**skipped, "block_flow": "not_possible", "reset": "not_possible"})):
            with self.subTest(value):
                done, why = self.response_of(supervisor, pid, value)
                self.assertEqual(done, wanted)
                self.assertTrue(all(why))
        for pid in (answered, mailer, holder):
            self.assertTrue(guest.alive(pid))
            self.wait_for_talk(guest, pid, guest.talk()[pid].count)

    def test_who_knocks_is_told_once_and_ends_nobody(self):
        """A listed address tries closed ports: one alert. It reaches a server: an alert, and the server lives on.
        What is listed is the remote end: the guest's own address, listed too, is none."""
        guest = self.lab.guest(kernel="6.1-cloud")
        server = guest.run("tcp-listener", "0.0.0.0:8022").pid
        supervisor = self.supervise(guest, [("ip-dst", "203.0.113.66"), ("ip-dst", "10.77.0.2"), ("ip-dst", "10.77.0.1")],
                                    "--enforce")
        for port in (21, 23, 2323, 3389, 5900):
            self.knock(guest, port)
        alert = supervisor.wait_for_alert(lambda alert: alert["alert"]["signature_id"] == 9100010)
        self.assertEqual(alert["alert"]["severity"], 3)
        self.assertIsNone(alert["process"])
        self.assertEqual(statuses(alert)["kill"], "skipped")
        self.knock(guest, 8022)
        done, _ = self.response_of(supervisor, server, "203.0.113.66")
        self.assertEqual(done["kill"], "refused")
        self.assertTrue(guest.alive(server))
        # Two private ends: only who goes to the listed one is told of.
        inside = guest.run("udp-client", "10.77.0.1:5555", 0.3).pid
        done, _ = self.response_of(supervisor, inside, "10.77.0.1")
        self.assertEqual((done["block_flow"], done["kill"]), ("blocked", "killed"))
        told = [alert for alert in supervisor.alerts() if alert["event_type"] == "alert"]
        self.assertEqual(len([alert for alert in told if alert["alert"]["signature_id"] == 9100010]), 1)
        self.assertFalse([alert for alert in told if indicator(alert)["value"] == "10.77.0.2"])

    def knock(self, guest, port):
        """One connection from the listed address to the guest, closed at once."""
        program = ("import socket,sys\ntry: s = socket.create_connection(('10.77.0.2', int(sys.argv[1])), 2, "
                   "('203.0.113.66', 0)); s.send(b'x'); s.recv(1)\nexcept OSError: pass")
        subprocess.run(["ip", "netns", "exec", guest.world, sys.executable, "-c", program, str(port)], check=True)

    def test_a_listed_file_is_ended_whatever_it_talks_to(self):
        """By its SHA-1; the same program under another file goes on, and so does one too large to be read."""
        guest = self.lab.guest(kernel="6.12")
        guest.sh("for tool in listed other; do cp /usr/bin/agent /usr/bin/$tool; echo $tool >> /usr/bin/$tool; done; "
                 "cp /usr/bin/agent /usr/bin/large; dd if=/dev/zero bs=1M count=70 >> /usr/bin/large")
        digests = [guest.sh(f"sha1sum /usr/bin/{tool}")[1].split()[0] for tool in ("listed", "large")]
        supervisor = self.supervise(guest, [("sha1", digest) for digest in digests], "--enforce")
        large = guest.run("tcp-client", "203.0.113.20:5555", 0.2, exe="/usr/bin/large").pid
        other = guest.run("tcp-client", "203.0.113.20:5555", 0.2, exe="/usr/bin/other").pid
        for words in (("udp-client", "203.0.113.20:5555", 0.2), ("tcp-client", "203.0.113.20:5555", 0.2)):
            listed = guest.spawn(*words, exe="/usr/bin/listed").pid
            done, _ = self.response_of(supervisor, listed, digests[0])
            self.assertEqual((done["block_flow"], done["kill"]), ("blocked", "killed"))
            self.assertFalse(guest.alive(listed))
        self.assertTrue(guest.alive(large) and guest.alive(other))
        self.assertFalse([alert for alert in supervisor.alerts() if indicator(alert)["value"] == digests[1]])

    def test_a_beacon_is_its_own_finding(self):
        """Contacts like a clock raise a finding with a score; irregular ones, of the same size, do not."""
        guest = self.lab.guest(kernel="6.1-cloud", addresses=("45.9.20.0/24",))
        supervisor = self.supervise(guest, [("domain", "unused.example")])
        regular = guest.run("http-client", "45.9.20.7:80", "cdn.beacon.net", "/poll", 1.2).pid
        irregular = guest.run("send-client", "tcp", "45.9.20.8:80", hexed(
            b"GET / HTTP/1.1\r\nHost: news.people.net\r\n\r\n"), "1.1-6").pid
        alert = supervisor.wait_for_alert(lambda alert: alert["alert"]["signature_id"] == 9100020, timeout=90)
        self.assertEqual(alert["process"]["pid"], regular)
        self.assertIsNone(indicator(alert))
        self.assertEqual(alert["response"], [])
        beacon = alert["beacon"]
        self.assertGreaterEqual(beacon["score"], 70)
        self.assertGreaterEqual(beacon["intervals"], 12)
        self.assertEqual(beacon["destination"], "cdn.beacon.net")
        self.assertTrue(1000 <= beacon["median_interval_ms"] <= 3000, beacon)
        end = time.monotonic() + 120
        while guest.talk()[irregular].count < 16:
            self.assertLess(time.monotonic(), end)
            time.sleep(1)
        told = [alert["process"]["pid"] for alert in supervisor.alerts() if alert["event_type"] == "alert"]
        self.assertEqual(told, [regular])

    def test_every_kind_names_its_process_on_6_1(self):
        self.check_every_kind("6.1", "sha256")

    def test_every_kind_names_its_process_on_5_10(self):
        self.check_every_kind("5.10", "md5")


def expected_value(case):
    kind, value = case.listed
    return value.replace("|", ":") if kind == "ip-dst|port" else value


if __name__ == "__main__":
    unittest.main()
