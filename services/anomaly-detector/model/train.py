#!/usr/bin/env python3
"""Trains the network and writes model.onnx, model.json and the report in README.md.

usage: train.py [--detector FILE] [--seed N] [--streams N] [--steps N] [--corpus DIR [--without CATEGORY]]
                [--history FILE] [--out DIR] [--name NAME] [--version V]

Trains on synthetic streams; with --corpus also on the public corpus's files, except one category's; with --history also on a
fleet's own readings (`anomaly-detector model export`), with anomalies injected into them. Features come from
`anomaly-detector features` itself: build it first (cargo build --release -p anomaly-detector). A seed gives the same model,
bit for bit, on the same machine and library versions.
"""

import argparse, concurrent.futures, hashlib, json, os, pathlib, subprocess, tempfile, time

# The bits of a sum must not depend on how many cores there are.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

import history, nab, synthetic
from network import Network, averaged, to_onnx

HERE = pathlib.Path(__file__).resolve().parent
VERSION = "0.1.0"
MEMBERS = 3  # networks whose mean is shipped as one: single ones differ by several points of the public score
WIDTHS = [24, 12]
WARM_UP = 64
REACH = 24  # rows from an anomaly's first in which it should be noticed
WINDOW = 240  # rows of a corpus window that are looked at: it is centred on its anomaly
FALSE_OPENS_PER_WEEK = 0.02  # on healthy sensors every five minutes, before the key's own calibration
AFTERMATH = 300  # rows after an anomaly that are neither right nor wrong


def features_of_file(detector, path):
    """Feature names, and the feature rows of a CSV, through the detector's own code."""
    out = subprocess.run([detector, "features", str(path)], check=True, capture_output=True, text=True).stdout
    header, _, body = out.partition("\n")
    rows = np.loadtxt(body.splitlines(), delimiter=",", dtype=np.float32, usecols=range(2, header.count(",") + 1), ndmin=2)
    return header.split(",")[2:], rows


def features_of(detector, stream):
    t, x, _ = stream
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as f:
        f.write("timestamp,value\n" + "\n".join(f"{a:.3f},{b!r}" for a, b in zip(t.tolist(), x.tolist())))
        f.flush()
        return features_of_file(detector, f.name)


def labels(n, spans):
    """1 where an anomaly should be noticed, 0 where nothing is wrong, -1 where either is fine."""
    y = np.zeros(n, np.int8)
    for first, last in spans:
        y[first : last + AFTERMATH] = -1
    y[:WARM_UP] = -1
    segments = [np.arange(first, min(first + REACH, max(last, first + 8), n)) for first, last in spans]
    for s in segments:
        y[s] = 1
    return y, segments


def in_parallel(function, jobs):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return list(pool.map(function, jobs))


class Streams:
    """Labelled streams as features: normal rows, the rows of each anomaly, and both by stream."""

    def __init__(self, detector, streams):
        def one(stream):
            names, rows = features_of(detector, stream())
            y, found = labels(len(rows), stream.spans)
            return names, (rows, y, found)

        made = in_parallel(one, streams)
        self.names, self.each = made[0][0], [m[1] for m in made]
        self.normal = np.concatenate([rows[y == 0] for rows, y, _ in self.each])
        self.segments = [rows[s] for rows, _, found in self.each for s in found]

    def padded(self):
        return padded(self.segments, REACH)


class Synthetic:
    """A synthetic stream, made when it is asked for."""

    def __init__(self, seed, faulty_share=0.8):
        self.seed, self.faulty, self.spans = seed, (seed % 100) < 100 * faulty_share, None

    def __call__(self):
        made = synthetic.stream(np.random.default_rng(self.seed), faulty=self.faulty)
        self.spans = made[2]
        return made


def padded(segments, length):
    """Segments as one array [segments, length, features]: the middle of long ones, short ones repeating their first row."""
    out = []
    for s in segments:
        if len(s) > length:
            skip = (len(s) - length) // 2
            s = s[skip : skip + length]
        out.append(s[np.r_[np.arange(len(s)), np.zeros(length - len(s), int)]])
    return np.stack(out)


