"""Synthetic sensor streams with injected anomalies. A seed gives the same streams.

A stream is (seconds, values, spans); a span (first, last) is a half-open range of rows in which something is wrong.
"""

import numpy as np

ROWS = 4000
PLAIN_ROWS = 1500
KINDS = ["daily", "daily", "daily_noise", "walk", "noise", "square", "counts", "spikes", "flat", "steps", "bursts", "beat"]
INTERVALS = [1, 10, 60, 60, 300, 300, 300, 300, 300, 300, 600, 1800]
QUIET = 400  # rows at the start without anomalies: a detector may learn from them


def ornstein_uhlenbeck(rng, n, pull):
    noise = rng.normal(0, np.sqrt(2 * pull), n)
    out = np.empty(n)
    x = rng.normal()
    for i in range(n):
        x += -pull * x + noise[i]
        out[i] = x
    return out


def daily(rng, t):
    phase = 2 * np.pi * (t / 86400 + rng.uniform())
    wave = np.sin(phase) + rng.uniform(0, 0.5) * np.sin(2 * phase + rng.uniform(0, 6))
    if rng.uniform() < 0.4:
        wave = np.clip(wave, -0.5, 0.7)
    if rng.uniform() < 0.4:
        weekend = ((t // 86400).astype(int) % 7) >= 5
        wave = wave * np.where(weekend, rng.uniform(0.3, 0.9), 1.0)
    return wave


def base(rng, t):
    """A fault-free stream of a random kind, about one unit large."""
    n = len(t)
    noise = 10 ** rng.uniform(-2.5, -0.3)
    kind = rng.choice(KINDS)
    if kind == "daily":
        x = daily(rng, t) + rng.normal(0, noise, n)
    elif kind == "daily_noise":
        x = daily(rng, t) + ornstein_uhlenbeck(rng, n, 10 ** rng.uniform(-2, -0.5)) * noise * 2 + rng.normal(0, noise / 2, n)
    elif kind == "walk":
        x = ornstein_uhlenbeck(rng, n, 10 ** rng.uniform(-3, -1)) + rng.normal(0, noise * 0.3, n)
    elif kind == "noise":
        x = rng.standard_t(rng.integers(3, 30), n) * 0.5
    elif kind == "square":
        period, duty = rng.integers(20, 400), rng.uniform(0.2, 0.8)
        x = ((np.arange(n) % period) < duty * period) * 1.0 + rng.normal(0, noise * 0.3, n)
    elif kind == "counts":
        x = rng.poisson(rng.uniform(0.5, 40) * np.exp(0.7 * daily(rng, t))) * 1.0
        x *= np.where(rng.uniform(size=n) < 0.004, rng.uniform(1.5, 3, n), 1.0)
    elif kind == "spikes":
        x = rng.normal(0, noise, n)
        at = np.flatnonzero(rng.uniform(size=n) < 10 ** rng.uniform(-2.3, -1))
        x[at] += rng.lognormal(0.5, 0.5, len(at))
    elif kind == "flat":
        x = np.full(n, rng.normal()) + (rng.normal(0, noise * 0.1, n) if rng.uniform() < 0.5 else 0)
    elif kind == "steps":
        jumps = np.where(rng.uniform(size=n) < 0.003, rng.normal(0, 1, n), 0)
        x = 0.5 * np.tanh(np.cumsum(jumps)) + rng.normal(0, noise, n)
    elif kind == "bursts":
        level = np.exp(ornstein_uhlenbeck(rng, n, 0.02) * 0.6)
        x = level * (1 + noise * rng.normal(0, 1, n))
    else:
        step = rng.uniform(0.05, 0.8)
        x = np.sin(np.arange(n) * step) * (1 + 0.2 * np.sin(np.arange(n) * step / 17)) + rng.normal(0, noise * 0.5, n)
    if rng.uniform() < 0.15:
        x = x + np.linspace(0, rng.normal(0, 1.5), n)
    if rng.uniform() < 0.25:
        grain = 10 ** rng.uniform(-2, -0.7)
        x = np.round(x / grain) * grain
    return x


def inject(rng, x, first, length):
    """Makes rows [first, first + length) of x wrong, in a way that shows; returns where the wrong ends, or None."""
    around = x[max(0, first - 400) : first]
    spread = max(np.std(around), 0.3 * np.std(x)) + 1e-3 * (abs(np.mean(around)) + 1e-2)
    roughness = np.std(np.diff(around)) + 0.02 * spread
    cut = slice(first, first + length)
    sign, kind = rng.choice([-1, 1]), rng.choice(
        ["spike", "spikes", "shift", "shift", "variance", "flat", "flat", "flat", "scramble", "trend", "frequency", "lost", "scale", "burst", "phase", "quiet"]
    )
    n = len(x[cut])
    if kind == "spike":
        width = rng.integers(1, 6)
        # Half of them large for the series, half only large for how smoothly it moves.
        size = rng.uniform(4, 12) * max(spread, 3 * roughness) if rng.uniform() < 0.5 else rng.uniform(7, 20) * roughness
        x[first : first + width] += sign * size
        return first + width
    if kind == "spikes":
        x[cut] += sign * (rng.uniform(size=n) < 0.25) * rng.uniform(3, 8) * spread
    elif kind == "shift":
        x[cut] += sign * (rng.uniform(2.5, 8) * max(spread, 2 * roughness) if rng.uniform() < 0.7 else rng.uniform(7, 20) * roughness)
    elif kind == "variance":
        x[cut] += rng.normal(0, rng.uniform(2, 6) * roughness + 0.5 * spread, n)
    elif kind == "flat":
        if roughness < 0.05 * spread:
            return None
        end = min(first + max(length, 20), len(x))
        x[first:end] = x[first]
        return end
    elif kind == "scramble":
        if spread < 3 * roughness:
            return None
        x[cut] = rng.permutation(x[cut])
    elif kind == "trend":
        x[cut] += sign * np.linspace(0, rng.uniform(4, 10), n) * spread
    elif kind == "frequency":
        if spread < 2 * roughness:
            return None
        speed = rng.choice([0.4, 2.5, 4])
        x[cut] = x[(first + (np.arange(n) * speed).astype(int)) % len(x)]
    elif kind == "lost":
        x[cut] = min(0.0, np.min(around)) - rng.uniform(0, 2) * spread
    elif kind == "scale":
        middle = np.mean(around)
        x[cut] = middle + (x[cut] - middle) * rng.choice([0.05, 0.2, 2.5, 4])
    elif kind == "burst":
        x[cut] += sign * rng.uniform(4, 9) * spread * np.exp(-np.arange(n) / (n / 4))
    elif kind == "phase":
        if spread < 2 * roughness:
            return None
        x[cut] = x[np.arange(first, first + n) - rng.integers(100, 400)]
    else:
        x[cut] = np.mean(x[cut]) + (x[cut] - np.mean(x[cut])) * 0.05
    return first + length


def inject_all(rng, x):
    """Makes stretches of x wrong, every thousand rows or so; returns them."""
    spans = []
    at = QUIET + rng.integers(0, 800)
    while at < len(x) - 100:
        length = int(10 ** rng.uniform(0.9, 2.2))
        end = inject(rng, x, at, min(length, len(x) - at))
        if end is not None:
            spans.append((at, end))
        at += length + rng.integers(500, 1500)
    return spans


def stream(rng, rows=ROWS, faulty=True):
    interval = rng.choice(INTERVALS)
    t = np.arange(rows) * interval * 1.0
    if rng.uniform() < 0.3:
        t += rng.uniform(-0.4, 0.4, rows) * interval
    if rng.uniform() < 0.15:
        gap = rng.integers(QUIET, rows)
        t[gap:] += interval * rng.uniform(20, 500)
    t += 1.7e9 + rng.uniform(0, 86400)
    x = base(rng, t)
    spans = inject_all(rng, x) if faulty else []
    scale = 10 ** rng.uniform(-2, 4)
    return t, x * scale + rng.choice([0, 1, 20, 300]) * scale * rng.normal(), spans


def fault_free(rng, rows, interval=300):
    """A healthy temperature sensor: a daily cycle, noise or slow air, in hundredths of a degree."""
    t = 1.7e9 + (np.arange(rows) + rng.uniform(-0.1, 0.1, rows)) * interval
    wave = np.sin(2 * np.pi * (t / 86400 + rng.uniform()))
    noise = ornstein_uhlenbeck(rng, rows, 0.2) * 0.25 if rng.uniform() < 0.5 else rng.normal(0, rng.choice([0.05, 0.1, 0.2, 0.3]), rows)
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
    # Far beyond how it moves, and beyond how far it goes.
    size = max(rng.uniform(15, 60) * np.std(np.diff(before)), rng.uniform(1.5, 6) * np.std(before))
    if np.ptp(before) == 0:
        size = rng.uniform(1, 20)
    sign, kind = rng.choice([-1, 1]), rng.choice(["spike", "spike", "step", "lost"])
    length = int({"spike": rng.integers(1, 5), "step": rng.integers(20, 300), "lost": rng.integers(12, 60)}[kind])
    if kind == "lost":
        x[first : first + length] = min(-rng.uniform(0, 1) * size, before.min() - size)
    else:
        x[first : first + length] += sign * size
    return min(first + length, len(x))
