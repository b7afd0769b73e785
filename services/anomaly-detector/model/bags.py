"""Labelled series as bags of rows: an anomaly is seen if one of its rows scores high, a calm block is quiet only if none does.

That is how alarms count: one per anomaly, the earlier the better, and one false one per stretch, however long it lasts.
"""

import numpy as np

CALM = 128  # rows of a calm block: about what one alarm's dead time covers
ROWS = 96  # rows drawn of a longer anomaly
NEVER = -30.0  # logarithm of the weight of a row that does not count


class Series:
    """Feature rows; which are calm; and each anomaly as (row numbers, logarithms of what noticing it there is worth)."""

    def __init__(self, rows, calm, anomalies):
        self.rows, self.calm, self.anomalies = rows, calm, anomalies


class Bags:
    """What can be drawn from series, as row numbers into one array."""

    def __init__(self, series):
        self.rows = np.concatenate([s.rows for s in series])
        self.calm = np.concatenate([s.calm for s in series])
        self.anomalies, starts, offset = [], [], 0
        for s in series:
            self.anomalies += [(numbers + offset, worth) for numbers, worth in s.anomalies]
            within = np.concatenate([[0], np.cumsum(s.calm)])
            # A few rows that are not calm may lie in a block; they do not count.
            starts.append(np.flatnonzero(within[CALM:] - within[:-CALM] >= 0.9 * CALM) + offset)
            offset += len(s.rows)
        self.starts = np.concatenate(starts)
        self.length = min(ROWS, max((len(numbers) for numbers, _ in self.anomalies), default=0))

    def draw(self, rng, anomalies, blocks):
        """Row numbers and logarithms of weights, [bags, rows] each: of anomalies, then of calm blocks."""
        numbers, worth = np.zeros((anomalies, self.length), int), np.full((anomalies, self.length), NEVER)
        for i, k in enumerate(rng.integers(0, len(self.anomalies), anomalies) if anomalies else ()):
            all_numbers, all_worth = self.anomalies[k]
            drawn = np.sort(rng.integers(0, len(all_numbers), self.length)) if len(all_numbers) > self.length else np.arange(len(all_numbers))
            numbers[i], worth[i, : len(drawn)] = all_numbers[0], all_worth[drawn]
            numbers[i, : len(drawn)] = all_numbers[drawn]
        calm = self.starts[rng.integers(0, len(self.starts), blocks)][:, None] + np.arange(CALM)
        return (numbers, worth), (calm, np.where(self.calm[calm], 0.0, NEVER))

    def sample(self, rows):
        """About so many rows, evenly spread."""
        return self.rows[:: max(1, len(self.rows) // rows)]
