#!/usr/bin/env python3
"""Puts what `scripts/chaos` found in its scenarios together, for the page of figures: `chaos.py OUTPUT.json SCENARIO.json...`."""

import json
import pathlib
import re
import statistics
import sys

from report import at_most, machine, write

COUNTS = ["messages published", "acknowledged", "alerts expected", "alerts announced", "notifications of alerts at the API", "of them seen on the stream"]
NAMES = ["scenario", "published", "acknowledged", "alerts expected", "announced", "at the API", "on the stream", "lost", "duplicates", "anomalies"]


def kind(fault):
    """Without which of several replicas or brokers it was, and without what was killed beside it."""
    return re.sub(r" \d$", "", fault.split(" beside ")[0])


def main():
    output, *found = map(pathlib.Path, sys.argv[1:])
    scenarios, recovered, seeds = [], {}, set()
    for file in found:
        report = json.loads(file.read_text())
        faults, counts = report["tables"][:2]
        seeds.add(report["parameters"]["seed"])
        counted = dict(counts["rows"])
        scenarios.append([file.stem, *(counted[name] for name in COUNTS), *(target["found"] for target in report["targets"])])
        for fault, _, held, after, _ in faults["rows"]:
            recovered.setdefault(kind(fault), []).append((held, after))
    totals = [sum(row[column] for row in scenarios) for column in range(1, len(NAMES))]
    faults = []
    for name, times in sorted(recovered.items()):
        after = [seconds for _, seconds in times if seconds is not None]
        faults.append([name, len(times), max(held for held, _ in times), statistics.median(after) if after else None, max(after, default=None)])
    tables = [
        {"title": f"Three brokers, the suite as processes, seed {', '.join(map(str, sorted(seeds)))}", "columns": NAMES, "rows": [*scenarios, ["in all", *totals]]},
        {"title": "Seconds until a reading published at a fault's end was on the stream", "columns": ["fault", "times", "lasted at most s", "median s", "max s"], "rows": faults},
    ]
    lost, duplicates, anomalies = totals[-3:]
    wanted = [at_most("lost", 0, lost), at_most("duplicates", 0, duplicates), at_most("anomalies in all", 0, anomalies)]
    write(output, "chaos", machine(), {}, tables, wanted)


main()
