"""The built detector: every feature and every score comes from its own code, the one that serves."""

import contextlib, os, pathlib, subprocess, tempfile

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
MIDDLE = 10.0  # an opening evidence at which scores are far from 0 and 1 where they matter


def default():
    root = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE.parents[2] / "target"))
    return str(root / "release" / "anomaly-detector")


class Detector:
    def __init__(self, binary):
        if not pathlib.Path(binary).exists():
            raise SystemExit(f"{binary} is not there: cargo build --release -p anomaly-detector, or --detector FILE")
        self.binary = binary

    def features_of_file(self, path):
        """Feature names, and the feature rows of a CSV."""
        header, rows = self.columns("features", path)
        return header[2:], rows[:, 2:]

    def features(self, stream):
        """The same of a stream, (seconds, values, …)."""
        with csv_of(stream) as path:
            return self.features_of_file(path)

    def evidence(self, stream, folder):
        """What a model folder whose opening evidence is MIDDLE makes of a stream, in evidence."""
        with csv_of(stream) as path:
            _, rows = self.columns("score", path, "--model", folder)
        score = np.clip(rows[:, -1].astype(float), 1e-12, 1 - 6e-8)
        return MIDDLE + np.log(score / (1 - score)) - np.log(4)

    def columns(self, command, path, *arguments):
        """Header and numbers of a command's output; what is no number (a time as text) is 0."""
        out = subprocess.run([self.binary, command, str(path), *map(str, arguments)], check=True, capture_output=True, text=True).stdout
        header, _, body = out.partition("\n")
        names = header.split(",")
        rows = np.loadtxt(body.splitlines(), delimiter=",", dtype=np.float32, usecols=range(1, len(names)), ndmin=2)
        return names, np.pad(rows, ((0, 0), (1, 0)))


@contextlib.contextmanager
def csv_of(stream):
    """The name of a temporary CSV of (seconds, values, …)."""
    t, x = stream[:2]
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
        file.write("timestamp,value\n" + "\n".join(f"{a:.3f},{b!r}" for a, b in zip(t.tolist(), x.tolist())))
        file.flush()
        yield file.name
