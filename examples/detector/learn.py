"""Training: which cell answers for which shape, the loss, the loop; and average precision on scenes not seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, smooth_l1_loss

from detector.boxes import Found, detect, overlap
from detector.net import STRIDES
from detector.scenes import CLASSES, SIZE, Scene
from sparsecc import prune

#: half widths below it are the fine output's
_FINE = 14
#: an object's cell weighs as much as this many empty ones
_PRESENT = 5.0
Detect = Callable[[Tensor], list[Found]]


@dataclass(frozen=True)
class Wanted:
    """What an output should say, for a batch: float32 (n, rows, columns), (n, 4, rows, columns), int64 as the first."""

    present: Tensor
    distances: Tensor
    labels: Tensor


def wanted(scenes: Sequence[Scene], stride: int) -> Wanted:
    """The cell that holds a shape's centre answers for it, in the output that fits its size."""
    cells = SIZE // stride
    present, labels = torch.zeros(len(scenes), cells, cells), torch.zeros(len(scenes), cells, cells, dtype=torch.int64)
    distances = torch.zeros(len(scenes), 4, cells, cells)
    for i, scene in enumerate(scenes):
        for box, label in zip(scene.boxes, scene.labels, strict=True):
            if (box[2] - box[0] < 2 * _FINE) != (stride == STRIDES[0]):
                continue
            middle = (box[:2] + box[2:]) / 2
            column, row = (middle / stride).long().clamp(max=cells - 1).tolist()
            centre = torch.tensor([column + 0.5, row + 0.5]) * stride
            present[i, row, column], labels[i, row, column] = 1, label
            distances[i, :, row, column] = (torch.cat([centre - box[:2], box[2:] - centre]) / stride).log()
    return Wanted(present, distances, labels)


def loss_of(cells: Tensor, want: Wanted) -> Tensor:
    """Of one output, (n, 8, rows, columns)."""
    weights = 1 + (_PRESENT - 1) * want.present
    presence = binary_cross_entropy_with_logits(cells[:, 0], want.present, weights, reduction="sum")
    here = want.present > 0
    sides = smooth_l1_loss(cells[:, 1:5].permute(0, 2, 3, 1)[here], want.distances.permute(0, 2, 3, 1)[here],
                           reduction="sum", beta=0.1)  # fmt: skip
    classes = cross_entropy(cells[:, 5:].permute(0, 2, 3, 1)[here], want.labels[here], reduction="sum")
    return (presence + 2 * sides + classes) / len(cells)


def train(
    model: nn.Module, scenes: Sequence[Scene], *, epochs: int, lr: float, pruner: prune.OneByN | None = None
) -> None:
    """Adam, one cosine; with a pruner the masks are there from the first step on, and final at the end."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=1e-3)
    if pruner is not None:
        pruner.apply(model, optimizer=optimizer)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    images = torch.stack([scene.image for scene in scenes])
    model.train()
    for epoch in range(epochs):
        if pruner is not None:
            pruner.step(epoch)
        for part in torch.randperm(len(scenes)).split(32):
            outputs, chosen = model(images[part]), [scenes[i] for i in part]
            losses = [
                loss_of(cells, wanted(chosen, stride)) for cells, stride in zip(outputs.values(), STRIDES, strict=True)
            ]
            optimizer.zero_grad()
            torch.stack(losses).sum().backward()
            optimizer.step()
        schedule.step()
    if pruner is not None:
        pruner.finalize()
    model.eval()


def in_pytorch(model: nn.Module) -> Detect:
    """Detect with the model itself."""

    @torch.no_grad()
    def run(image: Tensor) -> list[Found]:
        outputs = model(image)
        return detect(outputs["fine"][0].numpy(), outputs["coarse"][0].numpy(), least=0.05)

    return run


def average_precision(run: Detect, scenes: Sequence[Scene], *, least_overlap: float = 0.5) -> float:
    """Mean over the classes of the area below precision over recall; a box is right from ``least_overlap`` on."""
    found = [run(scene.image[None]) for scene in scenes]
    return sum(_precision(found, scenes, label, least_overlap) for label in range(len(CLASSES))) / len(CLASSES)


def _precision(found: Sequence[list[Found]], scenes: Sequence[Scene], label: int, least_overlap: float) -> float:
    left = [[b.tolist() for b, c in zip(s.boxes, s.labels, strict=True) if int(c) == label] for s in scenes]
    total = sum(map(len, left))
    claims = sorted(
        ((f, i) for i, shapes in enumerate(found) for f in shapes if f.label == label), key=lambda p: -p[0].score
    )
    right, points = 0, []
    for count, (claim, i) in enumerate(claims, 1):
        best = max(left[i], key=lambda box: overlap(box, claim.box), default=None)
        if best is not None and overlap(best, claim.box) >= least_overlap:
            left[i].remove(best)
            right += 1
            points.append(right / count)
    # precision at a recall is the best one at this recall or beyond
    return sum(max(points[k:]) for k in range(len(points))) / total if total else 0.0
