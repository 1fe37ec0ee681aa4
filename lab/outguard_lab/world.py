#!/usr/bin/python3
"""The world that a guest talks to: small servers on every address of its namespace.

    world.py LOG [NAME=ADDRESS...]

Prints "ready" when all listen, then writes what it hears to LOG, one JSON object a line, at most
MAX_EVENTS of them. Ends when its lab ends. Meant to be run in a namespace of the lab only.
"""

import collections
import json
import os
import selectors
import socket
import struct
import sys
import time

ECHO_PORTS = (7, 4444, 5555, 6667)  # TCP and UDP; 6667 is the chat
HTTP_PORTS = (80, 8080)
TLS_PORTS = (443, 8443)
DNS_PORT = 53
HALF_CLOSING_PORT = 9  # says a line and closes: leaves CLOSE_WAIT with the client
KEEPING_PORT = 10  # accepts and never closes: leaves FIN_WAIT2 with a client that does

DEFAULT_ADDRESSES = {1: "203.0.113.80", 28: "2001:db8::80"}  # DNS answers for A and AAAA: of an honest server
MAX_EVENTS = 200_000
MAX_CONNECTIONS = 8_000
HTTP_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n"
# A TLS record: handshake, ServerHello-sized; enough for whoever waits for bytes.
TLS_ANSWER = b"\x16\x03\x03\x00\x2a" + b"\x02\x00\x00\x26\x03\x03" + bytes(36)


