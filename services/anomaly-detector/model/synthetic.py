"""Synthetic sensor streams with injected anomalies. A seed gives the same streams.

A stream is (seconds, values, spans); a span (first, last) is a half-open range of rows in which something is wrong.
"""

import numpy as np

import faults, kinds

ROWS = 4000
PLAIN_ROWS = 1500
INTERVALS = [1, 10, 60, 60, 300, 300, 300, 300, 300, 300, 600, 1800]


def stream(rng, rows=ROWS, faulty=True):
    interval = rng.choice(INTERVALS)
    t = np.arange(rows) * interval * 1.0
    if rng.uniform() < 0.3:
        t += rng.uniform(-0.4, 0.4, rows) * interval
    if rng.uniform() < 0.15:
        gap = rng.integers(faults.QUIET, rows)
        t[gap:] += interval * rng.uniform(20, 500)
    t += 1.7e9 + rng.uniform(0, 86400)
    x = kinds.fault_free(rng, t)
    spans = faults.inject_all(rng, x) if faulty else []
    scale = 10 ** rng.uniform(-2, 4)
    return t, x * scale + rng.choice([0, 1, 20, 300]) * scale * rng.normal(), spans


def fault_free(rng, rows, interval=300):
    """A healthy temperature sensor: a daily cycle, noise or slow air, in hundredths of a degree."""
    t = 1.7e9 + (np.arange(rows) + rng.uniform(-0.1, 0.1, rows)) * interval
    wave = np.sin(2 * np.pi * (t / 86400 + rng.uniform()))
    noise = kinds.ornstein_uhlenbeck(rng, rows, 0.2) * 0.25 if rng.uniform() < 0.5 else rng.normal(0, rng.choice([0.05, 0.1, 0.2, 0.3]), rows)
    return t, np.round(rng.uniform(19, 22) + rng.uniform(1, 5) * wave + noise, 2), []


def plain(rng, rows=PLAIN_ROWS, faulty=True):
    """A simple series, mostly a healthy sensor's, with faults nobody would overlook, also soon after it began; or without."""
    t, x, _ = fault_free(rng, rows, rng.choice([10, 60, 60, 300, 300, 300]))
    kind, step = rng.choice(["sensor"] * 6 + ["constant", "pattern", "swing"]), np.arange(rows)
    if kind == "constant":
        x = np.full(rows, np.round(rng.normal(20, 5), 1))
    elif kind == "pattern":
        x = np.round((step % rng.integers(3, 30)) * rng.uniform(0.5, 2), 2)
    elif kind == "swing":
        x = 20 + rng.uniform(0.5, 3) * np.sin(step / rng.uniform(10, 60)) + rng.uniform(-0.2, 0.2, rows)
    spans, at = [], 70 + rng.integers(0, 400)
    while faulty and at < rows - 80:
        spans.append((at, plain_fault(rng, x, at)))
        at = spans[-1][1] + rng.integers(350, 700)
    return t, x, spans


def plain_fault(rng, x, first):
    """Puts a spike, a step or a lost signal into x; returns where it ends."""
    before = x[:first]
    # Far beyond how it moves; some also beyond how far it goes, others a reading of the afternoon at night.
    size = max(rng.uniform(15, 60) * np.std(np.diff(before)), rng.uniform(1.5, 6) * np.std(before) * (rng.uniform() < 0.6))
    if np.ptp(before) == 0:
        size = rng.uniform(1, 20)
    sign, kind = rng.choice([-1, 1]), rng.choice(["spike", "spike", "step", "lost"])
    length = int({"spike": rng.integers(1, 5), "step": rng.integers(20, 300), "lost": rng.integers(12, 60)}[kind])
    if kind == "lost":
        x[first : first + length] = min(-rng.uniform(0, 1) * size, before.min() - size)
    else:
        x[first : first + length] += sign * size
    return min(first + length, len(x))
