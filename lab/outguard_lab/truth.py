"""What a guest said about itself, parsed."""

import json
from dataclasses import dataclass
from typing import Any

Record = dict[str, Any]


@dataclass(frozen=True)
class Truth:
    """One reading of the guest's /proc; the records' fields are listed in lab/README.md.

    A text may hold lone surrogates: `text.encode("utf-8", "surrogateescape")` gives the guest's bytes.
    """

    system: Record
    processes: list[Record]
    sockets: list[Record]
    other_sockets: list[Record]

    @classmethod
    def parse(cls, output: bytes) -> "Truth":
        records = [json.loads(line) for line in output.decode("utf-8", "surrogateescape").split("\n") if line]
        by_kind: dict[str, list[Record]] = {"system": [], "process": [], "socket": [], "other_socket": []}
        for record in records:
            by_kind[record.pop("kind")].append(record)
        return cls(by_kind["system"][0], by_kind["process"], by_kind["socket"], by_kind["other_socket"])

    def process(self, pid: int) -> Record:
        return next(process for process in self.processes if process["pid"] == pid)

    def sockets_of(self, pid: int) -> list[Record]:
        """Sockets that the process holds, whoever else does."""
        return [entry for entry in self.sockets if any(owner["pid"] == pid for owner in entry["owners"])]
