"""Generated images: discs, squares and triangles of any colour on a noisy ground, with their boxes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

CLASSES = ("disc", "square", "triangle")
SIZE = 128
#: half of a shape's width, in pixels
_LEAST, _MOST = 8, 24
_MOST_SHAPES = 4
_TRIES = 20


@dataclass(frozen=True)
class Scene:
    """An image and what is in it.

    Attributes
    ----------
    image : Tensor
        float32 (3, 128, 128), 0 to 1.
    boxes : Tensor
        float32 (count, 4): left, top, right, bottom in pixels.
    labels : Tensor
        int64 (count,): indices into ``CLASSES``.
    """

    image: Tensor
    boxes: Tensor
    labels: Tensor


def scenes(count: int, *, seed: int) -> list[Scene]:
    """Scenes of one to four shapes that hardly overlap; equal seeds give equal scenes."""
    generator = torch.Generator().manual_seed(seed)
    return [_scene(generator) for _ in range(count)]


def _scene(generator: torch.Generator) -> Scene:
    ground = torch.rand(3, 1, 1, generator=generator)
    image = ground + 0.15 * torch.randn(3, SIZE, SIZE, generator=generator)
    boxes: list[Tensor] = []
    labels: list[int] = []
    for _ in range(int(torch.randint(1, _MOST_SHAPES + 1, (1,), generator=generator))):
        place = _free_place(boxes, generator)
        if place is None:
            break
        label = int(torch.randint(len(CLASSES), (1,), generator=generator))
        colour = torch.rand(3, 1, 1, generator=generator)
        colour = torch.where((colour - ground).abs().amax() < 0.3, 1 - ground.round(), colour)
        image = torch.where(_mask(label, *place), colour, image)
        x, y, half = place
        boxes.append(torch.tensor([x - half, y - half, x + half, y + half], dtype=torch.float32))
        labels.append(label)
    return Scene(image.clamp(0, 1), torch.stack(boxes), torch.tensor(labels))


def _free_place(boxes: list[Tensor], generator: torch.Generator) -> tuple[int, int, int] | None:
    """Centre and half width of a new shape that keeps clear of the others; None where there is no room left."""
    for _ in range(_TRIES):
        half = int(torch.randint(_LEAST, _MOST + 1, (1,), generator=generator))
        x, y = (int(torch.randint(half, SIZE - half + 1, (1,), generator=generator)) for _ in range(2))
        if all(x + half < b[0] or x - half > b[2] or y + half < b[1] or y - half > b[3] for b in boxes):
            return x, y, half
    return None


def _mask(label: int, x: int, y: int, half: int) -> Tensor:
    """Pixels of a shape, bool (128, 128)."""
    rows, columns = torch.meshgrid(torch.arange(SIZE) + 0.5 - y, torch.arange(SIZE) + 0.5 - x, indexing="ij")
    if CLASSES[label] == "disc":
        return rows.square() + columns.square() <= half * half
    square = (rows.abs() <= half) & (columns.abs() <= half)
    return square if CLASSES[label] == "square" else square & (columns.abs() * 2 <= rows + half)
