"""A report as rows: a layer with all its kernels, or a kernel that belongs to no layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from sparsecc.analyse.layers import LayerPlan
from sparsecc.analyse.plan import Plan

#: ends of the keys of steps that belong to the layer whose key is before it
_PARTS = ("_winograd_in", "_winograd_out")


class Facts(Protocol):
    """What a page needs of a :class:`sparsecc.Report`; see there."""

    @property
    def plan(self) -> Plan:
        """Its layers."""

    @property
    def steps(self) -> Sequence[Mapping[str, Any]]:
        """Its kernel calls."""

    @property
    def target(self) -> str:
        """Name of the target."""

    @property
    def notes(self) -> Sequence[str]:
        """What the user should know."""

    @property
    def accuracy(self) -> str:
        """A line about the comparison with PyTorch."""

    @property
    def figures(self) -> str:
        """Where the cost model's figures are from."""

    @property
    def memory_bytes(self) -> int:
        """Of an instance."""

    @property
    def macs_per_cycle(self) -> float:
        """Of one core."""

    @property
    def ghz(self) -> float:
        """Its clock."""


@dataclass(frozen=True)
class KernelCall:
    """One kernel call.

    Attributes
    ----------
    key, kind, config : str
    chosen : str
        By what the config was chosen, and where that is from; empty where nothing was to choose.
    joined : tuple of str
        Layers that it computes too.
    predicted_us, measured_us : float or None
    """

    key: str
    kind: str
    config: str
    chosen: str
    joined: tuple[str, ...]
    predicted_us: float | None
    measured_us: float | None


@dataclass(frozen=True, eq=False)
class Row:
    """A layer or another kernel.

    Attributes
    ----------
    name : str
        The layer's in the model, else the key of the kernel.
    layer : LayerPlan or None
    kernels : tuple of KernelCall
        Those that compute it; none where another layer's kernel does, or where nothing is lowered.
    macs : int
        Multiply-adds of its kernels as decided, those of layers that they compute too included.
    inside : str
        The layer whose kernel computes this one too; empty for most.
    share : float or None
        Of the whole network's time: measured, else predicted; 0 to 1.
    limit : float or None
        Share of the multiply-adds that the cores could do in that time, 0 to 1; above 1 where an algorithm needs fewer.
    """

    name: str
    layer: LayerPlan | None
    kernels: tuple[KernelCall, ...]
    macs: int = 0
    inside: str = ""
    share: float | None = None
    limit: float | None = None

    @property
    def predicted_us(self) -> float | None:
        """Of its kernels together."""
        return _sum([kernel.predicted_us for kernel in self.kernels])

    @property
    def measured_us(self) -> float | None:
        """Of its kernels together."""
        return _sum([kernel.measured_us for kernel in self.kernels])

    @property
    def us(self) -> float | None:
        """Measured where it was, else predicted."""
        return self.predicted_us if self.measured_us is None else self.measured_us


def rows_of(facts: Facts, measured: Mapping[str, float] | None, *, threads: int) -> tuple[Row, ...]:
    """Rows in the network's order.

    Parameters
    ----------
    facts : Facts
    measured : mapping of str to float, optional
        Key of a step -> seconds.
    threads : int
        Of the measured runs.
    """
    layers = {layer.key: layer for layer in facts.plan.layers}
    calls = [_call(step, facts.ghz, measured) for step in facts.steps]
    whole = _sum([call.predicted_us if measured is None else call.measured_us for call in calls])
    rows = list(_grouped(calls, layers))
    order = {key: i for i, key in enumerate(layers)}
    shown = {row.layer.key for row in rows if row.layer}
    missing = [layer for key, layer in layers.items() if key not in shown]  # nothing was lowered, or it was folded away
    rows += [Row(layer.name, layer, ()) for layer in sorted(missing, key=lambda layer: order[layer.key])]
    cores = threads if measured else 1
    return tuple(_timed(row, whole, facts, cores=cores) for row in rows)


def _grouped(calls: Sequence[KernelCall], layers: Mapping[str, LayerPlan]) -> Iterator[Row]:
    """Kernels of a layer stand together, and layers that they compute too come after it."""
    groups: dict[str, list[KernelCall]] = {}
    for call in calls:
        groups.setdefault(_owner(call.key, layers), []).append(call)
    for key, kernels in groups.items():
        layer = layers.get(key)
        name = key if layer is None else layer.name
        computed = [
            layers[found] for found in (key, *(k for kernel in kernels for k in kernel.joined)) if found in layers
        ]
        yield Row(name, layer, tuple(kernels), sum(found.kept_macs for found in computed))
        for kernel in kernels:
            for other in kernel.joined:
                also = layers.get(other)
                yield Row(other if also is None else also.name, also, (), inside=name)


def _owner(key: str, layers: Mapping[str, LayerPlan]) -> str:
    for end in _PARTS:
        if key.endswith(end) and key.removesuffix(end) in layers:
            return key.removesuffix(end)
    return key


def _call(step: Mapping[str, Any], ghz: float, measured: Mapping[str, float] | None) -> KernelCall:
    cycles = step.get("expected") or step.get("cycles") or 0.0
    seconds = None if measured is None else measured.get(step["key"])
    by, source = step.get("chosen_by", ""), step.get("chosen_from", "")
    return KernelCall(
        key=step["key"],
        kind=step["kind"],
        config=", ".join(f"{name} {_value(value)}" for name, value in step["config"].items()),
        chosen=f"{by}: {source}" if source else by,
        joined=tuple(step.get("joined", ())),
        predicted_us=cycles / ghz / 1e3 if cycles and ghz else None,
        measured_us=None if seconds is None else seconds * 1e6,
    )


def _value(value: Any) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _timed(row: Row, whole: float | None, facts: Facts, *, cores: int) -> Row:
    us = row.us
    if us is None or not us:
        return row
    share = us / whole if whole else None
    possible = facts.macs_per_cycle * facts.ghz * 1e3 * cores * us
    return replace(row, share=share, limit=row.macs / possible if row.macs and possible else None)


def _sum(values: Sequence[float | None]) -> float | None:
    """Of all; None where there is nothing, or one is unknown."""
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None
