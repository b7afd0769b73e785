#!/usr/bin/env python3
"""Processes of an instance, from its folder of pid files. `processes.py FOLDER FILE` writes the processor time each has had."""

import json
import os
import pathlib
import sys
import time


def watched(pids):
    """Processes of this instance by name, with those they started: a server may be a parent of workers."""
    children = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))

    def family(pid):
        yield pid
        for child in children.get(pid, []):
            yield from family(child)

    return {file.name: list(family(int(file.read_text().split()[0]))) for file in pids.iterdir() if not file.name.startswith("stream")}


def processor_seconds(pid):
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    # utime and stime, and those of children that have ended
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    used = {name: sum(map(processor_seconds, family)) for name, family in watched(pathlib.Path(sys.argv[1])).items()}
    pathlib.Path(sys.argv[2]).write_text(json.dumps({"at": time.monotonic(), "seconds": used}))
