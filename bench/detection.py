"""Bench parts of detection: detection, intel, capture. Each returns its figures and prints its table.

What "detection" measures: processor time of one core, user and system, per packet of a capture in the page cache, reading it
included. Ours: the sandboxed sensor from the first packet to its answer, the image mapped before, plus the process
that writes the EVE lines. Suricata's: the whole process, less the same process on a capture of one packet.
Runs alternate; the least of each counts.
"""
import base64
import ipaddress
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
BIN = pathlib.Path(os.environ.get("OUTGUARD_BIN", ROOT / "build" / "release" / "bin"))
SHARE = 1.0  # of the flows of the full traffic; --share
ROUNDS = 5
PEER_ROUNDS = 2  # its figure is large, and it takes long
SIZES = (100_000, 1_000_000)
BUDGET_US = {"mixed": 0.21, "short": 0.38}
CALLGRIND_SHARE = 0.05

SURICATA = """%YAML 1.1
---
vars:
  address-groups: {HOME_NET: "any", EXTERNAL_NET: "any"}
default-log-dir: FOLDER
outputs:
  - eve-log: {enabled: yes, filetype: regular, filename: eve.json, types: [{alert: {metadata: yes}}]}
logging: {default-log-level: notice, outputs: [{console: {enabled: yes}}]}
flow: {memcap: 2gb, hash-size: 262144, prealloc: 10000}
stream: {memcap: 1gb, reassembly: {memcap: 2gb, depth: 1mb}}
datasets: {limits: {total-hashsizes: 67108864, single-hashsize: 4194304}}
default-rule-path: FOLDER
rule-files: [datasets.rules]
"""
RULES = """alert dns any any -> any any (msg:"dns"; dns.query; dataset:isset,names,type string,load NAMES,memcap 2gb,hashsize HASH; sid:1;)
alert tls any any -> any any (msg:"tls"; tls.sni; dataset:isset,names; sid:2;)
alert http any any -> any any (msg:"http"; http.host; dataset:isset,names; sid:3;)
alert ip any any -> any any (msg:"ip"; ip.dst; dataset:isset,ends,type ip,load ENDS,memcap 2gb,hashsize HASH; sid:4;)
"""


def run_json(*words):
    done = subprocess.run([str(word) for word in words], check=True, text=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout.splitlines()[-1])


# ---- Ours -------------------------------------------------------------------------------------------

def make_all(folder):
    traffic = {kind: run_json(BIN / "make_traffic", folder, kind, SHARE) for kind in BUDGET_US}
    for size in SIZES:
        run_json(BIN / "make_traffic", folder, "indicators", size)
        subprocess.run([BIN / "outguard", "intel", "compile", folder / f"indicators-{size}.txt", "--out",
                        folder / f"{size}.image"], check=True, stdout=subprocess.DEVNULL)
    return traffic


def our_run(folder, kind, size):
    return run_json(BIN / "detection_bench", "replay", folder / f"{size}.image", folder / f"{kind}.pcap",
                    folder / "ours.json")


def eve_alerts(path):
    with open(path, encoding="utf-8") as lines:
        return [event for event in map(json.loads, lines) if event["event_type"] == "alert"]


def flow_of(event):
    """Both ends in one order, as the two programs may see them the other way round."""
    ends = sorted((str(ipaddress.ip_address(event[f"{side}_ip"])), event.get(f"{side}_port", 0))
                  for side in ("src", "dest"))
    return (event["proto"], *ends)


def our_pairs(folder):
    """(flow, indicator) of what the peer's datasets can say too, and how many others there are, by kind."""
    pairs, others = set(), {}
    for event in eve_alerts(folder / "ours.json"):
        indicator = event["alert"]["context"].get("indicator") or {}
        if indicator.get("type") in ("domain", "address"):
            pairs.add((flow_of(event), indicator["value"]))
        else:
            kind = indicator.get("type") or "beacon"
            others[kind] = others.get(kind, 0) + 1
    return pairs, others


