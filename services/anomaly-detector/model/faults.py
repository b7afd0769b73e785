"""Anomalies put into a stream: which rows are wrong, and in what way."""

import numpy as np

QUIET = 400  # rows at the start without anomalies: a detector may learn from them


class Surroundings:
    """What a stream did before an anomaly, so that it shows there and no more than it should."""

    def __init__(self, rng, x, first):
        near = x[max(0, first - 400) : first]
        self.before = x[max(0, first - 1500) : first]
        self.middle, self.lowest = np.mean(near), np.min(near)
        self.spread = max(np.std(near), 0.3 * np.std(x)) + 1e-3 * (abs(self.middle) + 1e-2)
        self.roughness = np.std(np.diff(near)) + 0.02 * self.spread
        # What is odd in a stream that often goes far is further still.
        far = np.abs((long := x[max(0, first - 2000) : first]) - np.median(long))
        self.spread = max(self.spread, rng.uniform(0.15, 0.4) * np.quantile(far, 0.999))


# Each takes rows [first, first + length) of x; it returns where the wrong ends, or None where it would not show.


def spike(rng, x, first, length, around, sign):
    width = rng.integers(1, 6)
    # Half of them large for the series, half only large for how smoothly it moves.
    size = rng.uniform(4, 12) * max(around.spread, 3 * around.roughness) if rng.uniform() < 0.5 else rng.uniform(7, 20) * around.roughness
    x[first : first + width] += sign * size
    return first + width


def spikes(rng, x, first, length, around, sign):
    n = len(x[first : first + length])
    x[first : first + length] += sign * (rng.uniform(size=n) < 0.25) * rng.uniform(3, 8) * around.spread
    return first + length


def shift(rng, x, first, length, around, sign):
    size = rng.uniform(2.5, 8) * max(around.spread, 2 * around.roughness) if rng.uniform() < 0.7 else rng.uniform(7, 20) * around.roughness
    x[first : first + length] += sign * size
    return first + length


def variance(rng, x, first, length, around, sign):
    n = len(x[first : first + length])
    x[first : first + length] += rng.normal(0, rng.uniform(2, 6) * around.roughness + 0.5 * around.spread, n)
    return first + length


def flat(rng, x, first, length, around, sign):
    if around.roughness < 0.05 * around.spread:
        return None
    end = min(first + max(length, 20), len(x))
    x[first:end] = x[first]
    return end


def scramble(rng, x, first, length, around, sign):
    if around.spread < 3 * around.roughness:
        return None
    x[first : first + length] = rng.permutation(x[first : first + length])
    return first + length


def trend(rng, x, first, length, around, sign):
    n = len(x[first : first + length])
    x[first : first + length] += sign * np.linspace(0, rng.uniform(4, 10), n) * around.spread
    return first + length


def frequency(rng, x, first, length, around, sign):
    if around.spread < 2 * around.roughness:
        return None
    speed, n = rng.choice([0.4, 2.5, 4]), len(x[first : first + length])
    x[first : first + length] = x[(first + (np.arange(n) * speed).astype(int)) % len(x)]
    return first + length


def lost(rng, x, first, length, around, sign):
    x[first : first + length] = min(0.0, around.lowest) - rng.uniform(0, 2) * around.spread
    return first + length


def scale(rng, x, first, length, around, sign):
    x[first : first + length] = around.middle + (x[first : first + length] - around.middle) * rng.choice([0.05, 0.2, 2.5, 4])
    return first + length


def burst(rng, x, first, length, around, sign):
    n = len(x[first : first + length])
    x[first : first + length] += sign * rng.uniform(4, 9) * around.spread * np.exp(-np.arange(n) / (n / 4))
    return first + length


def phase(rng, x, first, length, around, sign):
    if around.spread < 2 * around.roughness:
        return None
    n = len(x[first : first + length])
    x[first : first + length] = x[np.arange(first, first + n) - rng.integers(100, 400)]
    return first + length


def quiet(rng, x, first, length, around, sign):
    cut = x[first : first + length]
    x[first : first + length] = np.mean(cut) + (cut - np.mean(cut)) * 0.05
    return first + length


def density(rng, x, first, length, around, sign):
    """What is rare here comes often."""
    before = around.before
    rare = before[before >= np.quantile(before, 0.97)]
    if np.mean(rare) - np.median(before) < 3 * (np.quantile(before, 0.75) - np.quantile(before, 0.25)) + 1e-6:
        return None
    cut = x[first : first + max(length, 30)]
    cut[:] = np.where(rng.uniform(size=len(cut)) < rng.uniform(0.2, 0.6), rng.choice(rare, len(cut)), cut)
    return first + len(cut)


def missing(rng, x, first, length, around, sign):
    """What comes regularly does not."""
    low, high = np.quantile(around.before, [0.1, 0.9])
    cut = x[first : first + max(length, int(rng.uniform(40, 320)))]
    if around.spread < 2 * around.roughness or cut.max() < (low + high) / 2:
        return None
    level = low if rng.uniform() < 0.7 else high
    near = around.before[np.abs(around.before - level) < 0.1 * (high - low)]
    cut[:] = rng.choice(near, len(cut)) if len(near) > 10 else level
    return first + len(cut)


FAULTS = [spike, spikes, shift, shift, variance, flat, flat, flat, scramble, trend, frequency, lost, scale, burst, phase, quiet]
FAULTS += [density, missing, missing]


def inject_all(rng, x):
    """Makes stretches of x wrong, every thousand rows or so; returns them."""
    spans = []
    at = QUIET + rng.integers(0, 800)
    while at < len(x) - 100:
        length = min(int(10 ** rng.uniform(0.9, 2.2)), len(x) - at)
        around = Surroundings(rng, x, at)
        sign, fault = rng.choice([-1, 1]), FAULTS[rng.integers(len(FAULTS))]
        end = fault(rng, x, at, length, around, sign)
        if end is not None:
            spans.append((at, end))
        at += length + rng.integers(500, 1500)
    return spans
