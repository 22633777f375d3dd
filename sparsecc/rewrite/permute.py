"""Store channels in an order in which the rows of blocks of rearranged layers are neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from sparsecc._tvm import IRModule
from sparsecc.analyse.layers import LayerPlan
from sparsecc.analyse.plan import Plan
from sparsecc.analyse.reorder import reordered
from sparsecc.ir.channel_order import ChannelOrder
from sparsecc.ir.graph import Graph, Node
from sparsecc.ir.operator import Order
from sparsecc.rewrite.channel_blocks import read_blocks
from sparsecc.rewrite.channel_choice import choose_orders
from sparsecc.rewrite.channel_graph import Channels, find_channels
from sparsecc.rewrite.channels import Orders


@dataclass(frozen=True, eq=False)
class Permuted:
    """A network with reordered channels.

    Attributes
    ----------
    graph : Graph
        With weights, biases and constants to match.
    plan : Plan
        With the rows of blocks as they are now.
    orders : mapping of int to ChannelOrder
        Tensor -> the order of its channels, where it is not the network's.
    """

    graph: Graph
    plan: Plan
    orders: Mapping[int, ChannelOrder]


def permute(graph: Graph, plan: Plan, module: IRModule) -> Permuted:
    """Choose the orders of channels, and reorder weights to match.

    Before::

        y = conv(x)                     # rows of blocks: channels (0, 3), (1, 2)
        z = conv(relu6(depthwise(y)))

    After::

        y = conv(x)                     # rows (0, 1), (2, 3) of channels 0 3 1 2
        z = conv(relu6(depthwise(y)))   # both read weights in the order 0 3 1 2

    The network's inputs and outputs keep their order. A sum over input channels has another order, and another
    rounding.

    Parameters
    ----------
    graph : Graph
        Of fused layers, before they are split or joined.
    plan : Plan
    module : IRModule
        Functions of generic operators.

    Notes
    -----
    Source: Lin et al. 2022 (arXiv 2105.14713), filter rearrangement: the next layer's input channels follow the order
    of the filters. Here the order goes through whatever keeps channels apart.
    """
    if not any(layer.rearranged for layer in plan.layers):
        return Permuted(graph, plan, {})
    channels = find_channels(graph, lambda name: read_blocks(module[name]))
    return reorder(graph, plan, channels, choose_orders(graph, channels, plan))


def reorder(graph: Graph, plan: Plan, channels: Channels, orders: Orders) -> Permuted:
    """Reorder weights, biases and constants; ``orders`` has any order for any class that is not fixed."""
    nodes = tuple(_permuted(node, channels, orders) for node in graph.nodes)
    by_key = {node.key: node for node in nodes}
    plans = tuple(_planned(p, by_key[p.key], channels, orders) if p.key in by_key else p for p in plan.layers)
    tensors: dict[int, ChannelOrder] = {}
    for tensor, axis in enumerate(channels.axes):
        order = channels.classes.order(axis, orders)
        if axis is not None and order is not None:
            tensors[tensor] = ChannelOrder(graph.shapes[tensor], axis.axis, order)
    return Permuted(replace(graph, nodes=nodes), Plan(plans), tensors)


def _permuted(node: Node, channels: Channels, orders: Orders) -> Node:
    """A node with its weights or constants in order."""
    axes = channels.constants.get(node.output, {})
    constants = {place: (axis.axis, channels.classes.order(axis, orders)) for place, axis in axes.items()}
    return replace(node, operator=node.operator.reordered(*_orders(node, channels, orders), constants))


def _orders(node: Node, channels: Channels, orders: Orders) -> tuple[Order, Order]:
    """Orders of what an operator reads, if it reads anything, and writes."""
    source, result = channels.axes[node.inputs[0]] if node.inputs else None, channels.axes[node.output]
    return channels.classes.order(source, orders), channels.classes.order(result, orders)


def _planned(plan: LayerPlan, node: Node, channels: Channels, orders: Orders) -> LayerPlan:
    """The plan of a reordered layer; that of a dense one tells of its weight as it was given."""
    inputs, outputs = _orders(node, channels, orders)
    weight = node.operator.weights[0]
    is_moved = inputs is not None or outputs is not None
    if not is_moved or plan.structure is None or plan.decision == "dense":
        return plan
    return replace(plan, structure=reordered(plan.structure, np.asarray(weight, np.float32), outputs))


def listing(permuted: Permuted) -> str:
    """The orders as text: one line for every tensor that has one."""
    lines = []
    for node in permuted.graph.nodes:
        found = permuted.orders.get(node.output)
        if found is not None:
            shape = "x".join(map(str, found.shape))
            lines.append(f"t{node.output} {node.key} {shape}, channels {' '.join(map(str, found.order))}")
    return "\n".join(lines or ["all channels are in the network's order"]) + "\n"
