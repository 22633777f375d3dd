"""``sparsecc.advise``: predicted times over sparsity, before any training."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from sparsecc.advice.codes import AtHand, imposed_us, plan_us, said_of, said_of_codes, why_unknown
from sparsecc.advice.curves import LayerAdvice, NetAdvice
from sparsecc.advice.network import Network
from sparsecc.advice.result import Advice
from sparsecc.advice.sweep import dense_us, layer_curve
from sparsecc.analyse.impose import Impose
from sparsecc.analyse.plan import Plan
from sparsecc.analyse.said import gone_lines
from sparsecc.errors import UserError
from sparsecc.fitted import resolve_fitted
from sparsecc.importer import one_request
from sparsecc.keywords import explained
from sparsecc.options import Options
from sparsecc.pipeline import analyse, bring_in
from sparsecc.target import Target
from sparsecc.target.native.calibrate import clock_here
from sparsecc.target.native.cpu import processor, processor_of
from sparsecc.target.records.lookup import find_records
from sparsecc.target.records.scale import Scale, scale_of
from sparsecc.untrusted.numbers import as_float, as_int

Progress = Callable[[str], None]

#: where times are predicted, shares of pruned blocks
SPARSITIES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95)
#: largest N: the compiler splits longer blocks
_MOST_N = 64
#: a network this much faster than the dense one is faster
_FASTER = 0.999


@explained
def advise(
    model: Any,
    target: str | Target = "native",
    n: Sequence[int] = (4, 8, 16),
    *,
    example_inputs: Sequence[Any] | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    sparsities: Sequence[float] = SPARSITIES,
    min_speedup: float = 1.05,
    winograd: bool = True,
    max_growth: float | None = None,
    schedules: str | os.PathLike[str] | None = "shipped",
    cc: str | None = None,
    progress: Progress | None = None,
) -> Advice:
    """Predict how fast a network would be if it were pruned with 1xN blocks, on one core.

    The weights are looked at only to compare a pruned network with a quantized one: elsewhere a layer that is pruned
    counts as dense. Times are the compiler's own predictions, by
    which it chooses kernels, configs, and between sparse and dense.

    Parameters
    ----------
    model : torch.nn.Module, torch.export.ExportedProgram, or path of a .pt2 or .onnx file
        As for :func:`sparsecc.compile`.
    target : str or Target
    n : sequence of int
        Output channels of a block, each from 1 to 64.
    example_inputs : sequence of tensor, optional
        Needed for a module: they give the shapes.
    shapes : mapping of str to sequence of int, optional
        As for :func:`sparsecc.compile`.
    sparsities : sequence of float
        Shares of pruned blocks to predict times for, ascending, from 0 to below 1; the first is 0.
    min_speedup, winograd, max_growth
        As for :func:`sparsecc.compile`.
    schedules : path, ``"shipped"`` or None
        Records of measurements: they say which algorithms compute layers and which kernels are joined, as in a
        compilation with them, and those of this processor tell how long a predicted cycle takes (``native`` only).
    cc : str, optional
        C compiler, for measuring a processor that is not known.
    progress : callable, optional
        Called with the name of every stage as it begins.

    Returns
    -------
    Advice

    Raises
    ------
    UserError
        The model, the target or an option is not usable.
    NotSupportedError
        The model has an operator that sparsecc does not compile.
    """
    blocks, shares = _checked(n, sparsities)
    options = Options(min_speedup=min_speedup, winograd=winograd, max_growth=max_growth, schedules=schedules, cc=cc)
    resolved, figures = resolve_fitted(target, cc=cc)
    usual = Scale(resolved.ghz, source=f"usual for {resolved.name}")
    scale = scale_here(resolved, options, figures) if target == "native" else usual
    tell = progress or (lambda stage: None)
    tell("import")
    imported = bring_in(*one_request(model, example_inputs, shapes))
    tell("predict")
    records = find_records(options.schedules, resolved, cpu=processor_of(target))
    network = Network(imported, resolved, options, cpu=processor_of(target), records=records)
    layers = tuple(
        LayerAdvice(
            name,
            weight=calls[0].spec.weight_shape,
            pixels=(calls[0].spec.oh, calls[0].spec.ow),
            dense_us=sum(dense_us(call, network.planner, scale) for call in calls),
            curves=tuple(
                layer_curve(calls, n=block_n, sparsities=shares, planner=network.planner, scale=scale)
                for block_n in blocks
            ),
            given=None if calls[0].removed is None else calls[0].removed.spec.weight_shape,
        )
        for name, calls in network.layers.items()
    )
    nets = tuple(_net(network, block_n, shares, scale) for block_n in blocks)
    notes = tuple(gone_lines(network.planner.plan(None).layers))
    coded: tuple[NetAdvice, ...] = ()
    unknown = why_unknown(resolved)
    if imported.has_codes:
        notes = (*notes, said_of_codes(resolved))
    elif unknown:
        notes = (*notes, unknown)
    else:
        coded = tuple(_coded(network, block_n, shares, scale) for block_n in blocks)
        plan = analyse(imported, resolved, options, choose=network.choose, cpu=processor_of(target))
        notes = (*notes, *said_of(nets, coded, shares, at_hand=at_hand(network, plan, scale)))
    return Advice(resolved.name, scale.ghz, scale.source, shares, nets, layers, notes, coded)


def scale_here(target: Target, options: Options, figures: str) -> Scale:
    """How long a predicted cycle takes on this machine; ``figures`` says where those of ``target`` are from."""
    ghz, clock = clock_here(target, cc=options.cc)
    source = f"clock {clock}, figures {figures}"
    records = find_records(options.schedules, target).best
    return scale_of(records, target, ghz=ghz, cpu=processor(), source=source)


def _net(network: Network, n: int, sparsities: tuple[float, ...], scale: Scale) -> NetAdvice:
    us = tuple(network_us(network, Impose(n, share) if share else None, scale) for share in sparsities)
    return NetAdvice(n, us, break_even(sparsities, us))


def _coded(network: Network, n: int, sparsities: tuple[float, ...], scale: Scale) -> NetAdvice:
    us = tuple(imposed_us(network, Impose(n, share) if share else None, scale) for share in sparsities)
    return NetAdvice(n, us, break_even(sparsities, us))


def at_hand(network: Network, plan: Plan, scale: Scale) -> AtHand | None:
    """Times of the network with its own weights, where some of its layers are sparse."""
    if all(layer.kept is None for layer in plan.layers):
        return None
    us = sum(step.us(scale) for step in network.steps_of(plan))
    return AtHand(us, plan_us(network, plan, scale))


def network_us(network: Network, impose: Impose | None, scale: Scale) -> float:
    """Microseconds of all steps."""
    return sum(step.us(scale) for step in network.steps(impose))


def break_even(sparsities: Sequence[float], us: Sequence[float]) -> float:
    """Sparsity from which a network stays faster than at the first one; 1 if it never is.

    Layers stay dense until they gain, so times are flat and then fall: the line through the first two that are lower
    is followed back to where it starts.
    """
    slow = max(i for i, time in enumerate(us) if time >= _FASTER * us[0])
    if slow == len(us) - 1:
        return 1.0
    if slow == len(us) - 2 or us[slow + 2] >= us[slow + 1]:
        return sparsities[slow]
    slope = (us[slow + 2] - us[slow + 1]) / (sparsities[slow + 2] - sparsities[slow + 1])
    start = sparsities[slow + 1] + (us[0] - us[slow + 1]) / slope
    return min(max(start, sparsities[slow]), sparsities[slow + 1])


def _checked(n: Sequence[int], sparsities: Sequence[float]) -> tuple[tuple[int, ...], tuple[float, ...]]:
    blocks = tuple(each for each in map(as_int, _each(n)) if each is not None and 1 <= each <= _MOST_N)
    if not blocks or len(blocks) != len(_each(n)):
        raise UserError(f"n: found {n!r}, expected whole numbers from 1 to {_MOST_N}, such as (4, 8, 16)")
    shares = tuple(share for share in map(as_float, _each(sparsities)) if share is not None)
    rising = all(low < high for low, high in pairwise(shares)) and len(shares) == len(_each(sparsities))
    if not shares or shares[0] != 0 or shares[-1] >= 1 or not rising:
        raise UserError(f"sparsities: found {sparsities!r}, expected shares that rise from 0 to below 1")
    return tuple(dict.fromkeys(blocks)), shares


def _each(values: Any) -> tuple[Any, ...]:
    """The values of a sequence; of anything else, itself."""
    return tuple(values) if isinstance(values, Iterable) and not isinstance(values, str) else (values,)
