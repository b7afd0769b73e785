#!/usr/bin/env python3
"""Loads the running suite for a while and watches what must not grow.

Steady rate, ten times that for the middle sixth, steady rate again. Every few seconds: resident memory, open files and
threads of each process, and how far each reader of a topic is behind. Says what is not flat, what does not catch up and
whose limit of docker-compose.yml or k8s/base is not at least half as large again as what was needed; writes OUTPUT.json and
OUTPUT-*.svg.
"""

import argparse
import json
import pathlib
import re
import statistics
import subprocess
import sys
import time

from processes import watched
from report import at_most, machine, markdown, write

MIB = 1024 * 1024
SAMPLE_SECONDS = 5
# What may come on top between the two steady parts: allocators keep what a peak needed, logs begin segments.
MAY_GROW = 1.10
MAY_GROW_MIB = 16
MAY_GROW_FILES = 1.05
CATCH_UP_SECONDS = 60
# A limit is at least so many times what was needed.
HEADROOM = 1.5
# More changes than the notifier remembers, so that what it keeps of them is full before anything is measured.
WARM_UP_ALERTS = 70_000
UNITS = {"k": 1024, "m": MIB, "g": 1024 * MIB, "Ki": 1024, "Mi": MIB, "Gi": 1024 * MIB}


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--rate", type=int, required=True)
    parser.add_argument("--devices", type=int, required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--mqtt", required=True)
    parser.add_argument("--fieldctl", required=True)
    parser.add_argument("--pids", type=pathlib.Path, required=True)
    parser.add_argument("--root", type=pathlib.Path, required=True)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    return parser.parse_args()


def size(text):
    number, unit = re.fullmatch(r"(\d+)([a-zA-Z]*)", text).groups()
    return int(number) * UNITS.get(unit, 1)


def limits(root):
    """Bytes by name, from both places that give a process its memory."""
    found = {"compose": {}, "kubernetes": {}}
    text = (root / "docker-compose.yml").read_text()
    usual = size(re.search(r"^x-service:.*?^  mem_limit: (\S+)", text, re.S | re.M)[1])
    services = text.split("\nservices:\n")[1].split("\nvolumes:\n")[0]
    for name, body in re.findall(r"^  ([a-z-]+):\n((?:    .*\n|\n)+)", services, re.M):
        own = re.search(r"^    mem_limit: (\S+)", body, re.M)
        if own or "*service" in body:
            found["compose"][name] = size(own[1]) if own else usual
    for file in (root / "k8s/base").glob("*.yaml"):
        if limit := re.search(r"limits: \{ memory: (\w+) \}", file.read_text()):
            found["kubernetes"][file.stem] = size(limit[1])
    return found


def look(pid):
    """Resident memory by kind, in KiB; open files; threads."""
    folder = pathlib.Path(f"/proc/{pid}")
    try:
        status = dict(line.split(":\t", 1) for line in (folder / "status").read_text().splitlines() if ":\t" in line)
        kib = {name: int(status[name].split()[0]) for name in ("RssAnon", "RssShmem", "RssFile")}
        return kib, len(list((folder / "fd").iterdir())), int(status["Threads"])
    except (OSError, KeyError, ValueError):
        return None


def sample(pids):
    row = {}
    for name, family in watched(pids).items():
        looks = [found for found in map(look, family) if found]
        if looks:
            # What a server's workers share, buffers and program, counts once.
            shared = sum(max(kib[kind] for kib, _, _ in looks) for kind in ("RssShmem", "RssFile"))
            row[name] = {"mib": (sum(kib["RssAnon"] for kib, _, _ in looks) + shared) / 1024, "files": sum(one[1] for one in looks), "threads": sum(one[2] for one in looks)}
    return row


def lag(fieldctl):
    """Records behind, by service. The marker that ends a transaction is no record, and at a partition's end it stays."""
    answer = subprocess.run([fieldctl, "lag", "--json"], capture_output=True, text=True, timeout=30, check=False)
    behind = {}
    for line in answer.stdout.splitlines():
        row = json.loads(line)
        records = sum(partition["lag"] for partition in row["partitions"] if partition["lag"] > 1)
        behind[row["service"]] = behind.get(row["service"], 0) + records
    return behind


def simulate(options, rate, seconds):
    devices = ["--devices", str(options.devices), "--prefix", "soak", "--seed", "1"]
    load = ["--rate", str(rate), "--duration", f"{round(seconds)}s"]
    return subprocess.Popen([options.fieldctl, "simulate", "--mqtt", options.mqtt, *devices, *load], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def warm_up(options):
    load = ["--devices", "2000", "--count", str(WARM_UP_ALERTS), "--excursions"]
    subprocess.run([options.fieldctl, "simulate", "--into", "alerts.temperature.v1", *load], stdout=subprocess.DEVNULL, check=True)
    deadline = time.monotonic() + 10 * CATCH_UP_SECONDS
    while any(lag(options.fieldctl).values()) and time.monotonic() < deadline:
        time.sleep(1)


def watch(options):
    """Runs the phases; returns the samples, each with its second and phase, and what each phase's devices said."""
    began, samples, phases = time.monotonic(), [], []
    whole = options.minutes * 60
    for phase, share, times in (("before", 5 / 12, 1), ("peak", 2 / 12, 10), ("after", 5 / 12, 1)):
        load = simulate(options, options.rate * times, whole * share)
        started = time.monotonic()
        while load.poll() is None:
            due = time.monotonic() + SAMPLE_SECONDS
            row = {"second": time.monotonic() - began, "phase": phase, "processes": sample(options.pids)}
            if len(samples) % 3 == 0:
                row["lag"] = lag(options.fieldctl)
            samples.append(row)
            time.sleep(max(0.0, due - time.monotonic()))
        ended, caught_up = time.monotonic(), None
        while time.monotonic() - ended < CATCH_UP_SECONDS:
            if not any(lag(options.fieldctl).values()):
                caught_up = time.monotonic() - ended
                break
        said = load.stdout.read().strip().splitlines()[-1:]
        phases.append({"phase": phase, "rate": options.rate * times, "seconds": ended - started, "caught_up_seconds": caught_up, "devices": said})
        print(f"  {phase}: {options.rate * times}/s for {ended - started:.0f} s; {''.join(said)}", flush=True)
    return samples, phases


def levels(samples, name, what):
    """The usual level in the last third of each steady part, and the highest there was at all."""
    def usual(phase):
        values = [row["processes"][name][what] for row in samples if row["phase"] == phase and name in row["processes"]]
        return statistics.median(values[len(values) * 2 // 3 :]) if values else 0

    highest = max(row["processes"][name][what] for row in samples if name in row["processes"])
    return usual("before"), usual("after"), highest


def judge(options, samples, phases):
    """What each process needed, and what of it is to be reached."""
    entries, targets = {}, []
    allowed = limits(options.root)
    for name in sorted({name for row in samples for name in row["processes"]}):
        before, after, highest = levels(samples, name, "mib")
        files = levels(samples, name, "files")
        entry = {"before_mib": before, "after_mib": after, "highest_mib": highest, "files": files, "threads": levels(samples, name, "threads")}
        if not options.quick:
            targets.append(at_most(f"{name}: MiB after the peak", max(before * MAY_GROW, before + MAY_GROW_MIB), after))
            targets.append(at_most(f"{name}: open files after the peak", files[0] * MAY_GROW_FILES, files[1]))
        for where, by_name in allowed.items():
            if name in by_name:
                entry[f"{where}_limit_mib"] = by_name[name] / MIB
                targets.append(at_most(f"{name}: MiB at most, of what {where} gives it", by_name[name] / MIB / HEADROOM, highest))
        entries[name] = entry
    for phase in phases:
        after = phase["caught_up_seconds"]
        targets.append(at_most(f"{phase['phase']}: caught up, s", CATCH_UP_SECONDS, 2 * CATCH_UP_SECONDS if after is None else after))
    return entries, targets


def tables(entries, samples, phases):
    keys = ("before_mib", "after_mib", "highest_mib", "compose_limit_mib", "kubernetes_limit_mib")
    memory = [[name, *(entry.get(key) for key in keys), f"{entry['files'][0]:.0f} – {entry['files'][1]:.0f}"] for name, entry in entries.items()]
    behind = []
    for phase in phases:
        rows = [row["lag"] for row in samples if row["phase"] == phase["phase"] and "lag" in row]
        worst = {name: max(row.get(name, 0) for row in rows) for name in sorted({name for row in rows for name in row})}
        phase["most_behind"] = worst
        said = ", ".join(f"{name} {count:,}" for name, count in worst.items())
        behind.append([phase["phase"], phase["rate"], phase["seconds"], phase["caught_up_seconds"], said])
    return [
        {"title": "Resident memory, MiB", "columns": ["", "before the peak", "after it", "highest", "compose", "k8s", "open files"], "rows": memory},
        {"title": "Records behind", "columns": ["", "readings/s", "s", "caught up after, s", "at most"], "rows": behind},
    ]


COLOURS = ["#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b", "#17becf", "#7f7f7f", "#e377c2", "#bcbd22"]


def plot(path, title, series, peak):
    """One SVG: lines over minutes, the peak shaded."""
    width, height, left, top, right, bottom = 760, 300, 56, 34, 170, 34
    last = max(second for points in series.values() for second, _ in points)
    most = max(max(value for points in series.values() for _, value in points), 1)
    across = lambda second: left + (width - left - right) * second / last
    down = lambda value: height - bottom - (height - top - bottom) * value / most
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="#fff"/><text x="{left}" y="18" font-size="13">{title}</text>',
        f'<rect x="{across(peak[0]):.1f}" y="{top}" width="{across(peak[1]) - across(peak[0]):.1f}" height="{height - top - bottom}" fill="#eee"/>',
    ]
    for step in range(5):
        value = most * step / 4
        parts.append(f'<path d="M{left} {down(value):.1f}H{width - right}" stroke="#ddd"/><text x="{left - 6}" y="{down(value) + 4:.1f}" text-anchor="end">{value:,.0f}</text>')
        minute = last * step / 4
        parts.append(f'<text x="{across(minute):.1f}" y="{height - 14}" text-anchor="middle">{minute / 60:.0f} min</text>')
    for number, (name, points) in enumerate(sorted(series.items(), key=lambda one: -one[1][-1][1])):
        colour = COLOURS[number % len(COLOURS)]
        few = points[:: max(1, len(points) // 150)]
        line = " ".join(f"{across(second):.0f},{down(value):.1f}" for second, value in few)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        parts.append(f'<text x="{width - right + 10}" y="{top + 12 + 16 * number}" fill="{colour}">{name} {points[-1][1]:,.0f}</text>')
    path.write_text("\n".join([*parts, "</svg>\n"]))


def main():
    options = arguments()
    options.output.parent.mkdir(parents=True, exist_ok=True)
    on = machine()
    if not options.quick:
        warm_up(options)
    samples, phases = watch(options)
    entries, targets = judge(options, samples, phases)
    made = tables(entries, samples, phases)
    for table in made:
        print(f"\n{table['title']}\n" + markdown(table["columns"], table["rows"]))
    parameters = {name: getattr(options, name) for name in ("minutes", "rate", "devices")}
    short = write(options.output.with_suffix(".json"), "soak", on, parameters, made, targets, samples=samples)
    in_peak = [row["second"] for row in samples if row["phase"] == "peak"]
    peak = in_peak[0], in_peak[-1]
    memory = {name: [(row["second"], row["processes"][name]["mib"]) for row in samples if name in row["processes"]] for name in entries if name != "simulate"}
    services = {name: points for name, points in memory.items() if (options.root / "services" / name).exists()}
    plot(options.output.with_name("soak-services.svg"), "Resident memory of the services, MiB (shaded: ten times the rate)", services, peak)
    servers = {name: points for name, points in memory.items() if name not in services}
    plot(options.output.with_name("soak-servers.svg"), "Resident memory of the servers, MiB", servers, peak)
    behind = [row for row in samples if "lag" in row]
    lags = {name: [(row["second"], row["lag"].get(name, 0)) for row in behind] for name in sorted({name for row in behind for name in row["lag"]})}
    plot(options.output.with_name("soak-lag.svg"), "Records behind", lags, peak)
    print(f"\n{options.output.with_suffix('.json')}")
    for one in short:
        print(f"! {one['what']}: {one['found']:.1f}, wanted {one['wanted']}")
    sys.exit(bool(short))


main()
