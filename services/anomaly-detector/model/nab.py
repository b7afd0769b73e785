"""The public anomaly corpus (42 of its files and `windows.json`), pointed at by path; nothing of it is part of the project."""

import csv, json, math, pathlib

import numpy as np


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
        """Normal rows and the rows of each anomaly window, of every file outside the category."""
        normal, windows = [], []
        for name, (of, probation, spans) in self.files.items():
            if of == category:
                continue
            rows = self.rows[name]
            usable = np.ones(len(rows), bool)
            usable[:probation] = False
            for first, last in spans:
                usable[first : last + 1] = False
                if first >= probation:
                    windows.append(rows[first : last + 1])
            normal.append(rows[usable])
        return np.concatenate(normal), windows
