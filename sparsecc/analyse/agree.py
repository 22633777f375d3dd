"""One network for several shapes: a layer has the same algorithm in all of them, so that they have its weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from sparsecc.analyse.layers import LayerPlan
from sparsecc.analyse.plan import Plan
from sparsecc.ir.indices import BYTES, without_steps
from sparsecc.ir.winograd import suits
from sparsecc.ir.winograd_conv import is_at_once

#: what a layer costs in a shape's program, as a share of all of that
Share = Callable[[LayerPlan], float]


def agreed(plans: Sequence[Plan], shares: Sequence[Share]) -> tuple[Plan, ...]:
    """Give each layer the algorithm, dense or sparse, that costs all shapes together least.

    Only what a shape has chosen for itself is weighed. Indices that depend on the layout of what a layer reads become
    ones that do not, where layouts differ.

    Parameters
    ----------
    plans : sequence of Plan
        Of each shape, with the same layers.
    shares : sequence of callable
        Of each shape, what a layer costs.
    """
    columns = [_agreed(layers, shares) for layers in zip(*(plan.layers for plan in plans), strict=True)]
    return tuple(Plan(tuple(column[i] for column in columns)) for i in range(len(plans)))


def _agreed(layers: Sequence[LayerPlan], shares: Sequence[Share]) -> tuple[LayerPlan, ...]:
    options = [tuple(_as(layer, other) for other in layers) for layer in layers]
    possible = [option for option in options if all(map(_is_possible, option))]
    if not possible:
        return _shared(layers)
    return _shared(min(possible, key=lambda option: sum(share(one) for share, one in zip(shares, option, strict=True))))


def _as(layer: LayerPlan, other: LayerPlan) -> LayerPlan:
    """The layer of another shape, with the decision of this one's."""
    if (layer.decision, layer.tile) == (other.decision, other.tile):
        return other
    return replace(layer, spec=other.spec, removed=other.removed)


def _is_possible(layer: LayerPlan) -> bool:
    """Whether the layer's algorithm computes its shape."""
    return layer.tile is None or suits(layer.spec) or is_at_once(layer.spec, layer.tile)


def _shared(layers: Sequence[LayerPlan]) -> tuple[LayerPlan, ...]:
    return _placed(tuple(replace(layer, is_shared=True) for layer in layers))


def _placed(layers: tuple[LayerPlan, ...]) -> tuple[LayerPlan, ...]:
    """Channels by number, where offsets would differ from shape to shape: other images', or those of Winograd's."""
    first = layers[0]
    images = {replace(layer.spec, n=1) for layer in layers}
    found = first.structure
    if found is None or first.kept is None or (len(images) == 1 and first.tile is None) or first.spec.is_linear:
        return layers
    index = without_steps(columns=first.spec.ic * (first.spec.taps if found.by_tap else 1))
    if BYTES[found.index] <= BYTES[index]:
        return layers
    return tuple(
        layer if layer.structure is None else replace(layer, structure=replace(layer.structure, index=index))
        for layer in layers
    )