def instructions(folder):
    """Instructions a packet of the packet path, by callgrind on a part of the traffic; what a reload or EVE costs is not in it."""
    if not shutil.which("valgrind"):
        return {}
    figures = {}
    small = folder / "small"
    small.mkdir(exist_ok=True)
    for kind in BUDGET_US:
        run_json(BIN / "make_traffic", small, kind, CALLGRIND_SHARE)
        for size in SIZES:
            done = subprocess.run(
                ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no",
                 "--toggle-collect=*run_capture*", BIN / "detection_bench", "inside", folder / f"{size}.image",
                 small / f"{kind}.pcap", small / "eve.json"], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            collected = re.search(r"Collected : (\d+)", done.stderr)
            if collected:
                figures[kind, size] = int(collected[1]) / json.loads(done.stdout)["packets"]
    return figures


# ---- The peer ---------------------------------------------------------------------------------------

def prepare_peer(folder, size):
    """Its configuration, rules and datasets of the same domains and addresses."""
    place = folder / f"suricata-{size}"
    place.mkdir()
    names, ends = [], []
    for line in (folder / f"indicators-{size}.txt").read_text().splitlines():
        if line.startswith("http"):
            continue
        last = line[line.rfind(".") + 1:]
        (ends if last.isdigit() else names).append(line)
    (place / "names.lst").write_text("".join(base64.b64encode(name.encode()).decode() + "\n" for name in names))
    (place / "ends.lst").write_text("".join(end + "\n" for end in ends))
    hash_size = 1 << (size - 1).bit_length()
    (place / "datasets.rules").write_text(RULES.replace("NAMES", str(place / "names.lst"))
                                          .replace("ENDS", str(place / "ends.lst")).replace("HASH", str(hash_size)))
    (place / "suricata.yaml").write_text(SURICATA.replace("FOLDER", str(place)))
    frame = bytes(12) + b"\x88\xb5" + bytes(46)  # it takes no capture without a packet
    (place / "idle.pcap").write_bytes(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, 1) +
                                      struct.pack("<IIII", 1_755_799_217, 0, len(frame), len(frame)) + frame)
    return place


