"""What grouping channels gains: the norm that 1xN pruning keeps, in the order of channels, sorted, and clustered."""

from __future__ import annotations

import argparse

import nets
import torch
from nets.patterns import prunable_layers

from sparsecc.prune import group_channels

METHODS = ("none", "sort", "cluster")


def norms_of(name: str, *, trained: bool) -> list[torch.Tensor]:
    """L1 norms (oc, ic) of the kernels of every layer that is pruned, with initial or with uneven weights."""
    torch.manual_seed(0)
    model = nets.NETS[name]()
    if trained:
        nets.randomise(model)
    weights = [model.get_submodule(layer).weight.detach() for layer in prunable_layers(model)]
    return [weight.abs().sum((2, 3)) for weight in weights]


def row(norms: list[torch.Tensor], n: int, sparsity: float) -> str:
    """Kept shares over all layers, by method, and the gains of clusters over sorting: least, mean, most."""
    kept = {m: [group_channels(x, n, sparsity, method=m).kept for x in norms] for m in METHODS}
    total = sum(float(x.sum()) for x in norms)
    shares = [sum(k * float(x.sum()) for k, x in zip(kept[m], norms, strict=True)) / total for m in METHODS]
    gains = [100 * (c / s - 1) for c, s in zip(kept["cluster"], kept["sort"], strict=True)]
    spread = f"{min(gains):.1f} / {sum(gains) / len(gains):.1f} / {max(gains):.1f}"
    return " | ".join([*(f"{share:.1%}" for share in shares), spread])


def main() -> None:
    """Print the table in docs/pruning.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--nets", nargs="+", default=["resnet50", "mobilenet_v2"], choices=sorted(nets.NETS))
    parser.add_argument("--n", nargs="+", type=int, default=[4, 16])
    parser.add_argument("--sparsity", nargs="+", type=float, default=[0.5, 0.75, 0.9])
    options = parser.parse_args()
    print("| net | weights | N | pruned | as it is | sorted | clustered | gain over sorted, %: least / mean / most |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name in options.nets:
        for trained in (False, True):
            norms = norms_of(name, trained=trained)
            for n in options.n:
                for sparsity in options.sparsity:
                    start = f"{name} | {'uneven' if trained else 'initial'} | {n} | {sparsity:.0%}"
                    print(f"| {start} | {row(norms, n, sparsity)} |", flush=True)


if __name__ == "__main__":
    main()
