"""Feeds over HTTP(S): our own servers on loopback, right and faulty, against the built programs in their sandbox."""
import contextlib
import email.utils
import gzip
import http.server
import json
import os
import pathlib
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.parse
import uuid
import warnings

from support import outguard

LIST = b"45.9.148.108\nbad-name.example\n" * 200
OBJECTS = [{"type": "indicator", "id": f"indicator--{i:08d}-0000-4000-8000-000000000000", "spec_version": "2.1",
            "created": "2024-01-01T00:00:00.000Z", "modified": "2024-01-01T00:00:00.000Z", "pattern_type": "stix",
            "pattern": f"[ipv4-addr:value = '45.9.{i // 250}.{i % 250 + 1}']", "name": f"line\nfeed {i}"}
           for i in range(60)]


class Server:
    """A loopback server; `handle(request)` answers. Notes the path and headers of every request."""

    def __init__(self, handle, context=None):
        notes = self.seen = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                notes.append((self.path, dict(self.headers)))
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    handle(self)

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.http.handle_error = lambda *_: None  # a client that goes away is what some tests want
        self.scheme = "https" if context else "http"
        if context:
            self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True)

    @property
    def port(self):
        return self.http.server_address[1]

    def url(self, path="/feed.txt", host="127.0.0.1"):
        return f"{self.scheme}://{host}:{self.port}{path}"

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()


def send(request, body=b"", status=200, **headers):
    request.send_response(status)
    for name, value in headers.items():
        request.send_header(name.replace("_", "-"), value)
    if "Content_Length" not in headers:
        request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)


def hang_up(request):
    """Ends the connection in the middle of an answer."""
    request.wfile.flush()
    request.connection.shutdown(socket.SHUT_RDWR)
    request.close_connection = True


