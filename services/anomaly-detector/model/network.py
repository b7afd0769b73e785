"""A small multilayer perceptron in NumPy: training by Adam, export to ONNX with the standardisation folded in."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


REACH = 4.0  # deviations: beyond this a feature says no more (transfer to unseen kinds of series fell by a fifth without)

REACH_ROWS = 24  # rows of an anomaly among which one has to be high; of longer ones a high one counts for as much


class Network:
    def __init__(self, widths, rng, sample):
        self.mean = sample.mean(axis=0).astype(np.float32)
        self.deviation = (sample.std(axis=0) + 1e-3).astype(np.float32)
        self.layers = [
            (rng.normal(0, np.sqrt(2 / a), (a, b)).astype(np.float32), np.zeros(b, np.float32)) for a, b in zip(widths, widths[1:])
        ]
        self.layers[-1][0][:] *= 0.3

    def standardised(self, rows):
        return np.clip((rows - self.mean) / self.deviation, -REACH, REACH).astype(np.float32)

    def forward(self, x):
        activations = [x]
        for i, (w, b) in enumerate(self.layers):
            x = x @ w + b
            if i + 1 < len(self.layers):
                x = np.maximum(x, 0)
            activations.append(x)
        return activations

    def logits(self, rows):
        return self.forward(self.standardised(rows))[-1][:, 0]

    def gradients(self, activations, d):
        out = []
        for i in reversed(range(len(self.layers))):
            w, _ = self.layers[i]
            out.append((activations[i].T @ d, d.sum(axis=0)))
            if i:
                d = (d @ w.T) * (activations[i] > 0)
        return out[::-1]

    def train(self, normals, anomalies, steps, rng, rate=3e-3, decay=0.05, drop=0.2):
        """Normal rows should score low; of each anomaly's rows at least one should score high (a soft maximum).

        `normals` is [(rows, rows a batch)], `anomalies` [(segments of equal length, segments a batch)], one pair a source. A
        fifth of the features is put back to its mean in each row, so that none is relied on alone.
        """
        normals = [(self.standardised(rows), batch) for rows, batch in normals]
        anomalies = [(self.standardised(a.reshape(-1, a.shape[2])).reshape(a.shape), batch) for a, batch in anomalies]
        moments = [[np.zeros_like(p), np.zeros_like(p)] for layer in self.layers for p in layer]
        for step in range(1, steps + 1):
            low = [rows[rng.integers(0, len(rows), batch)] for rows, batch in normals]
            low = np.concatenate(low)
            low = low * (rng.random(low.shape) > drop)
            high = []
            for segments, batch in anomalies:
                drawn = segments[rng.integers(0, len(segments), batch)]
                high.append(drawn * (rng.random((batch, 1, drawn.shape[2])) > drop))
            flat = [h.reshape(-1, h.shape[2]) for h in high]
            activations = self.forward(np.concatenate([low, *flat]).astype(np.float32))
            logits = activations[-1][:, 0]
            d = np.empty_like(logits)
            d[: len(low)] = sigmoid(logits[: len(low)]) * 8 / len(low)
            at, drawn_segments = len(low), sum(len(h) for h in high)
            for h in high:
                z = logits[at : at + h.shape[0] * h.shape[1]].reshape(h.shape[:2])
                top = z.max(axis=1, keepdims=True)
                e = np.exp(z - top)
                pooled = top[:, 0] + np.log(e.sum(axis=1) / REACH_ROWS)
                d[at : at + z.size] = (-sigmoid(-pooled)[:, None] * e / e.sum(axis=1, keepdims=True) / drawn_segments).ravel()
                at += z.size
            self.descend(activations, d[:, None].astype(np.float32), moments, step, rate * 0.5 * (1 + np.cos(np.pi * step / steps)), decay)

    def descend(self, activations, d, moments, step, pace, decay):
        """One step of Adam with decoupled weight decay."""
        gradients = [g for layer in self.gradients(activations, d) for g in layer]
        parameters = [p for layer in self.layers for p in layer]
        for p, g, m in zip(parameters, gradients, moments):
            m[0] = 0.9 * m[0] + 0.1 * g
            m[1] = 0.999 * m[1] + 0.001 * g * g
            p -= pace * (m[0] / (1 - 0.9**step) / (np.sqrt(m[1] / (1 - 0.999**step)) + 1e-8) + (decay * p if p.ndim == 2 else 0))

    def parameter_count(self):
        return int(sum(p.size for layer in self.layers for p in layer))


def averaged(networks):
    """One network that answers the mean of several of the same shape: their layers side by side."""
    merged = networks[0]
    layers = []
    for i, parts in enumerate(zip(*(n.layers for n in networks))):
        ws, bs = zip(*parts)
        if i == 0:
            layers.append((np.concatenate(ws, axis=1), np.concatenate(bs)))
        elif i + 1 < len(merged.layers):
            rows, columns = ws[0].shape
            w = np.zeros((rows * len(ws), columns * len(ws)), np.float32)
            for k, part in enumerate(ws):
                w[k * rows : (k + 1) * rows, k * columns : (k + 1) * columns] = part
            layers.append((w, np.concatenate(bs)))
        else:
            layers.append((np.concatenate(ws) / len(ws), np.mean(bs, axis=0)))
    merged.layers = layers
    return merged


def sigmoid(x):
    return 1 / (1 + np.exp(-np.clip(x, -60, 60)))


def to_onnx(network):
    """[rows, features] f32 in, [rows, 1] logits out."""
    constants = {"mean": network.mean, "inverse": 1 / network.deviation, "low": np.float32(-REACH), "high": np.float32(REACH)}
    nodes = [
        helper.make_node("Sub", ["features", "mean"], ["centred"]),
        helper.make_node("Mul", ["centred", "inverse"], ["standard"]),
        helper.make_node("Clip", ["standard", "low", "high"], ["bounded"]),
    ]
    name = "bounded"
    for i, (w, b) in enumerate(network.layers):
        constants |= {f"weight_{i}": w, f"bias_{i}": b}
        last = i + 1 == len(network.layers)
        out = "logit" if last else f"sum_{i}"
        nodes.append(helper.make_node("Gemm", [name, f"weight_{i}", f"bias_{i}"], [out]))
        if not last:
            name = f"hidden_{i}"
            nodes.append(helper.make_node("Relu", [out], [name]))
    graph = helper.make_graph(
        nodes,
        "anomaly",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["rows", len(network.mean)])],
        [helper.make_tensor_value_info("logit", TensorProto.FLOAT, ["rows", 1])],
        [numpy_helper.from_array(np.asarray(v, np.float32), n) for n, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9, producer_name="fieldwatch")
    onnx.checker.check_model(model)
    return model.SerializeToString(deterministic=True)
