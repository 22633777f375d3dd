"""Random small networks, compiled and compared with PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree

import sparsecc
from fuzz import elementwise, layers, shapes
from fuzz.isolated import judged
from fuzz.network import Maker, RandomNetwork
from fuzz.outcome import Outcome

#: largest difference that passes, relative to the largest value of an output
_TOLERANCE = 1e-4
_POT: list[Maker] = [
    maker for makers in (layers.MAKERS, elementwise.MAKERS, shapes.MAKERS) for maker, times in makers
    for _ in range(times)
]  # fmt: skip


def random_network(random: Random) -> RandomNetwork:
    """A network in evaluation mode; its weights are as random as its steps."""
    torch.manual_seed(random.randrange(1 << 30))
    with torch.no_grad():
        return RandomNetwork(random, _POT, steps=random.choice([1, 2, 3, 4, 6, 8, 12])).eval()


def network_cases(samples: Path, folder: Path) -> Callable[[Random], Outcome]:
    """Compile without verification, run, compare."""
    torch.set_num_threads(1)
    for seed in range(3):  # processes that are forked from now on have the compiler loaded and warm
        judged(partial(_case, Random(seed)))
    return _case


def _case(random: Random) -> Outcome:
    net = random_network(random)
    example = tuple(x.clone() for x in net.inputs)
    with torch.no_grad():
        expected = net(*(x.clone() for x in net.inputs))
    lib = sparsecc.compile(net, example_inputs=example, verify=False, cc="cc", threads=random.choice([1, 2]))
    return _compared(net, lib(*(x.numpy() for x in net.inputs)), expected)


def _compared(net: RandomNetwork, found: Any, expected: Any) -> Outcome:
    pairs = list(zip(_leaves(found), _leaves(expected), strict=False))
    if len(_leaves(found)) != len(_leaves(expected)) or type(found) is not type(_as_arrays(expected)):
        return Outcome("wrong", f"another structure: {net}")
    for i, (a, b) in enumerate(pairs):
        if tuple(a.shape) != tuple(b.shape):
            return Outcome("wrong", f"result {i} has shape {tuple(a.shape)}, expected {tuple(b.shape)}: {net}")
        error = _error(torch.from_numpy(a), b)
        if not error <= _TOLERANCE and not error <= 2 * _own_error(net, i):
            return Outcome("wrong", f"result {i} differs by {error:.1e}: {net}")
    return Outcome("right")


def _leaves(tree: Any) -> list[Any]:
    return [leaf for leaf in _pytree.tree_leaves(tree) if leaf is not None]


def _as_arrays(tree: Any) -> Any:
    return _pytree.tree_map(lambda leaf: leaf.numpy() if isinstance(leaf, Tensor) else leaf, tree)


def _error(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max().clamp_min(1e-6))


def _own_error(net: RandomNetwork, index: int) -> float:
    """How far PyTorch's float32 result is from its float64 one."""
    with torch.no_grad():
        single = _leaves(net(*(x.clone() for x in net.inputs)))[index]
        try:
            double = _leaves(net.double()(*(x.double() for x in net.inputs)))[index]
        except RuntimeError:  # a step mixes in float32 constants
            return 0.0
        net.float()
    return float((single - double).abs().max() / double.abs().max().clamp_min(1e-6))
