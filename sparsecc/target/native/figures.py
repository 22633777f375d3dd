"""The cost model's figures of a processor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from sparsecc.target import Target


@dataclass(frozen=True)
class Figures:
    """Figures that differ between processors of one instruction set; see :class:`~sparsecc.target.Target`.

    Attributes
    ----------
    fma_per_cycle, loads_per_cycle : float
        Vector multiply-adds and loads that start in a cycle.
    l1_bytes, l2_bytes, l3_bytes : int
        Caches that one core can use.
    l2_bandwidth, l3_bandwidth, memory_bandwidth : float
        Bytes that one core streams from there in a cycle.
    double_pumped : bool
        Whether multiply-adds on half a vector start more often than those on a whole one; see
        :class:`~sparsecc.target.Core`.
    """

    fma_per_cycle: float
    loads_per_cycle: float
    l1_bytes: int
    l2_bytes: int
    l3_bytes: int
    l2_bandwidth: float
    l3_bandwidth: float
    memory_bandwidth: float
    double_pumped: bool

    def __post_init__(self) -> None:
        if not isinstance(self.double_pumped, bool):
            raise ValueError(f"double_pumped: found {self.double_pumped!r}, expected true or false")
        for name, value in self._numbers().items():
            if not (isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")):
                raise ValueError(f"{name}: found {value!r}, expected a positive number")

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Figures:
        """Rebuild what ``dataclasses.asdict`` made.

        Raises
        ------
        ValueError
            A figure is missing, unknown or has a value that it can't have.
        """
        names = {field.name for field in fields(cls)}
        if set(data) != names:
            raise ValueError(f"found {sorted(data)}, expected {sorted(names)}")
        return cls(**data)

    def applied_to(self, target: Target) -> Target:
        """The target with these figures."""
        core = replace(target.core_model, double_pumped=self.double_pumped)
        return replace(target, core_model=core, **self._numbers())

    def _numbers(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if name != "double_pumped"}
