"""The public anomaly corpus (42 of its files and `windows.json`), pointed at by path; nothing of it is part of the project."""

import csv, json, math, pathlib

import numpy as np

from bags import Series

LEAST = 0.05  # what noticing an anomaly at the end of its window is worth, of 1 at its start


def read(folder):
    """{name: (category, rows to leave out at the start, [(first, last)] of the anomaly windows, last inclusive)}"""
    folder = pathlib.Path(folder)
    files = {}
    for name, windows in sorted(json.loads((folder / "windows.json").read_text()).items()):
        times = [row[0] for row in list(csv.reader((folder / name).open()))[1:]]
        at = {}
        for i, time in enumerate(times):
            at.setdefault(time, i)
        probation = math.ceil(min(math.floor(0.15 * len(times)), 750))
        files[name] = (name.split("/")[0], probation, [(at[a[:19]], at[b[:19]]) for a, b in windows])
    return files


class Corpus:
    """Feature rows of the corpus, by file."""

    def __init__(self, folder, features):
        """`features(path)` gives a file's feature rows."""
        self.files = read(folder)
        self.rows = {name: features(pathlib.Path(folder) / name) for name in self.files}

    def categories(self):
        return sorted({category for category, _, _ in self.files.values()})

    def without(self, category):
        """Every file outside the category, labelled."""
        return [self.labelled(name) for name, (of, _, _) in self.files.items() if of != category]

    def labelled(self, name):
        _, probation, spans = self.files[name]
        calm = np.ones(len(self.rows[name]), bool)
        calm[:probation] = False
        anomalies = []
        for first, last in spans:
            calm[first : last + 1] = False
            if last >= probation:
                numbers = np.arange(max(first, probation), last + 1)
                # As the corpus's own scoring weighs it: by where in its window an anomaly is noticed.
                worth = 2 / (1 + np.exp(-5 * (last + 1 - numbers) / (last + 1 - first))) - 1
                anomalies.append((numbers, np.log(np.maximum(worth, LEAST))))
        return Series(self.rows[name], calm, anomalies)