def fit(seed, sources, steps, members=MEMBERS, widths=WIDTHS):
    """One network, the mean of several. `sources` is [(normal rows, rows a batch, segments, segments a batch)]."""
    normals = [(normal, batch) for normal, batch, _, _ in sources]
    anomalies = [(segments, batch) for _, _, segments, batch in sources if len(segments)]
    # Each source as much as it is trained on.
    sample = np.concatenate([rows[:: max(1, len(rows) // (200 * batch))] for rows, batch in normals]) if len(normals) > 1 else normals[0][0]
    made = []
    for member in range(members):
        network = Network([sample.shape[1], *widths, 1], np.random.default_rng([seed, member]), sample)
        network.train(normals, anomalies, steps, np.random.default_rng([seed, member, 1]))
        made.append(network)
    return averaged(made)


def sources_of(streams, corpus=None, without=None, fleet=None):
    """What to train on, and how much of each a batch."""
    sources = [(streams.normal, 4096, streams.padded(), 64)]
    if corpus is not None:
        normal, windows = corpus.without(without)
        sources = [(streams.normal, 3072, streams.padded(), 48), (normal, 2048, padded(windows, WINDOW), 16)]
    if fleet is not None:
        sources.append((fleet.normal, 2048, fleet.padded(), 32))
    return sources


def auc_and_recall(network, per_stream):
    """How well the best row of an anomaly is told from normal rows, and anomalies found at one false row in 2,000."""
    normal = np.concatenate([network.logits(r[y == 0]) for r, y, _ in per_stream])
    best = np.array([network.logits(r[s]).max() for r, _, found in per_stream for s in found])
    order = np.sort(normal)
    return {
        "auc": round(float(np.mean(np.searchsorted(order, best) / len(order))), 4),
        "recall_at_1_in_2000": round(float(np.mean(best > np.quantile(normal, 1 - 1 / 2000))), 4),
        "anomalies": len(best),
        "normal_rows": len(normal),
    }


def healthy_rows(detector, seed, fleet=12):
    """Feature rows of healthy sensors, ten device-weeks each."""
    return in_parallel(lambda i: features_of(detector, synthetic.fault_free(np.random.default_rng(seed + i), 20_160))[1], range(fleet))


def calibration(network, healthy, per_stream):
    """The usual 99 % quantile of logits, and the logit that scores 0.8.

    The latter is what healthy sensors exceed FALSE_OPENS_PER_WEEK times a week, but at least what one normal reading a week
    exceeds over all kinds of synthetic streams, the wild ones too.
    """
    normal = np.concatenate([network.logits(r[y == 0]) for r, y, _ in per_stream])
    usual, weekly = np.quantile(normal, [0.99, 1 - 1 / 2016])
    tops = []
    for rows in healthy:
        logits = network.logits(rows)[WARM_UP:]
        tops += [logits[i : i + 48].max() for i in range(0, len(logits), 48)]
    allowed = int(FALSE_OPENS_PER_WEEK * 10 * len(healthy))
    return {"usual_quantile": round(float(usual), 2), "open_logit": round(max(float(np.sort(tops)[-1 - allowed]), float(weekly)), 2)}


def write(folder, graph, names, normal, manifest):
    """A model folder the detector takes: graph, and a description with its digest and feature list."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(graph)
    manifest = manifest | {
        "sha256": hashlib.sha256(graph).hexdigest(),
        "threshold": 0.8,
        "features_sha256": hashlib.sha256("\n".join(names).encode()).hexdigest(),
        "features": names,
        "baseline": [round(float(v), 4) for v in np.median(normal, axis=0)],
    }
    (folder / "model.json").write_text(json.dumps(manifest, indent=2) + "\n")
    return manifest


def report(manifest):
    """The table in README.md."""
    m, training = manifest["metrics"], manifest["training"]
    rows = [
        ("model", f"{manifest['name']} {manifest['version']}, seed {training['seed']}"),
        ("parameters", manifest["parameters"]),
        ("model.onnx", f"{(HERE / 'model.onnx').stat().st_size / 1000:.1f} kB"),
        ("training", training["data"]),
        ("held-out synthetic AUC", m["auc"]),
        ("anomalies found at one false row in 2,000", f"{100 * m['recall_at_1_in_2000']:.1f} % of {m['anomalies']}"),
    ]
    table = "| | |\n|---|---|\n" + "".join(f"| {a} | {b} |\n" for a, b in rows)
    replace_between("report", table)


def replace_between(name, text):
    """Puts `text` between the README's two marks of that name."""
    readme = HERE / "README.md"
    head, opening, rest = readme.read_text().partition(f"<!-- {name} -->\n")
    _, closing, tail = rest.partition(f"<!-- /{name} -->")
    if not (opening and closing):
        raise SystemExit(f"README.md has no marks {name}")
    readme.write_text(f"{head}{opening}{text}{closing}{tail}")


def default_detector():
    root = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE.parents[2] / "target"))
    return str(root / "release" / "anomaly-detector")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--detector", default=default_detector())
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--streams", type=int, default=700)
    p.add_argument("--steps", type=int, default=1500)
    p.add_argument("--corpus", type=pathlib.Path)
    p.add_argument("--without", metavar="CATEGORY")
    p.add_argument("--history", type=pathlib.Path)
    p.add_argument("--out", type=pathlib.Path, default=HERE)
    p.add_argument("--name", default="fieldwatch-univariate")
    p.add_argument("--version", default=VERSION)
    a = p.parse_args()
    started = time.monotonic()
    if not pathlib.Path(a.detector).exists():
        raise SystemExit(f"{a.detector} is not there: cargo build --release -p anomaly-detector, or --detector FILE")
    seeds = [a.seed * 1_000_000 + i for i in range(a.streams)]
    streams = Streams(a.detector, [Synthetic(s) for s in seeds])
    held_out = Streams(a.detector, [Synthetic(s + 500_000) for s in seeds[: max(20, a.streams // 5)]])
    corpus = nab.Corpus(a.corpus, lambda path: features_of_file(a.detector, path)[1]) if a.corpus else None
    fleet = Streams(a.detector, history.streams(a.history, a.seed)) if a.history else None
    print(f"features: {len(streams.normal)} normal rows, {len(streams.segments)} anomalies, {time.monotonic() - started:.0f} s", flush=True)

    network = fit(a.seed, sources_of(streams, corpus, a.without, fleet), a.steps)
    data = f"{a.streams} synthetic streams of {synthetic.ROWS} readings with injected anomalies"
    if corpus is not None:
        data += f"; the public corpus's 42 files{f' without {a.without}' if a.without else ''}"
    if fleet is not None:
        data += f"; {len(fleet.each)} series of a fleet with injected anomalies"
    per_stream = held_out.each + (fleet.each if fleet is not None else [])
    manifest = {
        "name": a.name,
        "version": a.version,
        "calibration": calibration(network, healthy_rows(a.detector, a.seed * 1_000_000 + 900_000), per_stream),
        "parameters": network.parameter_count(),
        "metrics": auc_and_recall(network, held_out.each),
        "training": {"data": data, "seed": a.seed, "streams": a.streams, "steps": a.steps},
    }
    manifest = write(a.out, to_onnx(network), streams.names, streams.normal, manifest)
    if a.out.resolve() == HERE:
        report(manifest)
    print(json.dumps(manifest["metrics"] | manifest["calibration"]), f"{time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