class World:
    """All servers in one thread; every socket is non-blocking."""

    def __init__(self, log_path: str, names: dict[str, str]):
        self._selector = selectors.DefaultSelector()
        self._log = open(log_path, "w", buffering=1)
        self._events = 0
        self._names = names
        self._connections = 0
        self._records: dict[socket.socket, bytes] = {}  # begun TLS records, at most 64 KiB each
        self._kept: collections.deque[socket.socket] = collections.deque(maxlen=MAX_CONNECTIONS)

    def listen(self) -> None:
        services = {**dict.fromkeys(ECHO_PORTS, self._echo), **dict.fromkeys(HTTP_PORTS, self._http),
                    **dict.fromkeys(TLS_PORTS, self._tls), HALF_CLOSING_PORT: self._ignore,
                    KEEPING_PORT: self._keep}
        for port, service in services.items():
            listener = socket.create_server(("::", port), family=socket.AF_INET6, backlog=1024, dualstack_ipv6=True)
            self._watch(listener, self._accept, service)
        for port in (*ECHO_PORTS, *TLS_PORTS, DNS_PORT):
            receiver = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            receiver.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            # Which of the many addresses was meant: the answer must come from there.
            receiver.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
            receiver.bind(("::", port))
            self._watch(receiver, self._datagram, self._dns_answer if port == DNS_PORT else bytes)

    def serve(self) -> None:
        while True:
            for key, _ in self._selector.select():
                handler, extra = key.data
                try:
                    handler(key.fileobj, extra)
                except OSError:
                    self._forget(key.fileobj)

    def _watch(self, endpoint: socket.socket, handler, extra) -> None:
        endpoint.setblocking(False)
        self._selector.register(endpoint, selectors.EVENT_READ, (handler, extra))

    def _forget(self, endpoint) -> None:
        self._selector.unregister(endpoint)
        self._records.pop(endpoint, None)
        endpoint.close()
        self._connections -= 1

    def _accept(self, listener: socket.socket, service) -> None:
        try:
            connection, _ = listener.accept()
        except OSError:
            return  # the peer was faster
        if self._connections >= MAX_CONNECTIONS:
            connection.close()
            return
        self._connections += 1
        self._record("accept", connection)
        if service == self._ignore:
            connection.sendall(b"bye\n")
            connection.shutdown(socket.SHUT_WR)
        self._watch(connection, self._readable, service)

    def _readable(self, connection: socket.socket, service) -> None:
        content = connection.recv(65536)
        if content:
            self._record("data", connection, content)
            service(connection, content)
        elif service == self._keep:
            self._selector.unregister(connection)
            self._kept.append(connection)  # stays open, half closed
        else:
            self._record("close", connection)
            self._forget(connection)

    def _echo(self, connection: socket.socket, content: bytes) -> None:
        connection.send(content)

    def _http(self, connection: socket.socket, content: bytes) -> None:
        if content.endswith(b"\r\n\r\n"):
            connection.sendall(HTTP_ANSWER)
            self._forget(connection)

    def _tls(self, connection: socket.socket, content: bytes) -> None:
        """Answers a whole record, as a server does, however many segments it came in."""
        record = self._records.pop(connection, b"") + content
        if len(record) < 5 or len(record) < 5 + int.from_bytes(record[3:5], "big"):
            self._records[connection] = record
        else:
            connection.send(TLS_ANSWER)

    def _ignore(self, connection: socket.socket, content: bytes) -> None:
        """Has said its line already."""

    def _keep(self, connection: socket.socket, content: bytes) -> None:
        """Never answers and never closes."""

    def _datagram(self, receiver: socket.socket, answer) -> None:
        content, ancillary, _, peer = receiver.recvmsg(65536, 256)
        info = [entry for entry in ancillary if entry[:2] == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO)]
        local = socket.inet_ntop(socket.AF_INET6, info[0][2][:16]) if info else "?"
        self._write("datagram", "udp", (local, receiver.getsockname()[1]), peer, content)
        reply = answer(content)
        if reply and info:
            source = info[0][2][:16] + struct.pack("=I", 0)
            try:
                receiver.sendmsg([reply], [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, source)], 0, peer)
            except OSError:
                pass  # the guest may be gone; the receiver stays

    def _dns_answer(self, query: bytes) -> bytes | None:
        if len(query) < 17:
            return None
        labels, at = [], 12
        while at < len(query) and query[at] and len(labels) < 64:
            labels.append(query[at + 1:at + 1 + query[at]].decode("latin-1"))
            at += 1 + query[at]
        question = query[12:at + 5]
        kind = int.from_bytes(query[at + 1:at + 3], "big")
        name, owner, records, count = ".".join(labels).lower(), b"\xc0\x0c", b"", 0
        alias = self._names.get(name, "")
        if alias and not is_address(alias):
            encoded = b"".join(bytes([len(label)]) + label.encode() for label in alias.split(".")) + b"\0"
            records, count = resource_record(owner, 5, encoded), 1
            name, owner = alias, encoded
        address = self._names.get(name, DEFAULT_ADDRESSES.get(kind, ""))
        family = {1: socket.AF_INET, 28: socket.AF_INET6}.get(kind)
        try:
            records += resource_record(owner, kind, socket.inet_pton(family, address)) if family else b""
            count += 1 if family else 0
        except OSError:
            pass  # a name with an address of the other family only
        return query[:2] + b"\x81\x80" + struct.pack(">HHHH", 1, count, 0, 0) + question + records

    def _record(self, event: str, connection: socket.socket, content: bytes = b"") -> None:
        try:
            self._write(event, "tcp", connection.getsockname(), connection.getpeername(), content)
        except OSError:
            pass  # reset meanwhile

    def _write(self, event: str, proto: str, local: tuple, peer: tuple, content: bytes) -> None:
        self._events += 1
        if self._events <= MAX_EVENTS:
            entry = {"time": time.time(), "event": event, "proto": proto, "local_ip": plain(local[0]),
                     "local_port": local[1], "peer_ip": plain(peer[0]), "peer_port": peer[1],
                     "bytes": len(content), "start": content[:80].decode("latin-1")}
            self._log.write(json.dumps(entry) + "\n")


def resource_record(owner: bytes, kind: int, content: bytes) -> bytes:
    return owner + struct.pack(">HHIH", kind, 1, 60, len(content)) + content


def is_address(text: str) -> bool:
    return ":" in text or text.replace(".", "").isdigit()


def plain(address: str) -> str:
    """IPv4 as itself, not as ::ffff:a.b.c.d."""
    return address.removeprefix("::ffff:") if "." in address else address


def main() -> None:
    world = World(sys.argv[1], dict(word.split("=", 1) for word in sys.argv[2:]))
    world.listen()
    os.write(1, b"ready\n")
    world.serve()


if __name__ == "__main__":
    main()
