#!/usr/bin/env python3
"""Scores the built detector on the public corpus, with weights that never saw the tested category.

usage: evaluate.py --corpus DIR --scorer FILE [--detector FILE] [--train] [--seeds N] [--out FILE] [--report]

The detector's own binary scores every file with its built-in model. With --train, for each seed and each category a network is
trained on synthetic streams and the other categories' files, and the binary (`score --model DIR`) scores that category with it;
also measured then: synthetic only, and one network trained on all. Nothing is chosen by these figures but what README.md
says was: the signals, their weights, and how often streams where nothing is wrong may open.
"""

import argparse, json, os, pathlib, subprocess, sys, tempfile, time

# The bits of a sum must not depend on how many cores there are.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

import detector, nab
from bags import Bags
from network import to_onnx
from train import Data, fit, in_parallel, replace_between, write_calibrated

DEAD_TIME = 200  # readings
THRESHOLD = 0.8
HOLD = 100  # readings a score is held for where the figure says so; a window of the corpus is some four hundred wide


def score(detector, corpus, model, files, out):
    """Scores files with a model folder, or the built-in model, into `out` by their relative paths."""

    def one(name):
        target = out / name
        target.parent.mkdir(parents=True, exist_ok=True)
        command = [detector, "score", str(corpus / name)] + (["--model", str(model)] if model else [])
        with target.open("w") as f:
            subprocess.run([*command, "--dead-time", str(DEAD_TIME)], check=True, stdout=f)
        with (out / (name + ".raw")).open("w") as f:
            subprocess.run(command, check=True, stdout=f)

    in_parallel(one, files)


def judge(scorer, corpus, scores, *arguments):
    out = subprocess.run([sys.executable, str(scorer), "--data", str(corpus), "--scores", str(scores), "--json", *arguments], check=True, capture_output=True)
    return json.loads(out.stdout)


def figures(scorer, corpus, scores):
    best, fixed = judge(scorer, corpus, scores), judge(scorer, corpus, scores, "--threshold", str(THRESHOLD))
    by_category = {c: v["score"] for c, v in best["by_category"].items()}
    return {
        "in_sample": best["in_sample"], "held_out": best["held_out"], "fixed": fixed["fixed"], "false_positives_fixed": fixed["false_positives"],
        "hits_fixed": fixed["hits"], "vus_pr": vus_pr(corpus, scores), "vus_pr_held": vus_pr(corpus, scores, HOLD), "held_out_by_category": by_category,
        "no_anomaly_opened": opened_where_nothing_is_wrong(corpus, scores),
    }  # fmt: skip


def last_column(path):
    return np.array([float(line.rsplit(",", 1)[1]) for line in path.read_text().splitlines()[1:]])


def opened_where_nothing_is_wrong(corpus, scores):
    """After the beginnings that the corpus does not score, and in all."""
    opened = [(np.flatnonzero(last_column(scores / name) > THRESHOLD), file[1]) for name, file in nab.read(corpus).items() if name.startswith("artificialNoAnomaly")]
    return [sum(int(np.sum(at >= probation)) for at, probation in opened), sum(len(at) for at, _ in opened)]


def held(scores, rows):
    """The highest of the last so many scores: an anomaly that was noticed is one for a while."""
    return np.max([np.pad(scores, (rows, 0))[rows - i : len(scores) + rows - i] for i in range(rows)], axis=0)


def vus_pr(corpus, scores, hold=1, buffers=(0, 25, 50, 75, 100)):
    """Area under the precision-recall curve, its windows widened by a buffer whose edge counts partly (Paparrizos et al., 2022),
    averaged over buffers and over the files that have windows; the scores are those before dead time."""
    values = []
    for name, (_, probation, spans) in nab.read(corpus).items():
        if not spans:
            continue
        s = held(last_column(scores / (name + ".raw")), hold)
        for buffer in buffers:
            y = np.zeros(len(s))
            for first, last in spans:
                y[first : last + 1] = 1
                for d in range(1, buffer + 1):
                    weight = np.sqrt(max(0.0, 1 - d / (buffer + 1)))
                    for at in (first - d, last + d):
                        if 0 <= at < len(y):
                            y[at] = max(y[at], weight)
            order = np.argsort(-s[probation:], kind="stable")
            hits = np.cumsum(y[probation:][order])
            precision, recall = hits / np.arange(1, len(hits) + 1), hits / max(hits[-1], 1e-9)
            values.append(float(np.sum(np.diff(recall, prepend=0) * precision)))
    return round(float(np.mean(values)), 3)