class FetchCase(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.state = str(self.folder / "state")

    def serve(self, handle, context=None):
        return self.enterContext(Server(handle, context))

    def fetch(self, url, *words, code=0):
        """One fetch; its row."""
        got, output, problems = outguard("intel", "fetch", url, "-o", "json", *words)
        self.assertEqual(got, code, output + problems)
        return json.loads(output)

    def keep(self, url, *words, code=0):
        """As the supervisor fetches: with a folder of last good copies."""
        return self.fetch(url, "--state", self.state, *words, code=code)

    def accepted(self, row):
        """Indicators that the compiler takes from what was kept."""
        code, output, problems = outguard("intel", "check", row["file"], "-o", "json")
        self.assertEqual(code, 0, output + problems)
        return json.loads(output.splitlines()[0])["accepted"]

    def assert_fails(self, url, problem, *words):
        row = self.fetch(url, *(() if "--timeout" in words else ("--timeout", "8")), *words, code=1)
        self.assertEqual((row["status"], row["problem"]), ("failed", problem), row)
        self.assertEqual((row["file"], row["bytes"]), (None, 0))
        self.assertTrue(row["reason"])
        return row


class Files(FetchCase):
    def test_whole_file(self):
        server = self.serve(lambda r: send(r, LIST, ETag='"1"'))
        out = self.folder / "feed.txt"
        row = self.fetch(server.url(), "--out", str(out))
        self.assertEqual(out.read_bytes(), LIST)
        self.assertEqual((row["status"], row["bytes"], row["etag"], row["retries"]), ("new", len(LIST), '"1"', 0))
        if os.geteuid() == 0:
            self.assertEqual(row["sandbox_gaps"], [])
        code, output, _ = outguard("intel", "fetch", server.url("/feed.txt?apikey=secret"))
        self.assertEqual(code, 0)
        self.assertIn(f"new, {len(LIST)} bytes", output)
        self.assertNotIn("secret", output)

    def test_unchanged_by_etag_and_by_date(self):
        date = email.utils.formatdate(1_700_000_000, usegmt=True)
        for name, asked, value in (("ETag", "If-None-Match", 'W/"v 1"'), ("Last-Modified", "If-Modified-Since", date)):
            with self.subTest(name):
                def handle(request):
                    if request.headers.get(asked) == value:
                        return send(request, status=304)
                    return send(request, LIST, **{name: value})
                server = self.serve(handle)
                first = self.keep(server.url())
                second = self.keep(server.url())
                self.assertEqual((first["status"], second["status"], second["http_status"]), ("new", "unchanged", 304))
                self.assertEqual(first["file"], second["file"])
                self.assertEqual(pathlib.Path(second["file"]).read_bytes(), LIST)
                # A copy that was damaged is not asked about: all is fetched.
                with open(first["file"], "ab") as copy:
                    copy.write(b"x")
                self.assertEqual(self.keep(server.url())["status"], "new")
                # Nor is one of the same length that somebody else wrote.
                with open(first["file"], "r+b") as copy:
                    copy.write(b"X")
                os.utime(first["file"], (1, 1))
                self.assertEqual(self.keep(server.url())["status"], "new")
                self.assertEqual(pathlib.Path(first["file"]).read_bytes(), LIST)
                self.assertEqual(self.keep(server.url())["status"], "unchanged")

    def test_a_failure_keeps_the_good_copy(self):
        answers = [lambda r: send(r, LIST, ETag='"1"'), lambda r: send(r, status=404), lambda r: send(r, b"")]
        server = self.serve(lambda r: answers[len(server.seen) - 1](r))
        good = self.keep(server.url())["file"]
        for problem in ("http_status", "bad_answer"):
            self.assertEqual(self.keep(server.url(), code=1)["problem"], problem)
            self.assertEqual(pathlib.Path(good).read_bytes(), LIST)
        self.assertEqual(sorted(os.listdir(self.state)), sorted([pathlib.Path(good).name,
                                                                 pathlib.Path(good).stem + ".note"]))

    def test_gzip(self):
        packed = gzip.compress(LIST)
        server = self.serve(lambda r: send(r, packed, Content_Encoding="gzip"))
        out = self.folder / "feed.txt"
        row = self.fetch(server.url(), "--out", str(out))
        self.assertEqual((out.read_bytes(), row["wire_bytes"], row["bytes"]), (LIST, len(packed), len(LIST)))
        self.assertIn("gzip", server.seen[0][1]["Accept-Encoding"])

    def test_too_large(self):
        bomb = gzip.compress(bytes(30_000_000))
        for name, handle in (
                ("said", lambda r: send(r, LIST)),
                ("said in a lie", lambda r: send(r, b"x", Content_Length="99999999999")),
                ("without a length", lambda r: (r.send_response(200), r.end_headers(), r.wfile.write(LIST * 50),
                                                hang_up(r))),
                ("gzip bomb", lambda r: send(r, bomb, Content_Encoding="gzip"))):
            with self.subTest(name):
                self.assert_fails(self.serve(handle).url(), "too_large", "--max-bytes", "5000")

    def test_cut_and_come_back(self):
        def handle(request):
            if len(server.seen) < 2:
                send(request, LIST[:100], Content_Length=str(len(LIST)))
                return hang_up(request)
            return send(request, LIST)
        server = self.serve(handle)
        out = self.folder / "feed.txt"
        row = self.fetch(server.url(), "--out", str(out))
        self.assertEqual((out.read_bytes(), row["retries"], row["requests"]), (LIST, 1, 2))
        server.seen.clear()
        self.assert_fails(server.url(), "cut_short", "--attempts", "1")

    def test_slow(self):
        hold = threading.Event()
        self.addCleanup(hold.set)

        def handle(request):
            request.send_response(200)
            request.send_header("Content-Length", "1000")
            request.end_headers()
            request.wfile.write(b"x")
            request.wfile.flush()
            hold.wait(8)
        url = self.serve(handle).url()
        start = time.monotonic()
        self.assert_fails(url, "stalled", "--attempts", "1", "--stall", "1")
        self.assert_fails(url, "timeout", "--attempts", "1", "--timeout", "1")
        self.assertLess(time.monotonic() - start, 6)

    def test_rate_limits(self):
        def handle(request):
            if len(server.seen) < 2:
                return send(request, status=429, Retry_After="2")
            return send(request, LIST)
        server = self.serve(handle)
        start = time.monotonic()
        row = self.fetch(server.url())
        self.assertGreaterEqual(time.monotonic() - start, 2)
        self.assertEqual((row["status"], row["retries"]), ("new", 1))
        later = email.utils.formatdate(time.time() + 3600, usegmt=True)
        row = self.assert_fails(self.serve(lambda r: send(r, status=503, Retry_After=later)).url(), "rate_limited")
        self.assertEqual(row["retries"], 0)  # an hour is left to the next round
        self.assertAlmostEqual(row["retry_after_s"], 3600, delta=5)

    def test_statuses(self):
        for status, problem in ((404, "http_status"), (401, "denied"), (500, "server_fault"), (206, "http_status")):
            with self.subTest(status):
                row = self.assert_fails(self.serve(lambda r: send(r, b"page", status=status)).url(), problem,
                                        "--attempts", "1")
                self.assertEqual(row["http_status"], status)

    def test_nobody_there(self):
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
            self.assert_fails(url, "connect", "--attempts", "1")
        self.assert_fails("http://no-such-host.invalid/", "resolve", "--attempts", "1")

    def test_urls_that_are_refused(self):
        for url in ("file:///etc/passwd", "ftp://127.0.0.1/", "http://user:secret@127.0.0.1/", "gopher://x/", "",
                    "http://a b/", "http://127.0.0.1/\r\nX: y"):
            with self.subTest(url):
                row = self.assert_fails(url, "bad_request")
                self.assertNotIn("secret", row["reason"])

    def test_noise_instead_of_http(self):
        def handle(request):
            request.wfile.write(os.urandom(3000))
            hang_up(request)
        row = self.fetch(self.serve(handle).url(), "--attempts", "1", code=1)
        self.assertIn(row["problem"], ("bad_answer", "cut_short"))

        def flood(request):
            for _ in range(5000):
                request.wfile.write(b"HTTP/1.1 100 Continue\r\nX-Filler: " + b"a" * 200 + b"\r\n\r\n")
        self.assert_fails(self.serve(flood).url(), "bad_answer", "--attempts", "1")

    def test_proxy(self):
        proxy = self.serve(lambda r: send(r, LIST))
        row = self.fetch("http://feeds.example/list.txt", "--proxy", f"http://127.0.0.1:{proxy.port}")
        self.assertEqual((row["status"], proxy.seen[0][0]), ("new", "http://feeds.example/list.txt"))


class Sandbox(FetchCase):
    @staticmethod
    def fetcher_of(port):
        """/proc folder of the fetcher whose parent was asked for a URL with this port."""
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if (folder / "comm").read_text() == "outguard-fetch\n":
                    parent = (folder / "stat").read_text().split()[3]
                    if f":{port}/" in pathlib.Path(f"/proc/{parent}/cmdline").read_text():
                        return folder
        raise AssertionError("no fetcher runs")

    @unittest.skipIf(os.geteuid(), "needs root: nobody else has rights to give up")
    def test_it_has_given_up_its_rights(self):
        found = {}

        def handle(request):
            folder = self.fetcher_of(server.port)
            found.update(line.split(":\t", 1) for line in (folder / "status").read_text().splitlines() if ":\t" in line)
            found["environ"] = (folder / "environ").read_bytes()
            found["fds"] = [os.readlink(fd) for fd in (folder / "fd").iterdir()]
            send(request, LIST)
        server = self.serve(handle)
        self.fetch(server.url())
        self.assertEqual({key: found[key] for key in ("NoNewPrivs", "Seccomp", "CapEff", "CapPrm")},
                         {"NoNewPrivs": "1", "Seccomp": "2", "CapEff": "0" * 16, "CapPrm": "0" * 16})
        self.assertEqual((found["Uid"], found["Gid"]), ("\t".join(["65534"] * 4),) * 2)
        self.assertEqual(found["environ"], b"")
        self.assertEqual([fd for fd in found["fds"] if not fd.startswith(("socket:", "/dev/null", "/memfd:"))], [])

    def test_names_are_found(self):
        server = self.serve(lambda r: send(r, LIST))
        self.assertEqual(self.fetch(server.url(host="localhost"))["status"], "new")  # by /etc/hosts


class Redirects(FetchCase):
    def redirect(self, target):
        return self.serve(lambda r: send(r, b"moved", status=302, Location=target))

    def test_followed(self):
        server = self.serve(lambda r: send(r, LIST) if r.path == "/b/list" else
                            send(r, status=301, Location="../b/list"))
        row = self.fetch(server.url("/a/list"))
        self.assertEqual((row["status"], row["redirects"], row["bytes"]), ("new", 1, len(LIST)))

    def test_loops_and_bad_targets(self):
        server = self.serve(lambda r: send(r, status=302, Location=r.path))
        self.assert_fails(server.url(), "redirects")
        self.assertEqual(len(server.seen), 6)
        for target in ("file:///etc/passwd", "ftp://127.0.0.1/x", "http://user@127.0.0.1/"):
            with self.subTest(target):
                self.assert_fails(self.redirect(target).url(), "redirects")

    def test_the_key_stays_with_its_origin(self):
        key = self.folder / "key"
        key.write_text("# of a friend\nX-Api-Key: s3cret\nAuthorization: Basic abc=\n")
        key.chmod(0o600)
        other = self.serve(lambda r: send(r, LIST))
        first = self.redirect(other.url())
        row = self.fetch(first.url(), "--key-file", str(key))
        self.assertEqual(row["status"], "new")
        self.assertEqual(first.seen[0][1]["X-Api-Key"], "s3cret")
        self.assertEqual(first.seen[0][1]["Authorization"], "Basic abc=")
        self.assertFalse({"X-Api-Key", "Authorization"} & other.seen[0][1].keys())

    def test_keys(self):
        server = self.serve(lambda r: send(r, LIST))
        key = self.folder / "key"
        key.write_text("s3cret\n")
        key.chmod(0o640)
        self.fetch(server.url(), "--key-file", str(key))
        self.assertEqual(server.seen[0][1]["Auth-Key"], "s3cret")
        os.environ["A_FEED_KEY"] = "from-there"
        self.addCleanup(os.environ.pop, "A_FEED_KEY")
        self.fetch(server.url(), "--key-env", "A_FEED_KEY")
        self.assertEqual(server.seen[1][1]["Auth-Key"], "from-there")
        row = self.assert_fails("http://feeds.example/", "bad_request", "--key-file", str(key))
        self.assertIn("plain http", row["reason"])
        for mode, text, code in ((0o644, "s3cret\n", 5), (0o600, "two words\n", 1), (0o600, "#\n", 1),
                                 (0o600, "X:s3cret\n", 1)):
            key.write_text(text)
            key.chmod(mode)
            got, output, problems = outguard("intel", "fetch", server.url(), "--key-file", str(key))
            self.assertEqual((got, output), (code, ""))
            self.assertNotIn("s3cret", problems)


class Tls(FetchCase):
    @classmethod
    def setUpClass(cls):
        cls.keys = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        for name, subject, days in (("good", "subjectAltName=IP:127.0.0.1", "2"),
                                    ("other", "subjectAltName=DNS:other.example", "2")):
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                            "-keyout", cls.keys / f"{name}.key", "-out", cls.keys / f"{name}.pem", "-days", days,
                            "-subj", f"/CN={name}", "-addext", subject], check=True, stderr=subprocess.DEVNULL)

    def context(self, name, version=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.keys / f"{name}.pem", self.keys / f"{name}.key")
        if version:
            context.set_ciphers("ALL:@SECLEVEL=0")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                context.minimum_version = context.maximum_version = version
        return context

    def ca(self, name):
        return "--ca-file", str(self.keys / f"{name}.pem")

    def test_trusted(self):
        server = self.serve(lambda r: send(r, LIST), self.context("good"))
        self.assertEqual(self.fetch(server.url(), *self.ca("good"))["status"], "new")

    def test_untrusted_misnamed_and_old(self):
        server = self.serve(lambda r: send(r, LIST), self.context("good"))
        row = self.assert_fails(server.url(), "tls")
        self.assertIn("self-signed certificate", row["reason"])  # not: no authorities could be read
        self.assert_fails(server.url(), "tls", *self.ca("other"))
        other = self.serve(lambda r: send(r, LIST), self.context("other"))
        self.assert_fails(other.url(), "tls", *self.ca("other"))
        old = self.serve(lambda r: send(r, LIST), self.context("good", ssl.TLSVersion.TLSv1_1))
        self.assert_fails(old.url(), "tls", *self.ca("good"))
        plain = self.serve(lambda r: send(r, LIST))
        self.assert_fails(f"https://127.0.0.1:{plain.port}/", "tls", "--attempts", "1")
        self.assertEqual(server.seen + other.seen + old.seen, [])

    def test_no_way_down_to_http(self):
        plain = self.serve(lambda r: send(r, LIST))
        server = self.serve(lambda r: send(r, status=302, Location=plain.url()), self.context("good"))
        self.assert_fails(server.url(), "downgrade", *self.ca("good"))
        self.assertEqual(plain.seen, [])


