"""Turn placed nodes into scheduled kernels: one function a kind of operator."""

from __future__ import annotations

from collections.abc import Mapping

from sparsecc._tvm import IRModule
from sparsecc.analyse.layers import LayerPlan
from sparsecc.errors import InternalError
from sparsecc.facts.graph import Chain, FusedConv, TirOp
from sparsecc.facts.layer import MeanLayer, PoolLayer
from sparsecc.facts.placed import Placed, PlacedNode, Repack
from sparsecc.facts.winograd import WinogradInput, WinogradOutput
from sparsecc.kernels.mean import MeanShape, mean
from sparsecc.kernels.repack import RepackShape, repack
from sparsecc.rewrite.choice import Choose, by_cost_model
from sparsecc.rewrite.lower_chain import lower_chain
from sparsecc.rewrite.lower_conv import image, lower_direct
from sparsecc.rewrite.lower_generic import lower_generic
from sparsecc.rewrite.lower_linear import lower_linear
from sparsecc.rewrite.lower_window import lower_depthwise, lower_pool
from sparsecc.rewrite.lower_winograd import lower_winograd_input, lower_winograd_output
from sparsecc.rewrite.lowered import Lowered
from sparsecc.target import Target


def lower(
    node: PlacedNode,
    placed: Placed,
    module: IRModule,
    plans: Mapping[str, LayerPlan],
    target: Target,
    choose: Choose = by_cost_model,
) -> Lowered:
    """Schedule the kernel of one node.

    Parameters
    ----------
    node : PlacedNode
        Any but a view, which needs no kernel.
    placed : Placed
        The graph it belongs to.
    module : IRModule
        Holds the PrimFuncs of generic operators.
    plans : mapping of str to LayerPlan
        Key -> decision.
    target : Target
        The processor to schedule for.
    choose : callable, optional
        Gives the config of kernels that have knobs; by default the cost model does.
    """
    operator = node.operator
    if isinstance(operator, FusedConv):
        spec = operator.layer.spec
        if spec.is_linear:
            return lower_linear(node, operator, plans[node.key], target, choose)
        if spec.is_depthwise:
            return lower_depthwise(node, operator, placed, target, choose)
        return lower_direct(node, operator, placed, plans[node.key], target, choose)
    if isinstance(operator, Chain):
        return lower_chain(node, operator, placed, plans[node.key], target, choose)
    if isinstance(operator, PoolLayer):
        return lower_pool(node, operator, placed, target, choose)
    if isinstance(operator, MeanLayer):
        return _lower_mean(node, operator, placed, target)
    if isinstance(operator, WinogradInput):
        return lower_winograd_input(node, operator, placed, target)
    if isinstance(operator, WinogradOutput):
        return lower_winograd_output(node, operator, placed, target)
    if isinstance(operator, Repack):
        return _lower_repack(node, operator, placed, target)
    if isinstance(operator, TirOp):
        return lower_generic(node, operator, placed, module, target, choose)
    raise InternalError(f"lower: no kernel for {type(operator).__name__} {node.key}; please report it with the model")


def _lower_mean(node: PlacedNode, layer: MeanLayer, placed: Placed, target: Target) -> Lowered:
    shape = MeanShape(layer.n * layer.c, image(placed, node.inputs[0]))
    function = mean(shape, lanes=target.lanes)
    return Lowered("mean", ("mean", shape), function, (node.inputs[0], node.output), {})


def _lower_repack(node: PlacedNode, operator: Repack, placed: Placed, target: Target) -> Lowered:
    n, c = placed.shapes[node.output][:2]
    source, layout = image(placed, node.inputs[0]), image(placed, node.output)
    shape = RepackShape(n * c, source, layout, operator.rows, lanes=target.lanes)
    return Lowered("repack", ("repack", shape), repack(shape), (node.inputs[0], node.output), {})
