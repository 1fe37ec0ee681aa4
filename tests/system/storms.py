"""Storms in a guest, and how well Outguard keeps up: shared by the tests and the bench."""
import json
import pathlib
import subprocess
import time

from support import BIN, Supervisor

LISTED = "203.0.113.66"
LOG = "/run/forking-clients.log"
BEACON = 9100020  # the storm is one as well, and said to be so once


def read_churn(guest, seconds, workers=3):
    """What race_reader found while processes and sockets of the guest came and went as fast as they could."""
    guest.run("churn", workers)
    done = subprocess.run([BIN / "race_reader", guest.target, str(seconds)], check=True, text=True,
                          stdout=subprocess.PIPE, timeout=seconds + 120)
    return json.loads(done.stdout)


def guest_log(guest):
    """(local port -> pids in order, whether the storm is over), by the guest's own record."""
    _, text = guest.sh(f"cat {LOG}", timeout=120)
    owners, over = {}, False
    for line in text.splitlines():
        if line == "end":
            over = True
            continue
        pid, port = map(int, line.split())
        if port != 0:
            owners.setdefault(port, []).append(pid)
    return owners, over


def matches(supervisor):
    return [alert for alert in supervisor.alerts() if alert["alert"]["signature_id"] != BEACON]


def attribute_storm(guest, folder, connections, interval, *mode):
    """Forking clients, a connection each, all to a listed address: every connection must become an alert. Counts
    against the guest's own log how many name the right process, a wrong one, or none. With the mode "tell" a
    client does not wait for its answer: it is gone a moment after its first packet."""
    feed = pathlib.Path(folder) / "storm.txt"
    feed.write_text(LISTED + "\n")
    with Supervisor(folder, "--intel", str(feed), "--allow-reserved", "--vm", guest.uuid) as supervisor:
        supervisor.wait_for_log(f"{guest.name}: ready")
        start = time.monotonic()
        guest.run("forking-clients", LISTED + ":4444", connections, interval, LOG, *mode)
        deadline = start + 60 + connections * max(interval, 0.03)
        while guest.sh(f"tail -n 1 {LOG}")[1].strip() != "end" and time.monotonic() < deadline:
            time.sleep(1)
        seconds = time.monotonic() - start
        owners, over = guest_log(guest)
        expected = sum(map(len, owners.values()))
        while len(matches(supervisor)) < expected and time.monotonic() < deadline + 10:
            time.sleep(0.5)
        alerts = matches(supervisor)
    return {**compare(owners, alerts), "over": over, "seconds": round(seconds, 1),
            "per_minute": round(60 * expected / seconds)}


def compare(owners, alerts):
    """A port that was used twice has its alerts in the order of its connections."""
    result = {"connections": sum(map(len, owners.values())), "alerts": len(alerts), "right": 0, "wrong": 0,
              "unattributed": 0, "unknown": 0, "statuses": {}, "wrong_ones": [], "latency_us": []}
    left = {port: list(pids) for port, pids in owners.items()}
    for alert in sorted(alerts, key=lambda alert: alert["timestamp"]):
        pids = left.get(alert["src_port"])
        if not pids:
            result["unknown"] += 1
            continue
        pid = pids.pop(0)
        status = alert["attribution"]["status"]
        result["statuses"][status] = result["statuses"].get(status, 0) + 1
        result["latency_us"].append(alert["attribution"]["latency_us"])
        if not alert["process"]:
            result["unattributed"] += 1
        elif alert["process"]["pid"] == pid:
            result["right"] += 1
        else:
            result["wrong"] += 1
            result["wrong_ones"].append((alert["src_port"], alert["process"]["pid"], pid, status))
    result["missing"] = sum(map(len, left.values()))
    return result
