"""Trains a pruned ResNet or MobileNet on a folder of images, on one process or several.

    torchrun --nproc-per-node 8 -- examples/train_imagenet.py IMAGENET --net resnet50 --method subp --n 16 --epochs 90
    torchrun --nproc-per-node 8 -- examples/train_imagenet.py IMAGENET --method onebyn --weights dense.pt --lr 0.01

The folder has ``train/<class>/*`` and ``val/<class>/*``; Pillow reads the images (``pip install '.[prune]'``). The
methods ``onebyn`` and ``darb`` fine-tune the weights in ``--weights``; ``subp`` trains from scratch. ``--out`` gets a
checkpoint after every epoch, from which the same command resumes, and at the end the pruned weights, which
``sparsecc.compile`` takes as they are.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nets
import numpy as np
import torch
from PIL import Image
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from sparsecc import prune

MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}
Pruner = prune.Pruner | None


class Images(Dataset[tuple[Tensor, int]]):
    """Images of a folder with one folder a class: random crops and flips for training, else the middle."""

    def __init__(self, root: Path, *, size: int, training: bool) -> None:
        classes = sorted(path.name for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
        self.files = [
            (path, number)
            for number, name in enumerate(classes)
            for path in sorted((root / name).rglob("*"))
            if path.suffix.lower() in SUFFIXES
        ]
        self.classes, self.size, self.training = classes, size, training
        if not self.files:
            raise SystemExit(f"{root}: no images found, expected <class>/<image> with {', '.join(sorted(SUFFIXES))}")

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """One image (3, size, size), normalised, and the number of its class."""
        path, number = self.files[index]
        with Image.open(path) as file:
            image = file.convert("RGB")
        image = self._random(image) if self.training else self._middle(image)
        x = torch.from_numpy(np.array(image, np.float32) / 255)
        return ((x - MEAN) / STD).permute(2, 0, 1).contiguous(), number

    def _random(self, image: Image.Image) -> Image.Image:
        """A part of 8 to 100 % of the area, between 3:4 and 4:3, maybe mirrored."""
        area = image.width * image.height * float(torch.empty(()).uniform_(0.08, 1))
        aspect = float(torch.empty(()).uniform_(-0.288, 0.288).exp())
        width = min(image.width, max(1, round((area * aspect) ** 0.5)))
        height = min(image.height, max(1, round((area / aspect) ** 0.5)))
        left = int(torch.randint(image.width - width + 1, ()))
        top = int(torch.randint(image.height - height + 1, ()))
        part = image.resize((self.size, self.size), Image.Resampling.BILINEAR, (left, top, left + width, top + height))
        return part.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if torch.rand(()) < 0.5 else part

    def _middle(self, image: Image.Image) -> Image.Image:
        """The middle 7/8 of the shorter side."""
        side = min(image.width, image.height) * 7 / 8
        left, top = (image.width - side) / 2, (image.height - side) / 2
        return image.resize((self.size, self.size), Image.Resampling.BILINEAR, (left, top, left + side, top + side))


def make_pruner(o: argparse.Namespace) -> Pruner:
    """The pruner that was asked for."""
    made: dict[str, Callable[[], Pruner]] = {
        "dense": lambda: None,
        "onebyn": lambda: prune.OneByN(o.n, o.sparsity, rearrange=o.rearrange),
        # the paper's ramp: from a ninth of the epochs to two thirds
        "subp": lambda: prune.Subp(o.n, o.sparsity, decay_start=o.epochs // 9, decay_end=o.epochs * 2 // 3),
        "darb": lambda: prune.Darb(o.sparsity, unit="kernel"),
    }
    return made[o.method]()


def parameters(model: nn.Module) -> list[dict[str, Any]]:
    """Two groups: weight decay for weights, none for batch norm and biases."""
    weights = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() <= 1]
    return [{"params": weights}, {"params": others, "weight_decay": 0.0}]


def train_epoch(model: nn.Module, loader: DataLoader[Any], optimizer: torch.optim.Optimizer, o: Any) -> float:
    """One pass; the mean loss of this process."""
    model.train()
    total = torch.zeros((), device=o.device)
    for x, y in loader:
        with torch.autocast(o.device.type, torch.bfloat16, enabled=o.amp):
            loss = nn.functional.cross_entropy(model(x.to(o.device)), y.to(o.device), label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.detach()
    return float(total) / len(loader)


@torch.no_grad()
def evaluate(model: nn.Module, loader: DataLoader[Any], o: Any) -> float:
    """Share of right answers over all processes."""
    model.eval()
    counts = torch.zeros(2, device=o.device)
    for x, y in loader:
        right = (model(x.to(o.device)).argmax(1) == y.to(o.device)).sum()
        counts += torch.stack([right, torch.tensor(len(y), device=o.device)])
    distributed.all_reduce(counts)
    return float(counts[0] / counts[1])


def save(data: Any, path: Path) -> None:
    """Write a file that is either the old one or the whole new one."""
    torch.save(data, path.with_suffix(".tmp"))
    path.with_suffix(".tmp").replace(path)


def run(o: argparse.Namespace) -> None:
    """Train, from the last checkpoint if there is one, and write the pruned weights."""
    rank = distributed.get_rank()
    torch.manual_seed(o.seed)
    sets = [Images(o.folder / part, size=o.size, training=part == "train") for part in ("train", "val")]
    samplers = [DistributedSampler(s, shuffle=s.training) for s in sets]
    loaders = [
        DataLoader(s, o.batch, sampler=sampler, num_workers=o.workers)
        for s, sampler in zip(sets, samplers, strict=True)
    ]
    model = nets.NETS[o.net](classes=len(sets[0].classes)).to(o.device)
    if o.weights:
        model.load_state_dict(torch.load(o.weights, map_location=o.device))
    optimizer = torch.optim.SGD(parameters(model), lr=o.lr, momentum=0.9, weight_decay=1e-4, nesterov=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, o.epochs)
    pruner = make_pruner(o)
    if pruner is not None:
        pruner.apply(model, optimizer=optimizer)
    parts: dict[str, Any] = {"model": model, "optimizer": optimizer, "schedule": schedule}
    parts |= {"pruner": pruner} if pruner is not None else {}
    checkpoint, first = o.out / "checkpoint.pt", 0
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location="cpu")
        first = state.pop("epoch") + 1
        for name, part in parts.items():
            part.load_state_dict(state[name])
    wrapped = DistributedDataParallel(model, device_ids=[o.device] if o.device.type == "cuda" else None)
    for epoch in range(first, o.epochs):
        samplers[0].set_epoch(epoch)
        if pruner is not None:
            pruner.step(epoch)
        loss = train_epoch(wrapped, loaders[0], optimizer, o)
        schedule.step()
        right = evaluate(model, loaders[1], o)
        if rank == 0:
            print(f"epoch {epoch}: loss {loss:.3f}, {right:.2%} right", flush=True)
            save({name: part.state_dict() for name, part in parts.items()} | {"epoch": epoch}, checkpoint)
    if pruner is not None:
        pruner.finalize()
    if rank == 0:
        print(prune.report(model))
        save(model.state_dict(), o.out / "pruned.pt")


def main() -> None:
    """Read the command line, meet the other processes, train."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="folder with train/ and val/")
    parser.add_argument("--net", default="resnet50", choices=sorted(nets.NETS), metavar="NET")
    parser.add_argument("--method", default="subp", choices=["dense", "onebyn", "subp", "darb"])
    parser.add_argument("--n", type=int, default=16, help="output channels of a block")
    parser.add_argument("--sparsity", type=float, default=0.5, help="share to prune")
    parser.add_argument("--rearrange", default="cluster", choices=["none", "sort", "cluster"], help="for onebyn")
    parser.add_argument("--weights", type=Path, help="trained weights to start from")
    parser.add_argument("--epochs", type=int, default=90)
    parser.add_argument("--batch", type=int, default=64, help="images of a step and process")
    parser.add_argument("--lr", type=float, default=0.1, help="for all processes together")
    parser.add_argument("--size", type=int, default=224, help="pixels of the image's side")
    parser.add_argument("--workers", type=int, default=4, help="processes that read images, for each process")
    parser.add_argument("--amp", action="store_true", help="compute in bfloat16 where that is safe")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("build/out/imagenet"), help="folder for checkpoints")
    o = parser.parse_args()
    o.rearrange = False if o.rearrange == "none" else o.rearrange
    cuda = torch.cuda.is_available()
    o.device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(o.device)
    for name, value in {"MASTER_ADDR": "localhost", "MASTER_PORT": "29511", "RANK": "0", "WORLD_SIZE": "1"}.items():
        os.environ.setdefault(name, value)  # without torchrun: one process
    distributed.init_process_group("nccl" if cuda else "gloo")
    o.out.mkdir(parents=True, exist_ok=True)
    run(o)
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
