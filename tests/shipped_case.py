"""What compilations of the benchmark's networks ask the shipped records for."""

from __future__ import annotations

from collections.abc import Iterable

import nets
import torch
from torch import nn

from sparsecc.importer import import_model
from sparsecc.ir.graph import View
from sparsecc.ir.layer_key import LayerKey
from sparsecc.lower.choice import Choice, Choose, Chosen
from sparsecc.lower.table import lower
from sparsecc.options import Options
from sparsecc.pipeline import analyse, rewrite
from sparsecc.target import Target
from sparsecc.target.records.lookup import Records

#: networks that the shipped records were measured for, and patterns: N (0 for dense) and share of pruned blocks
NETWORKS = ("mobilenet_v1", "mobilenet_v2", "resnet18", "resnet50")
PATTERNS = ((0, 0.0), (4, 0.75), (16, 0.75))
_SIZE = 224


def pruned(name: str, n: int, sparsity: float) -> nn.Module:
    """As the benchmark prunes: convolutions only, the same seeds; values of batch norms don't matter here."""
    model = nets.build(name)
    if n:
        convs = [layer for layer in nets.patterns.prunable_layers(model) if _is_conv(model.get_submodule(layer))]
        nets.impose_1xn(model, n, sparsity, include=convs, seed=0)
    return model.eval()


def asked(model: nn.Module, target: Target, records: Records, *, winograd: bool) -> dict[LayerKey, Choice]:
    """Every choice of a compilation with these records, on one thread."""
    found: dict[LayerKey, Choice] = {}
    imported = import_model(model, (torch.zeros(1, 3, _SIZE, _SIZE),))

    def decided(choice: Choice) -> Chosen:
        found[choice.key] = choice
        return records.choose(choice, threads=1)

    plan = analyse(imported, target, Options(winograd=winograd), choose=decided)
    made = rewrite(imported, plan, target, decided)
    plans = {layer.key: layer for layer in made.plan.layers}
    for node in made.placed.nodes:
        if not isinstance(node.operator, View):
            try:
                lower(node, made.placed, made.module, plans, target, _noting(found))
            except _AskedError:
                continue
    return found


def all_asked(target: Target, records: Records, cells: Iterable[tuple[str, int, float]]) -> dict[LayerKey, Choice]:
    """Choices of several networks, each compiled with Winograd's algorithm and without."""
    found: dict[LayerKey, Choice] = {}
    for name, n, sparsity in cells:
        model = pruned(name, n, sparsity)
        for winograd in (True, False) if name.startswith("resnet") else (True,):  # the others have no layer for it
            found |= asked(model, target, records, winograd=winograd)
    return found


class _AskedError(Exception):
    """Nothing is scheduled: only the question was wanted."""


def _noting(found: dict[LayerKey, Choice]) -> Choose:
    def choose(choice: Choice) -> Chosen:
        found[choice.key] = choice
        raise _AskedError

    return choose


def _is_conv(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d)
