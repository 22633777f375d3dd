"""Trains a detector of coloured shapes, dense and pruned, compiles all, and compares precision, time and size.

    python examples/train_detector.py --out build/detector

takes some minutes on a CPU. The folder gets each network as ``.pt2`` and as a library with its header, a scene as raw
floats for ``examples/detector/detect.c``, and with ``--picture`` (needs matplotlib) the boxes that the pruned network
finds. With ONNX Runtime installed its time is measured, too.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from detector.boxes import Found, detect
from detector.learn import Detect, average_precision, in_pytorch, train
from detector.net import Detector
from detector.scenes import CLASSES, Scene, scenes
from detector.timing import engines, milliseconds
from torch import Tensor, nn

import sparsecc
from sparsecc import prune

SPARSITY = 0.75
SIZES = (4, 16)


@dataclass(frozen=True)
class Result:
    """One network: average precision in PyTorch and of the library; milliseconds by engine; bytes of the library."""

    name: str
    in_pytorch: float
    in_library: float
    ms: Mapping[str, float]
    nbytes: int


def pruner(n: int) -> prune.OneByN:
    """Blocks of ``n`` output channels of every layer but the stem's first and the last one, which are small."""
    return prune.OneByN(n, SPARSITY, exclude=["stem.0.0", "head.1"])


def trained(seen: Sequence[Scene], *, epochs: int) -> dict[str, nn.Module]:
    """A dense network, and for each size of block one that was pruned and trained for as long again."""
    torch.manual_seed(0)
    dense = Detector()
    train(dense, seen, epochs=epochs, lr=2e-3)
    nets: dict[str, nn.Module] = {"dense": dense}
    for n in SIZES:
        model = copy.deepcopy(dense)
        train(model, seen, epochs=epochs, lr=1e-3, pruner=pruner(n))
        nets[f"1x{n}, {SPARSITY:.0%}"] = model
    return nets


def in_library(library: sparsecc.Compiled) -> Detect:
    """Detect with a compiled network."""

    def run(image: Tensor) -> list[Found]:
        outputs = library(image)
        return detect(outputs["fine"][0].numpy(), outputs["coarse"][0].numpy(), least=0.05)

    return run


def compared(nets: Mapping[str, nn.Module], unseen: Sequence[Scene], folder: Path) -> list[Result]:
    """Compile all, write them to the folder, and measure."""
    image = unseen[0].image[None]
    libraries = {
        name: sparsecc.compile(net, example_inputs=(image,), threads=1, name="detector") for name, net in nets.items()
    }
    for name, library in libraries.items():
        path_of(name, folder).parent.mkdir(parents=True, exist_ok=True)
        library.save(path_of(name, folder))
        torch.export.save(torch.export.export(nets[name], (image,)), path_of(name, folder).with_suffix(".pt2"))
    calls = {
        (name, engine): call for name in nets for engine, call in engines(nets[name], libraries[name], image).items()
    }
    ms = milliseconds(calls, image)
    return [
        Result(
            name=name,
            in_pytorch=average_precision(in_pytorch(net), unseen),
            in_library=average_precision(in_library(libraries[name]), unseen),
            ms={engine: found for (who, engine), found in ms.items() if who == name},
            nbytes=path_of(name, folder).stat().st_size,
        )
        for name, net in nets.items()
    ]


def path_of(name: str, folder: Path) -> Path:
    """A network's library; its header ``detector.h`` is beside it."""
    return folder / name.split(",")[0] / "detector.so"


def table(results: Sequence[Result]) -> str:
    """The results as Markdown."""
    names = list(results[0].ms)
    lines = [
        f"| network | AP at 0.5 | the library's | {''.join(f'{name}, ms | ' for name in names)}library, kB |",
        f"| --- | --- | --- | {'--- | ' * len(names)}--- |",
    ]
    for r in results:
        precision = f"{100 * r.in_pytorch:.1f} | {100 * r.in_library:.1f}"
        times = " | ".join(f"{r.ms[name]:.3f}" for name in names)
        lines.append(f"| {r.name} | {precision} | {times} | {r.nbytes / 1e3:.0f} |")
    return "\n".join(lines)


def draw(shown: Sequence[Scene], run: Detect, path: Path) -> None:
    """Scenes side by side, with the boxes that were found and their scores."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot
    from matplotlib.patches import Rectangle

    figure, axes = pyplot.subplots(1, len(shown), figsize=(3 * len(shown), 3), dpi=80, squeeze=False)
    for ax, scene in zip(axes[0], shown, strict=True):
        ax.imshow(scene.image.permute(1, 2, 0).numpy())
        ax.axis("off")
        for found in run(scene.image[None]):
            if found.score < 0.4:
                continue
            left, top, right, bottom = found.box
            ax.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor="white"))
            ax.text(left, top - 2, f"{CLASSES[found.label]} {found.score:.2f}", color="white", fontsize=7)
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description="Train, prune and compile a detector of coloured shapes.")
    parser.add_argument("--out", type=Path, default=Path("build/detector"), metavar="FOLDER")
    parser.add_argument("--epochs", type=int, default=20, help="of the dense training, and of the pruned (default: 20)")
    parser.add_argument("--scenes", type=int, default=2000, help="to train on (default: 2000)")
    parser.add_argument("--picture", action="store_true", help="draw the boxes that the last network finds")
    options = parser.parse_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    nets = trained(scenes(options.scenes, seed=0), epochs=options.epochs)
    unseen = scenes(200, seed=1)
    print(table(compared(nets, unseen, options.out)))
    unseen[0].image.numpy().tofile(options.out / "scene.f32")
    if options.picture:
        draw(unseen[:4], in_pytorch(list(nets.values())[-1]), options.out / "found.jpg")


if __name__ == "__main__":
    main()