class Taxii(FetchCase):
    """Our own TAXII 2.1 collection: objects with dates of microseconds, pages by `next`."""

    PATH = "/api1/collections/91a7b528-80eb-42ed-a74d-c6fbd5a26116/"

    def setUp(self):
        super().setUp()
        self.objects = [(f"2024-01-01T00:00:00.{i:06d}Z", o) for i, o in enumerate(OBJECTS)]
        self.fault = None
        self.server = self.serve(self.handle)

    def handle(self, request):
        parts = urllib.parse.urlsplit(request.path)
        query = dict(urllib.parse.parse_qsl(parts.query))
        if parts.path != self.PATH + "objects/" or "taxii+json;version=2.1" not in request.headers["Accept"]:
            return send(request, b'{"title":"no"}', status=404)
        rows = [row for row in self.objects if row[0][:-1] > query.get("added_after", "Z")[:-1]]
        start = int(query.get("next", "s+0").split("+")[1])
        page, rest = rows[start:start + 7], rows[start + 7:]
        envelope = {"objects": [o for _, o in page]} if page else {}
        if rest:
            envelope.update(more=True, next=f"s+{start + 7}")
        dates = {"X_TAXII_Date_Added_Last": page[-1][0]} if page else {}
        if self.fault:
            return self.fault(request, envelope, dates)
        return self.envelope(request, envelope, dates)

    @staticmethod
    def envelope(request, envelope, dates):
        send(request, json.dumps(envelope, indent=2).encode(), **dates,
             Content_Type="application/taxii+json;version=2.1")

    def url(self):
        return self.server.url(self.PATH)

    def kept(self, row):
        return [o["id"] for o in json.loads(pathlib.Path(row["file"]).read_bytes())["objects"]]

    def test_pages_then_only_what_is_new(self):
        row = self.keep(self.url(), "--kind", "taxii")
        self.assertEqual((row["pages"], row["items"], row["new_items"]), (9, 60, 60))
        self.assertEqual(row["added_after"], "2024-01-01T00:00:00.000059Z")
        self.assertEqual(self.kept(row), [o["id"] for o in OBJECTS])
        self.assertEqual(self.accepted(row), 60)

        again = self.keep(self.url(), "--kind", "taxii")
        self.assertEqual((again["status"], again["pages"]), ("unchanged", 1))
        self.assertIn("added_after=2024-01-01T00%3A00%3A00.000059Z", self.server.seen[-1][0])

        newer = {**OBJECTS[0], "modified": "2024-02-01T00:00:00.000Z", "revoked": True}
        self.objects.append(("2024-01-01T00:00:00.0000591Z", newer))  # a digit more than microseconds
        more = self.keep(self.url(), "--kind", "taxii")
        self.assertEqual((more["status"], more["items"], more["new_items"]), ("new", 61, 1))
        self.assertEqual(more["added_after"], "2024-01-01T00:00:00.0000591Z")
        self.assertEqual(self.kept(more), [o["id"] for o in OBJECTS] + [newer["id"]])
        self.assertEqual(self.accepted(more), 59)  # one was revoked by its newer version
        self.assertEqual(self.keep(self.url(), "--kind", "taxii")["status"], "unchanged")

    def test_faults(self):
        def same_next(request, envelope, dates):
            self.envelope(request, {**envelope, "more": True, "next": "s+7"}, dates)

        def endless(request, envelope, dates):
            self.envelope(request, {"objects": OBJECTS[:1], "more": True, "next": f"s+{len(self.server.seen)}"}, dates)

        def endless_and_empty(request, *_):
            self.envelope(request, {"more": True, "next": f"s+{len(self.server.seen)}"}, {})

        def no_next_no_date(request, envelope, _):
            self.envelope(request, {"objects": OBJECTS[:1], "more": True}, {})

        def no_json(request, *_):
            send(request, b'{"objects": [{"id": "x"}')

        def other_json(request, *_):
            send(request, b'{"title": "Error", "error_code": "7"}')

        def no_objects(request, *_):
            send(request, b'{"objects": [1, 2]}')

        def cut(request, envelope, dates):
            if len(self.server.seen) > 2:
                send(request, b'{"obj', Content_Length="5000")
                return hang_up(request)
            return self.envelope(request, envelope, dates)
        good = self.keep(self.url(), "--kind", "taxii")
        for fault, problem in ((same_next, "endless_pages"), (endless, "too_many_pages"),
                               (endless_and_empty, "endless_pages"), (no_next_no_date, "endless_pages"),
                               (no_json, "bad_answer"), (other_json, "bad_answer"), (no_objects, "bad_answer"),
                               (cut, "cut_short")):
            with self.subTest(fault.__name__):
                self.fault = fault
                self.server.seen.clear()
                row = self.assert_fails(self.url(), problem, "--kind", "taxii", "--max-pages", "50", "--attempts", "1")
                self.assertLessEqual(row["pages"], 50)
        self.fault = no_json
        self.assertEqual(self.keep(self.url(), "--kind", "taxii", code=1)["file"], good["file"])
        self.assertEqual(self.kept(good), [o["id"] for o in OBJECTS])

    def test_pages_by_date_alone(self):
        def by_date(request, envelope, dates):
            envelope.pop("next", None)
            self.envelope(request, envelope, dates)
        self.fault = by_date
        row = self.keep(self.url() + "objects/", "--kind", "taxii")
        self.assertEqual((row["pages"], self.kept(row)), (9, [o["id"] for o in OBJECTS]))

    def test_bearer_key_on_every_page(self):
        key = self.folder / "key"
        key.write_text("abc")
        key.chmod(0o600)
        self.fetch(self.url(), "--kind", "taxii", "--key-file", str(key))
        self.assertEqual({headers["Authorization"] for _, headers in self.server.seen}, {"Bearer abc"})


