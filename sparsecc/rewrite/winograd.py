"""Split convolutions that are to be computed by Winograd's algorithm into three nodes."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sparsecc.ir.blocks import kept_kernels
from sparsecc.ir.epilogue import Epilogue
from sparsecc.ir.graph import FusedConv, Graph, Node
from sparsecc.ir.layer import ConvLayer
from sparsecc.ir.winograd import Tiling, WinogradInput, WinogradOutput, transformed_weight
from sparsecc.ir.winograd_conv import PhaseTiling, WinogradConv

#: weights of a layer to those of its products; see :func:`~sparsecc.ir.winograd.transformed_weight`
Transform = Callable[[NDArray[np.float32], int], NDArray[np.float32]]


def split_winograd(
    graph: Graph, tiles: Mapping[str, int], *, sparse: Container[str] = (), transform: Transform = transformed_weight
) -> Graph:
    """Rewrite the layers in ``tiles`` (key -> side of an output tile); those in ``sparse`` read no pruned weights.

    Before::

        y = conv3x3(x, residual)                # epilogue bias+residual+relu

    After, for tiles of 4 x 4 pixels::

        v = winograd_input(x)                   # 36 * ic planes, a pixel a tile; of channels with kept blocks
        p = conv1x1(v)                          # 36 groups; has the layer's key
        y = winograd_output(p, residual)        # epilogue bias+residual+relu
    """
    shapes = list(graph.shapes)
    nodes: list[Node] = []
    for node in graph.nodes:
        conv = _among(node, tiles)
        if conv is None:
            nodes.append(node)
            continue
        channels = read_channels(conv.layer.weight) if node.key in sparse else None
        nodes += _split(node, conv, WinogradInput(Tiling(conv.spec, tiles[node.key]), channels), shapes, transform)
    return replace(graph, shapes=tuple(shapes), nodes=tuple(nodes))


def compute_at_once(graph: Graph, keys: Container[str]) -> Graph:
    """Rewrite the layers in ``keys``, which have few input channels: all steps of the algorithm in one kernel.

    Before::

        y = conv7x7(x, residual)                # epilogue bias+residual+relu

    After::

        y = winograd_conv(x, residual)          # the same
    """

    def rewritten(node: Node) -> Node:
        conv = _among(node, keys)
        if conv is None:
            return node
        return replace(node, operator=WinogradConv(PhaseTiling(conv.spec), conv.layer, conv.epilogue))

    return replace(graph, nodes=tuple(map(rewritten, graph.nodes)))


def _among(node: Node, keys: Container[str]) -> FusedConv | None:
    """The node's convolution, if it is one that is meant."""
    return node.operator if isinstance(node.operator, FusedConv) and node.key in keys else None


def winograd_origins(origins: Mapping[str, str], tiles: Mapping[str, int]) -> dict[str, str]:
    """Key of a step -> node of the exported program: a split layer's value is that of its last step."""
    return {output_key(key) if key in tiles else key: node for key, node in origins.items()}


def input_key(key: str) -> str:
    """Key of the step before the products of layer ``key``."""
    return f"{key}_winograd_in"


def output_key(key: str) -> str:
    """Key of the step that makes the result of layer ``key``."""
    return f"{key}_winograd_out"


def read_channels(weight: NDArray[np.float32]) -> tuple[int, ...] | None:
    """Input channels with a weight that is not zero, one at least; None for all of them."""
    kept = np.flatnonzero(kept_kernels(weight).any(axis=0))
    return None if kept.size == weight.shape[1] else tuple(map(int, kept)) or (0,)


def _split(
    node: Node, operator: FusedConv, first: WinogradInput, shapes: list[tuple[int, ...]], transform: Transform
) -> list[Node]:
    layer, tiling = operator.layer, first.tiling
    spec = tiling.product_spec
    seen, products = len(shapes), len(shapes) + 1
    shapes += [(1, spec.ic, 1, spec.iw), (1, spec.oc, 1, spec.ow)]
    weight = transform(layer.weight, tiling.m)
    product = ConvLayer(layer.key, layer.name, spec, weight, np.zeros(spec.oc, np.float32))
    source, *residual = node.inputs
    back = WinogradOutput(tiling, layer, operator.epilogue)
    return [
        Node(input_key(node.key), first, (source,), seen),
        Node(node.key, FusedConv(product, Epilogue()), (seen,), products),
        Node(output_key(node.key), back, (products, *residual), node.output),
    ]
