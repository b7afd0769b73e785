"""What fault-free streams look like: each kind draws one from the times of its readings, about one unit large."""

import numpy as np


def ornstein_uhlenbeck(rng, n, pull):
    noise = rng.normal(0, np.sqrt(2 * pull), n)
    out = np.empty(n)
    x = rng.normal()
    for i in range(n):
        x += -pull * x + noise[i]
        out[i] = x
    return out


def day(rng, t):
    phase = 2 * np.pi * (t / 86400 + rng.uniform())
    wave = np.sin(phase) + rng.uniform(0, 0.5) * np.sin(2 * phase + rng.uniform(0, 6))
    if rng.uniform() < 0.4:
        wave = np.clip(wave, -0.5, 0.7)
    if rng.uniform() < 0.4:
        weekend = ((t // 86400).astype(int) % 7) >= 5
        wave = wave * np.where(weekend, rng.uniform(0.3, 0.9), 1.0)
    return wave


def daily(rng, t, noise):
    return day(rng, t) + rng.normal(0, noise, len(t))


def daily_noise(rng, t, noise):
    n = len(t)
    return day(rng, t) + ornstein_uhlenbeck(rng, n, 10 ** rng.uniform(-2, -0.5)) * noise * 2 + rng.normal(0, noise / 2, n)


def profile(rng, t, noise):
    """Steps between a few levels, the same every so many readings."""
    n = len(t)
    period = int(86400 / (t[1] - t[0])) if rng.uniform() < 0.7 else 0
    if not 20 <= period <= 1000:
        period = rng.integers(24, 400)
    cuts = np.sort(rng.integers(0, period, rng.integers(2, 6)))
    shape = rng.uniform(0, 1, len(cuts) + 1)[np.searchsorted(cuts, np.arange(period), side="right")]
    if rng.uniform() < 0.4:
        k = rng.integers(2, max(3, period // 8))
        shape = np.convolve(np.concatenate([shape[-k:], shape]), np.ones(k) / k, "valid")[1:]
    days = n // period + 2
    x = np.tile(shape, days)[rng.integers(0, period) :][:n] / max(np.std(shape), 0.05)
    return x * np.repeat(1 + noise * 0.5 * rng.normal(0, 1, days + 1), period)[:n] + (rng.normal(0, noise * 0.5, n) if rng.uniform() < 0.8 else 0)


def walk(rng, t, noise):
    return ornstein_uhlenbeck(rng, len(t), 10 ** rng.uniform(-3, -1)) + rng.normal(0, noise * 0.3, len(t))


def heavy_noise(rng, t, _noise):
    return rng.standard_t(rng.integers(3, 30), len(t)) * 0.5


def square(rng, t, noise):
    period, duty = rng.integers(20, 400), rng.uniform(0.2, 0.8)
    return ((np.arange(len(t)) % period) < duty * period) * 1.0 + rng.normal(0, noise * 0.3, len(t))


def counts(rng, t, _noise):
    x = rng.poisson(rng.uniform(0.5, 40) * np.exp(0.7 * day(rng, t))) * 1.0
    return x * np.where(rng.uniform(size=len(t)) < 0.004, rng.uniform(1.5, 3, len(t)), 1.0)


def chatter(rng, t, _noise):
    """Counts of what people do: a daily cycle, over-dispersed, and now and then a burst that dies away."""
    n = len(t)
    level = np.exp(rng.uniform(0, 4) + rng.uniform(0.3, 1) * day(rng, t) + ornstein_uhlenbeck(rng, n, 10 ** rng.uniform(-2, -0.5)) * rng.uniform(0.1, 0.5))
    for at in np.flatnonzero(rng.uniform(size=n) < 10 ** rng.uniform(-3, -2)):
        level[at : at + 60] *= 1 + rng.pareto(2.5) * np.exp(-np.arange(len(level[at : at + 60])) / rng.uniform(1, 10))
    x = rng.poisson(np.minimum(level, 1e6) * rng.gamma(1 / (w := 10 ** rng.uniform(-2, -0.3)), w, n)) * 1.0
    return x / max(np.mean(x), 0.1)


def spikes(rng, t, noise):
    x = rng.normal(0, noise, len(t))
    at = np.flatnonzero(rng.uniform(size=len(t)) < 10 ** rng.uniform(-2.3, -1))
    x[at] += rng.lognormal(0.5, 0.5, len(at))
    return x


def sparse(rng, t, _noise):
    """Mostly nothing."""
    return np.where(rng.uniform(size=len(t)) < 10 ** rng.uniform(-2.5, -0.5), rng.lognormal(0, rng.uniform(0.3, 1), len(t)), 0.0)


def flat(rng, t, noise):
    return np.full(len(t), rng.normal()) + (rng.normal(0, noise * 0.1, len(t)) if rng.uniform() < 0.5 else 0)


def steps(rng, t, noise):
    jumps = np.where(rng.uniform(size=len(t)) < 0.003, rng.normal(0, 1, len(t)), 0)
    return 0.5 * np.tanh(np.cumsum(jumps)) + rng.normal(0, noise, len(t))


def bursts(rng, t, noise):
    level = np.exp(ornstein_uhlenbeck(rng, len(t), 0.02) * 0.6)
    return level * (1 + noise * rng.normal(0, 1, len(t)))


def jobs(rng, t, noise):
    """What runs by the clock: a low level, and jobs of about the same size at about the same distance."""
    n = len(t)
    x = np.abs(rng.normal(0, noise * 0.3, n)) + 0.1
    period, length, size = rng.integers(12, 300), rng.integers(1, 12), rng.lognormal(0, 0.5)
    for at in np.arange(rng.integers(0, period), n, period):
        at += rng.integers(-1, 2) if rng.uniform() < 0.5 else 0
        k = length + rng.integers(-1, 2) if length > 2 else length
        x[max(at, 0) : at + k] += size * rng.lognormal(0, 0.25)
    return x


def load(rng, t, noise):
    """Utilisation: plateaus, noise with a heavy tail above them."""
    n = len(t)
    level = np.repeat(rng.uniform(0.2, 1, n // 20 + 1), rng.integers(20, 400))[:n] if rng.uniform() < 0.3 else np.full(n, rng.uniform(0.2, 0.8))
    x = level * (1 + noise * 0.3 * rng.lognormal(0, rng.uniform(0.3, 1), n) + 0.05 * rng.normal(0, noise, n))
    x[rng.uniform(size=n) < 10 ** rng.uniform(-3.5, -2)] *= rng.uniform(1.1, 1.5)
    return x


def beat(rng, t, noise):
    step, i = rng.uniform(0.05, 0.8), np.arange(len(t))
    return np.sin(i * step) * (1 + 0.2 * np.sin(i * step / 17)) + rng.normal(0, noise * 0.5, len(t))


KINDS = [daily, daily, daily_noise, walk, heavy_noise, square, counts, spikes, flat, steps, bursts, beat]
KINDS += [profile, profile, chatter, chatter, jobs, sparse, load]


def fault_free(rng, t):
    """A stream of a random kind; some drift, some are rounded."""
    noise = 10 ** rng.uniform(-2.5, -0.3)
    x = KINDS[rng.integers(len(KINDS))](rng, t, noise)
    if rng.uniform() < 0.15:
        x = x + np.linspace(0, rng.normal(0, 1.5), len(t))
    if rng.uniform() < 0.25:
        grain = 10 ** rng.uniform(-2, -0.7)
        x = np.round(x / grain) * grain
    return x