def peer_seconds(place, capture):
    """Processor seconds of one run; its resident memory in kB."""
    (place / "eve.json").unlink(missing_ok=True)
    with open(place / "log", "w", encoding="utf-8") as log:
        child = subprocess.Popen(["suricata", "-c", place / "suricata.yaml", "-r", capture, "--runmode", "single",
                                  "-k", "none", "-l", place], stdout=log, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    said = (place / "log").read_text()
    if child.returncode != 0 or "rules failed" in said.replace("0 rules failed", ""):
        raise RuntimeError(f"suricata did not take its rules: {said[-2000:]}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss


def peer_pairs(place):
    """(flow, indicator) and how many alerts they came in."""
    pairs, alerts = set(), eve_alerts(place / "eve.json")
    for event in alerts:
        said = {1: lambda e: first_name(e["dns"]), 2: lambda e: e["tls"]["sni"], 3: lambda e: e["http"]["hostname"],
                4: lambda e: e["dest_ip"]}[event["alert"]["signature_id"]](event)
        pairs.add((flow_of(event), said))
    return pairs, len(alerts)


def first_name(dns):
    query = dns.get("query") or dns.get("queries")
    return query[0]["rrname"] if isinstance(query, list) else query["rrname"]


# ---- The part ---------------------------------------------------------------------------------------

def one_kind(folder, kind, size, place):
    """All runs of one capture against one set, alternating."""
    ours, peer, idle, peer_kb = [], [], [], 0
    for turn in range(ROUNDS):
        ours.append(our_run(folder, kind, size))
        if place and turn < PEER_ROUNDS:
            idle.append(peer_seconds(place, place / "idle.pcap")[0])
            seconds, peer_kb = peer_seconds(place, folder / f"{kind}.pcap")
            peer.append(seconds)
    packets = ours[0]["packets"]
    best = min(ours, key=lambda run: run["sensor_ns"] + run["eve_ns"])
    pairs, others = our_pairs(folder)
    found = {"traffic": kind, "indicators": size, "packets": packets,
             "us_a_packet": (best["sensor_ns"] + best["eve_ns"]) / packets / 1000,
             "sensor_us": best["sensor_ns"] / packets / 1000, "eve_us": best["eve_ns"] / packets / 1000,
             "reading_us": min(run_json(BIN / "detection_bench", "read", folder / f"{kind}.pcap")["ns"]
                               for _ in range(ROUNDS)) / packets / 1000,
             "sensor_peak_kb": best["peak_kb"], "pairs": len(pairs), "other_alerts": others,
             "accounted": all(run["packets"] == run["processed"] + sum(run["dropped"].values()) for run in ours),
             "budget_us": BUDGET_US[kind]}
    if peer:
        theirs, alerts = peer_pairs(place)
        used = max(min(peer) - min(idle), 1e-9)
        found["suricata"] = {"us_a_packet": used / packets * 1e6, "start_seconds": min(idle), "peak_kb": peer_kb,
                             "pairs": len(theirs), "alerts": alerts, "only_ours": len(pairs - theirs),
                             "only_suricata": len(theirs - pairs),
                             "ratio": used / packets * 1e6 / found["us_a_packet"],
                             # A live ring is not read: both without what reading alone costs us.
                             "ratio_without_reading": (used / packets * 1e6 - found["reading_us"])
                             / (found["us_a_packet"] - found["reading_us"])}
        found["difference"] = {"only_ours": sorted(map(str, pairs - theirs))[:5],
                               "only_suricata": sorted(map(str, theirs - pairs))[:5]}
    return found


def bench_detection():
    """The whole path on one core: reassembly, flow table, matching, EVE. Budget 0.21 us/packet mixed, 0.38 short; next 20x Suricata."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        traffic = make_all(folder)
        peer = shutil.which("suricata") is not None
        places = {size: prepare_peer(folder, size) if peer else None for size in SIZES}
        found = [one_kind(folder, kind, size, places[size]) for kind in BUDGET_US for size in SIZES]
        counted = instructions(folder)
    for one in found:
        one["instructions_a_packet"] = counted.get((one["traffic"], one["indicators"]))
    lines = []
    for one in found:
        peer_said = one.get("suricata")
        lines.append([one["traffic"], one["indicators"], f"{one['us_a_packet']:.3f}", one["budget_us"],
                      f"{one['reading_us']:.3f}", f"{one['instructions_a_packet'] or 0:.0f}",
                      f"{one['sensor_peak_kb'] / 1024:.0f}", one["pairs"],
                      *([f"{peer_said['us_a_packet']:.2f}", f"{peer_said['ratio']:.1f}x",
                         f"{peer_said['ratio_without_reading']:.1f}x", f"{peer_said['peak_kb'] / 1024:.0f}",
                         f"{peer_said['pairs']} in {peer_said['alerts']}",
                         f"{peer_said['only_ours']} / {peer_said['only_suricata']}"]
                        if peer_said else ["not installed", "-", "-", "-", "-", "-"])])
    return {"traffic": traffic, "runs": found}, [
        "traffic", "indicators", "us/packet", "budget", "of it reading", "instructions", "peak MB", "hits", "suricata us",
        "ratio", "without reading", "peak MB", "hits in alerts", "only ours / only its"], lines


# ---- Indicators -------------------------------------------------------------------------------------

LOOK_UPS = ("address_miss", "address_hit", "domain_miss", "domain_hit", "url_miss", "url_hit", "ja4_miss")
INTEL_SIZES = (10_000, 1_000_000, 10_000_000)


def make_image(folder, size):
    """Seconds from a list to the first look-up in a sensor, and the image in a file."""
    run_json(BIN / "make_traffic", folder, "indicators", size)
    feed, image = folder / f"indicators-{size}.txt", folder / f"{size}.image"
    before, start = os.times(), time.monotonic()
    done = subprocess.run([BIN / "outguard", "intel", "lookup", "login.nobody.example", "--intel", feed],
                          stderr=subprocess.DEVNULL)
    took, after = time.monotonic() - start, os.times()
    if done.returncode != 6:  # nothing matches
        raise RuntimeError(f"{size} indicators: look-up ended with {done.returncode}")
    used = after.children_user + after.children_system - before.children_user - before.children_system
    subprocess.run([BIN / "outguard", "intel", "compile", feed, "--out", image], check=True, stdout=subprocess.DEVNULL)
    return {"indicators": size, "list_to_look_up": {"seconds": took, "processor_seconds": used},
            "image_mb": image.stat().st_size / 1e6}


def look_up_ns(sizes):
    """{(look-up, size): nanoseconds} of intel_bench."""
    if not (BIN / "intel_bench").exists():
        return {}
    done = subprocess.run([BIN / "intel_bench", f"--benchmark_filter=^({'|'.join(LOOK_UPS)})/", "--benchmark_min_time=0.1",
                           "--benchmark_format=json"], text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    found = {}
    for row in json.loads(done.stdout)["benchmarks"]:
        name, size = row["name"].split("/")
        if int(size) in sizes:
            found[name, int(size)] = row["cpu_time"]
    return found


def bench_intel():
    """Indicators: list to image, use in a running sensor, look-ups. Budget: 1M load 0.5 s and 100 MB; 10M compiled: mapped in 50 ms."""
    costs = look_up_ns(INTEL_SIZES)
    found = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for size in INTEL_SIZES:
            one = make_image(folder, size)
            for way in ("map", "reload"):
                one[way] = run_json(BIN / "detection_bench", way, folder / f"{size}.image", 10)
            one["look_up_ns"] = {name: costs.get((name, size)) for name in LOOK_UPS}
            found.append(one)
            (folder / f"indicators-{size}.txt").unlink()
            (folder / f"{size}.image").unlink()
    lines = [[one["indicators"], *(f"{spent:.2f}" for spent in one["list_to_look_up"].values()), f"{one['image_mb']:.1f}",
              *(f"{one[way]['reload_us']['p50'] / 1000:.2f}" for way in ("map", "reload")),
              *(f"{one[way][field] / 1024:.0f}" for way in ("map", "reload") for field in ("rss_kb", "peak_kb")),
              *(f"{cost:.0f}" if cost else "-" for cost in one["look_up_ns"].values())] for one in found]
    return found, ["indicators", "list to look-up s", "CPU s", "image MB", "mapped ms", "verified ms", "sensor MB mapped",
                   "peak", "MB verified", "peak", *(f"{name} ns" for name in LOOK_UPS)], lines


# ---- Live -------------------------------------------------------------------------------------------

def bench_capture():
    """Live from a veth pair: the highest rate without a loss, twice that, and a sensor that stands still; sent = processed + dropped."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        run_json(BIN / "make_traffic", folder, "mixed", min(SHARE, 0.2))
        make_image(folder, 1_000_000)
        found = run_json(BIN / "capture_bench", folder / "1000000.image", folder / "mixed.pcap")
    lines = [[label, f"{one['rate']:.0f}", one["sent"], one["seen"], one["processed"], one["lost_in_kernel"],
              one["dropped_otherwise"], "yes" if one["adds_up"] else "NO", f"{one['sensor_us']:.2f}"]
             for label, one in (("without loss" + (", as fast as all senders go" if found["bound_by_senders"] else ""),
                                 found["without_loss"]),
                                ("twice that, or what the senders make", found["twice"]),
                                ("the sensor stands still half the time", found["stalled"]))]
    return found, ["850 B packets, 1M indicators", "packets/s", "sent", "seen", "processed", "lost in kernel",
                   "dropped otherwise", "adds up", "sensor us/packet"], lines


PARTS = {"detection": bench_detection, "intel": bench_intel, "capture": bench_capture}
