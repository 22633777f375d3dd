"""Choose the order in which every class of channels is stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sparsecc.analyse.layers import LayerPlan
from sparsecc.analyse.plan import Plan
from sparsecc.analyse.reorder import is_aligned, kept_rows, numbers, renumbered
from sparsecc.analyse.structure import Structure
from sparsecc.ir.conv import ConvSpec
from sparsecc.ir.graph import FusedConv, Graph
from sparsecc.lower.balance import balanced_order
from sparsecc.rewrite.channel_graph import Channels
from sparsecc.rewrite.channels import Orders

Order = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Producer:
    """A sparse layer that writes channels of a class.

    Attributes
    ----------
    spec : ConvSpec
    structure : Structure
    weight : numpy.ndarray
        float32 ``(oc, ic, kh, kw)``.
    """

    spec: ConvSpec
    structure: Structure
    weight: NDArray[np.float32] = field(repr=False)

    @cached_property
    def counts(self) -> NDArray[np.int32]:
        """Kept blocks of every row, int32 ``(rows,)``."""
        counts: NDArray[np.int32] = kept_rows(self.structure, self.weight).kept.sum(axis=1, dtype=np.int32)
        return counts

    @property
    def fills_rows(self) -> bool:
        """False when the last row repeats a channel: then its kernel looks up channels in any order."""
        return self.spec.oc % self.structure.block_n == 0

    def own_order(self) -> Order:
        """Channels by rows, a row that repeats its last channel last; threads get equal shares of work."""
        rows, counts = self.structure.grouping, self.counts
        if self.fills_rows:
            balanced = balanced_order(counts)
            return (rows if balanced is None else rows[balanced]).reshape(-1).astype(np.int64)
        is_short = (rows[:, 1:] == rows[:, :-1]).any(axis=1)
        ordered = np.concatenate([rows[~is_short], rows[is_short]]).reshape(-1)
        return ordered[np.sort(np.unique(ordered, return_index=True)[1])].astype(np.int64)

    def gain(self, order: Order) -> tuple[int, int]:
        """Results that an order lets the kernel store without looking up channels; that it writes to neighbours."""
        rows = renumbered(self.structure.grouping, order)
        if not is_aligned(rows, oc=self.spec.oc):
            return 0, 0
        results = self.spec.n * self.spec.oc * self.spec.oh * self.spec.ow
        return (results if self.fills_rows and self._is_balanced(order) else 0), results

    def _is_balanced(self, order: Order) -> bool:
        """Whether threads get equal shares of work; linear layers take rows in any order."""
        rows = np.argsort(numbers(order)[self.structure.grouping].min(axis=1))
        return self.spec.is_linear or balanced_order(self.counts[rows]) is None


def choose_orders(graph: Graph, channels: Channels, plan: Plan) -> Orders:
    """Class -> the order of its channels that gains most; classes that gain nothing keep theirs.

    An order is that of a sparse layer's rows of blocks, one after another. Where several layers write one class, all
    their orders are weighed against what each of them gains or loses by them.
    """
    plans = {layer.key: layer for layer in plan.layers}
    found = {group: _best_order(producers) for group, producers in _producers(graph, channels, plans).items()}
    return {group: order for group, order in found.items() if order is not None}


def _producers(graph: Graph, channels: Channels, plans: Mapping[str, LayerPlan]) -> dict[int, list[Producer]]:
    """Sparse layers by the class that they write, where that is free."""
    fixed = channels.classes.fixed()
    found: dict[int, list[Producer]] = {}
    for node in graph.nodes:
        axis, plan = channels.axes[node.output], plans.get(node.key)
        if not isinstance(node.operator, FusedConv) or plan is None or plan.kept is None or axis is None:
            continue
        layer, group = node.operator.layer, channels.classes.find(axis.parts[0].group)
        if layer.spec.sums_all and group not in fixed:
            found.setdefault(group, []).append(Producer(layer.spec, plan.kept, layer.weight))
    return found


def _best_order(producers: Sequence[Producer]) -> Order | None:
    """The best order of a class, None for its own: what is equally good leaves channels where they are."""
    own = np.arange(producers[0].spec.oc)
    candidates = [own, *(p.own_order() for p in producers if not p.structure.aligned)]
    if len(candidates) == 1:
        return None
    gains = [_gain(producers, order) for order in candidates]
    best = gains.index(max(gains))
    return candidates[best] if best else None


def _gain(producers: Sequence[Producer], order: Order) -> tuple[int, int]:
    in_place, neighbours = zip(*(producer.gain(order) for producer in producers), strict=True)
    return sum(in_place), sum(neighbours)
