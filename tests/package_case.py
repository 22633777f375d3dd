"""What becomes of a network of a package: pruned, compiled, and held against PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from helpers import leaves, random_inputs
from nets.patterns import calibrate_batchnorm, expand_mask, mask_1xn
from package_nets import NETS
from torch import Tensor, nn

import sparsecc
from sparsecc.errors import NotSupportedError
from sparsecc.importer import import_model

#: packages whose networks are tried; their versions are those of the table
PACKAGES = ("timm", "torchvision", "segmentation-models-pytorch")
BLOCK_N, SPARSITY, TOLERANCE = 16, 0.75, 1e-4
#: of random numbers, for batch norms' statistics
_IMAGES = 14
Layer = nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear

#: what is known of a network in the table: counts and the difference, or why it is refused
Outcome = dict[str, Any]


def versions() -> dict[str, str]:
    """Of the packages."""
    return {name: version(name).partition("+")[0] for name in PACKAGES}


@torch.no_grad()
def made(name: str) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """A network with random weights, 1x16 pruned, in every second one with rearranged rows, and its inputs."""
    torch.manual_seed(0)
    net = NETS[name]
    model, inputs = net.make().eval(), random_inputs(*net.shapes)
    _enliven(model)
    _prune(model, rearrange=list(NETS).index(name) % 2 == 1)
    if (
        len(inputs) == 1
    ):  # of fewer images batch norms would divide by next to nothing, where one is left with 2x2 pixels
        more = torch.randn(_IMAGES, *inputs[0].shape[1:], generator=torch.Generator().manual_seed(2))
        calibrate_batchnorm(model, torch.cat([inputs[0], inputs[0].flip(1), more]))
    return model, inputs


def _enliven(model: nn.Module) -> None:
    """Other numbers in the place of those that are all the same: 0, 1 or 1e-6 would hide what is wrong."""
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        if parameter.numel() > 1 and bool((parameter == parameter.flatten()[0]).all()):
            noise = torch.rand(parameter.shape, generator=generator)
            parameter.copy_(0.2 * noise - 0.1 if float(parameter.flatten()[0]) == 0 else 0.5 + noise)


def _prune(model: nn.Module, *, rearrange: bool) -> None:
    """Convolutions and linear layers of 32 channels and more, but those without blocks to spare."""
    for layer in model.modules():
        if not isinstance(layer, Layer) or isinstance(layer, nn.modules.conv._ConvTransposeNd):
            continue
        groups = getattr(layer, "groups", 1)
        if layer.weight.shape[0] // groups < 2 * BLOCK_N or layer.weight.shape[1] < 4:
            continue
        mask = mask_1xn(layer.weight, BLOCK_N, SPARSITY, groups=groups, rearrange=rearrange)
        layer.weight.mul_(expand_mask(mask, layer.weight))


def imported(name: str) -> Outcome:
    """Only import a network.

    Raises
    ------
    SparseccError
        Whatever but a refusal.
    """
    model, inputs = made(name)
    facts: Outcome = {"inputs": [list(x.shape) for x in inputs]}
    try:
        import_model(model, inputs)
    except NotSupportedError as error:
        return {**facts, "refused": str(error)}
    return facts


@torch.no_grad()
def outcome(name: str) -> Outcome:
    """Compile a network, and hold what its library computes against PyTorch.

    Some networks of random weights amplify what float32 rounds until PyTorch's own results are wrong in the fourth
    digit. Their libraries may be twice as far from float64 as PyTorch is, without Winograd's algorithm: it rounds more.

    Raises
    ------
    SparseccError
        Whatever but a refusal.
    AssertionError
        Results differ by more than the tolerance, relative to the largest output, and not for that reason.
    """
    model, inputs = made(name)
    facts: Outcome = {"inputs": [list(x.shape) for x in inputs]}
    expected = [result.numpy() for result in leaves(model(*inputs))]
    try:
        library = sparsecc.compile(model, example_inputs=inputs, threads=1, verify=False)
        difference = _difference(_results(library, inputs), expected)
        if difference > TOLERANCE:
            library = sparsecc.compile(model, example_inputs=inputs, threads=1, verify=False, winograd=False)
            difference = _difference(_results(library, inputs), expected)
    except NotSupportedError as error:
        return {**facts, "refused": str(error)}
    if difference > TOLERANCE:
        exact = [result.numpy() for result in leaves(model.double()(*(x.double() for x in inputs)))]
        ours, own = _difference(_results(library, inputs), exact), _difference(expected, exact)
        assert ours <= 2 * own, f"{name}: {ours:.1e} of the largest output, PyTorch {own:.1e}"
        facts["own"] = f"{own:.0e}"
    layers = library.report.plan.layers
    return {
        **facts,
        "layers": len(layers),
        "sparse": sum(layer.kept is not None for layer in layers),
        "calls": len(library.report.steps),
        "difference": f"{difference:.0e}",
    }


def _results(library: sparsecc.Compiled, inputs: Sequence[Tensor]) -> list[Any]:
    return leaves(library(*(x.numpy() for x in inputs)))


def _difference(found: Sequence[Any], expected: Sequence[Any]) -> float:
    """The largest of all results, each relative to its largest element."""
    assert len(found) == len(expected)
    worst = 0.0
    for y, want in zip(found, expected, strict=True):
        assert y.shape == want.shape
        assert np.isfinite(want).all()
        worst = max(worst, float(np.abs(y - want).max() / np.abs(want).max()))
    return worst