class Misp(FetchCase):
    def setUp(self):
        super().setUp()
        self.events = {str(uuid.UUID(int=i + 1)): (1_700_000_000 + i, f"45.9.1.{i + 1}") for i in range(9)}
        self.missing, self.extra = set(), {}
        self.server = self.serve(self.handle)

    def handle(self, request):
        name = request.path.removeprefix("/feed/").removesuffix(".json")
        if name == "manifest":
            manifest = {key: {"info": "x", "timestamp": str(stamp)} for key, (stamp, _) in self.events.items()}
            body = json.dumps({**manifest, **self.extra}).encode()
            tag = f'"{hash(body)}"'
            if request.headers.get("If-None-Match") == tag:
                return send(request, status=304)
            return send(request, body, ETag=tag)
        if name in self.missing or name not in self.events:
            return send(request, status=404)
        stamp, value = self.events[name]
        return send(request, json.dumps({"Event": {"uuid": name, "timestamp": str(stamp), "info": "a\nb", "Attribute": [
            {"type": "ip-dst", "value": value, "to_ids": True}]}}, indent=1).encode())

    def values(self, row):
        return [e["Event"]["Attribute"][0]["value"] for e in json.loads(pathlib.Path(row["file"]).read_bytes())]

    def get(self, code=0):
        self.server.seen.clear()
        return self.keep(self.server.url("/feed/"), "--kind", "misp", "--attempts", "1", code=code)

    def test_only_events_that_changed(self):
        first = self.get()
        self.assertEqual((first["items"], first["new_items"], len(self.server.seen)), (9, 9, 10))
        self.assertEqual(self.values(first), [value for _, value in self.events.values()])
        self.assertEqual(self.accepted(first), 9)
        self.assertEqual((self.get()["status"], len(self.server.seen)), ("unchanged", 1))

        names = list(self.events)
        self.events[names[3]] = (1_800_000_000, "45.9.2.2")
        self.events[str(uuid.UUID(int=77))] = (1_800_000_000, "45.9.2.3")
        del self.events[names[0]]
        second = self.get()
        self.assertEqual((second["items"], second["new_items"], len(self.server.seen)), (9, 2, 3))
        self.assertEqual(self.values(second), [value for _, value in self.events.values()])

    def test_events_that_are_missing_or_no_events(self):
        names = list(self.events)
        self.missing = {names[2]}
        self.extra = {"../../etc/passwd": {"timestamp": "1"}, "00000000-0000-0000-0000-00000000000g": {"timestamp": 1},
                      str(uuid.UUID(int=500)): {"timestamp": "soon"}}
        row = self.get(code=8)
        self.assertEqual((row["items"], row["skipped"], row["etag"]), (8, 4, None))
        self.assertTrue(all(path.startswith("/feed/") and ".." not in path for path, _ in self.server.seen))
        self.missing, self.extra = set(), {}
        again = self.get()
        self.assertEqual((again["items"], again["new_items"]), (9, 1))

    def test_no_manifest(self):
        for body in (b"[]", b"{}", b"{", b"<html>"):
            with self.subTest(body):
                url = self.serve(lambda r: send(r, body)).url("/")
                self.assert_fails(url, "bad_answer", "--kind", "misp", "--attempts", "1")

    def test_nothing_there(self):
        self.missing = set(self.events)
        self.assertEqual(self.get(code=1)["problem"], "bad_answer")


if __name__ == "__main__":
    unittest.main()
