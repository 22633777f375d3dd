"""Trains a small CNN on handwritten digits with every pruner, compiles all of them, compares accuracy, time and size.

    python examples/train_digits.py --plot docs/pruning_digits.svg

takes some minutes on a CPU. The digits are those of scikit-learn (``pip install '.[prune]'``), 8x8 pixels scaled to
16x16; ``--data generated`` needs no package and makes images of ten random shapes.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate

import sparsecc
from sparsecc import prune

N, SPARSITY, TESTED = 8, 0.9, 500
Data = tuple[Tensor, Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class Result:
    """One method: shares of test images that are right, by seed; milliseconds; bytes of weights with indices."""

    name: str
    accuracy: list[float]
    ms: float
    nbytes: int
    pruned: float
    sparse_layers: int


def digits() -> tuple[Tensor, Tensor]:
    """1797 images of handwritten digits, (count, 1, 16, 16), and their classes."""
    from sklearn.datasets import load_digits

    found = load_digits()
    images = torch.tensor(found.images, dtype=torch.float32).unsqueeze(1) / 16
    return interpolate(images, size=16, mode="bilinear"), torch.tensor(found.target)


def generated() -> tuple[Tensor, Tensor]:
    """1200 noisy images of ten random shapes, moved about."""
    generator = torch.Generator().manual_seed(0)
    shapes = interpolate(torch.rand(10, 1, 5, 5, generator=generator).round(), size=16, mode="bilinear")
    classes = torch.randint(10, (1200,), generator=generator)
    moves = torch.randint(-2, 3, (1200, 2), generator=generator).tolist()
    moved = [shapes[c].roll(tuple(move), (1, 2)) for c, move in zip(classes, moves, strict=True)]
    return torch.stack(moved) + 0.5 * torch.randn(1200, 1, 16, 16, generator=generator), classes


def split(images: Tensor, classes: Tensor) -> Data:
    """Training and test images, the same for every method and seed."""
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    images, classes = (images - images.mean())[order] / images.std(), classes[order]
    return images[TESTED:], classes[TESTED:], images[:TESTED], classes[:TESTED]


def make_net() -> nn.Module:
    """Four convolutions; the stem and the classifier stay dense."""

    def conv(ic: int, oc: int, kernel: int, stride: int = 1) -> list[nn.Module]:
        padding = kernel // 2
        return [nn.Conv2d(ic, oc, kernel, stride, padding, bias=False), nn.BatchNorm2d(oc), nn.ReLU()]

    convs = [*conv(1, 16, 3), *conv(16, 48, 3, 2), *conv(48, 96, 3, 2), *conv(96, 96, 1)]
    return nn.Sequential(*convs, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(96, 10))


def train(model: nn.Module, pruner: prune.Pruner | prune.Guided | None, data: Data, *, epochs: int, lr: float) -> None:
    """The loop: SGD, one cycle of the learning rate, small random shifts of the images."""
    images, classes = data[:2]
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    if pruner is not None:
        pruner.apply(model, optimizer=optimizer)
    model.train()
    for epoch in range(epochs):
        if pruner is not None:
            pruner.step(epoch)
        for part in torch.randperm(len(images)).split(64):
            x = images[part].roll(tuple(torch.randint(-1, 2, (2,)).tolist()), (2, 3))
            loss = cross_entropy(model(x), classes[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
    if pruner is not None:
        pruner.finalize()
    model.eval()


def bounds(model: nn.Module, x: Tensor) -> dict[str, prune.Bounds]:
    """Useful sparsity of every layer: from where on the compiler's cost model finds it faster than dense."""
    gains: dict[str, list[float]] = {}
    tried = (0.25, 0.5, 0.75, 0.9)
    for sparsity in tried:
        pruned = copy.deepcopy(model).eval()
        prune.OneByN(N, sparsity).apply(pruned)
        for layer in sparsecc.inspect(pruned, example_inputs=(x,)).layers:
            gains.setdefault(layer.name, []).append(layer.predicted or 0.0 if layer.tile is None else 0.0)
    return {
        name: prune.Bounds(next((s for s, g in zip(tried, found, strict=True) if g > 1), 1.0), 1.0, max(found) > 1)
        for name, found in gains.items()
    }


def methods(epochs: int, model: nn.Module, x: Tensor) -> dict[str, Callable[[], prune.Pruner | prune.Guided | None]]:
    """Pruners by name. All but SUBP start from the trained dense network."""
    ramp = {"decay_start": 0, "decay_end": epochs}
    return {
        "dense": lambda: None,
        "1xN": lambda: prune.OneByN(N, SPARSITY),
        "1xN, sorted": lambda: prune.OneByN(N, SPARSITY, rearrange="sort"),
        "1xN, clustered": lambda: prune.OneByN(N, SPARSITY, rearrange="cluster"),
        "SUBP": lambda: prune.Subp(N, SPARSITY, **ramp),  # type: ignore[arg-type]
        "DARB": lambda: prune.Darb(SPARSITY, unit="kernel"),
        "guided 1xN": lambda: prune.Guided(prune.OneByN(N, SPARSITY), bounds(model, x)),
    }


