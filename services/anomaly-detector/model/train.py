#!/usr/bin/env python3
"""Trains the network on synthetic streams and writes model.onnx, model.json and the report in README.md.

usage: train.py [--detector FILE] [--seed N] [--streams N] [--steps N]

Features come from `anomaly-detector features` itself: build it first (cargo build --release -p anomaly-detector). A seed
gives the same model, bit for bit, on the same machine and library versions.
"""

import argparse, concurrent.futures, hashlib, json, os, pathlib, subprocess, tempfile, time

import numpy as np

import synthetic
from network import Network, averaged, to_onnx

HERE = pathlib.Path(__file__).resolve().parent
VERSION = "0.1.0"
MEMBERS = 3  # networks whose mean is shipped as one: single ones differ by several points of the public score
WIDTHS = [24, 12]
WARM_UP = 64
REACH = 24  # rows from an anomaly's first in which it should be noticed
FALSE_OPENS_PER_WEEK = 0.02  # on healthy sensors every five minutes, before the key's own calibration
AFTERMATH = 300  # rows after an anomaly that are neither right nor wrong


def features_of(detector, stream):
    """Feature rows of one stream, through the detector's own code."""
    t, x, _ = stream
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as f:
        f.write("timestamp,value\n" + "\n".join(f"{a:.3f},{b!r}" for a, b in zip(t.tolist(), x.tolist())))
        f.flush()
        out = subprocess.run([detector, "features", f.name], check=True, capture_output=True, text=True).stdout
    header, _, body = out.partition("\n")
    rows = np.loadtxt(body.splitlines(), delimiter=",", dtype=np.float32, usecols=range(2, header.count(",") + 1))
    return header.split(",")[2:], rows


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


def corpus(detector, seeds, faulty_share=0.8):
    """Feature names, normal rows, the rows of each anomaly, and per stream (rows, labels, anomalies)."""

    def one(seed):
        stream = synthetic.stream(np.random.default_rng(seed), faulty=(seed % 100) < 100 * faulty_share)
        names, rows = features_of(detector, stream)
        y, found = labels(len(rows), stream[2])
        return names, (rows, y, found)

    made = in_parallel(one, seeds)
    streams = [m[1] for m in made]
    return made[0][0], np.concatenate([r[y == 0] for r, y, _ in streams]), [r[s] for r, _, found in streams for s in found], streams


def padded(segments):
    """Segments as one array [segments, REACH, features], short ones repeating their first row."""
    return np.stack([s[np.r_[np.arange(len(s)), np.zeros(REACH - len(s), int)]] for s in segments])


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


def calibration(network, detector, seed, per_stream):
    """The usual 99 % quantile of logits, and the logit that scores 0.8.

    The latter is what healthy sensors exceed FALSE_OPENS_PER_WEEK times a week, but at least what one normal reading a week
    exceeds over all kinds of synthetic streams, the wild ones too.
    """
    normal = np.concatenate([network.logits(r[y == 0]) for r, y, _ in per_stream])
    usual, weekly = np.quantile(normal, [0.99, 1 - 1 / 2016])
    healthy = in_parallel(lambda i: features_of(detector, synthetic.fault_free(np.random.default_rng(seed + i), 20_160))[1], range(12))
    tops = []
    for rows in healthy:  # ten device-weeks each
        logits = network.logits(rows)[WARM_UP:]
        tops += [logits[i : i + 48].max() for i in range(0, len(logits), 48)]
    allowed = int(FALSE_OPENS_PER_WEEK * 10 * len(healthy))
    return {"usual_quantile": round(float(usual), 2), "open_logit": round(max(float(np.sort(tops)[-1 - allowed]), float(weekly)), 2)}


def report(manifest):
    text = (HERE / "README.md").read_text()
    m = manifest["metrics"]
    rows = [
        ("model", f"{manifest['name']} {manifest['version']}, seed {manifest['training']['seed']}"),
        ("parameters", manifest["parameters"]),
        ("model.onnx", f"{(HERE / 'model.onnx').stat().st_size / 1000:.1f} kB"),
        ("training", f"{manifest['training']['streams']} streams of {synthetic.ROWS} readings"),
        ("held-out synthetic AUC", m["auc"]),
        ("anomalies found at one false row in 2,000", f"{100 * m['recall_at_1_in_2000']:.1f} % of {m['anomalies']}"),
    ]
    table = "| | |\n|---|---|\n" + "".join(f"| {a} | {b} |\n" for a, b in rows)
    head, _, rest = text.partition("<!-- report -->\n")
    _, _, tail = rest.partition("<!-- /report -->")
    (HERE / "README.md").write_text(f"{head}<!-- report -->\n{table}<!-- /report -->{tail}")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE.parents[2] / "target"))
    p.add_argument("--detector", default=str(root / "release" / "anomaly-detector"))
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--streams", type=int, default=700)
    p.add_argument("--steps", type=int, default=1500)
    a = p.parse_args()
    started = time.monotonic()
    seeds = [a.seed * 1_000_000 + i for i in range(a.streams)]
    if not pathlib.Path(a.detector).exists():
        raise SystemExit(f"{a.detector} is not there: cargo build --release -p anomaly-detector, or --detector FILE")
    names, normal, segments, _ = corpus(a.detector, seeds)
    _, _, _, held_out = corpus(a.detector, [s + 500_000 for s in seeds[: max(20, a.streams // 5)]])
    print(f"features: {len(normal)} normal rows, {len(segments)} anomalies, {time.monotonic() - started:.0f} s")

    members = []
    for member in range(MEMBERS):
        network = Network([len(names), *WIDTHS, 1], np.random.default_rng([a.seed, member]), normal)
        network.train(normal, padded(segments), a.steps, np.random.default_rng([a.seed, member, 1]))
        members.append(network)
    network = averaged(members)
    metrics = auc_and_recall(network, held_out)
    graph = to_onnx(network)
    (HERE / "model.onnx").write_bytes(graph)
    manifest = {
        "name": "fieldwatch-univariate",
        "version": VERSION,
        "sha256": hashlib.sha256(graph).hexdigest(),
        "threshold": 0.8,
        "calibration": calibration(network, a.detector, a.seed * 1_000_000 + 900_000, held_out),
        "parameters": network.parameter_count(),
        "metrics": metrics,
        "training": {"data": "synthetic streams with injected anomalies (synthetic.py)", "seed": a.seed, "streams": a.streams, "steps": a.steps},
        "features_sha256": hashlib.sha256("\n".join(names).encode()).hexdigest(),
        "features": names,
        "baseline": [round(float(v), 4) for v in np.median(normal, axis=0)],
    }
    (HERE / "model.json").write_text(json.dumps(manifest, indent=2) + "\n")
    report(manifest)
    print(json.dumps(metrics | manifest["calibration"]), f"{time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
