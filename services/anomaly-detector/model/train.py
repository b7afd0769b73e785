#!/usr/bin/env python3
"""Trains the network and writes model.onnx, model.json and the report in README.md.

usage: train.py [--detector FILE] [--seed N] [--streams N] [--steps N] [--corpus DIR [--without CATEGORY]]
                [--history FILE] [--out DIR] [--name NAME] [--version V]

Trains on synthetic streams; with --corpus also on the public corpus's files, except one category's; with --history also on a
fleet's own readings (`anomaly-detector model export`), with anomalies injected into them. Features and scores come from
the detector itself: build it first (cargo build --release -p anomaly-detector). A seed gives the same model, bit for bit, on
the same machine and library versions.
"""

import argparse, concurrent.futures, hashlib, json, os, pathlib, time

# The bits of a sum must not depend on how many cores there are.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

import detector, history, nab, synthetic
from bags import Bags, Series
from network import Network, averaged, to_onnx

HERE = pathlib.Path(__file__).resolve().parent
VERSION = "0.3.0"
PLAIN = 160  # simple series with plain faults
CALM = 40  # healthy sensors for a month, and simple series without a fault
MEMBERS = 3  # networks whose mean is shipped as one: single ones differ by several points of the public score
WIDTHS = [24, 12]
WARM_UP = 64
REACH = 24  # rows from an anomaly's first in which it should be noticed
LATER = -0.7  # logarithm of what noticing it at the last of them is worth
AFTERMATH = 300  # rows after an anomaly that are neither right nor wrong
# How much being rare of a key is evidence beside a logit: a logit as high, and single features.
LOGIT_WEIGHT = 0.25
SIGNALS = {"discord_4": 0.25, "discord_16": 0.75, "novelty_long": 0.75, "increment": 0.25}
HEALTHY_OPENS = 0.05  # a week at most, of healthy sensors read every five minutes
OTHER_OPENS = 0.6  # a week of 2,016 rows at most, over all kinds of synthetic streams, the wild ones too
ONE_ALARM = 48  # rows within which several count as one


def labelled(rows, spans):
    """A stream's rows with its anomalies; the rows after one are neither right nor wrong."""
    calm, anomalies = np.ones(len(rows), bool), []
    calm[:WARM_UP] = False
    for first, last in spans:
        calm[first : last + AFTERMATH] = False
        numbers = np.arange(first, min(first + REACH, max(last, first + 8), len(rows)))
        anomalies.append((numbers, np.linspace(0, LATER, len(numbers))))
    return Series(rows, calm, anomalies)


def in_parallel(function, jobs):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return list(pool.map(function, jobs))


class Streams:
    """Streams as labelled feature rows."""

    def __init__(self, source, streams):
        def one(stream):
            names, rows = source.features(stream())
            return names, labelled(rows, stream.spans)

        made = in_parallel(one, streams)
        self.streams, self.names, self.series = streams, made[0][0], [series for _, series in made]
        self.bags = Bags(self.series)


class Synthetic:
    """A synthetic stream, made when it is asked for."""

    def __init__(self, seed, faulty_share=0.8):
        self.seed, self.faulty, self.spans = seed, (seed % 100) < 100 * faulty_share, None

    def __call__(self):
        made = synthetic.stream(np.random.default_rng(self.seed), faulty=self.faulty)
        self.spans = made[2]
        return made


class Plain:
    """A simple series with faults nobody would overlook, made when it is asked for."""

    def __init__(self, seed):
        self.seed, self.spans = seed, []

    def __call__(self):
        made = synthetic.plain(np.random.default_rng(self.seed))
        self.spans = made[2]
        return made


