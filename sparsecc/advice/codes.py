"""How fast a network would be in codes of 8 bits, dense and pruned: predicted, without weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sparsecc.advice.curves import NetAdvice
from sparsecc.advice.network import Network
from sparsecc.advice.structures import structure_of
from sparsecc.analyse.impose import Impose
from sparsecc.analyse.plan import Plan
from sparsecc.analyse.structure import Structure
from sparsecc.ir.conv import ConvSpec
from sparsecc.lower.int8.options import instructions_of
from sparsecc.target import Target
from sparsecc.target.records.scale import Scale

#: instructions that the cost model has figures for
_KNOWN = ("vpdpbusd", "vpmaddwd")
#: steps that move float32 images between layouts, or are parts of Winograd's algorithm: codes have none
_WITHOUT = ("repack", "winograd")


def why_unknown(target: Target) -> str:
    """Why nothing is predicted for codes; empty where something is."""
    by = instructions_of(target.for_codes()).name
    if by in _KNOWN:
        return ""
    slow = "has no instruction for them that is faster than float32's, and " if by == "smlal" else ""
    return f"int8 is not predicted: {target.name} {slow}has no figures for codes of 8 bits in the cost model"


def said_of_codes(target: Target) -> str:
    """What the times of a network that was quantized before are."""
    by = instructions_of(target.for_codes()).name
    rough = "" if by in _KNOWN else f"; the cost model has no measured figures for {by}, so they are rough"
    return f"the network is quantized: times are those of layers of codes, float32 is not predicted{rough}"


def coded_us(network: Network, kept: Callable[[str], Structure | None], scale: Scale) -> float:
    """Microseconds of a network whose convolutions and linear layers all compute with codes.

    What is neither counts as in the dense float32 network; it is the smaller part.

    Parameters
    ----------
    network : Network
    kept : callable
        Key of a layer -> the blocks that it has; None for all. It is dense where that is faster.
    scale : Scale
    """
    layers = {layer.key: layer for layer in network.planner.layers}
    own = sum(_us(network, layer.spec, kept(key), scale) for key, layer in layers.items())
    steps = [step for step in network.steps(None) if step.kind not in _WITHOUT]
    others = sum(step.us(scale) for step in steps if step.key not in layers)
    # poolings that float32 layers compute, too
    joined = (step for step in steps if step.key in layers and any(key not in layers for key in step.joined))
    return own + others + sum(scale.us(convolution=0.0, rest=step.windows) for step in joined)


def imposed_us(network: Network, impose: Impose | None, scale: Scale) -> float:
    """The same with a pattern on all prunable layers, or dense (None)."""
    layers = {layer.key: layer for layer in network.planner.layers}

    def kept(key: str) -> Structure | None:
        layer = layers[key]
        if impose is None or layer.name not in network.planner.prunable:
            return None
        return structure_of(layer.spec, impose)

    return coded_us(network, kept, scale)


def plan_us(network: Network, plan: Plan, scale: Scale) -> float:
    """The same with the blocks that layers were found to have."""
    found = {layer.key: layer.structure for layer in plan.layers}
    return coded_us(network, lambda key: _pruned(found.get(key)), scale)


def _pruned(structure: Structure | None) -> Structure | None:
    return structure if structure is not None and structure.has_zero_blocks else None


def _us(network: Network, spec: ConvSpec, kept: Structure | None, scale: Scale) -> float:
    cycles = network.planner.costs.codes
    least = cycles(spec, None)
    return scale.us(
        convolution=0.0, rest=least if kept is None or spec.is_depthwise else min(least, cycles(spec, kept))
    )


def said_of(
    nets: Sequence[NetAdvice], coded: Sequence[NetAdvice], sparsities: Sequence[float], *, at_hand: AtHand | None
) -> list[str]:
    """What follows from the times of a network in both types, for people."""
    dense = coded[0].us[0]
    lines = [f"int8: dense {_ms(dense)}, {nets[0].us[0] / dense:.2f} times as fast as dense float32"]
    for net, other in zip(nets, coded, strict=True):
        first = next((s for s, us in zip(sparsities, net.us, strict=True) if us < dense), None)
        when = "at no sparsity here" if first is None else f"from {100 * first:g} % on"
        pays = "never" if other.break_even >= 1 else f"from {100 * other.break_even:.0f} % on"
        lines.append(f"1x{net.n}: float32 is faster than dense int8 {when}; int8 gains by pruning {pays}")
    if at_hand is not None:
        lines.append(at_hand.said(dense))
    return lines


class AtHand:
    """The pruned network that was given: microseconds in float32, and in codes with the same blocks."""

    def __init__(self, us: float, coded: float) -> None:
        self.us, self.coded = us, coded

    def said(self, dense: float) -> str:
        """Whether quantizing the dense network would have done as much as pruning it."""
        more = f"quantized as it is {_ms(self.coded)}"
        if dense < self.us:
            return (
                f"the pruned network at hand: {_ms(self.us)} in float32, so quantizing alone, unpruned, would be "
                f"{self.us / dense:.2f} times as fast ({_ms(dense)}); {more}"
            )
        return (
            f"the pruned network at hand: {_ms(self.us)} in float32, {dense / self.us:.2f} times as fast as quantizing "
            f"alone would be ({_ms(dense)}); {more}"
        )


def _ms(us: float) -> str:
    return f"{us / 1e3:.3g} ms"
