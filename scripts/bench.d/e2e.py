#!/usr/bin/env python3
"""Prints what `fieldctl probe` found at each rate beside what is to be reached, and from the collector's spans where the time goes.

FOLDER holds RUN.json, before-, after- and plan-RUN.json of each run and, from one with a collector, spans.jsonl.
"""

import collections
import json
import pathlib
import statistics
import sys

from report import at_least, at_most, markdown, write

# Milliseconds from publish to event, p50 and p99, by run.
LIMITS = {"1000": (20, 60), "5000": (None, 100)}


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def runs(folder):
    """By name: rates, and `crowded`."""
    names = [*sorted((file.stem for file in folder.glob("[0-9]*.json")), key=int), "crowded"]
    return [(name, json.loads((folder / f"{name}.json").read_text())) for name in names]


def stages(file):
    """Of every trace that begins at the bridge: when each span began, after the first, and how long it was; in milliseconds."""
    traces = collections.defaultdict(list)
    for line in file.read_text().splitlines():
        for resource in json.loads(line)["resourceSpans"]:
            service = next(entry["value"]["stringValue"] for entry in resource["resource"]["attributes"] if entry["key"] == "service.name")
            for scope in resource["scopeSpans"]:
                for span in scope["spans"]:
                    traces[span["traceId"]].append((service, span["name"], int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])))
    found = collections.defaultdict(lambda: ([], []))
    whole = 0
    for spans in traces.values():
        if not {"mqtt-bridge", "outbox-relay"} <= {service for service, *_ in spans}:
            continue
        whole += 1
        first = min(start for *_, start, _ in spans)
        seen = set()
        for service, name, start, end in sorted(spans, key=lambda span: span[2]):
            # An alert's end comes in the trace of another reading; what repeats within a trace is another reader of the same.
            if (service, name) not in seen:
                seen.add((service, name))
                begins, lasts = found[service, name]
                begins.append((start - first) / 1e6)
                lasts.append((end - start) / 1e6)
    return whole, sorted(found.items(), key=lambda item: statistics.median(item[1][0]))


def cores(folder, run):
    """Of each process that `fieldctl plan` plans for: readings and alerts a second, cores it was busy with, and cores planned."""
    before, after, plan = (json.loads((folder / f"{what}-{run}.json").read_text()) for what in ("before", "after", "plan"))
    seconds = after["at"] - before["at"]
    for process in plan["processes"]:
        name = process["name"]
        busy = (after["seconds"][name] - before["seconds"][name]) / seconds
        yield [name, plan["rate"], plan["alerts"], busy, process["cores"]]


def row(report):
    latency = [report["publish_to_sse_ms"][name] for name in ("p50", "p99", "p999", "max")]
    seconds = report["seconds"]
    return [report["readings"] / seconds, report["alerts"] / seconds, f"{report['seen']:,} of {report['alerts']:,}", *latency]


def main():
    folder, output = map(pathlib.Path, sys.argv[1:])
    rows, busy, targets = [], [], []
    for run, report in runs(folder):
        rows.append(row(report))
        busy += cores(folder, run)
        what = f"at {int(run):,}/s" if run.isdigit() else "where they are crowded"
        targets.append(at_least(f"alerts seen {what}", report["alerts"], report["seen"]))
        for name, wanted, found in zip(("p50", "p99"), LIMITS.get(run, ()), rows[-1][3:]):
            if wanted:
                targets.append(at_most(f"publish to event {what}, {name} ms", wanted, found))
    columns = ["readings/s", "alerts/s", "alerts seen", "p50", "p99", "p99.9", "max"]
    tables = [
        {"title": "Publish to event, ms", "columns": columns, "rows": rows},
        {"title": "Cores busy, beside `fieldctl plan`", "columns": ["", "readings/s", "alerts/s", "busy", "planned"], "rows": busy},
    ]
    spans = folder / "spans.jsonl"
    if spans.exists():
        whole, found = stages(spans)
        where = [
            [f"{service}: {name}", statistics.median(begins), percentile(begins, 0.99), statistics.median(lasts), percentile(lasts, 0.99)]
            for (service, name), (begins, lasts) in found
            if len(begins) >= whole / 2
        ]
        columns = ["", "begins p50", "p99", "lasts p50", "p99"]
        tables.append({"title": f"Where the time goes at 1,000/s, of {whole:,} traces, ms", "columns": columns, "rows": where})
    for table in tables:
        print(f"\n{table['title']}\n" + markdown(table["columns"], table["rows"]))
    on = json.loads((folder / "machine.json").read_text())
    short = write(output, "e2e", on, {}, tables, targets)
    print(f"\n{output}")
    for one in short:
        print(f"! {one['what']}: {one['found']}, wanted {one['wanted']}")


main()
