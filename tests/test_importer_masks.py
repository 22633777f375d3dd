"""Masks of every form, shared modules and tied weights: what the importer makes of weights."""

from __future__ import annotations

from typing import Any

import nets
import pytest
import torch
from helpers import agree, random_inputs
from nets import mask_forms
from small_nets import PRUNED, SMALL, prunable
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import sparsecc

# --- masks ---------------------------------------------------------------------------------------------------------


def structures(model: nn.Module) -> dict[str, Any]:
    plan = sparsecc.inspect(model, example_inputs=random_inputs(SMALL))
    found = {layer.name: layer.structure for layer in plan.layers}
    return {name: s and (s.block_n, s.aligned, s.uniform, s.density, s.nnzb) for name, s in found.items()}


@pytest.mark.parametrize("options", [{}, {"rearrange": True}, {"uniform": True}], ids=["1xn", "rearranged", "subp"])
@pytest.mark.parametrize("form", mask_forms.FORMS)
def test_mask_forms_give_the_structure_of_plain_zeros(form: str, options: dict[str, bool]) -> None:
    model = prunable()
    masks = nets.impose_1xn(model, 8, 0.5, include=PRUNED, **options)
    plain = structures(model)
    assert {name: found[0] for name, found in plain.items()} == dict.fromkeys(PRUNED, 8)
    assert structures(mask_forms.FORMS[form](model, masks)) == plain


@pytest.mark.parametrize("form", mask_forms.FORMS)
def test_mask_forms_compute_what_pytorch_does(form: str) -> None:
    model = prunable()
    masks = nets.impose_1xn(model, 8, 0.5, include=PRUNED)
    agree(mask_forms.FORMS[form](model, masks), SMALL)


class FunctionalMask(nn.Module):
    """Masks that are plain attributes, applied in forward in two steps."""

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(16, 16, 1, 1))
        keep = torch.arange(16) % 2 == 0
        self.mask = keep.float().reshape(1, 16, 1, 1)
        self.threshold = threshold

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, 16, h, w) to (n, 16, h, w)."""
        weight = self.weight * self.mask
        weight = torch.where(weight.abs() > self.threshold, weight, torch.zeros_like(weight))
        return F.conv2d(x, weight / weight.norm())


def test_functional_masks_are_found() -> None:
    model = FunctionalMask(0.0)
    found = next(iter(structures(model).values()))
    assert found[3] == 0.5
    agree(model, SMALL)


# --- shared weights ------------------------------------------------------------------------------------------------


class Twice(nn.Module):
    """Modules called more than once."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, 16, h, w) to (n, 16, h / 2, w / 2)."""
        x = self.act(self.norm(self.conv(x)))
        x = F.max_pool2d(self.act(self.norm(self.conv(x))), 2)
        return self.norm(x) + self.conv(x)


def test_shared_modules() -> None:
    artefact = agree(Twice(), SMALL)
    assert [layer.name for layer in artefact.report.plan.layers] == ["conv"] * 3
    assert len({layer.key for layer in artefact.report.plan.layers}) == 3


def test_tied_weights() -> None:
    model = nn.Sequential(nn.Conv2d(16, 16, 1), nn.Conv2d(16, 16, 1))
    model[1].weight = model[0].weight
    agree(model, SMALL)
