"""Values that a reduction is made of and the result needs again: computed once, and kept in the result's place.

Before, where both would compute the exponential for themselves::

    for i, k: power[i, k] = exp(x[i, k] - top[i])
    for i, k: total[i] += power[i, k]
    for i, k: result[i, k] = power[i, k] / total[i]

After::

    for i, k:
        result[i, k] = exp(x[i, k] - top[i])
        total[i] += result[i, k]
    for i, k: result[i, k] = result[i, k] / total[i]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sparsecc._tvm import s_tir, structural_equal, structural_map, structural_walk, tirx, tvm
from sparsecc.kernels.generic.loops import loads
from sparsecc.kernels.generic.reduction import Reduction, read_reduction

Expr = Any


@dataclass(frozen=True)
class Kept:
    """Values that are kept.

    Attributes
    ----------
    maker : str
        Name of the block that computed them alone.
    reduction : Reduction
        Computes them now, and stores them on its way.
    values, result : Var
        The buffer that is needed no more, and the one that has them in its place.
    """

    maker: str
    reduction: Reduction
    values: Any
    result: Any

    def is_maker(self, nest: Any) -> bool:
        """Whether a loop nest is the block's that is needed no more."""
        found = _only_block(nest)
        return found is not None and found.name_hint == self.maker

    def in_result(self, nest: Any) -> Any:
        """A loop nest that takes the values from where they are kept."""
        return structural_map(nest, (tirx.Var, lambda var: self.result if var.same_as(self.values) else var))


def is_worth_keeping(block: Any) -> bool:
    """Whether a block's value takes longer to compute than to load: it names values of its own, as exponentials do."""
    found: list[Any] = []
    structural_walk(block.body, (tirx.Let, found.append))
    return bool(found)


def find_kept(nests: Sequence[Any], maker: Any) -> Kept | None:
    """How the values of a block could be kept; None where they must not be.

    One reduction takes each of them once, the last nest takes each where it puts its own result of the same shape, and
    nobody else takes any.
    """
    store, last = maker.body, _only_block(nests[-1])
    takers = [nest for nest in nests if _loads_of(nest, store.buffer)]
    if len(takers) != 2 or not takers[1].same_as(nests[-1]) or last is None or last.init is not None:
        return None
    result = last.body
    if not isinstance(result, tirx.BufferStore):
        return None
    if result.buffer.ty.dtype.dtype != store.buffer.ty.dtype.dtype or _shape(result.buffer) != _shape(store.buffer):
        return None
    if not all(_are_equal(indices, result.indices) for _, indices in _loads_of(result.value, store.buffer)):
        return None
    reduction = read_reduction(takers[0])
    if reduction is None or not _takes_each_once(reduction):
        return None
    indices = tuple(reduction.value.indices)
    counters = dict(zip((var.var for var in maker.iter_vars), indices, strict=True))
    value = structural_map(store.value, (tirx.Var, lambda var: counters.get(var, var)))
    made = replace(reduction, value=value, kept=(result.buffer, indices))
    return Kept(maker.name_hint, made, store.buffer, result.buffer)


def _only_block(nest: Any) -> Any | None:
    """The block in loops that have nothing else."""
    while isinstance(nest, tirx.For):
        nest = nest.body
    return nest.block if isinstance(nest, s_tir.SBlockRealize) else None


def _takes_each_once(reduction: Reduction) -> bool:
    """Whether it reduces the elements of a tensor alone, and a loop, each another one, walks along every axis."""
    if not isinstance(reduction.value, tvm.ir.TensorLoad) or not reduction.has_fixed_extents:
        return False
    walked = [index for index in reduction.value.indices if not isinstance(index, tirx.IntImm)]
    loops = [loop.var for loop in (*reduction.spatial, *reduction.reduced)]
    return len(walked) == len(loops) and all(any(var.same_as(index) for index in walked) for var in loops)


def _loads_of(node: Any, buffer: Any) -> list[tuple[Any, tuple[Expr, ...]]]:
    return [(source, indices) for source, indices in loads(node) if source.same_as(buffer)]


def _shape(buffer: Any) -> list[int]:
    return [int(extent) for extent in buffer.ty.shape]


def _are_equal(left: Sequence[Expr], right: Sequence[Expr]) -> bool:
    return len(left) == len(right) and all(structural_equal(a, b) for a, b in zip(left, right, strict=True))
