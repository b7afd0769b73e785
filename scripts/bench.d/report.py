#!/usr/bin/env python3
"""The figures of benchmarks as one page: `report.py FOLDER RESULTS` takes FOLDER/*.json into RESULTS, beside what was measured
elsewhere and not again since, and writes RESULTS/README.md and its plot of all that is there.
`report.py --machine FILE` writes where they are measured, before they are.

A benchmark leaves {name, machine, peers, parameters, tables, targets}, as `testkit::bench::Report` does; those in Python do it
with `write`.
"""

import html
import json
import math
import os
import pathlib
import re
import shutil
import subprocess
import sys

# In this order; what was not measured is not on the page.
NAMES = ["e2e", "ingest", "alert", "anomaly", "nab", "api", "outbox", "commands", "soak", "chaos"]


def machine():
    """As `testkit::bench::Machine` has it."""
    def field(file, name):
        lines = pathlib.Path(file).read_text().splitlines()
        return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), "")

    def git(*arguments):
        return subprocess.run(["git", "-C", pathlib.Path(__file__).parent, *arguments], capture_output=True, text=True, check=False).stdout.strip()

    commit = git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain") else "")
    memory = int(field("/proc/meminfo", "MemTotal").split()[0]) // 1024
    return {"cpu": field("/proc/cpuinfo", "model name"), "cores": os.cpu_count(), "memory_mib": memory, "load": os.getloadavg()[0], "commit": commit}


def at_most(what, wanted, found):
    return {"what": what, "wanted": f"≤ {wanted:g}", "found": found, "met": found <= wanted}


def at_least(what, wanted, found):
    return {"what": what, "wanted": f"≥ {wanted:g}", "found": found, "met": found >= wanted}


def write(output, name, on, parameters, tables, targets, **more):
    """`on`: the machine as it was before measuring. Returns what is short."""
    report = {"name": name, "machine": on, "peers": {}, "parameters": parameters, "tables": tables, "targets": targets, **more}
    pathlib.Path(output).write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    return [target for target in targets if not target["met"]]


def shown(value):
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    if abs(value) >= 1_000 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.2f}"


def markdown(columns, rows):
    lines = ["| " + " | ".join(columns) + " |", "|---" + "|---:" * (len(columns) - 1) + "|"]
    return "\n".join(lines + ["| " + " | ".join(map(shown, row)) + " |" for row in rows]) + "\n"


def section(report, results):
    on, peers = report["machine"], "".join(f"; {name} {version}" for name, version in report["peers"].items())
    parts = [f"## {report['name']}\n"]
    parts.append(f"{on['cpu']}, {on['cores']} cores, {on['memory_mib']:,} MiB, load {on['load']:.1f} before; commit {on['commit']}{peers}\n")
    drawn = sorted(results.glob(f"{report['name']}-*.svg"))
    if drawn:
        parts.append("".join(f"![{one.stem}]({one.name})\n" for one in drawn))
    for table in report["tables"]:
        parts.append(f"{table['title']}\n\n{markdown(table['columns'], table['rows'])}")
    if report["targets"]:
        rows = [[one["what"], one["wanted"], one["found"], "" if one["met"] else "**short**"] for one in report["targets"]]
        parts.append("To reach\n\n" + markdown(["", "wanted", "found", " "], rows))
    return "\n".join(parts)


def plot(path, reports):
    """Each target a bar: how far what was found is on the right side of what was wanted, in powers of two."""
    bars = []
    for report in reports:
        for one in report["targets"]:
            sign, wanted = re.fullmatch(r"([≤≥]) ([\d.]+)", one["wanted"]).groups()
            wanted, found = max(float(wanted), 1e-9), max(one["found"], 1e-9)
            ratio = wanted / found if sign == "≤" else found / wanted
            bars.append((f"{report['name']}: {one['what']} {one['wanted']}", max(-3.0, min(3.0, math.log2(ratio))), one))
    middle, scale, line = 620, 70, 18
    height = 40 + line * len(bars)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 920 {height}" font-family="sans-serif" font-size="11">',
        f'<rect width="920" height="{height}" fill="#fff"/><text x="10" y="18" font-size="13">Found, beside what was to be reached (the line); right of it is better, a mark is twice</text>',
    ]
    for mark in range(-3, 4):
        at = middle + mark * scale
        parts.append(f'<path d="M{at} 28V{height - 8}" stroke="{"#333" if mark == 0 else "#ddd"}"/>')
    for number, (text, reach, one) in enumerate(bars):
        top, colour = 32 + line * number, "#2ca02c" if one["met"] else "#d62728"
        left, width = middle + min(reach, 0) * scale, abs(reach) * scale
        parts.append(f'<text x="{middle - 3 * scale - 10}" y="{top + 11}" text-anchor="end">{html.escape(text)}</text>')
        parts.append(f'<rect x="{left:.0f}" y="{top + 2}" width="{max(width, 1):.0f}" height="{line - 6}" fill="{colour}"/>')
        parts.append(f'<text x="{middle + max(reach, 0) * scale + 6:.0f}" y="{top + 11}">{shown(one["found"])}</text>')
    path.write_text("\n".join([*parts, "</svg>\n"]))


def main():
    if sys.argv[1] == "--machine":
        pathlib.Path(sys.argv[2]).write_text(json.dumps(machine()))
        return
    folder, results = map(pathlib.Path, sys.argv[1:])
    for name in NAMES:
        if (folder / f"{name}.json").exists():
            report = json.loads((folder / f"{name}.json").read_text())
            report = {key: report[key] for key in ("name", "machine", "peers", "tables", "targets")}
            (results / f"{name}.json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
            for drawn in folder.glob(f"{name}-*.svg"):
                shutil.copy(drawn, results)
    reports = [json.loads((results / f"{name}.json").read_text()) for name in NAMES if (results / f"{name}.json").exists()]
    plot(results / "targets.svg", reports)
    head = """# Figures

What was measured last, put here by `scripts/bench --page`; each on a machine of two shared cores that runs everything: devices,
broker, Kafka, PostgreSQL, services and whoever measures. Ratios within a run count, and how fast such a machine is differs from
hour to hour (`ingest` has the rate of a subscriber that does nothing); what stands beside a figure was measured in the same run.

![Found beside what was to be reached](targets.svg)
"""
    (results / "README.md").write_text("\n".join([head, *(section(report, results) for report in reports)]))
    print(results / "README.md")


if __name__ == "__main__":
    main()