def folder(at, network, data):
    manifest = {"name": "evaluation", "version": str(data.seed), "parameters": network.parameter_count(), "metrics": {}, "training": {}}
    write_calibrated(at, to_onnx(network), data, manifest)
    return at


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--corpus", type=pathlib.Path, required=True)
    p.add_argument("--scorer", type=pathlib.Path, required=True)
    p.add_argument("--detector", default=detector.default())
    p.add_argument("--train", action="store_true")
    p.add_argument("--seeds", type=int, default=5)
    p.add_argument("--streams", type=int, default=350)
    p.add_argument("--steps", type=int, default=600)
    p.add_argument("--out", type=pathlib.Path)
    p.add_argument("--report", action="store_true", help="puts the table into README.md")
    a = p.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        score(a.detector, a.corpus, None, nab.read(a.corpus), scratch)
        results = [{"seed": "-", "built_in": figures(a.scorer, a.corpus, scratch)}]
    conclude(a, results)
    if not a.train:
        return
    source = detector.Detector(a.detector)
    corpus = nab.Corpus(a.corpus, lambda path: source.features_of_file(path)[1])
    for seed in range(1, a.seeds + 1):
        started = time.monotonic()
        data, row = Data(source, seed, a.streams), {"seed": seed}
        with tempfile.TemporaryDirectory() as scratch:
            scratch = pathlib.Path(scratch)

            def measure(name, parts):
                """`parts` is [(category or None for all files, what to train on)]."""
                for category, sources in parts:
                    model = folder(scratch / "model", fit(seed, sources, a.steps), data)
                    score(a.detector, a.corpus, model, [n for n, f in corpus.files.items() if category in (None, f[0])], scratch / name)
                row[name] = figures(a.scorer, a.corpus, scratch / name)
                print(seed, name, json.dumps(row[name]), f"{time.monotonic() - started:.0f} s", flush=True)

            measure("synthetic_only", [(None, data.sources())])
            measure("unseen_category", [(c, data.sources(Bags(corpus.without(c)))) for c in corpus.categories()])
            if seed == 1:
                measure("trained_on_all", [(None, data.sources(Bags(corpus.without(None))))])
        results.append(row)
        conclude(a, results)


def conclude(a, results):
    """Says and keeps what is known so far."""
    print(table(results), flush=True)
    if a.out:
        a.out.parent.mkdir(parents=True, exist_ok=True)
        a.out.write_text(json.dumps(results, indent=1) + "\n")
    if a.report:
        replace_between("corpus", table(results))


def table(results):
    """The figures over seeds as a table in Markdown."""
    lines = ["| trained on | NAB, one best threshold | threshold of other categories | threshold 0.8 | VUS-PR | VUS-PR, scores held | opened on artificialNoAnomaly after its files' beginnings, and in all |", "|---|---|---|---|---|---|---|"]
    for name, title in [("built_in", "the built-in model (see above what it has seen)"), ("synthetic_only", "synthetic streams"), ("unseen_category", "and the other categories"), ("trained_on_all", "and all files (in sample)")]:
        rows = [r[name] for r in results if name in r]
        if rows:
            cells = [f"{np.mean([r[k] for r in rows]):.{d}f} ± {np.std([r[k] for r in rows]):.{d}f}" for k, d in [("in_sample", 1), ("held_out", 1), ("fixed", 1), ("vus_pr", 3), ("vus_pr_held", 3)]]
            lines.append(f"| {title} | " + " | ".join(cells) + " | {} and {} |".format(*(max(r["no_anomaly_opened"][i] for r in rows) for i in (0, 1))))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
