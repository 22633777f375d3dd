"""A network between two stages: its graph, with what belongs to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sparsecc._tvm import IRModule
from sparsecc.analyse.plan import Plan
from sparsecc.ir.channel_order import ChannelOrder
from sparsecc.ir.graph import Graph
from sparsecc.ir.placed import Placed
from sparsecc.lower.joining import Joining


@dataclass(frozen=True, eq=False)
class Extracted:
    """A network as a plain graph.

    Attributes
    ----------
    graph : Graph
    module : IRModule
        PrimFuncs of generic operators.
    origins : mapping of str to str
        Key of a layer -> node of the exported program with the value that it stores.
    orders : mapping of int to ChannelOrder
        Tensor -> order in which it stores channels, where it is not the network's.
    notes : tuple of str
        What the user should know.
    """

    graph: Graph
    module: IRModule
    origins: Mapping[str, str]
    orders: Mapping[int, ChannelOrder] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Rewritten:
    """A network whose operators are final and whose tensors have their layouts.

    Attributes
    ----------
    placed : Placed
    module : IRModule
        PrimFuncs of generic operators.
    origins : mapping of str to str
        Key of a node -> node of the exported program with the same value.
    plan : Plan
        With the rows of blocks as they are now.
    orders : mapping of str to ChannelOrder
        Key of a node -> order in which its result stores channels, where it is not the network's.
    joins : mapping of str to Joining
        Key of a convolution -> whether it is joined with the window kernel after it.
    notes : tuple of str
        What the user should know.
    """

    placed: Placed
    module: IRModule
    origins: Mapping[str, str]
    plan: Plan
    orders: Mapping[str, ChannelOrder]
    joins: Mapping[str, Joining]
    notes: tuple[str, ...] = ()

    @property
    def types(self) -> dict[str, str]:
        """Key of a node -> dtype of its result, where the network has codes; empty elsewhere."""
        placed = self.placed
        return {node.key: placed.type_of(node.output).dtype for node in placed.nodes} if placed.types else {}