class Data:
    """What a seed trains on, and what it is judged by."""

    def __init__(self, source, seed, streams):
        first = seed * 1_000_000
        self.source, self.seed = source, seed
        self.made = Streams(source, [Synthetic(first + i) for i in range(streams)])
        self.plain = Streams(source, [Plain(first + 700_000 + i) for i in range(PLAIN)]).bags
        self.plain_held_out = Streams(source, [Plain(first + 750_000 + i) for i in range(40)])
        self.held_out = Streams(source, [Synthetic(first + 500_000 + i) for i in range(max(20, streams // 5))])
        # Ten device-weeks each.
        self.healthy = [synthetic.fault_free(np.random.default_rng(first + 900_000 + i), 20_160) for i in range(12)]
        calm = [synthetic.fault_free(np.random.default_rng(first + 950_000 + i), 10_080) for i in range(CALM)]
        calm += [synthetic.plain(np.random.default_rng(first + 980_000 + i), faulty=False) for i in range(CALM)]
        self.quiet = Bags([labelled(rows, []) for rows in in_parallel(lambda stream: source.features(stream)[1], calm)])

    def sources(self, *others):
        """What to train on, and how many anomalies and calm blocks of each a batch."""
        return [(bags, 24, 48) for bags in (self.made.bags, *others)] + [(self.plain, 32, 32), (self.quiet, 0, 48)]


def fit(seed, sources, steps, members=MEMBERS, widths=WIDTHS):
    """One network, the mean of several."""
    sample = np.concatenate([bags.sample(100 * (anomalies + blocks)) for bags, anomalies, blocks in sources])
    made = []
    for member in range(members):
        network = Network([sample.shape[1], *widths, 1], np.random.default_rng([seed, member]), sample)
        network.train(sources, steps, np.random.default_rng([seed, member, 1]))
        made.append(network)
    return averaged(made)


def auc_and_recall(logits, series):
    """How well the best row of an anomaly is told from calm rows, and anomalies found at one false row in 2,000."""
    each = [logits(s.rows) for s in series]
    normal = np.concatenate([z[s.calm] for z, s in zip(each, series)])
    best = np.array([z[numbers].max() for z, s in zip(each, series) for numbers, _ in s.anomalies])
    order = np.sort(normal)
    return {
        "auc": round(float(np.mean(np.searchsorted(order, best) / len(order))), 4),
        "recall_at_1_in_2000": round(float(np.mean(best > np.quantile(normal, 1 - 1 / 2000))), 4),
        "anomalies": len(best),
        "normal_rows": len(normal),
    }


def opening_evidence(data, folder):
    """The evidence that healthy sensors exceed HEALTHY_OPENS times a week, but at least what the calm rows of other streams
    exceed OTHER_OPENS times: as the detector itself scores them with the folder."""
    healthy = in_parallel(lambda stream: data.source.evidence(stream, folder), data.healthy)
    streams = zip(in_parallel(lambda stream: data.source.evidence(stream(), folder), data.held_out.streams), data.held_out.series)
    others = [np.where(series.calm, evidence, -np.inf) for evidence, series in streams]
    return round(max(exceeded(healthy, HEALTHY_OPENS), exceeded(others, OTHER_OPENS)), 2)


def plain_faults_found(data, folder, opening):
    """The share of plain faults at which the detector opens in time."""
    evidence = in_parallel(lambda stream: data.source.evidence(stream(), folder), data.plain_held_out.streams)
    found = [e[numbers].max() > opening for e, s in zip(evidence, data.plain_held_out.series) for numbers, _ in s.anomalies]
    return round(float(np.mean(found)), 4)


def exceeded(each, a_week):
    """What the alarms of series would exceed so many times a week."""
    tops = np.sort(np.concatenate([[e[i : i + ONE_ALARM].max() for i in range(WARM_UP, len(e), ONE_ALARM)] for e in each]))
    weeks = sum(np.isfinite(e).sum() for e in each) / 2016
    return float(tops[-1 - int(a_week * weeks)])


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


def calibration(opening):
    return {"open_evidence": opening, "logit_weight": LOGIT_WEIGHT, "signals": [{"feature": f, "weight": w} for f, w in SIGNALS.items()]}


def write_calibrated(folder, graph, data, manifest):
    """The same, its opening evidence measured with the detector."""

    def at(opening, **metrics):
        measured = {"calibration": calibration(opening), "metrics": manifest["metrics"] | metrics}
        return write(folder, graph, data.made.names, data.made.bags.sample(100_000), manifest | measured)

    at(detector.MIDDLE)
    opening = opening_evidence(data, folder)
    return at(opening, plain_faults_found=plain_faults_found(data, folder, opening))


def report(manifest):
    """The table in README.md."""
    m, training = manifest["metrics"], manifest["training"]
    rows = [
        ("model", f"{manifest['name']} {manifest['version']}, seed {training['seed']}"),
        ("parameters", manifest["parameters"]),
        ("model.onnx", f"{(HERE / 'model.onnx').stat().st_size / 1000:.1f} kB"),
        ("training", training["data"]),
        ("held-out synthetic AUC", m["auc"]),
        ("plain faults found, opened within 24 readings", f"{100 * m['plain_faults_found']:.1f} %"),
        ("opens at an evidence of", manifest["calibration"]["open_evidence"]),
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


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--detector", default=detector.default())
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--streams", type=int, default=350)
    p.add_argument("--steps", type=int, default=600)
    p.add_argument("--corpus", type=pathlib.Path)
    p.add_argument("--without", metavar="CATEGORY")
    p.add_argument("--history", type=pathlib.Path)
    p.add_argument("--out", type=pathlib.Path, default=HERE)
    p.add_argument("--name", default="fieldwatch-univariate")
    p.add_argument("--version", default=VERSION)
    a = p.parse_args()
    started = time.monotonic()
    source = detector.Detector(a.detector)
    data = Data(source, a.seed, a.streams)
    others, trained_on = [], f"{a.streams} synthetic streams of {synthetic.ROWS} readings with injected anomalies; {PLAIN} simple series with plain faults; {CALM} of them and {CALM} healthy sensors without"
    if a.corpus:
        others.append(Bags(nab.Corpus(a.corpus, lambda path: source.features_of_file(path)[1]).without(a.without)))
        trained_on += f"; the public corpus's 42 files{f' without {a.without}' if a.without else ''}"
    if a.history:
        fleet = Streams(source, history.streams(a.history, a.seed))
        others.append(fleet.bags)
        trained_on += f"; {len(fleet.series)} series of a fleet with injected anomalies"
    print(f"features: {len(data.made.bags.rows)} rows, {len(data.made.bags.anomalies)} anomalies, {time.monotonic() - started:.0f} s", flush=True)

    network = fit(a.seed, data.sources(*others), a.steps)
    manifest = {
        "name": a.name,
        "version": a.version,
        "parameters": network.parameter_count(),
        "metrics": auc_and_recall(network.logits, data.held_out.series),
        "training": {"data": trained_on, "seed": a.seed, "streams": a.streams, "steps": a.steps},
    }
    manifest = write_calibrated(a.out, to_onnx(network), data, manifest)
    if a.out.resolve() == HERE:
        report(manifest)
    print(json.dumps(manifest["metrics"] | manifest["calibration"]), f"{time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
