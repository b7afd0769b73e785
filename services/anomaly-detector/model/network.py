"""A small multilayer perceptron in NumPy: training by Adam, export to ONNX with the standardisation folded in."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

REACH = 4.0  # deviations: beyond this a feature says no more (transfer to unseen kinds of series fell by a fifth without)


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

    def train(self, sources, steps, rng, rate=3e-3, decay=0.05, drop=0.2):
        """`sources` is [(Bags, anomalies a batch, calm blocks a batch)].

        A bag's logit is the soft maximum of its rows'. All anomalies together count as much as all calm blocks. A fifth of the features is put back to its mean, per bag, so that none
        is relied on alone.
        """
        standardised = [self.standardised(bags.rows) for bags, _, _ in sources]
        descent = Descent(self, steps, rate, decay)
        bags_of = {1: sum(anomalies for _, anomalies, _ in sources), -1: sum(blocks for _, _, blocks in sources)}
        for _ in range(steps):
            inputs, drawn = [], []
            for (bags, anomalies, blocks), rows in zip(sources, standardised):
                for sign, (numbers, worth) in zip((1, -1), bags.draw(rng, anomalies, blocks)):
                    if numbers.size:
                        kept = rng.random((len(numbers), 1, rows.shape[1])) > drop
                        inputs.append((rows[numbers] * kept).reshape(-1, rows.shape[1]))
                        drawn.append((sign, worth))
            activations = self.forward(np.concatenate(inputs).astype(np.float32))
            logits, d, at = activations[-1][:, 0], [], 0
            for sign, worth in drawn:
                weighed = logits[at : at + worth.size].reshape(worth.shape) + worth
                at += worth.size
                top = weighed.max(axis=1, keepdims=True)
                e = np.exp(weighed - top)
                total = e.sum(axis=1, keepdims=True)
                pooled = top + np.log(total)
                d.append((-sign * sigmoid(-sign * pooled) * e / total / bags_of[sign]).ravel())
            descent.step(activations, np.concatenate(d))

    def imitate(self, teacher, rows, steps, rng, batch=8192, rate=3e-3, temperature=2.0):
        """Learns a teacher's softened logits on unlabelled rows; among them the few high ones as often as all others."""
        wanted = teacher.logits(rows)
        high = np.argsort(-wanted)[: len(rows) // 20]
        standardised, descent = self.standardised(rows), Descent(self, steps, rate, 0.0)
        for _ in range(steps):
            drawn = np.concatenate([rng.integers(0, len(rows), batch // 2), rng.choice(high, batch // 2)])
            activations = self.forward(standardised[drawn])
            error = np.clip((activations[-1][:, 0] - wanted[drawn]) / temperature, -3, 3)
            descent.step(activations, error / batch)

    def parameter_count(self):
        return int(sum(p.size for layer in self.layers for p in layer))


class Descent:
    """Adam with decoupled weight decay and a rate that falls by a cosine."""

    def __init__(self, network, steps, rate, decay):
        self.network, self.steps, self.rate, self.decay, self.done = network, steps, rate, decay, 0
        self.moments = [[np.zeros_like(p), np.zeros_like(p)] for layer in network.layers for p in layer]

    def step(self, activations, d):
        """`d` is the loss's derivative by each row's logit."""
        self.done += 1
        pace = self.rate * 0.5 * (1 + np.cos(np.pi * self.done / self.steps))
        gradients = [g for layer in self.network.gradients(activations, d[:, None].astype(np.float32)) for g in layer]
        parameters = [p for layer in self.network.layers for p in layer]
        for p, g, m in zip(parameters, gradients, self.moments):
            m[0] = 0.9 * m[0] + 0.1 * g
            m[1] = 0.999 * m[1] + 0.001 * g * g
            first, second = m[0] / (1 - 0.9**self.done), m[1] / (1 - 0.999**self.done)
            p -= pace * (first / (np.sqrt(second) + 1e-8) + (self.decay * p if p.ndim == 2 else 0))


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
