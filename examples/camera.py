"""From camera frames to labels: bytes with channels last go in as they are, a label and a score come out.

    python examples/camera.py out/camera.so          compile; then label a few frames that are made up
    python examples/camera.py out/camera.so VIDEO    label raw RGB frames of a file; - reads standard input

Scale and mean are part of the network, so nobody can forget them, and no pass over the frame is needed before the call.
``examples/c/camera.c`` does the same in C.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import sparsecc

SIZE = 64
CLASSES = ["dark", "red", "green", "blue", "bright"]
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Camera(nn.Module):
    """A classifier of float images as one of frames, ``(n, 3, h, w)`` uint8."""

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier = classifier
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1))

    def forward(self, frames: Tensor) -> dict[str, Tensor]:
        """Label and score of each frame."""
        scores = self.classifier((frames.float() / 255 - self.mean) / self.std).softmax(1)
        return {"label": scores.argmax(1), "score": scores.amax(1)}


def classifier() -> nn.Module:
    """Put your own trained network here."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, len(CLASSES)),
    ).eval()  # fmt: skip


def compiled() -> sparsecc.Compiled:
    """The network as a library that takes ``(1, SIZE, SIZE, 3)``; examples have the model's own order."""
    frame = torch.randint(0, 256, (1, 3, SIZE, SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    return sparsecc.compile(
        Camera(classifier()).eval(), example_inputs=(frame,), layout="nhwc", name="camera", meta={"classes": CLASSES}
    )


def frames(source: str | None) -> Iterator[np.ndarray[Any, Any]]:
    """Frames of a file, or some that are made up."""
    if source is None:
        random = np.random.default_rng(0)
        yield from (random.integers(0, 256, (1, SIZE, SIZE, 3), np.uint8) for _ in range(3))
        return
    with sys.stdin.buffer if source == "-" else Path(source).open("rb") as file:
        while len(data := file.read(SIZE * SIZE * 3)) == SIZE * SIZE * 3:
            yield np.frombuffer(data, np.uint8).reshape(1, SIZE, SIZE, 3)


def main(library: str, source: str | None = None) -> None:
    """Compile unless that is done, and label frames."""
    path = Path(library)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        compiled().save(path)
    net = sparsecc.load(path)
    for i, frame in enumerate(frames(source)):
        found = net(frame)
        label, score = int(found["label"][0]), float(found["score"][0])
        print(f"frame {i}: {label} {net.meta['classes'][label]} {score:.4f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
