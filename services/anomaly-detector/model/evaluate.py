#!/usr/bin/env python3
"""Scores the built detector on the public corpus, with weights that never saw the tested category.

usage: evaluate.py --corpus DIR --scorer FILE [--detector FILE] [--train] [--seeds N] [--out FILE]

The detector's own binary scores every file with its built-in model. With --train, for each seed and each category a network is
trained on synthetic streams and the other categories' files, and the binary (`score --model DIR`) scores that category with it;
also measured then: synthetic only, and one network trained on all. Nothing is chosen by these figures.
"""

import argparse, json, os, pathlib, subprocess, sys, tempfile, time

# The bits of a sum must not depend on how many cores there are.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

import nab
from network import to_onnx
from train import Streams, Synthetic, calibration, default_detector, features_of_file, fit, healthy_rows, in_parallel, sources_of, write

DEAD_TIME = 200  # readings
THRESHOLD = 0.8


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
        "hits_fixed": fixed["hits"], "vus_pr": vus_pr(corpus, scores), "held_out_by_category": by_category,
        "no_anomaly_opened": sum(opened(scores / name) for name in nab.read(corpus) if name.startswith("artificialNoAnomaly")),
    }  # fmt: skip


def last_column(path):
    return np.array([float(line.rsplit(",", 1)[1]) for line in path.read_text().splitlines()[1:]])


def opened(path):
    return int(np.sum(last_column(path) > THRESHOLD))


def vus_pr(corpus, scores, buffers=(0, 25, 50, 75, 100)):
    """Area under the precision-recall curve, its windows widened by a buffer whose edge counts partly (Paparrizos et al., 2022),
    averaged over buffers and over the files that have windows; the scores are those before dead time."""
    values = []
    for name, (_, probation, spans) in nab.read(corpus).items():
        if not spans:
            continue
        s = last_column(scores / (name + ".raw"))
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


def folder(at, network, streams, healthy, held_out, seed):
    manifest = {
        "name": "evaluation", "version": str(seed), "calibration": calibration(network, healthy, held_out.each),
        "parameters": network.parameter_count(), "metrics": {}, "training": {"seed": seed},
    }  # fmt: skip
    write(at, to_onnx(network), streams.names, streams.normal, manifest)
    return at


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--corpus", type=pathlib.Path, required=True)
    p.add_argument("--scorer", type=pathlib.Path, required=True)
    p.add_argument("--detector", default=default_detector())
    p.add_argument("--train", action="store_true")
    p.add_argument("--seeds", type=int, default=5)
    p.add_argument("--streams", type=int, default=700)
    p.add_argument("--steps", type=int, default=1500)
    p.add_argument("--out", type=pathlib.Path)
    a = p.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        score(a.detector, a.corpus, None, nab.read(a.corpus), scratch)
        results = [{"seed": "-", "built_in": figures(a.scorer, a.corpus, scratch)}]
    write_results(a.out, results)
    print(table(results))
    if not a.train:
        return
    corpus = nab.Corpus(a.corpus, lambda path: features_of_file(a.detector, path)[1])
    for seed in range(1, a.seeds + 1):
        started = time.monotonic()
        seeds = [seed * 1_000_000 + i for i in range(a.streams)]
        streams = Streams(a.detector, [Synthetic(s) for s in seeds])
        held_out = Streams(a.detector, [Synthetic(s + 500_000) for s in seeds[: max(20, a.streams // 5)]])
        healthy = healthy_rows(a.detector, seed * 1_000_000 + 900_000)
        row = {"seed": seed}
        with tempfile.TemporaryDirectory() as scratch:
            scratch = pathlib.Path(scratch)

            def measure(name, parts):
                """`parts` is [(category or None for all files, what to train on)]."""
                for category, sources in parts:
                    network = fit(seed, sources, a.steps)
                    model = folder(scratch / "model", network, streams, healthy, held_out, seed)
                    score(a.detector, a.corpus, model, [n for n, f in corpus.files.items() if category in (None, f[0])], scratch / name)
                row[name] = figures(a.scorer, a.corpus, scratch / name)
                print(seed, name, json.dumps(row[name]), f"{time.monotonic() - started:.0f} s", flush=True)

            measure("synthetic_only", [(None, sources_of(streams))])
            measure("unseen_category", [(c, sources_of(streams, corpus, c)) for c in corpus.categories()])
            if seed == 1:
                measure("trained_on_all", [(None, sources_of(streams, corpus))])
        results.append(row)
        write_results(a.out, results)
    print("\n" + table(results))


def write_results(path, results):
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(results, indent=1) + "\n")


def table(results):
    """The figures over seeds as a table in Markdown."""
    lines = ["| trained on | NAB, one best threshold | threshold of other categories | threshold 0.8 | VUS-PR | opened on artificialNoAnomaly |", "|---|---|---|---|---|---|"]
    for name, title in [("built_in", "the built-in model"), ("synthetic_only", "synthetic streams"), ("unseen_category", "and the other categories"), ("trained_on_all", "and all files (in sample)")]:
        rows = [r[name] for r in results if name in r]
        if rows:
            cells = [f"{np.mean([r[k] for r in rows]):.{d}f} ± {np.std([r[k] for r in rows]):.{d}f}" for k, d in [("in_sample", 1), ("held_out", 1), ("fixed", 1), ("vus_pr", 3)]]
            lines.append(f"| {title} | " + " | ".join(cells) + f" | {max(r['no_anomaly_opened'] for r in rows)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
