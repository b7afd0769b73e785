"""A fleet's own readings (`anomaly-detector model export`: series,timestamp,value) as streams to train on.

What was wrong with them is not known. Nearly all of it is normal, so they are taken as normal, and anomalies are injected
into them as into synthetic ones; a day that was odd costs a little recall on days like it.
"""

import csv

import numpy as np

import faults

SHORTEST = 2 * faults.QUIET  # readings: fewer teach nothing beyond the warm-up


class Recorded:
    """One series, with anomalies injected when it is asked for."""

    def __init__(self, times, values, seed, faulty):
        self.times, self.values, self.seed, self.faulty, self.spans = times, values, seed, faulty, []

    def __call__(self):
        rng, values = np.random.default_rng(self.seed), self.values.copy()
        self.spans = faults.inject_all(rng, values) if self.faulty else []
        return self.times, values, self.spans


def streams(path, seed):
    series = {}
    with open(path, newline="") as f:
        for row in csv.DictReader(f):
            series.setdefault(row["series"], []).append((float(row["timestamp"]), float(row["value"])))
    out = []
    for i, (_, readings) in enumerate(sorted(series.items())):
        times, values = (np.array(column) for column in zip(*readings))
        if len(values) >= SHORTEST:
            out += [Recorded(times, values, [seed, i, faulty], bool(faulty)) for faulty in (0, 1)]
    if not out:
        raise SystemExit(f"{path}: no series has {SHORTEST} readings, too little to train on")
    return out
