#!/usr/bin/env python3
"""Teacher, distilled student, whole neurons pruned, int8: makes each, measures each beside what is shipped, writes README.md's table.

usage: compress.py --corpus DIR --scorer FILE [--detector FILE] [--seed N] [--streams N] [--steps N] [--report]

What is shipped is not touched. All learn from the same data as the shipped model. NAB is in sample for all of them, at one best
threshold: it says what a step costs, not how well they detect.
"""

import argparse, json, os, pathlib, tempfile, time

# The bits of a sum must not depend on how many cores there are.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static

import detector, evaluate, nab
from bags import Bags
from network import Network, to_onnx
from train import HERE, Data, calibration, fit, replace_between, write

TEACHER = [256, 256, 256]
TEACHER_STEPS = 200  # more, and it knows its own data by heart
STUDENT = [32, 16]
KEPT = 0.5  # of each layer's neurons
ROWS = 200_000  # rows a student sees what its teacher says of
CALIBRATION_ROWS = 4_096  # of which int8's ranges are taken
PERCENTILE = 99.99


def imitator(teacher, widths, sample, seed, steps):
    """A smaller network that says what the teacher says."""
    student = Network([sample.shape[1], *widths, 1], np.random.default_rng([seed, 50]), sample)
    student.imitate(teacher, sample, steps, np.random.default_rng([seed, 51]))
    return student


def pruned(network, sample, teacher, seed, steps):
    """The network without the neurons that matter least, each layer's, taught once more."""
    activations = network.forward(network.standardised(sample[:: len(sample) // 20_000 or 1]))
    layers = [(w.copy(), b.copy()) for w, b in network.layers]
    for i in range(len(layers) - 1):
        (w, b), (after, bias) = layers[i], layers[i + 1]
        weight = activations[i + 1].std(axis=0) * np.abs(network.layers[i + 1][0]).sum(axis=1)
        kept = np.sort(np.argsort(-weight, kind="stable")[: int(np.ceil(KEPT * len(b)))])
        gone = np.setdiff1d(np.arange(len(b)), kept)
        # What a neuron that goes said on average stays.
        layers[i], layers[i + 1] = (w[:, kept], b[kept]), (after[kept], bias + activations[i + 1].mean(axis=0)[gone] @ after[gone])
    smaller = Network([sample.shape[1], *(len(b) for _, b in layers)], np.random.default_rng(0), sample)
    smaller.layers = layers
    smaller.imitate(teacher, sample, steps, np.random.default_rng([seed, 52]))
    return smaller


class Rows(CalibrationDataReader):
    def __init__(self, rows):
        even = rows[: len(rows) // 16 * 16].astype(np.float32)
        self.batches = iter([{"features": part} for part in np.split(even, 16)])

    def get_next(self):
        return next(self.batches, None)


def int8(graph, sample):
    """The graph in int8 (QDQ, static, a scale per channel), its last layer as it was."""
    model = onnx.load_from_string(graph)
    for i, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}_{i}"
    last = [node.name for node in model.graph.node if node.op_type == "Gemm"][-1]
    with tempfile.TemporaryDirectory() as scratch:
        whole, small = pathlib.Path(scratch) / "whole.onnx", pathlib.Path(scratch) / "small.onnx"
        onnx.save(model, whole)
        rows = sample[:: len(sample) // CALIBRATION_ROWS]
        quantize_static(
            whole, small, Rows(rows), quant_format=QuantFormat.QDQ, op_types_to_quantize=["Gemm"], per_channel=True, nodes_to_exclude=[last],
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, calibrate_method=CalibrationMethod.Percentile,
            extra_options={"CalibPercentile": PERCENTILE},
        )  # fmt: skip
        return small.read_bytes()


def runner(graph):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def micros(session, rows):
    """µs a row, in batches of so many; the best of several runs."""
    batch = session.get_inputs()[0].name
    feed, best = {batch: np.zeros((rows, session.get_inputs()[0].shape[1]), np.float32)}, np.inf
    for _ in range(7):
        started = time.perf_counter()
        for _ in range(500):
            session.run(None, feed)
        best = min(best, time.perf_counter() - started)
    return best / 500 / rows * 1e6


def average_precision(logits, series):
    """Of the rows in which an anomaly should be noticed, among those and calm rows."""
    scores, truth = [], []
    for s, z in zip(series, logits):
        odd = np.zeros(len(z), bool)
        for numbers, _ in s.anomalies:
            odd[numbers] = True
        counts = odd | s.calm
        scores.append(z[counts])
        truth.append(odd[counts])
    order = np.argsort(-np.concatenate(scores), kind="stable")
    hits = np.concatenate(truth)[order]
    return float((np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits].mean())


def measured(a, data, name, graph, parameters):
    """A step's row of the table."""
    session = runner(graph)
    logits = [session.run(None, {"features": s.rows.astype(np.float32)})[0][:, 0] for s in data.held_out.series]
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        manifest = {"name": "compression", "version": name, "parameters": parameters, "metrics": {}, "training": {}}
        manifest["calibration"] = calibration(detector.MIDDLE)
        write(scratch / "model", graph, data.made.names, data.made.bags.sample(1_000), manifest)
        evaluate.score(a.detector, a.corpus, scratch / "model", nab.read(a.corpus), scratch / "scores")
        best = evaluate.judge(a.scorer, a.corpus, scratch / "scores")["in_sample"]
    row = [name, parameters, len(graph), best, average_precision(logits, data.held_out.series)]
    row += [micros(session, 1), micros(session, 64)]
    print(json.dumps(row), flush=True)
    return row


def table(rows):
    lines = ["| step | parameters | model.onnx | NAB, best threshold | AP, held-out synthetic | µs a row alone | in batches of 64 |", "|---|---|---|---|---|---|---|"]
    for name, parameters, size, best, ap, alone, together in rows:
        lines.append(f"| {name} | {parameters:,} | {size / 1000:.1f} kB | {best:.1f} | {ap:.3f} | {alone:.1f} | {together:.2f} |")
    return "\n".join(lines) + "\n"


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--corpus", type=pathlib.Path, required=True)
    p.add_argument("--scorer", type=pathlib.Path, required=True)
    p.add_argument("--detector", default=detector.default())
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--streams", type=int, default=350)
    p.add_argument("--steps", type=int, default=600)
    p.add_argument("--report", action="store_true", help="puts the table into README.md")
    a = p.parse_args()
    source = detector.Detector(a.detector)
    data = Data(source, a.seed, a.streams)
    sources = data.sources(Bags(nab.Corpus(a.corpus, lambda path: source.features_of_file(path)[1]).without(None)))
    sample = np.concatenate([bags.sample(ROWS // len(sources)) for bags, _, _ in sources])

    manifest = json.loads((HERE / "model.json").read_text())
    rows = [measured(a, data, "shipped", (HERE / "model.onnx").read_bytes(), manifest["parameters"])]
    teacher = fit(a.seed, sources, min(TEACHER_STEPS, a.steps), members=1, widths=TEACHER)
    student = imitator(teacher, STUDENT, sample, a.seed, 4 * a.steps)
    smaller = pruned(student, sample, teacher, a.seed, 2 * a.steps)
    steps = [("teacher", teacher), ("distilled", student), ("distilled, half of its neurons pruned", smaller)]
    for name, network in steps:
        graph = to_onnx(network)
        rows.append(measured(a, data, name, graph, network.parameter_count()))
        rows.append(measured(a, data, f"{name}, int8", int8(graph, sample), network.parameter_count()))
    print(table(rows))
    if a.report:
        replace_between("compression", table(rows))


if __name__ == "__main__":
    main()
