"""Batch norms, and which layer before each can take it."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any

from torch import fx
from torch.export import ExportedProgram

from sparsecc.errors import NotSupportedError
from sparsecc.importer.arguments import operator_name
from sparsecc.importer.context import Context
from sparsecc.importer.convolution import BatchNorm, batch_norm
from sparsecc.importer.names import layer_name

BATCH_NORMS: frozenset[str] = frozenset({"_native_batch_norm_legit_no_training.default"})


def norm_of(ctx: Context, node: fx.Node) -> BatchNorm:
    """Scale and shift of ``_native_batch_norm_legit_no_training(x, gamma, beta, mean, variance, momentum, eps)``."""
    _, gamma, beta, mean, variance, _, eps = node.args
    if not isinstance(mean, fx.Node) or not isinstance(variance, fx.Node):
        raise NotSupportedError(f"layer {layer_name(node)}: batch norm without running statistics is not supported")
    return batch_norm(
        None if gamma is None else ctx.array(gamma, "its weight"),
        None if beta is None else ctx.array(beta, "its bias"),
        ctx.array(mean, "its mean"),
        ctx.array(variance, "its variance"),
        eps=float(eps),
    )


def foldable_norms(
    ctx: Context, program: ExportedProgram, folding: Container[str], full_name: Callable[[fx.Node], str]
) -> dict[fx.Node, fx.Node]:
    """Layer node -> the batch norm that follows it and is its only user."""
    found: dict[fx.Node, fx.Node] = {}
    for node in program.graph.nodes:
        if node.op != "call_function" or full_name(node) not in BATCH_NORMS:
            continue
        source: Any = node.args[0]
        takes = full_name(source) in folding and len(source.users) == 1
        if takes and not ctx.is_constant(source) and _is_layer(ctx, source) and _scales_channels(source):
            found[source] = node
    return found


def _is_layer(ctx: Context, source: fx.Node) -> bool:
    """False for a product of two tensors that both depend on the input: it has no weights to scale."""
    return operator_name(source) != "mm" or ctx.is_constant(source.args[1])


def _scales_channels(layer: fx.Node) -> bool:
    """True when a layer's output channels lie on axis 1, which a batch norm scales; linear ones lie on the last."""
    return operator_name(layer) != "linear" or layer.meta["val"].ndim == 2