def milliseconds(libs: dict[str, sparsecc.Compiled], x: Tensor, *, rounds: int = 15) -> dict[str, float]:
    """Median time of one image on one thread; all libraries in turns."""
    found: dict[str, list[float]] = {name: [] for name in libs}
    for _ in range(rounds):
        for name, lib in libs.items():
            begin = time.perf_counter()
            for _ in range(50):
                lib(x)
            found[name].append((time.perf_counter() - begin) * 20)
    return {name: statistics.median(times) for name, times in found.items()}


def run(data: Data, *, names: Sequence[str], epochs: int, seeds: int) -> list[Result]:
    """Train every method with every seed; compile those of the last."""
    x = data[2][:1]
    accuracy: dict[str, list[float]] = {name: [] for name in names}
    trained: dict[str, nn.Module] = {}
    for seed in range(seeds):
        torch.manual_seed(seed)
        start = make_net()
        dense = copy.deepcopy(start)
        train(dense, None, data, epochs=epochs, lr=0.1)
        choices = methods(epochs, dense, x)
        for name in names:
            model = copy.deepcopy(start if name == "SUBP" else dense)
            # every method trains for twice the epochs in all: SUBP at one go, the others on top of the dense training
            if name == "SUBP":
                train(model, choices[name](), data, epochs=2 * epochs, lr=0.1)
            else:
                train(model, choices[name](), data, epochs=epochs, lr=0.02)
            with torch.no_grad():
                accuracy[name].append(float((model(data[2]).argmax(1) == data[3]).float().mean()))
            trained[name] = model
            print(f"seed {seed}, {name}: {accuracy[name][-1]:.1%} right", flush=True)
    libs = {name: sparsecc.compile(model, example_inputs=(x,), threads=1) for name, model in trained.items()}
    ms = milliseconds(libs, x)
    return [_result(name, accuracy[name], ms[name], trained[name], libs[name]) for name in names]


def _result(name: str, accuracy: list[float], ms: float, model: nn.Module, lib: sparsecc.Compiled) -> Result:
    layers = lib.report.plan.layers
    return Result(
        name=name,
        accuracy=accuracy,
        ms=ms,
        nbytes=sum(layer.kept_bytes for layer in layers),
        pruned=prune.report(model).sparsity,
        sparse_layers=sum(layer.decision == "sparse" for layer in layers),
    )


def table(results: Sequence[Result]) -> str:
    """The results as Markdown."""
    lines = [
        "| method | right, % (seeds) | pruned, all layers | layers run sparse | time, ms | weights, kB |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for r in results:
        right = f"{100 * statistics.mean(r.accuracy):.1f} ({100 * min(r.accuracy):.1f} to {100 * max(r.accuracy):.1f})"
        lines.append(f"| {r.name} | {right} | {r.pruned:.1%} | {r.sparse_layers} | {r.ms:.3f} | {r.nbytes / 1e3:.1f} |")
    return "\n".join(lines)


def plot(results: Sequence[Result], path: Path) -> None:
    """Accuracy over time, one point a method."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4))
    for r in results:
        middle = 100 * statistics.mean(r.accuracy)
        ends = [[middle - 100 * min(r.accuracy)], [100 * max(r.accuracy) - middle]]
        axes.errorbar([r.ms], [middle], yerr=ends, marker="o", capsize=3, label=r.name)
    axes.set_xlabel("time of one image, one thread, ms")
    axes.set_ylabel("test images that are right, %")
    axes.legend(fontsize="small")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main(words: Sequence[str] | None = None) -> None:
    """Train, compile, print the table, draw the plot."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    known = list(methods(1, nn.Identity(), torch.empty(0)))
    parser.add_argument("--data", default="digits", choices=["digits", "generated"], help="which images")
    parser.add_argument("--methods", nargs="+", default=known, choices=known, metavar="METHOD", help=", ".join(known))
    parser.add_argument("--epochs", type=int, default=12, help="of dense training; each method adds as many")
    parser.add_argument("--seeds", type=int, default=2, help="how often everything is trained")
    parser.add_argument("--plot", type=Path, help="SVG file to write")
    options = parser.parse_args(words)
    begin = time.perf_counter()
    torch.set_num_threads(1)  # the network is too small for more
    data = split(*(digits() if options.data == "digits" else generated()))
    results = run(data, names=options.methods, epochs=options.epochs, seeds=options.seeds)
    print(f"\n{table(results)}\n\n{time.perf_counter() - begin:.0f} s")
    if options.plot:
        plot(results, options.plot)


if __name__ == "__main__":
    main()
