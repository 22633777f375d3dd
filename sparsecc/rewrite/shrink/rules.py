"""The table of operators that channels are followed through; all others keep theirs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from sparsecc.rewrite.shrink import build, elementwise, layers, moves
from sparsecc.rewrite.shrink.build import Made
from sparsecc.rewrite.shrink.flow import Flow
from sparsecc.rewrite.shrink.steps import Step


class Rule(NamedTuple):
    """What is done about an operator.

    Attributes
    ----------
    follow : callable
        Says where its result has channels, ties those that must go together and lets those stay that must; False where
        it can't, and where there are none: then all that it reads stay.
    rebuild : callable
        The operator over what is left of its operands.
    """

    follow: Callable[[Flow, Step], bool]
    rebuild: Callable[[Made, Step], object]


#: :attr:`~sparsecc.rewrite.shrink.steps.Step.kind` -> its rule
RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "layer": Rule(layers.follow, build.layer),
        "activation": Rule(elementwise.activation, build.activation),
        "planes": Rule(moves.planes, build.planes),
        "reshape": Rule(moves.reshape, build.reshape),
        "permute_dims": Rule(moves.permute, build.same),
        "concat": Rule(moves.concat, build.same),
        "strided_slice": Rule(moves.strided_slice, build.strided_slice),
        "nn.pad": Rule(moves.pad, build.same),
        **{name: Rule(moves.reduce, build.same) for name in moves.REDUCTIONS},
        **{name: Rule(elementwise.follow, build.elementwise) for name in elementwise.FUNCTIONS},
    }
)


def follow(flow: Flow, step: Step) -> None:
    """Let a step say what it does with channels."""
    rule = RULES.get(step.kind)
    if rule is None or not rule.follow(flow, step):
        flow.pin(*step.tensors)
